"""Pure functions of features: how near generated faces come to real ones, how varied they are, whether they copy.

Every function takes features as arrays (N, D), one row a face, made by one and the same network; which network is up
to the caller, and a distance says nothing unless it is named ("Fréchet distance on anime features").
All raise DataError when there are too few rows, the widths differ, or a value is not finite.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ganime.errors import ConfigError, DataError

if TYPE_CHECKING:
    from jaxtyping import Float

CHUNK = 512  # rows of a distance matrix that are held at once
BLOCKS = 10
NEAR_PERCENTILE = 1.0


def frechet_distance(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> float:
    """Fréchet distance between Gaussians fitted to two sets (Heusel et al. 2017, there with Inception features).

    |mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)) with the covariances A, B. 0 for equal sets and higher for worse;
    biased upwards for few faces, so compare only values from equally many. Needs 2 faces a set.
    """
    a, b = checked_features(a, b, least=2)
    covariance_a, covariance_b = (np.atleast_2d(np.cov(side, rowvar=False)) for side in (a, b))  # (D, D)
    values, vectors = np.linalg.eigh(covariance_a)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T  # (D, D), A^(1/2)
    # A B and A^(1/2) B A^(1/2) have the same eigenvalues, and the second is symmetric.
    shared = np.sqrt(np.linalg.eigvalsh(root @ covariance_b @ root).clip(min=0)).sum()
    difference = a.mean(0) - b.mean(0)
    return float(max(0.0, difference @ difference + np.trace(covariance_a) + np.trace(covariance_b) - 2 * shared))


def kernel_distance(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> tuple[float, float]:
    """Kernel distance (squared MMD, cubic kernel (x.y / D + 1)^3; Binkowski et al. 2018) and its standard error.

    Unbiased: about 0, also a little below, when both sets come from one distribution, whatever their sizes. The
    error is that of the mean over 10 disjoint blocks (fewer for fewer than 20 faces). Needs 4 faces a set.
    """
    a, b = checked_features(a, b, least=4)
    blocks = min(BLOCKS, len(a) // 2, len(b) // 2)
    random = np.random.default_rng(0)
    parts_a = np.array_split(random.permutation(len(a)), blocks)
    parts_b = np.array_split(random.permutation(len(b)), blocks)
    values = [squared_mmd(a[rows_a], b[rows_b]) for rows_a, rows_b in zip(parts_a, parts_b, strict=True)]
    return squared_mmd(a, b), float(np.std(values, ddof=1) / math.sqrt(blocks))


def squared_mmd(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> float:
    """Unbiased squared maximum mean discrepancy under the cubic kernel; pairs of a face with itself do not count."""

    def total(x: np.ndarray, y: np.ndarray) -> float:
        return float(sum(((rows @ y.T / x.shape[1] + 1) ** 3).sum() for rows in chunks(x)))

    def with_itself(x: np.ndarray) -> float:
        return float((((x * x).sum(1) / x.shape[1] + 1) ** 3).sum())

    n, m = len(a), len(b)
    within_a = (total(a, a) - with_itself(a)) / (n * (n - 1))
    within_b = (total(b, b) - with_itself(b)) / (m * (m - 1))
    return within_a + within_b - 2 * total(a, b) / (n * m)


def precision_recall(real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d"], k: int = 3) -> tuple[float, float]:
    """Precision, the share of fakes inside the reals' neighbourhoods, and recall, the reverse.

    Kynkäänniemi et al. 2019. A neighbourhood is the ball around a face that reaches to its k-th nearest face of the
    same set. Both lie in [0, 1], and depend on the number of faces: compare equally many. Blurred faces can keep a
    high precision, since they fall into the wide balls around unusual reals. Needs more than k faces a set.
    """
    real, fake = checked_features(real, fake, least=k + 1, neighbours=k)
    return inside(fake, real, radii(real, k)), inside(real, fake, radii(fake, k))


def density_coverage(real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d"], k: int = 5) -> tuple[float, float]:
    """Density, how many real neighbourhoods a fake lies in, and coverage, reals with a fake near (Naeem et al. 2020).

    Density is 1 on average when both sets come from one distribution, and can exceed 1; coverage lies in [0, 1].
    Needs more than k faces a set.
    """
    real, fake = checked_features(real, fake, least=k + 1, neighbours=k)
    reach, balls, covered = radii(real, k), 0, np.zeros(len(real), bool)
    for rows in chunks(fake):
        hits = distances(rows, real) <= reach  # (chunk, N)
        balls += int(hits.sum())
        covered |= hits.any(0)
    return balls / (k * len(fake)), float(covered.mean())


@dataclass(frozen=True)
class CopyingScore:
    """Whether generated faces lie nearer to the training faces than fresh real faces do.

    statistic: a z-score, about N(0, 1) for a generator that is as far away as fresh reals, negative for copying.
    p_value: the chance of one so low without copying. near_copies: the share of generated faces that are nearer to
    a training face than all but 1 % of the held-out faces are, so about 0.01 without copying.
    """

    statistic: float
    p_value: float
    near_copies: float


def copying_score(fresh: Float[np.ndarray, " m"], drawn: Float[np.ndarray, " g"]) -> CopyingScore:
    """The data-copying test of Meehan et al. 2020 (C_T over one cell) on distances to the nearest training face.

    fresh: the distances of real faces that were not trained on, at least 10. drawn: those of generated faces, at least
    10. A one-sided Mann-Whitney test with the correction for ties. Faces of poor quality lie far from every real face
    and so look innocent: read it beside a distance between the sets. Raises DataError for fewer.
    """
    for name, found in (("real faces that were not trained on", fresh), ("generated faces", drawn)):
        if len(found) < 10:
            raise DataError(f"{len(found)} {name} are too few for the copying test; it needs at least 10.")
    ordered = np.sort(fresh)
    below, up_to = np.searchsorted(ordered, drawn, "left"), np.searchsorted(ordered, drawn, "right")
    farther = float((below + up_to).sum() / 2)  # pairs in which the generated face is farther; ties count half
    m, g = len(fresh), len(drawn)
    ties = np.unique(np.concatenate([fresh, drawn]), return_counts=True)[1].astype(float)
    total = m + g
    variance = m * g / 12 * (total + 1 - (ties**3 - ties).sum() / (total * (total - 1)))
    statistic = (farther - m * g / 2) / math.sqrt(variance) if variance > 0 else 0.0
    near = float((drawn < np.percentile(fresh, NEAR_PERCENTILE)).mean())
    return CopyingScore(statistic, 0.5 * math.erfc(-statistic / math.sqrt(2)), near)


def chance_of_nearness(generated: int, fresh: int) -> tuple[float, float]:
    """The share of near copies that is to be expected without copying, and its standard error.

    The bar is the nearest hundredth of the fresh faces; where they are few it lies higher and is itself uncertain.
    """
    fresh, generated = max(1, fresh), max(1, generated)
    chance = (1 + 0.01 * (fresh - 1)) / (fresh + 1)
    return chance, math.sqrt(chance * (1 - chance) * (1 / fresh + 1 / generated))


def diversity(real: Float[np.ndarray, "n d"], generated: Float[np.ndarray, "g d"], k: int = 5) -> float:
    """How far a generated face lies from the others, over the same of real faces: 1 as varied, 0 all the same face.

    Medians of the distance to the k-th nearest other face of the same set, with equally many of both, so a generator
    that returns to a few faces again and again shows, however unlike one another those are. Needs k + 1 faces a set.
    """
    real, generated = checked_features(real, generated, least=k + 1)
    count = min(len(real), len(generated))
    reach = [float(np.median(radii(faces[:count], k))) for faces in (generated, real)]
    return reach[0] / reach[1] if reach[1] > 0 else 1.0


def checked_features(
    a: np.ndarray, b: np.ndarray, least: int, neighbours: int = 1
) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "m d"]]:
    """Both sets in float64, once it is sure that they can be compared."""
    if neighbours < 1:
        raise ConfigError(f"k must be at least 1; got {neighbours}.")
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    for features in (a, b):
        if features.ndim != 2 or features.shape[1] < 1:
            raise DataError(f"Features must be a table (faces, width); got shape {features.shape}.")
        if len(features) < least:
            raise DataError(f"{len(features)} faces are too few for this measure; it needs at least {least} a set.")
        if not np.isfinite(features).all():
            raise DataError("The features hold NaN or infinity; look at the pictures they were made from.")
    if a.shape[1] != b.shape[1]:
        raise DataError(
            f"The feature widths differ: {a.shape[1]} and {b.shape[1]}. Make both sets with the same network."
        )
    return a, b


def chunks(rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]


def distances(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "n m"]:
    """Euclidean distances of all pairs; float64 keeps |a|^2 + |b|^2 - 2 a.b from losing small ones."""
    squared = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * (a @ b.T)
    return np.sqrt(squared.clip(min=0))


def radii(features: Float[np.ndarray, "n d"], k: int) -> Float[np.ndarray, " n"]:
    """The distance from each face to its k-th nearest other face of the same set."""
    found = []
    for start, rows in zip(range(0, len(features), CHUNK), chunks(features), strict=True):
        table = distances(rows, features)
        table[np.arange(len(rows)), start + np.arange(len(rows))] = np.inf  # a face is no neighbour of itself
        found.append(np.partition(table, k - 1, axis=1)[:, k - 1])
    return np.concatenate(found)


def inside(points: np.ndarray, centres: np.ndarray, reach: np.ndarray) -> float:
    """The share of points that lie in at least one ball around the centres."""
    return float(np.concatenate([(distances(rows, centres) <= reach).any(1) for rows in chunks(points)]).mean())
