"""The command line: `python -m ganime sample | interpolate | train | inspect | import`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image

from ganime.checkpoint import EMBEDDED, save_checkpoint
from ganime.config import RECIPES
from ganime.data import load_faces
from ganime.errors import ConfigError, GanimeError, RecipeError
from ganime.events import Done, Event, Notice, Preview, Saved, Step
from ganime.files import atomic_file
from ganime.foreign import import_generator
from ganime.images import png_bytes, save_animation, sheet
from ganime.latents import MAX_SEED, check_seed
from ganime.model import LayerSummary, summary
from ganime.models import open_model
from ganime.runs import RUN_FILE, read_run
from ganime.sampling import generate, interpolate, recipes_for
from ganime.training import train

MAX_COUNT = 100_000

app = typer.Typer(
    help="A DCGAN for anime faces.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)

ModelOption = Annotated[
    str,
    typer.Option("--model", help="A model folder, a training run, or a hub repo_id[@revision].", show_default=False),
]
HomeOption = Annotated[
    Path, typer.Option("--home", envvar="GANIME_HOME", help="Where decoded faces and pulled models are kept.")
]
TruncationOption = Annotated[float, typer.Option(help="Factor on the latent: 0 the average face, 1 as trained.")]
SizeOption = Annotated[int, typer.Option(help="Scale to this many pixels; 0 keeps the model's own size.")]
DEFAULT_HOME = Path(".ganime")


def main() -> None:
    """Run the command line; an expected failure is one line on standard error and exit status 1."""
    try:
        app()
    except GanimeError as error:
        print(f"Error: {error}", file=sys.stderr)
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
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Draw faces, one for each seed, with the recipe inside every PNG."""
    if (out is None) == (npy is None):
        raise ConfigError("Say where the faces go: either --out FOLDER or --npy FILE.")
    if not 1 <= count <= MAX_COUNT:
        raise RecipeError(f"--count must lie in 1 to {MAX_COUNT:,}; got {count}.")
    if check_seed(seed) + count - 1 > MAX_SEED:
        raise RecipeError(f"Seeds end at {MAX_SEED:,}; --seed {seed} with --count {count} goes beyond.")
    checkpoint = open_model(model, home / "hub")
    seeds = range(seed, seed + count)
    faces = generate(checkpoint, seeds, truncation)
    if npy:
        with atomic_file(npy) as temporary, temporary.open("wb") as file:
            np.save(file, faces)
        print(f"{count} faces in {npy}, {faces.dtype} {faces.shape}")
        return
    assert out is not None
    for face, recipe in zip(faces, recipes_for(checkpoint, seeds, truncation), strict=True):
        with atomic_file(out / f"face-{recipe.seed}.png") as temporary:
            temporary.write_bytes(png_bytes(face, recipe.to_json(), size or None))
    print(f"{count} faces in {out}")


@app.command("interpolate")
def interpolate_command(
    seeds: Annotated[str, typer.Option(help="Seeds to walk through, with commas: 3,14,15.")],
    out: Annotated[Path, typer.Option(help="Animation to write: .webp, .gif or .png (APNG).")],
    frames: Annotated[int, typer.Option(help="Frames in all.")] = 60,
    fps: Annotated[float, typer.Option(min=1, max=60, help="Frames a second.")] = 20.0,
    loop: Annotated[bool, typer.Option("--loop", help="Walk back to the first seed at the end.")] = False,
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
    save_animation(
        interpolate(open_model(model, home / "hub"), stops, frames, truncation, loop), out, fps, size or None
    )
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


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="A generator's state dict: .safetensors, .pt, .pth or .bin.")],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
) -> None:
    """Turn a DCGAN generator's weight file into a model folder."""
    checkpoint = replace(import_generator(file), name=out.name)
    save_checkpoint(checkpoint, out)
    print(f"{out}: {checkpoint.generator.config}")


