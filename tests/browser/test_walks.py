"""Films on the Interpolate tab, in real Chromium: slots, the film on view, files, links, and what a reload keeps."""

from __future__ import annotations

import io
import json
import re
from typing import Any
from urllib.parse import quote

import av
import pytest
from playwright.sync_api import Page, Route, expect

from ganime.images import recipe_in
from tests.browser.accessibility import serious_in_themes
from tests.browser.conftest import DESKTOP, PHONE
from tests.browser.create_tab import (
    alert,
    another_face,
    download,
    drop,
    on_stage,
    press,
    seeds,
    status,
    this_face,
    until,
)
from tests.hub_server import HubServer

PLAYING = "#interpolate [data-playing=true]"
NOT_PLAYING = "#interpolate [data-playing=false]"
AT_FRAME = "Boolean(JSON.parse(document.querySelector('.screen').dataset.recipe || '{}').toward)"  # no face of a slot
DRAWN = re.compile("/ganime/(?!sharp)")  # in the address of a request for faces


def open_film(page: Page) -> None:
    page.get_by_role("tab", name="Interpolate").click()
    expect(page.locator("[data-slot]").first).to_be_visible()


def slots(page: Page, *wanted: int) -> None:
    """Wait until the slots hold the faces of these seeds."""
    page.wait_for_function(
        """wanted => JSON.stringify(wanted) === JSON.stringify([...document.querySelectorAll("[data-slot]")]
            .map(tile => JSON.parse(tile.dataset.recipe).seed))""",
        arg=list(wanted),
    )


def in_film(page: Page) -> list[int]:
    return [json.loads(tile.get_attribute("data-recipe") or "")["seed"] for tile in page.locator("[data-slot]").all()]


def shown(page: Page) -> dict[str, Any]:
    """The recipe of the face that the film has halted at."""
    page.wait_for_selector(".screen[data-recipe]")
    return json.loads(page.locator(".screen").get_attribute("data-recipe") or "")


def halted_at(page: Page, place: int) -> dict[str, Any]:
    """The recipe of the frame at a place of the film, which halts there; not that of the face that stands in for it."""
    page.locator(".at").fill(str(place))
    page.wait_for_selector(NOT_PLAYING)
    page.wait_for_function(AT_FRAME)
    return shown(page)


def take_from_tray(page: Page, place: int) -> None:
    page.locator(".tray-menu > summary").click()
    page.locator(".from-tray .mug").nth(place).click()


def film_link(address: str, **film: Any) -> str:
    return f"{address}/?walk={quote(json.dumps(film))}"


def test_a_film_through_a_face_a_rolled_one_and_a_kept_one_plays_is_scrubbed_saved_and_restored_from_its_file(
    create: Page,
) -> None:
    open_film(create)
    create.wait_for_selector(PLAYING)
    first, rolled = in_film(create)
    assert first == 7
    take_from_tray(create, 0)
    slots(create, 7, rolled, 1)
    at = create.evaluate("document.querySelector('.at').value")
    create.wait_for_function("at => document.querySelector('.at').value !== at", arg=at)

    before = on_stage(create)
    frame = halted_at(create, 5)
    assert (frame["seed"], frame["toward"]) == (7, rolled)
    assert 0 < frame["position"] < 1
    create.keyboard.press("k")
    expect(create.locator(".favourites .mug")).to_have_count(4)
    assert json.loads(create.locator(".favourites .mug").last.get_attribute("data-recipe") or "") == frame
    assert on_stage(create) == before

    create.locator(".seconds").fill("0.5")
    expect(create.locator(".length")).to_have_text("3 faces, 1.5 s")
    name, data = download(create, "save")
    assert name == f"film-7-{rolled}-1.mp4"
    with av.open(io.BytesIO(data)) as film:
        assert (film.streams.video[0].frames, film.streams.video[0].width) == (36, 256)
    assert [face["seed"] for face in json.loads(recipe_in(data))["faces"]] == [7, rolled, 1]

    create.locator('[data-slot="1"]').focus()
    create.keyboard.press("Delete")
    slots(create, 7, 1)
    drop(create, "#interpolate", name, data)
    status(create).to_have_text("Restored from the recipe in the film.")
    slots(create, 7, rolled, 1)
    expect(create.locator(".seconds")).to_have_value("0.5")


