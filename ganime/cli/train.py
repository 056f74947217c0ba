"""Training and polishing: `train` and `polish`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ganime.cli.common import DEFAULT_HOME, DuplicatesOption, HomeOption, ThreadsOption, read_faces, set_threads
from ganime.cli.progress import asked_by_signal, show
from ganime.config import AUGMENTS, EYES, RECIPES, SCRATCH
from ganime.errors import ConfigError
from ganime.faces.dataset import FaceDataset
from ganime.files import refuse_to_replace
from ganime.models.checkpoint import save_checkpoint
from ganime.models.hub import open_model
from ganime.models.resizing import resize
from ganime.nets.device import pick_device
from ganime.training.beginning import config_for_start, default_start
from ganime.training.distributed import Processes
from ganime.training.loop import train
from ganime.training.polish import PolishConfig, Polished, polish
from ganime.training.run_folder import RUN_FILE, read_run

SAVE_SECONDS = 300.0


def train_command(
    data: Annotated[list[Path], typer.Argument(help="Folders or zips of faces.")],
    out: Annotated[Path | None, typer.Option(help="The run's folder, for a new run.")] = None,
    resume: Annotated[Path | None, typer.Option(help="The folder of the run to go on with.")] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="What to begin from: scratch, a model folder, run or hub repo_id[@revision]; it grows or shrinks "
            "to --image-size. By default the embedded model nearest to it for fewer than 10,000 faces, else scratch.",
        ),
    ] = None,
    recipe: Annotated[str | None, typer.Option(help=f"One of {', '.join(RECIPES)}; modern by default.")] = None,
    image_size: Annotated[int | None, typer.Option(help="32, 64, 128 or 256 px.")] = None,
    images: Annotated[int, typer.Option(help="End after this many images seen.")] = 0,
    steps: Annotated[int, typer.Option(help="End after this many steps.")] = 0,
    minutes: Annotated[float, typer.Option(help="End after this many minutes.")] = 0.0,
    batch_size: Annotated[int | None, typer.Option(help="Faces in a step.")] = None,
    generator_lr: Annotated[
        float | None, typer.Option(help="Learning rate of the generator; it can be changed with --resume.")
    ] = None,
    discriminator_lr: Annotated[
        float | None, typer.Option(help="Learning rate of the discriminator; it can be changed with --resume.")
    ] = None,
    augment: Annotated[str | None, typer.Option(help=f"One of {', '.join(AUGMENTS)}.")] = None,
    critic: Annotated[
        float | None,
        typer.Option(
            help="Weight of the feature critic's loss, 0 for none; by default 0 for few faces and no model with one."
        ),
    ] = None,
    eyes: Annotated[
        str | None,
        typer.Option(
            help=f"What the critic looks through, one of {', '.join(EYES)}: a network that knows anime faces, one "
            "taught pictures of all kinds; auto is as the model's that it begins from, else anime."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Start of everything random in the run.")] = None,
    keep_duplicates: DuplicatesOption = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: ThreadsOption = 0,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Train a model on your faces. Stop with Ctrl+C at any time: the run is saved and can be resumed."""
    run = resume or out
    if run is None or (resume and out):
        raise ConfigError("Say where the run lives: either --out FOLDER for a new one or --resume FOLDER.")
    if out and (out / RUN_FILE).exists():
        raise ConfigError(f"{out} holds a run already. Go on with it by --resume {out}, or choose another folder.")
    if recipe is not None and recipe not in RECIPES:
        raise ConfigError(f"--recipe must be one of {', '.join(RECIPES)}; got {recipe!r}.")
    if run.exists() and not run.is_dir():
        raise ConfigError(f"--out {run} is a file; name a folder, which is made where there is none.")
    inside = [path for path in data if path.is_dir() and run.resolve().is_relative_to(path.resolve())]
    if inside:
        raise ConfigError(f"{run} lies in {inside[0]}, so its sample grids would count as faces. Keep it elsewhere.")
    changes = {
        "batch_size": batch_size,
        "augment": augment,
        "critic": critic,
        "eyes": eyes,
        "seed": seed,
    }
    rates = {"generator_lr": generator_lr, "discriminator_lr": discriminator_lr}
    repeats = keep_duplicates or None
    fixed = {"from": start, "recipe": recipe, "image_size": image_size, "keep_duplicates": repeats, **changes}
    if resume and (given := [f"--{name.replace('_', '-')}" for name, value in fixed.items() if value is not None]):
        raise ConfigError(
            f"A resumed run keeps its settings, except limits and learning rates: leave out {', '.join(given)}, or "
            "begin a new run."
        )
    config, model = read_run(run) if resume else RECIPES[recipe or "modern"]
    config = replace(config, **{name: value for name, value in (changes | rates).items() if value is not None})
    config = replace(config, images=images, steps=steps, minutes=minutes)
    config = replace(config, keep_duplicates=keep_duplicates or config.keep_duplicates)
    begun = open_model(start, home / "hub", with_discriminator=True) if start not in (None, SCRATCH) else None
    size = image_size or (begun.generator.config if begun else model).image_size
    model = replace(model, image_size=size)
    workers = Processes.join(device)
    set_threads(threads)
    with workers.in_turn():
        dataset = read_faces(data, size, home, config.keep_duplicates)
    if workers.leads:
        print_faces(dataset)
    if not resume:
        begun = default_start(config, size, len(dataset.train)) if start is None else begun
        config = config_for_start(config, size, len(dataset.train), begun, keep_critic=critic is not None)
    if eyes and not config.critic:
        raise ConfigError("--eyes is what the critic looks through, and this run has none; give it one by --critic 1.")
    if begun:
        side = begun.generator.config.image_size
        if workers.leads:
            how = "" if side == size else f", {'grown' if side < size else 'shrunk'} to {size} px"
            print(f"begins from {begun.name}, revision {begun.revision}{how}; --from {SCRATCH} begins afresh")
        begun = resize(begun, size)
    with asked_by_signal() as (should_stop, should_save):
        events = train(
            dataset, run, config, model, device, should_stop, should_save, begun, generator_lr, discriminator_lr
        )
        if workers.leads:
            show(events, run, config)
        else:
            deque(events, maxlen=0)  # works along in silence


