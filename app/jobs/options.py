"""How training jobs are run: values that no owner of a page needs to set, and that tests change."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from app.settings import SPARE_BYTES


@dataclass(frozen=True)
class JobOptions:
    """Options of the supervisor and of the limits; times are in seconds.

    trainer: command that starts a trainer. niceness: lowest priority value of trainers, so that drawing faces goes
    first. poll: between two looks at the trainers. sweep: between two clean-ups. stop: from the request to stop until
    a trainer is killed. overtime: beyond the training and its pauses (`ganime.config.PAUSES`), for reading the faces
    and what follows the training, before a trainer is stopped. save: between two saves that a visitor requests. draft:
    for which an upload is kept without training. busy: to wait for another process that writes the database.
    spare_bytes: disk space that always stays free.
    """

    trainer: tuple[str, ...] = (sys.executable, "-m", "ganime")
    niceness: int = 10
    poll: float = 0.5
    sweep: float = 60.0
    stop: float = 120.0
    overtime: float = 1_800.0
    save: float = 15.0
    draft: float = 6 * 3_600.0
    busy: float = 5.0
    spare_bytes: int = SPARE_BYTES
