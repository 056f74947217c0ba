"""The command about training faces: `audit`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ganime.cli_options import DEFAULT_HOME, DuplicatesOption, HomeOption
from ganime.config import RECIPES
from ganime.errors import ConfigError
from ganime.faces.audit import Audit, audit, contact_sheet
from ganime.faces.dataset import FaceDataset, load_faces
from ganime.files import atomic_file
from ganime.images import png_bytes

NAMED = 20  # files that are named on the terminal; --json names all
EVERY = 2000  # faces between two lines of progress


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


def read_faces(data: list[Path], image_size: int, home: Path, keep_duplicates: bool = False) -> FaceDataset:
    """The faces of folders and zips; where they have to be decoded first, it is told how far that is."""
    with decoding() as progress:
        return load_faces(data, image_size, home / "cache", progress, keep_duplicates)


@contextmanager
def decoding() -> Iterator[Callable[[int, int], None]]:
    """Something to tell how many of all pictures are decoded: a bar on a terminal, a line now and then elsewhere."""
    if not sys.stdout.isatty():
        yield (
            lambda done, total: (
                print(f"decoding faces: {done:,}/{total:,}", flush=True) if done == total or done % EVERY == 0 else None
            )
        )
        return
    with Progress(TextColumn("decoding faces"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


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
