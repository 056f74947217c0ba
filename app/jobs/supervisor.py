"""The supervisor of training jobs: the only file that starts, signals and reaps trainers."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import IO, Any

import psutil
from sqlmodel import col, select

from app.jobs import arrivals, uploads
from app.jobs.ending import last_line, outcome
from app.jobs.folder import JobFolder, download_folder
from app.jobs.limits import delete_oldest
from app.jobs.options import JobOptions
from app.jobs.status import MIN_MINUTES
from app.jobs.store import ACTIVE, DRAFT, FAILED, QUEUED, RUNNING, STOPPING, Job, Store, count
from app.settings import ROOT, Settings
from ganime.background import cores
from ganime.config import PAUSES, SCRATCH
from ganime.files import folder_bytes

SAVE_MINUTES = 0.5  # of training, the most that a kill of the trainer can cost; a save takes 0.4 s of processor time
STRAY_SECONDS = 3_600.0  # after which a folder without a row counts as left over from a deletion
SECRET_WORDS = ("TOKEN", "SECRET", "PASSWORD", "KEY")  # in names of variables that a trainer does not get
LOGGER = logging.getLogger(__name__)


class Durations:
    """Seconds since moments of jobs by a clock that nobody sets; for those of an earlier page, by that of the wall."""

    def __init__(self) -> None:
        self.begun: dict[tuple[str, float], float] = {}  # monotonic times, by job and moment

    def begin(self, job: Job, moment: float) -> None:
        """Count from now, a moment of a job in Unix time."""
        self.begun[job.id, moment] = time.monotonic()

    def since(self, job: Job, moment: float) -> float:
        """Return the seconds that have passed since a moment of a job, in Unix time."""
        now = time.monotonic()
        return now - self.begun.setdefault((job.id, moment), now - max(0.0, time.time() - moment))

    def forget(self, job: Job) -> None:
        """Forget the moments of a job that has ended."""
        self.begun = {key: begun for key, begun in self.begun.items() if key[0] != job.id}


class Supervisor:
    """Makes the trainer processes match the rows of the store, in a separate thread.

    Visitors' requests only change rows, in any process of the page. One process at a time holds the lock of the home
    and acts on them. Trainers outlive it; the next supervisor finds them by process number and start time.
    """

    def __init__(self, store: Store, settings: Settings, options: JobOptions) -> None:
        self.store, self.settings, self.options = store, settings, options
        self.home = settings.home.resolve()
        self.trainers: dict[str, psutil.Process] = {}
        self.killed: set[str] = set()  # jobs whose trainer did not stop in time
        self.durations = Durations()
        self.outcomes: dict[str, tuple[str, str]] = {}  # of ended jobs, until they are written to the row
        self.wake, self.closing = threading.Event(), threading.Event()
        self.lock: int | None = None
        self.swept = 0.0
        self.threads = settings.job_threads or max(1, cores() // 2)
        self.thread = threading.Thread(target=self.supervise, name="jobs", daemon=True)

    def folder(self, identity: str) -> JobFolder:
        """Return the folder of the job with this id."""
        return JobFolder(self.home / "jobs" / identity)

    def close(self, ending: bool = False) -> None:
        """End the thread and release the lock. ending: whether the trainers end as well, else they continue."""
        self.closing.set()
        self.wake.set()
        if self.thread.is_alive():
            self.thread.join()
        if ending and self.lock is not None:
            self.requeue()
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None

    def requeue(self) -> None:
        """Have every trainer save and end, and its job continue when the page is started again."""
        with self.store.reading() as session:
            jobs = session.exec(select(Job).where(Job.state == RUNNING, col(Job.deleted).is_(False))).all()
        trainers = {job.id: self.trainers.get(job.id) or self.find(job) for job in jobs}
        jobs = [job for job in jobs if last_line(job, self.folder(job.id)).get("event") != "Done"]
        for job in jobs:
            self.change(job, state=QUEUED, pid=None, pid_time=None)  # at once: the time may be short
            job.state = QUEUED
            if trainer := trainers[job.id]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    trainer.terminate()
                    trainer.resume()
        psutil.wait_procs([trainer for trainer in trainers.values() if trainer], timeout=self.options.stop)
        for job in jobs:
            trained = self.folder(job.id).trained_seconds()
            left = max(MIN_MINUTES, job.minutes - (trained - job.trained) / 60)
            self.change(job, minutes=left, trained=trained)

    def supervise(self) -> None:
        """Look at all jobs again and again; the body of the thread."""
        while not self.closing.is_set():
            with logged_errors("The supervisor of jobs"):
                if self.holds_lock():
                    self.tick()
            self.wake.wait(self.options.poll)
            self.wake.clear()

    def holds_lock(self) -> bool:
        """Return whether this process is the one that acts; it remains so until it ends."""
        if self.lock is None:
            lock = os.open(self.store.path.with_name("jobs.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.lock = lock
            except OSError as error:
                os.close(lock)
                if not isinstance(error, BlockingIOError):  # a file system without locks
                    raise
        return self.lock is not None

    def tick(self) -> None:
        """Look at every job once."""
        with self.store.reading() as session:
            watched = col(Job.state).in_(ACTIVE) | col(Job.deleted).is_(True)
            jobs = session.exec(select(Job).where(watched)).all()
            waiting = count(session, Job.state == QUEUED)
        for job in jobs:
            with logged_errors(f"Job {job.id}"):
                self.attend(job)
        while waiting and self.start_next():
            waiting -= 1
        if not self.swept or time.monotonic() - self.swept > self.options.sweep:
            self.sweep()
            self.swept = time.monotonic()

    def attend(self, job: Job) -> None:
        """Look at one job that is active or is to be deleted."""
        process = self.trainers.get(job.id) or (self.find(job) if job.state in ACTIVE else None)
        over, status = ended(process) if process else (True, None)
        if process and not over:
            self.trainers[job.id] = process
            if job.pid != process.pid:
                self.change(job, pid=process.pid, pid_time=process.create_time())
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended since: the next tick handles that
                self.signal(job, process)
        elif job.deleted:
            for folder in (self.folder(job.id).path, download_folder(self.settings, job)):
                shutil.rmtree(folder, ignore_errors=True)
            self.change(job, remove=True)
        elif not process and job.state == RUNNING and job.pid is None:
            self.change(job, state=QUEUED)  # the page was killed before it started the trainer
        else:
            self.finish(job, status)

    def signal(self, job: Job, process: psutil.Process) -> None:
        """Pass on to a live trainer what its row requests. Raises psutil.NoSuchProcess when it has ended."""
        if job.deleted:
            process.kill()
        elif job.state == STOPPING:
            self.stop(job, process)
        elif self.durations.since(job, job.started) > self.longest(job):
            minutes = f"{self.longest(job) / 60:.0f} minutes"
            text = f"Stopped by this page: with reading, measuring and fitting, a job of its length may take {minutes}."
            self.change(job, state=STOPPING, reason=text)
        elif job.save and last_line(job, self.folder(job.id)):  # before its first line the signal would end it
            process.send_signal(signal.SIGUSR1)
            self.change(job, save=False)

    def longest(self, job: Job) -> float:
        """Return the seconds that a job may take in all."""
        return job.minutes * 60 * (1 + PAUSES) + self.options.overtime

    def stop(self, job: Job, process: psutil.Process) -> None:
        """Request a trainer to stop; kill it once everything is saved, or when it takes too long."""
        if not job.asked:
            process.terminate()
            process.resume()  # a suspended process would not receive the signal
            asked = time.time()
            self.durations.begin(job, asked)
            self.change(job, asked=asked)
        elif last_line(job, self.folder(job.id)).get("event") == "Done":
            process.kill()  # its own shutdown takes seconds more
        elif self.durations.since(job, job.asked) > self.options.stop:
            self.killed.add(job.id)
            process.kill()

    def finish(self, job: Job, status: int | None) -> None:
        """Record how a job ended. status: see `outcome`."""
        folder = self.folder(job.id)
        if job.id not in self.outcomes:  # determined once; writing it may have to be repeated
            state, reason = outcome(job, status, folder, job.id in self.killed)
            self.outcomes[job.id] = state, uploads.with_visitor_names(reason, folder.uploads)
        state, reason = self.outcomes[job.id]
        size = folder_bytes(folder.path)
        self.change(job, state=state, reason=reason, bytes=size, ended=time.time(), pid=None, pid_time=None)

    def find(self, job: Job) -> psutil.Process | None:
        """Return the trainer that another process of the page started for a job, None if it has ended."""
        if job.pid is not None and job.pid_time is not None:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(job.pid)
                if abs(process.create_time() - job.pid_time) < 1:
                    return process
        run = str(self.folder(job.id).run)
        for process in psutil.process_iter(["cmdline"]):  # the page was killed before it wrote the number
            words = process.info["cmdline"] or []
            if "train" in words and run in words:
                return process
        return None

    def start_next(self) -> bool:
        """Start the job that has waited longest, if there is one and a place is free; return whether it did."""
        with self.store.writing() as session:
            busy = session.exec(select(Job.id).where(col(Job.state).in_(ACTIVE))).all()  # including deleted jobs
            waiting = select(Job).where(Job.state == QUEUED, col(Job.deleted).is_(False))
            job = session.exec(waiting.order_by(col(Job.queued), col(Job.id))).first()
            if job is None or len(busy) >= self.settings.jobs:
                return False
            job.state, job.reason, job.started, job.ended, job.asked = RUNNING, "", time.time(), 0.0, 0.0
            job.attempt, job.save = job.attempt + 1, False
        try:
            self.start(job)
        except OSError as error:  # without the path, which visitors may not see
            LOGGER.exception("Job %s could not be started.", job.id)
            self.change(job, state=FAILED, reason=f"It could not be started ({error.strerror}).", ended=time.time())
        return True

    def start(self, job: Job) -> None:
        """Start the trainer of a job. Raises OSError if that fails."""
        self.durations.begin(job, job.started)
        folder = self.folder(job.id)
        with folder.log(job.attempt).open("ab") as log:
            child = self.spawn([*self.options.trainer, *train_arguments(job, folder, self.threads)], log)
        child.returncode = 0  # from here on psutil waits for it, as for a trainer that was found again
        self.trainers[job.id] = process = psutil.Process(child.pid)
        self.change(job, pid=process.pid, pid_time=process.create_time())

    def spawn(self, words: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a process in a new session, so that it does not end with the page."""
        environment = {
            name: value for name, value in os.environ.items() if not any(word in name for word in SECRET_WORDS)
        }
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
            process.nice(max(self.options.niceness, process.nice()))
        return child

    def sweep(self) -> None:
        """Delete old drafts and uploads, ended jobs while space is short, stray folders, and surplus sample grids."""
        now = time.time()
        with self.store.writing() as session:
            old = now - self.options.draft
            expired = (col(Job.created) < old) & (col(Job.queued) < old)
            for draft in session.exec(select(Job).where(Job.state == DRAFT, expired)):
                draft.deleted = True
            waiting = sum(arrivals.arrival_sizes(self.settings).values())
            delete_oldest(session, self.settings, waiting=waiting)
            known = set(session.exec(select(Job.id)))
            active = session.exec(select(Job.id).where(col(Job.state).in_(ACTIVE))).all()
        arrivals.sweep_arrivals(self.settings)
        for identity in active:
            self.folder(identity).thin_grids()
        for path in (self.home / "jobs").glob("*"):
            if path.name not in known and now - path.stat().st_mtime > STRAY_SECONDS:
                shutil.rmtree(path, ignore_errors=True)

    def change(self, job: Job, remove: bool = False, **values: Any) -> None:
        """Write values to a job's row, unless a request has changed its state since; the next tick decides anew."""
        with self.store.writing() as session:
            row = session.get_one(Job, job.id)
            if (row.state, row.deleted) != (job.state, job.deleted):
                return
            for name, value in values.items():
                setattr(row, name, value)
            if remove:
                session.delete(row)
        if remove or values.get("state", job.state) not in ACTIVE:
            self.trainers.pop(job.id, None)
            self.outcomes.pop(job.id, None)
            self.killed.discard(job.id)
            self.durations.forget(job)


