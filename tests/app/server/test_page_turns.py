"""The page's HTML is made in turns: a crowd takes few threads, and a slow client holds no place."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from app.faces.studio import Studio
from app.server.page_turns import PageTurns
from app.settings import Settings


@pytest.fixture
def studio(settings: Settings) -> Studio:
    return Studio(settings.model_copy(update={"training": "off"}))


def test_the_page_is_made_a_few_times_at_once_and_refused_where_the_wait_would_be_long(studio: Studio) -> None:
    look, most = studio.limits.look, 0

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal most
        most = max(most, look.serving)
        await asyncio.sleep(0.001)
        await PlainTextResponse("the page")(scope, receive, send)

    async def crowd() -> list[int]:
        transport = httpx.ASGITransport(PageTurns(page, studio), client=("10.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
            answers = await asyncio.gather(*(client.get(path) for path in ["/", "/config"] * 20))
            assert {(answer.status_code, answer.text) for answer in answers} == {(200, "the page")}
            for number in range(look.places):
                look.join(f"10.0.1.{number}")
            look.seconds = 2 * look.longest * look.places
            return [(await client.get(path)).status_code for path in ("/", "/config", "/theme.css")]

    assert asyncio.run(crowd()) == [503, 503, 200]
    assert most == look.places


def test_a_slow_client_holds_no_place(studio: Studio) -> None:
    sent: list[tuple[str, int]] = []

    async def send(message: Message) -> None:
        sent.append((message["type"], studio.limits.look.serving))

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": ("10.0.0.1", 1)}
    asyncio.run(PageTurns(PlainTextResponse("the page"), studio)(scope, receive, send))
    assert sent == [("http.response.start", 0), ("http.response.body", 0)]
