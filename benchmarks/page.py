"""How long a visitor waits: drives the page in Chromium on this machine and prints a table of medians.

python -m benchmarks.page [--rounds 15]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from ganime.checkpoint import EMBEDDED, load_checkpoint
from tests.browser.conftest import CHROMIUM_FLAGS, DESKTOP, chromium, serve

SIDE = load_checkpoint(EMBEDDED).generator.config.image_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as home, sync_playwright() as play, serve(Path(home)) as address:
        browser = play.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport=DESKTOP)
        rows = [("open the page, until 16 faces show", [visit(page, address) for _ in range(3)])]
        for count in (16, 64):
            page.get_by_label("number input for Faces").fill(str(count))
            page.get_by_label("number input for Faces").press("Enter")
            page.wait_for_function(f"document.querySelectorAll('.tile').length === {count}")
            rows.append((f"roll {count} faces", [timed(lambda: roll(page)) for _ in range(rounds)]))
        rows.append(
            (f"download a PNG, {SIDE} px", [timed(lambda: save(page, f"PNG {SIDE} px")) for _ in range(rounds)])
        )
        rows.append(("download a PNG, 512 px", [timed(lambda: save(page, "PNG 512 px")) for _ in range(rounds)]))
        page.get_by_role("tab", name="Interpolate").click()
        page.wait_for_selector(".walk[data-walk]")
        rows.append(("new walk of 48 frames", [timed(lambda: new_walk(page)) for _ in range(rounds)]))
        rows.append(("one step of the slider", [scrub(page) for _ in range(rounds)]))
        rows.append(("animation as WebP", [timed(lambda: save(page, "Animation, WebP")) for _ in range(3)]))
        rows.append(("animation as GIF", [timed(lambda: save(page, "Animation, GIF")) for _ in range(3)]))
        page.get_by_role("tab", name="Explore").click()
        rows.append(("Explore: dice", [timed(lambda: dice(page)) for _ in range(rounds)]))
        rows.append(("Explore: 8 neighbours", [timed(lambda: vary(page)) for _ in range(rounds)]))
        page.locator('[data-tool="steer"]').click()
        rows.append(("Explore: move of a slider", [timed(lambda: steer(page)) for _ in range(rounds)]))
        browser.close()
    print("| what | median ms | worst ms |\n|---|---|---|")
    for what, seconds in rows:
        print(f"| {what} | {statistics.median(seconds) * 1000:.0f} | {max(seconds) * 1000:.0f} |")


def timed(action: Callable[[], None]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def visit(page: Page, address: str) -> float:
    def open_page() -> None:
        page.goto(address)
        page.wait_for_selector(".tile")

    return timed(open_page)


def roll(page: Page) -> None:
    before = page.locator(".tile").first.get_attribute("data-seed")
    page.locator("#dice").click()
    page.wait_for_function(f"document.querySelector('.tile').dataset.seed !== '{before}'", polling=5)
    painted(page)


def new_walk(page: Page) -> None:
    before = page.locator(".walk").get_attribute("data-walk")
    page.locator("#roll-end").click()
    page.wait_for_function(f"document.querySelector('.walk').dataset.walk !== '{before}'", polling=5)
    painted(page)


def painted(page: Page) -> None:
    """Wait until the browser has painted what the page's code has put there; decoding a picture can take that long."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def dice(page: Page) -> None:
    click_and_wait(page, '[data-do="dice"]', "document.querySelector('.now').dataset.recipe")


def vary(page: Page) -> None:
    click_and_wait(page, '[data-do="others"]', "document.querySelector('.neighbours .mug')?.dataset.recipe")


def steer(page: Page) -> None:
    """Move the first slider to the other side; the wait for a hand that rests, explore-tools.js's SETTLE, is in it."""
    page.evaluate(
        "() => { const slider = document.querySelector('[data-steer]'); slider.value = slider.value > 0 ? -2 : 2;"
        " window.before = document.querySelector('.now').dataset.recipe;"
        " slider.dispatchEvent(new Event('input', { bubbles: true })); }"
    )
    page.wait_for_function("document.querySelector('.now').dataset.recipe !== window.before", polling=5)
    painted(page)


def click_and_wait(page: Page, button: str, what: str) -> None:
    """Click, and wait until what a JavaScript expression tells is another one."""
    before = page.evaluate(what)
    page.locator(button).click()
    page.wait_for_function(f"before => ({what}) !== before", arg=before, polling=5)
    painted(page)


def save(page: Page, button: str) -> None:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button, exact=True).click()
    waiting.value.path()


def scrub(page: Page) -> float:
    """Seconds from a move of the slider to the drawn canvas, measured inside the browser."""
    return page.evaluate(
        "() => { const slider = document.querySelector('#walk .slider');"
        " slider.value = (Number(slider.value) + 7) % Number(slider.max);"
        " const begun = performance.now(); slider.dispatchEvent(new Event('input', { bubbles: true }));"
        " return (performance.now() - begun) / 1000; }"
    )


if __name__ == "__main__":
    main()
