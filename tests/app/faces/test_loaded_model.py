"""A loaded model: faces by recipe, files, the tools, directions, and what is refused."""

from __future__ import annotations

import io
import threading
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.faces.library import EMBEDDED_KEY, START_KEY
from app.faces.loaded_model import LOCKS, LoadedModel, file_names, zip_of
from app.faces.studio import Studio
from app.settings import Settings
from ganime.drawing.clarity import DEFAULT_CLARITY, best_seeds
from ganime.drawing.direction_search import group
from ganime.drawing.recipe import Recipe, decoded, encoded, file_stem
from ganime.drawing.sampling import generate, generate_recipes
from ganime.errors import CheckpointError, RecipeError
from ganime.images import png_bytes
from ganime.nets.prepared import PreparedGenerator
from tests.pictures import nearly_equal


def recipe_in(png: bytes) -> Recipe:
    return Recipe.from_json(Image.open(io.BytesIO(png)).info["ganime"])


def test_faces_of_consecutive_seeds_are_those_of_the_engine(model: LoadedModel) -> None:
    recipes = model.recipes(3, 5, 1.0)
    assert [recipe.seed for recipe in recipes] == [5, 6, 7]
    assert nearly_equal(model.draw(recipes).faces, generate(model.checkpoint, [5, 6, 7]))


def test_seed_0_follows_the_largest_seed(model: LoadedModel) -> None:
    assert [recipe.seed for recipe in model.recipes(3, 2**32 - 2, 1.0)] == [2**32 - 2, 2**32 - 1, 0]


@pytest.mark.parametrize(
    ("count", "seed", "truncation"),
    [(0, 0, 1.0), (65, 0, 1.0), (4, -1, 1.0), (4, 0, 9.0), ("4", 0, 1.0), (float("nan"), 0, 1.0)],
)
def test_values_that_name_no_face_are_refused(model: LoadedModel, count: Any, seed: int, truncation: float) -> None:
    with pytest.raises(RecipeError):
        model.recipes(count, seed, truncation)


@pytest.mark.parametrize("frames", [1, 121, 0])
def test_frames_of_a_path_are_limited(model: LoadedModel, frames: int) -> None:
    with pytest.raises(RecipeError, match="frames"):
        model.path_recipes(1, 2, frames, 1.0)


def test_a_path_leads_from_one_face_to_the_other(model: LoadedModel) -> None:
    first, middle, last = model.path_recipes(1, 2, 3, 0.5)
    assert (first.position, middle.position, last.position) == (0.0, 0.5, 1.0)
    assert {(one.seed, one.toward, one.truncation) for one in (first, middle, last)} == {(1, 2, 0.5)}


def test_a_png_names_the_model_that_drew_it_whatever_the_recipe_claims(model: LoadedModel) -> None:
    [png] = model.pngs([Recipe("someone else's", "0" * 12, 4)])
    recipe = recipe_in(png)
    assert (recipe.model, recipe.revision, recipe.seed) == ("tiny", model.checkpoint.revision, 4)


def test_a_zip_has_one_file_for_each_recipe_and_the_recipe_in_it(model: LoadedModel, recipe: Recipe) -> None:
    recipes = [recipe, *model.vary(recipe, 0.4, 3).recipes]
    with zipfile.ZipFile(io.BytesIO(zip_of(recipes, model.pngs(recipes)))) as archive:
        assert archive.namelist() == [f"{file_stem(recipe)}.png" for recipe in recipes]
        assert recipe_in(archive.read(archive.namelist()[3])) == recipes[3]
        assert Image.open(io.BytesIO(archive.read("face-7.png"))).size == (32, 32)


def test_file_names_say_what_was_edited_and_number_only_the_further_faces_of_a_name() -> None:
    assert file_names([Recipe("", "", seed) for seed in (3, 4, 3)]) == ["face-3.png", "face-4.png", "face-3-2.png"]
    edited = [Recipe("", "", 3, vector=encoded(np.full(8, value, np.float32))) for value in (0, 1, 1)]
    between = Recipe("", "", 3, toward=14, position=0.25)
    names = file_names([*edited, between])
    assert all(name.startswith("face-3-edited-") for name in names[:3])
    assert len(set(names)) == 4
    assert (names[2], names[3]) == (names[1].replace(".png", "-2.png"), "face-3-14-25.png")


