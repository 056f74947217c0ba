"""The header, in real Chromium: the menu of models, from the hub and from training jobs, and models that go."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.faces.studio import Studio
from app.settings import Settings
from app.static.runtime import find_runtime
from ganime.embedded import EMBEDDED
from ganime.errors import ConfigError
from tests.browser.conftest import DESKTOP, PATIENCE, is_complaint, is_outside, stand_in
from tests.browser.create_tab import alert, another_face, on_stage, press, status, this_face, visit
from tests.browser.test_static import GALLERY, assert_same, tiles
from tests.hub_server import HubServer

NAME = ".model-name"
DRAWN = re.compile(r"/ganime/(draw|roll|vary|steer|breed|between|mix)$")  # in the address of a request for faces
# How fast a machine is decides whether its browser draws. With this clock every one is fast.
SLOW_CLOCK = "const real = performance.now.bind(performance); performance.now = () => real() / 1000;"


def open_menu(page: Page) -> None:
    if page.locator(".models").get_attribute("open") is None:
        page.locator(".models > summary").click()
    expect(page.locator("#hub-name")).to_be_visible()


def load(page: Page, reference: str) -> None:
    open_menu(page)
    page.locator("#hub-name").fill(reference)
    page.locator("#hub-name").press("Enter")


def test_model_of_the_hub_draws_and_the_embedded_one_is_a_click_away(opened: Page, address: str) -> None:
    first = on_stage(opened)
    open_menu(opened)
    expect(opened.locator(".models .details")).to_contain_text(f"{EMBEDDED.name} · embedded")
    load(opened, "tester/tiny")
    expect(opened.locator(NAME)).to_have_text("tester/tiny")
    expect(opened.locator("#hub-name")).to_be_hidden()
    status(opened).to_contain_text("Now using the model tester/tiny")
    other = another_face(opened, first)
    assert "tester/tiny" in other
    expect(opened.locator(".gallery .mug canvas").first).to_have_js_property("width", 32)
    expect(opened.locator(".own-size")).to_have_text("32 px, exact")
    expect(opened.locator(".clarity")).to_be_disabled()
    expect(opened.locator(".swatches")).to_be_empty()
    visitor = opened.context.browser.new_page()  # type: ignore[union-attr]
    visitor.set_default_timeout(PATIENCE)
    visitor.goto(address)
    expect(visitor.locator(NAME)).to_have_text(EMBEDDED.name)  # one visitor's model is not another's
    visitor.close()
    open_menu(opened)
    opened.locator(".models .known button", has_text=EMBEDDED.name).click()
    expect(opened.locator(NAME)).to_have_text(EMBEDDED.name)
    again = another_face(opened, other)
    open_menu(opened)
    opened.locator(".models .known button", has_text="tester/tiny").click()  # it was in use before
    expect(opened.locator(NAME)).to_have_text("tester/tiny")
    another_face(opened, again)
    opened.keyboard.press("Control+z")
    expect(opened.locator(NAME)).to_have_text(EMBEDDED.name)


def test_wrong_name_and_a_hub_that_fails_are_told_at_the_field_and_the_model_stays(
    opened: Page, hub: HubServer
) -> None:
    first, error = on_stage(opened), opened.locator(".from-hub .field-error")
    told: list[str] = []
    for mode, reference in (
        ("ok", "nonsense"),
        ("ok", "tester/absent"),
        ("500", "tester/other"),
        ("401", "tester/secret"),
        ("slow", "tester/late"),
        ("ok", "<b>x</b>/<img src=x onerror=alert(1)>"),
        ("ok", " "),
    ):
        hub.mode = mode
        try:
            load(opened, reference)
            expect(error).not_to_have_text(told[-1] if told else "")
            expect(error).not_to_be_empty()
        finally:
            hub.mode = "ok"
        told.append(error.inner_text())
        expect(error).to_be_in_viewport()
        assert "Error" not in told[-1], told[-1]  # the words of no library
        assert error.locator("img, b").count() == 0
        expect(opened.locator(NAME)).to_have_text(EMBEDDED.name)
    this_face(opened, first)
    load(opened, "tester/tiny")
    expect(opened.locator(NAME)).to_have_text("tester/tiny")
    open_menu(opened)
    expect(error).to_be_empty()
    notes = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no model\n"}
    opened.locator(".model-file").set_input_files([notes])  # type: ignore[list-item]
    expect(opened.locator(".other-error")).to_contain_text("notes.txt is a text file")  # not at the hub's field
    expect(opened.locator(".other-error")).not_to_contain_text("docs/")
    expect(error).to_be_empty()


def test_model_trained_here_opens_for_those_with_its_key_and_falls_back_when_it_is_deleted(
    opened: Page, address: str, trained: tuple[Path, str]
) -> None:
    _, job = trained
    opened.context.grant_permissions(["clipboard-read", "clipboard-write"])
    first = on_stage(opened)
    opened.evaluate("key => localStorage.setItem('ganime-jobs', JSON.stringify([{ key }]))", job)
    open_menu(opened)
    opened.locator(".models .known button", has_text="<b>mine</b>").click()
    expect(opened.locator(NAME)).to_have_text("<b>mine</b>")
    face = another_face(opened, first)
    press(opened, "share")
    status(opened).to_contain_text("opens only in this browser")
    copied = opened.evaluate("navigator.clipboard.readText()")
    assert job.partition(".")[2] not in copied + opened.url
    visit(opened, copied)
    opened.get_by_role("button", name="Load <b>mine</b>").click()
    this_face(opened, face)
    gone = {"error": "This training job was deleted.", "missing": True}
    opened.route("**/ganime/*", lambda route: route.fulfill(status=404, json=gone))
    with opened.expect_response(lambda response: response.status == 404):
        press(opened, "dice")
    opened.unroute("**/ganime/*")
    expect(opened.locator(NAME)).to_have_text(EMBEDDED.name)
    alert(opened).to_contain_text(f"back to {EMBEDDED.name}")
    expect(opened.locator("#dock .alert")).to_be_in_viewport()
    another_face(opened, face)
    opened.evaluate("localStorage.clear()")
    visit(opened, copied)
    alert(opened).to_contain_text("drawn by <b>mine</b>")
    expect(opened.locator("#dock .offer")).to_be_hidden()


def test_menu_stays_open_while_a_model_is_loading_and_closes_at_a_click_elsewhere(opened: Page) -> None:
    stand_in(opened, hub_model={"error": "There is no such model."})
    open_menu(opened)
    opened.locator("h1").click()
    expect(opened.locator("#hub-name")).to_be_hidden()
    load(opened, "owner/name")
    expect(opened.locator(".from-hub .field-error")).to_have_text("There is no such model.")
    opened.locator("#hub-name").press("z")  # writes, and undoes nothing
    expect(opened.locator("#hub-name")).to_have_value("owner/namez")


def test_the_browser_draws_the_faces_of_the_start_model_once_it_has_passed_a_trial(
    browser: Browser, address: str, tmp_path: Path
) -> None:
    try:
        find_runtime()
    except ConfigError as error:
        pytest.skip(str(error))
    asked: list[str] = []
    complaints: list[str] = []
    page = browser.new_page(viewport=DESKTOP, reduced_motion="reduce")  # type: ignore[arg-type]
    page.add_init_script(SLOW_CLOCK)
    page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
    page.on("request", lambda request: complaints.append(request.url) if is_outside(request.url) else None)
    page.on("request", lambda request: asked.append(request.url) if DRAWN.search(request.url) else None)
    visit(page, address)
    expect(page.locator(GALLERY)).to_have_count(16)
    here = page.locator("#header .here")
    expect(here).to_be_hidden()
    for _ in range(3):
        dice(page)
    expect(here).to_be_visible(timeout=120_000)
    asked.clear()
    for _ in range(10):
        dice(page)
    page.click('[data-swatch="blue_hair"]')
    expect(page.locator(".now")).to_have_attribute("data-recipe", re.compile("vector"))
    first = page.locator(GALLERY).first.get_attribute("data-recipe") or ""
    press(page, "roll")
    expect(page.locator(GALLERY).first).not_to_have_attribute("data-recipe", first)
    assert asked == []
    assert_same(Studio(Settings(home=tmp_path, training="off")).open("embedded"), tiles(page, GALLERY))
    load(page, "tester/tiny")  # which the server draws
    expect(here).to_be_hidden()
    expect(page.locator(f"{GALLERY} canvas").first).to_have_js_property("width", 32)
    assert asked
    assert complaints == []
    page.close()


def dice(page: Page) -> None:
    before = on_stage(page)
    press(page, "dice")
    another_face(page, before)
