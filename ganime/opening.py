"""Opening pictures of strangers: what Pillow reads of a header before anything is decoded has a limit.

Pillow walks through headers piece by piece, and copies what it has of a description for each further piece. It also
reads each entry of a directory, of a TIFF or of EXIF, wherever that lies: many entries may name the same bytes.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Sequence
from typing import IO, Any

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

MAX_READS = 4_000  # of a header; usual ones take up to 300, and a GIF with a long description 1,000
MAX_NUMBER_BYTES = 2**20  # of the numbers in a directory; Python's take up to thirty times as much
TEXT_TYPES = (1, 2, 7)  # of entries that stay bytes
load_directory = ImageFileDirectory_v2.load


class FewReads:
    """A file that is read a limited number of times. Raises OSError for more."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.left = file, float(MAX_READS)

    def read(self, size: int = -1) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise OSError(f"its header is in more than {MAX_READS:,} pieces")
        return self.file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def open_header(file: IO[bytes], formats: Sequence[str]) -> Image.Image:
    """Open a picture without decoding it. Raises what Pillow raises, OSError for a header in very many pieces."""
    limited = FewReads(file)
    image = Image.open(limited, formats=tuple(formats))  # type: ignore[arg-type]
    limited.left = math.inf
    return image


def load_small_directory(directory: ImageFileDirectory_v2, file: IO[bytes]) -> None:
    """Load a directory whose entries have together no more bytes than the file. Raises ValueError for others."""
    start = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(start)
    check_entries(directory, file, size)
    file.seek(start)
    load_directory(directory, file)


def check_entries(directory: ImageFileDirectory_v2, file: IO[bytes], size: int) -> None:
    """Raise ValueError if a directory has more bytes than its file, or very many numbers."""
    number, entry, inline = ("Q", "HHQQ", 8) if directory._bigtiff else ("H", "HHLL", 4)
    order = directory._endian
    head = file.read(struct.calcsize(order + number))
    if len(head) < struct.calcsize(order + number):
        return  # Pillow reports it
    length = struct.calcsize(order + entry)
    entries = file.read(min(struct.unpack(order + number, head)[0] * length, size))
    total = numbers = 0
    for _, kind, count, place in struct.iter_unpack(order + entry, entries[: len(entries) // length * length]):
        taken = count * directory._load_dispatch.get(kind, (0,))[0]
        if taken > inline and place + taken > size:
            return  # Pillow stops here
        total += taken
        numbers += 0 if kind in TEXT_TYPES else taken
        if total > size or numbers > MAX_NUMBER_BYTES:
            raise ValueError("its directory has more in it than the file")


ImageFileDirectory_v2.load = load_small_directory  # type: ignore[method-assign]  # which Pillow calls for TIFF and EXIF
