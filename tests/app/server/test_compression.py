"""Compression: texts in one piece are compressed as the browser accepts, and nothing else is touched or held back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.server.compression import Compression

TEXT = b"<p>faces</p>" * 5000


async def answer(request: Request) -> Response:
    kind, size = request.query_params["kind"], int(request.query_params.get("size", len(TEXT)))
    return Response(TEXT[:size], media_type=kind, status_code=int(request.query_params.get("status", 200)))


async def pieces(request: Request) -> Response:
    async def body() -> AsyncIterator[bytes]:
        yield TEXT
        yield TEXT

    return StreamingResponse(body(), media_type="text/html")


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(Compression(Starlette(routes=[Route("/answer", answer), Route("/pieces", pieces)])))


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("GZIP;q=0.5", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("br; q=0", None),
        ("identity", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("size", [2000, len(TEXT)])
def test_texts_are_compressed_as_the_browser_accepts(
    client: TestClient, accepted: str, encoding: str | None, size: int
) -> None:
    found = client.get(f"/answer?kind=text/html&size={size}", headers={"Accept-Encoding": accepted})
    assert found.content == TEXT[:size]
    assert found.headers.get("content-encoding") == encoding
    if encoding:
        assert int(found.headers["content-length"]) < size / 5
        assert found.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "query",
    [
        "kind=image/webp",
        "kind=application/zip",
        "kind=application/octet-stream",
        "kind=video/mp4",
        "kind=text/event-stream",
        "kind=text/html&status=206",
        "kind=text/html&size=500",
        "kind=text/html&size=0",
    ],
)
def test_everything_else_stays_as_it_is(client: TestClient, query: str) -> None:
    found = client.get(f"/answer?{query}", headers={"Accept-Encoding": "br, gzip"})
    assert "content-encoding" not in found.headers
    assert len(found.content) == int(found.headers["content-length"])


def test_what_is_sent_in_pieces_arrives_whole(client: TestClient) -> None:
    found = client.get("/pieces", headers={"Accept-Encoding": "br, gzip"})
    assert (found.content, "content-encoding" in found.headers) == (TEXT * 2, False)


@pytest.mark.parametrize("kind", ["text/event-stream", "text/html", "application/json"])
def test_no_piece_waits_for_the_next(kind: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind.encode())]})
        await send({"type": "http.response.body", "body": b"data: 1\n\n" * 500, "more_body": True})
        await asyncio.Event().wait()

    async def first_messages() -> list[Any]:
        messages: asyncio.Queue[Any] = asyncio.Queue()
        scope = {"type": "http", "headers": [(b"accept-encoding", b"br")]}
        running = asyncio.create_task(Compression(app)(scope, asyncio.Queue().get, messages.put))  # type: ignore[arg-type]
        found = [await asyncio.wait_for(messages.get(), 5) for _ in range(2)]
        running.cancel()
        return found

    start, body = asyncio.run(first_messages())
    assert (start["status"], body["body"][:9]) == (200, b"data: 1\n\n")
