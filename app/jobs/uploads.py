"""Uploaded faces: told apart, checked against the limits of the page, then stored under safe names."""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from PIL import Image

from app.errors import JobError
from app.jobs.arrivals import Upload
from app.settings import MEGABYTE, Settings
from ganime.errors import DataError
from ganime.faces import kinds
from ganime.faces.mending import pixels_to_mend
from ganime.faces.reading import FORMATS, MAX_PICTURE_PIXELS
from ganime.faces.search import MAX_INNER_ARCHIVES, Picture, Search, TooManyBytesError, TooManyError
from ganime.faces.sources import file_entry, kind_of, list_pictures
from ganime.files import write_json
from ganime.opening import open_header

PICTURES_FOLDER, NAMES_FILE = "pictures", "names.json"
IGNORED_FILE, SKIPPED_FILE = "ignored.json", "skipped.json"  # what is no picture, and with it what cannot be read
MAX_OTHER_ENTRIES = 1_000  # entries of an archive that are not pictures, such as folders
MAX_SKIPPED = 20  # files that are named
PIXELS_PER_FACE = 2**18  # on average, at most: 512 x 512
# A file's name as it is stored, which a file in an archive hardly has; earlier versions stored numbers alone.
STORED_NAME = re.compile(rf"(?:{PICTURES_FOLDER}/)?\b[0-9]{{8}}(?:-upload)?(?:\.[a-z0-9]+)?\b")
Ignored = tuple[str, str]  # the visitor's name for a file, and why it is not used


def no_picture(ignored: Sequence[Ignored], found: kinds.LeftOut) -> str:
    """Say what uploaded files are of which none is used, without a full stop."""
    if len(ignored) == 1:
        [(name, what)] = ignored
        return f"{name} is {what}"
    return f"There is no picture among the files{f', only {found.in_words()}' if ignored else ''}"


def sort_files(uploads: Sequence[Upload], settings: Settings) -> tuple[list[Upload], list[Ignored]]:
    """Return the pictures and archives among uploaded files, by their names or contents, and what is neither.

    Raises JobError if there are none, or they are too large.
    """
    if any(not upload.path.exists() for upload in uploads):
        raise JobError("The uploaded files no longer exist. Upload them again.")
    usable: list[Upload] = []
    archives = 0
    ignored: list[Ignored] = []
    found = kinds.LeftOut()
    for upload in uploads:
        kind = kind_of_upload(upload)
        if kind in (kinds.PICTURE, kinds.ARCHIVE):
            usable.append(upload)
            archives += kind == kinds.ARCHIVE
        else:
            found.note(kind, upload.name)
            ignored.append((short_name(upload.name), kinds.in_words(kind)))
    if not usable:
        raise JobError(
            f"{no_picture(ignored, found)}. Add pictures, such as PNG, JPEG, WebP or HEIC, or a zip of them."
        )
    if archives > MAX_INNER_ARCHIVES:  # each stays open while the pictures are read
        raise JobError(
            f"There are {archives:,} archives; at most {MAX_INNER_ARCHIVES} are read. Pack fewer, larger ones."
        )
    megabytes = total_bytes(usable) / MEGABYTE
    if megabytes > settings.upload_megabytes:
        raise JobError(
            f"The files have {megabytes:,.0f} MB together; this page takes {settings.upload_megabytes:,} MB "
            "(GANIME_UPLOAD_MEGABYTES). Upload fewer or smaller pictures; 256 px per side are enough."
        )
    return usable, ignored


def kind_of_upload(upload: Upload) -> str:
    """Return the kind of an uploaded file, see `ganime.faces.kinds`. Links are never followed."""
    if kinds.is_hidden(upload.name.replace("\\", "/").rpartition("/")[2]):
        return kinds.HIDDEN
    if upload.path.is_symlink() or not upload.path.is_file():
        return "link" if upload.path.is_symlink() else "folder"
    return kind_of(file_entry(upload.path, upload.name))


def total_bytes(uploads: Sequence[Upload]) -> int:
    """Return the size of some files together."""
    return sum(upload.path.stat().st_size for upload in uploads)


def count_pictures(uploads: Sequence[Upload], settings: Settings) -> int:
    """Return how many pictures the files contain, from headers alone: no zip is unpacked, and no picture is decoded.

    Raises JobError when there are too many pictures, uncompressed bytes or pixels, DataError for a damaged archive.
    """
    pictures, size, unpacked, megapixels = 0, 0, 0, 0.0
    most_megapixels = settings.upload_faces * PIXELS_PER_FACE / 1e6
    for upload in uploads:
        with ExitStack() as opened:
            search = search_in(upload, opened, settings)
            search.unpacked = unpacked
            for picture in pictures_in(upload, search, settings):
                pictures += 1
                size += picture.size
                check_limit(pictures, settings.upload_faces, "pictures", "GANIME_UPLOAD_FACES")
                check_limit(size / MEGABYTE, settings.upload_megabytes, "MB uncompressed", "GANIME_UPLOAD_MEGABYTES")
                megapixels += pixels_of(picture) / 1e6
                check_limit(megapixels, most_megapixels, "million pixels", "GANIME_UPLOAD_FACES, 512 x 512 px each")
            unpacked = search.unpacked
    return pictures


def check_limit(value: float, limit: float, what: str, setting: str) -> None:
    """Raise JobError when `value` is above `limit`."""
    if value > limit:
        raise JobError(f"The files contain more than {limit:,.6g} {what}, the limit of this page ({setting}).")


