"""Copies: the training faces nearest to given faces, and whether they are nearer than chance explains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ganime.drawing.sampling import generate
from ganime.errors import DataError
from ganime.faces.dataset import FaceDataset
from ganime.measuring.training_faces import TRAINING_MOST, TrainingFaces, compute_training_faces
from ganime.models.checkpoint import Checkpoint
from ganime.shapes import Float, Int, UInt8

NEAR_SHARE = 0.01  # a face is near when a smaller share of fresh faces is nearer
CLOSE_SHARE = 0.1  # below this share of nearer fresh faces a face is close
COMPARED_FACES = 4  # nearest training faces in a comparison
COPY, CLOSE, FREE = "copy", "close", "free"
VERDICTS = {COPY: "It looks like a copy", CLOSE: "Close to a training face, but not a copy", FREE: "Not a copy"}


@dataclass(frozen=True, eq=False)
class NearestFaces:
    """Faces and the training face nearest to each, by the low-resolution features of `ganime.measuring.training_faces`.

    faces: (N, H, W, 3), uint8 RGB.
    training: (N, H, W, 3), uint8 RGB, the nearest training faces, mirrored if the mirror image is nearer.
    positions: (N,), of these training faces in the dataset.
    distances: (N,), Euclidean distances of the features.
    shares: (N,), the share of fresh faces that are nearer to a training face: near 0 for a copy, 0.5 for a face at the
        median distance.
    fresh: number of fresh faces; see `TrainingFaces.fresh`.
    among: number of training faces that were searched.
    """

    faces: UInt8[np.ndarray, "n h w 3"]
    training: UInt8[np.ndarray, "n h w 3"]
    positions: Int[np.ndarray, " n"]
    distances: Float[np.ndarray, " n"]
    shares: Float[np.ndarray, " n"]
    fresh: int
    among: int

    def describe(self) -> str:
        """The median share and the number of near faces, in words."""
        near, count = int((self.shares < NEAR_SHARE).sum()), len(self.shares)
        sign = "Some of these faces may be copies." if near > 1 else "No sign of copying."
        return (
            f"{sign} Compared with {self.among:,} training faces. Of {self.fresh:,} other real faces, "
            f"{np.median(self.shares):.0%} are nearer to a training face than the median of these {count}. "
            f"{near or 'None'} of them {'are' if near > 1 else 'is'} nearer than {1 - NEAR_SHARE:.0%} of real faces; "
            "one in a hundred is by chance."
        )


@dataclass(frozen=True, eq=False)
class Comparison:
    """One face and the training faces nearest to it.

    face: (H, W, 3), uint8 RGB.
    share: the share of fresh faces that are nearer to a training face than this one.
    distances: (K,), Euclidean distances of the features, the nearest first.
    training_faces: the training faces that it was compared with.
    positions: (K,), of the nearest training faces in the dataset; None without a dataset.
    training: (K, H, W, 3), uint8 RGB, their pictures, mirrored if the mirror image is nearer; None without a dataset.
    """

    face: UInt8[np.ndarray, "h w 3"]
    share: float
    distances: Float[np.ndarray, " k"]
    training_faces: TrainingFaces
    positions: Int[np.ndarray, " k"] | None = None
    training: UInt8[np.ndarray, "k h w 3"] | None = None

    @property
    def verdict(self) -> str:
        """ "copy", "close" or "free"; about 1 % of fresh faces are below `TrainingFaces.copy_threshold`, too."""
        if self.distances[0] < self.training_faces.copy_threshold:
            return COPY
        return CLOSE if self.share < CLOSE_SHARE else FREE

    def describe(self) -> str:
        """The verdict and its reasons in words."""
        return f"{VERDICTS[self.verdict]}: {self.reasons()}"

    def reasons(self) -> str:
        """How close the face is compared with real faces that the model has never seen, in words."""
        compared = self.training_faces
        fresh = len(compared.fresh)
        closer = round(self.share * fresh)
        text = f"{closer or 'none'} of {fresh:,} real faces that the model has never seen "
        text += f"{'is' if closer == 1 else 'are'} even closer to its training faces."
        if self.verdict == COPY:
            text += f" {compared.false_alarms:,} of those would also be called copies: by chance, or because a drawing "
            text += "occurs more than once."
        rows, total = len(compared.vectors), compared.total
        among = f"{rows:,} of {total:,}" if rows < total else f"{total:,}"
        return f"{text} Compared with {among} training faces{', also mirrored' if compared.flip else ''}."


def compare_with_training_faces(
    training_faces: TrainingFaces, face: UInt8[np.ndarray, "h w 3"], images: UInt8[np.ndarray, "n h w 3"] | None = None
) -> Comparison:
    """Compare a face with the training faces of its model.

    training_faces: from `find_training_faces` or `compute_training_faces`.
    face: (H, W, 3), uint8 RGB.
    images: all images of the dataset, to show the nearest training faces; the result has no pictures without them, or
        if `training_faces` has no positions.

    Raises DataError unless the face is uint8 of shape (H, W, 3).
    """
    face = np.asarray(face)
    if face.ndim != 3:
        raise DataError(f"A face must be uint8 of shape (H, W, 3); got {face.dtype} {face.shape}.")
    [distances], [rows], [mirrored] = training_faces.nearest(face[None], COMPARED_FACES)  # (K,) each
    share = float(training_faces.share_nearer(distances[0]))
    if images is None or training_faces.positions is None:
        return Comparison(face, share, distances, training_faces)
    positions = training_faces.positions[rows]
    return Comparison(face, share, distances, training_faces, positions, pictures(images, positions, mirrored))


def nearest_faces(
    checkpoint: Checkpoint,
    dataset: FaceDataset,
    seeds: Sequence[int],
    flip: bool = True,
    most: int = TRAINING_MOST,
) -> Iterator[float | NearestFaces]:
    """Generate faces and find the training face nearest to each. Yields progress from 0 to 1, then a NearestFaces.

    checkpoint: the model that draws.
    dataset: the faces it was trained on.
    seeds: one per face.
    flip, most: as in `compute_training_faces`.

    Raises RecipeError for an invalid seed, and DataError as `compute_training_faces`.
    """
    training_faces = None
    for training_faces in compute_training_faces(dataset, flip, most):
        if not isinstance(training_faces, TrainingFaces):
            yield training_faces
    assert isinstance(training_faces, TrainingFaces)
    assert training_faces.positions is not None
    faces = generate(checkpoint, seeds)
    distances, rows, mirrored = (table[:, 0] for table in training_faces.nearest(faces))  # (N,) each
    positions = training_faces.positions[rows]
    yield NearestFaces(
        faces=faces,
        training=pictures(dataset.images, positions, mirrored),
        positions=positions,
        distances=distances,
        shares=training_faces.share_nearer(distances),
        fresh=len(training_faces.fresh),
        among=len(training_faces.vectors),
    )


def pictures(images: np.ndarray, positions: np.ndarray, mirrored: np.ndarray) -> UInt8[np.ndarray, "k h w 3"]:
    """A copy of the images at `positions`, mirrored where `mirrored` is true; (K,) both."""
    faces = np.array(images[positions])  # (K, H, W, 3)
    faces[mirrored] = faces[mirrored, :, ::-1]
    return faces
