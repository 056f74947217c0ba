"""What visitors see, and what is lost, when something breaks while they draw and a job trains; prints a table.

`python -m benchmarks.faults [NAME ...]`

Each fault has a page of its own, four visitors who ask for four faces again and again, and a training job with the
trainer of the page. `gone` is how long no visitor was answered, in seconds. Some faults need Linux; those that need the
right to mount (root) or a C compiler, for a clock that can be moved, are left out without it. About six minutes.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from app.faces.library import EMBEDDED_KEY, START_KEY
from app.jobs.service import Jobs
from app.jobs.store import ENDED
from app.settings import Settings
from app.visitors import Visitor
from benchmarks.load import MODEL
from benchmarks.target import API, Target, call, in_words, opened, run_event, told
from ganime.drawing.recipe import Recipe
from ganime.drawing.sampling import generate
from ganime.embedded import EMBEDDED
from ganime.images import png_bytes
from ganime.models.checkpoint import load_checkpoint
from tests.app.job_helpers import children_of

HEADINGS = ("fault", "what visitors saw", "gone, s", "what was lost", "back, s")
C_COMPILER = shutil.which("cc")
MOVED_CLOCK = Path(__file__).with_name("moved_clock.c")
PATIENCE = 240.0  # seconds for anything to happen
# The page as process 1 of a system of its own, as in a container.
AS_PROCESS_1 = """
import os, sys
os.execvp("unshare", ["unshare", "--mount-proc", "--pid", "--fork", "--kill-child", sys.executable, "-m", "app"])
"""
Row = tuple[str, str, str, str]


class Visitors:
    """Four visitors who roll faces of a model. saw: their answers. gone: the longest time without any, in seconds."""

    def __init__(self, target: Target, key: str = EMBEDDED_KEY, model: Any = MODEL) -> None:
        self.target, self.key, self.saw = target, key, Counter[str]()
        self.recipe = Recipe(model.name, model.revision, 116).to_json()
        self.ended, self.lock = threading.Event(), threading.Lock()
        self.last, self.gone = time.monotonic(), 0.0
        self.threads = [threading.Thread(target=self.visit, args=(number,), daemon=True) for number in range(4)]
        for thread in self.threads:
            thread.start()

    def visit(self, number: int) -> None:
        seed, client = number * 10**6, httpx.Client(timeout=60, headers={"X-Forwarded-For": f"10.4.0.{number}"})
        while not self.ended.wait(0.1):
            seed += 4
            body = {"key": self.key, "recipe": self.recipe, "seeds": list(range(seed, seed + 4)), "locks": []}
            try:
                answer = client.post(f"{self.target.address}/ganime/roll", json=body)
                outcome = "faces" if answer.status_code == 200 else told(answer)
            except httpx.HTTPError as error:
                outcome = type(error).__name__
            with self.lock:
                self.saw[outcome] += 1
                if outcome == "faces":
                    self.gone, self.last = max(self.gone, time.monotonic() - self.last), time.monotonic()

    def end(self) -> tuple[str, str]:
        """What they saw, and for how long nobody was answered."""
        self.ended.set()
        for thread in self.threads:
            thread.join()
        return "; ".join(f"{count} x {outcome}" for outcome, count in self.saw.most_common(4)), f"{self.gone:.1f}"


def wait_for(condition: Callable[[], Any]) -> float:
    """Wait until a condition holds; the seconds that it took. Raises TimeoutError."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() > begun + PATIENCE:
            raise TimeoutError("This did not happen in time.")
        time.sleep(0.1)
    return time.monotonic() - begun


def run_endpoint(target: Target, name: str, data: list[Any]) -> Any:
    """What a public endpoint answers, or its error."""
    with target.client(500) as client:
        output = run_event(client, target.endpoint(name), data, f"{name}{time.monotonic()}")
    return output["data"][0] if "data" in output else output


def job_of(target: Target, key: str) -> dict[str, Any]:
    return run_endpoint(target, "train_status", [key])


