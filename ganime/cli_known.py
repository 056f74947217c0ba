"""The commands about copies: `known` keeps how training faces look, `copies` tells whether faces copy one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ganime.cli_data import read_faces
from ganime.cli_explore import FacesArgument, read_face, tell
from ganime.cli_options import DEFAULT_HOME, DuplicatesOption, HomeOption, ModelOption
from ganime.drawing.sampling import render
from ganime.errors import ConfigError, DataError
from ganime.faces.dataset import FaceDataset
from ganime.files import atomic_file
from ganime.images import png_bytes, sheet
from ganime.measuring.copies import SHOWN, kinship
from ganime.measuring.training_faces import VECTORS_FILE, Known, known_to, learn, save_known
from ganime.models.checkpoint import EMBEDDED, Checkpoint
from ganime.models.hub import open_model
from ganime.nets.anime_features import SIDE

FlipOption = Annotated[bool, typer.Option("--flip/--no-flip", help="Whether the training mirrored its faces.")]


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
    dataset = read_faces(data, SIDE, home, keep_duplicates)
    known = looked_at(dataset, flip)
    save_known(known, {checkpoint.name: checkpoint.revision for checkpoint in checkpoints}, folder)
    size = (folder / VECTORS_FILE).stat().st_size / 1e6
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
        found = kinship(known, render(checkpoint.generator, z[None] * np.float32(truncation))[0], images)
        print(f"{face}: {found.describe()}")
        if found.training is not None:
            rows.append(np.concatenate([found.face[None], found.training]))  # (1 + K, H, W, 3)
    if out:
        with atomic_file(out) as temporary:
            temporary.write_bytes(png_bytes(sheet(np.concatenate(rows), 1 + SHOWN)))
        print(f"In each row of {out}: a face, then the training faces nearest to it.")


def known_by(
    checkpoint: Checkpoint, train_faces: list[Path] | None, flip: bool, keep_duplicates: bool, home: Path
) -> tuple[Known, np.ndarray | None]:
    """What is known of a model's training faces, and their pictures where they are given."""
    if train_faces:
        dataset = read_faces(train_faces, checkpoint.generator.config.image_size, home, keep_duplicates)
        return looked_at(dataset, flip), dataset.images
    if known := known_to(checkpoint):
        return known, None
    raise DataError(
        f"The faces that {checkpoint.name} was trained on are not known here. Name them by --train FACES, or have them "
        "kept as numbers: python -m ganime known FACES --model MODEL."
    )


def looked_at(dataset: FaceDataset, flip: bool) -> Known:
    """What is known of a dataset, all training faces looked at, with progress on the terminal."""
    for event in learn(dataset, flip, len(dataset.train)):
        if isinstance(event, Known):
            return event
        tell(f"{event:.0%} the training faces")
    raise AssertionError("learn ends with what is known")
