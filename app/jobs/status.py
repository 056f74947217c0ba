"""What the folder of a training job tells: how far it has come, how it ended, and the end of its log."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sys
import threading
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from app.jobs.store import ACTIVE, ENDED, FAILED, FINISHED, INTERRUPTED, QUEUED, RUNNING, STOPPING, Job
from app.settings import ROOT, Settings
from ganime.models.checkpoint import saved_models
from ganime.nets.dcgan import CONFIG_FILE
from ganime.training.events import EVENTS_FILE, PREVIEWS, read_journal
from ganime.training.run_folder import saves

EVENTS_SHOWN = 200
JOURNALS_KEPT = 16  # read, in memory
LEAST_MINUTES = 1.0  # that a job which goes on is given at least
GRIDS_KEPT = 240  # of a job; what is seen on a scrubber that is some hundreds of pixels wide
LINE_BYTES = 8_000  # at the end of a journal, among which the last line is looked for
FULL_BYTES = 32 * 2**20  # with less room than a save takes, the disk counts as full
READING = threading.Lock()
JOURNALS: dict[Path, tuple[tuple[int, ...], list[dict[str, Any]]]] = {}  # by run: size and time of the file, its lines


@dataclass(frozen=True)
class JobFolder:
    """Where the parts of a job lie. The folder's name is the job's id, never anything a visitor chose."""

    path: Path

    @property
    def uploads(self) -> Path:
        return self.path / "uploads"

    @property
    def cache(self) -> Path:
        """The decoded faces, where the command line puts them with `--home` at this folder."""
        return self.path / "cache"

    @property
    def start(self) -> Path:
        """Holds the folder of the model the run begins from."""
        return self.path / "start"

    @property
    def run(self) -> Path:
        return self.path / "run"

    def log(self, attempt: int) -> Path:
        return self.path / f"log-{attempt}.txt"

    def models(self) -> list[Path]:
        """The model folders of the run, the one to prefer first."""
        return saved_models(self.run)

    def saved_images(self) -> int:
        """How many images the newest save has seen, 0 without one."""
        return max((int(folder.name) for folder in saves(self.run)), default=0)

    def trained_seconds(self) -> float:
        """How long the newest save was trained, 0 without one; a damaged one gives way to the one before."""
        for folder in reversed(saves(self.run)):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                return float(json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))["training"]["seconds"])
        return 0.0


@dataclass(frozen=True)
class JobStatus:
    """All that the page tells about a job; names and texts may hold what strangers chose and must be escaped.

    state: "draft", "queued", "running", "stopping", "finished", "failed" or "interrupted"; reason: why, in words.
    place: in the queue, 1 for the next one, 0 outside of it; wait: about how many seconds until its turn, None where
    that is unknown. faces: pictures uploaded. Times are seconds since 1970, 0 for not yet. images: seen so far;
    most_images: after which it ends, 0 for no such; saved: what a resume goes on from. share: of the nearest limit,
    0 to 1. seconds_left: None while unknown. minutes_left: what an ended job lacks, None for one that has come to its
    end. verdict, measured: the last such lines of the journal; events: its last 200
    lines but for notices, oldest first, as in ganime.journal. preview: the last sample grid. notes: what a person
    should know. can_resume, has_model: what is possible now.
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
    share: float = 0.0
    images_per_second: float = 0.0
    seconds_left: float | None = None
    minutes_left: float | None = None
    verdict: dict[str, Any] | None = None
    measured: dict[str, Any] | None = None
    preview: Path | None = None
    notes: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    can_resume: bool = False
    has_model: bool = False


def handed_out(settings: Settings, job: Job) -> Path:
    """Where a job's files lie that Gradio hands out to whoever knows the path: it is named by the digest of the key."""
    return settings.temporary / "results" / job.key


FACTS = [fact.name for fact in fields(JobStatus) if fact.default is MISSING and fact.default_factory is MISSING]


