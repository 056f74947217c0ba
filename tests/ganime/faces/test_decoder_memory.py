"""What decoders take beside the pixels: known from the file before anything is decoded, whatever size it claims."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image, features

from ganime.errors import DataError
from ganime.faces.decoder_memory import (
    MAX_AV1_FRAMES,
    MAX_SCANS,
    TABLE_BYTES,
    av1_pixels,
    avif_pixels,
    decoder_bytes,
    webp_table_bytes,
)
from ganime.faces.reading import FORMATS, MAX_SLOW_PIXELS, decode, open_picture
from tests.ganime.faces.pictures import encoded

SIDE = 64
NOISE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")


def taken_by(data: bytes) -> int:
    """What the decoder of a picture takes, whether it would be refused or not."""
    return decoder_bytes(Image.open(io.BytesIO(data), formats=FORMATS))


def tiff(tags: dict[int, int], colours: int = 4, bits: int = 8, again: Sequence[tuple[int, int]] = ()) -> bytes:
    """A TIFF of 64 x 64 px with one tile or strip, compressed by deflate, and with some tags a second time."""
    rows = zlib.compress(bytes(SIDE * SIDE * colours * bits // 8))
    common = {256: SIDE, 257: SIDE, 259: 8, 262: 2 if colours > 2 else 1, 277: colours, 284: 1}
    places = {324: 400, 325: len(rows)} if 322 in tags else {273: 400, 279: len(rows)}
    numbers = sorted([*(common | places | tags).items(), *again])
    entries = [(258, struct.pack("<HHII", 258, 3, colours, 380 if colours > 2 else bits))]
    entries += [(338, struct.pack("<HHII", 338, 3, 1, 2))] if colours == 4 else []
    entries += [(tag, struct.pack("<HHII", tag, 4, 1, value)) for tag, value in numbers]
    directory = struct.pack("<H", len(entries)) + b"".join(
        entry for _, entry in sorted(entries, key=lambda one: one[0])
    )
    head = (b"II*\0" + struct.pack("<I", 8) + directory + bytes(4)).ljust(380, b"\0")
    return (head + struct.pack(f"<{colours}H", *[bits] * colours)).ljust(400, b"\0") + rows


def test_what_a_tiff_decodes_as_a_whole_counts() -> None:
    assert decode(tiff({322: 64, 323: 64}), 32).width == SIDE
    assert taken_by(tiff({322: 64, 323: 64})) == SIDE * SIDE * 4
    assert taken_by(tiff({322: 160, 323: 320})) == 160 * 320 * 4
    assert taken_by(tiff({278: 64}, bits=16)) == SIDE * SIDE * 8
    assert taken_by(tiff({278: 16}, colours=1)) == SIDE * 16
    assert taken_by(tiff({278: 2**32 - 1}, colours=1)) == SIDE * SIDE
    assert taken_by(encoded(Image.new("RGB", (SIDE, SIDE)), "TIFF")) == 0
    ycbcr = encoded(Image.new("YCbCr", (SIDE, SIDE)), "TIFF", compression="tiff_adobe_deflate")
    assert taken_by(ycbcr) == SIDE * SIDE * 7  # libtiff makes RGB of it


@pytest.mark.parametrize(
    ("tags", "again", "reason"),
    [
        ({322: 16_384, 323: 16_368}, [], "64 x 64 pixels as TIFF that need 1,073 MB"),
        ({322: 16_384, 323: 16_368}, [(322, 64), (323, 64)], "a tag twice"),
        ({322: 64}, [], "how large its tiles are"),
    ],
    ids=["a large tile", "a size twice", "half a size"],
)
def test_a_tiff_whose_tile_is_too_large_or_unclear_is_refused(
    tags: dict[int, int], again: list[tuple[int, int]], reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        decode(tiff(tags, again=again), 32)


def one_scan_for_each_colour(mode: str) -> bytes:
    """The beginning of a baseline JPEG whose first scan has one colour only."""
    data = bytearray(encoded(Image.new(mode, (SIDE, SIDE)), "JPEG"))
    place = data.index(b"\xff\xda")
    return bytes(data[:place]) + b"\xff\xda\0\x08\x01" + bytes(data[place + 5 : place + 7]) + b"\0\x3f\0\0\0\xff\xd9"


@pytest.mark.parametrize(("mode", "colours"), [("RGB", 3), ("CMYK", 4), ("L", 1)])
def test_a_jpeg_whose_colours_come_one_after_another_counts_as_a_progressive_one(mode: str, colours: int) -> None:
    image = Image.new(mode, (SIDE, SIDE))
    kept = SIDE * SIDE * colours * 2
    assert taken_by(encoded(image, "JPEG")) == 0
    assert taken_by(encoded(image, "JPEG", progressive=True)) == kept
    assert taken_by(one_scan_for_each_colour(mode)) == (kept if colours > 1 else 0)


def test_a_jpeg_of_very_many_scans_is_refused() -> None:
    data = encoded(Image.fromarray(NOISE), "JPEG", progressive=True)
    assert decode(data, 32).width == SIDE
    last = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(DataError, match="more than 100 scans"):
        decode(data[:-2] + last * MAX_SCANS + data[-2:], 32)


def test_the_tables_of_a_webp_without_loss_count() -> None:
    noise = np.tile(NOISE, (4, 4, 1))

    def tables_of(data: bytes) -> int:
        return webp_table_bytes(Image.open(io.BytesIO(data)))

    assert tables_of(encoded(Image.fromarray(noise), "WEBP", lossless=True)) == SIDE * SIDE * TABLE_BYTES
    assert tables_of(encoded(Image.new("RGB", (256, 256)), "WEBP", lossless=True)) < 100 * TABLE_BYTES
    assert tables_of(encoded(Image.fromarray(noise), "WEBP")) == 0
    assert tables_of(encoded(Image.fromarray(noise))) == 0


def claiming(data: bytes, side: int) -> bytes:
    """An AVIF whose box `ispe` gives another size than its frames have."""
    place = data.index(b"ispe") + 8
    return data[:place] + struct.pack(">II", side, side) + data[place + 8 :]


@needs_avif
def test_an_avif_counts_by_the_size_of_its_frames_whatever_it_claims() -> None:
    large = encoded(Image.new("RGB", (800, 600)), "AVIF", speed=10)
    assert taken_by(large) == 800 * 600 * 12
    assert taken_by(claiming(large, 64)) == 64 * 64 * 6 + 800 * 600 * 6
    assert taken_by(encoded(Image.new("RGBA", (80, 60)), "AVIF", speed=10)) == 80 * 60 * 18
    film = [Image.new("RGB", (80, 60), colour) for colour in ("red", "blue")]
    assert taken_by(encoded(film[0], "AVIF", save_all=True, append_images=film[1:])) >= 80 * 60 * 12


@needs_avif
def test_an_avif_whose_frames_are_much_larger_than_it_claims_is_refused() -> None:
    data = encoded(Image.new("L", (256, 256)), "AVIF", speed=10)
    place = data.index(b"\x0a", data.index(b"mdat"))  # the sequence header
    size = data[place + 1]
    wide = "1" * 16
    fields = "000" + "1" + "1" + "00000" + "1111" + "1111" + wide + wide  # a single picture of 65,536 x 65,536 px
    header = int(fields.ljust(size * 8, "0"), 2).to_bytes(max(size, 6), "big")[:size]
    assert size >= 6
    with pytest.raises(DataError, match="256 x 256 pixels as AVIF that need "):
        decode(data[: place + 2] + header + data[place + 2 + size :], 32)


@needs_avif
def test_an_avif_whose_parts_cannot_be_found_is_refused() -> None:
    data = encoded(Image.new("RGB", (SIDE, SIDE)), "AVIF")
    place = data.index(b"iloc") + 4
    with pytest.raises(DataError):
        decode(data[: place + 6] + b"\xff\xff" + data[place + 8 :], 32)


@pytest.mark.parametrize(
    "start",
    [b"qoif" + struct.pack(">IIBB", 2001, 2000, 3, 0), b"P6\n2001 2000\n100\n", b"P3\n2001 2000\n255\n"],
    ids=["QOI", "PPM of 100 levels", "PPM as text"],
)
def test_what_is_decoded_slowly_has_fewer_pixels(start: bytes) -> None:
    with pytest.raises(DataError, match=f"at most {MAX_SLOW_PIXELS:,} are read"):
        open_picture(start + bytes(9))
    open_picture(b"P6\n2001 2000\n255\n" + bytes(9))


def test_a_ppm_as_text_has_few_comments() -> None:
    start, pixels = b"P1\n64 64\n", b"0 1 " * (SIDE * SIDE // 2)
    assert decode(start + b"# drawn by hand\n" + pixels, 32).width == SIDE
    with pytest.raises(DataError, match="comments"):
        decode(start + b"#\n" * 2_000 + pixels, 32)


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def av1(side: int, frames: int = 1) -> bytes:
    """A sequence header for pictures of this size, and frames without content."""
    fields = f"00011{0:05b}{15:04b}{15:04b}{side - 1:016b}{side - 1:016b}".ljust(56, "0")
    return b"\x12\0\x0a\x07" + int(fields, 2).to_bytes(7, "big") + b"\x32\0" * frames


@pytest.mark.parametrize(("version", "inside"), [(0, False), (1, False), (1, True), (2, False), (2, True)])
def test_items_of_an_avif_are_found_wherever_they_lie(version: int, inside: bool) -> None:
    part, number = av1(200, frames=2), ">I" if version == 2 else ">H"
    item = struct.pack(number, 1) + (struct.pack(">H", inside) if version else b"") + bytes(2)
    first, last = (0 if inside else 8), len(part)
    item += struct.pack(">HIIII", 2, first, 5, first + 5, last - 5)  # in two pieces
    table = bytes([version, 0, 0, 0, 0x44, 0]) + struct.pack(number, 1) + item
    meta = box(b"meta", bytes(4) + box(b"iloc", table) + (box(b"idat", part) if inside else b""))
    assert avif_pixels((b"" if inside else box(b"mdat", part)) + meta) == 200 * 200 * 2


def test_an_avif_in_very_many_units_is_refused() -> None:
    assert av1_pixels(av1(200, frames=100)) == 200 * 200 * MAX_AV1_FRAMES
    assert av1_pixels(b"\0\0\1\1\0\x40\0\x40") == av1_pixels(b"") == 0  # a grid of others
    with pytest.raises(DataError, match="units"):
        av1_pixels(av1(200, frames=2_000))
