"""What a visitor does on the Explore tab, in real Chromium: every tool, the tray, links, files and keys."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from app.tabs.explore import search_value
from ganime.config import ModelConfig
from ganime.drawing.projection import ProjectionProgress
from ganime.drawing.recipe import Recipe
from ganime.drawing.sampling import generate, generate_recipes
from ganime.images import png_bytes
from ganime.models.checkpoint import EMBEDDED, Checkpoint, load_checkpoint, save_checkpoint
from ganime.nets.dcgan import Generator
from tests.browser.accessibility import serious, serious_in_both_themes
from tests.browser.conftest import stand_in
from tests.browser.explore_tab import alert, choose_tool, download, link, on_stage, recipe, seeds, visit
from tests.hub_server import HubServer

PHONE = {"width": 375, "height": 812}
TOOLS = ("vary", "steer", "choose", "mix", "picture", "film", "inside", "copy")


def drop(page: Page, where: str, name: str, data: bytes) -> None:
    """Let go of a file over a part of the page."""
    page.evaluate(
        """([where, name, bytes]) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([new Uint8Array(bytes)], name));
          const dropped = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
          document.querySelector(where).dispatchEvent(dropped);
          if (!dropped.defaultPrevented) throw new Error("the browser would leave the page for the file");
        }""",
        [where, name, list(data)],
    )


class Server:
    """The page's server, whose answers can be held back."""

    def __init__(self, page: Page) -> None:
        self.holding, self.held = False, list[Route]()
        page.route("**/component_server**", self.meet)

    def meet(self, route: Route) -> None:
        if self.holding:
            self.held.append(route)
        else:
            route.continue_()

    def let_go(self) -> None:
        self.holding = False
        while self.held:
            self.held.pop(0).continue_()


# What a visitor does, as seen from the page: whether the stage says that something is under way before a timer of
# 100 ms rings, which a busy machine slows down like everything else, and whether the sign is painted at last.
ACT = """([selector, amount]) => new Promise((done) => {
  const stage = document.querySelector("#explore .window");
  const part = document.querySelector(selector);
  let [told, rung, inTime] = [false, false, false];
  setTimeout(() => { [rung, inTime] = [true, told]; }, 100);
  new MutationObserver(() => { told = told || stage.getAttribute("aria-busy") === "true"; })
    .observe(stage, { attributes: true });
  if (amount === null) part.click();
  else {
    part.value = amount;
    part.dispatchEvent(new Event("input", { bubbles: true }));
  }
  const begun = performance.now();
  requestAnimationFrame(function look() {
    const painted = told && Number(getComputedStyle(stage, "::after").opacity) > 0;
    if (rung && (painted || performance.now() - begun > 20000)) return done([inTime, painted]);
    return requestAnimationFrame(look);
  });
})"""
FADED = "getComputedStyle(document.querySelector('#explore .window'), '::after').opacity === '0'"


def test_stage_says_within_a_moment_that_something_is_under_way(explore: Page) -> None:
    server, stage = Server(explore), explore.locator("#explore .window")
    choose_tool(explore, "mix")
    for place in range(3):
        explore.locator(".parents .mug").nth(place).click()
    for tool, selector, amount in (
        ("vary", '[data-do="dice"]', None),
        ("vary", '[data-do="others"]', None),
        ("vary", '[data-do="undo"]', None),
        ("vary", '[data-do="redo"]', None),
        ("steer", '[data-steer="smile"]', 2),
        ("mix", '[data-do="breed"]', None),
        ("mix", '[data-do="sum"]', None),
        ("mix", '[data-tool="inside"]', None),
    ):
        choose_tool(explore, tool)
        expect(stage).to_have_attribute("aria-busy", "false")
        expect(stage).to_have_css("position", "relative")  # so that the sign lies on the face and moves nothing
        explore.wait_for_function(FADED)
        server.holding = True
        in_time, painted = explore.evaluate(ACT, [selector, amount])
        assert in_time, selector
        assert painted, selector
        server.let_go()
        expect(stage).to_have_attribute("aria-busy", "false")
    alert(explore).to_be_hidden()


