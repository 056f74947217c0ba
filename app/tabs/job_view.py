"""What the Train tab shows of faces and jobs: plain values for its components, and the calls that give them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Annotated, Any

import numpy as np
from markdown_it import MarkdownIt
from pydantic import Field

from app.components.bridge import answered, picture_url
from app.errors import JobError, JobMissing
from app.faces.slices import Searches
from app.jobs.service import Jobs, Sources
from app.jobs.status import grids_of, journal_of
from app.jobs.uploads import PICTURES, short_name
from app.visitors import identity_of
from ganime.errors import DataError
from ganime.faces.audit import Audit, audit, contact_sheet
from ganime.faces.dataset import FaceDataset, load_faces
from ganime.faces.reading import MAX_RATIO
from ganime.images import sheet, webp_bytes
from ganime.measuring.copies import Likeness, nearest_faces
from ganime.models.checkpoint import load_checkpoint
from ganime.training.run_folder import read_run

AUDIT_SIZE = 64  # px, as the faces are looked at before training
UNREADABLE_SHOWN, NOTES_SHOWN, POINTS, KEYS_MOST = 10, 10, 160, 50
GRID_BYTES = 8 * 2**20  # the largest sample grid that is sent
PAIRS, COLUMNS = 8, 4  # faces that are shown above their nearest training faces; how many in a row
COMPARED = 2_000  # training faces that are looked at for that; some hundred a second
# Cards hold names that strangers chose: HTML stays text, and nothing is fetched from elsewhere or leads there.
MARKDOWN = MarkdownIt("js-default").disable(["image", "link", "autolink"])
LOSSES, MEASURES = ("d_loss", "g_loss"), ("frechet", "diversity")

Keys = Annotated[list[str], Field(max_length=KEYS_MOST)]


def faces_value(sources: Sources, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """What faces.js shows of uploaded faces. Raises DataError, by the visitor's own names, for what is unusable."""
    try:
        dataset = load_faces(sources.paths, AUDIT_SIZE, sources.cache, progress)
    except DataError as error:
        raise DataError(own_names(str(error), sources)) from error
    report = audit(dataset)
    unused = report.unused_files[:UNREADABLE_SHOWN]
    return {
        "sheet": picture_url("webp", webp_bytes(contact_sheet(dataset))),
        "rows": counts_of(report),
        "unread": [{"name": own_name(name, sources), "reason": why(reason)} for name, _, reason in unused],
        "more": max(0, len(report.unused_files) - UNREADABLE_SHOWN),
        "advice": list(report.advice),
    }


def counts_of(report: Audit) -> list[tuple[str, str]]:
    """The report as rows of a table; what there is none of is left out."""
    again = report.exact_duplicates + report.near_duplicates
    width, height = (f"{least:,.0f} to {most:,.0f} px" for least, _, most in (report.widths, report.heights))
    rows = [
        ("Faces to learn from", report.train),
        ("Held out, to measure against", report.held_out),
        ("Duplicates, left out", again),
        ("Unreadable", report.unused.get("unreadable", 0)),
        ("Too small", report.unused.get("too small", 0)),
        ("Other files", sum(report.passed_over.values())),
        ("Grey", report.grey),
    ]
    return [*((name, f"{count:,}") for name, count in rows if count), ("Width", width), ("Height", height)]


def why(reason: str) -> str:
    """The engine's reason not to use a file; of what no setting of the page changes, that is said."""
    if "suspiciously" in reason:
        return f"{reason}: over {MAX_RATIO} times its packed size, which is refused whatever the settings"
    return reason


def own_name(name: str, sources: Sources) -> str:
    """What the visitor calls a file that is kept under a number; pictures inside zips have their own names already."""
    return short_name(sources.names.get(f"{PICTURES}/{name}", name), 120)


def own_names(text: str, sources: Sources) -> str:
    """An error's text without paths and numbers of this page."""
    text = text.replace(f"{sources.folder}/", "")
    for kept, name in sources.names.items():
        text = text.replace(kept, short_name(name)).replace(kept.removeprefix(f"{PICTURES}/"), short_name(name))
    return text


def job_value(jobs: Jobs, key: str) -> dict[str, Any]:
    """What job.js shows of a job: its status, the images at each sample grid, and the points of its charts."""
    value = asdict(jobs.status(key))
    folder = jobs.folder(key)
    lines = journal_of(folder)
    return {
        **{name: fact for name, fact in value.items() if name not in ("preview", "events", "notes")},
        "key": key,
        "master": jobs.is_owner(key.partition(".")[2]),
        "notes": value["notes"][-NOTES_SHOWN:],
        "grids": list(grids_of(folder)),
        "losses": points(lines, "Step", LOSSES),
        "measures": points(lines, "Measured", MEASURES),
    }


