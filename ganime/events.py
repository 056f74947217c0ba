"""What a training run tells while it goes on; the command line, the page and the tests each consume it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import UInt8


@dataclass(frozen=True)
class Step:
    """Means over the steps since the last report. Losses are in nats (bce, relativistic) or margins (hinge)."""

    step: int
    images: int
    d_loss: float
    g_loss: float
    d_real: float
    d_fake: float
    images_per_second: float
    progress: float  # share of the nearest limit, 0 to 1


@dataclass(frozen=True)
class Preview:
    """Faces of seeds 0, 1, 2, ... as the model draws them now; uint8, (N, H, W, 3)."""

    images: int
    faces: UInt8[np.ndarray, "n h w 3"]


@dataclass(frozen=True)
class Saved:
    """A checkpoint that was written whole and can be resumed, sampled or shared."""

    images: int
    folder: Path


@dataclass(frozen=True)
class Notice:
    """Something a person should know, in words."""

    images: int
    text: str


@dataclass(frozen=True)
class Done:
    """The last event: why the run ended and where its last save lies."""

    images: int
    reason: str
    folder: Path


Event = Step | Preview | Saved | Notice | Done
