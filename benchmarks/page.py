"""How long a visitor waits and how much arrives: drives the page in Chromium on this machine and prints two tables.

`python -m benchmarks.page [--rounds 15] [--targets]`

The first table has medians of everything that a visitor does. The second compares the page with its targets, which hold
for two idle cores; on a busy machine only ratios of interleaved runs mean anything. --address measures a page that runs
already, such as an earlier version.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from ganime.drawing.recipe import Recipe
from ganime.embedded import EMBEDDED
from ganime.models.checkpoint import load_checkpoint
from tests.browser.conftest import CHROMIUM_FLAGS, DESKTOP, chromium, serve

MODEL = load_checkpoint(EMBEDDED)
SIDE = MODEL.generator.config.image_size
KEPT = 12  # faces in the tray
FEW = 3  # rounds of actions that take seconds
PATIENCE = 120_000  # milliseconds
Row = tuple[str, list[float], list[float]]  # action, seconds to its result, seconds to the busy mark
FIRST_TILE = "document.querySelector('.gallery .mug').dataset.recipe"
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
# Moves the first slider to its other end.
MOVE = """const slider = document.querySelector("[data-steer]");
slider.value = slider.value > 0 ? slider.min : slider.max;
slider.dispatchEvent(new Event("input", { bubbles: true }));"""

# Notes when the first faces are painted, and when the page's own are, in milliseconds since the address was opened.
NOTE_FACES = """
const note = (name, selector) => {
  const frame = () => new Promise(requestAnimationFrame);
  const look = async () => {
    while (!document.querySelector(selector)) await frame();
    await frame();
    await frame();
    window[name] = performance.now();
  };
  look();
};
note("firstFaces", "#first-faces, .now[data-recipe]");
note("ownFaces", ".gallery .mug");
"""
# Drags the first slider for some seconds, a move for each frame, and returns the faces a second that the stage shows.
DRAG = """async (seconds) => {
  const slider = document.querySelector("[data-steer]");
  const begun = performance.now();
  const stage = () => document.querySelector(".now").dataset.recipe;
  let [shown, faces] = [stage(), 0];
  while (performance.now() - begun < seconds * 1000) {
    const swing = (1 + Math.sin((performance.now() - begun) / 400)) / 2; // within what the slider allows
    slider.value = Number(slider.min) + swing * (slider.max - slider.min);
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise(requestAnimationFrame);
    if (stage() !== shown) [shown, faces] = [stage(), faces + 1];
  }
  return faces / seconds;
}"""
DRAG_SECONDS = 4
SLOW = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 0.75e6 / 8}  # bytes/s
DRAWN = ("/component_server", "/ganime/")  # in the addresses of faces
ICONS = ("/ganime/icon-",)
Target = tuple[str, float, str, str]  # what, the median, its unit, the target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--targets", action="store_true", help="only the table of targets")
    parser.add_argument("--address", help="of a page that runs already")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, sync_playwright() as play:
        running = nullcontext(options.address) if options.address else serve(Path(home))
        with running as address:
            browser = play.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
            if not options.targets:
                print_actions(browser, address, options.rounds)
            print_targets(browser, address, options.rounds)
            browser.close()


def print_actions(browser: Browser, address: str, rounds: int) -> None:
    """The table of what a visitor does."""
    page = browser.new_page(viewport=DESKTOP)  # type: ignore[arg-type]
    page.set_default_timeout(PATIENCE)
    rows = [*creating(page, address, rounds), *filming(page, rounds)]
    page.close()
    print("| what | median ms | worst ms | first sign, median ms | worst ms |\n|---|---|---|---|---|")
    for what, done, sign in rows:
        figures = [f"{pick(times) * 1000:.0f}" for times in (done, sign) if times for pick in (statistics.median, max)]
        print(f"| {what} | {' | '.join(figures)}{'' if sign else ' | |'} |")


class Traffic:
    """What a page receives, in bytes as they pass through the network. session: of the page."""

    def __init__(self, session: CDPSession) -> None:
        self.addresses: dict[str, str] = {}
        self.sizes: list[tuple[str, int]] = []  # address, bytes
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", self.begun)
        session.on("Network.loadingFinished", self.ended)

    def begun(self, event: dict) -> None:
        self.addresses[event["requestId"]] = event["request"]["url"]

    def ended(self, event: dict) -> None:
        self.sizes.append((self.addresses.get(event["requestId"], ""), int(event["encodedDataLength"])))

    def bytes(self, faces: bool) -> int:
        """The bytes of faces, or of everything else."""
        return sum(size for address, size in self.sizes if is_drawn(address) == faces)


def is_drawn(address: str) -> bool:
    """Whether faces are at this address, and not the page or its icon."""
    return any(part in address for part in DRAWN) and not any(part in address for part in ICONS)


def print_targets(browser: Browser, address: str, rounds: int) -> None:
    """The table of the page's targets."""
    print("\n| what | median | target |\n|---|---|---|")
    for what, median, unit, target in [*loading(browser, address), *using(browser, address, rounds)]:
        print(f"| {what} | {median:,.0f} {unit} | {target} |")


