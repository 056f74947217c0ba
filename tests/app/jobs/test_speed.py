"""How fast this machine learns: by earlier jobs, else by one short trial that leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from app.errors import JobError
from app.jobs import supervisor
from app.jobs.service import Jobs
from app.jobs.speed import Pace
from app.jobs.store import Job
from app.jobs.uploads import Upload
from ganime.models.checkpoint import EMBEDDED
from tests.app.jobs.test_service import (
    ME,
    OTHER,
    PLAN,
    children_of,
    files,
    open_jobs,
    settings,
    state_of,
    submitted,
    wait_for,
    wait_to_learn,
    wait_until,
)

__all__ = ["files", "open_jobs", "settings"]  # fixtures
KIND = ("modern", 32, "")


def test_a_trial_tells_the_pace_and_leaves_nothing(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock", start=False)
    key, pace = jobs.draft(files, ME), Pace(jobs)
    assert (pace.known(KIND), pace.estimate(KIND, 15)) == (None, "")
    before = sorted(jobs.folder(key).path.iterdir())
    assert pace.tried(key, KIND) == 64.0
    assert pace.known(KIND) == 64.0  # what the stand-in says of itself
    assert pace.estimate(KIND, 15) == "About 58,000 images in 15 minutes, at 64 a second here."
    assert pace.estimate(KIND, 15, 640) == "640 images take about 10 s, at 64 a second here."
    assert pace.estimate(KIND, 15, 19_200) == "19,200 images take about 5 minutes, at 64 a second here."
    assert pace.estimate(KIND, 15, 10**6) == pace.estimate(KIND, 15)  # the minutes come first
    assert pace.known(("classic", 32, "")) is None
    assert sorted(jobs.folder(key).path.iterdir()) == before
    assert not children_of(jobs.settings.home)
    assert state_of(jobs, key) == "draft"


def test_anothers_second_trial_is_answered_at_once(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock", start=False)
    key, other, pace = jobs.draft(files, ME), jobs.draft(files, OTHER), Pace(jobs)
    refused: list[str] = []

    def tried_meanwhile(job: Job, start: Path | None) -> list[dict]:
        with pytest.raises(JobError) as caught:
            pace.tried(other, KIND)
        refused.append(str(caught.value))
        return [{"images_per_second": 7.0}]

    jobs.supervisor.trial = tried_meanwhile
    assert pace.tried(key, KIND) == 7.0
    assert "Another visitor's estimate is under way" in refused[0]
    assert pace.tried(other, KIND) == 7.0  # and the next one has its turn


def test_who_asks_twice_for_the_same_faces_is_answered_by_one_trial(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock", start=False)
    key, pace = jobs.draft(files, ME), Pace(jobs)
    with ThreadPoolExecutor() as threads:
        asked: list[Future[float]] = []

        def tried(job: Job, start: Path | None) -> list[dict]:
            asked.append(threads.submit(pace.tried, key, KIND))
            return [{"images_per_second": 7.0}]

        jobs.supervisor.trial = tried
        assert pace.tried(key, KIND) == 7.0
        assert [other.result(60) for other in asked] == [7.0]


@pytest.mark.parametrize("end", ["delete", "submit"])
def test_a_trial_ends_with_the_draft_that_it_is_made_for(
    end: str, open_jobs: Callable[..., Jobs], files: list[Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK", "silent")
    jobs = open_jobs("mock", start=False)
    key, pace = jobs.draft(files, ME), Pace(jobs)
    folder = jobs.folder(key)
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(pace.tried, key, KIND)
        wait_for(lambda: children_of(jobs.settings.home))
        jobs.delete(key) if end == "delete" else jobs.submit(key, PLAN, ME)
        with pytest.raises(JobError, match="could not be found out"):
            asked.result(60)
    assert not children_of(jobs.settings.home)
    assert (folder.path.exists(), (folder.path / supervisor.TRIAL).exists()) == (end == "submit", False)


def test_an_earlier_job_of_the_kind_tells_the_pace_without_a_trial(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock")
    key, pace = submitted(jobs, files), Pace(jobs)
    wait_to_learn(jobs, key)
    assert pace.known(KIND) == 64.0
    assert pace.known(("modern", 64, "")) is None
    with pytest.raises(JobError, match=r"just now.* not tried\. It learns from 64 images a second \(modern, 32 px\)"):
        pace.tried(jobs.draft(files, ME), ("modern", 64, ""))
    jobs.stop(key)
    wait_until(jobs, key, "finished")
    assert pace.known(KIND) == 64.0


def test_a_trial_that_tells_nothing_is_answered_in_words(
    open_jobs: Callable[..., Jobs], files: list[Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK", "fail")
    jobs = open_jobs("mock", start=False)
    key = jobs.draft(files, ME)
    pace, begun = Pace(jobs), []
    trial = jobs.supervisor.trial
    jobs.supervisor.trial = lambda job, start: begun.append(start) or trial(job, start)
    for _ in range(2):
        with pytest.raises(JobError, match="could not be found out"):
            pace.tried(key, KIND, EMBEDDED)
    assert begun == [EMBEDDED]  # to try again would tell no more
    jobs.submit(key, PLAN, ME)
    with pytest.raises(JobError, match="started already"):
        Pace(jobs).tried(key, KIND)
    with pytest.raises(JobError, match="no such job"):
        Pace(jobs).tried(key + "x", KIND)
