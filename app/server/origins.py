"""Requests of pages of other sites: which they are, and that they are handled as those of nobody, or refused."""

from __future__ import annotations

from typing import Any

from gradio.route_utils import CustomCORSMiddleware
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Scope

OWN_SITES = ("same-origin", "none")  # none: the visitor's own doing, such as an address that was typed
PROXY = "x-forwarded-"  # the beginning of headers that proxies write
ALLOWED = "Access-Control-Allow-Headers"  # which a script of another site may write
CREDENTIALS = "Access-Control-Allow-Credentials"  # lets a page of another site send cookies, and read the answer


class NoCredentials(CustomCORSMiddleware):
    """Stands in for Gradio's middleware, which has browsers send visitors' cookies along from any other site."""

    def __init__(self, app: ASGIApp, **options: Any) -> None:
        super().__init__(app, **options)
        for headers in (self.simple_headers, self.preflight_headers):
            del headers[CREDENTIALS]

    def preflight_response(self, request_headers: Headers) -> Response:
        """Allow a script of another site no header that proxies write, such as the one that names the page."""
        response = super().preflight_response(request_headers)
        wanted = response.headers.get(ALLOWED, "").split(",")
        response.headers[ALLOWED] = ",".join(name for name in wanted if not name.strip().lower().startswith(PROXY))
        return response


def from_another_site(request: Request) -> bool:
    """Whether the script of a page of another site has a visitor's browser send this request.

    Browsers state that in Sec-Fetch-Site (on https and localhost) and Origin, which scripts cannot change. Programs
    other than browsers send neither. Behind a proxy that changes Host, X-Forwarded-Host names the page; scripts of
    other sites may not send it, see `NoCredentials`.
    """
    if site := request.headers.get("sec-fetch-site"):
        return site not in OWN_SITES
    origin = request.headers.get("origin")
    if origin is None:
        return False
    forwarded = request.headers.get("x-forwarded-host", "").split(",")
    hosts = [host.strip().lower() for host in (request.headers.get("host", ""), *forwarded)]
    return origin.lower().partition("://")[2] not in filter(None, hosts)


def follows_link(request: Request) -> bool:
    """Whether a visitor is led to an address, also by a link of another site, which cannot read what is there."""
    return request.method == "GET" and request.headers.get("sec-fetch-mode") == "navigate"


def as_nobody(scope: Scope) -> Scope:
    """A request without the cookies, and without the login that was read from them."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"cookie"]
    return {**scope, "headers": headers} | ({"session": {}} if "session" in scope else {})


def refuse_other_sites() -> Response:
    """The answer to a request for what belongs to the page alone."""
    return PlainTextResponse("This address answers only to the page itself, not to pages of other sites.", 403)
