"""Clarity: latents climb to where faces are predicted to be clear, each by itself and no further than asked for."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganime import generate as generate_faces
from ganime.drawing.clarity import DEFAULT_CLARITY, best_seeds, clear, default_clarity
from ganime.drawing.clarity_fitting import ClarityFit, fit_clarity, fit_network, held_axes, units, with_quantiles
from ganime.drawing.clarity_scores import see
from ganime.drawing.mixing import mean_settings
from ganime.drawing.projection import clearer_than
from ganime.drawing.recipe import MAX_SEED, Recipe, latents
from ganime.drawing.sampling import generate, generate_recipes, interpolate, recipes_for
from ganime.errors import CheckpointError, ConfigError, RecipeError
from ganime.files import read_facts, read_tensors, save_tensors
from ganime.models.checkpoint import Checkpoint, export_model, load_checkpoint, save_checkpoint
from ganime.nets.anime_features import FeatureNet
from ganime.nets.clarity import CLARITY_FILE, Clarity, orthonormal, save_clarity, unit

DIM = 16
SHARES = [0.3, 0.7, 0.95]


@pytest.fixture(scope="module")
def fitted() -> ClarityFit:
    """A clarity for latents of 16 numbers whose faces are clear where the first number is large."""
    z = np.random.default_rng(0).standard_normal((1500, DIM)).astype(np.float32)
    u = units(z)
    colours = 1 / (1 + np.exp(-3 * u[:, 1:2]))  # one colour, which the second number decides
    scores = u[:, 0] + 0.3 * u[:, 2] ** 2
    return with_quantiles(fit_network(u[150:], scores[150:]), held_axes(z, colours), z, scores, 150)


@pytest.fixture(scope="module")
def clarity(fitted: ClarityFit) -> Clarity:
    return fitted.clarity


@pytest.fixture
def fresh() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((200, DIM)).astype(np.float32)


@pytest.fixture(scope="module")
def clear_folder(tiny: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny model, whose faces are clear where their first number is large."""
    folder = tmp_path_factory.mktemp("clear") / "tiny"
    save_checkpoint(tiny, folder)
    dim = tiny.generator.config.latent_dim
    z = np.random.default_rng(0).standard_normal((1000, dim)).astype(np.float32)
    u = units(z)
    found = with_quantiles(fit_network(u, u[:, 0]), np.zeros((0, dim)), z, u[:, 0], 100)
    save_clarity(found.clarity, tiny.revision, folder)
    return folder


@pytest.fixture(scope="module")
def model(clear_folder: Path) -> Checkpoint:
    return load_checkpoint(clear_folder)


# --- moving latents


def test_the_prediction_holds_on_latents_it_was_not_fitted_to(fitted: ClarityFit, fresh: np.ndarray) -> None:
    assert fitted.explained > 0.9
    u = np.stack([unit(row) for row in fresh])
    predicted = fitted.clarity.predict(fresh)
    assert np.corrcoef(predicted, u[:, 0] + 0.3 * u[:, 2] ** 2)[0, 1] > 0.95


def test_many_latents_are_predicted_as_each_by_itself(clarity: Clarity, fresh: np.ndarray) -> None:
    predicted = clarity.predict(fresh)
    assert (predicted.shape, predicted.dtype) == ((200,), np.float64)
    alone = [clarity.value_and_gradient(unit(row))[0] for row in fresh]
    np.testing.assert_allclose(predicted, alone, rtol=1e-10)
    np.testing.assert_allclose(clarity.predict(fresh * np.float32(0.3)), predicted, rtol=1e-5)  # lengths do not count


@pytest.mark.parametrize("share", SHARES)
def test_every_latent_becomes_as_clear_as_asked_for(clarity: Clarity, fresh: np.ndarray, share: float) -> None:
    target = np.quantile(clarity.quantiles, share)
    before = clarity.predict(fresh)
    after = clarity.predict(np.stack([clarity.clear(row, share) for row in fresh]))
    assert (before < target).mean() == pytest.approx(share, abs=0.1)
    assert (after > target - 1e-3).mean() > 0.97  # a few give up at the last step
    assert (after >= before - 1e-6).all()


def test_a_latent_that_is_clear_already_is_unchanged(clarity: Clarity, fresh: np.ndarray) -> None:
    target = np.quantile(clarity.quantiles, 0.5)
    already = fresh[clarity.predict(fresh) >= target]
    assert len(already) > 50
    for row in already:
        assert np.array_equal(clarity.clear(row, 0.5), row)


def test_a_clarity_of_zero_changes_nothing(clarity: Clarity, fresh: np.ndarray) -> None:
    assert all(clarity.clear(row, 0.0) is row for row in fresh)


