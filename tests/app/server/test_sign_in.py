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
@pytest.mark.parametrize(("error", "how"), [("", "failed"), ("&error=access_denied&state=1", "cancelled")])
def test_a_sign_in_that_fails_leads_back_to_the_page_which_says_so(
    client: TestClient, path: str, error: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    failed = client.get(f"{path}?fails=1{error}", follow_redirects=False)
    assert failed.status_code == 303
    assert urljoin(f"https://page.example/faces{path}", failed.headers["location"]) == (
        f"https://page.example/faces/?sign-in={how}#tab=Train"
    )
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "A visitor could not sign in or out (ValueError)."
    ]
    assert client.get(path).text == "as ever"


def test_elsewhere_nothing_is_hidden(client: TestClient) -> None:
    with pytest.raises(ValueError, match="forged"):
        client.get("/config?fails=1")
