"""Who asks: by the name they have signed in with, or else by the address they come from."""

from __future__ import annotations

import ipaddress
import os
import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import gradio as gr
from gradio.utils import get_space

NETWORK_BITS = 64  # of an IPv6 address; the rest a household chooses as it likes


@dataclass(frozen=True)
class Visitor:
    """Who asks: what tells visitors apart, such as an address or a login; whether they have signed in."""

    identity: str
    signed_in: bool = False


def identity_of(request: Any, proxies: int) -> str:
    """What tells the visitor behind a request from others; empty for a request that is not known."""
    return visitor_of(request, None, proxies).identity if request else ""


def visitor_of(request: Any, profile: gr.OAuthProfile | None, proxies: int) -> Visitor:
    """The visitor behind a request. proxies: as for `address_of`."""
    if name := getattr(request, "username", None):
        return Visitor(f"user {name}", signed_in=True)
    if profile:
        return Visitor(f"Hugging Face user {profile.username}", signed_in=True)
    return Visitor(f"address {address_of(request, proxies)}")


def profile_of(request: Any) -> gr.OAuthProfile | None:
    """Who has signed in, by the session of a plain request; handlers of events are given it by Gradio."""
    found = request.scope.get("session", {}).get("oauth_info")
    expires = found.get("expires_at") if found else None
    over = expires is not None and expires < time.time()
    return gr.OAuthProfile(found["userinfo"]) if found and not over else None


def address_of(request: Any, proxies: int) -> str:
    """The address that the outermost of `proxies` trusted proxies has seen, the network of it for IPv6.

    Each proxy adds the address it was asked from to the right of X-Forwarded-For; what stands further left, anyone can
    have written there. Without proxies the header counts for nothing.
    """
    request = getattr(request, "request", None) or request
    told = ",".join(request.headers.getlist("x-forwarded-for")).split(",") if proxies else []
    hops = [hop for hop in (text.strip() for text in told) if hop]
    hops.append(request.client.host if request.client else "")
    address = hops[max(0, len(hops) - 1 - proxies)]
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # none that is known; told apart by its text even so
        return address
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return str(ipaddress.ip_network((int(parsed), NETWORK_BITS), strict=False) if parsed.version == 6 else parsed)


def sign_in_works() -> bool:
    """Whether Hugging Face lets visitors of this page sign in: on a Space with `hf_oauth: true` in its README."""
    installed = find_spec("authlib") and find_spec("itsdangerous")  # with Gradio itself, on a Space
    return bool(get_space() and os.environ.get("OAUTH_CLIENT_ID") and installed)
