"""The names that the page answers to.

A page of another site can have its own name lead to this machine (DNS rebinding); a visitor's browser then takes both
for the same site. A page that is served to its own machine therefore answers only to that machine's names.
"""

from __future__ import annotations

import ipaddress
import os
import re

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from app.settings import Settings

NAME_AND_PORT = re.compile(r"(?P<name>[\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?", re.ASCII)
LOOPBACK = ("", "127.0.0.1", "localhost", "::1", "[::1]")  # as GRADIO_SERVER_NAME


def serves_only_this_machine(settings: Settings) -> bool:
    """Whether only browsers on this machine reach the page, and no proxy passes requests on to it."""
    behind_a_proxy = settings.proxies or os.environ.get("GRADIO_ROOT_PATH")
    return os.environ.get("GRADIO_SERVER_NAME", "") in LOOPBACK and not behind_a_proxy


def refusal_of_host(request: Request, local: bool) -> Response | None:
    """The response to a request for a name that is none, or none of this machine's if `local`; None for all others."""
    forwarded = [host.strip() for host in request.headers.get("x-forwarded-host", "").split(",")]
    hosts = [request.headers.get("host", ""), *filter(None, forwarded)]
    if "x-gradio-server" in request.headers:  # which Gradio would take for the address of the page
        return PlainTextResponse("This page knows its address; leave out X-Gradio-Server.", 400)
    names = [NAME_AND_PORT.fullmatch(host) for host in hosts]
    if not all(names):
        return PlainTextResponse("Host and X-Forwarded-Host are names or addresses, such as example.org:7860.", 400)
    if local and names[0] and not is_of_this_machine(names[0]["name"]):
        text = (
            "This page is served to its own machine only: open it at http://127.0.0.1, with its port. Behind a proxy, "
            "set GANIME_PROXIES."
        )
        return PlainTextResponse(text, 421)
    return None


def is_of_this_machine(name: str) -> bool:
    """Whether a name is localhost or an address; no site can have an address lead elsewhere."""
    name = name.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
