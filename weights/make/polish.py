"""The last stage of the default model: improve a generator that already draws well with the Fréchet loss alone."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ganime.config import check_fields, ranged
from ganime.errors import DataError, TrainingError
from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import Checkpoint
from ganime.nets.averaging import decay_of, quasirandom_latents, settle_statistics, update_ema
from ganime.nets.dcgan import Generator
from ganime.nets.device import out_of_memory, pick_device
from weights.make.frechet_loss import FrechetLoss, View, shipped_views, view_names

STATISTICS_BATCH = 32  # faces at a time while the first statistics are collected
WARM_UP_STEPS = 50  # the learning rate rises linearly in these
COOL_DOWN_SHARE = 0.3  # share of the images, at the end, in which the learning rate falls linearly to 0
ADAM_BETAS = (0.5, 0.99)
MAX_FACT = 10**12  # larger numbers of images or seconds in a model's facts are ignored


@dataclass(frozen=True)
class PolishConfig:
    """The settings of polishing.

    images: number of faces to draw in all.
    batch_size: faces in a step.
    lr: Adam's learning rate at its peak.
    ema_images: half-life of the generator's moving average, in images.
    seed: seed of the latents, of the order of the real faces and of the windows.
    min_faces: required number of training faces; covariances of hundreds of features need many.
    real_faces, drawn_faces: number of real and of drawn faces in the first statistics, rounded up to batches of 32.
    settling_latents: number of latents from which the BatchNorm statistics are recomputed.
    report_steps: steps between two reports; each report also recomputes the loss's transport maps.

    Raises ConfigError when a value is out of range.
    """

    images: int = ranged(40_000, 1, 10**8)
    batch_size: int = ranged(16, 2, 65_536)
    lr: float = ranged(2e-5, 1e-8, 1.0)
    ema_images: int = ranged(2_000, 1, 10**9)
    seed: int = ranged(0, 0, 2**32 - 1)
    min_faces: int = ranged(2_000, 2, 10**6)
    real_faces: int = ranged(4_096, 2, 10**6)
    drawn_faces: int = ranged(2_048, 2, 10**6)
    settling_latents: int = ranged(4_096, 1, 10**6)
    report_steps: int = ranged(30, 1, 10**6)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Polished:
    """A report on the progress of polishing.

    images: number of faces drawn so far.
    distance: as `FrechetLoss.renew` returns it, for the weights of this step, not their average. It is computed from
        remembered faces through the views, so it does not compare with the distances of `evaluate`.
    images_per_second: mean speed since the first step.
    progress: 0 to 1.
    model: returns a copy of the moving average as it is now, ready to be saved.
    """

    images: int
    distance: float
    images_per_second: float
    progress: float
    model: Callable[[], Checkpoint]


def polish(
    dataset: FaceDataset,
    model: Checkpoint,
    config: PolishConfig | None = None,
    device: str = "cpu",
    views: Sequence[View] = (),
) -> Iterator[Polished]:
    """Lower the Fréchet distance of `model` to the training faces. Yields a report first, regularly, and at the end.

    The real faces are not mirrored. BatchNorm's statistics are recomputed at the beginning and then fixed, so the loss
    sees exactly what the saved model draws. If the model was polished before, its statistics are kept, since its
    weights were trained with them. Discriminator and critic do not change. The facts of the training gain
    `polished_images`, `polished_from`, the revision of `model`, and `polished_through`, the names of the views.

    dataset: the faces; only its training part is used.
    model: the checkpoint to start from; it is not changed.
    config: by default `PolishConfig()`.
    views: by default those of `shipped_views`.

    Raises DataError when there are fewer than `config.min_faces` training faces or their size is not the model's.
    Raises TrainingError when the loss is no longer finite or memory runs out.
    """
    config, target = config or PolishConfig(), pick_device(device)
    check_faces(dataset, model, config.min_faces)
    polisher = Polisher(model, config, target, views)
    loss = polisher.initial_loss(dataset)
    start = time.monotonic()
    while True:
        ended = polisher.images >= config.images
        if polisher.steps % config.report_steps == 0 or ended:
            speed = polisher.images / max(time.monotonic() - start, 1e-9)
            progress = min(1.0, polisher.images / config.images)
            yield Polished(polisher.images, loss.renew(), speed, progress, polisher.checkpoint)
        if ended:
            return
        polisher.step(loss)


class Polisher:
    """The state of one polishing: the generator that learns, its moving average, and the number of faces drawn."""

    def __init__(self, model: Checkpoint, config: PolishConfig, device: torch.device, views: Sequence[View]) -> None:
        self.start = time.monotonic()
        self.model, self.config, self.device = model, config, device
        self.views = views or shipped_views(device)
        self.images_before = valid_count(model.training.get("polished_images"))
        self.images, self.steps = 0, 0
        self.generator = self.trainable_generator()
        self.ema = copy.deepcopy(self.generator)
        self.latents = quasirandom_latents(model.generator.config.latent_dim, config.seed, self.images_before)
        self.optimizer = torch.optim.Adam(self.generator.parameters(), lr=config.lr, betas=ADAM_BETAS)

    def trainable_generator(self) -> Generator:
        """A copy of the model's generator; its BatchNorm statistics are recomputed if it was never polished."""
        generator = copy.deepcopy(self.model.generator)
        generator = generator.to(self.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        with enough_memory(self.config.batch_size):
            if not self.images_before:
                settle_statistics(generator, self.config.settling_latents)
        return generator.eval().requires_grad_(True)

    def draw(self, count: int) -> Tensor:
        """The next `count` faces, (N, 3, S, S), in [-1, 1]."""
        return self.generator(self.latents(count).to(self.device))

    def initial_loss(self, dataset: FaceDataset) -> FrechetLoss:
        """The loss with the statistics of the first faces."""
        config = self.config
        places = range(0, min(config.real_faces, len(dataset.train)), STATISTICS_BATCH)
        real = (dataset.batch(i, STATISTICS_BATCH, config.seed, flip=False).to(self.device) for i in places)
        drawn = (self.draw(STATISTICS_BATCH) for _ in range(0, config.drawn_faces, STATISTICS_BATCH))
        with enough_memory(config.batch_size):
            return FrechetLoss(self.views, real, drawn, config.seed)

    def step(self, loss: FrechetLoss) -> None:
        """Draw a batch and change the weights once. Raises TrainingError when the loss is not finite."""
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(config, self.steps, self.images)
        with enough_memory(config.batch_size):
            value = loss(self.draw(config.batch_size))
            self.optimizer.zero_grad(set_to_none=True)
            value.backward()
        if not torch.isfinite(value):
            raise TrainingError(
                f"The loss is no longer finite after {self.images:,} images. Polish again with a lower lr than "
                f"{config.lr:g}, from the last saved model or from the beginning."
            )
        self.optimizer.step()
        self.steps += 1
        self.images += config.batch_size
        decay = min(self.steps / (self.steps + 1), decay_of(config.batch_size, config.ema_images))
        update_ema(self.ema, self.generator, decay)

    def checkpoint(self) -> Checkpoint:
        """The model with a copy of the moving average as its generator, and the facts of the polishing."""
        facts = {
            **self.model.training,
            "polished_images": self.images_before + self.images,
            "polished_from": self.model.revision,
            "polished_through": view_names(self.views),
            "seconds": valid_count(self.model.training.get("seconds")) + round(time.monotonic() - self.start),
        }
        generator = copy.deepcopy(self.ema).cpu().requires_grad_(False)
        return replace(self.model, generator=generator, training=facts, folder=None)


def rate_at(config: PolishConfig, step: int, images: int) -> float:
    """The learning rate of a step: it rises over the first 50 steps and falls to 0 over the last 30 % of the images."""
    left = (config.images - images) / (COOL_DOWN_SHARE * config.images)
    return config.lr * min(1.0, (step + 1) / WARM_UP_STEPS, left)


def check_faces(dataset: FaceDataset, model: Checkpoint, min_faces: int) -> None:
    """Raise DataError when there are too few training faces, or their size differs from the model's."""
    if len(dataset.train) < min_faces:
        raise DataError(
            f"There are {len(dataset.train):,} training faces; polishing needs {min_faces:,}, since it compares "
            "covariances of hundreds of features. Add faces, or continue training with the discriminator."
        )
    side, drawn = dataset.images.shape[1], model.generator.config.image_size
    if side != drawn:
        raise DataError(f"The faces were read at {side} px, but {model.name} draws {drawn} px; read them at that size.")


def valid_count(value: Any) -> int:
    """A count from the facts of a training, which are untrusted; 0 if it is not a whole number from 0 to 10^12."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_FACT else 0


@contextmanager
def enough_memory(batch_size: int) -> Iterator[None]:
    """Turn an out-of-memory error of the block into a TrainingError that says what to change."""
    try:
        yield
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        raise TrainingError(
            f"Not enough memory for batches of {max(batch_size, STATISTICS_BATCH)} faces. Polish with a batch_size "
            f"below {batch_size}, or on the CPU."
        ) from error
