"""The command about directions of one's own: `name-direction`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ganime.cli_explore import amounts_of, read_face
from ganime.cli_options import DEFAULT_HOME, HomeOption, ModelOption
from ganime.drawing.direction_search import unit
from ganime.drawing.directions import MAX_INDEX_BYTES, Directions, between, combined, load_directions, save_directions
from ganime.drawing.recipe import decoded
from ganime.errors import CheckpointError, ConfigError, RecipeError
from ganime.models.checkpoint import EMBEDDED, Checkpoint
from ganime.models.hub import open_model
from ganime.text import quoted

MAX_TRAY_BYTES = 4 * MAX_INDEX_BYTES


def name_direction_command(
    name: Annotated[str, typer.Argument(help="What to call it; one of your own so called gives way to it.")],
    less: Annotated[list[str] | None, typer.Option("--from", help="A face it leads away from; several times.")] = None,
    more: Annotated[list[str] | None, typer.Option("--to", help="A face it leads to; several times.")] = None,
    by: Annotated[list[str] | None, typer.Option(help="NAME=AMOUNT of a direction that goes into it.")] = None,
    tray: Annotated[
        Path | None, typer.Option(help="A tray exported from the page, with a direction so called.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove your own direction so called.")] = False,
    model: ModelOption = str(EMBEDDED),
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Keep a direction under a name beside a model, to steer by: the way from faces to others, or several sliders."""
    if sum(map(bool, (less or more, by, tray, remove))) != 1:
        raise ConfigError("Say what it is: --from FACE --to FACE, or --by NAME=AMOUNT, or --tray FILE, or --remove.")
    checkpoint = open_model(model, home / "hub")
    assert checkpoint.folder is not None
    dim = checkpoint.generator.config.latent_dim
    found = load_directions(checkpoint.folder, checkpoint.revision, dim)
    found = found or Directions(checkpoint.name, checkpoint.revision)
    if remove:
        if found[name].kind != "own":
            raise RecipeError(f"{name} was fitted and is none of your own. `directions` finds those anew.")
        found = replace(found, items=tuple(item for item in found.items if item.name != name))
    elif tray:
        found = found.with_own(name, read_tray(tray, name, checkpoint.revision))
    elif by:
        found = found.with_own(name, unit(combined(found, amounts_of(by))))
    else:
        start, end = (faces_of(checkpoint, faces or []) for faces in (less, more))
        found = found.with_own(name, unit(between(start, end)))
    save_directions(found, checkpoint.folder)
    print(f"{name} {'is removed' if remove else 'is kept'} in {checkpoint.folder}")


def faces_of(checkpoint: Checkpoint, faces: list[str]) -> np.ndarray:
    """The latents of faces, (N, latent)."""
    dim = checkpoint.generator.config.latent_dim
    return np.array([read_face(checkpoint, face)[0] for face in faces], np.float32).reshape(-1, dim)


def read_tray(path: Path, name: str, revision: str) -> np.ndarray:
    """The vector of a direction in a tray's file. Raises CheckpointError where it holds none so called."""
    try:
        if path.stat().st_size > MAX_TRAY_BYTES:
            raise ValueError(f"{path.stat().st_size:,} bytes; at most {MAX_TRAY_BYTES:,} are read")
        given: Any = json.loads(path.read_text(encoding="utf-8"))
        entries = given["directions"]
        found = [entry for entry in entries if (entry["name"], entry["revision"]) == (name, revision)]
        return decoded(found[0]["vector"])
    except (OSError, ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        if isinstance(error, RecipeError):
            raise
        raise CheckpointError(
            f"{path} holds no direction {quoted(name)} for the weights of revision {revision} ({error}). Export the "
            "tray from the page with that model loaded."
        ) from error
