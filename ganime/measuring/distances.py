"""Pure functions of features: how near generated faces are to real ones, how varied they are, whether they are copies.

Features are arrays (N, D) with one row per face, all from the same network, which the caller chooses. Name it with each
distance ("Fréchet distance on anime features"): values from different networks do not compare. Functions of two sets
raise DataError when there are too few rows, the widths differ, or a value is not finite.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ganime.errors import ConfigError, DataError
from ganime.shapes import Float

CHUNK = 512  # rows of a distance matrix computed at once
BLOCKS = 10  # for the standard error of the kernel distance
NEAR_PERCENTILE = 1.0  # of the fresh faces' distances; nearer generated faces are near copies
MIN_TESTED = 10  # faces of each set in the copying test


def frechet_distance(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> float:
    """Fréchet distance between Gaussians fitted to two sets (Heusel et al. 2017, who use Inception features).

    |mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)) with the covariances A, B. It is 0 for equal sets and biased upwards
    for few faces, so compare only values from equal numbers of faces. Needs at least 2 faces per set.
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

    Unbiased: 0 on average, so sometimes negative, when both sets come from one distribution, for any number of faces.
    The error is that of the mean over 10 disjoint blocks, or fewer for fewer than 20 faces. Needs at least 4 faces per
    set.
    """
    a, b = checked_features(a, b, least=4)
    blocks = min(BLOCKS, len(a) // 2, len(b) // 2)
    random = np.random.default_rng(0)
    parts_a = np.array_split(random.permutation(len(a)), blocks)
    parts_b = np.array_split(random.permutation(len(b)), blocks)
    values = [squared_mmd(a[rows_a], b[rows_b]) for rows_a, rows_b in zip(parts_a, parts_b, strict=True)]
    return squared_mmd(a, b), float(np.std(values, ddof=1) / math.sqrt(blocks))


def squared_mmd(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> float:
    """Unbiased squared maximum mean discrepancy with the cubic kernel; pairs of a face with itself are left out."""

    def total(x: np.ndarray, y: np.ndarray) -> float:
        return float(sum(((rows @ y.T / x.shape[1] + 1) ** 3).sum() for rows in chunks(x)))

    def with_itself(x: np.ndarray) -> float:
        return float((((x * x).sum(1) / x.shape[1] + 1) ** 3).sum())

    n, m = len(a), len(b)
    within_a = (total(a, a) - with_itself(a)) / (n * (n - 1))
    within_b = (total(b, b) - with_itself(b)) / (m * (m - 1))
    return within_a + within_b - 2 * total(a, b) / (n * m)


def precision_recall(real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d"], k: int = 3) -> tuple[float, float]:
    """Precision and recall (Kynkäänniemi et al. 2019), both in [0, 1].

    Precision is the share of generated faces inside the neighbourhood of at least one real face; recall is the share of
    real faces inside that of at least one generated face. A neighbourhood is the ball around a face that reaches to the
    k-th nearest other face of its set. Both depend on the number of faces, so compare equal numbers. Blurred faces can
    have a high precision, since they fall into the large balls around unusual real faces.

    Raises ConfigError when k is below 1. Needs more than k faces per set.
    """
    real, fake = checked_features(real, fake, least=k + 1, neighbours=k)
    return inside(fake, real, radii(real, k)), inside(real, fake, radii(fake, k))


def density_coverage(real: Float[np.ndarray, "n d"], fake: Float[np.ndarray, "m d"], k: int = 5) -> tuple[float, float]:
    """Density and coverage (Naeem et al. 2020), with the neighbourhoods of `precision_recall`.

    Density is the mean number of real neighbourhoods that a generated face is in, divided by k. It is 1 on average when
    both sets come from one distribution, and can exceed 1. Coverage, in [0, 1], is the share of real faces with at
    least one generated face in their neighbourhood.

    Raises ConfigError when k is below 1. Needs more than k faces per set.
    """
    real, fake = checked_features(real, fake, least=k + 1, neighbours=k)
    reach, hit_count, covered = radii(real, k), 0, np.zeros(len(real), bool)
    for rows in chunks(fake):
        hits = distances(rows, real) <= reach  # (chunk, N)
        hit_count += int(hits.sum())
        covered |= hits.any(0)
    return hit_count / (k * len(fake)), float(covered.mean())


@dataclass(frozen=True)
class CopyingScore:
    """Whether generated faces are nearer to the training faces than fresh real faces are.

    statistic: a z-score, about N(0, 1) if generated faces are as far away as fresh real ones; negative for copying.
    p_value: the probability of a statistic at most this high without copying.
    near_copies: the share of generated faces that are nearer to a training face than 99 % of the fresh faces are;
        about 0.01 without copying, see `chance_of_nearness`.
    """

    statistic: float
    p_value: float
    near_copies: float


def copying_score(fresh: Float[np.ndarray, " m"], drawn: Float[np.ndarray, " g"]) -> CopyingScore:
    """The data-copying test of Meehan et al. 2020 (C_T with one cell) on distances to the nearest training face.

    It is a one-sided Mann-Whitney test with correction for ties. Poor faces are far from every real face and so do not
    count as copies: read the score together with a distance between the sets.

    fresh: (M,), distances of real faces that were not trained on.
    drawn: (G,), distances of generated faces.

    Raises DataError when there are fewer than 10 of either.
    """
    for name, set_distances in (("real faces that were not trained on", fresh), ("generated faces", drawn)):
        if len(set_distances) < MIN_TESTED:
            raise DataError(f"The copying test needs at least {MIN_TESTED} {name}; there are {len(set_distances)}.")
    ordered = np.sort(fresh)
    nearer, not_farther = np.searchsorted(ordered, drawn, "left"), np.searchsorted(ordered, drawn, "right")  # (G,)
    farther = float((nearer + not_farther).sum() / 2)  # pairs whose generated face is farther; ties count half
    m, g = len(fresh), len(drawn)
    ties = np.unique(np.concatenate([fresh, drawn]), return_counts=True)[1].astype(float)
    total = m + g
    variance = m * g / 12 * (total + 1 - (ties**3 - ties).sum() / (total * (total - 1)))
    statistic = (farther - m * g / 2) / math.sqrt(variance) if variance > 0 else 0.0
    near = float((drawn < np.percentile(fresh, NEAR_PERCENTILE)).mean())
    return CopyingScore(statistic, 0.5 * math.erfc(-statistic / math.sqrt(2)), near)


def chance_of_nearness(generated: int, fresh: int) -> tuple[float, float]:
    """The expected share of near copies without copying, and its standard error.

    Near copies are nearer than the 1st percentile of the fresh faces. With few fresh faces that percentile is estimated
    too high on average, and its own uncertainty adds to the error.

    generated, fresh: number of generated and of fresh faces.
    """
    fresh, generated = max(1, fresh), max(1, generated)
    expected = (1 + 0.01 * (fresh - 1)) / (fresh + 1)
    return expected, math.sqrt(expected * (1 - expected) * (1 / fresh + 1 / generated))


def diversity(real: Float[np.ndarray, "n d"], generated: Float[np.ndarray, "g d"], k: int = 5) -> float:
    """The spread of generated faces divided by that of real ones: 1 if they are as varied, 0 if all are the same.

    Spread is the median distance to the k-th nearest other face of the same set, over equal numbers of faces. It is
    also low when a generator repeats a few faces, however different those are. Needs more than k faces per set.
    """
    real, generated = checked_features(real, generated, least=k + 1)
    count = min(len(real), len(generated))
    spread, real_spread = (float(np.median(radii(faces[:count], k))) for faces in (generated, real))
    return spread / real_spread if real_spread > 0 else 1.0


def checked_features(
    a: np.ndarray, b: np.ndarray, least: int, neighbours: int = 1
) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "m d"]]:
    """Both sets in float64. Raises DataError when they cannot be compared, ConfigError when `neighbours` is below 1."""
    if neighbours < 1:
        raise ConfigError(f"k must be at least 1; got {neighbours}.")
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    for features in (a, b):
        if features.ndim != 2 or features.shape[1] < 1:
            raise DataError(f"Features must be a table of shape (faces, width); got shape {features.shape}.")
        if len(features) < least:
            raise DataError(f"This measure needs at least {least} faces per set; got {len(features)}.")
        if not np.isfinite(features).all():
            raise DataError("The features contain NaN or infinity; check the pictures that they were computed from.")
    if a.shape[1] != b.shape[1]:
        raise DataError(f"The feature widths differ: {a.shape[1]} and {b.shape[1]}. Use one network for both sets.")
    return a, b


def chunks(rows: np.ndarray, size: int | None = None) -> Iterator[np.ndarray]:
    """The rows in parts of at most `size`, by default `CHUNK`."""
    size = size or CHUNK
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def distances(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "n m"]:
    """Euclidean distances of all pairs. Pass float64: in float32, |a|^2 + |b|^2 - 2 a.b loses small distances."""
    squared = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * (a @ b.T)
    return np.sqrt(squared.clip(min=0))  # (N, M)


def radii(features: Float[np.ndarray, "n d"], k: int) -> Float[np.ndarray, " n"]:
    """The distance from each face to its k-th nearest other face of the same set."""
    parts = []
    for start, rows in zip(range(0, len(features), CHUNK), chunks(features), strict=True):
        table = distances(rows, features)
        table[np.arange(len(rows)), start + np.arange(len(rows))] = np.inf  # a face is not its own neighbour
        parts.append(np.partition(table, k - 1, axis=1)[:, k - 1])
    return np.concatenate(parts)


def inside(points: np.ndarray, centres: np.ndarray, reach: np.ndarray) -> float:
    """The share of points (N, D) inside at least one ball, with `centres` (M, D) and radii `reach` (M,)."""
    return float(np.concatenate([(distances(rows, centres) <= reach).any(1) for rows in chunks(points)]).mean())
