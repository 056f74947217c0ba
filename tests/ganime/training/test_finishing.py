"""The end of a run: its best model gets a clarity, unless the run was stopped or has too few faces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ganime.training import finishing
from ganime.training.events import Done, Event, Notice, Saved


@pytest.fixture
def run(tiny: Checkpoint, tmp_path: Path) -> Path:
    save_checkpoint(tiny, tmp_path / "run" / "saves" / "best")
    return tmp_path / "run"


@pytest.fixture
def many(faces: FaceDataset) -> FaceDataset:
    """More training faces than a clarity needs, by repetition."""
    return replace(faces, train=np.resize(faces.train, finishing.LEAST_FACES))


def events(run: Path, reason: str) -> Iterator[Event]:
    yield Saved(64, run / "saves" / "best")
    yield Done(64, reason, run / "saves" / "best")


def never() -> bool:
    return False


@pytest.mark.slow
def test_a_run_that_reached_its_limit_gets_a_clarity(
    run: Path, many: FaceDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "LEAST_EXPLAINED", -1)  # an untrained model draws nothing clear
    saved, notice, done = finishing.with_clarity(events(run, "images"), run, many, never)
    assert isinstance(saved, Saved)
    assert isinstance(notice, Notice)
    assert isinstance(done, Done)
    assert "%" in notice.text
    assert load_checkpoint(run).clarity


def test_a_stopped_run_ends_at_once(run: Path, many: FaceDataset) -> None:
    assert list(finishing.with_clarity(events(run, "stopped"), run, many, never)) == list(events(run, "stopped"))
    *_, notice, done = finishing.with_clarity(events(run, "images"), run, many, lambda: True)
    assert isinstance(notice, Notice)
    assert "ganime clarity" in notice.text
    assert isinstance(done, Done)
    assert load_checkpoint(run).clarity is None


def test_too_few_faces_get_no_clarity(run: Path, faces: FaceDataset) -> None:
    assert list(finishing.with_clarity(events(run, "images"), run, faces, never)) == list(events(run, "images"))


def test_a_clarity_that_cannot_be_fitted_does_not_spoil_the_run(
    run: Path, many: FaceDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(finishing, "fit_to_run", full)
    *_, notice, done = finishing.with_clarity(events(run, "images"), run, many, never)
    assert isinstance(notice, Notice)
    assert "No space left" in notice.text
    assert done == Done(64, "images", run / "saves" / "best")
