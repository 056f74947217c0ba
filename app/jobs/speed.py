"""Estimates for a training job, from earlier jobs of the same kind: the images that it sees, and when it is done."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, select

from app.jobs.service import Jobs
from app.jobs.status import AFTER_TRAINING
from app.jobs.store import FINISHED, Job
from ganime.text import plural, two_digits

MAX_JOBS = 8  # newest jobs of a kind that are searched for a speed
AFTER = ("measuring", *AFTER_TRAINING)  # activities that follow the last step, in turn
TOLD = 0.15  # share of an activity that is done from which its own pace says how long the rest takes
MAX_STEPS = 40  # last Step lines of a job, of which the median counts
UNKNOWN_SPEED = "How fast it trains is not known: there is no earlier job of this kind to judge by."


def images_per_second(jobs: Jobs, recipe: str, image_size: int, start: str) -> float | None:
    """Return the speed of the newest job of this kind that has reported one, else None.

    image_size: in px. start: name of the model it began from, "" for none.
    """
    same = (Job.recipe == recipe, Job.image_size == image_size, Job.start == start, col(Job.deleted).is_(False))
    for _, journal in journals(jobs, *same):
        if steps := [line for line in journal if line["event"] == "Step"]:
            return statistics.median(line["images_per_second"] for line in steps[-MAX_STEPS:])
    return None


def after_training(jobs: Jobs, image_size: int) -> dict[str, float] | None:
    """Return the seconds of each activity after the last step of the newest finished job of this image size, in px.

    None without such a job.
    """
    same = (Job.image_size == image_size, Job.state == FINISHED, Job.reason == "")
    found = (seconds_of_end(attempt_of(lines, job.started)) for job, lines in journals(jobs, *same))
    return next((seconds for seconds in found if seconds is not None), None)


def seconds_after(jobs: Jobs, image_size: int) -> float | None:
    """Return how long the newest finished job of this image size, in px, took after its last step; None without one."""
    seconds = after_training(jobs, image_size)
    return sum(seconds.values()) if seconds is not None else None


@dataclass(frozen=True)
class Rest:
    """Seconds until a job that no longer trains is done with what it does now, and of what follows; None if unknown."""

    now: float | None
    later: float | None


def rest_of(activity: str, lines: list[dict[str, Any]], usual: dict[str, float] | None, now: float) -> Rest:
    """Return what is left of a job that no longer trains.

    activity: one of AFTER, the last in the job's journal when its status was read
    lines: of the journal since the job was started last, see `attempt_of`; it may have gone on meanwhile
    usual: see `after_training`
    now: seconds since 1970
    """
    following = AFTER[AFTER.index(activity) + 1 :]
    later = sum((usual or {}).get(other, 0.0) for other in following) if usual or not following else None
    reports: list[dict[str, Any]] = []  # of the activity, the latest first
    for line in reversed(lines):
        if line.get("activity", activity) != activity or line["event"] == "Step":
            break
        if line["event"] == "Working":
            reports.append(line)
    if not reports:  # the job has gone on to another activity since its status was read
        return Rest(None, later)
    latest, began = reports[0], reports[-1]["time"]
    share, left = latest.get("progress") or 0.0, None
    if share >= TOLD:
        left = (latest["time"] - began) * (1 - share) / share - (now - latest["time"])
    elif usual:
        left = usual.get(activity, 0.0) - (now - began)
    return Rest(left if left and left > 0 else None, later)  # unknown where it takes longer than expected


def attempt_of(lines: list[dict[str, Any]], started: float) -> list[dict[str, Any]]:
    """Return the lines of a journal since its job was started last, at this time in seconds since 1970."""
    return [line for line in lines if line["time"] >= started]


def journals(jobs: Jobs, *conditions: object) -> Iterator[tuple[Job, list[dict[str, Any]]]]:
    """Yield the newest jobs that fulfil the conditions, with their journals; those of the hub say nothing of here."""
    query = select(Job).where(*conditions)  # type: ignore[arg-type]
    with jobs.store.reading() as session:
        newest = session.exec(query.order_by(col(Job.started).desc()).limit(MAX_JOBS)).all()
    for job in newest:
        folder = jobs.supervisor.folder(job.id)
        if not folder.on_hub:
            yield job, folder.journal()


def seconds_of_end(lines: list[dict[str, Any]]) -> dict[str, float] | None:
    """Return the seconds of each activity after the last step of an attempt; None for one that did not train or end.

    lines: see `attempt_of`. An attempt that only fits what was missing does not count.
    """
    seconds: dict[str, float] | None = None
    activity, since = "", 0.0
    for line in lines:
        if line["event"] == "Step":
            seconds, activity, since = {}, "training", line["time"]
        elif seconds is not None and line["event"] in ("Working", "Done"):
            seconds[activity] = seconds.get(activity, 0.0) + line["time"] - since
            activity, since = line.get("activity", ""), line["time"]
            if line["event"] == "Done":
                return seconds
    return None


def estimate(rate: float | None, minutes: float, images: int = 0, faces: int = 0, after: float | None = None) -> str:
    """Describe what fits into a plan, and what comes on top.

    rate: images per second
    images: after which training ends, 0 for no limit
    faces: to train on, 0 if unknown
    after: seconds that follow the training, None if unknown
    """
    time = f"about {duration_text(after)}" if after else "a little time"
    rest = f"Measuring the model and fitting its sliders take {time} more."
    return f"{images_text(rate, minutes, images, faces)} {rest}"


def images_text(rate: float | None, minutes: float, images: int, faces: int) -> str:
    """Describe how many images fit into a plan; see `estimate`."""
    if not rate:
        return UNKNOWN_SPEED
    seen, pace = rate * minutes * 60, f"{two_digits(rate)} a second"
    if 0 < images <= seen:
        return f"{images:,} images take about {duration_text(images / rate)} ({pace})."
    unit = 10 ** max(0, len(str(int(seen))) - 2)  # two significant digits
    images = round(seen / unit) * unit
    times = f", each of your faces about {plural(round(images / faces), 'time')}" if 0 < faces <= images else ""
    return f"In {plural(minutes, 'minute')} the model will see about {images:,} images ({pace}){times}."


def duration_text(seconds: float) -> str:
    """Return a duration in whole seconds, or in minutes from 90 s."""
    return f"{max(1, round(seconds))}\N{NO-BREAK SPACE}s" if seconds < 90 else f"{round(seconds / 60)} minutes"
