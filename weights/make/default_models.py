"""The default models from beginning to end: train each in stages, measure it, write its weights, card and faces.

`python -m weights.make.default_models FACES... --peer PICTURES [--example] [--only anime-64] [--scale 1]
[--device auto] [--teachers PACKAGES]`

Every stage is a run in its own folder below --runs: called again, a stage that was cut off goes on, and one that is
done is passed over; polishing begins again. With a folder of packages it looks through more networks (`teachers`).
With --example the PyTorch DCGAN example, which is the `classic` recipe, sees as many images, to compare with.
--scale 0.001 tries the whole way in minutes. The first million images took half a day of two threads of a CPU, the long
stages a quarter of an hour of an H100.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image

from ganime.cli.common import DEFAULT_HOME, HomeOption
from ganime.config import RECIPES, SCRATCH
from ganime.drawing.direction_search import find_directions
from ganime.drawing.directions import Directions, save_directions, table_rows
from ganime.drawing.sampling import generate
from ganime.faces.dataset import FaceDataset, load_faces
from ganime.images import resize_picture, sheet
from ganime.measuring.report import Report, evaluate
from ganime.measuring.training_faces import TrainingFaces, save_training_faces, training_faces_of
from ganime.models.checkpoint import CARD_FILE, FRONT_MATTER, Checkpoint, load_checkpoint, save_checkpoint
from ganime.models.resizing import recoloured, refined
from ganime.models.resizing import resize as resized
from ganime.nets.anime_features import FEATURE_SIDE, load_features
from ganime.nets.device import pick_device
from ganime.training.events import Event, Measured, Notice, Step, Verdict, record
from ganime.training.frechet_loss import View, shipped_views, view_names
from ganime.training.loop import train
from ganime.training.polish import PolishConfig, polish, whole
from weights.make.teachers import views_with

COUNT, SHOWN = 1000, 100
EXAMPLE, PEER = "PyTorch DCGAN example", "MakeGirls.moe"


@dataclass(frozen=True)
class Stage:
    """One run: what it begins from (an earlier stage by name, or scratch), its side in px, its rates and its length.

    refine: whether the generator gets its last hidden layer, at the picture's own side, before.
    recolour: whether it has its colours at half that side from here on. eyes: what the critic looks through.
    polish: whether it is no run, but the Fréchet loss alone. batch_size: faces in a step.
    """

    name: str
    start: str
    image_size: int
    images: int
    generator_lr: float = 4e-4
    discriminator_lr: float = 8e-4
    ema_images: int = 10_000
    refine: bool = False
    recolour: bool = False
    eyes: str = "auto"
    polish: bool = False
    batch_size: int = 32

    def __str__(self) -> str:
        if self.polish:
            return (
                f"{self.image_size} px from {self.start}, polished: {self.images:,} images, batches of "
                f"{self.batch_size}, learning rate {self.generator_lr:g}, half-life of the average "
                f"{self.ema_images:,} images"
            )
        changes = {
            "refined": self.refine,
            "colours at half the side": self.recolour,
            "broad eyes": self.eyes == "broad",
        }
        changed = "".join(f", {change}" for change, made in changes.items() if made)
        return (
            f"{self.image_size} px from {self.start}{changed}, {self.images:,} images, batches of {self.batch_size}, "
            f"learning rates {self.generator_lr:g} and {self.discriminator_lr:g}, half-life of the average "
            f"{self.ema_images:,} images"
        )


STAGES = {
    "anime-128": (
        Stage("coarse-fast", SCRATCH, 64, 400_000),
        Stage("coarse-slow", "coarse-fast", 64, 150_000, 1e-4, 2e-4, 40_000),
        Stage("grown-fast", "coarse-slow", 128, 250_000),
        Stage("grown-slow", "grown-fast", 128, 150_000, 1e-4, 2e-4, 40_000),
        Stage("refined-fast", "grown-slow", 128, 75_000, 2e-4, 4e-4, 20_000, refine=True),
        Stage("refined-slow", "refined-fast", 128, 75_000, 8e-5, 1.6e-4, 20_000),
        Stage("broad", "refined-slow", 128, 75_000, 1e-4, 3e-4, 10_000, recolour=True, eyes="broad"),
        Stage("long-fast", "broad", 128, 775_000, 2e-4, 6e-4, 20_000, batch_size=64),
        Stage("long-slow", "long-fast", 128, 750_000, 6e-5, 2e-4, 40_000, batch_size=64),
        Stage("polished-fast", "long-slow", 128, 70_000, 5e-5, ema_images=8_000, polish=True, batch_size=64),
        Stage("polished", "polished-fast", 128, 10_000, 1.5e-5, ema_images=2_000, polish=True, batch_size=16),
    ),
    "anime-64": (
        Stage("small", "long-slow", 64, 50_000, 1e-5, 4e-4, 20_000, batch_size=64),
        Stage("small-polished-fast", "small", 64, 70_000, 5e-5, ema_images=8_000, polish=True, batch_size=64),
        Stage(
            "small-polished", "small-polished-fast", 64, 10_000, 1.5e-5, ema_images=2_000, polish=True, batch_size=16
        ),
    ),
}


def lineage(name: str, made: dict[str, tuple[Stage, Checkpoint]]) -> list[tuple[Stage, Checkpoint]]:
    """The stages from scratch to the one of that name."""
    stage, model = made[name]
    return [*(lineage(stage.start, made) if stage.start != SCRATCH else []), (stage, model)]


def history_of(stage: Stage, model: Checkpoint) -> str:
    """A stage as the card tells it."""
    return f"{stage}, through {model.training['polished_through']}" if stage.polish else str(stage)


def polish_stage(stage: Stage, data: list[Path], runs: Path, device: str, home: Path, views: Sequence[View]) -> None:
    """Polish what the stage begins from, unless that is done, from the same weights and for as long."""
    start = load_checkpoint(runs / stage.start, with_discriminator=True)
    before = whole(start.training.get("polished_images"))
    if (runs / stage.name).is_dir():
        done = load_checkpoint(runs / stage.name).training
        enough = whole(done.get("polished_images")) >= before + stage.images
        enough = enough and done.get("polished_from") == start.revision
        if enough and done.get("polished_through") == view_names(views):
            return
    faces = load_faces(data, stage.image_size, home / "cache")
    config = PolishConfig(stage.images, stage.batch_size, stage.generator_lr, stage.ema_images)
    event = None
    start = replace(start, training={"faces": len(faces.train), "polished_images": before})
    for event in polish(faces, start, config, device, views=views):
        print(f"  {event.images:,} images: distance {event.distance:.4f}", flush=True)
    assert event
    save_checkpoint(replace(event.model(), name=stage.name), runs / stage.name)


def train_stage(stage: Stage, data: list[Path], runs: Path, device: str, home: Path) -> None:
    """Train, or go on with, one stage in its folder below `runs`."""
    config, model = RECIPES["modern"]
    config = replace(
        config,
        images=stage.images,
        batch_size=stage.batch_size,
        generator_lr=stage.generator_lr,
        discriminator_lr=stage.discriminator_lr,
        ema_images=stage.ema_images,
        preview_images=max(1, stage.images // 10),
        measure_images=max(1, stage.images // 20),
        eyes=stage.eyes,
    )
    start = None
    if stage.start != SCRATCH:
        start = resized(load_checkpoint(runs / stage.start, with_discriminator=True), stage.image_size)
        start = refined(start) if stage.refine else start
        start = recoloured(start) if stage.recolour else start
    faces = load_faces(data, stage.image_size, home / "cache")
    run = runs / stage.name
    follow(run, train(faces, run, config, replace(model, image_size=stage.image_size), device, start=start))


def train_example(images: int, data: list[Path], runs: Path, device: str, home: Path) -> Checkpoint:
    """Train, or go on with, the PyTorch DCGAN example at 64 px, in `runs / "dcgan-example"`, up to so many images.

    It is the recipe `classic`: its nets, loss, rates and batches, no moving average. Of its saves the best is taken,
    which may be of more images where the run has seen more already.
    """
    config, model = RECIPES["classic"]
    run = runs / "dcgan-example"
    faces = load_faces(data, FEATURE_SIDE, home / "cache")
    print(f"the PyTorch DCGAN example, {images:,} images", flush=True)
    follow(run, train(faces, run, replace(config, images=images), replace(model, image_size=FEATURE_SIDE), device))
    return load_checkpoint(run)


def follow(run: Path, events: Iterator[Event]) -> None:
    """Keep a run's journal and print what is worth knowing."""
    for event in events:
        record(run, event)
        if isinstance(event, Measured):
            print(f"  {event.images:,} images: Fréchet {event.frechet:.1f}, recall {event.recall:.2f}", flush=True)
        elif isinstance(event, Verdict):
            print(f"  {event.state}: {event.reason}. {event.advice}", flush=True)
        elif isinstance(event, Notice):
            print(f"  {event.text}", flush=True)
        elif isinstance(event, Step) and event.step % 1000 == 0:
            print(f"  {event.images:,} images, {event.images_per_second:.0f} a second", flush=True)