def begin_job(target: Target) -> str:
    """A training job on drawn faces, which has learned from some of them; its key."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for number, face in enumerate(generate(MODEL, range(64))):
            file.writestr(f"{number}.png", png_bytes(face))
    with target.client(500) as client:
        [path] = client.post(f"{API}/upload", files={"files": ("faces.zip", archive.getvalue())}).json()
    files = [{"path": path, "orig_name": "faces.zip", "meta": {"_type": "gradio.FileData"}}]
    key = run_endpoint(target, "train_start", [files, 60.0, "mine", "embedded", "modern", 64, 0, "none"])
    wait_for(lambda: job_of(target, key)["images"])
    return key


def lost_images(before: dict[str, Any], after: dict[str, Any]) -> str:
    return f"{max(0, before['images'] - after['saved'])} of {before['images']} images"


def page_killed(home: Path) -> Row:
    """kill -9 of the page"""
    with opened(home) as target:
        key, visitors = begin_job(target), Visitors(target)
        time.sleep(5)
        before = job_of(target, key)
        target.process.kill()
        begun = time.monotonic()
    with opened(home) as visitors.target:
        wait_for(lambda: time.monotonic() - visitors.last < 1)
        back = time.monotonic() - begun
        after = job_of(visitors.target, key)
        lost = (
            "nothing" if after["state"] == "running" and after["images"] >= before["images"] else str(after["reason"])
        )
        return *visitors.end(), f"{lost}: {before['images']}, then {after['images']} images", f"{back:.1f}"


def trainer_killed(home: Path) -> Row:
    """kill -9 of the trainer"""
    with opened(home) as target:
        key, visitors = begin_job(target), Visitors(target)
        wait_for(lambda: job_of(target, key)["saved"])
        time.sleep(10)
        before, [child] = job_of(target, key), children_of(home)
        child.kill()
        wait_for(lambda: job_of(target, key)["state"] in ENDED)
        after = job_of(target, key)
        Jobs(Settings(home=home, training="open")).resume(key, Visitor("me"))
        back = wait_for(lambda: job_of(target, key)["images"] > after["saved"])
        saw, gone = visitors.end()
        return f'{saw}; "{after["reason"]}"', gone, lost_images(before, after), f"{back:.1f}"


def terminated_as_process_1(home: Path) -> Row:
    """SIGTERM to the page as process 1"""
    with opened(home, ("-c", AS_PROCESS_1)) as target:
        key, visitors = begin_job(target), Visitors(target)
        wait_for(lambda: job_of(target, key)["images"] > 640)
        before, begun = job_of(target, key), time.monotonic()
        [page] = target.process.children()
        page.terminate()
        target.process.wait(60)
        ending = time.monotonic() - begun
    with opened(home) as visitors.target:
        wait_for(lambda: time.monotonic() - visitors.last < 1)
        after = job_of(visitors.target, key)
        wait_for(lambda: job_of(visitors.target, key)["images"] > after["saved"])
        saw, gone = visitors.end()
        lost = f"{lost_images(before, after)}; it was {after['state']}, and goes on"
        return f"{saw}; it ended after {ending:.1f} s", gone, lost, f"{time.monotonic() - begun:.1f}"


@contextmanager
def small_disk(home: Path, megabytes: int) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", home], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", home], check=True)


def full_disk(home: Path) -> Row:
    """a full disk"""
    with small_disk(home, 1_000), opened(home) as target:
        key, visitors = begin_job(target), Visitors(target)
        wait_for(lambda: job_of(target, key)["saved"])
        filler = home / "filler"
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(home).free - 2**16)
        refused = str(run_endpoint(target, "generate", [1, 0, 1.0, None, 0, "png"]))
        before = job_of(target, key)
        wait_for(lambda: job_of(target, key)["state"] in ENDED)
        after = job_of(target, key)
        filler.unlink()
        Jobs(Settings(home=home, training="open")).resume(key, Visitor("me"))
        back = wait_for(lambda: job_of(target, key)["images"] > after["saved"])
        saw, gone = visitors.end()
        words = f'/generate: {refused[:120]}; the job: "{after["reason"]}"'
        return f"{saw}; {words}", gone, lost_images(before | {"images": after["images"]}, after), f"{back:.1f}"


def models_replaced(home: Path) -> Row:
    """the files of the model that the page starts with are damaged"""
    folder = home / "model"
    shutil.copytree(EMBEDDED, folder)
    model = load_checkpoint(folder)
    with opened(home, GANIME_MODEL=str(folder)) as target:
        visitors = Visitors(target, START_KEY, model)
        time.sleep(3)
        for file in folder.iterdir():
            file.write_bytes(b"damaged")
        time.sleep(5)
        saw, gone = visitors.end()
    begun = time.monotonic()
    with opened(home, GANIME_MODEL=str(folder)) as target, target.client(1) as client:
        back, value = time.monotonic() - begun, call(client, target, "start_model").json()
    return f'{saw}; after a restart: {value["model"]}, "{value["note"][:120]}"', gone, "nothing", f"{back:.1f}"


def hub_down(home: Path) -> Row:
    """the hub refuses connections"""
    return loading(home, "http://127.0.0.1:1")


def hub_silent(home: Path) -> Row:
    """the hub never answers"""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        return loading(home, f"http://127.0.0.1:{silent.getsockname()[1]}")


def loading(home: Path, hub: str) -> Row:
    """What a visitor is told who loads a model, while others draw."""
    with opened(home, HF_ENDPOINT=hub) as target, target.client(1) as client:
        visitors, begun = Visitors(target), time.monotonic()
        answer = call(client, target, "hub_model", "owner/name").json()
        seconds = time.monotonic() - begun
        time.sleep(3)
        saw, gone = visitors.end()
    return f'{saw}; "{answer.get("error", in_words(answer))[:150]}" after {seconds:.1f} s', gone, "nothing", "0"


def clock_jumps(home: Path) -> Row:
    """the clock goes three days forward, then six days back"""
    library, clock = home / "moved_clock.so", home / "clock"
    subprocess.run([C_COMPILER, "-shared", "-fPIC", "-O2", "-o", library, MOVED_CLOCK, "-ldl"], check=True)
    clock.write_bytes(struct.pack("q", 0))
    variables = {"LD_PRELOAD": str(library), "CLOCK": str(clock)}
    with opened(home, ("-m", "app"), **variables) as target:
        key, visitors, states = begin_job(target), Visitors(target), []
        wait_for(lambda: job_of(target, key)["saved"])
        before = job_of(target, key)
        for days in (3, -3, 0):
            with clock.open("r+b") as file:  # never empty, while the programs read it
                file.write(struct.pack("q", days * 86400))
            time.sleep(15)
            job = job_of(target, key)
            states.append(f"{days:+} days: {job['state']}, {job['images']} images")
        after, [saw, gone] = job_of(target, key), visitors.end()
        lost = "nothing" if after["state"] == "running" else lost_images(before, after)
    return f'{saw}; {"; ".join(states)}; "{after["reason"]}"', gone, lost, "0"


def trainer_hangs(home: Path) -> Row:
    """a trainer that hangs (SIGSTOP) and is stopped by its visitor"""
    with opened(home) as target:
        key, visitors = begin_job(target), Visitors(target)
        wait_for(lambda: job_of(target, key)["saved"])
        [child] = children_of(home)
        child.send_signal(signal.SIGSTOP)
        time.sleep(5)
        before = job_of(target, key)
        run_endpoint(target, "train_stop", [key])
        back = wait_for(lambda: job_of(target, key)["state"] in ENDED)
        after, [saw, gone] = job_of(target, key), visitors.end()
    return f'{saw}; "{after["reason"]}"', gone, lost_images(before, after), f"{back:.1f}"


FAULTS = (
    page_killed,
    trainer_killed,
    terminated_as_process_1,
    full_disk,
    models_replaced,
    hub_down,
    hub_silent,
    clock_jumps,
    trainer_hangs,
)
NEED_ROOT = (terminated_as_process_1, full_disk)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(fault.__name__ for fault in FAULTS)}; all without any")
    names = parser.parse_args().names
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}", flush=True)
    for fault in FAULTS:
        possible = os.geteuid() == 0 or fault not in NEED_ROOT
        if (names and fault.__name__ not in names) or not possible or (fault is clock_jumps and not C_COMPILER):
            continue
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            try:
                row = fault(Path(folder))
            except Exception as error:  # the other faults are tried all the same
                row = f"not done: {error!r}"[:300], "", "", ""
            for child in children_of(Path(folder)):
                child.kill()
        print(f"| {' | '.join([str(fault.__doc__), *row])} |".replace("\n", " "), flush=True)


if __name__ == "__main__":
    main()
