"""The supervisor of training jobs: the only file that starts, signals and reaps their processes."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import psutil
from sqlmodel import col, select

from app.jobs import uploads
from app.jobs.limits import cores, make_room
from app.jobs.status import JobFolder, folder_bytes, handed_out, last_line, outcome, thin_grids
from app.jobs.store import ACTIVE, DRAFT, FAILED, QUEUED, RUNNING, STOPPING, Job, Store, count
from app.settings import ROOT, Settings
from ganime.config import SCRATCH
from ganime.training.events import read_journal
from ganime.training.run_folder import RUN_FILE

TRAINER = (sys.executable, "-m", "ganime")
POLL_SECONDS, SWEEP_SECONDS = 0.5, 60.0
READING_SECONDS = 1_800.0  # for decoding the faces and a last save, beyond the minutes a job may train
TRIAL, TRIAL_SECONDS = "trial", 90.0  # the folder of a trial; the longest it takes, decoding the faces included
NICENESS = 10  # those who draw faces go first
STRAY_SECONDS = 3_600.0  # after which a folder without a row is what a removal has left
SECRETS = ("TOKEN", "SECRET", "PASSWORD", "KEY")  # in names of variables that a job has no use for
LOG = logging.getLogger(__name__)


class Supervisor:
    """Makes the processes be what the rows say, in a thread of its own.

    What a visitor asks for is written to the row alone, by any process of the page; one of them at a time holds the
    lock of the home and acts. Children outlive it: the next supervisor finds them by their number and start time.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store, self.settings = store, settings
        self.home = settings.home.resolve()
        self.children: dict[str, psutil.Process] = {}
        self.killed: set[str] = set()
        self.endings: dict[str, tuple[str, str]] = {}
        self.wake, self.closing = threading.Event(), threading.Event()
        self.lock: int | None = None
        self.swept = 0.0
        self.threads = settings.job_threads or max(1, cores() // 2)
        self.thread = threading.Thread(target=self.supervise, name="jobs", daemon=True)

    def folder(self, identity: str) -> JobFolder:
        return JobFolder(self.home / "jobs" / identity)

    def close(self) -> None:
        """End the thread and leave the role to another process; the jobs go on."""
        self.closing.set()
        self.wake.set()
        if self.thread.is_alive():
            self.thread.join()
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None

    def supervise(self) -> None:
        while not self.closing.is_set():
            with guarded("The supervisor of jobs"):
                if self.leads():
                    self.tick()
            self.wake.wait(POLL_SECONDS)
            self.wake.clear()

    def leads(self) -> bool:
        """Whether this process is the one that acts; it stays so until it ends."""
        if self.lock is None:
            lock = os.open(self.home / "jobs.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.lock = lock
            except OSError as error:
                os.close(lock)
                if not isinstance(error, BlockingIOError):  # not another process: a disk without locks
                    raise
        return self.lock is not None

    def tick(self) -> None:
        """Look after every job once."""
        with self.store.reading() as session:
            watched = col(Job.state).in_(ACTIVE) | col(Job.deleted).is_(True)
            jobs = session.exec(select(Job).where(watched)).all()
            waiting = count(session, Job.state == QUEUED)
        for job in jobs:
            with guarded(f"Looking after job {job.id}"):
                self.attend(job)
        while waiting and self.start_next():
            waiting -= 1
        if not self.swept or time.monotonic() - self.swept > SWEEP_SECONDS:
            self.sweep()
            self.swept = time.monotonic()

    def attend(self, job: Job) -> None:
        """Look after one job that has a child, had one, or is to be removed."""
        process = self.children.get(job.id) or (self.find(job) if job.state in ACTIVE else None)
        over, code = ended(process) if process else (True, None)
        if process and not over:
            self.children[job.id] = process
            if job.pid != process.pid:
                self.change(job, pid=process.pid, pid_time=process.create_time())
            self.steer(job, process)
        elif job.deleted:
            for folder in (self.folder(job.id).path, handed_out(self.settings, job)):
                shutil.rmtree(folder, ignore_errors=True)
            self.change(job, remove=True)
        elif not process and job.state == RUNNING and job.pid is None:
            self.change(job, state=QUEUED)  # the page was killed before it had started the child
        else:
            if job.id not in self.endings:  # found out once: it may take a while until it can be written down
                self.endings[job.id] = outcome(job, code, self.folder(job.id), job.id in self.killed)
            state, reason = self.endings[job.id]
            taken = folder_bytes(self.folder(job.id).path)
            self.change(job, state=state, reason=reason, bytes=taken, ended=time.time(), pid=None, pid_time=None)

    def steer(self, job: Job, process: psutil.Process) -> None:
        """Tell a child what is asked of it: to save, to end, and after a while not so politely."""
        now = time.time()
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended since: the next tick sees that
            if job.deleted:
                process.kill()
            elif job.state == STOPPING and not job.asked:
                process.terminate()
                process.resume()  # a child that somebody has suspended would not hear of it
                self.change(job, asked=now)
            elif job.state == STOPPING and last_line(job, self.folder(job.id)).get("event") == "Done":
                process.kill()  # all is saved and said; to take itself apart costs it seconds
            elif job.state == STOPPING and now - job.asked > self.settings.stop_seconds:
                self.killed.add(job.id)
                process.kill()
            elif job.state == RUNNING and now - job.started > job.minutes * 60 + READING_SECONDS:
                reason = f"Ended by this page: it took {READING_SECONDS / 60:.0f} minutes more than it may train."
                self.change(job, state=STOPPING, reason=reason)
            elif job.save and last_line(job, self.folder(job.id)):  # sooner, the signal would end it
                process.send_signal(signal.SIGUSR1)
                self.change(job, save=False)

    def find(self, job: Job) -> psutil.Process | None:
        """The child of a job that another process of the page has started, or None when it is gone."""
        if job.pid is not None and job.pid_time is not None:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(job.pid)
                if abs(process.create_time() - job.pid_time) < 1:
                    return process
        run = str(self.folder(job.id).run)
        for process in psutil.process_iter(["cmdline"]):  # a kill came before the number was written, or a new clock
            words = process.info["cmdline"] or []
            if "train" in words and run in words:
                return process
        return None

    def start_next(self) -> bool:
        """Start the job that has waited longest, if there is one and its turn has come."""
        with self.store.writing() as session:
            busy = session.exec(select(Job.id).where(col(Job.state).in_(ACTIVE))).all()  # those to be removed, too
            waiting = select(Job).where(Job.state == QUEUED, col(Job.deleted).is_(False))
            job = session.exec(waiting.order_by(col(Job.queued), col(Job.id))).first()
            if job is None or len(busy) >= self.settings.jobs:
                return False
            job.state, job.reason, job.started, job.ended, job.asked = RUNNING, "", time.time(), 0.0, 0.0
            job.attempt, job.save = job.attempt + 1, False
        try:
            self.start(job)
        except OSError as error:  # its path is none of a visitor's business
            LOG.exception("Job %s could not be started.", job.id)
            self.change(job, state=FAILED, reason=f"It could not be started ({error.strerror}).", ended=time.time())
        return True

    def start(self, job: Job) -> None:
        """Start the child of a job."""
        folder = self.folder(job.id)
        with folder.log(job.attempt).open("ab") as log:
            start = folder.start / job.start if job.start else None
            child = self.spawn(command(job, folder, self.threads, folder, start), log)
        child.returncode = 0  # from here on psutil waits for it, as for a child that was found again
        self.children[job.id] = process = psutil.Process(child.pid)
        self.change(job, pid=process.pid, pid_time=process.create_time())

    def spawn(self, words: list[str], log: IO[bytes] | int) -> subprocess.Popen[bytes]:
        """Start a trainer, in a session of its own, so that it does not end with the page."""
        environment = {name: value for name, value in os.environ.items() if not any(word in name for word in SECRETS)}
        child = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=ROOT,
            env=environment | {"OMP_NUM_THREADS": str(self.threads), "HF_HUB_OFFLINE": "1"},
            start_new_session=True,
        )
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended already
            process = psutil.Process(child.pid)
            process.nice(max(NICENESS, process.nice()))
        return child

    def trial(self, job: Job, start: Path | None = None) -> list[dict[str, Any]]:
        """What a training as `job` asks for, from the model at `start`, tells in its first seconds. Raises OSError.

        Nothing of it is kept, the faces that it decoded included. It ends, with nothing to tell, when the draft is
        submitted or deleted meanwhile.
        """
        folder = self.folder(job.id)
        trial = JobFolder(folder.path / TRIAL)
        child = self.spawn(command(job, folder, self.threads, trial, start), subprocess.DEVNULL)
        until, kept = time.monotonic() + TRIAL_SECONDS, True
        try:
            while True:
                with self.store.reading() as session:
                    row = session.get(Job, job.id)
                kept = row is not None and not row.deleted
                if row is None or row.deleted or row.state != DRAFT:
                    return []
                over = child.poll() is not None or time.monotonic() > until
                steps = [line for line in read_journal(trial.run) if line["event"] == "Step"]
                if over or len(steps) > 1 or any(step["progress"] >= 1 for step in steps):
                    return steps
                time.sleep(POLL_SECONDS)
        finally:
            child.kill()
            child.wait()
            shutil.rmtree((trial if kept else folder).path, ignore_errors=True)  # it may have written after a removal

    def sweep(self) -> None:
        """Drop what is too old or too much: drafts, ended jobs when the disk is full, stray folders, sample grids."""
        now = time.time()
        with self.store.writing() as session:
            old = now - self.settings.draft_hours * 3600
            aged = (col(Job.created) < old) & (col(Job.queued) < old)
            for draft in session.exec(select(Job).where(Job.state == DRAFT, aged)):
                draft.deleted = True
            make_room(session, self.settings, 0)
            known = set(session.exec(select(Job.id)))
            running = session.exec(select(Job.id).where(col(Job.state).in_(ACTIVE))).all()
        uploads.sweep(self.settings)
        for identity in running:
            thin_grids(self.folder(identity))
        for path in (self.home / "jobs").glob("*"):
            if path.name not in known and now - path.stat().st_mtime > STRAY_SECONDS:
                shutil.rmtree(path, ignore_errors=True)

    def change(self, job: Job, remove: bool = False, **values: Any) -> None:
        """Write what has become of a job, unless it was asked something since; then the next tick decides anew."""
        with self.store.writing() as session:
            row = session.get_one(Job, job.id)
            if (row.state, row.deleted) != (job.state, job.deleted):
                return
            for name, value in values.items():
                setattr(row, name, value)
            if remove:
                session.delete(row)
        if remove or values.get("state", job.state) not in ACTIVE:
            self.children.pop(job.id, None)
            self.endings.pop(job.id, None)
            self.killed.discard(job.id)


def ended(process: psutil.Process, again: bool = True) -> tuple[bool, int | None]:
    """Whether a process has ended, and its exit status where it is our child; a child of ours is reaped."""
    try:
        return True, process.wait(timeout=0)
    except psutil.TimeoutExpired:
        over = not process.is_running() or process.status() == psutil.STATUS_ZOMBIE  # its number is another's, or free
        return ended(process, again=False) if over and again else (over, None)  # nobody's child, if it is so still
    except psutil.NoSuchProcess:
        return True, None


def command(job: Job, folder: JobFolder, threads: int, out: JobFolder, start: Path | None) -> list[str]:
    """The command line of a job's child, which writes into `out`. It holds paths, numbers, and words of fixed lists."""
    faces, run = map(str, uploads.kept(folder.uploads)), out.run
    words = [*TRAINER, "train", *faces, "--home", str(out.path), "--threads", str(threads)]
    words += ["--minutes", str(job.minutes), "--images", str(job.images)]
    if (run / RUN_FILE).is_file():
        return [*words, "--resume", str(run)]
    words += ["--out", str(run), "--recipe", job.recipe]
    return [*words, "--from", str(start)] if start else [*words, "--from", SCRATCH, "--image-size", str(job.image_size)]


@contextlib.contextmanager
def guarded(what: str) -> Iterator[None]:
    """An error is logged and does not reach what comes after: the other jobs need looking after whatever it was."""
    try:
        yield
    except Exception:
        LOG.exception("%s met an error; it is tried again.", what)
