"""The journal: what is written can be read back, whatever cut the run off."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganime.training.events import (
    EVENTS_FILE,
    Done,
    Measured,
    Notice,
    Preview,
    Saved,
    Step,
    Verdict,
    journal_events,
    parse_event,
    read_journal,
    record,
)


def step(images: int, d_loss: float = 1.0) -> Step:
    return Step(images // 16, images, d_loss, 0.5, 0.1, -0.1, 70.0, 0.25)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def test_every_kind_of_event_is_kept_with_its_fields(run: Path) -> None:
    measured = Measured(32, 500, 64, 9.5, 0.1, 0.8, 0.7, 0.9, 1.0, 0.01, -0.3, None, True, 320)
    for event in (
        Notice(0, "hello"),
        step(16),
        measured,
        Verdict(32, "healthy", "because", "go on"),
        Saved(32, run / "saves" / "000000000032"),
        Done(32, "images", run / "saves" / "000000000032"),
    ):
        record(run, event)
    lines = read_journal(run)
    assert [line["event"] for line in lines] == ["Notice", "Step", "Measured", "Verdict", "Saved", "Done"]
    assert lines[1]["d_loss"] == 1.0
    assert lines[2]["memory"] is None
    assert lines[3]["state"] == "healthy"
    assert lines[4]["folder"] == "saves/000000000032"  # the run can be moved
    assert all(line["time"] > 1_700_000_000 for line in lines)


def test_a_sample_grid_is_kept_as_a_picture(run: Path) -> None:
    record(run, Preview(320, np.full((16, 32, 32, 3), 200, np.uint8)))
    [line] = read_journal(run)
    with Image.open(run / line["file"]) as picture:
        assert picture.size == (8 * 32, 2 * 32)


def test_reports_and_measures_come_back_as_they_were(run: Path) -> None:
    measured = Measured(32, 500, 64, 9.5, 0.1, 0.8, 0.7, 0.9, 1.0, 0.01, -0.3, None, True, 320)
    for event in (Notice(0, "hello"), step(16), measured, step(48)):
        record(run, event)
    with (run / EVENTS_FILE).open("a") as file:
        file.write('{"event": "Step", "images": 40}\n')  # of a version that told less
    assert list(journal_events(run, 40)) == [step(16), measured]
    assert list(journal_events(run / "nowhere", 40)) == []


def test_what_a_cut_off_run_wrote_beyond_its_last_save_is_superseded(run: Path) -> None:
    for images in (16, 32, 48, 64):
        record(run, step(images, d_loss=1.0))
    record(run, Notice(32, "Resumed at 32 images"))
    record(run, step(48, d_loss=2.0))
    assert [(line["event"], line["images"]) for line in read_journal(run)] == [
        ("Step", 16),
        ("Step", 32),
        ("Notice", 32),
        ("Step", 48),
    ]
    assert read_journal(run)[-1]["d_loss"] == 2.0


@pytest.mark.parametrize("torn", ['{"event": "Step", "ima', "[1, 2]\n", "null\n", '{"event": "Step"}\n', "\x00\xff\n"])
def test_a_torn_line_is_passed_over(run: Path, torn: str) -> None:
    record(run, step(16))
    with (run / EVENTS_FILE).open("a", encoding="utf-8") as file:
        file.write(torn)
    assert [line["images"] for line in read_journal(run)] == [16]


@pytest.mark.parametrize("text", ["installing", "7", "[1]", '{"event": ["Step"]}', '{"event": {}}', '{"event": "x"}'])
def test_other_lines_of_a_log_are_no_events(text: str) -> None:
    assert parse_event(text) is None


def test_a_run_without_a_journal_has_no_lines(run: Path) -> None:
    assert read_journal(run) == []


def test_losses_that_are_no_numbers_do_not_break_the_journal(run: Path) -> None:
    record(run, step(16, d_loss=float("nan")))
    assert math.isnan(read_journal(run)[0]["d_loss"])
    assert len((run / EVENTS_FILE).read_text().splitlines()) == 1
    json.loads((run / EVENTS_FILE).read_text())


def test_measurements_of_an_earlier_version_without_the_number_of_fresh_faces_are_read(run: Path) -> None:
    measured = Measured(32, 500, 64, 9.5, 0.1, 0.8, 0.7, 0.9, 1.0, 0.01, -0.3, None, True, 320)
    record(run, measured)
    journal = run / EVENTS_FILE
    journal.write_text(journal.read_text().replace(', "fresh": 320', ""))
    assert list(journal_events(run, 32)) == [replace(measured, fresh=0)]
