"""How long Generate takes alone and beside a training job, and how soon a job stops.

`python -m benchmarks.beside_a_job [--rounds 20]` measures Generate; with `--stops 5` only a click on Stop.

The page runs as `python -m app` starts it. The job starts from the embedded model, on faces that this model drew.
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
from ganime.embedded import EMBEDDED
from ganime.images import png_bytes
from ganime.models.checkpoint import load_checkpoint
from tests.browser.conftest import CHROMIUM_FLAGS, chromium, serve

COUNTS = (1, 16, 64)
FACES = 256
READY_SECONDS = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--stops", type=int, default=0, help="jobs to stop, one after another")
    options = parser.parse_args()
    if options.stops:
        measure_stops(options.stops)
    else:
        measure_drawing(options.rounds)


def measure_drawing(rounds: int) -> None:
    """Print the table of Generate alone and beside a job."""
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as address:
        client = Client(address, verbose=False, download_files=False)
        alone = latencies(client, rounds)
        key = start_job(client, Path(folder) / "faces.zip")
        beside = latencies(client, rounds)
        pace = client.predict(key=key, api_name="/train_status")["images_per_second"]
        client.predict(key=key, api_name="/train_stop")
        client.close()
    print("| faces | alone, ms | beside a job, ms | ratio |\n|---|---|---|---|")
    for count in COUNTS:
        print(f"| {count} | {alone[count]:.0f} | {beside[count]:.0f} | {beside[count] / alone[count]:.2f} |")
    print(f"\nMeanwhile the job trained on {pace:.1f} images a second.")


def latencies(client: Client, rounds: int) -> dict[int, float]:
    """Median milliseconds from the request to the addresses of the files, for each count of faces."""
    medians = {}
    for count in COUNTS:
        taken = []
        for seed in range(rounds + 1):
            begun = time.perf_counter()
            client.predict(count=count, seed=seed * 64, api_name="/generate")
            taken.append((time.perf_counter() - begun) * 1000)
        medians[count] = statistics.median(taken[1:])  # the first one warms up
    return medians


def measure_stops(count: int) -> None:
    """Print how long it takes in Chromium from a click on Stop to the page's answer and to the end of the job."""
    times = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play, serve(Path(folder)) as address:
        browser = play.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        client = Client(address, verbose=False, download_files=False)
        for number in range(count):
            key = start_job(client, Path(folder) / f"faces-{number}.zip")
            page = browser.new_page()
            times.append(stop(page, f"{address}/#job={key}"))
            page.get_by_role("button", name="Delete", exact=True).click()  # a visitor may have few jobs
            page.get_by_role("button", name="Yes, delete").click()
            page.locator("#job .job").wait_for(state="hidden")
            page.close()
        client.close()
        browser.close()
    print("| Stop of a running job | median s | worst s |\n|---|---|---|")
    answered, ended = zip(*times, strict=True)
    for what, seconds in (("the page says that the job stops", answered), ("the job has stopped and saved", ended)):
        print(f"| {what} | {statistics.median(seconds):.2f} | {max(seconds):.2f} |")


def stop(page: Page, link: str) -> tuple[float, float]:
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


def start_job(client: Client, path: Path) -> str:
    """Start a job, wait for its first step and return its key."""
    with zipfile.ZipFile(path, "w") as archive:
        for seed, face in enumerate(generate(load_checkpoint(EMBEDDED), range(FACES))):
            archive.writestr(f"{seed}.png", png_bytes(face))
    key = client.predict(files=[handle_file(str(path))], minutes=60, api_name="/train_start")
    end = time.monotonic() + READY_SECONDS
    while not (status := client.predict(key=key, api_name="/train_status"))["share"]:
        if status["reason"] or time.monotonic() > end:
            raise SystemExit(f"The job did not start training: {status['state']} {status['reason']}")
        time.sleep(1)
    return key


if __name__ == "__main__":
    main()