def search_in(upload: Upload, opened: ExitStack, settings: Settings) -> Search:
    """Return a search within the limits of the page; what it unpacks lies beside the upload."""
    return Search(
        opened,
        scratch=upload.path.parent,
        most_entries=MAX_OTHER_ENTRIES + 2 * settings.upload_faces,  # some systems add a second entry for each picture
        most_bytes=settings.upload_megabytes * MEGABYTE,
    )


def pictures_in(upload: Upload, search: Search, settings: Settings) -> list[Picture]:
    """Return the pictures in one uploaded file. Raises JobError, DataError."""
    try:
        return list(list_pictures(upload.path, search, short_name(upload.name)))
    except TooManyBytesError:
        most = f"{settings.upload_megabytes:,} MB uncompressed"
        what = f"more than {most}, the limit of this page (GANIME_UPLOAD_MEGABYTES)"
        raise JobError(f"{short_name(upload.name)} contains {what}.") from None
    except TooManyError:
        what = f"more than {search.most_entries:,} entries, the limit of this page (GANIME_UPLOAD_FACES: "
        raise JobError(f"{short_name(upload.name)} contains {what}{settings.upload_faces:,}).") from None


def pixels_of(picture: Picture) -> int:
    """Return width times height from a picture's header; 0 for a file that is never decoded."""
    try:
        with warnings.catch_warnings(), picture.open() as file:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            width, height = open_header(file, FORMATS).size
    except Exception:  # a damaged header raises errors of many kinds; decoding mends or reports the file
        try:
            return pixels_to_mend(picture.read())
        except (DataError, OSError):
            return 0
    return width * height if width * height <= MAX_PICTURE_PIXELS else 0


def store_files(uploads: Sequence[Upload], ignored: Sequence[Ignored], folder: Path) -> None:
    """Store the files in `folder` under numbers, with the visitor's names for them and the ignored files as JSON.

    A file on the same disk is linked, so that it takes no space twice; otherwise it is copied.
    """
    (folder / PICTURES_FOLDER).mkdir(parents=True)
    names = {}
    for number, upload in enumerate(uploads):
        suffix, is_picture = kinds.suffix_of(upload.name), kind_of_upload(upload) == kinds.PICTURE
        known = suffix if suffix in kinds.SUFFIXES | kinds.ARCHIVE_SUFFIXES else ""
        name = f"{f'{PICTURES_FOLDER}/' if is_picture else ''}{number:08d}-upload{known}"
        names[name] = upload.name
        try:
            os.link(upload.path, folder / name)
        except OSError:  # another disk, or a file system without links
            shutil.copyfile(upload.path, folder / name)
    write_json(folder / IGNORED_FILE, ignored)
    write_json(folder / NAMES_FILE, names)


def stored_sources(folder: Path) -> list[Path]:
    """Return the folders and archives that `store_files` wrote."""
    pictures = folder / PICTURES_FOLDER
    return [*([pictures] if any(pictures.iterdir()) else []), *sorted(folder.glob("[0-9]*"))]


def visitor_names(folder: Path) -> dict[str, str]:
    """Return the visitor's names for stored files by their path in `folder`, such as "pictures/00000001-upload.png"."""
    path = folder / NAMES_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def ignored_files(folder: Path) -> list[Ignored]:
    """Return the visitor's files that are neither pictures nor archives, and why; none for an older draft."""
    path = folder / IGNORED_FILE
    return [(name, reason) for name, reason in json.loads(path.read_text(encoding="utf-8"))] if path.is_file() else []


def note_skipped(folder: Path, skipped: Sequence[Ignored]) -> None:
    """Keep which of the visitor's files are not used, now that they were read, and why."""
    write_json(folder / SKIPPED_FILE, in_words(skipped))


def skipped_files(folder: Path) -> list[str]:
    """Return the visitor's files that are not used, each with the reason; then how many more, if they are many."""
    path = folder / SKIPPED_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else in_words(ignored_files(folder))


def in_words(skipped: Sequence[Ignored]) -> list[str]:
    """Return the first files with their reasons, and how many more there are."""
    more = [f"and {len(skipped) - MAX_SKIPPED:,} more"] if len(skipped) > MAX_SKIPPED else []
    return [*(f"{name}: {reason}" for name, reason in skipped[:MAX_SKIPPED]), *more]


def with_visitor_names(text: str, folder: Path) -> str:
    """Return an error's text without paths of this machine, and with the visitor's names for the files in `folder`."""
    text = text.replace(f"{folder}/", "").replace(f"{folder.name}/", "")
    if STORED_NAME.search(text):
        text = renamed(text, visitor_names(folder))
    return text.replace(f"in {PICTURES_FOLDER};", "in your pictures;")


def renamed(text: str, names: Mapping[str, str]) -> str:
    """Return a text with the visitor's names, cut short, for stored files. names: as `visitor_names`."""

    def visitor_name(at: re.Match[str]) -> str:
        name = names.get(at[0]) or names.get(f"{PICTURES_FOLDER}/{at[0]}")
        return short_name(name) if name else at[0]

    return STORED_NAME.sub(visitor_name, text)


def short_name(name: str, most: int = 60) -> str:
    """Return a stranger's name as one short line of plain text. It may contain HTML and must be escaped on a page."""
    text = "".join(character if character.isprintable() else " " for character in name)
    return " ".join(text.split())[:most]
