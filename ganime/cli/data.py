"""Faces as data: `audit`, `remember-faces` and `copies`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ganime.cli.common import (
    DEFAULT_HOME,
    DataArgument,
    DuplicatesOption,
    FacesArgument,
    HomeOption,
    ModelOption,
    check_folder,
    check_png,
    read_face,
    read_faces,
    show_progress,
)
from ganime.config import RECIPES
from ganime.drawing.sampling import render
from ganime.errors import ConfigError, DataError
from ganime.faces.audit import Audit, audit, contact_sheet
from ganime.faces.dataset import FaceDataset
from ganime.files import atomic_file
from ganime.images import png_bytes, sheet
from ganime.measuring.copies import COMPARED_FACES, compare_with_training_faces
from ganime.measuring.training_faces import (
    FACES_VECTORS_FILE,
    TrainingFaces,
    find_training_faces,
    read_training_faces,
    save_training_faces,
)
from ganime.models.checkpoint import EMBEDDED, Checkpoint
from ganime.models.hub import open_model
from ganime.nets.anime_features import FEATURE_SIDE

LISTED_FILES = 20  # unused files that are listed on the terminal; --json lists all
FlipOption = Annotated[
    bool, typer.Option("--flip/--no-flip", help="Whether the model was trained on mirrored faces too.")
]


def audit_command(
    data: DataArgument,
    image_size: Annotated[
        int, typer.Option(min=16, max=1024, help="Image size in px that the faces will be trained at.")
    ] = RECIPES["modern"][1].image_size,
    keep_duplicates: DuplicatesOption = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the report to this file.")] = None,
    sheet_file: Annotated[Path | None, typer.Option("--sheet", help="Also write a PNG with 64 of the faces.")] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Report what a set of faces contains, which files will be used, and how to improve it."""
    check_png("--sheet", sheet_file)
    dataset = read_faces(data, image_size, home, keep_duplicates)
    report = audit(dataset)
    console = Console(emoji=False, highlight=False)  # a file may be called ":smile:.png"
    if console.is_terminal:
        print_tables(report, console)
    else:
        print_lines(report)
    if json_file:
        with atomic_file(json_file) as temporary:
            temporary.write_text(json.dumps(report.to_dict(), indent=2) + "\n", encoding="utf-8")
    if sheet_file:
        with atomic_file(sheet_file) as temporary:
            temporary.write_bytes(png_bytes(contact_sheet(dataset)))
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
        ("exact duplicates", f"{report.exact_duplicates:,}", f"{kept}; pixels equal to those of another picture"),
        ("near duplicates", f"{report.near_duplicates:,}", f"{kept}; another picture, saved again"),
        *((f"ignored: {kind}", f"{count:,}", "") for kind, count in sorted(report.passed_over.items())),
        ("similar", f"{report.similar:,}", "near another face; similar faces are trained on or held out together"),
        ("width", "{:,.0f} | {:,.0f} | {:,.0f}".format(*report.widths), "px: smallest, median, largest"),
        ("height", "{:,.0f} | {:,.0f} | {:,.0f}".format(*report.heights), "px: smallest, median, largest"),
        ("width to height", "{:.2f} | {:.2f} | {:.2f}".format(*report.aspects), "smallest, median, largest"),
        ("enlarged", f"{report.enlarged:,}", f"from pictures smaller than {size} px"),
        ("oblong", f"{report.oblong:,}", "a third or more is cropped away"),
        ("grey", f"{report.grey:,}", "without colour"),
    ]


def unused_lines(report: Audit) -> Iterator[str]:
    """A line for each of the first unused files, and one for the number of others."""
    yield from (f"{name}: {reason}" for name, _, reason in report.unused_files[:LISTED_FILES])
    if len(report.unused_files) > LISTED_FILES:
        yield f"and {len(report.unused_files) - LISTED_FILES:,} more; --json FILE lists all"


def print_lines(report: Audit) -> None:
    """Print the report as plain lines, for files and pipes."""
    for what, value, remark in rows_of(report):
        print(f"{what:<40} {value:>22}   {remark}".rstrip())
    for title, lines in (("not used", list(unused_lines(report))), ("advice", report.advice)):
        for line in lines:
            print(f"{title}: {line}")


