"""Identify visitors: by the name they signed in with, otherwise by the address they come from."""

from __future__ import annotations

import ipaddress
import os
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import gradio as gr
from gradio.utils import get_space

NETWORK_BITS = 64  # of an IPv6 address: a household chooses the remaining bits freely


WRITING_SCOPES = {"contribute-repos", "write-repos", "manage-repos"}  # of a login that may create a repository
JOBS_SCOPE = "jobs"  # of a login that may run jobs


@dataclass(frozen=True)
class Account:
    """An account on the hub.

    name: of the user, "" for nobody.
    token: of a login that may publish, "" for none. It must never be stored, logged or sent to the browser.
    jobs_token: the same of a login that may run jobs, too.
    expires: seconds since 1970 at which the token ends, None if that is unknown.
    """

    name: str = ""
    token: str = field(default="", repr=False)
    jobs_token: str = field(default="", repr=False)
    expires: float | None = None


@dataclass(frozen=True)
class Visitor:
    """A visitor. identity: differs between visitors, and contains the login or the address."""

    identity: str
    signed_in: bool = False


@dataclass(frozen=True)
class Asker:
    """Who asks for something on the hub, and the account that they have signed in with there."""

    visitor: Visitor
    account: Account


def visitor_of(request: Any, profile: gr.OAuthProfile | None, proxies: int) -> Visitor:
    """Return the visitor who sent a request. `proxies`: see `address_of`."""
    if name := getattr(request, "username", None):
        return Visitor(f"user {name}", signed_in=True)
    if profile:
        return Visitor(f"Hugging Face user {profile.username}", signed_in=True)
    return Visitor(f"address {address_of(request, proxies)}")


def profile_of(request: Any) -> gr.OAuthProfile | None:
    """Return the profile in the session of a plain request; Gradio passes it to its event handlers by itself."""
    login = login_of(request)
    return gr.OAuthProfile(login["userinfo"]) if login else None


def account_of(request: Any) -> Account:
    """Return the account on the hub that the visitor behind a request has signed in with."""
    login = login_of(request) or {}
    profile = login.get("userinfo") or {}
    scopes = set(str(login.get("scope") or "").split())
    token = str(login.get("access_token") or "") if WRITING_SCOPES & scopes else ""
    name = str(profile.get("preferred_username") or "")
    return Account(name, token, token if JOBS_SCOPE in scopes else "", login.get("expires_at"))


def login_of(request: Any) -> dict[str, Any] | None:
    """Return what the session of a request knows of the visitor's login; None for nobody, and after it expired."""
    request = getattr(request, "request", None) or request
    login = request.scope.get("session", {}).get("oauth_info") if request else None
    expires = login.get("expires_at") if login else None
    return None if expires is not None and expires < time.time() else login or None


def address_of(request: Any, proxies: int) -> str:
    """Return the address that the outermost of `proxies` trusted proxies saw; for IPv6, its /64 network.

    Each proxy appends the address of its client to X-Forwarded-For. Entries further left can be forged by the client,
    and without proxies the whole header can be.
    """
    request = getattr(request, "request", None) or request
    hops: list[str] = []
    if proxies:
        entries = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
        hops = [entry.strip() for entry in entries if entry.strip()]
    hops.append(request.client.host if request.client else "")
    return network_of(hops[max(0, len(hops) - 1 - proxies)])


def network_of(address: str) -> str:
    """Return the address; for IPv6, its /64 network."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # not an address, but its text still distinguishes visitors
        return address
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    if parsed.version == 6:
        return str(ipaddress.ip_network((int(parsed), NETWORK_BITS), strict=False))
    return str(parsed)


def sign_in_works() -> bool:
    """Return whether visitors can sign in with Hugging Face: on a Space whose README sets `hf_oauth: true`."""
    installed = find_spec("authlib") and find_spec("itsdangerous")  # a Space installs both with Gradio
    return bool(get_space() and os.environ.get("OAUTH_CLIENT_ID") and installed)
