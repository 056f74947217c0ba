"""Descriptions of training faces: changed copies are found, fresh faces are not, and no picture is stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from safetensors.numpy import load_file, save_file

from ganime.drawing.sampling import generate
from ganime.embedded import EMBEDDED, TRAINING_FACES
from ganime.errors import CheckpointError, DataError
from ganime.faces.dataset import FaceDataset
from ganime.measuring.report import evaluate
from ganime.measuring.training_faces import (
    INDEX_FILE,
    VECTORS_FILE,
    TrainingFaces,
    compute_training_faces,
    default_view,
    find_training_faces,
    fit_view,
    load_training_faces,
    save_training_faces,
    training_faces_of,
)
from ganime.models.checkpoint import TRAINING_FACES_FILES, Checkpoint, load_checkpoint
from ganime.nets.anime_features import load_features

FACES, FRESH = 240, 120


@pytest.fixture(scope="module")
def drawn(faces: FaceDataset, embedded: Checkpoint) -> FaceDataset:
    """Faces drawn by the embedded model: the first ones as training faces, the others held out."""
    images = generate(embedded, range(FACES + FRESH))
    return replace(faces, images=images, train=np.arange(FACES), held_out=np.arange(FACES, FACES + FRESH))


@pytest.fixture(scope="module")
def training_faces(drawn: FaceDataset) -> TrainingFaces:
    return training_faces_of(drawn)


def blurred(faces: np.ndarray, radius: float) -> np.ndarray:
    return np.stack([np.asarray(Image.fromarray(face).filter(ImageFilter.GaussianBlur(radius))) for face in faces])


def noisy(faces: np.ndarray) -> np.ndarray:
    return np.clip(faces + np.random.default_rng(0).normal(0, 8, faces.shape), 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda faces: faces,
    "mirrored": lambda faces: faces[:, :, ::-1],
    "blurred": lambda faces: blurred(faces, 1.0),
    "blurred and mirrored": lambda faces: blurred(faces, 1.0)[:, :, ::-1],
    "noisy": noisy,
    "half the size": lambda faces: faces[:, ::2, ::2],
    "shifted by a pixel": lambda faces: np.roll(faces, 1, 2),
}


@pytest.mark.parametrize("change", CHANGES)
def test_copies_are_found_despite_changes(training_faces: TrainingFaces, drawn: FaceDataset, change: str) -> None:
    copied = np.arange(0, FACES, 8)
    distances, rows, mirrored = training_faces.nearest(CHANGES[change](drawn.images[copied]))
    assert (rows[:, 0] == copied).mean() >= 0.95
    assert (distances[:, 0] < training_faces.copy_threshold).mean() >= 0.95
    assert mirrored[:, 0].mean() == pytest.approx(float("mirrored" in change), abs=0.1)


def test_faces_that_copy_nothing_are_mostly_not_called_copies(
    training_faces: TrainingFaces, embedded: Checkpoint
) -> None:
    others = generate(embedded, range(5000, 5100))
    distances = training_faces.nearest(others)[0][:, 0]
    assert (distances < training_faces.copy_threshold).mean() <= 0.05
    assert 0.3 < np.median(training_faces.share_nearer(distances)) < 0.7
    assert training_faces.false_alarms <= 0.05 * FRESH


@pytest.mark.slow
def test_report_detects_blurred_copies_and_not_fresh_faces(
    training_faces: TrainingFaces, drawn: FaceDataset, embedded: Checkpoint
) -> None:
    net, held_out = load_features(), drawn.images[drawn.held_out]
    copies = evaluate(net, blurred(drawn.images[:100], 1.0), held_out, training_faces).copying
    fresh = evaluate(net, generate(embedded, range(5000, 5100)), held_out, training_faces).copying
    assert copies
    assert fresh
    assert (copies.near_copies, copies.p_value) == (pytest.approx(1, abs=0.05), pytest.approx(0, abs=1e-9))
    assert abs(fresh.statistic) < 3
    assert fresh.near_copies < 0.1


def test_without_flip_a_mirrored_copy_is_not_a_copy(drawn: FaceDataset) -> None:
    training_faces = training_faces_of(drawn, flip=False)
    mirrored = drawn.images[:20, :, ::-1]
    assert training_faces.nearest(drawn.images[:20])[0].max() < training_faces.copy_threshold
    assert np.median(training_faces.share_nearer(training_faces.nearest(mirrored)[0][:, 0])) > 0.2


def test_reading_yields_progress_and_then_the_training_faces(drawn: FaceDataset) -> None:
    *yielded, training_faces = compute_training_faces(drawn, most=150)
    assert isinstance(training_faces, TrainingFaces)
    reports = [float(report) for report in yielded if not isinstance(report, TrainingFaces)]
    assert reports == sorted(reports)
    assert (len(reports), reports[0]) == (len(yielded), 0)
    assert reports[-1] < 1
    assert (len(training_faces.vectors), training_faces.total) == (150, FACES)
    assert (training_faces.held_out, len(training_faces.fresh)) == (FRESH, FRESH)
    assert (np.diff(training_faces.fresh) >= 0).all()


@pytest.mark.parametrize(("held_out", "flip"), [(FRESH, True), (80, True), (80, False), (0, True)])
def test_progress_rises_from_0_and_ends_below_1(drawn: FaceDataset, held_out: int, flip: bool) -> None:
    """With 80 held-out faces, fresh distances come from them and from training faces."""
    *reports, last = compute_training_faces(replace(drawn, held_out=drawn.held_out[:held_out]), flip)
    assert isinstance(last, TrainingFaces)
    progress = [float(report) for report in reports if not isinstance(report, TrainingFaces)]
    assert progress == sorted(progress)
    assert (progress[0], progress[-1] < 1) == (0, True)


def test_training_faces_are_added_when_few_faces_are_held_out(drawn: FaceDataset) -> None:
    *_, training_faces = compute_training_faces(replace(drawn, held_out=drawn.held_out[:9]))
    assert isinstance(training_faces, TrainingFaces)
    assert (training_faces.held_out, len(training_faces.fresh)) == (9, FACES + 9)
    assert training_faces.fresh[0] > 0.1  # a face is not compared with itself
    with pytest.raises(DataError, match="at least 2 training faces"):
        list(compute_training_faces(replace(drawn, train=drawn.train[:1])))


def test_duplicates_of_training_faces_among_the_fresh_ones_barely_change_the_threshold(
    training_faces: TrainingFaces,
) -> None:
    copies = np.full(len(training_faces.fresh) // 20, 0.1)  # duplicates: a twentieth of the fresh faces
    mixed = replace(training_faces, fresh=np.sort(np.concatenate([copies, training_faces.fresh])))
    assert mixed.copy_threshold == pytest.approx(training_faces.copy_threshold, rel=0.25)


def test_a_fitted_view_gives_uncorrelated_features_of_unit_variance(training_faces: TrainingFaces) -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(400, 320)) @ random.normal(size=(320, 320)) + 5
    view = fit_view(training_faces.view.net, features.astype(np.float32))
    projected = (features - view.mean) @ view.basis
    np.testing.assert_allclose(projected.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(projected, rowvar=False), np.eye(projected.shape[1]), atol=1e-2)
    assert training_faces.view is default_view()


def test_saved_training_faces_are_read_back_in_8_bits_without_pictures(
    training_faces: TrainingFaces, drawn: FaceDataset, tmp_path: Path
) -> None:
    read = save_training_faces(training_faces, {"mine": "0123"}, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(TRAINING_FACES_FILES)
    assert load_file(tmp_path / VECTORS_FILE)["codes"].dtype == np.int8
    assert read.positions is None
    before, after = (one.nearest(drawn.images[::10])[0][:, 0] for one in (training_faces, read))
    np.testing.assert_allclose(after, before, atol=0.3)
    assert (read.total, read.held_out, read.flip) == (FACES, FRESH, True)
    assert read.copy_threshold == pytest.approx(training_faces.copy_threshold)


def change_index(**facts: object) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | facts))

    return change


def change_array(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], object]:
    def change_file(path: Path) -> None:
        arrays = load_file(path)
        save_file(arrays | {name: change(arrays[name])}, path)

    return change_file


def with_nan(fresh: np.ndarray) -> np.ndarray:
    fresh[3] = np.nan
    return fresh


DAMAGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "no index": (INDEX_FILE, Path.unlink),
    "cut index": (INDEX_FILE, lambda path: path.write_text("{")),
    "list": (INDEX_FILE, lambda path: path.write_text("[]")),
    "revision not text": (INDEX_FILE, change_index(models={"mine": 7})),
    "no vectors": (VECTORS_FILE, Path.unlink),
    "cut vectors": (VECTORS_FILE, lambda path: path.write_bytes(path.read_bytes()[:-9])),
    "codes not int8": (VECTORS_FILE, change_array("codes", lambda codes: codes.astype(np.float32))),
    "wrong shape": (VECTORS_FILE, change_array("basis", lambda basis: basis[:-1].copy())),
    "one NaN": (VECTORS_FILE, change_array("fresh", with_nan)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_refused_with_their_name(training_faces: TrainingFaces, tmp_path: Path, damage: str) -> None:
    save_training_faces(training_faces, {"mine": "0123"}, tmp_path)
    file, change = DAMAGES[damage]
    change(tmp_path / file)
    with pytest.raises(CheckpointError, match=file):
        load_training_faces(tmp_path)


def test_training_faces_are_found_by_the_weights_of_the_model(
    training_faces: TrainingFaces, tiny: Checkpoint, embedded: Checkpoint, tmp_path: Path
) -> None:
    assert find_training_faces(load_checkpoint(EMBEDDED)) is not None
    assert find_training_faces(replace(embedded, name="else", folder=None)) is not None
    assert find_training_faces(tiny) is None
    save_training_faces(training_faces, {"any name": tiny.revision}, tmp_path)
    beside = find_training_faces(replace(tiny, folder=tmp_path))
    assert beside is not None
    assert beside.total == FACES


def test_embedded_training_faces_are_small_and_the_embedded_model_does_not_copy(
    embedded: Checkpoint,
) -> None:
    assert (TRAINING_FACES / VECTORS_FILE).stat().st_size < 4e6
    training_faces = find_training_faces(embedded)
    assert training_faces is not None
    assert (training_faces.total, training_faces.vectors.shape[0], training_faces.held_out) == (29_696, 29_696, 1000)
    shares = training_faces.share_nearer(training_faces.nearest(generate(embedded, range(40)))[0][:, 0])
    assert 0.3 < np.median(shares) < 0.95
    assert shares.min() > 0.01
