"""Nearest training faces: copies and mirrored copies are found, and fresh faces are not called copies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganime.errors import DataError
from ganime.faces.dataset import FaceDataset
from ganime.measuring import copies as module
from ganime.measuring.copies import (
    CLOSE,
    COMPARED_FACES,
    COPY,
    FREE,
    Comparison,
    NearestFaces,
    compare_with_training_faces,
    nearest_faces,
)
from ganime.measuring.training_faces import TrainingFaces, compute_training_faces
from ganime.models.checkpoint import Checkpoint


def let_models_draw(monkeypatch: pytest.MonkeyPatch, drawn: np.ndarray) -> None:
    """Let any model draw these faces."""
    monkeypatch.setattr(module, "generate", lambda checkpoint, seeds: drawn[: len(seeds)])


def compared(*arguments: Any, **options: Any) -> NearestFaces:
    """The result of `nearest_faces`, which must yield rising progress first."""
    *reports, result = nearest_faces(*arguments, **options)
    assert reports == sorted(reports)  # type: ignore[type-var]
    assert all(isinstance(report, float) and 0 <= report <= 1 for report in reports)
    assert isinstance(result, NearestFaces)
    return result


def test_copies_and_mirrored_copies_are_matched_with_their_originals(
    tiny: Checkpoint, faces: FaceDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    originals = faces.train[[5, 0, 11, 3]]
    copies = np.array(faces.images[originals])
    copies[2:] = copies[2:, :, ::-1]
    let_models_draw(monkeypatch, copies)
    result = compared(tiny, faces, range(4))
    assert result.positions.tolist() == originals.tolist()
    assert np.array_equal(result.training, copies)  # mirrored like the copies
    assert result.distances.max() < 0.01
    assert (result.shares == 0).all()
    assert "4 of them are nearer than 99% of real faces" in result.describe()
    unmirrored = compared(tiny, faces, range(4), flip=False)
    assert unmirrored.distances[:2].max() < 0.01 < unmirrored.distances[2:].min()
    assert np.array_equal(unmirrored.training, faces.images[unmirrored.positions])


def test_fresh_faces_have_the_distances_of_fresh_faces(
    tiny: Checkpoint, faces: FaceDataset, draw_face: Callable[..., Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = (draw_face(seed).resize((32, 32), Image.Resampling.LANCZOS) for seed in range(1000, 1040))
    let_models_draw(monkeypatch, np.stack([np.asarray(face) for face in fresh]))
    result = compared(tiny, faces, range(40))
    assert 0.2 < np.median(result.shares) < 0.8
    assert result.fresh == len(faces.held_out) + len(faces.train)  # few are held out, so training faces are added
    assert result.among == len(faces.train)
    assert set(result.positions) <= set(faces.train)


def test_faces_are_generated_by_seed_and_no_held_out_faces_are_needed(tiny: Checkpoint, faces: FaceDataset) -> None:
    alone = replace(faces, train=np.arange(len(faces.images)), held_out=np.empty(0, np.int64))
    result = compared(tiny, alone, [7, 8])
    assert np.array_equal(result.faces[1], compared(tiny, alone, [8]).faces[0])
    assert result.training.shape == result.faces.shape == (2, 32, 32, 3)
    assert result.fresh == len(faces.images)


def test_description_states_the_number_of_near_faces() -> None:
    none = np.zeros((2, 1, 1, 3), np.uint8)
    faces = NearestFaces(none, none, np.arange(2), np.ones(2), np.array([0.0, 0.6]), 1000, 20_000)
    text = faces.describe()
    assert "20,000 training faces" in text
    assert "Of 1,000 other real faces, 30% are nearer" in text
    assert "1 of them is nearer than 99% of real faces" in text
    assert "None of them is nearer than 99%" in replace(faces, shares=np.array([0.4, 0.6])).describe()


@pytest.fixture(scope="module")
def training_faces(faces: FaceDataset) -> TrainingFaces:
    *_, result = compute_training_faces(faces)
    assert isinstance(result, TrainingFaces)
    return result


def test_a_copy_is_recognised_and_returned_with_its_original(training_faces: TrainingFaces, faces: FaceDataset) -> None:
    originals = int(faces.train[9])
    result = compare_with_training_faces(training_faces, faces.images[originals][:, ::-1], faces.images)
    assert result.verdict == COPY
    assert result.share == 0
    assert result.positions is not None
    assert result.training is not None
    assert result.positions[0] == originals
    assert np.array_equal(result.training[0], result.face)  # mirrored like the given face
    assert (len(result.training), len(set(result.positions))) == (COMPARED_FACES, COMPARED_FACES)
    assert (np.diff(result.distances) >= 0).all()
    text = result.describe()
    assert text.startswith("It looks like a copy: none of 64 real faces")
    assert f"Compared with {len(faces.train)} training faces, also mirrored." in text


def test_a_fresh_face_is_not_a_copy_and_without_images_the_result_has_no_pictures(
    training_faces: TrainingFaces, draw_face: Callable[..., Image.Image]
) -> None:
    fresh = [np.asarray(draw_face(seed)) for seed in range(2000, 2020)]
    results = [compare_with_training_faces(training_faces, face) for face in fresh]
    assert sum(one.verdict == COPY for one in results) <= 1
    assert all(one.training is None and one.positions is None for one in results)
    assert 0.2 < np.median([one.share for one in results]) < 0.8


def test_verdict_depends_on_the_distance_and_its_description_on_the_share(
    training_faces: TrainingFaces, faces: FaceDataset
) -> None:
    face, training_faces = faces.images[0], replace(training_faces, total=500)
    for share, distance, verdict, words in (
        (0.005, training_faces.copy_threshold * 0.9, COPY, "none of 64"),
        (0.05, training_faces.copy_threshold * 1.1, CLOSE, "3 of 64"),
        (0.4, training_faces.copy_threshold * 2, FREE, "26 of 64"),
    ):
        result = Comparison(face, share, np.array([distance]), training_faces)
        assert result.verdict == verdict
        assert words in result.describe()
        assert f"with {len(faces.train)} of 500 training faces" in result.describe()


def test_arrays_that_are_not_faces_are_refused(training_faces: TrainingFaces) -> None:
    for picture in (np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32), np.zeros((8, 8, 4), np.uint8)):
        with pytest.raises(DataError, match="uint8 of shape"):
            compare_with_training_faces(training_faces, picture)