def test_sign_of_work_goes_with_an_error_and_with_what_came_later(explore: Page) -> None:
    server, stage = Server(explore), explore.locator("#explore .window")
    choose_tool(explore, "mix")
    before = on_stage(explore)
    server.holding = True
    explore.locator('[data-do="dice"]').click()
    expect(stage).to_have_attribute("aria-busy", "true")
    explore.locator(".favourites .mug").first.click()  # which takes no answer
    expect(stage).to_have_attribute("aria-busy", "false")
    kept = on_stage(explore)
    assert kept != before
    explore.locator('[data-do="dice"]').click()
    expect(stage).to_have_attribute("aria-busy", "true")
    while len(server.held) < 2:
        explore.wait_for_timeout(20)
    server.held.pop().fulfill(json={"error": "Others are being served just now."})
    alert(explore).to_contain_text("Others are being served")
    expect(stage).to_have_attribute("aria-busy", "false")
    server.let_go()
    explore.locator('[data-do="undo"]').click()
    expect(explore.locator(".now")).to_have_attribute("data-recipe", before)  # the late answer has changed nothing
    explore.emulate_media(reduced_motion="reduce")
    server.holding = True
    explore.locator('[data-do="dice"]').click()
    expect(stage).to_have_attribute("aria-busy", "true")
    moving = "getComputedStyle(document.querySelector('#explore .window'), '::after').animationName"
    assert explore.evaluate(moving) == "none"
    explore.emulate_media(reduced_motion="no-preference")
    assert explore.evaluate(moving) == "under-way"
    server.let_go()


def test_keys_roll_keep_undo_and_redo_unless_a_field_has_the_focus(explore: Page) -> None:
    before = on_stage(explore)
    explore.locator("h1").click()
    explore.keyboard.press("d")
    expect(explore.locator(".now")).not_to_have_attribute("data-recipe", before)
    rolled = on_stage(explore)
    explore.keyboard.press("k")
    expect(explore.locator(".favourites .mug")).to_have_count(4)
    explore.keyboard.press("z")
    expect(explore.locator(".favourites .mug")).to_have_count(3)
    explore.keyboard.press("z")
    expect(explore.locator(".now")).to_have_attribute("data-recipe", before)
    expect(explore.locator('[data-do="undo"]')).to_be_disabled()
    explore.keyboard.press("y")
    expect(explore.locator(".now")).to_have_attribute("data-recipe", rolled)
    choose_tool(explore, "steer")
    explore.locator(".own-name").focus()
    explore.keyboard.press("z")
    explore.wait_for_timeout(200)
    assert on_stage(explore) == rolled
    choose_tool(explore, "vary")
    explore.locator(".strength").focus()  # nothing is written there
    explore.keyboard.press("z")
    expect(explore.locator(".now")).to_have_attribute("data-recipe", before)


def test_key_for_the_next_face_goes_through_what_the_tool_shows_and_else_rolls(explore: Page) -> None:
    choose_tool(explore, "mix")
    for place in range(2):
        explore.locator(".parents .mug").nth(place).click()
    explore.locator('[data-do="breed"]').click()
    children = explore.locator(".children .mug")
    expect(children).to_have_count(8)
    explore.locator("h1").click()
    for place in (0, 1):
        explore.keyboard.press("n")
        face = children.nth(place).get_attribute("data-recipe") or ""
        expect(explore.locator(".now")).to_have_attribute("data-recipe", face)
    choose_tool(explore, "steer")
    explore.locator("h1").click()
    explore.keyboard.press("n")
    expect(explore.locator(".made-by")).to_contain_text("Seed ")
    assert Recipe.from_json(on_stage(explore)).vector is None
    explore.locator(".keys summary").click()
    expect(explore.locator(".keys kbd")).to_have_text(["D", "N", "K", "Z", "Y"])


def test_undo_and_redo_reach_the_tray_and_what_is_picked_for_mix(explore: Page) -> None:
    undo, redo = explore.locator('[data-do="undo"]'), explore.locator('[data-do="redo"]')
    expect(undo).to_be_disabled()
    choose_tool(explore, "mix")
    for place in (2, 0):
        explore.locator(".parents .mug").nth(place).click()
    explore.locator(".favourites .mug").nth(2).click()
    expect(explore.locator(".made-by")).to_contain_text("Seed 3")
    explore.locator('[data-do="remove"]').click()
    assert seeds(explore) == [1, 2]
    expect(explore.locator('[data-do="breed"]')).to_be_disabled()
    undo.click()
    expect(explore.locator(".favourites .mug")).to_have_count(3)
    expect(explore.locator('[data-do="breed"]')).to_be_enabled()  # whose parent is back
    undo.click()
    expect(explore.locator(".made-by")).to_contain_text("Seed 7")
    undo.click()
    expect(explore.locator(".badge")).to_have_text(["A"])
    undo.click()
    expect(explore.locator(".badge")).to_have_count(0)
    expect(undo).to_be_disabled()
    for _ in range(4):
        redo.click()
    expect(redo).to_be_disabled()
    expect(explore.locator(".favourites .mug")).to_have_count(2)
    explore.reload()
    explore.wait_for_selector(".now[data-recipe]")
    expect(explore.locator(".favourites .mug")).to_have_count(3)  # the link in the address brings the third again


