"""Whole journeys on the page, in real Chromium: a newcomer's in twelve clicks, and one by the keyboard alone."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from ganime.drawing.clarity import DEFAULT_CLARITY
from ganime.drawing.recipe import Recipe
from tests.browser.conftest import DESKTOP
from tests.browser.create_tab import alert, another_face, on_stage, status, this_face, visit

# Counts what a visitor clicks on.
CLICKS = "addEventListener('click', (event) => { window.clicks = (window.clicks || 0) + event.isTrusted; }, true)"


def test_newcomer_comes_from_opening_to_a_shared_film_in_twelve_clicks(
    page: Page, address: str, complaints: list[str]
) -> None:
    """Open, find a face with blue hair and a smile, make it clearer, keep it, make a second one, morph, save, share."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.emulate_media(reduced_motion="reduce")
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    page.add_init_script(CLICKS)
    visit(page, address)
    page.locator('[data-chip="blue_hair"]').click()
    page.locator('[data-chip="smile"]').click()
    page.locator('[data-do="find"]').click()
    expect(page.locator(".gallery .mug")).to_have_count(8, timeout=120_000)
    found = page.locator(".gallery .mug").first.get_attribute("data-recipe") or ""
    page.locator(".gallery .mug").first.click()
    this_face(page, found)
    page.locator(".clarity").click(position={"x": page.locator(".clarity").bounding_box()["width"] - 3, "y": 12})  # type: ignore[index]
    clearer = Recipe.from_json(another_face(page, found))
    assert clearer.clarity > DEFAULT_CLARITY
    page.locator('#create [data-do="keep"]').click()
    expect(page.locator(".variations .mug")).to_have_count(8)
    page.locator(".variations .tile").first.hover()
    page.locator(".variations .heart").first.click()
    expect(page.locator(".favourites .mug")).to_have_count(2)
    page.locator('#dock [data-do="film"]').click()
    expect(page.get_by_role("button", name=re.compile("of the film: "))).to_have_count(2)
    with page.expect_download(timeout=120_000) as waiting:
        page.locator('#interpolate [data-do="save"].save').click()
    assert Path(waiting.value.path()).stat().st_size > 10_000
    page.locator("#interpolate .main summary").click()
    page.locator('#interpolate [data-do="link"]').click()
    status(page).to_contain_text("Link copied")
    assert page.evaluate("window.clicks") <= 12
    shared = page.evaluate("navigator.clipboard.readText()")
    page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.goto("about:blank")
    page.goto(shared)
    expect(page.get_by_role("button", name=re.compile("of the film: "))).to_have_count(2)
    expect(page.locator(".screen")).to_be_visible()
    alert(page).to_be_hidden()


def test_keyboard_alone_leads_from_opening_to_a_saved_face(page: Page, address: str, complaints: list[str]) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    visit(page, address)
    first = on_stage(page)

    def tab_to(selector: str) -> None:
        for _ in range(80):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none", selector  # the focus can be seen
                return
        raise AssertionError(f"Tab does not come to {selector}")

    tab_to('[data-do="dice"]')
    page.keyboard.press("Enter")
    rolled = another_face(page, first)
    tab_to('[data-swatch="blue_hair"]')
    page.keyboard.press("Space")
    blue = another_face(page, rolled)
    tab_to('[data-steer="smile"]')
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    another_face(page, blue)
    expect(page.locator('[data-steer="smile"]')).to_have_value("0.5")
    page.keyboard.press("k")
    expect(page.locator(".favourites .mug")).to_have_count(1)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.evaluate("document.querySelector('.header summary').focus()")
    tab_to("#create .main summary")
    page.keyboard.press("Enter")
    tab_to('[data-do="save"][data-size="0"]')
    page.keyboard.press("Escape")
    expect(page.locator("#create .main .menu-list")).to_be_hidden()
    expect(page.locator("#create .main summary")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to('[data-do="save"][data-size="0"]')
    with page.expect_download() as waiting:
        page.keyboard.press("Enter")
    saved = Image.open(io.BytesIO(Path(waiting.value.path()).read_bytes()))
    assert json.loads(saved.info["ganime"])["vector"] == json.loads(on_stage(page))["vector"]
    expect(page.locator("#create .main summary")).to_be_focused()  # the menu has closed, the focus is not lost
    page.locator('[data-do="undo"]').focus()
    while page.locator('[data-do="undo"]').is_enabled():
        page.keyboard.press("Enter")
        page.wait_for_timeout(100)
    expect(page.locator('[data-do="redo"]')).to_be_focused()
    this_face(page, first)
