"""The dock, in real Chromium: the tray, keys, undo, and files that are chosen or dropped."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from ganime.drawing.recipe import Recipe
from ganime.drawing.sampling import generate_recipes
from ganime.images import png_bytes
from ganime.models.checkpoint import load_checkpoint
from tests.browser.accessibility import serious
from tests.browser.conftest import DESKTOP
from tests.browser.create_tab import (
    alert,
    another_face,
    choose_tool,
    download,
    drop,
    link,
    on_stage,
    press,
    recipe,
    seeds,
    status,
    this_face,
    visit,
)


def test_faces_seen_on_this_visit_can_be_opened_again_and_kept(create: Page) -> None:
    tile = create.locator(".gallery .mug").last
    face = tile.get_attribute("data-recipe") or ""
    press(create, "roll")
    expect(tile).not_to_have_attribute("data-recipe", face)
    press(create, "seen")
    seen = create.locator(f".seen .tile:has([data-recipe='{face}'])")
    seen.locator(".heart").click()
    expect(create.locator(".favourites .mug")).to_have_count(4)
    expect(seen.locator(".heart")).to_have_attribute("aria-pressed", "true")
    assert serious(create, ".seen") == []
    seen.locator(".mug").click()
    this_face(create, face)
    expect(create.locator(".seen")).to_be_hidden()


def test_tray_is_reordered_saved_exported_shared_and_survives_reload(
    create: Page, steered_address: str, steered_folder: Path, tmp_path: Path
) -> None:
    create.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tray, count = create.locator(".favourites .mug"), create.locator("#dock .count")
    assert seeds(create) == [1, 2, 3]
    expect(count).to_have_text("3 of 64")
    tray.nth(0).click()
    expect(create.locator(".made-by")).to_contain_text("Seed 1")
    expect(tray.nth(0)).to_have_attribute("aria-pressed", "true")
    press(create, "dice")
    expect(tray.nth(0)).to_have_attribute("aria-pressed", "false")  # it is no longer on view
    expect(create.locator(".when-marked").first).to_be_disabled()
    tray.nth(2).click()
    expect(create.locator(".made-by")).to_contain_text("Seed 3")
    press(create, "left", ".when-marked")
    assert seeds(create) == [1, 3, 2]
    name, exported = download(create, "export")
    assert name == "ganime-tray.json"
    name, data = download(create, "zip", '[data-size="0"]')
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert (name, archive.namelist()) == ("faces.zip", ["face-1.png", "face-3.png", "face-2.png"])
    image = Image.open(archive.open("face-3.png"))
    [exact] = generate_recipes(load_checkpoint(steered_folder), [Recipe.from_json(image.info["ganime"])])
    assert abs(np.asarray(image).astype(int) - exact.astype(int)).max() <= 1
    press(create, "tray-link")
    status(create).to_contain_text("Link copied")
    shared = create.evaluate("navigator.clipboard.readText()")
    assert shared.startswith(f"{steered_address}/?tray=")
    press(create, "remove")
    expect(tray).to_have_count(2)
    create.locator("#create .keep").click()  # the face on view, which is the one that was removed
    assert seeds(create) == [1, 2, 3]
    press(create, "undo")
    visit(create, steered_address)  # without the link, which would bring its faces again
    expect(tray).to_have_count(2)
    assert seeds(create) == [1, 2]
    (tmp_path / "tray.json").write_bytes(exported)
    create.locator(".tray-file").set_input_files(tmp_path / "tray.json")
    expect(tray).to_have_count(3)
    status(create).to_contain_text("1 of 3 faces added")
    create.evaluate("localStorage.clear()")
    visit(create, shared)
    expect(tray).to_have_count(3)
    assert seeds(create) == [1, 3, 2]


def test_nonsense_is_no_tray_and_the_tray_stays_as_it_was(create: Page, revision: str, tmp_path: Path) -> None:
    negative, short = '[{"model": "tiny", "revision": "%s", "seed": -4}]', recipe(revision, 1) | {"vector": "AAAA"}
    many = [recipe(revision, seed) for seed in range(65)]
    everything = ("no JSON", "[]", '{"ganime": "tray", "faces": [7]}', negative % revision, json.dumps([short]))
    for number, text in enumerate((*everything, json.dumps(many))):
        path = tmp_path / f"tray-{number}.json"
        path.write_text(text)
        before = on_stage(create)
        create.locator('#create [data-do="share"]').focus()
        create.keyboard.press("d")  # which takes the last refusal away
        another_face(create, before)
        alert(create).to_be_empty()
        create.locator(".tray-file").set_input_files(path)
        alert(create).not_to_be_empty()
        expect(create.locator("#dock .alert")).to_be_in_viewport()
        assert seeds(create) == [1, 2, 3]
    for stored in ("{", "7", '["<b>", null, 7]'):
        create.evaluate("stored => localStorage.setItem('ganime-tray', stored)", stored)
        create.evaluate("window.dispatchEvent(new StorageEvent('storage', { key: 'ganime-tray' }))")
        expect(create.locator(".favourites .mug")).to_have_count(0)
    create.evaluate("tray => localStorage.setItem('ganime-tray', JSON.stringify(tray))", [json.dumps(many[9])])
    create.evaluate("window.dispatchEvent(new StorageEvent('storage', { key: 'ganime-tray' }))")
    expect(create.locator(".favourites .mug")).to_have_count(1)  # another tab of the browser has kept it


def test_keys_work_on_every_tab_unless_a_field_has_the_focus(create: Page) -> None:
    first = on_stage(create)
    create.locator("h1").click()
    create.keyboard.press("d")
    rolled = another_face(create, first)
    create.keyboard.press("k")
    expect(create.locator(".favourites .mug")).to_have_count(4)
    create.keyboard.press("k")
    expect(create.locator(".favourites .mug")).to_have_count(3)
    for _ in range(2):
        create.keyboard.press("z")
    expect(create.locator(".favourites .mug")).to_have_count(3)
    this_face(create, rolled)
    create.keyboard.press("Control+z")
    this_face(create, first)
    expect(create.locator('[data-do="undo"]')).to_be_disabled()
    create.keyboard.press("y")
    this_face(create, rolled)
    create.locator(".seed").focus()
    for key in ("z", "d", "k", "?"):
        create.keyboard.press(key)
    create.wait_for_timeout(200)
    this_face(create, rolled)
    create.get_by_role("tab", name="Interpolate").click()
    create.keyboard.press("k")
    expect(create.locator(".favourites .mug")).to_have_count(4)
    create.get_by_role("tab", name="Train").click()
    for key in ("d", "n"):
        create.keyboard.press(key)  # a face that nobody sees is not rolled
    create.keyboard.press("Control+z")
    expect(create.locator(".favourites .mug")).to_have_count(3)
    create.get_by_role("tab", name="Create").click()
    this_face(create, rolled)
    create.keyboard.press("?")
    expect(create.get_by_role("dialog", name="Keys").locator("kbd").first).to_have_text("D")
    create.keyboard.press("d")  # belongs to the dialog
    for menu in (".help", ".menu-list"):
        create.locator(f'#dock {menu} [data-do="tour"]').click()
        expect(create.locator(".tour")).to_be_visible()
        expect(create.locator(".help")).to_be_hidden()
        create.keyboard.press("Escape")
        expect(create.locator(".first-tour")).to_be_hidden()  # the help and the menu begin it again
        create.locator("#dock .menu > summary").click()
    create.locator("#dock .menu > summary").click()
    this_face(create, rolled)
    create.locator(".favourites .mug").first.focus()
    create.keyboard.press("ArrowRight")
    expect(create.locator(".favourites .mug").nth(1)).to_be_focused()
    create.keyboard.press("Delete")
    expect(create.locator(".favourites .mug")).to_have_count(2)
    expect(create.locator(".favourites .mug").nth(1)).to_be_focused()  # the focus stays at its place


def test_picture_and_tray_that_are_dropped_on_a_fresh_page_are_opened(
    page: Page, steered_address: str, revision: str, complaints: list[str]
) -> None:
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    visit(page, steered_address)
    blank = np.zeros((32, 32, 3), np.uint8)
    drop(page, ".favourites, .tray-hint", "77.png", png_bytes(blank, json.dumps(recipe(revision, 77))))
    expect(page.locator(".made-by")).to_contain_text("Seed 77")
    status(page).to_contain_text("Restored")
    tray = {"ganime": "tray", "faces": [recipe(revision, 40)]}
    drop(page, "h1", "ganime-tray.json", json.dumps(tray).encode())
    expect(page.locator(".favourites .mug")).to_have_count(1)
    status(page).to_contain_text("1 of 1 faces added")
    expect(page.locator(".drop")).to_be_hidden()
    page.get_by_role("tab", name="Interpolate").click()
    drop(page, "#interpolate", "78.png", png_bytes(blank, json.dumps(recipe(revision, 78))))
    expect(page.get_by_role("button", name=re.compile("of the film: Seed 78"))).to_be_visible()
    page.get_by_role("tab", name="Create").click()
    before = on_stage(page)
    evil = png_bytes(blank, '{"seed": "<img src=x onerror=alert(1)>"}')
    for name, data, words in (
        ("notes.txt", b"a", "neither a picture"),
        ("<b>.json", b"<b>", "not JSON"),
        ("face.png", b"\x89PNG", "neither a picture"),
        ("bad.png", evil, "damaged"),
    ):
        page.locator('#create [data-do="others"]').click()  # which takes the last refusal away
        alert(page).to_be_empty()
        drop(page, ".tray", name, data)
        alert(page).to_contain_text(words)
        this_face(page, before)


def test_face_is_restored_from_its_sharpened_png(create: Page, tmp_path: Path) -> None:
    (tmp_path / "face.png").write_bytes(download(create, "save", '[data-size="512"]')[1])
    before = on_stage(create)
    press(create, "dice")
    another_face(create, before)
    create.locator(".chosen-file").set_input_files(tmp_path / "face.png")
    this_face(create, before)


def test_full_tray_says_so_and_keeps_nothing_more(
    page: Page, steered_address: str, revision: str, complaints: list[str]
) -> None:
    visit(page, link(steered_address, tray=[recipe(revision, seed) for seed in range(64)]))
    expect(page.locator(".favourites .mug")).to_have_count(64)
    before = on_stage(page)
    page.keyboard.press("d")
    another_face(page, before)
    page.keyboard.press("k")
    status(page).to_contain_text("holds 64 faces")
    expect(page.locator(".favourites .mug")).to_have_count(64)
    choose_tool(page, "mix")
    for place in range(17):
        page.locator(".parents .mug").nth(place).click()
    expect(page.locator(".badge")).to_have_count(16)
