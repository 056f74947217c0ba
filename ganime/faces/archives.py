"""The files in an archive - zip, tar or 7z - without unpacking anything under its name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from threading import Lock
from typing import IO, Any

from ganime.errors import DataError, reason_of
from ganime.faces import kinds
from ganime.faces.search import MAX_PICTURE_BYTES, Entry, Search, TooManyBytesError, TooManyError

ENTRY_SIGNATURE = b"PK\x01\x02"  # starts each entry in a zip's directory
ENTRY_BYTES = 512  # allowed per entry in a zip's directory
MAX_HEADER_BYTES = 2**20  # of an entry in a tar; long names and their like
MAX_RATIO = 200  # unpacked to packed bytes; pictures are already compressed
MAX_DICTIONARY_BYTES = 512 * 2**20  # of memory for unpacking xz
BLOCK = 2**20
UTF8_NAME = 0x800  # flag of a zip entry
METHOD_NAMES: dict[int, str] = zipfile.compressor_names  # type: ignore[attr-defined]
UNREAD_METHODS = {9: "Deflate64", 98: "PPMd", 99: "AES encryption"}  # Windows takes the first for large files
READ_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
LINK = "a symbolic link"


class GuardedFile(io.BufferedReader):
    """A file for zipfile and tarfile, which read whole directories and headers at once.

    While an archive is being opened, `check` is called with each block that is read, before anything parses it.
    """

    def __init__(self, raw: io.FileIO, most: int, check: Callable[[bytes], None]) -> None:
        super().__init__(raw)
        self.most, self.check, self.opening = most, check, True

    def read(self, size: int | None = -1) -> bytes:
        if self.opening and (size or 0) > self.most:
            raise TooManyError(f"it has a directory or header of {size:,} bytes; at most {self.most:,} are read")
        data = super().read(size)
        if self.opening:
            self.check(data)
        return data


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


# --- zip


def zip_entries(raw: io.FileIO, search: Search) -> Iterator[Entry]:
    """The files in a zip. Entries are counted in the bytes of the directory, whatever number the zip declares."""
    most = search.most_entries - search.entries

    def check(data: bytes) -> None:
        if (entries := data.count(ENTRY_SIGNATURE)) > most:
            raise TooManyError(f"it has {entries:,} entries; at most {search.most_entries:,} are read")

    file = search.opened.enter_context(GuardedFile(raw, max(most * ENTRY_BYTES, BLOCK), check))
    archive = search.opened.enter_context(zipfile.ZipFile(file))
    file.opening = False
    search.count_entries(len(archive.infolist()), "it")
    lock = Lock()
    for entry in archive.infolist():
        if not entry.filename.endswith("/"):  # is_dir() fails for an entry without a name
            read, opened = partial(read_zip_entry, archive, lock, entry), partial(archive.open, entry)
            yield Entry(readable_name(entry), entry.file_size, refusal_of(entry), read, opened)  # type: ignore[arg-type]


def refusal_of(entry: zipfile.ZipInfo) -> str:
    """The reason not to read an entry of a zip, or an empty string."""
    if stat.S_ISLNK(entry.external_attr >> 16):
        return LINK
    if entry.flag_bits & 0x1:
        return "encrypted"
    method = entry.compress_type
    if method in UNREAD_METHODS or (method not in READ_METHODS and not has_method(method)):
        name = UNREAD_METHODS.get(method) or f"{METHOD_NAMES.get(method, 'a method')} (method {method})"
        return f"compressed with {name}, which is not read: pack it again as a plain zip"
    return refusal_of_ratio(entry.file_size, entry.compress_size)


def has_method(method: int) -> bool:
    """Whether this version of Python decompresses a method that the oldest supported one does not."""
    try:
        zipfile._get_decompressor(method)  # type: ignore[attr-defined]
    except Exception:
        return False
    return True


def refusal_of_ratio(size: int, packed: int) -> str:
    """The reason not to read an entry of so many bytes, unpacked and packed, or an empty string."""
    if size > MAX_RATIO * max(1, packed):
        return f"unpacks to over {MAX_RATIO} times its packed size, which no picture does"
    return ""


def read_zip_entry(archive: zipfile.ZipFile, lock: Lock, entry: zipfile.ZipInfo, most: int) -> bytes:
    """At most `most` bytes of an entry, never more than it declares; `lock` lets one thread at a time read the archive.

    Raises DataError when the entry is damaged.
    """
    try:
        with lock, archive.open(entry) as file:
            return file.read(min(most, entry.file_size))
    except Exception as error:  # the errors of zlib, lzma and others have no common base
        raise DataError(f"damaged in the zip: {error}") from error


def readable_name(entry: zipfile.ZipInfo) -> str:
    """The name of an entry; where it is not marked as UTF-8 but is that or Shift-JIS, as such."""
    if entry.flag_bits & UTF8_NAME or entry.filename.isascii():
        return entry.filename
    for encoding in ("utf-8", "cp932"):
        try:
            return entry.filename.encode("cp437").decode(encoding)
        except UnicodeError:
            continue
    return entry.filename


# --- tar


def tar_entries(raw: io.FileIO, search: Search) -> Iterator[Entry]:
    """The files in a tar that is not compressed. What follows a damaged header is lost, and noted as skipped."""
    file = search.opened.enter_context(GuardedFile(raw, MAX_HEADER_BYTES, lambda _: None))
    lock, last = Lock(), ""
    with tarfile.open(fileobj=file, mode="r:") as archive:
        while True:
            try:
                member = archive.next()
            except tarfile.TarError as error:
                if not last:
                    raise
                search.skipped.append((last, f"the archive is damaged or cut off behind this file ({error})"))
                return
            if member is None:
                return
            archive.members.clear()  # type: ignore[attr-defined]  # which would grow with every file
            search.count_entries(1, "it")
            last = member.name
            if not member.isdir():
                yield slice_entry(member.name, refusal_of_member(member), file, lock, member.offset_data, member.size)


def refusal_of_member(member: tarfile.TarInfo) -> str:
    """The reason not to read a member of a tar, or an empty string."""
    if member.issym() or member.islnk():
        return LINK if member.issym() else "a hard link"
    if not member.isreg() or member.sparse:
        return "neither a plain file nor a folder"
    return ""


class Slice(io.RawIOBase):
    """The bytes of `file` from `start` on, as a file; `lock` lets one thread at a time read `file`."""

    def __init__(self, file: IO[bytes] | io.FileIO, lock: Lock, start: int, size: int) -> None:
        super().__init__()
        self.file, self.lock, self.start, self.length, self.place = file, lock, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.place = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.length}[whence])
        return self.place

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


def unpacked_blocks(raw: io.FileIO, packing: str) -> Iterator[bytes]:
    """The content of a compressed file in blocks of at most a megabyte."""
    if packing == "gz":
        with gzip.GzipFile(fileobj=raw) as file:
            while block := file.read(BLOCK):
                yield block
        return
    make: Callable[[], Any] = {"bz2": bz2.BZ2Decompressor, "xz": xz_decompressor, "zst": zstd_decompressor}[packing]
    decompressor, waiting = make(), b""
    while True:
        waiting = waiting or (raw.read(BLOCK) or b"" if decompressor.needs_input or decompressor.eof else b"")
        if decompressor.eof:  # another compressed stream, or nothing, follows
            if not waiting.strip(b"\0"):
                return
            decompressor = make()
        elif not waiting and decompressor.needs_input:
            raise EOFError("the file ends too early")
        block = decompressor.decompress(waiting, BLOCK)
        waiting = decompressor.unused_data if decompressor.eof else b""
        if block:
            yield block


def xz_decompressor() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(memlimit=MAX_DICTIONARY_BYTES)


def zstd_decompressor() -> Any:
    """Python's own from 3.14 on, else that of the package backports.zstd. Raises DataError without either."""
    try:
        from compression import zstd  # type: ignore[import-not-found]
    except ImportError:
        try:
            from backports import zstd  # type: ignore[import-not-found,no-redef]
        except ImportError as error:
            raise DataError("is compressed with Zstandard: unpack it, or pip install backports.zstd.") from error
    return zstd.ZstdDecompressor()


