"""What is known of training faces: copies are seen from afar however they are blurred, and no picture is kept."""

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
from ganime.embedded import TRAINING_FACES
from ganime.errors import CheckpointError, DataError
from ganime.faces.dataset import FaceDataset
from ganime.measuring.report import evaluate
from ganime.measuring.training_faces import (
    FACES_INDEX_FILE,
    FACES_VECTORS_FILE,
    TrainingFaces,
    default_far_view,
    find_training_faces,
    fit_far_view,
    load_training_faces,
    read_training_faces,
    save_training_faces,
    training_faces_of,
)
from ganime.models.checkpoint import EMBEDDED_MODELS, TRAINING_FACES_FILES, Checkpoint, load_checkpoint
from ganime.nets.anime_features import load_features

FACES, FRESH = 240, 120


@pytest.fixture(scope="module")
def made(faces: FaceDataset, embedded: Checkpoint) -> FaceDataset:
    """Faces as the embedded model draws them, as if another one had been trained on the first of them."""
    images = generate(embedded, range(FACES + FRESH))
    return replace(faces, images=images, train=np.arange(FACES), held_out=np.arange(FACES, FACES + FRESH))


@pytest.fixture(scope="module")
def known(made: FaceDataset) -> TrainingFaces:
    return training_faces_of(made)


def blurred(faces: np.ndarray, radius: float) -> np.ndarray:
    return np.stack([np.asarray(Image.fromarray(face).filter(ImageFilter.GaussianBlur(radius))) for face in faces])


def noisy(faces: np.ndarray) -> np.ndarray:
    return np.clip(faces + np.random.default_rng(0).normal(0, 8, faces.shape), 0, 255).astype(np.uint8)


DISGUISES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda faces: faces,
    "mirrored": lambda faces: faces[:, :, ::-1],
    "blurred": lambda faces: blurred(faces, 1.0),
    "blurred and mirrored": lambda faces: blurred(faces, 1.0)[:, :, ::-1],
    "noisy": noisy,
    "half the size": lambda faces: faces[:, ::2, ::2],
    "shifted by a pixel": lambda faces: np.roll(faces, 1, 2),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_copies_are_found_in_every_disguise(known: TrainingFaces, made: FaceDataset, disguise: str) -> None:
    wanted = np.arange(0, FACES, 8)
    found, places, turned = known.nearest(DISGUISES[disguise](made.images[wanted]))
    assert (places[:, 0] == wanted).mean() >= 0.95
    assert (found[:, 0] < known.bar).mean() >= 0.95
    assert turned[:, 0].mean() == pytest.approx(float("mirrored" in disguise), abs=0.1)


def test_faces_that_copy_nothing_are_mostly_not_called_copies(known: TrainingFaces, embedded: Checkpoint) -> None:
    others = generate(embedded, range(5000, 5100))
    found = known.nearest(others)[0][:, 0]
    assert (found < known.bar).mean() <= 0.05
    assert 0.3 < np.median(known.shares(found)) < 0.7
    assert known.called <= 0.05 * FRESH


def test_report_calls_blurred_copies_copies_and_fresh_faces_none(
    known: TrainingFaces, made: FaceDataset, embedded: Checkpoint
) -> None:
    net, held_out = load_features(), made.images[made.held_out]
    copies = evaluate(net, blurred(made.images[:100], 1.0), held_out, known).copying
    fresh = evaluate(net, generate(embedded, range(5000, 5100)), held_out, known).copying
    assert copies
    assert fresh
    assert (copies.near_copies, copies.p_value) == (pytest.approx(1, abs=0.05), pytest.approx(0, abs=1e-9))
    assert abs(fresh.statistic) < 3
    assert fresh.near_copies < 0.1


def test_mirrored_copy_of_a_run_that_mirrored_nothing_is_none(made: FaceDataset) -> None:
    known = training_faces_of(made, flip=False)
    mirrored = made.images[:20, :, ::-1]
    assert known.nearest(made.images[:20])[0].max() < known.bar
    assert np.median(known.shares(known.nearest(mirrored)[0][:, 0])) > 0.2


def test_look_reports_its_way_and_ends_with_what_is_known(made: FaceDataset) -> None:
    *way, known = read_training_faces(made, most=150)
    assert isinstance(known, TrainingFaces)
    reports = [float(report) for report in way if not isinstance(report, TrainingFaces)]
    assert reports == sorted(reports)
    assert (len(reports), reports[0]) == (len(way), 0)
    assert reports[-1] < 1
    assert (known.own.shape[0], known.total, known.held_out, len(known.fresh)) == (150, FACES, FRESH, FRESH)
    assert (np.diff(known.fresh) >= 0).all()


