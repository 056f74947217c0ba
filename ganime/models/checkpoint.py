"""A model as a folder: weights of both nets, config.json and a card, written and read whole."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ganime.config import ModelConfig, to_dict
from ganime.errors import CheckpointError
from ganime.files import WEIGHTS, atomic_folder, save_tensors
from ganime.nets.critic import CRITIC_FILE, FeatureCritic
from ganime.nets.dcgan import (
    CONFIG_FILE,
    DISCRIMINATOR_FILE,
    WEIGHTS_FILE,
    Discriminator,
    Generator,
    load_net,
    parse_model_config,
)

EMBEDDED_MODELS = {64: WEIGHTS / "anime-64", 128: WEIGHTS / "anime-128"}  # by their side in px
EMBEDDED = EMBEDDED_MODELS[128]  # what is taken where none is named
CARD_FILE = "README.md"
DIRECTION_FILES = ("directions.safetensors", "directions.json")
TRAINING_FACES_FILES = ("known.safetensors", "known.json")
RUN_SAVES, BEST_SAVE = "saves", "best"
MODEL_FILES = (WEIGHTS_FILE, DISCRIMINATOR_FILE, CRITIC_FILE, CONFIG_FILE, CARD_FILE)


@dataclass(frozen=True)
class Checkpoint:
    """A generator, the discriminator and critic it was trained against (if kept), and facts about the training.

    name: what to call the model; folder: where it was read from, None for one that was never saved.
    """

    generator: Generator
    discriminator: Discriminator | None = None
    training: dict[str, Any] = field(default_factory=dict)
    name: str = "unnamed"
    folder: Path | None = None
    critic: FeatureCritic | None = None

    @cached_property
    def revision(self) -> str:
        """The first 12 digits of the SHA-256 over the generator's weights as stored, and what of its configuration they
        do not show: what is equal in these draws equal faces."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.generator.state_dict().items()):
            if tensor.is_floating_point():  # BatchNorm's step counter changes no picture
                digest.update(name.encode())
                digest.update(tensor.cpu().half().contiguous().numpy().tobytes())
        config = self.generator.config
        if config.supersampling > 1:
            digest.update(f"supersampling {config.supersampling}".encode())
        if config.chroma_stride > 1:
            digest.update(f"chroma stride {config.chroma_stride}".encode())
        return digest.hexdigest()[:12]


def save_checkpoint(checkpoint: Checkpoint, folder: Path, card: str | None = None) -> None:
    """Write the model as `folder`, whole or not at all, taking the place of a model already there.

    card: the text of its README.md; by default one made from the configuration and the facts of the training.
    """
    with atomic_folder(folder) as temporary:
        write_checkpoint(checkpoint, temporary, card)


def write_checkpoint(checkpoint: Checkpoint, folder: Path, card: str | None = None) -> None:
    """Write the model's files into an existing folder; for callers that make the folder atomic themselves."""
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
    """Read a model folder, or the best save of a training run's folder; nets in eval mode, fp32, on the CPU.

    The discriminator is read when asked for and present, and so is the critic with it. Raises CheckpointError, naming
    the file, when anything is missing, damaged or of another shape than config.json says.
    """
    name, folder = Path(folder).resolve().name, model_folder(Path(folder))
    path = folder / CONFIG_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing; a model folder holds {CONFIG_FILE} and {WEIGHTS_FILE}.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no readable JSON ({error}). Fetch or save the model again.") from error
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
    """The folder that holds the weights: `folder` itself, or of a training run the best save, else the newest."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is no folder. Give a model folder, a training run or a hub repo_id.")
    saved = saved_models(folder)
    return saved[0] if saved and not (folder / WEIGHTS_FILE).exists() else folder


def saved_models(run: Path) -> list[Path]:
    """The model folders in a training run's folder, the one to prefer first: the best save, the newest, older ones."""
    found = [run / RUN_SAVES / BEST_SAVE, *sorted((run / RUN_SAVES).glob("[0-9]*"), reverse=True)]
    return [folder for folder in found if (folder / WEIGHTS_FILE).is_file()]


FRONT_MATTER = """---
library_name: ganime
pipeline_tag: unconditional-image-generation
tags: [dcgan, anime, gan]
---
"""


def model_card(name: str, config: ModelConfig, training: dict[str, Any]) -> str:
    """The card of a model, in Markdown with the hub's front matter.

    training: facts to list, a label for each value; unknown facts are left out rather than guessed.
    """
    facts = [
        ("Picture", f"{config.image_size} x {config.image_size} px, RGB"),
        ("Latent", f"{config.latent_dim} numbers from N(0, 1)"),
        ("Generator", f"DCGAN, {config.channels[0]} to {config.channels[-1]} channels, norm: {config.generator_norm}"),
        ("Discriminator norm", config.discriminator_norm),
    ]
    facts += [(label.replace("_", " ").capitalize(), str(value)) for label, value in training.items()]
    table = "\n".join(f"| {label} | {value} |" for label, value in facts)
    return f"""{FRONT_MATTER}
# {name}

A DCGAN (Radford et al. 2015) that draws faces, made with Ganime.

| | |
|---|---|
{table}

## Use

```python
from ganime.models.checkpoint import load_checkpoint
from ganime.drawing.sampling import generate

faces = generate(load_checkpoint("{name}"), seeds=range(16))  # uint8, (16, {config.image_size}, {config.image_size}, 3)
```
"""
