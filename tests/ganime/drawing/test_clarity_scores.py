"""The score of clarity: near to real faces by the eyes, which it sees together, and by the whole."""

from __future__ import annotations

import numpy as np
import pytest

from ganime.drawing.clarity_scores import (
    Seen,
    clarity_scores,
    distances_to_nearest,
    eye_squares,
    joined,
    known_colours,
    on_axes,
    see,
)
from ganime.drawing.sampling import generate
from ganime.models.checkpoint import Checkpoint
from ganime.models.resizing import resize
from ganime.nets.anime_features import FeatureNet

SIDE = 64


@pytest.fixture(scope="module")
def small(embedded: Checkpoint) -> Checkpoint:
    """The embedded model, whose faces are made smaller to SIDE."""
    return resize(embedded, SIDE)


@pytest.fixture(scope="module")
def faces(small: Checkpoint) -> np.ndarray:
    return generate(small, range(96))


@pytest.fixture(scope="module")
def real(faces: np.ndarray, net: FeatureNet) -> Seen:
    return see(net, faces, SIDE)


def changed(faces: np.ndarray, region: tuple[slice, slice], pixels: np.ndarray) -> np.ndarray:
    copies = faces.copy()
    copies[:, region[0], region[1]] = pixels[:, region[0], region[1]]
    return copies


RIGHT_EYE, CORNER = (slice(20, 36), slice(32, 48)), (slice(48, 64), slice(0, 16))


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["wiped", "of another face"])
def test_a_face_with_a_damaged_eye_scores_lower(faces: np.ndarray, real: Seen, net: FeatureNet, damage: str) -> None:
    pixels = np.full_like(faces, 224) if damage == "wiped" else np.roll(faces, 1, axis=0)
    damaged = see(net, changed(faces, RIGHT_EYE, pixels), SIDE)
    elsewhere = see(net, changed(faces, CORNER, pixels), SIDE)
    scores = clarity_scores(net, joined([real, damaged, elsewhere]), real).reshape(3, -1)
    assert (scores[0] > scores[1]).mean() > 0.95
    assert (scores[2] > scores[1]).mean() > 0.75


def test_a_mirrored_face_has_its_eyes_exchanged(faces: np.ndarray, real: Seen, net: FeatureNet) -> None:
    mirrored = see(net, np.ascontiguousarray(faces[:, :, ::-1]), SIDE)
    np.testing.assert_allclose(mirrored.eyes[:, 0], real.eyes[:, 1], atol=2e-3)
    np.testing.assert_allclose(mirrored.eyes[:, 1], real.eyes[:, 0], atol=2e-3)


def test_larger_faces_are_seen_at_the_side_of_the_model(faces: np.ndarray, net: FeatureNet) -> None:
    plain = faces.clip(40, 215)
    larger = plain.repeat(2, axis=1).repeat(2, axis=2)
    larger[:, ::2, ::2] -= 40  # a pattern that only the full size shows
    larger[:, 1::2, 1::2] += 40
    expected, reduced, full = see(net, plain, SIDE), see(net, larger, SIDE), see(net, larger, 128)
    assert np.abs(reduced.eyes - expected.eyes).mean() < np.abs(full.eyes - expected.eyes).mean() / 2


def test_two_eyes_of_one_colour_match_and_two_of_different_colours_do_not(small: Checkpoint, net: FeatureNet) -> None:
    face = generate(small, [16])
    rows, left, right = eye_squares(SIDE)
    alike, different = face.copy(), face.copy()
    alike[:, rows, right] = face[:, rows, left][:, :, ::-1]
    different[:, rows, right] = face[:, rows, left][:, :, ::-1, [2, 0, 1]]  # red becomes green, and so on
    faces = np.concatenate([alike, different])
    matching, differing = see(net, faces, SIDE).mismatches
    assert matching == pytest.approx(0, abs=1e-3)
    assert differing > 0.1


def test_batches_are_joined_in_order(faces: np.ndarray, real: Seen, net: FeatureNet) -> None:
    parts = joined(see(net, faces[start : start + 40], SIDE) for start in (0, 40, 80))
    assert len(parts) == len(real)
    np.testing.assert_allclose(parts.whole, real.whole, atol=1e-4)
    np.testing.assert_allclose(parts.shades, real.shades, atol=1e-6)


@pytest.mark.parametrize(("count", "axes"), [(8, 2), (100, 25), (400, 32)])
def test_few_real_faces_give_few_axes_of_unit_deviation(count: int, axes: int) -> None:
    eyes = np.random.default_rng(0).standard_normal((count, 2, 40))
    drawn, real = on_axes(eyes[:3], eyes)
    assert (drawn.shape, real.shape) == ((3, 2 * axes), (count, 2 * axes))
    np.testing.assert_allclose(real.reshape(-1, axes).std(0), 1, rtol=0.05)


def test_distances_are_those_to_the_nearest_eight() -> None:
    line = np.arange(20, dtype=np.float32)[:, None]
    assert distances_to_nearest(np.array([[0.0], [100.0]], np.float32), line) == pytest.approx([3.5, 84.5])


def test_a_face_is_compared_with_faces_of_its_most_probable_colours(real: Seen, net: FeatureNet) -> None:
    known = known_colours(net, real)
    assert (known[:, 3:].sum(1) == 2).all()  # a colour of the hair and one of the eyes
    assert set(np.unique(known[:, 3:])) == {0, 1}
