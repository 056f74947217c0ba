"""What several commands share: options, reading faces, progress on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from ganime.drawing.recipe import Recipe, check_truncation, latent, parse_seed
from ganime.errors import ConfigError, GanimeError, RecipeError
from ganime.faces.dataset import FaceDataset, load_faces
from ganime.images import read_recipe
from ganime.models.checkpoint import (
    Checkpoint,
)

DEFAULT_HOME = Path(".ganime")
ModelOption = Annotated[
    str,
    typer.Option("--model", help="A model folder, a training run, or a hub repo_id[@revision].", show_default=False),
]
HomeOption = Annotated[
    Path, typer.Option("--home", envvar="GANIME_HOME", help="Where decoded faces and pulled models are kept.")
]
TruncationOption = Annotated[float, typer.Option(help="Factor on the latent: 0 the average face, 1 as trained.")]
SizeOption = Annotated[int, typer.Option(help="Scale to this many pixels; 0 keeps the model's own size.")]
ThreadsOption = Annotated[int, typer.Option(help="CPU threads; 0 leaves it to torch.")]
DuplicatesOption = Annotated[bool, typer.Option("--keep-duplicates", help="Use pictures again that are there already.")]
FaceArgument = Annotated[str, typer.Argument(help="A face: a seed, or a PNG that Ganime made.")]
FacesArgument = Annotated[list[str], typer.Argument(help="Faces: seeds, or PNGs that Ganime made.")]
EVERY = 2000  # faces between two lines of progress


def read_face(checkpoint: Checkpoint, face: str) -> tuple[np.ndarray, float, int]:
    """The latent, truncation and seed of a face given as a seed or as a PNG with a recipe inside."""
    dim = checkpoint.generator.config.latent_dim
    if face.isdecimal():
        seed = parse_seed(face)
        return latent(seed, dim), 1.0, seed
    path = Path(face)
    if not path.is_file():
        raise RecipeError(f"A face is a seed, like 7, or a PNG that Ganime made; got {face!r}.")
    text = read_recipe(path.read_bytes())
    if not text:
        raise GanimeError(f"{path} holds no recipe. Find its face: python -m ganime project MODEL {path}.")
    recipe = Recipe.from_json(text)
    if recipe.revision != checkpoint.revision:
        raise RecipeError(
            f"{path} was drawn by {recipe.model} (revision {recipe.revision}), not by {checkpoint.name} "
            f"({checkpoint.revision}). Name its model by --model."
        )
    return recipe.untruncated(dim), check_truncation(recipe.truncation), recipe.seed


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


def set_threads(threads: int) -> None:
    if threads < 0:
        raise ConfigError(f"--threads must be at least 0; got {threads}.")
    if threads:
        torch.set_num_threads(threads)


def tell(text: str) -> None:
    """Progress on the terminal's own line; nothing where standard error is a file."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="\r", file=sys.stderr, flush=True)
