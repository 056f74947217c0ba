"""What the views that polish see of a model, and how much the mean of a few faces varies by how latents are drawn.

`python -m weights.make.views MODEL FACES... [--teachers PACKAGES] [--count 1500]`

First, at every depth of each view, the Frechet distance to training faces and, of it, how far the means are apart, both
divided by the count of numbers: for other training faces and for the model's. Then the variance of the mean of 64
faces, times 64, where that of a single face is 1: by chance, for latents and their negatives, and for even ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from ganime.cli.common import DEFAULT_HOME, HomeOption
from ganime.faces.dataset import load_faces
from ganime.models.hub import open_model
from ganime.nets.averaging import quasirandom_latents
from ganime.nets.dcgan import Generator
from ganime.training.frechet_loss import Transport, View, looked, shipped_views
from ganime.training.polish import LOOK_BATCH
from weights.make.teachers import views_with

TOGETHER, TIMES = 64, 32  # faces whose mean is taken, and how often


def seen(views: list[View], batches: Iterable[Tensor]) -> list[list[Tensor]]:
    """What each view sees at each depth, (N, numbers), windows of the same sizes and places each time."""
    return looked(views, batches, torch.Generator().manual_seed(0))


def drawn(generator: Generator, source: Callable[[int], Tensor], count: int) -> Iterable[Tensor]:
    for _ in range(count // LOOK_BATCH):
        yield generator(source(LOOK_BATCH))


def main(
    model: str,
    data: list[Path],
    teachers: Annotated[Path | None, typer.Option(help="Where packages lie whose networks look, too.")] = None,
    count: Annotated[int, typer.Option(help="Faces of the model; twice as many of the training faces.")] = 1500,
    threads: int = 0,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Print both tables."""
    if threads:
        torch.set_num_threads(threads)
    count += -count % LOOK_BATCH  # whole batches, so that no training face is on both sides
    generator = open_model(model, home / "hub").generator
    latent = generator.config.latent_dim
    faces = load_faces(data, generator.config.image_size, home / "cache")
    views = views_with(teachers) if teachers else shipped_views()

    def training(first: int, number: int) -> list[list[Tensor]]:
        return seen(views, (faces.batch(first + i, LOOK_BATCH, 0, flip=False) for i in range(0, number, LOOK_BATCH)))

    by_chance = torch.Generator().manual_seed(0)
    real, others = training(0, 2 * count), training(2 * count, count)
    own = seen(views, drawn(generator, lambda number: torch.randn(number, latent, generator=by_chance), count))
    print("| view | faces | Frechet distance at its depths | of it, the means |\n|---|---|---|---|")
    for view, *both in zip(views, real, others, own, strict=True):
        for name, looks in zip(("training faces", model), both[1:], strict=True):
            transports = [Transport(a, b) for a, b in zip(both[0], looks, strict=True)]
            apart = [float((way.mean - way.real_mean).square().mean()) for way in transports]
            distances = ", ".join(f"{way.distance:.3f}" for way in transports)
            print(f"| {view.name} | {name} | {distances} | {', '.join(f'{mean:.4f}' for mean in apart)} |", flush=True)

    def negatives(number: int) -> Tensor:
        half = torch.randn(number // 2, latent, generator=by_chance)
        return torch.cat([half, -half])

    ways = {
        "by chance": lambda number: torch.randn(number, latent, generator=by_chance),
        "latents and their negatives": negatives,
        "even": quasirandom_latents(latent, 0),
    }
    print("\n| latents | variance of the mean of 64, times 64, at the first view's depths |\n|---|---|")
    whole = [replace(views[0], window=(1.0, 1.0))]  # for windows vary, however even the latents are
    (alone,) = seen(whole, drawn(generator, ways["by chance"], count))
    unit = [depth.std(0).clamp_min(1e-6) for depth in alone]
    for name, source in ways.items():
        (depths,) = seen(whole, drawn(generator, source, TOGETHER * TIMES))
        means = [
            (depth / scale).unflatten(0, (TIMES, TOGETHER)).mean(1) for depth, scale in zip(depths, unit, strict=True)
        ]
        print(f"| {name} | {', '.join(f'{TOGETHER * float(mean.var(0).mean()):.2f}' for mean in means)} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