def test_the_latent_of_the_average_face_is_left_alone(clarity: Clarity) -> None:
    assert not clarity.clear(np.zeros(DIM, np.float32), 0.9).any()


@pytest.mark.parametrize("length", [0.3, 1.0, 1.5])
def test_lengths_do_not_change_and_do_not_matter(clarity: Clarity, fresh: np.ndarray, length: float) -> None:
    for row in fresh[:40]:
        scaled = clarity.clear(row * np.float32(length), 0.8)
        assert np.linalg.norm(scaled) == pytest.approx(length * np.linalg.norm(row), rel=1e-5)
        np.testing.assert_allclose(scaled, length * clarity.clear(row, 0.8), atol=1e-4)


def test_a_clearer_latent_lies_further_away(clarity: Clarity, fresh: np.ndarray) -> None:
    for row in fresh[:40]:
        ways = [np.linalg.norm(clarity.clear(row, share) - row) for share in (0.0, 0.4, 0.7, 0.95)]
        assert all(near <= far + 1e-4 for near, far in itertools.pairwise(ways))


def test_what_decides_the_colours_does_not_move(clarity: Clarity, fresh: np.ndarray) -> None:
    assert abs(clarity.held[0, 1]) > 0.99
    loose = replace(clarity, held=np.zeros((0, DIM)))
    for row in fresh[:40]:
        np.testing.assert_allclose(clarity.held @ clarity.clear(row, 0.9), clarity.held @ row, atol=1e-5)
    assert max(abs(clarity.held @ (loose.clear(row, 0.9) - row))[0] for row in fresh) > 0.1


def test_the_gradient_is_that_of_the_prediction(clarity: Clarity, fresh: np.ndarray) -> None:
    u = unit(fresh[0])
    _, slope = clarity.value_and_gradient(u)
    for axis in range(DIM):
        step = 1e-5 * np.eye(DIM)[axis]
        rise = clarity.value_and_gradient(u + step)[0] - clarity.value_and_gradient(u - step)[0]
        assert slope[axis] == pytest.approx(rise / 2e-5, abs=1e-6)


# --- drawing


def test_a_seed_gives_one_clear_face_in_any_batch(model: Checkpoint) -> None:
    together = generate(model, range(20), clarity=0.8)
    for seed in range(20):
        assert np.array_equal(generate(model, [seed], clarity=0.8)[0], together[seed])
        np.testing.assert_array_equal(
            clear(model, latents([seed], 8), 0.8), clear(model, latents(range(20), 8), 0.8)[seed : seed + 1]
        )


def test_recipes_with_clarity_draw_what_their_seeds_draw(model: Checkpoint) -> None:
    recipes = recipes_for(model, [3, 4, 5], 0.9, 0.7)
    assert np.array_equal(generate_recipes(model, recipes), generate(model, [3, 4, 5], 0.9, 0.7))
    read = [Recipe.from_json(recipe.to_json()) for recipe in recipes]
    assert read == recipes


def test_recipes_of_earlier_versions_draw_the_latent_unchanged(model: Checkpoint) -> None:
    old = Recipe.from_json(f'{{"model": "tiny", "revision": "{model.revision}", "seed": 3, "truncation": 1.0}}')
    assert old.clarity == 0
    assert "clarity" not in old.to_json()
    assert np.array_equal(generate_recipes(model, [old]), generate(model, [3]))


def test_every_frame_of_a_film_is_clear(model: Checkpoint) -> None:
    fitted = model.clarity
    assert fitted
    frames = interpolate(model, [1, 2], 9, clarity=0.9)
    halfway = Recipe("tiny", model.revision, 1, toward=2, position=0.5, clarity=0.9)
    assert np.array_equal(generate_recipes(model, [halfway])[0], frames[4])
    assert not np.array_equal(frames, interpolate(model, [1, 2], 9))


def test_a_model_draws_clear_by_default_only_where_one_was_fitted(model: Checkpoint, tiny: Checkpoint) -> None:
    assert (default_clarity(model), default_clarity(tiny)) == (DEFAULT_CLARITY, 0)
    assert np.array_equal(generate_faces(model, [1, 2]), generate(model, [1, 2], clarity=DEFAULT_CLARITY))
    assert np.array_equal(generate_faces(tiny, [1, 2]), generate(tiny, [1, 2]))