def test_slots_are_moved_replaced_and_removed_with_keys_and_undo_brings_them_back(create: Page) -> None:
    press(create, "film")  # of the tray
    slots(create, 1, 2, 3)
    expect(create.locator('#interpolate [data-do="undo"]')).to_be_enabled()  # of what was done before this tab was open
    create.locator('[data-slot="0"]').focus()
    create.keyboard.press("Shift+ArrowRight")
    slots(create, 2, 1, 3)
    assert create.evaluate("document.activeElement.dataset.slot") == "1"
    create.keyboard.press("Delete")
    slots(create, 2, 3)
    create.locator('[data-slot="0"]').click()
    expect(create.locator(".target-words")).to_have_text("Replace face 1:")
    assert shown(create)["seed"] == 2
    take_from_tray(create, 0)
    slots(create, 1, 3)
    create.drag_and_drop(".favourites .mug >> nth=1", ".slots .plus")
    slots(create, 1, 3, 2)
    create.drag_and_drop('[data-slot="2"]', '[data-slot="0"]')
    slots(create, 2, 1, 3)
    create.locator('[data-slot="1"]').click()
    expect(create.locator(".slots .passing [data-slot]")).to_have_attribute("data-slot", "1")
    press(create, "later")  # the place in the film goes with the face on view
    slots(create, 2, 3, 1)
    expect(create.locator(".slots .passing [data-slot]")).to_have_attribute("data-slot", "2")
    assert shown(create)["seed"] == 1
    press(create, "earlier")
    slots(create, 2, 1, 3)
    for _ in range(2):
        create.keyboard.press("Control+z")
    slots(create, 2, 1, 3)
    for before in ([1, 3, 2], [1, 3], [2, 3]):
        create.keyboard.press("Control+z")
        slots(create, *before)
    create.keyboard.press("Control+y")
    slots(create, 1, 3)


def test_the_face_of_the_create_tab_stays_until_a_frame_is_opened_there(create: Page) -> None:
    before = on_stage(create)
    open_film(create)
    create.wait_for_selector(PLAYING)
    frame = halted_at(create, 5)
    create.locator('[data-slot="1"]').click()
    slot = create.locator('[data-slot="1"]').get_attribute("data-recipe")
    expect(create.locator(".screen")).to_have_attribute("data-recipe", slot or "")
    press(create, "keep", ":visible")
    expect(create.locator(f".favourites .mug[data-recipe='{slot}']")).to_be_visible()
    create.get_by_role("tab", name="Create").click()
    assert on_stage(create) == before
    create.keyboard.press("k")  # the face on view there
    expect(create.locator(f".favourites .mug[data-recipe='{before}']")).to_be_visible()

    open_film(create)
    assert halted_at(create, 5) == frame
    press(create, "create")
    expect(create.locator(".create")).to_be_visible()
    assert json.loads(another_face(create, before)) == frame
    create.keyboard.press("Control+z")
    this_face(create, before)


def test_a_face_that_stands_in_for_a_frame_gives_way_once_the_frame_is_drawn(create: Page) -> None:
    held: list[Route] = []
    create.emulate_media(reduced_motion="reduce")
    may_go: list[bool] = []
    create.route("**/ganime/between", lambda route: route.continue_() if may_go else held.append(route))
    open_film(create)
    expect(create.locator(".at")).to_have_attribute("max", re.compile("^..+"))  # frames, once the second face is there
    create.locator(".at").fill("5")
    create.wait_for_selector(".screen[data-recipe]")
    assert "toward" not in shown(create)
    until(create, lambda: held)
    may_go.append(True)
    for route in held:
        route.continue_()
    create.wait_for_function(AT_FRAME)
    frame = shown(create)
    press(create, "keep", ":visible")
    kept = create.locator(".favourites .mug").last
    until(create, lambda: json.loads(kept.get_attribute("data-recipe") or "") == frame)


def test_a_film_that_has_halted_stays_at_its_frame_whatever_face_the_create_tab_shows(create: Page) -> None:
    before = on_stage(create)
    open_film(create)
    create.wait_for_selector(PLAYING)
    frame = halted_at(create, 7)

    def stays() -> None:
        create.wait_for_timeout(300)  # until the tab goes on
        expect(create.locator(".at")).to_have_value("7")
        assert shown(create) == frame

    def comes_back_to_the_frame() -> None:
        open_film(create)
        stays()
        _, saved = download(create, "frame", '[data-size="0"]')
        assert json.loads(recipe_in(saved)) == frame

    create.get_by_role("tab", name="Create").click()
    create.keyboard.press("d")
    rolled = another_face(create, before)
    comes_back_to_the_frame()
    create.get_by_role("tab", name="Create").click()
    held: list[Route] = []

    may_go: list[bool] = []
    create.route(DRAWN, lambda route: route.continue_() if may_go else held.append(route))
    create.keyboard.press("d")
    open_film(create)
    until(create, lambda: bool(held))
    may_go.append(True)
    for route in held:
        route.continue_()
    another_face(create, rolled)  # its answer comes while the film is on view
    stays()
    press(create, "create")
    expect(create.locator(".create")).to_be_visible()
    assert json.loads(on_stage(create)) == frame
    create.keyboard.press("Control+z")
    expect(create.locator(".now")).not_to_have_attribute("data-recipe", json.dumps(frame))
    comes_back_to_the_frame()


