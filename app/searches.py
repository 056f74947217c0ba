"""Searches that take seconds: each goes on while its visitor asks about it, and a page has few of them at a time."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from ganime.errors import GanimeError

MOST = 2  # under way at a time
FORGOTTEN_SECONDS = 10.0  # without a question, after which a search gives up its place
SLICE_SECONDS = 0.25  # of work for one question


@dataclass(eq=False)
class Search:
    """Steps, when somebody last asked for some of them, the latest item, and who is at them."""

    steps: Iterator[Any]
    asked: float
    latest: Any = None
    turn: threading.Lock = field(default_factory=threading.Lock)

    def wanted(self, now: float) -> bool:
        """Whether somebody is at it or was a moment ago."""
        return self.turn.locked() or now - self.asked < FORGOTTEN_SECONDS


class Searches:
    """A table of iterators that yield how far they have come, and what they found as the last item.

    No thread works behind a visitor's back: a question does a slice of the work, so who leaves has stopped it. device:
    held during each step, for others draw faces meanwhile.
    """

    def __init__(self, device: AbstractContextManager[Any]) -> None:
        self.device = device
        self.lock = threading.Lock()
        self.found: dict[str, Search] = {}

    def begin(self, steps: Iterator[Any]) -> str:
        """A key to ask for the search by. Raises GanimeError while others take up all places."""
        now, key = time.monotonic(), secrets.token_urlsafe(16)
        with self.lock:
            self.found = {name: one for name, one in self.found.items() if one.wanted(now)}
            if len(self.found) >= MOST:
                raise GanimeError(f"{MOST} searches of other visitors are under way here. Try again in some seconds.")
            self.found[key] = Search(steps, now)
        return key

    def go_on(self, key: str) -> tuple[Any, bool]:
        """The latest that the search has yielded after one more slice of work, and whether it was the last item."""
        with self.lock:
            search = self.found.get(key)
        if search is None:
            raise GanimeError("This search is over. Start it again.")
        with search.turn:
            try:
                last = self.work(search)
            except BaseException:
                self.end(key)
                raise
            search.asked = time.monotonic()
        if last:
            self.end(key)
        return search.latest, last

    def work(self, search: Search) -> bool:
        """A slice of work; whether there is nothing left to do."""
        until = time.monotonic() + SLICE_SECONDS
        while True:
            with self.device:
                try:
                    search.latest = next(search.steps)
                except StopIteration:
                    return True
            if time.monotonic() >= until:
                return False

    def finish(self, steps: Iterator[Any]) -> Any:
        """The last item of a search that is run in one go, in a place of its own."""
        key = self.begin(steps)
        while True:
            latest, last = self.go_on(key)
            if last:
                return latest
            time.sleep(0.001)  # a lock that is let go and taken again at once is given to nobody else

    def end(self, key: str) -> None:
        """Give up a search; one that is over stays so."""
        with self.lock:
            self.found.pop(key, None)
