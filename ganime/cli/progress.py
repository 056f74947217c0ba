"""A run on the terminal: its events as text, and the signals that stop or save it."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from ganime.config import TrainConfig
from ganime.training.events import Done, Event, Measured, Notice, Saved, Step, Verdict, Working, event_line, record


def show(events: Iterator[Event], run: Path, config: TrainConfig, as_lines: bool = False) -> None:
    """Write the events of a run to its journal and print them.

    as_lines: print the lines of the journal, for another program, which `parse_event` reads.
    """
    if as_lines:
        for event in events:
            record(run, event)
            print(event_line(event, run), flush=True)
        return
    show_events((recorded(event, run) for event in events), config)


def recorded(event: Event, run: Path) -> Event:
    """The event, once it is in the journal of its run."""
    record(run, event)
    return event


def show_events(events: Iterable[Event], config: TrainConfig) -> None:
    """Print the events of a run; on a terminal, a step replaces the line of the last."""
    live, began, first = sys.stdout.isatty(), time.monotonic(), None
    for event in events:
        text = text_of(event, config)
        if live and isinstance(event, Step | Working):
            if isinstance(event, Step):
                first = event.progress if first is None else first  # a resumed run has made some before
                text += time_left(time.monotonic() - began, event.progress - first, event.progress)
            else:
                text = f"{event.activity}{'' if event.progress is None else f', {event.progress:.0%}'} ..."
            print(f"\r\033[K{text[: shutil.get_terminal_size().columns - 1]}", end="\r", flush=True)
        elif text:
            print(f"\033[K{text}" if live else text, flush=True)


def time_left(seconds: float, gained: float, progress: float) -> str:
    """An estimate of the time until `progress` is 1, when `gained` of it took so many seconds; empty without any."""
    return f", {timedelta(seconds=round(seconds * (1 - progress) / gained))} left" if gained else ""


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
