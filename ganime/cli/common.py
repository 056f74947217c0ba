"""What several commands share: options, checks of output paths, reading faces, and progress on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import torch
import typer

from ganime.config import CROPS
from ganime.drawing.clarity import DEFAULT_CLARITY, default_clarity
from ganime.drawing.recipe import MAX_CLARITY, Recipe, parse_seed
from ganime.drawing.sampling import generate, recipes_for
from ganime.errors import ConfigError, RecipeError
from ganime.faces.dataset import FaceDataset, load_faces
from ganime.models.checkpoint import Checkpoint
from ganime.nets.face_detector import face_finder
from ganime.shapes import UInt8
from ganime.text import quoted

T = TypeVar("T")
DEFAULT_HOME = Path(".ganime")
MODEL_HELP = "A model folder, a training run, or owner/name[@revision] on the Hugging Face hub."
ModelArgument = Annotated[str, typer.Argument(help=MODEL_HELP)]
ModelOption = Annotated[str, typer.Option("--model", help=MODEL_HELP, show_default=False)]
ModelFolderOption = Annotated[Path, typer.Option("--out", help="Model folder to write.")]
DataArgument = Annotated[
    list[Path], typer.Argument(help="Faces: folders, archives or pictures, or hf://datasets/owner/name.")
]
HomeOption = Annotated[
    Path, typer.Option(envvar="GANIME_HOME", help="Cache of decoded faces and of models from the hub.")
]
TruncationOption = Annotated[
    float, typer.Option(help="Factor on the latent, 0 to 1.5: 0 draws the average face, 1 leaves it unchanged.")
]
ClarityOption = Annotated[
    float | None,
    typer.Option(
        help=f"Share of the model's faces that each face is at least as clear as, 0 to {MAX_CLARITY:g}; 0 draws "
        f"latents unchanged. {DEFAULT_CLARITY:g} by default if `ganime clarity` was fitted to the model.",
        show_default=False,
    ),
]
SharpenOption = Annotated[
    int,
    typer.Option("--sharpen", help="Side in px to enlarge each face to by the upscaler, such as 512; 0 for none."),
]
SizeOption = Annotated[int, typer.Option(help="Scale the pictures to this many pixels; 0 keeps the model's size.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
ThreadsOption = Annotated[int, typer.Option(help="Number of CPU threads; 0 lets torch decide.")]
DuplicatesOption = Annotated[
    bool, typer.Option("--keep-duplicates", help="Use pictures that occur several times, too.")
]
CropOption = Annotated[
    str,
    typer.Option(
        help=f"One of {', '.join(CROPS)}: faces cuts the faces out of pictures that are more than a face, with the "
        "margin of the embedded model's training faces, and leaves out pictures without one; none takes the square in "
        "the middle of every picture."
    ),
]
FaceArgument = Annotated[str, typer.Argument(help="A face: a seed, or a PNG made by Ganime.")]
FacesArgument = Annotated[list[str], typer.Argument(help="Faces: seeds, or PNGs made by Ganime.")]
LINE_FACES = 2000  # decoded faces between two lines of progress
DRAWN_AT_ONCE = 64  # faces


def check_png(option: str, path: Path | None) -> None:
    """Raise ConfigError when a path that a PNG is to be written to has another suffix; None is fine."""
    if path and path.suffix.lower() != ".png":
        raise ConfigError(f"{option} writes PNG; {path} should end in .png.")


def check_folder(folder: Path | None) -> None:
    """Raise ConfigError when --out is a file where a folder is needed; it need not exist, and None is fine."""
    if folder and folder.exists() and not folder.is_dir():
        raise ConfigError(f"--out {folder} is a file. Name a folder; it is created if it does not exist.")


def read_face(checkpoint: Checkpoint, face: str) -> Recipe:
    """Read the recipe of a face that is given as a seed, which has the model's default clarity, or as a PNG of Ganime.

    Raises RecipeError when the text is neither, or when another model drew the face, and GanimeError for a PNG without
    a recipe.
    """
    if face.isdecimal():
        return recipes_for(checkpoint, [parse_seed(face)], clarity=default_clarity(checkpoint))[0]
    path = Path(face)
    if not path.is_file():
        raise RecipeError(f"A face is a seed, such as 7, or a PNG made by Ganime; got {face!r}.")
    try:
        recipe = Recipe.from_png(path)
        recipe.check_model(checkpoint.name, checkpoint.revision)
    except RecipeError as error:
        raise RecipeError(
            f"{path}: {error} Name the model of the face with --model, or find the nearest face of another model: "
            f"ganime project MODEL {path}."
        ) from error
    return replace(recipe, sharpened=0)


def read_faces(
    data: list[Path], image_size: int, home: Path, keep_duplicates: bool = False, crop: str = "none"
) -> FaceDataset:
    """Load the faces of folders, archives and pictures; if they have to be decoded first, show the progress.

    Raises ConfigError for a crop that is none of CROPS.
    """
    if crop not in CROPS:
        raise ConfigError(f"--crop must be one of {', '.join(CROPS)}; got {quoted(crop)}.")

    def show(done: int, total: int) -> None:
        text = f"decoding faces: {done:,}/{total:,}"
        if done == total or done % LINE_FACES == 0:
            print(text, flush=True)
        else:
            show_progress(text)

    return load_faces(data, image_size, home / "cache", show, keep_duplicates, face_finder(crop))


def draw_in_batches(
    checkpoint: Checkpoint, seeds: Sequence[int], truncation: float, clarity: float = 0.0
) -> Iterator[tuple[Sequence[int], UInt8[np.ndarray, "b size size 3"]]]:
    """Draw the faces of `seeds` a batch at a time, and show the progress; yields the seeds of a batch and its faces."""
    for start in range(0, len(seeds), DRAWN_AT_ONCE):
        batch = seeds[start : start + DRAWN_AT_ONCE]
        yield batch, generate(checkpoint, batch, truncation, clarity)
        show_progress(f"{start + len(batch):,} of {len(seeds):,} faces drawn")


def draw_to_file(
    checkpoint: Checkpoint, seeds: Sequence[int], path: Path, truncation: float = 1.0, clarity: float = 0.0
) -> UInt8[np.ndarray, "n size size 3"]:
    """Draw the faces of `seeds` into a .npy file, and return it as a memory-mapped array."""
    side = checkpoint.generator.config.image_size
    faces = np.lib.format.open_memmap(path, "w+", np.uint8, (len(seeds), side, side, 3))
    done = 0
    for batch, drawn in draw_in_batches(checkpoint, seeds, truncation, clarity):
        faces[done : done + len(batch)] = drawn
        done += len(batch)
    faces.flush()
    return faces


def run_to_end(work: Iterator[Any], result: type[T], text: Callable[[Any], str]) -> T:
    """Run long work up to its result, which has that type; `text` describes each report of progress before it."""
    for event in work:
        if isinstance(event, result):
            return event
        show_progress(text(event))
    raise AssertionError(f"the work ended without {result.__name__}")


def check_threads(threads: int) -> None:
    """Raise ConfigError for a negative number of CPU threads."""
    if threads < 0:
        raise ConfigError(f"--threads must be at least 0; got {threads}.")


def set_threads(threads: int) -> None:
    """Limit torch to this many CPU threads; 0 changes nothing. Raises ConfigError as `check_threads`."""
    check_threads(threads)
    if threads:
        torch.set_num_threads(threads)


def show_progress(text: str) -> None:
    """Overwrite the terminal's current line with `text`; does nothing when standard error is not a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="\r", file=sys.stderr, flush=True)