@pytest.mark.parametrize(("first", "best_of"), [(0, 8), (5, 3), (2**32 - 7, 4), (9, 64)])
def test_of_every_few_seeds_the_clearest_is_chosen(model: Checkpoint, first: int, best_of: int) -> None:
    chosen = best_seeds(model, first, 6, best_of)
    assert model.clarity is not None
    dim = model.generator.config.latent_dim
    for number, seed in enumerate(chosen):
        group = [(first + number * best_of + place) % 2**32 for place in range(best_of)]
        assert seed in group
        z = latents([seed, *group], dim)
        places = [model.clarity.share_below(row) for row in z]
        assert places[0] == max(places)
    assert best_seeds(model, first, 3, best_of) == chosen[:3]


def test_chosen_seeds_are_clearer_the_more_there_are_to_choose_from(model: Checkpoint) -> None:
    assert model.clarity is not None
    dim = model.generator.config.latent_dim
    means = [
        np.mean([model.clarity.share_below(row) for row in latents(best_seeds(model, 0, 60, best_of), dim)])
        for best_of in (1, 2, 8)
    ]
    assert means[0] < 0.6 < means[1] < 0.8 < means[2]  # the best of n is expected at n / (n + 1)


def test_every_seed_is_the_best_of_one(tiny: Checkpoint) -> None:
    assert best_seeds(tiny, MAX_SEED, 3, 1) == [MAX_SEED, 0, 1]
    assert best_seeds(tiny, 0, 0, 1) == []


def test_a_model_without_a_clarity_has_no_best_seeds(tiny: Checkpoint) -> None:
    with pytest.raises(RecipeError, match=r"No clarity was fitted to tiny.*best_of to 1"):
        best_seeds(tiny, 0, 4)


@pytest.mark.parametrize("count", [-1, 1.5, "4", None])
def test_seeds_are_counted_in_whole_numbers(model: Checkpoint, count: Any) -> None:
    with pytest.raises(RecipeError, match="count is a whole number"):
        best_seeds(model, 0, count)


@pytest.mark.parametrize(("first", "best_of"), [(-1, 8), (2**32, 8), (0, 0), (0, 65), (0, 1.5), (0, True)])
def test_first_seeds_and_numbers_to_choose_from_have_limits(model: Checkpoint, first: int, best_of: int) -> None:
    with pytest.raises(RecipeError, match=r"whole number from"):
        best_seeds(model, first, 4, best_of)


def test_a_model_without_a_clarity_refuses_one_by_name(tiny: Checkpoint) -> None:
    with pytest.raises(RecipeError, match=tiny.name):
        generate(tiny, [1], clarity=0.5)


@pytest.mark.parametrize("share", [-0.1, 0.96, float("nan"), "0.5", None, True])
def test_a_clarity_out_of_range_is_refused(model: Checkpoint, share: float) -> None:
    with pytest.raises(RecipeError, match="clarity"):
        clear(model, latents([1], 8), share)
    with pytest.raises(RecipeError, match="clarity"):
        Recipe("tiny", "", 1, clarity=share)


def test_the_embedded_models_draw_clear_faces(embedded: Checkpoint) -> None:
    assert default_clarity(embedded) == DEFAULT_CLARITY
    z = latents(range(64), embedded.generator.config.latent_dim)
    moved = (clear(embedded, z, DEFAULT_CLARITY) != z).any(1)
    assert 0.2 < moved.mean() < 0.5


# --- files


def test_a_clarity_is_read_as_it_was_written(model: Checkpoint, clear_folder: Path) -> None:
    first = model.clarity
    assert first
    assert (clear_folder / CLARITY_FILE).stat().st_size < 300_000
    np.testing.assert_allclose(first.held @ first.held.T, np.eye(len(first.held)), atol=1e-9)


def test_an_exported_model_keeps_its_clarity(model: Checkpoint, tmp_path: Path) -> None:
    export_model(model, tmp_path / "out")
    again = load_checkpoint(tmp_path / "out")
    assert np.array_equal(generate(again, [1, 2], clarity=0.8), generate(model, [1, 2], clarity=0.8))