def ended(process: psutil.Process, again: bool = True) -> tuple[bool, int | None]:
    """Return whether a process has ended, and its exit status if it is a child of this process, which is reaped."""
    try:
        return True, process.wait(timeout=0)
    except psutil.TimeoutExpired:
        over = not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        if over and again:  # it ended between the two questions: if it is our child, its status is available now
            return ended(process, again=False)
        return over, None
    except psutil.NoSuchProcess:
        return True, None


def train_arguments(job: Job, folder: JobFolder, threads: int) -> list[str]:
    """Return the arguments of a job's trainer: paths, numbers, and words of fixed lists, nothing a visitor wrote."""
    faces = map(str, uploads.stored_sources(folder.uploads))
    words = ["train", *faces, "--home", str(folder.path), "--threads", str(threads)]
    words += ["--minutes", str(job.minutes), "--images", str(job.images), "--save-minutes", str(SAVE_MINUTES)]
    if folder.models():  # a run without a save begins anew
        return [*words, "--resume", str(folder.run)]
    start = str(folder.start / job.start) if job.start else SCRATCH
    return [
        *words,
        "--out",
        str(folder.run),
        "--recipe",
        job.recipe,
        "--from",
        start,
        "--image-size",
        str(job.image_size),
        "--crop",
        folder.crop,
    ]


@contextlib.contextmanager
def logged_errors(what: str) -> Iterator[None]:
    """Log any error of the block instead of raising it, so that the other jobs are looked at; the next tick retries."""
    try:
        yield
    except Exception:
        LOGGER.exception("%s met an error; it is tried again.", what)
