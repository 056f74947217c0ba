"""Pictures that are slightly damaged are read as browsers show them; those that lack more than a little are refused."""

from __future__ import annotations

import io
import struct
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ganime.errors import DataError
from ganime.faces.reading import decode
from tests.ganime.faces.pictures import encoded, raw_png

SIDE = 64


@pytest.fixture(scope="module")
def picture(draw_face: Callable[..., Image.Image]) -> Image.Image:
    """A face with noise, so that the end of a file is the end of the picture."""
    face = np.asarray(draw_face(5, 256)).astype(int)
    return Image.fromarray(
        (face + np.random.default_rng(0).integers(-20, 20, face.shape)).clip(0, 255).astype(np.uint8)
    )


def assert_nearly(data: bytes, whole: bytes, most: float = 6) -> None:
    """Both decode to nearly the same face."""
    found, wanted = decode(data, SIDE).pixels.astype(int), decode(whole, SIDE).pixels.astype(int)
    assert abs(found - wanted).mean() <= most


KINDS = {
    "PNG": {},
    "grey PNG": {"mode": "L"},
    "palette PNG": {"mode": "P"},
    "black and white PNG": {"mode": "1"},
    "JPEG": {"quality": 90},
    "progressive JPEG": {"quality": 90, "progressive": True},
    "JPEG with restarts": {"quality": 90, "restart_marker_blocks": 8},
    "CMYK JPEG": {"mode": "CMYK", "quality": 90},
    "WEBP": {"quality": 80},
    "GIF": {},
    "BMP": {},
}


def file_of(picture: Image.Image, kind: str) -> bytes:
    options = dict(KINDS[kind])
    mode = str(options.pop("mode", "RGB"))
    return encoded(
        picture.convert(mode), next(word for word in kind.split() if word.isupper() and word != "CMYK"), **options
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_that_lacks_its_last_bytes_is_read(picture: Image.Image, kind: str) -> None:
    data = file_of(picture, kind)
    assert_nearly(data[:-2], data, 3)
    assert_nearly(data[: int(len(data) * 0.97)], data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_that_lacks_a_third_is_refused(picture: Image.Image, kind: str) -> None:
    data = file_of(picture, kind)
    kept = len(data) // 10 if "progressive" in kind else len(data) * 2 // 3  # its first third is sharp enough
    with pytest.raises(DataError, match="damaged"):
        decode(data[:kept], SIDE)


def test_the_missing_rows_are_filled_and_not_black(picture: Image.Image) -> None:
    data = file_of(picture, "PNG")
    face = decode(data[: int(len(data) * 0.97)], SIDE).pixels.astype(int)
    assert abs(face[-1] - face[-4]).mean() < 40
    with Image.open(io.BytesIO(data[: int(len(data) * 0.9)])) as cut, pytest.raises(OSError, match="truncated"):
        cut.load()


@pytest.mark.parametrize(
    "damage", ["text", "profile", "too much text", "behind the end", "checksum", "header checksum"]
)
def test_a_png_with_broken_parts_beside_its_pixels_is_read(picture: Image.Image, damage: str) -> None:
    info, whole = PngInfo(), file_of(picture, "PNG")
    info.add_text("comment", "x" * 2**21 if damage == "too much text" else "hello", zip=damage == "too much text")
    data = bytearray(encoded(picture, pnginfo=info, icc_profile=b"profile"))
    if damage == "text":
        data[data.index(b"hello")] ^= 1
    elif damage == "profile":
        data[data.index(b"iCCP") + 20] ^= 0xFF
    elif damage == "behind the end":
        data += b"junk" * 100
    elif damage == "checksum":
        data[-16] ^= 0xFF  # of the pixels
    elif damage == "header checksum":
        data[29] ^= 0xFF
    assert_nearly(bytes(data), whole, 0.5)


def test_a_jpeg_with_broken_parts_beside_its_pixels_is_read(picture: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 1
    whole, described = file_of(picture, "JPEG"), encoded(picture, "JPEG", quality=90, exif=exif, comment=b"hello")
    place = described.index(b"Exif") + 6
    broken_exif = described[:place] + b"\xff" * 12 + described[place + 12 :]
    too_long = whole[:2] + b"\xff\xe1\xff\xffExif\0\0" + whole[2:]
    photoshop = (
        whole[:2] + b"\xff\xed" + struct.pack(">H", 30) + b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\xff\xff\xff" + whole[2:]
    )
    for data in (broken_exif, too_long, photoshop, whole[:20] + b"junk" + whole[20:], whole + b"junk" * 50):
        assert_nearly(data, whole, 1)


def test_a_mended_picture_is_turned_upright(picture: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = picture.transpose(Image.Transpose.ROTATE_90)
    for kind in ("PNG", "JPEG"):
        data = encoded(stored, kind, exif=exif, **({"quality": 90} if kind == "JPEG" else {}))
        assert_nearly(data[: int(len(data) * 0.98)], encoded(picture), 12)


def test_a_mended_picture_keeps_to_the_limits() -> None:
    huge = raw_png(8_000, 8_000, 8, 2, b"\0" * 1000)
    with pytest.raises(DataError, match="at most 50,000,000"):
        decode(huge[:-20], SIDE)


@pytest.mark.parametrize("damage", ["header", "end"])
def test_a_large_damaged_picture_is_not_mended(damage: str) -> None:
    data = bytearray(encoded(Image.new("RGBA", (2_500, 2_000)), "PNG"))
    if damage == "header":
        data[29] ^= 1  # the checksum of its header
    else:
        del data[-60:]
    with pytest.raises(DataError, match="damaged picture"):
        decode(bytes(data), SIDE)


def test_mending_takes_little_more_memory_than_the_picture() -> None:
    data = bytearray(encoded(Image.new("RGBA", (2_000, 2_000)), "PNG"))
    data[29] ^= 1
    tracemalloc.start()
    try:
        decode(bytes(data), SIDE)
        assert tracemalloc.get_traced_memory()[1] < 2 * 4 * 2_000 * 2_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("side", [48, 64, 128])
def test_a_small_jpeg_may_lack_its_last_block(picture: Image.Image, side: int) -> None:
    data = encoded(picture.resize((side, side)), "JPEG", quality=90)
    assert_nearly(data[:-20], data, 6)
