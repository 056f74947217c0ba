"""What starting from a trained model is worth on a small folder: equal minutes from scratch and from a checkpoint.

`python -m weights.make.finetuning FACES --reference OTHERS [--model weights/anime-128] [--minutes 10]
[--image-size 64]`

FACES is the small training folder. OTHERS are faces of the same kind that no run sees. Every run is measured against
OTHERS on anime features, and checked for copies of FACES. The first row is the model without any training. If the image
size is not that of the model, it is resized, as for any run.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image

from ganime.cli.common import DEFAULT_HOME, HomeOption
from ganime.config import RECIPES
from ganime.drawing.sampling import generate
from ganime.embedded import EMBEDDED
from ganime.faces.dataset import FaceDataset, load_faces
from ganime.images import sheet
from ganime.measuring.report import Report, evaluate
from ganime.measuring.training_faces import training_faces_of
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from ganime.models.resizing import resize
from ganime.nets.anime_features import FEATURE_SIDE, load_features
from ganime.training.events import Done
from ganime.training.loop import train

VARIANTS: dict[str, tuple[bool, dict[str, object]]] = {  # whether the run starts from the model, and what it changes
    "scratch": (False, {}),
    "from the model": (True, {}),
    "from the model, 1 layer of D frozen": (True, {"freeze": 1}),
    "from the model, 1 layer of D frozen, no critic": (True, {"freeze": 1, "critic": 0.0}),
    "from the model, 3 layers of D frozen": (True, {"freeze": 3}),
    "from the model, half the rates": (True, {"generator_lr": 1e-4, "discriminator_lr": 2e-4}),
    "from the model, no augmentation": (True, {"augment": "none"}),
}
COLUMNS = ("begun from", "images seen", "Fréchet", "kernel", "precision", "recall", "coverage", "near copies")


def run_variant(
    faces: FaceDataset, model: Checkpoint, from_model: bool, changes: dict[str, object], minutes: float, run: Path
) -> Checkpoint:
    """Train for `minutes` and return the last save."""
    config, shape = RECIPES["modern"]
    config = replace(config, minutes=minutes, measure_images=0, **changes)  # pyright: ignore[reportArgumentType]
    done = list(train(faces, run, config, shape, start=model if from_model else None))[-1]
    assert isinstance(done, Done)
    return load_checkpoint(done.folder)


def main(
    data: list[Path],
    reference: Annotated[Path, typer.Option(help="Folder or zip of other faces of the same kind.")],
    model: Path = EMBEDDED,
    minutes: float = 10.0,
    image_size: Annotated[int | None, typer.Option(help="In px; by default the model's own.")] = None,
    count: int = 1000,
    only: Annotated[list[str] | None, typer.Option(help="Names of variants; all by default.")] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder for a sheet of 64 faces of each variant.")] = None,
    threads: int = 1,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Train every variant for the same minutes and print the table."""
    torch.set_num_threads(threads)
    net, start = load_features(), load_checkpoint(model, with_discriminator=True)
    start = resize(start, image_size or start.generator.config.image_size)
    faces = load_faces(data, start.generator.config.image_size, home / "cache")
    others = load_faces([reference], FEATURE_SIDE, home / "cache").images
    training_faces = training_faces_of(faces, most=len(faces.train))

    def measure_variant(name: str, checkpoint: Checkpoint) -> Report:
        drawn = generate(checkpoint, range(count))
        if pictures:
            pictures.mkdir(parents=True, exist_ok=True)
            Image.fromarray(sheet(drawn[:64])).save(pictures / f"{name.replace(' ', '-').replace(',', '')}.png")
        return evaluate(net, drawn, np.asarray(others), training_faces)

    print(f"| {' | '.join(COLUMNS)} |\n" + "|---" * len(COLUMNS) + "|")
    print_row("the model as it is", 0, measure_variant("model", start))
    for name in only or VARIANTS:
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = run_variant(faces, start, *VARIANTS[name], minutes, Path(folder) / "run")
        print_row(name, checkpoint.training["images"], measure_variant(name, checkpoint))


def print_row(name: str, images: int, report: Report) -> None:
    assert report.copying
    print(
        f"| {name} | {images:,} | {report.frechet:.1f} | {report.kernel:.2f} | {report.precision:.2f} | "
        f"{report.recall:.2f} | {report.coverage:.2f} | {report.copying.near_copies:.3f} |",
        flush=True,
    )


if __name__ == "__main__":
    typer.run(main)
