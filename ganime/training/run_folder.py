"""A training run as a folder: its configuration, its last saves, and the state that a save holds."""

from __future__ import annotations

import copy
import errno
import itertools
import json
import pickle
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from ganime.config import SCRATCH, ModelConfig, TrainConfig, from_dict, to_dict
from ganime.errors import ConfigError, TrainingError
from ganime.faces.dataset import FaceDataset
from ganime.files import atomic_folder, write_json
from ganime.models.checkpoint import BEST_SAVE, RUN_SAVES, Checkpoint, save_checkpoint, write_checkpoint
from ganime.nets.critic import FeatureCritic
from ganime.nets.cuda_graph import count_on
from ganime.nets.dcgan import Discriminator, Generator
from ganime.training.events import Notice
from ganime.training.run_start import START_SAVE

KEPT_SAVES = 2
RUN_FILE, STATE_FILE, LOCK_FILE = "run.json", "state.pt", ".lock"
LIMITS = ("images", "steps", "minutes", "save_minutes", "preview_images", "measure_images")
COUNTS = ("step", "images", "seconds", "rescues")
UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError)


@dataclass
class TrainingState:
    """Everything that changes during training, which is what a save contains."""

    generator: Generator
    discriminator: Discriminator
    ema: Generator
    generator_optimizer: torch.optim.Adam
    discriminator_optimizer: torch.optim.Adam
    step: int = 0
    images: int = 0
    seconds: float = 0.0
    rescues: int = 0
    critic: FeatureCritic | None = None

    @classmethod
    def create(
        cls, model: ModelConfig, config: TrainConfig, device: torch.device, start: Checkpoint | None = None
    ) -> TrainingState:
        """Fresh nets, or those of `start`; a discriminator or critic that `start` lacks is fresh."""
        with torch.random.fork_rng(devices=[]):  # initialisation draws from the global source
            torch.manual_seed(config.seed)
            generator, discriminator = Generator(model), Discriminator(model)
            critic = FeatureCritic.fresh(model.image_size, config.eyes) if config.critic else None
        if start:
            generator.load_state_dict(start.generator.state_dict())
            if start.discriminator:
                discriminator.load_state_dict(start.discriminator.state_dict())
            if critic and start.critic:
                critic.load_state_dict(start.critic.state_dict(), strict=False)  # its views may differ
        for layer in discriminator.layers()[: config.freeze]:
            layer.requires_grad_(False)
        judges = (discriminator, critic) if critic else (discriminator,)
        for net in (generator, *judges):
            net.to(device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        for_generator, for_judges = (
            torch.optim.Adam(itertools.chain(*(net.parameters() for net in nets)), rate, (config.beta1, config.beta2))
            for nets, rate in (((generator,), config.generator_lr), (judges, config.discriminator_lr))
        )
        count_on(device, for_generator, for_judges)
        ema = copy.deepcopy(generator).eval().requires_grad_(False)
        return cls(generator, discriminator, ema, for_generator, for_judges, critic=critic)

    def state_dict(self) -> dict[str, Any]:
        parts = {name: value.state_dict() for name, value in vars(self).items() if hasattr(value, "state_dict")}
        return parts | {name: getattr(self, name) for name in COUNTS}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in vars(self).items():
            if hasattr(value, "load_state_dict"):
                value.load_state_dict(state[name])
        count_on(next(self.generator.parameters()).device, self.generator_optimizer, self.discriminator_optimizer)
        for name in COUNTS:
            setattr(self, name, state.get(name, 0))  # a save of an earlier version lacks some

    @property
    def judges(self) -> list[Discriminator | FeatureCritic]:
        """The discriminator, and the critic if there is one."""
        return [self.discriminator, self.critic] if self.critic else [self.discriminator]

    def checkpoint(self, name: str, training: dict[str, Any]) -> Checkpoint:
        """The model in its current state, with these facts about its training."""
        return Checkpoint(self.ema, self.discriminator, training, name, critic=self.critic)

    def set_learning_rates(self, config: TrainConfig) -> None:
        """Continue with the learning rates of `config`; another rescue is allowed then."""
        self.rescues = 0
        rates = (config.generator_lr, config.discriminator_lr)
        for optimizer, rate in zip((self.generator_optimizer, self.discriminator_optimizer), rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate

    def finite(self) -> bool:
        """Whether all weights are finite."""
        nets = (self.generator, *self.judges)
        return all(bool(torch.isfinite(tensor).all()) for net in nets for tensor in net.state_dict().values())


@contextmanager
def alone(run: Path) -> Iterator[None]:
    """Hold the lock of a run: two processes that train in one folder would delete each other's saves.

    The operating system releases it when the process ends, however it ends. A folder in which nothing was written is
    removed. Raises TrainingError when another process holds the lock.
    """
    run.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run / LOCK_FILE, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise busy(run) from error
    try:
        yield
    finally:
        if run.is_dir() and {path.name for path in run.iterdir()} <= {LOCK_FILE}:  # nothing was written
            shutil.rmtree(run)
        lock.release()


def settle_run(
    run: Path, config: TrainConfig, model: ModelConfig, dataset: FaceDataset, start: Checkpoint | None = None
) -> tuple[TrainConfig, ModelConfig]:
    """The configurations to train with: those of the run in the folder, with the limits of `config`, or the given ones.

    A new run that begins from the model `start` takes that model's configuration and its critic's eyes.

    Raises ConfigError when the faces have another size than the model, TrainingError when run.json is damaged.
    """
    if (run / RUN_FILE).is_file():
        begun, model = read_run(run)
        config = replace(begun, **{name: getattr(config, name) for name in LIMITS})
    if start and not (run / RUN_FILE).is_file():
        model, config = start.generator.config, replace(config, start=start.name)
    if config.eyes == "auto":
        config = replace(config, eyes=start.critic.kind_of_eyes if start and start.critic else "anime")
    if dataset.images.shape[1] != model.image_size:
        side = dataset.images.shape[1]
        raise ConfigError(f"The faces are {side} px, the model is {model.image_size} px. Load them at its size.")
    return config, model


def write_run(run: Path, config: TrainConfig, model: ModelConfig, dataset: FaceDataset) -> str:
    """Write run.json. Returns a notice when the faces are not those that the run began with, else an empty string.

    In that case the best save so far is renamed, because it was measured against other faces.
    """
    path, notice = run / RUN_FILE, ""
    earlier = json.loads(path.read_text(encoding="utf-8")).get("key", "") if path.is_file() else dataset.key
    if earlier != dataset.key:
        notice = (
            "The faces are not the ones that the run began with. It continues with these. The held-out faces were "
            "selected again, so some of them may be former training faces, and measurements cannot be compared with "
            "earlier ones."
        )
        shutil.rmtree(run / RUN_SAVES / START_SAVE, ignore_errors=True)  # its distance was to the other faces
        best = run / RUN_SAVES / BEST_SAVE
        if best.is_dir():
            known = re.fullmatch("[0-9a-f]{64}", str(earlier))
            aside = best.with_name(f"{BEST_SAVE}-{str(earlier)[:12] if known else 'earlier'}")
            shutil.rmtree(aside, ignore_errors=True)
            best.replace(aside)
            notice += f" The best save so far was renamed to {RUN_SAVES}/{aside.name}."
    content = {"train": to_dict(config), "model": to_dict(model), "faces": len(dataset.train), "key": dataset.key}
    write_json(path, content)
    return notice


def read_run(run: Path) -> tuple[TrainConfig, ModelConfig]:
    """The two configurations of a run. Raises TrainingError when its run.json is missing or damaged."""
    try:
        content = json.loads((run / RUN_FILE).read_text(encoding="utf-8"))
        return from_dict(TrainConfig, content["train"]), from_dict(ModelConfig, content["model"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(f"{run} contains no run to resume: {RUN_FILE} cannot be read ({error}).") from error


def discard_unsaved(run: Path) -> None:
    """Forget a run that ended before its first save, as on a full disk, so that another can begin in its folder.

    Raises ConfigError when the folder has a save, or TrainingError when another process trains there.
    """
    if not (run / RUN_FILE).exists():
        return
    if any(not path.name.startswith(".") for path in (run / RUN_SAVES).glob("*")):
        raise ConfigError(f"{run} already contains a run. Choose another folder, or continue it with --resume {run}.")
    try:
        with FileLock(run / LOCK_FILE, timeout=2):
            (run / RUN_FILE).unlink(missing_ok=True)
    except Timeout as error:
        raise busy(run) from error


def busy(run: Path) -> TrainingError:
    """The error for a run that another process trains."""
    return TrainingError(f"{run} is being trained by another process. Wait until it ends, or stop it.")


def saves(run: Path) -> list[Path]:
    """The complete saves of a run, oldest first."""
    return sorted(path for path in (run / RUN_SAVES).glob("[0-9]*") if (path / STATE_FILE).is_file())


def save(run: Path, state: TrainingState, config: TrainConfig, dataset: FaceDataset) -> Path:
    """Write a checkpoint that can be sampled and resumed, then delete all but the last two. Returns its folder.

    Raises OSError when it cannot be written, for example on a full disk; the earlier saves are intact then.
    """
    folder = run / RUN_SAVES / f"{state.images:012d}"
    training = facts(state, config, dataset)
    try:
        with atomic_folder(folder) as temporary:
            write_checkpoint(state.checkpoint(run.name, training), temporary)
            torch.save(state.state_dict(), temporary / STATE_FILE)
    except (OSError, RuntimeError) as error:  # torch raises the latter on a full disk
        reason = error.strerror if isinstance(error, OSError) else "the disk is full, or cannot be written"
        rest = "earlier saves are whole. Free disk space and continue with --resume"
        if not saves(run):
            rest = "it would have been the first. Free disk space and begin the run again in the same folder"
        raise OSError(
            getattr(error, "errno", None) or errno.EIO,
            f"The save at {state.images:,} images could not be written ({reason}); {rest}",
            str(folder),
        ) from error
    for old in saves(run)[:-KEPT_SAVES]:
        shutil.rmtree(old)
    return folder


def save_best(run: Path, state: TrainingState, config: TrainConfig, dataset: FaceDataset, frechet: float) -> None:
    """Save the model as the run's best by Fréchet distance, replacing the earlier best."""
    training = facts(state, config, dataset) | {"frechet": round(frechet, 2)}
    save_checkpoint(state.checkpoint(run.name, training), run / RUN_SAVES / BEST_SAVE)


def facts(state: TrainingState, config: TrainConfig, dataset: FaceDataset) -> dict[str, Any]:
    """The facts about the training that a save's card lists."""
    begun = {} if config.start == SCRATCH else {"start": config.start}
    counts = {"images": state.images, "seconds": round(state.seconds), "faces": len(dataset.train)}
    return {"recipe": config.recipe, **begun, **counts}


def load_last_save(run: Path, state: TrainingState) -> tuple[Path | None, str]:
    """Load the newest readable save into `state`; damaged ones are renamed.

    Returns the save, None for a new run, and a notice about damaged saves, else an empty string. Raises TrainingError
    when there are saves and none can be read.
    """
    best = run / RUN_SAVES / BEST_SAVE
    for retired in best.parent.glob(f".{BEST_SAVE}.*.old"):  # killed between the two renames of a new best
        if not best.exists():
            retired.replace(best)
    for abandoned in best.parent.glob(".*"):  # killed while saving
        shutil.rmtree(abandoned, ignore_errors=True)
    problems = []
    for folder in reversed(saves(run)):
        try:
            state.load_state_dict(torch.load(folder / STATE_FILE, map_location="cpu", weights_only=True))
        except (*UNREADABLE, pickle.UnpicklingError) as error:
            problems.append((folder, error))
        else:
            for damaged, _ in problems:  # otherwise later saves at fewer images would count as older
                damaged.replace(damaged.with_name(f"damaged-{damaged.name}"))
            damage = "; ".join(f"{damaged.name} could not be read ({error})" for damaged, error in problems)
            return folder, f"Save {damage}. It is damaged, so the previous one is used." if damage else ""
    if problems:
        listed = "; ".join(f"{folder.name}: {error}" for folder, error in problems)
        raise TrainingError(f"No save in {run} can be read. {listed}")
    return None, ""


def limit_reached(config: TrainConfig, state: TrainingState, seconds: float) -> str:
    """The limit that the run has reached, or an empty string. seconds: of this session."""
    if config.images and state.images >= config.images:
        return "images"
    if config.steps and state.step >= config.steps:
        return "steps"
    return "minutes" if config.minutes and seconds >= config.minutes * 60 else ""


def progress_of(config: TrainConfig, state: TrainingState, seconds: float) -> float:
    """Progress towards the nearest limit, 0 to 1; 0 for a run without limits. seconds: of this session."""
    limits = ((state.images, config.images), (state.step, config.steps), (seconds, config.minutes * 60))
    return min(1.0, max((done / limit for done, limit in limits if limit), default=0.0))


def rescue(run: Path, state: TrainingState) -> Notice:
    """Return to the last save and halve the learning rates; once in a run, or once more after new rates were set.

    Raises TrainingError the second time, and when nothing was saved yet.
    """
    broken_at = state.images
    if state.rescues or not load_last_save(run, state)[0]:
        raise TrainingError(
            f"The losses or weights are no longer finite at {broken_at:,} images"
            f"{', for the second time' if state.rescues else ', before the first save'}. "
            f"{'The last save is intact: continue it with --resume and' if saves(run) else 'Begin a new run with'} "
            "lower learning rates (--generator-lr, --discriminator-lr), or begin from another model."
        )
    state.rescues += 1
    for optimizer in (state.generator_optimizer, state.discriminator_optimizer):
        for group in optimizer.param_groups:
            group["lr"] *= 0.5
    return Notice(
        state.images,
        f"The losses were no longer finite at {broken_at:,} images: back to the save at {state.images:,}, at half the "
        "learning rates.",
    )
