"""Stand-ins for `python -m ganime` and for the page in tests of jobs; each is a process: trainers.py KIND ...

tiny: the real command line, with networks so small that a step takes milliseconds, and a save after nearly every step.
mock: behaves like the command line in its run folder, but trains nothing; the variable MOCK selects a behaviour.
app KIND: the whole page, as `python -m app` starts it, with a stand-in as trainer, short searches for pictures, few
example faces, and no weights sent along with jobs on the hub.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from app.jobs.options import JobOptions

ROOT = Path(__file__).resolve().parent.parent


def trainer(kind: str) -> tuple[str, ...]:
    """Return the command that starts a stand-in."""
    from tests import nursery

    program = (str(ROOT / "tests" / "trainers.py"), kind)
    return (sys.executable, "-S", *program) if kind == "mock" else nursery.command(*program)


def options_for(kind: str) -> JobOptions:
    """Return options of jobs whose trainer is a stand-in; the real command line does not run at low priority."""
    from app.jobs.options import JobOptions

    return JobOptions(trainer=trainer(kind), poll=0.05, stop=20, niceness=0 if kind == "tiny" else JobOptions.niceness)


def tiny() -> None:
    from dataclasses import replace

    from ganime.cli import main
    from ganime.config import RECIPES, ModelConfig

    train, _ = RECIPES["modern"]
    train = replace(train, batch_size=16, save_minutes=0.001, preview_images=10**9, measure_images=0, precision="fp32")
    train = replace(train, critic=0.0, deep_layers="convolution")
    RECIPES["modern"] = (train, ModelConfig(image_size=32, latent_dim=8, base_channels=4, max_channels=16))
    main()


def mock() -> None:
    """Report steps until a signal stops it.

    MOCK: "done" ends at once, "stubborn" ignores signals, "fail" ends with an error message, "crash" with a traceback,
    "die" kills itself after a save.
    """
    words, behaviour = sys.argv[1:], os.environ.get("MOCK", "")
    run = Path(words[words.index("--out" if "--out" in words else "--resume") + 1])
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda number, _: received.append(number))
    run.mkdir(parents=True, exist_ok=True)
    (run / "run.json").write_text("{}")
    (run / "arguments.json").write_text(json.dumps([words, os.environ.get("OMP_NUM_THREADS"), os.nice(0)]))
    if behaviour == "fail":
        sys.exit("Error: The faces are\nno faces.")
    if behaviour == "crash":
        raise RuntimeError("not foreseen")
    images = max((int(path.name) for path in (run / "saves").glob("[0-9]*")), default=0)
    while True:
        images += 64
        write(run, "Step", images, progress=0.25, images_per_second=64.0)
        if behaviour == "done" or (signal.SIGTERM in received and behaviour != "stubborn"):
            save(run, images)
            write(run, "Done", images, reason="images" if behaviour == "done" else "stopped")
            return
        if signal.SIGUSR1 in received or behaviour == "die":
            received.clear()
            save(run, images)
        if behaviour == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.02)


def save(run: Path, images: int) -> None:
    folder = run / "saves" / f"{images:012d}"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"training": {"seconds": 30}}')
    for name in ("model.safetensors", "state.pt"):
        (folder / name).write_bytes(b"")
    write(run, "Saved", images)


def write(run: Path, event: str, images: int, **values: object) -> None:
    with (run / "events.jsonl").open("a") as file:
        file.write(json.dumps({"event": event, "time": time.time(), "images": images, **values}) + "\n")


def supervise(home: str, kind: str, ready: Connection) -> None:
    """Supervise the jobs of a home like the page, until this process is killed; `ready` gets an item at the start."""
    from app.jobs.service import Jobs
    from app.settings import Settings

    Jobs(Settings(home=Path(home)), options_for(kind)).start()
    ready.send(True)
    signal.pause()


def app(kind: str) -> None:
    import runpy
    from dataclasses import replace
    from functools import partial

    from app.faces import examples, studio
    from ganime.drawing import projection
    from ganime.training import hub_needs

    examples.EXAMPLE_COUNT = 24
    hub_needs.NEEDED = ("ganime",)  # without the large weights
    projection.FIRST_STEPS = projection.LAST_STEPS = 4
    studio.Jobs = partial(studio.Jobs, options=replace(options_for(kind), save=0.0, niceness=0))  # type: ignore[misc]
    sys.argv[1:] = []
    runpy.run_module("app", run_name="__main__")


if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    chosen = sys.argv.pop(1)
    if chosen == "app":
        app(*sys.argv[1:])
    else:
        {"tiny": tiny, "mock": mock}[chosen]()
