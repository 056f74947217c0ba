"""The page answers at its own addresses and those of Gradio's that it needs; nothing else reaches Gradio."""

from __future__ import annotations

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from app.server.known_routes import KnownRoutes

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def gradio(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("reached")(scope, receive, send)


async def own(request: Request) -> PlainTextResponse:
    raise AssertionError("the middleware answers before any route")


OWN = [Route("/ganime/{tool}", own), Route("/ganime/browser/{path:path}", own)]


async def reaches(path: str, root: str = "", method: str = "GET", **options: bool) -> bool:
    app = KnownRoutes(gradio, own=OWN, **options)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app, root_path=root), base_url="http://page")
    answer = await client.request(method, path)
    assert (answer.status_code, answer.text) in ((200, "reached"), (404, "This page does not offer that."))
    return answer.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/config", "/config/", "/theme.css", "/assets/index-1.js", "/static/fonts/a/b.woff2"),
        *("/ganime/draw", "/ganime/browser/model.json", "/ganime/browser/a/b.js"),
        *("/gradio_api/info", "/gradio_api/info/", "/gradio_api/queue/join", "/gradio_api/queue/data"),
        *("/gradio_api/call/walk", "/gradio_api/call/walk/", "/gradio_api/call/v2/walk", "/gradio_api/call/walk/1a"),
        *("/gradio_api/call/v2/walk/1a", "/gradio_api/run/predict", "/gradio_api/component_server/"),
        *("/gradio_api/heartbeat/1a", "/gradio_api/cancel", "/gradio_api/file=/tmp/a b/face.png"),
    ],
)
async def test_what_the_page_needs_is_there(path: str) -> None:
    assert await reaches(path)
    assert await reaches(f"/below{path}", root="/below")
    assert await reaches(path, method="OPTIONS")


@pytest.mark.parametrize(
    "path",
    [
        *("/nope", "/docs", "/redoc", "/openapi.json", "/robots.txt", "/svelte/a.js"),
        *("/pwa_icon", "/pwa_icon/192", "/monitoring", "/monitoring/summary", "/monitoring/key", "/login", "/login/"),
        *("/login/huggingface", "/login/callback", "/logout", "/file=/tmp/a", "/gradio_api/file/tmp/a"),
        *(
            f"/gradio_api/{path}"
            for path in (
                *("custom_component/a/client/b/c", "dev/reload", "stream/a", "stream/a/b/1/playlist.m3u8", "token"),
                *("user", "login_check", "app_id", "openapi.json", "process_recording", "deep_link", "runs"),
                *("run-history/connect", "vibe-edit", "undo-vibe-edit", "vibe-code", "vibe-starter-queries"),
                *("profiling/traces", "queue/status", "queue", "api/predict", "proxy=https://a.hf.space/b", "mcp/"),
                *("mcp", "mcp/schema", "call/walk/1a/b", "call", "heartbeat", "heartbeat/a/b", "theme.css"),
            )
        ),
        *("/modules/a.js", "/ganime", "/ganime/a/b", "/gradio_api", "/gradio_api/", "/config//"),
    ],
)
async def test_nothing_else_is(path: str) -> None:
    assert not await reaches(path)
    assert not await reaches(path, method="POST")


@pytest.mark.parametrize("path", ["/login/huggingface", "/login/callback", "/logout"])
async def test_where_visitors_can_sign_in_they_find_the_way(path: str) -> None:
    assert await reaches(path, login=True)
    assert not await reaches("/login", login=True)


@pytest.mark.parametrize("path", ["/gradio_api/mcp", "/gradio_api/mcp/", "/gradio_api/mcp/schema"])
async def test_tools_are_there_if_they_are_offered(path: str) -> None:
    assert await reaches(path, tools=True)


async def test_what_is_no_request_passes() -> None:
    assert await sent({"type": "lifespan"}) == []


@pytest.mark.parametrize("path", ["//", "//evil.example", "//evil.example/", "/config\n", "\n"])
async def test_paths_that_a_client_would_tidy_up_are_not_there(path: str) -> None:
    assert (await sent({"type": "http", "method": "GET", "path": path}))[0]["status"] == 404


async def sent(scope: Scope) -> list[Message]:
    """What is sent in answer by the middleware alone."""
    messages: list[Message] = []

    async def nothing(*_: object) -> Message:
        return {}

    async def send(message: Message) -> None:
        messages.append(message)

    async def app(*_: object) -> None:
        """Answer nothing."""

    await KnownRoutes(app)(scope, nothing, send)
    return messages
