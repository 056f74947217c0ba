"""Choosing: faces that carry what was asked for, found or searched, each kept as a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ganime.drawing import attribute_search as choosing
from ganime.drawing.attribute_search import ChosenFaces, SearchProgress, choose_faces
from ganime.drawing.clarity import BEST_OF, best_seeds
from ganime.drawing.sampling import generate, generate_recipes
from ganime.errors import RecipeError
from ganime.models.checkpoint import Checkpoint
from ganime.nets.anime_features import FeatureNet, extract


def chosen(events: Iterator[SearchProgress | ChosenFaces]) -> ChosenFaces:
    *before, last = events
    assert before
    assert all(isinstance(event, SearchProgress) for event in before)
    assert isinstance(last, ChosenFaces)
    return last


def test_most_faces_carry_the_hair_colour_asked_for(embedded: Checkpoint, net: FeatureNet) -> None:
    choice = chosen(choose_faces(embedded, net, ["blue_hair"], 8))
    assert len(choice.faces) == len(choice.recipes) == 8
    assert choice.probabilities.min() > 0.9  # of many that match, those of which nobody doubts it
    np.testing.assert_array_equal(generate_recipes(embedded, choice.recipes), choice.faces)
    seen = extract(net, choice.faces)[1][:, [net.attributes.index("blue_hair")]]
    np.testing.assert_allclose(seen, choice.probabilities, atol=1e-5)
    assert (np.diff(choice.probabilities[:, 0]) <= 0).all()  # the surest first
    assert choice.seconds > 0


@pytest.mark.slow
def test_rare_wishes_are_searched_for(embedded: Checkpoint, net: FeatureNet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "MAX_DRAWN", 64)
    wanted = ["green_hair", "red_eyes", "glasses"]
    events = list(choose_faces(embedded, net, wanted, 2, seed=5))
    choice = chosen(iter(events))
    assert choice.searched > 0
    early = [recipe for event in events if isinstance(event, SearchProgress) for recipe in event.recipes]
    assert early  # a face is reported once it matches, before the search ends
    places = [net.attributes.index(name) for name in wanted]
    assert (extract(net, generate_recipes(embedded, list(dict.fromkeys(early))))[1][:, places] > 0.5).all()
    assert choice.carries.mean() >= 0.5
    np.testing.assert_array_equal(generate_recipes(embedded, choice.recipes), choice.faces)
    lengths = [np.linalg.norm(recipe.latent(128)) for recipe in choice.recipes]
    assert all(8 < length < 15 for length in lengths)  # where the model's latents lie


def test_the_clearest_of_every_four_seeds_are_looked_at(
    embedded: Checkpoint, net: FeatureNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "MIN_DRAWN", 64)
    monkeypatch.setattr(choosing, "MAX_DRAWN", 64)
    choice = chosen(choose_faces(embedded, net, ["long_hair"], 6, seed=5, clarity=0.35))
    assert {recipe.seed for recipe in choice.recipes} <= set(best_seeds(embedded, 5, 64, BEST_OF))
    assert {recipe.clarity for recipe in choice.recipes} == {0.35}
    np.testing.assert_array_equal(generate_recipes(embedded, choice.recipes), choice.faces)


@pytest.mark.slow
def test_found_faces_are_those_of_plain_seeds(tiny: Checkpoint, net: FeatureNet) -> None:
    first = chosen(choose_faces(tiny, net, ["blue_hair"], 3, seed=2**32 - 2, truncation=0.7))
    again = chosen(choose_faces(tiny, net, ["blue_hair"], 3, seed=2**32 - 2, truncation=0.7))
    assert first.recipes == again.recipes
    for recipe, face in zip(first.recipes, first.faces, strict=True):
        if recipe.vector is None:
            np.testing.assert_array_equal(generate(tiny, [recipe.seed], 0.7)[0], face)
    assert len({recipe.seed for recipe in first.recipes}) == 3


@pytest.mark.parametrize("wanted", [[], ["moustache"], "smile", ["smile", "wings"]])
def test_wishes_that_the_network_does_not_know_are_refused(tiny: Checkpoint, net: FeatureNet, wanted: Any) -> None:
    with pytest.raises(RecipeError, match=r"Ask for one or more of blonde_hair"):
        next(choose_faces(tiny, net, wanted))


@pytest.mark.parametrize("values", [{"count": 0}, {"count": 300}, {"seed": -1}, {"truncation": 0.0}])
def test_values_out_of_range_are_refused(tiny: Checkpoint, net: FeatureNet, values: dict[str, Any]) -> None:
    with pytest.raises(RecipeError):
        next(choose_faces(tiny, net, ["smile"], **values))
