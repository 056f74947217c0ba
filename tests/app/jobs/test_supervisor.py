"""The supervisor: the order of jobs, the command line of a trainer, deletion, and clean-up."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest

from app.errors import JobError, JobMissing
from app.jobs.arrivals import Upload, arrivals_folder
from app.jobs.limits import TrainingPlan
from app.jobs.service import Jobs
from app.jobs.supervisor import train_arguments
from app.tabs.train import TrainHandlers
from ganime.errors import GanimeError
from ganime.models.checkpoint import load_checkpoint
from tests.app.job_helpers import (
    ME,
    OTHER,
    PLAN,
    arguments,
    change,
    children_of,
    exists,
    state_of,
    submitted,
    wait_for,
    wait_for_steps,
    wait_until,
)


def test_jobs_run_one_at_a_time_first_come_first_served(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock")
    first, second, third = (submitted(jobs, files, visitor) for visitor in (ME, OTHER, ME))
    wait_until(jobs, first, "running")
    assert [jobs.status(key).place for key in (first, second, third)] == [0, 1, 2]
    jobs.stop(second)  # leaves the queue, and can be submitted again
    assert (state_of(jobs, second), jobs.status(third).place) == ("draft", 1)
    jobs.submit(second, PLAN, OTHER)
    assert jobs.status(second).place == 2
    jobs.stop(first)
    wait_for_steps(jobs, third)
    assert (state_of(jobs, second), len(children_of(jobs.settings.home))) == ("queued", 1)


def test_as_many_jobs_run_at_a_time_as_the_owner_allows(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock", jobs=2)
    keys = [submitted(jobs, files) for _ in range(3)]
    for key in keys[:2]:
        wait_until(jobs, key, "running")
    time.sleep(0.3)
    assert state_of(jobs, keys[2]) == "queued"


def test_a_trainer_has_low_priority_few_threads_a_session_of_its_own_and_no_secrets(
    open_jobs: Callable[..., Jobs], files: list[Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    jobs = open_jobs("mock", job_threads=3)
    key = submitted(jobs, files)
    wait_for_steps(jobs, key)
    words = arguments(jobs, key)
    assert words[words.index("--threads") + 1] == "3"
    [child] = children_of(jobs.settings.home)
    assert child.nice() == 10
    assert os.getsid(child.pid) == child.pid
    assert "HF_TOKEN" not in child.environ()
    assert child.environ()["OMP_NUM_THREADS"] == "3"


def test_the_command_line_contains_nothing_that_a_visitor_wrote(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock", start=False)
    name = "--home=/ ; rm -rf $(HOME)\n<script>\udcff" + "x" * 300
    key = jobs.draft([Upload(file.path, f"../../{name}{number}.png") for number, file in enumerate(files)], ME, 32)
    jobs.submit(key, replace(PLAN, name=name), ME)
    words = train_arguments(jobs.get(key), jobs.folder(key), 1)
    assert not [word for word in words if "rm" in word or "script" in word]
    assert "<script>" in jobs.status(key).name  # as data, on one short line
    assert len(jobs.status(key).name) <= 60
    assert jobs.status(key).name.isprintable()
    assert sorted(path.name for path in (jobs.folder(key).uploads / "pictures").iterdir())[0] == "00000000-upload.png"
    assert jobs.sources(key).names["pictures/00000003-upload.png"].startswith("../../--home")


def test_a_job_begins_from_a_copy_of_a_model_at_the_planned_size(
    open_jobs: Callable[..., Jobs], files: list[Upload], tiny_folder: Path
) -> None:
    jobs = open_jobs("mock", start=False)
    key = submitted(jobs, files, plan=TrainingPlan(image_size=64, minutes=5, start=tiny_folder))
    asked = dict(itertools.pairwise(train_arguments(jobs.get(key), jobs.folder(key), 1)))
    assert (asked["--image-size"], jobs.status(key).image_size) == ("64", 64)
    assert load_checkpoint(asked["--from"]).revision == load_checkpoint(tiny_folder).revision
    assert Path(asked["--from"]).is_relative_to(jobs.folder(key).path)
    with pytest.raises(GanimeError, match="missing"):
        submitted(jobs, files, plan=replace(PLAN, start=tiny_folder / "missing"))


def test_a_job_trained_from_scratch_says_so(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock", start=False)
    key = submitted(jobs, files)
    asked = dict(itertools.pairwise(train_arguments(jobs.get(key), jobs.folder(key), 1)))
    assert (asked["--from"], asked["--image-size"]) == ("scratch", "32")


def test_deleting_a_running_job_ends_it_and_leaves_nothing(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock")
    key = submitted(jobs, files)
    wait_for_steps(jobs, key)
    folder = jobs.folder(key)
    jobs.delete(key)
    with pytest.raises(JobMissing):
        jobs.status(key)
    wait_for(lambda: not folder.path.exists())
    assert not children_of(jobs.settings.home)


def test_old_drafts_and_old_ended_jobs_are_deleted_when_space_is_short_and_young_ones_stay(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock", start=False, visitor_jobs=9)
    draft, fresh = jobs.draft(files, ME, 32), jobs.draft(files, ME, 32)
    keys = [jobs.draft(files, ME, 32) for _ in range(3)]
    change(jobs, draft, created=time.time() - 7 * 3600)
    for age, key in zip((60, 50, 1), keys, strict=True):
        change(jobs, key, state="finished", ended=time.time() - age * 3600, bytes=9 * 2**30)
    jobs.supervisor.sweep()
    assert not exists(jobs, draft)
    assert [exists(jobs, key) for key in (*keys, fresh)] == [False, True, True, True]  # 20 GB are enough for two
    change(jobs, keys[2], bytes=20 * 2**30)
    jobs.supervisor.sweep()
    assert [exists(jobs, key) for key in keys[1:]] == [False, True]
    with pytest.raises(JobError, match=r"GANIME_DISK_GIGABYTES.*48 hours"):
        jobs.draft(files, ME, 32)


def test_uploads_that_no_job_has_taken_count_when_space_is_short(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock", start=False, disk_gigabytes=0.5)
    key = jobs.draft(files, ME, 32)
    change(jobs, key, state="finished", ended=1.0)
    jobs.supervisor.sweep()
    assert exists(jobs, key)
    place = arrivals_folder(jobs.settings) / "request" / "a"
    place.mkdir(parents=True)
    with (place / "faces.zip").open("wb") as file:
        file.truncate(2**29)
    jobs.supervisor.sweep()
    assert not exists(jobs, key)


def test_an_interrupted_job_asks_for_the_minutes_it_lacks(
    open_jobs: Callable[..., Jobs], files: list[Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK", "die")  # after a save at 30 seconds
    jobs = open_jobs("mock")
    key = submitted(jobs, files, plan=TrainingPlan(image_size=32, minutes=5, images=9_999))
    wait_until(jobs, key, "interrupted")
    monkeypatch.setenv("MOCK", "")
    jobs.resume(key, ME)
    wait_for_steps(jobs, key)
    words = arguments(jobs, key)
    asked = dict(itertools.pairwise(words))
    assert (asked["--minutes"], asked["--images"]) == ("4.5", "9999")
    assert asked["--resume"] == str(jobs.folder(key).run)
    assert not {"--recipe", "--from", "--image-size"} & set(words)


def test_a_stopped_job_continues_with_what_is_left_and_a_finished_one_needs_minutes(
    open_jobs: Callable[..., Jobs], files: list[Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = open_jobs("mock")
    key = submitted(jobs, files, plan=TrainingPlan(image_size=32, minutes=60, images=9_999_999))
    wait_for_steps(jobs, key)
    assert jobs.status(key).minutes_left is None
    jobs.stop(key)
    wait_until(jobs, key, "finished")
    stopped = jobs.status(key)
    assert (stopped.minutes_left, stopped.most_images) == (59.5, 9_999_999)  # the mock saves at 30 seconds
    resume(jobs, key, "")
    wait_for_steps(jobs, key)
    asked = dict(itertools.pairwise(arguments(jobs, key)))
    assert (asked["--minutes"], asked["--images"]) == ("59.5", "9999999")
    jobs.stop(key)
    wait_until(jobs, key, "finished")
    monkeypatch.setenv("MOCK", "done")
    resume(jobs, key, "7")
    wait_until(jobs, key, "finished")
    asked = dict(itertools.pairwise(arguments(jobs, key)))
    assert (asked["--minutes"], asked["--images"]) == ("7.0", "0")
    assert jobs.status(key).minutes_left is None
    assert "reached its limit" in resume(jobs, key, "")["error"]
    assert "1.5" in resume(jobs, key, "1.5")["error"]


def resume(jobs: Jobs, key: str, minutes: str) -> dict:
    """Return the answer to Continue on the page, with this text in the field for minutes."""
    event = gr.EventData(None, {"key": key, "minutes": minutes})
    request = gr.Request(username=ME.identity)
    return TrainHandlers(SimpleNamespace(), jobs).resume(event, request, None)  # type: ignore[arg-type]
