"""Leads visitors back whose sign-in with Hugging Face does not work; Gradio's own routes fail over that."""

from __future__ import annotations

import logging

from starlette._utils import get_route_path
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.server.known_routes import LOGIN

LOG = logging.getLogger(__name__)
ANSWER = """\
<!doctype html><meta charset="utf-8"><title>Not signed in</title>
<p>Signing in or out did not work: it was cancelled, or Hugging Face cannot be reached at the moment.
<a href="{page}">Back to the page</a></p>
"""


class SignIn:
    """Middleware that answers in words where signing in or out fails, whatever the reason."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = get_route_path(scope) if scope["type"] == "http" else ""
        if path not in LOGIN:
            return await self.app(scope, receive, send)
        try:
            await self.app(scope, receive, send)
        except Exception as error:  # of the hub's answer, of the way there, or of what the address says
            LOG.warning("A visitor could not sign in or out (%s).", type(error).__name__)
            page = "../" * (path.count("/") - 1) or "./"
            await HTMLResponse(ANSWER.format(page=page), 400)(scope, receive, send)
