"""Training jobs: what a visitor can do with them, by a key that only this visitor has."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session, col, select

from app.errors import JobError, JobMissing, explain_disk_errors
from app.jobs import limits, uploads
from app.jobs.arrivals import Upload
from app.jobs.ending import log_tail
from app.jobs.folder import JobFolder, download_folder
from app.jobs.limits import TrainingPlan
from app.jobs.options import JobOptions
from app.jobs.status import JobStatus, minutes_left, status_of
from app.jobs.store import ACTIVE, DRAFT, ENDED, INTERRUPTED, QUEUED, RUNNING, STOPPING, Job, Store, secret_digest
from app.jobs.supervisor import Supervisor
from app.loading import copy_model, load_model
from app.settings import Settings
from app.visitors import Visitor
from ganime.config import to_dict
from ganime.errors import CheckpointError, DataError
from ganime.faces.dataset import FaceDataset, load_faces
from ganime.files import CONFIG_FILE, atomic_file, folder_bytes
from ganime.models.checkpoint import CARD_FILE, Checkpoint, model_card, model_files
from ganime.nets.face_detector import face_finder
from ganime.training.publishing import with_known_facts
from ganime.training.run_folder import read_run

MAX_NAME = 120  # characters of a file's name


@dataclass(frozen=True)
class Sources:
    """The faces of a job.

    paths: folders and archives to read
    image_size: in px, as the job trains them
    cache: folder for the decoded faces, which the trainer uses as well
    folder: contains all paths
    crop: one of `ganime.config.CROPS`
    names: the visitor's names for files, by path in `folder`, such as "pictures/00000001-upload.png"
    ignored: the visitor's files that are neither pictures nor archives, and why
    """

    paths: list[Path]
    image_size: int
    cache: Path
    folder: Path
    names: dict[str, str]
    ignored: list[uploads.Ignored]
    crop: str

    def load(self, progress: Callable[[int, int], None] | None = None) -> FaceDataset:
        """Decode the faces, or open them if they were decoded before. progress: called with (done, total).

        Raises DataError, with the visitor's names for files, when a file cannot be read or fewer than 16 faces are
        usable.
        """
        try:
            finder = face_finder(self.crop)
            return load_faces(self.paths, self.image_size, self.cache, progress, finder=finder)
        except DataError as error:
            raise DataError(uploads.with_visitor_names(str(error), self.folder)) from error

    def skipped(self, dataset: FaceDataset) -> list[uploads.Ignored]:
        """Return all files that are not used, by the visitor's names for them, and why."""
        named = ((self.visitor_name(name), uploads.renamed(reason, self.names)) for name, reason in dataset.skipped)
        return [*self.ignored, *named]

    def visitor_name(self, name: str) -> str:
        """Return the visitor's name for a file that is stored under a number; files in archives have kept theirs."""
        stored = re.split(r"/| \(face \d+\)\Z", name)[0]  # without the place in an archive and the number of a face
        known = self.names.get(f"{uploads.PICTURES_FOLDER}/{stored}", stored)
        return uploads.short_name(known + name.removeprefix(stored), MAX_NAME)


