"""Identifying visitors: by login or by address, whatever the headers contain, and where a login is possible."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import gradio.routes
import pytest
from starlette.datastructures import Headers

from app import visitors
from app.faces.library import START_KEY
from app.faces.studio import Studio
from app.page import create_app
from app.settings import ROOT, Settings
from app.tabs.dock import server_functions
from app.visitors import address_of, profile_of, visitor_of
from ganime.drawing.recipe import Recipe
from tests.forking import in_process


def request(peer: str | None, *forwarded: str, username: str | None = None) -> SimpleNamespace:
    headers = Headers(raw=[(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded])
    client = SimpleNamespace(host=peer) if peer is not None else None
    return SimpleNamespace(client=client, headers=headers, username=username)


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, [], "10.0.0.1"),
        (0, ["203.0.113.9"], "10.0.0.1"),  # nobody stands before the page, so the client has written it
        (1, ["203.0.113.9"], "203.0.113.9"),
        (1, ["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        (1, ["6.6.6.6,,  ,6.6.6.7 , 203.0.113.9"], "203.0.113.9"),
        (1, ["6.6.6.6", "203.0.113.9"], "203.0.113.9"),  # the header twice
        (1, ["203.0.113.9, "], "203.0.113.9"),
        (1, [], "10.0.0.1"),
        (2, ["6.6.6.6, 203.0.113.9, 10.0.0.7"], "203.0.113.9"),
        (1, ["2001:db8:1:2:aaaa::1"], "2001:db8:1:2::/64"),
        (1, ["2001:db8:1:2:bbbb::2"], "2001:db8:1:2::/64"),  # one household
        (1, ["::ffff:203.0.113.9"], "203.0.113.9"),
        (1, ["<script>"], "<script>"),
    ],
)
def test_address_is_the_one_the_outermost_trusted_proxy_saw(proxies: int, forwarded: list[str], expected: str) -> None:
    assert address_of(request("10.0.0.1", *forwarded), proxies) == expected


def test_a_request_without_an_address_has_a_visitor() -> None:
    assert visitor_of(request(None), None, 0).identity == "address "


def test_a_login_identifies_a_visitor_at_any_address() -> None:
    profile = gr.OAuthProfile({"name": "M", "preferred_username": "mi", "profile": "", "picture": ""})
    found = [visitor_of(request(peer), profile, 0) for peer in ("10.0.0.1", "10.0.0.2")]
    assert found[0] == found[1]
    named = visitor_of(request("10.0.0.1", username="mi"), None, 0)
    assert all(visitor.signed_in for visitor in (*found, named))
    assert named.identity != found[0].identity
    assert not visitor_of(request("10.0.0.1"), None, 0).signed_in


@pytest.mark.parametrize(("seconds", "expected"), [(60, "mi"), (None, "mi"), (-60, None)])
def test_a_plain_request_is_signed_in_until_the_login_expires(seconds: int | None, expected: str | None) -> None:
    userinfo = {"name": "M", "preferred_username": "mi", "profile": "", "picture": ""}
    expires = None if seconds is None else time.time() + seconds
    scope = {"session": {"oauth_info": {"userinfo": userinfo, "expires_at": expires}}}
    profile = profile_of(SimpleNamespace(scope=scope))
    assert (profile.username if profile else None) == expected
    for nobody in ({}, {"session": {}}):
        assert profile_of(SimpleNamespace(scope=nobody)) is None


def request_with_login(peer: str, seconds: float | None) -> SimpleNamespace:
    """A request from an address, with a login that has so many seconds left; None for nobody's."""
    userinfo = {"name": "M", "preferred_username": "mi", "profile": "", "picture": ""}
    login = {} if seconds is None else {"oauth_info": {"userinfo": userinfo, "expires_at": time.time() + seconds}}
    return SimpleNamespace(**vars(request(peer)), scope={"session": login})


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(60, "Hugging Face user mi"), (-60, "address 10.0.0.1"), (None, "address 10.0.0.1")],
    ids=["login", "expired login", "no login"],
)
def test_who_asks_a_server_function_is_known_by_login_or_else_by_address(
    steered_studio: Studio, seconds: float | None, expected: str
) -> None:
    assert steered_studio.visitor(request_with_login("10.0.0.1", seconds)) == expected


