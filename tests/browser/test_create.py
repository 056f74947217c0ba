"""The Create tab on the embedded model, in real Chromium: the first face, rolling, locks, sliders, gallery, search."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, Route, expect

from app.faces.loaded_model import Drawn
from app.tabs.create import tiles_value
from ganime.drawing.clarity import DEFAULT_CLARITY, best_seeds
from ganime.drawing.direction_search import group
from ganime.drawing.directions import load_directions
from ganime.drawing.recipe import Recipe, encoded
from ganime.drawing.sampling import generate, generate_recipes
from ganime.drawing.sharpening import sharpened
from ganime.embedded import EMBEDDED
from ganime.models.checkpoint import load_checkpoint
from tests.browser.conftest import DESKTOP, SERVER, stand_in
from tests.browser.create_tab import (
    alert,
    another_face,
    choose_tool,
    download,
    in_address,
    on_stage,
    pixels,
    press,
    seeds,
    sharp_face,
    status,
    this_face,
    until,
    visit,
)

MODEL = load_checkpoint(EMBEDDED)
SIDE, DIM = MODEL.generator.config.image_size, MODEL.generator.config.latent_dim


def ways(*groups: str) -> np.ndarray:
    """The vectors of the embedded model's named directions of some groups, (K, latent)."""
    directions = load_directions(MODEL.folder, MODEL.revision, DIM)
    assert directions
    return np.stack([item.vector for item in directions.items if group(item.name) in groups])


def latent(text: str) -> np.ndarray:
    return Recipe.from_json(text).untruncated(DIM)


def of_model(text: str) -> Recipe:
    """A recipe that the embedded model has to draw."""
    recipe = Recipe.from_json(text)
    assert (recipe.model, recipe.revision) == (MODEL.name, MODEL.revision)
    return recipe


def set_slider(page: Page, selector: str, value: float) -> str:
    """Move a slider; returns the recipe of the face that it leads to."""
    before = on_stage(page)
    page.locator(selector).fill(str(value))
    return another_face(page, before)


def test_first_face_is_there_without_a_click_and_moves_until_somebody_touches_the_page(
    page: Page, address: str, complaints: list[str]
) -> None:
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    visit(page, address)
    first = on_stage(page)
    assert of_model(first).clarity == DEFAULT_CLARITY
    expect(page.locator(".gallery .mug")).to_have_count(16)
    face, sharp = sharp_face(page)  # the first, unless this machine is so busy that the next one is there
    assert sharp.shape == (512, 512, 3)
    [exact] = sharpened(generate_recipes(MODEL, [of_model(face)]), 512)
    assert abs(sharp.astype(int) - exact).mean() < 4  # a picture to look at
    page.wait_for_selector(".now:not([data-sharp])")
    another_face(page, first)  # well on the way to it
    expect(page.locator('[data-do="undo"]')).to_be_disabled()  # what moves is no step that undo takes back
    page.locator("h1").click()
    on_view = of_model(on_stage(page))
    assert (on_view.toward is not None) or on_view.seed != of_model(first).seed
    name = page.locator(".made-by").inner_text()
    assert f"to {on_view.toward}" in name or f"Seed {on_view.seed}" in name
    expect(page.locator(".now")).to_have_attribute("aria-label", f"The current face: {name}")
    expect(page.locator('[data-do="undo"]')).to_be_enabled()
    page.wait_for_selector(".now[data-sharp]")
    [exact] = sharpened(generate_recipes(MODEL, [on_view]), 512)
    assert abs(pixels(page, ".now").astype(int) - exact).mean() < 4
    press(page, "undo")
    this_face(page, first)


def test_nothing_moves_by_itself_for_those_who_want_less_motion_and_the_show_is_theirs_to_start(opened: Page) -> None:
    opened.wait_for_selector(".now[data-sharp]")
    before, first = pixels(opened, ".now"), on_stage(opened)
    opened.wait_for_timeout(5_000)
    assert np.array_equal(pixels(opened, ".now"), before)
    press(opened, "show")
    expect(opened.locator('[data-do="show"]')).to_have_attribute("aria-pressed", "true")
    another_face(opened, first)  # on the way to the next one
    press(opened, "show")  # which ends it
    expect(opened.locator('[data-do="show"]')).to_have_attribute("aria-pressed", "false")
    expect(opened.locator('[data-do="undo"]')).to_be_enabled()
    assert on_stage(opened) != first
    press(opened, "undo")
    this_face(opened, first)


