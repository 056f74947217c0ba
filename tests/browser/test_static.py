"""The static edition in Chromium, from a plain file server and then without any: the same faces as the server's."""

from __future__ import annotations

import base64
import functools
import http.server
import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from app.faces.loaded_model import LoadedModel
from app.faces.studio import Studio
from app.settings import Settings
from app.static.edition import MOST_BYTES, write_edition
from app.static.runtime import PACKAGE, VERSION, Runtime, find_runtime
from ganime.drawing.recipe import Recipe
from ganime.errors import ConfigError
from ganime.images import recipe_in
from tests.browser.accessibility import serious_in_themes
from tests.browser.conftest import DESKTOP, PATIENCE, PHONE, is_complaint, is_outside
from tests.browser.create_tab import until

MOST_DIFFERENCE = 2  # levels of 255 between a pixel here and on the server
DRAWN, GALLERY = ".now[data-recipe]", "#create .gallery .mug"


class Site(NamedTuple):
    """A static edition that was written, and what the server draws with the same model."""

    folder: Path
    model: LoadedModel


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    try:
        return find_runtime()
    except ConfigError:
        pytest.skip(f"{PACKAGE} is not installed: npm install {PACKAGE}@{VERSION}")


@pytest.fixture(scope="module")
def site(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The edition of the embedded model."""
    studio = Studio(Settings(home=tmp_path_factory.mktemp("home"), training="off"))
    folder = tmp_path_factory.mktemp("static") / "site"
    write_edition(studio, folder, runtime)
    return Site(folder, studio.open(studio.library.start.key))


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A plain file server."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def fresh(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that has never been here."""
    context = browser.new_context(viewport=DESKTOP, accept_downloads=True, reduced_motion="reduce")
    yield context
    context.close()


def visit(context: BrowserContext, address: str, complaints: list[str]) -> Page:
    """The page with its first faces."""
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if is_outside(request.url) else None)
    page.goto(address)
    page.set_default_timeout(PATIENCE)
    page.wait_for_selector(DRAWN, timeout=2 * PATIENCE)
    page.wait_for_selector("#first-faces", state="detached")
    expect(page.locator(GALLERY)).to_have_count(16)
    return page


def stage(page: Page) -> Recipe:
    return Recipe.from_json(page.get_attribute(DRAWN, "data-recipe") or "")


def tiles(page: Page, where: str) -> list[tuple[Recipe, np.ndarray]]:
    """The recipes of tiles and the pixels on view."""
    found = page.eval_on_selector_all(
        where, "tiles => tiles.map(tile => [tile.dataset.recipe, tile.querySelector('canvas').toDataURL()])"
    )
    return [(Recipe.from_json(text), pixels_of(base64.b64decode(url.partition(",")[2]))) for text, url in found]


def pixels_of(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))


def assert_same(model: LoadedModel, faces: list[tuple[Recipe, np.ndarray]]) -> None:
    drawn = model.draw([recipe for recipe, _ in faces]).faces
    for (recipe, pixels), expected in zip(faces, drawn, strict=True):
        assert pixels.shape == expected.shape
        difference = np.abs(pixels.astype(int) - expected).max()
        assert difference <= MOST_DIFFERENCE, (difference, recipe)


def download(page: Page, selector: str, timeout: float = 120_000) -> tuple[str, bytes]:
    with page.expect_download(timeout=timeout) as waiting:
        page.click(selector)
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def test_a_visit_without_a_connection(site: Site, fresh: BrowserContext) -> None:
    """After one visit: roll, steer, keep, interpolate and save, with the server switched off."""
    complaints: list[str] = []
    with served(site.folder) as address:
        page = visit(fresh, address, complaints)
        page.evaluate("navigator.serviceWorker.ready.then(() => null)")
        until(page, lambda: page.evaluate("navigator.serviceWorker.controller !== null"))
        page.close()
    fresh.set_offline(True)
    page = visit(fresh, address, complaints)
    assert_same(site.model, tiles(page, GALLERY))

    before = stage(page)
    page.click('[data-do="dice"]')
    until(page, lambda: stage(page).seed != before.seed)
    page.click('[data-swatch="blue_hair"]')
    until(page, lambda: stage(page).vector is not None)
    steered = stage(page)
    page.click('#create [data-do="keep"]')
    page.click(f"{GALLERY} >> nth=0")
    until(page, lambda: stage(page).vector is None)
    page.click('#create [data-do="keep"]')
    expect(page.locator("#dock .favourites .mug")).to_have_count(2)
    assert_same(site.model, tiles(page, "#dock .favourites .mug"))
    assert tiles(page, "#dock .favourites .mug")[0][0] == steered
    saves(page, site)
    films(page, site, [steered, stage(page)])
    assert complaints == []


