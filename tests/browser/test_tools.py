"""The other tools of the Create tab, in real Chromium: your picture, mix, own sliders, layers, and the copy check."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, Route, expect

from app.tabs.create import search_value
from ganime.drawing.mixing import recipes_of
from ganime.drawing.projection import ProjectionProgress
from ganime.drawing.recipe import Recipe
from ganime.drawing.sampling import generate, generate_recipes
from ganime.embedded import EMBEDDED
from ganime.models.checkpoint import load_checkpoint
from tests.browser.conftest import SERVER, stand_in
from tests.browser.create_tab import (
    alert,
    another_face,
    choose_tool,
    download,
    link,
    on_stage,
    pixels,
    press,
    recipe,
    status,
    this_face,
    until,
    visit,
)


def test_face_turns_into_the_one_closest_to_a_picture_and_stop_keeps_the_best_so_far(
    create: Page, steered_folder: Path, tmp_path: Path
) -> None:
    model, first = load_checkpoint(steered_folder), on_stage(create)
    [face] = generate(model, [99])
    Image.fromarray(face).resize((900, 700)).save(tmp_path / "<b>any.jpg")
    best = Recipe("tiny", model.revision, 0, 1.0, vector=Recipe("tiny", model.revision, 98).vector)
    [so_far] = recipes_of(model, np.random.default_rng(1).standard_normal((1, 8)).astype(np.float32))
    report = search_value(ProjectionProgress(0.3, 1.0, so_far, np.full((32, 32, 3), 200, np.uint8)))
    stand_in(create, project={"work": "a"}, ask=report, leave={})
    create.locator(".chosen-file").set_input_files(tmp_path / "<b>any.jpg")
    expect(create.locator('[data-panel="picture"]')).to_be_visible()
    expect(create.locator(".near-bar")).to_have_attribute("value", "0.3")
    expect(create.locator(".wanted")).to_be_visible()
    assert (pixels(create, ".wanted").max(2) < 10).mean() < 0.5  # the picture itself, not a black square
    create.wait_for_function(
        """() => {
          const canvas = document.querySelector(".now");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return [...Array(16).keys()].every((place) => Math.abs(data[place * 60_000] - 200) < 3);
        }"""
    )  # the whole stage shows the face so far
    this_face(create, so_far.to_json())
    expect(create.locator(".made-by")).to_have_text("The closest face so far")
    expect(create.locator(".variations")).to_have_attribute("aria-busy", "true")  # they are still the other face's
    expect(create.locator('[data-do="undo"]')).to_be_disabled()  # it is no step that undo takes back
    press(create, "keep")
    expect(create.locator(".favourites .mug").last).to_have_attribute("data-recipe", so_far.to_json())
    press(create, "undo")
    with create.expect_request(lambda request: '"leave"' in (request.post_data or "")):
        press(create, "stop-search")
    expect(create.locator(".made-by")).to_have_text("Changed face")
    kept = Recipe.from_json(on_stage(create))
    assert kept == so_far
    expect(create.locator(".variations")).to_have_attribute("aria-busy", "false")
    assert (kept.model, best.vector) == ("tiny", None)
    expect(create.locator(".near-text")).to_contain_text("closest face so far")
    expect(create.locator(".near-bar")).to_be_hidden()
    create.unroute(SERVER)
    press(create, "undo")
    this_face(create, first)


def test_picture_is_searched_for_to_the_end_unless_another_takes_its_place(
    create: Page, steered_folder: Path, tmp_path: Path
) -> None:
    first = on_stage(create)
    for seed in (98, 97):
        Image.fromarray(generate(load_checkpoint(steered_folder), [seed])[0]).save(tmp_path / f"{seed}.png")
    choose_tool(create, "picture")
    create.locator(".chosen-file").set_input_files(tmp_path / "98.png")
    expect(create.locator('[data-do="stop-search"]')).to_be_visible()
    create.locator(".chosen-file").set_input_files(tmp_path / "97.png")
    dark: list[float] = []

    def is_found() -> bool:
        dark.append(float((pixels(create, ".now").max(2) < 10).mean()))
        return create.locator(".near-text").inner_text().startswith(("A close", "Similar", "Not"))

    until(create, is_found, 120)
    assert max(dark) < 0.5
    expect(create.locator(".near-text")).to_contain_text("random pairs of faces", timeout=120_000)
    expect(create.locator(".near-bar")).to_be_hidden()
    found = another_face(create, first)
    assert Recipe.from_json(found).vector
    alert(create).to_be_hidden()
    (tmp_path / "no.png").write_bytes(b"no picture")
    create.locator(".chosen-file").set_input_files(tmp_path / "no.png")
    alert(create).to_contain_text("neither a picture")
    this_face(create, found)


def test_faces_of_the_tray_are_bred_and_summed_and_their_difference_becomes_a_slider(create: Page) -> None:
    choose_tool(create, "mix")
    breed, total, parents = (create.locator(name) for name in ('[data-do="breed"]', '[data-do="sum"]', ".parents .mug"))
    expect(breed).to_be_disabled()
    for place in (2, 0, 1):
        parents.nth(place).click()
    expect(create.locator(".badge")).to_have_text(["B", "C", "A"])
    breed.click()
    children = create.locator(".children .mug")
    expect(children).to_have_count(8)
    first = on_stage(create)
    total.click()
    mixed = another_face(create, first)
    assert Recipe.from_json(mixed).seed == 2  # the settings of C
    children.nth(3).click()
    child = another_face(create, mixed)
    for face in (mixed, first):
        press(create, "undo")
        this_face(create, face)
    create.locator(".favourites .mug").nth(2).focus()
    create.keyboard.press("Delete")  # one of the parents
    expect(parents).to_have_count(2)
    expect(total).to_be_disabled()
    press(create, "undo")
    expect(create.locator(".badge")).to_have_text(["B", "C", "A"])  # the parent is back in its place
    for count in (2, 1, 0):
        press(create, "undo")
        expect(create.locator(".badge")).to_have_count(count)
    for _ in range(3):
        press(create, "redo")
    expect(create.locator(".badge")).to_have_count(3)
    create.locator(".own-difference").fill("smile")
    press(create, "own-faces")
    alert(create).to_contain_text("smile already")
    create.locator(".own-difference").fill("A less B")
    press(create, "own-faces")
    status(create).to_contain_text("Saved “A less B”. Find it in Sliders, under More sliders: Your own.")
    choose_tool(create, "sliders")
    create.locator(".more-sliders summary").click()
    expect(create.get_by_role("heading", name="Your own")).to_be_visible()
    create.locator('.own [data-steer="A less B"]').fill("3")
    assert another_face(create, first) != child


def test_own_slider_is_saved_steers_survives_reload_and_travels_with_the_tray(
    create: Page, steered_address: str, tmp_path: Path
) -> None:
    name, first = "<img src=x onerror=alert(1)>", on_stage(create)
    mine = create.locator(".mine input")
    create.locator(".more-sliders summary").click()
    press(create, "own-sliders")
    alert(create).to_contain_text("Move at least one slider")
    create.locator('[data-steer="smile"]').fill("2")
    smiling = another_face(create, first)
    press(create, "own-sliders")
    alert(create).to_contain_text("Give it a name")
    create.locator(".own-name").fill(name)
    create.locator(".own-name").press("d")  # which writes, and rolls nothing
    create.locator(".own-name").fill(name)
    this_face(create, smiling)
    press(create, "own-sliders")
    expect(create.locator(".mine b")).to_have_text(name)
    mine.fill("-3")
    another_face(create, smiling)
    exported = download(create, "export")[1]
    assert [entry["name"] for entry in json.loads(exported)["directions"]] == [name]
    visit(create, steered_address)
    create.locator(".more-sliders summary").click()
    expect(create.locator(".mine b")).to_have_text(name)
    create.get_by_role("button", name=f"Remove {name}").click()
    expect(mine).to_have_count(0)
    expect(create.get_by_role("heading", name="Your own")).to_be_hidden()
    press(create, "undo")
    expect(mine).to_have_count(1)
    press(create, "redo")
    expect(mine).to_have_count(0)
    (tmp_path / "tray.json").write_bytes(exported)
    create.locator(".tray-file").set_input_files(tmp_path / "tray.json")
    expect(create.locator(".mine b")).to_have_text(name)
    status(create).to_contain_text("1 of your own sliders came with it")
    for kept in ("{", "7", '[{"name": 7}, null, {"name": "a", "revision": "b", "vector": "<b>"}]'):
        create.evaluate("kept => localStorage.setItem('ganime-directions', kept)", kept)
    create.reload()
    create.wait_for_selector('[data-steer="smile"]')
    expect(create.locator(".mine")).to_have_count(0)


def test_layers_and_the_copy_check_follow_the_face(create: Page, steered_address: str) -> None:
    choose_tool(create, "inside")
    shown = create.locator('.net[aria-label="Generator"] img')
    expect(shown.first).to_be_visible()
    expect(create.locator(".layers figcaption").first).to_contain_text("Random numbers")
    totals = create.locator('.net[aria-label="Discriminator"]').get_by_text("multiply-adds for a face")
    expect(totals).to_be_hidden()
    create.locator(".with-costs").check()
    expect(totals).to_be_visible()
    expect(create.locator(".logit")).to_contain_text("its score is")
    last = shown.last.get_attribute("src") or ""
    press(create, "dice")
    expect(shown.last).not_to_have_attribute("src", last)
    choose_tool(create, "copy")
    expect(create.locator(".copy-verdict")).to_have_text("Not known")
    expect(create.locator(".copy-text")).to_contain_text("copies cannot be detected")
    stand_in(create, compare={"work": "a"}, ask={"progress": 0.3}, leave={})
    press(create, "dice")
    expect(create.locator(".copy-bar")).to_have_attribute("value", "0.3")
    with create.expect_request(lambda request: '"leave"' in (request.post_data or "")):
        press(create, "stop-copy")
    expect(create.locator(".copy-bar")).to_be_hidden()
    expect(create.locator(".copy-text")).to_contain_text("Stopped.")
    create.unroute(SERVER)
    press(create, "dice")
    expect(create.locator(".copy-verdict")).to_have_text("Not known")
    embedded = load_checkpoint(EMBEDDED)
    visit(create, link(steered_address, face=recipe(embedded.revision, 5, embedded.name)))
    create.get_by_role("button", name=f"Load {embedded.name}").click()
    expect(create.locator(".made-by")).to_contain_text("Seed 5")
    choose_tool(create, "copy")
    text = create.locator(".copy-text")
    expect(text).to_contain_text("1,000")
    expect(create.locator(".copy-scale")).to_be_visible()
    before = text.inner_text()
    press(create, "dice")
    expect(text).not_to_have_text(before)


class Server:
    """The page's server, whose answers can be held back."""

    def __init__(self, page: Page) -> None:
        self.holding, self.held = False, list[Route]()
        for path in ("**/component_server**", "**/ganime/*"):
            page.route(path, self.meet)

    def meet(self, route: Route) -> None:
        if self.holding and not route.request.url.endswith("/sharp"):
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
  const stage = document.querySelector("#create .window");
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


