"""Reading models from the disk, a few at a time for the whole page: each is in memory twice while it is checked."""

from __future__ import annotations

import re
import shutil
import threading
from pathlib import Path

from ganime.files import atomic_folder
from ganime.models.checkpoint import Checkpoint, load_checkpoint, model_files

MAX_LOADING = 2  # models at a time
places = threading.BoundedSemaphore(MAX_LOADING)


def load_model(folder: Path, with_discriminator: bool = False) -> Checkpoint:
    """The model in a folder, as `load_checkpoint` reads it, once there is a place."""
    with places:
        return load_checkpoint(folder, with_discriminator)


def copy_model(source: Path, folder: Path) -> str:
    """Copy the model at `source` to a folder inside `folder` and return its name; the original may be deleted later.

    Raises CheckpointError if it cannot be read.
    """
    checkpoint = load_model(source)
    name = safe_model_name(checkpoint.name)
    with atomic_folder(folder / name) as temporary:
        for file in model_files(checkpoint.folder or source):
            shutil.copyfile(file, temporary / file.name)
    return name


def safe_model_name(name: str) -> str:
    """Return the name if it is safe as a folder's name, else "model"."""
    return name if re.fullmatch(r"[A-Za-z0-9][\w.-]{0,60}", name, re.ASCII) else "model"