def test_roll_keeps_what_is_locked_and_every_change_is_one_step_to_undo(opened: Page) -> None:
    first = on_stage(opened)
    press(opened, "dice")
    rolled = another_face(opened, first)
    assert of_model(rolled).vector is None
    locks = opened.locator(".locks")
    locks.get_by_role("button", name="Hair").click()
    expect(locks.get_by_role("button", name="Hair")).to_have_attribute("aria-pressed", "true")
    opened.locator("h1").click()
    with opened.expect_request("**/ganime/beside"):  # the clearest of every four
        opened.keyboard.press("d")
    locked = another_face(opened, rolled)
    hair = ways("hair colour", "hair_length", "twintails")
    np.testing.assert_allclose(hair @ latent(locked), hair @ latent(rolled), atol=0.02)
    assert np.corrcoef(latent(locked), latent(rolled))[0, 1] < 0.8  # the rest is another face
    before = opened.locator(".variations .mug").first.get_attribute("data-recipe") or ""
    press(opened, "others")
    expect(opened.locator(".variations .mug").first).not_to_have_attribute("data-recipe", before)
    for tile in opened.locator(".variations .mug").all()[:3]:
        varied = latent(tile.get_attribute("data-recipe") or "")
        np.testing.assert_allclose(hair @ varied, hair @ latent(locked), atol=0.02)
    locks.get_by_role("button", name="Hair").click()
    opened.keyboard.press("Control+z")
    this_face(opened, rolled)
    opened.keyboard.press("Control+z")
    this_face(opened, first)
    expect(opened.locator('[data-do="undo"]')).to_be_disabled()
    opened.keyboard.press("Control+y")
    opened.keyboard.press("Control+Shift+Z")
    this_face(opened, locked)


def test_swatches_and_sliders_change_the_face_and_say_where_it_is(opened: Page) -> None:
    first = on_stage(opened)
    strength = opened.get_by_label("Hair colour: strength")
    expect(strength).to_be_disabled()
    opened.locator('[data-swatch="blue_hair"]').click()
    blue = another_face(opened, first)
    expect(opened.locator('[data-swatch="blue_hair"]')).to_have_attribute("aria-pressed", "true")
    opened.locator('[data-swatch="pink_hair"]').click()
    pink = another_face(opened, blue)
    expect(opened.locator('[data-swatch="blue_hair"]')).to_have_attribute("aria-pressed", "false")
    assert float(strength.input_value()) > 0
    smiling = set_slider(opened, '[data-steer="smile"]', 1)
    assert (ways("smile") @ (latent(smiling) - latent(pink)))[0] > 0
    assert of_model(smiling).clarity == DEFAULT_CLARITY
    held: list[Route] = []
    opened.route("**/ganime/steer*", lambda route: held.append(route))
    opened.locator('[data-steer="blush"]').fill("1")
    until(opened, lambda: bool(held))
    opened.locator(".clarity").fill("0.8")  # before the other answer is there
    opened.wait_for_timeout(300)
    held[0].continue_()
    expect(opened.locator(".made-by")).to_contain_text("clarity 0.8")
    expect(opened.locator('[data-steer="blush"]')).to_have_value("1")
    opened.unroute("**/ganime/steer*")
    press(opened, "undo")
    expect(opened.locator(".clarity")).to_have_value(str(DEFAULT_CLARITY))
    press(opened, "undo")
    this_face(opened, smiling)
    smile = opened.locator('[data-steer="smile"]')
    limits = {end: float(smile.get_attribute(end) or "nan") for end in ("min", "max")}
    assert -3 <= limits["min"] < 0 < limits["max"] <= 3
    for amount in ("1.2", "1.3", "1.4"):
        smile.fill(amount)
    another_face(opened, smiling)
    opened.wait_for_timeout(300)
    press(opened, "undo")  # the moves of one slider are one step
    this_face(opened, pink)
    expect(smile).to_have_value("0")
    opened.get_by_role("button", name="Hair colour: as it was").click()
    this_face(opened, first)
    expect(strength).to_be_disabled()
    press(opened, "surprise")
    surprise = another_face(opened, first)
    expect(opened.locator('.swatch[aria-pressed="true"]:not(.none)')).to_have_count(2)
    press(opened, "reset")
    this_face(opened, first)
    press(opened, "undo")
    this_face(opened, surprise)
    press(opened, "undo")
    this_face(opened, first)
    opened.locator(".more-sliders summary").click()
    opened.locator(".own-name").evaluate("field => field.scrollIntoView({ block: 'center' })")
    expect(opened.locator(".now")).to_be_in_viewport(ratio=0.95)  # beside the sliders, however far down they are
    hat = set_slider(opened, '[data-steer="hat"]', 1)
    smile.dblclick(position={"x": 4, "y": 10})
    opened.wait_for_timeout(200)  # until the face of the first click has been asked for
    expect(opened.locator(".window")).to_have_attribute("aria-busy", "false")
    this_face(opened, hat)  # it is at its middle again
    in_address(opened, hat)
    opened.reload()
    this_face(opened, hat)
    expect(opened.locator('[data-steer="hat"]')).to_have_value("1")  # the address keeps the sliders, too


