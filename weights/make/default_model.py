"""Make the default model from beginning to end: train and polish in stages, measure, write weights, card and faces.

`python -m weights.make.default_model FACES... [--peer PICTURES] [--example] [--teachers PACKAGES] [--scale 0.001]
[--device auto] [--out made]`

Every stage is a run in its own folder below --runs. When the script is called again, an interrupted training stage
resumes, an interrupted polishing stage starts again, and finished stages are skipped. --teachers names a folder with
packages whose networks take part in polishing (`teachers.py`). --example trains the PyTorch DCGAN example, which is the
recipe `classic`, on as many images, for comparison. --scale 0.001 tries everything in minutes. The first million images
took half a day on two threads of a CPU, the long stages a quarter of an hour on an H100.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from ganime.cli.common import DEFAULT_HOME, HomeOption
from ganime.drawing.sampling import generate
from ganime.faces.dataset import FaceDataset, load_faces
from ganime.measuring.report import Report
from ganime.measuring.training_faces import save_training_faces, training_faces_of
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from ganime.nets.anime_features import FEATURE_SIDE
from ganime.nets.device import pick_device
from weights.make.default_stages import (
    STAGES,
    Stage,
    card_line,
    polish_stage,
    train_example,
    train_stage,
)
from weights.make.frechet_loss import shipped_views
from weights.make.model_card import COUNT, EXAMPLE, PEER, measure, write_model
from weights.make.teachers import views_with

NAME = "anime-128"


def main(
    data: list[Path],
    peer: Annotated[Path | None, typer.Option(help="Folder or zip of another model's faces, to compare with.")] = None,
    example: Annotated[bool, typer.Option(help="Train the PyTorch DCGAN example on as many images, too.")] = False,
    scale: Annotated[float, typer.Option(help="Factor on the length of every stage.")] = 1.0,
    teachers: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder of packages whose networks take part in polishing."),
    ] = None,
    device: str = "auto",
    threads: int = 0,
    runs: Path = Path("runs"),
    out: Path = Path("weights"),
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Train, measure and write anime-128 and its training faces."""
    if threads:
        torch.set_num_threads(threads)
    target = pick_device(device)
    views = views_with(teachers, target) if teachers else shipped_views(target)
    real = load_faces(data, FEATURE_SIDE, home / "cache")
    training_faces = training_faces_of(real, most=len(real.train))
    last_column = {"training faces": measure_training_faces(real)}
    others: dict[str, Report] = {}
    if peer:
        others[PEER] = measure(
            load_faces([peer], FEATURE_SIDE, home / "cache", keep_duplicates=True).images[:COUNT], real
        )
    line: list[tuple[Stage, Checkpoint]] = []
    for stage in STAGES:
        stage = replace(stage, images=max(64, int(stage.images * scale)))
        print(stage, flush=True)
        start = line[-1][1] if line else None
        if stage.polish:
            assert start
            polish_stage(stage, start, data, runs, device, home, views)
        else:
            train_stage(stage, start, data, runs, device, home)
        line.append((stage, load_checkpoint(runs / stage.name, with_discriminator=True)))
    model = with_facts(line, len(real.train))
    if example:
        textbook = train_example(model.training["images"], data, runs, device, home)
        others[EXAMPLE] = measure(generate(textbook, range(COUNT)), real)
    history = [card_line(*step) for step in line]
    write_model(model, history, real, training_faces, others | last_column, out / NAME)
    written = load_checkpoint(out / NAME)
    save_training_faces(training_faces, {written.name: written.revision}, out / "anime-faces")


def measure_training_faces(real: FaceDataset) -> Report:
    """The report of 1,000 training faces, which is as good as a model can be."""
    chosen = np.random.default_rng(0).permutation(real.train)[:COUNT]
    return measure(real.images[np.sort(chosen)], real)


def with_facts(line: list[tuple[Stage, Checkpoint]], faces: int) -> Checkpoint:
    """The model of the last stage; its card counts the images and seconds of all stages."""
    sums = {fact: sum(model.training.get(fact, 0) for _, model in line) for fact in ("images", "seconds")}
    model = line[-1][1]
    polished = model.training["polished_images"]
    return replace(model, training={"recipe": "modern", **sums, "polished_images": polished, "faces": faces})


if __name__ == "__main__":
    typer.run(main)
