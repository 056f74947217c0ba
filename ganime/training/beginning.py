"""What a new run begins from: the rules that choose its starting model, its critic and its frozen layers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ganime.config import TrainConfig
from ganime.models.checkpoint import EMBEDDED_MODELS, Checkpoint, load_checkpoint

FEW_FACES = 10_000  # with fewer training faces, a model that has seen many more is the better start
FROZEN_LAYERS = 1  # first layers of the discriminator that stay fixed on few faces (`weights.make.finetuning`)


def nearest_embedded(image_size: int) -> Path:
    """The folder of the largest embedded model of at most `image_size` px, or of the smallest where all are larger."""
    sizes = [size for size in EMBEDDED_MODELS if size <= image_size]
    return EMBEDDED_MODELS[max(sizes, default=min(EMBEDDED_MODELS))]


def default_start(config: TrainConfig, image_size: int, faces: int) -> Checkpoint | None:
    """The model that a new run starts from when the user names none; None means random weights.

    With fewer than `FEW_FACES` training faces it is the embedded model nearest to `image_size`, except for the recipe
    "classic", which is the textbook DCGAN.
    """
    if faces >= FEW_FACES or config.recipe == "classic":
        return None
    return load_checkpoint(nearest_embedded(image_size), with_discriminator=True)


def config_for_start(
    config: TrainConfig, image_size: int, faces: int, start: Checkpoint | None, keep_critic: bool = False
) -> TrainConfig:
    """Adapt the configuration of a new run to the number of its training faces and to its starting model.

    On fewer than `FEW_FACES` faces two things change:
    - The critic is switched off unless `start` has one: new critic heads were only found to help on many faces.
    - The discriminator's first layers are frozen if they are taken over unchanged, that is, if `start` has a
      discriminator and draws `image_size` px.

    keep_critic: keep `config.critic` as it is, because the user chose it.
    """
    if faces >= FEW_FACES:
        return config
    if not keep_critic and not (start and start.critic):
        config = replace(config, critic=0.0)
    if start and start.discriminator and start.generator.config.image_size == image_size:
        config = replace(config, freeze=FROZEN_LAYERS)
    return config
