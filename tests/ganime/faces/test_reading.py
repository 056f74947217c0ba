"""Decoding: every kind of picture is read, and nothing hostile does harm."""

from __future__ import annotations

import contextlib
import io
import itertools
import struct
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import EpsImagePlugin, Image, ImageCms, ImageOps, features

from ganime.errors import DataError
from ganime.faces.pixels import is_grey
from ganime.faces.reading import FORMATS, Face, map_in_order, open_picture
from ganime.faces.reading import decode as decode_face
from tests.ganime.faces.pictures import SIDE, encoded, raw_png

LAB_PROFILES = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
KINDS = ["PNG", "JPEG", "GIF", "WEBP", "BMP", *(["AVIF"] if features.check("avif") else [])]


def decode(data: bytes, size: int) -> np.ndarray:
    return decode_face(data, size).pixels


def quarters() -> Image.Image:
    """Four flat quarters, so that any turn or mirroring shows."""
    colours = np.array([[(250, 20, 20), (20, 250, 20)], [(20, 20, 250), (240, 240, 20)]], np.uint8)
    return Image.fromarray(colours.repeat(32, 0).repeat(32, 1))


def corners(face: np.ndarray) -> list[tuple[int, ...]]:
    """The colours near the four corners, row by row."""
    return [tuple(int(value) for value in face[row, column]) for row in (3, -4) for column in (3, -4)]