def loading(browser: Browser, address: str) -> list[Target]:
    """The targets for opening the page with an empty cache."""
    quick = [opened_cold(browser, address) for _ in range(FEW)]
    slow = [opened_cold(browser, address, slow=True) for _ in range(FEW)]

    def median(loads: list[tuple[float, float, int]], place: int) -> float:
        return statistics.median(load[place] for load in loads)

    return [
        ("first faces visible", median(quick, 0), "ms", "500 ms"),
        ("the page's own faces visible", median(quick, 1), "ms", ""),
        ("first load without faces drawn for it", median(quick, 2) / 1000, "kB", "600 kB"),
        ("first faces visible at 1.6 Mbit/s, 150 ms", median(slow, 0), "ms", "3,000 ms"),
        ("the page's own faces visible there", median(slow, 1), "ms", ""),
    ]


def opened_cold(browser: Browser, address: str, slow: bool = False) -> tuple[float, float, int]:
    """Milliseconds until the first faces and the page's own are visible, and the bytes of everything but the latter."""
    context = browser.new_context(viewport=DESKTOP)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    session = context.new_cdp_session(page)
    traffic = Traffic(session)
    if slow:
        session.send("Network.emulateNetworkConditions", SLOW)
    page.add_init_script(NOTE_FACES)
    page.goto(address, wait_until="commit")
    page.wait_for_function("window.ownFaces")
    page.wait_for_timeout(1000)  # for what is loaded last
    first, own = page.evaluate("[window.firstFaces, window.ownFaces]")
    size = traffic.bytes(faces=False)
    context.close()
    return first, own, size


def using(browser: Browser, address: str, rounds: int) -> list[Target]:
    """The targets for rolling faces and dragging a slider."""
    context = browser.new_context(viewport=DESKTOP)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    visit(page, address)
    page.keyboard.press("Shift")  # as any touch of the page, this ends the motion of the first face
    page.wait_for_timeout(3000)  # the sharp picture of the first face has arrived
    rolls = []
    for _ in range(rounds):
        rolls.append(page.evaluate(WATCHED, {"act": click('[data-do="roll"]'), "result": FIRST_TILE})[0] * 1000)
        page.wait_for_timeout(1000)
    moves = [page.evaluate(WATCHED, {"act": MOVE, "result": STAGE})[0] * 1000 for _ in range(rounds)]
    dragged = [page.evaluate(DRAG, DRAG_SECONDS) for _ in range(FEW)]
    traffic = Traffic(context.new_cdp_session(page))  # the last, for it takes processor time
    sizes = []
    for _ in range(FEW):
        before = traffic.bytes(faces=True)
        roll(page)
        page.wait_for_timeout(1000)
        sizes.append(traffic.bytes(faces=True) - before)
    context.close()
    return [
        ("roll 16 faces", statistics.median(rolls), "ms", "150 ms"),
        ("a roll of 16 faces", statistics.median(sizes) / 1000, "kB", "120 kB"),
        ("from a move of a slider to its face", statistics.median(moves), "ms", "60 ms"),
        ("while a slider is dragged", statistics.median(dragged), "faces a second", "15"),
    ]


