"""Links and addresses, in real Chromium: faces and trays that they open, and the place to which a reload returns."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page, expect

from ganime.config import ModelConfig
from ganime.embedded import EMBEDDED
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ganime.nets.dcgan import Generator
from tests.browser.create_tab import (
    alert,
    another_face,
    choose_tool,
    in_address,
    link,
    on_stage,
    press,
    recipe,
    seeds,
    status,
    this_face,
    visit,
)
from tests.hub_server import HubServer


def test_copied_link_opens_the_same_face_and_reload_and_back_return_to_where_one_was(
    create: Page, steered_address: str
) -> None:
    create.context.grant_permissions(["clipboard-read", "clipboard-write"])
    seven = on_stage(create)
    press(create, "share")
    status(create).to_contain_text("Link copied. Anyone")
    copied = create.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"{steered_address}/?face=")
    press(create, "dice")
    another_face(create, seven)
    visit(create, copied)
    this_face(create, seven)
    create.locator('[data-steer="smile"]').fill("2")
    smiling = another_face(create, seven)
    choose_tool(create, "mix")
    create.locator(".seed").fill("77")
    create.locator(".seed").press("Enter")
    create.get_by_role("tab", name="Interpolate").click()
    create.wait_for_function("location.hash.includes('tab=Interpolate') && location.hash.includes('seed=77')")
    assert "?face" not in create.url  # the address names where one is, not where one came from
    create.reload()
    expect(create.get_by_role("tab", name="Interpolate")).to_have_attribute("aria-selected", "true")
    create.get_by_role("tab", name="Create").click()
    this_face(create, smiling)
    expect(create.locator('[data-panel="mix"]')).to_be_visible()
    expect(create.locator(".gallery .mug").first).to_be_visible()
    assert seeds(create, ".gallery")[0] == 77
    choose_tool(create, "sliders")
    expect(create.locator('[data-steer="smile"]')).to_have_value("2")
    press(create, "reset")
    this_face(create, seven)  # the sliders know where they began
    in_address(create, seven)
    create.go_back()
    expect(create.get_by_role("tab", name="Interpolate")).to_have_attribute("aria-selected", "true")
    create.go_forward()
    expect(create.get_by_role("tab", name="Create")).to_have_attribute("aria-selected", "true")
    this_face(create, seven)


def test_link_or_recipe_that_cannot_be_copied_stands_in_a_field_until_the_visitor_has_taken_it(create: Page) -> None:
    create.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(); }")
    press(create, "share")
    field = create.locator("#dock .address")
    expect(field).to_have_value(re.compile(r"/\?face="))
    expect(field).to_be_focused()
    assert create.evaluate("getSelection().toString()") == field.input_value()
    create.locator("#create h2").first.click()
    expect(field).to_be_hidden()
    status(create).to_be_hidden()
    create.locator(".made-by").click()
    press(create, "copy-recipe")
    recipe = create.locator(".about .address")
    expect(recipe).to_have_value(on_stage(create))
    expect(recipe).to_be_focused()
    expect(recipe).to_be_in_viewport(ratio=1)
    create.locator("#create h2").first.click()
    expect(recipe).to_be_hidden()


def test_link_or_address_with_nonsense_is_refused_in_words_and_leaves_a_page_that_works(
    page: Page, steered_address: str, revision: str, complaints: list[str]
) -> None:
    for query in ("face=%7B%22seed%22%3A1", "tray=[", "tray=%22x%22", "face=%00%FF"):
        visit(page, f"{steered_address}/?{query}")
        alert(page).to_contain_text("his link")
        expect(page.locator("#dock .alert")).to_be_in_viewport()
        expect(page.locator(".favourites .mug")).to_have_count(0)
    face = quote(json.dumps(recipe(revision, 9) | {"truncation": 99}))
    evil = quote("<img src=x onerror=alert(1)>")
    page.goto("about:blank")
    visit(page, f"{steered_address}/#face={face}&tool={evil}&tab={evil}&seed=-1&count=9999&amounts=%5B1%5D")
    expect(page.locator(".gallery .mug")).to_have_count(16)
    expect(page.locator('[data-panel="sliders"]')).to_be_visible()
    before = on_stage(page)
    press(page, "dice")
    another_face(page, before)


def test_names_in_a_link_stay_text(page: Page, steered_address: str, complaints: list[str]) -> None:
    evil = "<img src=x onerror=alert(1)>"
    visit(page, link(steered_address, face=recipe("0" * 12, 5, evil), tray=[recipe("0" * 12, 6, evil)]))
    alert(page).to_contain_text(evil)
    expect(page.locator(".favourites .undrawn")).to_contain_text(evil)
    expect(page.locator("img[src='x']")).to_have_count(0)
    expect(page.locator("#dock .offer")).to_be_hidden()
    page.locator(".favourites .mug").click()
    alert(page).to_contain_text(f"{evil} with the weights {'0' * 12} is not available")
    expect(page.locator("img[src='x']")).to_have_count(0)


def test_face_of_another_model_offers_to_load_it_and_undo_leads_back_across_models(
    page: Page, steered_address: str, hub: HubServer, tiny_config: ModelConfig, complaints: list[str], tmp_path: Path
) -> None:
    save_checkpoint(Checkpoint(Generator(tiny_config).eval(), name="mine"), tmp_path / "mine")
    hub.add_model("tester/mine", tmp_path / "mine")
    visit(page, link(steered_address, face=recipe(load_checkpoint(tmp_path / "mine").revision, 5, "tester/mine")))
    alert(page).to_contain_text("drawn by tester/mine")
    of_tiny = on_stage(page)
    page.get_by_role("button", name="Load tester/mine").click()
    expect(page.locator(".model-name")).to_have_text("tester/mine")
    expect(page.locator(".made-by")).to_contain_text("Seed 5")
    expect(page.locator("#dock .offer")).to_be_hidden()
    of_mine = on_stage(page)
    expect(page.locator('[data-steer="smile"]')).to_have_count(0)
    press(page, "undo")
    this_face(page, of_tiny)
    expect(page.locator(".model-name")).to_have_text("tiny")
    expect(page.locator('[data-steer="smile"]')).to_have_count(1)
    expect(page.locator(".variations .mug")).to_have_count(8)
    press(page, "redo")
    this_face(page, of_mine)
    expect(page.locator(".model-name")).to_have_text("tester/mine")
    page.get_by_role("tab", name="Interpolate").click()
    page.keyboard.press("Control+z")
    this_face(page, of_tiny)
    in_address(page, of_tiny)
    page.go_back()  # to the face that was there, and its model
    this_face(page, of_mine)
    expect(page.locator(".model-name")).to_have_text("tester/mine")
    press(page, "keep")
    in_address(page, of_mine)
    page.reload()  # the model is loaded again for the face in the address
    this_face(page, of_mine)
    embedded = load_checkpoint(EMBEDDED)
    visit(page, link(steered_address, face=recipe(embedded.revision, 5, embedded.name)))
    page.get_by_role("button", name=f"Load {embedded.name}").click()
    expect(page.locator(".model-name")).to_have_text(embedded.name)
    expect(page.locator(".made-by")).to_contain_text("Seed 5")
    alert(page).to_be_hidden()
    page.locator(".favourites .undrawn").click()  # a kept face brings its model along
    this_face(page, of_mine)
    expect(page.locator(".model-name")).to_have_text("tester/mine")
    alert(page).to_be_hidden()


def test_link_to_weights_that_are_gone_says_so_and_leaves_all_as_it_was(
    page: Page, steered_address: str, hub: HubServer, revision: str, complaints: list[str]
) -> None:
    for name, words in (("tester/tiny", "other weights by now"), ("tester/absent", "tester/absent")):
        visit(page, link(steered_address, face=recipe("0" * 12, 5, name), tray=[recipe(revision, 3)]))
        alert(page).to_contain_text(f"drawn by {name}")
        before = on_stage(page)
        page.get_by_role("button", name=f"Load {name}").click()
        alert(page).not_to_contain_text("drawn by tester")
        alert(page).to_contain_text(words)
        expect(page.locator("#create .window")).to_have_attribute("aria-busy", "false")
        this_face(page, before)
        assert seeds(page) == [3]
        expect(page.locator(".model-name")).to_have_text("tiny")
