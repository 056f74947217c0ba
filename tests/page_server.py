"""The page in a separate process, for the tests that reach it over HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import nursery

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 240


@contextmanager
def serve(home: Path, command: tuple[str, ...] = ("-m", "app"), **variables: str) -> Iterator[str]:
    """Start the page as a user does, on a free port, and yield its address. variables: of the environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GANIME_", "HF_"))}
    environment |= {"GRADIO_SERVER_PORT": str(port), "GANIME_HOME": str(home), "GANIME_JOB_THREADS": "1", **variables}
    address, log = f"http://127.0.0.1:{port}", home / "app.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            nursery.command(*command), cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            wait_until_answering(address, process, log)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=20)


def wait_until_answering(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"The page did not start within {START_SECONDS} s:\n{log.read_text()}")
