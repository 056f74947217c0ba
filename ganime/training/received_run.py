"""A training run that strangers may have written: which of its files are taken, and how they are checked.

What is needed to resume a run is never taken: it is a pickle.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from ganime.errors import GanimeError, TrainingError
from ganime.files import read_json_object, write_bytes
from ganime.models.checkpoint import BEST_SAVE, MODEL_FILES, RUN_SAVES, load_checkpoint, saved_models
from ganime.models.hub import MAX_TEXT_BYTES, MAX_WEIGHTS_BYTES
from ganime.training.events import ACTIONS, ACTIVITIES, EVENTS_FILE, KINDS, PREVIEWS, VERDICTS
from ganime.training.run_folder import RUN_FILE, read_run

MOST_PREVIEWS = 120  # sample grids that are taken, evenly spaced
MOST_PREVIEW_BYTES = 8 * 2**20  # of one
MOST_LINES = 20_000  # of the journal, the last ones
MOST_TEXT, MOST_NUMBER = 2_000, 10**12  # characters of a text and size of a number in a line of the journal
PNG = b"\x89PNG\r\n\x1a\n"
PREVIEW = re.compile(rf"{PREVIEWS}/(\d{{1,15}})\.png", re.ASCII)
SAVE_FILE = re.compile(rf"{RUN_SAVES}/({BEST_SAVE}|\d{{1,15}})/([\w.-]+)", re.ASCII)
CHOICES = {("Verdict", "state"): VERDICTS, ("Verdict", "action"): ACTIONS, ("Working", "activity"): ACTIVITIES}


def chosen_files(sizes: Mapping[str, int], most_weights: int = MAX_WEIGHTS_BYTES) -> list[str]:
    """The files of a run that are taken: its settings and journal, some sample grids, the best save and the newest.

    sizes: the bytes of every file, by its path in the run. most_weights: bytes of one file of weights.

    Raises TrainingError if one of them is too large.
    """
    found = [match for match in map(SAVE_FILE.fullmatch, sizes) if match and match[2] in MODEL_FILES]
    newest = max((match[1] for match in found if match[1] != BEST_SAVE), key=int, default="")
    saves = [match[0] for match in found if match[1] in (BEST_SAVE, newest)]
    previews = sorted((match for match in map(PREVIEW.fullmatch, sizes) if match), key=lambda match: int(match[1]))
    step = max(1, math.ceil(len(previews) / MOST_PREVIEWS))
    first = (len(previews) - 1) % step  # so that the last one is taken
    chosen = [name for name in (RUN_FILE, EVENTS_FILE) if name in sizes]
    chosen += [*saves, *(match[0] for match in previews[first::step])]
    for name in chosen:
        most = MOST_PREVIEW_BYTES if PREVIEW.fullmatch(name) else MAX_TEXT_BYTES
        if sizes[name] > (most_weights if name.endswith(".safetensors") else most):
            raise TrainingError(f"{name} of the run has {sizes[name]:,} bytes, which is too large.")
    return chosen if saves else []


def check_models(run: Path, image_size: int) -> None:
    """Check the settings of a run, and delete the saves that cannot be loaded.

    image_size: in px, at which it was to be trained.

    Raises TrainingError when its settings cannot be read, or no model of that size can.
    """
    try:
        read_json_object(run / RUN_FILE, MAX_TEXT_BYTES)
    except (OSError, ValueError) as error:
        raise TrainingError(f"It is no run of Ganime: {RUN_FILE} cannot be read ({error}).") from error
    if (side := read_run(run)[1].image_size) != image_size:
        raise TrainingError(f"The run draws {side} px; this job was to train a model of {image_size} px.")
    for folder in saved_models(run):
        if not is_model(folder, image_size):
            shutil.rmtree(folder)
    if not saved_models(run):
        raise TrainingError(f"The run holds no model of {image_size} px that can be read.")


def check_records(run: Path) -> None:
    """Delete the sample grids of a run that are none, and of its journal all but the last lines that are events."""
    for path in (run / PREVIEWS).glob("*"):
        with path.open("rb") as file:
            is_png = file.read(len(PNG)) == PNG
        if not is_png:
            path.unlink()
    if (run / EVENTS_FILE).is_file():
        with (run / EVENTS_FILE).open(encoding="utf-8", errors="replace") as file:
            lines = deque(file, MOST_LINES)
        events = filter(None, map(checked_line, lines))
        write_bytes(run / EVENTS_FILE, "".join(json.dumps(event) + "\n" for event in events).encode())


def is_model(folder: Path, image_size: int) -> bool:
    """Whether a save can be loaded and draws pictures of this size, in px."""
    with suppress(GanimeError):
        return load_checkpoint(folder).generator.config.image_size == image_size
    return False


def checked_line(text: str) -> dict[str, Any] | None:
    """A line of a journal whose values are of the types of its event, with these alone; None for any other text."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    name = line.get("event") if isinstance(line, dict) else None
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None or not fits(line.get("time"), "float"):
        return None
    values = {"event": name, "time": line["time"]}
    for field in fields(kind):
        if field.name not in line and field.default is not MISSING:
            continue
        value = values[field.name] = line.get(field.name)
        if not fits(value, str(field.type)):
            return None
        if (options := CHOICES.get((str(name), field.name))) and value not in options:
            return None
    return values


def fits(value: Any, wanted: str) -> bool:
    """Whether a value from JSON is of a type, as an event's field names it, and of a size that is met in a journal."""
    if value is None:
        return "None" in wanted
    if isinstance(value, bool):
        return wanted == "bool"
    if isinstance(value, str):
        return wanted in ("str", "Path") and len(value) <= MOST_TEXT and is_text(value)
    if isinstance(value, int):
        return abs(value) <= MOST_NUMBER and (wanted == "int" or "float" in wanted)
    return isinstance(value, float) and "float" in wanted and math.isfinite(value) and abs(value) <= MOST_NUMBER


def is_text(value: str) -> bool:
    """Whether a text from JSON can be sent: a surrogate alone cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
