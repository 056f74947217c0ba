"""Drawing faces: `sample` and `interpolate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ganime.cli.common import DEFAULT_HOME, HomeOption, ModelOption, SizeOption, TruncationOption
from ganime.drawing.recipe import MAX_SEED, check_seed, parse_seed
from ganime.drawing.sampling import generate, interpolate, recipes_for
from ganime.errors import ConfigError, RecipeError
from ganime.files import atomic_file
from ganime.images import animation_kind, png_bytes, save_animation, sheet
from ganime.models.checkpoint import (
    EMBEDDED,
)
from ganime.models.hub import open_model

MAX_COUNT = 100_000


def sample_command(
    count: Annotated[int, typer.Option(help="How many faces.")] = 16,
    seed: Annotated[int, typer.Option(help="The first seed; the next faces take the next seeds.")] = 0,
    truncation: TruncationOption = 1.0,
    size: SizeOption = 0,
    model: ModelOption = str(EMBEDDED),
    out: Annotated[Path | None, typer.Option(help="Folder for face-SEED.png files.")] = None,
    npy: Annotated[Path | None, typer.Option(help="Instead: one uint8 array (N, H, W, 3).")] = None,
    sheet_file: Annotated[
        Path | None, typer.Option("--sheet", help="Instead: all faces in one PNG, eight in a row.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Draw faces, one for each seed, with the recipe inside every PNG."""
    if sum(target is not None for target in (out, npy, sheet_file)) != 1:
        raise ConfigError("Say where the faces go: --out FOLDER, or --npy FILE, or --sheet FILE.")
    if size and not out:
        raise ConfigError("--size scales the files of --out; leave it out with --npy and --sheet.")
    if npy and npy.suffix.lower() != ".npy":
        raise ConfigError(f"--npy writes a NumPy array; {npy} should end in .npy.")
    if out and out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file; name a folder, which is made where there is none.")
    if sheet_file and sheet_file.suffix.lower() != ".png":
        raise ConfigError(f"--sheet writes PNG; {sheet_file} should end in .png.")
    if not 1 <= count <= MAX_COUNT:
        raise RecipeError(f"--count must lie in 1 to {MAX_COUNT:,}; got {count}.")
    if check_seed(seed) + count - 1 > MAX_SEED:
        raise RecipeError(f"Seeds end at {MAX_SEED:,}; --seed {seed} with --count {count} goes beyond.")
    checkpoint = open_model(model, home / "hub")
    seeds = range(seed, seed + count)
    faces = generate(checkpoint, seeds, truncation)
    made = f"{count} face{'s' if count > 1 else ''}"
    if npy:
        with atomic_file(npy) as temporary, temporary.open("wb") as file:
            np.save(file, faces)
        print(f"{made} in {npy}, {faces.dtype} {faces.shape}")
        return
    if sheet_file:
        with atomic_file(sheet_file) as temporary:
            temporary.write_bytes(png_bytes(sheet(faces)))
        print(f"{made} in {sheet_file}")
        return
    assert out is not None
    for face, recipe in zip(faces, recipes_for(checkpoint, seeds, truncation), strict=True):
        with atomic_file(out / f"face-{recipe.seed}.png") as temporary:
            temporary.write_bytes(png_bytes(face, recipe.to_json(), size or None))
    print(f"{made} in {out}")


def interpolate_command(
    seeds: Annotated[str, typer.Option(help="Seeds to walk through, with commas: 3,14,15.")],
    out: Annotated[Path, typer.Option(help="Animation to write: .webp, .gif, .png (APNG), or .mp4 with PyAV.")],
    frames: Annotated[int, typer.Option(help="Frames in all.")] = 60,
    fps: Annotated[float, typer.Option(min=1, max=60, help="Frames a second.")] = 20.0,
    loop: Annotated[bool, typer.Option("--loop", help="Walk back to the first seed at the end.")] = False,
    easing: Annotated[str, typer.Option(help="linear, or smooth to slow down at every face.")] = "linear",
    truncation: TruncationOption = 1.0,
    size: SizeOption = 0,
    model: ModelOption = str(EMBEDDED),
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Walk from face to face by slerp and write the animation."""
    try:
        stops = [parse_seed(part) for part in seeds.split(",")]
    except RecipeError as error:
        raise RecipeError(f"--seeds takes seeds separated by commas, such as 3,14,15. {error}") from error
    animation_kind(out)
    faces = interpolate(open_model(model, home / "hub"), stops, frames, truncation, loop, easing)
    save_animation(faces, out, fps, size or None)
    print(f"{frames} frames in {out}")