def likeness(jobs: Jobs, key: str) -> Iterator[float | Likeness]:
    """Faces of a job's model beside the training faces that are nearest to them, for `Searches`. Raises JobError.

    Nothing is read before its first step, so that a comparison that gets no place costs nothing.
    """
    checkpoint = load_checkpoint(jobs.model(key))
    faces, flip = learned_from(jobs, key, checkpoint.generator.config.image_size)
    yield from nearest_faces(checkpoint, faces, range(PAIRS), flip=flip, most=COMPARED)


def likeness_value(found: Likeness | float | None) -> dict[str, Any]:
    """How far a comparison has come, None before its first step, or faces above the training faces nearest to them."""
    if not isinstance(found, Likeness):
        return {"progress": found or 0.0}
    size = found.faces.shape[1]
    pairs = np.stack([found.faces, found.training]).reshape(
        2, -1, COLUMNS, size, size, 3
    )  # (2, rows, columns, S, S, 3)
    picture = sheet(pairs.swapaxes(0, 1).reshape(-1, size, size, 3), COLUMNS)  # a row of faces, a row of training faces
    return {"url": picture_url("webp", webp_bytes(picture)), "text": found.describe()}


def card_html(card: str) -> str:
    """A model's card as HTML that is safe to show, without the part that is meant for the hub."""
    return MARKDOWN.render(re.sub(r"\A---\n.*?\n---\n", "", card, flags=re.DOTALL))


def learned_from(jobs: Jobs, key: str, size: int) -> tuple[FaceDataset, bool]:
    """The faces that the model of an ended job learned from, and whether it mirrored them. Raises JobError before."""
    if not jobs.status(key).can_resume:
        raise JobError("This is looked at once the job has ended; it would slow down the training.")
    sources = jobs.sources(key, size)
    return load_faces(sources.paths, size, sources.cache), read_run(jobs.folder(key).run)[0].flip


def points(lines: list[dict[str, Any]], event: str, fields: tuple[str, ...]) -> list[list[float | None]]:
    """[images, value of each field] of at most POINTS lines of one kind, at even distances and the last among them."""
    found = [line for line in lines if line["event"] == event]
    every = -(-len(found) // POINTS) or 1
    return [[line["images"], *(line.get(name) for name in fields)] for line in found[::-1][::every]][::-1]


def mine_of(jobs: Jobs) -> Callable[..., dict[str, Any]]:
    """What tells which jobs of these keys are here; of the others it says nothing, not even whether they ever were."""

    def mine(keys: Keys) -> dict[str, Any]:
        found = []
        for key in keys:
            with contextlib.suppress(JobMissing):
                job = jobs.get(key)
                has_model = bool(jobs.supervisor.folder(job.id).models())
                found.append({"key": key, "name": job.name, "state": job.state, "has_model": has_model})
        return {"jobs": found}

    return mine


def server_functions(jobs: Jobs) -> list[Callable[[Any], Any]]:
    """What job.js may call with nothing but keys; each answers {"error": text} where it cannot."""
    comparisons = Searches("comparisons")

    def status(key: str) -> dict[str, Any]:
        return job_value(jobs, key)

    def grid(key: str, images: int) -> dict[str, Any]:
        path = grids_of(jobs.folder(key)).get(images)
        if path is None or path.stat().st_size > GRID_BYTES:
            raise JobError("There is no such sample grid.")
        return {"url": picture_url("png", path.read_bytes())}

    def nearest(visitor: str, key: str) -> dict[str, Any]:
        jobs.get(key)  # else one who has not the key would take a place
        return {"search": comparisons.begin(visitor, likeness(jobs, key))}

    def ask_nearest(search: str) -> dict[str, Any]:
        found, _ = comparisons.go_on(search)
        if isinstance(found, Likeness):  # nobody asks again
            comparisons.end(search)
        return likeness_value(found)

    def leave_nearest(search: str) -> dict[str, Any]:
        comparisons.end(search)
        return {}

    def card(key: str) -> dict[str, Any]:
        return {"html": card_html(jobs.card(key))}

    def log(key: str) -> dict[str, Any]:
        return {"text": jobs.log(key)}

    def save_now(key: str) -> dict[str, Any]:
        return {"done": jobs.save_now(key)}

    def stop(key: str) -> dict[str, Any]:
        return {"done": jobs.stop(key)}

    def discard(key: str) -> dict[str, Any]:
        return {"done": jobs.delete(key)}

    def visitor(request: Any) -> str:
        return identity_of(request, jobs.settings.proxies)

    plain = (mine_of(jobs), status, grid, card, log, save_now, stop, discard, ask_nearest, leave_nearest)
    return [*map(answered, plain), answered(nearest, visitor=visitor)]


def archive_file(jobs: Jobs) -> Any:
    def archive_file(key: str) -> tuple[str, bytes]:
        return "ganime-model.zip", jobs.archive(key).read_bytes()

    return archive_file
