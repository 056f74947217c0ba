"""Work for a visitor that waits for the hub, in a separate thread, which goes on if the visitor leaves."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from app.errors import JobError

MOST = 4  # pieces of work of a kind at a time, one of each visitor, also if the visitor has left
PATIENCE = 0.2  # seconds between two looks at what the thread has done
running: set[tuple[str, str]] = set()  # kinds and visitors whose work is in progress
lock = threading.Lock()  # of `running`
T = TypeVar("T")


def in_background(
    kind: str, visitor: str, work: Callable[[], Iterator[T]], abandoned: threading.Event | None = None
) -> Iterator[T | None]:
    """The items of `work`, which runs in a thread; the latest, or None, is repeated until there is another.

    kind: what a visitor calls the work. visitor: an identity, see `app.visitors.Visitor`.
    abandoned: set once nobody will ask for the next item; the thread goes on unless the work heeds that.

    Raises JobError while such work of this visitor, or too much of others, is in progress.
    """
    items: queue.SimpleQueue[T | Exception | None] = queue.SimpleQueue()

    def run() -> None:
        failed = None
        try:
            for item in work():
                items.put(item)
        except Exception as error:
            failed = error
        finally:
            with lock:
                running.discard((kind, visitor))
        items.put(failed)

    with lock:
        if (kind, visitor) in running:
            raise JobError(f"Another {kind} of yours is under way. Try again when that is done.")
        if sum(other == kind for other, _ in running) >= MOST:
            raise JobError("Other visitors are being served by the hub. Try again in a minute.")
        running.add((kind, visitor))
    threading.Thread(target=run, name=kind, daemon=True).start()
    latest: T | None = None
    try:
        while True:
            try:
                item = items.get(timeout=PATIENCE)
            except queue.Empty:
                yield latest
                continue
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            latest = item
            yield latest
    finally:
        if abandoned:
            abandoned.set()
