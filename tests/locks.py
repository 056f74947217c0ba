"""A lock that says how many threads have come to it, so that a test need not guess by the time."""

from __future__ import annotations

import threading


class CountingLock:
    """A lock. came: is released once for each thread that has come to take it, also while that one waits."""

    def __init__(self) -> None:
        self.lock, self.came = threading.Lock(), threading.Semaphore(0)

    def __enter__(self) -> None:
        self.came.release()
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()

    def wait_for(self, threads: int) -> None:
        """Wait until so many more threads have come."""
        for _ in range(threads):
            assert self.came.acquire(timeout=60)
