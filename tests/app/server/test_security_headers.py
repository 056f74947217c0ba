"""The headers of every answer, and which requests of other sites are refused."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from app.server.security_headers import SecurityHeaders


async def page(request: Request) -> Response:
    return HTMLResponse("<p>faces</p>")


async def data(request: Request) -> Response:
    return Response(b"{}", media_type="application/json")


@pytest.fixture(scope="module")
def client() -> TestClient:
    routes = [Route("/", page), Route("/{path:path}", data, methods=["GET", "POST"])]
    return TestClient(SecurityHeaders(Starlette(routes=routes), on_a_space=False))


@pytest.mark.parametrize("path", ["/", "/gradio_api/file=x.svg", "/modules/a.js"])
def test_every_answer_is_what_its_type_says_and_sends_no_full_address_to_others(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "strict-origin-when-cross-origin"


def directives(client: TestClient) -> dict[str, list[str]]:
    policy = client.get("/").headers["content-security-policy"]
    return {name: values for name, *values in (directive.split() for directive in policy.split(";"))}


def test_the_page_loads_nothing_from_elsewhere_and_only_the_hub_may_frame_it(client: TestClient) -> None:
    found = directives(client)
    ancestors = found.pop("frame-ancestors")
    assert ancestors == ["'self'", "https://huggingface.co"]
    assert found["object-src"] == ["'none'"]
    assert not [value for values in found.values() for value in values if "http" in value or value == "*"]


def test_a_space_may_also_talk_to_the_hub() -> None:
    found = directives(TestClient(SecurityHeaders(Starlette(routes=[Route("/", page)]), on_a_space=True)))
    assert "https://huggingface.co" in found["connect-src"]
    assert "https://huggingface.co" not in found["script-src"]


@pytest.mark.parametrize("path", ["/gradio_api/component_server/", "/gradio_api/component_server", "/ganime/draw"])
def test_other_sites_cannot_use_what_belongs_to_the_page(client: TestClient, path: str) -> None:
    foreign = client.post(path, headers={"Origin": "https://evil.example"})
    assert (foreign.status_code, foreign.headers["x-content-type-options"]) == (403, "nosniff")
    assert client.post(path, headers={"Origin": "http://testserver"}).status_code == 200
    assert client.post(path).status_code == 200


def test_other_sites_cannot_upload_here(client: TestClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    assert client.post("/gradio_api/upload?upload_id=1", headers=headers).status_code == 403
    assert client.post("/below/gradio_api/upload", headers=headers).status_code == 403


def test_public_endpoints_can_be_called_from_other_sites(client: TestClient) -> None:
    headers = {"Origin": "https://blog.example"}
    assert client.post("/gradio_api/queue/join", headers=headers).status_code == 200
    assert client.post("/gradio_api/call/generate", headers=headers).status_code == 200
    assert client.get("/ganime/card.jpg", headers=headers).status_code == 200