def test_variation_that_is_clicked_becomes_the_face_and_shows_its_own_variations(explore: Page) -> None:
    choose_tool(explore, "vary")
    tiles = explore.locator(".variations .mug")
    expect(tiles).to_have_count(8)
    before, first = on_stage(explore), tiles.nth(2).get_attribute("data-recipe") or ""
    tiles.nth(2).click()
    expect(explore.locator(".now")).to_have_attribute("data-recipe", first)
    expect(tiles.nth(2)).not_to_have_attribute("data-recipe", first)
    explore.locator('[data-do="undo"]').click()
    expect(explore.locator(".now")).to_have_attribute("data-recipe", before)
    expect(tiles.nth(2)).to_have_attribute("data-recipe", first)


def test_slider_steers_the_face_and_undo_brings_face_and_slider_back(explore: Page, steered_folder: Path) -> None:
    choose_tool(explore, "steer")
    expect(explore.locator(".sliders summary")).to_have_text(["Expression", "Unnamed"])
    pattern = explore.locator(".steer").filter(has=explore.locator('[data-steer="sefa-1"]'))
    expect(pattern.locator("span")).to_have_text("Pattern 1")
    expect(pattern).to_have_attribute("title", re.compile("SeFa"))
    before, smile = on_stage(explore), explore.locator('[data-steer="smile"]')
    for amount in ("1", "2", "3"):
        smile.fill(amount)
    expect(explore.locator(".now")).not_to_have_attribute("data-recipe", before)
    explore.wait_for_timeout(500)
    steered = Recipe.from_json(on_stage(explore))
    assert steered.vector
    name, data = download(explore, "png", '[data-size="0"]')
    face = np.asarray(Image.open(io.BytesIO(data)))
    assert name == "face-7.png"
    assert abs(face.astype(int) - generate_recipes(load_checkpoint(steered_folder), [steered])[0]).max() <= 1
    explore.locator('[data-do="undo"]').click()
    expect(explore.locator(".now")).to_have_attribute("data-recipe", before)
    expect(smile).to_have_value("0")
    explore.locator('[data-do="redo"]').click()
    expect(smile).to_have_value("3")
    explore.locator('[data-do="reset"]').click()
    expect(explore.locator(".now")).to_have_attribute("data-recipe", before)


def test_choice_shows_eight_faces_and_how_many_carry_what_was_asked_for(explore: Page) -> None:
    choose_tool(explore, "choose")
    explore.locator('[data-do="find"]').click()
    alert(explore).to_contain_text("Pick at least one")
    explore.locator('[data-chip="blue_hair"]').click()
    explore.locator('[data-chip="blonde_hair"]').click()
    expect(explore.locator('[data-chip="blue_hair"]')).to_have_attribute("aria-pressed", "false")
    explore.locator('[data-do="find"]').click()
    expect(explore.locator(".found .mug")).to_have_count(8, timeout=120_000)
    expect(explore.locator(".found-text")).to_contain_text("of 8 match")
    alert(explore).to_be_hidden()


def test_faces_of_the_tray_are_bred_and_summed(explore: Page) -> None:
    choose_tool(explore, "mix")
    expect(explore.locator('[data-do="breed"]')).to_be_disabled()
    for place in range(3):
        explore.locator(".parents .mug").nth(place).click()
    explore.locator('[data-do="breed"]').click()
    expect(explore.locator(".children .mug")).to_have_count(8)
    before = on_stage(explore)
    explore.locator('[data-do="sum"]').click()
    expect(explore.locator(".now")).not_to_have_attribute("data-recipe", before)
    assert Recipe.from_json(on_stage(explore)).seed == 3


def test_picture_is_searched_for_and_its_nearest_face_comes_to_the_stage(
    explore: Page, steered_folder: Path, tmp_path: Path
) -> None:
    picture = Image.fromarray(generate(load_checkpoint(steered_folder), [99])[0])
    picture.resize((900, 700)).save(tmp_path / "<b>any.jpg")
    explore.locator(".chosen-file").set_input_files(tmp_path / "<b>any.jpg")
    expect(explore.locator('[data-panel="picture"]')).to_be_visible()
    expect(explore.locator(".near-text")).to_contain_text("random pairs of faces", timeout=120_000)
    assert Recipe.from_json(on_stage(explore)).vector
    (tmp_path / "no.png").write_bytes(b"no picture")
    explore.locator(".chosen-file").set_input_files(tmp_path / "no.png")
    alert(explore).to_contain_text("not a picture")


