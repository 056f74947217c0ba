"""What the Train tab shows of faces and jobs: values for its components, and the server functions of job.js."""

from __future__ import annotations

import contextlib
import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Annotated, Any
from unicodedata import category, normalize

import numpy as np
from markdown_it import MarkdownIt
from pydantic import Field

from app.components.bridge import picture_url, server_function
from app.errors import JobError, JobMissing
from app.faces.studio import Studio
from app.jobs import speed
from app.jobs.service import Jobs, Sources
from app.jobs.status import was_stopped
from app.tabs.long_work import work_functions
from app.tabs.plain_verdict import plain_verdict
from ganime.faces.audit import Audit, audit, contact_sheet
from ganime.faces.dataset import FaceDataset
from ganime.images import sheet, webp_bytes
from ganime.measuring.copies import NearestFaces

MAX_SKIPPED, MAX_NOTES = 10, 10  # files and notices that are named
MAX_CARD = 20_000  # characters; more would take long to lay out
MAX_POINTS = 160  # of a chart
MAX_JOB_KEYS = 50  # of jobs in one question
MAX_GRID_BYTES = 8 * 2**20  # largest sample grid that is sent
PAIR_COLUMNS = 4  # faces in a row, above their nearest training faces
# Cards contain text that strangers wrote: HTML stays text, and there are no pictures and no links.
MARKDOWN = MarkdownIt("js-default").disable(["image", "link", "autolink"])
LOSS_FIELDS, MEASURE_FIELDS = ("d_loss", "g_loss"), ("frechet", "diversity")

JobKeys = Annotated[list[str], Field(max_length=MAX_JOB_KEYS)]


def faces_value(sources: Sources, dataset: FaceDataset, remark: str = "") -> dict[str, Any]:
    """Return what faces.js shows of uploaded faces. remark: the first line of the advice, if there is one."""
    report, skipped = audit(dataset), sources.skipped(dataset)
    return {
        "sheet": picture_url("webp", webp_bytes(contact_sheet(dataset))),
        "rows": count_rows(report, len(sources.ignored)),
        "skipped": [{"name": name, "reason": reason} for name, reason in skipped[:MAX_SKIPPED]],
        "more": max(0, len(skipped) - MAX_SKIPPED),
        "advice": [*([remark] if remark else []), *report.advice],
    }


def count_rows(report: Audit, ignored: int = 0) -> list[tuple[str, str]]:
    """Return the rows of a table about uploaded faces; counts of 0 are left out. ignored: files beside the pictures."""
    duplicates = report.exact_duplicates + report.near_duplicates
    counts = [
        ("Faces to learn from", report.train),
        ("Held out, to measure against", report.held_out),
        ("Duplicates, skipped", duplicates),
        ("Unreadable", report.unused.get("unreadable", 0)),
        ("Too small", report.unused.get("too small", 0)),
        ("Pictures without a face", report.unused.get("no face", 0)),
        ("Cut out of pictures", report.cropped),
        ("Other files", sum(report.passed_over.values()) + ignored),
        ("Grey", report.grey),
    ]
    rows = [(name, f"{count:,}") for name, count in counts if count]
    (narrowest, _, widest), (lowest, _, highest) = report.widths, report.heights
    if (narrowest, lowest) == (widest, highest):
        return [*rows, ("Size of the pictures", f"{widest:,.0f} x {highest:,.0f} px")]
    return [
        *rows,
        ("Width", f"{narrowest:,.0f} to {widest:,.0f} px"),
        ("Height", f"{lowest:,.0f} to {highest:,.0f} px"),
    ]


def job_value(jobs: Jobs, key: str) -> dict[str, Any]:
    """Return what job.js shows of a job: its status, the images at each sample grid, and the points of its charts."""
    status, folder = jobs.status(key), jobs.folder(key)
    lines = folder.journal()
    distance = folder.distance()
    usual = speed.after_training(jobs, status.image_size) if status.activity or status.place else None
    after = sum(usual.values()) if usual else None
    attempt = speed.attempt_of(lines, status.started)
    rest = speed.rest_of(status.activity, attempt, usual, time.time()) if status.activity in speed.AFTER else None
    turns = math.ceil(status.place / jobs.settings.jobs)  # that come to their end before this one begins
    return {
        **asdict(status),
        "key": key,
        "wait": status.wait + turns * (after or 0.0) if status.wait else status.wait,
        "after": after,
        "ending": asdict(rest) if rest else None,
        "plain": plain_verdict(status.state, lines, distance, status.trained, not folder.was_fetched),
        "notes": status.notes[-MAX_NOTES:],
        "grids": list(folder.grids()),
        "losses": chart_points(lines, "Step", LOSS_FIELDS),
        "measures": chart_points(lines, "Measured", MEASURE_FIELDS),
    }


def nearest_training_faces(studio: Studio, key: str) -> Iterator[float | NearestFaces]:
    """Search the training faces nearest to faces of a job's model: yields the progress, 0 to 1, then the result.

    Nothing is read before the first step. Raises JobError while the job runs.
    """
    yield from studio.open(studio.library.load_job(key).key).nearest_training_faces()


