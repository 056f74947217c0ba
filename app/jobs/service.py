"""Training jobs: what a visitor may do with them, by the key that only this visitor has."""

from __future__ import annotations

import contextlib
import hmac
import re
import secrets
import shutil
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session, col, select

from app.errors import JobError, JobMissing, explain_disk_errors
from app.jobs import limits as job_limits
from app.jobs import uploads
from app.jobs.limits import Plan
from app.jobs.status import JobFolder, JobStatus, folder_bytes, handed_out, log_tail, minutes_left, status_of
from app.jobs.store import ACTIVE, DRAFT, ENDED, INTERRUPTED, QUEUED, RUNNING, STOPPING, Job, Store, digest
from app.jobs.supervisor import Supervisor
from app.jobs.uploads import Upload
from app.settings import Settings
from app.visitors import Visitor
from ganime.errors import CheckpointError
from ganime.files import atomic_file, atomic_folder
from ganime.models.checkpoint import load_checkpoint, model_card, model_files

SAVE_SECONDS = 15.0  # between two saves that a visitor asks for: each takes the trainer seconds


@dataclass(frozen=True)
class Sources:
    """What a job trains on: folders and zips, where they are kept decoded, and the visitor's names for them.

    names: by path relative to `folder`, such as "pictures/00000001.png"; strangers chose them.
    """

    paths: list[Path]
    cache: Path
    folder: Path
    names: dict[str, str]


