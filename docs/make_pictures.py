"""Make the pictures of the documents: screenshots, the animation, and figures that the embedded model draws.

`python -m docs.make_pictures [--only figures] [--out docs/pictures]`

Starts the page, drives it in Chromium and writes WebP files. The embedded model drew every face in every picture,
those on the Train tab too: the job in the screenshot trains on them. Needs `pip install .[dev]` and Chromium.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright

from ganime.drawing.directions import load_directions, steer
from ganime.drawing.layers import generator_maps
from ganime.drawing.recipe import latents, slerp
from ganime.drawing.sampling import render
from ganime.embedded import EMBEDDED
from ganime.images import bytes_within, sheet
from ganime.models.checkpoint import load_checkpoint
from tests.browser.conftest import CHROMIUM_FLAGS, chromium, serve

VIEWPORT = {"width": 1280, "height": 800}
SCREENSHOT_BYTES, ANIMATION_BYTES = 120_000, 900_000  # the largest files that are written
ANIMATION_SIZE = (800, 500)
QUALITIES = (90, 80, 70, 60, 50, 40)  # of WebP, tried in this order until the file is small enough
TRAINING_SECONDS = 150
PATIENCE = 1_200_000  # milliseconds; a training step at 128 px takes seconds on a busy machine
STEERED = ("blonde_hair", "green_eyes", "hair_length")  # the directions of the figure
PARTS = ("figures", "tabs", "train")
MODEL = load_checkpoint(EMBEDDED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append", help="make these alone; may be given several times")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    options = parser.parse_args()
    parts = options.only or PARTS
    options.out.mkdir(parents=True, exist_ok=True)
    if "figures" in parts:
        draw_figures(options.out)
    if "tabs" in parts or "train" in parts:
        drive_page(options.out, parts)


def draw_figures(out: Path) -> None:
    """The figures of docs/how-it-works.md: a walk, three directions, and the layers of the generator."""
    dim = MODEL.generator.config.latent_dim
    start, end = latents([3, 14], dim)  # (2, Z)
    walk = np.stack([slerp(start, end, position) for position in np.linspace(0, 1, 8)])  # (8, Z)
    write_still(Image.fromarray(sheet(render(MODEL.generator, walk), 8)), out / "walk.webp")

    assert MODEL.folder
    directions = load_directions(MODEL.folder, MODEL.revision, dim)
    assert directions
    [face] = latents([7], dim)  # (Z,)
    rows = [steer(face, directions, {name: amount}) for name in STEERED for amount in range(-3, 4)]  # 21 of (Z,)
    write_still(Image.fromarray(sheet(render(MODEL.generator, np.stack(rows)), 7)), out / "steer.webp")

    columns = []
    for maps in generator_maps(MODEL.generator, face, tiles=4):
        picture = maps.tiles.transpose(1, 2, 0) if maps.name == "to_rgb" else tiles_of(maps.tiles)
        columns.append(Image.fromarray(picture).resize((128, 128), Image.Resampling.NEAREST).convert("RGB"))
    strip = Image.new("RGB", (128 * len(columns) + 8 * (len(columns) - 1), 128), "white")
    for number, column in enumerate(columns):
        strip.paste(column, (number * 136, 0))
    write_still(strip, out / "layers.webp")


def tiles_of(maps: np.ndarray) -> np.ndarray:
    """Four feature maps, (4, H, W), as one square, (2H, 2W); the latent, (1, H, W), as it is."""
    return maps[0] if len(maps) < 4 else np.vstack([np.hstack(maps[:2]), np.hstack(maps[2:4])])


def drive_page(out: Path, parts: Sequence[str]) -> None:
    """Screenshots of the tabs and the animation."""
    with (
        tempfile.TemporaryDirectory() as home,
        sync_playwright() as play,
        serve(Path(home), GANIME_JOB_THREADS="1") as address,
    ):
        browser = play.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport=VIEWPORT, reduced_motion="reduce")  # type: ignore[arg-type]
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.wait_for_selector(".gallery .mug")
        if "tabs" in parts:
            film = Film(page)
            show_create(page, film, out)
            show_interpolate(page, film, out)
            film.write(out / "animation.webp")
        if "train" in parts:
            show_train(page, out)
        browser.close()


class Film:
    """Screenshots of a page, each shown for some milliseconds."""

    def __init__(self, page: Page) -> None:
        self.page, self.frames, self.durations = page, [], []

    def shoot(self, milliseconds: int) -> None:
        self.frames.append(screenshot(self.page).resize(ANIMATION_SIZE, Image.Resampling.LANCZOS))
        self.durations.append(milliseconds)

    def write(self, path: Path) -> None:
        first, *rest = self.frames
        write_webp(first, path, ANIMATION_BYTES, save_all=True, append_images=rest, duration=self.durations, loop=0)


def show_create(page: Page, film: Film, out: Path) -> None:
    """A face with blue hair and a smile is found, made clearer and kept; then one of its variations."""
    settled(page)
    film.shoot(1500)
    for trait in ("blue_hair", "smile"):
        page.locator(f'[data-chip="{trait}"]').click()
    page.locator(".find").scroll_into_view_if_needed()
    film.shoot(1200)
    page.locator('[data-do="find"]').click()
    page.wait_for_function("document.querySelectorAll('.gallery .mug').length === 8")
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)  # no button is lit
    write_webp(screenshot(page), out / "gallery.webp", SCREENSHOT_BYTES)
    film.shoot(1500)
    page.locator(".gallery .mug").first.click()
    page.evaluate("scrollTo(0, 0)")
    settled(page)
    film.shoot(1200)
    for selector, amounts in (
        (".clarity", (0.8, 0.9)),
        ('[data-steer="hair_length"]', (-1, -2)),
        (".boldness", (1.1,)),
    ):
        for amount in amounts:
            move(page, page.locator(selector), amount)
            film.shoot(350)
    settled(page)
    page.locator("#create .keep").click()
    film.shoot(1200)
    before = page.locator(".now").get_attribute("data-recipe")
    page.locator(".variations .mug").nth(3).click()
    page.wait_for_function("before => document.querySelector('.now').dataset.recipe !== before", arg=before)
    page.locator('[data-swatch="pink_hair"]').click()
    settled(page)
    page.locator("#create .keep").click()
    film.shoot(1500)
    page.wait_for_function("!document.querySelector('#dock .status').textContent")
    write_webp(screenshot(page), out / "create.webp", SCREENSHOT_BYTES)


MOVE = "(slider, to) => { slider.value = to; slider.dispatchEvent(new Event('input', { bubbles: true })); }"


def move(page: Page, slider: Locator, amount: float) -> None:
    """Move a slider and wait for its face."""
    before = page.locator(".now").get_attribute("data-recipe")
    slider.evaluate(MOVE, amount)
    page.wait_for_function("before => document.querySelector('.now').dataset.recipe !== before", arg=before)


def settled(page: Page) -> None:
    """Wait until the large face is sharp and its variations are there."""
    page.wait_for_selector(".now[data-sharp]")
    page.wait_for_function("document.querySelectorAll('.variations .mug').length === 8")
    page.wait_for_function("document.querySelector('#create .window').getAttribute('aria-busy') === 'false'")


def show_interpolate(page: Page, film: Film, out: Path) -> None:
    """The film through the kept faces."""
    page.locator('#dock [data-do="film"]').click()
    at = page.locator("#interpolate .at")
    page.wait_for_function("Number(document.querySelector('#interpolate .at').max) > 1")
    page.wait_for_timeout(5_000)  # all frames are drawn
    most = float(at.get_attribute("max") or 1)
    for place in np.linspace(0, most, 19):
        at.evaluate(MOVE, float(round(place)))
        film.shoot(130)
    at.evaluate(MOVE, float(round(most / 4)))
    page.wait_for_timeout(1_500)
    write_webp(screenshot(page), out / "interpolate.webp", SCREENSHOT_BYTES)


def show_train(page: Page, out: Path) -> None:
    """A job that goes on from the embedded model, on the example faces that this very model draws."""
    page.get_by_role("tab", name="Train").click()
    page.get_by_role("button", name="Try it with 300 example faces").click()
    page.locator("#faces .contact").wait_for()
    page.locator("#start-training").click()
    job = page.locator("#job .job")
    job.locator(".losses path.first").wait_for(state="attached")
    job.locator(".grid").wait_for()
    page.wait_for_timeout(TRAINING_SECONDS * 1000)  # the faces change
    job.evaluate("element => element.scrollIntoView()")
    write_webp(screenshot(page), out / "train.webp", SCREENSHOT_BYTES)
    page.get_by_role("button", name="Stop and keep").click()
    page.wait_for_selector('#job .job[data-state="finished"]')


def screenshot(page: Page) -> Image.Image:
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")  # is painted
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def write_still(image: Image.Image, path: Path) -> None:
    write_webp(image, path, SCREENSHOT_BYTES)


def write_webp(image: Image.Image, path: Path, most_bytes: int, **options: object) -> None:
    """Write an image at the best quality in QUALITIES at which the file has at most `most_bytes`."""
    data = bytes_within(image, most_bytes, "WEBP", QUALITIES, method=6, **options)
    if len(data) > most_bytes:
        raise SystemExit(f"{path} has {len(data):,} bytes at quality {QUALITIES[-1]}; at most {most_bytes:,} fit.")
    path.write_bytes(data)
    print(f"{path}: {len(data):,} bytes", flush=True)


if __name__ == "__main__":
    main()
