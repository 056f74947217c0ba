"""Publishes the model of a job on the hub with the visitor's own token, in a separate thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from app.errors import JobError
from app.jobs.service import Jobs
from app.jobs.store import ENDED
from ganime.models.published_card import LICENCES, MAX_PROVENANCE, Statement
from ganime.models.upload import Target, Uploaded
from ganime.training.publishing import copies, model_to_publish, publish

__all__ = ["LICENCES", "MAX_PROVENANCE", "Statement", "Target", "Uploaded", "is_copying", "publication"]

MOST = 4  # models that are published at a time, one of each visitor, also if the visitor has left
PATIENCE = 0.2  # seconds between two looks at what the thread has done
running: set[str] = set()  # visitors whose model a thread is publishing
lock = threading.Lock()  # of `running`


def is_copying(jobs: Jobs, key: str) -> bool:
    """Whether the verdict on the model of a job is that it copies its training faces."""
    return copies(model_to_publish(jobs.model(key)))


def publication(
    jobs: Jobs,
    visitor: str,
    key: str,
    target: Target,
    statement: Statement,
    token: str,
    copies_confirmed: bool,
    drawing: AbstractContextManager[Any],
) -> Iterator[str | Uploaded]:
    """Publish the model of an ended job: yields what is being done, in words, and at last where the model is.

    visitor: an identity, see `app.visitors.Visitor`.
    token: of the visitor. It is used for this alone and is not kept.
    drawing: entered while faces are drawn.

    Raises JobError before the job has ended, and as `publish`.
    """
    if jobs.get(key).state not in ENDED:
        raise JobError("A model can be published once its job has ended.")
    checkpoint = model_to_publish(jobs.model(key))
    return in_background(visitor, lambda: publish(checkpoint, target, statement, token, copies_confirmed, drawing))


def in_background(visitor: str, work: Callable[[], Iterator[str | Uploaded]]) -> Iterator[str | Uploaded]:
    """The items of `work`, which runs in a thread; the latest is repeated until there is another.

    The thread goes on if nobody asks for the next item. Raises JobError while one of this visitor, or too many of
    others, run.
    """
    items: queue.SimpleQueue[str | Uploaded | Exception | None] = queue.SimpleQueue()

    def run() -> None:
        failed = None
        try:
            for item in work():
                items.put(item)
        except Exception as error:
            failed = error
        finally:
            with lock:
                running.discard(visitor)
        items.put(failed)

    with lock:
        if visitor in running:
            raise JobError("Another model of yours is being published. Try again when that is done.")
        if len(running) >= MOST:
            raise JobError("Other models are being published. Try again in a minute.")
        running.add(visitor)
    threading.Thread(target=run, name="publishing", daemon=True).start()
    latest: str | Uploaded = "reading the model"
    while True:
        try:
            item = items.get(timeout=PATIENCE)
        except queue.Empty:
            item = latest
        if item is None:
            return
        if isinstance(item, Exception):
            raise item
        latest = item
        yield latest