def print_faces(dataset: FaceDataset) -> None:
    print(f"{len(dataset.train):,} faces to learn from, {len(dataset.held_out):,} held out, "
          f"{len(dataset.skipped):,} skipped")  # fmt: skip
    for name, reason in dataset.skipped[:10]:
        print(f"  skipped {name}: {reason}")


def polish_command(
    model: Annotated[str, typer.Argument(help="A model folder, a training run, or a hub repo_id[@revision].")],
    data: Annotated[list[Path], typer.Argument(help="Folders or zips of the faces that it was trained on.")],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    images: Annotated[int, typer.Option(help="How many faces it draws in all.")] = PolishConfig.images,
    batch_size: Annotated[int, typer.Option(help="Faces in a step.")] = PolishConfig.batch_size,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = PolishConfig.lr,
    ema_images: Annotated[int, typer.Option(help="Half-life of the average, in images.")] = PolishConfig.ema_images,
    seed: Annotated[int, typer.Option(help="Start of everything random.")] = PolishConfig.seed,
    keep_duplicates: DuplicatesOption = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: ThreadsOption = 0,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Make a well-trained model draw better by the Fréchet loss alone. Stop with Ctrl+C at any time: it is saved."""
    config = PolishConfig(images, batch_size, lr, ema_images, seed)
    refuse_to_replace(out, ())
    pick_device(device)
    set_threads(threads)
    begun = replace(open_model(model, home / "hub", with_discriminator=True), name=out.resolve().name)
    faces = read_faces(data, begun.generator.config.image_size, home, keep_duplicates)
    print(f"{len(faces.train):,} faces to learn from; the first look at them takes minutes", flush=True)
    with asked_by_signal() as (should_stop, should_save):
        keep(polish(faces, begun, config, device, should_stop), out, should_save)


def keep(events: Iterator[Polished], out: Path, should_save: Callable[[], bool] = lambda: False) -> None:
    """Tell how far it is, and save the model now and then, when asked, and at the end."""
    saved, last, stored = time.monotonic(), None, 0
    for last in events:
        print(
            f"{last.images:,} images, {last.images_per_second:.1f} images/s, {last.progress:.0%}: distance "
            f"{last.distance:.4f}",
            flush=True,
        )
        if last.images and (should_save() or time.monotonic() - saved >= SAVE_SECONDS):
            save_checkpoint(last.model(), out)
            saved, stored = time.monotonic(), last.images
    if last and last.images:
        if last.images > stored:
            save_checkpoint(last.model(), out)
        print(f"saved: {out}")
    else:
        print("stopped before the first step; nothing is written")
