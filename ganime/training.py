"""The training loop: a dataset and two configurations in, a stream of events out; it saves, never prints or draws."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ganime.augment import diff_augment
from ganime.config import ModelConfig, TrainConfig
from ganime.data import FaceDataset
from ganime.devices import faster_precision, pick_device, precision_context
from ganime.errors import TrainingError
from ganime.events import Done, Event, Notice, Preview, Saved, Step
from ganime.latents import latents
from ganime.losses import discriminator_loss, generator_loss
from ganime.model import Discriminator, Generator
from ganime.runs import TrainingState, load_last_save, save, settle_run, write_run
from ganime.sampling import render

if TYPE_CHECKING:
    from jaxtyping import UInt8
    from torch import Tensor

REPORT_STEPS = 10
PREVIEW_FACES = 64
AUGMENT_BELOW = 10_000  # faces; with more, a discriminator has too much to see to learn it by heart


def train(
    dataset: FaceDataset,
    run: Path,
    config: TrainConfig | None = None,
    model: ModelConfig | None = None,
    device: str = "cpu",
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Train a DCGAN in the folder `run`, or go on with the run that is in it, yielding events.

    All randomness derives from the seed and the count of images seen, so a run that was stopped and resumed
    draws what an uninterrupted one draws. `should_stop` is asked after every step; when it says yes the run is
    saved and ends. Raises TrainingError when the run cannot be resumed or the losses are no longer finite.
    """
    target = pick_device(device)
    config, model = settle_run(run, config or TrainConfig(), model or ModelConfig(), dataset)
    if config.precision == "auto":
        config = replace(config, precision=faster_precision(model, target))
    notice = write_run(run, config, model, dataset)
    state = TrainingState.create(model, config, target)
    resumed = load_last_save(run, state)
    if resumed:
        yield Notice(state.images, f"Resumed at {state.images:,} images from {resumed}. {notice}".rstrip())
        if reason := limit_reached(config, state, 0.0):
            yield Done(state.images, reason, resumed)
            return
    autocast = precision_context(config.precision, target)
    augment = config.augment == "diffaugment" or (config.augment == "auto" and len(dataset.train) < AUGMENT_BELOW)
    sums = torch.zeros(4, device=target)
    started = reported = last_save = time.monotonic()
    earlier, reported_images = state.seconds, state.images
    next_preview = (state.images // config.preview_images + 1) * config.preview_images

    while True:
        # --- batch: faces and latents of this position in the stream
        draw = random_source(config.seed, state.images)
        real = dataset.batch(state.images, config.batch_size, config.seed, config.flip).to(target)
        z = torch.randn(config.batch_size, model.latent_dim, generator=draw).to(target)
        view = (lambda images: diff_augment(images, draw)) if augment else (lambda images: images)  # noqa: B023

        # --- discriminator step
        with autocast():
            fake = state.generator(z)  # (B, 3, S, S)
            d_real, d_fake = judge(state.discriminator, view(real), view(fake.detach().float()))
        d_loss = discriminator_loss(config.loss, d_real, d_fake)
        state.discriminator_optimizer.zero_grad(set_to_none=True)
        d_loss.backward()
        state.discriminator_optimizer.step()

        # --- generator step, on the same fakes
        state.discriminator.requires_grad_(False)
        with autocast():
            if config.loss == "relativistic":
                g_real, g_fake = judge(state.discriminator, view(real), view(fake.float()))
            else:
                g_real, g_fake = d_real.detach(), state.discriminator(view(fake.float())).float()
        g_loss = generator_loss(config.loss, g_real, g_fake)
        state.generator_optimizer.zero_grad(set_to_none=True)
        g_loss.backward()
        state.generator_optimizer.step()
        state.discriminator.requires_grad_(True)

        # --- moving average
        state.step += 1
        state.images += config.batch_size
        update_ema(state.ema, state.generator, ema_decay(config, state.images))

        # --- report
        sums += torch.stack([d_loss.detach(), g_loss.detach(), d_real.detach().mean(), d_fake.detach().mean()])
        now = time.monotonic()
        state.seconds = earlier + now - started
        reason = "stopped" if should_stop() else limit_reached(config, state, now - started)
        if state.step % REPORT_STEPS == 0 or reason:
            means = (sums / max(1, (state.images - reported_images) // config.batch_size)).tolist()
            sums.zero_()
            if not all(np.isfinite(means)):
                raise TrainingError(
                    f"The losses are no longer finite at {state.images:,} images (generator {means[1]}, discriminator "
                    f"{means[0]}). The last save is intact; resume it with lower learning rates."
                )
            rate = (state.images - reported_images) / max(now - reported, 1e-9)
            reported, reported_images = now, state.images
            d_mean, g_mean, real_mean, fake_mean = means
            progress = progress_of(config, state, now - started)
            yield Step(state.step, state.images, d_mean, g_mean, real_mean, fake_mean, rate, progress)
        if state.images >= next_preview or reason:
            next_preview += config.preview_images
            yield Preview(state.images, preview(state.ema))

        # --- save
        if reason or now - last_save >= config.save_minutes * 60:
            folder = save(run, state, config, dataset)
            last_save = time.monotonic()
            yield Saved(state.images, folder)
            if reason:
                yield Done(state.images, reason, folder)
                return


def judge(discriminator: Discriminator, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Logits for real and fake, each (B,) in fp32; apart where BatchNorm would mix the two, else in one pass."""
    if discriminator.config.discriminator_norm == "batch":
        return discriminator(real).float(), discriminator(fake).float()
    both = torch.cat([real, fake]).contiguous(memory_format=torch.channels_last)  # (2B, 3, S, S)
    logits = discriminator(both).float()
    return logits[: len(real)], logits[len(real) :]


def ema_decay(config: TrainConfig, images: int) -> float:
    """How much of the average stays after one step, from the half-life in images (Karras et al. 2024)."""
    half_life = min(config.ema_images, images * config.ema_warmup)
    return 0.5 ** (config.batch_size / half_life) if half_life > 0 else 0.0


@torch.no_grad()
def update_ema(ema: Generator, generator: Generator, decay: float) -> None:
    """Move the average towards the generator, BatchNorm's running statistics included."""
    latest = generator.state_dict()
    for name, average in ema.state_dict().items():
        current = latest[name]
        if average.is_floating_point() and not name.endswith(("._u", "._v")):  # an average of unit vectors is none
            average.lerp_(current, 1 - decay)
        else:
            average.copy_(current)


def random_source(seed: int, images: int) -> torch.Generator:
    """The source for everything drawn at one position of the run, the same on every device."""
    state = np.random.SeedSequence([seed, images]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


def preview(ema: Generator, count: int = PREVIEW_FACES) -> UInt8[np.ndarray, "n h w 3"]:
    """Faces of seeds 0 to `count` - 1, always the same latents, so that learning can be watched."""
    return render(ema, latents(range(count), ema.config.latent_dim))


def limit_reached(config: TrainConfig, state: TrainingState, seconds: float) -> str:
    """Which limit the run has come to, or an empty string."""
    if config.images and state.images >= config.images:
        return "images"
    if config.steps and state.step >= config.steps:
        return "steps"
    return "minutes" if config.minutes and seconds >= config.minutes * 60 else ""


def progress_of(config: TrainConfig, state: TrainingState, seconds: float) -> float:
    """Share of the nearest limit that is done, 0 to 1; 0 for a run without limits."""
    limits = ((state.images, config.images), (state.step, config.steps), (seconds, config.minutes * 60))
    return min(1.0, max((done / limit for done, limit in limits if limit), default=0.0))