def status_of(job: Job, folder: JobFolder, now: float, ahead: list[tuple[Job, JobFolder]], places: int) -> JobStatus:
    """The job as it stands; now: seconds since 1970. ahead: the jobs it waits for; places: how many run at a time."""
    lines = journal_of(folder)
    last = {line["event"]: line for line in lines}
    step = current_step(job, lines)
    notes = [without_paths(line["text"], folder) for line in lines if line["event"] == "Notice"]
    return JobStatus(
        **{name: getattr(job, name) for name in FACTS},
        place=sum(other.state == QUEUED for other, _ in ahead) + 1 if job.state == QUEUED else 0,
        wait=wait_after(ahead, places, now) if job.state == QUEUED else None,
        images=lines[-1]["images"] if lines else 0,
        most_images=job.images,
        saved=folder.saved_images(),
        share=step["progress"] if step else float(job.state == FINISHED),
        images_per_second=step["images_per_second"] if step else 0.0,
        seconds_left=seconds_left(job, step, now) if step else None,
        minutes_left=minutes_left(job, folder),
        verdict=last.get("Verdict"),
        measured=last.get("Measured"),
        preview=next(reversed(grids_of(folder).values()), None),
        notes=notes,
        events=[line for line in lines if line["event"] != "Notice"][-EVENTS_SHOWN:],
        can_resume=job.state in ENDED,
        has_model=bool(folder.models()),
    )


def journal_of(folder: JobFolder) -> list[dict[str, Any]]:
    """The journal of a job; it is read anew only when it has grown, for it is long and the page asks often."""
    try:
        found = (folder.run / EVENTS_FILE).stat()
    except FileNotFoundError:
        return []
    state = (found.st_size, found.st_mtime_ns)
    with READING:
        known, lines = JOURNALS.pop(folder.run, ((), []))
        if known != state:
            lines = read_journal(folder.run)
        JOURNALS[folder.run] = (state, lines)  # the last one: least recently used comes first
        while len(JOURNALS) > JOURNALS_KEPT:
            del JOURNALS[next(iter(JOURNALS))]
    return lines


def grids_of(folder: JobFolder) -> dict[int, Path]:
    """The sample grids of a job by the images that had been seen, oldest first."""
    return {int(path.stem): path for path in sorted((folder.run / PREVIEWS).glob("[0-9]*.png"))}


def thin_grids(folder: JobFolder, most: int = GRIDS_KEPT) -> None:
    """Remove sample grids beyond `most`, so that the rest, first and last among them, lie as evenly as they can."""
    grids = grids_of(folder)
    images = list(grids)
    while len(images) > most:
        between = range(1, len(images) - 1)
        crowded = min(between, key=lambda place: images[place + 1] - images[place - 1])
        grids[images.pop(crowded)].unlink(missing_ok=True)


