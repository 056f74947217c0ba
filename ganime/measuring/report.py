"""How good generated faces are, measured against real ones on the anime features, with counts and errors."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ganime.errors import ConfigError
from ganime.measuring.distances import (
    CopyingScore,
    copying_score,
    density_coverage,
    frechet_distance,
    kernel_distance,
    precision_recall,
)
from ganime.measuring.training_faces import TrainingFaces
from ganime.nets.anime_features import FeatureNet, extract

if TYPE_CHECKING:
    from jaxtyping import UInt8


INCEPTION_BATCH = 50


@dataclass(frozen=True)
class Report:
    """The measures of one set of faces against a reference, all on anime features.

    generated, reference: how many faces. frechet: Fréchet distance, 0 for equal sets; it falls as sets grow, so
    compare equal counts. kernel, kernel_error: unbiased kernel distance and its standard error. precision, recall:
    Kynkäänniemi et al. 2019. density, coverage: Naeem et al. 2020. copying: Meehan et al. 2020, None where the
    training faces were not given. fid: the Fréchet distance on the Inception network, None where it was not asked for.
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
    copying: CopyingScore | None = None
    fid: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def evaluate(
    net: FeatureNet,
    generated: UInt8[np.ndarray, "n h w 3"],
    reference: UInt8[np.ndarray, "m h w 3"],
    known: TrainingFaces | None = None,
) -> Report:
    """Measure generated faces against reference faces that the generator never saw.

    known: the faces that it did see, for the copying test (see `ganime.measuring.training_faces`).

    Raises DataError for too few faces.
    """
    fake, real = extract(net, generated)[0], extract(net, reference)[0]
    kernel, error = kernel_distance(real, fake)
    precision, recall = precision_recall(real, fake)
    density, coverage = density_coverage(real, fake)
    return Report(
        generated=len(fake),
        reference=len(real),
        frechet=frechet_distance(real, fake),
        kernel=kernel,
        kernel_error=error,
        precision=precision,
        recall=recall,
        density=density,
        coverage=coverage,
        copying=copying_score(known.distances(reference), known.distances(generated)) if known else None,
    )


def inception_distance(
    generated: UInt8[np.ndarray, "n h w 3"], reference: UInt8[np.ndarray, "m h w 3"], network: int | nn.Module = 2048
) -> float:
    """The "FID" of Heusel et al. 2017, by torchmetrics; it falls as sets grow, and is usually told for 50,000 faces.

    network: how many features of the Inception network, whose weights torch-fidelity fetches at the first use, or
    another network in its place. Raises ConfigError where a package or the weights cannot be had.
    """
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance

        metric = FrechetInceptionDistance(feature=network)
    except (ImportError, OSError) as error:  # URLError is an OSError
        raise ConfigError(
            f"The Inception network cannot be had ({error}). It takes `pip install torchmetrics torch-fidelity` and, "
            "once, a connection to GitHub, where its weights lie."
        ) from error
    for faces, real in ((reference, True), (generated, False)):
        for start in range(0, len(faces), INCEPTION_BATCH):
            batch = torch.from_numpy(np.array(faces[start : start + INCEPTION_BATCH]))
            metric.update(batch.permute(0, 3, 1, 2), real=real)  # (B, 3, H, W), uint8
    return float(metric.compute())