def nearest_value(found: NearestFaces | float | None) -> dict[str, Any]:
    """Return the progress of a search, None before its first step, or its result as pictures and a text.

    Each picture has a row of faces above a row of the training faces nearest to them.
    """
    if not isinstance(found, NearestFaces):
        return {"progress": found or 0.0}
    size = found.faces.shape[1]
    pairs = np.stack([found.faces, found.training])  # (2, PAIRS, S, S, 3)
    pairs = pairs.reshape(2, -1, PAIR_COLUMNS, size, size, 3)  # (2, rows, columns, S, S, 3)
    rows = pairs.swapaxes(0, 1)  # (rows, 2, columns, S, S, 3): faces, training faces
    sheets = [sheet(row.reshape(-1, size, size, 3), PAIR_COLUMNS) for row in rows]
    return {"urls": [picture_url("webp", webp_bytes(one)) for one in sheets], "text": found.describe()}


def card_html(card: str) -> str:
    """Return a model's card as HTML that is safe to show, without the metadata for the hub."""
    return MARKDOWN.render(re.sub(r"\A---\n.*?\n---\n", "", card, flags=re.DOTALL)[:MAX_CARD])


def chart_points(lines: list[dict[str, Any]], event: str, fields: tuple[str, ...]) -> list[list[float | None]]:
    """Return [images, value of each field] of at most MAX_POINTS lines of a kind, evenly spaced, including the last."""
    chosen = [line for line in lines if line["event"] == event]
    step = max(1, math.ceil(len(chosen) / MAX_POINTS))
    first = (len(chosen) - 1) % step  # so that the last line is included
    return [[line["images"], *(line.get(name) for name in fields)] for line in chosen[first::step]]


def existing_jobs(jobs: Jobs) -> Callable[..., dict[str, Any]]:
    """Return the server function `mine`, which lists the jobs that some keys open. It says nothing about other keys."""

    def mine(keys: JobKeys) -> dict[str, Any]:
        existing = []
        for key in keys:
            with contextlib.suppress(JobMissing):
                job = jobs.get(key)
                folder = jobs.supervisor.folder(job.id)
                facts = {"name": job.name, "state": job.state, "stopped": was_stopped(job)}
                facts |= {"has_model": bool(folder.models()), "on_hub": folder.on_hub is not None}
                existing.append({"key": key, **facts})
        return {"jobs": existing}

    return mine


def job_functions(studio: Studio, jobs: Jobs) -> list[Callable[[Any], Any]]:
    """Return the server functions of job.js. They need nothing but a key, and return {"error": text} on failure."""

    def status(key: str) -> dict[str, Any]:
        return job_value(jobs, key)

    def grid(key: str, images: int) -> dict[str, Any]:
        path = jobs.folder(key).grids().get(images)
        if path is None or path.stat().st_size > MAX_GRID_BYTES:
            raise JobError("There is no such sample grid.")
        return {"url": picture_url("png", path.read_bytes())}

    def faces_sheet(key: str) -> dict[str, Any]:
        """The contact sheet of a job's faces, which were decoded when they were uploaded."""
        return {"url": picture_url("webp", webp_bytes(contact_sheet(jobs.sources(key).load())))}

    def nearest(visitor: str, key: str) -> dict[str, Any]:
        jobs.get(key)  # without the key nobody takes a place
        steps = nearest_training_faces(studio, key)
        return {"work": studio.work.begin("comparison", visitor, steps, nearest_value)}

    def card(key: str) -> dict[str, Any]:
        return {"html": card_html(jobs.card(key))}

    def log(key: str) -> dict[str, Any]:
        return {"text": jobs.log(key)}

    def save_now(key: str) -> dict[str, Any]:
        return {"done": jobs.save_now(key)}

    def stop(key: str) -> dict[str, Any]:
        return {"done": jobs.stop(key)}

    def delete(key: str) -> dict[str, Any]:
        return {"done": jobs.delete(key)}

    looks, look = (existing_jobs(jobs), status, grid, log, save_now, stop, delete), studio.door(studio.limits.look)
    slower, draw = (faces_sheet, card), studio.door(studio.limits.draw)  # they read and encode faces, or read a model
    return [
        *(server_function(function, look) for function in looks),
        *(server_function(function, draw) for function in slower),
        server_function(nearest, studio.beginning("comparison"), visitor_of=studio.visitor),
        *work_functions(studio),
    ]


def archive_file(jobs: Jobs) -> Any:
    """Return the function behind the download of a job's model: from its key to (file name, bytes)."""

    def archive_file(key: str) -> tuple[str, bytes]:
        data = jobs.archive(key).read_bytes()
        return f"{file_stem(jobs.get(key).name) or 'ganime-model'}.zip", data

    return archive_file


def file_stem(name: str) -> str:
    """A stranger's name as the name of a file: letters, their marks, digits, "_", "." and "-"; it may be empty."""
    kept = (one if one.isalnum() or one in "_." or category(one)[0] == "M" else "-" for one in normalize("NFC", name))
    return re.sub("-+", "-", "".join(kept)).strip("-.")
