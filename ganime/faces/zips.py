"""The files in a zip. Whatever a zip says of itself, each is unpacked little by little, and never further than read."""

from __future__ import annotations

import bz2
import copy
import io
import lzma
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from threading import Lock
from typing import IO, Any

from ganime.errors import DataError
from ganime.faces.packing import BLOCK, Placed, refusal_of_ratio, zstd_decompressor
from ganime.faces.search import MAX_PICTURE_BYTES, Entry, Search, TooManyError

ENTRY_SIGNATURE = b"PK\x01\x02"  # starts each entry in a zip's directory
ENTRY_BYTES = 512  # allowed per entry in a zip's directory
MAX_ZIP_DICTIONARY_BYTES = 64 * 2**20  # of memory for unpacking LZMA
LZMA_HEADER_BYTES = 9  # version, length of the properties, properties
UTF8_NAME = 0x800  # flag of a zip entry
METHOD_NAMES: dict[int, str] = zipfile.compressor_names  # type: ignore[attr-defined]
UNREAD_METHODS = {9: "Deflate64", 98: "PPMd", 99: "AES encryption"}  # Windows takes the first for large files
BOUNDED_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # zipfile unpacks no more of these than it is asked for
LINK = "a symbolic link"


class GuardedFile(io.BufferedReader):
    """A file for zipfile, which reads a whole directory at once.

    While the zip is being opened, `check` is called with each block that is read, before anything parses it.
    """

    def __init__(self, raw: io.FileIO, most: int, check: Callable[[bytes], None]) -> None:
        super().__init__(raw)
        self.most, self.check, self.opening = most, check, True

    def read(self, size: int | None = -1) -> bytes:
        if self.opening and (size or 0) > self.most:
            raise TooManyError(f"it has a directory of {size:,} bytes; at most {self.most:,} are read")
        data = super().read(size)
        if self.opening:
            self.check(data)
        return data


def open_zip(raw: io.FileIO, most: int, opened: ExitStack, stated: int | None = None) -> zipfile.ZipFile:
    """A zip with at most `most` entries, counted in the bytes of its directory, whatever number it declares.

    opened: closes it. stated: the limit that is told, if that is another. Raises TooManyError, and what zipfile raises.
    """

    def check(data: bytes) -> None:
        if (entries := data.count(ENTRY_SIGNATURE)) > most:
            raise TooManyError(f"it has {entries:,} entries; at most {stated or most:,} are read")

    file = opened.enter_context(GuardedFile(raw, max(most * ENTRY_BYTES, BLOCK), check))
    archive = opened.enter_context(zipfile.ZipFile(file))
    file.opening = False
    return archive


def zip_entries(raw: io.FileIO, search: Search) -> Iterator[Entry]:
    """The files in a zip."""
    archive = open_zip(raw, search.most_entries - search.entries, search.opened, search.most_entries)
    search.count_entries(len(archive.infolist()), "it")
    lock = Lock()
    for entry in archive.infolist():
        if not entry.filename.endswith("/"):  # is_dir() fails for an entry without a name
            read, opened = partial(read_entry, archive, lock, entry), partial(open_entry, archive, entry)
            yield Entry(readable_name(entry), entry.file_size, refusal_of(entry), read, opened)  # type: ignore[arg-type]


def refusal_of(entry: zipfile.ZipInfo) -> str:
    """The reason not to read an entry of a zip, or an empty string."""
    if stat.S_ISLNK(entry.external_attr >> 16):
        return LINK
    if entry.flag_bits & 0x1:
        return "encrypted"
    method = entry.compress_type
    if method not in BOUNDED_METHODS and method not in DECOMPRESSORS:
        name = UNREAD_METHODS.get(method) or f"{METHOD_NAMES.get(method, 'a method')} (method {method})"
        return f"compressed with {name}, which is not read: pack it again as a plain zip"
    return refusal_of_ratio(entry.file_size, entry.compress_size)


