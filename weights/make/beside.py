"""What a training job costs those who draw, how long Generate takes alone and beside a job; and how soon one stops.

python -m weights.make.beside [--rounds 20]
python -m weights.make.beside --stops 5      how long a click on Stop takes, and nothing else

The page runs as `python -m app` starts it; the job begins from the embedded model, on faces that it draws itself.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import zipfile
from pathlib import Path

from gradio_client import Client, handle_file
from playwright.sync_api import Page, sync_playwright

from ganime.drawing.sampling import generate
from ganime.images import png_bytes
from ganime.models.checkpoint import EMBEDDED_MODELS, load_checkpoint
from tests.browser.conftest import CHROMIUM_FLAGS, chromium, serve

COUNTS = (1, 16, 64)
FACES = 256
READY_SECONDS = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--stops", type=int, default=0)
    options = parser.parse_args()
    if options.stops:
        stops(options.stops)
    else:
        drawing(options.rounds)


def drawing(rounds: int) -> None:
    """Print the table of Generate alone and beside a job."""
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as address:
        client = Client(address, verbose=False, download_files=False)
        alone = latencies(client, rounds)
        key = begin(client, Path(folder) / "faces.zip")
        beside = latencies(client, rounds)
        pace = client.predict(key=key, api_name="/train_status")["images_per_second"]
        client.predict(key=key, api_name="/train_stop")
        client.close()
    print("| faces | alone, ms | beside a job, ms | ratio |\n|---|---|---|---|")
    for count in COUNTS:
        print(f"| {count} | {alone[count]:.0f} | {beside[count]:.0f} | {beside[count] / alone[count]:.2f} |")
    print(f"\nThe job went on at {pace:.1f} images a second meanwhile.")


def latencies(client: Client, rounds: int) -> dict[int, float]:
    """Median milliseconds from asking for so many faces to having their addresses."""
    medians = {}
    for count in COUNTS:
        taken = []
        for seed in range(rounds + 1):
            begun = time.perf_counter()
            client.predict(count=count, seed=seed * 64, api_name="/generate")
            taken.append((time.perf_counter() - begun) * 1000)
        medians[count] = statistics.median(taken[1:])  # the first one warms up
    return medians


def stops(many: int) -> None:
    """Print the table of what a click on Stop takes, in Chromium, from the click to the words on the page."""
    found = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play, serve(Path(folder)) as address:
        browser = play.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        client = Client(address, verbose=False, download_files=False)
        for number in range(many):
            key = begin(client, Path(folder) / f"faces-{number}.zip")
            page = browser.new_page()
            found.append(stopped(page, f"{address}/#job={key}"))
            page.get_by_role("button", name="Delete", exact=True).click()  # a visitor has few places for jobs
            page.get_by_role("button", name="Yes, delete").click()
            page.locator("#job .job").wait_for(state="hidden")
            page.close()
        client.close()
        browser.close()
    print("| Stop of a running job | median s | worst s |\n|---|---|---|")
    answered, ended = zip(*found, strict=True)
    for what, seconds in (("the page says that it stops", answered), ("it has stopped, all saved", ended)):
        print(f"| {what} | {statistics.median(seconds):.2f} | {max(seconds):.2f} |")


def stopped(page: Page, link: str) -> tuple[float, float]:
    """Seconds from the click on Stop until the page says that the job is stopping, and that it has ended."""
    page.set_default_timeout(READY_SECONDS * 1000)
    page.goto(link)
    page.wait_for_selector('#job .job[data-state="running"]')
    button = page.get_by_role("button", name="Stop and keep")
    button.wait_for()
    begun = time.perf_counter()
    button.click()
    page.wait_for_selector('#job .job:not([data-state="running"])')
    answered = time.perf_counter() - begun
    page.wait_for_selector('#job .job[data-state="finished"]')
    return answered, time.perf_counter() - begun


def begin(client: Client, path: Path) -> str:
    """Start a job and wait until it learns; its key."""
    with zipfile.ZipFile(path, "w") as archive:
        for seed, face in enumerate(generate(load_checkpoint(EMBEDDED_MODELS[64]), range(FACES))):
            archive.writestr(f"{seed}.png", png_bytes(face))
    key = client.predict(files=[handle_file(str(path))], minutes=60, api_name="/train_start")
    end = time.monotonic() + READY_SECONDS
    while not (status := client.predict(key=key, api_name="/train_status"))["share"]:
        if status["reason"] or time.monotonic() > end:
            raise SystemExit(f"The job did not begin to learn: {status['state']} {status['reason']}")
        time.sleep(1)
    return key


if __name__ == "__main__":
    main()
