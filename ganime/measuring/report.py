"""The measures of generated faces against real ones on the anime features, with counts and errors."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from ganime.errors import ConfigError, DataError
from ganime.faces.dataset import FaceDataset
from ganime.images import resize_picture
from ganime.measuring import distances
from ganime.measuring.training_faces import TrainingFaces, training_faces_of
from ganime.nets.anime_features import FEATURE_SIDE, FeatureNet, extract
from ganime.shapes import Float, UInt8
from ganime.text import plural

INCEPTION_BATCH = 50
RESIZED_BATCH = 512  # faces at a time
MIN_REFERENCE = 10  # faces


@dataclass(frozen=True)
class Report:
    """The measures of generated faces against a reference, on anime features (except `fid`).

    generated, reference: number of faces.
    frechet: Fréchet distance, 0 for equal sets; it is lower for more faces, so compare equal counts.
    kernel, kernel_error: unbiased kernel distance and its standard error.
    precision, recall: Kynkäänniemi et al. 2019, 0 to 1.
    density, coverage: Naeem et al. 2020; coverage is from 0 to 1, density can exceed 1.
    copying: the test of Meehan et al. 2020; None if the training faces are unknown.
    fid: the Fréchet distance on the Inception network; None if it was not requested.
    """

    generated: int
    reference: int
    frechet: float
    kernel: float
    kernel_error: float
    precision: float
    recall: float
    density: float
    coverage: float
    copying: distances.CopyingScore | None = None
    fid: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The report as nested dictionaries of numbers, ready for JSON."""
        return asdict(self)


def reference_faces(
    reference: FaceDataset, trained_on: FaceDataset | None = None, split: bool = False
) -> tuple[UInt8[np.ndarray, "m h w 3"], TrainingFaces | None]:
    """The faces to measure a model against, and the training faces to detect copies of, None if they are unknown.

    split: the model was trained on the training part of `reference`; the other part, which was held out, is returned.

    Raises DataError for fewer than 10 faces to measure against, and for faces that are in both datasets.
    """
    faces = reference.images[reference.held_out] if split else reference.images
    both = (faces, trained_on.images) if trained_on else ((), ())
    digests = [{hashlib.sha256(face.tobytes()).digest() for face in images} for images in both]
    if shared := digests[0] & digests[1]:
        raise DataError(
            f"{plural(len(shared), 'face')} occur both in the reference and in the training faces (--train). Measure "
            "against faces that the model was not trained on, or replace --train by --split."
        )
    if len(faces) < MIN_REFERENCE:
        found, needed = f"{plural(len(faces), 'face')} to measure against", f"at least {MIN_REFERENCE} are needed"
        if split:
            found += ", the held-out tenth of --reference"
            needed += f", so about {10 * MIN_REFERENCE} in --reference"
        raise DataError(f"There are only {found}; {needed}.")
    seen = reference if split else trained_on
    return faces, training_faces_of(seen, most=len(seen.train)) if seen else None


def evaluate(
    net: FeatureNet,
    generated: UInt8[np.ndarray, "n h w 3"],
    reference: UInt8[np.ndarray, "m h w 3"],
    training_faces: TrainingFaces | None = None,
) -> Report:
    """Measure generated faces against reference faces that the generator was not trained on.

    net: computes the features.
    generated, reference: uint8 RGB. Those that are not of `FEATURE_SIDE` px are resized as faces are when they are
        read, since another filter counts as a difference (on anime-128 it nearly doubled the kernel distance).
    training_faces: what it was trained on, for the copying test (see `ganime.measuring.training_faces`).

    Raises DataError when there are fewer than 6 faces of either kind, or fewer than 10 with `training_faces`.
    """
    report = compare(measured_features(net, generated), measured_features(net, reference))
    if training_faces is None:
        return report
    score = distances.copying_score(training_faces.distances(reference), training_faces.distances(generated))
    return replace(report, copying=score)


def measured_features(net: FeatureNet, faces: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n d"]:
    """The features of faces as they are measured: at `FEATURE_SIDE` px, by the filter with which faces are read."""
    parts = [faces[start : start + RESIZED_BATCH] for start in range(0, len(faces), RESIZED_BATCH)] or [faces]
    return np.concatenate([extract(net, resized(part))[0] for part in parts])


def resized(faces: UInt8[np.ndarray, "n h w 3"]) -> UInt8[np.ndarray, "n side side 3"]:
    """Faces at `FEATURE_SIDE` px by `resize_picture`."""
    if faces.shape[1:3] == (FEATURE_SIDE, FEATURE_SIDE) or not len(faces):
        return faces
    return np.stack([np.asarray(resize_picture(Image.fromarray(face), FEATURE_SIDE)) for face in faces])


def compare(generated: Float[np.ndarray, "n d"], reference: Float[np.ndarray, "m d"]) -> Report:
    """The report on the features of generated faces and of the reference, without copying."""
    kernel, error = distances.kernel_distance(reference, generated)
    precision, recall = distances.precision_recall(reference, generated)
    density, coverage = distances.density_coverage(reference, generated)
    frechet = distances.frechet_distance(reference, generated)
    return Report(len(generated), len(reference), frechet, kernel, error, precision, recall, density, coverage)


def inception_distance(
    generated: UInt8[np.ndarray, "n h w 3"], reference: UInt8[np.ndarray, "m h w 3"], network: int | nn.Module = 2048
) -> float:
    """The FID of Heusel et al. 2017, computed by torchmetrics; lower for more faces, and usually given for 50,000.

    generated, reference: uint8 RGB, at least 2 each.
    network: the number of features of the Inception network, whose weights torch-fidelity downloads at the first use,
        or another network.

    Raises ConfigError when a package or the weights are missing.
    """
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance

        metric = FrechetInceptionDistance(feature=network)
    except (ImportError, OSError) as error:  # URLError is an OSError
        raise ConfigError(
            f"The Inception network is missing ({error}). It needs `pip install torchmetrics torch-fidelity` and, "
            "at the first use, a connection to GitHub to download its weights."
        ) from error
    for faces, real in ((reference, True), (generated, False)):
        for part in distances.chunks(faces, INCEPTION_BATCH):
            batch = torch.from_numpy(np.array(part))
            metric.update(batch.permute(0, 3, 1, 2), real=real)  # (B, 3, H, W)
    return float(metric.compute())