def test_closest_face_so_far_fills_its_picture_while_the_search_goes_on(explore: Page, tmp_path: Path) -> None:
    face = np.full((32, 32, 3), 200, np.uint8)
    face[:, :16] = 100
    Image.fromarray(face).save(tmp_path / "any.png")
    stand_in(explore, project={"search": "a"}, ask=search_value(ProjectionProgress(0.3, 1.0, face)), leave={})
    explore.locator(".chosen-file").set_input_files(tmp_path / "any.png")
    expect(explore.locator(".near-bar")).to_have_attribute("value", "0.3")

    def drawn() -> list[object]:
        url = explore.evaluate("document.querySelector('.nearest').toDataURL('image/png')")
        picture = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("L")
        return [picture.getpixel((x, 128)) for x in (40, 100, 160, 220)]

    while drawn() != [100, 100, 200, 200]:
        explore.wait_for_timeout(50)
    with explore.expect_request(lambda request: '"leave"' in (request.post_data or "")):
        explore.locator('[data-do="stop-search"]').click()


def test_search_that_is_stopped_leaves_the_stage_as_it_was(explore: Page, steered_folder: Path, tmp_path: Path) -> None:
    Image.fromarray(generate(load_checkpoint(steered_folder), [98])[0]).save(tmp_path / "any.png")
    explore.locator(".chosen-file").set_input_files(tmp_path / "any.png")
    explore.locator('[data-do="stop-search"]').click()
    expect(explore.locator('[data-do="stop-search"]')).to_be_hidden()
    expect(explore.locator(".made-by")).to_contain_text("Seed 7")


def test_another_search_takes_the_place_of_the_one_that_is_under_way(
    explore: Page, steered_folder: Path, tmp_path: Path
) -> None:
    for seed in (98, 97):
        Image.fromarray(generate(load_checkpoint(steered_folder), [seed])[0]).save(tmp_path / f"{seed}.png")
    choose_tool(explore, "picture")
    explore.locator(".chosen-file").set_input_files(tmp_path / "98.png")
    expect(explore.locator('[data-do="stop-search"]')).to_be_visible()
    explore.locator(".chosen-file").set_input_files(tmp_path / "97.png")
    explore.wait_for_timeout(800)  # the end of the first one takes nothing from the second
    if not explore.locator(".near-text").inner_text().startswith(("A close", "Similar", "Not")):
        expect(explore.locator(".near-bar")).to_be_visible()
    expect(explore.locator(".near-text")).to_contain_text("random pairs of faces", timeout=120_000)
    expect(explore.locator(".near-bar")).to_be_hidden()
    alert(explore).to_be_hidden()


def test_walk_through_the_tray_plays_without_requests_and_is_saved(explore: Page) -> None:
    choose_tool(explore, "film")
    explore.locator(".gap").fill("6")
    explore.locator(".gap").press("Tab")
    expect(explore.locator(".walk-hint")).to_contain_text("18 frames")
    explore.locator('[data-do="stroll"]').click()
    explore.wait_for_function("Number(document.querySelector('.stroll').dataset.index) > 2")
    asked: list[str] = []
    explore.on("request", lambda request: asked.append(request.url))
    explore.get_by_role("button", name="Pause").click()
    explore.locator(".stroll-at").fill("11")
    expect(explore.locator(".stroll")).to_have_attribute("data-index", "11")
    assert [url for url in asked if "heartbeat" not in url] == []
    for suffix, kind in ((".webp", "WEBP"), (".gif", "GIF"), (".png", "PNG")):
        name, data = download(explore, "film", f'[data-suffix="{suffix}"]')
        film = Image.open(io.BytesIO(data))
        assert (name, film.format, film.size) == (f"walk{suffix}", kind, (256, 256))
        assert getattr(film, "n_frames", 1) == 18


def test_layers_of_the_face_are_shown_and_follow_the_stage(explore: Page) -> None:
    choose_tool(explore, "inside")
    pictures = explore.locator('.net[aria-label="Generator"] img')
    expect(pictures.first).to_be_visible()
    expect(explore.locator(".layers figcaption").first).to_contain_text("latent 8")
    expect(explore.locator('.net[aria-label="Discriminator"]')).to_contain_text("multiply-adds for a face")
    expect(explore.locator(".logit")).to_contain_text("its logit is")
    last = pictures.last.get_attribute("src") or ""
    explore.locator('[data-do="dice"]').click()
    expect(pictures.last).not_to_have_attribute("src", last)


