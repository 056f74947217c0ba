"""Drawing faces and films: `sample`, `interpolate`, `recipe`, `clarity`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ganime.cli import common
from ganime.drawing.clarity import BEST_OF, MAX_BEST_OF, best_seeds, chosen_clarity
from ganime.drawing.clarity_fitting import (
    FITTED_FACES,
    ClarityFit,
    embedded_reference,
    fit_clarity,
    real_reference,
)
from ganime.drawing.clarity_scores import LARGEST_SIDE, joined
from ganime.drawing.film import film_recipe
from ganime.drawing.recipe import MAX_FRAMES, MAX_SEED, check_seed, check_truncation, parse_seeds
from ganime.drawing.sampling import interpolate, recipes_for
from ganime.drawing.sharpening import sharpened
from ganime.embedded import EMBEDDED
from ganime.errors import ConfigError, RecipeError
from ganime.files import atomic_file
from ganime.images import SHEET_COLUMNS, animation_kind, png_bytes, recipe_in, save_animation, sheet
from ganime.models.checkpoint import Checkpoint
from ganime.models.hub import open_model
from ganime.nets.anime_features import load_features
from ganime.nets.clarity import CLARITY_FILE, save_clarity
from ganime.text import plural

MAX_COUNT = 100_000
MAX_RECIPE_FILE = 2**30  # bytes of a file that is looked through for a recipe
MAX_SHEET = 10_000  # faces; the whole sheet is held in memory, and few programs open a larger picture


def sample_command(
    count: Annotated[int, typer.Option(help=f"Number of faces, at most {MAX_COUNT:,}.")] = 16,
    seed: Annotated[int, typer.Option(help="Seed of the first face; the others have the seeds that follow.")] = 0,
    listed: Annotated[str, typer.Option("--seeds", help="Draw these seeds instead: 3,14-16.", show_default=False)] = "",
    best_of: Annotated[
        int,
        typer.Option(
            help=f"Draw only the clearest face of every so many seeds, at most {MAX_BEST_OF}; the page takes {BEST_OF}."
        ),
    ] = 1,
    truncation: common.TruncationOption = 1.0,
    clarity: common.ClarityOption = None,
    size: common.SizeOption = 0,
    sharpen: common.SharpenOption = 0,
    model: common.ModelOption = str(EMBEDDED),
    out: Annotated[Path | None, typer.Option(help="Folder for the files face-SEED.png.")] = None,
    npy: Annotated[Path | None, typer.Option(help="Write one uint8 array (N, H, W, 3) instead.")] = None,
    sheet_file: Annotated[
        Path | None, typer.Option("--sheet", help="Write one PNG instead, eight faces in a row.")
    ] = None,
    home: common.HomeOption = common.DEFAULT_HOME,
) -> None:
    """Draw one face for each seed; every PNG contains the recipe of its face."""
    check_sample_targets(out, npy, sheet_file, size, sharpen)
    seeds = sampled_seeds(count, seed, listed, MAX_SHEET if sheet_file else MAX_COUNT)
    if listed and best_of != 1:
        raise ConfigError("--seeds names the faces to draw; leave out --best-of, or name the first with --seed.")
    check_truncation(truncation)
    checkpoint = open_model(model, home / "hub")
    if best_of != 1:
        seeds = best_seeds(checkpoint, seed, count, best_of)
    clarity = chosen_clarity(checkpoint, clarity)
    if npy:
        with atomic_file(npy) as temporary:
            faces = common.draw_to_file(checkpoint, seeds, temporary, truncation, clarity)
        print(f"{plural(len(seeds), 'face')} in {npy}, {faces.dtype} {faces.shape}")
    elif sheet_file:
        with atomic_file(sheet_file) as temporary:
            temporary.write_bytes(png_bytes(sheet_of(checkpoint, seeds, truncation, clarity)))
        print(f"{plural(len(seeds), 'face')} in {sheet_file}")
    else:
        assert out is not None
        for batch, faces in common.draw_in_batches(checkpoint, seeds, truncation, clarity):
            pictures = sharpen_faces(faces, sharpen) if sharpen else faces
            for picture, recipe in zip(pictures, recipes_for(checkpoint, batch, truncation, clarity), strict=True):
                with atomic_file(out / f"face-{recipe.seed}.png") as temporary:
                    text = replace(recipe, sharpened=sharpen).to_json()
                    temporary.write_bytes(png_bytes(picture, text, size or None))
        print(f"{plural(len(seeds), 'face')} in {out}")


def sampled_seeds(count: int, seed: int, listed: str, most: int) -> Sequence[int]:
    """The seeds to draw: those that are listed, else `count` from `seed` on; at most `most`. Raises RecipeError."""
    if listed:
        return parse_seeds(listed, most)
    if not 1 <= count <= most:
        raise RecipeError(f"--count must be from 1 to {most:,}; got {count}.")
    if check_seed(seed) + count - 1 > MAX_SEED:
        raise RecipeError(f"Seeds end at {MAX_SEED:,}; --seed {seed} with --count {count} goes beyond.")
    return range(seed, seed + count)


def check_sample_targets(out: Path | None, npy: Path | None, sheet_file: Path | None, size: int, sharpen: int) -> None:
    """Raise ConfigError unless exactly one target is given and can be written in its format."""
    if sum(target is not None for target in (out, npy, sheet_file)) != 1:
        raise ConfigError("Name one target: --out FOLDER, --npy FILE or --sheet FILE.")
    if (size or sharpen) and not out:
        raise ConfigError("--size and --sharpen enlarge the files in --out; leave them out with --npy and --sheet.")
    if size and sharpen:
        raise ConfigError("Give either --size or --sharpen: both are the side of the pictures in px.")
    if npy and npy.suffix.lower() != ".npy":
        raise ConfigError(f"--npy writes a NumPy array; {npy} should end in .npy.")
    common.check_folder(out)
    common.check_png("--sheet", sheet_file)


def sheet_of(checkpoint: Checkpoint, seeds: Sequence[int], truncation: float, clarity: float) -> np.ndarray:
    """All faces in one picture, eight in a row: uint8, (rows * H, 8 * W, 3)."""
    rows = [sheet(faces, SHEET_COLUMNS) for _, faces in common.draw_in_batches(checkpoint, seeds, truncation, clarity)]
    return np.concatenate(rows)  # a batch fills whole rows


def sharpen_faces(faces: np.ndarray, side: int) -> Iterator[np.ndarray]:
    """Enlarge faces, (N, H, W, 3), to `side` px by the upscaler one after the other, and show the progress."""
    for number, picture in enumerate(sharpened(faces, side), start=1):
        common.show_progress(f"{number:,} of {len(faces):,} faces sharpened")
        yield picture


def interpolate_command(
    seeds: Annotated[str, typer.Option(help="Seeds of at least two faces, separated by commas, or ranges: 3,14-16.")],
    out: Annotated[Path, typer.Option(help="File to write: .mp4, .webp, .gif or .png (APNG).")],
    frames: Annotated[int, typer.Option(help="Number of frames in total.")] = 60,
    fps: Annotated[float, typer.Option(min=1, max=60, help="Frames per second.")] = 20.0,
    loop: Annotated[bool, typer.Option("--loop", help="Return to the first face at the end.")] = False,
    easing: Annotated[str, typer.Option(help="linear, or smooth to slow down at each face.")] = "linear",
    truncation: common.TruncationOption = 1.0,
    clarity: common.ClarityOption = None,
    size: common.SizeOption = 0,
    sharpen: common.SharpenOption = 0,
    model: common.ModelOption = str(EMBEDDED),
    home: common.HomeOption = common.DEFAULT_HOME,
) -> None:
    """Draw a film that moves from face to face by spherical interpolation; the file contains its recipe."""
    try:
        stops = parse_seeds(seeds, MAX_FRAMES)
    except RecipeError as error:
        raise RecipeError(f"--seeds takes seeds separated by commas, and ranges, such as 3,14-16. {error}") from error
    animation_kind(out)
    if size and sharpen:
        raise ConfigError("Give either --size or --sharpen: both are the side of the film in px.")
    checkpoint = open_model(model, home / "hub")
    clarity = chosen_clarity(checkpoint, clarity)
    pictures = interpolate(checkpoint, stops, frames, truncation, loop, easing, clarity)
    if sharpen:
        pictures = np.stack(list(sharpen_faces(pictures, sharpen)))
    text = film_recipe(recipes_for(checkpoint, stops, truncation, clarity), frames, fps, loop, easing)
    save_animation(pictures, out, fps, size or None, text)
    print(f"{frames} frames in {out}")


def recipe_command(
    file: Annotated[Path, typer.Argument(help="A face or a film made by Ganime: PNG, GIF, WebP or MP4.")],
) -> None:
    """Print the recipe in a face or a film as JSON: its model, its seeds and its settings."""
    if file.stat().st_size > MAX_RECIPE_FILE:
        raise RecipeError(f"{file} has more than {MAX_RECIPE_FILE:,} bytes, more than any face or film of Ganime.")
    text = recipe_in(file.read_bytes())
    if not text:
        raise RecipeError(f"{file} contains no recipe.")
    print(text)


def clarity_command(
    model: common.ModelArgument = str(EMBEDDED),
    data: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Real faces, best those that the model was trained on: folders or archives. By default, clear "
            "faces of the embedded model."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; by default that of the model.", show_default=False)
    ] = None,
    faces: Annotated[int, typer.Option(help="Number of faces of the model that it is fitted to.")] = FITTED_FACES,
    replace_it: Annotated[
        bool, typer.Option("--replace", help="Replace a clarity; faces drawn with it will change.")
    ] = False,
    crop: common.CropOption = "none",
    home: common.HomeOption = common.DEFAULT_HOME,
) -> None:
    """Fit a clarity to a model: which latents it draws well, and how to move the others there."""
    checkpoint, net = open_model(model, home / "hub"), load_features()
    folder, side = out or checkpoint.folder, checkpoint.generator.config.image_size
    assert folder is not None
    common.check_folder(folder)
    if (folder / CLARITY_FILE).exists() and not replace_it:
        raise ConfigError(
            f"{folder} has a clarity. Another one would change the faces that it drew; --replace replaces it."
        )
    if data:
        dataset = common.read_faces(data, min(side, LARGEST_SIDE), home, crop=crop)
        reference = joined(real_reference(net, dataset.images, dataset.train, side))
    else:
        reference = embedded_reference(net, side)
    work = fit_clarity(checkpoint, net, reference, faces)
    found = common.run_to_end(work, ClarityFit, lambda share: f"{share:.0%} fitted")
    save_clarity(found.clarity, checkpoint.revision, folder)
    print(
        f"{folder / CLARITY_FILE}: compared with {len(reference):,} {'real' if data else 'drawn'} faces, explains "
        f"{found.explained:.0%} of how clear unseen faces are"
    )
