"""Faces as data: `audit`, and whether a face is a copy."""

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
    DuplicatesOption,
    FacesArgument,
    HomeOption,
    ModelOption,
    read_face,
    read_faces,
    tell,
)
from ganime.config import RECIPES
from ganime.drawing.sampling import render
from ganime.errors import ConfigError, DataError
from ganime.faces.audit import Audit, audit, contact_sheet
from ganime.faces.dataset import FaceDataset
from ganime.files import atomic_file
from ganime.images import png_bytes, sheet
from ganime.measuring.copies import SHOWN, compare_with_training_faces
from ganime.measuring.training_faces import (
    FACES_VECTORS_FILE,
    TrainingFaces,
    find_training_faces,
    read_training_faces,
    save_training_faces,
)
from ganime.models.checkpoint import (
    EMBEDDED,
    Checkpoint,
)
from ganime.models.hub import open_model
from ganime.nets.anime_features import FEATURE_SIDE

NAMED = 20  # files that are named on the terminal; --json names all
FlipOption = Annotated[bool, typer.Option("--flip/--no-flip", help="Whether the training mirrored its faces.")]


def audit_command(
    data: Annotated[list[Path], typer.Argument(help="Folders or zips of faces.")],
    image_size: Annotated[
        int, typer.Option(min=16, max=1024, help="Side of the faces in px, as they will be trained.")
    ] = RECIPES["modern"][1].image_size,
    keep_duplicates: DuplicatesOption = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report here, too.")] = None,
    sheet_file: Annotated[Path | None, typer.Option("--sheet", help="Write a PNG with 64 of the faces.")] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Tell what a set of faces is made of, what will be used of it, and what to do about the rest."""
    if sheet_file and sheet_file.suffix.lower() != ".png":
        raise ConfigError(f"--sheet writes PNG; {sheet_file} should end in .png.")
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
    """The report as rows: what, how many or how much, and a remark."""
    kept = "kept" if report.duplicates_kept else "dropped"
    size = report.image_size
    return [
        ("files found", f"{report.found:,}", ""),
        ("used", f"{report.used:,}", f"{report.train:,} to learn from, {report.held_out:,} held out"),
        ("unreadable", f"{report.unused.get('unreadable', 0):,}", ""),
        ("too small", f"{report.unused.get('too small', 0):,}", ""),
        ("exact duplicates", f"{report.exact_duplicates:,}", f"{kept}; the same pixels as another one"),
        ("near duplicates", f"{report.near_duplicates:,}", f"{kept}; another one saved again"),
        *((f"passed over: {kind}", f"{count:,}", "") for kind, count in sorted(report.passed_over.items())),
        ("alike", f"{report.similar:,}", "near another face; such faces are learned or held out together"),
        ("width", "{:,.0f} | {:,.0f} | {:,.0f}".format(*report.widths), "px: least, median, most"),
        ("height", "{:,.0f} | {:,.0f} | {:,.0f}".format(*report.heights), "px: least, median, most"),
        ("width to height", "{:.2f} | {:.2f} | {:.2f}".format(*report.aspects), "least, median, most"),
        ("enlarged", f"{report.enlarged:,}", f"from pictures smaller than {size} px"),
        ("oblong", f"{report.oblong:,}", "a third and more is cropped away"),
        ("grey", f"{report.grey:,}", "without colour"),
    ]


def named(report: Audit) -> Iterator[str]:
    """A line for each of the first files that are not used."""
    yield from (f"{name}: {reason}" for name, _, reason in report.unused_files[:NAMED])
    if len(report.unused_files) > NAMED:
        yield f"and {len(report.unused_files) - NAMED:,} more; --json FILE names all"


def print_lines(report: Audit) -> None:
    for what, value, remark in rows_of(report):
        print(f"{what:<40} {value:>22}   {remark}".rstrip())
    for title, lines in (("not used", list(named(report))), ("advice", report.advice)):
        for line in lines:
            print(f"{title}: {line}")


def print_tables(report: Audit, console: Console) -> None:
    table = Table(title=f"Faces at {report.image_size} px", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    for row in rows_of(report):
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)
    if report.unused_files:
        files = Table("not used", "why", title="Files that are not used", title_justify="left")
        for name, _, reason in report.unused_files[:NAMED]:
            files.add_row(escape(name), escape(reason))
        console.print(files)
        if len(report.unused_files) > NAMED:
            console.print(f"and {len(report.unused_files) - NAMED:,} more; --json FILE names all")
    for sentence in report.advice:
        console.print(f"[bold]•[/bold] {escape(sentence)}")


def known_command(
    data: Annotated[list[Path], typer.Argument(help="Folders or zips of the faces that the models learned from.")],
    model: Annotated[list[str], typer.Option(help="A model that learned from them; may be given several times.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; by default the first model's own.", show_default=False)
    ] = None,
    flip: FlipOption = True,
    keep_duplicates: DuplicatesOption = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Keep how the training faces of a model look, in numbers and without pictures, so that copies can be told."""
    checkpoints = [open_model(name, home / "hub") for name in model]
    folder = out or checkpoints[0].folder
    assert folder is not None
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--out {folder} is a file; name a folder, which is made where there is none.")
    dataset = read_faces(data, FEATURE_SIDE, home, keep_duplicates)
    known = looked_at(dataset, flip)
    save_training_faces(known, {checkpoint.name: checkpoint.revision for checkpoint in checkpoints}, folder)
    size = (folder / FACES_VECTORS_FILE).stat().st_size / 1e6
    print(
        f"{known.total:,} training faces as numbers in {folder}, {size:.1f} MB; {len(known.fresh):,} other faces, "
        f"{known.held_out:,} of them held out, tell how near is near"
    )


def copies_command(
    faces: FacesArgument,
    model: ModelOption = str(EMBEDDED),
    train_faces: Annotated[
        list[Path] | None,
        typer.Option("--train", help="The faces that the model was trained on, where Ganime does not know them."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="PNG to write: each face with its nearest training faces; needs --train.")
    ] = None,
    flip: FlipOption = True,
    keep_duplicates: DuplicatesOption = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Tell for each face of a model whether it copies one that the model was trained on."""
    if out and not train_faces:
        raise ConfigError("--out shows training faces; say by --train where they are.")
    if out and out.suffix.lower() != ".png":
        raise ConfigError(f"--out writes PNG; {out} should end in .png.")
    checkpoint = open_model(model, home / "hub")
    known, images = known_by(checkpoint, train_faces, flip, keep_duplicates, home)
    rows = []
    for face in faces:
        z, truncation, _ = read_face(checkpoint, face)
        found = compare_with_training_faces(
            known, render(checkpoint.generator, z[None] * np.float32(truncation))[0], images
        )
        print(f"{face}: {found.describe()}")
        if found.training is not None:
            rows.append(np.concatenate([found.face[None], found.training]))  # (1 + K, H, W, 3)
    if out:
        with atomic_file(out) as temporary:
            temporary.write_bytes(png_bytes(sheet(np.concatenate(rows), 1 + SHOWN)))
        print(f"In each row of {out}: a face, then the training faces nearest to it.")


def known_by(
    checkpoint: Checkpoint, train_faces: list[Path] | None, flip: bool, keep_duplicates: bool, home: Path
) -> tuple[TrainingFaces, np.ndarray | None]:
    """What is known of a model's training faces, and their pictures where they are given."""
    if train_faces:
        dataset = read_faces(train_faces, checkpoint.generator.config.image_size, home, keep_duplicates)
        return looked_at(dataset, flip), dataset.images
    if known := find_training_faces(checkpoint):
        return known, None
    raise DataError(
        f"The faces that {checkpoint.name} was trained on are not known here. Name them by --train FACES, or have them "
        "kept as numbers: python -m ganime known FACES --model MODEL."
    )


def looked_at(dataset: FaceDataset, flip: bool) -> TrainingFaces:
    """What is known of a dataset, all training faces looked at, with progress on the terminal."""
    for event in read_training_faces(dataset, flip, len(dataset.train)):
        if isinstance(event, TrainingFaces):
            return event
        tell(f"{event:.0%} the training faces")
    raise AssertionError("learn ends with what is known")
