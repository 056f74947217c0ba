"""Processes that start at once: a server that has imported the slow packages forks them.

One process of pytest-xdist runs all tests that use it (FORKING in `tests/conftest.py`), so there is one such server.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import resource
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from tests.nursery import PRELOADED

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([*PRELOADED, "psutil", "pytest"])


def in_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a new process. Raises EOFError when it raises; its traceback is printed."""
    receiver, sender = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_send, args=(sender, function, arguments), daemon=True)
    process.start()
    sender.close()
    try:
        return receiver.recv()
    finally:
        process.join(10)
        process.kill()
        process.join()


def _send(sender: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    sender.send(function(*arguments))


def refused_command(arguments: list[str], largest_file: int = resource.RLIM_INFINITY) -> tuple[int, str]:
    """The exit status and the standard error of a command that may write files of so many bytes; see `in_process`."""
    from ganime.cli import main

    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    sys.argv = ["ganime", *arguments]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as error:
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0), error.getvalue()
    return 0, error.getvalue()
