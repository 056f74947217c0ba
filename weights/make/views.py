"""What the views of polishing see of a model, and how the way of drawing latents changes the mean of a few faces.

`python -m weights.make.views MODEL FACES... [--teachers PACKAGES] [--count 1500]`

The first table has, at every depth of each view, the Fréchet distance to training faces and the part of it that is due
to the means, both divided by the number of features: for other training faces and for the model's faces. The second one
has the variance of the mean of 64 faces, times 64, where that of a single face is 1: for random latents, for latents
with their negatives, and for even latents.
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
from weights.make.frechet_loss import Transport, View, collect_features, shipped_views
from weights.make.polish import STATISTICS_BATCH
from weights.make.teachers import views_with

MEAN_OF, MEANS = 64, 32  # faces in a mean, and number of means


def view_features(views: list[View], batches: Iterable[Tensor]) -> list[list[Tensor]]:
    """The features of each view at each depth, (N, features); the windows are the same in every call."""
    return collect_features(views, batches, torch.Generator().manual_seed(0))


def draw(generator: Generator, source: Callable[[int], Tensor], count: int) -> Iterable[Tensor]:
    """Batches of faces, (B, 3, S, S), for latents from `source`."""
    for _ in range(count // STATISTICS_BATCH):
        yield generator(source(STATISTICS_BATCH))


def main(
    model: str,
    data: list[Path],
    teachers: Annotated[Path | None, typer.Option(help="Folder of packages whose networks are views, too.")] = None,
    count: Annotated[int, typer.Option(help="Faces of the model; twice as many training faces.")] = 1500,
    threads: int = 0,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Print both tables."""
    if threads:
        torch.set_num_threads(threads)
    count += -count % STATISTICS_BATCH  # whole batches, so that no training face is on both sides
    generator = open_model(model, home / "hub").generator
    latent = generator.config.latent_dim
    faces = load_faces(data, generator.config.image_size, home / "cache")
    views = views_with(teachers) if teachers else shipped_views()

    def training_features(first: int, number: int) -> list[list[Tensor]]:
        return view_features(
            views, (faces.batch(first + i, STATISTICS_BATCH, 0, flip=False) for i in range(0, number, STATISTICS_BATCH))
        )

    random_latents = by_chance(latent)
    features = [
        training_features(0, 2 * count),
        training_features(2 * count, count),
        view_features(views, draw(generator, random_latents, count)),
    ]
    print_distances([view.name for view in views], model, *features)
    whole = replace(views[0], window=(1.0, 1.0))  # without windows, which vary however even the latents are
    print_variances(whole, generator, random_latents, count)


def by_chance(latent: int) -> Callable[[int], Tensor]:
    """A source of random latents, (N, latent), always the same."""
    randomness = torch.Generator().manual_seed(0)
    return lambda number: torch.randn(number, latent, generator=randomness)


def print_distances(
    names: list[str], model: str, real: list[list[Tensor]], others: list[list[Tensor]], own: list[list[Tensor]]
) -> None:
    """The table of Fréchet distances to `real`: for other training faces, and for the model's own faces."""
    print("| view | faces | Fréchet distance at its depths | of it, the means |\n|---|---|---|---|")
    for name, real_depths, *both in zip(names, real, others, own, strict=True):
        for faces, depths in zip(("training faces", model), both, strict=True):
            transports = [Transport(a, b) for a, b in zip(real_depths, depths, strict=True)]
            distances = ", ".join(f"{transport.distance:.3f}" for transport in transports)
            apart = [float((transport.mean - transport.real_mean).square().mean()) for transport in transports]
            print(f"| {name} | {faces} | {distances} | {', '.join(f'{mean:.4f}' for mean in apart)} |", flush=True)


def print_variances(view: View, generator: Generator, random_latents: Callable[[int], Tensor], count: int) -> None:
    """The table of the variance of a mean of faces, for three ways of drawing latents."""

    def with_negatives(number: int) -> Tensor:
        half = random_latents(number // 2)
        return torch.cat([half, -half])

    sources = {
        "by chance": random_latents,
        "latents and their negatives": with_negatives,
        "even": quasirandom_latents(generator.config.latent_dim, 0),
    }
    print(f"\n| latents | variance of the mean of {MEAN_OF}, times {MEAN_OF}, at the first view's depths |\n|---|---|")
    (single,) = view_features([view], draw(generator, random_latents, count))
    unit = [depth.std(0).clamp_min(1e-6) for depth in single]
    for name, source in sources.items():
        (depths,) = view_features([view], draw(generator, source, MEAN_OF * MEANS))
        standardised = [depth / scale for depth, scale in zip(depths, unit, strict=True)]
        means = [depth.unflatten(0, (MEANS, MEAN_OF)).mean(1) for depth in standardised]  # (MEANS, features)
        print(f"| {name} | {', '.join(f'{MEAN_OF * float(mean.var(0).mean()):.2f}' for mean in means)} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
