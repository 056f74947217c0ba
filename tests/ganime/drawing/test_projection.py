"""Projection: the model's own faces are found again, and the reported distance is correct."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ganime.drawing import projection
from ganime.drawing.projection import Projection, ProjectionProgress, project
from ganime.drawing.sampling import generate, generate_recipes
from ganime.errors import DataError, RecipeError
from ganime.models.checkpoint import Checkpoint
from ganime.nets.anime_features import FeatureNet, extract
from tests.pictures import nearly_equal


@pytest.mark.slow
def test_a_generated_face_is_found(embedded: Checkpoint, net: FeatureNet) -> None:
    [target] = generate(embedded, [77])
    *steps, found = project(embedded, net, target)
    assert isinstance(found, Projection)
    assert found.percentile < 5
    assert found.distance < 0.6 * found.typical
    apart = np.linalg.norm(extract(net, found.face[None])[0] - extract(net, target[None])[0])
    assert found.distance == pytest.approx(apart, rel=1e-3)
    [again] = generate_recipes(embedded, [found.recipe])
    np.testing.assert_array_equal(again, found.face)
    assert all(isinstance(step, ProjectionProgress) and step.face.shape == (128, 128, 3) for step in steps)
    for step in steps[::40]:
        assert isinstance(step, ProjectionProgress)
        assert nearly_equal(generate_recipes(embedded, [step.recipe])[0], step.face)
    progress = [step.progress for step in steps if isinstance(step, ProjectionProgress)]
    assert progress == sorted(progress)
    assert progress[0] == 0
    assert progress[-1] == pytest.approx(1)
    assert 0.7 < np.linalg.norm(found.z) / np.sqrt(128) < 1.4


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search of few steps, where it does not matter how far it gets."""
    monkeypatch.setattr(projection, "FIRST_STEPS", 10)
    monkeypatch.setattr(projection, "LAST_STEPS", 20)


def test_a_search_that_is_stopped_has_the_latent_of_the_face_on_view(
    tiny: Checkpoint, net: FeatureNet, draw_face: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"CANDIDATES": 16, "FIRST_STEPS": 6, "LAST_STEPS": 6}.items():
        monkeypatch.setattr(projection, name, value)
    *steps, _ = project(tiny, net, np.asarray(draw_face(1, 32)))
    assert len(steps) == 1 + 6 + 6
    for step in steps:
        assert isinstance(step, ProjectionProgress)
        assert nearly_equal(generate_recipes(tiny, [step.recipe])[0], step.face)


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
def test_projection_goes_downwards_and_ends_at_the_same_face_again(tiny: Checkpoint, net: FeatureNet) -> None:
    [target] = generate(tiny, [3])
    *steps, found = project(tiny, net, target, seed=4)
    losses = [step.loss for step in steps if isinstance(step, ProjectionProgress)]
    assert losses[0] == float("inf")
    assert losses[-1] < losses[1]
    assert isinstance(found, Projection)
    *_, again = project(tiny, net, target, seed=4)
    assert isinstance(again, Projection)
    assert again.recipe == found.recipe


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
def test_a_stranger_is_told_from_a_match(tiny: Checkpoint, net: FeatureNet, draw_face: Callable[..., Any]) -> None:
    *_, own = project(tiny, net, generate(tiny, [3])[0])
    *_, stranger = project(tiny, net, np.asarray(draw_face(1, 32)))
    assert isinstance(own, Projection)
    assert isinstance(stranger, Projection)
    assert stranger.distance > own.distance
    assert stranger.percentile > own.percentile


@pytest.mark.parametrize(
    "picture", [np.zeros((64, 64, 3), np.uint8), np.zeros((32, 32), np.uint8), np.zeros((32, 32, 3))]
)
def test_pictures_of_another_shape_are_refused(tiny: Checkpoint, net: FeatureNet, picture: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"uint8 \(32, 32, 3\)"):
        next(project(tiny, net, picture))
    with pytest.raises(RecipeError, match="seed"):
        next(project(tiny, net, np.zeros((32, 32, 3), np.uint8), seed=-1))
