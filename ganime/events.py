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
class Measured:
    """How good, varied and original the faces of the moving average are now, on anime features.

    generated, reference: how many faces were compared; the reference is the held-out part where it is large enough.
    frechet, kernel, precision, recall, coverage: as in `evaluation.Report`.
    diversity: how far a generated face lies from the others, over the same of real faces; 1 is as varied as those.
    near_copies: share of generated faces nearer to a training face than all but 1 % of fresh faces are; 0.01 by chance.
    copying: z-score of that comparison, strongly negative for copies.
    memory: how far the discriminator tells training faces from fresh ones, 0 for not at all, 1 for as well as
    training faces from generated ones; None without fresh faces to ask it about.
    best: whether this is the lowest Fréchet distance of the run so far, and not reached by copies.
    """

    images: int
    generated: int
    reference: int
    frechet: float
    kernel: float
    precision: float
    recall: float
    coverage: float
    diversity: float
    near_copies: float
    copying: float
    memory: float | None
    best: bool


@dataclass(frozen=True)
class Verdict:
    """What the run is doing, in words: the state, what it was seen by, and what to do about it."""

    images: int
    state: str  # one of VERDICTS
    reason: str
    advice: str


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


VERDICTS = ("early", "healthy", "discriminator winning", "stalled", "collapsed", "copying", "diverged")

Event = Step | Preview | Measured | Verdict | Saved | Notice | Done
