"""Pictures as files: PNGs exact to the pixel with their recipe, sheets, and animations."""

from __future__ import annotations

import contextlib
import io
import json
import weakref
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from ganime import images
from ganime.drawing.recipe import Recipe
from ganime.errors import GanimeError
from ganime.images import (
    MAX_SIDE,
    RECIPE_KEY,
    bytes_within,
    jpeg_bytes,
    png_bytes,
    read_recipe,
    recipe_in,
    resize_picture,
    save_animation,
    sheet,
)

squares = st.integers(1, 12).flatmap(lambda side: hnp.arrays(np.uint8, (side, side, 3)))
batches = st.tuples(st.integers(1, 9), st.integers(1, 4), st.integers(1, 4)).flatmap(
    lambda shape: hnp.arrays(np.uint8, (*shape, 3))
)


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        assert image.mode == "RGB"
        return np.asarray(image)


def noise(count: int, side: int = 16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)


def test_a_picture_gets_the_best_quality_that_fits_or_else_the_last() -> None:
    [picture] = map(Image.fromarray, noise(1))
    sizes = [len(bytes_within(picture, 10**9, "JPEG", [quality])) for quality in (90, 60, 30)]
    assert sizes == sorted(sizes, reverse=True)
    for most in (sizes[0], sizes[1], sizes[2] - 1):
        fitting = next((size for size in sizes if size <= most), sizes[2])
        assert len(bytes_within(picture, most, "JPEG", (90, 60, 30))) == fitting


def test_a_jpeg_keeps_thin_coloured_lines_and_is_closer_at_a_higher_quality() -> None:
    picture = np.full((64, 64, 3), 255, np.uint8)
    picture[:, 20:22] = (200, 0, 80)
    shown = {}
    for quality in (50, 90):
        with Image.open(io.BytesIO(jpeg_bytes(picture, quality)), formats=["JPEG"]) as image:
            shown[quality] = np.asarray(image).astype(int)
    apart = {quality: abs(pixels - picture).mean() for quality, pixels in shown.items()}
    assert apart[90] < apart[50]
    assert abs(shown[90][:, 20:22] - picture[:, 20:22]).max() < 10  # with colours at half resolution it is 36


def read_frames(path: Path) -> tuple[list[np.ndarray], list[float], int]:
    """All frames as RGB, how long each is shown (ms), and how often they are repeated, 0 for ever."""
    frames, durations = [], []
    with Image.open(path) as image:
        for number in range(image.n_frames):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB")))
            durations.append(image.info["duration"])
        return frames, durations, image.info["loop"]


# --- PNG


@given(face=squares, recipe=st.text('{"seed": 1}é漢🙂\n', max_size=40))
def test_png_gives_back_every_pixel_and_the_recipe(face: np.ndarray, recipe: str) -> None:
    data = png_bytes(face, recipe)
    assert np.array_equal(pixels(data), face)
    assert read_recipe(data) == recipe


def test_a_real_recipe_comes_back_whole_from_a_png() -> None:
    recipe = Recipe('anime/漢字 "x"', "0123456789ab", 2**32 - 1, 0.7, 5, 0.25)
    assert Recipe.from_json(read_recipe(png_bytes(noise(1)[0], recipe.to_json()))) == recipe


def test_a_png_without_a_recipe_reads_as_empty_text() -> None:
    data = png_bytes(noise(1)[0])
    assert read_recipe(data) == ""
    with Image.open(io.BytesIO(data)) as image:
        assert RECIPE_KEY not in image.info


@pytest.mark.parametrize("size", [1, 8, 16, 33, 256])
def test_a_png_can_be_scaled_and_keeps_its_recipe(size: int) -> None:
    data = png_bytes(noise(1)[0], "text", size)
    assert pixels(data).shape == (size, size, 3)
    assert read_recipe(data) == "text"


def test_scaling_to_its_own_size_changes_no_pixel() -> None:
    face = noise(1)[0]
    assert np.array_equal(pixels(png_bytes(face, size=16)), face)


@pytest.mark.parametrize("size", [-1, 0, MAX_SIDE + 1, 10**9])
def test_sizes_out_of_range_are_refused(size: int) -> None:
    with pytest.raises(GanimeError, match="1 to 2048"):
        resize_picture(Image.fromarray(noise(1)[0]), size)


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"not a picture", b"GIF89a" + bytes(50)])
def test_data_that_are_not_a_png_are_refused(data: bytes) -> None:
    with pytest.raises(GanimeError, match="readable PNG"):
        read_recipe(data)


