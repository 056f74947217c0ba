"""Exploring from a face: directions, steering, neighbours, mixing, search and projection."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ganime.cli.common import (
    DEFAULT_HOME,
    FaceArgument,
    FacesArgument,
    HomeOption,
    ModelOption,
    SizeOption,
    TruncationOption,
    read_face,
    tell,
)
from ganime.drawing.attribute_search import ChosenFaces, choose_faces
from ganime.drawing.direction_search import (
    FITTED_FACES,
    MEASURED_FACES,
    MIN_EFFECT,
    FitProgress,
    find_directions,
    unnamed_unit,
)
from ganime.drawing.directions import (
    MAX_DIRECTIONS_JSON_BYTES,
    MAX_STRENGTH,
    Directions,
    between,
    combined,
    effect_rows,
    load_directions,
    save_directions,
    steer,
)
from ganime.drawing.mixing import arithmetic, breed, recipes_of, vary
from ganime.drawing.projection import Projection, ProjectionProgress, project
from ganime.drawing.recipe import Recipe, decoded, rounded
from ganime.drawing.sampling import generate_recipes
from ganime.errors import CheckpointError, ConfigError, DataError, RecipeError
from ganime.faces.reading import MAX_PICTURE_BYTES, decode
from ganime.files import atomic_file
from ganime.images import png_bytes
from ganime.models.checkpoint import (
    EMBEDDED,
    Checkpoint,
)
from ganime.models.hub import open_model
from ganime.nets.anime_features import load_features
from ganime.text import quoted

OutOption = Annotated[Path, typer.Option(help="Folder for the faces, with their recipes inside.")]
FileOption = Annotated[Path, typer.Option(help="PNG to write, with its recipe inside.")]
CountOption = Annotated[int, typer.Option(help="How many faces.")]
SeedOption = Annotated[int, typer.Option(help="Start of the random choices.")]
HEADINGS = ("direction", "kind", "moves", "at", "own", "others", "flips", "side effect", "distance")
MAX_TRAY_BYTES = 4 * MAX_DIRECTIONS_JSON_BYTES


def directions_command(
    model: Annotated[str, typer.Argument(help="A model folder, a training run, or a hub repo_id[@revision].")] = str(
        EMBEDDED
    ),
    out: Annotated[
        Path | None, typer.Option(help="Folder to write them to; by default the model's own.", show_default=False)
    ] = None,
    faces: Annotated[int, typer.Option(help="Faces of the model that the fit looks at.")] = FITTED_FACES,
    judged: Annotated[int, typer.Option(help="Fresh faces that each effect is measured on.")] = MEASURED_FACES,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Find named directions to steer faces by, measure what each does, and keep those that work beside the model."""
    checkpoint = open_model(model, home / "hub")
    assert checkpoint.folder is not None
    folder, found = out or checkpoint.folder, None
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--out {folder} is a file; name a folder, which is made where there is none.")
    for event in find_directions(checkpoint, load_features(), faces, judged):
        if isinstance(event, FitProgress):
            tell(f"{event.progress:.0%} {event.about}")
        else:
            found = with_own_ones(event, folder, checkpoint.generator.config.latent_dim)
    assert found is not None
    save_directions(found, folder)
    rows = [HEADINGS, *effect_rows(found.items)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADINGS))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    flips, ratio, lead = MIN_EFFECT
    print(
        f"\n{len(found.items)} directions in {folder}. Named ones are kept that turn the tag of {flips:.0%} of "
        f"{judged} fresh faces at strength {MAX_STRENGTH:g} and move their own attribute at least {ratio:g} times as "
        f"far as the others on average and {lead:g} times as far as any; the rest are kept that do more than random "
        "directions."
    )


def with_own_ones(fitted: Directions, folder: Path, latent_dim: int) -> Directions:
    """The fitted directions, and with them those that a user had named in the same folder for the same weights."""
    try:
        before = load_directions(folder, fitted.revision, latent_dim)
    except CheckpointError as error:
        print(f"What was in {folder} is replaced: {error}", file=sys.stderr)
        return fitted
    for item in before.items if before else ():
        if item.kind == "own" and item.name not in fitted.names:
            fitted = fitted.with_own(item.name, item.vector)
    return fitted


