"""How fast this machine learns, for those who are about to begin: by earlier jobs of the kind, or by a short trial."""

from __future__ import annotations

import statistics
import threading
from pathlib import Path

from sqlmodel import col, select

from app.errors import JobError, explain_disk_errors
from app.jobs.service import Jobs
from app.jobs.status import journal_of
from app.jobs.store import ACTIVE, DRAFT, Job
from app.jobs.supervisor import TRIAL_SECONDS

LOOKED_AT = 8  # jobs whose pace is asked for, the newest first
REPORTS = 40  # of a job's last ones, of which the median counts
UNTOLD = "How fast this machine learns could not be found out; a job will tell."
TRIAL_MINUTES = 0.1  # of training; a first report comes sooner, on most machines

Kind = tuple[str, int, str]  # recipe, image size in px, name of the model to begin from, "" for none


class Pace:
    """Images a second by kind of training; what a trial has found is remembered as long as the page runs."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self.trial, self.trying = threading.Lock(), ""  # the key of the faces that one is under way with
        self.found: dict[Kind, float] = {}
        self.vain: tuple[str, Kind] | None = None  # the last trial that told nothing, which would do so again

    def known(self, kind: Kind) -> float | None:
        """What the newest job of this kind, or a trial, has reached; None where there was none."""
        recipe, size, start = kind
        same = select(Job).where(
            Job.recipe == recipe, Job.image_size == size, Job.start == start, col(Job.deleted).is_(False)
        )
        with self.jobs.store.reading() as session:
            jobs = session.exec(same.order_by(col(Job.started).desc()).limit(LOOKED_AT)).all()
        for job in jobs:
            if rate := self.rate_of(job):
                return rate
        return self.found.get(kind)

    @explain_disk_errors("How fast this machine learns could not be tried")
    def tried(self, key: str, kind: Kind, start: Path | None = None) -> float:
        """The pace of some seconds of training on the faces of a draft. Raises JobError where that cannot be had.

        start: folder of the model to begin from, None for scratch.
        One is tried at a time, and none beside a job: that would be slower for it, and tell too little. Who asks again
        for the same faces, such as from a page that was loaded anew, waits for the one that is under way.
        """
        if not self.trial.acquire(timeout=TRIAL_SECONDS if key == self.trying else 0):
            raise JobError(
                "Another visitor's estimate is under way, so yours is not made just now. It is not needed to start."
            )
        try:
            if rate := self.known(kind):
                return rate
            self.trying = key
            with self.jobs.store.reading() as session:
                draft = self.jobs.find(session, key)
                active = session.exec(select(Job).where(col(Job.state).in_(ACTIVE))).all()
            if active:
                raise JobError(self.beside(active[0]))
            if draft.state != DRAFT:
                raise JobError("This job has been started already.")
            if self.vain == (key, kind):
                raise JobError(UNTOLD)
            draft.recipe, draft.image_size, draft.start, draft.minutes = kind[0], kind[1], "", TRIAL_MINUTES
            steps = self.jobs.supervisor.trial(draft, start)
            if not steps:
                self.vain = (key, kind)
                raise JobError(UNTOLD)
            self.found[kind] = steps[-1]["images_per_second"]
            return self.found[kind]
        finally:
            self.trying = ""
            self.trial.release()

    def beside(self, job: Job) -> str:
        """Why nothing is tried while `job` trains, and what is known of that one."""
        rate = self.rate_of(job)
        so_far = f" It learns from {rate:.3g} images a second ({job.recipe}, {job.image_size} px)." if rate else ""
        return f"A job is training just now, so how fast yours would be is not tried.{so_far}"

    def rate_of(self, job: Job) -> float | None:
        """Images a second of a job's last reports, None before the first."""
        lines = journal_of(self.jobs.supervisor.folder(job.id))
        rates = [line["images_per_second"] for line in lines if line["event"] == "Step"][-REPORTS:]
        return statistics.median(rates) if rates else None

    def estimate(self, kind: Kind, minutes: float, most: int = 0) -> str:
        """What to expect, in words; empty where nothing is known. most: images after which it ends, 0 for no such."""
        rate = self.known(kind)
        if not rate:
            return ""
        images = rate * minutes * 60
        if 0 < most <= images:
            return f"{most:,} images take about {in_words(most / rate)}, at {rate:.3g} a second here."
        step = 10 ** max(0, len(str(int(images))) - 2)  # two digits are known, and no more
        return f"About {round(images / step) * step:,} images in {minutes:g} minutes, at {rate:.3g} a second here."


def in_words(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} minutes"
