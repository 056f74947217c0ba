"""Measuring a model: `evaluate`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ganime.cli import common
from ganime.drawing.recipe import check_clarity, check_truncation
from ganime.errors import ConfigError, DataError
from ganime.files import write_json
from ganime.measuring.distances import chance_of_nearness
from ganime.measuring.report import Report, evaluate, inception_distance, reference_faces
from ganime.models.hub import open_model
from ganime.nets.anime_features import FEATURE_SIDE, load_features
from ganime.nets.dcgan import CONFIG_FILE
from ganime.training.run_folder import RUN_FILE


def evaluate_command(
    model: Annotated[str, typer.Argument(help=f"{common.MODEL_HELP} Or pictures.")],
    reference: Annotated[list[Path], typer.Option(help="Real faces: a folder or archive; repeatable.")],
    train_faces: Annotated[
        list[Path] | None, typer.Option("--train", help="The faces that the model was trained on, to detect copies.")
    ] = None,
    split: Annotated[
        bool, typer.Option("--split", help="The model was trained on --reference: measure against its held-out part.")
    ] = False,
    count: Annotated[int, typer.Option(min=10, max=100_000, help="Number of faces to measure.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the first face.")] = 0,
    truncation: common.TruncationOption = 1.0,
    clarity: Annotated[float, typer.Option(help="As for `sample`; by default, latents are drawn unchanged.")] = 0.0,
    keep_duplicates: common.DuplicatesOption = False,
    crop: common.CropOption = "none",
    inception: Annotated[bool, typer.Option("--inception", help="Also compute the FID (Inception network).")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")] = None,
    home: common.HomeOption = common.DEFAULT_HOME,
) -> None:
    """Measure a model against real faces: quality, variety and copying, on anime features."""
    if split and train_faces:
        raise ConfigError("--split takes the training faces from --reference; leave out --train.")
    check_truncation(truncation)
    check_clarity(clarity)
    real = common.read_faces(reference, FEATURE_SIDE, home, keep_duplicates, crop)
    seen = common.read_faces(train_faces, FEATURE_SIDE, home, keep_duplicates, crop) if train_faces else None
    faces, training_faces = reference_faces(real, seen, split)
    with faces_to_measure(model, range(seed, seed + count), truncation, clarity, home) as measured:
        report = evaluate(load_features(), measured, faces, training_faces)
        if inception:
            report = replace(report, fid=inception_distance(measured, faces))
    print_report(report)
    if json_file:
        write_json(json_file, report.to_dict())


@contextmanager
def faces_to_measure(model: str, seeds: range, truncation: float, clarity: float, home: Path) -> Iterator[np.ndarray]:
    """Yield the faces of a model, or the pictures themselves if `model` is a folder or archive of pictures.

    They are an array of uint8, (N, H, W, 3), memory-mapped to a file that is deleted afterwards.
    """
    path = Path(model)
    is_model = any((path / name).exists() for name in (CONFIG_FILE, RUN_FILE))
    if path.suffix == ".zip" or (path.is_dir() and not is_model):
        # Repeated faces must count.
        pictures = common.read_faces([path], FEATURE_SIDE, home, keep_duplicates=True).images
        if len(pictures) < len(seeds):
            raise DataError(f"{model} contains {len(pictures)} pictures; --count asks for {len(seeds)}.")
        yield pictures[: len(seeds)]
        return
    checkpoint = open_model(model, home / "hub")
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".evaluate-", dir=home) as folder:
        yield common.draw_to_file(checkpoint, seeds, Path(folder) / "faces.npy", truncation, clarity)


def print_report(report: Report) -> None:
    """Print the figures of a report, each with what it means."""
    print(f"{report.generated:,} faces against {report.reference:,} real ones, on anime features")
    print(f"Frechet distance   {report.frechet:9.2f}   0 is best; depends on the counts")
    print(f"kernel distance    {report.kernel * 1000:9.2f}   x 1000, +- {report.kernel_error * 1000:.2f}; 0 is best")
    print(f"precision          {report.precision:9.3f}   share of faces that look real")
    print(f"recall             {report.recall:9.3f}   share of the real variety that is covered")
    print(f"density            {report.density:9.3f}")
    print(f"coverage           {report.coverage:9.3f}   share of real faces with a generated one nearby")
    if report.fid is not None:
        print(f"FID (Inception)    {report.fid:9.2f}   0 is best; depends on the counts")
    if report.copying:
        chance, error = chance_of_nearness(report.generated, report.reference)
        copying = report.copying.near_copies > chance + 4 * error
        verdict = "copies of training faces" if copying else "no more than expected by chance"
        print(f"near copies        {report.copying.near_copies:9.3f}   {chance:.3f} by chance: {verdict}")
        print(f"nearness           {report.copying.statistic:9.2f}   z-score; negative if the faces are nearer to the")
        print("                             training faces than real ones are, as copies and very typical faces are")