def test_face_is_steered_by_dragging_on_it(opened: Page) -> None:
    first = on_stage(opened)
    opened.locator(".pad-x").select_option("brightness")
    opened.locator(".pad-y").select_option("smile")
    box = opened.locator(".now").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    opened.mouse.move(x, y)
    opened.mouse.down()
    opened.mouse.move(x + 3, y)  # a press that trembles is none
    opened.wait_for_timeout(200)
    this_face(opened, first)
    held: list[Route] = []
    opened.route("**/ganime/steer*", lambda route: held.append(route))
    opened.mouse.move(x + 100, y - 60, steps=6)
    brightness = opened.locator('[data-steer="brightness"]')
    expect(brightness).to_have_value("1.2")  # the sliders go along, however late the face is
    expect(opened.locator(".made-by")).to_contain_text("Seed")
    opened.mouse.up()
    held[0].continue_()
    opened.unroute("**/ganime/steer*")
    another_face(opened, first)
    expect(opened.locator(".variations")).to_have_attribute("aria-busy", "false")
    opened.mouse.move(x - 100, y + 60)
    expect(brightness).to_have_value("1.2")
    assert float(opened.locator('[data-steer="smile"]').input_value()) > 0.5
    opened.wait_for_timeout(300)
    dragged = on_stage(opened)
    press(opened, "undo")
    while on_stage(opened) != first:
        press(opened, "undo")
    assert of_model(dragged).vector


def test_clarity_and_boldness_stand_in_the_recipe_and_in_the_saved_file(opened: Page) -> None:
    before = on_stage(opened)
    press(opened, "dice")
    another_face(opened, before)
    set_slider(opened, ".clarity", 0.3)
    face = of_model(set_slider(opened, ".boldness", 0.9))
    assert (face.clarity, face.truncation, face.vector) == (0.3, 0.9, None)
    tiles = opened.locator(".gallery .mug")
    expect(tiles.first).to_have_attribute("data-recipe", re.compile('"truncation": ?0.9'))
    expect(opened.locator(".made-by")).to_contain_text("clarity 0.3 · boldness 0.9")
    opened.locator(".made-by").click()
    expect(opened.locator(".recipe")).to_contain_text("clarity 0.3 · truncation 0.9")
    [exact] = generate_recipes(MODEL, [face])
    for size in (0, 1024):
        name, data = download(opened, "save", f'[data-size="{size}"]')
        image = Image.open(io.BytesIO(data))
        end = f"-{size}px" if size else ""
        assert (name, image.size) == (f"face-{face.seed}{end}.png", (size or SIDE,) * 2)
        recipe = Recipe.from_json(image.info["ganime"])
        assert (recipe.seed, recipe.clarity, recipe.truncation, recipe.sharpened) == (face.seed, 0.3, 0.9, size)
        expected = next(iter(sharpened(exact[None], size))) if size else exact
        assert abs(np.asarray(image).astype(int) - expected.astype(int)).max() <= 2
    press(opened, "undo")
    expect(opened.locator(".boldness")).to_have_value("1")
    press(opened, "undo")
    expect(opened.locator(".clarity")).to_have_value(str(DEFAULT_CLARITY))
    expect(opened.locator(".boldness")).to_have_value("1")


