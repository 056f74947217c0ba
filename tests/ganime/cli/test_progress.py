"""A run on the terminal: the printed lines, the live bar, and the signals that stop or save."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ganime.cli.progress import show, signal_requests, time_left
from ganime.config import TrainConfig
from ganime.training.events import Done, Event, Measured, Notice, Preview, Saved, Step, Verdict, read_journal

MEASURED = Measured(320, 500, 64, 91.44, 0.1, 0.8, 0.7, 0.9, 0.95, 0.012, -0.3, None, True)


def events(run: Path) -> Iterator[Event]:
    yield Notice(0, "Batch [bold]halved[/bold].")
    yield Step(40, 320, 1.25, 0.5, 0.1, -0.1, 71.6, 0.25)
    yield Preview(320, np.zeros((16, 32, 32, 3), np.uint8))
    yield MEASURED
    yield Verdict(320, "healthy", "the distance falls", "Go on.")
    yield Saved(320, run / "saves" / "000000000320")
    yield Done(320, "steps", run / "saves" / "000000000320")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def test_plain_lines_tell_all_and_the_journal_keeps_all(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(events(run), run, TrainConfig(steps=500))
    assert capsys.readouterr().out.splitlines() == [
        "Batch [bold]halved[/bold].",
        "Step: 40/500 [D loss: 1.2500 G loss: 0.5000] 320 images, 72 images/s, 25%",
        "measured at 320 images: Frechet 91.4 (best), precision 0.80, recall 0.70, diversity 0.95, near copies 0.012",
        "healthy: the distance falls. Go on.",
        f"saved {run / 'saves' / '000000000320'}",
        f"ended (steps) after 320 images; the model is {run / 'saves' / '000000000320'}",
    ]
    assert [line["event"] for line in read_journal(run)] == [type(event).__name__ for event in events(run)]
    assert (run / "previews" / "000000000320.png").is_file()


def test_on_a_terminal_steps_share_a_line(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    show(events(run), run, TrainConfig(steps=500))
    lines = capsys.readouterr().out.split("\n")
    assert lines[0].endswith("Batch [bold]halved[/bold].")
    step, measured = lines[1].rsplit("\r", 1)  # the step's line is overwritten
    assert "Step: 40/500 [D loss: 1.2500 G loss: 0.5000]" in step
    assert "25%" in step
    assert "measured at 320 images" in measured
    assert len(read_journal(run)) == len(list(events(run)))


def test_the_time_left_follows_from_the_progress() -> None:
    assert time_left(100, 0.25, 0.25) == ", 0:05:00 left"
    assert time_left(100, 0.25, 0.5) == ", 0:03:20 left"  # resumed at a quarter
    assert time_left(100, 0.0, 0.5) == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_asks_for_the_end_and_a_second_one_takes_it(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with signal_requests() as (should_stop, should_save):
        assert not should_stop()
        signal.raise_signal(number)
        assert should_stop()
        assert should_stop()
        assert not should_save()
        assert signal.getsignal(number) == signal.SIG_DFL
    assert signal.getsignal(number) == before


def test_another_signal_asks_for_one_save() -> None:
    with signal_requests() as (should_stop, should_save):
        signal.raise_signal(signal.SIGUSR1)
        assert should_save()
        assert not should_save()
        signal.raise_signal(signal.SIGUSR1)
        assert should_save()
        assert not should_stop()
