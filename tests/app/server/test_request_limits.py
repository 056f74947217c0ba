"""Limits on bodies and names: what Gradio would keep in memory is refused before it gets there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import Body, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from app.server import request_limits
from app.server.request_limits import (
    MAX_BODY,
    MAX_NAME,
    PIECE,
    RequestLimits,
    refuse_invalid,
    with_own_address,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def echo(request: Request) -> Response:
    return Response(await request.body())


def middleware(**limits: float) -> RequestLimits:
    return RequestLimits(Starlette(routes=[Route("/{path:path}", echo, methods=["GET", "POST"])]), **limits)  # type: ignore[arg-type]


def from_address(app: RequestLimits, address: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(address, 1)), base_url="http://page")


def client(**limits: float) -> httpx.AsyncClient:
    return from_address(middleware(**limits), "127.0.0.1")


async def stall(app: RequestLimits, address: str, size: int) -> None:
    """A request from an address whose body stops after `size` bytes."""

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * size
        await asyncio.sleep(30)
        yield b""

    await from_address(app, address).post("/echo", content=body())


async def give_up(requests: list[asyncio.Task[None]]) -> None:
    for request in requests:
        request.cancel()
    await asyncio.gather(*requests, return_exceptions=True)


async def test_a_long_input_by_name_reaches_gradio() -> None:
    body = json.dumps({"face": "x" * 1_000}).encode()
    assert (await client().post("/gradio_api/call/v2/vary", content=body)).content == body


async def test_a_stream_that_ends_with_a_status_leaves_no_error() -> None:
    async def broken(request: Request) -> Response:
        async def events() -> AsyncIterator[str]:
            yield "data: {}\n\n"
            raise HTTPException(404)

        return StreamingResponse(events())

    async def failing(request: Request) -> Response:
        raise RuntimeError("of another kind")

    app = RequestLimits(Starlette(routes=[Route("/broken", broken), Route("/failing", failing)]))
    assert (await from_address(app, "192.0.2.1").get("/broken")).text == "data: {}\n\n"
    with pytest.raises(RuntimeError, match="of another kind"):
        await from_address(app, "192.0.2.1").get("/failing")
    assert not app.open


GRADIOS = ["/gradio_api/queue/join", "/gradio_api/component_server", "/below/a/proxy/gradio_api/run/predict"]


@pytest.mark.parametrize("name", ["session_hash", "event_id", "fn_name"])
@pytest.mark.parametrize("path", GRADIOS)
async def test_a_long_name_beside_the_data_is_refused_where_gradio_would_keep_it(path: str, name: str) -> None:
    for length, status in ((MAX_NAME, 200), (MAX_NAME + 1, 400), (100_000, 400)):
        body = json.dumps({"data": ["x" * 100_000], name: "x" * length})
        assert (await client().post(path, content=body)).status_code == status
    escaped = json.dumps({name: "x" * 1000}).replace("_", "\\u005f")
    assert (await client().post(path, content=escaped)).status_code == 400


@pytest.mark.parametrize("path", ["/ganime/steer", "/below/a/proxy/ganime/steer"])
async def test_a_long_recipe_reaches_the_endpoint_that_draws(path: str) -> None:
    body = json.dumps({"key": "start", "recipe": "x" * 11_000}).encode()
    assert (await client().post(path, content=body)).content == body


async def test_a_long_session_hash_in_the_address_is_refused() -> None:
    assert (await client().get("/echo", params={"session_hash": "x" * (MAX_NAME + 1)})).status_code == 400
    assert (await client().get("/echo/" + "x" * 2_000)).status_code == 400


async def test_a_body_that_does_not_arrive_is_given_up() -> None:
    async def stalling() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(30)
        yield b"}"

    answer = await client(body_seconds=0.2).post("/echo", content=stalling())
    assert (answer.status_code, "0.2 seconds" in answer.text) == (408, True)


def scope_of(path: str, address: str = "192.0.2.1", app: object = None) -> dict[str, Any]:
    headers = [(b"host", b"page")]
    base = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    return base | {"client": (address, 1), "app": app}


@pytest.mark.parametrize("path", ["/echo", "/gradio_api/upload"])
async def test_a_client_that_leaves_while_its_body_arrives_leaves_no_error(path: str) -> None:
    """At an endpoint that takes files the body is left to it; what it raises goes no further."""
    messages = [{"type": "http.disconnect"}, {"type": "http.request", "body": b"x", "more_body": True}]

    async def receive() -> Message:
        return messages.pop()

    async def send(message: Message) -> None:
        raise AssertionError("There is nobody to answer.")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()  # raises ClientDisconnect

    with pytest.raises(ClientDisconnect):
        await app(scope_of(path), receive, send)
    messages += [{"type": "http.disconnect"}, {"type": "http.request", "body": b"x", "more_body": True}]
    limited = RequestLimits(app)
    await limited(scope_of(path), receive, send)
    assert (messages, limited.open, limited.buffered) == ([], {}, {})


@pytest.mark.parametrize("path", ["/gradio_api/upload", "/ganime/model"])
async def test_only_the_endpoints_that_take_files_take_large_bodies(path: str) -> None:
    body = b"x" * (MAX_BODY + 1)
    assert (await client().post(path, content=body)).content == body
    for other in (f"/gradio_api/mcp{path}", f"/gradio_api/mcp/{path}", f"/below{path}", f"{path}/"):
        assert (await client().post(other, content=body)).status_code == 413


async def test_a_large_answer_is_sent_in_pieces_and_counts_until_its_client_has_taken_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request_limits, "MAX_UNSENT", 2 * PIECE)
    whole, sizes, go_on = bytes(range(256)) * (PIECE // 100), [], asyncio.Event()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sizes.append(len(message.get("body", b"")))
        if len(sizes) > 2:
            await go_on.wait()

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(whole)(scope, receive, send)

    limited = RequestLimits(answer)
    slow = asyncio.create_task(limited(scope_of("/"), receive, send))
    while len(sizes) < 3:
        await asyncio.sleep(0)
    assert (await from_address(limited, "192.0.2.1").post("/")).status_code == 429
    assert (await from_address(limited, "192.0.2.2").post("/")).content == whole
    go_on.set()
    await slow
    assert (sum(sizes), max(sizes), limited.unsent) == (len(whole), PIECE, {})
    assert (await from_address(limited, "192.0.2.1").post("/")).content == whole


async def test_a_visitor_may_hold_so_many_requests_open_and_others_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request_limits, "MAX_OPEN", 2)
    app = middleware()
    held = [asyncio.create_task(stall(app, "192.0.2.1", 1)) for _ in range(2)]
    while app.open["192.0.2.1"] < 2:
        await asyncio.sleep(0)
    assert (await from_address(app, "192.0.2.1").get("/echo")).status_code == 429
    assert (await from_address(app, "192.0.2.2").get("/echo")).status_code == 200
    await give_up(held)
    assert (await from_address(app, "192.0.2.1").get("/echo")).status_code == 200
    assert not app.open


async def test_bodies_of_all_requests_together_have_a_limit() -> None:
    limited = middleware(max_buffered=8000)
    stalled = [asyncio.create_task(stall(limited, f"192.0.2.{number}", 900)) for number in range(8)]
    await asyncio.sleep(0)
    assert (await from_address(limited, "192.0.2.9").post("/echo", content=b"x" * 900)).status_code == 503
    await give_up(stalled)
    assert (await from_address(limited, "192.0.2.9").post("/echo", content=b"x" * 900)).content == b"x" * 900


async def test_stalled_bodies_of_one_visitor_hold_nobody_else_up() -> None:
    limited = middleware(max_buffered=8000)
    stalled = [asyncio.create_task(stall(limited, "192.0.2.1", 900)) for _ in range(20)]
    await asyncio.sleep(0)
    assert sum(limited.buffered.values()) <= 1000
    assert (await from_address(limited, "192.0.2.1").post("/echo", content=b"x" * 900)).status_code == 429
    for _ in range(5):  # what was answered counts no longer
        assert (await from_address(limited, "192.0.2.2").post("/echo", content=b"x" * 900)).content == b"x" * 900
    await give_up(stalled)
    assert limited.buffered == {}


async def test_a_get_request_with_a_body_is_refused() -> None:
    assert (await client().request("GET", "/echo", content=b"{}")).status_code == 400
    assert (await client().get("/echo")).status_code == 200


@pytest.mark.parametrize("body", [b"", b"[1, 2]", b"no json", b"[" * 5000, b'{"session_hash": 7}'])
async def test_other_bodies_reach_the_page_unchanged(body: bytes) -> None:
    for path in (GRADIOS[0], "/echo"):
        assert (await client().post(path, content=body)).content == body


@pytest.mark.parametrize(
    ("path", "query", "passed_on"),
    [
        ("/gradio_api/info", b"", b"page="),
        ("/below/gradio_api/info/", b"a=1", b"a=1&page="),
        ("/gradio_api/info", b"p%61ge=", b"p%61ge=&page="),
        ("/gradio_api/queue/join", b"", b""),
    ],
)
def test_the_description_of_the_endpoints_is_made_for_each_request(path: str, query: bytes, passed_on: bytes) -> None:
    """Gradio caches the one without a page, with the address of its first caller."""
    assert with_own_address({"path": path, "query_string": query})["query_string"] == passed_on


@pytest.mark.parametrize("query", ["page=zz", "p%61ge=zz", "a=1&page=&page=zz", "page=%00"])
async def test_a_page_that_the_app_does_not_have_is_refused(query: str) -> None:
    for path in ("/", "/config", "/gradio_api/info"):
        assert (await client().get(f"{path}?{query}")).status_code == 400
        assert (await client().get(f"{path}?page=")).status_code == 200


@pytest.mark.parametrize("letter", ["%00", "%0A", "%0D", "%1b%5B31m", "%7F", "%C2%85", "%C2%9B", "%E2%80%A8"])
async def test_control_characters_in_a_path_are_refused_without_repeating_them(letter: str) -> None:
    for path in ("/{}", "/gradio_api/heartbeat/{}", "/gradio_api/custom_component/x{}y/client/a/b"):
        answer = await client().get(path.format(letter))
        assert (answer.status_code, answer.text.isprintable()) == (400, True)


@pytest.mark.parametrize("name", ["", "\ud800", "a\udfff", "a\nb", "\x1b[31m", "\0"])
@pytest.mark.parametrize("path", GRADIOS)
async def test_what_cannot_name_a_session_is_refused(path: str, name: str) -> None:
    answer = await client().post(path, content=json.dumps({"data": [], "session_hash": name}))
    assert (answer.status_code, "session_hash" in answer.text) == (400, True)


@pytest.mark.parametrize("name", ["", "%00", "a%0Ab"])
async def test_what_cannot_name_a_session_is_refused_in_the_address_too(name: str) -> None:
    assert (await client().get(f"/gradio_api/queue/data?session_hash={name}")).status_code == 400


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "1.5", "1.0", "true", '"1"', "[1]", "{}"])
@pytest.mark.parametrize("path", [*GRADIOS, "/gradio_api/cancel"])
async def test_the_number_of_a_function_is_an_integer(path: str, number: str) -> None:
    answer = await client().post(path, content=f'{{"fn_index": {number}, "session_hash": "s", "data": []}}')
    assert (answer.status_code, "integer" in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ('{"size": NaN}', "name, size."),
        ('{"name": "forged", "size": ["forged"]}', "size."),
        ('{"name": "forged", "size": "\\ud800"}', "size."),
        ("NaN", "name, size."),
        ('{"forged', "takes."),
    ],
)
async def test_what_is_of_another_form_is_refused_without_repeating_it(body: str, named: str) -> None:
    app = FastAPI(exception_handlers={RequestValidationError: refuse_invalid})

    @app.post("/")
    async def take(name: str = Body(), size: int = Body()) -> None:
        raise AssertionError("Nothing of that kind is taken.")

    headers = {"Content-Type": "application/json"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://page") as page:
        answer = await page.post("/", content=body, headers=headers)
    assert (answer.status_code, answer.text.isprintable(), "forged" in answer.text) == (422, True, False)
    assert answer.text.endswith(named)
