"""Measuring a model and fitting the network that measures: `evaluate` and `fit-features`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ganime.cli.common import (
    DEFAULT_HOME,
    DuplicatesOption,
    HomeOption,
    ThreadsOption,
    TruncationOption,
    read_faces,
    set_threads,
)
from ganime.drawing.sampling import generate
from ganime.errors import ConfigError, DataError
from ganime.files import atomic_file, refuse_to_replace
from ganime.measuring.distances import chance_of_nearness
from ganime.measuring.feature_training import EPOCHS, FitStep, fit_features
from ganime.measuring.report import Report, evaluate, inception_distance
from ganime.measuring.training_faces import training_faces_of
from ganime.models.checkpoint import (
    CHECKPOINT_FILES,
)
from ganime.models.hub import open_model
from ganime.nets.anime_features import FEATURE_SIDE, load_features
from ganime.nets.dcgan import CONFIG_FILE
from ganime.training.run_folder import RUN_FILE

FEWEST = 10  # faces that anything can be measured against


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
    real = read_faces(reference, FEATURE_SIDE, home, keep_duplicates)
    known = None
    if split or train_faces:
        seen = read_faces(train_faces, FEATURE_SIDE, home, keep_duplicates) if train_faces else real
        known = training_faces_of(seen, most=len(seen.train))
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
    refuse_to_replace(out, CHECKPOINT_FILES)
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
        # One face drawn again and again is a finding, so duplicates are kept.
        pictures = read_faces([path], FEATURE_SIDE, home, keep_duplicates=True).images
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
