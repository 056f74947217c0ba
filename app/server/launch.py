"""What the page needs of the machine: a free port, file descriptors, and time for its jobs when it is stopped."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from ganime.errors import GanimeError

if TYPE_CHECKING:
    from app.jobs.service import Jobs

DEFAULT_NAME, DEFAULT_PORT = "127.0.0.1", 7860
M_ARENA_MAX, ARENAS = -8, 2  # glibc's name for the number of its heaps; so many are enough for two cores
MAX_FILES = 65_536  # a visitor who is connected takes one file descriptor or two


def free_port() -> int:
    """The port in GRADIO_SERVER_PORT, 7860 by default. Raises GanimeError if the page cannot be served there."""
    name = os.environ.get("GRADIO_SERVER_NAME") or DEFAULT_NAME
    port = int(os.environ.get("GRADIO_SERVER_PORT") or DEFAULT_PORT)  # Gradio has refused what is no number
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((name.strip("[]"), port))
        except OverflowError as error:
            raise GanimeError(f"GRADIO_SERVER_PORT is a port from 1 to 65535; got {port}.") from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise GanimeError(
                    f"Port {port} of {name} is in use by another program, perhaps another Ganime. Stop it, or choose "
                    "another port with GRADIO_SERVER_PORT."
                ) from error
            reason = error.strerror or error
            raise GanimeError(
                f"The page cannot be served at {name}, port {port} ({reason}). Choose another address with "
                "GRADIO_SERVER_NAME and GRADIO_SERVER_PORT."
            ) from error
    return port


def stop_with(jobs: Jobs) -> threading.Thread:
    """Have SIGTERM and SIGINT stop the page and its jobs, which save and continue at the next start.

    For a page that is process 1, as in a container: its trainers end with it, and elsewhere outlive it. Returns the
    thread that closes the jobs, which begins with the signal.
    """
    closing = threading.Thread(target=jobs.close, kwargs={"ending": True})

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        if closing.ident is None:
            closing.start()
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return closing


def raise_file_limit(most: int = MAX_FILES) -> int:
    """Raise the number of files that this process may open to what the system allows it, at most `most`; return it.

    Many systems begin with 1,024, and a page that has used up its own answers nobody. Returns 0 where there is no such
    limit, as on Windows.
    """
    try:
        import resource
    except ImportError:
        return 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if hard == resource.RLIM_INFINITY else min(hard, most)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return soft


def limit_heaps() -> None:
    """Let threads share few heaps, so that what one has freed serves the others; else glibc keeps it for each.

    With many threads that draw and decode, these would take hundreds of MB more. Does nothing beside other C libraries.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(M_ARENA_MAX, ARENAS)
