"""A model as a folder: weights of both nets, config.json and a card, all written or none."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ganime.config import ModelConfig, to_dict
from ganime.errors import CheckpointError
from ganime.files import atomic_folder, save_tensors
from ganime.nets.clarity import CLARITY_FILE, Clarity, load_clarity
from ganime.nets.critic import CRITIC_FILE, FeatureCritic
from ganime.nets.dcgan import (
    CONFIG_FILE,
    DISCRIMINATOR_FILE,
    WEIGHTS_FILE,
    Discriminator,
    Generator,
    load_net,
    parse_model_config,
    read_config,
)
from ganime.nets.prepared import PreparedGenerator

CARD_FILE = "README.md"
DIRECTION_FILES = ("directions.safetensors", "directions.json")  # see drawing/directions.py
TRAINING_FACES_FILES = ("known.safetensors", "known.json")  # see measuring/training_faces.py
FILES_FOR_TRAINING = (DISCRIMINATOR_FILE, CRITIC_FILE)  # not needed to draw
CHECKPOINT_FILES = (CONFIG_FILE, WEIGHTS_FILE, *FILES_FOR_TRAINING, CARD_FILE)  # what `save_checkpoint` writes
MODEL_FILES = (*CHECKPOINT_FILES, *DIRECTION_FILES, CLARITY_FILE, *TRAINING_FACES_FILES)  # all that belongs to a model
RUN_SAVES, BEST_SAVE = "saves", "best"  # folders of a training run


@dataclass(frozen=True)
class Checkpoint:
    """A generator and what belongs to it.

    generator: the network that draws.
    discriminator, critic: what it was trained against; None if not kept or not loaded.
    training: facts about the training, by name; JSON values.
    name: what to call the model.
    folder: where it was read from; None if it was never saved.
    """

    generator: Generator
    discriminator: Discriminator | None = None
    training: dict[str, Any] = field(default_factory=dict)
    name: str = "unnamed"
    folder: Path | None = None
    critic: FeatureCritic | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: all but `prepared`, whose weights are laid out for this processor."""
        return {name: value for name, value in vars(self).items() if name != "prepared"}

    @cached_property
    def prepared(self) -> PreparedGenerator:
        """The generator prepared for drawing, on first use; later changes to its weights have no effect on it."""
        return PreparedGenerator(self.generator)

    @cached_property
    def clarity(self) -> Clarity | None:
        """The clarity that was fitted to the weights, read on first use; None if none lies beside them.

        Raises CheckpointError, naming the file, if it is damaged or was fitted to other weights.
        """
        path = self.folder / CLARITY_FILE if self.folder else None
        if path is None or not path.is_file():
            return None
        return load_clarity(path, self.revision, self.generator.config.latent_dim)

    @cached_property
    def revision(self) -> str:
        """Models of equal revision draw equal faces: the first 12 hexadecimal digits of a SHA-256.

        It covers the generator's weights as stored, and the settings that change its faces but not its weights.
        """
        digest = hashlib.sha256()
        for name, tensor in sorted(self.generator.state_dict().items()):
            if tensor.is_floating_point():  # BatchNorm's step counter changes no face
                digest.update(name.encode())
                digest.update(tensor.cpu().half().contiguous().numpy().tobytes())
        config = self.generator.config
        if config.supersampling > 1:
            digest.update(f"supersampling {config.supersampling}".encode())
        if config.chroma_stride > 1:
            digest.update(f"chroma stride {config.chroma_stride}".encode())
        if config.blocks:
            digest.update(json.dumps(to_dict(config)["blocks"], sort_keys=True).encode())
        return digest.hexdigest()[:12]


def save_checkpoint(checkpoint: Checkpoint, folder: Path, card: str | None = None) -> None:
    """Write the model as `folder`, completely or not at all; replaces a folder that exists.

    card: the text of README.md; by default one made from the configuration and the facts about the training.
    """
    with atomic_folder(folder) as temporary:
        write_checkpoint(checkpoint, temporary, card)


def write_checkpoint(checkpoint: Checkpoint, folder: Path, card: str | None = None) -> None:
    """Write the files of a model into an existing folder, for callers that make the folder atomic themselves."""
    save_tensors(checkpoint.generator.state_dict(), folder / WEIGHTS_FILE, half=True)
    if checkpoint.discriminator:
        save_tensors(checkpoint.discriminator.state_dict(), folder / DISCRIMINATOR_FILE, half=True)
    if checkpoint.critic:
        save_tensors(checkpoint.critic.stored(), folder / CRITIC_FILE, half=True)
    config = to_dict(checkpoint.generator.config) | {"training": checkpoint.training}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    text = card or model_card(checkpoint.name, checkpoint.generator.config, checkpoint.training)
    (folder / CARD_FILE).write_text(text, encoding="utf-8")