def read_entry(archive: zipfile.ZipFile, lock: Lock, entry: zipfile.ZipInfo, most: int) -> bytes:
    """At most `most` bytes of an entry, never more than it declares; `lock` lets one thread at a time read the archive.

    Raises DataError when the entry is damaged.
    """
    try:
        with lock, forwards(archive, entry) as file:
            return file.read(min(most, entry.file_size))
    except Exception as error:  # the errors of zlib, lzma and others have no common base
        raise DataError(f"damaged in the zip: {error}") from error


def open_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> IO[bytes]:
    """An entry as a file; one that is larger than a picture may be can only be read forwards."""
    file = forwards(archive, entry)
    return file if entry.file_size > MAX_PICTURE_BYTES else io.BufferedReader(Remembered(file, entry.file_size))


def forwards(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> IO[bytes]:
    """An entry as a file that is unpacked while it is read, up to the size that it declares."""
    if entry.compress_type in BOUNDED_METHODS:
        return archive.open(entry)
    packed = copy.copy(entry)
    packed.compress_type, packed.file_size = zipfile.ZIP_STORED, entry.compress_size
    del packed.CRC  # that of what is unpacked
    return io.BufferedReader(Unpacked(archive.open(packed), entry))


class Unpacked(io.RawIOBase):
    """The content of an entry, unpacked while it is read; zipfile would unpack each block that it reads as a whole.

    packed: the compressed bytes.
    """

    def __init__(self, packed: IO[bytes], entry: zipfile.ZipInfo) -> None:
        super().__init__()
        self.packed, self.left, self.expected = packed, entry.file_size, entry.CRC
        self.decompressor, self.checksum = DECOMPRESSORS[entry.compress_type](packed, entry.file_size), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = b""
        while self.left and not data and not self.decompressor.eof:
            wanting = self.decompressor.needs_input
            more = self.packed.read(io.DEFAULT_BUFFER_SIZE) if wanting else b""
            if wanting and not more:
                raise EOFError("it ends too early")
            data = self.decompressor.decompress(more, min(len(buffer), self.left))
        self.left -= len(data)
        self.checksum = zlib.crc32(data, self.checksum)
        if (not self.left or not data) and self.checksum != self.expected:
            raise zipfile.BadZipFile("wrong checksum")
        buffer[: len(data)] = data
        return len(data)


class Remembered(Placed):
    """A stream of `length` bytes that can be read again: what was read is kept in memory.

    zipfile unpacks an entry from its beginning whenever it goes back, and a decoder may do that thousands of times.
    """

    def __init__(self, stream: IO[bytes], length: int) -> None:
        super().__init__(length)
        self.stream, self.kept = stream, bytearray()

    def readinto(self, buffer: Any) -> int:
        end = min(self.place + len(buffer), self.length)
        while len(self.kept) < end and (block := self.stream.read(min(end - len(self.kept), BLOCK))):
            self.kept += block
        data = self.kept[self.place : end]
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)


def lzma_decompressor(packed: IO[bytes], unpacked: int) -> lzma.LZMADecompressor:
    """That of an entry, whose bytes begin with the properties of LZMA (APPNOTE.TXT of zip, 5.8).

    unpacked: bytes that are unpacked at most; no larger dictionary is used. Raises DataError.
    """
    header = packed.read(LZMA_HEADER_BYTES)
    if len(header) < LZMA_HEADER_BYTES or header[2:4] != b"\5\0" or header[4] >= 9 * 5 * 5:
        raise DataError("its LZMA header is damaged")
    rest, lc = divmod(header[4], 9)
    pb, lp = divmod(rest, 5)
    size = min(int.from_bytes(header[5:9], "little"), unpacked, MAX_ZIP_DICTIONARY_BYTES)
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": max(size, 4096), "lc": lc, "lp": lp, "pb": pb}]
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)


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


DECOMPRESSORS: dict[int, Callable[[IO[bytes], int], Any]] = {  # made for the compressed bytes of an entry, and its size
    zipfile.ZIP_BZIP2: lambda *_: bz2.BZ2Decompressor(),
    zipfile.ZIP_LZMA: lzma_decompressor,
    93: lambda *_: zstd_decompressor(),
}
