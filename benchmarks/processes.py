"""Two processes against one: how fast the modern recipe trains on this machine's CPU, however its cores are used.

`python -m benchmarks.processes [--steps 60] [--batch-size 64] [--rounds 3]`

All lines of the table train the same model on the same faces, which the embedded model draws; torchrun starts them. The
figure is the median over the reports of all rounds, each round's first report, which warms up, left out.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from ganime.config import RECIPES
from ganime.drawing.sampling import generate
from ganime.faces.dataset import load_faces
from ganime.images import png_bytes
from ganime.models.checkpoint import EMBEDDED_MODELS, load_checkpoint
from ganime.training.distributed import Processes
from ganime.training.events import Step
from ganime.training.loop import train

LINES = ((1, 1), (1, 2), (2, 1))  # processes, threads of each
FACES = 256


def compare(
    steps: Annotated[int, typer.Option(min=20, help="Steps of one run.")] = 60,
    batch_size: Annotated[int, typer.Option(help="Faces in a step of all processes together.")] = 64,
    rounds: Annotated[int, typer.Option(min=1, help="Runs for each line, in turn with those of the others.")] = 3,
    worker: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    if worker:
        print_speeds(worker, steps, batch_size)
        return
    speeds: dict[tuple[int, int], list[float]] = {line: [] for line in LINES}
    with tempfile.TemporaryDirectory() as folder:
        faces = generate(load_checkpoint(EMBEDDED_MODELS[64]), range(FACES))
        (Path(folder) / "faces").mkdir()
        for seed, face in enumerate(faces):
            (Path(folder) / "faces" / f"{seed}.png").write_bytes(png_bytes(face))
        for number in range(rounds * len(LINES)):
            line = LINES[number % len(LINES)]
            run = Path(folder) / str(number)
            speeds[line] += measured(*line, run, ["--steps", str(steps), "--batch-size", str(batch_size)])
    print("| processes | threads of each | images a second | against the first |\n|---|---|---|---|")
    medians = {line: statistics.median(found) for line, found in speeds.items()}
    for (processes, threads), speed in medians.items():
        print(f"| {processes} | {threads} | {speed:.1f} | {speed / medians[LINES[0]]:.2f} |")


def measured(processes: int, threads: int, run: Path, options: list[str]) -> list[float]:
    """The images a second of each report of one run but the first."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *launcher, "-m", "benchmarks.processes", "--worker", str(run), *options]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}  # as `python -m ganime`
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return [float(line) for line in done.stdout.split()[1:]]


def print_speeds(run: Path, steps: int, batch_size: int) -> None:
    """What one of the processes does: train, and print the speed of every report if it is the one that leads."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    config, model = RECIPES["modern"]
    config = replace(config, steps=steps, batch_size=batch_size, measure_images=0, save_minutes=60.0)
    workers = Processes.join("cpu")
    with workers.in_turn():
        dataset = load_faces([run.parent / "faces"], model.image_size, run.parent / "cache")
    for event in train(dataset, run, config, model, "cpu"):
        if isinstance(event, Step) and workers.leads:
            print(event.images_per_second, flush=True)


if __name__ == "__main__":
    typer.run(compare)