def steer_command(
    face: FaceArgument,
    by: Annotated[list[str], typer.Option(help="NAME=AMOUNT, from -3 to 3; may be given several times.")],
    out: FileOption,
    size: SizeOption = 0,
    model: ModelOption = str(EMBEDDED),
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Move a face along named directions: `steer 7 --by smile=2 --by blonde_hair=3 --out face.png`."""
    amounts = amounts_of(by)
    checkpoint = open_model(model, home / "hub")
    directions = load_directions(checkpoint.folder, checkpoint.revision, checkpoint.generator.config.latent_dim)
    if directions is None:
        raise CheckpointError(f"{checkpoint.name} has no directions yet. Find them: python -m ganime directions MODEL.")
    z, truncation, seed = read_face(checkpoint, face)
    write_faces(checkpoint, rounded(steer(z, directions, amounts))[None], [out], size, truncation, seed)


def amounts_of(by: Sequence[str]) -> dict[str, float]:
    """How far to go along directions, by name, from texts like smile=2."""
    amounts = {}
    for part in by:
        name, _, amount = part.rpartition("=")
        try:
            amounts[name] = float(amount)
        except ValueError as error:
            raise RecipeError(f"--by needs NAME=AMOUNT, like smile=2; got {part!r}.") from error
    return amounts


def vary_command(
    face: FaceArgument,
    out: OutOption,
    strength: Annotated[float, typer.Option(help="0 the face itself, 1 faces with nothing in common with it.")] = 0.3,
    count: CountOption = 8,
    seed: SeedOption = 0,
    size: SizeOption = 0,
    model: ModelOption = str(EMBEDDED),
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Draw faces in the neighbourhood of one."""
    checkpoint = open_model(model, home / "hub")
    z, truncation, origin = read_face(checkpoint, face)
    found = vary(z, strength, count, seed)
    write_faces(checkpoint, found, numbered(out, "variation", len(found)), size, truncation, origin)


def breed_command(
    faces: FacesArgument,
    out: OutOption,
    count: CountOption = 8,
    mutation: Annotated[float, typer.Option(help="Share of the latent's numbers drawn anew, 0 to 1.")] = 0.0,
    seed: SeedOption = 0,
    size: SizeOption = 0,
    model: ModelOption = str(EMBEDDED),
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Draw children of two or more faces."""
    checkpoint = open_model(model, home / "hub")
    read = [read_face(checkpoint, face) for face in faces]
    children = breed(np.stack([z for z, _, _ in read]), count, mutation, seed)
    truncation = sum(truncation for _, truncation, _ in read) / len(read)
    write_faces(checkpoint, children, numbered(out, "child", len(children)), size, truncation)


def mix_command(
    a: FaceArgument,
    b: FaceArgument,
    c: FaceArgument,
    out: FileOption,
    size: SizeOption = 0,
    model: ModelOption = str(EMBEDDED),
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Draw A - B + C: what A has and B lacks, added to C."""
    checkpoint = open_model(model, home / "hub")
    (one, _, _), (two, _, _), (three, truncation, seed) = (read_face(checkpoint, face) for face in (a, b, c))
    write_faces(checkpoint, arithmetic(one, two, three)[None], [out], size, truncation, seed)


def choose_command(
    wanted: Annotated[str, typer.Argument(help="Attributes with commas: blonde_hair,blue_eyes,smile.")],
    out: OutOption,
    count: CountOption = 8,
    seed: SeedOption = 0,
    truncation: TruncationOption = 1.0,
    size: SizeOption = 0,
    model: ModelOption = str(EMBEDDED),
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Draw faces that have all the attributes asked for, as the feature network sees them."""
    checkpoint = open_model(model, home / "hub")
    attributes = [part.strip() for part in wanted.split(",")]
    for event in choose_faces(checkpoint, load_features(), attributes, count, seed, truncation):
        if not isinstance(event, ChosenFaces):
            tell(f"{event.found} of {count} found, {event.looked_at} faces looked at")
            continue
        targets = numbered(out, "chosen", len(event.faces))
        write_recipes(event.faces, event.recipes, targets, size)
        print(
            f"{int(event.carries.sum())} of {len(event.faces)} have {', '.join(attributes)}; {event.looked_at} faces "
            f"looked at, {event.searched} searched for, {event.seconds:.1f} s"
        )


def project_command(
    model: Annotated[str, typer.Argument(help="A model folder, a training run, or a hub repo_id[@revision].")],
    picture: Annotated[Path, typer.Argument(help="Any picture of a face.")],
    out: FileOption,
    seed: SeedOption = 0,
    size: SizeOption = 0,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Find the face of the model that comes nearest to a picture, and tell how near that is."""
    if picture.is_file() and picture.stat().st_size > MAX_PICTURE_BYTES:
        raise DataError(f"{picture} has {picture.stat().st_size:,} bytes; at most {MAX_PICTURE_BYTES:,} are read.")
    checkpoint = open_model(model, home / "hub")
    try:
        target = decode(picture.read_bytes(), checkpoint.generator.config.image_size).pixels
    except DataError as error:
        raise DataError(f"{picture}: {error}") from error
    for event in project(checkpoint, load_features(), target, seed):
        if isinstance(event, ProjectionProgress):
            tell(f"{event.progress:.0%} loss {event.loss:.3f}")
        elif isinstance(event, Projection):
            write_recipes(event.face[None], [event.recipe], [out], size)
            print(
                f"distance {event.distance:.2f} on anime features; two random faces are {event.typical:.2f} apart: "
                f"nearer than all but {event.percentile:.1f} % of random pairs; {event.seconds:.1f} s"
            )


def numbered(folder: Path, name: str, count: int) -> list[Path]:
    """The files of several faces in a folder."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--out {folder} is a file; name a folder, which is made where there is none.")
    return [folder / f"{name}-{number:03d}.png" for number in range(1, count + 1)]


def write_faces(
    checkpoint: Checkpoint, z: np.ndarray, targets: Sequence[Path], size: int, truncation: float = 1.0, seed: int = 0
) -> None:
    """Draw latents and write them with their recipes inside."""
    recipes = recipes_of(checkpoint, z, seed, truncation)
    write_recipes(generate_recipes(checkpoint, recipes), recipes, targets, size)


def write_recipes(faces: np.ndarray, recipes: Sequence[Recipe], targets: Sequence[Path], size: int) -> None:
    """Write faces as PNGs with their recipes inside, and say where they are."""
    for target, face, recipe in zip(targets, faces, recipes, strict=True):
        if target.suffix.lower() != ".png":
            raise ConfigError(f"--out writes PNG; {target} should end in .png.")
        with atomic_file(target) as temporary:
            temporary.write_bytes(png_bytes(face, recipe.to_json(), size or None))
    print(f"{targets[0]}" if len(targets) == 1 else f"{len(targets)} faces in {targets[0].parent}")


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
        found = found.with_own(name, unnamed_unit(combined(found, amounts_of(by))))
    else:
        start, end = (faces_of(checkpoint, faces or []) for faces in (less, more))
        found = found.with_own(name, unnamed_unit(between(start, end)))
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
