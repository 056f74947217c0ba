"""The headers of every answer, and which requests of other sites are refused."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from app.server.origins import NoCredentials
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


def test_scripts_of_other_sites_may_not_name_the_page_in_the_place_of_a_proxy() -> None:
    client = TestClient(NoCredentials(SecurityHeaders(Starlette())), base_url="http://faces.lan:7860")
    headers = {
        "Origin": "http://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,X-Forwarded-Host, x-forwarded-for",
    }
    answer = client.options("/gradio_api/component_server", headers=headers)
    assert answer.headers["access-control-allow-headers"] == "content-type"
    assert "access-control-allow-credentials" not in answer.headers


def test_other_sites_cannot_upload_here(client: TestClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    assert client.post("/gradio_api/upload?upload_id=1", headers=headers).status_code == 403
    assert client.post("/below/gradio_api/upload", headers=headers).status_code == 403


def test_public_endpoints_can_be_called_from_other_sites(client: TestClient) -> None:
    headers = {"Origin": "https://blog.example"}
    assert client.post("/gradio_api/queue/join", headers=headers).status_code == 200
    assert client.post("/gradio_api/call/generate", headers=headers).status_code == 200
    assert client.get("/ganime/card.jpg", headers=headers).status_code == 200


async def signed_in(scope: Scope, receive: Receive, send: Send) -> None:
    """What a request passes before the headers: a login is read from its cookies."""
    await SecurityHeaders(tell_who)(scope | {"session": {"oauth_info": "alice"}}, receive, send)


async def tell_who(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope)
    await JSONResponse([request.session.get("oauth_info"), request.cookies.get("session")])(scope, receive, send)


FOREIGN = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
LED_HERE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "signed_in_here"),
    [
        ("POST", "/gradio_api/queue/join", FOREIGN, False),
        ("GET", "/gradio_api/queue/data", FOREIGN, False),
        ("GET", "/", FOREIGN | {"Sec-Fetch-Mode": "no-cors"}, False),
        ("POST", "/gradio_api/queue/join", {"Origin": "http://evil.example"}, False),
        ("POST", "/gradio_api/queue/join", LED_HERE | {"Origin": "null"}, False),  # a form that is sent
        ("POST", "/gradio_api/queue/join", {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}, True),
        ("POST", "/gradio_api/queue/join", {"Origin": "http://testserver"}, True),
        ("POST", "/gradio_api/queue/join", {}, True),
        ("GET", "/login/callback", LED_HERE, True),  # from the hub, which signs visitors in
        ("GET", "/", {**LED_HERE, "Sec-Fetch-Dest": "iframe"}, True),  # a Space is shown in a frame there
    ],
)
def test_for_other_sites_a_visitor_is_nobody(
    method: str, path: str, headers: dict[str, str], signed_in_here: bool
) -> None:
    answer = TestClient(signed_in, cookies={"session": "secret"}).request(method, path, headers=headers)
    assert answer.json() == (["alice", "secret"] if signed_in_here else [None, None])


@pytest.mark.parametrize("headers", [FOREIGN, LED_HERE])
def test_other_sites_sign_nobody_out(client: TestClient, headers: dict[str, str]) -> None:
    assert client.get("/logout", headers=headers).status_code == 403
    assert client.get("/logout", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_browsers_are_not_told_to_send_cookies_from_other_sites() -> None:
    client = TestClient(NoCredentials(Starlette(routes=[Route("/", page)])), base_url="https://page.example")
    asks = FOREIGN | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for answer in (client.get("/", headers=FOREIGN), client.options("/", headers=asks)):
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, FOREIGN["Origin"])
        assert "access-control-allow-credentials" not in answer.headers
