"""Exploring from a face: directions, steering, variations, mixing, search and projection."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ganime.cli import common
from ganime.drawing import direction_search
from ganime.drawing.attribute_search import ChosenFaces, choose_faces
from ganime.drawing.clarity import chosen_clarity
from ganime.drawing.directions import (
    MAX_STRENGTH,
    Directions,
    between,
    combined,
    effect_rows,
    load_directions,
    save_directions,
    steer,
)
from ganime.drawing.mixing import arithmetic, breed, mean_settings, recipes_of, vary
from ganime.drawing.projection import Projection, project
from ganime.drawing.ranges import with_limits
from ganime.drawing.recipe import Recipe, rounded
from ganime.drawing.sampling import generate_recipes, untruncated
from ganime.embedded import EMBEDDED
from ganime.errors import CheckpointError, ConfigError, DataError, RecipeError
from ganime.faces.reading import decode
from ganime.faces.sources import read_picture
from ganime.files import write_bytes
from ganime.images import png_bytes
from ganime.models.checkpoint import Checkpoint
from ganime.models.hub import open_model
from ganime.nets.anime_features import load_features
from ganime.text import plural

OutOption = Annotated[Path, typer.Option(help="Folder for the PNGs; each contains the recipe of its face.")]
FileOption = Annotated[Path, typer.Option(help="PNG to write; it contains the recipe of its face.")]
CountOption = Annotated[int, typer.Option(help="Number of faces.")]
SeedOption = Annotated[int, typer.Option(help="Seed of the random choices.")]
TABLE_HEADINGS = ("direction", "kind", "moves", "at", "own", "others", "flips", "side effect", "distance")


def directions_command(
    model: common.ModelArgument = str(EMBEDDED),
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; by default that of the model.", show_default=False)
    ] = None,
    faces: Annotated[int, typer.Option(help="Number of faces to fit them to.")] = direction_search.FITTED_FACES,
    judged: Annotated[int, typer.Option(help="Number of other faces to judge by.")] = direction_search.MEASURED_FACES,
    home: common.HomeOption = common.DEFAULT_HOME,
) -> None:
    """Find named directions for `steer`, measure the effect of each, and store those that work beside the model."""
    checkpoint = open_model(model, home / "hub")
    assert checkpoint.folder is not None
    folder = out or checkpoint.folder
    common.check_folder(folder)
    work = direction_search.find_directions(checkpoint, load_features(), faces, judged)
    found = common.run_to_end(work, Directions, in_words)
    fitted = common.run_to_end(with_limits(checkpoint, found), Directions, in_words)
    directions = with_users_directions(fitted, folder, checkpoint.generator.config.latent_dim)
    save_directions(directions, folder)
    rows = [TABLE_HEADINGS, *effect_rows(directions.items)]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    flips, ratio, lead = direction_search.MIN_EFFECT
    print(
        f"\n{plural(len(directions.items), 'direction')} in {folder}. A named direction is kept if, at strength "
        f"{MAX_STRENGTH:g}, it changes the attribute of at least {flips:.0%} of {judged} other faces and moves its own "
        f"attribute at least {ratio:g} times the mean and {lead:g} times the largest change of any other attribute. "
        "An unnamed one is kept if it does more than random directions."
    )


def in_words(at: direction_search.FitProgress) -> str:
    """How far a search for directions is."""
    return f"{at.progress:.0%} {at.about}"


def with_users_directions(fitted: Directions, folder: Path, latent_dim: int) -> Directions:
    """Add to the fitted directions those that a user named earlier in the same folder for the same weights."""
    try:
        earlier = load_directions(folder, fitted.revision, latent_dim)
    except CheckpointError as error:
        print(f"The directions in {folder} are replaced: {error}", file=sys.stderr)
        return fitted
    for item in earlier.items if earlier else ():
        if item.kind == "own" and item.name not in fitted.names:
            fitted = fitted.with_own(item.name, item.vector)
    return fitted


def steer_command(
    face: common.FaceArgument,
    by: Annotated[list[str], typer.Option(help="NAME=AMOUNT, from -3 to 3; can be given several times.")],
    out: FileOption,
    size: common.SizeOption = 0,
    model: common.ModelOption = str(EMBEDDED),
    home: common.HomeOption = common.DEFAULT_HOME,
) -> None:
    """Move a face along named directions: `steer 7 --by smile=2 --by blonde_hair=3 --out face.png`."""
    amounts = amounts_of(by)
    checkpoint = open_model(model, home / "hub")
    directions = load_directions(checkpoint.folder, checkpoint.revision, checkpoint.generator.config.latent_dim)
    if directions is None:
        raise CheckpointError(f"{checkpoint.name} has no directions. Find them: ganime directions MODEL.")
    origin = common.read_face(checkpoint, face)
    z = steer(origin.untruncated(checkpoint.generator.config.latent_dim), directions, amounts)  # (latent,)
    write_faces(checkpoint, rounded(z)[None], [out], size, origin)


def amounts_of(by: Sequence[str]) -> dict[str, float]:
    """Parse texts such as "smile=2" into the amount for each direction.

    Raises RecipeError for another text and for a direction that is given twice.
    """
    amounts: dict[str, float] = {}
    for part in by:
        name, _, amount = part.rpartition("=")
        if name in amounts:
            raise RecipeError(f"--by gives {name} more than once; give each direction one amount.")
        try:
            amounts[name] = float(amount)
        except ValueError as error:
            raise RecipeError(f"--by takes NAME=AMOUNT, such as smile=2; got {part!r}.") from error
    return amounts


def vary_command(
    face: common.FaceArgument,
    out: OutOption,
    strength: Annotated[float, typer.Option(help="0 draws the face itself, 1 unrelated faces.")] = 0.3,
    count: CountOption = 8,
    seed: SeedOption = 0,
    size: common.SizeOption = 0,
    model: common.ModelOption = str(EMBEDDED),
    home: common.HomeOption = common.DEFAULT_HOME,
) -> None:
    """Draw variations of a face."""
    checkpoint = open_model(model, home / "hub")
    origin = common.read_face(checkpoint, face)
    variations = vary(origin.untruncated(checkpoint.generator.config.latent_dim), strength, count, seed)
    write_faces(checkpoint, variations, numbered(out, "variation", len(variations)), size, origin)


def breed_command(
    faces: common.FacesArgument,
    out: OutOption,
    count: CountOption = 8,
    mutation: Annotated[float, typer.Option(help="Share of the latent that is replaced at random, 0 to 1.")] = 0.0,
    seed: SeedOption = 0,
    size: common.SizeOption = 0,
    model: common.ModelOption = str(EMBEDDED),
    home: common.HomeOption = common.DEFAULT_HOME,
) -> None:
    """Draw children of two or more faces: each is a random mixture of its parents."""
    checkpoint = open_model(model, home / "hub")
    parents = [common.read_face(checkpoint, face) for face in faces]
    children = breed(untruncated(checkpoint, parents), count, mutation, seed)
    write_faces(checkpoint, children, numbered(out, "child", len(children)), size, mean_settings(parents))


def mix_command(
    a: common.FaceArgument,
    b: common.FaceArgument,
    c: common.FaceArgument,
    out: FileOption,
    size: common.SizeOption = 0,
    model: common.ModelOption = str(EMBEDDED),
    home: common.HomeOption = common.DEFAULT_HOME,
) -> None:
    """Draw A - B + C: add to C what A has and B lacks."""
    checkpoint = open_model(model, home / "hub")
    recipes = [common.read_face(checkpoint, face) for face in (a, b, c)]
    write_faces(checkpoint, arithmetic(*untruncated(checkpoint, recipes))[None], [out], size, recipes[2])


def choose_command(
    wanted: Annotated[str, typer.Argument(help="Attributes, separated by commas: blonde_hair,blue_eyes,smile.")],
    out: OutOption,
    count: CountOption = 8,
    seed: SeedOption = 0,
    truncation: common.TruncationOption = 1.0,
    clarity: common.ClarityOption = None,
    size: common.SizeOption = 0,
    model: common.ModelOption = str(EMBEDDED),
    home: common.HomeOption = common.DEFAULT_HOME,
) -> None:
    """Draw faces that have all the given attributes, as judged by the feature network."""
    checkpoint = open_model(model, home / "hub")
    attributes = [part.strip() for part in wanted.split(",")]
    clarity = chosen_clarity(checkpoint, clarity)
    work = choose_faces(checkpoint, load_features(), attributes, count, seed, truncation, clarity)
    found = common.run_to_end(work, ChosenFaces, lambda at: f"{at.found} of {count} found among {at.looked_at} faces")
    write_recipes(found.faces, found.recipes, numbered(out, "chosen", len(found.faces)), size)
    print(
        f"{int(found.carries.sum())} of {len(found.faces)} have {', '.join(attributes)}; {found.looked_at} faces "
        f"examined, {found.searched} found by optimisation, {found.seconds:.1f} s"
    )


def project_command(
    model: common.ModelArgument,
    picture: Annotated[Path, typer.Argument(help="A picture of a face.")],
    out: FileOption,
    seed: SeedOption = 0,
    size: common.SizeOption = 0,
    home: common.HomeOption = common.DEFAULT_HOME,
) -> None:
    """Find the face of the model that is nearest to a picture, and report how near it is."""
    checkpoint = open_model(model, home / "hub")
    try:
        data = read_picture(picture)
        target = decode(data, checkpoint.generator.config.image_size).pixels
    except DataError as error:
        raise DataError(f"{picture}: {error}") from error
    work = project(checkpoint, load_features(), target, seed)
    found = common.run_to_end(work, Projection, lambda at: f"{at.progress:.0%} loss {at.loss:.3f}")
    write_recipes(found.face[None], [found.recipe], [out], size)
    print(
        f"distance {found.distance:.2f} on anime features, where two random faces are {found.typical:.2f} apart and "
        f"{found.percentile:.1f} % of random pairs are nearer; {found.seconds:.1f} s"
    )


def numbered(folder: Path, name: str, count: int) -> list[Path]:
    """The paths of `count` PNGs in a folder: NAME-001.png and so on. Raises ConfigError when the folder is a file."""
    common.check_folder(folder)
    return [folder / f"{name}-{number:03d}.png" for number in range(1, count + 1)]


def write_faces(checkpoint: Checkpoint, z: np.ndarray, targets: Sequence[Path], size: int, origin: Recipe) -> None:
    """Draw untruncated latents, (N, latent), and write them to the N targets with their recipes.

    origin: the face they came from, whose truncation and clarity they have.
    """
    recipes = recipes_of(checkpoint, z, origin)
    write_recipes(generate_recipes(checkpoint, recipes), recipes, targets, size)


def write_recipes(faces: np.ndarray, recipes: Sequence[Recipe], targets: Sequence[Path], size: int) -> None:
    """Write faces, (N, H, W, 3), as PNGs with their recipes, and print where they are."""
    for target, face, recipe in zip(targets, faces, recipes, strict=True):
        common.check_png("--out", target)
        write_bytes(target, png_bytes(face, recipe.to_json(), size or None))
    print(targets[0] if len(targets) == 1 else f"{len(targets)} faces in {targets[0].parent}")


def name_direction_command(
    name: Annotated[str, typer.Argument(help="Name of the direction; replaces your own direction of that name.")],
    less: Annotated[list[str] | None, typer.Option("--from", help="A face it leads away from; repeatable.")] = None,
    more: Annotated[list[str] | None, typer.Option("--to", help="A face it leads to; repeatable.")] = None,
    by: Annotated[list[str] | None, typer.Option(help="NAME=AMOUNT of a direction to include; repeatable.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Delete your own direction of that name.")] = False,
    model: common.ModelOption = str(EMBEDDED),
    home: common.HomeOption = common.DEFAULT_HOME,
) -> None:
    """Store a direction of your own beside a model: from some faces to others, or a combination of directions."""
    if [bool(less or more), bool(by), remove].count(True) != 1:
        raise ConfigError("Define the direction by --from FACE --to FACE or by --by NAME=AMOUNT, or use --remove.")
    checkpoint = open_model(model, home / "hub")
    assert checkpoint.folder is not None
    dim = checkpoint.generator.config.latent_dim
    directions = load_directions(checkpoint.folder, checkpoint.revision, dim)
    directions = directions or Directions(checkpoint.name, checkpoint.revision)
    if remove:
        if directions[name].kind != "own":
            raise RecipeError(f"{name} is a fitted direction, not one of your own; `directions` fits those again.")
        directions = replace(directions, items=tuple(item for item in directions.items if item.name != name))
    elif by:
        directions = directions.with_own(name, direction_search.unnamed_unit(combined(directions, amounts_of(by))))
    else:
        faces = [[common.read_face(checkpoint, face) for face in side or []] for side in (less, more)]
        start, end = (untruncated(checkpoint, recipes) for recipes in faces)
        directions = directions.with_own(name, direction_search.unnamed_unit(between(start, end)))
    save_directions(directions, checkpoint.folder)
    print(f"{name} is {'deleted from' if remove else 'stored in'} {checkpoint.folder}")
