"""Has requests for the page's HTML and its descriptions wait their turn: Gradio makes each anew, in milliseconds."""

from __future__ import annotations

from gradio.route_utils import API_PREFIX
from starlette._utils import get_route_path
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.faces.studio import Studio
from app.limits import Busy

MADE = ("", "/config", f"{API_PREFIX}/info")  # paths
RETRY = {"Retry-After": "2"}  # seconds


class PageTurns:
    """Middleware behind which a few such answers are made at a time. A slow client holds no place."""

    def __init__(self, app: ASGIApp, studio: Studio) -> None:
        self.app, self.studio = app, studio

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or get_route_path(scope).rstrip("/") not in MADE:
            await self.app(scope, receive, send)
            return
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        try:
            async with self.studio.door(self.studio.limits.look)(Request(scope)):
                await self.app(scope, receive, keep)
        except Busy as error:
            await PlainTextResponse(str(error), 503, RETRY)(scope, receive, send)
        for message in answer:
            await send(message)