def measured(faces: np.ndarray, real: FaceDataset, known: TrainingFaces | None = None) -> Report:
    """The measures of 1,000 faces, made as small as the held-out ones, against those; with the test for copies."""
    pictures = [resize_picture(Image.fromarray(face), FEATURE_SIDE) for face in faces]
    small = np.stack([np.asarray(picture) for picture in pictures])  # (1000, 64, 64, 3)
    return evaluate(load_features(), small, real.images[real.held_out], known)


def table(columns: dict[str, Report]) -> str:
    """The measures of several sets of faces side by side, in Markdown."""
    rows = [
        ("Fréchet distance", lambda report: f"{report.frechet:.1f}", "0"),
        ("kernel distance x 1000", lambda report: f"{report.kernel * 1e3:.0f} ± {report.kernel_error * 1e3:.0f}", "0"),
        ("precision", lambda report: f"{report.precision:.2f}", "1"),
        ("recall", lambda report: f"{report.recall:.2f}", "1"),
        ("density", lambda report: f"{report.density:.2f}", "1"),
        ("coverage", lambda report: f"{report.coverage:.2f}", "1"),
        (
            "near copies of training faces",
            lambda report: f"{report.copying.near_copies:.3f}" if report.copying else "",
            "0.010 by chance",
        ),
    ]
    lines = [f"| measure | {' | '.join(columns)} | best |", "|---" * (len(columns) + 2) + "|"]
    lines += [f"| {name} | {' | '.join(map(told, columns.values()))} | {best} |" for name, table_rows, best in rows]
    return "\n".join(lines)


