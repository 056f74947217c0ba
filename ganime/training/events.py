"""The events of a training run, and the journal that keeps them; command line, page and tests consume both."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args

import numpy as np

from ganime.files import write_bytes
from ganime.images import png_bytes, sheet
from ganime.shapes import UInt8


@dataclass(frozen=True)
class Step:
    """Means over the steps since the last report. Losses are in nats (bce) or margins (hinge).

    progress: share of the nearest limit, 0 to 1.
    """

    step: int
    images: int
    d_loss: float
    g_loss: float
    d_real: float
    d_fake: float
    images_per_second: float
    progress: float


@dataclass(frozen=True)
class Preview:
    """Faces of seeds 0, 1, 2, ... as the model generates them now; uint8, (N, H, W, 3)."""

    images: int
    faces: UInt8[np.ndarray, "n h w 3"]


@dataclass(frozen=True)
class Measured:
    """The quality, variety and originality of the faces that the moving average generates now, on anime features.

    generated, reference: how many faces were compared; the reference is the held-out faces where there are enough.
    frechet, kernel, precision, recall, coverage: as in `ganime.measuring.report.Report`.
    diversity: distance of a generated face to its neighbours, divided by that of real faces; 1 is as varied as those.
    near_copies: share of generated faces nearer to a training face than 99 % of fresh faces; about 0.01 by chance.
    copying: z-score of that comparison over all faces, strongly negative for copies.
    memory: how well the discriminator separates training faces from held-out faces: 0 not at all, 1 as well as from
        generated faces; None when no faces are held out.
    best: whether this is the lowest Fréchet distance of the run so far, below that of the model it began from, and the
        faces are neither copies nor all alike.
    fresh: how many fresh faces `near_copies` and `copying` compare with; 0 in journals of earlier versions.
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
    fresh: int = 0


@dataclass(frozen=True)
class Verdict:
    """How the run is doing, in words.

    state: one of VERDICTS. reason: how that was detected. action: one of ACTIONS. advice: what to do, in words for
    the command line and for the page.
    """

    images: int
    state: str
    reason: str
    advice: str
    action: str = "continue"


@dataclass(frozen=True)
class Working:
    """What the run does from now on, until the next of these events.

    activity: one of ACTIVITIES. progress: share of it that is done, 0 to 1; None where that is unknown.
    """

    images: int
    activity: str
    progress: float | None = None


@dataclass(frozen=True)
class Saved:
    """A checkpoint that was written completely and can be resumed, sampled or shared."""

    images: int
    folder: Path


@dataclass(frozen=True)
class Notice:
    """A message that a person should see."""

    images: int
    text: str


@dataclass(frozen=True)
class Done:
    """The last event: why the run ended, and the folder of its last save."""

    images: int
    reason: str
    folder: Path


VERDICTS = ("early", "healthy", "worse", "discriminator winning", "stalled", "collapsed", "copying", "diverged")
ACTIONS = ("continue", "stop", "lower rates", "balance rates", "begin again")
ACTIVITIES = ("sampling", "measuring", "training", "saving", "fitting clarity", "checking sliders")

Event = Step | Preview | Measured | Verdict | Working | Saved | Notice | Done


EVENTS_FILE, PREVIEWS = "events.jsonl", "previews"
KINDS: dict[Any, type[Any]] = {kind.__name__: kind for kind in get_args(Event) if kind is not Preview}


def record(run: Path, event: Event) -> None:
    """Append one event to the journal of the run; the faces of a preview are written as one PNG, eight in a row.

    A line is {"event": "Step", "time": seconds since 1970, and the fields of the event}; paths are relative to `run`.
    """
    if isinstance(event, Preview):
        write_bytes(run / preview_file(event), png_bytes(sheet(event.faces)))
    with (run / EVENTS_FILE).open("a", encoding="utf-8") as file:
        file.write(event_line(event, run) + "\n")


def event_line(event: Event, run: Path) -> str:
    """An event as a line of the journal of its run, without the line's end."""
    line: dict[str, Any] = {"event": type(event).__name__, "time": round(time.time(), 3)}
    if isinstance(event, Preview):
        line |= {"images": event.images, "file": preview_file(event).as_posix()}
    else:
        line |= asdict(event)

    def relative(path: Path) -> str:  # so that the run can be moved
        return path.relative_to(run).as_posix() if path.is_relative_to(run) else path.name

    return json.dumps(line, default=relative)


def preview_file(event: Preview) -> Path:
    """Where the faces of a preview are, in the folder of the run."""
    return Path(PREVIEWS) / f"{event.images:012d}.png"


def parse_event(text: str) -> Event | None:
    """The event in a line of a journal; None for another text, and for a preview, whose faces are not in the line."""
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return event_in(line) if isinstance(line, dict) else None


def event_in(line: dict[str, Any]) -> Event | None:
    """The event that a line of a journal describes, as `parse_event` returns it.

    A line of an earlier version may lack fields that have a default; one that lacks others is none.
    """
    name = line.get("event")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        return None
    values = {field.name: line[field.name] for field in fields(kind) if field.name in line}
    if "folder" in values:
        values["folder"] = Path(str(values["folder"]))
    required = {field.name for field in fields(kind) if field.default is MISSING}
    return kind(**values) if required <= values.keys() else None


def read_journal(run: Path) -> list[dict[str, Any]]:
    """All valid lines of the journal, oldest first; empty for a run without a journal.

    A run that was interrupted resumes from its last save and repeats what came after it, so the lines beyond that save
    are superseded and left out. A line that a kill cut short is left out, too.
    """
    lines: list[dict[str, Any]] = []
    for line in journal_lines(run / EVENTS_FILE):
        while lines and lines[-1]["images"] > line["images"]:
            lines.pop()
        lines.append(line)
    return lines


def journal_events(run: Path, images: int) -> Iterator[Step | Measured]:
    """The reports and measurements of a run up to `images` images, rebuilt from its journal."""
    for line in read_journal(run):
        event = event_in(line)
        if isinstance(event, Step | Measured) and event.images <= images:
            yield event


def journal_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a journal that are objects with an event and a number of images."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for text in file:
            try:
                line = json.loads(text)
            except ValueError:  # a kill cut the line short, and the next one may continue it
                continue
            if isinstance(line, dict) and {"event", "images"} <= line.keys():
                yield line