def test_copies_are_told_where_the_training_faces_are_known_and_else_that_they_are_not(
    explore: Page, steered_address: str
) -> None:
    choose_tool(explore, "copy")
    expect(explore.locator(".copy-verdict")).to_have_text("Not known")
    expect(explore.locator(".copy-text")).to_contain_text("copies cannot be detected")
    embedded = load_checkpoint(EMBEDDED)
    visit(explore, link(steered_address, face=recipe(embedded.revision, 5, embedded.name)))
    explore.get_by_role("button", name=f"Load {embedded.name}").click()
    expect(explore.locator(".made-by")).to_contain_text("Seed 5")
    choose_tool(explore, "copy")
    expect(explore.locator(".copy-text")).to_contain_text("of 1,000 held-out faces", timeout=20_000)
    before = explore.locator(".copy-text").inner_text()
    explore.locator('[data-do="dice"]').click()
    expect(explore.locator(".copy-text")).not_to_have_text(before)
    expect(explore.locator(".copy-text")).to_contain_text("of 1,000 held-out faces")


def test_own_slider_is_saved_steers_survives_reload_and_travels_with_the_tray(
    explore: Page, steered_address: str, tmp_path: Path
) -> None:
    name = "<img src=x onerror=alert(1)>"
    mine = explore.locator(".mine input")
    choose_tool(explore, "steer")
    explore.locator('[data-do="own-sliders"]').click()
    alert(explore).to_contain_text("Move at least one slider")
    explore.locator('[data-steer="smile"]').fill("2")
    expect(explore.locator(".made-by")).to_contain_text("Edited")
    explore.locator('[data-do="own-sliders"]').click()
    alert(explore).to_contain_text("Give it a name")
    explore.locator(".own-name").fill(name)
    explore.locator('[data-do="own-sliders"]').click()
    expect(explore.locator(".mine span")).to_have_text(name)
    expect(explore.locator(".sliders summary")).to_have_text(["Expression", "Your own", "Unnamed"])
    before = on_stage(explore)
    mine.fill("-3")
    expect(explore.locator(".now")).not_to_have_attribute("data-recipe", before)
    exported = download(explore, "export")[1]
    assert [entry["name"] for entry in json.loads(exported)["directions"]] == [name]
    explore.goto(steered_address)
    explore.wait_for_selector(".tile")
    explore.get_by_role("tab", name="Explore").click()
    choose_tool(explore, "steer")
    expect(explore.locator(".mine span")).to_have_text(name)
    explore.get_by_role("button", name=f"Remove {name}").click()
    expect(mine).to_have_count(0)
    explore.locator('[data-do="undo"]').click()
    expect(mine).to_have_count(1)
    explore.locator('[data-do="redo"]').click()
    expect(mine).to_have_count(0)
    (tmp_path / "tray.json").write_bytes(exported)
    explore.locator(".tray-file").set_input_files(tmp_path / "tray.json")
    expect(explore.locator(".mine span")).to_have_text(name)
    expect(explore.locator("#explore .status")).to_contain_text("1 of your own sliders came with it")


def test_difference_of_two_faces_becomes_a_slider_of_ones_own(explore: Page) -> None:
    choose_tool(explore, "mix")
    expect(explore.locator('[data-do="own-faces"]')).to_be_disabled()
    for place in range(2):
        explore.locator(".parents .mug").nth(place).click()
    explore.locator(".own-difference").fill("smile")
    explore.locator('[data-do="own-faces"]').click()
    alert(explore).to_contain_text("smile already")
    explore.locator(".own-difference").fill("A less B")
    explore.locator('[data-do="own-faces"]').click()
    choose_tool(explore, "steer")
    before = on_stage(explore)
    explore.locator('[data-steer="A less B"]').fill("3")
    expect(explore.locator(".now")).not_to_have_attribute("data-recipe", before)


def test_nonsense_in_the_storage_of_own_directions_does_no_harm(
    page: Page, steered_address: str, complaints: list[str]
) -> None:
    page.goto(steered_address)
    for kept in ("{", "7", '[{"name": 7}, null, {"name": "a", "revision": "b", "vector": "<b>"}]'):
        page.evaluate("kept => localStorage.setItem('ganime-directions', kept)", kept)
        visit(page, f"{steered_address}/?face=%7B")
        choose_tool(page, "steer")
        expect(page.locator(".mine")).to_have_count(0)
        expect(page.locator('[data-steer="smile"]')).to_be_visible()


