"""Avatars: what is removed, what stays, the shapes, and which faces are refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ganime.drawing.avatar import avatar, flooded, opacity
from ganime.errors import DataError
from ganime.shapes import UInt8

SIDE = 64


@pytest.fixture
def face() -> UInt8[np.ndarray, "h w 3"]:
    """A red disc with a white hole in the middle, on nearly white ground."""
    image = Image.new("RGB", (SIDE, SIDE), (250, 250, 248))
    draw = ImageDraw.Draw(image)
    draw.ellipse((14, 14, 50, 50), (200, 40, 40))
    draw.ellipse((28, 28, 36, 36), (250, 250, 248))
    pixels = np.array(image).astype(int) + np.random.default_rng(0).integers(-3, 4, (SIDE, SIDE, 3))
    return pixels.clip(0, 255).astype(np.uint8)


def test_background_goes_and_what_the_face_encloses_stays(face: np.ndarray) -> None:
    alpha = opacity(face)
    assert alpha[0, 0] == alpha[5, 32] == alpha[-1, -1] == 0
    assert alpha[20, 32] == alpha[32, 32] == 255  # the disc, and the white inside of it
    assert abs((alpha > 128).mean() - np.pi * 18**2 / SIDE**2) < 0.03


@pytest.mark.parametrize("gap", [0, 6])
def test_white_clothes_on_white_ground_stay_even_where_their_outline_has_a_gap(face: np.ndarray, gap: int) -> None:
    image = Image.fromarray(face).resize((SIDE * 4, SIDE * 4))
    draw = ImageDraw.Draw(image)
    draw.ellipse((32, 192, 224, 400), (250, 250, 248), (90, 80, 80), width=3)  # shoulders, down to the lower edge
    pixels = np.array(image)
    pixels[192:220, 180 : 180 + gap] = (250, 250, 248)
    alpha = opacity(pixels)
    assert (alpha[230:, 80:176] == 255).all()
    assert (alpha[:180, :40] == 0).all()
    assert (alpha[200:224, [8, -8]] == 0).all()  # beside the shoulders


def test_pixels_that_mix_with_the_background_lose_its_colour(face: np.ndarray) -> None:
    large = np.asarray(Image.fromarray(face).resize((SIDE * 2, SIDE * 2), Image.Resampling.BILINEAR))
    cut = avatar(large, transparent=True)
    mixed = (cut[..., 3] > 100) & (cut[..., 3] < 255)
    assert mixed.any()
    assert cut[mixed][:, 1].mean() < large[mixed][:, 1].mean()  # less white in the red


def test_enlarged_face_has_no_pale_rim_and_no_specks_beside_it(face: np.ndarray) -> None:
    face[4:7, 56:59] = (200, 200, 210)
    large = np.asarray(Image.fromarray(face).resize((SIDE * 8, SIDE * 8), Image.Resampling.BICUBIC))
    cut = avatar(large, transparent=True)
    rows, columns = np.mgrid[: SIDE * 8, : SIDE * 8] - SIDE * 4
    rim = np.hypot(rows, columns) > 14 * 8  # beyond the hole in the middle
    assert cut[rim & (cut[..., 3] > 25)][:, 1].max() < 110  # red; the background would be 250
    assert cut[: 10 * 8, 54 * 8 :, 3].max() == 0


@pytest.mark.parametrize("pixels", [np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)])
def test_face_without_a_plain_background_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(DataError, match="one plain colour"):
        avatar(pixels, transparent=True)
    with pytest.raises(DataError):
        avatar(np.full((SIDE, SIDE, 3), 255, np.uint8), transparent=True)  # nothing would be left
    assert avatar(pixels).shape == (SIDE, SIDE, 4)


def test_circle_is_round_and_smooth(face: np.ndarray) -> None:
    alpha = avatar(face, "circle")[..., 3]
    assert alpha[0, 0] == 0
    assert alpha[32, 32] == 255
    assert (alpha / 255).mean() == pytest.approx(np.pi / 4, abs=0.005)
    assert ((alpha > 0) & (alpha < 255)).any()


@pytest.mark.parametrize("transparent", [False, True])
def test_banner_is_three_times_as_wide_with_the_face_in_the_middle(face: np.ndarray, transparent: bool) -> None:
    picture = avatar(face, "banner", transparent)
    assert picture.shape == (SIDE, 3 * SIDE, 4)
    assert picture[0, 0, 3] == (0 if transparent else 255)
    assert np.abs(picture[0, 0, :3].astype(int) - (250, 250, 248)).max() <= 4
    assert tuple(picture[20, 96, :3] // 60) == (3, 0, 0)


def test_unknown_shape_is_refused(face: np.ndarray) -> None:
    with pytest.raises(DataError, match="circle"):
        avatar(face, "star")


def test_a_path_through_the_whole_picture_is_followed_to_its_end() -> None:
    path = np.zeros((64, 64), bool)
    path[::2] = True  # rows, joined at alternating ends
    path[1::4, -1] = path[3::4, 0] = True
    start, other = np.zeros_like(path), np.zeros_like(path)
    start[0, 0] = True
    other[::2] = True
    assert (flooded(start, path) == path).all()
    assert (flooded(start, other) == (np.arange(64) == 0)[:, None]).all()  # the first row alone


def test_each_pixel_is_visited_once(monkeypatch: pytest.MonkeyPatch) -> None:
    visited, unique = [], np.unique
    monkeypatch.setattr(np, "unique", lambda pixels: visited.append(unique(pixels)) or visited[-1])
    everything = np.ones((40, 40), bool)
    corner = np.zeros_like(everything)
    corner[0, 0] = True
    assert flooded(corner, everything).all()
    assert len(np.concatenate(visited)) == everything.size - 1
