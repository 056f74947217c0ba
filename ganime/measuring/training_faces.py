"""The training faces of a model as numbers instead of pictures: features of each face at low resolution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganime.embedded import TRAINING_FACES
from ganime.errors import CheckpointError, DataError
from ganime.faces.dataset import FaceDataset
from ganime.files import read_json_object, read_tensors, save_tensors, write_json
from ganime.measuring.distances import chunks, distances
from ganime.models.checkpoint import TRAINING_FACES_FILES, Checkpoint
from ganime.nets.anime_features import FeatureNet, extract, load_features
from ganime.shapes import Bool, Float, Int, UInt8

VECTORS_FILE, INDEX_FILE = TRAINING_FACES_FILES
LOW_SIDE = 16  # px; removes blur, noise and compression, which change features more than another face does
VECTOR_LENGTH = 96  # numbers stored for a face
ENOUGH = 5_000  # training faces from which a view is fitted to them
TRAINING_MOST, FRESH_MOST = 20_000, 1_000
FRESH_LEAST = 100  # held-out faces; with fewer, training faces are added
BATCH = 64  # faces at a time, between two reports of progress
GAUSSIAN = 2.326 / 1.282  # distance of the 1st percentile of a Gaussian from its median, over that of the 10th
MAX_VECTORS_BYTES, MAX_INDEX_BYTES = 2**26, 2**16


@dataclass(frozen=True, eq=False)
class LowResolutionView:
    """Features of faces at 16 px, projected on axes along which faces have unit variance.

    At this size a slight blur, noise or shift hardly changes a face; features at full size take any blur for another
    face. See `fit_view`.

    net: computes the features. mean: (F,), their mean. basis: (F, D), the axes.
    """

    net: FeatureNet
    mean: Float[np.ndarray, " f"]
    basis: Float[np.ndarray, "f d"]

    def project(self, faces: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n d"]:
        """The projected features of faces, float32. Raises DataError as `low_resolution_features`."""
        return ((low_resolution_features(self.net, faces) - self.mean) @ self.basis).astype(np.float32)  # (N, D)


@dataclass(frozen=True, eq=False)
class TrainingFaces:
    """The training faces of a model at low resolution, and how near to them fresh faces lie.

    view: how the faces were seen.
    vectors: (T, D), one row for each training face.
    fresh: (F,), sorted distances of real faces to the nearest training face. With fewer than 100 held-out faces,
        distances of training faces to all other training faces are added.
    held_out: how many of the fresh faces were held out of the training.
    total: number of training faces, of which T are compared.
    flip: whether mirror images count as training faces.
    positions: (T,), of the faces in their dataset; None without a dataset.
    """

    view: LowResolutionView
    vectors: Float[np.ndarray, "t d"]
    fresh: Float[np.ndarray, " f"]
    held_out: int
    total: int
    flip: bool = True
    positions: Int[np.ndarray, " t"] | None = None

    def nearest(
        self, faces: UInt8[np.ndarray, "n h w 3"], count: int = 1
    ) -> tuple[Float[np.ndarray, "n k"], Int[np.ndarray, "n k"], Bool[np.ndarray, "n k"]]:
        """For each face, the distances to the `count` nearest training faces, their rows, and whether each is nearest
        as its mirror image; (N, K) each."""
        table, turned = distances_to_each(self.view, faces, self.vectors, self.flip)  # (N, T)
        places = np.argsort(table, axis=1, kind="stable")[:, :count]  # (N, K)
        return np.take_along_axis(table, places, 1), places, np.take_along_axis(turned, places, 1)

    def distances(self, faces: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, " n"]:
        """The distance of each face to the nearest training face."""
        tables = (distances_to_each(self.view, part, self.vectors, self.flip)[0] for part in chunks(faces, BATCH))
        return np.concatenate([table.min(1) for table in tables])

    @property
    def copy_threshold(self) -> float:
        """The distance below which a face is called a copy: the 1st percentile of the fresh faces' distances.

        Fresh faces that are duplicates of training faces would lower it, so a Gaussian with the same median and 10th
        percentile gives the least value.
        """
        low, tenth, median = np.percentile(self.fresh, [1, 10, 50])
        return float(max(low, median - GAUSSIAN * (median - tenth)))

    @property
    def false_alarms(self) -> int:
        """How many of the fresh faces would be called copies themselves."""
        return int((self.fresh < self.copy_threshold).sum())

    def share_nearer(self, distances: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """The share of fresh faces that are nearer to a training face than each of these distances: 0 for a copy."""
        return np.searchsorted(self.fresh, distances) / len(self.fresh)


def low_resolution_features(net: FeatureNet, faces: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n f"]:
    """The features of faces reduced to 16 px. Raises DataError unless they are uint8 of shape (N, H, W, 3)."""

    def reduced(x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 16 16"]:
        return F.interpolate(x, (LOW_SIDE, LOW_SIDE), mode="bicubic", antialias=True).clamp(-1, 1)

    return extract(net, faces, BATCH, reduced)[0]


def fit_view(net: FeatureNet, features: Float[np.ndarray, "n f"]) -> LowResolutionView:
    """A view for faces like these: the leading principal axes of their features at 16 px, scaled to unit variance."""
    mean = features.mean(0, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.cov(features, rowvar=False))
    leading = slice(None, -VECTOR_LENGTH - 1, -1)
    basis = vectors[:, leading] / np.sqrt(values[leading].clip(1e-9))  # (F, D)
    return LowResolutionView(net, mean.astype(np.float32), basis.astype(np.float32))


@cache
def default_view() -> LowResolutionView:
    """The view that was fitted to the faces of the embedded model; used for smaller sets."""
    return load_training_faces(TRAINING_FACES).view


def compute_training_faces(
    dataset: FaceDataset, flip: bool = True, most: int = TRAINING_MOST
) -> Iterator[float | TrainingFaces]:
    """Compute the TrainingFaces of a dataset, yielding progress from 0 to 1 before it.

    dataset: the faces; its held-out part shows how near fresh faces come, see `TrainingFaces.fresh`.
    flip: whether the training mirrors its faces.
    most: training faces to compare with; of more, always the same selection.

    Raises DataError for fewer than 2 training faces.
    """
    choose = np.random.default_rng(0).permutation
    train = np.sort(choose(dataset.train)[:most])
    held_out = np.sort(choose(dataset.held_out)[:FRESH_MOST])
    if len(train) < 2:
        raise DataError(f"Looking for copies needs at least 2 training faces; there are {len(train)}.")
    net, rows = load_features(), []
    some = choose(len(train))[: FRESH_MOST if len(held_out) < FRESH_LEAST else 0]
    work = len(train) + (1 + flip) * (len(held_out) + len(some))
    for start in range(0, len(train), BATCH):
        yield start / work
        rows.append(low_resolution_features(net, dataset.images[train[start : start + BATCH]]))
    features = np.concatenate(rows)
    view = fit_view(net, features) if len(train) >= ENOUGH else default_view()
    vectors = ((features - view.mean) @ view.basis).astype(np.float32)  # (T, D)
    fresh, done = [], len(train)
    for places, rows_of in ((held_out, None), (train[some], some)):
        for start in range(0, len(places), BATCH):
            yield done / work
            faces = dataset.images[places[start : start + BATCH]]
            table = distances_to_each(view, faces, vectors, flip)[0]  # (BATCH, T)
            if rows_of is not None:
                table[np.arange(len(table)), rows_of[start : start + BATCH]] = np.inf  # not its distance to itself
            fresh.append(table.min(1))
            done += (1 + flip) * len(faces)
    yield TrainingFaces(view, vectors, np.sort(np.concatenate(fresh)), len(held_out), len(dataset.train), flip, train)


def training_faces_of(dataset: FaceDataset, flip: bool = True, most: int = TRAINING_MOST) -> TrainingFaces:
    """The result of `compute_training_faces`, without the progress."""
    *_, training_faces = compute_training_faces(dataset, flip, most)
    assert isinstance(training_faces, TrainingFaces)
    return training_faces


def distances_to_each(
    view: LowResolutionView, faces: UInt8[np.ndarray, "n h w 3"], vectors: Float[np.ndarray, "t d"], flip: bool
) -> tuple[Float[np.ndarray, "n t"], Bool[np.ndarray, "n t"]]:
    """The distance of each face to each training face, and whether the mirror image of the face gave it."""
    table = distances(view.project(faces).astype(np.float64), vectors.astype(np.float64))  # (N, T)
    if not flip:
        return table, np.zeros(table.shape, bool)
    mirrored = distances(view.project(faces[:, :, ::-1]).astype(np.float64), vectors.astype(np.float64))
    return np.minimum(table, mirrored), mirrored < table


def save_training_faces(training_faces: TrainingFaces, models: Mapping[str, str], folder: Path) -> TrainingFaces:
    """Write known.safetensors (8 bits per number) and known.json into a folder.

    models: the revision of each model that was trained on these faces, by name.
    Returns what `load_training_faces` reads, which is rounded to 8 bits.
    """
    scale = np.abs(training_faces.vectors).max(0).clip(1e-9) / 127  # (D,)
    view = training_faces.view
    arrays = {"scale": scale, "fresh": training_faces.fresh, "mean": view.mean, "basis": view.basis}
    tensors = {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}
    tensors["codes"] = torch.from_numpy(np.round(training_faces.vectors / scale).astype(np.int8))  # (T, D)
    save_tensors(tensors, folder / VECTORS_FILE)
    facts = {name: getattr(training_faces, name) for name in ("total", "held_out", "flip")}
    write_json(folder / INDEX_FILE, {"models": dict(models)} | facts)
    return load_training_faces(folder)


def load_training_faces(folder: Path) -> TrainingFaces:
    """Read what `save_training_faces` wrote. Raises CheckpointError, naming the file, when it is damaged."""
    facts, net = read_index(folder / INDEX_FILE), load_features()
    path = folder / VECTORS_FILE
    tensors = {name: tensor.numpy() for name, tensor in read_tensors(path, MAX_VECTORS_BYTES).items()}
    count, width = tensors["codes"].shape if "codes" in tensors and tensors["codes"].ndim == 2 else (0, 0)
    fresh = tensors["fresh"].size if "fresh" in tensors else 0
    shapes = {"codes": (count, width), "scale": (width,), "fresh": (fresh,), "mean": (net.features,)}
    shapes["basis"] = (net.features, width)
    fits = {name: array.shape for name, array in tensors.items()} == shapes and min(count, width, fresh) > 0
    if not fits or not all(np.isfinite(array).all() for array in tensors.values()) or tensors["codes"].dtype != np.int8:
        raise CheckpointError(f"{path} is damaged. Make it again: ganime remember-faces FACES --model MODEL.")
    view = LowResolutionView(net, tensors["mean"], tensors["basis"])
    vectors = tensors["codes"].astype(np.float32) * tensors["scale"]  # (T, D)
    return TrainingFaces(view, vectors, np.sort(tensors["fresh"]), facts["held_out"], facts["total"], facts["flip"])


def read_index(path: Path) -> dict[str, Any]:
    """The contents of known.json. Raises CheckpointError when they are not what `save_training_faces` writes."""
    try:
        facts = read_json_object(path, MAX_INDEX_BYTES)
        kinds = {"models": dict, "total": int, "held_out": int, "flip": bool}
        if any(type(facts.get(name)) is not kind for name, kind in kinds.items()):
            raise ValueError("an object with models, total, held_out and flip is needed")
        if not all(isinstance(revision, str) for revision in facts["models"].values()):
            raise ValueError("the revision of a model must be text")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}). Make or download it again.") from error
    return facts


def find_training_faces(checkpoint: Checkpoint) -> TrainingFaces | None:
    """The training faces of a model, from its own folder or from those of the embedded model; None if unknown.

    They belong to a revision, so a renamed model has them and one that was trained further does not. Raises
    CheckpointError, naming the file, when the file in the model's folder is damaged.
    """
    for folder in (checkpoint.folder, TRAINING_FACES):
        if folder is None or not (folder / INDEX_FILE).is_file():
            continue
        if checkpoint.revision in read_index(folder / INDEX_FILE)["models"].values():
            return load_training_faces(folder)
    return None
