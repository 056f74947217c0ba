"""The last stage of a training: a generator that draws well already, led on by the Fréchet loss alone."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from ganime.config import check_range, check_types
from ganime.errors import DataError, TrainingError
from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import Checkpoint
from ganime.nets.averaging import decay_of, quasirandom_latents, settle_statistics, update_ema
from ganime.nets.dcgan import Generator
from ganime.nets.device import out_of_memory, pick_device
from ganime.training.frechet_loss import FrechetLoss, View, shipped_views, view_names

if TYPE_CHECKING:
    from torch import Tensor

FEWEST = 2_000  # faces: below it, covariances of hundreds of numbers would be those of a few pictures
LOOKED_AT, DRAWN = 4_096, 2_048  # real and drawn faces that the statistics begin with
LOOK_BATCH = 32  # of these at a time
SETTLING = 4_096  # latents that BatchNorm's statistics are taken from, once
REPORT_STEPS = 30  # the maps of transport are worked out again as often
WARM_UP, COOLED = 50, 0.3  # steps until the rate is whole; share of the images, at the end, in which it sinks to 0
BETAS = (0.5, 0.99)  # of Adam
MOST_COUNTED = 10**12  # images or seconds that a model's facts are believed to tell of


@dataclass(frozen=True)
class PolishConfig:
    """How a generator is polished.

    images: how many it draws in all. batch_size: in a step. lr: Adam's learning rate. ema_images: half-life of the
    moving average in images. seed: start of everything random.

    Raises ConfigError when a value is out of range.
    """

    images: int = 40_000
    batch_size: int = 16
    lr: float = 2e-5
    ema_images: int = 2_000
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_range(self, "images", 1, 10**8)
        check_range(self, "batch_size", 2, 65_536)
        check_range(self, "lr", 1e-8, 1.0)
        check_range(self, "ema_images", 1, 10**9)
        check_range(self, "seed", 0, 2**32 - 1)


@dataclass(frozen=True)
class Polished:
    """How far it is.

    images: how many were drawn. distance: of the weights of this step, from what is remembered of their faces, as
    `FrechetLoss.renew`; no measure that `evaluate` knows. progress: 0 to 1. model: the moving average, ready to be
    saved.
    """

    images: int
    distance: float
    images_per_second: float
    progress: float
    model: Callable[[], Checkpoint]


class StoppedError(Exception):
    """A wish to stop that came before the first step."""


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

    `should_stop` is asked after every step, and as long as it looks at the faces before the first one; nothing is
    yielded where it ends there. The real faces are not mirrored. BatchNorm's statistics are taken anew in the
    beginning, over 4,096 latents, and kept: what is looked at is what will be drawn. Those of a model that was polished
    before stay, for its weights were made to go with them. Discriminator and critic stay as they are. The facts of the
    training gain `polished_images`, `polished_from`, the revision of `model`, and `polished_through`, the names of the
    views. Raises DataError for fewer than 2,000 faces or another size than the model's, TrainingError when the loss is
    no longer finite or the memory too small.
    """
    config = config or PolishConfig()
    shape, target = model.generator.config, pick_device(device)
    check_faces(dataset, model)
    began, images, step = time.monotonic(), 0, 0
    before = whole(model.training.get("polished_images"))
    views = views or shipped_views(target)
    generator = beginning(model.generator, config.batch_size, target, settle=not before)
    ema = copy.deepcopy(generator)
    source = quasirandom_latents(shape.latent_dim, config.seed, before)

    def draw(count: int) -> Tensor:
        return generator(source(count).to(target))  # (B, 3, S, S)

    def batches(count: int, batch: Callable[[int], Tensor]) -> Iterable[Tensor]:
        for first in range(0, count, LOOK_BATCH):
            if should_stop():
                raise StoppedError
            yield batch(first)

    def finished() -> Checkpoint:
        facts = {
            **model.training,
            "polished_images": before + images,
            "polished_from": model.revision,
            "polished_through": view_names(views),
            "seconds": whole(model.training.get("seconds")) + round(time.monotonic() - began),
        }
        return replace(model, generator=copy.deepcopy(ema).cpu().requires_grad_(False), training=facts, folder=None)

    real = batches(
        min(LOOKED_AT, len(dataset.train)),
        lambda first: dataset.batch(first, LOOK_BATCH, config.seed, flip=False).to(target),
    )
    with enough_memory(config.batch_size):
        try:
            loss = FrechetLoss(views, real, batches(DRAWN, lambda _: draw(LOOK_BATCH)), config.seed)
        except StoppedError:
            return
    optimizer = torch.optim.Adam(generator.parameters(), lr=config.lr, betas=BETAS)
    first_step = time.monotonic()

    while True:
        ended = images >= config.images or should_stop()
        if step % REPORT_STEPS == 0 or ended:
            rate = images / max(time.monotonic() - first_step, 1e-9)
            yield Polished(images, loss.renew(), rate, min(1.0, images / config.images), finished)
        if ended:
            return
        for group in optimizer.param_groups:
            group["lr"] = rate_at(config, step, images)
        with enough_memory(config.batch_size):
            value = loss(draw(config.batch_size))
            optimizer.zero_grad(set_to_none=True)
            value.backward()
        if not torch.isfinite(value):
            raise TrainingError(
                f"The loss is no longer finite after {images:,} images. Polish again with a lower --lr than "
                f"{config.lr:g}, from what was saved last or from the beginning."
            )
        optimizer.step()
        step += 1
        images += config.batch_size
        update_ema(ema, generator, min(step / (step + 1), decay_of(config.batch_size, config.ema_images)))


def beginning(old: Generator, batch_size: int, device: torch.device, settle: bool) -> Generator:
    """A copy that can learn, with BatchNorm's statistics taken anew if so."""
    generator = copy.deepcopy(old).to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    with enough_memory(batch_size):
        if settle:
            settle_statistics(generator, SETTLING)
    return generator.eval().requires_grad_(True)


def rate_at(config: PolishConfig, step: int, images: int) -> float:
    """The learning rate of a step: it rises in the first ones and sinks to 0 over the last images."""
    left = (config.images - images) / (COOLED * config.images)
    return config.lr * min(1.0, (step + 1) / WARM_UP, left)


def check_faces(dataset: FaceDataset, model: Checkpoint) -> None:
    """Raise DataError where these faces are too few, or of another size than the model draws."""
    if len(dataset.train) < FEWEST:
        raise DataError(
            f"There are {len(dataset.train):,} faces to learn from, where a part is held out; polishing compares "
            f"statistics of hundreds of numbers and needs {FEWEST:,}. Add faces, or train on with the discriminator."
        )
    side, drawn = dataset.images.shape[1], model.generator.config.image_size
    if side != drawn:
        raise DataError(f"The faces are read at {side} px and {model.name} draws {drawn} px; read them at its size.")


def whole(value: Any) -> int:
    """A count out of the facts of a training, which anyone may have written; 0 where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_COUNTED else 0


@contextmanager
def enough_memory(batch_size: int) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        raise TrainingError(
            f"There is no memory to look at {max(batch_size, LOOK_BATCH)} faces at a time. Polish with --batch-size "
            f"below {batch_size}, or on the CPU."
        ) from error