def load_checkpoint(folder: Path | str, with_discriminator: bool = False) -> Checkpoint:
    """Load a model folder, or the best save in the folder of a training run; nets in eval mode, fp32, on the CPU.

    with_discriminator: also load the discriminator and the critic if they are there.

    Raises CheckpointError, naming the file, if one is missing, damaged or of another shape than config.json says, and
    ConfigError if a value in config.json is out of range.
    """
    name, folder = Path(folder).resolve().name, model_folder(Path(folder))
    path = folder / CONFIG_FILE
    values = read_config(path)
    config = parse_model_config(values, str(path))
    training = values.get("training", {})
    if not isinstance(training, dict):
        raise CheckpointError(f"{path}: training must be an object, got {type(training).__name__}.")
    generator = load_net(Generator, config, folder / WEIGHTS_FILE).requires_grad_(False)
    discriminator = critic = None
    if with_discriminator and (folder / DISCRIMINATOR_FILE).exists():
        discriminator = load_net(Discriminator, config, folder / DISCRIMINATOR_FILE)
    if with_discriminator and (folder / CRITIC_FILE).exists():
        critic = FeatureCritic.load(folder / CRITIC_FILE)
    return Checkpoint(generator, discriminator, training, name, folder, critic)


def model_folder(folder: Path) -> Path:
    """The folder with the weights: `folder` itself, or the preferred save of a training run.

    Raises CheckpointError if `folder` is not a folder.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is not a folder. Give a model folder, a training run or a hub repo_id.")
    saved = saved_models(folder)
    return saved[0] if saved and not (folder / WEIGHTS_FILE).exists() else folder


def saved_models(run: Path) -> list[Path]:
    """The model folders in a training run's folder, in order of preference: the best save, then the newest first."""
    saves = [run / RUN_SAVES / BEST_SAVE, *sorted((run / RUN_SAVES).glob("[0-9]*"), reverse=True)]
    return [folder for folder in saves if (folder / WEIGHTS_FILE).is_file()]


def model_files(folder: Path | None) -> list[Path]:
    """The files in a folder that belong to the model; none if `folder` is None."""
    return [folder / name for name in MODEL_FILES if (folder / name).is_file()] if folder else []


def export_model(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a model as `folder` and copy what lies beside its weights: directions, clarity, facts about its faces.

    Completely or not at all; replaces a folder that exists, even the one that the model was read from.
    """
    with atomic_folder(folder) as temporary:
        write_checkpoint(checkpoint, temporary)
        for file in model_files(checkpoint.folder):
            if file.name not in CHECKPOINT_FILES:
                shutil.copyfile(file, temporary / file.name)


FRONT_MATTER = """---
library_name: ganime
pipeline_tag: unconditional-image-generation
tags: [dcgan, anime, gan]
---
"""


def model_card(name: str, config: ModelConfig, training: dict[str, Any]) -> str:
    """The card of a model: Markdown with the front matter that the hub expects.

    training: facts to list, value by label.
    """
    facts = [*generator_rows(config), ("Discriminator", f"norm: {config.discriminator_norm}")]
    facts += [(label_of(name), str(value)) for name, value in training.items()]
    table = "\n".join(f"| {label} | {value} |" for label, value in facts)
    return f"""{FRONT_MATTER}
# {name}

A DCGAN (Radford et al. 2015) that draws faces, made with Ganime.

| | |
|---|---|
{table}

## Use

```python
from ganime import generate, load_model

model = load_model("path/to/this/folder")
faces = generate(model, seeds=range(16))  # uint8, (16, {config.image_size}, {config.image_size}, 3)
```
"""


def label_of(name: str) -> str:
    """What a card calls a fact about the training."""
    return "Fréchet distance" if name == "frechet" else name.replace("_", " ").capitalize()


def generator_rows(config: ModelConfig) -> list[tuple[str, str]]:
    """What a card says of a generator: value by label."""
    return [
        ("Image", f"{config.image_size} x {config.image_size} px, RGB"),
        ("Latent", f"{config.latent_dim} numbers from N(0, 1)"),
        ("Generator", f"DCGAN, {config.channels[0]} to {config.channels[-1]} channels, norm: {config.generator_norm}"),
    ]
