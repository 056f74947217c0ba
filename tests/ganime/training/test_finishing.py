"""The end of a run: its best model gets a clarity and sliders, unless it was stopped; neither can spoil the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ganime.drawing.clarity_fitting import LEAST_FACES as LEAST_FITTED
from ganime.drawing.clarity_fitting import ClarityFit, fit_clarity
from ganime.drawing.directions import Direction, Directions, load_directions, save_directions
from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ganime.nets.clarity import Clarity
from ganime.training import finishing
from ganime.training.events import Done, Event, Notice, Saved, Working
from ganime.training.run_start import START_SAVE, directions_of, keep_start


@pytest.fixture
def run(tiny: Checkpoint, tmp_path: Path) -> Path:
    save_checkpoint(tiny, tmp_path / "run" / "saves" / "best")
    return tmp_path / "run"


@pytest.fixture
def many(faces: FaceDataset) -> FaceDataset:
    """More training faces than a clarity needs, by repetition."""
    return replace(faces, train=np.resize(faces.train, finishing.LEAST_FACES))


@pytest.fixture(autouse=True)
def _no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Directions are not searched for in a model that draws noise, which takes long and finds none."""
    monkeypatch.setattr(finishing, "search_seconds", lambda *_: float("inf"))


def events(run: Path, reason: str) -> Iterator[Event]:
    yield Saved(64, run / "saves" / "best")
    yield Done(64, reason, run / "saves" / "best")


def never() -> bool:
    return False


@pytest.mark.slow
def test_a_run_that_reached_its_limit_gets_a_clarity(
    run: Path, many: FaceDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "fit_clarity", partial(fit_clarity, faces=LEAST_FITTED))
    monkeypatch.setattr(finishing, "LEAST_EXPLAINED", -1)  # an untrained model draws nothing clear
    saved, *working, notice, done = finishing.finished(events(run, "images"), run, many, never)
    assert isinstance(saved, Saved)
    assert {event.activity for event in working if isinstance(event, Working)} == {"fitting clarity"}
    assert len(working) > 5
    assert isinstance(notice, Notice)
    assert isinstance(done, Done)
    assert "R²" in notice.text
    assert load_checkpoint(run).clarity


@pytest.mark.parametrize("explained", [0.1, float("nan")])
def test_a_clarity_that_predicts_too_little_is_not_stored(
    run: Path, many: FaceDataset, monkeypatch: pytest.MonkeyPatch, explained: float
) -> None:
    nothing = Clarity((), (), np.zeros((0, 8)), np.zeros(0))
    monkeypatch.setattr(finishing, "fit_clarity", lambda *_: iter([ClarityFit(nothing, explained)]))
    *_, notice, _ = finishing.finished(events(run, "images"), run, many, never)
    assert isinstance(notice, Notice)
    assert "No clarity was stored" in notice.text
    assert ("10%" in notice.text, "nan" in notice.text) == (explained == 0.1, False)


def test_numbers_that_cannot_be_stored_are_told_without_the_advice_to_fit_them_again(
    run: Path, many: FaceDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = Clarity((), (), np.zeros((0, 8)), np.full(3, np.inf))
    monkeypatch.setattr(finishing, "fit_clarity", lambda *_: iter([ClarityFit(endless, 0.5)]))
    *_, notice, _ = finishing.finished(events(run, "images"), run, many, never)
    assert isinstance(notice, Notice)
    assert ("was not stored" in notice.text, finishing.CLARITY_BY_HAND in notice.text) == (True, False)
    assert load_checkpoint(run).clarity is None


def test_a_stopped_run_ends_at_once_and_so_does_one_that_wants_nothing(run: Path, many: FaceDataset) -> None:
    assert list(finishing.finished(events(run, "stopped"), run, many, never)) == list(events(run, "stopped"))
    assert list(finishing.finished(events(run, "images"), run, many, never, wanted=False)) == list(
        events(run, "images")
    )
    *_, notice, done = finishing.finished(events(run, "images"), run, many, lambda: True)
    assert isinstance(notice, Notice)
    assert "ganime clarity" in notice.text
    assert isinstance(done, Done)
    assert load_checkpoint(run).clarity is None


def test_what_takes_too_long_is_left_out(run: Path, many: FaceDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finishing, "LONGEST", -60.0)
    *_, notice, done = finishing.finished(events(run, "images"), run, many, never)
    assert isinstance(notice, Notice)
    assert "more than" in notice.text
    assert isinstance(done, Done)


def test_too_few_faces_get_no_clarity(run: Path, faces: FaceDataset) -> None:
    assert list(finishing.finished(events(run, "images"), run, faces, never)) == list(events(run, "images"))


@pytest.mark.parametrize("task", ["fit_to_run", "give_directions"])
def test_what_cannot_be_fitted_does_not_spoil_the_run(
    run: Path, many: FaceDataset, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    def full(*_: object) -> Iterator[float | str]:
        yield 0.5
        raise OSError(28, "No space left on device", "/somewhere")

    monkeypatch.setattr(finishing, "fit_to_run", lambda *_: iter(()))
    monkeypatch.setattr(finishing, task, full)
    *_, notice, done = finishing.finished(events(run, "images"), run, many, never)
    assert isinstance(notice, Notice)
    assert "No space left" in notice.text
    assert "Errno" not in notice.text
    assert done == Done(64, "images", run / "saves" / "best")


def test_sliders_of_the_parent_are_carried_over_where_they_work(
    run: Path, tiny: Checkpoint, faces: FaceDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = np.ones(tiny.generator.config.latent_dim, np.float32)
    parent = Directions("anime-8", "", tuple(Direction(name, "attribute", way) for name in ("smile", "hat")))
    keep_start(run, tiny, parent, None)

    def carried(checkpoint: Checkpoint, _: object, found: Directions) -> Iterator[Directions]:
        assert (found.model, found.names) == ("anime-8", ("smile", "hat"))
        yield Directions(checkpoint.name, checkpoint.revision, (replace(found["hat"], origin=found.model),))

    monkeypatch.setattr(finishing, "carried_directions", carried)
    *_, notice, _ = finishing.finished(events(run, "images"), run, faces, never)
    assert isinstance(notice, Notice)
    assert notice.text.startswith("1 of 2 named sliders of anime-8")
    assert "left out: smile" in notice.text
    kept = directions_of(load_checkpoint(run))
    assert kept
    assert kept["hat"].origin == "anime-8"
    assert list(finishing.finished(events(run, "images"), run, faces, never)) == list(events(run, "images"))  # has some


def test_a_run_keeps_the_sliders_of_a_start_that_it_stands_for(run: Path, tiny: Checkpoint) -> None:
    way = np.ones(tiny.generator.config.latent_dim, np.float32)
    keep_start(run, tiny, Directions("anime-8", "of other weights", (Direction("smile", "attribute", way),)), 3.0)
    start = load_checkpoint(run / "saves" / START_SAVE)
    found = load_directions(start.folder, start.revision, len(way))
    assert found
    assert found.names == ("smile",)


def test_an_origin_is_stored_and_directions_without_one_are_as_before(tiny: Checkpoint, tmp_path: Path) -> None:
    way = np.ones(tiny.generator.config.latent_dim, np.float32)
    items = (Direction("smile", "attribute", way, origin="anime-8"), Direction("hat", "attribute", way))
    save_directions(Directions("tiny", "r", items), tmp_path)
    found = load_directions(tmp_path, "r", len(way))
    assert found
    assert [item.origin for item in found.items] == ["anime-8", ""]
    assert (tmp_path / "directions.json").read_text().count('"origin"') == 1
