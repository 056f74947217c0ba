"""Training jobs when something breaks: killed trainers and pages, full disks, damaged saves, locked rows."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import psutil
import pytest
from typer.testing import CliRunner

from app.errors import JobError
from app.jobs.arrivals import Upload
from app.jobs.limits import TrainingPlan
from app.jobs.service import Jobs
from app.jobs.store import DATABASE, ENDED, Job, Store
from app.jobs.supervisor import Supervisor, ended, train_arguments
from app.server.launch import stop_with
from ganime.cli import app as command_line
from ganime.training.events import read_journal
from tests.app.job_helpers import (
    ME,
    PLAN,
    change,
    children_of,
    state_of,
    submitted,
    wait_for,
    wait_for_steps,
    wait_until,
)
from tests.forking import CONTEXT
from tests.trainers import ROOT, supervise

KILLS = int(os.environ.get("GANIME_KILLS", "3"))


@pytest.fixture
def open_page(tmp_path: Path) -> Iterator[Callable[..., ForkServerProcess]]:
    """open_page(kind): a process that supervises the jobs of the home like the page."""
    pages: list[ForkServerProcess] = []

    def make(kind: str = "mock") -> ForkServerProcess:
        ready, sender = CONTEXT.Pipe(duplex=False)
        pages.append(CONTEXT.Process(target=supervise, args=(str(tmp_path / "home"), kind, sender), daemon=True))
        pages[-1].start()
        sender.close()
        assert ready.recv()
        return pages[-1]

    yield make
    for page in pages:
        kill(page)


def kill(page: ForkServerProcess) -> None:
    page.kill()
    page.join(10)


@pytest.mark.slow
@pytest.mark.timeout(120 + 120 * KILLS)
def test_nothing_is_lost_by_kills_at_any_moment_but_the_steps_since_the_last_save(
    open_jobs: Callable[..., Jobs], open_page: Callable[..., ForkServerProcess], files: list[Upload]
) -> None:
    jobs, chance = open_jobs("tiny", start=False), random.Random(0)
    key = submitted(jobs, files, plan=replace(PLAN, minutes=120))  # enough for all the kills
    page = open_page("tiny")
    run = jobs.folder(key).run
    for number in range(KILLS):
        wait_for_steps(jobs, key)
        time.sleep(chance.uniform(0, 1))
        [child] = children_of(jobs.settings.home)
        victims = ("child", "page", "both")[number % 3]
        before = max((line["images"] for line in read_journal(run) if line["event"] == "Saved"), default=0)
        if victims != "page":
            child.kill()
        if victims != "child":
            kill(page)
            page = open_page("tiny")
        if victims == "page":
            assert children_of(jobs.settings.home) == [child]
            time.sleep(1)
            assert (state_of(jobs, key), len(children_of(jobs.settings.home))) == ("running", 1)
            continue
        wait_until(jobs, key, *ENDED)
        status = jobs.status(key)
        assert status.state == "interrupted"
        reason = "killed from outside (signal 9)" if victims == "child" else "while the page was not running"
        assert reason in status.reason
        assert status.saved >= before
        jobs.resume(key, ME)
        wait_for_steps(jobs, key)
        resumed = [note for note in jobs.status(key).notes if note.startswith("Resumed")]
        assert not status.saved or f"Resumed at {status.saved:,} images" in resumed[-1]
    wait_for_steps(jobs, key)
    jobs.stop(key)
    wait_until(jobs, key, *ENDED)
    assert (state_of(jobs, key), jobs.status(key).reason) == ("finished", "Stopped.")
    assert jobs.checkpoint(key).training["images"] == jobs.status(key).images > 0


@pytest.mark.slow
def test_page_that_is_killed_finds_its_child_again_and_never_starts_two(
    open_jobs: Callable[..., Jobs], open_page: Callable[..., ForkServerProcess], files: list[Upload]
) -> None:
    jobs = open_jobs("mock", start=False)
    running, waiting = submitted(jobs, files), submitted(jobs, files)
    page = open_page()
    wait_for_steps(jobs, running)
    [child] = children_of(jobs.settings.home)
    kill(page)
    change(jobs, running, pid=None, pid_time=None)  # as if the page was killed before it wrote the number
    jobs.stop(running)  # requested while there is no page
    assert children_of(jobs.settings.home) == [child]
    again = open_jobs("mock")
    wait_until(again, running, "finished")
    assert again.status(running).reason == "Stopped."
    wait_for_steps(again, waiting)
    assert len(children_of(jobs.settings.home)) == 1


def test_of_two_pages_on_one_home_one_supervises_and_the_other_takes_over(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    one = open_jobs("mock", jobs=2)
    wait_for(lambda: one.supervisor.lock is not None)
    other = open_jobs("mock", jobs=2)
    keys = [submitted(other, files) for _ in range(2)]
    for key in keys:
        wait_for_steps(other, key)
    time.sleep(0.3)
    children = children_of(one.settings.home)
    assert len(children) == 2
    assert other.supervisor.lock is None
    one.supervisor.close()
    wait_for(lambda: other.supervisor.lock is not None)
    time.sleep(0.3)
    assert children_of(one.settings.home) == children
    other.stop(keys[0])
    wait_until(other, keys[0], "finished")
    assert state_of(other, keys[1]) == "running"


def test_job_that_was_to_start_when_the_page_was_killed_starts_after_all(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock", start=False)
    key = submitted(jobs, files)
    change(jobs, key, state="running", started=time.time(), attempt=1)
    jobs.start()
    wait_for_steps(jobs, key)
    assert len(children_of(jobs.settings.home)) == 1


def test_another_process_with_the_trainers_number_is_left_alone(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock", start=False)
    stopping, running = submitted(jobs, files), submitted(jobs, files)
    stranger = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    try:
        for key, state in ((stopping, "stopping"), (running, "running")):
            change(
                jobs, key, state=state, pid=stranger.pid, pid_time=time.time() - 3600, started=time.time(), attempt=1
            )
        jobs.start()
        for key in (stopping, running):
            wait_until(jobs, key, "interrupted")
            assert "while the page was not running" in jobs.status(key).reason
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(10)


def test_trainer_that_ignores_the_signal_to_stop_is_killed_in_the_end(
    open_jobs: Callable[..., Jobs], files: list[Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK", "stubborn")
    jobs = open_jobs("mock", stop=0.5)
    key = submitted(jobs, files)
    wait_for_steps(jobs, key)
    jobs.stop(key)
    jobs.stop(key)  # asking twice changes nothing
    assert state_of(jobs, key) == "stopping"
    wait_until(jobs, key, *ENDED)
    assert jobs.status(key).state == "interrupted"
    assert "did not stop in time" in jobs.status(key).reason
    assert not children_of(jobs.settings.home)


def test_suspended_trainer_stops_and_saves(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock")
    key = submitted(jobs, files)
    wait_for_steps(jobs, key)
    [child] = children_of(jobs.settings.home)
    child.suspend()
    wait_for(lambda: child.status() == psutil.STATUS_STOPPED)
    jobs.stop(key)
    wait_until(jobs, key, *ENDED)
    assert (jobs.status(key).reason, jobs.status(key).saved > 0) == ("Stopped.", True)


@pytest.mark.parametrize(
    ("behaviour", "state", "reason"),
    [
        ("fail", "failed", "The faces are no faces."),
        ("crash", "failed", "status 1 (RuntimeError: not foreseen)"),
        ("die", "interrupted", "signal 9"),
    ],
)
def test_a_job_that_fails_says_why_and_does_not_hold_up_the_next(
    behaviour: str,
    state: str,
    reason: str,
    open_jobs: Callable[..., Jobs],
    files: list[Upload],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MOCK", behaviour)
    spawn, begun = Supervisor.spawn, []

    def noted(supervisor: Supervisor, words: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        begun.append(spawn(supervisor, words, log))
        return begun[-1]

    monkeypatch.setattr(Supervisor, "spawn", noted)
    jobs = open_jobs("mock")
    keys = [submitted(jobs, files), submitted(jobs, files)]
    for key in keys:
        wait_until(jobs, key, *ENDED)
        status = jobs.status(key)
        assert (status.state, status.can_resume) == (state, True)
        assert reason in status.reason
        assert "Traceback" not in jobs.log(key) + status.reason
        assert str(ROOT) not in jobs.log(key) + status.reason
    assert len(begun) == 2
    assert not [trainer.pid for trainer in begun if psutil.pid_exists(trainer.pid)]  # as it does until it is reaped


def test_trainer_that_ends_while_it_is_looked_at_is_reaped_with_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    process, wait, asked = psutil.Process(child.pid), psutil.Process.wait, []
    wait_for(lambda: process.status() == psutil.STATUS_ZOMBIE)

    def late(self: psutil.Process, timeout: float | None = None) -> int | None:
        asked.append(timeout)
        if len(asked) == 1:
            raise psutil.TimeoutExpired(0)
        return wait(self, timeout)

    monkeypatch.setattr(psutil.Process, "wait", late)
    assert ended(process) == (True, 3)
    child.returncode = 3  # it is waited for already


def test_trainer_that_the_machine_terminates_is_interrupted_not_finished(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock")
    key = submitted(jobs, files)
    wait_for_steps(jobs, key)
    [child] = children_of(jobs.settings.home)
    child.send_signal(signal.SIGTERM)
    wait_until(jobs, key, *ENDED)
    assert jobs.status(key).state == "interrupted"
    assert "terminated from outside" in jobs.status(key).reason


def test_page_that_takes_its_trainers_with_it_has_them_save_and_continues_their_jobs(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock")
    running, waiting = submitted(jobs, files), submitted(jobs, files)
    wait_for_steps(jobs, running)
    jobs.close(ending=True)
    assert children_of(jobs.settings.home) == []
    again = open_jobs("mock", start=False)
    assert [again.status(key).state for key in (running, waiting)] == ["queued", "queued"]
    saved = again.folder(running).saved_images()
    assert saved > 0
    row = again.get(running)
    assert (row.pid, row.trained, row.minutes) == (None, 30.0, 4.5)  # of 5: the stand-in says it trained 30 s
    again.start()
    wait_for(lambda: again.status(running).images > saved)
    assert again.status(running).place == 0


def test_a_signal_closes_the_jobs_and_ends_the_page(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock")
    key = submitted(jobs, files)
    wait_for_steps(jobs, key)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        closing = stop_with(jobs)
        for number in before:  # the second one starts nothing anew
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    closing.join(30)
    assert children_of(jobs.settings.home) == []
    assert open_jobs("mock", start=False).status(key).state == "queued"


def test_job_that_takes_far_longer_than_its_minutes_is_stopped(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock", overtime=0.1)
    key = submitted(jobs, files, plan=TrainingPlan(image_size=32, minutes=0.01))
    wait_until(jobs, key, *ENDED)
    assert (jobs.status(key).state, jobs.status(key).saved > 0) == ("finished", True)
    assert jobs.status(key).reason.startswith("Stopped by this page")


def test_a_clock_that_is_set_ends_no_job_and_kills_no_trainer_that_is_saving(
    open_jobs: Callable[..., Jobs], files: list[Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, clock = open_jobs("mock"), time.time
    key = submitted(jobs, files)
    wait_for_steps(jobs, key)
    wait_for(lambda: jobs.supervisor.durations.begun)
    for days in (3, -3, 0):
        monkeypatch.setattr(time, "time", lambda moved=86_400 * days: clock() + moved)
        time.sleep(3 * jobs.options.poll)
        assert state_of(jobs, key) == "running"
    jobs.stop(key)
    monkeypatch.setattr(time, "time", lambda: clock() + 86_400)
    wait_until(jobs, key, *ENDED)
    assert (state_of(jobs, key), jobs.status(key).reason) == ("finished", "Stopped.")
    wait_for(lambda: not jobs.supervisor.durations.begun)  # forgotten once the row has been written


def test_a_clock_that_is_set_just_after_a_trainer_was_asked_to_stop_does_not_have_it_killed(
    open_jobs: Callable[..., Jobs], files: list[Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, calls = open_jobs("mock", start=False), []
    key = submitted(jobs, files)
    change(jobs, key, state="stopping", started=time.time())
    process: Any = SimpleNamespace(
        terminate=lambda: calls.append("asked"), resume=lambda: None, kill=lambda: calls.append("killed")
    )
    jobs.supervisor.stop(jobs.get(key), process)
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + 86_400)
    jobs.supervisor.stop(jobs.get(key), process)
    assert calls == ["asked"]


def test_trainer_that_cannot_be_started_fails_with_the_reason(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock", trainer=("/nowhere/python",))
    key = submitted(jobs, files)
    wait_until(jobs, key, "failed")
    assert jobs.status(key).reason == "It could not be started (No such file or directory)."


def train_here(jobs: Jobs, key: str, images: int) -> None:
    """Train a job in this process until it has seen the given number of images."""
    job = SimpleNamespace(minutes=5, images=images, recipe="modern", start="", image_size=32)
    words = train_arguments(job, jobs.folder(key), 1)  # type: ignore[arg-type]
    answer = CliRunner().invoke(command_line, [*words, *(["--critic", "0"] if "--out" in words else [])])
    assert answer.exit_code == 0, answer.output


@pytest.mark.slow
@pytest.mark.usefixtures("quick_recipe")
def test_ended_job_goes_on_from_the_save_before_a_damaged_one_and_says_so(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("tiny", start=False)
    key = submitted(jobs, files)
    for images in (320, 480):
        train_here(jobs, key, images)
    change(jobs, key, state="finished", started=time.time(), attempt=1, images=480)
    jobs.start()
    before, last = sorted((jobs.folder(key).run / "saves").glob("[0-9]*"))
    for file in last.iterdir():
        file.write_bytes(file.read_bytes()[:100])
    assert jobs.checkpoint(key).folder == before
    jobs.resume(key, ME, minutes=0.01)
    wait_until(jobs, key, *ENDED)
    status = jobs.status(key)
    assert status.state == "finished"
    assert any(f"Resumed at {int(before.name):,} images" in note for note in status.notes)
    assert any("damaged" in note for note in status.notes)
    assert jobs.checkpoint(key).training["images"] == status.saved > int(before.name)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 320 MB at the home, a little more than a job reserves."""
    home = tmp_path / "home"
    home.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=320m", "tmpfs", home], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk needs the right to mount one ({mounted.stderr.strip()})")
    yield home
    subprocess.run(["umount", "--lazy", home], check=True)


