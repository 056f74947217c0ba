"""The training loop: a dataset and two configurations in, a stream of events out; it saves, never prints or draws."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ganime.augment import diff_augment
from ganime.checkpoint import Checkpoint, write_checkpoint
from ganime.config import ModelConfig, TrainConfig, from_dict, to_dict
from ganime.data import FaceDataset
from ganime.errors import ConfigError, TrainingError
from ganime.files import atomic_file, atomic_folder
from ganime.latents import latents
from ganime.losses import discriminator_loss, generator_loss
from ganime.model import Discriminator, Generator

if TYPE_CHECKING:
    from jaxtyping import UInt8
    from torch import Tensor

REPORT_STEPS = 10
PREVIEW_FACES = 64
KEPT_SAVES = 2
AUGMENT_BELOW = 10_000  # faces; with more, a discriminator has too much to see to learn it by heart
RUN_FILE, SAVES, STATE_FILE = "run.json", "saves", "state.pt"


@dataclass(frozen=True)
class Step:
    """Means over the steps since the last report. Losses are in nats (bce, relativistic) or margins (hinge)."""

    step: int
    images: int
    d_loss: float
    g_loss: float
    d_real: float
    d_fake: float
    images_per_second: float
    progress: float  # share of the nearest limit, 0 to 1


@dataclass(frozen=True)
class Preview:
    """Faces of seeds 0, 1, 2, ... as the model draws them now; uint8, (N, H, W, 3)."""

    images: int
    faces: UInt8[np.ndarray, "n h w 3"]


@dataclass(frozen=True)
class Saved:
    """A checkpoint that was written whole and can be resumed, sampled or shared."""

    images: int
    folder: Path


@dataclass(frozen=True)
class Notice:
    """Something a person should know, in words."""

    images: int
    text: str


@dataclass(frozen=True)
class Done:
    """The last event: why the run ended and where its last save lies."""

    images: int
    reason: str
    folder: Path


Event = Step | Preview | Saved | Notice | Done


@dataclass
class TrainingState:
    """Everything that changes while training, and so everything that a save must hold."""

    generator: Generator
    discriminator: Discriminator
    ema: Generator
    generator_optimizer: torch.optim.Adam
    discriminator_optimizer: torch.optim.Adam
    step: int = 0
    images: int = 0
    seconds: float = 0.0

    @classmethod
    def create(cls, model: ModelConfig, config: TrainConfig, device: torch.device) -> TrainingState:
        with torch.random.fork_rng(devices=[]):  # initialisation uses the global source: leave it as it was
            torch.manual_seed(config.seed)
            generator, discriminator = Generator(model), Discriminator(model)
        for net in (generator, discriminator):
            net.to(device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        betas = (config.beta1, config.beta2)
        return cls(
            generator,
            discriminator,
            copy.deepcopy(generator).eval().requires_grad_(False),
            torch.optim.Adam(generator.parameters(), config.generator_lr, betas),
            torch.optim.Adam(discriminator.parameters(), config.discriminator_lr, betas),
        )

    def state_dict(self) -> dict[str, Any]:
        parts = {name: value.state_dict() for name, value in vars(self).items() if hasattr(value, "state_dict")}
        return parts | {"step": self.step, "images": self.images, "seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in vars(self).items():
            if hasattr(value, "load_state_dict"):
                value.load_state_dict(state[name])
        self.step, self.images, self.seconds = state["step"], state["images"], state["seconds"]


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
    target = torch.device(device)
    config, model = settle_run(dataset, run, config, model, target)
    state = TrainingState.create(model, config, target)
    resumed = load_last_save(run, state)
    if resumed:
        yield Notice(state.images, f"Resumed at {state.images:,} images from {resumed}.")
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
    for average, current in zip(ema.state_dict().values(), generator.state_dict().values(), strict=True):
        if average.is_floating_point():
            average.lerp_(current, 1 - decay)
        else:
            average.copy_(current)


def random_source(seed: int, images: int) -> torch.Generator:
    """The source for everything drawn at one position of the run, the same on every device."""
    state = np.random.SeedSequence([seed, images]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


def precision_context(precision: str, device: torch.device) -> Callable[[], AbstractContextManager[Any]]:
    if precision == "bf16":
        return lambda: torch.autocast(device.type, torch.bfloat16)
    return nullcontext


def faster_precision(model: ModelConfig, device: torch.device) -> str:
    """ "bf16" where a short trial of the discriminator runs at least a quarter faster in it, else "fp32"."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    net = Discriminator(model).to(device)
    images = torch.zeros(8, 3, model.image_size, model.image_size, device=device)

    def seconds(precision: str) -> float:
        times = []
        for _ in range(3):
            begun = time.perf_counter()
            with precision_context(precision, device)():
                loss = net(images).sum()
            loss.backward()
            times.append(time.perf_counter() - begun)
        return min(times)

    return "bf16" if seconds("bf16") * 1.25 < seconds("fp32") else "fp32"


