"""Reading models from the disk, a few at a time for the whole page: each is in memory twice while it is checked."""

from __future__ import annotations

import threading
from pathlib import Path

from ganime.models.checkpoint import Checkpoint, load_checkpoint

MAX_LOADING = 2  # models at a time
places = threading.BoundedSemaphore(MAX_LOADING)


def load_model(folder: Path, with_discriminator: bool = False) -> Checkpoint:
    """The model in a folder, as `load_checkpoint` reads it, once there is a place."""
    with places:
        return load_checkpoint(folder, with_discriminator)
