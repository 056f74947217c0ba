"""The stages in which the default model is trained and polished, one run folder for each stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ganime.config import RECIPES
from ganime.faces.dataset import load_faces
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ganime.models.resizing import resize
from ganime.nets.anime_features import FEATURE_SIDE
from ganime.training.events import Event, Measured, Notice, Step, Verdict, record
from ganime.training.loop import train
from weights.make.frechet_loss import View, view_names
from weights.make.polish import PolishConfig, polish, valid_count
from weights.make.reshaping import recoloured, refined


@dataclass(frozen=True)
class Stage:
    """One training or polishing run.

    name: of the stage and of its folder.
    image_size: side of the faces in px.
    images: length of the run.
    generator_lr, discriminator_lr: learning rates; polishing uses the first one.
    ema_images: half-life of the generator's moving average, in images.
    refine: give the generator a hidden layer at the picture's own side before the run.
    recolour: draw colours at half that side from this stage on.
    eyes: what the critic looks through, as in `TrainConfig.eyes`.
    polish: follow the Fréchet loss alone, instead of training against a discriminator.
    batch_size: faces in a step.
    """

    name: str
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
        """The line that the card has for this stage."""
        batches, half_life = f"batches of {self.batch_size}", f"half-life of the average {self.ema_images:,} images"
        if self.polish:
            rate = f"learning rate {self.generator_lr:g}"
            return f"{self.image_size} px, polished: {self.images:,} images, {batches}, {rate}, {half_life}"
        changes = {
            "refined": self.refine,
            "colours at half the side": self.recolour,
            "broad eyes": self.eyes == "broad",
        }
        parts = [f"{self.image_size} px", *(change for change, made in changes.items() if made)]
        rates = f"learning rates {self.generator_lr:g} and {self.discriminator_lr:g}"
        return ", ".join([*parts, f"{self.images:,} images", batches, rates, half_life])


STAGES = (  # the first one starts from scratch, each other one from the one before it
    Stage("coarse-fast", 64, 400_000),
    Stage("coarse-slow", 64, 150_000, 1e-4, 2e-4, 40_000),
    Stage("grown-fast", 128, 250_000),
    Stage("grown-slow", 128, 150_000, 1e-4, 2e-4, 40_000),
    Stage("refined-fast", 128, 75_000, 2e-4, 4e-4, 20_000, refine=True),
    Stage("refined-slow", 128, 75_000, 8e-5, 1.6e-4, 20_000),
    Stage("broad", 128, 75_000, 1e-4, 3e-4, 10_000, recolour=True, eyes="broad"),
    Stage("long-fast", 128, 775_000, 2e-4, 6e-4, 20_000, batch_size=64),
    Stage("long-slow", 128, 750_000, 6e-5, 2e-4, 40_000, batch_size=64),
    Stage("polished-fast", 128, 70_000, 5e-5, ema_images=8_000, polish=True, batch_size=64),
    Stage("polished", 128, 10_000, 1.5e-5, ema_images=2_000, polish=True, batch_size=16),
)


def card_line(stage: Stage, model: Checkpoint) -> str:
    """A stage as the card describes it; for polishing, with the networks that took part."""
    return f"{stage}, through {model.training['polished_through']}" if stage.polish else str(stage)


def train_stage(stage: Stage, start: Checkpoint | None, data: list[Path], runs: Path, device: str, home: Path) -> None:
    """Start or resume the run of a training stage below `runs`, from the model of the stage before it, `start`."""
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
    if start:
        start = resize(start, stage.image_size)
        start = refined(start) if stage.refine else start
        start = recoloured(start) if stage.recolour else start
    faces = load_faces(data, stage.image_size, home / "cache")
    run = runs / stage.name
    record_run(run, train(faces, run, config, replace(model, image_size=stage.image_size), device, start=start))


def polish_stage(
    stage: Stage, start: Checkpoint, data: list[Path], runs: Path, device: str, home: Path, views: Sequence[View]
) -> None:
    """Polish the model of the stage before, `start`, unless the stage's folder has the result already.

    The result counts if it comes from the same weights, through the same views, with at least as many images.
    """
    before = valid_count(start.training.get("polished_images"))
    if (runs / stage.name).is_dir():
        facts = load_checkpoint(runs / stage.name).training
        enough = valid_count(facts.get("polished_images")) >= before + stage.images
        same_start = facts.get("polished_from") == start.revision
        if enough and same_start and facts.get("polished_through") == view_names(views):
            return
    faces = load_faces(data, stage.image_size, home / "cache")
    config = PolishConfig(stage.images, stage.batch_size, stage.generator_lr, stage.ema_images)
    start = replace(start, training={"faces": len(faces.train), "polished_images": before})
    event = None
    for event in polish(faces, start, config, device, views=views):
        print(f"  {event.images:,} images: distance {event.distance:.4f}", flush=True)
    assert event
    save_checkpoint(replace(event.model(), name=stage.name), runs / stage.name)


def train_example(images: int, data: list[Path], runs: Path, device: str, home: Path) -> Checkpoint:
    """Start or resume the PyTorch DCGAN example at 64 px in `runs / "dcgan-example"`; returns its best save.

    It is the recipe `classic`: the example's networks, loss, learning rates and batches, without a moving average. The
    run ends after `images` images; if it has seen more already, the best save may be one of those.
    """
    config, model = RECIPES["classic"]
    run = runs / "dcgan-example"
    faces = load_faces(data, FEATURE_SIDE, home / "cache")
    print(f"the PyTorch DCGAN example, {images:,} images", flush=True)
    record_run(run, train(faces, run, replace(config, images=images), replace(model, image_size=FEATURE_SIDE), device))
    return load_checkpoint(run)


def record_run(run: Path, events: Iterator[Event]) -> None:
    """Write every event of a run to its journal, and print measurements, verdicts, notices and the speed."""
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
