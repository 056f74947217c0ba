"""The status of a training job: its state, progress, and remaining time."""

from __future__ import annotations

import contextlib
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from app.jobs.ending import without_paths
from app.jobs.folder import HubPlace, JobFolder
from app.jobs.store import ACTIVE, ENDED, FINISHED, QUEUED, STOPPING, Job
from app.jobs.uploads import skipped_files
from ganime.drawing.directions import DIRECTION_INDEX_FILE, read_direction_index
from ganime.errors import CheckpointError
from ganime.nets.clarity import CLARITY_FILE

MIN_MINUTES = 1.0  # shortest time for which a job is continued
FITTING = ("fitting clarity", "checking sliders")  # activities once the model is saved
AFTER_TRAINING = ("saving", *FITTING)  # activities of no other time; a job is also measured while it trains


@dataclass(frozen=True)
class JobStatus:
    """Everything that the page shows of a job. Names and texts may contain what strangers wrote and must be escaped.

    Times are seconds since 1970, 0 for "not yet".

    state: "draft", "queued", "running", "stopping", "elsewhere", "finished", "failed" or "interrupted"
    reason: why it is in this state, in words
    faces: number of faces that can be used, or of pictures uploaded before they were read
    stopped: whether it finished because the visitor stopped it
    place: position in the queue, 1 for the next job, 0 outside the queue
    wait: estimated seconds until the job starts, None if unknown
    images: number of images seen so far
    most_images: number of images after which it ends, 0 for no limit
    saved: number of images at the newest save, from which the job can be continued
    activity: what an active job does, "reading" before it reports, then one of ganime's ACTIVITIES; else ""
    activity_share: share of that activity that is done, 0 to 1, None if unknown
    share: progress towards the nearest limit, 0 to 1
    seconds_left: estimated remaining seconds of training, None if unknown
    trained: whether an active job has no training left to do, though it may still measure, save and fit
    minutes_left: minutes that an ended job still has, None when it has reached its limit
    verdict, measured: last lines of these kinds in the journal
    notes: notices in the journal
    skipped: the visitor's files that are not used, each with the reason
    can_resume, has_model: whether it can be continued, and whether it has a model
    on_hub: where on the hub it trains, or was trained, None for here
    has_clarity, sliders: whether that model has a clarity, and how many named sliders
    """

    id: str
    name: str
    state: str
    reason: str
    recipe: str
    image_size: int
    minutes: float
    faces: int
    created: float
    started: float
    ended: float
    bytes: int
    place: int = 0
    wait: float | None = None
    images: int = 0
    most_images: int = 0
    saved: int = 0
    stopped: bool = False
    activity: str = ""
    activity_share: float | None = None
    share: float = 0.0
    images_per_second: float = 0.0
    seconds_left: float | None = None
    trained: bool = False
    minutes_left: float | None = None
    verdict: dict[str, Any] | None = None
    measured: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    can_resume: bool = False
    has_model: bool = False
    has_clarity: bool = False
    sliders: int = 0
    on_hub: HubPlace | None = None


ROW_FIELDS = [one.name for one in fields(JobStatus) if one.default is MISSING and one.default_factory is MISSING]


def status_of(job: Job, folder: JobFolder, now: float, ahead: list[tuple[Job, JobFolder]], places: int) -> JobStatus:
    """Return the status of a job.

    now: seconds since 1970
    ahead: jobs that run or wait before this one
    places: number of jobs that run at the same time
    """
    lines = folder.journal()
    last = {line["event"]: line for line in lines}
    step = current_step(job, lines)
    waiting, model = job.state == QUEUED, next(iter(folder.models()), None)
    activity, activity_share = activity_of(job, lines)
    left = training_left(job, folder, now) if job.state in ACTIVE else None
    return JobStatus(
        **{name: getattr(job, name) for name in ROW_FIELDS},
        place=sum(other.state == QUEUED for other, _ in ahead) + 1 if waiting else 0,
        wait=wait_after(ahead, places, now) if waiting else None,
        images=lines[-1]["images"] if lines else 0,
        most_images=job.images,
        saved=folder.saved_images(),
        stopped=was_stopped(job),
        activity=activity,
        activity_share=activity_share,
        share=step["progress"] if step else float(job.state == FINISHED),
        images_per_second=step["images_per_second"] if step else 0.0,
        seconds_left=left,
        trained=left is not None and is_trained(activity, left),
        minutes_left=minutes_left(job, folder),
        verdict=last.get("Verdict"),
        measured=last.get("Measured"),
        notes=[without_paths(line["text"], folder) for line in lines if line["event"] == "Notice"],
        skipped=skipped_files(folder.uploads),
        can_resume=job.state in ENDED and not folder.was_fetched,
        has_model=model is not None,
        has_clarity=model is not None and (model / CLARITY_FILE).is_file(),
        sliders=named_sliders(model) if model else 0,
        on_hub=folder.on_hub,
    )


