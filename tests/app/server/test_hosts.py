"""Hosts: which names the page answers to, and that what is no name is refused."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from app.server.hosts import refusal_of_host, serves_only_this_machine
from app.server.origins import from_another_site
from app.settings import Settings


def request_with(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": raw})


def status_of(local: bool, **headers: str) -> int:
    refusal = refusal_of_host(request_with(**headers), local)
    return refusal.status_code if refusal else 200


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "LOCALHOST", "[::1]:7860", "x.localhost:1"])
def test_a_page_for_this_machine_answers_to_its_names(host: str) -> None:
    assert status_of(True, host=host) == 200


@pytest.mark.parametrize("host", ["evil.example:7860", "127.0.0.1.evil.example", "localhost.evil.example", "1.2.3"])
def test_a_page_for_this_machine_answers_to_no_name_of_another_site(host: str) -> None:
    assert status_of(True, host=host) == 421
    assert status_of(False, host=host) == 200  # a page for others has any name
    assert status_of(True, host="localhost", x_forwarded_host=host) == 200  # such as a tunnel's


def test_nobody_says_under_which_address_gradio_describes_the_page() -> None:
    assert status_of(False, host="a.example", x_gradio_server="http://evil.example") == 400


@pytest.mark.parametrize("host", ["[::1", "", "a b", "a/b", "user@host", "host:port", "a,b", "\xe4.example"])
def test_what_is_no_name_is_refused(host: str) -> None:
    assert status_of(False, host=host) == 400
    if host not in ("", "a,b"):
        assert status_of(False, host="a.example", x_forwarded_host=f"b.example, {host}") == 400


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, True),
        ({"GRADIO_SERVER_NAME": "127.0.0.1"}, True),
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, False),
        ({"GRADIO_ROOT_PATH": "/faces"}, False),
        ({"GANIME_PROXIES": "1"}, False),
        ({"SPACE_ID": "owner/space"}, False),
    ],
)
def test_proxies_and_spaces_serve_more_than_this_machine(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: bool
) -> None:
    for name in ("GRADIO_SERVER_NAME", "GRADIO_ROOT_PATH", "GANIME_PROXIES", "SPACE_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert serves_only_this_machine(Settings()) == expected


@pytest.mark.parametrize("origin", ["http://[::1", "[::1", "://", "null", ""])
def test_an_origin_that_is_no_address_is_another_site(origin: str) -> None:
    assert from_another_site(request_with(host="a.example", origin=origin))
