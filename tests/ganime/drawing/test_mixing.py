"""Neighbours, children and sums of faces: lengths are kept, seeds name results, recipes hold them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganime.drawing.mixing import arithmetic, breed, norm, recipes_between, recipes_of, vary
from ganime.drawing.recipe import Recipe, encoded, latent, latents, rounded, walk
from ganime.drawing.sampling import generate_recipes, render
from ganime.errors import RecipeError
from ganime.models.checkpoint import Checkpoint

LENGTH = 1e-3  # relative, for numbers of 16 bits


def norms(z: np.ndarray) -> np.ndarray:
    return np.linalg.norm(z.astype(np.float64), axis=1)


@given(seed=st.integers(0, 2**32 - 1), strength=st.floats(0, 1))
def test_variations_are_as_long_as_the_face(seed: int, strength: float) -> None:
    z = latent(seed, 128)
    found = vary(z, strength, 4, seed)
    assert (found.shape, found.dtype) == ((4, 128), np.float32)
    np.testing.assert_allclose(norms(found), norm(z), rtol=LENGTH)


def test_variations_go_from_the_face_itself_to_strangers() -> None:
    z = latent(7, 128)
    np.testing.assert_array_equal(vary(z, 0.0, 3), rounded(np.stack([z] * 3)))
    cosines = [(vary(z, strength, 64) @ z).mean() / norm(z) ** 2 for strength in (0, 0.25, 0.5, 0.75, 1)]
    assert cosines == sorted(cosines, reverse=True)
    assert abs(cosines[-1]) < 0.05


def test_a_seed_names_its_variations_and_children() -> None:
    z, parents = latent(7, 128), latents([1, 2, 3], 128)
    np.testing.assert_array_equal(vary(z, 0.3, 8, 5)[:4], vary(z, 0.3, 4, 5))
    assert not np.array_equal(vary(z, 0.3, 4, 5), vary(z, 0.3, 4, 6))
    np.testing.assert_array_equal(breed(parents, 8, 0.1, 5)[:4], breed(parents, 4, 0.1, 5))
    assert not np.array_equal(breed(parents, 4, 0.1, 5), breed(parents, 4, 0.1, 6))
    assert len({child.tobytes() for child in breed(parents, 8)}) == 8


@given(seeds=st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=5), mutation=st.floats(0, 1))
def test_children_are_as_long_as_their_parents(seeds: list[int], mutation: float) -> None:
    parents = latents(seeds, 64)
    children = norms(breed(parents, 4, mutation, seeds[0]))
    assert (children >= norms(parents).min() * (1 - LENGTH)).all()
    assert (children <= norms(parents).max() * (1 + LENGTH)).all()


def test_crossed_children_have_each_number_from_one_parent() -> None:
    parents = latents([1, 2], 128)
    for child in breed(parents, 8)[::2]:
        scale = norm(child) / norm(np.where(abs(child - parents[0]) < abs(child - parents[1]), *parents))
        nearest = np.minimum(abs(child / scale - parents[0]), abs(child / scale - parents[1]))
        assert nearest.max() < 0.1
        from_first = (abs(child / scale - parents[0]) < abs(child / scale - parents[1])).mean()
        assert 0.3 < from_first < 0.7


def test_blended_children_lie_between_their_parents() -> None:
    parents = latents([1, 2], 128)
    for child in breed(parents, 8)[1::2]:
        weights, left = np.linalg.lstsq(parents.T, child, rcond=None)[:2]
        assert (weights >= -1e-3).all()
        assert left[0] < 1e-2


def test_mutation_takes_children_away_from_their_parents() -> None:
    parents = latents([1, 2], 128)
    none, some, all_new = (breed(parents, 32, rate, 3) @ parents.mean(0) for rate in (0.0, 0.3, 1.0))
    assert none.mean() > some.mean() > all_new.mean()
    assert abs(all_new.mean()) < 0.2 * none.mean()


def test_arithmetic_undoes_itself_and_restores_the_length() -> None:
    a, b, c = latents([1, 2, 3], 128)
    np.testing.assert_allclose(arithmetic(a, a, c) / norm(arithmetic(a, a, c)), c / norm(c), atol=1e-3)
    found = arithmetic(a, b, c)
    assert norm(found) == pytest.approx((norm(a) + norm(b) + norm(c)) / 3, rel=LENGTH)
    assert found @ (a - b + c) / norm(found) / norm(a - b + c) == pytest.approx(1, abs=1e-4)
    np.testing.assert_array_equal(arithmetic(a, a, np.zeros_like(a)), np.zeros_like(a))


def test_recipes_draw_the_very_faces_that_were_shown(tiny: Checkpoint) -> None:
    children = breed(latents([1, 2], 8), 5)
    recipes = recipes_of(tiny, children, Recipe(tiny.name, tiny.revision, 9))
    np.testing.assert_array_equal(generate_recipes(tiny, recipes), render(tiny.prepared, children))
    again = [Recipe.from_json(recipe.to_json()) for recipe in recipes]
    np.testing.assert_array_equal(generate_recipes(tiny, again), render(tiny.prepared, children))
    assert {(recipe.model, recipe.revision, recipe.seed) for recipe in again} == {("tiny", tiny.revision, 9)}


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan"), "1", None, True])
def test_strengths_and_rates_out_of_range_are_refused(strength: Any) -> None:
    with pytest.raises(RecipeError, match="strength"):
        vary(latent(1, 8), strength)
    with pytest.raises(RecipeError, match="mutation"):
        breed(latents([1, 2], 8), 4, strength)


@pytest.mark.parametrize("count", [0, -1, 257, 2.5, True, "8"])
def test_counts_out_of_range_are_refused(count: Any) -> None:
    for call in (lambda: vary(latent(1, 8), 0.5, count), lambda: breed(latents([1, 2], 8), count)):
        with pytest.raises(RecipeError, match="1 to 256"):
            call()


@pytest.mark.parametrize("parents", [0, 1, 17])
def test_a_child_has_two_to_sixteen_parents(parents: int) -> None:
    with pytest.raises(RecipeError, match="2 to 16 parents"):
        breed(latents(range(parents), 8))


def test_faces_between_two_seeds_are_named_by_both(tiny: Checkpoint) -> None:
    a, b = (Recipe("tiny", tiny.revision, seed, 0.9) for seed in (3, 14))
    between = recipes_between(tiny, a, b, 4)
    assert [(face.seed, face.toward, face.position) for face in between] == [(3, 14, 0.25), (3, 14, 0.5), (3, 14, 0.75)]
    assert {face.truncation for face in between} == {0.9}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"truncation": 0.5}, {"truncation": 1.0}),
        ({"toward": 5, "position": 0.3}, {}),
        ({"vector": encoded(latent(9, 8))}, {"truncation": 1.2}),
        ({"vector": encoded(latent(9, 8)), "truncation": 0.8}, {"truncation": 0.8}),
    ],
)
def test_faces_between_any_two_are_those_of_a_walk(
    tiny: Checkpoint, first: dict[str, Any], second: dict[str, Any]
) -> None:
    a, b = Recipe("tiny", tiny.revision, 3, **first), Recipe("tiny", tiny.revision, 14, **second)
    between = recipes_between(tiny, a, b, 5)
    ends = np.stack([a.latent(8), b.latent(8)])
    np.testing.assert_allclose([face.latent(8) for face in between], walk(ends, 6)[1:-1], atol=5e-3)
    assert [Recipe.from_json(face.to_json()) for face in between] == between


def test_clarity_changes_evenly_between_two_faces(tiny: Checkpoint) -> None:
    a, b = (Recipe("tiny", tiny.revision, 3, clarity=clarity) for clarity in (0.2, 0.6))
    assert [face.clarity for face in recipes_between(tiny, a, b, 4)] == pytest.approx([0.3, 0.4, 0.5])


@pytest.mark.parametrize("steps", [0, 1, 65, 2.5, "4"])
def test_the_number_of_steps_between_two_faces_is_limited(tiny: Checkpoint, steps: Any) -> None:
    face = Recipe("tiny", tiny.revision, 3)
    with pytest.raises(RecipeError, match="2 to 64"):
        recipes_between(tiny, face, face, steps)
