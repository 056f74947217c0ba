"""Drawing faces: `sample` and `interpolate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ganime.cli.common import (
    DEFAULT_HOME,
    HomeOption,
    ModelOption,
    SizeOption,
    TruncationOption,
    check_folder,
    check_png,
    draw_in_batches,
    draw_to_file,
)
from ganime.drawing.recipe import MAX_SEED, check_seed, check_truncation, parse_seed
from ganime.drawing.sampling import interpolate, recipes_for
from ganime.errors import ConfigError, RecipeError
from ganime.files import atomic_file
from ganime.images import SHEET_COLUMNS, animation_kind, png_bytes, save_animation, sheet
from ganime.models.checkpoint import EMBEDDED, Checkpoint
from ganime.models.hub import open_model
from ganime.text import plural

MAX_COUNT = 100_000
MAX_SHEET = 10_000  # faces; the whole sheet is held in memory, and few programs open a larger picture


def sample_command(
    count: Annotated[int, typer.Option(help=f"Number of faces, at most {MAX_COUNT:,}.")] = 16,
    seed: Annotated[int, typer.Option(help="Seed of the first face; the others have the seeds that follow.")] = 0,
    truncation: TruncationOption = 1.0,
    size: SizeOption = 0,
    model: ModelOption = str(EMBEDDED),
    out: Annotated[Path | None, typer.Option(help="Folder for the files face-SEED.png.")] = None,
    npy: Annotated[Path | None, typer.Option(help="Write one uint8 array (N, H, W, 3) instead.")] = None,
    sheet_file: Annotated[
        Path | None, typer.Option("--sheet", help="Write one PNG instead, eight faces in a row.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Draw one face for each seed; every PNG contains the recipe of its face."""
    check_sample_targets(out, npy, sheet_file, size)
    most = MAX_SHEET if sheet_file else MAX_COUNT
    if not 1 <= count <= most:
        raise RecipeError(f"--count must be from 1 to {most:,}{' for --sheet' if sheet_file else ''}; got {count}.")
    if check_seed(seed) + count - 1 > MAX_SEED:
        raise RecipeError(f"Seeds end at {MAX_SEED:,}; --seed {seed} with --count {count} goes beyond.")
    check_truncation(truncation)
    checkpoint = open_model(model, home / "hub")
    seeds = range(seed, seed + count)
    if npy:
        with atomic_file(npy) as temporary:
            faces = draw_to_file(checkpoint, seeds, truncation, temporary)
        print(f"{plural(count, 'face')} in {npy}, {faces.dtype} {faces.shape}")
    elif sheet_file:
        with atomic_file(sheet_file) as temporary:
            temporary.write_bytes(png_bytes(sheet_of(checkpoint, seeds, truncation)))
        print(f"{plural(count, 'face')} in {sheet_file}")
    else:
        assert out is not None
        for batch, faces in draw_in_batches(checkpoint, seeds, truncation):
            for face, recipe in zip(faces, recipes_for(checkpoint, batch, truncation), strict=True):
                with atomic_file(out / f"face-{recipe.seed}.png") as temporary:
                    temporary.write_bytes(png_bytes(face, recipe.to_json(), size or None))
        print(f"{plural(count, 'face')} in {out}")


def check_sample_targets(out: Path | None, npy: Path | None, sheet_file: Path | None, size: int) -> None:
    """Raise ConfigError unless exactly one target is given and can be written in its format."""
    if sum(target is not None for target in (out, npy, sheet_file)) != 1:
        raise ConfigError("Name one target: --out FOLDER, --npy FILE or --sheet FILE.")
    if size and not out:
        raise ConfigError("--size scales the files in --out; leave it out with --npy and --sheet.")
    if npy and npy.suffix.lower() != ".npy":
        raise ConfigError(f"--npy writes a NumPy array; {npy} should end in .npy.")
    check_folder(out)
    check_png("--sheet", sheet_file)


def sheet_of(checkpoint: Checkpoint, seeds: range, truncation: float) -> np.ndarray:
    """All faces in one picture, eight in a row: uint8, (rows * H, 8 * W, 3)."""
    rows = [sheet(faces, SHEET_COLUMNS) for _, faces in draw_in_batches(checkpoint, seeds, truncation)]
    return np.concatenate(rows)  # a batch fills whole rows


def interpolate_command(
    seeds: Annotated[str, typer.Option(help="Seeds of at least two faces, separated by commas: 3,14,15.")],
    out: Annotated[Path, typer.Option(help="File to write: .webp, .gif, .png (APNG), or .mp4 if PyAV is installed.")],
    frames: Annotated[int, typer.Option(help="Number of frames in total.")] = 60,
    fps: Annotated[float, typer.Option(min=1, max=60, help="Frames per second.")] = 20.0,
    loop: Annotated[bool, typer.Option("--loop", help="Return to the first face at the end.")] = False,
    easing: Annotated[str, typer.Option(help="linear, or smooth to slow down at each face.")] = "linear",
    truncation: TruncationOption = 1.0,
    size: SizeOption = 0,
    model: ModelOption = str(EMBEDDED),
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Draw a film that moves from face to face by spherical interpolation."""
    try:
        stops = [parse_seed(part) for part in seeds.split(",")]
    except RecipeError as error:
        raise RecipeError(f"--seeds takes seeds separated by commas, such as 3,14,15. {error}") from error
    animation_kind(out)
    faces = interpolate(open_model(model, home / "hub"), stops, frames, truncation, loop, easing)
    save_animation(faces, out, fps, size or None)
    print(f"{frames} frames in {out}")
