"""The limits of training on this page: who may, how much, how many, and on how much disk."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session, col, select

from app.errors import JobError
from app.jobs.store import ACTIVE, ENDED, QUEUED, Job, count
from app.settings import Settings
from app.visitors import Visitor
from ganime.config import IMAGE_SIZES, RECIPES

SAVE_MEGABYTES = {32: 66, 64: 135, 128: 290, 256: 415}  # by image size, for the nets of the recipes with the critic
SAVE_BY_MODEL = 9  # times the bytes of a model in half precision that a save of a run from it takes
SMALL_MEGABYTES = 60  # sample grids, the best model, logs
SPARE_BYTES = 200 * 2**20  # always left free on the disk
MOST_IMAGES = 10**9


@dataclass(frozen=True)
class Plan:
    """How to train. minutes: at most so long. images: at most so many seen, 0 for no such limit.

    start: a model folder or run to begin from, with its own image size; None for scratch. name: for people.
    """

    recipe: str = "modern"
    image_size: int = 64
    minutes: float = 30.0
    images: int = 0
    name: str = ""
    start: Path | None = None


def may_train(visitor: Visitor, settings: Settings) -> bool:
    return settings.training == "open" or (settings.training == "login" and visitor.signed_in)


def check_visitor(visitor: Visitor, settings: Settings) -> None:
    """Raise JobError when this visitor may not train here."""
    if settings.training == "off":
        raise JobError("Training is switched off on this page (GANIME_TRAINING=off). Run Ganime on your own machine.")
    if not may_train(visitor, settings):
        raise JobError(
            "On this page only those who have signed in may train (GANIME_TRAINING=login), and you have not."
        )


def check_plan(plan: Plan, settings: Settings) -> None:
    """Raise JobError when a plan is outside what this page does."""
    if plan.recipe not in RECIPES:
        raise JobError(f"The recipe must be one of {', '.join(RECIPES)}; got {str(plan.recipe)[:40]!r}.")
    if plan.start is None:
        check_image_size(plan.image_size)
    check_minutes(plan.minutes, settings)
    if isinstance(plan.images, bool) or not isinstance(plan.images, int) or not 0 <= plan.images <= MOST_IMAGES:
        raise JobError(f"The number of images must lie in 0 to {MOST_IMAGES:,}; got {plan.images!r}.")


def check_image_size(image_size: int) -> None:
    if image_size not in IMAGE_SIZES:
        raise JobError(f"The image size must be one of {', '.join(map(str, IMAGE_SIZES))}; got {image_size!r}.")


def check_minutes(minutes: float, settings: Settings) -> None:
    known = isinstance(minutes, int | float) and math.isfinite(minutes)
    if not known or not 0 < minutes <= settings.job_minutes:
        raise JobError(
            f"A job may train for up to {settings.job_minutes:g} minutes on this page (GANIME_JOB_MINUTES), and be "
            f"continued after that; got {minutes!r}."
        )


def check_queue(session: Session, settings: Settings) -> None:
    """Raise JobError when no more jobs may wait."""
    waiting = count(session, col(Job.state).in_((QUEUED, *ACTIVE)))
    if waiting >= settings.jobs + settings.queue:
        raise JobError(
            f"{waiting} jobs run or wait already, which is as many as this page takes (GANIME_JOBS and GANIME_QUEUE). "
            "Try again later; your faces are kept."
        )


def check_count(session: Session, settings: Settings, visitor: str, but: str = "") -> None:
    """Raise JobError when a visitor has as many jobs as one may, beside the job `but`.

    Ended ones count until they may give way.
    """
    old = time.time() - settings.keep_hours * 3600
    fresh = col(Job.state).not_in(ENDED) | (col(Job.ended) > old)
    if count(session, col(Job.visitor) == visitor, fresh, col(Job.id) != but) >= settings.visitor_jobs:
        raise JobError(
            f"A visitor may have {settings.visitor_jobs} jobs here (GANIME_VISITOR_JOBS), uploads and those of the "
            f"last {settings.keep_hours:g} hours (GANIME_KEEP_HOURS) included. Delete one of yours first."
        )


def make_room(session: Session, settings: Settings, needed: int, but: str = "", waiting: int = 0) -> None:
    """Let the oldest ended jobs give way until `needed` bytes more fit; the job `but` is not counted and stays.

    waiting: bytes of uploads that lie here beside the jobs. Raises JobError when they do not fit nevertheless.
    """
    others = select(Job).where(col(Job.deleted).is_(False), Job.id != but)
    jobs = session.exec(others.order_by(col(Job.ended))).all()
    excess = sum(job.bytes for job in jobs) + waiting + needed - int(settings.disk_gigabytes * 2**30)
    old = time.time() - settings.keep_hours * 3600
    for job in jobs:
        if excess > 0 and job.state in ENDED and job.ended < old:
            job.deleted, excess = True, excess - job.bytes
    megabytes = f"{needed / 2**20:,.0f} MB"
    if needed and excess > 0:
        raise JobError(
            f"All jobs together may take {settings.disk_gigabytes:g} GB here (GANIME_DISK_GIGABYTES), and {megabytes} "
            f"more do not fit. Ended jobs give way after {settings.keep_hours:g} hours (GANIME_KEEP_HOURS); upload "
            "less, delete what you no longer need, or come back later."
        )
    if needed and shutil.disk_usage(settings.home).free < needed + SPARE_BYTES:
        raise JobError(
            f"The disk of this page is nearly full: {megabytes} more do not fit beside the "
            f"{SPARE_BYTES / 2**20:.0f} MB that are always left free. Upload less or come back later; the owner can "
            "make room, or choose another disk (GANIME_HOME)."
        )


def bytes_needed(uploaded: int, faces: int, image_size: int, begun: int = 0) -> int:
    """The disk a job may come to take: the upload, the decoded faces, and three saves at a time with what is small.

    begun: the bytes of the model that it begins from, which may have larger nets than the recipes.
    """
    save = max(SAVE_MEGABYTES[image_size] * 2**20, SAVE_BY_MODEL * begun)
    return uploaded + faces * image_size**2 * 3 + 3 * save + SMALL_MEGABYTES * 2**20


def cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """The CPU cores that the page may use; a container's share counts, where one is set."""
    most = os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # no container, or no limit: "max"
        share, period = (int(word) for word in quota.read_text(encoding="ascii").split())
        return max(1, min(most, round(share / period)))
    return most
