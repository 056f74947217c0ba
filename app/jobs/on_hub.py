"""Training jobs that run on the account of their visitor on the hub: begun, fetched and ended with the visitor's token.

The token is an argument of every function; it is used for this alone and is not kept. Functions that yield say what
they do, in words, and yield their result last. They raise GanimeError with a text for the visitor that has no token.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from app import loading
from app.errors import JobError, explain_disk_errors
from app.jobs import limits, uploads
from app.jobs.folder import HubPlace, JobFolder
from app.jobs.limits import TrainingPlan
from app.jobs.service import Jobs
from app.jobs.store import DRAFT, FAILED, FINISHED, INTERRUPTED, ON_HUB
from app.settings import MEGABYTE
from app.visitors import Visitor
from ganime.config import PAUSES, SCRATCH
from ganime.errors import HubError, TrainingError
from ganime.files import folder_bytes
from ganime.training.events import Event, Step, Working
from ganime.training.hub_jobs import OVER, PREPARING_MINUTES, HubJob, HubJobs, dataset_name, longest_minutes
from ganime.training.hub_needs import options_of
from ganime.training.received_run import check_models, check_records, chosen_files

CENT = 0.01
MOST_NAME = 40  # characters of the model's name in the name of the dataset
ENDINGS = ("COMPLETED", "ERROR", "")  # stages of a job that may have left a run; "" is one that the hub has forgotten
NOTHING = "Nothing of its model was stored"
busy: set[str] = set()  # ids of jobs that are being begun, fetched or ended
lock = threading.Lock()  # of `busy`


@dataclass(frozen=True)
class Rent:
    """What a visitor has accepted: the kind of machine, and the most that the job may cost, in dollars."""

    flavor: str
    dollars: float


def machines(token: str) -> Iterator[str | dict[str, Any]]:
    """The kinds of machines that the hub rents out, their prices, and whose the token is."""
    yield "asking the hub for its machines"
    hub = HubJobs(token)
    offers = [
        {"flavor": each.flavor, "description": each.description, "dollars": each.dollars} for each in hub.machines()
    ]
    yield {"owner": hub.owner, "machines": offers, "pauses": PAUSES, "preparing": PREPARING_MINUTES}


def begin(
    jobs: Jobs,
    key: str,
    plan: TrainingPlan,
    visitor: Visitor,
    rent: Rent,
    token: str,
    expires: float | None = None,
    abandoned: threading.Event | None = None,
) -> Iterator[str | dict[str, Any]]:
    """Start a draft on the account of the token.

    abandoned: once it is set nothing begins that costs money.
    expires: when the token ends, in seconds since 1970, None if that is unknown. A job needs it until its own end.
    """
    limits.check_visitor(visitor, jobs.settings)
    limits.check_plan_on_hub(plan)
    seconds = 60 * longest_minutes(plan.minutes)
    if expires is not None and time.time() + seconds > expires:
        raise JobError(
            f"You are signed in for {max(0.0, expires - time.time()) / 60:.0f} more minutes; this job may take "
            f"{seconds / 60:.0f}, and needs your sign-in to store its model. Train for less, or sign in again."
        )
    job, folder = jobs.get(key), jobs.folder(key)
    if job.state != DRAFT:
        raise JobError("This job has been started already.")
    with explain_disk_errors("The job could not be prepared"), alone(job.id, folder) as scratch:
        yield "asking the hub for the price"
        hub = HubJobs(token, scratch=scratch)
        machine = hub.machine(rent.flavor)
        price = machine.price(plan.minutes)
        if price > rent.dollars + CENT:
            raise JobError(f"The price has changed: this would now cost up to ${price:.2f}. Ask for the prices again.")
        start = loading.copy_model(plan.start, folder.start) if plan.start else ""
        reserve(jobs, key, plan.image_size, folder, bool(start))
        yield f"uploading {job.faces:,} faces and the program"
        name = f"{uploads.short_name(plan.name)[:MOST_NAME]}-{job.id[:8]}"
        wishes = {"recipe": plan.recipe, "image_size": plan.image_size, "images": plan.images, "minutes": plan.minutes}
        wishes |= {"crop": folder.crop, "start": None if start else SCRATCH}
        faces = uploads.stored_sources(folder.uploads)
        model = folder.start / start if start else None
        with noted_start(folder, name, abandoned) as check:
            begun = hub.begin(name, faces, options_of(wishes), machine, plan.minutes, model, check)
        with ended_unless_noted(hub, begun, folder), jobs.changing(key, DRAFT) as (_, row):
            where = HubPlace(begun.id, begun.owner, begun.dataset, begun.url, machine.flavor, round(price, 2))
            folder.set_on_hub(where)
            row.recipe, row.image_size, row.start = plan.recipe, plan.image_size, start
            row.name, row.minutes, row.images = uploads.short_name(plan.name), float(plan.minutes), plan.images
            row.state, row.reason, row.queued, row.ended = ON_HUB, "", time.time(), time.time() + seconds
    yield {"key": key, "name": uploads.short_name(plan.name), "url": begun.url}


def reserve(jobs: Jobs, key: str, image_size: int, folder: JobFolder, with_start: bool) -> None:
    """Reserve the disk space for the run of a draft; now, its faces are packed there. Raises JobError without it."""
    with jobs.changing(key, DRAFT) as (session, job):
        start_bytes = folder_bytes(folder.start) if with_start else 0
        packed = folder_bytes(folder.uploads)
        job.bytes = limits.bytes_needed(packed, job.faces, image_size, start_bytes)
        limits.make_room(session, jobs.settings, job.bytes + packed, jobs.options.spare_bytes, except_id=job.id)


@contextmanager
def alone(identity: str, folder: JobFolder) -> Iterator[Path]:
    """Work on a job, by its id, alone; yields an empty folder on the disk of the job. Raises JobError for a second."""
    with lock:
        if identity in busy:
            raise JobError("This job is being begun, fetched or ended already. Try again when that is done.")
        busy.add(identity)
    scratch = folder.path / "scratch"
    try:
        shutil.rmtree(scratch, ignore_errors=True)  # of work during which the page was killed
        scratch.mkdir()
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with lock:
            busy.discard(identity)


@contextmanager
def noted_start(folder: JobFolder, name: str, abandoned: threading.Event | None) -> Iterator[Callable[[], None]]:
    """Note on the disk that a job is being started; yields what is called just before it costs money.

    If the page is killed before the answer, the next start is refused once, since the hub may have the job already.
    """
    note = folder.path / "starting"
    if note.exists():
        note.unlink()
        raise JobError(
            f"An earlier start may have reached the hub. Look there for a job named {dataset_name(name)}, which would "
            "cost as well. If there is none, or you have ended it, start again."
        )

    def check() -> None:
        if abandoned and abandoned.is_set():
            raise JobError("Nobody waited for this job any longer, so it was not started.")
        note.touch()

    try:
        yield check
    finally:
        note.unlink(missing_ok=True)


@contextmanager
def ended_unless_noted(hub: HubJobs, job: HubJob, folder: JobFolder) -> Iterator[None]:
    """End a job on the hub that costs money and that the page cannot note, as when its draft is gone meanwhile."""
    try:
        yield
    except Exception as error:
        folder.set_on_hub(None)
        try:
            hub.cancel(job)
        except HubError:
            raise JobError(f"{error} The job runs on the hub all the same; end it there: {job.url}") from error
        raise


def fetch(jobs: Jobs, key: str, token: str) -> Iterator[str | dict[str, Any]]:
    """Fetch the model of a job that has ended; of one that has not, say how far it is."""
    folder = jobs.folder(key)
    with explain_disk_errors("The model could not be stored"), alone(jobs.get(key).id, folder) as scratch:
        place = place_of(jobs, key)
        yield "asking the hub"
        hub = hub_of(place, token, scratch)
        stage, message = hub.stage(place)
        if stage and stage not in OVER:
            yield {"text": f"It has not ended. {progress_of(stage, hub.latest(place))}"}
            return
        why = f"the hub says {stage}{f', {message}' if message else ''}"
        if stage not in ENDINGS:
            end(jobs, key, INTERRUPTED, f"It was ended on the hub ({why}). {NOTHING}.")
        elif stage == "ERROR":
            yield "downloading what it has stored"
            try:
                download(jobs, key, hub, place, folder)
                end(jobs, key, FAILED, f"It failed on the hub ({why}). What it had saved is here.")
            except TrainingError:
                end(jobs, key, FAILED, f"It failed on the hub ({why}). {NOTHING}.")
        else:
            yield "downloading the model"
            download(jobs, key, hub, place, folder)
            end(jobs, key, FINISHED, "")
    yield {"done": True}


def cancel(jobs: Jobs, key: str, token: str) -> Iterator[str | dict[str, Any]]:
    """End a job on the hub. What it has trained is lost. Raises JobError if it has ended by itself."""
    with explain_disk_errors("The job could not be ended"), alone(jobs.get(key).id, jobs.folder(key)) as scratch:
        place = place_of(jobs, key)
        yield "asking the hub"
        hub = hub_of(place, token, scratch)
        stage, _ = hub.stage(place)
        if stage and stage not in OVER:
            hub.cancel(place)
        elif stage in ENDINGS:
            raise JobError("It has ended already. Fetch the model.")
        end(jobs, key, INTERRUPTED, f"You ended it on the hub. {NOTHING}.")
    yield {"done": True}


def place_of(jobs: Jobs, key: str) -> HubJob:
    """The job on the hub of a job of this page that trains there. Raises JobError for any other job."""
    place = jobs.folder(key).on_hub
    if jobs.get(key).state != ON_HUB or place is None:
        raise JobError("This job does not train on an account of yours.")
    return HubJob(place.id, place.owner, place.dataset, place.url)


def hub_of(place: HubJob, token: str, scratch: Path) -> HubJobs:
    """The hub for a job and a token. Raises HubError for the token of another account."""
    hub = HubJobs(token, scratch=scratch)
    if hub.owner != place.owner:
        raise HubError(f"This job runs on the account {place.owner}; the token is of {hub.owner}.")
    return hub


def download(jobs: Jobs, key: str, hub: HubJobs, place: HubJob, folder: JobFolder) -> None:
    """Download and check the run of a job, and put it where a trainer of this page would have put it.

    Raises HubError, or TrainingError for what is no run; nothing of it stays then.
    """
    assert hub.scratch
    job, arrived = jobs.get(key), hub.scratch / "arrived"
    with jobs.store.writing() as session:
        limits.make_room(session, jobs.settings, job.bytes, jobs.options.spare_bytes, except_id=job.id)
    choose = partial(chosen_files, most_weights=jobs.settings.model_megabytes * MEGABYTE)
    hub.fetch(place.dataset, arrived, choose, job.bytes - folder_bytes(folder.path))
    with loading.places:
        check_models(arrived, job.image_size)
    check_records(arrived)
    with jobs.changing(key, ON_HUB):  # not once it trains here
        shutil.rmtree(folder.run, ignore_errors=True)
        arrived.replace(folder.run)


def end(jobs: Jobs, key: str, state: str, reason: str) -> None:
    """Note that a job which trained on the hub has ended."""
    with jobs.changing(key, ON_HUB) as (_, job):
        job.state, job.reason, job.ended = state, reason, time.time()
        job.bytes = folder_bytes(jobs.supervisor.folder(job.id).path)


def progress_of(stage: str, event: Event | None) -> str:
    """How far a job is, in a sentence."""
    if isinstance(event, Step):
        return f"{event.progress:.0%} of its training is done: {event.images:,} images seen."
    if isinstance(event, Working):
        return f"It is at: {event.activity}, {event.images:,} images seen."
    return "It waits for a machine." if stage == "SCHEDULING" else "It is running."