def test_stage_says_within_a_moment_that_something_is_under_way_and_late_answers_change_nothing(create: Page) -> None:
    server, stage, first = Server(create), create.locator("#create .window"), on_stage(create)
    choose_tool(create, "mix")
    for place in range(3):
        create.locator(".parents .mug").nth(place).click()
    for tool, selector, amount in (
        ("sliders", '#create [data-do="dice"]', None),
        ("sliders", '[data-steer="smile"]', 2),
        ("sliders", ".boldness", 1.1),
        ("mix", '[data-do="breed"]', None),
        ("mix", '[data-do="sum"]', None),
        ("mix", '[data-tool="inside"]', None),
    ):
        choose_tool(create, tool)
        expect(stage).to_have_attribute("aria-busy", "false")
        server.holding = True
        in_time, painted = create.evaluate(ACT, [selector, amount])
        assert (in_time, painted) == (True, True), selector
        server.let_go()
        expect(stage).to_have_attribute("aria-busy", "false")
    alert(create).to_be_hidden()
    choose_tool(create, "sliders")
    before = on_stage(create)
    server.holding = True
    press(create, "dice")
    expect(stage).to_have_attribute("aria-busy", "true")
    create.locator(".favourites .mug").first.click()  # which takes no answer
    kept = another_face(create, before)
    server.let_go()
    expect(stage).to_have_attribute("aria-busy", "false")
    create.wait_for_timeout(200)
    this_face(create, kept)
    assert kept != first
    create.emulate_media(reduced_motion="reduce")
    server.holding = True
    press(create, "dice")
    expect(stage).to_have_attribute("aria-busy", "true")
    moving = "getComputedStyle(document.querySelector('#create .window'), '::after').animationName"
    assert create.evaluate(moving) == "none"
    create.emulate_media(reduced_motion="no-preference")
    assert create.evaluate(moving) == "under-way"
    server.let_go()


