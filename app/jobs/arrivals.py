"""Uploads until a job takes them: where they lie, how much they count, and which of them nobody waits for any more."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.errors import JobError
from app.recently_used import RecentlyUsed
from app.settings import MEGABYTE, Settings

MIN_REQUEST_BYTES, MIN_FILE_BYTES = 16 * 1024, 8 * 1024  # what an upload request and a file in it count at least
ARRIVAL_SECONDS = 3_600.0  # for which an upload is kept that no job has taken, while there is room
ABANDONED_SECONDS = 120.0  # after which it makes room for others: a visitor's files are taken as soon as they are here
MAX_OTHER_FILES = 1_000  # in an upload beside twice as many files as it may have faces
MAX_FILE_PATH = 4_096  # characters of a path that a visitor names
BUNDLE_FILE = "files.json"  # lists the files of a request whose answer names its folder alone
REFUSED = "refused"  # folder in the paths of refusals; nothing lies there
REFUSALS: RecentlyUsed[str] = RecentlyUsed(4_096)  # reasons by the last part of such a path


@dataclass(frozen=True)
class Upload:
    """A file that was uploaded to this machine. name: the visitor's name for it, which is only ever shown."""

    path: Path
    name: str


def arrivals_folder(settings: Settings) -> Path:
    """Return the folder in which uploads lie until a job takes them; each request has a separate folder there."""
    return settings.temporary / "arrivals"


def is_below(path: str, folder: Path) -> bool:
    """Return whether a path of any form, from a visitor, leads into a folder, which has no links in its own path."""
    return len(path) <= MAX_FILE_PATH and "\0" not in path and folder in Path(path).resolve().parents


def uploaded_files(path: object, name: object, settings: Settings) -> list[Upload]:
    """Return the uploaded files that a client names by a path: one file, or all files of a request.

    Raises JobError if nothing was uploaded to this page by that path, and with the reason if the upload was refused.
    """
    folder = arrivals_folder(settings).resolve()
    if not isinstance(path, str) or not is_below(path, folder):
        raise JobError(
            "A file was not uploaded to this page for training, and the page fetches nothing from the web. Upload the "
            "file itself; with gradio_client, pass its path through handle_file."
        )
    place = Path(path)
    if place.parent.name == REFUSED and place.resolve().parents[1] == folder:
        raise JobError(REFUSALS.get(place.name) or "The upload of a file was refused. Upload it again.")
    if place.resolve().parent != folder:
        return [Upload(place, str(name or place.name))]
    with suppress(OSError, ValueError):
        listed = json.loads((place / BUNDLE_FILE).read_text(encoding="utf-8"))
        return [Upload(place / inside, Path(inside).name) for inside in listed]
    raise JobError("The uploaded files no longer exist. Upload them again.")


def all_uploads(named: Sequence[tuple[object, object]], settings: Settings) -> list[Upload]:
    """Return the uploaded files that a client names by their (path, name), each path once.

    Raises JobError for a path that is named twice, and for more files than a job can use; then, as for a file that was
    not uploaded here, what was uploaded is deleted.
    """
    most = 2 * settings.upload_faces + MAX_OTHER_FILES
    found: list[Upload] = []
    problems: list[JobError] = []
    seen: set[str] = set()
    for path, name in named[:most]:
        if (place := os.path.normpath(str(path))) in seen:
            problems.append(JobError("A file is named twice. Name each upload once."))
            break
        if len(found) > most:
            break
        seen.add(place)
        try:
            found += uploaded_files(path, name, settings)
        except JobError as error:
            problems.append(error)
    if len(named) > most or len(found) > most:
        problems.append(JobError(f"There are more than {most:,} files. Upload fewer, or pack them in an archive."))
    if problems:
        delete_uploads(found)
        raise problems[0]
    return found


def bundle(place: Path, paths: Sequence[Path]) -> None:
    """List the files of a request, so that the path of its folder stands for all of them."""
    listed = [path.relative_to(place).as_posix() for path in paths]
    (place / BUNDLE_FILE).write_text(json.dumps(listed), encoding="utf-8")


def refusal_path(settings: Settings, reason: str) -> Path:
    """Return a path that stands for a refused upload; `uploaded_files` raises the reason."""
    key = secrets.token_urlsafe(16)
    REFUSALS.add(key, reason)
    return arrivals_folder(settings) / REFUSED / key


def delete_uploads(uploads: Sequence[Upload]) -> None:
    """Delete uploads from the arrivals, and the folders of their requests that are empty then."""
    for upload in uploads:
        with suppress(OSError):  # deleted already, or the folder is not empty
            upload.path.unlink(missing_ok=True)
            upload.path.parent.rmdir()
    for place in {upload.path.parent.parent for upload in uploads}:
        with suppress(OSError):
            if [entry.name for entry in place.iterdir()] == [BUNDLE_FILE]:
                (place / BUNDLE_FILE).unlink()
            place.rmdir()


def arrival_bytes(place: Path) -> int:
    """Return what the files of one upload request count: small ones and the request itself count a minimum."""
    total = 0
    for folder, _, names in os.walk(place):
        for name in names:
            with suppress(FileNotFoundError):  # taken meanwhile
                total += max(Path(folder, name).lstat().st_size, MIN_FILE_BYTES)
    return max(total, MIN_REQUEST_BYTES)


def arrival_sizes(settings: Settings) -> dict[Path, int]:
    """Return `arrival_bytes` by the folder of each upload request that no job has taken."""
    return {place: arrival_bytes(place) for place in arrivals_folder(settings).glob("*")}


def idle_seconds(place: Path) -> float:
    """Return for how long nothing was written to the folder of a request; 0 if it is gone."""
    with suppress(OSError):  # taken meanwhile
        newest = max(path.stat().st_mtime for path in (place, *place.rglob("*")))
        return time.time() - newest
    return 0.0


def delete_abandoned(places: Iterable[Path], needed: int, sizes: dict[Path, int]) -> int:
    """Delete uploads that nobody waits for, the oldest first, until `needed` bytes are free; return how many are.

    places: that may be deleted. sizes: of them, from which the deleted ones are removed.
    """
    freed = 0
    idle = {place: seconds for place in places if (seconds := idle_seconds(place)) > ABANDONED_SECONDS}
    for place in sorted(idle, key=lambda place: -idle[place]):
        if freed >= needed:
            break
        shutil.rmtree(place, ignore_errors=True)
        freed += sizes.pop(place, 0)
    return freed


def sweep_arrivals(settings: Settings) -> None:
    """Delete uploads that no job has taken for an hour. An upload in progress is written to, so it is never old."""
    for place in arrivals_folder(settings).glob("*"):
        if idle_seconds(place) > ARRIVAL_SECONDS:
            shutil.rmtree(place, ignore_errors=True)


def megabytes(size: int) -> str:
    """Return a number of bytes in words."""
    return f"{size / MEGABYTE:,.0f} MB"
