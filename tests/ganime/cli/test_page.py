"""The command `page`: it passes its address on, and a page that cannot start is refused."""

from __future__ import annotations

import os
import runpy
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ganime.cli import page
from tests.ganime.cli.common import Answer, assert_refused


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_page_runs_the_package_of_the_page_at_the_given_address(
    ganime: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []

    def run_module(name: str, **options: Any) -> None:
        started.append((name, os.environ["GRADIO_SERVER_NAME"], os.environ["GRADIO_SERVER_PORT"]))

    monkeypatch.setattr(runpy, "run_module", run_module)
    monkeypatch.setattr(sys, "argv", ["ganime", "page"])
    port = free_port()
    assert ganime("page", "--host", "localhost", "--port", port).status == 0
    assert started == [("app", "localhost", str(port))]


@pytest.mark.slow
def test_page_serves_the_page(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "ganime", "page", "--port", str(port)]
    environment = os.environ | {"GANIME_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    page_process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        until = time.monotonic() + 120
        while True:
            assert page_process.poll() is None, page_process.communicate()[1].decode()
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/", timeout=30)
                break
            except httpx.TransportError:
                assert time.monotonic() < until
                time.sleep(0.5)
        assert (answer.status_code, "Ganime" in answer.text) == (200, True)
    finally:
        page_process.kill()
        page_process.communicate()


def test_a_port_in_use_is_refused(ganime: Callable[..., Answer]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert_refused(ganime("page", "--port", port), str(port), "in use")


def test_an_address_of_another_machine_is_refused(ganime: Callable[..., Answer]) -> None:
    assert_refused(ganime("page", "--host", "192.0.2.1", "--port", free_port()), "192.0.2.1")


def test_a_page_that_is_not_installed_is_refused(
    ganime: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "PAGE", "no_such_package")
    assert_refused(ganime("page"), "no_such_package", "pip install")
