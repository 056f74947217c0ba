"""Training faces: every kind of picture is read, nothing hostile does harm, and the stream of batches is fair."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import random
import shutil
import stat
import struct
import subprocess
import sys
import time
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import EpsImagePlugin, Image, features

from ganime.errors import DataError
from ganime.faces.dataset import FaceDataset, load_faces
from ganime.faces.decoding import decode_all
from ganime.faces.duplicates import NEAR_DUPLICATE_BITS, near_duplicate_groups, split_by_group
from ganime.faces.reading import Face, TooManyError, is_grey, list_pictures, map_in_order
from ganime.faces.reading import decode as decode_face
from ganime.text import printable

SIDE = 32
KINDS = ["PNG", "JPEG", "GIF", "WEBP", "BMP", *(["AVIF"] if features.check("avif") else [])]


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decode(data: bytes, size: int) -> np.ndarray:
    return decode_face(data, size).pixels


def raw_png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG by hand, for what Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


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


def make_zip(
    path: Path, entries: Iterable[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_STORED
) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return path


def names_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in files_below(folder))


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture(scope="module")
def pngs(faces_folder: Path) -> list[tuple[str, bytes]]:
    """Twenty good pictures by name, enough for a dataset."""
    return [(path.name, path.read_bytes()) for path in sorted(faces_folder.iterdir())[:20]]


@pytest.fixture
def folder(tmp_path: Path, pngs: list[tuple[str, bytes]]) -> Path:
    for name, data in pngs:
        (tmp_path / "faces" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "faces" / name).write_bytes(data)
    return tmp_path / "faces"


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., FaceDataset]:
    return lambda *sources, size=SIDE: load_faces(sources, size, tmp_path / "cache")


# --- decoding one picture


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
    ],
)
def test_every_kind_of_picture_is_read(
    draw_face: Callable[..., Image.Image], kind: str, mode: str, options: dict[str, Any], most: float
) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    original = draw_face(5)
    grey = original.convert("L").convert("RGB")
    data = encoded(original.convert(mode), kind, **options)
    assert_like(decode(data, SIDE), grey if mode in ("L", "LA", "1") else original, most)


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
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
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
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
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
    begun = time.perf_counter()
    with pytest.raises(DataError):
        decode(raw_png(width, height, 8, 2, b"\0" * 1000), SIDE)
    assert time.perf_counter() - begun < 1


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


@settings(max_examples=200)
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


# --- folders and zips


def test_a_folder_and_a_zip_of_it_hold_the_same_faces(
    folder: Path, tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable[..., FaceDataset]
) -> None:
    plain = load(folder)
    zipped = load(make_zip(tmp_path / "faces.zip", pngs))
    deflated = load(make_zip(tmp_path / "deflated.zip", pngs, zipfile.ZIP_DEFLATED))
    assert plain.images.shape == (20, SIDE, SIDE, 3)
    assert plain.images.dtype == np.uint8
    for other in (zipped, deflated):
        assert np.array_equal(plain.images, other.images)
        assert plain.names == other.names
        assert np.array_equal(plain.train, other.train)


def test_nested_folders_are_read_in_order_of_name(folder: Path, load: Callable[..., FaceDataset]) -> None:
    (folder / "b" / "deep").mkdir(parents=True)
    (folder / "000.png").rename(folder / "b" / "deep" / "x.png")
    (folder / "001.png").rename(folder / "b" / "y.PNG")
    dataset = load(folder)
    assert dataset.names[-2:] == ["b/deep/x.png", "b/y.PNG"]
    assert len(dataset.images) == 20


def test_several_sources_make_one_dataset(
    folder: Path, tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable[..., FaceDataset]
) -> None:
    for name, _ in pngs[10:]:
        (folder / name).unlink()
    dataset = load(folder, make_zip(tmp_path / "rest.zip", pngs[10:]))
    assert dataset.names == [name for name, _ in pngs]


def test_hidden_and_foreign_files_are_passed_over_and_counted(
    folder: Path, tmp_path: Path, load: Callable[..., FaceDataset]
) -> None:
    good = (folder / "000.png").read_bytes()
    for name in (".hidden.png", "__MACOSX/a.png", ".git/b.png", "notes.txt", "labels.csv", "c.png.part", "d.tiff"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(good)
    (folder / "pictures.zip").write_bytes(b"any")
    expected = {
        "hidden and system files": 3,
        "other files": 3,
        "pictures of other formats": 1,
        "archives inside": 1,
    }
    zipped = make_zip(tmp_path / "faces.zip", [(name, (folder / name).read_bytes()) for name in names_below(folder)])
    for dataset in (load(folder), load(zipped)):
        assert len(dataset.images) == 20
        assert dataset.skipped == []
        assert dataset.facts.passed_over == expected


def test_files_that_are_passed_over_are_counted_anew_with_a_ready_cache(folder: Path, load: Callable) -> None:
    key = load(folder).key
    (folder / "notes.txt").write_text("new")
    dataset = load(folder)
    assert dataset.key == key
    assert dataset.facts.passed_over == {"other files": 1}


def test_links_are_not_followed(folder: Path, tmp_path: Path, draw_face: Callable, load: Callable) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    draw_face(99).save(outside / "secret.png")
    (folder / "link.png").symlink_to(outside / "secret.png")
    (folder / "linked").symlink_to(outside, target_is_directory=True)
    dataset = load(folder)
    assert len(dataset.images) == 20
    assert dataset.skipped == [("link.png", "a symbolic link")]
    assert dataset.facts.passed_over == {"links": 1}


def test_a_thousand_folders_in_each_other_are_no_trouble(folder: Path, load: Callable) -> None:
    deep = folder / "/".join("d" * 1200)
    try:
        subprocess.run(["mkdir", "-p", deep], check=True)
        shutil.copy(folder / "000.png", deep / "copy.png")
        assert [reason for _, reason in load(folder).skipped] == ["exact duplicate of 000.png"]
    finally:
        subprocess.run(["rm", "-rf", folder / "d"], check=True)  # Python's own way to remove it gives up


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.mkdir()], ids=["pipe", "folder"])
def test_what_is_named_like_a_picture_and_is_no_file_never_stops(folder: Path, load: Callable, make: Callable) -> None:
    make(folder / "odd.png")
    dataset = load(folder)
    assert len(dataset.images) == 20
    assert [name for name, _ in dataset.skipped] == (["odd.png"] if (folder / "odd.png").is_fifo() else [])


def test_a_pipe_is_no_source(tmp_path: Path, load: Callable) -> None:
    os.mkfifo(tmp_path / "faces.zip")
    with pytest.raises(DataError, match=r"faces\.zip is neither a folder nor a whole zip"):
        load(tmp_path / "faces.zip")


def test_one_bad_picture_never_stops_and_is_named(folder: Path, draw_face: Callable, load: Callable) -> None:
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("no picture")
    (folder / "cut.png").write_bytes((folder / "000.png").read_bytes()[:200])
    (folder / "huge.png").write_bytes(raw_png(60_000, 60_000, 8, 2, b"\0" * 100))
    draw_face(1, 8).save(folder / "small.gif")
    dataset = load(folder)
    assert len(dataset.images) == 20
    assert {name for name, _ in dataset.skipped} == {"empty.png", "text.jpg", "cut.png", "huge.png", "small.gif"}
    assert all(reason for _, reason in dataset.skipped)
    assert dict(dataset.skipped)["empty.png"] == "an empty file"


def test_a_file_that_may_not_be_read_never_stops(
    folder: Path, load: Callable[..., FaceDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "locked.png").write_bytes(b"anything")
    opened = io.open

    def locked(file: Any, *arguments: Any, **options: Any) -> Any:
        if str(file).endswith("locked.png"):
            raise PermissionError(13, "Permission denied", str(file))
        return opened(file, *arguments, **options)

    monkeypatch.setattr(io, "open", locked)
    dataset = load(folder)
    assert len(dataset.images) == 20
    assert [name for name, _ in dataset.skipped] == ["locked.png"]


def test_a_skipped_file_is_named_by_its_path_in_the_source(
    folder: Path, load: Callable[..., FaceDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganime.faces.reading.MAX_PICTURE_BYTES", 50_000)
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "large.png").write_bytes(b"x" * 60_000)
    assert [name for name, _ in load(folder).skipped] == ["a/large.png", "b/large.png"]


def test_exact_duplicates_are_dropped(folder: Path, load: Callable[..., FaceDataset]) -> None:
    shutil.copy(folder / "003.png", folder / "copy.png")
    Image.open(folder / "004.png").save(folder / "same pixels.bmp")
    dataset = load(folder)
    assert len(dataset.images) == 20
    assert dataset.skipped == [
        ("copy.png", "exact duplicate of 003.png"),
        ("same pixels.bmp", "exact duplicate of 004.png"),
    ]


def save_again(image: Image.Image, folder: Path) -> None:
    """The kinds of copies that gather in collections: other formats, qualities and sizes."""
    image.save(folder / "again.jpg", quality=75)
    image.save(folder / "again.webp", quality=80)
    image.resize((48, 48), Image.Resampling.BICUBIC).save(folder / "again small.png")
    image.resize((200, 200), Image.Resampling.LANCZOS).save(folder / "again large.jpg", quality=90)


def test_of_a_picture_saved_several_times_the_largest_is_kept(folder: Path, load: Callable[..., FaceDataset]) -> None:
    save_again(Image.open(folder / "003.png"), folder)
    dataset = load(folder)
    assert len(dataset.images) == 20
    assert "again large.jpg" in dataset.names
    others = ("003.png", "again.jpg", "again.webp", "again small.png")
    assert dict(dataset.skipped) == dict.fromkeys(others, "near duplicate of again large.jpg")
    assert sorted([*dataset.train, *dataset.held_out]) == list(range(20))
    for name, face in zip(dataset.names, dataset.images, strict=True):
        assert np.array_equal(face, decode((folder / name).read_bytes(), SIDE))


def test_duplicates_are_kept_on_request_and_stay_together(folder: Path, load: Callable) -> None:
    save_again(Image.open(folder / "003.png"), folder)
    shutil.copy(folder / "003.png", folder / "copy.png")
    dropped = load(folder)
    kept = load_faces([folder], SIDE, folder.parent / "cache", keep_duplicates=True)
    assert (len(dropped.images), len(kept.images)) == (20, 25)
    assert kept.key != dropped.key
    assert kept.skipped == []
    assert Counter(kind for _, _, kind in kept.facts.copies) == {"exact duplicate": 1, "near duplicate": 4}
    groups = {kept.facts.groups[kept.names.index(name)] for name in ("003.png", "copy.png", "again.jpg")}
    assert len(groups) == 1
    assert len(load(folder).images) == 20


def test_another_expression_is_no_copy(folder: Path, load: Callable) -> None:
    face = Image.open(folder / "003.png").convert("RGB")
    face.paste(face.resize((1, 1)).resize((30, 8)), (17, 28))
    face.save(folder / "eyes closed.png")
    dataset = load(folder)
    assert len(dataset.images) == 21
    assert dataset.facts.groups[dataset.names.index("003.png")] == dataset.facts.groups[-1]


@pytest.mark.parametrize("count", [0, 1, 15])
def test_fewer_than_sixteen_faces_are_an_error_that_counts_them(folder: Path, load: Callable, count: int) -> None:
    for path in sorted(folder.iterdir())[count:]:
        path.unlink()
    (folder / "junk.png").write_bytes(b"junk")
    with pytest.raises(DataError, match=rf"^{count} usable faces.*at least 16.*junk\.png") as caught:
        load(folder)
    assert str(folder) in str(caught.value)


def test_sixteen_faces_are_enough(folder: Path, load: Callable[..., FaceDataset]) -> None:
    for path in sorted(folder.iterdir())[16:]:
        path.unlink()
    dataset = load(folder)
    assert len(dataset.images) == 16
    assert len(dataset.train) + len(dataset.held_out) == 16


def test_a_failed_load_leaves_nothing_behind(folder: Path, tmp_path: Path, load: Callable) -> None:
    for path in sorted(folder.iterdir())[3:]:
        path.unlink()
    with pytest.raises(DataError):
        load(folder)
    assert not files_below(tmp_path / "cache")


def test_no_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No faces were named"):
        load_faces([], SIDE, tmp_path)


def test_a_source_that_is_not_there_is_named(tmp_path: Path, load: Callable) -> None:
    with pytest.raises(DataError, match=r"nowhere.*does not exist"):
        load(tmp_path / "nowhere")


# --- hostile zips

METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\x03\x04", b"PK\x05\x06" + bytes(10)])
def test_what_is_no_zip_is_refused_by_name(tmp_path: Path, load: Callable, data: bytes) -> None:
    (tmp_path / "faces.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"faces\.zip is neither a folder nor a whole zip"):
        load(tmp_path / "faces.zip")


def test_a_truncated_zip_is_refused_by_name(tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable) -> None:
    path = make_zip(tmp_path / "faces.zip", pngs)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"faces\.zip"):
        load(path)


def test_names_that_point_outside_write_nothing_outside_the_cache(
    tmp_path: Path, pngs: list[tuple[str, bytes]], draw_face: Callable[..., Image.Image], load: Callable
) -> None:
    absolute = f"{tmp_path}/absolute.png"
    names = ["../up.png", "../../up.png", "a/../../up.png", absolute, "C:\\drive.png", "..\\back.png", "nul\0.png"]
    evil = [(name, encoded(draw_face(100 + number))) for number, name in enumerate(names)]
    (tmp_path / "in" / "deep").mkdir(parents=True)
    path = make_zip(tmp_path / "in" / "deep" / "faces.zip", [*pngs, *evil])
    before = files_below(tmp_path)
    assert len(load(path).images) >= 20
    written = files_below(tmp_path) - before
    assert written
    assert all(tmp_path / "cache" in file.parents for file in written)


def test_links_in_a_zip_are_refused(tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    dataset = load(make_zip(tmp_path / "faces.zip", [*pngs, (link, b"/etc/passwd")]))
    assert dataset.skipped == [("link.png", "a symbolic link")]


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable) -> None:
    path = make_zip(tmp_path / "faces.zip", [*pngs, ("bomb.png", bytes(8_000_000))], zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 200_000
    dataset = load(path)
    assert len(dataset.images) == 20
    [(name, reason)] = dataset.skipped
    assert name == "bomb.png"
    assert "suspiciously" in reason


@pytest.mark.parametrize("declared", [None, 1])
def test_a_zip_of_very_many_entries_is_refused_before_they_are_taken_apart(
    tmp_path: Path, pngs: list[tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch, declared: int | None
) -> None:
    path = make_zip(tmp_path / "faces.zip", pngs)
    if declared:  # the number that the end of the zip tells is not what zipfile goes by
        data = path.read_bytes()
        path.write_bytes(data[:-14] + struct.pack("<HH", declared, declared) + data[-10:])
    with ExitStack() as archives:
        assert len(list(list_pictures(path, [], archives, most_entries=len(pngs)))) == len(pngs)
        monkeypatch.setattr(zipfile, "ZipInfo", None)
        with pytest.raises(TooManyError, match=r"faces\.zip has 20 entries; at most 19 are read"):
            list(list_pictures(path, [], archives, most_entries=19))
        with pytest.raises(TooManyError, match=r"directory of 1,\d\d\d bytes, too much for 2 entries"):
            list(list_pictures(path, [], archives, most_entries=2))


def changed_header(data: bytes, name: bytes, local: int, central: int, form: str, value: int) -> bytes:
    """The zip with one field of an entry overwritten in both its headers."""
    changed = bytearray(data)
    for mark, offset, name_at in ((b"PK\x03\x04", local, 30), (b"PK\x01\x02", central, 46)):
        start = data.index(mark)
        while data[start + name_at : start + name_at + len(name)] != name:
            start = data.index(mark, start + 4)
        struct.pack_into(form, changed, start + offset, value)
    return bytes(changed)


@pytest.mark.parametrize(
    ("local", "central", "form", "value", "reason"),
    [
        (6, 8, "<H", 1, "encrypted"),
        (22, 24, "<I", 2**32 - 2, "at most"),
        (22, 24, "<I", 10, "damaged"),
        (14, 16, "<I", 0, "damaged in the zip"),
        (8, 10, "<H", 99, "damaged in the zip"),
    ],
    ids=["encrypted", "claims 4 GB", "claims 10 bytes", "wrong checksum", "unknown compression"],
)
def test_an_entry_with_a_lying_header_is_passed_over(
    tmp_path: Path,
    pngs: list[tuple[str, bytes]],
    load: Callable,
    local: int,
    central: int,
    form: str,
    value: int,
    reason: str,
) -> None:
    path = make_zip(tmp_path / "faces.zip", pngs)
    path.write_bytes(changed_header(path.read_bytes(), b"007.png", local, central, form, value))
    dataset = load(path)
    assert len(dataset.images) == 19
    assert [name for name, _ in dataset.skipped] == ["007.png"]
    assert reason in dataset.skipped[0][1]


@pytest.mark.parametrize("place", [0, 30])
@pytest.mark.parametrize("method", METHODS)
def test_an_entry_with_damaged_bytes_is_passed_over(
    tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable, method: int, place: int
) -> None:
    path = make_zip(tmp_path / "faces.zip", pngs, method)
    data = bytearray(path.read_bytes())
    place += data.index(b"007.png") + len(b"007.png")
    data[place : place + 60] = b"\xff" * 60
    path.write_bytes(data)
    dataset = load(path)
    assert len(dataset.images) == 19
    assert [name for name, _ in dataset.skipped] == ["007.png"]


def test_a_zip_inside_a_zip_is_not_opened(tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable) -> None:
    inner = make_zip(tmp_path / "inner.zip", [("inside.png", pngs[-1][1])]).read_bytes()
    dataset = load(make_zip(tmp_path / "faces.zip", [*pngs[:19], ("inner.zip", inner), ("inner.png", inner)]))
    assert len(dataset.images) == 19
    assert [name for name, _ in dataset.skipped] == ["inner.png"]


def test_a_huge_header_in_a_zip_is_passed_over(tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable) -> None:
    huge = raw_png(60_000, 60_000, 8, 2, random.Random(0).randbytes(1000))
    dataset = load(make_zip(tmp_path / "faces.zip", [*pngs, ("huge.png", huge)]))
    assert len(dataset.images) == 20
    assert [name for name, _ in dataset.skipped] == ["huge.png"]


def test_a_zip_with_names_that_are_no_text_is_refused_by_name(
    tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable
) -> None:
    path = make_zip(tmp_path / "faces.zip", [*pngs, ("ü.png", pngs[0][1])])
    path.write_bytes(path.read_bytes().replace("ü.png".encode(), b"\xff\xfe.png"))
    with pytest.raises(DataError, match=r"faces\.zip"):
        load(path)


def test_a_zip_from_a_newer_world_is_refused_by_name(
    tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable
) -> None:
    path = make_zip(tmp_path / "faces.zip", pngs)
    path.write_bytes(changed_header(path.read_bytes(), b"007.png", 4, 6, "<H", 255))
    with pytest.raises(DataError, match=r"faces\.zip"):
        load(path)


@settings(max_examples=100)
@given(
    method=st.sampled_from(METHODS),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
    tail=st.booleans(),
)
def test_a_mangled_zip_is_loaded_or_refused_and_nothing_else(
    method: int, changes: list[tuple[float, int]], tail: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("mangled")
    pictures = [np.random.default_rng(seed).integers(0, 2, (16, 16, 3), np.uint8) * 255 for seed in range(17)]
    entries = [(f"{i:02d}.bmp", encoded(Image.fromarray(pixels), "BMP")) for i, pixels in enumerate(pictures)]
    path = make_zip(folder / "faces.zip", entries, method)
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\x01\x02") if tail else 0  # the list of contents is where most goes wrong
    for place, value in changes:
        data[start + int(place * (len(data) - start - 1))] = value
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(DataError):
            assert len(load_faces([path], 32, folder / "cache").images) in (16, 17)
    shutil.rmtree(folder)


# --- the cache


def refuse_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode_nothing(*_: Any) -> None:
        raise AssertionError("a picture was decoded again")

    monkeypatch.setattr("ganime.faces.decoding.decode", decode_nothing)


def test_a_second_load_decodes_nothing(folder: Path, load: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(folder)
    refuse_decoding(monkeypatch)
    second = load(folder)
    assert np.array_equal(first.images, second.images)
    assert (first.names, first.skipped, first.key) == (second.names, second.skipped, second.key)
    assert np.array_equal(first.train, second.train)
    assert np.array_equal(first.held_out, second.held_out)


def test_a_ready_cache_is_opened_without_imagehash(
    folder: Path, load: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(folder)
    monkeypatch.setitem(sys.modules, "imagehash", None)  # as if it were not installed
    assert load(folder).names == first.names
    with pytest.raises(ImportError):
        load(folder, size=64)


def test_equal_content_elsewhere_is_found_in_the_cache(
    folder: Path, tmp_path: Path, load: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(folder)
    refuse_decoding(monkeypatch)
    moved = folder.rename(tmp_path / "moved")
    os.utime(moved / "000.png", (1, 1))
    assert load(moved).key == first.key


MEET = """
import sys, time
from pathlib import Path
from ganime.faces import dataset as data
decode_all = data.decode_all
def decode_and_meet(*arguments):
    index = decode_all(*arguments)
    Path(sys.argv[3], "there").touch()
    while not Path(sys.argv[3], "here").exists():
        time.sleep(0.001)
    return index
