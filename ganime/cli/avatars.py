"""Avatars of a face, and grids of faces by the values of a slider: `avatar`, `grid`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ganime.cli import common
from ganime.drawing.avatar import SHAPES, avatar
from ganime.drawing.directions import MAX_STRENGTH, load_directions, steer
from ganime.drawing.mixing import recipes_of
from ganime.drawing.recipe import Recipe, parse_seeds, rounded
from ganime.drawing.sampling import generate_recipes
from ganime.drawing.sharpening import sharpened
from ganime.embedded import EMBEDDED
from ganime.errors import CheckpointError, ConfigError
from ganime.files import write_bytes
from ganime.images import png_bytes, sheet
from ganime.models.checkpoint import Checkpoint
from ganime.models.hub import open_model

MAX_ROWS, MAX_COLUMNS = 64, 25


def avatar_command(
    face: common.FaceArgument,
    out: Annotated[Path, typer.Option(help="PNG to write; it contains the recipe of its face.")],
    shape: Annotated[
        str, typer.Option(help=f"One of {', '.join(SHAPES)}; a banner is three times as wide.")
    ] = "circle",
    transparent: Annotated[
        bool, typer.Option("--transparent", help="Remove the background. Works for most faces, which stand on white.")
    ] = False,
    sharpen: common.SharpenOption = 512,
    model: common.ModelOption = str(EMBEDDED),
    home: common.HomeOption = common.DEFAULT_HOME,
) -> None:
    """Draw a face as an avatar: cropped to a circle or a banner, with or without its background."""
    common.check_png("--out", out)
    checkpoint = open_model(model, home / "hub")
    recipe = common.read_face(checkpoint, face)
    faces = generate_recipes(checkpoint, [recipe])
    side = faces.shape[1]
    large = sharpen > side
    [picture] = sharpened(faces, sharpen) if large else faces
    cropped = avatar(picture, shape, transparent)
    write_bytes(out, png_bytes(cropped, replace(recipe, sharpened=sharpen if large else 0).to_json()))
    print(f"{out}: {cropped.shape[1]} x {cropped.shape[0]} px")


def grid_command(
    seeds: Annotated[str, typer.Option(help="A row for each: seeds separated by commas, or ranges: 3,14-16.")],
    by: Annotated[str, typer.Option(help="NAME=AMOUNTS of a slider, a column for each amount: smile=-2,0,2.")],
    out: Annotated[Path, typer.Option(help="PNG to write.")],
    model: common.ModelOption = str(EMBEDDED),
    home: common.HomeOption = common.DEFAULT_HOME,
) -> None:
    """Draw a sheet of faces: a row for each seed, a column for each value of a slider."""
    common.check_png("--out", out)
    name, amounts = amounts_in(by)
    rows = parse_seeds(seeds, MAX_ROWS)
    checkpoint = open_model(model, home / "hub")
    recipes = grid_recipes(checkpoint, [common.read_face(checkpoint, str(seed)) for seed in rows], name, amounts)
    write_bytes(out, png_bytes(sheet(generate_recipes(checkpoint, recipes), len(amounts))))
    print(f"{out}: {len(rows)} seeds by {len(amounts)} values of {name}")


def amounts_in(text: str) -> tuple[str, list[float]]:
    """The slider and its amounts in a text such as "smile=-2,0,2". Raises ConfigError for another text."""
    name, _, listed = text.partition("=")
    try:
        amounts = [float(amount) for amount in listed.split(",")]
    except ValueError as error:
        raise ConfigError(f"--by takes NAME=AMOUNTS, such as smile=-2,0,2; got {text[:60]!r}.") from error
    if len(amounts) > MAX_COLUMNS or not all(-MAX_STRENGTH <= amount <= MAX_STRENGTH for amount in amounts):
        raise ConfigError(f"--by takes up to {MAX_COLUMNS} amounts from -{MAX_STRENGTH:g} to {MAX_STRENGTH:g}.")
    return name, amounts


def grid_recipes(checkpoint: Checkpoint, faces: Sequence[Recipe], name: str, amounts: Sequence[float]) -> list[Recipe]:
    """The faces of a grid, row by row. Raises CheckpointError for a model without directions."""
    dim = checkpoint.generator.config.latent_dim
    directions = load_directions(checkpoint.folder, checkpoint.revision, dim)
    if directions is None:
        raise CheckpointError(f"{checkpoint.name} has no directions. Find them: ganime directions MODEL.")
    found: list[Recipe] = []
    for face in faces:
        z = np.stack([rounded(steer(face.untruncated(dim), directions, {name: amount})) for amount in amounts])
        found += recipes_of(checkpoint, z, face)
    return found
