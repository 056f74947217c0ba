"""What a training run tells while it goes on; the command line, the page and the tests each consume it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ganime.files import atomic_file
from ganime.images import sheet

if TYPE_CHECKING:
    from jaxtyping import UInt8


@dataclass(frozen=True)
class Step:
    """Means over the steps since the last report. Losses are in nats (bce, relativistic) or margins (hinge)."""

    step: int
    images: int
    d_loss: float
    g_loss: float
    d_real: float
    d_fake: float
    images_per_second: float
    progress: float  # share of the nearest limit, 0 to 1


@dataclass(frozen=True)
class Preview:
    """Faces of seeds 0, 1, 2, ... as the model draws them now; uint8, (N, H, W, 3)."""

    images: int
    faces: UInt8[np.ndarray, "n h w 3"]


@dataclass(frozen=True)
class Measured:
    """How good, varied and original the faces of the moving average are now, on anime features.

    generated, reference: how many faces were compared; the reference is the held-out part where it is large enough.
    frechet, kernel, precision, recall, coverage: as in `evaluation.Report`.
    diversity: how far a generated face lies from the others, over the same of real faces; 1 is as varied as those.
    near_copies: share of generated faces nearer to a training face than all but 1 % of fresh faces are; 0.01 by chance.
    copying: z-score of that comparison, strongly negative for copies.
    memory: how far the discriminator tells training faces from fresh ones, 0 for not at all, 1 for as well as
    training faces from generated ones; None without fresh faces to ask it about.
    best: whether this is the lowest Fréchet distance of the run so far, and not reached by copies.
    """

    images: int
    generated: int
    reference: int
    frechet: float
    kernel: float
    precision: float
    recall: float
    coverage: float
    diversity: float
    near_copies: float
    copying: float
    memory: float | None
    best: bool


@dataclass(frozen=True)
class Verdict:
    """What the run is doing, in words: the state, what it was seen by, and what to do about it."""

    images: int
    state: str  # one of VERDICTS
    reason: str
    advice: str


@dataclass(frozen=True)
class Saved:
    """A checkpoint that was written whole and can be resumed, sampled or shared."""

    images: int
    folder: Path


@dataclass(frozen=True)
class Notice:
    """Something a person should know, in words."""

    images: int
    text: str


@dataclass(frozen=True)
class Done:
    """The last event: why the run ended and where its last save lies."""

    images: int
    reason: str
    folder: Path


VERDICTS = ("early", "healthy", "discriminator winning", "stalled", "collapsed", "copying", "diverged")

Event = Step | Preview | Measured | Verdict | Saved | Notice | Done


EVENTS_FILE, PREVIEWS = "events.jsonl", "previews"
KINDS = {"Step": Step, "Measured": Measured}


def record(run: Path, event: Event) -> None:
    """Add one event to the journal of the run; of a preview the faces are kept as one PNG, eight in a row.

    A line is {"event": "Step", "time": seconds since 1970, and the fields of the event}; paths are relative to `run`.
    """
    line: dict[str, Any] = {"event": type(event).__name__, "time": round(time.time(), 3)}
    if isinstance(event, Preview):
        file = Path(PREVIEWS) / f"{event.images:012d}.png"
        with atomic_file(run / file) as temporary:
            Image.fromarray(sheet(event.faces)).save(temporary, "PNG")
        line |= {"images": event.images, "file": file.as_posix()}
    else:
        line |= asdict(event)
    with (run / EVENTS_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, default=lambda path: relative(path, run)) + "\n")


def relative(path: Path, run: Path) -> str:
    return path.relative_to(run).as_posix() if path.is_relative_to(run) else path.name


def read_journal(run: Path) -> list[dict[str, Any]]:
    """All lines of the journal that still hold, oldest first; none for a run without one.

    A run that was cut off goes on from its last save and comes by the same places again: what was written beyond is
    superseded and left out, as is a line that a kill cut short.
    """
    lines: list[dict[str, Any]] = []
    for line in journal_lines(run / EVENTS_FILE):
        while lines and lines[-1]["images"] > line["images"]:
            lines.pop()
        lines.append(line)
    return lines


def journal_events(run: Path, images: int) -> Iterator[Step | Measured]:
    """The reports and measures that the journal holds of a run up to so many images, as they were when they came."""
    for line in read_journal(run):
        kind = KINDS.get(line["event"])
        if kind and line["images"] <= images:
            values = {field.name: line[field.name] for field in fields(kind) if field.name in line}
            if len(values) == len(fields(kind)):  # not of an earlier version
                yield kind(**values)


def journal_lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for text in file:
            try:
                line = json.loads(text)
            except ValueError:  # the end of a line that a kill cut short, with the next one run into it
                continue
            if isinstance(line, dict) and {"event", "images"} <= line.keys():
                yield line