def test_threads_that_draw_at_once_draw_the_same_faces(model: LoadedModel) -> None:
    recipes = model.recipes(4, 0, 1.0)
    drawn: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: drawn.append(model.draw(recipes).faces)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(drawn) == 6
    assert all(np.array_equal(faces, drawn[0]) for faces in drawn)


def test_every_edited_face_is_drawn_again_from_its_recipe(model: LoadedModel, recipe: Recipe) -> None:
    others = [Recipe("tiny", recipe.revision, seed, 0.8) for seed in (8, 9)]
    for drawn in (
        model.vary(recipe, 0.4, 3),
        model.steer(recipe, {"smile": 2.0, "sefa-1": -1.0}),
        model.breed([recipe, *others], 0.1, 3),
        model.arithmetic(recipe, *others),
    ):
        assert all(one.truncation == pytest.approx(0.8) for one in drawn.recipes)
        assert nearly_equal(drawn.faces, generate_recipes(model.checkpoint, drawn.recipes))


def test_a_slider_at_0_and_a_variation_of_strength_0_are_the_face_itself(model: LoadedModel, recipe: Recipe) -> None:
    face = generate(model.checkpoint, [7], 0.8)
    for drawn in (model.vary(recipe, 0.0, 1, 1), model.steer(recipe, {"smile": 0.0})):
        assert abs(drawn.faces.astype(int) - face.astype(int)).max() <= 3  # a latent is stored in 16 bits


def test_a_slider_moves_the_latent_along_its_direction(model: LoadedModel, recipe: Recipe) -> None:
    low, high = (model.steer(recipe, {"smile": amount}).recipes[0].vector for amount in (-3.0, 3.0))
    assert low
    assert high
    assert decoded(high)[0] > decoded(low)[0] + 2


@pytest.mark.parametrize("lock", LOCKS)
def test_a_roll_keeps_what_is_locked_and_changes_the_rest(steered_studio: Studio, lock: str) -> None:
    model = steered_studio.open(EMBEDDED_KEY)
    face = Recipe(model.checkpoint.name, model.checkpoint.revision, 7, 0.9, clarity=0.3)
    ways = [item.vector for item in model.directions().items if group(item.name) in LOCKS[lock]]
    assert ways
    [z] = model.untruncated([face])
    rolled = model.roll_beside(face, [1, 2, 3], [lock]).recipes
    for recipe, seed in zip(rolled, (1, 2, 3), strict=True):
        [there] = model.untruncated([recipe])
        np.testing.assert_allclose(np.stack(ways) @ there, np.stack(ways) @ z, atol=0.02)  # recipes have 16 bits
        [fresh] = model.untruncated([replace(face, seed=seed)])
        assert np.corrcoef(there, fresh)[0, 1] > 0.7
        assert (recipe.truncation, recipe.clarity) == (0.9, 0.3)
    varied = model.untruncated(model.vary(face, 0.6, 1, locks=[lock]).recipes)
    np.testing.assert_allclose(varied @ np.stack(ways).T, np.tile(z @ np.stack(ways).T, (8, 1)), atol=0.02)


def test_a_lock_that_nothing_of_the_model_decides_has_no_effect(model: LoadedModel, recipe: Recipe) -> None:
    for locks in ([], ["hair"], ["hair", "eyes"]):  # its one named direction is the smile
        drawn = model.roll_beside(recipe, [1, 2], locks)
        assert nearly_equal(drawn.faces, generate(model.checkpoint, [1, 2], 0.8))
    assert not nearly_equal(
        model.roll_beside(recipe, [1, 2], ["expression"]).faces, generate(model.checkpoint, [1, 2], 0.8)
    )