@torch.no_grad()
def preview(ema: Generator, count: int = PREVIEW_FACES) -> UInt8[np.ndarray, "n h w 3"]:
    """Faces of seeds 0 to `count` - 1, always the same latents, so that learning can be watched."""
    device = next(ema.parameters()).device
    faces = ema(torch.from_numpy(latents(range(count), ema.config.latent_dim)).to(device))  # (N, 3, S, S)
    return ((faces + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


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


def settle_run(
    dataset: FaceDataset, run: Path, config: TrainConfig | None, model: ModelConfig | None, device: torch.device
) -> tuple[TrainConfig, ModelConfig]:
    """The configurations of this run: those in its folder where there is one (limits may be new), else those given."""
    path = run / RUN_FILE
    if path.is_file():
        kept_config, kept_model = read_run(run)
        if config:
            limits = {name: getattr(config, name) for name in ("images", "steps", "minutes", "save_minutes")}
            kept_config = replace(kept_config, **limits)
        config, model = kept_config, kept_model
    else:
        config, model = config or TrainConfig(), model or ModelConfig()
        if config.precision == "auto":
            config = replace(config, precision=faster_precision(model, device))
    if dataset.images.shape[1] != model.image_size:
        raise ConfigError(
            f"The faces are {dataset.images.shape[1]} px, the model is {model.image_size} px. Load the faces at the "
            "model's size."
        )
    with atomic_file(path) as temporary:
        content = {"train": to_dict(config), "model": to_dict(model), "faces": len(dataset.train), "key": dataset.key}
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return config, model


def read_run(run: Path) -> tuple[TrainConfig, ModelConfig]:
    """The two configurations a run was started with. Raises TrainingError when `run` is no run."""
    try:
        content = json.loads((run / RUN_FILE).read_text(encoding="utf-8"))
        return from_dict(TrainConfig, content["train"]), from_dict(ModelConfig, content["model"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{run} holds no run that can be resumed: {RUN_FILE} cannot be read ({error}).") from error


def saves(run: Path) -> list[Path]:
    """The whole saves of a run, oldest first."""
    return sorted(path for path in (run / SAVES).glob("[0-9]*") if (path / STATE_FILE).is_file())


def save(run: Path, state: TrainingState, config: TrainConfig, dataset: FaceDataset) -> Path:
    """Write a checkpoint that can be sampled and resumed, then drop all but the last two."""
    folder = run / SAVES / f"{state.images:012d}"
    training = {
        "recipe": config.recipe,
        "images": state.images,
        "seconds": round(state.seconds),
        "faces": len(dataset.train),
    }
    with atomic_folder(folder) as temporary:
        write_checkpoint(Checkpoint(state.ema, state.discriminator, training, run.name), temporary)
        torch.save(state.state_dict(), temporary / STATE_FILE)
    for old in saves(run)[:-KEPT_SAVES]:
        shutil.rmtree(old)
    return folder


def load_last_save(run: Path, state: TrainingState) -> Path | None:
    """Put the newest readable save into `state`; a damaged one gives way to the one before. None for a new run."""
    problems = []
    for folder in reversed(saves(run)):
        try:
            state.load_state_dict(torch.load(folder / STATE_FILE, map_location="cpu", weights_only=True))
            return folder
        except (OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
            problems.append(f"{folder.name}: {error}")
    if problems:
        raise TrainingError(f"No save in {run} can be read. {'; '.join(problems)}")
    return None