def test_gallery_has_1_to_64_faces_in_tiles_as_large_as_there_is_room(opened: Page) -> None:
    tiles, seed = opened.locator(".gallery .mug"), opened.locator(".seed")
    assert seeds(opened, ".gallery") == best_seeds(MODEL, 3, 16)
    for count, least in ((1, 500), (4, 300), (16, 180), (64, 80)):
        opened.locator("select.count").select_option(str(count))
        expect(tiles).to_have_count(count)
        box = tiles.first.bounding_box()
        assert box
        assert box["width"] >= least, count
    seed.fill("4294967295")
    seed.press("Enter")
    expect(tiles.first).to_have_attribute("data-recipe", re.compile('"seed": ?4294967295'))
    assert seeds(opened, ".gallery")[:3] == [4294967295, 0, 1]
    opened.locator("select.count").select_option("4")
    expect(tiles).to_have_count(4)
    drawn = [pixels(opened, f".gallery .tile:nth-child({place}) canvas") for place in (1, 2, 3, 4)]
    exact = generate(MODEL, [4294967295, 0, 1, 2], clarity=DEFAULT_CLARITY)
    assert abs(np.stack(drawn).astype(int) - exact.astype(int)).mean() < 4
    for wrong in ("-5", "1.5", "4294967296", ""):
        seed.fill(wrong)
        seed.press("Enter")
        if wrong:
            alert(opened).to_contain_text("whole number from 0 to 4,294,967,295")
        expect(seed).to_have_value("4294967295")
        expect(tiles).to_have_count(4)
    press(opened, "roll")
    expect(seed).not_to_have_value("4294967295")
    alert(opened).to_be_hidden()
    opened.wait_for_function("document.querySelector('.gallery').getAttribute('aria-busy') === 'false'")
    rolled = int(seed.input_value())
    best = best_seeds(MODEL, rolled, 4)
    expect(tiles.first).to_have_attribute("data-recipe", re.compile(f'"seed": ?{best[0]}\\b'))
    assert seeds(opened, ".gallery") == best
    opened.reload()  # the address says which faces these are
    expect(tiles.first).to_have_attribute("data-recipe", re.compile(f'"seed": ?{best[0]}\\b'))
    assert seeds(opened, ".gallery") == best
    press(opened, "keep-all")
    status(opened).to_have_text("Kept 4.")
    assert sorted(seeds(opened)) == sorted(seeds(opened, ".gallery"))
    expect(opened.locator('.gallery .heart[aria-pressed="true"]')).to_have_count(4)
    tiles.nth(2).click()
    this_face(opened, tiles.nth(2).get_attribute("data-recipe") or "")
    press(opened, "undo")
    press(opened, "undo")
    expect(opened.locator(".favourites .mug")).to_have_count(0)