def creating(page: Page, address: str, rounds: int) -> list[Row]:
    """The rows of the Create tab, with KEPT faces in the tray."""
    rows: list[Row] = [("open a link, with 12 faces in the tray", [opened(page, address) for _ in range(FEW)], [])]

    def watched(what: str, act: str, result: str = STAGE, before: Callable[[], object] = lambda: None) -> None:
        times = []
        for _ in range(rounds):
            before()
            times.append(page.evaluate(WATCHED, {"act": act, "result": result}))
        rows.append((what, [done for done, _ in times], [sign for _, sign in times]))

    page.wait_for_selector(".variations .mug")
    for count in (16, 64):
        page.locator("#create .count").select_option(str(count))
        page.wait_for_function(f"document.querySelectorAll('.gallery .mug').length === {count}")
        rows.append((f"roll {count} faces", [timed(lambda: roll(page)) for _ in range(rounds)], []))
    watched("roll a face", click('[data-do="dice"]'))
    watched("undo", click('[data-do="undo"]'))
    watched("8 variations", click('[data-do="others"]'), recipe_of(".variations .mug"))
    watched("move of a slider", MOVE)
    for size in (SIDE, 512):
        rows.append((f"download a PNG, {size} px", [timed(lambda size=size: save(page, size)) for _ in range(FEW)], []))
    open_tool(page, "mix")
    for parent in (0, 1):
        page.locator(".parents .mug").nth(parent).click()
    watched("breed 8 children of two", click('[data-do="breed"]'), recipe_of(".children .mug"))

    def another() -> None:
        """Show another face while the tool is closed."""
        open_tool(page, "sliders")
        page.evaluate(WATCHED, {"act": click('[data-do="dice"]'), "result": STAGE})

    pictures = "[...document.querySelectorAll('.nets img')].map((image) => image.src).join()"
    watched("look inside", click('[data-tool="inside"]'), pictures, another)
    return rows


def filming(page: Page, rounds: int) -> list[Row]:
    """The rows of the Interpolate tab, with a film through the kept faces."""
    screen = "document.querySelector('.screen').dataset.recipe || document.querySelector('.at').value"
    opening = page.evaluate(WATCHED, {"act": click('#dock [data-do="film"]'), "result": screen})
    rows: list[Row] = [("open a film of 12 faces, until it plays", [opening[0]], [])]
    times = [timed(lambda: save_film(page)) for _ in range(FEW)]
    return [*rows, ("save the film as MP4", times, [])]


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
    page.locator(f'[data-tool="{name}"]').click()
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
    page.wait_for_selector(".gallery .mug")


def roll(page: Page) -> None:
    before = page.locator(".gallery .mug").first.get_attribute("data-recipe")
    page.locator('[data-do="roll"]').click()
    page.wait_for_function(
        "before => document.querySelector('.gallery .mug').dataset.recipe !== before", arg=before, polling=5
    )
    painted(page)


def painted(page: Page) -> None:
    """Wait until the browser has painted the page; decoding a picture takes time."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def save(page: Page, size: int) -> None:
    page.locator("#create .menu summary").first.click()
    with page.expect_download() as waiting:
        page.locator(f'#create [data-do="save"][data-size="{0 if size == SIDE else size}"]').click()
    waiting.value.path()


def save_film(page: Page) -> None:
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save film", exact=True).click()
    waiting.value.path()


if __name__ == "__main__":
    main()
