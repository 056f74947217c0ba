"""Films: frames through the faces, files of each kind with their recipes inside, and what is refused."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from app.faces import walks
from app.faces.loaded_model import LoadedModel
from app.faces.walks import Frames, MixedFrames, SavedFile, Walk, draw_film, draw_walk
from ganime import images
from ganime.drawing.recipe import Recipe
from ganime.drawing.sampling import generate_recipes
from ganime.errors import GanimeError, RecipeError
from tests.pictures import nearly_equal


def test_a_walk_passes_all_its_faces_and_is_exported_as_each_kind(model: LoadedModel, recipe: Recipe) -> None:
    recipes = (recipe, Recipe("tiny", model.checkpoint.revision, 8), Recipe("tiny", model.checkpoint.revision, 9))
    for easing in ("linear", "smooth"):
        *_, last = draw_walk(model, Walk(recipes, 12, easing=easing).latents(model))
        assert isinstance(last, Frames)
        assert nearly_equal(last.pixels[[0, 4, 8]], generate_recipes(model.checkpoint, recipes))
    for suffix, kind in ((".gif", "GIF"), (".webp", "WEBP"), (".png", "PNG")):
        *_, last = draw_film(model, Walk(recipes, 12), 25, suffix, 256)
        assert isinstance(last, SavedFile)
        assert last.name == f"film{suffix}"
        film = Image.open(io.BytesIO(last.data))
        assert (film.format, film.size, getattr(film, "n_frames", 1)) == (kind, (256, 256), 12)
        assert json.loads(images.recipe_in(last.data))["faces"] == [
            {"seed": 7, "truncation": 0.8},
            {"seed": 8},
            {"seed": 9},
        ]


def test_a_film_as_mp4_lasts_as_long_as_its_recipe_says(model: LoadedModel, recipe: Recipe) -> None:
    *_, last = draw_film(model, Walk((recipe, recipe), 24, True, "smooth"), 12, ".mp4", 256)
    assert isinstance(last, SavedFile)
    with av.open(io.BytesIO(last.data)) as film:
        stream = film.streams.video[0]
        assert (stream.frames, stream.width, stream.height) == (24, 256, 256)
    recipe_inside = json.loads(images.recipe_in(last.data))
    assert (recipe_inside["seconds"], recipe_inside["loop"], recipe_inside["easing"]) == (1.0, True, "smooth")


def test_a_film_that_cannot_be_written_here_says_what_to_install(
    model: LoadedModel, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "mp4_works", lambda: False)
    events = draw_film(model, Walk((recipe, recipe), 4), 20, ".mp4", 0)
    with pytest.raises(GanimeError, match="pip install av"):
        next(events)


@pytest.mark.parametrize("frames", [1, 601, 2.5])
def test_frames_of_a_walk_are_limited(recipe: Recipe, frames: Any) -> None:
    with pytest.raises(RecipeError, match="2 to 600"):
        Walk((recipe, recipe), frames)


def test_frames_of_a_large_film_are_limited(model: LoadedModel, recipe: Recipe) -> None:
    with pytest.raises(RecipeError, match="at most 180 frames; got 181"):
        next(draw_film(model, Walk((recipe, recipe), 181), 20, ".gif", 512))


def test_frames_between_given_ones_are_mixed_from_both() -> None:
    black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 200, np.uint8)
    mixed = MixedFrames(np.stack([black, white, black]), np.array([0, 4, 6]), 7)
    frames = np.stack([mixed[number] for number in range(len(mixed))])
    assert frames.dtype == np.uint8
    assert frames[:, 0, 0, 0].tolist() == [0, 50, 100, 150, 200, 100, 0]


def test_of_a_large_film_a_limited_number_of_frames_is_sharpened(
    model: LoadedModel, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def enlarge(faces: np.ndarray, size: int) -> Iterator[np.ndarray]:
        asked.append(len(faces))
        return (np.full((size, size, 3), 128, np.uint8) for _ in faces)

    monkeypatch.setattr(model, "sharpened", enlarge)
    monkeypatch.setattr(walks, "SHARPENED_FRAMES", 3)
    *_, last = draw_film(model, Walk((recipe, recipe), 10), 20, ".mp4", 512)
    assert isinstance(last, SavedFile)
    with av.open(io.BytesIO(last.data)) as film:
        assert (film.streams.video[0].frames, film.streams.video[0].width) == (10, 512)
    assert asked == [3]
