"""How long a visitor waits: drives the page in Chromium on this machine and prints a table of medians.

`python -m benchmarks.page [--rounds 15] [--explore]`
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright

from ganime.drawing.recipe import Recipe
from ganime.models.checkpoint import EMBEDDED, load_checkpoint
from tests.browser.conftest import CHROMIUM_FLAGS, DESKTOP, chromium, serve

MODEL = load_checkpoint(EMBEDDED)
SIDE = MODEL.generator.config.image_size
KEPT = 12  # faces in the tray
FEW = 3  # rounds of actions that take seconds
PATIENCE = 120_000  # milliseconds
Row = tuple[str, list[float], list[float]]  # action, seconds to its result, seconds to the busy mark
STAGE = "document.querySelector('.now').dataset.recipe"
# Runs `act` and waits until the value of the expression `result` changes. Returns the seconds until the result is
# painted, and the seconds until the stage's busy mark is painted, or the result if that is first.
WATCHED = """async ({ act, result }) => {
  const tell = new Function(`return ${result}`);
  const frame = () => new Promise(requestAnimationFrame);
  const before = tell();
  const begun = performance.now();
  let sign = 0;
  const watch = new MutationObserver(async () => {
    watch.disconnect();
    await frame();
    await frame();
    sign = (performance.now() - begun) / 1000;
  });
  watch.observe(document.querySelector(".window"), { attributeFilter: ["aria-busy"] });
  new Function(act)();
  while (tell() === before) await frame();
  await frame();
  await frame();
  watch.disconnect();
  const done = (performance.now() - begun) / 1000;
  return [done, Math.min(sign || done, done)];
}"""
# Moves the first slider to the other side; the time includes the pause before a move is sent (steer.js: SETTLE)
MOVE = """const slider = document.querySelector("[data-steer]");
slider.value = slider.value > 0 ? -2 : 2;
slider.dispatchEvent(new Event("input", { bubbles: true }));"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--explore", action="store_true", help="only the Explore tab")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, sync_playwright() as play, serve(Path(home)) as address:
        browser = play.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport=DESKTOP)  # type: ignore[arg-type]
        page.set_default_timeout(PATIENCE)
        rows = [] if options.explore else faces_and_walks(page, address, options.rounds)
        rows += exploring(page, address, options.rounds)
        browser.close()
    print("| what | median ms | worst ms | first sign, median ms | worst ms |\n|---|---|---|---|---|")
    for what, done, sign in rows:
        figures = [f"{pick(times) * 1000:.0f}" for times in (done, sign) if times for pick in (statistics.median, max)]
        print(f"| {what} | {' | '.join(figures)}{'' if sign else ' | |'} |")


def faces_and_walks(page: Page, address: str, rounds: int) -> list[Row]:
    """The rows of the tabs Generate and Interpolate."""

    def row(what: str, action: Callable[[], None], many: int = rounds) -> Row:
        return what, [timed(action) for _ in range(many)], []

    rows = [row("open the page, until 16 faces show", lambda: visit(page, address), FEW)]
    for count in (16, 64):
        page.get_by_label("number input for Faces").fill(str(count))
        page.get_by_label("number input for Faces").press("Enter")
        page.wait_for_function(f"document.querySelectorAll('.tile').length === {count}")
        rows.append(row(f"roll {count} faces", lambda: roll(page)))
    for size in (SIDE, 512):
        rows.append(row(f"download a PNG, {size} px", lambda size=size: save(page, f"PNG {size} px")))
    page.get_by_role("tab", name="Interpolate").click()
    page.wait_for_selector(".walk[data-walk]")
    rows.append(row("new film of 48 frames", lambda: new_walk(page)))
    rows.append(("one step of the slider", [scrub(page) for _ in range(rounds)], []))
    for kind in ("WebP", "GIF"):
        rows.append(row(f"film as {kind}", lambda kind=kind: save(page, f"Save film, {kind}"), FEW))
    return rows


def exploring(page: Page, address: str, rounds: int) -> list[Row]:
    """The rows of the Explore tab, with KEPT faces in the tray."""
    rows = [(f"Explore: open with {KEPT} faces in the tray", [opened(page, address) for _ in range(rounds)], [])]

    def watched(what: str, act: str, result: str = STAGE, before: Callable[[], object] = lambda: None) -> None:
        times = []
        for _ in range(rounds):
            before()
            times.append(page.evaluate(WATCHED, {"act": act, "result": result}))
        rows.append((f"Explore: {what}", [done for done, _ in times], [sign for _, sign in times]))

    watched("roll a face", click('[data-do="dice"]'))
    watched("undo", click('[data-do="undo"]'))
    open_tool(page, "vary")
    page.wait_for_selector(".variations .mug")
    watched("8 variations", click('[data-do="others"]'), recipe_of(".variations .mug"))
    open_tool(page, "steer")
    watched("move of a slider", MOVE)
    open_tool(page, "mix")
    for parent in (0, 1):
        page.locator(".parents .mug").nth(parent).click()
    watched("breed 8 children of two", click('[data-do="breed"]'), recipe_of(".children .mug"))

    def another() -> None:
        """Put another face on the stage and close the tool."""
        if page.locator('[data-panel="inside"]').is_visible():
            page.locator('[data-tool="inside"]').click()
        page.evaluate(WATCHED, {"act": click('[data-do="dice"]'), "result": STAGE})

    open_tool(page, "inside")
    pictures = "[...document.querySelectorAll('.nets img')].map((image) => image.src).join()"
    page.wait_for_function(f"{pictures} !== ''")
    watched("look inside", click('[data-tool="inside"]'), pictures, another)
    return rows


def opened(page: Page, address: str) -> float:
    """Seconds from opening the address until the stage and the tray show their faces."""
    recipes = [Recipe(MODEL.name, MODEL.revision, seed).to_json() for seed in range(KEPT + 1)]
    page.goto(address)
    page.evaluate("tray => localStorage.setItem('ganime-tray', JSON.stringify(tray))", recipes[1:])

    def visit_link() -> None:
        page.goto(f"{address}/?face={quote(json.dumps(json.loads(recipes[0])))}")
        page.wait_for_selector(".now[data-recipe]")
        page.wait_for_function(f"document.querySelectorAll('.favourites .mug').length === {KEPT}", polling=5)
        painted(page)

    return timed(visit_link)


def open_tool(page: Page, name: str) -> None:
    button = page.locator(f'[data-tool="{name}"]')
    if button.get_attribute("aria-expanded") != "true":
        button.click()
    page.wait_for_selector(f'[data-panel="{name}"]')


def click(button: str) -> str:
    return f"document.querySelector('{button}').click();"


def recipe_of(tile: str) -> str:
    return f"document.querySelector('{tile}')?.dataset.recipe"


def timed(action: Callable[[], None]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def visit(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector(".tile")


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
    """Wait until the browser has painted the page; decoding a picture takes time."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def save(page: Page, button: str) -> None:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button, exact=True).click()
    waiting.value.path()


def scrub(page: Page) -> float:
    """Seconds from a move of the slider until the canvas is drawn, measured inside the browser."""
    return page.evaluate(
        "() => { const slider = document.querySelector('#walk .slider');"
        " slider.value = (Number(slider.value) + 7) % Number(slider.max);"
        " const begun = performance.now(); slider.dispatchEvent(new Event('input', { bubbles: true }));"
        " return (performance.now() - begun) / 1000; }"
    )


if __name__ == "__main__":
    main()
