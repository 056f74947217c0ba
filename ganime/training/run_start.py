"""The model that a run began from, which its folder keeps and stands for while training has made nothing better."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from ganime.drawing.directions import Directions, load_directions, save_directions
from ganime.errors import CheckpointError
from ganime.files import atomic_folder
from ganime.models.checkpoint import BEST_SAVE, RUN_SAVES, Checkpoint, load_checkpoint, save_checkpoint
from ganime.nets.dcgan import CONFIG_FILE

START_SAVE = "start"  # beside the other saves of a run


def keep_start(run: Path, model: Checkpoint, directions: Directions | None, frechet: float | None) -> None:
    """Keep the model that a run begins from, as the run draws it, with its directions and its Fréchet distance.

    frechet: None where it was not measured, or where the model copies faces or draws one picture.
    """
    folder = run / RUN_SAVES / START_SAVE
    facts = {} if frechet is None else {"frechet": round(frechet, 2)}
    save_checkpoint(replace(model, training=model.training | facts), folder)
    if directions:
        save_directions(replace(directions, revision=load_checkpoint(folder).revision), folder)


def directions_of(start: Checkpoint | None) -> Directions | None:
    """The directions of a model, None if it has none that can be read."""
    if start is None:
        return None
    try:
        return load_directions(start.folder, start.revision, start.generator.config.latent_dim)
    except CheckpointError:  # damaged; the run does not need them
        return None


def start_directions(run: Path) -> Directions | None:
    """The directions of the model that a run began from, None if there are none."""
    folder = run / RUN_SAVES / START_SAVE
    return directions_of(load_checkpoint(folder)) if folder.is_dir() else None


def start_distance(run: Path) -> float:
    """The Fréchet distance of the model that a run began from; infinite if it is unknown or the model is unusable."""
    return saved_distance(run / RUN_SAVES / START_SAVE)


def best_distance(run: Path) -> float:
    """The lowest Fréchet distance of a run: that of its best save, else that of the model it began from."""
    best = saved_distance(run / RUN_SAVES / BEST_SAVE)
    return best if best < float("inf") else start_distance(run)


def stand_for_start(run: Path) -> None:
    """Make the model that the run began from its best save, if no other one is and its distance is known."""
    best = run / RUN_SAVES / BEST_SAVE
    if not best.exists() and start_distance(run) < float("inf"):
        with atomic_folder(best) as temporary:
            shutil.copytree(run / RUN_SAVES / START_SAVE, temporary, dirs_exist_ok=True)


def saved_distance(folder: Path) -> float:
    """The Fréchet distance that is noted in a save; infinite if there is none."""
    try:
        values = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        return float(values["training"]["frechet"])
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
        return float("inf")
