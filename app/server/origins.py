"""Which requests come from pages of other sites; the page's own endpoints refuse them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

OWN_SITES = ("same-origin", "none")  # none: the visitor's own doing, such as an address that was typed


def from_another_site(request: Request) -> bool:
    """Whether the script of a page of another site has a visitor's browser send this request.

    Browsers state that in Sec-Fetch-Site (on https and localhost) and Origin, which scripts cannot change. Programs
    other than browsers send neither. Behind a proxy that changes Host, X-Forwarded-Host names the page.
    """
    if site := request.headers.get("sec-fetch-site"):
        return site not in OWN_SITES
    origin = request.headers.get("origin")
    if origin is None:
        return False
    forwarded = request.headers.get("x-forwarded-host", "").split(",")
    hosts = [host.strip().lower() for host in (request.headers.get("host", ""), *forwarded)]
    return origin.lower().partition("://")[2] not in filter(None, hosts)


def refuse_other_sites() -> Response:
    """The answer to such a request."""
    return PlainTextResponse("This address answers only to the page itself, not to pages of other sites.", 403)
