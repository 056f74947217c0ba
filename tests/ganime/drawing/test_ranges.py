"""How far faces can be moved along a direction: as far as their predicted clarity holds, one step at least."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ganime.drawing.directions import MAX_STRENGTH, Direction, Directions, between, moved
from ganime.drawing.ranges import BAD, FIRST_SEED, JUDGED_FACES, STEP, TOLERATED, usable_ranges
from ganime.drawing.recipe import latents
from ganime.models.checkpoint import EMBEDDED, Checkpoint, load_checkpoint


@pytest.fixture(scope="module")
def model() -> Checkpoint:
    return load_checkpoint(EMBEDDED)


def directions_of(model: Checkpoint, *vectors: np.ndarray) -> Directions:
    items = tuple(Direction(f"d{number}", "own", vector) for number, vector in enumerate(vectors))
    return Directions(model.name, model.revision, items)


def bad_shares(model: Checkpoint, way: np.ndarray, amounts: list[float]) -> list[float]:
    """The share of faces predicted to be among the worst after moves of these amounts, one face at a time."""
    clarity = model.clarity
    assert clarity
    limit = np.quantile(clarity.quantiles, BAD)
    z = latents(range(FIRST_SEED, FIRST_SEED + JUDGED_FACES), len(way))
    return [
        float(np.mean([clarity.predict(moved(row, amount * way)[None])[0] < limit for row in z])) for amount in amounts
    ]


def test_a_range_ends_where_too_many_faces_would_be_drawn_badly(model: Checkpoint) -> None:
    clarity = model.clarity
    assert clarity
    z = latents(range(1000), model.generator.config.latent_dim)
    order = np.argsort(clarity.predict(z))
    worse = between(z[order[-200:]], z[order[:200]], 0.25)  # from the clearest faces to the least clear ones
    found = usable_ranges(model, directions_of(model, worse, 2 * worse))
    assert found["d0"][0] == -MAX_STRENGTH  # the other way faces become clearer
    for factor, (_, high) in zip((1, 2), found.values(), strict=True):
        assert STEP < high < MAX_STRENGTH
        here, beyond = bad_shares(model, factor * worse, [high, high + STEP])
        assert here <= TOLERATED < beyond
    assert found["d1"][1] < found["d0"][1]  # a longer vector comes there earlier


def test_a_direction_that_draws_every_face_badly_keeps_one_step_either_way(model: Checkpoint) -> None:
    clarity = model.clarity
    assert clarity
    hopeless = replace(clarity, quantiles=clarity.quantiles + 1e6)
    dim = model.generator.config.latent_dim
    worse = replace(model)
    vars(worse)["clarity"] = hopeless
    found = usable_ranges(worse, directions_of(model, np.eye(dim, dtype=np.float32)[0]))
    assert found == {"d0": (-STEP, STEP)}


def test_without_a_clarity_every_direction_has_its_whole_range(tiny: Checkpoint) -> None:
    found = usable_ranges(tiny, directions_of(tiny, np.eye(8, dtype=np.float32)[0]))
    assert found == {"d0": (-MAX_STRENGTH, MAX_STRENGTH)}
