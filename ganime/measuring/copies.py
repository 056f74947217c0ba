"""Copies: faces beside the training faces nearest to them, and whether they are nearer than chance allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ganime.drawing.sampling import generate
from ganime.errors import DataError
from ganime.faces.dataset import FaceDataset
from ganime.measuring.training_faces import TRAINING_MOST, TrainingFaces, read_training_faces
from ganime.models.checkpoint import Checkpoint

if TYPE_CHECKING:
    from jaxtyping import Float, Int, UInt8

NEAR_SHARE = 0.01  # a face that fewer fresh faces come as near as counts as a copy
CLOSE_SHARE = 0.1  # and below this share as close
SHOWN = 4  # training faces beside a face
COPY, CLOSE, FREE = "copy", "close", "free"


@dataclass(frozen=True, eq=False)
class NearestFaces:
    """Faces and the training face nearest to each, as `ganime.measuring.training_faces` sees them from afar.

    faces, training: uint8 (N, H, W, 3), RGB; a training face is mirrored where that comes nearer. positions: of the
    training faces in the dataset. distances: Euclidean. shares: of the fresh faces, how many lie nearer to a training
    face than this one does; 0.5 for a face as far away as most, near 0 for a copy. fresh: how many faces that the
    model never learned from were compared with. among: how many training faces were looked at.
    """

    faces: UInt8[np.ndarray, "n h w 3"]
    training: UInt8[np.ndarray, "n h w 3"]
    positions: Int[np.ndarray, " n"]
    distances: Float[np.ndarray, " n"]
    shares: Float[np.ndarray, " n"]
    fresh: int
    among: int

    def describe(self) -> str:
        """Where the distances stand against those of fresh faces, in words that hold where training faces help out."""
        near, count = int((self.shares < NEAR_SHARE).sum()), len(self.shares)
        return (
            f"Looked for among {self.among:,} training faces. Of {self.fresh:,} other real faces "
            f"{np.median(self.shares):.0%} lie nearer to a training face than the middle one of these {count}. "
            + (f"{near} of them {'lies' if near == 1 else 'lie'}" if near else "None of them lies")
            + f" nearer than {1 - NEAR_SHARE:.0%} of real faces do; one in a hundred does by chance."
        )


@dataclass(frozen=True, eq=False)
class Comparison:
    """One face and the training faces nearest to it.

    share: of the fresh faces, how many lie nearer to a training face than this one. distances: (K,), the nearest first.
    positions: (K,), of these training faces in the dataset, and training: uint8 (K, H, W, 3), their pictures, mirrored
    where that comes nearer; both None where no pictures are at hand. known: what it was compared with.
    """

    face: UInt8[np.ndarray, "h w 3"]
    share: float
    distances: Float[np.ndarray, " k"]
    known: TrainingFaces
    positions: Int[np.ndarray, " k"] | None = None
    training: UInt8[np.ndarray, "k h w 3"] | None = None

    @property
    def verdict(self) -> str:
        """ "copy", "close" or "free"; see `Known.bar` for how often a face is called a copy that is none."""
        return COPY if self.distances[0] < self.known.bar else CLOSE if self.share < CLOSE_SHARE else FREE

    def describe(self) -> str:
        """The verdict with its grounds and how often chance alone gives it, in words."""
        known, others = self.known, f"{len(self.known.fresh):,} {'held-out' if self.held_out else 'other real'} faces"
        nearer = f"nearer to a training face than {than(self.share)} of {others} are"
        among = f"{len(known.own):,} of {known.total:,}" if len(known.own) < known.total else f"{known.total:,}"
        said = {
            COPY: f"It looks like a copy: it is {nearer}. {known.called:,} of those would be called copies, too: by "
            "chance, or since a drawing comes more than once.",
            CLOSE: f"Close to a training face, but no copy by this measure: it is {nearer}. Of faces that copy "
            "nothing, one in ten comes so close.",
            FREE: f"No copy by this measure: it is {nearer}. Of faces that copy nothing, half are over 50 %.",
        }
        return f"{said[self.verdict]} Looked for among {among} training faces{', mirrored too' * known.flip}."

    @property
    def held_out(self) -> bool:
        """Whether all faces that were compared with had been held out of the training."""
        return self.known.held_out == len(self.known.fresh)


def than(share: float) -> str:
    """The share of faces that are left behind, never rounded up to all of them."""
    if share == 0:
        return "every one"
    left = 100 * (1 - share)
    return f"{min(left, 99.9):.1f} %" if left > 99 else f"{left:.0f} %"


def compare_with_training_faces(
    known: TrainingFaces, face: UInt8[np.ndarray, "h w 3"], images: UInt8[np.ndarray, "n h w 3"] | None = None
) -> Comparison:
    """Whether a face copies one that its model learned from.

    known: from `find_training_faces` or `read_training_faces`. images: the dataset's, to show the nearest training
    faces.
    Raises DataError for anything but a uint8 picture.
    """
    face = np.asarray(face)
    if face.ndim != 3:
        raise DataError(f"A face must be uint8 of shape (H, W, 3); got {face.dtype} {face.shape}.")
    [found], [places], [turned] = known.nearest(face[None], SHOWN)  # (K,)
    share = float(known.shares(found[0]))
    if images is None or known.positions is None:
        return Comparison(face, share, found, known)
    positions = known.positions[places]
    return Comparison(face, share, found, known, positions, pictures(images, positions, turned))


def nearest_faces(
    checkpoint: Checkpoint,
    dataset: FaceDataset,
    seeds: Sequence[int],
    truncation: float = 1.0,
    flip: bool = True,
    most: int = TRAINING_MOST,
) -> Iterator[float | NearestFaces]:
    """Generate the faces of `seeds` and find the training face nearest to each: progress, 0 to 1, then NearestFaces.

    flip, most: as in `read_training_faces`. Raises RecipeError for seeds that name no face, DataError for faces that
    cannot be compared.
    """
    known = None
    for known in read_training_faces(dataset, flip, most):
        if not isinstance(known, TrainingFaces):
            yield known
    assert isinstance(known, TrainingFaces)
    assert known.positions is not None
    faces = generate(checkpoint, seeds, truncation)
    found, places, turned = (table[:, 0] for table in known.nearest(faces))  # (N,)
    positions = known.positions[places]
    training = pictures(dataset.images, positions, turned)
    yield NearestFaces(faces, training, positions, found, known.shares(found), len(known.fresh), len(known.own))


def pictures(images: np.ndarray, positions: np.ndarray, turned: np.ndarray) -> UInt8[np.ndarray, "k h w 3"]:
    """The dataset's faces at `positions`, those in `turned` mirrored."""
    found = np.array(images[positions])  # (K, H, W, 3)
    found[turned] = found[turned, :, ::-1]
    return found
