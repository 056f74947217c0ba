"""Measurements during a run: the faces that its moving average generates, against faces it was not trained on."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
import torch

from ganime.drawing.recipe import latents
from ganime.drawing.sampling import render
from ganime.faces.dataset import FaceDataset
from ganime.measuring.distances import chunks, copying_score, diversity
from ganime.measuring.report import compare
from ganime.measuring.training_faces import TrainingFaces, training_faces_of
from ganime.nets.anime_features import extract, load_features, to_tensor
from ganime.nets.dcgan import Discriminator, Generator
from ganime.shapes import Float, UInt8
from ganime.training.events import Measured
from ganime.training.verdict import is_copying, is_dead

REFERENCE_LEAST, REFERENCE_MOST = 64, 1_000
SEARCHED_MOST = 2_000  # training faces among which copies are looked for
MEMORY_FACES = 256  # of each kind, for which the discriminator's logits are compared
LOGIT_BATCH = 64
REPORTED = ("generated", "reference", "frechet", "kernel", "precision", "recall", "coverage")  # of a Report


class Validator:
    """Measures a run repeatedly against the same faces, whose features are computed once.

    The reference is the held-out faces, together with training faces where fewer than 64 are held out. Copies are
    looked for among up to 2,000 training faces (see `ganime.measuring.training_faces`).

    dataset: the faces of the run.
    flip: whether the run mirrors its faces; mirror images of training faces then count as copies.
    device: of the feature network, by default the CPU.
    best: the lowest Fréchet distance so far, among measurements of faces that differ and are not copies.
    count: faces to generate for a measurement, always of the same seeds.
    """

    def __init__(
        self,
        dataset: FaceDataset,
        flip: bool = True,
        device: torch.device | None = None,
        best: float = float("inf"),
        count: int = 500,
    ) -> None:
        self.dataset, self.flip, self.best, self.count = dataset, flip, best, count
        self.net = load_features().to(device or "cpu")
        choose = np.random.default_rng(0).permutation
        self.held_out = np.sort(choose(dataset.held_out)[:REFERENCE_MOST])
        self.train = np.sort(choose(dataset.train)[:SEARCHED_MOST])

    @cached_property
    def training_faces(self) -> TrainingFaces:
        """The training faces, and how near fresh faces lie to them; computed once, which takes seconds."""
        return training_faces_of(self.dataset, self.flip, SEARCHED_MOST)

    @cached_property
    def reference(self) -> Float[np.ndarray, "r d"]:
        """The features of the reference faces."""
        faces = self.dataset.images
        held_out = extract(self.net, faces[self.held_out])[0]
        if len(held_out) >= REFERENCE_LEAST:
            return held_out
        return np.concatenate([held_out, extract(self.net, faces[self.train])[0]])

    def measure(self, generator: Generator, discriminator: Discriminator, images: int) -> Measured:
        """Measure `generator` after `images` images seen; `discriminator` shows how well it knows its faces.

        Updates `best`. Both nets are left unchanged.
        """
        faces = render(generator, latents(range(self.count), generator.config.latent_dim))
        drawn, reference = extract(self.net, faces)[0], self.reference
        report = compare(drawn, reference)
        score = copying_score(self.training_faces.fresh, self.training_faces.distances(faces))
        measured = Measured(
            images=images,
            **{name: getattr(report, name) for name in REPORTED},
            diversity=diversity(reference, drawn),
            near_copies=score.near_copies,
            copying=score.statistic,
            memory=self.memory(discriminator, faces),
            best=False,
            fresh=len(self.training_faces.fresh),
        )
        if measured.frechet < self.best and not is_copying(measured) and not is_dead(measured):
            self.best = measured.frechet
            return replace(measured, best=True)
        return measured

    def memory(self, discriminator: Discriminator, faces: UInt8[np.ndarray, "n h w 3"]) -> float | None:
        """How well the discriminator separates training faces from held-out faces.

        0 means not at all, 1 as well as from generated faces. It is the share of the gap between the mean logits for
        training and for generated faces (Karras et al. 2020, r_v). None without held-out faces,
        or where there is no such gap.
        """
        if not len(self.held_out):
            return None
        images = self.dataset.images
        kinds = (images[self.train[:MEMORY_FACES]], images[self.held_out[:MEMORY_FACES]], faces[:MEMORY_FACES])
        training, fresh, generated = (mean_logit(discriminator, kind) for kind in kinds)
        return float(np.clip((training - fresh) / (training - generated), 0, 1)) if training > generated else None


@torch.inference_mode()
def mean_logit(discriminator: Discriminator, faces: UInt8[np.ndarray, "n h w 3"]) -> float:
    """The discriminator's mean logit for faces, in eval mode; its mode is restored."""
    training, device = discriminator.training, next(discriminator.parameters()).device
    discriminator.eval()
    logits = [discriminator(to_tensor(part).to(device)) for part in chunks(faces, LOGIT_BATCH)]  # (B,) each
    discriminator.train(training)
    return float(torch.cat(logits).mean())
