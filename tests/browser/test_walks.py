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
from tests.browser.explore_tab import alert, choose_tool, download, seeds, visit

PIXELS = "document.querySelector('.stroll').toDataURL()"


def walk_link(steered_address: str, **walk: Any) -> str:
    return f"{steered_address}/?walk={quote(json.dumps(walk))}"


def draw_walk(page: Page) -> None:
    page.locator('[data-do="stroll"]').click()
    expect(page.locator(".walk-bar")).to_be_hidden()
    expect(page.locator(".stroll")).to_be_visible()


def at(page: Page, frame: int) -> str:
    """The picture of a frame, as it is painted."""
    page.locator(".stroll-at").fill(str(frame))
    expect(page.locator(".stroll")).to_have_attribute("data-index", str(frame))
    return page.evaluate(PIXELS)


def test_pace_changes_the_frames_between_two_faces_and_not_the_faces(explore: Page) -> None:
    choose_tool(explore, "film")
    explore.locator(".gap").fill("8")
    draw_walk(explore)
    even = [at(explore, frame) for frame in (0, 2, 8)]
    explore.locator(".easing").select_option("smooth")
    draw_walk(explore)
    smooth = [at(explore, frame) for frame in (0, 2, 8)]
    assert [even[0], even[2]] == [smooth[0], smooth[2]]
    assert even[1] != smooth[1]


def test_preview_plays_as_fast_as_is_asked_for_and_only_while_it_is_seen(explore: Page) -> None:
    choose_tool(explore, "film")
    explore.locator(".gap").fill("60")
    explore.locator(".speed").fill("60")
    draw_walk(explore)
    explore.wait_for_function("Number(document.querySelector('.stroll').dataset.index) > 5")
    explore.locator('[data-tool="vary"]').click()
    hidden = explore.locator(".stroll").get_attribute("data-index")
    explore.wait_for_timeout(300)
    assert explore.locator(".stroll").get_attribute("data-index") == hidden
    choose_tool(explore, "film")
    explore.wait_for_function(f"Number(document.querySelector('.stroll').dataset.index) !== {hidden}")


def test_nothing_moves_by_itself_for_those_who_want_less_motion(explore: Page) -> None:
    explore.emulate_media(reduced_motion="reduce")
    choose_tool(explore, "film")
    draw_walk(explore)
    explore.wait_for_timeout(400)
    assert explore.locator(".stroll").get_attribute("data-index") == "0"
    explore.locator('[data-do="play"]').click()
    explore.wait_for_function("Number(document.querySelector('.stroll').dataset.index) > 1")
    explore.emulate_media(reduced_motion="no-preference")
    explore.wait_for_timeout(300)  # two changes between two frames are none
    explore.emulate_media(reduced_motion="reduce")
    expect(explore.locator('[data-do="play"]')).to_have_attribute("aria-label", "Play")


def test_walk_that_is_stopped_gives_its_place_to_the_next(explore: Page) -> None:
    choose_tool(explore, "film")
    explore.locator(".gap").fill("80")
    explore.locator(".gap").press("Tab")
    for _ in range(2):
        explore.locator('[data-do="film"][data-suffix=".gif"]').click()
        expect(explore.locator('[data-do="stop-walk"]')).to_be_visible()
        explore.locator('[data-do="stop-walk"]').click()
        expect(explore.locator('[data-do="stop-walk"]')).to_be_hidden()
    explore.locator(".gap").fill("4")
    explore.locator(".gap").press("Tab")
    assert download(explore, "film", '[data-suffix=".gif"]')[0] == "walk.gif"
    alert(explore).to_be_hidden()


def test_walk_of_too_many_frames_says_before_and_after_that_it_is_thinned(explore: Page) -> None:
    choose_tool(explore, "film")
    explore.locator(".gap").fill("80")
    explore.locator(".gap").press("Tab")
    expect(explore.locator(".walk-hint")).to_contain_text("(240 frames, 240 at most)")
    explore.locator(".gap").fill("120")
    explore.locator(".gap").press("Tab")
    expect(explore.locator(".walk-hint")).to_contain_text("(240 of 360 frames). Longer films are thinned")
    explore.locator(".side").select_option("0")
    name, data = download(explore, "film", '[data-suffix=".webp"]')
    expect(explore.locator("#explore .status")).to_have_text(f"Saved {name}: 240 of 360 frames.")
    with Image.open(io.BytesIO(data)) as film:
        assert getattr(film, "n_frames", 1) == 240


def test_scrubbing_and_playing_ask_the_server_for_nothing(explore: Page) -> None:
    explore.emulate_media(reduced_motion="reduce")
    choose_tool(explore, "film")
    draw_walk(explore)
    explore.wait_for_selector(".now[data-sharp]")  # the sharp picture of the face on the stage has come
    asked: list[str] = []
    explore.on("request", lambda request: asked.append(request.url))
    pictures = {at(explore, frame) for frame in range(0, 40, 4)}
    assert len(pictures) == 10
    at(explore, 0)
    explore.locator('[data-do="play"]').click()
    explore.wait_for_function("Number(document.querySelector('.stroll').dataset.index) > 12", timeout=60_000)
    assert [url for url in asked if "heartbeat" not in url] == []


