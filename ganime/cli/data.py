"""Faces as data: `audit`, `remember-faces` and `copies`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ganime.cli import common
from ganime.config import RECIPES
from ganime.drawing.sampling import generate_recipes
from ganime.embedded import EMBEDDED
from ganime.errors import ConfigError, DataError
from ganime.faces.audit import Audit, audit, contact_sheet
from ganime.faces.dataset import FaceDataset
from ganime.files import write_bytes, write_json
from ganime.images import png_bytes, sheet
from ganime.measuring.copies import COMPARED_FACES, compare_with_training_faces
from ganime.measuring.training_faces import (
    VECTORS_FILE,
    TrainingFaces,
    compute_training_faces,
    find_training_faces,
    save_training_faces,
)
from ganime.models.hub import open_model
from ganime.nets.anime_features import FEATURE_SIDE

LISTED_FILES = 20  # skipped files that are listed on the terminal; --json lists all
FlipOption = Annotated[bool, typer.Option("--flip/--no-flip", help="Whether the model trained on mirrored faces too.")]


def audit_command(
    data: common.DataArgument,
    image_size: Annotated[int, typer.Option(min=16, max=1024, help="Size in px to train at.")] = RECIPES["modern"][
        1
    ].image_size,
    keep_duplicates: common.DuplicatesOption = False,
    crop: common.CropOption = "none",
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the report to this file.")] = None,
    sheet_file: Annotated[Path | None, typer.Option("--sheet", help="Also write a PNG with 64 of the faces.")] = None,
    home: common.HomeOption = common.DEFAULT_HOME,
) -> None:
    """Report what a set of faces contains, which files will be used, and how to improve it."""
    common.check_png("--sheet", sheet_file)
    dataset = common.read_faces(data, image_size, home, keep_duplicates, crop)
    report = audit(dataset)
    print_audit(report)
    if json_file:
        write_json(json_file, report.to_dict())
    if sheet_file:
        write_bytes(sheet_file, png_bytes(contact_sheet(dataset)))
        print(f"contact sheet: {sheet_file}")


def rows_of(report: Audit) -> list[tuple[str, str, str]]:
    """The report as rows of three texts: what was counted or measured, the figure, and a remark."""
    kept = "kept" if report.duplicates_kept else "dropped"
    size = report.image_size
    return [
        ("files found", f"{report.found:,}", ""),
        ("used", f"{report.used:,}", f"{report.train:,} for training, {report.held_out:,} held out"),
        ("unreadable", f"{report.unused.get('unreadable', 0):,}", ""),
        ("too small", f"{report.unused.get('too small', 0):,}", ""),
        *(rows_of_search(report) if report.finds_faces else ()),
        ("exact duplicates", f"{report.exact_duplicates:,}", f"{kept}; pixels equal to those of another picture"),
        ("near duplicates", f"{report.near_duplicates:,}", f"{kept}; another picture, saved again"),
        *((f"ignored: {kind}s", f"{count:,}", "") for kind, count in sorted(report.passed_over.items())),
        ("similar", f"{report.similar:,}", "near another face; similar faces are trained on or held out together"),
        ("width", "{:,.0f} | {:,.0f} | {:,.0f}".format(*report.widths), "px: smallest, median, largest"),
        ("height", "{:,.0f} | {:,.0f} | {:,.0f}".format(*report.heights), "px: smallest, median, largest"),
        ("width to height", "{:.2f} | {:.2f} | {:.2f}".format(*report.aspects), "smallest, median, largest"),
        ("enlarged", f"{report.enlarged:,}", f"from pictures smaller than {size} px"),
        ("oblong", f"{report.oblong:,}", "a third or more is cropped away"),
        ("grey", f"{report.grey:,}", "without colour"),
    ]


def rows_of_search(report: Audit) -> Iterator[tuple[str, str, str]]:
    """The rows about faces that were searched for in pictures."""
    yield "without a face", f"{report.unused.get('no face', 0):,}", ""
    yield "cropped", f"{report.cropped:,}", "faces cut out of pictures that are more than a face"
    yield "further faces", f"{report.further:,}", "in pictures with several faces"


def print_audit(report: Audit) -> None:
    """Print the report as lines: its figures, the first skipped files, and the advice."""
    for what, value, remark in rows_of(report):
        print(f"{what:<40} {value:>22}   {remark}".rstrip())
    for name, _, reason in report.unused_files[:LISTED_FILES]:
        print(f"skipped: {name}: {reason}")
    if len(report.unused_files) > LISTED_FILES:
        print(f"skipped: and {len(report.unused_files) - LISTED_FILES:,} more; --json FILE lists all")
    for sentence in report.advice:
        print(f"advice: {sentence}")


def remember_faces_command(
    data: Annotated[list[Path], typer.Argument(help="The model's training faces: folders or archives.")],
    model: Annotated[list[str], typer.Option(help="A model trained on them; can be given several times.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; by default that of the first model.", show_default=False)
    ] = None,
    flip: FlipOption = True,
    keep_duplicates: common.DuplicatesOption = False,
    crop: common.CropOption = "none",
    home: common.HomeOption = common.DEFAULT_HOME,
) -> None:
    """Store numbers that describe a model's training faces, without pictures, so that `copies` can detect copies."""
    checkpoints = [open_model(name, home / "hub") for name in model]
    folder = out or checkpoints[0].folder
    assert folder is not None
    common.check_folder(folder)
    training_faces = training_faces_in(common.read_faces(data, FEATURE_SIDE, home, keep_duplicates, crop), flip)
    save_training_faces(training_faces, {checkpoint.name: checkpoint.revision for checkpoint in checkpoints}, folder)
    size = (folder / VECTORS_FILE).stat().st_size / 1e6
    print(
        f"{training_faces.total:,} training faces are described in {folder}, {size:.1f} MB, compared with "
        f"{len(training_faces.fresh):,} other real faces, {training_faces.held_out:,} of them held out"
    )