@app.command("train")
def train_command(
    data: Annotated[list[Path], typer.Argument(help="Folders or zips of faces.")],
    out: Annotated[Path | None, typer.Option(help="The run's folder, for a new run.")] = None,
    resume: Annotated[Path | None, typer.Option(help="The folder of the run to go on with.")] = None,
    recipe: Annotated[str, typer.Option(help=f"One of {', '.join(RECIPES)}.")] = "modern",
    image_size: Annotated[int | None, typer.Option(help="32, 64, 128 or 256 px.")] = None,
    images: Annotated[int, typer.Option(help="End after this many images seen.")] = 0,
    steps: Annotated[int, typer.Option(help="End after this many steps.")] = 0,
    minutes: Annotated[float, typer.Option(help="End after this many minutes.")] = 0.0,
    batch_size: Annotated[int | None, typer.Option(help="Faces in a step.")] = None,
    seed: Annotated[int | None, typer.Option(help="Start of everything random in the run.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves it to torch.")] = 0,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Train a model on your faces. Stop with Ctrl+C at any time: the run is saved and can be resumed."""
    run = resume or out
    if run is None or (resume and out):
        raise ConfigError("Say where the run lives: either --out FOLDER for a new one or --resume FOLDER.")
    if out and (out / RUN_FILE).exists():
        raise ConfigError(f"{out} holds a run already. Go on with it by --resume {out}, or choose another folder.")
    if recipe not in RECIPES:
        raise ConfigError(f"--recipe must be one of {', '.join(RECIPES)}; got {recipe!r}.")
    config, model = read_run(run) if resume else RECIPES[recipe]
    changes = {"batch_size": batch_size, "seed": seed}
    config = replace(config, **{name: value for name, value in changes.items() if value is not None})
    config = replace(config, images=images, steps=steps, minutes=minutes)
    model = replace(model, image_size=image_size) if image_size and not resume else model
    if threads:
        import torch

        torch.set_num_threads(threads)
    dataset = load_faces(data, model.image_size, home / "cache", print_decoding)
    print(f"{len(dataset.train):,} faces to learn from, {len(dataset.held_out):,} held out, "
          f"{len(dataset.skipped):,} skipped")  # fmt: skip
    for name, reason in dataset.skipped[:10]:
        print(f"  skipped {name}: {reason}")
    with stop_on_signal() as should_stop:
        show(train(dataset, run, config, model, device, should_stop), run, config)


def print_summary(title: str, layers: list[LayerSummary]) -> None:
    print(f"\n{title}\n{'layer':<10} {'kind':<16} {'output':<16} {'parameters':>12} {'multiply-adds':>14}")
    for layer in layers:
        shape = " x ".join(str(side) for side in layer.output)
        print(f"{layer.name:<10} {layer.kind:<16} {shape:<16} {layer.parameters:>12,} {layer.multiply_adds:>14,}")
    totals = sum(layer.parameters for layer in layers), sum(layer.multiply_adds for layer in layers)
    print(f"{'total':<44} {totals[0]:>12,} {totals[1]:>14,}")


def print_decoding(done: int, total: int) -> None:
    if done == total or done % 2000 == 0:
        print(f"decoding faces: {done:,}/{total:,}", flush=True)


@contextmanager
def stop_on_signal() -> Iterator[Callable[[], bool]]:
    """Ctrl+C or a termination signal asks for a save and an end; the question is answered after every step."""
    asked: list[int] = []

    def remember(number: int, frame: Any) -> None:
        asked.append(number)
        signal.signal(number, signal.SIG_DFL)  # a second one ends at once

    before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show(events: Iterator[Event], run: Path, config: Any) -> None:
    """Print the events of a run and keep its sample grids in `previews/`."""
    for event in events:
        if isinstance(event, Step):
            total = f"/{config.steps}" if config.steps else ""
            print(
                f"Step: {event.step}{total} [D loss: {event.d_loss:.4f} G loss: {event.g_loss:.4f}] "
                f"{event.images:,} images, {event.images_per_second:.0f} images/s{eta(event)}",
                flush=True,
            )
        elif isinstance(event, Preview):
            with atomic_file(run / "previews" / f"{event.images:012d}.png") as temporary:
                Image.fromarray(sheet(event.faces)).save(temporary)
        elif isinstance(event, Saved):
            print(f"saved {event.folder}", flush=True)
        elif isinstance(event, Notice):
            print(event.text, flush=True)
        elif isinstance(event, Done):
            print(f"ended ({event.reason}) after {event.images:,} images; the model is {event.folder}")


def eta(event: Step) -> str:
    return f", {event.progress:.0%}" if event.progress else ""