def fill(path: Path) -> None:
    """Take all free space of a disk."""
    with path.open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(path).free - 2**20)
        file.seek(0, os.SEEK_END)
        while True:
            file.write(bytes(2**12))


@pytest.mark.slow
def test_full_disk_ends_the_job_in_words_and_costs_no_save(
    small_disk: Path, open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    with pytest.raises(JobError, match="nearly full"):
        open_jobs("tiny", start=False).draft(files, ME, 32)
    jobs = open_jobs("tiny", spare_bytes=0)
    with pytest.raises(JobError, match="nearly full"):
        jobs.draft(files, ME, 64)
    key = submitted(jobs, files)
    wait_for_steps(jobs, key)
    [child] = children_of(jobs.settings.home)
    child.send_signal(signal.SIGUSR1)  # to save now, not at the next regular time
    wait_for(lambda: jobs.status(key).saved)
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space"):
        fill(filler)
    child.send_signal(signal.SIGUSR1)
    wait_until(jobs, key, *ENDED)
    status = jobs.status(key)
    assert status.state == "failed"
    assert "No space left" in status.reason or "disk of this page is full" in status.reason
    assert f"{status.saved:,} images are saved" in status.reason
    assert jobs.checkpoint(key).training["images"] == status.saved
    filler.unlink()
    jobs.resume(key, ME)
    wait_for(lambda: jobs.status(key).images > status.images)
    jobs.stop(key)
    wait_until(jobs, key, "finished")
    assert jobs.status(key).saved > status.saved


def test_rows_can_be_written_on_a_full_disk_although_somebody_read_while_they_were_written_before(
    small_disk: Path,
) -> None:
    store = Store(small_disk)
    with store.writing() as session:
        session.add(Job(id="one", key="", visitor=""))
    with store.reading() as reader:
        assert reader.get(Job, "one")
        for number in range(12):  # the log cannot be emptied
            with store.writing() as session:
                session.get_one(Job, "one").reason = str(number)
    with pytest.raises(OSError, match="No space"):
        fill(small_disk / "filler")
    with store.writing() as session:
        session.get_one(Job, "one").reason = "ended"
    with store.reading() as session:
        assert session.get_one(Job, "one").reason == "ended"
    store.close()


def test_rows_locked_by_another_program_delay_jobs_but_lose_none(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock", busy=0.3)
    running, waiting = submitted(jobs, files), submitted(jobs, files)
    wait_for_steps(jobs, running)
    hold = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN EXCLUSIVE')"
    program = subprocess.Popen(
        [sys.executable, "-S", "-c", f"{hold}; print(flush=True); sys.stdin.read()", str(jobs.store.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert program.stdout
    program.stdout.readline()
    assert state_of(jobs, waiting) == "queued"  # readers do not wait
    with pytest.raises(JobError, match="in use by another program"):
        jobs.stop(running)
    [child] = children_of(jobs.settings.home)
    child.kill()
    time.sleep(0.7)  # the supervisor finds it dead and cannot write that
    assert state_of(jobs, running) == "running"
    program.communicate()
    wait_until(jobs, running, "interrupted")
    assert "killed from outside (signal 9)" in jobs.status(running).reason
    wait_for_steps(jobs, waiting)


def test_a_file_that_is_not_a_database_is_reported(open_jobs: Callable[..., Jobs], tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / DATABASE).write_bytes(b"no database" * 1000)
    with pytest.raises(JobError, match=r"jobs-1\.sqlite, cannot be read or written \(file is not a database\)"):
        open_jobs("mock")