def saves(page: Page, site: Site) -> None:
    """The face on the stage, and the tray, as files."""
    recipe = stage(page)
    page.click("#create .scene .menu summary")
    name, png = download(page, '#create [data-do="save"][data-size="0"]')
    assert name == f"face-{recipe.seed}.png"
    assert Recipe.from_png(png) == recipe
    assert_same(site.model, [(recipe, pixels_of(png))])
    page.click("#create .scene .menu summary")
    _, large = download(page, '#create [data-do="save"][data-size="512"]')
    assert Recipe.from_png(large).sharpened == 512
    [expected] = site.model.sharpened(site.model.draw([recipe]).faces, 512)
    assert np.abs(pixels_of(large).astype(int) - expected).max() <= 3 * MOST_DIFFERENCE
    _, packed = download(page, '#dock [data-do="zip"][data-size="0"]')
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 2


def films(page: Page, site: Site, faces: list[Recipe]) -> None:
    """A film through the tray, as an exact animation and as a video."""
    page.click('#dock [data-do="film"]')
    expect(page.locator("#interpolate .slots [data-recipe]")).to_have_count(2)
    page.locator("#interpolate .seconds").fill("0.5")
    page.locator("#interpolate .seconds").dispatch_event("change")
    expect(page.locator("#interpolate .length")).to_contain_text("1 s")
    page.click("#interpolate .main .menu summary")
    name, film = download(page, '#interpolate [data-suffix=".png"]')
    stem = f"film-{faces[0].seed}-{faces[1].seed}"
    assert name == f"{stem}.png"
    with Image.open(io.BytesIO(film)) as image:
        assert image.n_frames == 24  # type: ignore[attr-defined]
        [first] = site.model.draw(faces[:1]).faces
        expected = np.asarray(Image.fromarray(first).resize((256, 256), Image.Resampling.LANCZOS))
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - expected).max() <= 2 * MOST_DIFFERENCE
    assert '"ganime":"film"' in recipe_in(film).replace(" ", "")
    name, video = download(page, "#interpolate .save")
    webm, mp4 = f"{stem}.webm", f"{stem}.mp4"
    assert (name, video[:4]) == (webm, b"\x1aE\xdf\xa3") or (name, video[4:8]) == (mp4, b"ftyp")
    assert len(video) > 10_000


def test_links_and_files_of_the_server_open_with_the_same_face(
    site: Site, fresh: BrowserContext, tmp_path: Path
) -> None:
    complaints: list[str] = []
    [recipe] = site.model.steer(site.model.recipes(1, 7)[0], {"smile": 1.0}).recipes
    other = tmp_path / "face.png"
    other.write_bytes(site.model.pngs(site.model.recipes(1, 45))[0])
    with served(site.folder) as address:
        page = visit(fresh, f"{address}?{linked(recipe)}", complaints)
        assert stage(page) == recipe
        page.set_input_files(".chosen-file", other)
        until(page, lambda: stage(page).seed == 45)
    assert stage(page) == site.model.recipes(1, 45)[0]
    assert complaints == []


def linked(recipe: Recipe) -> str:
    return urlencode({"face": recipe.to_json()})


def test_what_needs_a_server_is_not_offered(site: Site, fresh: BrowserContext, tmp_path: Path) -> None:
    complaints: list[str] = []
    picture = tmp_path / "picture.png"
    Image.new("RGB", (64, 64), "red").save(picture)
    with served(site.folder) as address:
        page = visit(fresh, address, complaints)
        assert page.get_by_role("tab").all_inner_texts() == ["Create", "Interpolate"]
        for part in ('[data-tool="picture"]', '[data-tool="inside"]', '[data-tool="copy"]', ".find", ".from-hub"):
            expect(page.locator(part)).to_be_hidden()
        page.set_input_files(".chosen-file", picture)
        expect(page.locator("#dock .alert")).to_contain_text("server")
        foreign = Recipe("someone/else", "0" * 12, 7)
        page.goto(f"{address}?{linked(foreign)}")
        expect(page.locator("#dock .alert")).to_contain_text("someone/else")
        expect(page.locator("#dock .offer")).to_be_hidden()
    assert complaints == []


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_is_accessible_and_fits_its_width(site: Site, browser: Browser, viewport: dict[str, int]) -> None:
    context = browser.new_context(viewport=viewport, reduced_motion="reduce", bypass_csp=True)  # type: ignore[arg-type]
    complaints: list[str] = []
    with served(site.folder) as address:
        page = visit(context, address, complaints)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        assert serious_in_themes(page) == []
    context.close()
    assert complaints == []


def test_a_browser_that_cannot_draw_is_told_so(site: Site, fresh: BrowserContext) -> None:
    with served(site.folder) as address:
        page = fresh.new_page()
        page.add_init_script("WebAssembly.validate = () => false")
        page.goto(address)
        expect(page.locator(".loading-words")).to_contain_text("WebAssembly with SIMD")
        page.goto((site.folder / "index.html").as_uri())
        expect(page.locator(".loading-words")).to_contain_text("python -m http.server")


def test_no_file_is_too_large_for_free_hosts(site: Site) -> None:
    sizes = [path.stat().st_size for path in site.folder.rglob("*") if path.is_file()]
    assert max(sizes) <= MOST_BYTES
    assert sum(sizes) < 20_000_000
