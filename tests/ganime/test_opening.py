"""Headers that are made to cost much: in very many pieces, or naming the same bytes again and again."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from PIL import Image

from ganime.errors import DataError, GanimeError
from ganime.faces.reading import decode
from ganime.images import recipe_in
from ganime.opening import MAX_READS
from tests.ganime.faces.pictures import encoded

SIDE = 64
PICTURE = Image.new("RGB", (SIDE, SIDE), "red")


def directory(entries: list[tuple[int, int, int, int]], size: int) -> bytes:
    """EXIF of entries of tag, type, count and place."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return (b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4)).ljust(size, b"\0")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_entries_of_exif_that_name_the_same_bytes_take_no_memory(kind: str) -> None:
    exif = directory([(40_000 + number, 7, 50_000, 8) for number in range(1_000)], 60_000)
    data = encoded(PICTURE, kind, exif=(b"Exif\0\0" if kind == "JPEG" else b"") + exif)
    tracemalloc.start()
    try:
        assert decode(data, 32).width == SIDE
        assert tracemalloc.get_traced_memory()[1] < 5e6  # bytes; 50e6 without
    finally:
        tracemalloc.stop()


def test_exif_still_turns_a_picture() -> None:
    wide = Image.new("RGB", (64, 32))
    exif = directory([(0x0112, 3, 1, 6), (40_000, 7, 1_000, 40)], 1_100)
    assert decode(encoded(wide, "PNG", exif=exif), 32).width == 32


def test_a_directory_of_very_many_numbers_is_refused() -> None:
    number = 300_000
    tags = {256: SIDE, 257: SIDE, 258: 8, 259: 1, 262: 1, 273: 200, 277: 1, 278: SIDE}
    entries = [(tag, 4, number if tag == 273 else 1, value) for tag, value in tags.items()]
    with pytest.raises(DataError):
        decode(directory(entries, 200) + struct.pack("<I", 200) * number, 32)


def in_many_pieces(kind: str, pieces: int) -> bytes:
    data = encoded(PICTURE, kind)
    if kind == "GIF":
        place = data.index(b",\0\0\0\0")
        return data[:place] + b"!\xfe" + b"\x01a" * pieces + b"\0" + data[place:]
    return data[:2] + b"\xff\xe1\0\x09Exif\0\0a" * pieces + data[2:]


@pytest.mark.parametrize("kind", ["GIF", "JPEG"])
def test_a_description_in_very_many_pieces_is_refused(kind: str) -> None:
    assert decode(in_many_pieces(kind, 100), 32).width == SIDE
    with pytest.raises(DataError, match="pieces"):
        decode(in_many_pieces(kind, MAX_READS), 32)


def test_a_recipe_is_looked_for_in_few_pieces() -> None:
    with pytest.raises(GanimeError, match="pieces"):
        recipe_in(in_many_pieces("GIF", MAX_READS))
