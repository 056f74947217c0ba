"""What tests of training jobs share: visitors, a plan, and waiting for trainers."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

from app.errors import JobMissing
from app.jobs.arrivals import Upload
from app.jobs.limits import TrainingPlan
from app.jobs.service import Jobs
from app.visitors import Visitor
from ganime.config import TrainConfig, to_dict
from ganime.images import png_bytes
from ganime.nets.dcgan import read_config

ME, OTHER = Visitor("me"), Visitor("other")
PLAN = TrainingPlan(image_size=32, minutes=5)


def wait_for(condition: Callable[[], object], seconds: float = 180) -> None:
    """Wait until a condition holds; fail after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not become true"
        time.sleep(0.02)


def paths_below(folder: Path) -> list[Path]:
    """Return all paths below a folder; unlike `Path.rglob`, it does not mind folders that vanish meanwhile."""
    return [Path(root, name) for root, folders, files in os.walk(folder) for name in (*folders, *files)]


def children_of(home: Path) -> list[psutil.Process]:
    """Return the trainers that run for jobs of a home."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if "train" in words and any(word.startswith(str(home)) for word in words):
            found.append(process)
    return found


def submitted(jobs: Jobs, files: list[Upload], visitor: Visitor = ME, plan: TrainingPlan = PLAN) -> str:
    """Return the key of a new job in the queue."""
    key = jobs.draft(files, visitor, plan.image_size)
    jobs.submit(key, plan, visitor)
    return key


def state_of(jobs: Jobs, key: str) -> str:
    return jobs.status(key).state


def wait_until(jobs: Jobs, key: str, *states: str) -> None:
    wait_for(lambda: state_of(jobs, key) in states)


def wait_for_steps(jobs: Jobs, key: str) -> None:
    """Wait until the job's trainer has reported steps."""
    wait_for(lambda: jobs.status(key).share)


def arguments(jobs: Jobs, key: str) -> list[str]:
    """Return the command line of a job's trainer, as the mock wrote it down."""
    return json.loads((jobs.folder(key).run / "arguments.json").read_text())[0]


def run_files(model: Path) -> dict[str, bytes]:
    """The files of a run, by their paths in it, as a trainer leaves them; its best save and its newest are `model`."""
    config = read_config(model / "config.json")
    config.pop("training", None)
    settings = {"train": to_dict(TrainConfig()), "model": config, "faces": 16, "key": "0" * 64}
    lines = [
        {"event": "Step", "time": 1.0, "step": 8, "images": 64, "images_per_second": 9.0, "progress": 0.5}
        | dict.fromkeys(("d_loss", "g_loss", "d_real", "d_fake"), 0.5),
        {"event": "Verdict", "time": 2.0, "images": 64, "state": "early", "reason": "few", "advice": "Go on."},
        {"event": "Done", "time": 3.0, "images": 64, "reason": "minutes", "folder": "saves/000000000064"},
    ]
    files = {
        "run.json": json.dumps(settings).encode(),
        "events.jsonl": "".join(json.dumps(line) + "\n" for line in lines).encode(),
        "previews/000000000000.png": png_bytes(np.zeros((32, 32, 3), np.uint8)),
        "saves/000000000064/state.pt": b"a pickle",
    }
    for save in ("best", "000000000064"):
        files |= {f"saves/{save}/{path.name}": path.read_bytes() for path in model.iterdir()}
    return files


def exists(jobs: Jobs, key: str) -> bool:
    try:
        return bool(jobs.get(key))
    except JobMissing:
        return False


def change(jobs: Jobs, key: str, **values: object) -> None:
    """Change a row as time or chance would."""
    with jobs.store.writing() as session:
        job = jobs.store.find(session, key)
        for name, value in values.items():
            setattr(job, name, value)
