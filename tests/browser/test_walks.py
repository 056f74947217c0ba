"""Walks on the Explore tab, in real Chromium: pace, preview, progress, links, and what undo brings back of them."""

from __future__ import annotations

import io
import json
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from ganime.drawing.recipe import MAX_SEED, Recipe
from tests.browser.conftest import DESKTOP
from tests.browser.test_explore import (
    address,
    alert,
    choose_tool,
    download,
    folder,
    opened,
    revision,
    seeds,
    visit,
)

__all__ = ["address", "folder", "opened", "revision"]  # fixtures

PIXELS = "document.querySelector('.stroll').toDataURL()"


def walk_link(address: str, **walk: Any) -> str:
    return f"{address}/?walk={quote(json.dumps(walk))}"


def draw_walk(page: Page) -> None:
    page.locator('[data-do="stroll"]').click()
    expect(page.locator(".walk-bar")).to_be_hidden()
    expect(page.locator(".stroll")).to_be_visible()


def at(page: Page, frame: int) -> str:
    """The picture of a frame, as it is painted."""
    page.locator(".stroll-at").fill(str(frame))
    expect(page.locator(".stroll")).to_have_attribute("data-index", str(frame))
    return page.evaluate(PIXELS)


def test_pace_changes_the_frames_between_two_faces_and_not_the_faces(opened: Page) -> None:
    choose_tool(opened, "animate")
    opened.locator(".gap").fill("8")
    draw_walk(opened)
    even = [at(opened, frame) for frame in (0, 2, 8)]
    opened.locator(".easing").select_option("smooth")
    draw_walk(opened)
    smooth = [at(opened, frame) for frame in (0, 2, 8)]
    assert [even[0], even[2]] == [smooth[0], smooth[2]]
    assert even[1] != smooth[1]


def test_preview_plays_as_fast_as_is_asked_for_and_only_while_it_is_seen(opened: Page) -> None:
    choose_tool(opened, "animate")
    opened.locator(".gap").fill("60")
    opened.locator(".speed").fill("60")
    draw_walk(opened)
    opened.wait_for_function("Number(document.querySelector('.stroll').dataset.index) > 5")
    opened.locator('[data-tool="vary"]').click()
    hidden = opened.locator(".stroll").get_attribute("data-index")
    opened.wait_for_timeout(300)
    assert opened.locator(".stroll").get_attribute("data-index") == hidden
    choose_tool(opened, "animate")
    opened.wait_for_function(f"Number(document.querySelector('.stroll').dataset.index) !== {hidden}")


def test_nothing_moves_by_itself_for_those_who_want_less_motion(opened: Page) -> None:
    opened.emulate_media(reduced_motion="reduce")
    choose_tool(opened, "animate")
    draw_walk(opened)
    opened.wait_for_timeout(400)
    assert opened.locator(".stroll").get_attribute("data-index") == "0"
    opened.locator('[data-do="play"]').click()
    opened.wait_for_function("Number(document.querySelector('.stroll').dataset.index) > 1")
    opened.emulate_media(reduced_motion="no-preference")
    opened.wait_for_timeout(300)  # two changes between two frames are none
    opened.emulate_media(reduced_motion="reduce")
    expect(opened.locator('[data-do="play"]')).to_have_attribute("aria-label", "Play")


def test_walk_that_is_stopped_gives_its_place_to_the_next(opened: Page) -> None:
    choose_tool(opened, "animate")
    opened.locator(".gap").fill("80")
    opened.locator(".gap").press("Tab")
    for _ in range(2):
        opened.locator('[data-do="film"][data-suffix=".gif"]').click()
        expect(opened.locator('[data-do="stop-walk"]')).to_be_visible()
        opened.locator('[data-do="stop-walk"]').click()
        expect(opened.locator('[data-do="stop-walk"]')).to_be_hidden()
    opened.locator(".gap").fill("4")
    opened.locator(".gap").press("Tab")
    assert download(opened, "film", '[data-suffix=".gif"]')[0] == "walk.gif"
    alert(opened).to_be_hidden()


def test_walk_of_too_many_frames_says_before_and_after_that_it_is_thinned(opened: Page) -> None:
    choose_tool(opened, "animate")
    opened.locator(".gap").fill("80")
    opened.locator(".gap").press("Tab")
    expect(opened.locator(".walk-hint")).to_contain_text("(240 frames, 240 at most)")
    opened.locator(".gap").fill("120")
    opened.locator(".gap").press("Tab")
    expect(opened.locator(".walk-hint")).to_contain_text("(240 of 360 frames). Longer walks are thinned")
    opened.locator(".side").select_option("0")
    name, data = download(opened, "film", '[data-suffix=".webp"]')
    expect(opened.locator("#explore .status")).to_have_text(f"Saved {name}: 240 of 360 frames.")
    with Image.open(io.BytesIO(data)) as film:
        assert getattr(film, "n_frames", 1) == 240


def test_scrubbing_and_playing_ask_the_server_for_nothing(opened: Page) -> None:
    opened.emulate_media(reduced_motion="reduce")
    choose_tool(opened, "animate")
    draw_walk(opened)
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    pictures = {at(opened, frame) for frame in range(0, 40, 4)}
    assert len(pictures) == 10
    at(opened, 0)
    opened.locator('[data-do="play"]').click()
    opened.wait_for_function("Number(document.querySelector('.stroll').dataset.index) > 12", timeout=60_000)
    assert [url for url in asked if "heartbeat" not in url] == []


