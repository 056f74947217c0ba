"""How a run begins: its folder, its faces, the model that it starts from, its critic and its frozen layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ganime.config import RECIPES, SCRATCH, ModelConfig, TrainConfig
from ganime.drawing.directions import Directions
from ganime.embedded import EMBEDDED
from ganime.errors import ConfigError
from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from ganime.models.hub import open_model
from ganime.models.resizing import check_resizable, resize
from ganime.training.run_folder import discard_unsaved
from ganime.training.run_start import directions_of

FEW_FACES = 10_000  # with fewer training faces, a model that has seen many more is the better start
FROZEN_LAYERS = 1  # first layers of the discriminator that stay fixed on few faces (`weights.make.finetuning`)


@dataclass(frozen=True)
class PreparedRun:
    """What `loop.train` needs to begin or to continue a run.

    start: the model that a new run starts from, at its own image size; None for random weights and a resumed run.
    """

    dataset: FaceDataset
    config: TrainConfig
    model: ModelConfig
    start: Checkpoint | None = None

    def resized_start(self) -> Checkpoint | None:
        """`start` at the image size of the run. Raises ConfigError when it cannot be resized."""
        return self.start and resize(self.start, self.model.image_size)

    def start_directions(self) -> Directions | None:
        """The directions of `start`; they lie in its latents, which are the same at every image size."""
        return directions_of(self.start)


@dataclass(frozen=True)
class NewRun:
    """What is asked for when a run begins.

    run: its folder.
    sources: the folders, archives and pictures of faces.
    hub_cache: where models from the hub are kept.
    recipe: one of RECIPES.
    changes: fields of TrainConfig that differ from the recipe.
    start: the model to start from, as `open_model` takes it, or "scratch"; None for `default_start`.
    image_size: in px; by default that of `start`, else that of the recipe.
    """

    run: Path
    sources: Sequence[Path]
    hub_cache: Path
    recipe: str
    changes: Mapping[str, Any]
    start: str | None
    image_size: int | None


def prepare_run(new: NewRun, read: Callable[[int, TrainConfig], FaceDataset]) -> PreparedRun:
    """Read the faces of a new run, choose the model that it starts from, and settle its configuration.

    read: reads the faces at an image size in px, as the configuration says.

    Raises ConfigError for settings that are out of range or contradict each other and for a folder that cannot be used,
    DataError for faces that cannot be read, and the errors of `open_model`.
    """
    config, model, begun = before_reading(new)
    dataset = read(model.image_size, config)
    faces = len(dataset.train)
    if new.start is None:
        begun = default_start(config, faces)
    config = config_for_start(config, model.image_size, faces, begun, keep_critic="critic" in new.changes)
    check_eyes(config, new.changes)
    return PreparedRun(dataset, config, model, begun)


def check_run(new: NewRun) -> None:
    """Raise what `prepare_run` would raise before the faces of a run are read.

    The number of faces is unknown then, so a run from a model that is named is checked as one on few of them. That
    refuses eyes without a critic, also where the critic would have been kept for many faces.
    """
    config, model, begun = before_reading(new)
    if new.start is not None:
        keep_critic = "critic" in new.changes
        check_eyes(config_for_start(config, model.image_size, 0, begun, keep_critic), new.changes)
    if begun:
        check_resizable(begun, model.image_size)


def before_reading(new: NewRun) -> tuple[TrainConfig, ModelConfig, Checkpoint | None]:
    """The configurations of a new run as far as they do not depend on its faces, and the model that `start` names."""
    check_run_folder(new.run, new.sources)
    discard_unsaved(new.run)
    config, model = configs_of(new.recipe, new.changes)
    begun = None
    if new.start not in (None, SCRATCH):
        begun = open_model(new.start, new.hub_cache, with_discriminator=True)
    size = (begun.generator.config if begun else model).image_size if new.image_size is None else new.image_size
    return config, replace(model, image_size=size), begun


def configs_of(recipe: str, changes: Mapping[str, Any]) -> tuple[TrainConfig, ModelConfig]:
    """The configurations of a recipe, with changes to fields of TrainConfig. Raises ConfigError as `prepare_run`."""
    if recipe not in RECIPES:
        raise ConfigError(f"recipe must be one of {', '.join(RECIPES)}; got {recipe!r}.")
    config, model = RECIPES[recipe]
    config = replace(config, **changes)
    check_eyes(config, changes)
    return config, model


def check_eyes(config: TrainConfig, changes: Mapping[str, Any]) -> None:
    """Raise ConfigError for a run without a critic whose feature networks the user chose."""
    if "eyes" in changes and not config.critic:
        raise ConfigError("The critic's feature networks (--eyes) are set, but this run has no critic. Add --critic 1.")


def check_run_folder(run: Path, sources: Sequence[Path]) -> None:
    """Raise ConfigError when a run cannot be in this folder: it is a file, or inside a folder of faces."""
    if run.exists() and not run.is_dir():
        raise ConfigError(f"{run} is a file. Name a folder; it is created if it does not exist.")
    inside = [path for path in sources if path.is_dir() and run.resolve().is_relative_to(path.resolve())]
    if inside:
        raise ConfigError(f"{run} is inside {inside[0]}: its sample grids would count as faces. Choose another folder.")


def default_start(config: TrainConfig, faces: int) -> Checkpoint | None:
    """The model that a new run starts from when the user names none; None means random weights.

    With fewer than `FEW_FACES` training faces it is the embedded model, except for the recipe "classic", which is the
    textbook DCGAN.
    """
    if faces >= FEW_FACES or config.recipe == "classic":
        return None
    return load_checkpoint(EMBEDDED, with_discriminator=True)


def config_for_start(
    config: TrainConfig, image_size: int, faces: int, start: Checkpoint | None, keep_critic: bool = False
) -> TrainConfig:
    """Adapt the configuration of a new run to the number of its training faces and to its starting model.

    On fewer than `FEW_FACES` faces two things change:
    - The critic is switched off unless `start` has one: new critic heads were only found to help on many faces.
    - The discriminator's first layers are frozen unless the model grows. Where it was made smaller, they were fitted to
      smaller pictures, which was found to do as well at 64 px (`weights/make/models.md`).

    keep_critic: keep `config.critic` as it is, because the user chose it.
    """
    if faces >= FEW_FACES:
        return config
    if not keep_critic and not (start and start.critic):
        config = replace(config, critic=0.0)
    if start and start.discriminator and start.generator.config.image_size >= image_size:
        config = replace(config, freeze=FROZEN_LAYERS)
    return config
