"""Training jobs: what a visitor can do with them, who may, how much, and in which order they run."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import logging
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import psutil
import pytest
from PIL import Image
from pydantic import SecretStr, ValidationError

from app.errors import JobError, JobMissing
from app.jobs import limits as job_limits
from app.jobs import service as app_jobs
from app.jobs import status as job_report
from app.jobs import supervisor
from app.jobs.limits import Plan
from app.jobs.service import Jobs
from app.jobs.status import GRIDS_KEPT, JobFolder, grids_of, journal_of, seconds_left
from app.jobs.store import ENDED, Job
from app.jobs.uploads import Upload, discard
from app.settings import ROOT, Settings
from app.tabs import owner
from app.tabs import train as tab_train
from app.visitors import Visitor
from ganime.drawing.sampling import generate
from ganime.errors import DataError, GanimeError
from ganime.faces.dataset import load_faces
from ganime.models.checkpoint import load_checkpoint
from ganime.training.events import PREVIEWS, read_journal
from tests.trainers import trainer, write

ME, OTHER = Visitor("me"), Visitor("other")
PLAN = Plan(image_size=32, minutes=5)
TOKEN = "the owner's own token"


def wait_for(condition: Callable[[], object], seconds: float = 180) -> None:
    """Wait until something holds; what does not within `seconds` is a failure."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "this never came to be"
        time.sleep(0.02)


def children_of(home: Path) -> list[psutil.Process]:
    """The trainers that run for jobs of a home."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if "train" in words and any(word.startswith(str(home)) for word in words):
            found.append(process)
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", stop_seconds=20, admin_token=SecretStr(TOKEN))


@pytest.fixture
def open_jobs(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Jobs]]:
    """open_jobs(kind, setting=value, ...): jobs whose trainer is a stand-in; nothing of them is left over."""
    opened: list[Jobs] = []

    def make(kind: str = "mock", start: bool = True, **changes: object) -> Jobs:
        monkeypatch.setattr(supervisor, "TRAINER", trainer(kind))
        if kind == "tiny":
            monkeypatch.setattr(supervisor, "NICENESS", 0)  # else these tests wait for whatever else runs here
        jobs = Jobs(settings.model_copy(update=changes))
        if start:
            jobs.start()
        opened.append(jobs)
        return jobs

    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.05)
    yield make
    for jobs in opened:
        jobs.close()
    for process in children_of(settings.home):
        with contextlib.suppress(psutil.Error):
            process.kill()
            process.wait(10)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory, draw_face: Callable[..., Image.Image]) -> list[Upload]:
    """Sixteen faces as Gradio hands them over."""
    folder = tmp_path_factory.mktemp("uploaded")
    for seed in range(16):
        draw_face(seed).save(folder / f"face{seed}.png")
    return [Upload(path, path.name) for path in sorted(folder.iterdir())]


def submitted(jobs: Jobs, files: list[Upload], visitor: Visitor = ME, plan: Plan = PLAN) -> str:
    key = jobs.draft(files, visitor)
    jobs.submit(key, plan, visitor)
    return key


def state_of(jobs: Jobs, key: str) -> str:
    return jobs.status(key).state


def wait_until(jobs: Jobs, key: str, *states: str) -> None:
    wait_for(lambda: state_of(jobs, key) in states)


def wait_to_learn(jobs: Jobs, key: str) -> None:
    """Until the job's trainer has told of its first steps."""
    wait_for(lambda: jobs.status(key).share)


def arguments(jobs: Jobs, key: str) -> list:
    return json.loads((jobs.folder(key).run / "arguments.json").read_text())


