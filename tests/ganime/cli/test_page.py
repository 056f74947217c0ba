"""The command `page`: it passes its address on, and a page that cannot start is refused."""

from __future__ import annotations

import os
import runpy
import socket
from collections.abc import Callable
from typing import Any

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
    port = free_port()
    assert ganime("page", "--host", "localhost", "--port", port).status == 0
    assert started == [("app", "localhost", str(port))]


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
