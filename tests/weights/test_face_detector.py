"""The scenes that the face detector learns from and is judged on, and its training."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from ganime.nets.face_detector import NOMINAL_SIDE, STRIDE, FaceDetector, overlaps
from weights.make import drawings
from weights.make.face_detector import BATCH, train_detector
from weights.make.face_pictures import Scene, judge, pictures_with_faces, pictures_without_faces
from weights.make.scenes import FOUND_SIDES, SCENE_SIDE, Placement, Scenes, answers, compose, decoys


@pytest.fixture(scope="module")
def faces(draw_face: Callable[..., Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(draw_face(seed, 128)) for seed in range(12)])


@pytest.fixture(scope="module")
def bank() -> np.ndarray:
    return drawings.draw_many(8, 128, 1)


def composed(faces: np.ndarray, bank: np.ndarray, seed: int, count: int = 24) -> Scenes:
    random = np.random.default_rng(seed)
    return compose(lambda wanted: faces[random.integers(len(faces), size=wanted)], bank, count, random)


def test_scenes_are_the_same_for_a_seed_and_have_every_kind_of_answer(faces: np.ndarray, bank: np.ndarray) -> None:
    scenes = composed(faces, bank, 1)
    assert torch.equal(scenes.pictures, composed(faces, bank, 1).pictures)
    assert not torch.equal(scenes.pictures, composed(faces, bank, 2).pictures)
    assert scenes.pictures.shape == (24, 3, SCENE_SIDE, SCENE_SIDE)
    assert -1 <= scenes.pictures.min() < scenes.pictures.max() <= 1
    assert 0.01 < scenes.answers.mean() < 0.3
    assert (scenes.counted == 0).any()
    assert (scenes.counted >= scenes.answers).all()
    sides = NOMINAL_SIDE * scenes.squares[:, 2][scenes.answers > 0].exp()
    assert FOUND_SIDES[0] - 0.1 <= sides.min() < sides.max() <= FOUND_SIDES[1] + 0.1


def placement(x: float, y: float, side: float) -> Placement:
    return Placement(*(np.array([value]) for value in (x, y, side, 0.0, 1.0, 1.0)))


def test_the_answers_lead_to_the_square_of_the_face() -> None:
    seen = torch.zeros(1, SCENE_SIDE, SCENE_SIDE)
    seen[:, 40:70, 25:55] = 1
    found, counted, squares = answers([(placement(40, 55, 60), seen, np.array([True]))])
    places = found[0].nonzero()
    assert len(places)
    for row, column in places.tolist():
        across, down, size = squares[0, :, row, column].tolist()
        middle = (column + 0.5) * STRIDE + across * NOMINAL_SIDE, (row + 0.5) * STRIDE + down * NOMINAL_SIDE
        assert np.allclose([*middle, NOMINAL_SIDE * np.exp(size)], [40, 55, 60], atol=1e-3)
    assert counted[0, 5, 5] == 1


@pytest.mark.parametrize(("side", "share", "is_face"), [(60, 0.1, True), (20, 1, True), (60, 1, False), (200, 1, True)])
def test_hidden_small_and_large_faces_and_decoys_are_not_to_be_found(side: float, share: float, is_face: bool) -> None:
    seen = torch.full((1, SCENE_SIDE, SCENE_SIDE), 0.0)
    seen[:, : int(0.15 * share * side * side / SCENE_SIDE) + 1] = 1
    found, counted, _ = answers([(placement(48, 48, side), seen, np.array([is_face]))])
    assert found.sum() == 0
    assert counted.all()


def test_decoys_show_no_face_and_drawings_differ(faces: np.ndarray, bank: np.ndarray) -> None:
    tiles = decoys(faces, bank, np.random.default_rng(0))
    assert tiles.shape == faces.shape
    assert not any((tile == face).all() for tile, face in zip(tiles, faces, strict=True))
    assert len({drawing.tobytes() for drawing in bank}) == len(bank)


def test_training_adapts_the_late_stages_and_leaves_the_early_ones_as_they_are(
    faces: np.ndarray, bank: np.ndarray
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = FaceDetector()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    [step] = train_detector(net, faces, np.arange(len(faces)), 60, bank, most_scenes=3 * BATCH)
    changed = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert (step.progress, step.scenes, net.training) == (1, 3 * BATCH, False)
    assert np.isfinite([step.answer_loss, step.square_loss]).all()
    assert not [name for name in changed if re.match(r"stages\.[0-2]\.", name)]
    assert {name for name, _ in net.named_parameters() if not re.match(r"stages\.[0-2]\.", name)} <= changed


def test_the_judge_counts_what_is_found_missed_and_invented(faces: np.ndarray) -> None:
    random = np.random.default_rng(0)
    scenes = [*pictures_with_faces(faces, 3, random), *pictures_without_faces(faces, 2, random)]
    assert [len(scene.squares) > 0 for scene in scenes] == [True] * 3 + [False] * 2
    truth = [np.column_stack([scene.squares, np.full(len(scene.squares), 0.9)]) for scene in scenes]
    count = sum(map(len, truth))
    perfect = judge(scenes, truth, 0.5)
    assert (perfect.faces, perfect.recall, perfect.precision, perfect.overlap) == (count, 1, 1, 1)
    assert np.allclose((perfect.centre_error, perfect.side_error, perfect.false_alarms), 0)
    picture = scenes[0].picture
    lone = [Scene(picture, np.array([[0.0, 0.0, 100.0]])), Scene(picture, np.empty((0, 3)))]
    told = judge(lone, [np.array([[10.0, 0, 100, 0.9]]), np.array([[0.0, 0, 50, 0.6], [0.0, 0, 50, 0.2]])], 0.5)
    assert (told.recall, told.precision, told.false_alarms) == (1, 0.5, 1)
    assert np.isclose(told.centre_error, 0.1)
    assert np.isclose(told.overlap, overlaps(np.array([0.0, 0, 100]), np.array([[10.0, 0, 100]]))[0])
