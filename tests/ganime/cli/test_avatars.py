"""The commands `avatar` and `grid`, and `sample --seeds`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganime.drawing.sampling import generate
from ganime.models.checkpoint import load_checkpoint
from tests.ganime.cli.common import Answer, assert_refused, drawn, recipe_in


def test_avatar_is_a_cropped_png_with_the_recipe_of_its_face(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.png"
    assert ganime("avatar", 7, "--model", tiny_folder, "--sharpen", 64, "--out", out).status == 0
    with Image.open(out) as picture:
        assert (picture.mode, picture.size) == ("RGBA", (64, 64))
        assert picture.getpixel((0, 0))[3] == 0  # type: ignore[index]
    recipe = recipe_in(out)
    assert (recipe.seed, recipe.sharpened) == (7, 64)
    assert ganime("avatar", 7, "--model", tiny_folder, "--sharpen", 0, "--shape", "banner", "--out", out).status == 0
    assert drawn(out).shape == (32, 96, 3)


def test_avatar_says_where_a_background_cannot_be_removed(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path
) -> None:
    options = ("--model", tiny_folder, "--sharpen", 0, "--out")
    assert_refused(ganime("avatar", 7, "--transparent", *options, tmp_path / "a.png"), "one plain colour")
    assert_refused(ganime("avatar", 7, "--shape", "star", *options, tmp_path / "a.png"), "circle")
    assert not list(tmp_path.glob("*.png"))


def test_grid_has_a_row_for_each_seed_and_a_column_for_each_amount(
    ganime: Callable[..., Answer], steered_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "grid.png"
    answer = ganime("grid", "--seeds", "3,14-15", "--by", "smile=-2,0", "--model", steered_folder, "--out", out)
    assert answer.status == 0, answer.error
    picture = drawn(out)
    assert picture.shape == (3 * 32, 2 * 32, 3)
    plain = generate(load_checkpoint(steered_folder), [3, 14, 15])
    assert np.abs(picture[:, 32:].astype(int) - np.concatenate(list(plain))).max() <= 3  # by 0: the face itself
    assert not np.array_equal(picture[:, :32], picture[:, 32:])


@pytest.mark.parametrize("by", ["smile", "smile=", "smile=1,x", "smile=4"])
def test_grid_refuses_other_amounts(
    ganime: Callable[..., Answer], steered_folder: Path, tmp_path: Path, by: str
) -> None:
    out = tmp_path / "grid.png"
    assert_refused(ganime("grid", "--seeds", "3", "--by", by, "--model", steered_folder, "--out", out), "--by")


def test_sample_draws_a_list_of_seeds(ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path) -> None:
    assert ganime("sample", "--seeds", "3,14-15", "--model", tiny_folder, "--out", tmp_path / "faces").status == 0
    assert sorted(path.name for path in (tmp_path / "faces").iterdir()) == ["face-14.png", "face-15.png", "face-3.png"]
    assert_refused(ganime("sample", "--seeds", "9-3", "--model", tiny_folder, "--out", tmp_path / "faces"), "9-3")
