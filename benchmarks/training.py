"""Training images a second: the PyTorch DCGAN example's way of training against ours, in turn on one machine.

`python -m benchmarks.training [FACES...] [--device cpu] [--threads 1] [--rounds 3] [--batch-size 64]`

All train nets of the example's size (64 px, latent 100, 64 base channels, batch 64) on the same faces: those named, or
some that the embedded model draws. The example's way is its recipe written down plainly: fp32, contiguous tensors, a
backward pass each for real, fake and generator, gradients in the discriminator's weights also where nobody uses them,
losses read after every step. Its loader would decode pictures; here its batches lie ready in memory. Ours run whole
through `ganime.training.loop.train`, without saves, sample grids, measuring and augmentation. The first burst of steps,
with the trial of the precision, does not count. One thread of a CPU is timed in seconds of the processor, so that
what else the machine does counts little; anything else is timed by the clock on the wall.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import nn

from ganime.cli.common import DEFAULT_HOME, HomeOption
from ganime.config import RECIPES
from ganime.drawing.sampling import generate
from ganime.embedded import EMBEDDED
from ganime.faces.dataset import FaceDataset, load_faces
from ganime.images import png_bytes
from ganime.models.checkpoint import load_checkpoint
from ganime.nets.device import pick_device
from ganime.training.events import Step
from ganime.training.loop import train
from ganime.training.run_folder import read_run
from ganime.training.session import Reporting

SIDE, LATENT, BASE = 64, 100, 64
DRAWN = 512
BURST = 4  # steps in a turn; short turns expose all to the same load of the machine
Clock = Callable[[], float]
OURS: dict[str, dict[str, object]] = {
    "classic": {"recipe": "classic"},
    "classic, precision by trial": {"recipe": "classic", "precision": "auto", "deep_layers": "convolution"},
    "classic, precision by trial, matrix products": {"recipe": "classic", "precision": "auto", "deep_layers": "matmul"},
    "modern": {"recipe": "modern"},
}


def example(dataset: FaceDataset, batch: int, device: torch.device, clock: Clock) -> Generator[list[float]]:
    """Seconds of every step, a burst at a time, of the loop that the PyTorch example of a DCGAN has."""
    generator, discriminator = example_generator().to(device), example_discriminator().to(device)
    for module in (*generator.modules(), *discriminator.modules()):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
    optimizers = [torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (discriminator, generator)]
    loss, ones, zeros = nn.BCELoss(), torch.ones(batch, device=device), torch.zeros(batch, device=device)
    faces = torch.from_numpy(np.array(dataset.images[dataset.train])).permute(0, 3, 1, 2)  # (N, 3, S, S)
    faces = (faces.float() / 127.5 - 1).contiguous()
    for start in itertools.count(step=BURST * batch):
        seconds = []
        for step in range(BURST):
            begun = clock()
            real = faces[torch.arange(start + step * batch, start + (step + 1) * batch) % len(faces)].to(device)
            discriminator.zero_grad()
            on_real = loss(discriminator(real).flatten(), ones)
            on_real.backward()
            fake = generator(torch.randn(batch, LATENT, 1, 1, device=device))  # (B, 3, S, S)
            on_fake = loss(discriminator(fake.detach()).flatten(), zeros)
            on_fake.backward()
            optimizers[0].step()
            generator.zero_grad()
            fooled = loss(discriminator(fake).flatten(), ones)
            fooled.backward()
            optimizers[1].step()
            _ = (on_real + on_fake).item(), fooled.item()
            seconds.append(clock() - begun)
        yield seconds


def example_generator() -> nn.Sequential:
    """(B, 100, 1, 1) -> (B, 3, 64, 64)."""
    widths, layers = (8 * BASE, 4 * BASE, 2 * BASE, BASE), []
    for inputs, outputs in itertools.pairwise((LATENT, *widths)):
        stride, padding = (2, 1) if layers else (1, 0)
        conv = nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False)
        layers += [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(BASE, 3, 4, 2, 1, bias=False), nn.Tanh())


def example_discriminator() -> nn.Sequential:
    """(B, 3, 64, 64) -> (B, 1, 1, 1)."""
    layers: list[nn.Module] = [nn.Conv2d(3, BASE, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
    for inputs, outputs in itertools.pairwise((BASE, 2 * BASE, 4 * BASE, 8 * BASE)):
        conv = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False)
        layers += [conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(8 * BASE, 1, 4, 1, 0, bias=False), nn.Sigmoid())


def ours(
    dataset: FaceDataset, run: Path, changes: dict[str, object], batch: int, device: str, clock: Clock
) -> Generator[list[float]]:
    """Seconds of every step, a burst at a time, of a run in the folder `run`."""
    config, model = RECIPES[str(changes["recipe"])]
    quiet = {"save_minutes": 1e6, "preview_images": 10**12, "measure_images": 0, "augment": "none"}
    config = replace(config, batch_size=batch, **(quiet | changes))  # pyright: ignore[reportArgumentType]
    marks: list[float] = []

    def step_ended() -> bool:
        marks.append(clock())
        return False

    events = train(
        dataset,
        run,
        config,
        replace(model, latent_dim=LATENT),
        device,
        step_ended,
        reporting=Reporting(report_steps=BURST, report_seconds=float("inf")),
    )
    while True:
        marks.append(clock())
        while not isinstance(next(events), Step):  # once in BURST, when the device has caught up
            continue
        if device == "cpu":
            yield [later - earlier for earlier, later in itertools.pairwise(marks)]
        else:
            yield [(clock() - marks[0]) / BURST]
        marks.clear()


def draw_faces(folder: Path) -> list[Path]:
    """Faces by the embedded model as a folder of pictures."""
    folder.mkdir()
    for seed, face in enumerate(generate(load_checkpoint(EMBEDDED), range(DRAWN))):
        (folder / f"{seed}.png").write_bytes(png_bytes(face))
    return [folder]


def chosen(run: Path) -> str:
    """What the run settled on, as its folder tells."""
    config, _ = read_run(run)
    return f"{config.precision}, {config.deep_layers}"


def main(
    data: Annotated[list[Path] | None, typer.Argument(help="Folders and zips of faces.", show_default=False)] = None,
    device: str = "cpu",
    threads: int = 1,
    rounds: int = 3,
    batch_size: int = 64,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Train all in turn, a burst of steps at a time, then print the table of medians."""
    torch.set_num_threads(threads)
    target = pick_device(device)
    clock = time.process_time if target.type == "cpu" and threads == 1 else time.perf_counter
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        dataset = load_faces(data or draw_faces(folder / "faces"), SIDE, (home if data else folder) / "cache")
        runs = {name: folder / name for name in OURS}
        loops = {"PyTorch example": example(dataset, batch_size, target, clock)} | {
            name: ours(dataset, run, OURS[name], batch_size, target.type, clock) for name, run in runs.items()
        }
        seconds: dict[str, list[float]] = {name: [] for name in loops}
        for turn in range(1 + rounds):
            for name, loop in loops.items():
                burst = next(loop)
                seconds[name] += burst if turn else []
        settled = {name: chosen(run) for name, run in runs.items()}
        for loop in loops.values():
            loop.close()  # ends the runs while their folder exists
    print(f"\n{target.type}, {threads} thread(s), batch {batch_size}, {rounds * BURST} steps each\n")
    print("| what trains | precision, deep layers | images a second | ratio |\n|---|---|---|---|")
    first = statistics.median(seconds["PyTorch example"])
    for name, times in seconds.items():
        took = statistics.median(times)
        row = (name, settled.get(name, "fp32, convolution"), f"{batch_size / took:.1f}", f"{first / took:.2f}")
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    typer.run(main)
