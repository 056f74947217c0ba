"""Taking in the faces a visitor uploads: weighed against the page's limits first, then kept under safe names."""

from __future__ import annotations

import io
import json
import os
import shutil
import time
import warnings
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from PIL import Image

from app.errors import JobError
from app.settings import MEGABYTE, Settings
from ganime.errors import DataError
from ganime.faces.reading import (
    FORMATS,
    MAX_PICTURE_PIXELS,
    SUFFIXES,
    Picture,
    TooManyError,
    list_pictures,
    read_picture_file,
)
from ganime.files import atomic_file

PICTURES, NAMES_FILE = "pictures", "names.json"
KNOWN = {*SUFFIXES, ".zip"}
WAITING_SECONDS = 3_600.0  # that an upload which nobody begins with is kept
OTHER_ENTRIES = 1_000  # folders and whatever else lies beside the pictures of a zip


@dataclass(frozen=True)
class Upload:
    """A file that lies on this machine for now, and what the visitor calls it; the name is only ever shown."""

    path: Path
    name: str


def choose(uploads: Sequence[Upload], settings: Settings) -> list[Upload]:
    """The pictures and zips among uploaded files. Raises JobError when there is none, or too many bytes of them."""
    if any(not upload.path.exists() for upload in uploads):
        raise JobError("The uploaded files are no longer here. Upload them again.")
    chosen = [
        upload for upload in uploads if suffix_of(upload) and upload.path.is_file() and not upload.path.is_symlink()
    ]
    if not chosen:
        raise JobError("There is no picture and no zip among the files. Upload a zip, or PNG, JPEG or WebP pictures.")
    total = total_bytes(chosen)
    if total > settings.upload_megabytes * MEGABYTE:
        raise JobError(
            f"The files have {total / MEGABYTE:,.0f} MB together; this page takes {settings.upload_megabytes:,} MB "
            "(GANIME_UPLOAD_MEGABYTES). Upload fewer or smaller pictures; 256 px a side is plenty."
        )
    return chosen


def total_bytes(uploads: Sequence[Upload]) -> int:
    return sum(upload.path.stat().st_size for upload in uploads)


def count_faces(uploads: Sequence[Upload], settings: Settings) -> int:
    """How many pictures the files hold; nothing but their headers is decoded.

    Raises JobError when the pictures, their unpacked bytes or their pixels are too many, DataError for a broken zip.
    """
    faces = unpacked = pixels = 0
    for upload in uploads:
        with ExitStack() as archives:
            for picture in pictures_of(upload, archives, settings):
                try:
                    data = picture.read()
                except (DataError, OSError):
                    data = b""  # a damaged one: when the faces are read it is skipped, by name
                faces, unpacked, pixels = faces + 1, unpacked + len(data), pixels + pixels_of(data)
                check(faces, settings.upload_faces, "pictures", "GANIME_UPLOAD_FACES")
                check(unpacked / MEGABYTE, settings.upload_megabytes, "MB unpacked", "GANIME_UPLOAD_MEGABYTES")
                check(pixels / 1e6, settings.upload_megapixels, "million pixels in all", "GANIME_UPLOAD_MEGAPIXELS")
    return faces


def check(value: float, limit: float, what: str, variable: str) -> None:
    if value > limit:
        raise JobError(f"The files hold more than {limit:,} {what}, which is this page's limit ({variable}).")


def pictures_of(upload: Upload, archives: ExitStack, settings: Settings) -> list[Picture]:
    """The pictures of one upload that the engine would try to read."""
    if suffix_of(upload) != ".zip":
        return [Picture(upload.name, partial(read_picture_file, upload.path.parent, upload.path.name))]
    most = OTHER_ENTRIES + 2 * settings.upload_faces  # some systems add a second entry to each
    try:
        return list(list_pictures(upload.path, [], archives, most_entries=most))
    except TooManyError as error:
        raise JobError(
            f"{short_name(upload.name)} holds more than {most:,} entries, which is this page's limit "
            f"(GANIME_UPLOAD_FACES: {settings.upload_faces:,})."
        ) from error
    except DataError as error:
        raise DataError(str(error).replace(str(upload.path), short_name(upload.name))) from error


def pixels_of(data: bytes) -> int:
    """Width times height by the picture's header; 0 for what is none, or so large that it is never decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            width, height = Image.open(io.BytesIO(data), formats=FORMATS).size
    except Exception:  # a damaged header raises nearly every kind; reading the faces will name the file
        return 0
    return width * height if width * height <= MAX_PICTURE_PIXELS else 0


def keep(uploads: Sequence[Upload], folder: Path) -> None:
    """Put the files into `folder` under numbers for names; what the visitor calls them is written beside as data.

    They are linked where they lie on the same disk, so that they take no room twice, and else copied.
    """
    (folder / PICTURES).mkdir(parents=True)
    names = {}
    for number, upload in enumerate(uploads):
        suffix = suffix_of(upload)
        name = f"{number:08d}.zip" if suffix == ".zip" else f"{PICTURES}/{number:08d}{suffix}"
        names[name] = upload.name
        try:
            os.link(upload.path, folder / name)
        except OSError:  # another disk, or one that knows no links
            shutil.copyfile(upload.path, folder / name)
    with atomic_file(folder / NAMES_FILE) as temporary:
        temporary.write_text(json.dumps(names), encoding="utf-8")


def discard(uploads: Sequence[Upload]) -> None:
    """Remove the files that lie here until they are kept, and the folders of their upload where these are empty now.

    Each upload lies in a folder of its own, so what another visitor has uploaded stays, were it the same to the byte.
    """
    for upload in uploads:
        with suppress(OSError):  # gone already, or the folder holds more
            upload.path.unlink(missing_ok=True)
            upload.path.parent.rmdir()
            upload.path.parent.parent.rmdir()


def arrivals(settings: Settings) -> Path:
    """Where uploads lie until they are kept: a folder for each request."""
    return settings.temporary / "arrivals"


def sweep(settings: Settings) -> None:
    """Remove uploads that nobody has begun with; one that still comes in is written to and so never old."""
    for place in arrivals(settings).glob("*"):
        with suppress(FileNotFoundError):  # taken meanwhile
            newest = max(path.stat().st_mtime for path in (place, *place.rglob("*")))
            if time.time() - newest > WAITING_SECONDS:
                shutil.rmtree(place, ignore_errors=True)


def kept(folder: Path) -> list[Path]:
    """The folders and zips that `keep` left."""
    pictures = folder / PICTURES
    return [*([pictures] if list(pictures.iterdir()) else []), *sorted(folder.glob("*.zip"))]


def names_of(folder: Path) -> dict[str, str]:
    """What the visitor calls the files, by their path below `folder`, such as "pictures/00000001.png"."""
    return json.loads((folder / NAMES_FILE).read_text(encoding="utf-8"))


def suffix_of(upload: Upload) -> str:
    """The end of the visitor's name for the file, in small letters: one of a few that are known, or none at all."""
    suffix = PurePosixPath(upload.name).suffix.lower()
    return suffix if suffix in KNOWN else ""


def short_name(name: str, most: int = 60) -> str:
    """A stranger's name as one short line of plain text; it may still hold HTML and must be escaped on a page."""
    text = "".join(character if character.isprintable() else " " for character in name)
    return " ".join(text.split())[:most]
