"""Headers that limit what browsers do with the page's answers, and what requests of other sites may do."""

from __future__ import annotations

import os
import re

from gradio.route_utils import API_PREFIX
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.server.origins import as_nobody, follows_link, from_another_site, refuse_other_sites
from app.server.request_limits import UPLOAD_PATH

HUB = "https://huggingface.co"  # shows a Space in a frame, signs its visitors in and says whether it runs
# What the page's own JavaScript calls. Other sites may call endpoints that draw, see `known_names.DRAWING`.
OWN_ENDPOINTS = re.compile(rf"({API_PREFIX}/component_server|{UPLOAD_PATH})/?$|/ganime/\w+$")
LOGOUT = re.compile(r"/logout/?$")


def content_security_policy(on_a_space: bool) -> str:
    """Nothing is loaded from or sent to elsewhere; only the page itself and the hub may show it in a frame.

    Gradio needs inline scripts and styles, and compiles functions from text. on_a_space: whether the page is a Space,
    whose frontend asks the hub for its state.
    """
    hub = f" {HUB}" if on_a_space else ""
    return "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "media-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src 'self' data: blob:{hub}",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            f"form-action 'self'{hub}",
            f"frame-ancestors 'self' {HUB}",
        )
    )


class SecurityHeaders:
    """Middleware that adds the headers to every answer, refuses other sites the page's own endpoints, and lets them do
    all else as nobody: a visitor who is signed in here is not, for them.
    """

    def __init__(self, app: ASGIApp, on_a_space: bool | None = None) -> None:
        self.app = app
        self.policy = content_security_policy("SPACE_ID" in os.environ if on_a_space is None else on_a_space)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
                if headers.get("content-type", "").startswith("text/html"):
                    headers["Content-Security-Policy"] = self.policy
            await send(message)

        request = Request(scope)
        if not from_another_site(request):
            await self.app(scope, receive, send_with_headers)
        elif belongs_to_the_page(request):
            await refuse_other_sites()(scope, receive, send_with_headers)
        else:
            await self.app(scope if follows_link(request) else as_nobody(scope), receive, send_with_headers)


def belongs_to_the_page(request: Request) -> bool:
    """Whether no other site may send such a request: to the page's own endpoints, or to sign a visitor out."""
    path = request.scope["path"]
    return bool(LOGOUT.search(path) or (request.method == "POST" and OWN_ENDPOINTS.search(path)))