def test_faces_with_traits_are_found_and_a_search_can_be_stopped(opened: Page) -> None:
    find = opened.locator('[data-do="find"]')
    expect(find).to_be_disabled()
    chip = opened.locator('[data-chip="blue_hair"]')
    opened.locator('[data-chip="pink_hair"]').click()
    chip.click()
    expect(opened.locator('[data-chip="pink_hair"]')).to_have_attribute("aria-pressed", "false")
    opened.locator('[data-chip="hat"]').click()
    opened.locator('[data-chip="glasses"]').click()
    found_first = [Recipe(MODEL.name, MODEL.revision, seed).to_json() for seed in (40, 41)]
    progress = {"progress": 0.25, "text": "2 of 8 found, 64 faces looked at.", "found": found_first}
    stand_in(opened, choose={"work": "a"}, ask=progress, leave={})
    find.focus()
    opened.keyboard.press("Enter")
    expect(opened.locator(".find-bar")).to_be_visible()
    expect(opened.locator('[data-do="stop-find"]')).to_be_focused()
    expect(opened.locator(".gallery .to-come")).to_have_count(6)  # faces are on view as soon as they are found
    opened.keyboard.press("Enter")
    expect(opened.locator(".find-bar")).to_be_hidden()
    expect(opened.locator(".gallery .to-come")).to_have_count(0)
    assert seeds(opened, ".gallery") == [40, 41]
    expect(opened.locator(".found-text")).to_have_text("Stopped. 2 of 8 found.")
    opened.unroute(SERVER)
    expect(find).to_be_focused()
    expect(find).to_be_enabled()
    opened.locator('[data-chip="hat"]').click()
    opened.locator('[data-chip="glasses"]').click()
    find.click()
    expect(opened.locator(".gallery .mug")).to_have_count(8, timeout=120_000)
    expect(opened.locator(".found-text")).to_contain_text("of 8 seem to match")
    expect(opened.locator(".rolls h2")).to_have_text("Found: 8")
    expect(opened.locator(".seed")).to_be_hidden()
    opened.locator(".gallery .heart").nth(1).click(force=True)
    status(opened).to_have_text("Kept.")
    kept = opened.locator(".gallery .mug").nth(1).get_attribute("data-recipe")
    assert opened.locator(".favourites .mug").get_attribute("data-recipe") == kept
    first = on_stage(opened)
    opened.locator(".gallery .mug").nth(1).click()
    found = another_face(opened, first)
    press(opened, "dice")
    assert of_model(another_face(opened, found)).clarity == DEFAULT_CLARITY  # whatever its own is
    press(opened, "back")
    expect(opened.locator(".gallery .mug")).to_have_count(16)
    expect(opened.locator(".rolls h2")).to_have_text("Gallery")
    expect(opened.locator(".found-text")).to_be_empty()
    alert(opened).to_be_hidden()


def test_found_face_that_is_blurred_can_be_made_clearer(opened: Page, tmp_path: Path) -> None:
    found = Recipe(MODEL.name, MODEL.revision, 0, vector=encoded(np.random.default_rng(1).standard_normal(DIM)))
    picture = generate_recipes(MODEL, [found])
    Image.fromarray(picture[0]).save(tmp_path / "face.png")
    answer = tiles_value(Drawn([found], picture)) | {"text": "Close, but blurred.", "blurred": True}
    stand_in(opened, project=answer)
    before, clearer = on_stage(opened), opened.locator('[data-do="clearer"]')
    choose_tool(opened, "picture")
    expect(clearer).to_be_hidden()
    opened.locator(".chosen-file").set_input_files(tmp_path / "face.png")
    blurred = another_face(opened, before)
    clearer.click()
    clear = of_model(another_face(opened, blurred))
    assert (clear.vector, clear.clarity) == (found.vector, 0.6)
    expect(clearer).to_be_hidden()


def test_variations_are_reached_by_arrow_keys_and_the_focus_stays_at_its_place(opened: Page) -> None:
    tiles = opened.locator(".variations .mug")
    expect(tiles).to_have_count(8)
    assert opened.locator('.variations .mug[tabindex="0"]').count() == 1
    tiles.first.focus()
    opened.keyboard.press("ArrowRight")
    opened.keyboard.press("ArrowRight")
    expect(tiles.nth(2)).to_be_focused()
    first, chosen = on_stage(opened), tiles.nth(2).get_attribute("data-recipe") or ""
    opened.keyboard.press("Enter")
    this_face(opened, chosen)
    expect(tiles.nth(2)).not_to_have_attribute("data-recipe", chosen)  # they are those of the new face
    expect(tiles.nth(2)).to_be_focused()
    opened.keyboard.press("k")  # keeps the one that has the focus, not the large one
    expect(opened.locator(".favourites .mug")).to_have_count(1)
    assert opened.locator(".favourites .mug").get_attribute("data-recipe") == tiles.nth(2).get_attribute("data-recipe")
    opened.keyboard.press("k")
    expect(opened.locator(".favourites .mug")).to_have_count(0)
    opened.keyboard.press("ArrowLeft")
    expect(tiles.nth(1)).to_be_focused()
    opened.locator("h1").click()
    face = tiles.first.get_attribute("data-recipe") or ""
    opened.keyboard.press("n")
    this_face(opened, face)
    opened.keyboard.press("z")
    this_face(opened, chosen)
    opened.get_by_label("Strength of the variations").focus()  # nothing is written in a slider
    for _ in range(3):  # out of the tray, into the tray, the face
        opened.keyboard.press("z")
    this_face(opened, first)
