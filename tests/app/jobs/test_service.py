"""What a visitor can do with a training job, by its key alone."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import JobError, JobMissing
from app.jobs import service
from app.jobs.arrivals import Upload
from app.jobs.folder import download_folder
from app.jobs.limits import TrainingPlan
from app.jobs.service import Jobs
from app.jobs.store import ENDED, FINISHED, QUEUED
from app.jobs.supervisor import train_arguments
from app.tabs.train import read_draft
from app.visitors import Visitor
from ganime.drawing.sampling import generate
from ganime.models.checkpoint import load_checkpoint
from tests.app.job_helpers import (
    ME,
    OTHER,
    PLAN,
    arguments,
    change,
    children_of,
    state_of,
    submitted,
    wait_for,
    wait_for_steps,
    wait_until,
)
from tests.trainers import save


@pytest.mark.slow
def test_uploaded_faces_become_a_model_to_draw_from_and_are_decoded_once(
    open_jobs: Callable[..., Jobs], files: list[Upload], tmp_path: Path
) -> None:
    jobs = open_jobs("tiny")
    key = jobs.draft(files, ME, 32)
    jobs.sources(key).load()  # as the page shows them
    jobs.submit(key, TrainingPlan(image_size=32, minutes=5, images=320, name="mine"), ME)
    wait_until(jobs, key, *ENDED)
    done = jobs.status(key)
    assert (done.state, done.reason, done.images, done.saved, done.share) == ("finished", "", 320, 320, 1.0)
    assert (done.name, done.faces, done.has_model) == ("mine", 16, True)
    assert jobs.folder(key).grids()
    assert len(list(jobs.folder(key).cache.iterdir())) == 1
    model = jobs.checkpoint(key)
    assert model.training["images"] == 320
    with zipfile.ZipFile(jobs.archive(key)) as archive:
        archive.extractall(tmp_path / "elsewhere")
    copy = load_checkpoint(tmp_path / "elsewhere" / "ganime-model")
    assert np.array_equal(generate(copy, [1, 2]), generate(model, [1, 2]))
    with pytest.raises(JobError, match="minutes"):
        jobs.resume(key, ME)
    assert "saved run/saves/" in jobs.log(key)
    assert str(jobs.settings.home) not in jobs.log(key)


def test_the_trainer_reads_the_faces_that_the_page_has_decoded(
    open_jobs: Callable[..., Jobs], files: list[Upload], tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        for file in files[:8]:
            archive.write(file.path, file.name)
    jobs = open_jobs("mock")
    key = jobs.draft([Upload(tmp_path / "some.zip", "Some.ZIP"), *files[8:]], ME, 32)
    sources = jobs.sources(key)
    assert len(sources.load().names) == jobs.status(key).faces == 16
    assert sources.names["00000000-upload.zip"] == "Some.ZIP"
    jobs.submit(key, PLAN, ME)
    wait_for_steps(jobs, key)
    words = arguments(jobs, key)
    assert words[1 : words.index("--home")] == [str(path) for path in sources.paths]
    assert sources.cache == Path(words[words.index("--home") + 1]) / "cache"
    assert sources.image_size == int(words[words.index("--image-size") + 1])


def test_stop_keeps_what_was_learned_and_save_now_goes_on(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock")
    key = submitted(jobs, files)
    wait_until(jobs, key, "running")
    jobs.save_now(key)
    wait_for(lambda: jobs.status(key).saved)
    assert state_of(jobs, key) == "running"
    saved = jobs.status(key).saved
    jobs.stop(key)
    wait_until(jobs, key, *ENDED)
    ended = jobs.status(key)
    assert (ended.state, ended.reason, ended.can_resume) == ("finished", "Stopped.", True)
    assert ended.saved == ended.images > saved
    assert not children_of(jobs.settings.home)
    with pytest.raises(JobError, match="This job is finished"):
        jobs.stop(key)
    with pytest.raises(JobError, match="only while it is running"):
        jobs.save_now(key)


def test_only_the_key_opens_a_job(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock", start=False)
    mine, other = (submitted(jobs, files, visitor) for visitor in (ME, OTHER))
    identity, _, secret = mine.partition(".")
    assert len(secret) >= 43  # 256 bits
    wrong = [other.partition(".")[0] + "." + secret, f"{identity}.", identity, "", "../..", f"{identity}.\udcff", None]
    calls: list[Callable[..., object]] = [
        *(jobs.status, jobs.stop, jobs.delete, jobs.checkpoint, jobs.archive, jobs.log, jobs.save_now),
        *(jobs.sources, jobs.training_faces),
        lambda key: jobs.submit(key, PLAN, ME),
        lambda key: jobs.resume(key, ME),
    ]
    for key in wrong:
        for call in calls:
            with pytest.raises(JobMissing, match="no such job"):
                call(key)


def test_keys_and_visitors_are_written_down_nowhere(
    open_jobs: Callable[..., Jobs], files: list[Upload], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    jobs = open_jobs("mock")
    visitor = Visitor("203.0.113.77")
    key = submitted(jobs, files, visitor)
    wait_for_steps(jobs, key)
    with pytest.raises(JobMissing) as caught:
        jobs.status(key + "x")
    texts = caplog.text + repr(jobs.overview()) + jobs.log(key) + str(caught.value)
    written = b"".join(path.read_bytes() for path in jobs.settings.home.rglob("*") if path.is_file())
    for secret in (key.partition(".")[2], visitor.identity):
        assert secret not in texts
        assert secret.encode() not in written


def test_saves_that_are_requested_in_quick_succession_are_refused(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock", jobs=2)
    keys = [submitted(jobs, files), submitted(jobs, files)]
    for key in keys:
        wait_until(jobs, key, "running")
        jobs.save_now(key)
    with pytest.raises(JobError, match="15 seconds"):
        jobs.save_now(keys[0])
    jobs.saves_requested[jobs.get(keys[0]).id] -= jobs.options.save
    jobs.save_now(keys[0])


@pytest.mark.parametrize("place", ["draft", "read", "submit"])
def test_a_disk_that_fails_is_reported_without_its_path_and_leaves_nothing_half(
    place: str, open_jobs: Callable[..., Jobs], files: list[Upload], tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/secret/place")

    jobs = open_jobs("mock", start=False)
    key = "" if place == "draft" else jobs.draft(files, ME, 32)
    monkeypatch.setattr({"draft": "os.link", "read": "os.fsync", "submit": "shutil.copyfile"}[place], full)
    if place == "draft":
        monkeypatch.setattr("shutil.copyfile", full)
    calls: dict[str, Callable[[], object]] = {
        "draft": lambda: jobs.draft(files, ME, 32),
        "read": lambda: read_draft(jobs, key, lambda *_, **__: None),  # type: ignore[arg-type]
        "submit": lambda: jobs.submit(key, replace(PLAN, start=tiny_folder), ME),
    }
    with pytest.raises(JobError, match="No space left on device") as caught:
        calls[place]()
    assert "secret" not in str(caught.value)
    assert [status.state for status in jobs.overview()] == ([] if place == "draft" else ["draft"])


def test_a_deleted_job_takes_its_download_with_it(
    open_jobs: Callable[..., Jobs], files: list[Upload], tiny_folder: Path
) -> None:
    jobs = open_jobs("mock", start=False)
    key = jobs.draft(files, ME, 32)
    model = jobs.folder(key).run / "saves" / "best"
    shutil.copytree(tiny_folder, model)
    for name in ("directions.json", "directions.safetensors", "known.json", "known.safetensors"):
        (model / name).write_text(name)
    (model / "other.txt").write_text("not a file of the model")
    with jobs.changing(key) as (_, row):
        row.name = "red hair"
    archive = jobs.archive(key)
    with zipfile.ZipFile(archive) as packed:
        names = {Path(name).name for name in packed.namelist()}
        card = packed.read("ganime-model/README.md").decode()
    assert names == {path.name for path in model.iterdir()} - {"other.txt"}
    assert "\n# red hair\n" in card  # by which it can be brought back
    assert not {part for word in key.split(".") for part in archive.parts if word in part}
    jobs.start()
    jobs.delete(key)
    wait_for(lambda: not archive.parent.exists())


def test_a_job_that_is_deleted_while_its_download_is_written_leaves_none(
    open_jobs: Callable[..., Jobs], files: list[Upload], tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = open_jobs("mock", start=False)
    key = jobs.draft(files, ME, 32)
    shutil.copytree(tiny_folder, jobs.folder(key).run / "saves" / "best")
    downloads, written = download_folder(jobs.settings, jobs.get(key)), service.atomic_file

    def late(path: Path) -> Any:
        jobs.delete(key)
        jobs.supervisor.tick()
        return written(path)

    monkeypatch.setattr(service, "atomic_file", late)
    with pytest.raises(JobMissing):
        jobs.archive(key)
    assert not downloads.exists()


def test_a_stopped_job_can_be_finished_without_more_training(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock", start=False)
    key = submitted(jobs, files)
    change(jobs, key, state=FINISHED, reason="Stopped.")
    assert jobs.status(key).stopped
    with pytest.raises(JobError, match="nothing was saved"):
        jobs.finish(key, ME)
    save(jobs.folder(key).run, 64)
    jobs.finish(key, ME)
    job = jobs.get(key)
    assert (job.state, job.images) == (QUEUED, 64)
    arguments = train_arguments(job, jobs.folder(key), 1)
    assert arguments[arguments.index("--images") + 1] == "64"
    assert "--resume" in arguments


def test_a_job_whose_first_save_failed_begins_anew(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock", start=False)
    key = submitted(jobs, files)
    folder = jobs.folder(key)
    folder.run.mkdir(parents=True)
    (folder.run / "run.json").write_text("{}")
    assert "--out" in train_arguments(jobs.get(key), folder, 1)