def test_tray_is_reordered_exported_and_survives_reload(explore: Page, steered_address: str, tmp_path: Path) -> None:
    assert seeds(explore) == [1, 2, 3]
    explore.locator(".favourites .mug").nth(2).click()
    expect(explore.locator(".made-by")).to_contain_text("Seed 3")
    explore.locator('[data-do="left"]').click()
    assert seeds(explore) == [1, 3, 2]
    name, exported = download(explore, "export")
    assert name == "ganime-tray.json"
    archive = zipfile.ZipFile(io.BytesIO(download(explore, "zip")[1]))
    assert archive.namelist() == ["face-1.png", "face-3.png", "face-2.png"]
    explore.locator('[data-do="remove"]').click()
    expect(explore.locator(".favourites .mug")).to_have_count(2)
    explore.goto(steered_address)
    explore.wait_for_selector(".tile")
    explore.get_by_role("tab", name="Explore").click()
    expect(explore.locator(".favourites .mug")).to_have_count(2)
    assert seeds(explore) == [1, 2]
    (tmp_path / "tray.json").write_bytes(exported)
    explore.locator(".tray-file").set_input_files(tmp_path / "tray.json")
    expect(explore.locator(".favourites .mug")).to_have_count(3)
    assert seeds(explore) == [1, 2, 3]


def test_nonsense_is_no_tray(explore: Page, revision: str, tmp_path: Path) -> None:
    negative, short = '[{"model": "tiny", "revision": "%s", "seed": -4}]', recipe(revision, 1) | {"vector": "AAAA"}
    everything = ("no JSON", "[]", '{"ganime": "tray", "faces": [7]}', negative % revision, json.dumps([short]))
    for number, text in enumerate(everything):
        path = tmp_path / f"tray-{number}.json"
        path.write_text(text)
        explore.locator('[data-tool="vary"]').click()  # which takes the last refusal away
        alert(explore).to_be_empty()
        explore.locator(".tray-file").set_input_files(path)
        alert(explore).not_to_be_empty()
        assert seeds(explore) == [1, 2, 3]


def test_face_is_restored_from_the_recipe_in_its_sharpened_png(explore: Page, tmp_path: Path) -> None:
    (tmp_path / "face.png").write_bytes(download(explore, "png", '[data-size="512"]')[1])
    before = on_stage(explore)
    explore.locator('[data-do="dice"]').click()
    expect(explore.locator(".now")).not_to_have_attribute("data-recipe", before)
    explore.locator(".chosen-file").set_input_files(tmp_path / "face.png")
    expect(explore.locator(".now")).to_have_attribute("data-recipe", before)
    blank = np.zeros((8, 8, 3), np.uint8)
    (tmp_path / "bad.png").write_bytes(png_bytes(blank, '{"seed": "<img src=x onerror=alert(1)>"}'))
    explore.locator(".chosen-file").set_input_files(tmp_path / "bad.png")
    alert(explore).to_contain_text("damaged")
    assert on_stage(explore) == before


def test_file_that_is_dropped_anywhere_is_opened_on_the_tab(explore: Page, revision: str) -> None:
    blank = np.zeros((32, 32, 3), np.uint8)
    for seed, (tab, where) in enumerate(
        (("Explore", ".now"), ("Generate", "#gallery .tile"), ("Interpolate", "#walk .frame")), start=77
    ):
        explore.get_by_role("tab", name=tab).click()
        expect(explore.locator(where).first).to_be_visible()
        drop(explore, where, f"{seed}.png", png_bytes(blank, json.dumps(recipe(revision, seed))))
        expect(explore.locator(".made-by")).to_contain_text(f"Seed {seed} ")
        expect(explore.locator(".made-by")).to_be_visible()
    explore.get_by_role("tab", name="Generate").click()
    tray = {"ganime": "tray", "faces": [recipe(revision, 40)]}
    drop(explore, "h1", "ganime-tray.json", json.dumps(tray).encode())
    expect(explore.locator(".favourites .mug")).to_have_count(4)
    assert seeds(explore) == [1, 2, 3, 40]
    expect(explore.locator("#explore .status")).to_contain_text("1 of 1 faces added")
    before = on_stage(explore)
    for name, data, words in (
        ("notes.txt", b"a", "not a picture"),
        ("<b>.json", b"<b>", "not JSON"),
        ("face.png", b"\x89PNG", "not a picture"),
    ):
        explore.locator('[data-tool="vary"]').click()  # which takes the last refusal away
        alert(explore).to_be_empty()
        drop(explore, ".tray", name, data)
        alert(explore).to_contain_text(words)
        assert on_stage(explore) == before


