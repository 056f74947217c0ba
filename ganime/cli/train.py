"""Training a model: `train`."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ganime.cli import common
from ganime.cli.hub_job import ON_HUB, check_on_hub, check_options, train_there
from ganime.cli.progress import show, signal_requests
from ganime.config import AUGMENTS, EYES, RECIPES, SCRATCH, TrainConfig
from ganime.errors import ConfigError
from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import Checkpoint
from ganime.training.beginning import NewRun, PreparedRun, check_run, check_run_folder, prepare_run
from ganime.training.distributed import Processes
from ganime.training.finishing import finished
from ganime.training.hub_needs import check_faces
from ganime.training.loop import train
from ganime.training.run_folder import read_run


def train_command(
    data: common.DataArgument,
    out: Annotated[Path | None, typer.Option(help="Folder of a new run.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Folder of the run to continue.")] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Starting model: a model folder, a training run, owner/name[@revision] on the hub, or scratch. It is "
            "resized to --image-size. Default: for modern with fewer than 10,000 training faces, the embedded "
            "model; else scratch.",
        ),
    ] = None,
    recipe: Annotated[str | None, typer.Option(help=f"One of {', '.join(RECIPES)}; modern by default.")] = None,
    image_size: Annotated[int | None, typer.Option(help="32, 64, 128 or 256 px.")] = None,
    images: Annotated[int, typer.Option(help="Stop after this many images, in total over all resumptions.")] = 0,
    steps: Annotated[int, typer.Option(help="Stop after this many steps, in total over all resumptions.")] = 0,
    minutes: Annotated[float, typer.Option(help="Stop after this many minutes of training.")] = 0.0,
    save_minutes: Annotated[float | None, typer.Option(help="Minutes between saves, 5 by default.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step.")] = None,
    generator_lr: Annotated[float | None, typer.Option(help="Learning rate; can change on --resume.")] = None,
    discriminator_lr: Annotated[float | None, typer.Option(help="Learning rate; can change on --resume.")] = None,
    augment: Annotated[str | None, typer.Option(help=f"One of {', '.join(AUGMENTS)}.")] = None,
    critic: Annotated[
        float | None,
        typer.Option(
            help="Weight of the feature critic's loss; 0 switches it off. Default: the recipe's value (modern 1, "
            "classic 0); for modern, 0 for fewer than 10,000 faces unless the starting model has a critic."
        ),
    ] = None,
    eyes: Annotated[
        str | None,
        typer.Option(
            help=f"Feature networks of the critic, one of {', '.join(EYES)}: anime was trained on anime faces, broad "
            "on pictures of all kinds, auto takes those of the starting model, else anime."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all randomness in the run.")] = None,
    clarity: Annotated[
        bool,
        typer.Option("--clarity/--no-clarity", help="At the end, fit a clarity and check the sliders."),
    ] = True,
    keep_duplicates: common.DuplicatesOption = False,
    crop: common.CropOption = "none",
    device: common.DeviceOption = "auto",
    threads: common.ThreadsOption = 0,
    on: Annotated[
        str,
        typer.Option(help=f"Where to train: {ON_HUB} rents a machine of the Hugging Face hub.", show_default=False),
    ] = "",
    flavor: Annotated[str, typer.Option(help=f"With --on {ON_HUB}: the kind of machine.")] = "t4-small",
    yes: Annotated[bool, typer.Option("--yes", help=f"With --on {ON_HUB}: do not ask before it costs money.")] = False,
    events: Annotated[bool, typer.Option("--events", hidden=True)] = False,
    home: common.HomeOption = common.DEFAULT_HOME,
) -> None:
    """Train a model on your faces. Ctrl+C stops it at any time: the run is saved and can be resumed."""
    changes = given(
        batch_size=batch_size,
        augment=augment,
        critic=critic,
        eyes=eyes,
        seed=seed,
        keep_duplicates=keep_duplicates or None,
        crop=None if crop == "none" else crop,
    )
    rates = given(generator_lr=generator_lr, discriminator_lr=discriminator_lr)
    free = {"images": images, "steps": steps, "minutes": minutes, **rates, **given(save_minutes=save_minutes)}
    if on:
        common.check_threads(threads)  # for the machine there; here nothing is trained
        check_on_hub(on, resume, device)
        run = check_options(out, start, minutes)
        check_faces(data, crop)
        check_run(NewRun(run, data, home / "hub", recipe or "modern", changes | free, start, image_size))
        options = given(start=start, recipe=recipe, image_size=image_size, threads=threads or None)
        options |= changes | free | {"no_clarity": not clarity}
        return train_there(data, run, options, flavor, yes)
    run = resume or out
    if run is None or (resume and out):
        raise ConfigError("Name the run's folder: either --out FOLDER for a new run or --resume FOLDER.")
    workers = Processes.join(device)
    common.set_threads(threads)

    def read(size: int, config: TrainConfig) -> FaceDataset:
        with workers.in_turn():
            return common.read_faces(data, size, home, config.keep_duplicates, config.crop)

    if resume:
        check_unchanged({"from": start, "recipe": recipe, "image_size": image_size, **changes})
        check_run_folder(run, data)
        config, model = read_run(resume)
        config = replace(config, **free)  # which may change
        prepared = PreparedRun(read(model.image_size, config), config, model)
    else:
        new = NewRun(run, data, home / "hub", recipe or "modern", changes | free, start, image_size)
        prepared = prepare_run(new, read)
    train_here(prepared, run, workers, device, rates, clarity, events)
    return None


def train_here(
    prepared: PreparedRun,
    run: Path,
    workers: Processes,
    device: str,
    rates: dict[str, float],
    clarity: bool,
    events: bool,
) -> None:
    """Train in this process until a limit or Ctrl+C; the leading process shows the events.

    run: the run's folder
    rates: learning rates that replace those of a resumed run
    clarity: whether the model gets a clarity and its sliders in the end
    events: whether they are shown as JSON lines
    """
    if workers.leads:
        print_faces(prepared.dataset)
        print_start(prepared.start, prepared.model.image_size)
    dataset, config = prepared.dataset, prepared.config
    begun = prepared.resized_start()
    with signal_requests() as (should_stop, should_save):
        directions = prepared.start_directions()
        trained = train(
            dataset, run, config, prepared.model, device, should_stop, should_save, begun, rates, directions=directions
        )
        if workers.leads:
            show(finished(trained, run, dataset, should_stop, clarity), run, config, events)
        else:
            deque(trained, maxlen=0)  # train without output


def given(**options: Any) -> dict[str, Any]:
    """The options that were given; None stands for one that was not."""
    return {name: value for name, value in options.items() if value is not None}


def check_unchanged(given: dict[str, Any]) -> None:
    """Raise ConfigError when an option, by its name, would change what a resumed run was started with."""
    options = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
    if options:
        raise ConfigError(
            f"A resumed run keeps its settings, except limits and learning rates: leave out {', '.join(options)}, or "
            "start a new run."
        )


def print_faces(dataset: FaceDataset) -> None:
    """Print how many faces are used, and the first skipped files with the reason."""
    held_out, skipped = len(dataset.held_out), len(dataset.skipped)
    print(f"{len(dataset.train):,} faces for training, {held_out:,} held out, {skipped:,} skipped")
    for name, reason in dataset.skipped[:10]:
        print(f"  skipped {name}: {reason}")


def print_start(start: Checkpoint | None, image_size: int) -> None:
    """Print the model that a new run starts from, if there is one."""
    if start is None:
        return
    side = start.generator.config.image_size
    resized = "" if side == image_size else f", {'grown' if side < image_size else 'shrunk'} to {image_size} px"
    print(f"starts from {start.name}, revision {start.revision}{resized}; --from {SCRATCH} starts from random weights")
