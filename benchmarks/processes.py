"""Two processes against one: how fast the recipe `modern` trains on this machine's CPU.

`python -m benchmarks.processes [--steps 60] [--batch-size 64] [--rounds 3]`

All rows train the same model on the same faces, which the embedded model draws; torchrun starts the processes. The
figure is the median over the reports of all rounds, without the first report of each round, which is a warm-up.
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
from ganime.embedded import EMBEDDED
from ganime.faces.dataset import load_faces
from ganime.images import png_bytes
from ganime.models.checkpoint import load_checkpoint
from ganime.training.distributed import Processes
from ganime.training.events import Step
from ganime.training.loop import train

LAYOUTS = ((1, 1), (1, 2), (2, 1))  # processes, threads each
FACES = 256


def compare(
    steps: Annotated[int, typer.Option(min=20, help="Steps of one run.")] = 60,
    batch_size: Annotated[int, typer.Option(help="Faces in a step, over all processes.")] = 64,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each row, in turn.")] = 3,
    worker: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Train with every layout in turn and print the table."""
    if worker:
        print_speeds(worker, steps, batch_size)
        return
    speeds: dict[tuple[int, int], list[float]] = {layout: [] for layout in LAYOUTS}
    with tempfile.TemporaryDirectory() as folder:
        faces = generate(load_checkpoint(EMBEDDED), range(FACES))
        (Path(folder) / "faces").mkdir()
        for seed, face in enumerate(faces):
            (Path(folder) / "faces" / f"{seed}.png").write_bytes(png_bytes(face))
        for number in range(rounds * len(LAYOUTS)):
            layout = LAYOUTS[number % len(LAYOUTS)]
            run = Path(folder) / str(number)
            speeds[layout] += run_training(*layout, run, ["--steps", str(steps), "--batch-size", str(batch_size)])
    print("| processes | threads each | images a second | relative to the first |\n|---|---|---|---|")
    medians = {layout: statistics.median(values) for layout, values in speeds.items()}
    for (processes, threads), speed in medians.items():
        print(f"| {processes} | {threads} | {speed:.1f} | {speed / medians[LAYOUTS[0]]:.2f} |")


def run_training(processes: int, threads: int, run: Path, options: list[str]) -> list[float]:
    """The images a second in each report of one run, without the first report."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *launcher, "-m", "benchmarks.processes", "--worker", str(run), *options]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}  # as `python -m ganime`
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return [float(line) for line in result.stdout.split()[1:]]


def print_speeds(run: Path, steps: int, batch_size: int) -> None:
    """Train in one of the processes; the leading one prints the speed of every report."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    config, model = RECIPES["modern"]
    config = replace(config, steps=steps, batch_size=batch_size, measure_images=0, save_minutes=60.0)
    processes = Processes.join("cpu")
    with processes.in_turn():
        dataset = load_faces([run.parent / "faces"], model.image_size, run.parent / "cache")
    for event in train(dataset, run, config, model, "cpu"):
        if isinstance(event, Step) and processes.leads:
            print(event.images_per_second, flush=True)


if __name__ == "__main__":
    typer.run(compare)
