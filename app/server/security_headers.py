"""Headers that limit what browsers do with the page's answers, and who may send requests to its own endpoints."""

from __future__ import annotations

import os
import re

from gradio.route_utils import API_PREFIX
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.server.origins import from_another_site, refuse_other_sites
from app.server.request_limits import UPLOAD_PATH

HUB = "https://huggingface.co"  # shows a Space in a frame, signs its visitors in and says whether it runs
# What the page's own JavaScript calls. Gradio's public endpoints may be called from other sites; they hold no secrets.
OWN_ENDPOINTS = re.compile(rf"({API_PREFIX}/component_server|{UPLOAD_PATH})/?$|/ganime/\w+$")


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
    """Middleware that adds the headers to every answer, and refuses other sites the page's own endpoints."""

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
        if request.method == "POST" and OWN_ENDPOINTS.search(scope["path"]) and from_another_site(request):
            await refuse_other_sites()(scope, receive, send_with_headers)
        else:
            await self.app(scope, receive, send_with_headers)
