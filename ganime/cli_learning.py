"""The commands about learning: `train`, `evaluate` and `fit-features`."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from ganime.cli_data import read_faces
from ganime.cli_options import DEFAULT_HOME, DuplicatesOption, HomeOption, ThreadsOption, TruncationOption
from ganime.cli_show import asked_by_signal, show
from ganime.config import AUGMENTS, EYES, RECIPES, SCRATCH
from ganime.drawing.sampling import generate
from ganime.errors import ConfigError, DataError
from ganime.faces.dataset import FaceDataset
from ganime.files import atomic_file, refuse_to_replace
from ganime.measuring.distances import chance_of_nearness
from ganime.measuring.feature_training import EPOCHS, FitStep, fit_features
from ganime.measuring.report import Report, evaluate, inception_distance
from ganime.measuring.training_faces import learned
from ganime.models.checkpoint import EMBEDDED_MODELS, MODEL_FILES, load_checkpoint
from ganime.models.hub import open_model
from ganime.models.resizing import resize
from ganime.nets.anime_features import SIDE, load_features
from ganime.nets.dcgan import CONFIG_FILE
from ganime.training.distributed import Workers
from ganime.training.loop import train
from ganime.training.run_folder import RUN_FILE, read_run

FROZEN = 1  # layers of the discriminator that a small folder leaves as they were (`benchmarks.finetuning`)
FEWEST = 10  # faces that anything can be measured against
SMALL_FOLDER = 10_000  # faces; with fewer, a model that has seen many more is the better beginning


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
    generator_lr: Annotated[float | None, typer.Option(help="Learning rate of the generator.")] = None,
    discriminator_lr: Annotated[float | None, typer.Option(help="Learning rate of the discriminator.")] = None,
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
        "generator_lr": generator_lr,
        "discriminator_lr": discriminator_lr,
        "augment": augment,
        "critic": critic,
        "eyes": eyes,
        "seed": seed,
    }
    repeats = keep_duplicates or None
    fixed = {"from": start, "recipe": recipe, "image_size": image_size, "keep_duplicates": repeats, **changes}
    if resume and (given := [f"--{name.replace('_', '-')}" for name, value in fixed.items() if value is not None]):
        raise ConfigError(f"A run keeps what it began with: leave out {', '.join(given)}, or begin a new one.")
    config, model = read_run(run) if resume else RECIPES[recipe or "modern"]
    config = replace(config, **{name: value for name, value in changes.items() if value is not None})
    config = replace(config, images=images, steps=steps, minutes=minutes)
    config = replace(config, keep_duplicates=keep_duplicates or config.keep_duplicates)
    begun = open_model(start, home / "hub", with_discriminator=True) if start not in (None, SCRATCH) else None
    size = image_size or (begun.generator.config if begun else model).image_size
    model = replace(model, image_size=size)
    workers = Workers.join(device)
    set_threads(threads)
    with workers.in_turn():
        dataset = read_faces(data, size, home, config.keep_duplicates)
    if workers.leads:
        print_faces(dataset)
    few = len(dataset.train) < SMALL_FOLDER
    if few and not resume and start is None and recipe != "classic":
        nearest = max((side for side in EMBEDDED_MODELS if side <= size), default=min(EMBEDDED_MODELS))
        begun = load_checkpoint(EMBEDDED_MODELS[nearest], with_discriminator=True)
    if few and not resume and critic is None and not (begun and begun.critic):
        config = replace(config, critic=0.0)  # fresh heads were seen to be of use on many faces alone
    if eyes and not config.critic:
        raise ConfigError("--eyes is what the critic looks through, and this run has none; give it one by --critic 1.")
    if begun:
        side = begun.generator.config.image_size
        if few and begun.discriminator and side == size:
            config = replace(config, freeze=FROZEN)
        if workers.leads:
            how = "" if side == size else f", {'grown' if side < size else 'shrunk'} to {size} px"
            print(f"begins from {begun.name}, revision {begun.revision}{how}; --from {SCRATCH} begins afresh")
        begun = resize(begun, size)
    with asked_by_signal() as (should_stop, should_save):
        events = train(dataset, run, config, model, device, should_stop, should_save, begun)
        if workers.leads:
            show(events, run, config)
        else:
            deque(events, maxlen=0)  # works along in silence


def evaluate_command(
    model: Annotated[str, typer.Argument(help="A model folder, run, hub repo_id[@revision], or pictures to judge.")],
    reference: Annotated[list[Path], typer.Option(help="Folder or zip of real faces; may be given several times.")],
    train_faces: Annotated[
        list[Path] | None, typer.Option("--train", help="What the model was trained on, to look for copies.")
    ] = None,
    split: Annotated[
        bool, typer.Option("--split", help="--reference is what it was trained on: measure against the held-out part.")
    ] = False,
    count: Annotated[int, typer.Option(min=10, max=100_000, help="How many faces to generate.")] = 1000,
    seed: Annotated[int, typer.Option(help="The first seed.")] = 0,
    truncation: TruncationOption = 1.0,
    keep_duplicates: DuplicatesOption = False,
    inception: Annotated[
        bool, typer.Option("--inception", help="The usual FID as well; needs torch-fidelity and, once, the network.")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here, too.")] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Measure a model against real faces: quality, variety and copying, on anime features."""
    if split and train_faces:
        raise ConfigError("--split takes the training faces from --reference; leave --train out.")
    net = load_features()
    real = read_faces(reference, SIDE, home, keep_duplicates)
    known = None
    if split or train_faces:
        seen = read_faces(train_faces, SIDE, home, keep_duplicates) if train_faces else real
        known = learned(seen, most=len(seen.train))
        if not split and (shared := {digest(face) for face in seen.images} & {digest(face) for face in real.images}):
            raise DataError(
                f"{len(shared):,} faces are in --reference and in --train. Give as --reference faces that were not "
                "trained on, or leave --train out and use --split."
            )
    faces = real.images[real.held_out] if split else real.images
    if len(faces) < FEWEST:
        raise DataError(
            f"There are {len(faces)} faces to measure against{', the held-out tenth' * split}; at least {FEWEST} are "
            f"needed{f', so about {10 * FEWEST} in --reference' * split}."
        )
    judged = faces_to_judge(model, count, seed, truncation, home)
    report = evaluate(net, judged, faces, known)
    if inception:
        report = replace(report, fid=inception_distance(judged, faces))
    print_report(report)
    if json_file:
        with atomic_file(json_file) as temporary:
            temporary.write_text(json.dumps(report.to_dict(), indent=2) + "\n", encoding="utf-8")


