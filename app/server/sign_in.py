"""Leads visitors back whose sign-in with Hugging Face does not work; Gradio's own routes fail over that."""

from __future__ import annotations

import logging

from starlette._utils import get_route_path
from starlette.datastructures import QueryParams
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.server.known_routes import LOGIN

LOG = logging.getLogger(__name__)
PLACE = "#tab=Train"  # where visitors sign in


class SignIn:
    """Middleware that leads back to the page, which says so, where signing in or out fails, whatever the reason."""

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
            how = "cancelled" if QueryParams(scope["query_string"]).get("error") == "access_denied" else "failed"
            await RedirectResponse(f"{page}?sign-in={how}{PLACE}", 303)(scope, receive, send)
