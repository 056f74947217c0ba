"""The journal of a run: its events as JSON lines and its sample grids as pictures, for whoever looks later."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from PIL import Image

from ganime.events import Event, Measured, Preview, Step
from ganime.files import atomic_file
from ganime.images import sheet

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
