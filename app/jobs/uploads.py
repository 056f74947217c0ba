"""Uploaded faces: check them against the limits of the page, then store them under safe names."""

from __future__ import annotations

import json
import os
import shutil
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from PIL import Image

from app.errors import JobError
from app.settings import MEGABYTE, Settings
from ganime.errors import DataError
from ganime.faces.reading import FORMATS, MAX_PICTURE_PIXELS, SUFFIXES, TooManyError, open_zip, picture_entries
from ganime.files import atomic_file

PICTURES_FOLDER, NAMES_FILE = "pictures", "names.json"
UPLOAD_SUFFIXES = {*SUFFIXES, ".zip"}
MIN_REQUEST_BYTES, MIN_FILE_BYTES = MEGABYTE, 8 * 1024  # what an upload request and a file in it count at least
ARRIVAL_SECONDS = 3_600.0  # for which an upload is kept that no job has taken
MAX_OTHER_ENTRIES = 1_000  # entries of a zip that are not pictures, such as folders
PIXELS_PER_FACE = 2**18  # on average, at most: 512 x 512


@dataclass(frozen=True)
class Upload:
    """A file that was uploaded to this machine. name: the visitor's name for it, which is only ever shown."""

    path: Path
    name: str


@dataclass(frozen=True)
class PackedPicture:
    """A picture in an upload. size: in bytes; of a zip's entry, no more is ever read. open: opens it for reading."""

    size: int
    open: Callable[[], IO[bytes]]


def arrivals_folder(settings: Settings) -> Path:
    """Return the folder in which uploads lie until a job takes them; each request has a separate folder there."""
    return settings.temporary / "arrivals"


def uploaded_file(path: object, name: object, settings: Settings) -> Upload:
    """Return the uploaded file at `path`, which a client named. Raises JobError if it was not uploaded to this page."""
    folder = arrivals_folder(settings).resolve()
    if not isinstance(path, str) or "\0" in path or folder not in Path(path).resolve().parents:
        raise JobError(
            "A file was not uploaded to this page for training. Upload it again; with gradio_client, pass it through "
            "handle_file."
        )
    return Upload(Path(path), str(name or Path(path).name))


def usable_files(uploads: Sequence[Upload], settings: Settings) -> list[Upload]:
    """Return the pictures and zips among uploaded files. Raises JobError if there are none or they are too large."""
    if any(not upload.path.exists() for upload in uploads):
        raise JobError("The uploaded files no longer exist. Upload them again.")
    usable = [
        upload for upload in uploads if suffix_of(upload) and upload.path.is_file() and not upload.path.is_symlink()
    ]
    if not usable:
        raise JobError("There is no picture and no zip among the files. Upload a zip, or PNG, JPEG or WebP pictures.")
    megabytes = total_bytes(usable) / MEGABYTE
    if megabytes > settings.upload_megabytes:
        raise JobError(
            f"The files have {megabytes:,.0f} MB together; this page takes {settings.upload_megabytes:,} MB "
            "(GANIME_UPLOAD_MEGABYTES). Upload fewer or smaller pictures; 256 px per side are enough."
        )
    return usable


def total_bytes(uploads: Sequence[Upload]) -> int:
    """Return the size of some files together."""
    return sum(upload.path.stat().st_size for upload in uploads)


def count_pictures(uploads: Sequence[Upload], settings: Settings) -> int:
    """Return how many pictures the files contain, from headers alone: no zip is unpacked, and no picture is decoded.

    Raises JobError when there are too many pictures, uncompressed bytes or pixels, DataError for a damaged zip.
    """
    pictures, megabytes, megapixels = 0, 0.0, 0.0
    most_megapixels = settings.upload_faces * PIXELS_PER_FACE / 1e6
    for upload in uploads:
        with ExitStack() as archives:
            packed = pictures_in(upload, archives, settings)
            pictures += len(packed)
            megabytes += sum(picture.size for picture in packed) / MEGABYTE
            check_limit(pictures, settings.upload_faces, "pictures", "GANIME_UPLOAD_FACES")
            check_limit(megabytes, settings.upload_megabytes, "MB uncompressed", "GANIME_UPLOAD_MEGABYTES")
            for picture in packed:
                megapixels += pixels_of(picture) / 1e6
                check_limit(megapixels, most_megapixels, "million pixels", "GANIME_UPLOAD_FACES, 512 x 512 px each")
    return pictures