def was_stopped(job: Job) -> bool:
    """Return whether a job has finished because it was stopped, before its limit."""
    return job.state == FINISHED and bool(job.reason)


def activity_of(job: Job, lines: list[dict[str, Any]]) -> tuple[str, float | None]:
    """Return what an active job does and the share of it that is done; ("", None) for any other job."""
    if job.state not in ACTIVE:
        return "", None
    for line in reversed(lines):
        if line.get("time", 0.0) < job.started:
            break
        if line["event"] == "Working":
            return line["activity"], line.get("progress")
        if line["event"] == "Step":
            return "training", None
    return "reading", None


def is_trained(activity: str, left: float) -> bool:
    """Return whether an active job has no training left to do. left: see `seconds_left`."""
    return activity in AFTER_TRAINING or (activity != "training" and left < 1)


def named_sliders(model: Path) -> int:
    """Return how many named directions a model folder has."""
    with contextlib.suppress(CheckpointError, KeyError, TypeError):
        entries = read_direction_index(model / DIRECTION_INDEX_FILE)["directions"]
        return sum(entry["kind"] in ("attribute", "own") for entry in entries)
    return 0


def current_step(job: Job, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the last Step line of the current attempt of an active job, else an empty dict."""
    step = next((line for line in reversed(lines) if line["event"] == "Step"), {})
    return step if job.state in ACTIVE and step.get("time", 0.0) >= job.started else {}


def wait_after(jobs: list[tuple[Job, JobFolder]], places: int, now: float) -> float | None:
    """Return the seconds until one of `places` is free after these jobs; None if one of them has no time limit."""
    free = [0.0] * places
    for job, folder in jobs:
        if job.minutes <= 0:
            return None
        if job.state != STOPPING:
            free[free.index(min(free))] += training_left(job, folder, now)
    return min(free)


def minutes_left(job: Job, folder: JobFolder) -> float | None:
    """Return the minutes that an ended job still has after its newest save; None when it has reached its limit."""
    stopped = job.state in ENDED and (job.state != FINISHED or was_stopped(job))
    if not stopped or has_all_images(job, folder):
        return None
    return max(MIN_MINUTES, job.minutes - (folder.trained_seconds() - job.trained) / 60)


def has_all_images(job: Job, folder: JobFolder) -> bool:
    """Return whether the images after which a job ends were seen at its newest save."""
    return 0 < job.images <= folder.saved_images()


def training_left(job: Job, folder: JobFolder, now: float) -> float:
    """Return the seconds of training until the nearest limit of a job that runs or waits; see `seconds_left`."""
    lines = folder.journal()
    last = next((line for line in reversed(lines) if line["event"] in ("Step", "Working")), {})
    if last.get("activity", "training") != "training":
        now = last.get("time", now)  # the training has paused, or has ended
    return 0.0 if has_all_images(job, folder) else seconds_left(job, current_step(job, lines), now)


def seconds_left(job: Job, step: dict[str, Any], now: float) -> float:
    """Return the seconds of training until the nearest limit.

    step: the last Step line of this attempt, empty before the first; no time has counted before. now: seconds since
    1970, at which the training goes on or has paused.
    """
    limits = []
    if not step:
        return job.minutes * 60
    share_of_images = step["images"] / job.images if job.images else 0.0
    if step["progress"] > share_of_images:  # else `progress` follows the images, which include earlier attempts
        limits.append((1 - step["progress"]) * job.minutes * 60)
    if job.images and step["images_per_second"] > 0:
        limits.append((job.images - step["images"]) / step["images_per_second"])
    left = min(limits, default=job.minutes * 60)
    return max(0.0, left - (now - step["time"]))
