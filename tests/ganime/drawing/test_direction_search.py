"""Fitting directions: slopes are recovered, rivals are left alone, and what is kept does what its name says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ganime.config import ModelConfig
from ganime.drawing import direction_search as direction_fit
from ganime.drawing.direction_search import (
    MAX_UNIT_LENGTH,
    MIN_EFFECT,
    UNIT_EFFECT,
    FaceReader,
    FitProgress,
    columns,
    factorised,
    find_directions,
    fit,
    group,
    independent,
    principal,
    unnamed_directions,
)
from ganime.drawing.directions import Directions, is_effective, steer
from ganime.drawing.recipe import latents
from ganime.drawing.sampling import generate, render
from ganime.embedded import EMBEDDED
from ganime.errors import ConfigError
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from ganime.nets.anime_features import FeatureNet, extract, load_features
from ganime.nets.dcgan import Generator


@pytest.fixture(scope="module")
def net() -> FeatureNet:
    return load_features()


def test_a_planted_slope_is_recovered() -> None:
    z = latents(range(2000), 16)
    planted = np.random.default_rng(0).normal(size=(3, 16)) / 4
    odds = z @ planted.T
    found = fit(z, (1 / (1 + np.exp(-odds))).astype(np.float32))
    for one, other in zip(found, planted / odds.std(0)[:, None], strict=True):
        np.testing.assert_allclose(one, other, atol=0.05)


def test_independence_takes_a_direction_away_from_its_rivals() -> None:
    slopes = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]], np.float32)
    ways = [independent(slopes, 0, [1, 2], weight) for weight in (0.0, 1.0, 10.0, 1e6)]
    crossing = [abs(way @ slopes[1]) / np.linalg.norm(way) for way in ways]
    assert crossing == sorted(crossing, reverse=True)
    assert crossing[-1] < 1e-4
    np.testing.assert_allclose(ways[0], [UNIT_EFFECT, 0, 0], atol=1e-6)
    assert all(way @ slopes[0] == pytest.approx(UNIT_EFFECT, rel=1e-4) for way in ways[:3])  # each moves its own as far
    assert all(np.linalg.norm(way) <= MAX_UNIT_LENGTH * (1 + 1e-6) for way in ways)
    assert np.linalg.norm(independent(slopes * 0.01, 0, [1, 2], 1.0)) == pytest.approx(MAX_UNIT_LENGTH, rel=1e-4)


def test_both_ways_without_names_find_what_the_first_layer_answers_most() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = Generator(ModelConfig(image_size=32, latent_dim=12, base_channels=4, max_channels=16)).eval()
        planted = torch.nn.functional.normalize(torch.randn(12), dim=0)
        with torch.no_grad():
            answer = torch.randn(1, 16, 4, 4)
            generator.stem[0].weight.add_(planted[:, None, None, None] * answer * 0.2)  # type: ignore[operator]
    for ways in (factorised(generator), principal(generator)):
        assert ways.shape == (6, 12)
        np.testing.assert_allclose(np.linalg.norm(ways, axis=1), 1, rtol=1e-4)
        assert abs(ways[0] @ planted.numpy()) > 0.9
        assert abs(ways[1] @ planted.numpy()) < 0.6


def test_columns_are_attributes_with_hair_length_as_one_and_brightness(net: FeatureNet) -> None:
    probabilities = np.full((2, len(net.attributes)), 0.5, np.float32)
    probabilities[:, net.attributes.index("long_hair")] = 0.9, 0.1
    probabilities[:, net.attributes.index("short_hair")] = 0.1, 0.3
    names, table = columns(net, probabilities, np.array([0.2, 0.7]))
    assert "long_hair" not in names
    assert "short_hair" not in names
    np.testing.assert_allclose(table[:, names.index("hair_length")], [0.9, 0.25])
    np.testing.assert_allclose(table[:, names.index("brightness")], [0.2, 0.7])
    assert table.shape == (2, len(names))


def test_what_excludes_an_attribute_is_no_rival_of_it(tiny: Checkpoint, net: FeatureNet) -> None:
    names, _ = columns(net, np.zeros((1, len(net.attributes)), np.float32), np.zeros(1))
    judge = FaceReader(tiny.generator, net, names, np.zeros(1))
    rivals = {name: {names[j] for j in judge.rivals(place)} for place, name in enumerate(names)}
    assert {"pink_hair", "brightness"}.isdisjoint(rivals["blonde_hair"])
    assert {"blue_eyes", "smile", "hair_length"} <= rivals["blonde_hair"]
    assert "green_eyes" not in rivals["blue_eyes"]
    assert {"blonde_hair", "brightness"} <= rivals["blue_eyes"]
    assert "brightness" not in rivals["brightness"]
    assert group("hair_length") != group("pink_hair") == group("blonde_hair")


@pytest.mark.slow
def test_kept_directions_move_what_they_name_and_little_else(net: FeatureNet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direction_fit, "VALIDATION_FACES", 16)
    monkeypatch.setattr(direction_fit, "UNNAMED_COUNT", 1)
    monkeypatch.setattr(direction_fit, "MIN_CLASS_FACES", 90)  # of 320: the commonest attributes alone
    embedded = load_checkpoint(EMBEDDED)
    *steps, found = find_directions(embedded, net, faces=320, judged=24)
    assert isinstance(found, Directions)
    assert (found.model, found.revision) == (embedded.name, embedded.revision)
    progress = [step.progress for step in steps if isinstance(step, FitProgress)]
    assert progress == sorted(progress)
    assert len(progress) == len(steps)
    named = [item for item in found.items if item.kind == "attribute"]
    assert {"hair_length", "brightness"} <= {item.name for item in named}
    for item in named:
        assert item.effect is not None
        assert item.effect.attribute == item.name
        assert is_effective(item.effect, *MIN_EFFECT)
    z = latents(range(24), 128)
    darker, brighter = (
        render(embedded.generator, steer(z, found, {"brightness": amount})).mean() for amount in (-3, 3)
    )
    assert darker + 10 < generate(embedded, range(24)).mean() < brighter - 10
    long_hair = net.attributes.index("long_hair")
    shorter, longer = (
        extract(net, render(embedded.generator, steer(z, found, {"hair_length": amount})))[1][:, long_hair].mean()
        for amount in (-3, 3)
    )
    assert longer > shorter + 0.5


def test_the_same_weights_give_the_same_directions(
    tiny: Checkpoint, net: FeatureNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direction_fit, "VALIDATION_FACES", 16)
    monkeypatch.setattr(direction_fit, "ACTIVATIONS", 64)
    *_, found = find_directions(tiny, net, faces=100, judged=16)
    *_, again = find_directions(tiny, net, faces=100, judged=16)
    assert isinstance(found, Directions)
    assert isinstance(again, Directions)
    assert found.items
    assert again.names == found.names
    for one, other in zip(again.items, found.items, strict=True):
        np.testing.assert_array_equal(one.vector, other.vector)
        assert one.effect == other.effect
        assert one.effect is not None
        assert one.effect.own >= 0


@pytest.mark.parametrize("values", [{"faces": 99}, {"judged": 15}])
def test_too_few_faces_are_refused(tiny: Checkpoint, net: FeatureNet, values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="at least 100 faces and 16 judged"):
        next(find_directions(tiny, net, **values))


def test_unnamed_directions_of_any_model_are_told_apart_by_kind_and_unlike_one_another(tiny: Checkpoint) -> None:
    found = unnamed_directions(tiny.generator)
    assert {item.kind for item in found} == {"sefa", "pca"}
    assert found[0].name == "sefa-1"
    ways = np.stack([item.vector for item in found])
    np.testing.assert_allclose(np.linalg.norm(ways, axis=1), direction_fit.UNNAMED_LENGTH, rtol=1e-5)
    alike = abs(ways @ ways.T) / direction_fit.UNNAMED_LENGTH**2 - np.eye(len(ways))
    assert alike.max() <= direction_fit.SAME_DIRECTION + 1e-5


def test_layer_that_answers_beyond_all_bounds_has_no_unnamed_directions() -> None:
    with torch.random.fork_rng(devices=[]):
        generator = Generator(ModelConfig(image_size=32, latent_dim=4, base_channels=4, max_channels=8)).eval()
    with torch.no_grad():
        norm = generator.stem[1]
        assert isinstance(norm, torch.nn.BatchNorm2d)
        assert norm.running_var is not None
        norm.running_var.fill_(-1.0)
    assert unnamed_directions(generator) == []
