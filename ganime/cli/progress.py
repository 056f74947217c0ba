"""A run on the terminal: its events as text, a live bar, and the signals that stop or save it."""

from __future__ import annotations

import signal
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


def show(events: Iterator[Event], run: Path, config: TrainConfig, console: Console | None = None) -> None:
    """Write the events of a run to its journal and print them.

    On a terminal, the losses, the speed and a bar are on a line that is updated, and other events scroll above it.
    """
    console = console or Console()
    live, limited = console.is_terminal, config.images or config.steps or config.minutes
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console, disable=not live) as bar:
        line = bar.add_task("starting", total=1.0 if limited else None)
        for event in events:
            record(run, event)
            text = text_of(event, config)
            if live and isinstance(event, Step):
                bar.update(line, completed=event.progress, description=escape(text))
            elif live and text:
                console.print(escape(text), highlight=False)
            elif text:
                print(text, flush=True)


def text_of(event: Event, config: TrainConfig) -> str:
    """The event as one line; empty for an event without text, such as a sample grid."""
    if isinstance(event, Step):
        total = f"/{config.steps}" if config.steps else ""
        done = f", {event.progress:.0%}" if event.progress else ""
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
def signal_requests() -> Iterator[tuple[Callable[[], bool], Callable[[], bool]]]:
    """Handle signals while a run trains; yields two functions to call after every step.

    The first says whether to save and stop: Ctrl+C (SIGINT) or SIGTERM was received. A second one of those ends the
    process at once. The second function says, once for each request, whether to save and continue: SIGUSR1 was
    received, on systems that have it.
    """
    received: set[int] = set()
    stop_signals = {int(signal.SIGINT), int(signal.SIGTERM)}
    save_signals = {int(signal.SIGUSR1)} if hasattr(signal, "SIGUSR1") else set()

    def remember(number: int, frame: Any) -> None:
        received.add(number)
        if number in stop_signals:
            signal.signal(number, signal.SIG_DFL)

    def should_stop() -> bool:
        return bool(received & stop_signals)

    def should_save() -> bool:
        requested = bool(received & save_signals)
        received.difference_update(save_signals)
        return requested

    handlers = {number: signal.signal(number, remember) for number in stop_signals | save_signals}
    try:
        yield should_stop, should_save
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
