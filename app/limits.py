"""The limits that keep the page usable for everyone: what visitors may do at once, how often, and who is next.

Every costly request passes one of the doors of `Limits`. Behind a door a few requests are served at a time; the others
wait their turn without holding a thread. Turns go round the visitors, so one who sends many requests waits behind
their own. A request that would have to wait for long is refused. When too many wait, it is the newest request of the
visitor who has the most that is refused.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from app.recently_used import RecentlyUsed
from ganime.background import cores
from ganime.errors import GanimeError
from ganime.text import plural

MAX_WAITING = 500  # requests behind one door
BUSY = "The server is busy with other visitors. Try again in a moment."
TOO_MANY = "Too many requests are waiting, most of them yours. Send the next ones when some are done."
MAX_VISITORS = 1_000  # whose rates are remembered
SMOOTHING = 0.1  # weight of the latest request in the mean duration


class Busy(GanimeError):
    """Too many visitors ask for the same kind of work; a later attempt may succeed."""


@dataclass(eq=False)
class Turn:
    """A request that waits for its turn or has it. granted: done as soon as it is its turn, or is refused with Busy."""

    visitor: str
    granted: Future[None] = field(default_factory=Future)
    began: float = 0.0


class Turns:
    """Turns at one kind of work, fairly by visitor. Any thread and any event loop may call any method."""

    def __init__(self, places: int, longest: float, seconds: float = 0.1, each: int | None = None) -> None:
        """places: requests that are served at a time. longest: seconds for which a request may have to wait.
        seconds: that one is expected to take before any was measured. each: requests of one visitor that are served at
        a time, where visitors or other servers decide how long one takes; None for as many as there are places.
        """
        self.places, self.longest, self.seconds, self.each = places, longest, seconds, each or places
        self.lock = threading.Lock()
        self.having: Counter[str] = Counter()  # requests that have their turn, by visitor
        self.waiting: OrderedDict[str, deque[Turn]] = OrderedDict()  # by visitor, the next one first

    @property
    def serving(self) -> int:
        """How many requests have their turn."""
        return self.having.total()

    def join(self, visitor: str) -> Turn:
        """Queue a request; the caller has to `leave`. Raises Busy if it would have to wait for too long."""
        turn = Turn(visitor)
        with self.lock:
            self.waiting.setdefault(visitor, deque()).append(turn)
            self.grant()
            if not turn.granted.done() and self.wait_of(self.ahead_of(turn)) > self.longest:
                self.forget(turn)
                raise Busy(BUSY)
            if sum(map(len, self.waiting.values())) > MAX_WAITING and self.refuse_one(turn) is turn:
                raise Busy(TOO_MANY)
        return turn

    def leave(self, turn: Turn) -> None:
        """End a turn, or give up waiting for it."""
        with self.lock:
            if turn.began:
                self.having -= Counter([turn.visitor])  # which forgets visitors without any
                self.seconds += SMOOTHING * (time.monotonic() - turn.began - self.seconds)
                turn.began = 0.0
            else:
                self.forget(turn)
            self.grant()

    def place(self, turn: Turn) -> tuple[int, float]:
        """How many requests are served before this one, and about how many seconds it has to wait; 0 once granted."""
        with self.lock:
            if turn.granted.done():
                return 0, 0.0
            ahead = self.ahead_of(turn)
            return ahead, self.wait_of(ahead)

    def grant(self) -> None:
        """Give free places to those who are next. The caller holds the lock."""
        while self.serving < self.places:
            visitor = next((visitor for visitor in self.waiting if self.having[visitor] < self.each), None)
            if visitor is None:
                return
            turns = self.waiting.pop(visitor)
            turn = turns.popleft()
            if turns:
                self.waiting[visitor] = turns  # behind all other visitors
            if turn.granted.set_running_or_notify_cancel():  # nobody has given it up
                turn.began = time.monotonic()
                self.having[visitor] += 1
                turn.granted.set_result(None)

    def refuse_one(self, latest: Turn) -> Turn:
        """Refuse the newest request of the visitor who has the most waiting. The caller holds the lock.

        latest: the request that has just joined; it is refused if it is among those that could be.
        """
        turns = max(self.waiting.values(), key=lambda turns: (len(turns), turns[-1] is latest))
        refused = turns[-1]
        self.forget(refused)
        if refused.granted.set_running_or_notify_cancel():
            refused.granted.set_exception(Busy(TOO_MANY))
        return refused

    def forget(self, turn: Turn) -> None:
        """Remove a waiting request, if it is there. The caller holds the lock."""
        turns = self.waiting.get(turn.visitor, deque())
        if turn in turns:
            turns.remove(turn)
        if not turns:
            self.waiting.pop(turn.visitor, None)

    def ahead_of(self, turn: Turn) -> int:
        """How many of the waiting requests are served before this one. The caller holds the lock."""
        own, ahead, passed = self.waiting[turn.visitor].index(turn), 0, False
        for visitor, turns in self.waiting.items():
            if visitor == turn.visitor:
                ahead, passed = ahead + own, True
            else:
                ahead += min(len(turns), own + (not passed))
        return ahead

    def wait_of(self, ahead: int) -> float:
        """About how many seconds a request waits that has so many waiting ones ahead of it."""
        return (ahead + 1) * self.seconds / self.places

    @asynccontextmanager
    async def turn(self, visitor: str) -> AsyncIterator[None]:
        """Wait for a turn and have it. Raises Busy as `join` does."""
        turn = self.join(visitor)
        try:
            await asyncio.wrap_future(turn.granted)
            yield
        finally:
            self.leave(turn)


class Rate:
    """At most `most` times within `seconds` for each visitor. Any thread may call it."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most, self.seconds = most, seconds
        self.lock = threading.Lock()
        self.times: RecentlyUsed[list[float]] = RecentlyUsed(MAX_VISITORS)  # by visitor, the earliest first

    def check(self, visitor: str, what: str) -> None:
        """Count one more, or raise Busy. what: is counted, in the plural, such as "new cards"."""
        now = time.monotonic()
        with self.lock:
            recent = [then for then in self.times.get(visitor) or [] if then > now - self.seconds]
            admitted = len(recent) < self.most
            self.times.add(visitor, [*recent, now] if admitted else recent)
        if not admitted:
            raise Busy(f"You may have {self.most} {what} in {plural(self.seconds / 60, 'minute')}. Try again later.")