class Jobs:
    """All training jobs of a home, for any thread and any number of processes.

    A key is made with a draft and opens that job alone; only its SHA-256 is kept. The owner's token in place of the
    secret, `ID.TOKEN`, opens any. What is asked for is written down; the supervisor carries it out, after a restart of
    the page just the same. Every method raises JobError with a text for the visitor.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings.home)
        self.supervisor = Supervisor(self.store, settings)
        self.asked: dict[str, float] = {}  # when a job was last asked to save

    def start(self) -> None:
        """Begin to supervise: find the jobs of an earlier process again, start those that wait."""
        self.supervisor.thread.start()

    def close(self) -> None:
        """Stop supervising; the jobs that run go on, and the next process of this home finds them."""
        self.supervisor.close()
        self.store.close()

    @explain_disk_errors("The files could not be kept")
    def draft(self, files: Sequence[Upload], visitor: Visitor, instead: str = "") -> str:
        """Take in uploaded faces, to be trained on later, and return the key. Raises DataError for a broken zip.

        instead: key of a draft that is deleted once these have proved good, so that it does not count. A draft that is
        not submitted is dropped after GANIME_DRAFT_HOURS.
        """
        job_limits.check_visitor(visitor, self.settings)
        chosen = uploads.choose(files, self.settings)
        taken, secret = uploads.total_bytes(chosen), secrets.token_urlsafe(32)
        job = Job(id=secrets.token_hex(8), key=digest(secret), visitor=digest(visitor.identity), created=time.time())
        job.bytes = taken
        with self.store.writing() as session:
            old = self.replaced(session, instead)
            job_limits.check_count(session, self.settings, job.visitor, but=old)
            job_limits.make_room(session, self.settings, taken, but=old)
            session.add(job)
        key, folder = f"{job.id}.{secret}", self.supervisor.folder(job.id)
        try:
            faces = uploads.count_faces(chosen, self.settings)
            uploads.keep(chosen, folder.uploads)
            with self.changing(key) as (_, draft):
                draft.faces = faces
        except BaseException:
            shutil.rmtree(folder.path, ignore_errors=True)
            with contextlib.suppress(JobError):  # if not now, then as a draft that is too old
                self.delete(key)
            raise
        return key

    @explain_disk_errors("The faces could not be read")
    def sources(self, key: str, image_size: int) -> Sources:
        """The faces of a job, to look at in this size before training; what is decoded into `cache` stays decoded."""
        job_limits.check_image_size(image_size)
        with self.changing(key) as (session, job):
            if job.state == DRAFT:
                self.reserve(session, job, image_size)
        folder = self.supervisor.folder(job.id)
        return Sources(uploads.kept(folder.uploads), folder.cache, folder.uploads, uploads.names_of(folder.uploads))

    @explain_disk_errors("The job could not be queued")
    def submit(self, key: str, plan: Plan, visitor: Visitor) -> None:
        """Queue a draft to be trained on. Raises CheckpointError for a model to begin from that cannot be read."""
        job_limits.check_visitor(visitor, self.settings)
        job_limits.check_plan(plan, self.settings)
        if self.get(key).state != DRAFT:
            raise JobError("This job has been started already.")
        start, size = keep_start(plan.start, self.folder(key).start) if plan.start else ("", plan.image_size)
        with self.changing(key, DRAFT) as (session, job):
            self.count_for(session, job, visitor)
            job.recipe, job.image_size, job.start, job.name = plan.recipe, size, start, uploads.short_name(plan.name)
            job.minutes, job.images = float(plan.minutes), plan.images
            self.enqueue(session, job)

    @explain_disk_errors("The job could not be queued")
    def resume(self, key: str, visitor: Visitor, minutes: float | None = None) -> None:
        """Queue an ended job to go on from its last save: up to its limits as they were, or for these `minutes`.

        Raises JobError where it has come to its end and no minutes are given.
        """
        job_limits.check_visitor(visitor, self.settings)
        if minutes is not None:
            job_limits.check_minutes(minutes, self.settings)
        folder = self.folder(key)
        with self.changing(key, *ENDED) as (session, job):
            self.count_for(session, job, visitor)
            if minutes is not None:
                job.minutes, job.images = float(minutes), 0
            elif left := minutes_left(job, folder):
                job.minutes = min(left, self.settings.job_minutes)
            else:
                raise JobError("This job has come to its end. Say for how many minutes more it is to go on.")
            job.trained = folder.trained_seconds()
            self.enqueue(session, job)

    def stop(self, key: str) -> None:
        """Have a job saved and ended after the step it is at, or taken out of the queue; what it learnt is kept."""
        with self.changing(key, QUEUED, *ACTIVE) as (_, job):
            if job.state == QUEUED:
                job.state, job.reason = (INTERRUPTED if job.attempt else DRAFT), "Taken out of the queue."
                job.ended = time.time() if job.attempt else job.ended
            job.state = STOPPING if job.state == RUNNING else job.state

    def save_now(self, key: str) -> None:
        """Have a running job save and draw a sample grid after the step it is at, and go on."""
        with self.changing(key, RUNNING) as (_, job):
            now = time.monotonic()
            self.asked = {identity: since for identity, since in self.asked.items() if now - since < SAVE_SECONDS}
            if job.id in self.asked:
                raise JobError(f"It was asked to save less than {SAVE_SECONDS:g} seconds ago. Wait a moment.")
            job.save, self.asked[job.id] = True, now

    def delete(self, key: str) -> None:
        """Discard a job with all its files, faces included; one that runs is ended at once and saves nothing more."""
        with self.changing(key) as (_, job):
            job.deleted = True

    def status(self, key: str) -> JobStatus:
        """How a job stands."""
        with self.store.reading() as session:
            job = self.find(session, key)
            ahead = self.store.ahead(session, job)
        return self.describe(job, ahead)

    def overview(self, token: str) -> list[JobStatus]:
        """How all jobs stand, newest first, for the owner who has set GANIME_ADMIN_TOKEN."""
        if not self.is_owner(token):
            raise JobError("The overview is for the owner of this page alone (GANIME_ADMIN_TOKEN).")
        with self.store.reading() as session:
            jobs = session.exec(select(Job).where(col(Job.deleted).is_(False)).order_by(col(Job.created).desc())).all()
            waited_for = [self.store.ahead(session, job) for job in jobs]
        return [self.describe(job, ahead) for job, ahead in zip(jobs, waited_for, strict=True)]

    def log(self, key: str) -> str:
        """The end of the log of the last attempt, as plain text that must be escaped."""
        job = self.get(key)
        return log_tail(self.supervisor.folder(job.id), job.attempt)

    def model(self, key: str) -> Path:
        """The model folder of a job: the run's best save, else the newest; one that cannot be read gives way."""
        for folder in self.folder(key).models():
            with contextlib.suppress(CheckpointError):
                load_checkpoint(folder)
                return folder
        raise JobError("This job has no model yet: nothing was saved. Wait for its first save, or ask for one now.")

    @explain_disk_errors("The zip could not be written")
    def archive(self, key: str) -> Path:
        """A zip of the model's folder, which Ganime opens anywhere; made anew at every call, it goes with the job.

        It lies where Gradio may hand it out, below a name that only the key leads to.
        """
        folder, path = self.model(key), handed_out(self.settings, self.get(key)) / "ganime-model.zip"
        with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for file in model_files(folder):
                archive.write(file, f"ganime-model/{file.name}")
        return path

    def card(self, key: str) -> str:
        """The card of the model by the visitor's name for it, Markdown that holds what strangers chose."""
        found = load_checkpoint(self.model(key))
        return model_card(self.get(key).name or found.name, found.generator.config, found.training)

    def find(self, session: Session, key: str) -> Job:
        return self.store.find(session, key, self.settings.admin_token.get_secret_value())

    def is_owner(self, token: str) -> bool:
        owner = self.settings.admin_token.get_secret_value()
        return bool(owner) and hmac.compare_digest(digest(token), digest(owner))

    def get(self, key: str) -> Job:
        with self.store.reading() as session:
            return self.find(session, key)

    def folder(self, key: str) -> JobFolder:
        return self.supervisor.folder(self.get(key).id)

    def describe(self, job: Job, ahead: list[Job]) -> JobStatus:
        before = [(other, self.supervisor.folder(other.id)) for other in ahead]
        return status_of(job, self.supervisor.folder(job.id), time.time(), before, self.settings.jobs)

    @contextmanager
    def changing(self, key: str, *states: str) -> Iterator[tuple[Session, Job]]:
        """The row of a job in one of these states, to be changed; the supervisor looks at it at once."""
        with self.store.writing() as session:
            job = self.find(session, key)
            if states and job.state not in states:
                raise JobError(f"This job is {job.state}; that can be done only while it is {' or '.join(states)}.")
            yield session, job
        self.supervisor.wake.set()

    def replaced(self, session: Session, key: str) -> str:
        """The id of the draft that an upload takes the place of, empty where there is none."""
        with contextlib.suppress(JobMissing):
            return job.id if (job := self.find(session, key)).state == DRAFT else ""
        return ""

    def count_for(self, session: Session, job: Job, visitor: Visitor) -> None:
        """Make it a job of who queues it, such as by its link. Raises JobError where that is one too many."""
        job.visitor = digest(visitor.identity)
        job_limits.check_count(session, self.settings, job.visitor, but=job.id)

    def enqueue(self, session: Session, job: Job) -> None:
        job_limits.check_queue(session, self.settings)
        self.reserve(session, job, job.image_size)
        job.state, job.reason, job.queued = QUEUED, "", time.time()

    def reserve(self, session: Session, job: Job, image_size: int) -> None:
        """Promise the job the disk that it may come to take with faces of this size."""
        folder = self.supervisor.folder(job.id)
        begun = folder_bytes(folder.start) if job.start else 0
        needed = job_limits.bytes_needed(folder_bytes(folder.uploads), job.faces, image_size, begun)
        job.bytes = max(needed, folder_bytes(folder.path))  # of a job that goes on, also what it has become
        job_limits.make_room(session, self.settings, job.bytes, but=job.id)


def start_name(name: str) -> str:
    """What the copy of a model to begin from is called, whose own name may be anything."""
    return name if re.fullmatch(r"[A-Za-z0-9][\w.-]{0,60}", name, re.ASCII) else "model"


def keep_start(source: Path, folder: Path) -> tuple[str, int]:
    """Copy the model at `source`, which may be gone when its turn comes, below `folder`; its name and image size."""
    checkpoint = load_checkpoint(source)
    found = checkpoint.folder or source
    name = start_name(checkpoint.name)
    with atomic_folder(folder / name) as temporary:
        for file in model_files(found):
            shutil.copyfile(file, temporary / file.name)
    return name, checkpoint.generator.config.image_size
