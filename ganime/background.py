"""Work beside the program: the cores for it, threads that may be abandoned, and processes without its secrets."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent import futures
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of all CPU cores within a period of so many
CHILD_VARIABLES = ("PATH", "VIRTUAL_ENV", "SYSTEMROOT", "TMPDIR", "TEMP")
T = TypeVar("T")
Value = TypeVar("Value")


def cores(quota: Path = QUOTA) -> int:
    """The number of CPU cores that this process may use: those of its affinity, fewer where a container has a quota."""
    most = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # not in a container, or "max": no quota
        share, period = (int(word) for word in quota.read_text(encoding="ascii").split())
        return max(1, min(most, round(share / period)))
    return most


def begun(work: Callable[[], T], name: str) -> futures.Future[T]:
    """Begin to do `work` in a thread that does not keep the program from ending. name: of the thread."""
    future: futures.Future[T] = futures.Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


def in_time(seconds: float, work: Callable[[], T], name: str) -> T:
    """Return or raise what `work()` does. Raises TimeoutError after `seconds`; the thread is abandoned then."""
    future = begun(work, name)
    try:
        return future.result(seconds)
    except futures.TimeoutError:
        raise TimeoutError from None  # Python 3.10 has two of that name


def in_order(
    pool: futures.Executor, function: Callable[[Value], T], items: Iterable[Value], ahead: int
) -> Generator[T, None, None]:
    """Yield the results of `function` in the order of `items`, computed by a pool, at most `ahead` of them at a time.

    What has not begun when the generator is closed is cancelled.
    """
    waiting: deque[futures.Future[T]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) == ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def child_variables() -> dict[str, str]:
    """The variables of the environment that a process needs to start; tokens and passwords are not among them."""
    return {name: os.environ[name] for name in CHILD_VARIABLES if name in os.environ}
