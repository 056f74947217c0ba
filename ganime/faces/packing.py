"""Unpacking compressed files a block at a time, so that none can ask for more memory than that."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any

from ganime.errors import DataError

MAX_RATIO = 200  # unpacked to packed bytes; pictures are already compressed
MAX_XZ_MEGABYTES = 272  # of memory for unpacking xz; dictionaries of 256 MB are the largest that programs offer
MAX_EMPTY_STREAMS = 1_000  # in a compressed file
STREAM_BYTES = 4_096  # that each further one holds on average, at least
PACKED_BLOCK, BLOCK = 2**16, 2**20


class Placed(io.RawIOBase):
    """A file of `length` bytes that is read at `place`."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length, self.place = length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.place = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.length}[whence])
        return self.place


def refusal_of_ratio(size: int, packed: int) -> str:
    """The reason not to read a file of so many bytes, unpacked and packed, or an empty string."""
    if size > MAX_RATIO * max(1, packed):
        return f"unpacks to over {MAX_RATIO} times its packed size, which no picture does"
    return ""


def unpacked_blocks(raw: IO[bytes] | io.FileIO, packing: str) -> Iterator[bytes]:
    """The content of a compressed file in blocks of at most a megabyte.

    packing: see `kinds.packing_of`. Raises DataError for a file that needs too much memory, or is made of too many
    streams that hold next to nothing, each of which takes time to begin; EOFError, and what the libraries raise, when
    it is damaged.
    """
    make: Callable[[], Any] = {
        "gz": GzipDecompressor,
        "bz2": bz2.BZ2Decompressor,
        "xz": xz_decompressor,
        "zst": zstd_decompressor,
    }[packing]
    decompressor, waiting, streams, size = make(), b"", 1, 0
    while True:
        waiting = waiting or (raw.read(PACKED_BLOCK) or b"" if decompressor.needs_input or decompressor.eof else b"")
        if decompressor.eof:  # another compressed stream, or nothing, follows
            if not waiting.strip(b"\0"):
                return
            decompressor, streams = make(), streams + 1
            if streams > MAX_EMPTY_STREAMS + size // STREAM_BYTES:
                raise DataError(f"is made of over {streams - 1:,} compressed streams that hold next to nothing.")
        elif not waiting and decompressor.needs_input:
            raise EOFError("the file ends too early")
        block = decompressed(decompressor, waiting)
        waiting = decompressor.unused_data if decompressor.eof else b""
        size += len(block)
        if block:
            yield block


def decompressed(decompressor: Any, packed: bytes) -> bytes:
    """At most a megabyte more of what is unpacked. Raises DataError where that would need too much memory."""
    try:
        return decompressor.decompress(packed, BLOCK)
    except lzma.LZMAError as error:
        if "Memory usage limit" not in str(error):
            raise
        raise DataError(
            f"needs over {MAX_XZ_MEGABYTES} MB of memory to be unpacked. Pack it with a smaller dictionary, as "
            f"`xz -9` does."
        ) from error


class GzipDecompressor:
    """That of zlib, with the methods of those of bz2, lzma and Zstandard."""

    def __init__(self) -> None:
        self.inner = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self.inner.eof

    @property
    def needs_input(self) -> bool:
        return not self.eof and not self.inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self.inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most so many bytes of what is unpacked; the rest of `data` is kept for the next call."""
        return self.inner.decompress(self.inner.unconsumed_tail + data, max_length)


def xz_decompressor() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(memlimit=MAX_XZ_MEGABYTES * 2**20)


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
