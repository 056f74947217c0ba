"""The command line, `python -m ganime`: sampling and models here, learning in `cli_learning`."""

from __future__ import annotations

import errno
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ganime.cli_data import audit_command
from ganime.cli_explore import register
from ganime.cli_known import copies_command, known_command
from ganime.cli_learning import evaluate_command, fit_features_command, train_command
from ganime.cli_options import DEFAULT_HOME, HomeOption, ModelOption, SizeOption, TruncationOption
from ganime.cli_own import name_direction_command
from ganime.cli_polish import polish_command
from ganime.drawing.directions import load_directions, save_directions
from ganime.drawing.layers import LayerSummary, summary
from ganime.drawing.recipe import MAX_SEED, check_seed
from ganime.drawing.sampling import generate, interpolate, recipes_for
from ganime.errors import ConfigError, GanimeError, RecipeError
from ganime.files import atomic_file, refuse_to_replace
from ganime.images import animation_kind, png_bytes, save_animation, sheet
from ganime.models.checkpoint import DIRECTION_FILES, EMBEDDED, MODEL_FILES, save_checkpoint
from ganime.models.hub import open_model
from ganime.models.importing import import_generator

MAX_COUNT = 100_000

app = typer.Typer(
    help="A DCGAN for anime faces.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


def main() -> None:
    """Run the command line; an expected failure is one line on standard error and exit status 1."""
    try:
        app()
    except (GanimeError, OSError) as error:  # OSError: a folder that cannot be written, a full disk
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        print(f"Error: {error}{'. The disk takes no more: make room and try again' * full}", file=sys.stderr)
        sys.exit(1)


@app.command("sample")
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


@app.command("interpolate")
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
        stops = [check_seed(int(part)) for part in seeds.split(",")]
    except ValueError as error:
        raise RecipeError(f"--seeds needs whole numbers with commas, like 3,14,15; got {seeds!r}.") from error
    animation_kind(out)
    faces = interpolate(open_model(model, home / "hub"), stops, frames, truncation, loop, easing)
    save_animation(faces, out, fps, size or None)
    print(f"{frames} frames in {out}")


@app.command("inspect")
def inspect_command(
    model: Annotated[str, typer.Argument(help="A model folder, a training run, or a hub repo_id[@revision].")] = str(
        EMBEDDED
    ),
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Show both nets layer by layer: output shape, parameters, multiply-adds."""
    checkpoint = open_model(model, home / "hub", with_discriminator=True)
    print(f"{checkpoint.name}, revision {checkpoint.revision}")
    print_summary("Generator", summary(checkpoint.generator))
    if checkpoint.discriminator:
        print_summary("Discriminator", summary(checkpoint.discriminator))
    else:
        print("\nThis model comes without a discriminator.")


register(app)
app.command("copies")(copies_command)
app.command("known")(known_command)
app.command("name-direction")(name_direction_command)
app.command("audit")(audit_command)
app.command("train")(train_command)
app.command("polish")(polish_command)
app.command("evaluate")(evaluate_command)
app.command("fit-features")(fit_features_command)


@app.command("export")
def export_command(
    model: Annotated[str, typer.Argument(help="A training run, a model folder, or a hub repo_id[@revision].")],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Write a model, such as the best save of a run, as a model folder to keep or to share."""
    refuse_to_replace(out, (*MODEL_FILES, *DIRECTION_FILES))
    checkpoint = open_model(model, home / "hub", with_discriminator=True)
    directions = load_directions(checkpoint.folder, checkpoint.revision, checkpoint.generator.config.latent_dim)
    save_checkpoint(replace(checkpoint, name=out.resolve().name), out)
    if directions:
        save_directions(directions, out)
    images = checkpoint.training.get("images")
    seen = f", of {images:,} images seen" if isinstance(images, int) else ""
    print(f"{out}: revision {checkpoint.revision}{seen}")


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="A generator's state dict: .safetensors, .pt, .pth or .bin.")],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
) -> None:
    """Turn a DCGAN generator's weight file into a model folder."""
    refuse_to_replace(out, MODEL_FILES)
    checkpoint = replace(import_generator(file), name=out.resolve().name)
    save_checkpoint(checkpoint, out)
    print(f"{out}: {checkpoint.generator.config}")


def print_summary(title: str, layers: list[LayerSummary]) -> None:
    print(f"\n{title}\n{'layer':<10} {'kind':<16} {'output':<16} {'parameters':>12} {'multiply-adds':>14}")
    for layer in layers:
        shape = " x ".join(str(side) for side in layer.output)
        print(f"{layer.name:<10} {layer.kind:<16} {shape:<16} {layer.parameters:>12,} {layer.multiply_adds:>14,}")
    totals = sum(layer.parameters for layer in layers), sum(layer.multiply_adds for layer in layers)
    print(f"{'total':<44} {totals[0]:>12,} {totals[1]:>14,}")