def check_limit(value: float, limit: float, what: str, setting: str) -> None:
    """Raise JobError when `value` is above `limit`."""
    if value > limit:
        raise JobError(f"The files contain more than {limit:,.6g} {what}, the limit of this page ({setting}).")


def pictures_in(upload: Upload, archives: ExitStack, settings: Settings) -> list[PackedPicture]:
    """Return the pictures in one uploaded file; a zip stays open until `archives` is closed."""
    if suffix_of(upload) != ".zip":
        return [PackedPicture(upload.path.stat().st_size, partial(upload.path.open, "rb"))]
    most = MAX_OTHER_ENTRIES + 2 * settings.upload_faces  # some systems add a second entry for each picture
    try:
        archive = open_zip(upload.path, archives, most)
    except TooManyError as error:
        raise JobError(
            f"{short_name(upload.name)} contains more than {most:,} entries, the limit of this page "
            f"(GANIME_UPLOAD_FACES: {settings.upload_faces:,})."
        ) from error
    except DataError as error:
        raise DataError(f"{short_name(upload.name)} is damaged or not a zip file.") from error
    return [
        PackedPicture(entry.file_size, partial(archive.open, entry))
        for entry in picture_entries(archive, [], Counter())
    ]


def pixels_of(picture: PackedPicture) -> int:
    """Return width times height from a picture's header; 0 for a file that is never decoded."""
    try:
        with warnings.catch_warnings(), picture.open() as file:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            width, height = Image.open(file, formats=FORMATS).size
    except Exception:  # a damaged header raises errors of many kinds; decoding the faces reports the file
        return 0
    return width * height if width * height <= MAX_PICTURE_PIXELS else 0


def store_files(uploads: Sequence[Upload], folder: Path) -> None:
    """Store the files in `folder` under numbers, with the visitor's names for them in a JSON file.

    A file on the same disk is linked, so that it takes no space twice; otherwise it is copied.
    """
    (folder / PICTURES_FOLDER).mkdir(parents=True)
    names = {}
    for number, upload in enumerate(uploads):
        suffix = suffix_of(upload)
        name = f"{number:08d}.zip" if suffix == ".zip" else f"{PICTURES_FOLDER}/{number:08d}{suffix}"
        names[name] = upload.name
        try:
            os.link(upload.path, folder / name)
        except OSError:  # another disk, or a file system without links
            shutil.copyfile(upload.path, folder / name)
    with atomic_file(folder / NAMES_FILE) as temporary:
        temporary.write_text(json.dumps(names), encoding="utf-8")


def stored_sources(folder: Path) -> list[Path]:
    """Return the folders and zips that `store_files` wrote."""
    pictures = folder / PICTURES_FOLDER
    return [*([pictures] if any(pictures.iterdir()) else []), *sorted(folder.glob("*.zip"))]


def visitor_names(folder: Path) -> dict[str, str]:
    """Return the visitor's names for stored files by their path in `folder`, such as "pictures/00000001.png"."""
    return json.loads((folder / NAMES_FILE).read_text(encoding="utf-8"))


def delete_uploads(uploads: Sequence[Upload]) -> None:
    """Delete uploads from the arrivals, and the folders of their request that are empty then."""
    for upload in uploads:
        with suppress(OSError):  # deleted already, or the folder is not empty
            upload.path.unlink(missing_ok=True)
            upload.path.parent.rmdir()
            upload.path.parent.parent.rmdir()


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


def sweep_arrivals(settings: Settings) -> None:
    """Delete uploads that no job has taken for an hour. An upload in progress is written to, so it is never old."""
    for place in arrivals_folder(settings).glob("*"):
        with suppress(FileNotFoundError):  # taken meanwhile
            newest = max(path.stat().st_mtime for path in (place, *place.rglob("*")))
            if time.time() - newest > ARRIVAL_SECONDS:
                shutil.rmtree(place, ignore_errors=True)


def suffix_of(upload: Upload) -> str:
    """Return the suffix of the visitor's name in lower case if it is a known one, else ""."""
    suffix = PurePosixPath(upload.name).suffix.lower()
    return suffix if suffix in UPLOAD_SUFFIXES else ""


def short_name(name: str, most: int = 60) -> str:
    """Return a stranger's name as one short line of plain text. It may contain HTML and must be escaped on a page."""
    text = "".join(character if character.isprintable() else " " for character in name)
    return " ".join(text.split())[:most]
