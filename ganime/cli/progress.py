"""A run on the terminal: its events in words, a live bar, and signals that stop or save it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ganime.config import TrainConfig
from ganime.training.events import Done, Event, Measured, Notice, Saved, Step, Verdict, record


def show(events: Iterator[Event], run: Path, config: TrainConfig) -> None:
    """Write the events of a run to its journal and tell a person what they say."""
    if sys.stdout.isatty():
        show_live(events, run, config)
        return
    for event in events:
        record(run, event)
        if text := in_words(event, config):
            print(text, flush=True)


def show_live(events: Iterator[Event], run: Path, config: TrainConfig, console: Console | None = None) -> None:
    """One line of losses and speed and a bar that change in place; everything else scrolls by above them."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console) as bar:
        line = bar.add_task("starting", total=1.0 if config.images or config.steps or config.minutes else None)
        for event in events:
            record(run, event)
            if isinstance(event, Step):
                bar.update(line, completed=event.progress, description=escape(in_words(event, config)))
            elif text := in_words(event, config):
                bar.console.print(escape(text), highlight=False)


def in_words(event: Event, config: TrainConfig) -> str:
    """What an event says, on one line; nothing for a sample grid, which is looked at."""
    if isinstance(event, Step):
        total, done = (
            (f"/{config.steps}" if config.steps else ""),
            (f", {event.progress:.0%}" if event.progress else ""),
        )
        return (
            f"Step: {event.step}{total} [D loss: {event.d_loss:.4f} G loss: {event.g_loss:.4f}] "
            f"{event.images:,} images, {event.images_per_second:.0f} images/s{done}"
        )
    if isinstance(event, Measured):
        return (
            f"measured at {event.images:,} images: Frechet {event.frechet:.1f}{' (best)' if event.best else ''}, "
            f"precision {event.precision:.2f}, recall {event.recall:.2f}, diversity {event.diversity:.2f}, "
            f"near copies {event.near_copies:.3f}"
        )
    if isinstance(event, Verdict):
        return f"{event.state}: {event.reason}. {event.advice}"
    if isinstance(event, Saved):
        return f"saved {event.folder}"
    if isinstance(event, Done):
        return f"ended ({event.reason}) after {event.images:,} images; the model is {event.folder}"
    return event.text if isinstance(event, Notice) else ""


@contextmanager
def asked_by_signal() -> Iterator[tuple[Callable[[], bool], Callable[[], bool]]]:
    """Two questions for after every step: whether to save and end, which Ctrl+C or a termination signal asks for, and
    whether to save and go on, which SIGUSR1 asks for where the system has it."""
    asked: set[int] = set()

    def remember(number: int, frame: Any) -> None:
        asked.add(number)
        if number in ends:
            signal.signal(number, signal.SIG_DFL)  # a second one ends at once

    def should_save() -> bool:
        return bool(saves & asked) and not asked.difference_update(saves)

    ends, saves = {int(signal.SIGINT), int(signal.SIGTERM)}, {int(getattr(signal, "SIGUSR1", 0))} - {0}
    before = {number: signal.signal(number, remember) for number in ends | saves}
    try:
        yield lambda: bool(asked & ends), should_save
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
