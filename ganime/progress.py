"""How far a run has come: the faces that its moving average draws now, measured against faces it never learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ganime.data import FaceDataset
from ganime.events import Measured
from ganime.features import extract, load_features, to_tensor
from ganime.latents import latents
from ganime.metrics import (
    compare_nearness,
    density_coverage,
    diversity,
    frechet_distance,
    kernel_distance,
    nearest,
    precision_recall,
)
from ganime.model import Discriminator, Generator
from ganime.sampling import render

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

GENERATED = 500  # faces a measurement draws, always of the same seeds
REFERENCE_LEAST, REFERENCE_MOST = 64, 1_000
TRAINING_MOST = 2_000  # training faces among which copies are looked for
FRESH_LEAST = 100
JUDGED = 256  # faces of each kind that the discriminator is asked about


class Gauge:
    """Measures a run again and again against the same faces, whose features are taken once.

    The reference is the held-out part, or all faces where fewer than 64 are held out. Copies are looked for among up
    to 2,000 training faces, in both orientations where the run mirrors them. How near a fresh face lies to those is
    learned from the held-out faces, and where they are few also from the training faces, each beside the others.
    best: the lowest Fréchet distance so far.
    """

    def __init__(
        self,
        dataset: FaceDataset,
        flip: bool = True,
        device: torch.device | None = None,
        best: float = float("inf"),
    ) -> None:
        self.dataset, self.best = dataset, best
        self.net = load_features().to(device or "cpu")
        choose = np.random.default_rng(0).permutation
        self.held_out = np.sort(choose(dataset.held_out)[:REFERENCE_MOST])
        self.train = np.sort(choose(dataset.train)[:TRAINING_MOST])
        held, own, mirrored = (
            self.features(dataset.images[self.held_out]),
            self.features(dataset.images[self.train]),
            self.features(dataset.images[self.train][:, :, ::-1]) if flip else None,
        )
        self.known = own if mirrored is None else np.concatenate([own, mirrored])  # (T, D) or (2 T, D)
        self.reference = held if len(held) >= REFERENCE_LEAST else np.concatenate([held, own])
        fresh = [nearest(held, self.known)[0]] if len(held) else []
        if len(held) < FRESH_LEAST:
            fresh.append(nearest_other(own, mirrored))
        self.fresh = np.concatenate(fresh)

    def features(self, faces: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n d"]:
        return extract(self.net, faces)[0]

    def measure(self, generator: Generator, discriminator: Discriminator, images: int) -> Measured:
        """The measures of `generator` after `images` images seen; `discriminator` is asked which faces it knows."""
        faces = render(generator, latents(range(GENERATED), generator.config.latent_dim))
        drawn = self.features(faces)
        frechet = frechet_distance(self.reference, drawn)
        precision, recall = precision_recall(self.reference, drawn)
        nearness = compare_nearness(self.fresh, nearest(drawn, self.known)[0])
        best, self.best = frechet < self.best, min(frechet, self.best)
        return Measured(
            images=images,
            generated=len(drawn),
            reference=len(self.reference),
            frechet=frechet,
            kernel=kernel_distance(self.reference, drawn)[0],
            precision=precision,
            recall=recall,
            coverage=density_coverage(self.reference, drawn)[1],
            diversity=diversity(self.reference, drawn),
            near_copies=nearness.near_copies,
            copying=nearness.statistic,
            memory=self.memory(discriminator, faces),
            best=best,
        )

    def memory(self, discriminator: Discriminator, faces: UInt8[np.ndarray, "n h w 3"]) -> float | None:
        """Where fresh faces stand for the discriminator: 0 where training faces do, 1 where generated ones do.

        The share of the gap between its logits for training and for generated faces, as in Karras et al. 2020.
        """
        if not len(self.held_out):
            return None
        kinds = (self.dataset.images[self.train[:JUDGED]], self.dataset.images[self.held_out[:JUDGED]], faces[:JUDGED])
        known, fresh, fake = (mean_logit(discriminator, kind) for kind in kinds)
        return float(np.clip((known - fresh) / (known - fake), 0, 1)) if known > fake else None


@torch.inference_mode()
def mean_logit(discriminator: Discriminator, faces: UInt8[np.ndarray, "n h w 3"]) -> float:
    """What the discriminator says of faces on average; it is left as it was."""
    training, device = discriminator.training, next(discriminator.parameters()).device
    discriminator.eval()
    logits = [discriminator(to_tensor(faces[start : start + 64]).to(device)) for start in range(0, len(faces), 64)]
    discriminator.train(training)
    return float(torch.cat(logits).mean())


def nearest_other(own: Float[np.ndarray, "t d"], mirrored: Float[np.ndarray, "t d"] | None) -> Float[np.ndarray, " t"]:
    """For each training face the distance to the nearest other one; its own mirror image is none."""
    found = []
    for place in range(len(own)):
        others = np.arange(len(own)) != place
        known = own[others] if mirrored is None else np.concatenate([own[others], mirrored[others]])
        found.append(np.sqrt(((known - own[place]) ** 2).sum(1).min()))
    return np.array(found)
