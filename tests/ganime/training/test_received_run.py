"""A run that strangers may have written: what is taken of it, and which lines of its journal are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ganime.errors import TrainingError
from ganime.training import received_run
from ganime.training.events import EVENTS_FILE
from ganime.training.received_run import MOST_LINES, MOST_PREVIEWS, check_records, checked_line, chosen_files

STEP = {"event": "Step", "time": 1.5, "step": 1, "images": 64, "images_per_second": 9, "progress": 0.5}
STEP |= dict.fromkeys(("d_loss", "g_loss", "d_real", "d_fake"), 0.5)
VERDICT = {"event": "Verdict", "time": 2, "images": 64, "state": "healthy", "reason": "good", "advice": "Go on."}


def test_the_best_save_the_newest_and_some_sample_grids_are_taken_and_no_pickle() -> None:
    files = ["run.json", "events.jsonl", ".lock", "log.txt", "saves/start/model.safetensors", "saves/best/evil.pkl"]
    files += [f"saves/{save}/{name}" for save in ("best", "64", "128") for name in ("model.safetensors", "state.pt")]
    files += [f"previews/{number}.png" for number in range(1000)] + ["previews/x.png", "saves/best/a/../known.json"]
    chosen = chosen_files(dict.fromkeys(files, 10))
    previews = [name for name in chosen if name.startswith("previews/")]
    assert set(chosen) - set(previews) == {
        "run.json",
        "events.jsonl",
        "saves/best/model.safetensors",
        "saves/128/model.safetensors",
    }
    assert MOST_PREVIEWS / 2 < len(previews) <= MOST_PREVIEWS
    assert previews[-1] == "previews/999.png"
    assert chosen_files({"run.json": 10, "saves/64/state.pt": 10}) == []


@pytest.mark.parametrize("name", ["events.jsonl", "previews/0.png", "saves/best/known.json"])
def test_a_file_that_is_too_large_is_named(name: str) -> None:
    with pytest.raises(TrainingError, match=name):
        chosen_files({"saves/best/model.safetensors": 10, name: 2**25})


@pytest.mark.parametrize("line", [STEP, VERDICT, STEP | {"progress": 1}, VERDICT | {"action": "stop"}])
def test_a_line_of_a_trainer_stays_as_it_is(line: dict[str, object]) -> None:
    assert checked_line(json.dumps(line | {"more": "x"})) == line


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "7", "{", "[" * 100_000, '{"event": {}}', json.dumps(STEP)[:-9]),
        *(
            json.dumps(STEP | changes)
            for changes in (
                {"images": "64"},
                {"images": 64.5},
                {"images": True},
                {"images": 10**30},
                {"images": None},
                {"progress": float("nan")},
                {"d_loss": float("inf")},
                {"time": None},
                {"event": "Preview"},
                {"event": ["Step"]},
            )
        ),
        *(
            json.dumps(VERDICT | changes)
            for changes in ({"state": "other"}, {"action": []}, {"advice": "x" * 5_000}, {"reason": 7})
        ),
    ],
)
def test_a_line_with_anything_else_is_left_out(text: str) -> None:
    assert checked_line(text) is None


def test_of_a_long_journal_only_the_last_lines_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    monkeypatch.setattr(received_run, "checked_line", lambda text: looked.append(text) or checked_line(text))
    last = {"event": "Notice", "time": 1.0, "images": 0, "text": "x"}
    (tmp_path / EVENTS_FILE).write_text("{}\n" * (2 * MOST_LINES) + json.dumps(last) + "\n", encoding="utf-8")
    check_records(tmp_path)
    assert len(looked) == MOST_LINES
    assert [json.loads(line) for line in (tmp_path / EVENTS_FILE).read_text("utf-8").splitlines()] == [last]
