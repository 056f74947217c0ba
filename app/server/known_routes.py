"""The addresses that the page answers at: its own, and those of Gradio's that it and its clients need.

Gradio has many others: for its developers, for components that the page does not have, for logins with a password.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gradio.route_utils import API_PREFIX
from starlette._utils import get_route_path
from starlette.responses import PlainTextResponse
from starlette.routing import Route, compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

PAGE = ("/", "/config", "/theme.css", "/assets/{path:path}", "/static/{path:path}")
API = (
    "info",
    "queue/join",
    "queue/data",
    "run/{name}",  # of an event that does not wait in the queue
    "call/{name}",
    "call/{name}/{event}",
    "call/v2/{name}",
    "call/v2/{name}/{event}",
    "cancel",
    "reset",
    "component_server",
    "heartbeat/{session}",
    "file={path:path}",
    "startup-events",  # Gradio itself asks for it when it starts, and gives up without an answer
)
LOGIN = ("/login/huggingface", "/login/callback", "/logout")
TOOLS = (f"{API_PREFIX}/mcp", f"{API_PREFIX}/mcp/{{path:path}}")


class KnownRoutes:
    """Middleware that finds nothing at any other address.

    own: routes of the page beside Gradio's
    login: whether visitors can sign in with Hugging Face
    tools: whether the page offers tools, see mcp_tools.py
    """

    def __init__(self, app: ASGIApp, own: Sequence[Route] = (), login: bool = False, tools: bool = False) -> None:
        self.app = app
        templates = [*(route.path for route in own), *PAGE, *(f"{API_PREFIX}/{path}" for path in API)]
        templates += [*(LOGIN if login else ()), *(TOOLS if tools else ())]
        self.known = [pattern(template) for template in templates]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = get_route_path(scope) or "/" if scope["type"] == "http" else "/"
        if any(known.fullmatch(path) for known in self.known):
            await self.app(scope, receive, send)
        else:
            await PlainTextResponse("This page does not offer that.", 404)(scope, receive, send)


def pattern(template: str) -> re.Pattern[str]:
    """What matches the paths of a route, also with a slash at their end, from which Gradio leads to those without."""
    return re.compile(compile_path(template)[0].pattern.removesuffix("$") + ("/?" if template != "/" else ""))
