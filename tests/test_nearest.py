"""Nearest training faces: copies are found, mirrored ones too, and fresh faces are not called copies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ganime import nearest as module
from ganime.checkpoint import Checkpoint
from ganime.data import FaceDataset
from ganime.nearest import Likeness, nearest_faces


def with_drawn(monkeypatch: pytest.MonkeyPatch, drawn: np.ndarray) -> None:
    """Let any model draw these faces."""
    monkeypatch.setattr(module, "generate", lambda checkpoint, seeds, truncation: drawn[: len(seeds)])


def test_copies_and_mirrored_copies_lead_to_the_faces_they_copy(
    tiny: Checkpoint, faces: FaceDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = faces.train[[5, 0, 11, 3]]
    copies = np.array(faces.images[wanted])
    copies[2:] = copies[2:, :, ::-1]
    with_drawn(monkeypatch, copies)
    found = nearest_faces(tiny, faces, range(4))
    assert found.positions.tolist() == wanted.tolist()
    assert np.array_equal(found.training, copies)  # as they were learned, mirrored
    assert found.distances.max() < 0.01
    assert (found.shares == 0).all()
    assert "4 of them lie nearer than 99% of real faces do" in found.describe()
    unturned = nearest_faces(tiny, faces, range(4), flip=False)
    assert unturned.distances[:2].max() < 0.01 < unturned.distances[2:].min()
    assert np.array_equal(unturned.training, faces.images[unturned.positions])


def test_fresh_faces_lie_where_fresh_faces_lie(
    tiny: Checkpoint, faces: FaceDataset, draw_face: Callable[..., Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = (draw_face(seed).resize((32, 32), Image.Resampling.LANCZOS) for seed in range(1000, 1040))
    with_drawn(monkeypatch, np.stack([np.asarray(face) for face in fresh]))
    found = nearest_faces(tiny, faces, range(40))
    assert 0.2 < np.median(found.shares) < 0.8
    assert found.fresh == len(faces.held_out) + len(faces.train)  # few are held out, so training faces help out
    assert found.among == len(faces.train)
    assert set(found.positions) <= set(faces.train)


def test_a_model_is_compared_by_seed_and_no_held_out_faces_are_needed(tiny: Checkpoint, faces: FaceDataset) -> None:
    alone = replace(faces, train=np.arange(len(faces.images)), held_out=np.empty(0, np.int64))
    found = nearest_faces(tiny, alone, [7, 8])
    assert np.array_equal(found.faces[1], nearest_faces(tiny, alone, [8]).faces[0])
    assert found.training.shape == found.faces.shape == (2, 32, 32, 3)
    assert found.fresh == len(faces.images)


def test_words_say_how_many_are_near() -> None:
    none = np.zeros((2, 1, 1, 3), np.uint8)
    likeness = Likeness(none, none, np.arange(2), np.ones(2), np.array([0.0, 0.6]), 1000, 20_000)
    assert likeness.describe() == (
        "Looked for among 20,000 training faces. Of 1,000 other real faces 30% lie nearer to a training face than the "
        "middle one of these 2. 1 of them lies nearer than 99% of real faces do; one in a hundred does by chance."
    )
    innocent = replace(likeness, shares=np.array([0.4, 0.6])).describe()
    assert "None of them lies nearer than 99% of real faces do" in innocent
