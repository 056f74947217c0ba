"""The limits of training on this page: who may train, how long, how many jobs, and how much disk space."""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session, col, select

from app.errors import JobError
from app.jobs.store import ACTIVE, ENDED, ON_HUB, QUEUED, Job, count
from app.settings import MEGABYTE, Settings
from app.visitors import Visitor
from ganime.config import CROPS, IMAGE_SIZES, RECIPES
from ganime.files import folder_bytes
from ganime.text import plural

SAVE_MEGABYTES = {32: 66, 64: 135, 128: 290, 256: 415}  # by image size, for the recipes' networks and the critic
SAVE_PER_MODEL = 9  # size of a save, as a multiple of the half-precision model that the run began from
SMALL_MEGABYTES = 60  # sample grids, the best model, logs
MAX_IMAGES = 10**9
MOST_MINUTES = 1_440  # of training on the visitor's own account
DEFAULT_SIDE = 128  # px, that of the embedded model
KEPT = (*ENDED, ON_HUB)  # states of a job that may be deleted some hours after its end


@dataclass(frozen=True)
class TrainingPlan:
    """How to train.

    minutes: longest training time
    images: number of images after which training ends, 0 for no limit
    name: the visitor's name for the model
    start: model folder or run to begin from, resized to image_size; None to train from scratch
    """

    recipe: str = "modern"
    image_size: int = DEFAULT_SIDE
    minutes: float = 30.0
    images: int = 0
    name: str = ""
    start: Path | None = None


def may_train(visitor: Visitor, settings: Settings) -> bool:
    """Return whether this visitor may train on this page."""
    return settings.training == "open" or (settings.training == "login" and visitor.signed_in)


def check_visitor(visitor: Visitor, settings: Settings) -> None:
    """Raise JobError unless this visitor may train on this page."""
    if settings.training == "off":
        raise JobError("Training is switched off on this page (GANIME_TRAINING=off). Run Ganime on your own machine.")
    if not may_train(visitor, settings):
        raise JobError("Only visitors who are signed in may train on this page (GANIME_TRAINING=login). Sign in first.")


def check_plan(plan: TrainingPlan, settings: Settings) -> None:
    """Raise JobError for a plan outside the limits of this page."""
    check_model(plan)
    check_minutes(plan.minutes, settings)


def check_plan_on_hub(plan: TrainingPlan) -> None:
    """Raise JobError for a plan that cannot be carried out on the visitor's own account."""
    check_model(plan)
    if not 1 <= plan.minutes <= MOST_MINUTES:
        raise JobError(f"Choose 1 to {MOST_MINUTES:,} minutes of training; got {plan.minutes:g}.")


def check_model(plan: TrainingPlan) -> None:
    """Raise JobError for an unknown recipe or image size, or for an impossible number of images."""
    if plan.recipe not in RECIPES:
        raise JobError(f"The recipe must be one of {', '.join(RECIPES)}; got {str(plan.recipe)[:40]!r}.")
    check_image_size(plan.image_size)
    if isinstance(plan.images, bool) or not isinstance(plan.images, int) or not 0 <= plan.images <= MAX_IMAGES:
        raise JobError(f"The number of images must be between 0 and {MAX_IMAGES:,}; got {plan.images!r}.")


def check_image_size(image_size: int) -> None:
    """Raise JobError for an image size, in px, that no model has."""
    if image_size not in IMAGE_SIZES:
        raise JobError(f"The image size must be one of {', '.join(map(str, IMAGE_SIZES))}; got {image_size!r}.")


def check_crop(crop: str) -> None:
    """Raise JobError for an unknown way to take faces out of pictures."""
    if crop not in CROPS:
        raise JobError(f"crop must be one of {', '.join(CROPS)}; got {str(crop)[:40]!r}.")


def check_minutes(minutes: float, settings: Settings) -> None:
    """Raise JobError for a training time that this page does not allow."""
    is_number = isinstance(minutes, int | float) and math.isfinite(minutes)
    if not is_number or not 0 < minutes <= settings.job_minutes:
        raise JobError(
            f"A job on this page may train for up to {plural(settings.job_minutes, 'minute')} (GANIME_JOB_MINUTES) and "
            f"can be continued afterwards; got {minutes!r}."
        )


