"""Finding pictures in what people bring: folders, archives, tables, single files, and archives one level inside."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path, PurePath

from ganime.errors import DataError, reason_of
from ganime.faces import kinds
from ganime.faces.archives import open_archive
from ganime.faces.kinds import ARCHIVE, ARCHIVE_SUFFIXES, OTHER, PICTURE, TABLE
from ganime.faces.packing import BLOCK
from ganime.faces.search import MAX_INNER_ARCHIVES, MAX_PICTURE_BYTES, Entry, Picture, Search, TooManyError
from ganime.faces.tables import table_pictures
from ganime.faces.zips import LINK

BROKEN_LINK, CLOSED_FOLDER = "a link to something that does not exist", "a folder that cannot be opened"
SEARCHED = "repeated folder"  # that a link leads to


def list_pictures(path: Path, search: Search, name: str = "") -> Iterator[Picture]:
    """Yield the pictures in a folder with its subfolders, an archive, a Parquet or Arrow file, or a picture alone.

    Files are recognised by their content where their names say nothing. Archives inside are opened as well, one level
    deep. Links in a folder are followed, those in an archive are not.

    name: of a file for messages, if that is not its path.

    Raises DataError when `path` is none of these, TooManyError when it contains more than the search may read.
    """
    name = name or str(path)
    if path.is_dir():
        yield from pictures_among(entries_below(path, search), None, "", search)
        return
    if not path.is_file():
        missing = "does not exist" if not path.exists() else "is neither a folder nor a file"
        raise DataError(f"{name} {missing}. Give folders, archives or pictures.")
    entry = file_entry(path, PurePath(name).name)
    kind = kind_of(entry)
    if kind == TABLE:
        yield from table_pictures(path, "", search)
    elif kind == PICTURE:
        yield from pictures_among([entry], None, "", search)
    elif kind in (ARCHIVE, OTHER):
        raw = search.opened.enter_context(io.FileIO(path))
        yield from pictures_among(open_archive(raw, name, search), path, "", search)
    else:
        raise DataError(f"{name} is {kinds.in_words(kind)}. Give folders, archives or pictures.")


def pictures_among(entries: Iterable[Entry], archive: Path | None, within: str, search: Search) -> Iterator[Picture]:
    """The pictures among the files of a folder or an archive, and of the archives inside.

    archive: file that contains them; None for a folder. within: the name of the inner archive that contains them, "" if
    there is none.
    """
    for entry in entries:
        name = f"{within}/{entry.name}" if within else entry.name
        if kinds.is_hidden(entry.name):
            search.left_out.note(kinds.HIDDEN, name)
            continue
        kind = kind_of(entry)
        if kind == PICTURE:
            if reason := too_large(entry) or entry.refusal:
                search.skipped.append((name, reason))
            else:
                yield Picture(name, entry.size, entry.path or archive or Path(name), whole(entry), entry.open)
        elif entry.refusal == CLOSED_FOLDER or (entry.refusal and kind == ARCHIVE):
            search.skipped.append((name, entry.refusal))
        elif kind in (ARCHIVE, TABLE) and not within:
            yield from pictures_inside(entry, archive, search)
        else:
            search.left_out.note("link" if entry.refusal in (LINK, BROKEN_LINK) else kind, name)


def kind_of(entry: Entry) -> str:
    """The kind of a file by its name, or by its content where the name says nothing: see `kinds`."""
    by_name, suffix = kinds.kind_by_name(entry.name), kinds.suffix_of(entry.name)
    if entry.refusal or by_name in (PICTURE, TABLE, "camera raw picture"):
        return by_name
    try:
        kind = kinds.kind_by_content(entry.read(kinds.HEAD_BYTES))
    except (DataError, OSError):
        return by_name
    if kind == ARCHIVE and suffix and suffix not in ARCHIVE_SUFFIXES:  # such as a document that is a zip inside
        return by_name
    return by_name if kind in (OTHER, "text file") else kind


def pictures_inside(entry: Entry, archive: Path | None, search: Search) -> Iterator[Picture]:
    """The pictures in an archive or table that lies in a folder or in another archive."""
    search.inner_archives += 1
    if search.inner_archives > MAX_INNER_ARCHIVES:
        search.skipped.append((entry.name, f"more than {MAX_INNER_ARCHIVES} archives; name it as a source"))
        return
    try:
        if kind_of(entry) == TABLE:
            found = table_pictures(entry.path, entry.name, search)
        else:
            inside = open_archive(raw_file(entry, search), "the archive", search)
            found = pictures_among(inside, entry.path or archive, entry.name, search)
        yield from found
    except TooManyError:
        raise
    except (DataError, OSError) as error:
        search.skipped.append((entry.name, reason_of(error).removeprefix("the archive ")))


def raw_file(entry: Entry, search: Search) -> io.FileIO:
    """A file of its own for an entry, which an archive inside needs; in an archive, the entry is unpacked for that."""
    if entry.path:
        return search.opened.enter_context(io.FileIO(entry.path))
    search.count_unpacked(entry.size, entry.name)
    out = search.new_file()
    with entry.open() as file:
        shutil.copyfileobj(file, out, BLOCK)
    out.seek(0)
    return out


def too_large(entry: Entry) -> str:
    """The reason not to read a picture of so many bytes, or ""."""
    most = MAX_PICTURE_BYTES
    return f"{entry.size:,} bytes; at most {most:,} are read" if entry.size > most else ""


def whole(entry: Entry) -> partial[bytes]:
    """A function that reads all of a file, never more bytes than it had when it was found."""
    return partial(entry.read, entry.size)


# --- folders


def entries_below(folder: Path, search: Search) -> Iterator[Entry]:
    """Everything below a folder except folders, in order of name. Links are followed, each folder is searched once.

    A folder that cannot be opened is an entry with that refusal. Only names are held in memory.
    """
    seen = {identity for parent in folder.resolve().parents if (identity := identity_of(parent))}
    waiting = [("", True)]
    while waiting:
        name, to_search = waiting.pop()
        if not to_search:
            yield file_entry(folder / name, name)
            continue
        identity = identity_of(folder / name)
        if identity is None or identity in seen:
            search.left_out.note(SEARCHED, name)
            continue
        seen.add(identity)
        try:
            with os.scandir(folder / name) as found:
                below = [(f"{name}/{entry.name}" if name else entry.name, is_folder(entry)) for entry in found]
        except OSError:
            yield Entry(name or ".", 0, CLOSED_FOLDER, lambda _: b"", io.BytesIO)
        else:
            waiting += sorted(below, reverse=True)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # such as a link to itself
        return False


def identity_of(path: Path) -> tuple[int, int] | None:
    """The device and number of a file or folder, by whatever path; None when it is not there."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino


def file_entry(path: Path, name: str) -> Entry:
    """A file on disk. Its refusal says if it is neither a file nor a link to one."""
    size, refusal = 0, ""
    if path.is_file():
        size = path.stat().st_size
    else:
        refusal = BROKEN_LINK if path.is_symlink() else "neither a file nor a folder"
    return Entry(name, size, refusal, partial(read_start, path), partial(path.open, "rb"), path)


def read_start(path: Path, most: int) -> bytes:
    """At most `most` bytes from the beginning of a file."""
    with path.open("rb") as file:
        return file.read(most)


def read_picture(path: Path) -> bytes:
    """The bytes of a file. Raises DataError when they are more than a picture may have, OSError."""
    with path.open("rb") as file:
        data = file.read(MAX_PICTURE_BYTES + 1)
    if len(data) > MAX_PICTURE_BYTES:
        raise DataError(f"more than {MAX_PICTURE_BYTES:,} bytes, the most that are read")
    return data