def test_an_unknown_lock_and_too_many_seeds_are_refused(model: LoadedModel, recipe: Recipe) -> None:
    for locks in (["nose"], ["hair", "\x1b[31m"]):
        with pytest.raises(RecipeError, match="hair, eyes, expression"):
            model.roll_beside(recipe, [1], locks)
        with pytest.raises(RecipeError, match="hair, eyes, expression"):
            model.vary(recipe, 0.3, 1, locks=locks)
    for seeds in ([], range(65), [-1], [2**32]):
        with pytest.raises(RecipeError):
            model.roll_beside(recipe, list(seeds), [])


def test_a_face_of_another_model_is_refused_by_its_name(model: LoadedModel, recipe: Recipe) -> None:
    with pytest.raises(RecipeError, match=r"owner/else.*Load its model first"):
        model.draw([recipe, Recipe("owner/else", "0" * 12, 4)])


def test_a_visitors_direction_has_no_fitted_name(model: LoadedModel, recipe: Recipe) -> None:
    with pytest.raises(CheckpointError, match="smile"):
        model.direction_of_sliders("smile", {"sefa-1": 1.0}, {})
    with pytest.raises(CheckpointError, match="smile"):
        model.direction_between("smile", recipe, Recipe("tiny", recipe.revision, 8))


def test_a_model_without_directions_is_steered_by_those_of_its_first_layer(tiny_folder: Path, tmp_path: Path) -> None:
    studio = Studio(Settings(model=str(tiny_folder), home=tmp_path, training="off"))
    model = studio.open(START_KEY)
    assert {name.partition("-")[0] for name in model.directions().names} == {"sefa", "pca"}
    again = studio.open(START_KEY).directions()
    assert again.items[0] is model.directions().items[0]  # computed once
    [seven] = model.recipes(1, 7, 1.0)
    assert not nearly_equal(model.steer(seven, {"sefa-1": 3.0}).faces, model.draw([seven]).faces)


def test_first_steps_of_searches_draw_few_faces_at_a_time(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    batches, picture = [], png_bytes(generate(model.checkpoint, [5])[0])
    draw = PreparedGenerator.__call__

    def counted(prepared: PreparedGenerator, z: Any) -> Any:
        batches.append(len(z))
        return draw(prepared, z)

    monkeypatch.setattr(PreparedGenerator, "__call__", counted)
    for steps in (model.project(picture), model.choose(["smile"], 0)):
        for _ in zip(range(4), steps, strict=False):
            pass
    assert len(batches) == 8
    assert max(batches) <= 16


def test_the_embedded_model_draws_without_a_hub(steered_studio: Studio) -> None:
    model = steered_studio.open(EMBEDDED_KEY)
    faces = model.draw(model.recipes(2, 5, 1.0)).faces
    assert nearly_equal(faces, generate(model.checkpoint, [5, 6], clarity=DEFAULT_CLARITY))


@pytest.mark.parametrize("clarity", [float("nan"), 0.96, -1, {"a": 1}, True, "0.5"])
def test_a_clarity_out_of_range_is_refused_for_every_model(steered_studio: Studio, clarity: Any) -> None:
    for key in (START_KEY, EMBEDDED_KEY):  # without and with a clarity
        with pytest.raises(RecipeError, match="clarity"):
            steered_studio.open(key).recipes(1, 1, 1.0, clarity)


def test_a_model_without_a_clarity_draws_latents_unchanged(steered_studio: Studio) -> None:
    model = steered_studio.open(START_KEY)
    assert model.default_clarity == 0
    assert [recipe.clarity for recipe in model.recipes(2, 1, 1.0, 0.7)] == [0, 0]


def test_the_first_faces_of_a_model_are_among_the_clearest_where_a_clarity_tells(
    steered_studio: Studio, model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(model.openers) == list(range(3, 9))  # it has no clarity
    monkeypatch.setattr("app.faces.loaded_model.OPENERS", {})
    embedded = steered_studio.open(EMBEDDED_KEY)
    assert embedded.openers == best_seeds(embedded.checkpoint, 3, 6)
