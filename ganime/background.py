"""Work beside the program: in a thread that may be abandoned, or in a process that is told no secrets."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent import futures
from typing import TypeVar

CHILD_VARIABLES = ("PATH", "VIRTUAL_ENV", "SYSTEMROOT", "TMPDIR", "TEMP")
T = TypeVar("T")


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


def child_variables() -> dict[str, str]:
    """The variables of the environment that a process needs to start; tokens and passwords are not among them."""
    return {name: os.environ[name] for name in CHILD_VARIABLES if name in os.environ}