def write(
    model: Checkpoint,
    history: list[str],
    real: FaceDataset,
    known: TrainingFaces,
    others: dict[str, Report],
    folder: Path,
) -> None:
    """Write a model as `folder`: both nets, its directions, 100 faces, none picked out, and a card with the figures.

    others: what was measured of other faces, under the names that their columns get.
    """
    save_checkpoint(replace(model, name=folder.name), folder)
    model = load_checkpoint(folder, with_discriminator=True)  # as stored, in half precision
    faces = Image.fromarray(sheet(generate(model, range(SHOWN)), columns=10))
    faces.save(folder / "faces.webp", quality=90, method=6)
    columns = {folder.name: measured(generate(model, range(COUNT)), real, known)} | others
    *_, directions = find_directions(model, load_features())
    assert isinstance(directions, Directions)
    save_directions(directions, folder)

    config, training = model.generator.config, model.training
    peer = f"; beside it 1,000 samples of {PEER}'s Amaryllis model (Jin et al. 2017), the quality to be reached"
    example = f", and the best save of the {EXAMPLE} in a run of at least as many images (`--recipe classic`)"
    facts = {
        "title": f"{FRONT_MATTER}\n# {folder.name}\n",
        "name": folder.name,
        "size": config.image_size,
        "latent": config.latent_dim,
        "generator": sum(parameter.numel() for parameter in model.generator.parameters()),
        "discriminator": sum(parameter.numel() for parameter in (model.discriminator or model.generator).parameters()),
        "critic": sum(parameter.numel() for parameter in model.critic.parameters() if parameter.requires_grad)
        if model.critic
        else 0,
        "images": training["images"],
        "polished": training["polished_images"],
        "faces": training["faces"],
        "hours": training["seconds"] / 3600,
        "history": "\n".join(f"{number}. {line}" for number, line in enumerate(history, start=1)),
        "table": table(columns),
        "peer": peer if PEER in others else "",
        "example": example if EXAMPLE in others else "",
        "directions": "\n".join(f"| {' | '.join(row)} |" for row in table_rows(directions.items)),
        "shown": SHOWN - 1,
    }
    card = Path(__file__).with_name("default_card.md").read_text(encoding="utf-8").format(**facts)
    (folder / CARD_FILE).write_text(card, encoding="utf-8")
    print(f"{folder}, revision {model.revision}\n{table(columns)}", flush=True)