def test_copied_link_opens_the_same_face(explore: Page, steered_address: str, revision: str) -> None:
    explore.context.grant_permissions(["clipboard-read", "clipboard-write"])
    explore.locator('[data-do="link"]').click()
    expect(explore.locator("#explore .status")).to_contain_text("Copied")
    copied = explore.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"{steered_address}/?face=")
    explore.locator('[data-do="dice"]').click()
    visit(explore, copied)
    expect(explore.locator(".made-by")).to_contain_text("Seed 7")


@pytest.mark.parametrize("query", ["face=%7B%22seed%22%3A1", "tray=[", "tray=%22x%22", "face=%00%FF"])
def test_link_with_nonsense_is_refused_in_words_and_leaves_a_page_that_works(
    page: Page, steered_address: str, complaints: list[str], query: str
) -> None:
    visit(page, f"{steered_address}/?{query}")
    alert(page).to_contain_text("his link")
    expect(page.locator(".made-by")).to_contain_text("Seed ")
    expect(page.locator(".favourites .mug")).to_have_count(0)


def test_link_to_a_face_of_another_model_offers_to_load_it(
    page: Page, steered_address: str, hub: HubServer, tiny_config: ModelConfig, complaints: list[str], tmp_path: Path
) -> None:
    save_checkpoint(Checkpoint(Generator(tiny_config).eval(), name="mine"), tmp_path / "mine")
    hub.add_model("tester/mine", tmp_path / "mine")
    visit(page, link(steered_address, face=recipe(load_checkpoint(tmp_path / "mine").revision, 5, "tester/mine")))
    alert(page).to_contain_text("drawn by tester/mine")
    page.get_by_role("button", name="Load tester/mine").click()
    expect(page.locator("#model-line")).to_contain_text("tester/mine")
    expect(page.locator(".made-by")).to_contain_text("Seed 5")
    expect(page.locator("#explore .offer")).to_be_hidden()


def test_link_to_a_face_of_the_embedded_model_offers_to_go_back_to_it(
    page: Page, steered_address: str, complaints: list[str]
) -> None:
    embedded = load_checkpoint(EMBEDDED)
    visit(page, link(steered_address, face=recipe(embedded.revision, 5, embedded.name)))
    page.get_by_role("button", name=f"Load {embedded.name}").click()
    expect(page.locator("#model-line")).to_contain_text("embedded")
    expect(page.locator(".made-by")).to_contain_text("Seed 5")


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
        expect(page.locator("#explore .window")).to_have_attribute("aria-busy", "false")
        assert on_stage(page) == before
        assert seeds(page) == [3]
        expect(page.locator("#model-line")).to_contain_text("Model: tiny")


def test_undo_and_redo_lead_back_across_models(explore: Page, steered_address: str) -> None:
    explore.locator('[data-do="dice"]').click()
    expect(explore.locator(".made-by")).not_to_contain_text("Seed 7 ")
    first = on_stage(explore)
    explore.get_by_role("button", name="Load another model").click()
    explore.get_by_label("Model on the Hugging Face hub").fill("tester/tiny")
    explore.locator("#load").click()
    expect(explore.locator(".made-by")).to_contain_text("tester/tiny")
    of_the_hub = on_stage(explore)
    undo, redo, line = (explore.locator(name) for name in ('[data-do="undo"]', '[data-do="redo"]', "#model-line"))
    undo.click()
    expect(explore.locator(".now")).to_have_attribute("data-recipe", first)
    expect(line).to_contain_text("Model: tiny")
    expect(explore.locator('[data-steer="smile"]')).to_have_count(1)
    choose_tool(explore, "vary")
    expect(explore.locator(".variations .mug")).to_have_count(8)
    undo.click()
    expect(explore.locator(".made-by")).to_contain_text("Seed 7 ")
    expect(undo).to_be_disabled()
    redo.click()
    expect(explore.locator(".now")).to_have_attribute("data-recipe", first)
    redo.click()
    expect(explore.locator(".now")).to_have_attribute("data-recipe", of_the_hub)
    expect(line).to_contain_text("tester/tiny · hub, revision")
    expect(redo).to_be_disabled()
    alert(explore).to_be_hidden()


def test_names_in_a_link_stay_text(page: Page, steered_address: str, complaints: list[str]) -> None:
    evil = "<img src=x onerror=alert(1)>"
    visit(page, link(steered_address, face=recipe("0" * 12, 5, evil), tray=[recipe("0" * 12, 6, evil)]))
    alert(page).to_contain_text(evil)
    expect(page.locator(".favourites .elsewhere")).to_contain_text(evil)
    expect(page.locator("#explore img[src='x']")).to_have_count(0)
    expect(page.locator("#explore .offer")).to_be_hidden()


