"""Ganime: anime faces from a DCGAN. This is the public API; the modules below it may change.

    from ganime import generate, load_model

    model = load_model()  # the embedded model
    faces = generate(model, seeds=[7, 8, 9])  # uint8, (3, 128, 128, 3)

Importing ganime is quick: each function imports torch and the engine when it is first called.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ganime.drawing.recipe import Recipe
from ganime.version import __version__

if TYPE_CHECKING:
    import numpy as np

    from ganime.config import TrainConfig
    from ganime.faces.dataset import FaceDataset
    from ganime.measuring.report import Report
    from ganime.models.checkpoint import Checkpoint
    from ganime.training.events import Event

__all__ = [
    "Recipe",
    "__version__",
    "avatar",
    "best_seeds",
    "evaluate",
    "generate",
    "interpolate",
    "load_model",
    "sharpen",
    "train",
]

FacePaths = str | Path | Sequence[str | Path]


def load_model(
    model: str | Path | None = None, *, home: str | Path | None = None, with_discriminator: bool = False
) -> Checkpoint:
    """Load a model: its networks are in evaluation mode, in fp32, on the CPU.

    model: a model folder, the folder of a training run (its best save is loaded), or "owner/name" or
        "owner/name@revision" on the Hugging Face hub; by default the embedded model, anime-128.
    home: where models from the hub are cached; by default $GANIME_HOME, else ganime in the user's cache folder.
    with_discriminator: also load the discriminator and the critic, if the model has them.

    Raises CheckpointError for a folder that contains no model, and HubError when the hub does not provide one.
    """
    from ganime.embedded import EMBEDDED
    from ganime.models.hub import open_model

    return open_model(str(model or EMBEDDED), _home(home) / "hub", with_discriminator)


def generate(
    model: Checkpoint, seeds: Sequence[int | Recipe], truncation: float = 1.0, clarity: float | None = None
) -> np.ndarray:
    """Draw N faces as an RGB array, uint8, (N, S, S, 3), where S is the model's image size.

    A seed always gives the same face, whichever faces are drawn with it.

    seeds: whole numbers from 0 to 2^32 - 1, or recipes, such as `Recipe.from_png` reads; a recipe has its own
        truncation and clarity.
    truncation: factor on the latents, 0 to 1.5; 0 gives the average face, 1 leaves them unchanged.
    clarity: the share of the model's faces that each face is at least as clear as, 0 to 0.95; 0 draws the latents
        unchanged. By default 0.35, or 0 if no clarity was fitted to the model.

    Raises RecipeError for a value out of range, and for a recipe of another model.
    """
    from ganime.drawing.clarity import default_clarity
    from ganime.drawing.sampling import generate_recipes, recipes_for

    if clarity is None and not all(isinstance(seed, Recipe) for seed in seeds):
        clarity = default_clarity(model)
    recipes = []
    for seed in seeds:
        recipe = seed if isinstance(seed, Recipe) else recipes_for(model, [seed], truncation, clarity or 0.0)[0]
        recipe.check_model(model.name, model.revision)
        recipes.append(recipe)
    return generate_recipes(model, recipes)


def best_seeds(model: Checkpoint, first: int, count: int, best_of: int = 4) -> list[int]:
    """Find seeds of clear faces: of every `best_of` consecutive seeds, the one whose face is predicted to be clearest.

    Nothing is drawn for it. `generate(model, best_seeds(model, 0, 16))` draws faces as the page does when it rolls.

    first: the first seed that is looked at, 0 to 2^32 - 1.
    count: how many seeds to return.
    best_of: 1 (every seed) to 64.

    Raises RecipeError for a value out of range, and if no clarity was fitted to the model.
    """
    from ganime.drawing import clarity

    return clarity.best_seeds(model, first, count, best_of)


def sharpen(faces: np.ndarray, size: int = 512) -> np.ndarray:
    """Enlarge faces with clean lines by an upscaler for anime drawings: uint8, (N, size, size, 3).

    faces: square RGB pictures, uint8, (N, S, S, 3), such as `generate` draws.
    size: up to 2,048 px.

    Raises DataError for other arrays and sizes.
    """
    import numpy as np

    from ganime.drawing.sharpening import sharpened

    return np.stack(list(sharpened(faces, size)))


def avatar(face: np.ndarray, shape: str = "square", transparent: bool = False) -> np.ndarray:
    """Crop a face to an avatar, with or without its background: RGBA, uint8, (S, S, 4), or (S, 3 S, 4) for a banner.

    face: a square RGB picture, uint8, (S, S, 3), such as `generate` and `sharpen` give.
    shape: "square", "circle" or "banner".
    transparent: remove the background.

    Raises DataError for another shape, and for a face without a plain background.
    """
    from ganime.drawing import avatar as avatars

    return avatars.avatar(face, shape, transparent)


def interpolate(
    model: Checkpoint,
    seeds: Sequence[int],
    frames: int = 60,
    truncation: float = 1.0,
    *,
    loop: bool = False,
    easing: str = "linear",
    clarity: float | None = None,
) -> np.ndarray:
    """Draw a film that moves through the faces of `seeds` by spherical interpolation: uint8, (frames, S, S, 3).

    seeds: at least two, from 0 to 2^32 - 1. The film starts at the first one and ends at the last one.
    frames: 2 to 600.
    truncation, clarity: as for `generate`, of every frame.
    loop: return to the first face; the film can then be repeated without a jump.
    easing: "linear", or "smooth" to slow down at each face.

    Raises RecipeError for a value out of range.
    """
    from ganime.drawing import sampling
    from ganime.drawing.clarity import chosen_clarity

    return sampling.interpolate(model, seeds, frames, truncation, loop, easing, chosen_clarity(model, clarity))


def train(
    faces: FacePaths,
    run: str | Path,
    *,
    recipe: str = "modern",
    start: str | Path | None = None,
    image_size: int | None = None,
    images: int = 0,
    steps: int = 0,
    minutes: float = 0.0,
    crop: str = "none",
    device: str = "auto",
    home: str | Path | None = None,
) -> Iterator[Event]:
    """Start training a new model in the folder `run`; the result yields events (`ganime.training.events`).

    The faces are read at once; the training goes on while the events are consumed. Without a limit it never ends by
    itself. `load_model(run)` then loads its best save; the command `ganime train FACES --resume RUN` continues it.

    faces: folders, archives or pictures, or hf://datasets/owner/name on the Hugging Face hub.
    recipe: "modern" or "classic".
    start: the model to start from, as for `load_model`, or "scratch". By default, "modern" starts from the
        embedded model if there are fewer than 10,000 training faces; else a run starts from scratch.
    image_size: 32, 64, 128 or 256 px; by default that of `start`, else that of the recipe.
    images, steps, minutes: limits, 0 for none; the first one that is reached ends the run. Minutes are those of
        training.
    crop: "faces" to cut the faces out of pictures that are more than a face, "none" to take the middle of each.
    device: "auto", "cpu", "cuda" or "mps".
    home: where decoded faces and models from the hub are cached, as for `load_model`.

    Raises ConfigError for a value out of range and for a folder that already contains a run or lies inside the faces'
    folder, DataError for faces that cannot be read, and TrainingError for a run that cannot go on; its last save is
    then intact.
    """
    from ganime.faces.dataset import load_faces
    from ganime.nets.face_detector import face_finder
    from ganime.training import loop
    from ganime.training.beginning import NewRun, prepare_run

    run, sources, caches = Path(run), _paths(faces), _home(home)

    def read(size: int, config: TrainConfig) -> FaceDataset:
        kept = config.keep_duplicates
        return load_faces(sources, size, caches / "cache", keep_duplicates=kept, finder=face_finder(config.crop))

    limits = {"images": images, "steps": steps, "minutes": minutes, "crop": crop}
    begun = None if start is None else str(start)
    new = NewRun(run, sources, caches / "hub", recipe, limits, begun, image_size)
    prepared = prepare_run(new, read)
    dataset, config, model = prepared.dataset, prepared.config, prepared.model
    start_model, directions = prepared.resized_start(), prepared.start_directions()
    return loop.train(dataset, run, config, model, device, start=start_model, directions=directions)


def evaluate(
    model: Checkpoint,
    reference: FacePaths,
    *,
    count: int = 1000,
    seed: int = 0,
    truncation: float = 1.0,
    clarity: float = 0.0,
    trained_on: FacePaths | None = None,
    home: str | Path | None = None,
) -> Report:
    """Measure the faces of a model against real faces: quality, variety and, with `trained_on`, copying.

    reference: folders or archives of real faces that the model was not trained on.
    count, seed: how many faces to draw, and the first of their seeds.
    truncation, clarity: as for `generate`; by default, latents are drawn unchanged.
    trained_on: the faces that the model was trained on, needed to detect copies.
    home: where decoded faces are cached, as for `load_model`.

    All figures are computed on Ganime's own feature network and can only be compared with each other. Raises DataError
    for faces that cannot be read, for too few of them, and for faces that are in both sets.
    """
    from ganime.faces.dataset import load_faces
    from ganime.measuring import report
    from ganime.nets.anime_features import FEATURE_SIDE, load_features

    def read(faces: FacePaths) -> FaceDataset:
        return load_faces(_paths(faces), FEATURE_SIDE, _home(home) / "cache")

    seen = None if trained_on is None else read(trained_on)
    images, training_faces = report.reference_faces(read(reference), seen)
    drawn = generate(model, range(seed, seed + count), truncation, clarity)
    return report.evaluate(load_features(), drawn, images, training_faces)


def _home(home: str | Path | None) -> Path:
    """The folder for caches: `home` if it is given, else $GANIME_HOME, else ganime in the user's cache folder."""
    if home or (home := os.environ.get("GANIME_HOME")):
        return Path(home)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ganime"


def _paths(faces: FacePaths) -> list[Path]:
    return [Path(path) for path in ([faces] if isinstance(faces, str | Path) else faces)]