def test_a_clarity_of_other_weights_is_refused(model: Checkpoint, clear_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(clear_folder, tmp_path / "other")
    assert model.clarity
    save_clarity(model.clarity, "0123456789ab", tmp_path / "other")
    with pytest.raises(CheckpointError, match="0123456789ab"):
        _ = load_checkpoint(tmp_path / "other").clarity


@pytest.mark.parametrize("factor", [np.nan, np.inf, 1e9])
def test_a_clarity_that_could_not_be_read_again_is_not_written(
    model: Checkpoint, clear_folder: Path, tmp_path: Path, factor: float
) -> None:
    assert model.clarity
    first, *others = model.clarity.weights
    with pytest.raises(CheckpointError, match="not stored"):
        save_clarity(replace(model.clarity, weights=(first * factor, *others)), model.revision, tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["cut", "held", "nan", "huge", "scalar", "whole numbers", "missing"])
def test_a_damaged_clarity_is_refused_with_the_file_named(
    model: Checkpoint, clear_folder: Path, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(clear_folder, folder)
    path, clarity = folder / CLARITY_FILE, model.clarity
    assert clarity
    tensors, facts = read_tensors(path), read_facts(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage in ("nan", "huge"):
        quantiles = tensors["quantiles"].float() * (np.nan if damage == "nan" else 1e9)
        save_tensors(tensors | {"quantiles": quantiles}, path, facts=facts)
    elif damage == "held":
        save_clarity(replace(clarity, held=np.eye(9)), model.revision, folder)
    else:
        held = {"scalar": torch.tensor(1.0), "whole numbers": tensors.pop("held").int()}
        save_tensors(tensors | ({"held": held[damage]} if damage in held else {}), path, facts=facts)
    with pytest.raises(CheckpointError, match=CLARITY_FILE):
        _ = load_checkpoint(folder).clarity


def test_a_model_keeps_its_clarity_when_the_file_is_gone(clear_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(clear_folder, tmp_path / "m")
    checkpoint = load_checkpoint(tmp_path / "m")
    before = generate(checkpoint, [1, 2], clarity=0.9)
    (tmp_path / "m" / CLARITY_FILE).unlink()
    assert np.array_equal(generate(checkpoint, [1, 2], clarity=0.9), before)


def test_a_latent_along_what_is_held_is_left_alone(clarity: Clarity) -> None:
    z = np.float32(3) * clarity.held[0].astype(np.float32)
    assert np.isfinite(clarity.clear(z, 0.95)).all()


def test_recipes_without_clarity_need_none(clear_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(clear_folder, tmp_path / "m")
    (tmp_path / "m" / CLARITY_FILE).write_bytes(b"damaged")
    checkpoint = load_checkpoint(tmp_path / "m")
    assert np.array_equal(generate_faces(checkpoint, recipes_for(checkpoint, [1, 2])), generate(checkpoint, [1, 2]))
    assert clearer_than(checkpoint, latents([1], checkpoint.generator.config.latent_dim)[0]) is None


def test_a_face_is_clearer_than_as_many_as_its_place_says(model: Checkpoint, tiny: Checkpoint) -> None:
    z = latents(range(400), model.generator.config.latent_dim)
    shares = np.array([clearer_than(model, each) for each in z], np.float64)
    assert shares.min() < 0.1 < 0.9 < shares.max()
    assert shares.mean() == pytest.approx(0.5, abs=0.1)
    [moved] = clear(model, z[:1], 0.9)
    assert clearer_than(model, moved) == pytest.approx(0.9, abs=0.05)
    assert clearer_than(model, np.zeros_like(moved)) is None
    assert clearer_than(tiny, moved) is None


@pytest.mark.parametrize("count", range(2, 17))
def test_children_of_the_clearest_faces_are_as_clear(count: int) -> None:
    parents = [Recipe("tiny", "", seed, 1.1, clarity=0.95) for seed in range(count)]
    assert (mean_settings(parents).clarity, mean_settings(parents).truncation) == pytest.approx((0.95, 1.1))


# --- fitting


@pytest.mark.slow
def test_a_fit_reports_progress_and_is_the_same_each_time(tiny: Checkpoint, net: FeatureNet) -> None:
    reference = see(net, generate(tiny, range(900, 950)), 32)
    *progress, first = fit_clarity(tiny, net, reference, faces=500)
    *_, again = fit_clarity(tiny, net, reference, faces=500)
    assert progress == sorted(progress)
    assert progress[0] == 0
    assert isinstance(first, ClarityFit)
    assert isinstance(again, ClarityFit)
    for one, two in zip(first.clarity.weights, again.clarity.weights, strict=True):
        assert np.array_equal(one, two)
    assert first.clarity.held.shape[1] == tiny.generator.config.latent_dim


@pytest.mark.parametrize(("faces", "real"), [(499, 50), (500, 7)])
def test_too_few_faces_to_fit_to_are_refused(tiny: Checkpoint, net: FeatureNet, faces: int, real: int) -> None:
    with pytest.raises(ConfigError, match=str(faces if faces < 500 else real)):
        next(fit_clarity(tiny, net, see(net, np.zeros((real, 32, 32, 3), np.uint8), 32), faces))


def test_a_basis_is_orthonormal_and_spans_the_rows() -> None:
    rows = np.random.default_rng(0).standard_normal((3, 8))
    basis = orthonormal(rows)
    np.testing.assert_allclose(basis @ basis.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(rows @ basis.T @ basis, rows, atol=1e-12)
