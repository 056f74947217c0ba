"""What a visitor does on the page, in real Chromium: make faces, pick, keep, walk, load other models."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from ganime.drawing.clarity import DEFAULT_CLARITY
from ganime.drawing.recipe import Recipe
from ganime.drawing.sampling import generate, generate_recipes
from ganime.drawing.sharpening import sharpened
from ganime.models.checkpoint import EMBEDDED, load_checkpoint
from tests.browser.accessibility import serious_in_both_themes
from tests.browser.explore_tab import alert, on_stage, visit
from tests.hub_server import HubServer

SIDE = load_checkpoint(EMBEDDED).generator.config.image_size
# Keeps which frames of the walk are shown, one after the other.
INDICES = """() => {
  window.indices = [];
  const frame = document.querySelector("#walk .frame");
  const note = () => window.indices.push(Number(frame.dataset.index));
  new MutationObserver(note).observe(frame, { attributeFilter: ["data-index"] });
}"""

# A banner of more than 20 letters is shown, and its words are not these.
OTHER_BANNER = """before => {
  const banner = document.querySelector("#banner");
  return banner?.checkVisibility() && banner.innerText.length > 20 && banner.innerText !== before;
}"""


def download(page: Page, button: str, within: str = "body") -> tuple[str, bytes]:
    with page.expect_download() as waiting:
        page.locator(within).get_by_role("button", name=button, exact=True).click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def seeds(page: Page) -> list[int]:
    return [int(tile.get_attribute("data-seed") or "-1") for tile in page.locator(".tile").all()]


def draw(page: Page, seed: int) -> None:
    page.get_by_label("Seed", exact=True).fill(str(seed))
    expect(page.locator(".tile").first).to_have_attribute("data-seed", str(seed))


def pixels(page: Page, canvas: str) -> np.ndarray:
    """The pixels of a canvas, (H, W, 3)."""
    url = page.evaluate("canvas => document.querySelector(canvas).toDataURL('image/png')", canvas)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))


def open_walk(page: Page) -> None:
    page.get_by_role("tab", name="Interpolate").click()
    expect(page.locator("#walk .where")).to_contain_text("0% of the way")


def test_first_visit_shows_faces_and_fits_the_screen_on_every_tab_without_a_serious_accessibility_violation(
    each_width: Page,
) -> None:
    assert seeds(each_width) == list(range(16))
    expect(each_width.locator("#model-line")).to_contain_text(f"{EMBEDDED.name} · embedded · {SIDE} px")
    expect(each_width.locator("h1")).to_have_text("Ganime")
    for tab in ("Generate", "Interpolate", "Train"):
        each_width.get_by_role("tab", name=tab).click()
        each_width.wait_for_timeout(400)
        assert each_width.evaluate("document.documentElement.scrollWidth") <= each_width.evaluate(
            "window.innerWidth"
        ), tab
        assert serious_in_both_themes(each_width) == [], tab


def test_tiles_show_the_exact_pixels_of_each_seed(opened: Page) -> None:
    draw(opened, 40)
    faces = generate(load_checkpoint(EMBEDDED), seeds(opened), clarity=DEFAULT_CLARITY)
    tiles = [pixels(opened, f".tile[data-seed='{seed}'] canvas") for seed in seeds(opened)]
    assert abs(np.stack(tiles).astype(int) - faces.astype(int)).max() <= 1
    opened.locator('.tile[data-seed="43"]').click()
    assert np.array_equal(pixels(opened, "#gallery .large"), tiles[3])


def test_the_selected_face_becomes_sharp_a_moment_later(opened: Page) -> None:
    draw(opened, 40)
    opened.wait_for_selector("#gallery .large[data-sharp]")
    sharp = pixels(opened, "#gallery .large")
    assert sharp.shape[:2] == (512, 512)
    small = np.asarray(Image.fromarray(sharp[..., :3]).resize((128, 128), Image.Resampling.BOX))
    plain = pixels(opened, ".tile[data-seed='40'] canvas")[..., :3]
    assert abs(small.astype(int) - plain.astype(int)).mean() < 8
    opened.locator('.tile[data-seed="41"]').click()
    assert pixels(opened, "#gallery .large").shape[0] == 128  # the next face is plain at first
    opened.wait_for_selector("#gallery .large[data-sharp]")


def test_dice_rolls_other_faces_and_shows_their_seeds(opened: Page) -> None:
    before = seeds(opened)
    opened.locator("#dice").click()
    expect(opened.locator(".tile").first).not_to_have_attribute("data-seed", str(before[0]))
    rolled = seeds(opened)
    assert len(rolled) == 16
    assert rolled[0] == int(opened.get_by_label("Seed", exact=True).input_value())
    assert rolled == [(rolled[0] + step) % 2**32 for step in range(16)]


def test_picked_face_is_downloaded_with_its_recipe_at_each_size(opened: Page) -> None:
    draw(opened, 20)
    opened.locator('.tile[data-seed="23"]').click()
    expect(opened.locator("#gallery h2")).to_have_text("Seed 23")
    faces = generate(load_checkpoint(EMBEDDED), [23], clarity=DEFAULT_CLARITY)
    for button, side in ((f"PNG {SIDE} px", SIDE), ("512 px, sharpened", 512), ("1024 px, sharpened", 1024)):
        name, data = download(opened, button)
        image = Image.open(io.BytesIO(data))
        assert (name, image.size, image.format) == ("face-23.png", (side, side), "PNG")
        recipe = Recipe.from_json(image.info["ganime"])
        assert (recipe.model, recipe.seed, recipe.truncation) == (EMBEDDED.name, 23, 1.0)
        assert (recipe.clarity, recipe.sharpened) == (DEFAULT_CLARITY, 0 if side == SIDE else side)
        [expected] = faces if side == SIDE else sharpened(faces, side)
        assert abs(np.asarray(image).astype(int) - expected.astype(int)).max() <= 2


def test_zip_holds_every_face_of_the_gallery(opened: Page) -> None:
    draw(opened, 100)
    name, data = download(opened, "ZIP of all")
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert name == "faces.zip"
    assert sorted(archive.namelist()) == sorted(f"face-{seed}.png" for seed in range(100, 116))
    for entry in archive.namelist():
        assert f'"seed": {entry[5:-4]}' in Image.open(io.BytesIO(archive.read(entry))).info["ganime"]


def test_boldness_and_clarity_change_the_faces_and_stand_in_the_recipe(opened: Page) -> None:
    for label, value in (("Boldness", "0.9"), ("Clarity", "0.3")):
        opened.get_by_label(f"number input for {label}").first.fill(value)
        opened.get_by_label(f"number input for {label}").first.press("Enter")
    draw(opened, 7)
    expect(opened.locator("#gallery .recipe")).to_contain_text("clarity 0.3 · truncation 0.9")
    _, data = download(opened, f"PNG {SIDE} px")
    image = Image.open(io.BytesIO(data))
    recipe = json.loads(image.info["ganime"])
    assert (recipe["truncation"], recipe["clarity"]) == (0.9, 0.3)
    [expected] = generate(load_checkpoint(EMBEDDED), [7], 0.9, 0.3)
    assert abs(np.asarray(image).astype(int) - expected.astype(int)).max() <= 1


def test_of_many_quick_changes_the_last_one_stays(opened: Page) -> None:
    field = opened.get_by_label("Seed", exact=True)
    for seed in range(200, 230):
        field.fill(str(seed))
    expect(opened.locator(".tile").first).to_have_attribute("data-seed", "229")
    opened.wait_for_timeout(500)
    assert seeds(opened) == list(range(229, 245))


def test_arrow_keys_move_the_pick(opened: Page) -> None:
    opened.locator('.tile[data-seed="0"]').focus()
    opened.keyboard.press("ArrowRight")
    expect(opened.locator("#gallery h2")).to_have_text("Seed 1")
    opened.keyboard.press("ArrowDown")
    assert int(opened.locator("#gallery h2").inner_text().split()[1]) > 2
    expect(opened.locator('.tile[aria-pressed="true"]')).to_be_focused()


def test_nonsense_seed_is_answered_in_words_and_keeps_the_faces(opened: Page) -> None:
    opened.get_by_label("Seed", exact=True).fill("-5")
    expect(opened.locator("#gallery .alert")).to_contain_text(
        "A seed is a whole number from 0 to 4,294,967,295; got -5"
    )
    assert seeds(opened) == list(range(16))
    assert download(opened, f"PNG {SIDE} px")[0] == "face-0.png"
    opened.get_by_label("Seed", exact=True).fill("1.5")
    expect(opened.locator("#gallery .alert")).to_contain_text("got 1.5")
    draw(opened, 5)
    expect(opened.locator("#gallery .alert")).to_be_hidden()


def test_slider_by_keyboard_changes_the_frame_without_a_request(opened: Page) -> None:
    open_walk(opened)
    first, asked = pixels(opened, ".frame"), []
    opened.on("request", lambda request: asked.append(request.url))
    opened.locator("#walk .slider").focus()
    for _ in range(12):
        opened.keyboard.press("ArrowRight")
    assert not np.array_equal(pixels(opened, ".frame"), first)
    expect(opened.locator("#walk .where")).to_contain_text("26% of the way from seed 3 to seed 14")
    opened.keyboard.press("End")
    expect(opened.locator("#walk .where")).to_contain_text("100%")
    end = generate(load_checkpoint(EMBEDDED), [14])[0]
    assert abs(pixels(opened, ".frame").astype(int) - end.astype(int)).max() <= 1
    assert [url for url in asked if "heartbeat" not in url] == []


def test_slider_by_mouse_changes_the_frame_without_a_request(opened: Page) -> None:
    open_walk(opened)
    slider = opened.locator("#walk .slider")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box
    first, asked = pixels(opened, ".frame"), []
    opened.on("request", lambda request: asked.append(request.url))
    opened.mouse.move(box["x"] + 8, box["y"] + box["height"] / 2)
    opened.mouse.down()
    opened.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2, steps=8)
    opened.mouse.up()
    assert not np.array_equal(pixels(opened, ".frame"), first)
    assert int(opened.locator("#walk .frame").get_attribute("data-index") or 0) > 20
    assert [url for url in asked if "heartbeat" not in url] == []


def test_play_walks_on_by_itself_and_pauses(opened: Page) -> None:
    open_walk(opened)
    opened.get_by_role("button", name="Play").click()
    opened.wait_for_function("Number(document.querySelector('.frame').dataset.index) > 5")
    opened.get_by_role("button", name="Pause").click()
    stopped = opened.locator("#walk .slider").input_value()
    opened.wait_for_timeout(300)
    assert opened.locator("#walk .slider").input_value() == stopped


def test_faces_of_the_gallery_become_the_ends_of_the_walk(opened: Page) -> None:
    opened.locator('.tile[data-seed="5"]').click()
    opened.get_by_role("button", name="Interpolate from here").click()
    expect(opened.locator("#walk .where")).to_contain_text("from seed 5 to seed 14")
    opened.get_by_role("tab", name="Generate").click()
    opened.locator('.tile[data-seed="9"]').click()
    opened.get_by_role("button", name="Interpolate to here").click()
    expect(opened.locator("#walk .where")).to_contain_text("from seed 5 to seed 9")


def test_shown_frame_and_films_are_downloaded(opened: Page) -> None:
    open_walk(opened)
    opened.locator("#walk .slider").fill("24")
    name, data = download(opened, "This frame as PNG")
    image = Image.open(io.BytesIO(data))
    recipe = Recipe.from_json(image.info["ganime"])
    assert (name, recipe.seed, recipe.toward) == ("face-3-14-51.png", 3, 14)
    again = generate_recipes(load_checkpoint(EMBEDDED), [recipe])[0]
    assert abs(np.asarray(image).astype(int) - again.astype(int)).max() <= 1
    assert abs(np.asarray(image).astype(int) - pixels(opened, ".frame").astype(int)).max() <= 1
    for button, kind in (("Save film, WebP", "WEBP"), ("Save film, GIF", "GIF")):
        name, data = download(opened, button)
        film = Image.open(io.BytesIO(data))
        assert (film.format, film.size, getattr(film, "n_frames", 1)) == (kind, (256, 256), 94)
        assert name == f"walk-3-14.{kind.lower()}"


def frames_of(data: bytes, places: tuple[int, ...]) -> list[np.ndarray]:
    found = []
    with Image.open(io.BytesIO(data)) as film:
        for place in places:
            film.seek(place)
            found.append(np.asarray(film.convert("RGB")).astype(int))
    return found


def test_pace_is_that_of_the_preview_and_of_the_film(opened: Page) -> None:
    open_walk(opened)
    even = frames_of(download(opened, "Save film, APNG")[1], (0, 12, 47))
    opened.locator("#walk .easing").select_option("smooth")
    smooth = frames_of(download(opened, "Save film, APNG")[1], (0, 12, 47))
    assert [np.array_equal(*pair) for pair in zip(even, smooth, strict=True)] == [True, False, True]
    opened.evaluate(INDICES)
    opened.get_by_role("button", name="Play").click()
    opened.wait_for_function("window.indices.includes(24)", timeout=60_000)
    opened.get_by_role("button", name="Pause").click()
    seen = opened.evaluate("window.indices")
    assert seen == sorted(seen)
    assert seen[0] < 3


def test_film_that_is_stopped_saves_nothing_and_leaves_its_place_to_the_next(opened: Page) -> None:
    open_walk(opened)
    saved, stop = [], opened.locator('#walk [data-action="stop"]')
    opened.on("download", lambda download: saved.append(download.suggested_filename))
    for _ in range(2):
        opened.get_by_role("button", name="Save film, GIF").click()
        expect(opened.locator("#walk .film-bar")).to_be_visible()
        stop.click()
        expect(stop).to_be_hidden()
        expect(opened.locator("#walk .status")).to_have_text("Stopped.")
    assert download(opened, "Save film, WebP")[0] == "walk-3-14.webp"
    assert saved == ["walk-3-14.webp"]


def load(page: Page, reference: str) -> None:
    if not page.get_by_label("Model on the Hugging Face hub").is_visible():
        page.get_by_role("button", name="Load another model").click()
    page.get_by_label("Model on the Hugging Face hub").fill(reference)
    page.locator("#load").click()


def test_model_from_the_hub_draws_on_both_tabs_and_back_again(opened: Page) -> None:
    load(opened, "tester/tiny")
    expect(opened.locator("#model-line")).to_contain_text("tester/tiny · hub, revision")
    expect(opened.locator("#gallery .native")).to_have_text("PNG 32 px")
    open_walk(opened)
    opened.wait_for_function("document.querySelector('.frame').width === 32")
    opened.locator("#embedded").click()
    expect(opened.locator("#model-line")).to_contain_text(f"{EMBEDDED.name} · embedded")
    opened.wait_for_function(f"document.querySelector('.frame').width === {SIDE}")


def test_hub_failure_is_told_in_a_banner_and_leaves_the_model_in_place(opened: Page, hub: HubServer) -> None:
    failures = [
        ("ok", "tester/absent"),
        ("500", "tester/other"),
        ("401", "tester/secret"),
        ("slow", "tester/late"),
        ("ok", "nonsense"),
        ("ok", "<b>x</b>/<img src=x onerror=alert(1)>"),
    ]
    before = ""
    for seed, (hub.mode, reference) in enumerate(failures, start=77):
        try:
            load(opened, reference)
            opened.wait_for_function(OTHER_BANNER, arg=before, timeout=15_000)
        finally:
            hub.mode = "ok"
        before = opened.locator("#banner").inner_text()
        expect(opened.locator("#model-line")).to_contain_text(f"{EMBEDDED.name} · embedded")
        assert opened.locator("#banner img, #banner b").count() == 0
        draw(opened, seed)


def test_one_visitors_model_is_not_anothers(opened: Page, address: str) -> None:
    load(opened, "tester/tiny")
    expect(opened.locator("#model-line")).to_contain_text("tester/tiny")
    other = opened.context.browser.new_page()  # type: ignore[union-attr]
    other.goto(address)
    expect(other.locator("#model-line")).to_contain_text(f"{EMBEDDED.name} · embedded")
    other.close()


def test_count_out_of_range_draws_the_nearest_that_is_in_it(opened: Page) -> None:
    field = opened.get_by_label("number input for Faces")
    for typed, drawn in (("65", 64), ("0", 1), ("100", 64)):
        field.fill(typed)
        field.press("Tab")
        expect(opened.locator(".tile")).to_have_count(drawn)


def test_link_to_a_face_of_a_model_trained_here_says_whom_it_opens_for_and_does(
    page: Page, address: str, trained: tuple[Path, str], complaints: list[str]
) -> None:
    _, job = trained
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit(page, f"{address}/?face=%7B")
    expect(page.locator('[data-do="link"]')).to_have_text("Copy link")
    page.evaluate("key => localStorage.setItem('ganime-jobs', JSON.stringify([{ key }]))", job)
    page.get_by_role("button", name="Load another model").click()
    page.locator("#models").get_by_role("button", name="<b>mine</b>").click()
    expect(page.locator(".made-by")).to_contain_text("<b>mine</b>")
    face = on_stage(page)
    page.get_by_role("button", name="Copy link for yourself").click()
    expect(page.locator("#explore .status")).to_contain_text("opens only in a browser that holds")
    expect(page.locator("#explore .status")).to_contain_text("save a PNG")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert job.partition(".")[2] not in copied
    visit(page, copied)
    page.get_by_role("button", name="Load <b>mine</b>").click()
    expect(page.locator(".now")).to_have_attribute("data-recipe", face)
    page.evaluate("localStorage.clear()")
    visit(page, copied)
    alert(page).to_contain_text("drawn by <b>mine</b>")
    expect(page.locator("#explore .offer")).to_be_hidden()