data.decode_all = decode_and_meet
dataset = data.load_faces([sys.argv[1]], int(sys.argv[2]), Path(sys.argv[3]) / "cache")
print(len(dataset.images), dataset.images.sum())
"""


def test_two_processes_that_decode_at_once_both_end_well(
    folder: Path, tmp_path: Path, load: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", MEET, str(folder), str(SIDE), str(tmp_path)]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root, text=True)

    def decode_and_meet(*arguments: Any) -> dict[str, Any]:
        index = decode_all(*arguments)
        while not (tmp_path / "there").exists():
            assert other.poll() is None, other.communicate()
            time.sleep(0.001)
        (tmp_path / "here").touch()
        return index

    monkeypatch.setattr("ganime.faces.dataset.decode_all", decode_and_meet)
    dataset = load(folder)
    told, errors = other.communicate(timeout=60)
    assert (other.returncode, errors) == (0, "")
    assert told.split() == ["20", str(dataset.images.sum())]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f"{dataset.key[:32]}-{SIDE}-v4"]


def test_changed_content_is_decoded_anew(folder: Path, draw_face: Callable, load: Callable) -> None:
    first = load(folder)
    draw_face(500).save(folder / "000.png")
    second = load(folder)
    assert second.key != first.key
    assert not np.array_equal(second.images[0], first.images[0])
    (folder / "001.png").rename(folder / "zzz.png")
    assert load(folder).key not in (first.key, second.key)


def test_each_image_size_has_a_cache_of_its_own(folder: Path, load: Callable) -> None:
    assert load(folder, size=32).images.shape == (20, 32, 32, 3)
    assert load(folder, size=64).images.shape == (20, 64, 64, 3)
    assert load(folder, size=32).images.shape == (20, 32, 32, 3)


def test_cached_faces_are_mapped_and_cannot_be_written(folder: Path, load: Callable) -> None:
    images = load(folder).images
    assert isinstance(images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


def test_progress_counts_every_picture_once(folder: Path, tmp_path: Path) -> None:
    (folder / "junk.png").write_bytes(b"junk")
    shutil.copy(folder / "003.png", folder / "copy.png")
    told: list[tuple[int, int]] = []
    load_faces([folder], SIDE, tmp_path / "cache", lambda done, total: told.append((done, total)))
    assert told == [(done, 22) for done in range(1, 23)]


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


@given(name=st.text(st.characters(), max_size=300))
def test_printable_names_are_one_line_without_tricks(name: str) -> None:
    shown = printable(name)
    assert shown.isprintable()
    shown.encode()  # raises for a lone surrogate
    if name.isprintable() and len(name) <= 120:
        assert shown == name


# --- what is held out


def test_train_and_held_out_share_no_face_and_leave_none_out(faces: FaceDataset) -> None:
    assert sorted([*faces.train, *faces.held_out]) == list(range(len(faces.images)))
    assert 0 < len(faces.held_out) <= len(faces.images) // 10


def test_a_face_and_its_near_duplicate_are_never_divided(tmp_path: Path, draw_face: Callable, load: Callable) -> None:
    folder = tmp_path / "pairs"
    folder.mkdir()
    for seed in range(60):
        face = draw_face(seed)
        face.save(folder / f"{seed:02d}a.png")
        face.point(lambda level: level // 2 + 80).save(folder / f"{seed:02d}b.png")  # paler: no copy, but near
    dataset = load(folder)
    assert len(dataset.images) == 120
    held = {dataset.names[position] for position in dataset.held_out}
    assert held
    assert {name[:2] + "a.png" for name in held} | {name[:2] + "b.png" for name in held} == held


@given(groups=st.lists(st.integers(0, 30), min_size=1, max_size=300))
def test_a_split_never_divides_a_group(groups: list[int]) -> None:
    array = np.array(groups)
    train, held_out = split_by_group(array)
    assert sorted([*train, *held_out]) == list(range(len(groups)))
    assert len(held_out) <= len(groups) // 10
    assert not set(array[train]) & set(array[held_out])


def test_an_entry_without_a_name_is_passed_over(draw_face: Callable[..., Image.Image], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        nameless = zipfile.ZipInfo("x")
        nameless.filename = ""
        archive.writestr(nameless, b"nobody")
        for seed in range(20):
            archive.writestr(f"{seed}.png", encoded(draw_face(seed)))
    dataset = load_faces([tmp_path / "faces.zip"], SIDE, tmp_path / "cache")
    assert len(dataset.images) == 20
    assert sum(dataset.facts.passed_over.values()) == 1


@pytest.mark.parametrize("file", ["faces.bin", "index.json"])
def test_a_damaged_cache_is_made_anew(faces_folder: Path, tmp_path: Path, file: str) -> None:
    whole = np.array(load_faces([faces_folder], SIDE, tmp_path).images)
    [path] = tmp_path.glob(f"*/{file}")
    path.write_bytes(path.read_bytes()[:1000])
    assert np.array_equal(load_faces([faces_folder], SIDE, tmp_path).images, whole)


def test_what_was_cut_off_while_decoding_goes_after_a_day(faces_folder: Path, tmp_path: Path) -> None:
    old, young = tmp_path / ".old.x1", tmp_path / ".young.x2"
    old.mkdir()
    young.mkdir()
    os.utime(old, (time.time() - 100_000,) * 2)
    load_faces([faces_folder], SIDE, tmp_path)
    assert (old.exists(), young.exists()) == (False, True)


def test_the_split_is_the_same_at_every_size(draw_face: Callable[..., Image.Image], tmp_path: Path) -> None:
    """Also where a picture is a near duplicate at one size alone."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for seed in range(80):
        face = draw_face(seed, 128)
        face.save(folder / f"{seed:03d}.png")
        if seed % 8 == 0:
            face.save(folder / f"{seed:03d}-again.jpg", quality=60 + seed // 4)
        if seed % 8 == 1:
            face.rotate(seed / 16).save(folder / f"{seed:03d}-turned.png")
    split = {
        size: (dataset.names, dataset.train.tolist(), dataset.held_out.tolist(), dataset.facts.copies)
        for size in (32, 64, 128)
        for dataset in [load_faces([folder], size, tmp_path / "cache")]
    }
    assert split[32] == split[64] == split[128]
    assert len(split[64][3]) >= 8
    assert not list((tmp_path / "cache").glob("*/compared.bin"))


def test_at_most_a_thousand_faces_are_held_out() -> None:
    train, held_out = split_by_group(np.arange(20_000))
    assert (len(train), len(held_out)) == (19_000, 1_000)


@given(
    hashes=hnp.arrays(np.uint64, st.tuples(st.integers(1, 40), st.just(4))),
    flips=st.lists(st.integers(0, 255), max_size=NEAR_DUPLICATE_BITS),
)
def test_hashes_that_hardly_differ_share_a_group(hashes: np.ndarray, flips: list[int]) -> None:
    near = hashes[0].copy()
    for bit in flips:
        near[bit // 64] ^= np.uint64(1 << bit % 64)
    hashes = np.concatenate([hashes, near[None]])
    groups = near_duplicate_groups(hashes)
    assert groups[0] == groups[-1]
    for i, j in np.argwhere(np.bitwise_count(hashes[:, None] ^ hashes).sum(2, dtype=int) <= NEAR_DUPLICATE_BITS):
        assert groups[i] == groups[j]


@given(bits=hnp.arrays(np.bool_, st.tuples(st.integers(1, 60), st.just(12))), columns=st.integers(1, 70))
def test_groups_are_those_of_comparing_each_with_each(bits: np.ndarray, columns: int) -> None:
    hashes = np.zeros((len(bits), 32), np.uint8)
    hashes[:, :12] = bits * 255  # each bit eight times: pairs differ in 0, 8, 16, 24, 32, 40 ... bits
    hashes = hashes.view(np.uint64)
    groups = np.arange(len(hashes))
    for i, j in np.argwhere(np.bitwise_count(hashes[:, None] ^ hashes).sum(2, dtype=int) <= NEAR_DUPLICATE_BITS):
        groups[groups == groups[i]] = groups[j]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganime.faces.duplicates.HASH_COLUMNS", columns)
        found = near_duplicate_groups(hashes)
    assert np.array_equal(found[:, None] == found, groups[:, None] == groups)


def test_hashes_far_apart_stay_apart() -> None:
    hashes = np.array([[0, 0, 0, 0], [2**33 - 1, 0, 0, 0], [2**64 - 1] * 4], np.uint64)
    assert len(set(near_duplicate_groups(hashes).tolist())) == 3


# --- the stream of batches


def numbers_of(batch: torch.Tensor, dataset: FaceDataset) -> list[int]:
    """Which face of the dataset each picture of a batch is."""
    known = {image.tobytes(): number for number, image in enumerate(dataset.images)}
    pixels = ((batch + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1)
    return [known[picture.contiguous().numpy().tobytes()] for picture in pixels]


def test_a_batch_is_floats_between_minus_one_and_one_in_channels_last(faces: FaceDataset) -> None:
    batch = faces.batch(0, 16, 0, flip=True)
    assert batch.shape == (16, 3, SIDE, SIDE)
    assert batch.dtype == torch.float32
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert -1 <= batch.min() < -0.5 < 0.5 < batch.max() <= 1


def test_faces_in_the_memory_of_a_device_give_the_same_batches(faces: FaceDataset) -> None:
    resident = torch.from_numpy(np.array(faces.images))  # what `on` gives for a GPU, here on the CPU
    for start in (0, 40):
        assert torch.equal(faces.batch(start, 32, 3, True), faces.batch(start, 32, 3, True, resident))
    assert faces.on(torch.device("cpu")) is None


@pytest.mark.parametrize("count", [1, 7, 16, 60, 200])
def test_every_training_face_comes_once_an_epoch(faces: FaceDataset, count: int) -> None:
    size = len(faces.train)
    seen: list[int] = []
    while len(seen) < 3 * size:
        seen += numbers_of(faces.batch(len(seen), count, 5, flip=False), faces)
    epochs = [seen[start : start + size] for start in range(0, 3 * size, size)]
    for epoch in epochs:
        assert Counter(epoch) == Counter(faces.train.tolist())
    assert len({tuple(epoch) for epoch in epochs}) == 3


@given(start=st.integers(0, 200), count=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_the_stream_is_the_same_from_any_start(faces: FaceDataset, start: int, count: int, seed: int) -> None:
    whole = faces.batch(0, 240, seed, flip=False)
    assert torch.equal(faces.batch(start, count, seed, flip=False), whole[start : start + count])


@given(start=st.integers(0, 200), count=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_the_mirrored_stream_is_the_same_from_any_start(faces: FaceDataset, start: int, count: int, seed: int) -> None:
    whole = faces.batch(0, 240, seed, flip=True)
    assert torch.equal(faces.batch(start, count, seed, flip=True), whole[start : start + count])


def test_the_order_of_an_epoch_is_drawn_once_for_all_its_batches(
    faces: FaceDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    default_rng = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda seed: drawn.append(seed) or default_rng(seed))
    for start in range(0, len(faces.train), 8):
        faces.batch(start, min(8, len(faces.train) - start), 123_456, flip=True)
    assert drawn == [[123_456, 0], [123_456, 0, 1]]


def test_seeds_shuffle_differently_and_reproducibly(faces: FaceDataset) -> None:
    assert torch.equal(faces.batch(32, 16, 1, flip=True), faces.batch(32, 16, 1, flip=True))
    assert not torch.equal(faces.batch(0, 16, 1, flip=False), faces.batch(0, 16, 2, flip=False))


def test_a_batch_far_into_a_run_costs_no_more(faces: FaceDataset) -> None:
    begun = time.perf_counter()
    assert len(faces.batch(10**12, 16, 0, flip=True)) == 16
    assert time.perf_counter() - begun < 1


def test_about_half_of_the_faces_are_mirrored(faces: FaceDataset) -> None:
    count, total, mirrored = 64, 6400, 0
    both_ways: dict[int, set[bool]] = {}
    for start in range(0, total, count):
        plain, shown = faces.batch(start, count, 3, flip=False), faces.batch(start, count, 3, flip=True)
        for number, before, after in zip(numbers_of(plain, faces), plain, shown, strict=True):
            turned = not torch.equal(before, after)
            if turned:
                assert torch.equal(before.flip(2), after)
            mirrored += turned
            both_ways.setdefault(number, set()).add(turned)
    assert abs(mirrored / total - 0.5) < 5 * 0.5 / total**0.5
    assert all(ways == {True, False} for ways in both_ways.values())


def test_batches_touch_no_global_source(faces: FaceDataset) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    faces.batch(0, 16, 0, flip=True)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]
