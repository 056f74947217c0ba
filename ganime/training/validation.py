"""How far a run has come: the faces that its moving average draws now, measured against faces it never learned from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ganime.config import TrainConfig
from ganime.drawing.recipe import latents
from ganime.drawing.sampling import render
from ganime.faces.dataset import FaceDataset
from ganime.measuring.distances import (
    chance_of_nearness,
    copying_score,
    density_coverage,
    diversity,
    frechet_distance,
    kernel_distance,
    precision_recall,
)
from ganime.measuring.training_faces import TrainingFaces, training_faces_of
from ganime.nets.anime_features import extract, load_features, to_tensor
from ganime.nets.dcgan import Discriminator, Generator
from ganime.nets.device import out_of_memory
from ganime.training.events import Event, Measured, Notice
from ganime.training.run_folder import TrainingState, save_best
from ganime.training.verdict import BY_HEART, COPIED, NEARER, VerdictTracker

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

GENERATED = 500  # faces a measurement draws, always of the same seeds
REFERENCE_LEAST, REFERENCE_MOST = 64, 1_000
TRAINING_MOST = 2_000  # training faces among which copies are looked for
JUDGED = 256  # faces of each kind that the discriminator is asked about


class Validator:
    """Measures a run again and again against the same faces, whose features are taken once.

    The reference is the held-out part, or all faces where fewer than 64 are held out. Copies are looked for
    (see `ganime.measuring.training_faces`) among up to 2,000 training faces, in both orientations where the run
    mirrors them.
    best: the lowest Fréchet distance so far, among measurements that did not look like copying.
    """

    def __init__(
        self,
        dataset: FaceDataset,
        flip: bool = True,
        device: torch.device | None = None,
        best: float = float("inf"),
    ) -> None:
        self.dataset, self.flip, self.best = dataset, flip, best
        self.net = load_features().to(device or "cpu")
        choose = np.random.default_rng(0).permutation
        self.held_out = np.sort(choose(dataset.held_out)[:REFERENCE_MOST])
        self.train = np.sort(choose(dataset.train)[:TRAINING_MOST])

    @cached_property
    def known(self) -> TrainingFaces:
        """The training faces and how near to them fresh faces lie; it takes seconds, once."""
        return training_faces_of(self.dataset, self.flip, TRAINING_MOST)

    @cached_property
    def reference(self) -> Float[np.ndarray, "r d"]:
        """The features of the faces to compare with."""
        faces = self.dataset.images
        held_out = self.features(faces[self.held_out])
        enough = len(held_out) >= REFERENCE_LEAST
        return held_out if enough else np.concatenate([held_out, self.features(faces[self.train])])

    def features(self, faces: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n d"]:
        return extract(self.net, faces)[0]

    def measure(self, generator: Generator, discriminator: Discriminator, images: int) -> Measured:
        """The measures of `generator` after `images` images seen; `discriminator` is asked which faces it knows."""
        faces = render(generator, latents(range(GENERATED), generator.config.latent_dim))
        drawn = self.features(faces)
        reference = self.reference
        frechet = frechet_distance(reference, drawn)
        precision, recall = precision_recall(reference, drawn)
        nearness = copying_score(self.known.fresh, self.known.distances(faces))
        memory = self.memory(discriminator, faces)
        chance, error = chance_of_nearness(len(drawn), len(reference))
        by_heart = memory is not None and memory > BY_HEART
        many = nearness.near_copies > chance + COPIED[0] * error
        copied = nearness.statistic < -NEARER[0] and (many or by_heart)
        best = frechet < self.best and not copied
        self.best = frechet if best else self.best
        return Measured(
            images=images,
            generated=len(drawn),
            reference=len(reference),
            frechet=frechet,
            kernel=kernel_distance(reference, drawn)[0],
            precision=precision,
            recall=recall,
            coverage=density_coverage(reference, drawn)[1],
            diversity=diversity(reference, drawn),
            near_copies=nearness.near_copies,
            copying=nearness.statistic,
            memory=memory,
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


def measured(
    gauge: Validator,
    health: VerdictTracker,
    run: Path,
    state: TrainingState,
    config: TrainConfig,
    dataset: FaceDataset,
    keep: bool = True,
) -> Iterator[Event]:
    """Measure the moving average, keep it if it is the best so far, and say how the run is; or why not.

    keep: False for what the run began from, so that the best save is always one that it made itself.
    """
    try:
        event = gauge.measure(state.ema, state.discriminator, state.images)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        yield Notice(state.images, "There was no memory to measure the faces with; it goes on unmeasured.")
        return
    if not keep:
        gauge.best, event = float("inf"), replace(event, best=False)
    if event.best:
        save_best(run, state, config, dataset, event.frechet)
    yield event
    if verdict := health.see(event):
        yield verdict


@torch.inference_mode()
def mean_logit(discriminator: Discriminator, faces: UInt8[np.ndarray, "n h w 3"]) -> float:
    """What the discriminator says of faces on average; it is left as it was."""
    training, device = discriminator.training, next(discriminator.parameters()).device
    discriminator.eval()
    logits = [discriminator(to_tensor(faces[start : start + 64]).to(device)) for start in range(0, len(faces), 64)]
    discriminator.train(training)
    return float(torch.cat(logits).mean())
