"""What is known of the faces that a model was trained on: how each looks from afar, in numbers and without pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from ganime.embedded import TRAINING_FACES
from ganime.errors import CheckpointError, DataError
from ganime.faces.dataset import FaceDataset
from ganime.files import atomic_file, read_tensors, save_tensors
from ganime.measuring.distances import distances
from ganime.models.checkpoint import TRAINING_FACES_FILES, Checkpoint
from ganime.nets.anime_features import FeatureNet, load_features, to_tensor

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, UInt8

VECTORS_FILE, INDEX_FILE = TRAINING_FACES_FILES
SIDE = 16  # px; at this size blur, noise and compression are gone, which move the features further than another face
WIDTH = 96  # numbers that are kept of a face
ENOUGH = 5_000  # faces from which on a sight of their own is fitted
TRAINING_MOST, FRESH_MOST = 20_000, 1_000
FRESH_LEAST = 100
BATCH = 64  # faces between two reports
GAUSSIAN = 2.326 / 1.282  # how much farther the lower hundredth of a Gaussian lies than its lower tenth
MAX_BYTES, MAX_INDEX_BYTES, MAX_MODELS = 2**26, 2**16, 64


@dataclass(frozen=True, eq=False)
class FarView:
    """How faces look from afar: features of the face at 16 px, on axes along which faces vary by one.

    mean: (F,), basis: (F, D), of the features of `net`. So small a slight blur, noise or shift leaves a face the same,
    where the features at full size take any blur for another face. See `fit_far_view`.
    """

    net: FeatureNet
    mean: Float[np.ndarray, " f"]
    basis: Float[np.ndarray, "f d"]

    def see(self, faces: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n d"]:
        """The numbers of faces, float32."""
        return ((far_features(self.net, faces) - self.mean) @ self.basis).astype(np.float32)  # (N, D)


@dataclass(frozen=True, eq=False)
class TrainingFaces:
    """The training faces of a model as a sight sees them, and how near to them faces lie that it never learned from.

    own: (T, D), one row a face. fresh: (F,), sorted distances of real faces to the nearest of these, the first
    `held_out` of which were held out of the training; where that are fewer than 100, training faces beside all others
    help out. total: how many training faces there are, of which T are looked at. flip: whether mirror images count as
    learned. positions: (T,), where the faces are in their dataset; None where no pictures are at hand.
    """

    sight: FarView
    own: Float[np.ndarray, "t d"]
    fresh: Float[np.ndarray, " f"]
    held_out: int
    total: int
    flip: bool = True
    positions: Int[np.ndarray, " t"] | None = None

    def nearest(
        self, faces: UInt8[np.ndarray, "n h w 3"], count: int = 1
    ) -> tuple[Float[np.ndarray, "n k"], Int[np.ndarray, "n k"], Bool[np.ndarray, "n k"]]:
        """For each face the distances to the `count` nearest training faces, their rows, and which of them come as near
        only as mirror images."""
        table, turned = to_each(self.sight, faces, self.own, self.flip)  # (N, T)
        places = np.argsort(table, axis=1, kind="stable")[:, :count]  # (N, K)
        return np.take_along_axis(table, places, 1), places, np.take_along_axis(turned, places, 1)

    def distances(self, faces: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, " n"]:
        """The distance of each face to the nearest training face."""
        parts = [faces[start : start + BATCH] for start in range(0, len(faces), BATCH)]
        return np.concatenate([to_each(self.sight, part, self.own, self.flip)[0].min(1) for part in parts])

    @property
    def bar(self) -> float:
        """The distance below which a face is called a copy: the lower hundredth of the fresh faces' distances.

        Where some of those are drawings that are among the training faces, too, they would lower it, so the hundredth
        of a Gaussian counts where that is more, taken from the median and the lower tenth.
        """
        low, tenth, median = np.percentile(self.fresh, [1, 10, 50])
        return float(max(low, median - GAUSSIAN * (median - tenth)))

    @property
    def called(self) -> int:
        """How many of the fresh faces would be called copies themselves."""
        return int((self.fresh < self.bar).sum())

    def shares(self, found: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Which share of the fresh faces lies nearer to a training face than these distances are: 0 for a copy."""
        return np.searchsorted(self.fresh, found) / len(self.fresh)