def copies_command(
    faces: common.FacesArgument,
    model: common.ModelOption = str(EMBEDDED),
    train_faces: Annotated[
        list[Path] | None,
        typer.Option("--train", help="The faces that the model was trained on, if the model does not describe them."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="PNG to write: each face beside its nearest training faces; needs --train.")
    ] = None,
    flip: FlipOption = True,
    keep_duplicates: common.DuplicatesOption = False,
    crop: common.CropOption = "none",
    home: common.HomeOption = common.DEFAULT_HOME,
) -> None:
    """Report for each face of a model whether it is a copy of a training face."""
    if out and not train_faces:
        raise ConfigError("--out shows training faces; name them with --train FACES.")
    common.check_png("--out", out)
    checkpoint = open_model(model, home / "hub")
    if train_faces:
        dataset = common.read_faces(train_faces, checkpoint.generator.config.image_size, home, keep_duplicates, crop)
        training_faces, images = training_faces_in(dataset, flip), dataset.images
    else:
        training_faces, images = find_training_faces(checkpoint), None
    if training_faces is None:
        raise DataError(
            f"The training faces of {checkpoint.name} are not known here. Name them with --train FACES, or store a "
            "description of them: ganime remember-faces FACES --model MODEL."
        )
    rows = []
    for face in faces:
        [drawn] = generate_recipes(checkpoint, [common.read_face(checkpoint, face)])  # (H, W, 3)
        comparison = compare_with_training_faces(training_faces, drawn, images)
        print(f"{face}: {comparison.describe()}")
        if comparison.training is not None:
            rows.append(np.concatenate([comparison.face[None], comparison.training]))  # (1 + K, H, W, 3)
    if out:
        write_bytes(out, png_bytes(sheet(np.concatenate(rows), 1 + COMPARED_FACES)))
        print(f"{out} has one row for each face: the face, then its nearest training faces")


def training_faces_in(dataset: FaceDataset, flip: bool) -> TrainingFaces:
    """All training faces of a dataset, computed with progress on the terminal."""
    work = compute_training_faces(dataset, flip, len(dataset.train))
    return common.run_to_end(work, TrainingFaces, "training faces: {:.0%}".format)
