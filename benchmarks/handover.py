"""What a visitor gains when the browser draws on the page of a server: in Chromium on this machine, one page each way.

`python -m benchmarks.handover [--rounds 10] [--seconds 60]`

Both pages are measured in turn, so that the ratios hold on a busy machine, too; the times do not. The visitor of the
first page saves data, so that the server draws all of its faces.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from app.faces.studio import Studio
from app.settings import Settings
from benchmarks.page import DRAG, DRAG_SECONDS, PATIENCE, click, roll, timed, visit
from tests.browser.conftest import CHROMIUM_FLAGS, DESKTOP, SAVES_DATA, chromium, serve
from tests.browser.test_static import GALLERY, tiles

HERE = "#header .here"
TOOL = re.compile(r"/ganime/(\w+)$")  # in the address of a request for faces
FEW, MANY = 16, 64  # faces
BYTES = """async () => {
  const { files } = await (await fetch(new URL("ganime/browser/model.json", document.baseURI))).json();
  return Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0);
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60, help="of play, for the number of requests")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, sync_playwright() as play, serve(Path(home)) as address:
        browser = play.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        served, own = opened(browser, address, SAVES_DATA), opened(browser, address, "")
        print_handover(own)
        print_speeds(served, own, options.rounds)
        print_difference(own, Path(home))
        for name, page in (("server", served), ("browser", own)):
            print(f"requests of faces in {options.seconds:g} s of play, {name}: {requests(page, options.seconds)}")
        browser.close()


def opened(browser: Browser, address: str, script: str) -> Page:
    """A page with its first faces, of a browser that has never been here. script: runs before those of the page."""
    page = browser.new_context(viewport=DESKTOP).new_page()  # type: ignore[arg-type]
    page.set_default_timeout(PATIENCE)
    page.add_init_script(script or "0")
    visit(page, address)
    page.keyboard.press("Shift")  # as any touch of the page, this ends the motion of the first face
    return page


def print_handover(page: Page) -> None:
    """Roll until the browser draws, and print what that took."""
    begun = time.perf_counter()
    roll(page)
    page.on("console", lambda message: print(message.text) if message.type == "info" else None)
    while not page.locator(HERE).is_visible():
        if time.perf_counter() - begun > PATIENCE / 1000:
            raise SystemExit("This browser is too slow to draw, so the server draws all faces of its visitor.")
        page.click('[data-do="dice"]')
        page.wait_for_timeout(1000)
    print(f"the browser draws {time.perf_counter() - begun:.1f} s after the first roll")
    print(f"bytes of the files for it, before texts are compressed: {page.evaluate(BYTES):,}")


def print_speeds(served: Page, own: Page, rounds: int) -> None:
    """Faces a second of a large roll, and on the stage while a slider is dragged."""
    for page in (served, own):
        show(page, MANY)
    rolls: dict[str, list[float]] = {"server": [], "browser": []}
    drags: dict[str, list[float]] = {"server": [], "browser": []}
    for _ in range(rounds):
        for name, page in (("server", served), ("browser", own)):
            rolls[name].append(MANY / timed(lambda page=page: roll(page)))
            page.wait_for_timeout(1000)
            drags[name].append(page.evaluate(DRAG, DRAG_SECONDS))
            page.wait_for_timeout(1500)
    for what, speeds in (("a roll of 64", rolls), ("while a slider is dragged", drags)):
        medians = {name: statistics.median(values) for name, values in speeds.items()}
        print(f"{what}: server {medians['server']:.0f}, browser {medians['browser']:.0f} faces a second")


def show(page: Page, count: int) -> None:
    """Have so many faces in the gallery, and wait for what is loaded after them."""
    page.locator("#create .count").select_option(str(count))
    page.wait_for_function(f"document.querySelectorAll('{GALLERY}').length === {count}")
    page.wait_for_timeout(3000)


def print_difference(page: Page, home: Path) -> None:
    """The largest difference between a pixel on view and one that the server draws."""
    studio = Studio(Settings(home=home / "other", training="off"))
    shown = tiles(page, GALLERY)
    drawn = studio.open(studio.library.start.key).draw([recipe for recipe, _ in shown]).faces
    differences = [int(np.abs(pixels.astype(int) - face).max()) for (_, pixels), face in zip(shown, drawn, strict=True)]
    print(f"largest difference of {len(differences)} faces: {max(differences)} of 255")


def requests(page: Page, seconds: float) -> dict[str, int]:
    """Play for some seconds; returns how many requests for faces the server had, by tool."""
    show(page, FEW)
    found: Counter[str] = Counter()
    page.on("request", lambda request: found.update(TOOL.findall(request.url)))
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        roll(page)
        page.evaluate(click('[data-do="dice"]'))
        page.wait_for_timeout(1000)
        page.evaluate(DRAG, 2)
        page.evaluate(click('[data-do="others"]'))
        page.wait_for_timeout(1000)
    return dict(found)


if __name__ == "__main__":
    main()
