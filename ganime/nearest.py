"""Generated faces beside the training faces that are nearest to them, and whether that is nearer than chance gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ganime.checkpoint import Checkpoint
from ganime.data import FaceDataset
from ganime.features import extract, load_features
from ganime.metrics import nearest
from ganime.progress import FRESH_LEAST, REFERENCE_MOST, nearest_other
from ganime.sampling import generate

if TYPE_CHECKING:
    from jaxtyping import Float, Int, UInt8

TRAINING_MOST = 20_000
NEAR_SHARE = 0.01  # nearer than all but so many of the fresh faces counts as near


@dataclass(frozen=True)
class Likeness:
    """Generated faces and the training face nearest to each, by the distance of their anime features.

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


def nearest_faces(
    checkpoint: Checkpoint,
    dataset: FaceDataset,
    seeds: Sequence[int],
    truncation: float = 1.0,
    flip: bool = True,
    most: int = TRAINING_MOST,
) -> Likeness:
    """The faces of `seeds` with the training face nearest to each.

    flip: whether the training mirrored its faces, so that mirror images count as learned. most: training faces that
    are looked at; of more, always the same ones are. Faces that were held out
    tell how near a fresh face comes; where fewer than 100 are, training faces beside all the others help out.
    Raises RecipeError for seeds that name no face, DataError for faces that cannot be compared.
    """
    net, choose = load_features(), np.random.default_rng(0).permutation
    train = np.sort(choose(dataset.train)[:most])
    held_out = np.sort(choose(dataset.held_out)[:REFERENCE_MOST])
    own = extract(net, dataset.images[train])[0]
    mirrored = extract(net, dataset.images[train][:, :, ::-1])[0] if flip else None
    known = own if mirrored is None else np.concatenate([own, mirrored])  # (T, D) or (2 T, D)
    fresh = nearest(extract(net, dataset.images[held_out])[0], known)[0] if len(held_out) else np.empty(0)
    if len(fresh) < FRESH_LEAST:
        some = choose(len(own))[:REFERENCE_MOST]
        fresh = np.concatenate([fresh, nearest_other(own[some], None if mirrored is None else mirrored[some])])

    faces = generate(checkpoint, seeds, truncation)
    found, places = nearest(extract(net, faces)[0], known)
    positions = train[places % len(train)]
    training = np.array(dataset.images[positions])
    turned = places >= len(train)
    training[turned] = training[turned, :, ::-1]
    shares = np.searchsorted(np.sort(fresh), found) / len(fresh)
    return Likeness(faces, training, positions, found, shares, len(fresh), len(train))
