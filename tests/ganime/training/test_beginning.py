"""What a new run begins from: the embedded model, the critic and the frozen layers on few faces."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ganime.config import RECIPES
from ganime.models.checkpoint import Checkpoint
from ganime.nets.critic import FeatureCritic
from ganime.training.beginning import (
    FEW_FACES,
    FROZEN_LAYERS,
    config_for_start,
    default_start,
)

MODERN, CLASSIC = RECIPES["modern"][0], RECIPES["classic"][0]


def test_few_faces_start_from_the_embedded_model_with_its_discriminator() -> None:
    start = default_start(MODERN, FEW_FACES - 1)
    assert start is not None
    assert start.name == "anime-128"
    assert start.discriminator is not None
    assert start.critic is not None


def test_many_faces_and_the_classic_recipe_start_from_scratch() -> None:
    assert default_start(MODERN, FEW_FACES) is None
    assert default_start(CLASSIC, 100) is None


@pytest.mark.parametrize(
    ("faces", "has_critic", "keep", "weight"),
    [
        (100, False, False, 0.0),
        (100, False, True, 1.0),
        (100, True, False, 1.0),
        (FEW_FACES, False, False, 1.0),
    ],
)
def test_few_faces_use_the_critic_of_their_start_or_none_unless_asked(
    tiny: Checkpoint, faces: int, has_critic: bool, keep: bool, weight: float
) -> None:
    start = replace(tiny, critic=FeatureCritic.fresh(32) if has_critic else None)
    assert config_for_start(MODERN, 32, faces, start, keep).critic == weight


def test_few_faces_freeze_the_first_layers_of_a_discriminator_that_does_not_grow(
    tiny: Checkpoint, embedded: Checkpoint
) -> None:
    assert config_for_start(MODERN, 32, 100, tiny).freeze == FROZEN_LAYERS
    assert config_for_start(MODERN, 64, 100, embedded).freeze == FROZEN_LAYERS
    for image_size, faces, start in (
        (64, 100, tiny),
        (32, FEW_FACES, tiny),
        (32, 100, replace(tiny, discriminator=None)),
        (32, 100, None),
    ):
        assert config_for_start(MODERN, image_size, faces, start).freeze == 0