def main(
    data: list[Path],
    peer: Annotated[Path | None, typer.Option(help="Folder or zip of another model's faces, to compare with.")] = None,
    example: Annotated[bool, typer.Option(help="Train the PyTorch DCGAN example on as many images, too.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Write these models alone.")] = None,
    scale: Annotated[float, typer.Option(help="Factor on the length of every stage.")] = 1.0,
    teachers: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Where packages lie whose networks polish, too.")
    ] = None,
    device: str = "auto",
    threads: int = 0,
    runs: Path = Path("runs"),
    out: Path = Path("weights"),
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Train, measure and write the default models; anime-64 goes on from a stage of anime-128."""
    if threads:
        torch.set_num_threads(threads)
    target = pick_device(device)
    views = views_with(teachers, target) if teachers else shipped_views(target)
    real = load_faces(data, FEATURE_SIDE, home / "cache")
    known = training_faces_of(real, most=len(real.train))
    some = np.random.default_rng(0).permutation(real.train)[:COUNT]
    learned_from = {"training faces": measured(real.images[np.sort(some)], real)}
    others = {}
    if peer:
        shown = load_faces([peer], FEATURE_SIDE, home / "cache", keep_duplicates=True).images[:COUNT]
        others[PEER] = measured(shown, real)
    made: dict[str, tuple[Stage, Checkpoint]] = {}
    for name, stages in STAGES.items():
        if only and not set(only) & set([*STAGES][[*STAGES].index(name) :]):
            break  # what is wanted is written
        for stage in stages:
            if stage.polish and only and name not in only:
                break  # no other model begins from what is polished
            stage = replace(stage, images=max(64, int(stage.images * scale)))
            print(stage, flush=True)
            if stage.polish:
                polish_stage(stage, data, runs, device, home, views)
            else:
                train_stage(stage, data, runs, device, home)
            model = load_checkpoint(runs / stage.name, with_discriminator=True)
            made[stage.name] = stage, model
        if only and name not in only:
            continue
        line = lineage(stages[-1].name, made)
        sums = {fact: sum(model.training.get(fact, 0) for _, model in line) for fact in ("images", "seconds")}
        polished = line[-1][1].training["polished_images"]
        training = {"recipe": "modern", **sums, "polished_images": polished, "faces": len(real.train)}
        if example:
            textbook = train_example(sums["images"], data, runs, device, home)
            others[EXAMPLE] = measured(generate(textbook, range(COUNT)), real)
        model = replace(line[-1][1], training=training)
        write(model, [history_of(*step) for step in line], real, known, others | learned_from, out / name)
    written = [load_checkpoint(out / name) for name in STAGES if (out / name).is_dir()]
    save_training_faces(known, {model.name: model.revision for model in written}, out / "anime-faces")


if __name__ == "__main__":
    typer.run(main)