def test_a_face_that_is_chosen_or_brought_back_while_the_film_plays_is_shown_on_every_visit(create: Page) -> None:
    for kept in (0, 1):
        create.get_by_role("tab", name="Create").click()
        open_film(create)
        create.locator(".at").fill("0")
        create.locator('[data-do="play"]').click()
        create.wait_for_selector(PLAYING)
        face = create.locator(".favourites .mug").nth(kept)
        face.click()
        expect(create.locator(".screen")).to_have_attribute("data-recipe", face.get_attribute("data-recipe") or "")
        create.wait_for_selector(NOT_PLAYING)
    create.locator('[data-do="play"]').click()
    create.wait_for_selector(PLAYING)
    create.keyboard.press("Control+z")
    before = create.locator(".favourites .mug").first.get_attribute("data-recipe") or ""
    expect(create.locator(".screen")).to_have_attribute("data-recipe", before)


def test_a_film_whose_frames_cannot_be_drawn_halts_and_goes_on_when_it_is_played_again(
    create: Page, complaints: list[str]
) -> None:
    refused = {"status": 503, "content_type": "application/json", "body": '{"error": "Others are being served."}'}
    create.route("**/ganime/between", lambda route: route.fulfill(**refused))
    open_film(create)
    alert(create).to_contain_text("Others are being served.")
    create.wait_for_selector(NOT_PLAYING)
    create.unroute("**/ganime/between")
    create.locator('[data-do="play"]').click()
    create.wait_for_function("Number(document.querySelector('.at').value) > 5")
    create.wait_for_selector(PLAYING)
    complaints[:] = [text for text in complaints if "503" not in text]


def test_a_link_opens_the_same_film_elsewhere_and_a_reload_keeps_it(create: Page, steered_address: str) -> None:
    create.context.grant_permissions(["clipboard-read", "clipboard-write"])
    press(create, "film")
    slots(create, 1, 2, 3)
    create.locator(".seconds").fill("3")
    create.locator(".easing").select_option("linear")
    create.locator(".side").select_option("512")
    create.locator(".loop").uncheck()
    press(create, "link")
    status(create).to_contain_text("Link copied.")
    copied = create.evaluate("navigator.clipboard.readText()")
    create.evaluate("localStorage.clear()")
    create.goto(copied)
    for _ in range(2):
        slots(create, 1, 2, 3)
        for name, value in ((".seconds", "3"), (".easing", "linear"), (".side", "512")):
            expect(create.locator(name)).to_have_value(value)
        expect(create.locator(".loop")).not_to_be_checked()
        assert seeds(create) == []  # the tray is the visitor's own
        create.wait_for_function("location.hash.includes('film=')")
        create.reload()
    create.get_by_role("tab", name="Create").click()
    expect(create.locator(".variations .mug")).to_have_count(8)  # of the face that was set while Interpolate was open
    press(create, "dice")
    create.go_back()
    slots(create, 1, 2, 3)


def test_nothing_moves_by_itself_for_those_who_want_less_motion(
    page: Page, steered_address: str, revision: str, complaints: list[str]
) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    page.goto(film_link(steered_address, model="tiny", revision=revision, faces=[{"seed": 1}, {"seed": 2}]))
    slots(page, 1, 2)
    page.wait_for_selector(".screen[data-recipe]")
    page.wait_for_timeout(400)
    expect(page.locator('[data-do="play"]')).to_have_attribute("aria-label", "Play")
    page.locator('[data-do="play"]').click()
    page.wait_for_function("Number(document.querySelector('.at').value) > 1")
    page.emulate_media(reduced_motion="no-preference")
    page.wait_for_function("matchMedia('(prefers-reduced-motion: no-preference)').matches")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")  # it notices
    page.emulate_media(reduced_motion="reduce")
    expect(page.locator('[data-do="play"]')).to_have_attribute("aria-label", "Play")
    page.emulate_media(reduced_motion="no-preference")


