"""Estimates for a training job, from earlier jobs of the same kind: the images that it sees, and when it is done."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from sqlmodel import col, select

from app.jobs.service import Jobs
from app.jobs.store import FINISHED, Job
from ganime.text import plural

MAX_JOBS = 8  # newest jobs of a kind that are searched for a speed
MAX_STEPS = 40  # last Step lines of a job, of which the median counts
UNKNOWN_SPEED = "The speed is known once a first job of this kind has run."


def images_per_second(jobs: Jobs, recipe: str, image_size: int, start: str) -> float | None:
    """Return the speed of the newest job of this kind that has reported one, else None.

    image_size: in px. start: name of the model it began from, "" for none.
    """
    same = (Job.recipe == recipe, Job.image_size == image_size, Job.start == start, col(Job.deleted).is_(False))
    for journal in journals(jobs, *same):
        if steps := [line for line in journal if line["event"] == "Step"]:
            return statistics.median(line["images_per_second"] for line in steps[-MAX_STEPS:])
    return None


def seconds_after(jobs: Jobs, image_size: int) -> float | None:
    """Return how long the newest finished job of this image size, in px, took after its last step; None without one."""
    same = (Job.image_size == image_size, Job.state == FINISHED, Job.reason == "")
    found = map(seconds_of_end, journals(jobs, *same))
    return next((seconds for seconds in found if seconds is not None), None)


def journals(jobs: Jobs, *conditions: object) -> Iterator[list[dict[str, Any]]]:
    """Yield the journals of the newest jobs that fulfil the conditions; those of the hub say nothing of here."""
    query = select(Job).where(*conditions)  # type: ignore[arg-type]
    with jobs.store.reading() as session:
        newest = session.exec(query.order_by(col(Job.started).desc()).limit(MAX_JOBS)).all()
    for job in newest:
        folder = jobs.supervisor.folder(job.id)
        if not folder.on_hub:
            yield folder.journal()


def seconds_of_end(lines: list[dict[str, Any]]) -> float | None:
    """Return the time from the last step to the end of a run that was not stopped; None for any other journal."""
    step = seconds = None
    for line in lines:
        if line["event"] == "Step":
            step = line["time"]
        elif line["event"] == "Done":
            seconds = line["time"] - step if step and line["reason"] != "stopped" else seconds
            step = None  # what is fitted later, to a run that was stopped, is no measure
    return seconds


def estimate(rate: float | None, minutes: float, images: int = 0, faces: int = 0, after: float | None = None) -> str:
    """Describe what fits into a plan, and what comes on top.

    rate: images per second
    images: after which training ends, 0 for no limit
    faces: to train on, 0 if unknown
    after: seconds that follow the training, None if unknown
    """
    time = f"about {duration_text(after)}" if after else "a little time"
    return f"{images_text(rate, minutes, images, faces)} Measuring the model and fitting its sliders take {time} more."


def images_text(rate: float | None, minutes: float, images: int, faces: int) -> str:
    """Describe how many images fit into a plan; see `estimate`."""
    if not rate:
        return UNKNOWN_SPEED
    seen = rate * minutes * 60
    if 0 < images <= seen:
        return f"{images:,} images take about {duration_text(images / rate)} ({rate:.3g} a second)."
    unit = 10 ** max(0, len(str(int(seen))) - 2)  # two significant digits
    images = round(seen / unit) * unit
    times = f", each of your faces about {plural(round(images / faces), 'time')}" if 0 < faces <= images else ""
    return f"In {plural(minutes, 'minute')} the model will see about {images:,} images ({rate:.3g} a second){times}."


def duration_text(seconds: float) -> str:
    """Return a duration in whole seconds, or in minutes from 90 s."""
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} minutes"
