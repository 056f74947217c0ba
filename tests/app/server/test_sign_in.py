"""What visitors are told when signing in does not work."""

from __future__ import annotations

import logging
from urllib.parse import urljoin

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from app.server.known_routes import LOGIN
from app.server.sign_in import SignIn


async def answer(request: Request) -> Response:
    if "fails" in request.query_params:
        raise ValueError("forged")
    return Response("as ever")


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(Starlette(routes=[Route("/{path:path}", answer)], middleware=[Middleware(SignIn)]))


@pytest.mark.parametrize("path", LOGIN)
def test_a_sign_in_that_fails_is_told_in_words_with_a_way_back(
    client: TestClient, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    failed = client.get(f"{path}?fails=1")
    assert (failed.status_code, "did not work" in failed.text) == (400, True)
    assert urljoin(f"https://page.example/faces{path}", failed.text.split('href="')[1].split('"')[0]) == (
        "https://page.example/faces/"
    )
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "A visitor could not sign in or out (ValueError)."
    ]
    assert client.get(path).text == "as ever"


def test_elsewhere_nothing_is_hidden(client: TestClient) -> None:
    with pytest.raises(ValueError, match="forged"):
        client.get("/config?fails=1")
