"""A running page, a hub on this machine for it to load from, and Chromium to look at it with."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route, expect

from app.faces.studio import Studio
from app.jobs.arrivals import Upload
from app.settings import Settings
from app.visitors import Visitor
from ganime.config import ModelConfig
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ganime.nets.dcgan import Generator
from tests.browser.create_tab import visit, with_faces
from tests.hub_server import HubServer
from tests.page_server import ROOT, serve

BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")  # the first one needs the least processor time
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SERVER = re.compile("component_server")  # in the address of a call of a server function
# What Gradio's own code warns of whenever a file is uploaded.
HARMLESS = ("Method not implemented.",)
# What the browser says of a face that the server refuses to draw; the page tells the visitor why.
REFUSED = re.compile(r"status of (400|404|503)")
# Gradio breaks off its own requests when a page is left and complains of that: between these two that is let pass. A
# page that was not left after all, because a download began, is back soon.
BROKEN_OFF = re.compile("abort|connection|fetch|network|net::ERR", re.IGNORECASE)
LEAVING, HERE = "the page is being left", "the page is here"
COMING_AND_GOING = f"""
    console.debug("{HERE}");
    addEventListener("beforeunload", () => {{
        console.debug("{LEAVING}");
        setTimeout(() => console.debug("{HERE}"), 1000);
    }});
"""
PATIENCE = 60_000  # milliseconds for what a page does on a busy machine
# Runs before the page's scripts: a visitor who saves data, for whom the server draws all faces.
SAVES_DATA = "Object.defineProperty(navigator, 'connection', { value: { saveData: true } });"
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="session", autouse=True)
def _patient() -> None:
    """Two cores may have a page, its trainer and a browser to serve, and those of the other processes of tests."""
    expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {"executable_path": chromium(), "args": CHROMIUM_FLAGS}


def chromium() -> str:
    """The path of the browser."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert executable, "The browser tests need Chromium: `make chromium` installs it."
    return executable


@pytest.fixture(scope="session")
def warm_context(browser: Browser, browser_context_args: dict[str, Any]) -> Iterator[BrowserContext]:
    context = browser.new_context(**browser_context_args)
    context.set_default_timeout(PATIENCE)
    context.add_init_script(SAVES_DATA)
    yield context
    context.close()


@pytest.fixture
def context(warm_context: BrowserContext) -> Iterator[BrowserContext]:
    """One context for all tests, which keeps Gradio's files and their compiled code; what a test stores is deleted.

    Its visitors save data, so that the server draws all faces.
    """
    yield warm_context
    warm_context.clear_cookies()
    warm_context.clear_permissions()
    for page in warm_context.pages:
        if page.url.startswith("http"):
            page.evaluate("localStorage.clear(); sessionStorage.clear()")
        page.close()


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """A hub with one model, tester/tiny, that draws 32 px pictures."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    config = ModelConfig(image_size=32, latent_dim=8, base_channels=4, max_channels=16)
    save_checkpoint(Checkpoint(Generator(config).eval(), name="tiny"), folder)
    with HubServer() as server:
        server.add_model("tester/tiny", folder)
        yield server


@pytest.fixture(scope="session")
def trained(tiny: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home with one training job, which has a model and is named "<b>mine</b>", and the job's key."""
    home = tmp_path_factory.mktemp("home")
    Image.new("RGB", (8, 8)).save(home / "face.png")
    jobs = Studio(Settings(home=home)).jobs
    assert jobs
    key = jobs.draft([Upload(home / "face.png", "face.png")], Visitor("me"), 32)
    with jobs.changing(key) as (_, row):
        row.name = "<b>mine</b>"
    save_checkpoint(tiny, jobs.folder(key).run / "saves" / "best")
    return home, key


@pytest.fixture(scope="session")
def address(trained: tuple[Path, str], hub: HubServer) -> Iterator[str]:
    """The page on the embedded model, started as on a Space, with a hub that answers and is not waited for long."""
    front_matter = (ROOT / "README.md").read_text(encoding="utf-8").split("---")[1]
    app_file = re.search(r"^app_file: (\S+)$", front_matter, re.MULTILINE)
    assert app_file
    with serve(trained[0], (str(app_file[1]),), HF_ENDPOINT=hub.endpoint, GANIME_HUB_TIMEOUT="5") as url:
        yield url


@pytest.fixture(scope="session")
def revision(steered_folder: Path) -> str:
    return load_checkpoint(steered_folder).revision


@pytest.fixture(scope="session")
def steered_address(steered_folder: Path, tmp_path_factory: pytest.TempPathFactory, hub: HubServer) -> Iterator[str]:
    """The page on the tiny model with directions, without training, and a hub that answers."""
    variables = {"GANIME_MODEL": str(steered_folder), "GANIME_TRAINING": "off", "HF_ENDPOINT": hub.endpoint}
    with serve(tmp_path_factory.mktemp("home"), GANIME_HUB_TIMEOUT="10", **variables) as url:
        yield url


@pytest.fixture
def complaints(page: Page) -> Iterator[list[str]]:
    """Errors and warnings in the console, and requests to anywhere but this machine; there must be none."""
    found: list[str] = []
    leaving = False

    def hear(message: ConsoleMessage) -> None:
        nonlocal leaving
        leaving = message.text == LEAVING or (leaving and message.text != HERE)
        if is_complaint(message):
            note(message.text)

    def note(text: str) -> None:
        if not (leaving and BROKEN_OFF.search(text)):
            found.append(text)

    page.add_init_script(COMING_AND_GOING)
    page.on("console", hear)
    page.on("pageerror", lambda error: note(str(error)))
    page.on("request", lambda request: found.append(request.url) if is_outside(request.url) else None)
    yield found
    assert found == []


def is_complaint(message: ConsoleMessage) -> bool:
    refused = REFUSED.search(message.text) and "/ganime/" in message.location.get("url", "")
    return message.type in ("error", "warning") and message.text not in HARMLESS and not refused


def is_outside(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "data:", "blob:"))


def stand_in(page: Page, **answers: Any) -> None:
    """Answer server functions, by their names, in place of the server; `page.unroute(SERVER)` ends that."""

    def answer(route: Route) -> None:
        name = route.request.post_data_json["fn_name"]
        route.fulfill(json=answers[name]) if name in answers else route.continue_()

    page.route(SERVER, answer)


@pytest.fixture
def opened(page: Page, address: str, complaints: list[str]) -> Page:
    """The page on the embedded model at desktop width, with its first faces drawn, in no motion."""
    page.emulate_media(reduced_motion="reduce")
    return open_page(page, address, DESKTOP)


def open_page(page: Page, address: str, viewport: dict[str, int]) -> Page:
    page.set_viewport_size(viewport)  # type: ignore[arg-type]
    visit(page, address)
    page.wait_for_selector(".gallery .mug")
    return page


@pytest.fixture
def create(page: Page, steered_address: str, revision: str, complaints: list[str]) -> Page:
    """The page on the tiny model at desktop width, the face of seed 7 on view and those of seeds 1 to 3 in the tray."""
    page.emulate_media(reduced_motion="no-preference")
    return with_faces(page, steered_address, revision, DESKTOP)
