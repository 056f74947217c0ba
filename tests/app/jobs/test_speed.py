"""The estimate of how many images a job will see, from earlier jobs of its kind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.jobs.arrivals import Upload
from app.jobs.service import Jobs
from app.jobs.speed import (
    UNKNOWN_SPEED,
    Rest,
    attempt_of,
    estimate,
    images_per_second,
    rest_of,
    seconds_after,
    seconds_of_end,
)
from tests.app.job_helpers import change, children_of, submitted
from tests.trainers import write


def test_the_speed_is_the_median_of_the_newest_job_of_the_kind(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock", start=False)
    key = submitted(jobs, files)
    assert images_per_second(jobs, "modern", 32, "") is None  # it has reported nothing yet
    run = jobs.folder(key).run
    run.mkdir()
    for rate in (1.0, 64.0, 65.0):
        write(run, "Step", 64, images_per_second=rate)
    assert images_per_second(jobs, "modern", 32, "") == 64.0
    for other in (("classic", 32, ""), ("modern", 64, ""), ("modern", 32, "anime-128")):
        assert images_per_second(jobs, *other) is None
    jobs.delete(key)
    assert images_per_second(jobs, "modern", 32, "") is None
    assert "once" not in estimate(None, 15)  # a job of this kind has run, but is not here any more
    assert not children_of(jobs.settings.home)  # nothing was started to find out


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (0, ("58,000", "15 minutes")),
        (640, ("640", "10\N{NO-BREAK SPACE}s")),
        (19_200, ("19,200", "5 minutes")),
        (10**6, ("58,000", "15 minutes")),  # the minutes end first
    ],
)
def test_the_estimate_names_what_ends_first(images: int, expected: tuple[str, str]) -> None:
    text = estimate(64.0, 15, images)
    assert all(fact in text for fact in (*expected, "64 a second"))


def test_the_estimate_names_two_digits_of_the_speed() -> None:
    assert "about 7,300 images (8.1 a second)" in estimate(8.13, 15)
    assert "(17 a second)" in estimate(17.4, 15, 100)


def test_the_estimate_for_one_minute_is_in_the_singular() -> None:
    assert estimate(64.0, 1).startswith("In 1 minute the model")


def test_the_estimate_says_how_often_each_face_is_seen() -> None:
    assert "each of your faces about 193 times" in estimate(64.0, 15, faces=300)
    assert "each of your faces" not in estimate(64.0, 15, faces=100_000)


def test_without_an_earlier_job_the_estimate_is_left_to_the_job() -> None:
    assert estimate(None, 15).startswith(UNKNOWN_SPEED)


def test_what_follows_the_training_is_expected_to_take_as_long_as_in_the_newest_job_that_came_to_its_end(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock", start=False)
    key = submitted(jobs, files)
    run = jobs.folder(key).run
    run.mkdir()
    events = [
        ("Step", 10, ""),
        ("Done", 12, "stopped"),
        ("Step", 100, ""),
        ("Done", 160, "minutes"),
        ("Working", 990, ""),
        ("Done", 999, "images"),
    ]
    for event, time, reason in events:
        write(run, event, 64, time=time, reason=reason)
    assert seconds_after(jobs, 32) is None  # it is not known to have finished
    change(jobs, key, state="finished", started=90)
    assert (seconds_after(jobs, 32), seconds_after(jobs, 64)) == (60, None)
    change(jobs, key, started=989)  # in which only what was missing was fitted
    assert seconds_after(jobs, 32) is None
    assert "about 60\N{NO-BREAK SPACE}s more" in estimate(64.0, 15, after=60)


END = [  # a run whose clarity and sliders took 20 and 10 s
    {"event": "Step", "time": 100},
    {"event": "Working", "time": 104, "activity": "measuring", "progress": None},
    {"event": "Working", "time": 110, "activity": "fitting clarity", "progress": 0.0},
    {"event": "Working", "time": 114, "activity": "fitting clarity", "progress": 0.25},
    {"event": "Working", "time": 130, "activity": "checking sliders", "progress": 0.0},
    {"event": "Done", "time": 140, "reason": "minutes"},
]


def test_the_time_after_the_training_is_known_by_what_was_done() -> None:
    assert seconds_of_end(END) == {"training": 4, "measuring": 6, "fitting clarity": 20, "checking sliders": 10}
    assert seconds_of_end(END[:-1]) is seconds_of_end(END[1:]) is None  # it did not end, or did not train


def test_time_between_two_attempts_counts_for_none() -> None:
    killed = END[:4]
    fitted_later = [
        {"event": "Notice", "time": 3_714, "text": "It goes on at 64 images."},
        {"event": "Working", "time": 3_715, "activity": "fitting clarity", "progress": 0.0},
        {"event": "Working", "time": 3_724, "activity": "fitting clarity", "progress": 0.2},
    ]
    attempt = attempt_of([*killed, *fitted_later], 3_700)
    assert attempt == fitted_later
    assert rest_of("fitting clarity", attempt, None, 3_724) == Rest(36, None)
    assert seconds_of_end([*attempt, {"event": "Done", "time": 3_760, "reason": "images"}]) is None


@pytest.mark.parametrize("lines", [[], [{"event": "Working", "time": 1.0, "activity": "saving", "progress": None}]])
def test_nothing_is_said_of_an_activity_that_the_journal_does_not_end_with(lines: list[dict[str, object]]) -> None:
    assert rest_of("measuring", lines, None, 2.0) == Rest(None, None)


@pytest.mark.parametrize(
    ("lines", "now", "known", "left"),
    [
        (2, 106, True, Rest(4, 30)),  # as usual
        (2, 106, False, Rest(None, None)),
        (2, 112, True, Rest(None, 30)),  # longer than usual
        (4, 116, False, Rest(10, None)),  # from its own pace
        (4, 116, True, Rest(10, 10)),
        (4, 150, True, Rest(None, 10)),
        (5, 133, True, Rest(7, 0)),
        (5, 133, False, Rest(None, 0)),
        (6, 141, True, Rest(None, 0)),  # has ended, which is not written down yet
    ],
)
def test_the_rest_after_the_training_is_estimated_from_the_own_pace_and_from_an_earlier_job(
    lines: int, now: float, known: bool, left: Rest
) -> None:
    journal = END[:lines]
    activity = [line["activity"] for line in journal if "activity" in line][-1]
    assert rest_of(activity, journal, seconds_of_end(END) if known else None, now) == left


def test_an_activity_that_ended_after_the_status_was_read_has_no_estimate_of_its_own() -> None:
    assert rest_of("measuring", END[:3], seconds_of_end(END), 110) == Rest(None, 30)
    assert rest_of("measuring", [*END[:2], END[0]], None, 110) == Rest(None, None)