def print_tables(report: Audit, console: Console) -> None:
    """Print the report as tables, for a terminal."""
    table = Table(title=f"Faces at {report.image_size} px", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    for row in rows_of(report):
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)
    if report.unused_files:
        files = Table("not used", "why", title="Unused files", title_justify="left")
        for name, _, reason in report.unused_files[:LISTED_FILES]:
            files.add_row(escape(name), escape(reason))
        console.print(files)
        if len(report.unused_files) > LISTED_FILES:
            console.print(f"and {len(report.unused_files) - LISTED_FILES:,} more; --json FILE lists all")
    for sentence in report.advice:
        console.print(f"[bold]•[/bold] {escape(sentence)}")


def remember_faces_command(
    data: Annotated[list[Path], typer.Argument(help="Folders or zip files of the model's training faces.")],
    model: Annotated[list[str], typer.Option(help="A model trained on them; can be given several times.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; by default that of the first model.", show_default=False)
    ] = None,
    flip: FlipOption = True,
    keep_duplicates: DuplicatesOption = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Store numbers that describe a model's training faces, without pictures, so that `copies` can detect copies."""
    checkpoints = [open_model(name, home / "hub") for name in model]
    folder = out or checkpoints[0].folder
    assert folder is not None
    check_folder(folder)
    training_faces = describe_training_faces(read_faces(data, FEATURE_SIDE, home, keep_duplicates), flip)
    save_training_faces(training_faces, {checkpoint.name: checkpoint.revision for checkpoint in checkpoints}, folder)
    size = (folder / FACES_VECTORS_FILE).stat().st_size / 1e6
    print(
        f"{training_faces.total:,} training faces are described in {folder}, {size:.1f} MB, compared with "
        f"{len(training_faces.fresh):,} other real faces, {training_faces.held_out:,} of them held out"
    )


def copies_command(
    faces: FacesArgument,
    model: ModelOption = str(EMBEDDED),
    train_faces: Annotated[
        list[Path] | None,
        typer.Option("--train", help="The faces that the model was trained on, if the model does not describe them."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="PNG to write: each face beside its nearest training faces; needs --train.")
    ] = None,
    flip: FlipOption = True,
    keep_duplicates: DuplicatesOption = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Report for each face of a model whether it is a copy of a training face."""
    if out and not train_faces:
        raise ConfigError("--out shows training faces; name them with --train FACES.")
    check_png("--out", out)
    checkpoint = open_model(model, home / "hub")
    training_faces, images = training_faces_for(checkpoint, train_faces, flip, keep_duplicates, home)
    rows = []
    for face in faces:
        z, truncation, _ = read_face(checkpoint, face)
        drawn = render(checkpoint.generator, z[None] * np.float32(truncation))[0]  # (H, W, 3)
        comparison = compare_with_training_faces(training_faces, drawn, images)
        print(f"{face}: {comparison.describe()}")
        if comparison.training is not None:
            rows.append(np.concatenate([comparison.face[None], comparison.training]))  # (1 + K, H, W, 3)
    if out:
        with atomic_file(out) as temporary:
            temporary.write_bytes(png_bytes(sheet(np.concatenate(rows), 1 + COMPARED_FACES)))
        print(f"{out} has one row for each face: the face, then its nearest training faces")


def training_faces_for(
    checkpoint: Checkpoint, train_faces: list[Path] | None, flip: bool, keep_duplicates: bool, home: Path
) -> tuple[TrainingFaces, np.ndarray | None]:
    """The description of a model's training faces, and their pictures, (N, H, W, 3), if `train_faces` names them.

    Raises DataError when they are neither named nor described beside the model.
    """
    if train_faces:
        dataset = read_faces(train_faces, checkpoint.generator.config.image_size, home, keep_duplicates)
        return describe_training_faces(dataset, flip), dataset.images
    if training_faces := find_training_faces(checkpoint):
        return training_faces, None
    raise DataError(
        f"The training faces of {checkpoint.name} are not known here. Name them with --train FACES, or store a "
        "description of them: python -m ganime remember-faces FACES --model MODEL."
    )


def describe_training_faces(dataset: FaceDataset, flip: bool) -> TrainingFaces:
    """Describe all training faces of a dataset, with progress on the terminal."""
    for event in read_training_faces(dataset, flip, len(dataset.train)):
        if isinstance(event, TrainingFaces):
            return event
        show_progress(f"training faces: {event:.0%}")
    raise AssertionError("read_training_faces ends with TrainingFaces")