def check_queue(session: Session, settings: Settings) -> None:
    """Raise JobError when no more jobs may wait."""
    waiting = count(session, col(Job.state).in_((QUEUED, *ACTIVE)))
    if waiting >= settings.jobs + settings.queue:
        raise JobError(
            f"{waiting} jobs are running or waiting, the most that this page allows (GANIME_JOBS and GANIME_QUEUE). "
            "Try again later; your faces are kept."
        )


def check_job_count(session: Session, settings: Settings, visitor: str, except_id: str = "") -> None:
    """Raise JobError when a visitor already has as many jobs as allowed, not counting the job `except_id`.

    Ended jobs count until they may be deleted.
    """
    counted = col(Job.state).not_in(KEPT) | (col(Job.ended) > deletable_before(settings))
    if count(session, col(Job.visitor) == visitor, counted, col(Job.id) != except_id) >= settings.visitor_jobs:
        most, hours = plural(settings.visitor_jobs, "job"), plural(settings.keep_hours, "hour")
        raise JobError(
            f"A visitor may have {most} here (GANIME_VISITOR_JOBS), including uploads and jobs that ended in the last "
            f"{hours} (GANIME_KEEP_HOURS). Delete one of yours first."
        )


def deletable_before(settings: Settings) -> float:
    """Return the time, in seconds since 1970; jobs that ended before it may be deleted."""
    return time.time() - settings.keep_hours * 3600


def delete_oldest(session: Session, settings: Settings, needed: int = 0, waiting: int = 0, except_id: str = "") -> int:
    """Delete the oldest ended jobs until all fit on the disk space of the page; return how many bytes are too many.

    needed: bytes that are about to be added
    waiting: bytes of uploads that no job has taken yet
    except_id: a job that is neither counted nor deleted
    """
    others = select(Job).where(col(Job.deleted).is_(False), Job.id != except_id)
    jobs = session.exec(others.order_by(col(Job.ended))).all()
    excess = sum(job.bytes for job in jobs) + waiting + needed - int(settings.disk_gigabytes * 2**30)
    deletable = deletable_before(settings)
    for job in jobs:
        if excess > 0 and job.state in KEPT and job.ended < deletable:
            job.deleted, excess = True, excess - job.bytes
    return max(0, excess)


def make_room(
    session: Session, settings: Settings, needed: int, spare: int, waiting: int = 0, except_id: str = ""
) -> None:
    """Delete old jobs until `needed` more bytes fit. Raises JobError if they do not fit even then.

    spare: bytes of the disk that always stay free, beside those that other jobs may still write. The other arguments
    are those of `delete_oldest`.
    """
    megabytes = f"{needed / MEGABYTE:,.0f} MB"
    if delete_oldest(session, settings, needed, waiting, except_id):
        raise JobError(
            f"All jobs together may take {settings.disk_gigabytes:g} GB here (GANIME_DISK_GIGABYTES), and {megabytes} "
            f"more do not fit. Finished jobs are deleted after {plural(settings.keep_hours, 'hour')} "
            "(GANIME_KEEP_HOURS) when space is needed. Upload less, delete what you no longer need, or try again later."
        )
    if shutil.disk_usage(settings.home).free < needed + spare + promised(session, settings, except_id):
        raise JobError(
            f"The disk of this page is nearly full: {megabytes} more do not fit beside the {spare / MEGABYTE:.0f} MB "
            "that always stay free. Upload less or try again later. The owner of the page can free space or choose "
            "another disk (GANIME_HOME)."
        )


def promised(session: Session, settings: Settings, except_id: str = "") -> int:
    """Return the bytes that jobs, but for `except_id`, reserved and have not written yet."""
    unfinished = col(Job.state).in_((QUEUED, *ACTIVE, ON_HUB)) & col(Job.deleted).is_(False)
    jobs = session.exec(select(Job).where(unfinished, Job.id != except_id)).all()
    return sum(max(0, job.bytes - folder_bytes(settings.home / "jobs" / job.id)) for job in jobs)


def bytes_needed(uploaded: int, faces: int, image_size: int, start_bytes: int = 0) -> int:
    """Return the disk space that a job may need: the upload, the decoded faces, three saves, and small files.

    start_bytes: size of the model that it begins from, whose networks may be larger than those of the recipes
    """
    save = max(SAVE_MEGABYTES[image_size] * MEGABYTE, SAVE_PER_MODEL * start_bytes)
    return uploaded + faces * image_size**2 * 3 + 3 * save + SMALL_MEGABYTES * MEGABYTE
