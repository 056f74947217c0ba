"""Work that takes seconds, done in slices: each request of the page runs one, so closing the page stops the work."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool

from ganime.errors import GanimeError
from ganime.text import plural

POLL_SECONDS = 0.1
SWEEP_SECONDS = 0.5  # between two looks for abandoned work, at least
PROMPT_SECONDS = 0.5  # between two slices, in which a page asks for the next one wherever it is
Answer = dict[str, Any]  # to a request of the page, as JSON


@dataclass(eq=False)
class Work:
    """One piece of work.

    kind: what a visitor calls it, such as "search".
    visitor: whose it is.
    steps: yields progress, and the result as the last item.
    to_answer: turns an item of `steps`, or None before the first, into an answer; only progress has a "progress" in it.
    number: work with a lower one was begun earlier, and has its place earlier.
    last_request: monotonic time at which the latest slice ended.
    latest: the latest item of `steps`, None before the first.
    begun: monotonic time at which the first slice began, 0.0 while it waits for a place.
    idle: seconds between its slices while others waited for its place.
    requests: how many requests wait for their turn to run a slice of it.
    running: whether a request is running a slice of it now.
    ended: whether it was ended during that slice; it is removed once the slice is over.
    answered: the item that was last made an answer, and that.
    """

    kind: str
    visitor: str
    steps: Iterator[Any]
    to_answer: Callable[[Any], Answer]
    number: int
    last_request: float
    latest: Any = None
    begun: float = 0.0
    idle: float = 0.0
    requests: int = 0
    running: bool = False
    ended: bool = False
    answered: tuple[Any, Answer] | None = None

    def answer(self) -> Answer:
        """The latest item as an answer, which is made once, however often it is asked for."""
        latest = self.latest
        if self.answered is None or self.answered[0] is not latest:
            self.answered = latest, self.to_answer(latest)
        return self.answered[1]


class SlicedWork:
    """Work in progress, by unguessable keys. Of each kind a visitor may have one; `places` are advanced, others wait.

    No thread works in the background: `advance` runs one slice for the request that called it. Work that no request
    has asked about for a while is abandoned: it is forgotten, which closes its steps, and its place is free. Work that
    stands still, or takes very long, while others wait for its place loses it.
    """

    def __init__(
        self,
        places: int = 2,
        slice_seconds: float = 0.25,
        abandoned_seconds: float = 3.0,
        settle_seconds: float = 5.0,
        idle_seconds: float = 10.0,
        longest_seconds: float = 180.0,
        waiting: int = 32,
    ) -> None:
        """places: pieces of work of one kind that are advanced in turns.
        slice_seconds: length of a slice.
        abandoned_seconds: time without a request after which work is abandoned.
        settle_seconds: how long `settle` waits for earlier work of the same visitor to end.
        idle_seconds, longest_seconds: for which work may stand still, and keep its place, while others wait.
        waiting: pieces of work of one kind that may wait for a place.
        """
        self.places, self.waiting = places, waiting
        self.idle_seconds, self.longest_seconds = idle_seconds, longest_seconds
        self.slice_seconds = slice_seconds
        self.abandoned_seconds = abandoned_seconds
        self.settle_seconds = settle_seconds
        self.lock = threading.RLock()
        self.works: dict[str, Work] = {}  # by key
        self.begun = 0  # pieces of work so far
        self.settling: set[tuple[str, str]] = set()  # kinds and visitors that are waited for
        self.sweeper: threading.Timer | None = None  # while there is work

    def begin(
        self, kind: str, visitor: str, steps: Iterator[Any], to_answer: Callable[[Any], Answer] = lambda item: item
    ) -> str:
        """Register work and return its key.

        visitor: an identity, see `app.visitors.Visitor`.
        kind, steps, to_answer: see `Work`.

        Raises GanimeError while the visitor has other work of this kind, or when too many others wait.
        """
        self.sweep()
        with self.lock:
            others = self.active(kind)
            for own in others:
                if own.visitor == visitor:
                    asked = own.running or own.requests > 0  # also by a closed page, until its turn is over
                    soon = "about a minute" if asked else plural(round(self.abandoned_seconds), "second")
                    raise GanimeError(
                        f"You (or someone on your network) already have a {kind} running. Stop it first, or try again "
                        f"when it has ended; once its page is closed, that can take {soon}."
                    )
            if len(others) >= self.places + self.waiting:
                raise GanimeError(
                    f"{len(others)} visitors are waiting for a {kind}, the most that this page allows. Try again in "
                    "a minute."
                )
            key = secrets.token_urlsafe(16)
            self.begun += 1
            self.works[key] = Work(kind, visitor, steps, to_answer, self.begun, time.monotonic())
            self.sweep_later()
        return key

    def sweep_later(self) -> None:
        """Have abandoned work forgotten as soon as it is, unless that is planned already. The caller holds the lock."""
        if self.works and not self.sweeper:
            oldest = min(work.last_request for work in self.works.values())
            seconds = max(SWEEP_SECONDS, oldest + self.abandoned_seconds - time.monotonic())
            self.sweeper = threading.Timer(seconds, self.sweep)
            self.sweeper.daemon = True
            self.sweeper.start()

    def sweep(self) -> None:
        """Forget the work that was abandoned; what its steps have open is closed with it."""
        with self.lock:
            abandoned = [key for key, work in self.works.items() if not self.is_active(work)]
            forgotten = [self.works.pop(key) for key in abandoned]
            if self.sweeper:
                self.sweeper.cancel()
            self.sweeper = None
            self.sweep_later()
        del forgotten  # outside the lock: this closes the steps, which waits for nothing

    async def settle(self, kind: str, visitor: str) -> None:
        """Give the visitor's previous work a few seconds to end: its last slice may be running, or its page is closed.

        No thread is held. One request at a time waits for the same work; others are not held up.
        """
        if (kind, visitor) in self.settling:
            return
        self.settling.add((kind, visitor))
        try:
            until = time.monotonic() + self.settle_seconds
            while self.has(kind, visitor) and time.monotonic() < until:
                await asyncio.sleep(POLL_SECONDS)
        finally:
            self.settling.discard((kind, visitor))

    def has(self, kind: str, visitor: str) -> bool:
        """Whether a visitor has work of a kind that was neither ended nor abandoned."""
        with self.lock:
            return any(work.visitor == visitor for work in self.active(kind))

    def is_active(self, work: Work) -> bool:
        """Whether a request is running a slice of the work or waits to, or asked for it a moment ago."""
        return work.running or work.requests > 0 or time.monotonic() - work.last_request < self.abandoned_seconds

    def active(self, kind: str) -> list[Work]:
        """The work of a kind that was not abandoned, in the order in which it has places. The caller holds the lock."""
        return [work for work in self.works.values() if work.kind == kind and self.is_active(work)]

    def ahead(self, key: str) -> int:
        """How many pieces of work have to end before this one is advanced; asking keeps it from being abandoned.

        Raises GanimeError as `advance` does.
        """
        with self.lock:
            work = self.find(key)
            if not work.begun:
                work.last_request = time.monotonic()
            before = [other for other in self.active(work.kind) if other is not work and other.number < work.number]
            return max(0, len(before) + 1 - self.places)

    def advance(self, key: str) -> tuple[Any, bool]:
        """Run one slice of the work. Returns its latest item, None before the first, and whether nothing is left.

        While another request runs a slice, or the work waits for a place, returns at once with (latest item, False).
        Raises GanimeError for an unknown key or for work that has ended; errors of the work itself are raised as they
        are and end it.
        """
        with self.lock:
            work = self.find(key)
            if work.running or self.ahead(key):
                return work.latest, False
            self.check_patience(key, work)
            work.begun = work.begun or time.monotonic()
            work.running = True
        exhausted = True
        try:
            exhausted = self.run_slice(work)
        finally:
            with self.lock:
                work.running, work.last_request = False, time.monotonic()
                if exhausted or work.ended:
                    self.works.pop(key, None)
        return work.latest, exhausted

    def check_patience(self, key: str, work: Work) -> None:
        """End work for which others have waited for too long, and raise GanimeError. The caller holds the lock."""
        now = time.monotonic()
        if work.begun and len(self.active(work.kind)) > self.places:
            work.idle += max(0.0, now - work.last_request - PROMPT_SECONDS)
            if work.idle > self.idle_seconds or now - work.begun > self.longest_seconds:
                self.works.pop(key, None)
                raise GanimeError(f"Others waited for a {work.kind}, and this one took too long. Start it again later.")

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

        While the work waits for a place, the answer says in `ahead` how many others have to end before.

        Raises as `advance` does.
        """
        work = self.find(key)
        if ahead := self.ahead(key):
            return work.answer() | {"ahead": ahead}
        self.advance(key)
        answer = work.answer()
        if "progress" not in answer:
            self.end(key)
        return answer

    @contextmanager
    def asked(self, key: str) -> Iterator[None]:
        """Keep the work while a request waits for its turn to run a slice, however long. Raises as `advance` does."""
        with self.lock:
            work = self.find(key)
            work.requests += 1
        try:
            yield
        finally:
            with self.lock:
                work.requests -= 1
                work.last_request = time.monotonic()

    async def wait(self, key: str, seconds: float) -> None:
        """Wait until the work has a place, at most some seconds, without holding a thread. Raises as `advance` does."""
        until = time.monotonic() + seconds
        while self.ahead(key) and time.monotonic() < until:
            await asyncio.sleep(POLL_SECONDS)

    async def finish(self, kind: str, visitor: str, steps: Iterator[Any]) -> Any:
        """Begin work, run all of it, and return its last item. Raises GanimeError as `begin` and `advance` do."""
        await self.settle(kind, visitor)
        key = self.begin(kind, visitor, steps)
        try:
            with self.asked(key):
                while True:
                    await self.wait(key, self.longest_seconds)
                    latest, exhausted = await run_in_threadpool(self.advance, key)
                    if exhausted:
                        return latest
        finally:
            self.end(key)

    def end(self, key: str) -> None:
        """End work; unknown keys are ignored. Its place is free at once, or when the slice that is running is over."""
        with self.lock:
            work = self.works.get(key)
            if work and work.running:
                work.ended = True
            else:
                self.works.pop(key, None)
