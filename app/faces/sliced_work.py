"""Work that takes seconds, done in slices: each request of the page runs one, so closing the page stops the work."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ganime.errors import GanimeError

Answer = dict[str, Any]  # to a request of the page, as JSON


@dataclass(eq=False)
class Work:
    """One piece of work.

    kind: what a visitor calls it, such as "search".
    visitor: whose it is.
    steps: yields progress, and the result as the last item.
    to_answer: turns an item of `steps`, or None before the first, into an answer; only progress has a "progress" in it.
    last_request: monotonic time at which the latest slice ended.
    latest: the latest item of `steps`, None before the first.
    running: whether a request is running a slice of it now.
    ended: whether it was ended during that slice; it is removed once the slice is over.
    """

    kind: str
    visitor: str
    steps: Iterator[Any]
    to_answer: Callable[[Any], Answer]
    last_request: float
    latest: Any = None
    running: bool = False
    ended: bool = False


class SlicedWork:
    """Work in progress, by unguessable keys. Of each kind a visitor may have one, and the whole page `places`.

    No thread works in the background: `advance` runs one slice for the request that called it. Work that no request
    has advanced for a while is abandoned, and its place is free.
    """

    def __init__(
        self,
        places: int = 2,
        slice_seconds: float = 0.25,
        abandoned_seconds: float = 3.0,
        settle_seconds: float = 5.0,
    ) -> None:
        """places: pieces of work of one kind at a time.
        slice_seconds: length of a slice.
        abandoned_seconds: time without a request after which work is abandoned.
        settle_seconds: how long `begin` waits for earlier work of the same visitor to end.
        """
        self.places = places
        self.slice_seconds = slice_seconds
        self.abandoned_seconds = abandoned_seconds
        self.settle_seconds = settle_seconds
        self.changed = threading.Condition()
        self.works: dict[str, Work] = {}  # by key
        self.settling: set[tuple[str, str]] = set()  # kinds and visitors that `begin` is waiting for

    def begin(
        self, kind: str, visitor: str, steps: Iterator[Any], to_answer: Callable[[Any], Answer] = lambda item: item
    ) -> str:
        """Register work and return its key.

        visitor: an identity, see `app.visitors.Visitor`.
        kind, steps, to_answer: see `Work`.

        Raises GanimeError while the visitor has other work of this kind, or when all places are taken.
        """
        with self.changed:
            self.settle(kind, visitor)
            self.works = {key: work for key, work in self.works.items() if self.is_active(work)}
            visitors = [work.visitor for work in self.works.values() if work.kind == kind]
            if visitor in visitors:
                raise GanimeError(
                    f"You (or someone on your network) already have a {kind} running. Stop it first, or try again in "
                    f"{self.abandoned_seconds:.0f} seconds."
                )
            if len(visitors) >= self.places:
                raise GanimeError(
                    f"Other visitors are using all {self.places} places for a {kind}. Try again in a few seconds."
                )
            key = secrets.token_urlsafe(16)
            self.works[key] = Work(kind, visitor, steps, to_answer, time.monotonic())
        return key

    def settle(self, kind: str, visitor: str) -> None:
        """Give the visitor's previous work a few seconds to end: its last slice may be running, or its page is closed.

        The caller holds the lock. One request at a time waits for the same work; others are not held up.
        """
        if (kind, visitor) in self.settling:
            return
        self.settling.add((kind, visitor))
        deadline = time.monotonic() + self.settle_seconds
        while time.monotonic() < deadline and any(
            (work.kind, work.visitor) == (kind, visitor) and self.is_active(work) for work in self.works.values()
        ):
            self.changed.wait(0.1)
        self.settling.discard((kind, visitor))

    def is_active(self, work: Work) -> bool:
        """Whether a request is running a slice of the work, or did so a moment ago."""
        return work.running or time.monotonic() - work.last_request < self.abandoned_seconds

    def advance(self, key: str) -> tuple[Any, bool]:
        """Run one slice of the work. Returns its latest item, None before the first, and whether nothing is left.

        While another request runs a slice, returns at once with (latest item, False). Raises GanimeError for an unknown
        key or for work that has ended; errors of the work itself are raised as they are and end it.
        """
        with self.changed:
            work = self.find(key)
            if work.running:
                return work.latest, False
            work.running = True
        exhausted = True
        try:
            exhausted = self.run_slice(work)
        finally:
            with self.changed:
                work.running, work.last_request = False, time.monotonic()
                if exhausted or work.ended:
                    self.works.pop(key, None)
                    self.changed.notify_all()
        return work.latest, exhausted

    def find(self, key: str) -> Work:
        """The work of a key. Raises GanimeError for an unknown key or for work that has ended."""
        work = self.works.get(key)
        if work is None or work.ended:
            raise GanimeError("This has ended or was abandoned. Start it again.")
        return work

    def run_slice(self, work: Work) -> bool:
        """Run steps until the slice is over, at least one; returns whether nothing is left."""
        deadline = time.monotonic() + self.slice_seconds
        while True:
            try:
                work.latest = next(work.steps)
            except StopIteration:
                return True
            if time.monotonic() >= deadline:
                return False

    def ask(self, key: str) -> Answer:
        """Run one slice of the work and return its latest item as an answer. The result ends the work.

        Raises as `advance` does.
        """
        to_answer = self.find(key).to_answer
        latest, _ = self.advance(key)
        answer = to_answer(latest)
        if "progress" not in answer:
            self.end(key)
        return answer

    def finish(self, kind: str, visitor: str, steps: Iterator[Any]) -> Any:
        """Begin work, run all of it in this thread, and return its last item. Raises GanimeError as `begin` does."""
        key = self.begin(kind, visitor, steps)
        while True:
            latest, exhausted = self.advance(key)
            if exhausted:
                return latest

    def end(self, key: str) -> None:
        """End work; unknown keys are ignored. Its place is free at once, or when the slice that is running is over."""
        with self.changed:
            work = self.works.get(key)
            if work and work.running:
                work.ended = True
            else:
                self.works.pop(key, None)
