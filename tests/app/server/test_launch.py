"""Before the page starts: the port is free or the error names it, and there are enough file descriptors."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable

import pytest

from app.server.launch import free_port, raise_file_limit
from ganime.errors import GanimeError


def test_a_port_that_is_taken_is_named_with_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADIO_SERVER_NAME", raising=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("GRADIO_SERVER_PORT", str(port))
        for name in ("127.0.0.1", "0.0.0.0"):
            monkeypatch.setenv("GRADIO_SERVER_NAME", name)
            with pytest.raises(GanimeError, match=rf"{port}.*GRADIO_SERVER_PORT"):
                free_port()
    assert free_port() == port


def test_an_address_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_SERVER_PORT", "70000")
    with pytest.raises(GanimeError, match="70000"):
        free_port()
    monkeypatch.setenv("GRADIO_SERVER_PORT", "0")
    monkeypatch.setenv("GRADIO_SERVER_NAME", "203.0.113.1")  # reserved for documentation
    with pytest.raises(GanimeError, match=r"203\.0\.113\.1"):
        free_port()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
@pytest.mark.slow
def test_the_file_limit_is_raised_to_what_the_system_allows(run_python: Callable) -> None:
    code = (
        "import resource; from app.server.launch import raise_file_limit\n"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))\n"
        "print(raise_file_limit(4000), resource.getrlimit(resource.RLIMIT_NOFILE) == (4000, hard))\n"
        "print(raise_file_limit(300))"
    )
    assert run_python("-c", code).stdout.split() == ["4000", "True", "4000"]
    assert raise_file_limit(1) > 1  # it is never lowered


HEAPS = """
import ctypes, sys, threading
from app.server.launch import limit_heaps

limit_heaps()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
together = threading.Barrier(8)

def allocate():
    together.wait()
    for _ in range(100):
        libc.malloc(1000)
        together.wait()

threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.fdopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, file)
libc.fflush(file)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the heaps of glibc")
def test_many_threads_share_few_heaps(run_python: Callable) -> None:
    heaps = run_python("-c", HEAPS, fresh=True).stdout.count("<heap nr=")
    assert 1 <= heaps <= 2
