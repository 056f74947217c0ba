"""A training run as a folder: its configuration, its last saves, and the state that a save holds."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ganime.checkpoint import RUN_SAVES, Checkpoint, write_checkpoint
from ganime.config import ModelConfig, TrainConfig, from_dict, to_dict
from ganime.data import FaceDataset
from ganime.errors import ConfigError, TrainingError
from ganime.files import atomic_file, atomic_folder
from ganime.model import Discriminator, Generator

KEPT_SAVES = 2
RUN_FILE, STATE_FILE = "run.json", "state.pt"
LIMITS = ("images", "steps", "minutes", "save_minutes", "preview_images")


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


def settle_run(
    run: Path, config: TrainConfig, model: ModelConfig, dataset: FaceDataset
) -> tuple[TrainConfig, ModelConfig]:
    """The configurations to train with: of a run that is going on, its own with the limits of `config`.

    Raises ConfigError when the faces have another size than the model, TrainingError when run.json is damaged.
    """
    if (run / RUN_FILE).is_file():
        begun, model = read_run(run)
        config = replace(begun, **{name: getattr(config, name) for name in LIMITS})
    if dataset.images.shape[1] != model.image_size:
        raise ConfigError(
            f"The faces are {dataset.images.shape[1]} px, the model is {model.image_size} px. Load the faces at the "
            "model's size."
        )
    return config, model


def write_run(run: Path, config: TrainConfig, model: ModelConfig, dataset: FaceDataset) -> str:
    """Write run.json; a sentence to tell when the faces are not those the run began with, else an empty string."""
    path, notice = run / RUN_FILE, ""
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")).get("key") != dataset.key:
        notice = "The faces are not the ones it began with; it goes on with these."
    content = {"train": to_dict(config), "model": to_dict(model), "faces": len(dataset.train), "key": dataset.key}
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return notice


def read_run(run: Path) -> tuple[TrainConfig, ModelConfig]:
    """The two configurations a run was started with. Raises TrainingError when `run` is no run."""
    try:
        content = json.loads((run / RUN_FILE).read_text(encoding="utf-8"))
        return from_dict(TrainConfig, content["train"]), from_dict(ModelConfig, content["model"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{run} holds no run that can be resumed: {RUN_FILE} cannot be read ({error}).") from error


def saves(run: Path) -> list[Path]:
    """The whole saves of a run, oldest first."""
    return sorted(path for path in (run / RUN_SAVES).glob("[0-9]*") if (path / STATE_FILE).is_file())


def save(run: Path, state: TrainingState, config: TrainConfig, dataset: FaceDataset) -> Path:
    """Write a checkpoint that can be sampled and resumed, then drop all but the last two."""
    nets = (state.generator, state.discriminator)
    if not all(torch.isfinite(tensor).all() for net in nets for tensor in net.state_dict().values()):
        raise TrainingError(
            f"The weights are no longer finite at {state.images:,} images, so they were not saved. The last save is "
            "intact; resume it with lower learning rates."
        )
    folder = run / RUN_SAVES / f"{state.images:012d}"
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
    for abandoned in (run / RUN_SAVES).glob(".[0-9]*"):  # a save that a kill cut off
        shutil.rmtree(abandoned, ignore_errors=True)
    problems = []
    for folder in reversed(saves(run)):
        try:
            state.load_state_dict(torch.load(folder / STATE_FILE, map_location="cpu", weights_only=True))
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
            problems.append((folder, error))
        else:
            for damaged, _ in problems:  # else a later, lower save would count as older
                damaged.replace(damaged.with_name(f"damaged-{damaged.name}"))
            return folder
    if problems:
        raise TrainingError(
            f"No save in {run} can be read. {'; '.join(f'{folder.name}: {error}' for folder, error in problems)}"
        )
    return None