def current_step(job: Job, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The last report of steps in a job's journal where it is of this attempt, else an empty one."""
    step = next((line for line in reversed(lines) if line["event"] == "Step"), {})
    return step if job.state in ACTIVE and step.get("time", 0.0) >= job.started else {}


def wait_after(jobs: list[tuple[Job, JobFolder]], places: int, now: float) -> float | None:
    """Seconds until one of `places` is free for who waits for these jobs; None where one of them has no minutes."""
    free = [0.0] * places
    for job, folder in jobs:
        if job.minutes <= 0:
            return None
        if job.state != STOPPING:
            step = current_step(job, journal_of(folder))
            free[free.index(min(free))] += seconds_left(job, step, now) if step else job.minutes * 60
    return min(free)


def minutes_left(job: Job, folder: JobFolder) -> float | None:
    """The minutes that an ended job lacks, by its newest save; None for one that has come to its end."""
    stopped = job.state in ENDED and (job.state != FINISHED or bool(job.reason))
    if not stopped or 0 < job.images <= folder.saved_images():
        return None
    return max(LEAST_MINUTES, job.minutes - (folder.trained_seconds() - job.trained) / 60)


def seconds_left(job: Job, step: dict[str, Any], now: float) -> float:
    """Until the nearest limit, by the last report of this attempt."""
    left, seen = [], step["images"] / job.images if job.images else 0.0
    if step["progress"] > seen:  # else it tells of the images alone, of which a job that goes on has seen many before
        left.append((1 - step["progress"]) * job.minutes * 60)
    if job.images and step["images_per_second"] > 0:
        left.append((job.images - step["images"]) / step["images_per_second"])
    if not left:
        left.append(job.minutes * 60)
    return max(0.0, min(left) - (now - step["time"]))


def outcome(job: Job, code: int | None, folder: JobFolder, killed: bool) -> tuple[str, str]:
    """The state and the reason of a job whose child has ended.

    code: the exit status, negative for a signal, None where it is unknown because another process started the child.
    killed: whether the page itself ended it, since it did not stop by itself.
    """
    log, saved, last = log_tail(folder, job.attempt), folder.saved_images(), last_line(job, folder)
    kept = f"{saved:,} images are saved; resume to go on from there." if saved else "Nothing was saved yet."
    done = last["reason"] if last.get("event") == "Done" else ""
    if code == 0 or done:
        if done == "stopped" and job.state == RUNNING:
            return INTERRUPTED, f"It was told to end from outside, as when a machine shuts down. {kept}"
        return FINISHED, job.reason or ("Stopped." if done == "stopped" else "")
    if error := error_in(log):
        return FAILED, f"{error} {kept}"
    if killed:
        return INTERRUPTED, f"It did not stop in time (GANIME_STOP_SECONDS) and was ended. {kept}"
    if job.state == STOPPING and code == -signal.SIGTERM:
        return INTERRUPTED, f"Stopped before the first step. {kept}"
    if shutil.disk_usage(folder.path.parent).free < FULL_BYTES:
        return FAILED, f"The disk of this page is full. {kept}"
    if code is None:
        return INTERRUPTED, f"It ended while nobody watched, as when the machine restarts. {kept}"
    if code > 0:
        ending = log.strip().splitlines()[-1:] or ["its log is empty"]
        return FAILED, f"It ended with status {code} ({ending[0][:ERROR_CHARACTERS]}). {kept}"
    why = "perhaps for want of memory" if code == -signal.SIGKILL else "by somebody or something on this machine"
    return INTERRUPTED, f"It was killed from outside (signal {-code}), {why}. {kept}"


def last_line(job: Job, folder: JobFolder) -> dict[str, Any]:
    """The last line that this attempt has written to the journal, empty before the first."""
    for text in reversed(tail(folder.run / EVENTS_FILE, LINE_BYTES).splitlines()):
        with contextlib.suppress(ValueError):  # a line that is cut short
            line = json.loads(text)
            if isinstance(line, dict) and {"event", "time"} <= line.keys():
                return line if line["time"] >= job.started - 1 else {}
    return {}


def folder_bytes(path: Path) -> int:
    """The disk that all files below a folder take."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # gone meanwhile
                total += Path(folder, name).lstat().st_size
    return total


LOG_BYTES, ERROR_CHARACTERS = 20_000, 1_000
# A traceback, from its heading up to the error itself; or from where the tail of a log has cut into it.
TRACEBACK = re.compile(
    r'\A(?:    .*\n)+|^(?:Traceback \(most recent call last\):\n(?:\s.*\n)+|  File ".*\n(?:    .*\n)*)', re.MULTILINE
)
INSTALLED = sorted((str(ROOT), sys.prefix), key=len, reverse=True)  # where the code lies; the one may hold the other


def log_tail(folder: JobFolder, attempt: int) -> str:
    """The end of the log of one attempt as a visitor may see it: without the paths and the code of this machine."""
    return without_paths(TRACEBACK.sub("", tail(folder.log(attempt), LOG_BYTES)), folder)


def tail(path: Path, most: int) -> str:
    """The last lines of a file, of `most` bytes together; empty where there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        before = max(0, path.stat().st_size - most)
        file.seek(before)
        found = file.read(most)
    if before:
        found = found.partition(b"\n")[2]  # its first line may be cut, in the middle of a path perhaps
    return found.decode(errors="replace")


def without_paths(text: str, folder: JobFolder) -> str:
    for place in (str(folder.path), *INSTALLED):
        text = text.replace(f"{place}{os.sep}", "")
    return text


def error_in(log: str) -> str:
    """The last error that the command line told, to the end of the log, or an empty string."""
    starts = list(re.finditer(r"^Error: ", log, re.MULTILINE))
    return " ".join(log[starts[-1].end() :].split())[:ERROR_CHARACTERS] if starts else ""