# --- 7z


def seven_zip_entries(raw: io.FileIO, search: Search) -> Iterator[Entry]:
    """The files in a 7z, which are unpacked to a file without a name. Raises DataError without py7zr."""
    try:
        import py7zr
    except ImportError as error:
        raise DataError("is a 7z archive: unpack it, or install py7zr (pip install 'ganime[7z]').") from error
    packed = raw.seek(0, io.SEEK_END)
    raw.seek(0)
    with py7zr.SevenZipFile(raw) as archive:  # type: ignore[arg-type]
        if archive.needs_password():
            raise DataError("is encrypted. Unpack it first.")
        listed = archive.list()
        search.count_entries(len(listed), "it")
        wanted = [info for info in listed if info.is_file and info.uncompressed <= MAX_PICTURE_BYTES]
        size = sum(info.uncompressed for info in wanted)
        if size > MAX_RATIO * packed:
            raise TooManyBytesError(f"it unpacks to over {MAX_RATIO} times its size, which no pictures do")
        search.count_unpacked(size, "it")
        unpacked = UnpackedFiles(search.new_file())
        archive.extract(targets=[info.filename for info in wanted], factory=unpacked.factory())
    read = {info.filename for info in wanted}
    for info in listed:
        if info.filename not in read and not info.is_directory:
            refusal = "" if info.is_file else LINK if info.is_symlink else "neither a plain file nor a folder"
            yield Entry(info.filename, info.uncompressed, refusal, lambda _: b"", io.BytesIO)
    for name, start, length in unpacked.slices:
        yield slice_entry(name, "", unpacked.file, unpacked.lock, start, length)


class UnpackedFiles:
    """Files that py7zr unpacks, one after the other in a single file. slices: (name, start, length) of each."""

    def __init__(self, file: io.FileIO) -> None:
        self.file, self.lock = file, Lock()
        self.slices: list[tuple[str, int, int]] = []

    def append(self, name: str, data: memoryview) -> None:
        """Add a whole file."""
        with self.lock:
            self.slices.append((name, self.file.seek(0, io.SEEK_END), len(data)))
            while data:
                data = data[self.file.write(data) :]

    def factory(self) -> Any:
        """What py7zr asks for a place to write each file to, and tells when the file is whole."""
        from py7zr.io import Py7zIO, WriterFactory

        append = self.append

        class OneFile(Py7zIO):
            def __init__(self, name: str) -> None:
                self.name, self.content = name, io.BytesIO()

            def write(self, s: bytes | bytearray) -> int:
                return self.content.write(s)

            def read(self, size: int | None = None) -> bytes:
                return self.content.read(size)

            def seek(self, offset: int, whence: int = 0) -> int:
                return self.content.seek(offset, whence)

            def flush(self) -> None:
                self.content.flush()

            def size(self) -> int:
                return self.content.getbuffer().nbytes

            def close(self) -> None:
                append(self.name, self.content.getbuffer())
                self.content = io.BytesIO()

        class Files(WriterFactory):
            def create(self, filename: str) -> OneFile:
                return OneFile(filename)

        return Files()