def test_film_is_offered_only_where_one_can_be_written(opened: Page) -> None:
    choose_tool(opened, "animate")
    endings = opened.locator('[data-do="film"]:visible').evaluate_all("all => all.map(one => one.dataset.suffix)")
    try:
        import av  # noqa: F401
    except ImportError:
        assert endings == [".webp", ".gif", ".png"]
    else:
        assert download(opened, "film", '[data-suffix=".mp4"]')[1][4:8] == b"ftyp"


def test_copied_link_opens_the_same_walk_with_its_settings(opened: Page, address: str) -> None:
    opened.context.grant_permissions(["clipboard-read", "clipboard-write"])
    choose_tool(opened, "animate")
    opened.locator(".gap").fill("5")
    opened.locator(".speed").fill("12")
    opened.locator(".easing").select_option("smooth")
    opened.locator(".loop").uncheck()
    opened.locator('[data-do="walk-link"]').click()
    expect(opened.locator("#explore .status")).to_contain_text("Copied")
    copied = opened.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"{address}/?walk=")
    opened.evaluate("localStorage.clear()")
    visit(opened, copied)
    expect(opened.locator('[data-panel="animate"]')).to_be_visible()
    expect(opened.locator(".walk-hint")).to_contain_text("3 faces of the link, in order (11 frames")
    expect(opened.locator(".stroll")).to_be_visible()
    expect(opened.locator(".speed")).to_have_value("12")
    expect(opened.locator(".easing")).to_have_value("smooth")
    expect(opened.locator(".loop")).not_to_be_checked()
    expect(opened.locator(".made-by")).to_contain_text("Seed 1 ")
    assert seeds(opened) == []  # the tray is the visitor's own
    opened.locator('[data-do="own-walk"]').click()
    expect(opened.locator(".walk-hint")).to_contain_text("Keep two or more faces")
    opened.locator('[data-do="undo"]').click()
    expect(opened.locator(".walk-hint")).to_contain_text("3 faces of the link")


def test_walk_that_is_too_long_for_a_link_is_told(page: Page, address: str, revision: str, tmp_path: Any) -> None:
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    visit(page, walk_link(address, model="tiny", revision=revision, faces=[{"seed": 1}, {"seed": 2}]))
    page.locator('[data-do="own-walk"]').click()
    made = [Recipe("tiny", revision, MAX_SEED - place, 1 / 3, MAX_SEED, 1 / 3) for place in range(64)]
    (tmp_path / "tray.json").write_text(json.dumps([json.loads(one.to_json()) for one in made]))
    page.locator(".tray-file").set_input_files(tmp_path / "tray.json")
    expect(page.locator(".favourites .mug")).to_have_count(64)
    choose_tool(page, "animate")
    page.locator('[data-do="walk-link"]').click()
    expect(page.locator("#explore .status")).to_contain_text("too long for a link")


@pytest.mark.parametrize(
    "query",
    [
        "walk=[",
        "walk=7",
        "walk=%7B%22faces%22%3A[]%7D",
        quote('{"model":"tiny","revision":"x","faces":[{"seed":1},{"seed":"<img src=x>"}]}', safe="="),
        quote('{"model":"tiny","revision":"REVISION","faces":[{"seed":1},{"seed":-4}]}', safe="="),
        quote('{"model":"tiny","revision":"REVISION","faces":[{"seed":1},{"seed":2,"vector":"AAAA"}]}', safe="="),
    ],
)
def test_link_to_a_walk_that_is_none_is_refused_in_words(
    page: Page, address: str, revision: str, complaints: list[str], query: str
) -> None:
    query = query if query.startswith("walk=") else f"walk={query.replace('REVISION', revision)}"
    visit(page, f"{address}/?{query}")
    alert(page).not_to_be_empty()
    expect(page.locator(".made-by")).to_contain_text("Seed ")
    choose_tool(page, "vary")
    expect(page.locator(".neighbours .mug")).to_have_count(8)


def test_settings_that_no_field_knows_are_left_out(page: Page, address: str, revision: str) -> None:
    faces = [{"seed": 4}, {"seed": 5}]
    odd = {"gap": 1e9, "speed": "fast", "easing": "bumpy", "side": 7, "loop": "yes"}
    visit(page, walk_link(address, model="tiny", revision=revision, faces=faces, **odd))
    expect(page.locator(".walk-hint")).to_contain_text("2 faces of the link, in order (32 frames")
    expect(page.locator(".easing")).to_have_value("linear")
    expect(page.locator(".side")).to_have_value("256")
    alert(page).to_be_hidden()


def test_undo_brings_back_how_the_walk_was_set(opened: Page) -> None:
    choose_tool(opened, "animate")
    opened.locator(".easing").select_option("smooth")
    opened.locator(".loop").uncheck()
    undo, redo = opened.locator('[data-do="undo"]'), opened.locator('[data-do="redo"]')
    undo.click()
    expect(opened.locator(".loop")).to_be_checked()
    expect(opened.locator(".easing")).to_have_value("smooth")
    undo.click()
    expect(opened.locator(".easing")).to_have_value("linear")
    expect(undo).to_be_disabled()
    redo.click()
    expect(opened.locator(".easing")).to_have_value("smooth")
    expect(opened.locator(".walk-hint")).to_contain_text("3 kept faces")