def test_picked_face_of_the_gallery_goes_to_the_stage(page: Page, steered_address: str, complaints: list[str]) -> None:
    page.goto(steered_address)
    page.wait_for_selector(".tile")
    for seed in (5, 9):
        page.get_by_role("tab", name="Generate").click()
        page.locator(f'.tile[data-seed="{seed}"]').click()
        page.get_by_role("button", name="Explore", exact=True).click()
        expect(page.locator(".made-by")).to_contain_text(f"Seed {seed} ")
        expect(page.locator(".made-by")).to_be_visible()


def fill(page: Page, tool: str) -> None:
    """Open a tool and have it show what it has to show."""
    choose_tool(page, tool)
    if tool == "vary":
        expect(page.locator(".variations .mug")).to_have_count(8)
    if tool == "steer":
        page.locator(".sliders details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
        expect(page.locator('[data-steer="sefa-1"]')).to_be_visible()
    if tool == "choose":
        if not page.locator(".found .mug").count():
            page.locator('[data-chip="blonde_hair"]').click()
            page.locator('[data-do="find"]').click()
        expect(page.locator(".found .mug")).to_have_count(8, timeout=120_000)
        expect(page.locator(".find-bar")).to_be_hidden()
    if tool == "mix":
        while page.locator('.parents .mug[aria-pressed="true"]').count() < 3:
            page.locator('.parents .mug[aria-pressed="false"]').first.click()
        page.locator('[data-do="breed"]').click()
        expect(page.locator(".children .mug")).to_have_count(8)
    if tool == "film":
        page.locator('[data-do="stroll"]').click()
        expect(page.locator(".walk-bar")).to_be_hidden()
        expect(page.locator(".stroll")).to_be_visible()
    if tool == "inside":
        expect(page.locator(".net img").last).to_be_visible()
    if tool == "copy":
        expect(page.locator(".copy-verdict")).not_to_be_empty()


def test_no_serious_accessibility_violation_in_any_tool_once_it_is_filled(explore: Page) -> None:
    explore.emulate_media(color_scheme="light", reduced_motion="reduce")
    explore.locator(".keys summary").click()
    explore.locator(".favourites .mug").first.click()
    for tool in TOOLS:
        fill(explore, tool)
        assert serious_in_both_themes(explore, "#explore") == [], tool


def test_on_a_phone_every_tool_fits_and_the_face_stays_in_sight_while_it_is_steered(explore: Page) -> None:
    explore.set_viewport_size(PHONE)  # type: ignore[arg-type]
    explore.emulate_media(reduced_motion="reduce")
    explore.locator(".favourites .mug").first.click()
    for tool in TOOLS:
        fill(explore, tool)
        assert explore.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], tool
        assert serious(explore, "#explore") == [], tool
    fill(explore, "steer")
    explore.locator('[data-do="reset"]').scroll_into_view_if_needed()
    before = on_stage(explore)
    explore.locator('[data-steer="smile"]').fill("2")
    expect(explore.locator(".now")).not_to_have_attribute("data-recipe", before)
    expect(explore.locator(".now")).to_be_in_viewport(ratio=0.9)


def test_on_a_phone_faces_are_found_bred_kept_and_carried_off_in_a_file(explore: Page, tmp_path: Path) -> None:
    explore.set_viewport_size(PHONE)  # type: ignore[arg-type]
    for tool, tiles in (("vary", ".variations"), ("choose", ".found"), ("mix", ".children")):
        fill(explore, tool)
        face = explore.locator(f"{tiles} .mug").nth(1)
        wanted = face.get_attribute("data-recipe") or ""
        face.click()
        expect(explore.locator(".now")).to_have_attribute("data-recipe", wanted)
        explore.locator('[data-do="keep"]').click()
        expect(explore.locator("#explore .status")).to_have_text("Kept.")
    expect(explore.locator(".favourites .mug")).to_have_count(6)
    kept = seeds(explore)
    exported = download(explore, "export")[1]
    for _ in range(2):
        explore.locator(".favourites .mug").first.click()
        explore.locator('[data-do="remove"]').click()
    expect(explore.locator(".favourites .mug")).to_have_count(4)
    (tmp_path / "tray.json").write_bytes(exported)
    explore.locator(".tray-file").set_input_files(tmp_path / "tray.json")
    expect(explore.locator(".favourites .mug")).to_have_count(6)
    assert sorted(seeds(explore)) == sorted(kept)
