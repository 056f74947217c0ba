"""The status of a job, and what its folder contains."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from app.jobs import folder as job_folder
from app.jobs.arrivals import Upload
from app.jobs.folder import MAX_GRIDS, JobFolder
from app.jobs.service import Jobs
from app.jobs.status import seconds_left
from app.jobs.store import FINISHED, RUNNING, Job
from ganime.training.events import PREVIEWS, read_journal
from tests.app.job_helpers import PLAN, change, submitted, wait_for_steps
from tests.trainers import write


def test_status_contains_progress_speed_and_remaining_time(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock")
    key = submitted(jobs, files, plan=replace(PLAN, images=64_000))
    wait_for_steps(jobs, key)
    status = jobs.status(key)
    assert (status.share, status.images_per_second) == (0.25, 64.0)
    assert status.seconds_left is not None
    assert 180 < status.seconds_left <= 225  # three quarters of five minutes come before 64,000 images


@pytest.mark.parametrize(
    ("images", "progress", "seen", "left"),
    [
        (0, 0.25, 640, 225.0),  # by time alone
        (64_000, 0.25, 640, 225.0),  # the time comes first
        (1_000, 0.64, 640, 36.0),  # the images come first, at ten per second
    ],
)
def test_remaining_time_is_that_until_the_nearest_limit(images: int, progress: float, seen: int, left: float) -> None:
    job = Job(id="0" * 16, key="", visitor="", created=0.0, minutes=5.0, images=images)
    step = {"progress": progress, "images": seen, "images_per_second": 10.0, "time": 100.0}
    assert seconds_left(job, step, 100.0) == pytest.approx(left)


def test_a_job_says_what_it_does_from_the_first_second(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock", start=False)
    key = submitted(jobs, files)
    run = jobs.folder(key).run
    run.mkdir(parents=True)
    assert jobs.status(key).activity == ""
    began = time.time() - 100
    change(jobs, key, state=RUNNING, started=began)
    status = jobs.status(key)
    assert (status.activity, status.activity_share, status.share) == ("reading", None, 0.0)
    assert status.seconds_left == 300  # none of its five minutes has been spent
    write(run, "Working", 0, activity="measuring")
    write(run, "Notice", 0, text="hello")
    assert jobs.status(key).activity == "measuring"
    write(run, "Step", 64, progress=0.25, images_per_second=64.0)
    assert jobs.status(key).activity == "training"
    write(run, "Step", 64, progress=0.25, images_per_second=64.0, time=began + 20)
    write(run, "Working", 64, activity="measuring", time=began + 30)
    assert jobs.status(key).seconds_left == 215  # the time stands still meanwhile
    write(run, "Working", 64, activity="checking sliders", progress=0.5)
    assert (jobs.status(key).activity, jobs.status(key).activity_share) == ("checking sliders", 0.5)
    change(jobs, key, started=time.time() + 5)  # it was started again: what came before does not count
    assert jobs.status(key).activity == "reading"


def test_the_training_of_a_job_is_done_before_its_last_measurement(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock", start=False)
    key = submitted(jobs, files)
    run = jobs.folder(key).run
    run.mkdir(parents=True)
    change(jobs, key, state=RUNNING, started=time.time() - 100)
    assert not jobs.status(key).trained  # it reads its faces
    for activity, progress, trained in (
        ("measuring", 0.5, False),
        ("training", 1.0, False),
        ("measuring", 1.0, True),
        ("saving", 1.0, True),
        ("fitting clarity", 1.0, True),
        ("checking sliders", 1.0, True),
    ):
        write(run, "Step", 64, progress=progress, images_per_second=64.0)
        write(run, "Working", 64, activity=activity)
        assert jobs.status(key).trained == trained, activity
    change(jobs, key, state=FINISHED)
    assert not jobs.status(key).trained


def test_a_job_knows_what_its_model_brings(
    open_jobs: Callable[..., Jobs], files: list[Upload], steered_folder: Path
) -> None:
    jobs = open_jobs("mock", start=False)
    key = submitted(jobs, files)
    assert (jobs.status(key).has_model, jobs.status(key).sliders) == (False, 0)
    best = shutil.copytree(steered_folder, jobs.folder(key).run / "saves" / "best")
    assert (jobs.status(key).has_clarity, jobs.status(key).sliders) == (False, 1)  # the other has no name
    (best / "directions.json").write_text("damaged")
    (best / "clarity.safetensors").touch()
    assert (jobs.status(key).has_clarity, jobs.status(key).sliders) == (True, 0)


def test_a_waiting_job_reports_about_how_long_it_waits(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock", start=False, visitor_jobs=9)
    first, second, third = (submitted(jobs, files, plan=replace(PLAN, minutes=minutes)) for minutes in (5, 20, 9))
    assert [jobs.status(key).wait for key in (first, second, third)] == [0, 300, 1500]
    jobs.start()
    wait_for_steps(jobs, first)  # the mock reports that a quarter of its time is over
    wait = jobs.status(second).wait
    assert wait is not None
    assert 180 < wait < 226
    assert jobs.status(first).wait is None
    change(jobs, second, minutes=0)  # a job without a time limit
    assert jobs.status(third).wait is None
    others = open_jobs("mock", start=False, visitor_jobs=9, jobs=2)
    assert others.status(second).wait == 0  # there is a second place
    change(jobs, second, minutes=20)
    wait = others.status(third).wait
    assert wait is not None
    assert 180 < wait < 226  # the shorter of the two decides


def test_sample_grids_of_a_long_job_are_thinned_evenly(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock", start=False)
    key = submitted(jobs, files)
    change(jobs, key, state="running")
    previews = jobs.folder(key).run / PREVIEWS
    previews.mkdir(parents=True)
    for images in (*range(0, 30_000, 100), 40_000):
        (previews / f"{images:012d}.png").write_bytes(b"")
    jobs.supervisor.sweep()
    left = list(jobs.folder(key).grids())
    assert (left[0], left[-1], len(left)) == (0, 40_000, MAX_GRIDS)
    assert max(after - before for before, after in itertools.pairwise(left[:-1])) <= 200


def test_a_journal_is_parsed_again_only_after_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [JobFolder(tmp_path / str(number)) for number in range(8)]
    for folder in folders:
        folder.run.mkdir(parents=True)
        write(folder.run, "Step", 64)
    read: list[Path] = []
    monkeypatch.setattr(job_folder, "read_journal", lambda run: read.append(run) or read_journal(run))
    for _ in range(3):
        assert [len(folder.journal()) for folder in folders] == [1] * 8
    assert len(read) == 8
    write(folders[0].run, "Step", 128)
    assert len(folders[0].journal()) == 2
    assert read[8:] == [folders[0].run]
    assert JobFolder(tmp_path / "none").journal() == []