def test_server_that_is_gone_is_told_in_words_and_nothing_is_lost(
    create: Page, steered_folder: Path, complaints: list[str]
) -> None:
    first = on_stage(create)
    create.route("**/ganime/*", lambda route: route.abort())
    create.route(SERVER, lambda route: route.abort())
    told: list[str] = []
    for act in (
        lambda: press(create, "dice"),
        lambda: create.locator('[data-steer="smile"]').fill("2"),
        lambda: press(create, "save", '[data-size="0"]'),
        lambda: press(create, "roll"),
    ):
        act()
        alert(create).to_contain_text("does not answer")
        this_face(create, first)
        told.append(create.locator("#dock .alert").inner_text())
    assert len(set(told)) == 1
    expect(create.locator('[data-steer="smile"]')).to_have_value("0")  # it stands where the face is
    expect(create.locator(".favourites .mug")).to_have_count(3)
    create.unroute("**/ganime/*")
    create.unroute(SERVER)
    press(create, "dice")
    rolled = Recipe.from_json(another_face(create, first))
    assert generate_recipes(load_checkpoint(steered_folder), [rolled]).shape == (1, 32, 32, 3)
    alert(create).to_be_hidden()
    complaints[:] = [
        one for one in complaints if not re.search("ERR_FAILED|Failed to fetch", one)
    ]  # the browser's own words