@pytest.mark.parametrize(
    "walk",
    ["[", "7", '{"faces":[]}', '{"model":"tiny","revision":"REVISION","faces":[{"seed":1},{"seed":-4}]}'],
)
def test_a_link_to_no_film_is_refused_in_words(
    page: Page, steered_address: str, revision: str, complaints: list[str], walk: str
) -> None:
    page.route("**/ganime/draw", lambda route: route.continue_())
    page.goto(f"{steered_address}/?walk={quote(walk.replace('REVISION', revision))}")
    alert(page).not_to_be_empty()
    expect(page.locator(".now[data-recipe]")).to_be_visible()
    complaints[:] = [text for text in complaints if "400" not in text]  # of the refusal itself


def test_faces_of_another_model_wait_in_their_slots_until_it_is_loaded(
    page: Page, steered_address: str, revision: str, hub: HubServer
) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    page.goto(steered_address)
    page.wait_for_selector(".now[data-recipe]")
    before = on_stage(page)
    page.locator(".models > summary").click()
    page.locator("#hub-name").fill("tester/tiny")
    page.locator("#hub-name").press("Enter")
    other = json.loads(another_face(page, before))["revision"]
    faces = [{"seed": 1}, {"seed": 2}, {"seed": 3, "model": "tester/tiny", "revision": other}]
    page.goto(film_link(steered_address, model="tiny", revision=revision, faces=faces))
    slots(page, 1, 2, 3)
    expect(page.locator(".slots-hint")).to_contain_text("1 of these faces is not of the model in use")
    expect(page.locator(".length")).to_have_text("2 faces, 4 s")
    page.locator('[data-slot="2"]').click()
    press(page, "load")
    expect(page.locator(".model-name")).to_have_text("tester/tiny")
    expect(page.locator(".slots-hint")).to_contain_text("2 of these faces are not of the model in use")
    expect(page.locator('[data-slot="2"]:not(.undrawn)')).to_be_visible()
    expect(page.locator(".slots .undrawn")).to_have_text(["of tiny", "of tiny"])  # although their pictures are there
    assert serious_in_themes(page, ".slots") == []


def test_a_tray_and_a_film_of_another_model_offer_to_load_it(create: Page) -> None:
    press(create, "film")
    slots(create, 1, 2, 3)
    create.locator(".seconds").fill("0.5")
    name, film = download(create, "save", '[data-suffix=".gif"]')
    create.locator(".models > summary").click()
    create.locator("#hub-name").fill("tester/tiny")
    create.locator("#hub-name").press("Enter")
    expect(create.locator(".model-name")).to_have_text("tester/tiny")
    offer = create.locator("#dock .offer")
    create.locator('#dock [data-do="film"]').click()
    alert(create).to_contain_text("two faces of one model")
    expect(offer).to_have_text("Load tiny")
    create.locator('#dock [data-do="help"]').click()  # whatever is done next
    alert(create).to_be_empty()
    create.keyboard.press("Escape")
    create.locator('#dock [data-do="film"]').click()
    expect(offer).to_be_visible()
    create.locator(".favourites .mug").first.click()  # another way to what was offered
    expect(create.locator(".model-name")).to_have_text("tiny")
    expect(offer).to_be_hidden()
    alert(create).to_be_empty()
    create.keyboard.press("Control+z")
    expect(create.locator(".model-name")).to_have_text("tester/tiny")
    drop(create, "#interpolate", name, film)
    alert(create).to_contain_text("Another model drew faces of this film")
    offer.click()
    expect(create.locator(".model-name")).to_have_text("tiny")
    expect(create.locator(".length")).to_have_text("3 faces, 1.5 s")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_tab_fits_its_window_and_can_be_used_by_everybody(
    page: Page, steered_address: str, revision: str, complaints: list[str], size: dict[str, int]
) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.set_viewport_size(size)  # type: ignore[arg-type]
    faces = [{"seed": seed} for seed in range(1, 10)]
    page.goto(film_link(steered_address, model="tiny", revision=revision, faces=faces))
    slots(page, *range(1, 10))
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    box = page.locator(".screen").bounding_box()
    assert box
    assert box["width"] >= min(512, size["width"] - 40)
    page.locator('[data-slot="1"]').click()
    assert serious_in_themes(page) == []
