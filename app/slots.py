"""Slots: how many requests may do one kind of costly work at a time, and how many more may wait for it."""

from __future__ import annotations

import threading

from ganime.errors import GanimeError

WAIT_SECONDS = 5.0  # a request that waited longer would hold one of the page's 40 threads for too long
MAX_WAITING = 8  # requests that may wait for one kind of slot


class Busy(GanimeError):
    """Too many visitors ask for the same kind of work; a later attempt may succeed."""


class Slots:
    """A context manager that at most `slots` threads enter at a time, while at most `waiting` more wait for a slot.

    Entering raises Busy when the queue is full, or after a wait of `seconds`.
    """

    def __init__(self, slots: int, waiting: int = MAX_WAITING, seconds: float = WAIT_SECONDS) -> None:
        self.seconds = seconds
        self.free = threading.BoundedSemaphore(slots)
        self.admitted = threading.BoundedSemaphore(slots + waiting)  # at work or waiting

    def __enter__(self) -> None:
        if self.admitted.acquire(blocking=False):
            if self.free.acquire(timeout=self.seconds):
                return
            self.admitted.release()
        raise Busy("The server is busy with other visitors. Try again in a moment.")

    def __exit__(self, *error: object) -> None:
        self.free.release()
        self.admitted.release()