def test_other_picture_formats_are_refused() -> None:
    buffer = io.BytesIO()
    Image.fromarray(noise(1)[0]).save(buffer, "JPEG")
    with pytest.raises(GanimeError, match="readable PNG"):
        read_recipe(buffer.getvalue())


@given(cut=st.integers(0, 400), place=st.integers(0, 400), value=st.integers(0, 255))
def test_a_damaged_png_gives_text_or_a_plain_refusal(cut: int, place: int, value: int) -> None:
    whole = png_bytes(noise(1, 8)[0], '{"seed": 1}')
    damaged = bytearray(whole)
    damaged[place % len(whole)] = value
    for data in (whole[:cut], bytes(damaged)):
        with contextlib.suppress(GanimeError):
            assert isinstance(read_recipe(data), str)


# --- sheets


@given(faces=batches, columns=st.integers(1, 12))
def test_a_sheet_gives_back_every_face_in_order(faces: np.ndarray, columns: int) -> None:
    count, height, width, _ = faces.shape
    picture = sheet(faces, columns)
    rows = -(-count // columns)
    assert picture.shape == (rows * height, columns * width, 3)
    for number in range(rows * columns):
        row, column = divmod(number, columns)
        tile = picture[row * height : (row + 1) * height, column * width : (column + 1) * width]
        assert np.array_equal(tile, faces[number] if number < count else np.zeros_like(tile))


# --- animations


@pytest.mark.parametrize("suffix", [".webp", ".png", ".apng", ".WEBP"])
def test_lossless_animations_give_back_every_pixel(tmp_path: Path, suffix: str) -> None:
    frames, path = noise(7), tmp_path / f"walk{suffix}"
    save_animation(frames, path, fps=25)
    found, durations, loop = read_frames(path)
    assert np.array_equal(np.stack(found), frames)
    assert durations == [40] * 7
    assert loop == 0


def test_a_gif_has_all_frames_and_looks_like_them(tmp_path: Path) -> None:
    frames = np.stack([np.full((16, 16, 3), level, np.uint8) for level in range(0, 250, 25)])
    frames[:, :8, :, 0] = 255 - frames[:, :8, :, 0]
    path = tmp_path / "walk.gif"
    save_animation(frames, path, fps=25)
    found, durations, loop = read_frames(path)
    assert len(found) == len(frames)
    assert abs(np.stack(found).astype(int) - frames).max() <= 8
    assert durations == [40] * len(frames)
    assert loop == 0


@pytest.mark.parametrize("suffix", [".webp", ".png", ".gif"])
@pytest.mark.parametrize("fps", [1, 10, 20, 50])
def test_an_animation_lasts_as_long_as_its_rate_says(tmp_path: Path, suffix: str, fps: float) -> None:
    path = tmp_path / f"walk{suffix}"
    save_animation(noise(5), path, fps)
    _, durations, _ = read_frames(path)
    assert sum(durations) == pytest.approx(5 * 1000 / fps, rel=0.01)


@pytest.mark.parametrize("suffix", [".webp", ".png", ".gif"])
def test_an_animation_that_pauses_lasts_as_long(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"walk{suffix}"
    save_animation(noise(3).repeat([3, 1, 2], 0), path, fps=10)
    found, durations, _ = read_frames(path)
    assert len(found) in (3, 6)  # a format may show one frame for longer instead of repeating it
    assert sum(durations) == 600


@pytest.mark.parametrize("suffix", [".webp", ".png", ".gif"])
def test_equal_frames_can_be_saved(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"still{suffix}"
    flat = np.full((6, 16, 16, 3), 90, np.uint8)
    save_animation(flat, path, fps=10)
    with Image.open(path) as image:
        assert abs(np.asarray(image.convert("RGB")).astype(int) - 90).max() <= 8


@pytest.mark.parametrize("suffix", [".webp", ".png", ".gif"])
def test_animations_can_be_scaled(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"walk{suffix}"
    save_animation(noise(3), path, size=48)
    found, _, _ = read_frames(path)
    assert [frame.shape for frame in found] == [(48, 48, 3)] * 3


class Counting:
    """Frames that note how many coloured pictures of their size are in memory when one of them is asked for."""

    def __init__(self, frames: np.ndarray) -> None:
        self.frames, self.most = frames, 0
        self.made: list[weakref.ref[Image.Image]] = []  # all pictures

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, number: int) -> np.ndarray:
        alive = [picture for reference in self.made if (picture := reference()) is not None]
        self.most = max(self.most, sum((each.mode, each.size) == ("RGB", (33, 33)) for each in alive))
        return self.frames[number]


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".mp4"])
def test_one_frame_of_an_animation_is_in_memory_at_a_time(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, make = Counting(noise(9)), Image.Image.__init__

    def note(picture: Image.Image) -> None:
        make(picture)
        frames.made.append(weakref.ref(picture))

    monkeypatch.setattr(Image.Image, "__init__", note)
    save_animation(frames, tmp_path / f"film{suffix}", size=33)
    assert 1 <= frames.most <= 2


@pytest.mark.parametrize(("fps", "size", "side"), [(20, None, 16), (12.5, 33, 34), (60, 48, 48)])
def test_a_film_has_all_frames_at_its_speed_and_sides_that_every_player_takes(
    tmp_path: Path, fps: float, size: int | None, side: int
) -> None:
    frames = np.stack([np.full((16, 16, 3), level, np.uint8) for level in range(0, 250, 10)])
    path = tmp_path / "walk.mp4"
    save_animation(frames, path, fps, size)
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        found = np.stack([frame.to_ndarray(format="rgb24") for frame in film.decode(stream)])
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.duration * stream.time_base) == pytest.approx(len(frames) / fps)
    assert found.shape == (len(frames), side, side, 3)
    assert abs(found[:, :16, :16].mean((1, 2, 3)) - frames.mean((1, 2, 3))).max() <= 4


def test_a_film_is_refused_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "find_spec", lambda name: None)
    with pytest.raises(GanimeError, match="pip install av"):
        save_animation(noise(2), tmp_path / "walk.mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["walk.avi", "walk", "walk.jpg", ".webp"])
def test_other_suffixes_are_refused_with_the_list_of_suffixes(tmp_path: Path, name: str) -> None:
    with pytest.raises(GanimeError, match=r"\.gif, \.webp, \.png"):
        save_animation(noise(2), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_an_animation_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "walk.webp"
    path.write_bytes(b"before")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_animation(noise(2), path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("fps", "milliseconds"), [(20, 50), (40, 20), (60, 20), (1, 1000)])
def test_a_gif_is_never_so_fast_that_browsers_slow_it_down(tmp_path: Path, fps: float, milliseconds: int) -> None:
    save_animation(noise(3), tmp_path / "walk.gif", fps)
    _, durations, _ = read_frames(tmp_path / "walk.gif")
    assert set(durations) == {milliseconds}


@pytest.mark.parametrize("length", [1, 300, 40_000])
@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".mp4"])
def test_a_film_of_every_kind_contains_its_recipe(tmp_path: Path, suffix: str, length: int) -> None:
    recipe = json.dumps({"ganime": "film", "faces": "x" * length})
    path = tmp_path / f"film{suffix}"
    save_animation(noise(3), path, 20, 32, recipe)
    assert recipe_in(path.read_bytes()) == recipe


