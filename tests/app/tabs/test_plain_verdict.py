"""The verdict in plain words: what a person should do, now or after the end, and never to go on with what got worse."""

from __future__ import annotations

from typing import Any

import pytest

from app.tabs.plain_verdict import PROBLEMS, plain_verdict
from ganime.training.events import VERDICTS


def journal(state: str, *distances: float, action: str = "continue") -> list[dict[str, Any]]:
    measures: list[dict[str, Any]] = [
        {
            "event": "Measured",
            "images": 100 * number,
            "frechet": distance,
            "diversity": 0.98,
            "near_copies": 0.02,
            "memory": 0.1,
        }
        for number, distance in enumerate(distances)
    ]
    verdict = {"event": "Verdict", "images": 100, "state": state, "reason": "why", "advice": "Go on.", "action": action}
    return [*measures, verdict]


def words(job: str, lines: list[dict[str, Any]]) -> str:
    found = plain_verdict(job, lines, None)
    assert found
    return f"{found['headline']} {found['advice']}"


@pytest.mark.parametrize(
    ("distances", "headline"),
    [
        ((168.5,), "Too early"),
        ((168.5, 167.0), "Not much has changed yet"),
        ((168.5, 150.0), "closer to yours"),
        ((168.5, 90.0), "much closer to yours"),
    ],
)
def test_a_run_without_problems_is_told_by_how_far_it_has_come(distances: tuple[float, ...], headline: str) -> None:
    running, finished = (words(state, journal("early", *distances)) for state in ("running", "finished"))
    assert headline in running
    assert headline in finished
    assert "ontinue training" in finished
    assert "ontinue training" not in running
    assert "minutes" not in finished  # of which a stopped job has some left, and another job 15
    assert "Go on" not in running + finished
    for state, trained in (("running", True), ("stopping", False)):
        found = plain_verdict(state, journal("early", *distances), None, trained)
        assert found
        assert "eep" not in found["advice"]  # its training has ended


def test_what_got_worse_stands_for_its_start_and_is_not_continued_unless_it_gets_better_again() -> None:
    stop, falling = (journal("worse", 92.4, 162.5, action=action) for action in ("stop", "continue"))
    for state in ("running", "finished"):
        assert "worse than at the start" in words(state, stop)
        assert "the one that it started from" in words(state, stop)
        assert "ontinue training" not in words(state, stop)
    assert "Continue training" in words("finished", falling)


@pytest.mark.parametrize("state", VERDICTS)
def test_each_verdict_has_words_for_a_running_and_for_an_ended_job(state: str) -> None:
    assert state in PROBLEMS or state in ("early", "healthy", "worse")
    running, finished = (words(job, journal(state, 100.0, 101.0)) for job in ("running", "finished"))
    assert running != finished
    assert "stop" not in finished.lower()


def test_the_numbers_are_in_the_details() -> None:
    found = plain_verdict("finished", journal("healthy", 168.5, 90.0), 88.8)
    assert found
    assert [value for _, value in found["details"]] == ["168.5", "90.0", "88.8", "0.98", "2.0%", "0.10"]
    assert found["technical"] == ""  # the numbers are all that "too early to tell" says
    stalled = plain_verdict("finished", journal("stalled", 168.5, 90.0), None)
    assert stalled
    assert "why" in stalled["technical"]
    assert plain_verdict("running", [], None) is None