def test_only_what_acts_on_the_hub_reads_the_token_of_a_login(steered_studio: Studio) -> None:
    read: list[str] = []

    class Login(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            read.append(key)
            return super().get(key, default)

    asking = request_with_login("10.0.0.1", 60)
    login = asking.scope["session"]["oauth_info"] = Login(asking.scope["session"]["oauth_info"])
    login |= {"access_token": "hf_secret", "scope": "openid contribute-repos"}
    assert steered_studio.visitor(asking) == "Hugging Face user mi"
    assert "access_token" not in read
    assert steered_studio.asker(asking).account.token == "hf_secret"


def test_a_film_that_a_login_has_begun_is_theirs_at_every_address(
    steered_studio: Studio, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steered_studio.work, "settle_seconds", 0.0)
    monkeypatch.setattr(steered_studio.work, "abandoned_seconds", 60.0)
    functions = {function.__name__: function for function in server_functions(steered_studio)}

    def begun(peer: str, seconds: float | None) -> dict[str, Any]:
        film = [START_KEY, [recipe.to_json(), recipe.to_json()], 20, True, "linear", 20, ".gif", 0]
        return asyncio.run(functions["film"](film, request_with_login(peer, seconds)))

    mine = begun("10.0.0.1", 60)
    assert "already have a film" in begun("10.0.0.2", 60)["error"]
    another = begun("10.0.0.1", None)
    for started in (mine, another):
        steered_studio.work.end(started["work"])
    assert steered_studio.work.works == {}


@pytest.mark.parametrize(("space", "expected"), [(None, 0), ("owner/space", 1)])
def test_one_proxy_is_trusted_on_a_space_and_none_elsewhere(
    space: str | None, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    if space:
        monkeypatch.setenv("SPACE_ID", space)
    assert Settings(home=tmp_path).proxies == expected


@pytest.mark.parametrize(
    ("space", "given", "expected"),
    [(None, None, "open"), ("owner/space", None, "login"), ("owner/space", "open", "open"), (None, "off", "off")],
)
def test_on_a_space_training_needs_a_login_unless_the_owner_changes_that(
    space: str | None, given: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("SPACE_ID", space), ("GANIME_TRAINING", given)):
        monkeypatch.delenv(name, raising=False)
        if value:
            monkeypatch.setenv(name, value)
    assert Settings(home=tmp_path).training == expected


def test_readme_asks_the_space_for_a_way_to_sign_in() -> None:
    _, front, _ = (ROOT / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert {"hf_oauth: true", "hf_oauth_scopes: [contribute-repos, jobs]"} <= set(front.splitlines())


def pages() -> list[tuple[int, bool, bool]]:
    """Of three pages: the number of sign-in buttons, whether there is said to be no way, whether the form is shown."""
    visitors.find_spec = lambda name: name  # what a Space has installed for this, and these tests have not
    gradio.routes.attach_oauth = lambda server: None
    os.environ |= {"SYSTEM": "spaces", "SPACE_ID": "owner/space"}
    found = []
    for training, oauth in (("login", "id"), ("login", ""), ("open", "id")):
        os.environ["OAUTH_CLIENT_ID"] = oauth
        blocks = create_app(Studio(Settings(training=training))).blocks.values()
        told = " ".join(block.value for block in blocks if isinstance(block, gr.Markdown))
        [form] = [block for block in blocks if block.elem_id == "train-form"]
        buttons = sum(isinstance(block, gr.LoginButton) for block in blocks)
        found.append((buttons, "no way to sign in" in told, form.visible))
    return found


@pytest.mark.slow
def test_the_sign_in_button_is_shown_where_a_login_is_needed_and_possible() -> None:
    assert in_process(pages) == [(1, False, False), (0, True, False), (0, False, True)]
