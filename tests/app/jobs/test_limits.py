"""The limits of training: who may train, how long, how many jobs, and how much disk space."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from app.errors import JobError
from app.jobs import limits
from app.jobs.arrivals import Upload
from app.jobs.limits import bytes_needed, check_plan
from app.jobs.service import Jobs
from app.settings import Settings
from app.visitors import Visitor
from tests.app.job_helpers import ME, OTHER, PLAN, change, exists, state_of, submitted


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"recipe": "other"}, "classic, modern"),
        ({"image_size": 48}, "32, 64, 128, 256"),
        ({"minutes": 121}, "GANIME_JOB_MINUTES"),
        ({"minutes": 0}, "GANIME_JOB_MINUTES"),
        ({"minutes": float("nan")}, "GANIME_JOB_MINUTES"),
        ({"minutes": "5"}, "GANIME_JOB_MINUTES"),
        ({"images": -1}, "1,000,000,000"),
        ({"images": 1.5}, "1,000,000,000"),
    ],
)
def test_plans_outside_the_limits_are_refused(changed: dict, words: str, settings: Settings) -> None:
    check_plan(PLAN, settings)
    with pytest.raises(JobError, match=words):
        check_plan(replace(PLAN, **changed), settings)


@pytest.mark.parametrize("name", ["job_minutes", "keep_hours", "disk_gigabytes"])
def test_a_limit_without_an_end_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("1e7", "inf", "nan"):
        monkeypatch.setenv(f"GANIME_{name.upper()}", value)
        with pytest.raises(ValidationError, match=name):
            Settings(home=tmp_path)


def test_a_refused_plan_leaves_the_draft(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock", start=False)
    key = jobs.draft(files, ME, 32)
    with pytest.raises(JobError, match="GANIME_JOB_MINUTES"):
        jobs.submit(key, replace(PLAN, minutes=121), ME)
    assert state_of(jobs, key) == "draft"
    with pytest.raises(JobError, match="image size"):
        jobs.draft(files, ME, 33)


def test_training_is_open_or_for_visitors_who_are_signed_in_or_off(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    login = open_jobs("mock", start=False, training="login")
    key = login.draft(files, ME, 32)
    with pytest.raises(JobError, match="GANIME_TRAINING=login"):
        login.submit(key, PLAN, ME)
    login.submit(key, PLAN, Visitor("me", signed_in=True))
    off = open_jobs("mock", start=False, training="off")
    assert state_of(off, key) == "queued"
    for call in (lambda: off.submit(key, PLAN, ME), lambda: off.resume(key, ME)):
        with pytest.raises(JobError, match="GANIME_TRAINING=off"):
            call()


def test_the_queue_and_the_jobs_of_a_visitor_are_limited(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock", start=False, visitor_jobs=2, queue=1)
    keys = [submitted(jobs, files), submitted(jobs, files)]
    with pytest.raises(JobError, match=r"2 jobs.*GANIME_VISITOR_JOBS"):
        jobs.draft(files, ME, 32)
    other = jobs.draft(files, OTHER, 32)
    with pytest.raises(JobError, match="GANIME_JOBS and GANIME_QUEUE"):
        jobs.submit(other, PLAN, OTHER)
    jobs.delete(keys[0])
    jobs.submit(other, PLAN, OTHER)
    jobs.draft(files, ME, 32)


def test_an_upload_in_place_of_another_does_not_count_as_one_more(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock", start=False, visitor_jobs=1, disk_gigabytes=0.3)
    old = jobs.draft(files, ME, 32)
    change(jobs, old, bytes=2**28)
    with pytest.raises(JobError, match="GANIME_VISITOR_JOBS"):
        jobs.draft(files, ME, 32)
    with pytest.raises(JobError, match="no picture among the files"):
        jobs.draft([], ME, 32, instead=old)
    new = jobs.draft(files, ME, 32, instead=old)
    assert (exists(jobs, old), exists(jobs, new)) == (True, True)  # the caller deletes the old one
    jobs.delete(old)
    jobs.submit(new, replace(PLAN, minutes=1), ME)
    for key in (new, new + "x", "", old):  # a job that was submitted, or another visitor's, is not replaced
        with pytest.raises(JobError, match="GANIME_VISITOR_JOBS"):
            jobs.draft(files, ME, 32, instead=key)
    assert exists(jobs, new)


def test_a_job_counts_for_the_visitor_who_queues_it(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock", start=False, visitor_jobs=1)
    first = submitted(jobs, files)
    change(jobs, first, state="finished", ended=time.time() - 50 * 3600)  # so old that it no longer counts
    second = submitted(jobs, files)
    change(jobs, second, state="finished", ended=time.time())
    with pytest.raises(JobError, match="GANIME_VISITOR_JOBS"):
        jobs.resume(first, ME, minutes=5)
    jobs.resume(first, OTHER, minutes=5)  # who has its link
    with pytest.raises(JobError, match="GANIME_VISITOR_JOBS"):
        jobs.submit(jobs.draft(files, Visitor("third"), 32), PLAN, OTHER)
    jobs.resume(second, ME, minutes=5)  # itself is not one more


def test_a_resumed_job_reserves_at_least_what_it_takes(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock", start=False)
    key = submitted(jobs, files)
    change(jobs, key, state="finished", ended=time.time())
    jobs.folder(key).run.mkdir()
    with (jobs.folder(key).run / "large").open("wb") as file:
        file.truncate(2**30)
    jobs.resume(key, ME, minutes=5)
    assert jobs.status(key).bytes > 2**30


def test_a_draft_reserves_what_its_training_may_need(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock", start=False)
    size = sum(file.path.stat().st_size for file in files)
    assert jobs.status(jobs.draft(files, ME, 32)).bytes == bytes_needed(size, 16, 32)


def test_reserved_bytes_cover_everything_that_a_job_may_write() -> None:
    assert bytes_needed(10, 1000, 64) > 10 + 1000 * 64 * 64 * 3 + 3 * 94_192_563  # a save as measured
    assert bytes_needed(10, 1000, 64, 10**8) > 2.4e9  # networks that are larger than those of the recipes


def test_what_other_jobs_may_still_write_is_not_given_away(
    open_jobs: Callable[..., Jobs], files: list[Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = open_jobs("mock", start=False)
    first = submitted(jobs, files)
    with jobs.store.reading() as session:
        owed = limits.promised(session, jobs.settings)
    assert 0 < owed < jobs.get(first).bytes  # the faces are written already
    needed = jobs.get(jobs.draft(files, OTHER, PLAN.image_size)).bytes
    free = needed + jobs.options.spare_bytes + owed
    monkeypatch.setattr(limits.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free - 1))
    with pytest.raises(JobError, match="nearly full"):
        jobs.draft(files, OTHER, PLAN.image_size)
    monkeypatch.setattr(limits.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
    jobs.draft(files, OTHER, PLAN.image_size)