class Jobs:
    """All training jobs of a home, for any thread and any number of processes.

    A key is made with a draft and opens that job alone; only its SHA-256 is kept. Requests are written to the
    database; the supervisor carries them out, also after a restart of the page. Every method raises JobError with a
    text for the visitor.
    """

    def __init__(self, settings: Settings, options: JobOptions | None = None) -> None:
        self.settings = settings
        self.options = options or JobOptions()
        self.store = Store(settings.home, self.options.busy)
        self.supervisor = Supervisor(self.store, settings, self.options)
        self.saves_requested: dict[str, float] = {}  # by job: monotonic time of the last request to save

    def start(self) -> None:
        """Begin to supervise: find the trainers of an earlier process, and start waiting jobs."""
        self.supervisor.thread.start()

    def close(self, ending: bool = False) -> None:
        """Stop supervising; running jobs continue, and the next process of this home finds them.

        ending: whether this process takes the trainers with it; they save first, and their jobs are queued again.
        """
        self.supervisor.close(ending)
        self.store.close()

    @explain_disk_errors("The files could not be stored")
    def draft(
        self, files: Sequence[Upload], visitor: Visitor, image_size: int, instead: str = "", crop: str = "none"
    ) -> str:
        """Store uploaded faces to be trained on later, and return the key of the new draft.

        A draft is deleted when it is not submitted within six hours. Raises DataError for a damaged archive.

        image_size: in px, at which training is planned
        instead: key of a draft that the caller deletes once the new faces are accepted; it does not count for limits
        crop: one of `ganime.config.CROPS`
        """
        limits.check_crop(crop)
        limits.check_image_size(image_size)
        usable, ignored = uploads.sort_files(files, self.settings)
        secret = secrets.token_urlsafe(32)
        job = Job(
            id=secrets.token_hex(8),
            key=secret_digest(secret),
            visitor=secret_digest(visitor.identity),
            created=time.time(),
            image_size=image_size,
            faces=uploads.count_pictures(usable, self.settings),
        )
        job.bytes = limits.bytes_needed(uploads.total_bytes(usable), job.faces, image_size)
        with self.store.writing() as session:
            replaced = self.draft_id(session, instead)
            limits.check_job_count(session, self.settings, job.visitor, except_id=replaced)
            limits.make_room(session, self.settings, job.bytes, self.options.spare_bytes, except_id=replaced)
            session.add(job)
        key, folder = f"{job.id}.{secret}", self.supervisor.folder(job.id)
        try:
            uploads.store_files(usable, ignored, folder.uploads)
            folder.set_crop(crop)
        except BaseException:
            shutil.rmtree(folder.path, ignore_errors=True)
            with contextlib.suppress(JobError):  # then it is deleted as an old draft
                self.delete(key)
            raise
        return key

    @explain_disk_errors("The faces could not be read")
    def sources(self, key: str) -> Sources:
        """Return the faces of a job."""
        job = self.get(key)
        folder = self.supervisor.folder(job.id)
        paths, names = uploads.stored_sources(folder.uploads), uploads.visitor_names(folder.uploads)
        ignored = uploads.ignored_files(folder.uploads)
        return Sources(paths, job.image_size, folder.cache, folder.uploads, names, ignored, folder.crop)

    def read_draft(self, key: str, progress: Callable[[int, int], None] | None = None) -> tuple[Sources, FaceDataset]:
        """Decode the faces of a draft, and note how many can be used and which files cannot.

        Raises DataError, with the visitor's names for files, when there are too few. progress: see `Sources.load`.
        """
        with explain_disk_errors("The faces could not be read"):
            sources = self.sources(key)
            dataset = sources.load(progress)
            uploads.note_skipped(sources.folder, sources.skipped(dataset))
        with self.changing(key, DRAFT) as (_, job):
            job.faces = len(dataset.images)
        return sources, dataset

    def training_faces(self, key: str) -> tuple[FaceDataset, bool]:
        """Return the faces that an ended job learned from, and whether it mirrored them. Raises JobError before."""
        if self.get(key).state not in ENDED:
            raise JobError("This is possible once the job has ended; it would slow down the training.")
        return self.sources(key).load(), read_run(self.folder(key).run)[0].flip

    @explain_disk_errors("The job could not be queued")
    def submit(self, key: str, plan: TrainingPlan, visitor: Visitor) -> None:
        """Queue a draft for training. Raises CheckpointError if the model to begin from cannot be read."""
        limits.check_visitor(visitor, self.settings)
        limits.check_plan(plan, self.settings)
        if self.get(key).state != DRAFT:
            raise JobError("This job has been started already.")
        start = copy_model(plan.start, self.folder(key).start) if plan.start else ""
        with self.changing(key, DRAFT) as (session, job):
            job.recipe, job.image_size, job.start = plan.recipe, plan.image_size, start
            job.name = uploads.short_name(plan.name)
            job.minutes, job.images = float(plan.minutes), plan.images
            self.enqueue(session, job, visitor)

    @explain_disk_errors("The job could not be queued")
    def resume(self, key: str, visitor: Visitor, minutes: float | None = None) -> None:
        """Queue an ended job to continue from its last save.

        minutes: how long; None for what is left of its limits. Raises JobError if nothing is left.
        """
        limits.check_visitor(visitor, self.settings)
        if minutes is not None:
            limits.check_minutes(minutes, self.settings)
        folder = self.folder(key)
        check_trained_here(folder)
        with self.changing(key, *ENDED) as (session, job):
            if minutes is not None:
                job.minutes, job.images = float(minutes), 0
            elif left := minutes_left(job, folder):
                job.minutes = min(left, self.settings.job_minutes)
            else:
                raise JobError("This job has reached its limit. Give the minutes for which it should continue.")
            job.trained = folder.trained_seconds()
            self.enqueue(session, job, visitor)
            folder.set_on_hub(None)  # from now on it trains here

    @explain_disk_errors("The job could not be queued")
    def finish(self, key: str, visitor: Visitor) -> None:
        """Queue an ended job to give its model what a job that reaches its limit gets: a clarity and sliders.

        Raises JobError if nothing is saved.
        """
        limits.check_visitor(visitor, self.settings)
        check_trained_here(self.folder(key))
        saved = self.folder(key).saved_images()
        with self.changing(key, *ENDED) as (session, job):
            if not saved:
                raise JobError("This job has no model yet: nothing was saved. Continue it first.")
            job.images, job.trained = saved, self.supervisor.folder(job.id).trained_seconds()
            self.enqueue(session, job, visitor)

    @explain_disk_errors("The faces could not be read")
    def set_crop(self, key: str, crop: str) -> None:
        """Take the faces of a draft out of its pictures in this way, one of `ganime.config.CROPS`, from now on."""
        limits.check_crop(crop)
        with self.changing(key, DRAFT) as (_, job):
            self.supervisor.folder(job.id).set_crop(crop)

    def stop(self, key: str) -> None:
        """Have a job save and end after its current step, or take it out of the queue; its model is kept."""
        with self.changing(key, QUEUED, *ACTIVE) as (_, job):
            request_stop(job)

    def save_now(self, key: str) -> None:
        """Have a running job save and draw a sample grid after its current step, and continue."""
        with self.changing(key, RUNNING) as (_, job):
            now, pause = time.monotonic(), self.options.save
            requests = self.saves_requested.items()
            self.saves_requested = {identity: since for identity, since in requests if now - since < pause}
            if job.id in self.saves_requested:
                raise JobError(f"A save was requested less than {pause:g} seconds ago. Wait a moment.")
            job.save, self.saves_requested[job.id] = True, now

    def delete(self, key: str) -> None:
        """Delete a job with all its files, including the faces; a running one is ended at once and not saved."""
        with self.changing(key) as (_, job):
            job.deleted = True

    def status(self, key: str) -> JobStatus:
        """Return the status of a job."""
        with self.store.reading() as session:
            job = self.store.find(session, key)
            ahead = self.store.ahead(session, job)
        return self.describe(job, ahead)

    def overview(self) -> list[JobStatus]:
        """Return the status of every job, newest first, for the owner of the page."""
        with self.store.reading() as session:
            jobs = session.exec(select(Job).where(col(Job.deleted).is_(False)).order_by(col(Job.created).desc())).all()
            ahead = [self.store.ahead(session, job) for job in jobs]
        return [self.describe(job, before) for job, before in zip(jobs, ahead, strict=True)]

    def log(self, key: str) -> str:
        """Return the end of the log of the last attempt, as plain text that must be escaped."""
        job = self.get(key)
        return log_tail(self.supervisor.folder(job.id), job.attempt)

    def checkpoint(self, key: str) -> Checkpoint:
        """Return a job's model: the best save that can be read, else the newest."""
        for folder in self.folder(key).models():
            with contextlib.suppress(CheckpointError):
                return load_model(folder)
        raise JobError("This job has no model yet: nothing was saved. Wait for its first save, or save it now.")

    def model_to_publish(self, key: str) -> Checkpoint:
        """Return a job's model, see `checkpoint`, with all that is known about its training."""
        return with_known_facts(self.checkpoint(key))

    @explain_disk_errors("The zip could not be written")
    def archive(self, key: str) -> Path:
        """Write the model's folder as a zip, which any Ganime opens, to the job's downloads; return its path."""
        model = self.checkpoint(key)
        path = download_folder(self.settings, self.get(key)) / "ganime-model.zip"
        training = with_known_facts(model).training  # with the figures and the verdict
        config = to_dict(model.generator.config) | {"training": training}
        with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for file in model_files(model.folder):
                if file.name == CONFIG_FILE:
                    archive.writestr(f"ganime-model/{CONFIG_FILE}", json.dumps(config, indent=2) + "\n")
                elif file.name == CARD_FILE:  # with the visitor's name for the model, by which it can be brought back
                    archive.writestr(f"ganime-model/{CARD_FILE}", self.card(key, model))
                else:
                    archive.write(file, f"ganime-model/{file.name}")
        try:
            self.get(key)
        except JobMissing:  # deleted meanwhile, perhaps before the folder of the zip was there to be deleted as well
            shutil.rmtree(path.parent, ignore_errors=True)
            raise
        return path

    def card(self, key: str, model: Checkpoint | None = None) -> str:
        """Return the card of the model under the visitor's name for it: Markdown with text that strangers wrote.

        model: of the job, if it is loaded already.
        """
        model = model or self.checkpoint(key)
        return model_card(self.get(key).name or model.name, model.generator.config, model.training)

    def get(self, key: str) -> Job:
        """Return the row that a key opens, as it is now. Raises JobMissing."""
        with self.store.reading() as session:
            return self.store.find(session, key)

    def folder(self, key: str) -> JobFolder:
        """Return the folder of a job."""
        return self.supervisor.folder(self.get(key).id)

    def describe(self, job: Job, ahead: list[Job]) -> JobStatus:
        """Return the status of a row. ahead: jobs that start before it."""
        before = [(other, self.supervisor.folder(other.id)) for other in ahead]
        return status_of(job, self.supervisor.folder(job.id), time.time(), before, self.settings.jobs)

    @contextmanager
    def changing(self, key: str, *states: str) -> Iterator[tuple[Session, Job]]:
        """Change the row of a job; the supervisor is woken. Raises JobError unless it is in one of `states`, if any."""
        with self.store.writing() as session:
            job = self.store.find(session, key)
            if states and job.state not in states:
                raise JobError(f"This job is {job.state}; that can be done only while it is {' or '.join(states)}.")
            yield session, job
        self.supervisor.wake.set()

    def draft_id(self, session: Session, key: str) -> str:
        """Return the id of the draft that a key opens, "" if there is none or it has been submitted."""
        with contextlib.suppress(JobMissing):
            job = self.store.find(session, key)
            return job.id if job.state == DRAFT else ""
        return ""

    def enqueue(self, session: Session, job: Job, visitor: Visitor) -> None:
        """Queue a job for a visitor, who need not have created it, and reserve its disk space. Raises JobError."""
        job.visitor = secret_digest(visitor.identity)
        limits.check_job_count(session, self.settings, job.visitor, except_id=job.id)
        limits.check_queue(session, self.settings)
        folder = self.supervisor.folder(job.id)
        start_bytes = folder_bytes(folder.start) if job.start else 0
        needed = limits.bytes_needed(folder_bytes(folder.uploads), job.faces, job.image_size, start_bytes)
        job.bytes = max(needed, folder_bytes(folder.path))  # a resumed job may have become larger
        limits.make_room(session, self.settings, job.bytes, self.options.spare_bytes, except_id=job.id)
        job.state, job.reason, job.queued = QUEUED, "", time.time()


def check_trained_here(folder: JobFolder) -> None:
    """Raise JobError for a run that was fetched from the hub, which cannot be resumed here."""
    if folder.was_fetched:
        raise JobError(
            "This model was trained elsewhere and cannot be continued here. Use it, and start a new job from “The "
            "model in use”."
        )


def request_stop(job: Job) -> None:
    """Take a waiting job out of the queue, or have the supervisor stop a running one."""
    if job.state == RUNNING:
        job.state = STOPPING
    elif job.state == QUEUED:
        job.reason = "Taken out of the queue."
        if job.attempt:
            job.state, job.ended = INTERRUPTED, time.time()
        else:
            job.state = DRAFT
