"""Stand-ins for `python -m ganime` and for the page in tests of jobs; each is a process: trainers.py KIND ...

tiny: the command line itself with nets so small that a step takes milliseconds, and a save after nearly every step.
mock: behaves as the command line does in its run folder, but learns nothing; MOCK in the environment says how.
page: supervises the jobs of a home, as the page does, until it is killed: page HOME KIND.
app: the whole page, as `python -m app` starts it, whose jobs are trained by a stand-in: app KIND.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def trainer(kind: str) -> tuple[str, ...]:
    """The beginning of the command line that starts a stand-in."""
    return (sys.executable, *(["-S"] if kind == "mock" else []), str(ROOT / "tests" / "trainers.py"), kind)


def tiny() -> None:
    from dataclasses import replace

    from ganime.cli import main
    from ganime.config import RECIPES, ModelConfig

    train, _ = RECIPES["modern"]
    train = replace(train, batch_size=16, save_minutes=0.001, preview_images=10**9, measure_images=0, precision="fp32")
    train = replace(train, critic=0.0)
    RECIPES["modern"] = (train, ModelConfig(image_size=32, latent_dim=8, base_channels=4, max_channels=16))
    main()


def mock() -> None:
    """Count images until told to stop; or, by MOCK: be done at once, deaf to signals or silent, fail, crash or die."""
    words, behaviour = sys.argv[1:], os.environ.get("MOCK", "")
    run = Path(words[words.index("--out" if "--out" in words else "--resume") + 1])
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda number, _: told.append(number))
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
        if behaviour == "silent":
            time.sleep(0.02)
            continue
        write(run, "Step", images, progress=0.25, images_per_second=64.0)
        if behaviour == "done" or (signal.SIGTERM in told and behaviour != "stubborn"):
            save(run, images)
            write(run, "Done", images, reason="images" if behaviour == "done" else "stopped")
            return
        if signal.SIGUSR1 in told or behaviour == "die":
            told.clear()
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


def page(home: str, kind: str) -> None:
    from app.jobs import supervisor
    from app.jobs.service import Jobs
    from app.settings import Settings

    supervisor.TRAINER, supervisor.NICENESS = trainer(kind), 0
    Jobs(Settings(home=Path(home))).start()
    print("ready", flush=True)
    signal.pause()


def app(kind: str) -> None:
    import runpy

    from app.jobs import service as jobs
    from app.jobs import supervisor

    supervisor.TRAINER, supervisor.NICENESS, jobs.SAVE_SECONDS = trainer(kind), 0, 0
    sys.argv[1:] = []
    runpy.run_module("app", run_name="__main__")


if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    chosen = sys.argv.pop(1)
    if chosen in ("page", "app"):
        {"page": page, "app": app}[chosen](*sys.argv[1:])
    else:
        {"tiny": tiny, "mock": mock}[chosen]()
