"""Work that takes seconds: each piece goes on while its visitor asks about it, and a page has few of them at a time."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ganime.errors import GanimeError

MOST = 2  # under way at a time, of as many visitors
FORGOTTEN_SECONDS = 3.0  # without a question, after which a search gives up its place
SLICE_SECONDS = 0.25  # of work for one question
SETTLING_SECONDS = 5.0  # that a new search waits for one of the same visitor that may be dying away


@dataclass(eq=False)
class Search:
    """Whose it is, its steps, when somebody last asked for some of them, and the latest item, None before the first.

    busy: a slice of it is at work just now. left: given up meanwhile; it has its place until that slice is over.
    """

    visitor: str
    steps: Iterator[Any]
    asked: float
    latest: Any = None
    busy: bool = False
    left: bool = False

    def wanted(self, now: float) -> bool:
        """Whether somebody is at it or was a moment ago."""
        return self.busy or now - self.asked < FORGOTTEN_SECONDS


class Searches:
    """A table of iterators that yield how far they have come, and what they found as the last item.

    No thread works behind a visitor's back: a question does a slice of the work, so who leaves has stopped it. A
    visitor has one place of few; nobody is kept waiting for one. what: what they are called.
    """

    def __init__(self, what: str = "searches") -> None:
        self.what = what
        self.lock = threading.Condition()
        self.found: dict[str, Search] = {}
        self.settling: set[str] = set()  # visitors who wait for their last one

    def begin(self, visitor: str, steps: Iterator[Any]) -> str:
        """A key to ask for the search by. visitor: who wants it, as `Visitor.identity` tells visitors apart.

        Raises GanimeError while the visitor has another one, or others take up all places.
        """
        key = secrets.token_urlsafe(16)
        with self.lock:
            self.settle(visitor)
            now = time.monotonic()
            self.found = {name: one for name, one in self.found.items() if one.wanted(now)}
            if any(one.visitor == visitor for one in self.found.values()):
                raise GanimeError(
                    f"You, or somebody at your address, have one of the {self.what} under way already. Stop it first, "
                    f"or try again in {FORGOTTEN_SECONDS:.0f} seconds."
                )
            if len(self.found) >= MOST:
                raise GanimeError(
                    f"{MOST} {self.what} of other visitors are under way here. Try again in some seconds."
                )
            self.found[key] = Search(visitor, steps, now)
        return key

    def settle(self, visitor: str) -> None:
        """Wait a moment, with the lock in hand, while a search of the same visitor is dying away; one wait at a time.

        It may be at its last slice, or its page may have been closed or loaded again.
        """
        if visitor in self.settling:
            return
        self.settling.add(visitor)
        until = time.monotonic() + SETTLING_SECONDS
        while self.holds(visitor) and time.monotonic() < until:
            self.lock.wait(0.1)
        self.settling.discard(visitor)

    def holds(self, visitor: str) -> bool:
        now = time.monotonic()
        return any(one.visitor == visitor and one.wanted(now) for one in self.found.values())

    def go_on(self, key: str) -> tuple[Any, bool]:
        """The latest that the search has yielded after one more slice of work, and whether it was the last item.

        Who asks while another question is at that slice waits for nothing: (what there is so far, False).
        """
        with self.lock:
            search = self.found.get(key)
            if search is None or search.left:
                raise GanimeError("This is over or was forgotten. Start it again.")
            if search.busy:
                return search.latest, False
            search.busy = True
        last = True
        try:
            last = self.work(search)
        finally:
            with self.lock:
                search.busy, search.asked = False, time.monotonic()
                if last or search.left:
                    self.found.pop(key, None)
                    self.lock.notify_all()
        return search.latest, last

    def work(self, search: Search) -> bool:
        """A slice of work, one step at least; whether there is nothing left to do."""
        until = time.monotonic() + SLICE_SECONDS
        while True:
            try:
                search.latest = next(search.steps)
            except StopIteration:
                return True
            if time.monotonic() >= until:
                return False

    def finish(self, visitor: str, steps: Iterator[Any]) -> Any:
        """The last item of a search that is run in one go, in a place of its own."""
        key = self.begin(visitor, steps)
        while True:
            latest, last = self.go_on(key)
            if last:
                return latest

    def end(self, key: str) -> None:
        """Give up a search; one that is over stays so. Where a slice is at work the place is free once that is over."""
        with self.lock:
            search = self.found.get(key)
            if search and search.busy:
                search.left = True
            else:
                self.found.pop(key, None)