def fit_features_command(
    data: Annotated[list[Path], typer.Argument(help="Folders or zips of faces.")],
    attributes: Annotated[Path, typer.Option(help="CSV: a file name, then 0 or 1 for each attribute, a row a face.")],
    out: Annotated[Path, typer.Option(help="Folder to write the network to.")],
    minutes: Annotated[float, typer.Option(help="At most so long; 0 for all epochs.")] = 0.0,
    epochs: Annotated[float, typer.Option(min=0.01, help="How often each face is seen.")] = EPOCHS,
    seed: Annotated[int, typer.Option(help="Start of everything random in the fit.")] = 0,
    threads: ThreadsOption = 0,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Fit the network that `evaluate` measures with to labelled faces."""
    refuse_to_replace(out, MODEL_FILES)
    set_threads(threads)

    def show_step(step: FitStep) -> None:
        print(f"{step.progress:.0%} {step.images:,} faces, attribute loss {step.attribute_loss:.4f}", flush=True)

    for score in fit_features(data, attributes, out, minutes, home / "cache", show_step, epochs, seed=seed):
        print(f"{score.name:<16} {score.balanced_accuracy:.3f}")


def digest(face: np.ndarray) -> bytes:
    return hashlib.sha256(face.tobytes()).digest()


def faces_to_judge(model: str, count: int, seed: int, truncation: float, home: Path) -> np.ndarray:
    """Generated faces of a model, or the pictures themselves where `model` is a folder or zip of pictures."""
    path = Path(model)
    is_model = any((path / name).exists() for name in (CONFIG_FILE, RUN_FILE))
    if path.suffix == ".zip" or (path.is_dir() and not is_model):
        pictures = read_faces([path], SIDE, home, keep_duplicates=True).images  # one face again and again is a finding
        if len(pictures) < count:
            raise DataError(f"{model} has {len(pictures)} pictures; --count asks for {count}.")
        return pictures[:count]
    return generate(open_model(model, home / "hub"), range(seed, seed + count), truncation)


def print_report(report: Report) -> None:
    print(f"{report.generated:,} faces against {report.reference:,} real ones, on anime features")
    print(f"Frechet distance   {report.frechet:9.2f}   0 is best; depends on the counts")
    print(f"kernel distance    {report.kernel * 1000:9.2f}   x 1000, +- {report.kernel_error * 1000:.2f}; 0 is best")
    print(f"precision          {report.precision:9.3f}   share of faces that look real")
    print(f"recall             {report.recall:9.3f}   share of real variety that is covered")
    print(f"density            {report.density:9.3f}")
    print(f"coverage           {report.coverage:9.3f}   real faces with a generated one near")
    if report.fid is not None:
        print(f"FID (Inception)    {report.fid:9.2f}   0 is best; depends on the counts")
    if report.copying:
        chance, error = chance_of_nearness(report.generated, report.reference)
        copies = report.copying.near_copies > chance + 4 * error
        verdict = "copies of training faces" if copies else "no more than chance gives"
        print(
            f"near copies        {report.copying.near_copies:9.3f}   {chance:.3f} on average without copying: {verdict}"
        )
        print(
            f"nearness           {report.copying.statistic:9.2f}   z-score; negative: nearer to the training faces than"
        )
        print("                             fresh faces are, as copies lie, and very typical faces")


def set_threads(threads: int) -> None:
    if threads < 0:
        raise ConfigError(f"--threads must be at least 0; got {threads}.")
    if threads:
        torch.set_num_threads(threads)


def print_faces(dataset: FaceDataset) -> None:
    print(f"{len(dataset.train):,} faces to learn from, {len(dataset.held_out):,} held out, "
          f"{len(dataset.skipped):,} skipped")  # fmt: skip
    for name, reason in dataset.skipped[:10]:
        print(f"  skipped {name}: {reason}")