class Limits:
    """The doors of the page.

    look: what takes milliseconds, such as looking up a job, and the page itself.
    draw: drawing, and what takes as long. More than there are cores, so that they draw while another is encoded.
    sharpen: sharp pictures of the face on view, without which the visitor has the plain one.
    save: files that are encoded for saving.
    slices: the next slice of long work, see app/faces/sliced_work.py.
    models: models that are fetched from the hub or read from the disk.
    arriving, imports: model files that arrive, and that are unpacked or imported.
    uploads: faces to train on, which arrive; many at a time, since they cost little but the disk's time.
    reading: the same, which are counted and decoded.
    card: previews of links.
    """

    def __init__(self) -> None:
        self.look = Turns(2, longest=10.0, seconds=0.01)
        self.draw = Turns(min(cores() + 1, 8), longest=30.0)
        self.sharpen = Turns(1, longest=8.0, seconds=0.5)
        self.save = Turns(2, longest=60.0, seconds=0.5)
        self.slices = Turns(8, longest=60.0, seconds=0.25)
        self.models = Turns(2, longest=60.0, seconds=2.0, each=1)
        self.arriving = Turns(4, longest=60.0, seconds=2.0, each=1)
        self.imports = Turns(2, longest=120.0, seconds=5.0, each=1)
        self.uploads = Turns(64, longest=600.0, seconds=5.0, each=4)
        self.reading = Turns(2, longest=600.0, seconds=10.0, each=1)
        self.card = Turns(1, longest=15.0, seconds=1.0)
        self.new_cards = Rate(20, seconds=60)
        self.model_files = Rate(6, seconds=600)