def assert_like(face: np.ndarray, original: Image.Image, most: float) -> None:
    """The mean difference to a picture, of 255, is at most `most`."""
    wanted = np.asarray(original.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    assert face.shape == (SIDE, SIDE, 3)
    assert face.dtype == np.uint8
    assert abs(face.astype(float) - wanted).mean() <= most


@pytest.mark.parametrize(
    ("kind", "mode", "options", "most"),
    [
        ("PNG", "RGB", {}, 0),
        ("PNG", "RGBA", {}, 0),
        ("PNG", "P", {}, 8),
        ("PNG", "L", {}, 1),
        ("PNG", "LA", {}, 1),
        ("PNG", "1", {}, 40),
        ("BMP", "RGB", {}, 0),
        ("GIF", "P", {}, 8),
        ("GIF", "L", {}, 1),
        ("JPEG", "RGB", {"quality": 95}, 4),
        ("JPEG", "L", {"quality": 95}, 3),
        ("JPEG", "CMYK", {"quality": 95}, 4),
        ("JPEG", "RGB", {"quality": 95, "progressive": True}, 4),
        ("WEBP", "RGB", {"lossless": True}, 0),
        ("WEBP", "RGBA", {"lossless": True}, 0),
        ("AVIF", "RGB", {"quality": 95}, 5),
        ("AVIF", "RGBA", {"quality": 95}, 5),
        ("HEIF", "RGB", {"quality": 95}, 4),
        ("HEIF", "RGBA", {"quality": 95}, 4),
        ("TIFF", "RGB", {}, 0),
        ("TIFF", "RGBA", {"compression": "tiff_lzw"}, 0),
        ("TIFF", "CMYK", {"compression": "tiff_adobe_deflate"}, 1),
        ("TIFF", "RGB", {"compression": "jpeg", "quality": 95}, 4),
        ("TIFF", "P", {}, 8),
        ("TIFF", "LAB", {}, 4),
        ("JPEG2000", "RGB", {}, 0),
        ("JPEG2000", "RGB", {"irreversible": True, "quality_layers": [4]}, 5),
        ("JPEG2000", "L", {"no_jp2": True}, 1),
        ("PPM", "RGB", {}, 0),
        ("TGA", "RGBA", {"compression": "tga_rle"}, 0),
        ("QOI", "RGB", {}, 0),
    ],
)
def test_every_kind_of_picture_is_read(
    draw_face: Callable[..., Image.Image], kind: str, mode: str, options: dict[str, Any], most: float
) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    original = draw_face(5)
    grey = original.convert("L").convert("RGB")
    if mode == "LAB":
        original = ImageCms.profileToProfile(original, *LAB_PROFILES, outputMode="LAB")  # type: ignore[assignment]
    data = encoded(original.convert(mode), kind, **options)
    original = draw_face(5)
    assert_like(decode(data, SIDE), grey if mode in ("L", "LA", "1") else original, most)


@pytest.mark.parametrize("kind", sorted({*FORMATS} - {"PSD"}))  # which Pillow does not write
def test_opening_a_picture_decodes_nothing(draw_face: Callable[..., Image.Image], kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    assert open_picture(encoded(draw_face(5), kind))._im is None  # type: ignore[attr-defined]


def test_an_icon_is_refused_before_it_is_decoded() -> None:
    png = encoded(Image.new("L", (64, 64)))
    with pytest.raises(DataError, match="an icon"):
        decode(struct.pack("<3H4B2H2L", 0, 1, 1, 64, 64, 0, 0, 1, 32, len(png), 22) + png, SIDE)


def test_sixteen_bit_grey_is_scaled_to_eight_bits() -> None:
    ramp = np.linspace(0, 65535, SIDE).astype(np.uint16)[None].repeat(SIDE, 0)
    data = encoded(Image.fromarray(ramp))
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode.startswith("I")
    assert abs(decode(data, SIDE)[..., 0].astype(float) - ramp / 257).max() <= 1


def test_sixteen_bit_colour_is_scaled_to_eight_bits() -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (SIDE, SIDE, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    face = decode(raw_png(SIDE, SIDE, 16, 2, rows), SIDE)
    assert abs(face.astype(float) - pixels / 257).max() <= 1


def tiff(values: np.ndarray, bits: int, photometric: int = 1, sample: int = 1) -> bytes:
    """A TIFF of one band by hand. bits: of a value, 12 are packed. sample: 1 for whole numbers, 2 signed, 3 floats."""
    data = values.tobytes()
    if bits == 12:
        first, second = values.reshape(-1, 2).astype(int).T
        packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1)
        data = packed.astype(np.uint8).tobytes()
    height, width = values.shape
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: height, 279: len(data)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in {**tags, 339: sample}.items())
    return struct.pack("<4sI", b"II*\0", 8 + len(data)) + data + struct.pack("<H", len(tags) + 1) + entries + bytes(4)


RAMP = np.linspace(0, 1, 64)[None].repeat(64, 0)


@pytest.mark.parametrize(
    ("data", "inverted"),
    [
        (tiff((RAMP * 4095).astype(np.uint16), 12), False),
        (tiff((RAMP * 65535).astype(np.uint16), 16), False),
        (tiff((RAMP * 65535).astype(np.uint16), 16, photometric=0), True),
        (tiff((RAMP * 32767).astype(np.int16), 16, sample=2), False),
        (tiff((RAMP * 1e9).astype(np.int32), 32, sample=2), False),
        (tiff((RAMP * 255).astype(np.uint32), 32), False),
        (tiff(RAMP.astype(np.float32), 32, sample=3), False),
        (tiff((RAMP * 255).astype(np.float32), 32, sample=3), False),
        (tiff(np.where(RAMP == 0, np.nan, RAMP * 9000).astype(np.float32), 32, sample=3), None),
        (encoded(Image.fromarray((RAMP * 65535).astype(np.uint16)), "JPEG2000"), False),
        (b"P5 64 64 4095\n" + (RAMP * 4095).astype(">u2").tobytes(), False),
        (b"P2 64 64 9\n" + " ".join(str(int(value)) for value in (RAMP * 9).round().ravel()).encode(), None),
        (b"Pf 64 64 -1.0\n" + RAMP.astype("<f4").tobytes(), False),
    ],
    ids=[
        *("12", "16", "16 white is 0", "16 signed", "32 signed", "32 of 8", "float", "float of 8", "NaN"),
        *("JPEG 2000", "PGM 12", "PGM of 9", "PFM"),
    ],
)
def test_a_ramp_of_any_depth_goes_from_black_to_white(data: bytes, inverted: bool | None) -> None:
    levels = decode(data, 64)[32, :, 0].astype(int)
    wanted = (RAMP[0] * 255).round()
    if inverted is None:  # with other steps
        assert levels.max() - levels.min() > 30
        assert (np.diff(levels) >= 0).all()
    else:
        assert abs(levels - (255 - wanted if inverted else wanted)).max() <= 2


def test_a_transparent_level_of_sixteen_bit_grey_lies_on_white() -> None:
    levels = np.full((SIDE, SIDE), 30_000, np.uint16)
    levels[:, SIDE // 2 :] = 5_000
    face = decode(encoded(Image.fromarray(levels), transparency=5_000), SIDE)
    assert face[4, 4].tolist() == [30_000 // 257] * 3
    assert face[4, -4].tolist() == [255, 255, 255]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_transparent_pictures_lie_on_white(kind: str) -> None:
    image = Image.new("RGBA", (64, 64), (200, 0, 0, 0))
    image.paste((10, 200, 10, 255), (0, 32, 64, 64))
    face = decode(encoded(image, kind, **({"lossless": True} if kind == "WEBP" else {})), SIDE)
    assert abs(face[4, 4].astype(int) - 255).max() <= 2
    assert abs(face[-4, 4].astype(int) - (10, 200, 10)).max() <= 2


def test_half_transparent_black_becomes_grey() -> None:
    face = decode(encoded(Image.new("RGBA", (32, 32), (0, 0, 0, 128))), SIDE)
    assert abs(face.astype(int) - 127).max() <= 1


def test_a_palette_with_a_transparent_colour_lies_on_white() -> None:
    image = Image.new("P", (32, 32), 1)
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.paste(0, (0, 0, 32, 16))
    face = decode(encoded(image, transparency=0), SIDE)
    assert face[4, 4].tolist() == [255, 255, 255]
    assert face[-4, 4].tolist() == [0, 0, 200]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_exif_rotation_is_undone(kind: str, orientation: int) -> None:
    turns = Image.Transpose
    stored_as = {
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_90,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_270,
    }
    image, exif = quarters(), Image.Exif()
    exif[0x0112] = orientation
    stored = image.transpose(stored_as[orientation]) if orientation in stored_as else image
    face = decode(encoded(stored, kind, exif=exif), SIDE)
    for found, wanted in zip(corners(face), corners(np.asarray(image)), strict=True):
        assert max(abs(a - b) for a, b in zip(found, wanted, strict=True)) <= 20


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_of_a_phone_is_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = quarters()
    image.info["exif"] = exif.tobytes()  # from which the file gets the turn that decoders apply
    face = decode(encoded(image, "HEIF", quality=95), SIDE)
    with Image.open(io.BytesIO(encoded(quarters(), exif=exif))) as turned:
        wanted = corners(np.asarray(ImageOps.exif_transpose(turned)))
    for found, colour in zip(corners(face), wanted, strict=True):
        assert max(abs(a - b) for a, b in zip(found, colour, strict=True)) <= 20


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_the_first_frame_of_an_animation_is_the_picture(kind: str, draw_face: Callable[..., Image.Image]) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    first, *rest = [draw_face(seed) for seed in range(4)]
    assert_like(decode(encoded(first, kind, save_all=True, append_images=rest, duration=50), SIDE), first, 8)


@pytest.mark.parametrize(("width", "height"), [(96, 32), (32, 96), (200, 50), (33, 99)])
def test_the_middle_of_an_oblong_picture_is_kept(width: int, height: int) -> None:
    image = Image.new("RGB", (width, height), (255, 0, 0))
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    image.paste((0, 255, 0), (left, top, left + side, top + side))
    face = decode(encoded(image), SIDE)
    assert abs(face[2:-2, 2:-2].astype(int) - (0, 255, 0)).max() <= 2


@pytest.mark.parametrize("size", [32, 64, 128, 256])
def test_pictures_come_out_at_the_size_asked_for(size: int, draw_face: Callable[..., Image.Image]) -> None:
    assert decode(encoded(draw_face(1, 80)), size).shape == (size, size, 3)


def test_a_large_jpeg_looks_the_same_as_one_decoded_in_full(draw_face: Callable[..., Image.Image]) -> None:
    image = draw_face(3, 1000)
    assert_like(decode(encoded(image, "JPEG", quality=95), SIDE), image, 3)


@pytest.mark.parametrize(("orientation", "upright"), [(1, (900, 700)), (3, (900, 700)), (6, (700, 900))])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_the_size_of_a_picture_is_that_of_the_whole_of_it_upright(
    kind: str, orientation: int, upright: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    face: Face = decode_face(encoded(Image.new("RGB", (900, 700)), kind, exif=exif), SIDE)  # JPEG is decoded smaller
    assert (face.width, face.height) == upright


def test_only_faces_without_colour_are_grey(draw_face: Callable[..., Image.Image]) -> None:
    face = draw_face(5)
    for grey in (face.convert("L"), face.convert("L").convert("RGB")):
        assert is_grey(decode(encoded(grey, "JPEG", quality=60), SIDE))
    assert not is_grey(decode(encoded(face), SIDE))
    assert not is_grey(decode(encoded(Image.blend(face, face.convert("L").convert("RGB"), 0.7)), SIDE))


@pytest.mark.parametrize(("width", "height"), [(15, 64), (64, 15), (1, 1)])
def test_pictures_too_small_for_a_face_are_refused(width: int, height: int) -> None:
    with pytest.raises(DataError, match=f"{width} x {height}.*at least 16 x 16"):
        decode(encoded(Image.new("RGB", (width, height))), SIDE)


def test_the_smallest_allowed_picture_is_read() -> None:
    assert decode(encoded(Image.new("RGB", (16, 16))), SIDE).shape == (SIDE, SIDE, 3)


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (8_000, 8_000), (10_000, 10_000), (2**31 - 1, 2)])
def test_a_header_that_claims_a_huge_picture_is_refused_at_once(width: int, height: int) -> None:
    begun = time.thread_time()
    with pytest.raises(DataError):
        decode(raw_png(width, height, 8, 2, b"\0" * 1000), SIDE)
    assert time.thread_time() - begun < 1


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"no picture", b"<html></html>", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff\xe0", b"RIFF", b"BM"],
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(DataError):
        decode(data, SIDE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_cut_off_is_refused(kind: str, draw_face: Callable[..., Image.Image]) -> None:
    data = encoded(draw_face(1), kind)
    with pytest.raises(DataError, match=r"damaged|not a picture"):
        decode(data[: len(data) // 3], SIDE)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", *(["AVIF"] if features.check("avif") else [])])
def test_a_picture_with_its_second_half_overwritten_is_refused(kind: str, draw_face: Callable) -> None:
    data = encoded(draw_face(1), kind)
    with pytest.raises(DataError, match=r"damaged|not a picture"):
        decode(data[: len(data) // 2].ljust(len(data), b"\xff"), SIDE)


@settings(max_examples=60)
@given(
    kind=st.sampled_from([*KINDS, "TIFF", "QOI", "DDS", "TGA"]),  # a name that ends in .png promises nothing
    changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.integers(1, 4000),
)
def test_a_damaged_picture_is_read_or_refused_and_nothing_else(
    kind: str, changes: list[tuple[int, int]], cut: int, draw_face: Callable[..., Image.Image]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = bytearray(
        encoded(draw_face(1, 24), kind, **({"exif": exif} if kind in ("PNG", "JPEG", "WEBP", "AVIF") else {}))
    )
    for place, value in changes:
        data[place % len(data)] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on what it repaired
        with contextlib.suppress(DataError):
            assert decode(bytes(data[:cut]), SIDE).shape == (SIDE, SIDE, 3)


def test_no_picture_is_ever_handed_to_ghostscript(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []

    def ghostscript(*arguments: Any, **_: Any) -> None:
        called.append(arguments)
        raise OSError("no Ghostscript")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", ghostscript)
    with pytest.raises(DataError):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n%%EOF\n", SIDE)
    assert not called


# --- threads


def test_results_come_in_order_and_little_is_worked_on_ahead() -> None:
    begun: list[int] = []

    def squared(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number**2

    def numbers() -> Iterator[int]:
        for number in range(1000):
            begun.append(number)
            yield number

    with contextlib.closing(map_in_order(squared, numbers())) as results:
        assert list(itertools.islice(results, 50)) == [number**2 for number in range(50)]
        assert len(begun) < 100


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        list(map_in_order(lambda number: 1 // number, [2, 1, 0]))
