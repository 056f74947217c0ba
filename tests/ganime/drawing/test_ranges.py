"""How far faces can be moved along a direction: as far as their clarity and their mouths hold, one step at least."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ganime.drawing import ranges
from ganime.drawing.directions import (
    MAX_DIRECTIONS,
    MAX_STRENGTH,
    Direction,
    Directions,
    between,
    load_directions,
    moved,
)
from ganime.drawing.ranges import (
    BAD,
    FIRST_SEED,
    JUDGED_FACES,
    STEP,
    TOLERATED,
    mouth_strength,
    mouths_of,
    own_latents,
    usable_ranges,
    with_limits,
)
from ganime.drawing.recipe import latents
from ganime.embedded import EMBEDDED
from ganime.models.checkpoint import Checkpoint, load_checkpoint


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


@pytest.mark.slow
def test_sliders_of_the_embedded_model_end_before_mouths_vanish() -> None:
    model = load_checkpoint(EMBEDDED)
    directions = load_directions(EMBEDDED, model.revision, model.generator.config.latent_dim)
    assert directions
    smile = directions["smile"]
    assert -2 <= smile.limits[0] < 0
    low, high = usable_ranges(model, Directions(model.name, model.revision, (smile,)))["smile"]
    assert (low, high) == (smile.limits[0], MAX_STRENGTH)
    z = own_latents(model, 0, 256)
    faint = np.quantile(mouths_of(model, z), BAD)
    shares = [np.mean(mouths_of(model, moved(z, amount * smile.vector)) < faint) for amount in (low, -MAX_STRENGTH)]
    assert shares[0] < shares[1] / 2


def test_a_mouth_that_is_rubbed_out_counts_as_faint_whatever_the_colour_of_the_skin() -> None:
    face = np.full((128, 128, 3), (250, 220, 200), np.uint8)
    drawn = face.copy()
    drawn[77:79, 58:70] = (120, 40, 40)
    tinted = (drawn * 0.8).astype(np.uint8)
    rubbed, strong, darker = mouth_strength(np.stack([face, drawn, tinted]))
    assert rubbed < 1
    assert strong > 40
    assert darker == pytest.approx(0.8 * strong, rel=0.05)
    assert mouth_strength(drawn[None, ::2, ::2])[0] > 30  # of smaller pictures, too


def test_limits_are_where_mouths_become_faint(model: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mouths that stand for how far a latent was moved along the first axis: 0 for a strange one, else 1."""
    ways = np.eye(model.generator.config.latent_dim, dtype=np.float32)
    items = tuple(Direction(f"d{number}", "attribute", ways[number]) for number in (0, 1))

    def seen(_: Checkpoint, z: np.ndarray) -> np.ndarray:
        return np.where(z[:, 0] - still(len(z)) > 1.2, 0.0, 1.0) if len(z) == ranges.DRAWN_FACES else np.ones(len(z))

    def still(count: int) -> np.ndarray:
        return own_latents(model, 0, count)[:, 0]

    monkeypatch.setattr(ranges, "mouths_of", seen)
    *steps, found = with_limits(model, Directions(model.name, model.revision, items))
    assert isinstance(found, Directions)
    assert len(steps) == 3
    low, high = found["d0"].limits
    assert low == -MAX_STRENGTH
    assert STEP <= high < MAX_STRENGTH
    assert found["d1"].limits == (-MAX_STRENGTH, MAX_STRENGTH)
    usable = usable_ranges(model, found)
    assert usable["d0"][1] == high


def test_without_a_clarity_every_direction_has_its_whole_range(tiny: Checkpoint) -> None:
    found = usable_ranges(tiny, directions_of(tiny, np.eye(8, dtype=np.float32)[0]))
    assert found == {"d0": (-MAX_STRENGTH, MAX_STRENGTH)}


def test_what_was_found_of_a_direction_is_kept_with_the_clarity(monkeypatch: pytest.MonkeyPatch) -> None:
    model, again = load_checkpoint(EMBEDDED), load_checkpoint(EMBEDDED)
    found = load_directions(EMBEDDED, model.revision, model.generator.config.latent_dim)
    assert found
    first = usable_ranges(model, found)
    monkeypatch.setattr(ranges, "bad_share", lambda *_: pytest.fail("It was found before."))
    assert usable_ranges(model, found) == first
    reloaded = load_directions(EMBEDDED, model.revision, model.generator.config.latent_dim)
    assert reloaded
    assert usable_ranges(model, reloaded) == first
    monkeypatch.setattr(ranges, "bad_share", lambda *_: 0.0)
    assert usable_ranges(model, reloaded) == first
    assert usable_ranges(again, reloaded) != first  # a model that is loaded anew has its own
    for number in range(2 * MAX_DIRECTIONS):
        usable_ranges(model, directions_of(model, np.eye(8, dtype=np.float32)[0] * (number + 1) / 100))
    assert model.clarity
    assert len(model.clarity.reaches) <= 2 * MAX_DIRECTIONS
