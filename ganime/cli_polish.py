"""The command about the last stage of a training: `polish`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ganime.cli_data import read_faces
from ganime.cli_learning import set_threads
from ganime.cli_options import DEFAULT_HOME, DuplicatesOption, HomeOption, ThreadsOption
from ganime.cli_show import asked_by_signal
from ganime.files import refuse_to_replace
from ganime.models.checkpoint import save_checkpoint
from ganime.models.hub import open_model
from ganime.nets.device import pick_device
from ganime.training.polish import PolishConfig, Polished, polish

SAVE_SECONDS = 300.0


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
