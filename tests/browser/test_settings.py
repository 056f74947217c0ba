"""Pages with other settings, in real Chromium: training switched off or for those signed in, a start model missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ganime.embedded import EMBEDDED
from tests.browser.create_tab import alert
from tests.browser.train_tab import PATIENCE, open_tab
from tests.page_server import serve

SIGNED_BY_COOKIE = """
import runpy, sys
import app.tabs.train
from app.visitors import Visitor
app.tabs.train.visitor_of = lambda request, *_: Visitor("somebody", signed_in="signed" in request.cookies)
sys.argv[1:] = []
runpy.run_module("app", run_name="__main__")
"""


@pytest.fixture(scope="module")
def login_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The home and the address of a page that asks for a login to train, and whose start model is nowhere."""
    home = tmp_path_factory.mktemp("login")
    variables = {"GANIME_MODEL": "tester/absent", "HF_ENDPOINT": "http://127.0.0.1:9", "GANIME_TRAINING": "login"}
    with serve(home, command=("-c", SIGNED_BY_COOKIE), **variables) as url:
        yield home, url


def test_where_training_is_off_the_tab_says_so_and_no_upload_is_let_in(page: Page, steered_address: str) -> None:
    page.goto(steered_address)
    page.get_by_role("tab", name="Train").click()
    expect(page.get_by_text("has switched training off")).to_be_visible()
    expect(page.get_by_text("python -m ganime train my-faces/")).to_be_visible()
    answer = page.request.post(
        f"{steered_address}/gradio_api/upload",
        multipart={"files": {"name": "big.bin", "mimeType": "application/octet-stream", "buffer": b"0" * 5_000}},
    )
    assert answer.status == 403
    assert "GANIME_TRAINING=off" in answer.text()


def test_where_a_login_is_needed_the_form_is_for_those_who_have_signed_in(
    page: Page, login_site: tuple[Path, str]
) -> None:
    home, url = login_site
    page.goto(url)
    page.get_by_role("tab", name="Train").click()
    expect(page.get_by_text("who are signed in may train on this page. There is no way")).to_be_visible()
    expect(page.get_by_text("hf_oauth: true")).to_be_visible()
    expect(page.get_by_text("GANIME_TRAINING=open")).to_be_visible()
    page.wait_for_selector(".tile", state="attached", timeout=PATIENCE)  # all that comes with the page is here
    expect(page.locator("#start-training")).to_be_hidden()
    assert page.locator("#faces-files input").count() == 0
    answer = page.request.post(
        f"{url}/gradio_api/upload",
        multipart={"files": {"name": "faces.zip", "mimeType": "application/zip", "buffer": b"0" * 5_000}},
    )
    assert (answer.status, "(GANIME_TRAINING=login)" in answer.text()) == (403, True)
    assert not list((home / "gradio").rglob("*.zip"))
    page.context.add_cookies([{"name": "signed", "value": "in", "url": url}])
    open_tab(page, url)
    expect(page.locator("#faces-files")).to_be_visible()
    page.locator("#start-training").click()
    expect(page.locator("#refusal .alert")).to_contain_text("no faces to train on yet")


def test_start_model_that_cannot_be_had_leaves_the_embedded_one_and_says_so(
    page: Page, login_site: tuple[Path, str]
) -> None:
    page.goto(login_site[1])
    alert(page).to_contain_text("tester/absent could not be loaded")
    expect(page.locator("#dock .alert")).to_be_in_viewport()
    expect(page.locator(".model-name")).to_have_text(EMBEDDED.name)
    expect(page.locator(".gallery .mug")).to_have_count(16)


def test_who_has_cancelled_a_sign_in_is_told_so_where_they_began_it_and_once(
    page: Page, login_site: tuple[Path, str]
) -> None:
    page.goto(f"{login_site[1]}?sign-in=cancelled#tab=Train")
    alert(page).to_have_text("You are not signed in: signing in was cancelled.")
    expect(page.get_by_role("tab", name="Train")).to_have_attribute("aria-selected", "true")
    expect(page).not_to_have_url(re.compile("sign-in"))
