"""The files in an archive - zip, tar or 7z - without unpacking anything under its name."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from threading import Lock
from typing import IO, Any

from ganime.errors import DataError, reason_of
from ganime.faces import kinds
from ganime.faces.packing import MAX_RATIO, Placed, unpacked_blocks
from ganime.faces.search import Entry, Search, TooManyBytesError, TooManyError
from ganime.faces.seven_zips import unpacked_elsewhere
from ganime.faces.zips import LINK, zip_entries

MAX_HEADER_BYTES = 2**17  # of an entry in a tar, all parts together: long names, maps of sparse files and their like


def open_archive(raw: io.FileIO, name: str, search: Search) -> list[Entry]:
    """The files in an archive, in order of name; they can be read until `search.opened` is closed.

    raw: the archive. name: for messages, "the archive" for one inside a source.

    Raises DataError, which names the archive, when it cannot be read, TooManyError when it has too many entries.
    """
    try:
        head = raw.read(kinds.HEAD_BYTES)
        raw.seek(0)
        return sorted(entries_of(raw, head, search), key=lambda entry: entry.name)
    except TooManyError as error:
        raise type(error)(f"{name}: {error}.") from error
    except DataError as error:
        raise DataError(f"{name} {error}") from error
    except Exception as error:  # the errors of zipfile, tarfile, zlib, lzma and others have no common base
        raise DataError(f"{name} is damaged or incomplete: {reason_of(error).rstrip('.')}.") from error


def entries_of(raw: io.FileIO, head: bytes, search: Search) -> Iterator[Entry]:
    """The files in an archive, which begins with `head`. Raises DataError, and what the libraries raise."""
    if head.startswith(b"7z"):
        yield from seven_zip_entries(raw, search)
    elif packing := kinds.packing_of(head):
        unpacked = unpack(raw, packing, search)
        head = unpacked.read(kinds.HEAD_BYTES)
        unpacked.seek(0)
        if head[257:262] != b"ustar":
            kind = kinds.kind_by_content(head)
            raise DataError(f"is a compressed {kind}, not a compressed tar archive. Unpack it first.")
        yield from tar_entries(unpacked, search)
    elif head[257:262] == b"ustar":
        yield from tar_entries(raw, search)
    else:
        yield from zip_entries(raw, search)


# --- tar


class HeaderFile(io.BufferedReader):
    """A tar for tarfile, which may read `left` more bytes of it; contents are read from the file itself."""

    left = MAX_HEADER_BYTES

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= self.left:
            raise TooManyError(f"it has a header of over {MAX_HEADER_BYTES:,} bytes, the most that are read")
        self.left -= size
        return super().read(size)


def tar_entries(raw: io.FileIO, search: Search) -> Iterator[Entry]:
    """The files in a tar that is not compressed. What follows a damaged header is lost, and noted as skipped."""
    lock, last = Lock(), ""
    headers = search.opened.enter_context(HeaderFile(raw))
    with tarfile.open(fileobj=headers, mode="r:") as archive:
        while True:
            headers.left = MAX_HEADER_BYTES
            try:
                member = archive.next()
                if member and member.size < 0:  # the next header would be one before this
                    raise tarfile.ReadError(f"a size of {member.size:,} bytes")
            except tarfile.TarError as error:
                if not last:
                    raise
                search.skipped.append((last, f"the archive is damaged or cut off behind this file ({error})"))
                return
            if member is None:
                return
            archive.members.clear()  # type: ignore[attr-defined]  # which would grow with every file
            archive.pax_headers.clear()  # type: ignore[attr-defined]  # which too would grow
            search.count_entries(1, "it")
            last = member.name
            if not member.isdir():
                yield slice_entry(member.name, refusal_of_member(member), raw, lock, member.offset_data, member.size)


def refusal_of_member(member: tarfile.TarInfo) -> str:
    """The reason not to read a member of a tar, or an empty string."""
    if member.issym() or member.islnk():
        return LINK if member.issym() else "a hard link"
    if not member.isreg() or member.sparse:
        return "neither a plain file nor a folder"
    return ""


class Slice(Placed):
    """The bytes of `file` from `start` on, as a file; `lock` lets one thread at a time read `file`."""

    def __init__(self, file: IO[bytes] | io.FileIO, lock: Lock, start: int, size: int) -> None:
        super().__init__(size)
        self.file, self.lock, self.start = file, lock, start

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), max(0, self.length - self.place))
        with self.lock:
            self.file.seek(self.start + self.place)
            data = self.file.read(wanted) or b""
        if wanted and not data:
            raise DataError("cut off in the archive")
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)


def slice_entry(name: str, refusal: str, file: IO[bytes] | io.FileIO, lock: Lock, start: int, size: int) -> Entry:
    """A file in an archive whose bytes lie in `file` from `start` on."""

    def opened() -> io.BufferedReader:
        return io.BufferedReader(Slice(file, lock, start, size))

    return Entry(name, size, refusal, lambda most: opened().read(min(most, size)), opened)


def unpack(raw: io.FileIO, packing: str, search: Search) -> io.FileIO:
    """Unpack a compressed file to one without a name. Raises TooManyError when it has too many bytes."""
    most = MAX_RATIO * raw.seek(0, io.SEEK_END)
    raw.seek(0)
    out, size = search.new_file(), 0
    for block in unpacked_blocks(raw, packing):
        size += len(block)
        search.count_unpacked(len(block), "it")
        if size > most:
            raise TooManyBytesError(f"it unpacks to over {MAX_RATIO} times its size, which no pictures do")
        out.write(block)
    out.seek(0)
    return out


# --- 7z


def seven_zip_entries(raw: io.FileIO, search: Search) -> Iterator[Entry]:
    """The files in a 7z, which are unpacked to a file without a name. Raises DataError without py7zr."""
    file, lock = search.new_file(), Lock()
    found = unpacked_elsewhere(raw, file, search)
    search.count_entries(found["entries"], "it")
    search.count_unpacked(found["bytes"], "it")
    for name, size, refusal in found["unread"]:
        yield Entry(name, size, refusal, lambda _: b"", io.BytesIO)
    for name, start, length in found["slices"]:
        yield slice_entry(name, "", file, lock, start, length)
