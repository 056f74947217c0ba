"""The last stage of a training: a generator that draws well already, led on by the Fréchet loss alone."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from ganime.averaging import settle_statistics, update_ema
from ganime.checkpoint import Checkpoint
from ganime.config import check_range, check_types
from ganime.dataset import FaceDataset
from ganime.devices import out_of_memory, pick_device, plan_for
from ganime.errors import DataError, TrainingError
from ganime.frechet import FrechetLoss, View, forgotten, shipped_views
from ganime.matmul import use_forms

if TYPE_CHECKING:
    from torch import Tensor

FEWEST = 2_000  # faces: below it, covariances of hundreds of numbers would be those of a few pictures
LOOKED_AT, LOOK_BATCH = 6_000, 50  # faces that the statistics of real ones are taken from; at a time
DRAWN = 2_500  # faces that those of drawn ones begin with
REPORT_STEPS = 30  # the maps of transport are worked out again as often
WARM_UP, COOLED = 50, 0.3  # steps until the rate is whole; share of the images, at the end, in which it sinks to 0
BETAS = (0.5, 0.99)  # of Adam


@dataclass(frozen=True)
class PolishConfig:
    """How a generator is polished.

    images: how many it draws in all. batch_size: in a step. lr: Adam's learning rate. ema_images: half-life of the
    moving average in images. seed: start of everything random.

    Raises ConfigError when a value is out of range.
    """

    images: int = 40_000
    batch_size: int = 16
    lr: float = 3e-5
    ema_images: int = 2_000
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_range(self, "images", 1, 10**12)
        check_range(self, "batch_size", 2, 65_536)
        check_range(self, "lr", 1e-8, 1.0)
        check_range(self, "ema_images", 1, 10**9)
        check_range(self, "seed", 0, 2**32 - 1)


@dataclass(frozen=True)
class Polished:
    """How far it is: images drawn, the mean Fréchet distance of all views (`FrechetLoss.renew`), and the model."""

    images: int
    distance: float
    images_per_second: float
    progress: float  # 0 to 1
    model: Callable[[], Checkpoint]  # the moving average, ready to be saved


def polish(
    dataset: FaceDataset,
    model: Checkpoint,
    config: PolishConfig | None = None,
    device: str = "cpu",
    should_stop: Callable[[], bool] = lambda: False,
    views: Sequence[View] = (),
) -> Iterator[Polished]:
    """Lower the Fréchet distance of `model` to the training part of the faces, through `views` (by default those of
    `shipped_views`), yielding how far it is: at the beginning, now and then, and at the end.

    Discriminator and critic stay as they are. Raises DataError for fewer than 2,000 faces or another size than the
    model's, TrainingError when the loss is no longer finite or the memory too small.
    """
    config = config or PolishConfig()
    shape, target = model.generator.config, pick_device(device)
    if len(dataset.train) < FEWEST:
        raise DataError(
            f"There are {len(dataset.train):,} faces to learn from; polishing compares statistics of hundreds of "
            f"numbers and needs {FEWEST:,} different ones. Add faces, or train on with the discriminator."
        )
    if dataset.images.shape[1] != shape.image_size:
        raise DataError(
            f"The faces are read at {dataset.images.shape[1]} px and {model.name} draws {shape.image_size} px; read "
            "them at its size."
        )
    generator = copy.deepcopy(model.generator).to(target, memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
    generator.requires_grad_(True)
    ema = copy.deepcopy(model.generator).to(target)
    forms = plan_for(shape, config.batch_size, target, "fp32").deep_layers
    use_forms(generator, forms.split(","))
    source = torch.Generator().manual_seed(config.seed)

    def draw(count: int) -> Tensor:
        return generator(torch.randn(count, shape.latent_dim, generator=source).to(target))  # (B, 3, S, S)

    def real() -> Iterator[Tensor]:
        for first in range(0, min(LOOKED_AT, len(dataset.train)), LOOK_BATCH):
            yield dataset.batch(first, LOOK_BATCH, config.seed, flip=True).to(target)

    drawn = (draw(LOOK_BATCH) for _ in range(DRAWN // LOOK_BATCH))
    loss = FrechetLoss(views or shipped_views(target), real(), drawn, config.seed)
    optimizer = torch.optim.Adam(generator.parameters(), lr=config.lr, betas=BETAS)
    began, images, step = time.monotonic(), 0, 0

    def finished() -> Checkpoint:
        average = copy.deepcopy(ema)
        settle_statistics(average)
        seconds = model.training.get("seconds", 0) + round(time.monotonic() - began)
        facts = {**model.training, "images": model.training.get("images", 0) + images, "seconds": seconds}
        return replace(model, generator=average.cpu().requires_grad_(False), training=facts, folder=None)

    while True:
        ended = images >= config.images or should_stop()
        if step % REPORT_STEPS == 0 or ended:
            rate = images / max(time.monotonic() - began, 1e-9)
            yield Polished(images, loss.renew(), rate, min(1.0, images / config.images), finished)
        if ended:
            return
        left = (config.images - images) / (COOLED * config.images)
        for group in optimizer.param_groups:
            group["lr"] = config.lr * min(1.0, (step + 1) / WARM_UP, left)
        try:
            value = loss(draw(config.batch_size))
            optimizer.zero_grad(set_to_none=True)
            value.backward()
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            raise TrainingError(
                f"There is no memory for {config.batch_size} faces at a time. Polish with a smaller batch."
            ) from error
        if not torch.isfinite(value):
            raise TrainingError(
                f"The loss is no longer finite after {images:,} images. Polish again from the last save, at a lower "
                f"rate than {config.lr:g}."
            )
        optimizer.step()
        step += 1
        images += config.batch_size
        kept = max(1 / (step + 1), forgotten(config.batch_size, config.ema_images))
        update_ema(ema, generator, 1 - kept)
