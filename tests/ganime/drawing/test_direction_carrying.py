"""Directions that are carried over to another model: those that work are kept, with their origin, and no others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ganime.drawing.direction_carrying import carried_directions
from ganime.drawing.directions import Direction, Directions, load_directions
from ganime.embedded import EMBEDDED
from ganime.models.checkpoint import load_checkpoint
from ganime.nets.anime_features import load_features


@pytest.mark.slow
def test_directions_that_work_are_carried_over_and_those_that_do_not_are_dropped() -> None:
    checkpoint = load_checkpoint(EMBEDDED)
    own = load_directions(checkpoint.folder, checkpoint.revision, checkpoint.generator.config.latent_dim)
    assert own
    noise = np.random.default_rng(0).normal(size=own.latent_dim).astype(np.float32) / 8
    parent = Directions(
        "parent",
        "",
        (
            own["red_hair"],
            replace(own["smile"], vector=noise),
            replace(own["red_hair"], name="unknown_attribute"),
            Direction("mine", "own", noise),
            Direction("sefa-1", "sefa", noise),
        ),
    )
    *_, found = carried_directions(checkpoint, load_features(), parent, judged=48)
    assert isinstance(found, Directions)
    named = [item for item in found.items if item.kind in ("attribute", "own")]
    assert [(item.name, item.origin) for item in named] == [("red_hair", "parent"), ("mine", "parent")]
    assert named[0].effect
    assert named[0].effect.flips >= 0.4
    assert found.revision == checkpoint.revision
    assert {item.origin for item in found.items if item.kind in ("sefa", "pca")} <= {""}  # found anew