@torch.inference_mode()
def far_features(net: FeatureNet, faces: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n f"]:
    """The features of faces that are first made 16 px small. Raises DataError for anything but uint8 (N, H, W, 3)."""
    if faces.ndim != 4 or faces.shape[3] != 3 or faces.dtype != np.uint8:
        raise DataError(f"Pictures must be uint8 of shape (N, H, W, 3); got {faces.dtype} {tuple(faces.shape)}.")
    found = np.empty((len(faces), net.features), np.float32)
    for start in range(0, len(faces), BATCH):
        x = to_tensor(faces[start : start + BATCH]).to(net.mean.device)  # (B, 3, H, W)
        x = F.interpolate(x, (SIDE, SIDE), mode="bicubic", antialias=True).clamp(-1, 1)  # (B, 3, 16, 16)
        found[start : start + BATCH] = net(x)[0].cpu().numpy()
    return found


def fit_far_view(net: FeatureNet, features: Float[np.ndarray, "n f"]) -> FarView:
    """A sight for faces of this kind: the leading principal axes of their features from afar, each to unit variance."""
    mean = features.mean(0, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.cov(features, rowvar=False))
    leading = slice(None, -WIDTH - 1, -1)
    basis = vectors[:, leading] / np.sqrt(values[leading].clip(1e-9))  # (F, D)
    return FarView(net, mean.astype(np.float32), basis.astype(np.float32))


@cache
def default_far_view() -> FarView:
    """The sight that was fitted to the faces of the embedded models, and serves for all."""
    return load_training_faces(TRAINING_FACES).sight


def read_training_faces(
    dataset: FaceDataset, flip: bool = True, most: int = TRAINING_MOST
) -> Iterator[float | TrainingFaces]:
    """Look at the training faces of a dataset: yields the share that is done, 0 to 1, and at last the TrainingFaces.

    flip: whether the training mirrored its faces. most: training faces that are looked at; of more, always the same
    ones are. Faces that were held out tell how near a fresh face comes; where fewer than 100 are, training faces
    beside all the others help out. Raises DataError where there is no other face to compare with.
    """
    choose = np.random.default_rng(0).permutation
    train = np.sort(choose(dataset.train)[:most])
    held_out = np.sort(choose(dataset.held_out)[:FRESH_MOST])
    if len(train) < 2:
        raise DataError(f"Copies are told among at least 2 training faces; there are {len(train)}.")
    net, rows = load_features(), []
    some = choose(len(train))[: FRESH_MOST if len(held_out) < FRESH_LEAST else 0]
    work = len(train) + (1 + flip) * (len(held_out) + len(some))
    for start in range(0, len(train), BATCH):
        yield start / work
        rows.append(far_features(net, dataset.images[train[start : start + BATCH]]))
    features = np.concatenate(rows)
    sight = fit_far_view(net, features) if len(train) >= ENOUGH else default_far_view()
    own = ((features - sight.mean) @ sight.basis).astype(np.float32)  # (T, D)
    fresh, done = [], len(train)
    for places, rows_of in ((held_out, None), (train[some], some)):
        for start in range(0, len(places), BATCH):
            yield done / work
            faces = dataset.images[places[start : start + BATCH]]
            table = to_each(sight, faces, own, flip)[0]  # (BATCH, T)
            if rows_of is not None:
                table[np.arange(len(table)), rows_of[start : start + BATCH]] = np.inf  # a face beside all the others
            fresh.append(table.min(1))
            done += (1 + flip) * len(faces)
    yield TrainingFaces(sight, own, np.sort(np.concatenate(fresh)), len(held_out), len(dataset.train), flip, train)


def training_faces_of(dataset: FaceDataset, flip: bool = True, most: int = TRAINING_MOST) -> TrainingFaces:
    """What `read_training_faces` ends with."""
    *_, known = read_training_faces(dataset, flip, most)
    assert isinstance(known, TrainingFaces)
    return known


def to_each(
    sight: FarView, faces: UInt8[np.ndarray, "n h w 3"], own: Float[np.ndarray, "t d"], flip: bool
) -> tuple[Float[np.ndarray, "n t"], Bool[np.ndarray, "n t"]]:
    """The distance of each face to each training face, and where it is that of its mirror image, which came nearer."""
    table = distances(sight.see(faces).astype(np.float64), own.astype(np.float64))  # (N, T)
    if not flip:
        return table, np.zeros(table.shape, bool)
    mirrored = distances(sight.see(faces[:, :, ::-1]).astype(np.float64), own.astype(np.float64))
    return np.minimum(table, mirrored), mirrored < table


def save_training_faces(known: TrainingFaces, models: Mapping[str, str], folder: Path) -> TrainingFaces:
    """Write known.safetensors (8 bits a number) and known.json into a folder; returns what `load_training_faces` reads.

    models: revision by name of each model that learned from these faces.
    """
    scale = np.abs(known.own).max(0).clip(1e-9) / 127  # (D,)
    codes = np.round(known.own / scale).astype(np.int8)  # (T, D)
    arrays = {
        "codes": codes,
        "scale": scale,
        "fresh": known.fresh,
        "mean": known.sight.mean,
        "basis": known.sight.basis,
    }
    tensors = {
        name: torch.from_numpy(array.astype(array.dtype if array.dtype == np.int8 else np.float32))
        for name, array in arrays.items()
    }
    save_tensors(tensors, folder / VECTORS_FILE)
    facts = {"models": dict(models), "total": known.total, "held_out": known.held_out, "flip": known.flip}
    with atomic_file(folder / INDEX_FILE) as temporary:
        temporary.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return load_training_faces(folder)


def load_training_faces(folder: Path) -> TrainingFaces:
    """What `save_training_faces` wrote into a folder.

    Raises CheckpointError, naming the file, when it is damaged.
    """
    facts, net = read_index(folder / INDEX_FILE), load_features()
    path = folder / VECTORS_FILE
    if path.is_file() and path.stat().st_size > MAX_BYTES:
        raise CheckpointError(f"{path} has {path.stat().st_size:,} bytes; at most {MAX_BYTES:,} are read.")
    found = {name: tensor.numpy() for name, tensor in read_tensors(path).items()}
    count, width = found["codes"].shape if "codes" in found and found["codes"].ndim == 2 else (0, 0)
    fresh = found["fresh"].size if "fresh" in found else 0
    shapes = {"codes": (count, width), "scale": (width,), "fresh": (fresh,), "mean": (net.features,)}
    shapes["basis"] = (net.features, width)
    fits = {name: array.shape for name, array in found.items()} == shapes and min(count, width, fresh) > 0
    if not fits or not all(np.isfinite(array).all() for array in found.values()) or found["codes"].dtype != np.int8:
        raise CheckpointError(
            f"{path} holds no known faces. Make it again: python -m ganime known FACES --model MODEL."
        )
    sight = FarView(net, found["mean"], found["basis"])
    own = found["codes"].astype(np.float32) * found["scale"]  # (T, D)
    return TrainingFaces(sight, own, np.sort(found["fresh"]), facts["held_out"], facts["total"], facts["flip"])


def read_index(path: Path) -> dict[str, Any]:
    """The content of known.json, once it is what `save_training_faces` writes."""
    try:
        if path.stat().st_size > MAX_INDEX_BYTES:
            raise ValueError(f"{path.stat().st_size:,} bytes; at most {MAX_INDEX_BYTES:,} are read")
        facts = json.loads(path.read_text(encoding="utf-8"))
        kinds = {"models": dict, "total": int, "held_out": int, "flip": bool}
        if not isinstance(facts, dict) or any(type(facts.get(name)) is not kind for name, kind in kinds.items()):
            raise ValueError("an object with models, total, held_out and flip is needed")
        if not all(isinstance(revision, str) for revision in facts["models"].values()):
            raise ValueError("the revisions of models are text")
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} tells of no known faces ({error}). Make or fetch them again.") from error
    return facts


def find_training_faces(checkpoint: Checkpoint) -> TrainingFaces | None:
    """What is known of the faces that a model learned from; None where that is nothing.

    It is looked for beside the model, and for the embedded models in `weights/anime-faces`. It goes by the revision, so
    that a copy of a model is known by any name, and one that learned on is not. Raises CheckpointError, naming the
    file, when what lies beside the model is damaged.
    """
    for folder in (checkpoint.folder, TRAINING_FACES):
        if folder is None or not (folder / INDEX_FILE).is_file():
            continue
        if checkpoint.revision in read_index(folder / INDEX_FILE)["models"].values():
            return load_training_faces(folder)
    return None