@pytest.mark.parametrize(("held_out", "flip"), [(FRESH, True), (80, True), (80, False), (0, True)])
def test_progress_ends_below_1_whatever_is_looked_at(made: FaceDataset, held_out: int, flip: bool) -> None:
    """With 80 held-out faces both they and training faces are looked at."""
    *reports, last = read_training_faces(replace(made, held_out=made.held_out[:held_out]), flip)
    assert isinstance(last, TrainingFaces)
    progress = [float(report) for report in reports if not isinstance(report, TrainingFaces)]
    assert progress == sorted(progress)
    assert (progress[0], progress[-1] < 1) == (0, True)


def test_training_faces_help_out_where_few_are_held_out(made: FaceDataset) -> None:
    *_, known = read_training_faces(replace(made, held_out=made.held_out[:9]))
    assert isinstance(known, TrainingFaces)
    assert (known.held_out, len(known.fresh)) == (9, FACES + 9)
    assert known.fresh[0] > 0.1  # a face is not compared with itself
    with pytest.raises(DataError, match="at least 2 training faces"):
        list(read_training_faces(replace(made, train=made.train[:1])))


def test_bar_lies_where_it_would_without_held_out_faces_that_are_in_the_training_too(known: TrainingFaces) -> None:
    copies = np.full(len(known.fresh) // 20, 0.1)  # as many as a twentieth are known drawings
    assert replace(known, fresh=np.sort(np.concatenate([copies, known.fresh]))).bar == pytest.approx(
        known.bar, rel=0.25
    )


def test_sight_is_fitted_to_faces_of_a_kind(known: TrainingFaces) -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(400, 320)) @ random.normal(size=(320, 320)) + 5
    sight = fit_far_view(known.view.net, features.astype(np.float32))
    seen = (features - sight.mean) @ sight.basis
    np.testing.assert_allclose(seen.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(seen, rowvar=False), np.eye(seen.shape[1]), atol=1e-2)
    assert known.view is default_far_view()


def test_what_is_known_comes_back_in_8_bits_a_number_and_holds_no_picture(
    known: TrainingFaces, made: FaceDataset, tmp_path: Path
) -> None:
    read = save_training_faces(known, {"mine": "0123"}, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(TRAINING_FACES_FILES)
    assert load_file(tmp_path / FACES_VECTORS_FILE)["codes"].dtype == np.int8
    assert read.positions is None
    before, after = (one.nearest(made.images[::10])[0][:, 0] for one in (known, read))
    np.testing.assert_allclose(after, before, atol=0.3)
    assert (read.total, read.held_out, read.flip) == (FACES, FRESH, True)
    assert read.bar == pytest.approx(known.bar)


@pytest.mark.parametrize(
    "damage", ["no index", "index", "list", "models", "codes", "shape", "nan", "cut", "no vectors"]
)
def test_damaged_files_are_refused_by_name(known: TrainingFaces, tmp_path: Path, damage: str) -> None:
    save_training_faces(known, {"mine": "0123"}, tmp_path)
    index, vectors = tmp_path / FACES_INDEX_FILE, tmp_path / FACES_VECTORS_FILE
    facts, arrays = json.loads(index.read_text()), load_file(vectors)
    if damage == "no index":
        index.unlink()
    elif damage in ("index", "list"):
        index.write_text("{" if damage == "index" else "[]")
    elif damage == "models":
        index.write_text(json.dumps(facts | {"models": {"mine": 7}}))
    elif damage == "cut":
        vectors.write_bytes(vectors.read_bytes()[:-9])
    elif damage == "no vectors":
        vectors.unlink()
    else:
        if damage == "codes":
            arrays["codes"] = arrays["codes"].astype(np.float32)
        elif damage == "shape":
            arrays["basis"] = arrays["basis"][:-1].copy()
        else:
            arrays["fresh"][3] = np.nan
        save_file(arrays, vectors)
    with pytest.raises(
        CheckpointError,
        match=FACES_INDEX_FILE if "index" in damage or damage in ("list", "models") else FACES_VECTORS_FILE,
    ):
        load_training_faces(tmp_path)


def test_models_are_known_by_their_weights(
    known: TrainingFaces, tiny: Checkpoint, embedded: Checkpoint, tmp_path: Path
) -> None:
    for folder in EMBEDDED_MODELS.values():
        assert find_training_faces(load_checkpoint(folder)) is not None
    assert find_training_faces(replace(embedded, name="else", folder=None)) is not None
    assert find_training_faces(tiny) is None
    save_training_faces(known, {"any name": tiny.revision}, tmp_path)
    beside = find_training_faces(replace(tiny, folder=tmp_path))
    assert beside is not None
    assert beside.total == FACES


def test_faces_of_the_embedded_models_are_shipped_in_few_bytes_and_their_own_are_no_copies(
    embedded: Checkpoint,
) -> None:
    assert (TRAINING_FACES / FACES_VECTORS_FILE).stat().st_size < 4e6
    known = find_training_faces(embedded)
    assert known is not None
    assert (known.total, known.own.shape[0], known.held_out) == (29_696, 29_696, 1000)
    shares = known.shares(known.nearest(generate(embedded, range(40)))[0][:, 0])
    assert 0.3 < np.median(shares) < 0.95
    assert shares.min() > 0.01