def test_the_recipe_of_a_face_is_found_as_that_of_a_film_is() -> None:
    assert recipe_in(png_bytes(noise(1)[0], '{"seed": 1}')) == '{"seed": 1}'


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".mp4"])
def test_a_film_without_a_recipe_reads_as_empty_text(tmp_path: Path, suffix: str) -> None:
    save_animation(noise(3), tmp_path / f"film{suffix}", 20, 32)
    assert recipe_in((tmp_path / f"film{suffix}").read_bytes()) == ""


def test_the_comment_of_another_programs_gif_is_no_recipe() -> None:
    buffer = io.BytesIO()
    Image.fromarray(noise(1)[0]).save(buffer, "GIF", comment=b"Made with love")
    assert recipe_in(buffer.getvalue()) == ""


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".mp4"])
def test_a_damaged_film_gives_text_or_a_plain_refusal(tmp_path: Path, suffix: str) -> None:
    save_animation(noise(2, 8), tmp_path / f"film{suffix}", 20, 16, '{"ganime": "film"}')
    whole = (tmp_path / f"film{suffix}").read_bytes()
    random = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[random.integers(len(whole))] = random.integers(256)
        for data in (bytes(damaged), whole[: random.integers(len(whole))]):
            with contextlib.suppress(GanimeError):
                assert isinstance(recipe_in(data), str)