def test_faces_become_a_model_that_can_be_drawn_from_and_downloaded(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("tiny")
    key = submitted(jobs, files, plan=Plan(image_size=32, minutes=5, images=320, name="mine"))
    wait_until(jobs, key, *ENDED)
    done = jobs.status(key)
    assert (done.state, done.reason, done.images, done.saved, done.share) == ("finished", "", 320, 320, 1.0)
    assert (done.name, done.faces, done.has_model) == ("mine", 16, True)
    assert done.preview
    assert done.preview.is_file()
    model = load_checkpoint(jobs.model(key))
    assert model.training["images"] == 320
    with zipfile.ZipFile(jobs.archive(key)) as archive:
        archive.extractall(jobs.settings.home / "elsewhere")
    copy = load_checkpoint(jobs.settings.home / "elsewhere" / "ganime-model")
    assert np.array_equal(generate(copy, [1, 2]), generate(model, [1, 2]))

    with pytest.raises(JobError, match="how many minutes"):
        jobs.resume(key, ME)
    assert "saved run/saves/" in jobs.log(key)
    assert str(jobs.settings.home) not in jobs.log(key)


def test_stop_keeps_what_was_learnt_and_save_now_goes_on(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
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


def test_status_tells_progress_speed_and_the_time_that_is_left(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock")
    key = submitted(jobs, files, plan=replace(PLAN, images=64_000))
    wait_to_learn(jobs, key)
    status = jobs.status(key)
    assert (status.share, status.images_per_second) == (0.25, 64.0)
    assert status.seconds_left is not None
    assert 180 < status.seconds_left <= 225  # three quarters of five minutes come before 64,000 images
    assert status.events[-1]["event"] == "Step"


@pytest.mark.parametrize(
    ("images", "progress", "seen", "left"),
    [
        (0, 0.25, 640, 225.0),  # by time alone
        (64_000, 0.25, 640, 225.0),  # the time comes first
        (1_000, 0.64, 640, 36.0),  # the images do, at ten a second, whatever was seen before it went on
    ],
)
def test_time_left_counts_the_nearest_limit(images: int, progress: float, seen: int, left: float) -> None:
    job = Job(id="0" * 16, key="", visitor="", created=0.0, minutes=5.0, images=images)
    step = {"progress": progress, "images": seen, "images_per_second": 10.0, "time": 100.0}
    assert seconds_left(job, step, 100.0) == pytest.approx(left)


def test_jobs_run_one_at_a_time_first_come_first_served(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock")
    first, second, third = (submitted(jobs, files, visitor) for visitor in (ME, OTHER, ME))
    wait_until(jobs, first, "running")
    assert [jobs.status(key).place for key in (first, second, third)] == [0, 1, 2]
    jobs.stop(second)  # it waits no more, and can be submitted again
    assert (state_of(jobs, second), jobs.status(third).place) == ("draft", 1)
    jobs.submit(second, PLAN, OTHER)
    assert jobs.status(second).place == 2
    jobs.stop(first)
    wait_to_learn(jobs, third)
    assert (state_of(jobs, second), len(children_of(jobs.settings.home))) == ("queued", 1)


def test_a_waiting_job_is_told_about_how_long_it_waits(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock", start=False, visitor_jobs=9)
    first, second, third = (submitted(jobs, files, plan=replace(PLAN, minutes=minutes)) for minutes in (5, 20, 9))
    assert [jobs.status(key).wait for key in (first, second, third)] == [0, 300, 1500]
    jobs.start()
    wait_to_learn(jobs, first)  # a quarter of its time is over, the stand-in says
    wait = jobs.status(second).wait
    assert wait is not None
    assert 180 < wait < 226
    assert jobs.status(first).wait is None
    change(jobs, second, minutes=0)  # one that has no end
    assert jobs.status(third).wait is None
    others = open_jobs("mock", start=False, visitor_jobs=9, jobs=2)
    assert others.status(second).wait == 0  # there is a second place
    change(jobs, second, minutes=20)
    wait = others.status(third).wait
    assert wait is not None
    assert 180 < wait < 226  # the shorter of the two decides


def test_several_jobs_run_where_the_owner_says_so(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock", jobs=2)
    keys = [submitted(jobs, files) for _ in range(3)]
    for key in keys[:2]:
        wait_until(jobs, key, "running")
    time.sleep(0.3)
    assert state_of(jobs, keys[2]) == "queued"


def test_a_job_gives_way_to_those_who_draw(
    open_jobs: Callable[..., Jobs], files: list[Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    jobs = open_jobs("mock", job_threads=3)
    key = submitted(jobs, files)
    wait_to_learn(jobs, key)
    words, threads, _ = arguments(jobs, key)
    assert (words[words.index("--threads") + 1], threads) == ("3", "3")
    [child] = children_of(jobs.settings.home)
    assert child.nice() == 10
    assert os.getsid(child.pid) == child.pid  # it does not end with the page
    assert "HF_TOKEN" not in child.environ()


@pytest.mark.parametrize(("text", "expected"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 8), ("", 8)])
def test_cores_are_those_a_container_gets(
    text: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    (tmp_path / "cpu.max").write_text(text)
    assert job_limits.cores(tmp_path / "cpu.max") == expected


def test_command_has_nothing_in_it_that_a_visitor_wrote(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock")
    name = "--home=/ ; rm -rf $(HOME)\n<script>\udcff" + "x" * 300
    key = jobs.draft([Upload(file.path, f"../../{name}{number}.png") for number, file in enumerate(files)], ME)
    jobs.submit(key, replace(PLAN, name=name), ME)
    wait_to_learn(jobs, key)
    words, _, _ = arguments(jobs, key)
    assert not [word for word in words if "rm" in word or "script" in word]
    assert "<script>" in jobs.status(key).name  # as data, on one short line
    assert len(jobs.status(key).name) <= 60
    assert jobs.status(key).name.isprintable()
    assert sorted(path.name for path in (jobs.folder(key).uploads / "pictures").iterdir())[0] == "00000000.png"
    assert jobs.sources(key, 32).names["pictures/00000003.png"].startswith("../../--home")


def test_only_the_key_opens_a_job(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock")
    mine, other = (submitted(jobs, files, visitor) for visitor in (ME, OTHER))
    identity, _, secret = mine.partition(".")
    assert len(secret) >= 43  # 256 bits
    attempts = [
        other.partition(".")[0] + "." + secret,
        f"{identity}.",
        identity,
        "",
        "../..",
        f"{identity}.\udcff",
        None,
    ]
    calls: list[Callable[..., object]] = [
        *(jobs.status, jobs.stop, jobs.delete, jobs.model, jobs.archive, jobs.log, jobs.save_now),
        lambda key: jobs.sources(key, 32),
        lambda key: jobs.submit(key, PLAN, ME),
        lambda key: jobs.resume(key, ME),
    ]
    for key in attempts:
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
    wait_to_learn(jobs, key)
    with pytest.raises(JobMissing) as caught:
        jobs.status(key + "x")
    told = caplog.text + repr(jobs.overview(TOKEN)) + jobs.log(key) + str(caught.value)
    written = b"".join(path.read_bytes() for path in jobs.settings.home.rglob("*") if path.is_file())
    for secret in (key.partition(".")[2], visitor.identity, TOKEN):
        assert secret not in told
        assert secret.encode() not in written


def test_owner_sees_all_jobs_and_can_end_any(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock")
    keys = [submitted(jobs, files, visitor) for visitor in (ME, OTHER)]
    assert [status.id for status in jobs.overview(TOKEN)] == [key.partition(".")[0] for key in reversed(keys)]
    jobs.delete(f"{keys[0].partition('.')[0]}.{TOKEN}")
    with pytest.raises(JobMissing):
        jobs.status(keys[0])
    for wrong in ("", "the owner's own toke", TOKEN + " "):
        with pytest.raises(JobError, match="GANIME_ADMIN_TOKEN"):
            jobs.overview(wrong)
    without = open_jobs("mock", start=False, admin_token=SecretStr(""))
    with pytest.raises(JobError, match="GANIME_ADMIN_TOKEN"):
        without.overview("")
    with pytest.raises(JobMissing):
        without.status(f"{keys[1].partition('.')[0]}.")


def test_owners_table_holds_no_keys_and_no_html_of_strangers(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock", start=False)
    key = submitted(jobs, files, plan=replace(PLAN, name="<script>alert(1)</script>"))
    table = owner.table(owner.overview(jobs, TOKEN))
    assert "&lt;script&gt;alert(1)" in table
    assert "<script>" not in table
    assert key.partition(".")[0] in table
    assert key.partition(".")[2] not in table


def test_a_guessable_token_is_refused_without_being_repeated(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="at least 16 characters") as caught:
        Settings(home=tmp_path, admin_token=SecretStr("hunter2"))
    assert "hunter2" not in str(caught.value)


def test_saves_that_are_asked_for_one_after_the_other_are_refused_for_a_while(
    open_jobs: Callable[..., Jobs], files: list[Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = open_jobs("mock", jobs=2)
    keys = [submitted(jobs, files), submitted(jobs, files)]
    for key in keys:
        wait_until(jobs, key, "running")
        jobs.save_now(key)
    with pytest.raises(JobError, match="less than 15 seconds ago"):
        jobs.save_now(keys[0])
    monkeypatch.setattr(app_jobs, "SAVE_SECONDS", 0)
    jobs.save_now(keys[0])


def test_sample_grids_of_a_long_job_are_thinned_evenly(
    open_jobs: Callable[..., Jobs], files: list[Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "SWEEP_SECONDS", 0.05)
    jobs = open_jobs("mock")
    key = submitted(jobs, files)
    wait_until(jobs, key, "running")
    previews = jobs.folder(key).run / PREVIEWS
    previews.mkdir(parents=True)
    for images in (*range(0, 30_000, 100), 40_000):
        (previews / f"{images:012d}.png").write_bytes(b"")
    wait_for(lambda: len(grids_of(jobs.folder(key))) == GRIDS_KEPT)
    left = list(grids_of(jobs.folder(key)))
    assert (left[0], left[-1]) == (0, 40_000)
    assert max(after - before for before, after in itertools.pairwise(left[:-1])) <= 200
    assert jobs.status(key).preview == previews / f"{40_000:012d}.png"


def test_a_journal_is_read_again_only_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [JobFolder(tmp_path / str(number)) for number in range(8)]
    for folder in folders:
        folder.run.mkdir(parents=True)
        write(folder.run, "Step", 64)
    read: list[Path] = []
    monkeypatch.setattr(job_report, "read_journal", lambda run: read.append(run) or read_journal(run))
    for _ in range(3):
        assert [len(journal_of(folder)) for folder in folders] == [1] * 8
    assert len(read) == 8
    write(folders[0].run, "Step", 128)
    assert len(journal_of(folders[0])) == 2
    assert read[8:] == [folders[0].run]
    assert journal_of(JobFolder(tmp_path / "none")) == []


@pytest.mark.parametrize("place", ["draft", "look", "submit"])
def test_a_disk_that_fails_is_told_in_words_and_leaves_nothing_half(
    place: str, open_jobs: Callable[..., Jobs], files: list[Upload], tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/secret/place")

    jobs = open_jobs("mock", start=False)
    key = "" if place == "draft" else jobs.draft(files, ME)
    monkeypatch.setattr({"draft": "os.link", "look": "os.fsync", "submit": "shutil.copyfile"}[place], full)
    if place == "draft":
        monkeypatch.setattr("shutil.copyfile", full)
    calls: dict[str, Callable[[], object]] = {
        "draft": lambda: jobs.draft(files, ME),
        "look": lambda: tab_train.look(jobs, key, lambda *_, **__: None),  # type: ignore[arg-type]
        "submit": lambda: jobs.submit(key, replace(PLAN, start=tiny_folder), ME),
    }
    with pytest.raises(JobError, match=r"\(No space left on device\)\. Try again later") as caught:
        calls[place]()
    assert "secret" not in str(caught.value)
    assert [status.state for status in jobs.overview(TOKEN)] == ([] if place == "draft" else ["draft"])


def test_uploads_are_removed_from_where_they_lay_without_touching_what_was_kept(
    open_jobs: Callable[..., Jobs], files: list[Upload], tmp_path: Path
) -> None:
    jobs = open_jobs("mock", start=False)
    copies = []
    for file in files:
        (tmp_path / file.name).mkdir()
        copies.append(Upload(tmp_path / file.name / "face.png", file.name))
        copies[-1].path.write_bytes(file.path.read_bytes())
    (tmp_path / files[0].name / "other").write_bytes(b"")
    key = jobs.draft(copies, ME)
    discard(copies)
    discard(copies)
    assert [path.name for path in tmp_path.glob("*.png")] == [files[0].name]  # it holds something else
    assert len(list((jobs.folder(key).uploads / "pictures").iterdir())) == 16
    with pytest.raises(JobError, match="no longer here"):
        jobs.draft(copies, ME)


def test_deleting_a_running_job_ends_it_and_leaves_nothing(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock")
    key = submitted(jobs, files)
    wait_to_learn(jobs, key)
    folder = jobs.folder(key)
    jobs.delete(key)
    with pytest.raises(JobMissing):
        jobs.status(key)
    wait_for(lambda: not folder.path.exists())
    assert not children_of(jobs.settings.home)


def test_a_deleted_job_takes_the_zip_that_was_handed_out_with_it(
    open_jobs: Callable[..., Jobs], files: list[Upload], tiny_folder: Path, tmp_path: Path
) -> None:
    jobs = open_jobs("mock", start=False)
    key = jobs.draft(files, ME)
    model = jobs.folder(key).run / "saves" / "best"
    shutil.copytree(tiny_folder, model)
    for name in ("directions.json", "directions.safetensors", "known.json", "known.safetensors"):
        (model / name).write_text(name)
    (model / "other.txt").write_text("none of the model's files")
    archive = jobs.archive(key)
    with zipfile.ZipFile(archive) as packed:
        names = {Path(name).name for name in packed.namelist()}
        assert names == {path.name for path in model.iterdir()} - {"other.txt"}
    assert not {part for word in key.split(".") for part in archive.parts if word in part}
    assert sorted(path.name for path in app_jobs.model_files(model)) == sorted(names)
    jobs.start()
    jobs.delete(key)
    wait_for(lambda: not archive.parent.exists())


def test_errors_reach_the_visitor_without_the_code_and_the_paths_of_this_machine(
    open_jobs: Callable[..., Jobs], files: list[Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK", "crash")
    jobs = open_jobs("mock")
    key = submitted(jobs, files)
    wait_until(jobs, key, "failed")
    assert "Traceback" in jobs.folder(key).log(1).read_text()  # the owner's
    told = jobs.log(key) + jobs.status(key).reason
    assert "RuntimeError: not foreseen" in told
    assert "Traceback" not in told
    assert "trainers.py" not in told
    lines = "".join(f'  File "{ROOT}/ganime/cli.py", line {line}, in main\n    main()\n' for line in range(600))
    jobs.folder(key).log(1).write_text(f"Traceback (most recent call last):\n{lines}ValueError: {ROOT}/weights\n")
    assert jobs.log(key) == "ValueError: weights\n"  # also where the end of the log has cut into the traceback

    monkeypatch.setattr(supervisor, "TRAINER", ("/no/such/place/python",))
    other = submitted(jobs, files)
    wait_until(jobs, other, "failed")
    assert jobs.status(other).reason == "It could not be started (No such file or directory)."


def test_a_job_begins_from_a_copy_of_the_model_it_was_given(
    open_jobs: Callable[..., Jobs], files: list[Upload], tiny_folder: Path
) -> None:
    jobs = open_jobs("mock")
    key = jobs.draft(files, ME)
    jobs.submit(key, Plan(image_size=64, minutes=5, start=tiny_folder), ME)
    assert jobs.status(key).image_size == 32  # the model's own
    wait_to_learn(jobs, key)
    words, _, _ = arguments(jobs, key)
    start = Path(words[words.index("--from") + 1])
    assert "--image-size" not in words
    assert load_checkpoint(start).revision == load_checkpoint(tiny_folder).revision
    assert start.is_relative_to(jobs.folder(key).path)
    with pytest.raises(GanimeError, match="is not a folder"):
        jobs.submit(jobs.draft(files, ME), replace(PLAN, start=tiny_folder / "missing"), ME)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recipe": "other"}, "recipe must be one of classic, modern"),
        ({"image_size": 48}, "image size must be one of"),
        ({"minutes": 121}, "GANIME_JOB_MINUTES"),
        ({"minutes": 0}, "GANIME_JOB_MINUTES"),
        ({"minutes": float("nan")}, "GANIME_JOB_MINUTES"),
        ({"minutes": "5"}, "GANIME_JOB_MINUTES"),
        ({"images": -1}, "number of images"),
        ({"images": 1.5}, "number of images"),
    ],
)
def test_plans_outside_the_limits_are_refused_in_words(
    change: dict, words: str, open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock", start=False)
    key = jobs.draft(files, ME)
    with pytest.raises(JobError, match=words):
        jobs.submit(key, replace(PLAN, **change), ME)
    assert state_of(jobs, key) == "draft"


def test_training_is_open_for_those_signed_in_or_off(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    login = open_jobs("mock", start=False, training="login")
    with pytest.raises(JobError, match="GANIME_TRAINING=login"):
        login.draft(files, ME)
    key = submitted(login, files, Visitor("me", signed_in=True))
    off = open_jobs("mock", start=False, training="off")
    assert state_of(off, key) == "queued"
    for call in (lambda: off.draft(files, ME), lambda: off.submit(key, PLAN, ME), lambda: off.resume(key, ME)):
        with pytest.raises(JobError, match="GANIME_TRAINING=off"):
            call()


def test_queue_and_jobs_of_a_visitor_are_limited(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock", start=False, visitor_jobs=2, queue=1)
    keys = [submitted(jobs, files), submitted(jobs, files)]
    with pytest.raises(JobError, match=r"may have 2 jobs.*GANIME_VISITOR_JOBS"):
        jobs.draft(files, ME)
    other = jobs.draft(files, OTHER)
    with pytest.raises(JobError, match="GANIME_JOBS and GANIME_QUEUE"):
        jobs.submit(other, PLAN, OTHER)
    jobs.delete(keys[0])
    jobs.submit(other, PLAN, OTHER)
    jobs.draft(files, ME)


def test_an_upload_in_place_of_another_is_not_one_more(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock", visitor_jobs=1, disk_gigabytes=0.3)
    old = jobs.draft(files, ME)
    change(jobs, old, bytes=2**28)
    with pytest.raises(JobError, match="GANIME_VISITOR_JOBS"):
        jobs.draft(files, ME)
    with pytest.raises(JobError, match="no picture and no zip"):
        jobs.draft([], ME, instead=old)
    assert here(jobs, old)  # what is refused takes nothing's place
    new = jobs.draft(files, ME, instead=old)
    assert (here(jobs, old), here(jobs, new)) == (True, True)  # until they have proved good
    jobs.delete(old)
    jobs.submit(new, replace(PLAN, minutes=1), ME)
    for key in (new, new + "x", "", old):  # a job that was submitted, or is another's, gives way to nothing
        with pytest.raises(JobError, match="GANIME_VISITOR_JOBS"):
            jobs.draft(files, ME, instead=key)
    assert here(jobs, new)


def test_a_job_counts_for_whoever_queues_it(
    open_jobs: Callable[..., Jobs], files: list[Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK", "done")
    jobs = open_jobs("mock", visitor_jobs=1)
    first = submitted(jobs, files)
    wait_until(jobs, first, "finished")
    change(jobs, first, ended=time.time() - 50 * 3600)  # so old that it counts no more
    second = submitted(jobs, files)
    wait_until(jobs, second, "finished")
    with pytest.raises(JobError, match="GANIME_VISITOR_JOBS"):
        jobs.resume(first, ME, minutes=5)
    jobs.resume(first, OTHER, minutes=5)  # by its link, say
    with pytest.raises(JobError, match="GANIME_VISITOR_JOBS"):
        jobs.submit(jobs.draft(files, Visitor("third")), PLAN, OTHER)
    jobs.resume(second, ME, minutes=5)  # itself is not one more


def test_uploads_beyond_a_limit_are_refused_and_leave_nothing(
    open_jobs: Callable[..., Jobs], files: list[Upload], tmp_path: Path
) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.bmp", os.urandom(20_000) * 60)  # more than a megabyte in some kilobytes
    many = tmp_path / "many.zip"
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(1_035):
            archive.writestr(f"{number}.txt", b"")
    refused = [
        ({"upload_faces": 16}, [Upload(many, "many.zip")], r"more than 1,032 entries.*GANIME_UPLOAD_FACES: 16"),
        ({"upload_megabytes": 1}, [Upload(bomb, "bomb.zip")], "1 MB unpacked.*GANIME_UPLOAD_MEGABYTES"),
        ({"upload_faces": 15}, files, "GANIME_UPLOAD_FACES"),
        ({"upload_megapixels": 0.06}, files, "GANIME_UPLOAD_MEGAPIXELS"),
        ({"upload_megabytes": 0.01}, files, "GANIME_UPLOAD_MEGABYTES"),
        ({"disk_gigabytes": 1e-6}, files, "GANIME_DISK_GIGABYTES"),
        ({}, [Upload(files[0].path, "notes.txt")], "no picture and no zip"),
        ({}, [], "no picture and no zip"),
    ]
    for changes, uploads, words in refused:
        jobs = open_jobs("mock", start=False, **changes)
        with pytest.raises(JobError, match=words):
            jobs.draft(uploads, ME)
    (tmp_path / "link.png").symlink_to("/etc/passwd")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK")
    jobs = open_jobs("mock")
    with pytest.raises(JobError, match="no picture and no zip"):
        jobs.draft([Upload(tmp_path / "link.png", "link.png")], ME)
    with pytest.raises(DataError, match=r"^my <faces>\.zip is neither a folder nor a whole zip"):
        jobs.draft([Upload(broken, "my <faces>.zip")], ME)
    wait_for(lambda: not list((jobs.settings.home / "jobs").glob("*")))
    assert jobs.overview(TOKEN) == []
    assert all(file.path.is_file() for file in files)


def test_old_drafts_and_ended_jobs_give_way_and_young_ones_do_not(
    open_jobs: Callable[..., Jobs], files: list[Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK", "done")
    monkeypatch.setattr(supervisor, "SWEEP_SECONDS", 0.05)
    jobs = open_jobs("mock", visitor_jobs=9)
    draft, fresh = jobs.draft(files, ME), jobs.draft(files, ME)
    keys = [submitted(jobs, files) for _ in range(3)]
    for key in keys:
        wait_until(jobs, key, "finished")
    change(jobs, draft, created=time.time() - 7 * 3600)
    wait_for(lambda: not here(jobs, draft))
    for age, key in zip((60, 50, 1), keys, strict=True):
        change(jobs, key, ended=time.time() - age * 3600, bytes=9 * 2**30)
    wait_for(lambda: not here(jobs, keys[0]))
    time.sleep(0.3)
    assert all(here(jobs, key) for key in (*keys[1:], fresh))  # 20 GB are enough for two; of the young one none goes
    change(jobs, keys[2], bytes=20 * 2**30)
    wait_for(lambda: not here(jobs, keys[1]))
    with pytest.raises(JobError, match=r"GANIME_DISK_GIGABYTES.*48 hours"):
        jobs.draft(files, ME)
    assert state_of(jobs, keys[2]) == "finished"


def here(jobs: Jobs, key: str) -> bool:
    try:
        return bool(jobs.get(key))
    except JobMissing:
        return False


def change(jobs: Jobs, key: str, **values: object) -> None:
    """Alter a row as time or chance might."""
    with jobs.store.writing() as session:
        job = session.get_one(Job, key.partition(".")[0])
        for name, value in values.items():
            setattr(job, name, value)


def test_interrupted_job_asks_for_the_minutes_it_lacks(
    open_jobs: Callable[..., Jobs], files: list[Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK", "die")  # after a save at 30 seconds
    jobs = open_jobs("mock")
    key = submitted(jobs, files, plan=Plan(image_size=32, minutes=5, images=9_999))
    wait_until(jobs, key, "interrupted")
    monkeypatch.setenv("MOCK", "")
    jobs.resume(key, ME)
    wait_to_learn(jobs, key)
    words, _, _ = arguments(jobs, key)
    asked = dict(itertools.pairwise(words))
    assert (asked["--minutes"], asked["--images"]) == ("4.5", "9999")
    assert asked["--resume"] == str(jobs.folder(key).run)
    assert not {"--recipe", "--from", "--image-size"} & set(words)


def test_stopped_job_goes_on_with_what_was_left_and_one_that_is_done_asks_for_minutes(
    open_jobs: Callable[..., Jobs], files: list[Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = open_jobs("mock")
    key = submitted(jobs, files, plan=Plan(image_size=32, minutes=60, images=9_999_999))
    wait_to_learn(jobs, key)
    assert jobs.status(key).minutes_left is None
    jobs.stop(key)
    wait_until(jobs, key, "finished")
    stopped = jobs.status(key)
    assert (stopped.minutes_left, stopped.most_images) == (59.5, 9_999_999)  # the stand-in saves 30 seconds
    resume(jobs, key, "")
    wait_to_learn(jobs, key)
    asked = dict(itertools.pairwise(arguments(jobs, key)[0]))
    assert (asked["--minutes"], asked["--images"]) == ("59.5", "9999999")
    jobs.stop(key)
    wait_until(jobs, key, "finished")
    monkeypatch.setenv("MOCK", "done")
    resume(jobs, key, "7")
    wait_until(jobs, key, "finished")
    asked = dict(itertools.pairwise(arguments(jobs, key)[0]))
    assert (asked["--minutes"], asked["--images"]) == ("7.0", "0")
    assert jobs.status(key).minutes_left is None
    assert "come to its end. Say for how many minutes" in resume(jobs, key, "")["error"]
    assert "Give whole minutes, such as 15; got 1.5" in resume(jobs, key, "1.5")["error"]


def resume(jobs: Jobs, key: str, minutes: str) -> dict:
    """What the page is answered by Continue, with this in the field for minutes."""
    event = gr.EventData(None, {"key": key, "minutes": minutes})
    request = gr.Request(username=ME.identity)
    return tab_train.Desk(SimpleNamespace(), jobs).resume(event, request, None)  # type: ignore[arg-type]


def test_faces_that_were_looked_at_are_decoded_once(
    open_jobs: Callable[..., Jobs], files: list[Upload], tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        for file in files[:8]:
            archive.write(file.path, file.name)
    jobs = open_jobs("mock")
    key = jobs.draft([Upload(tmp_path / "some.zip", "Some.ZIP"), *files[8:]], ME)
    sources = jobs.sources(key, 32)
    assert len(load_faces(sources.paths, 32, sources.cache).names) == jobs.status(key).faces == 16
    assert sources.names["00000000.zip"] == "Some.ZIP"
    jobs.submit(key, PLAN, ME)
    wait_to_learn(jobs, key)
    words, _, _ = arguments(jobs, key)
    assert words[1 : words.index("--home")] == [str(path) for path in sources.paths]
    assert sources.cache == Path(words[words.index("--home") + 1]) / "cache"
    with pytest.raises(JobError, match="image size must be one of"):
        jobs.sources(key, 33)


def test_a_job_that_goes_on_counts_with_what_it_has_become(
    open_jobs: Callable[..., Jobs], files: list[Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK", "done")
    jobs = open_jobs("mock")
    key = submitted(jobs, files)
    wait_until(jobs, key, "finished")
    with (jobs.folder(key).run / "large").open("wb") as file:
        file.truncate(2**30)
    jobs.resume(key, ME, minutes=5)
    assert jobs.status(key).bytes > 2**30


def test_bytes_are_reckoned_with_all_that_a_job_may_write() -> None:
    assert job_limits.bytes_needed(10, 1000, 64) > 10 + 1000 * 64 * 64 * 3 + 3 * 94_192_563  # a save as measured
    assert job_limits.bytes_needed(10, 1000, 64, 10**8) > 2.4e9  # nets that are larger than those of the recipes