def test_film_is_offered_only_where_one_can_be_written(explore: Page) -> None:
    choose_tool(explore, "film")
    endings = explore.locator('[data-do="film"]:visible').evaluate_all("all => all.map(one => one.dataset.suffix)")
    try:
        import av  # noqa: F401
    except ImportError:
        assert endings == [".webp", ".gif", ".png"]
    else:
        assert download(explore, "film", '[data-suffix=".mp4"]')[1][4:8] == b"ftyp"


def test_copied_link_opens_the_same_walk_with_its_settings(explore: Page, steered_address: str) -> None:
    explore.context.grant_permissions(["clipboard-read", "clipboard-write"])
    choose_tool(explore, "film")
    explore.locator(".gap").fill("5")
    explore.locator(".speed").fill("12")
    explore.locator(".easing").select_option("smooth")
    explore.locator(".loop").uncheck()
    explore.locator('[data-do="walk-link"]').click()
    expect(explore.locator("#explore .status")).to_contain_text("Copied")
    copied = explore.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"{steered_address}/?walk=")
    explore.evaluate("localStorage.clear()")
    visit(explore, copied)
    expect(explore.locator('[data-panel="film"]')).to_be_visible()
    expect(explore.locator(".walk-hint")).to_contain_text("3 faces of the link, in order (11 frames")
    expect(explore.locator(".stroll")).to_be_visible()
    expect(explore.locator(".speed")).to_have_value("12")
    expect(explore.locator(".easing")).to_have_value("smooth")
    expect(explore.locator(".loop")).not_to_be_checked()
    expect(explore.locator(".made-by")).to_contain_text("Seed 1 ")
    assert seeds(explore) == []  # the tray is the visitor's own
    explore.locator('[data-do="own-walk"]').click()
    expect(explore.locator(".walk-hint")).to_contain_text("Keep two or more faces")
    explore.locator('[data-do="undo"]').click()
    expect(explore.locator(".walk-hint")).to_contain_text("3 faces of the link")


def test_walk_that_is_too_long_for_a_link_is_told(
    page: Page, steered_address: str, revision: str, tmp_path: Any
) -> None:
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    visit(page, walk_link(steered_address, model="tiny", revision=revision, faces=[{"seed": 1}, {"seed": 2}]))
    page.locator('[data-do="own-walk"]').click()
    made = [Recipe("tiny", revision, MAX_SEED - place, 1 / 3, MAX_SEED, 1 / 3) for place in range(64)]
    (tmp_path / "tray.json").write_text(json.dumps([json.loads(one.to_json()) for one in made]))
    page.locator(".tray-file").set_input_files(tmp_path / "tray.json")
    expect(page.locator(".favourites .mug")).to_have_count(64)
    choose_tool(page, "film")
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
    page: Page, steered_address: str, revision: str, complaints: list[str], query: str
) -> None:
    query = query if query.startswith("walk=") else f"walk={query.replace('REVISION', revision)}"
    visit(page, f"{steered_address}/?{query}")
    alert(page).not_to_be_empty()
    expect(page.locator(".made-by")).to_contain_text("Seed ")
    choose_tool(page, "vary")
    expect(page.locator(".variations .mug")).to_have_count(8)


def test_settings_that_no_field_knows_are_left_out(page: Page, steered_address: str, revision: str) -> None:
    faces = [{"seed": 4}, {"seed": 5}]
    odd = {"gap": 1e9, "speed": "fast", "easing": "bumpy", "side": 7, "loop": "yes"}
    visit(page, walk_link(steered_address, model="tiny", revision=revision, faces=faces, **odd))
    expect(page.locator(".walk-hint")).to_contain_text("2 faces of the link, in order (32 frames")
    expect(page.locator(".easing")).to_have_value("linear")
    expect(page.locator(".side")).to_have_value("256")
    alert(page).to_be_hidden()


def test_undo_brings_back_how_the_walk_was_set(explore: Page) -> None:
    choose_tool(explore, "film")
    explore.locator(".easing").select_option("smooth")
    explore.locator(".loop").uncheck()
    undo, redo = explore.locator('[data-do="undo"]'), explore.locator('[data-do="redo"]')
    undo.click()
    expect(explore.locator(".loop")).to_be_checked()
    expect(explore.locator(".easing")).to_have_value("smooth")
    undo.click()
    expect(explore.locator(".easing")).to_have_value("linear")
    expect(undo).to_be_disabled()
    redo.click()
    expect(explore.locator(".easing")).to_have_value("smooth")
    expect(explore.locator(".walk-hint")).to_contain_text("3 kept faces")
