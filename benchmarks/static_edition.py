"""How the static edition draws: in Chromium on this machine, beside torch on one thread, and what a visit transfers.

`python -m benchmarks.static_edition [--rounds 5]`

Rounds of the browser and of torch alternate, so that the ratios hold on a busy machine, too; the times do not.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from playwright.sync_api import Browser, Page, sync_playwright

from app.faces.loaded_model import LoadedModel
from app.faces.studio import Studio
from app.settings import Settings
from app.static.edition import Edition, write_edition
from app.static.runtime import find_runtime
from tests.browser.conftest import CHROMIUM_FLAGS, DESKTOP, chromium
from tests.browser.test_static import DRAWN, served

# Starts workers of the page's own kind, so that nothing but drawing is measured.
PREPARE = """async () => {
  const about = await (await fetch("model.json")).json();
  const page = await import(new URL(about.files.page.path, document.baseURI).href);
  const start = async (part) => {
    const worker = page.default["shared/workers.js"].createWorker(new URL(about.files.worker.path, document.baseURI));
    await worker.call("start", [{ base: document.baseURI, about, part }]);
    return worker;
  };
  const { model, revision } = about.model;
  window.trial = {
    generator: await start("generator"), upscaler: await start("upscaler"),
    recipe: (seed) => JSON.stringify({ model, revision, seed, truncation: 1, clarity: 0.7 }),
  };
}"""
DRAW = """async (seed) => {
  const begun = performance.now();
  await trial.generator.call("draw", ["draw", { recipes: [trial.recipe(seed)] }]);
  return (performance.now() - begun) / 1000;
}"""
STEER = """async (amount) => {
  const begun = performance.now();
  const amounts = { smile: amount, blush: -amount };
  await trial.generator.call("draw", ["steer", { recipe: trial.recipe(7), amounts, own: {} }]);
  return (performance.now() - begun) / 1000;
}"""
SHARPEN = """async (seed) => {
  const { pictures: [picture] } = await trial.generator.call("faces", [[trial.recipe(seed)]]);
  const begun = performance.now();
  await trial.upscaler.call("enlarge", [picture, 512]);
  return (performance.now() - begun) / 1000;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        studio = Studio(Settings(home=Path(home), training="off"))
        print_bytes(write_edition(studio, Path(home) / "site", find_runtime()))
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        with served(Path(home) / "site") as address:
            print_visits(browser, address)
            page = browser.new_context(viewport=DESKTOP, reduced_motion="reduce").new_page()
            page.goto(address)
            page.wait_for_selector(DRAWN, timeout=120_000)
            page.evaluate(PREPARE)
            print_drawing(page, studio.open(studio.library.start.key), rounds)
        browser.close()


def print_bytes(written: Edition) -> None:
    """What the first visit loads before it shows a face, and after that for visits without a connection."""
    files = {path: size for path, size in written.files.items() if not path.startswith("licences/")}
    later = {path: size for path, size in files.items() if path.startswith(("assets/upscaler", "ganime/"))}
    before = sum(files.values()) - sum(later.values())
    largest = max(files.values())
    print(f"before the first face: {before:,} bytes; after it: {sum(later.values()):,}; largest file: {largest:,}")


def print_visits(browser: Browser, address: str) -> None:
    """How long the first and the second visit of a browser take to the first face."""
    context = browser.new_context(viewport=DESKTOP, reduced_motion="reduce")
    for visit in ("first visit", "second visit"):
        page = context.new_page()
        begun = time.perf_counter()
        page.goto(address)
        page.wait_for_selector(DRAWN, timeout=120_000)
        print(f"{visit}: first face after {time.perf_counter() - begun:.1f} s")
        page.evaluate("navigator.serviceWorker.ready.then(() => null)")
        page.close()
    context.close()


def print_drawing(page: Page, model: LoadedModel, rounds: int) -> None:
    """Seconds for a face, a steered face and a sharpened one, in the browser and with torch."""
    [face] = model.draw(model.recipes(1, 7)).faces

    def steered(amount: float) -> object:
        return model.steer(model.recipes(1, 7)[0], {"smile": amount, "blush": -amount})

    trials: list[tuple[str, str, Callable[[int], object], int]] = [
        ("a face", DRAW, lambda seed: model.draw(model.recipes(1, seed)), 10),
        ("a face while steering", STEER, lambda number: steered(0.1 * (number % 10)), 10),
        ("a face at 512 px", SHARPEN, lambda _: list(model.sharpened(face[None], 512)), 1),
    ]
    for name, script, reference, times in trials:
        here, there = [], []
        for number in range(rounds + 1):
            took = [
                page.evaluate(script, 10 * number + seed if "seed" in script else 0.1 * seed) for seed in range(times)
            ]
            begun = time.perf_counter()
            for seed in range(times):
                reference(10 * number + seed)
            if number:  # the first round warms up
                here.append(statistics.median(took))
                there.append((time.perf_counter() - begun) / times)
        ratios = [a / b for a, b in zip(here, there, strict=True)]
        browser, torch_, ratio = (statistics.median(values) for values in (here, there, ratios))
        print(f"{name}: browser {1000 * browser:.0f} ms, torch {1000 * torch_:.0f} ms, ratio {ratio:.1f}")


def steps(number: int, times: int) -> list[tuple[int, float]]:
    """The seeds of a round, and the amounts of a slider."""
    return [(10 * number + each, 0.1 * each) for each in range(times)]


if __name__ == "__main__":
    main()
