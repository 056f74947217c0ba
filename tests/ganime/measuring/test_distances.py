"""Measures of features against torchmetrics, closed forms and brute force; copies are detected, fresh faces are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from ganime.errors import ConfigError, DataError
from ganime.measuring import distances as metrics
from ganime.measuring.distances import (
    copying_score,
    density_coverage,
    distances,
    diversity,
    frechet_distance,
    kernel_distance,
    precision_recall,
)


class Features(torch.nn.Module):
    """Stands in for the Inception network of torchmetrics and returns its input."""

    num_features = 12

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


def gaussian(seed: int, count: int = 200, width: int = 12, shift: float = 0.0, scale: float = 1.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(width, width)) / width**0.5
    return (random.normal(size=(count, width)) @ mixing * scale + shift).astype(np.float32)


@pytest.mark.filterwarnings("ignore")
def test_frechet_distance_equals_torchmetrics() -> None:
    real, fake = gaussian(0), gaussian(1, 150, shift=0.3, scale=1.2)
    reference = FrechetInceptionDistance(feature=Features()).set_dtype(torch.float64)
    reference.update(torch.from_numpy(real).double(), real=True)
    reference.update(torch.from_numpy(fake).double(), real=False)
    assert frechet_distance(real, fake) == pytest.approx(reference.compute().item(), abs=1e-3)


@pytest.mark.filterwarnings("ignore")
def test_kernel_distance_equals_torchmetrics() -> None:
    real, fake = gaussian(0), gaussian(1, shift=0.3, scale=1.2)
    reference = KernelInceptionDistance(feature=Features(), subsets=2, subset_size=len(real))
    reference.update(torch.from_numpy(real), real=True)
    reference.update(torch.from_numpy(fake), real=False)
    assert kernel_distance(real, fake)[0] == pytest.approx(reference.compute()[0].item(), abs=1e-3)


def test_frechet_distance_of_shifted_features_is_the_squared_shift() -> None:
    features = gaussian(0, 500).astype(np.float64)
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(features, features + 0.5) == pytest.approx(12 * 0.25, abs=1e-6)
    assert frechet_distance(features[:, :1], 3 * features[:, :1] + 1) == pytest.approx(
        (2 * features[:, 0].mean() + 1) ** 2 + 4 * features[:, 0].var(ddof=1), rel=1e-6
    )


def test_frechet_distance_is_finite_for_fewer_faces_than_features() -> None:
    assert np.isfinite(frechet_distance(gaussian(0, 5), gaussian(1, 6)))


def test_kernel_distance_is_unbiased_and_its_error_separates_noise_from_difference() -> None:
    values = [kernel_distance(gaussian(seed), gaussian(seed + 100)) for seed in range(0, 40)]
    estimates, errors = np.array(values).T
    assert abs(estimates.mean()) < 3 * estimates.std() / len(estimates) ** 0.5
    assert 0.3 * estimates.std() < errors.mean() < 4 * estimates.std()
    value, error = kernel_distance(gaussian(0), gaussian(1, shift=0.5))
    assert value > 5 * error


def brute_force(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[float, float, float, float]:
    def radius(points: np.ndarray, index: int) -> float:
        return sorted(np.linalg.norm(points - points[index], axis=1))[k]  # index 0 is the point itself

    def hit(points: np.ndarray, index: int, query: np.ndarray) -> bool:
        return bool(np.linalg.norm(points[index] - query) <= radius(points, index))

    real, fake = real.astype(np.float64), fake.astype(np.float64)
    table = np.array([[hit(real, i, query) for i in range(len(real))] for query in fake])
    recalled = [any(hit(fake, j, query) for j in range(len(fake))) for query in real]
    return table.any(1).mean(), float(np.mean(recalled)), table.sum() / (k * len(fake)), table.any(0).mean()


@pytest.mark.parametrize("k", [1, 3])
def test_neighbourhood_measures_equal_brute_force(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "CHUNK", 7)
    real, fake = gaussian(0, 40, width=3), gaussian(1, 31, width=3, shift=0.2)
    expected = brute_force(real, fake, k)
    assert precision_recall(real, fake, k) == pytest.approx(expected[:2])
    assert density_coverage(real, fake, k) == pytest.approx(expected[2:])


def test_neighbourhood_measures_detect_collapse_and_distant_faces() -> None:
    real = gaussian(0, 300)
    collapsed, elsewhere = real[:1] + 0.001 * gaussian(1, 300), real + 100
    assert precision_recall(real, collapsed)[0] > 0.9
    assert precision_recall(real, collapsed)[1] < 0.1
    assert density_coverage(real, collapsed)[1] < 0.2
    assert precision_recall(real, elsewhere) == (0, 0)
    assert density_coverage(real, elsewhere) == (0, 0)
    assert density_coverage(real, gaussian(2, 300))[0] == pytest.approx(1, abs=0.2)


@given(st.integers(0, 1000), st.floats(0.1, 10))
def test_measures_do_not_depend_on_the_order_of_faces(seed: int, scale: float) -> None:
    real, fake = gaussian(seed, 30) * scale, gaussian(seed + 1, 30) * scale
    shuffled = fake[np.random.default_rng(seed).permutation(len(fake))]
    assert frechet_distance(real, shuffled) == pytest.approx(frechet_distance(real, fake), rel=1e-4)
    assert kernel_distance(real, shuffled)[0] == pytest.approx(kernel_distance(real, fake)[0], rel=1e-4, abs=1e-4)
    assert precision_recall(real, shuffled) == precision_recall(real, fake)


def nearest(faces: np.ndarray, train: np.ndarray) -> np.ndarray:
    return distances(faces, train).min(1)


def test_poor_faces_far_from_all_real_ones_are_not_called_copies() -> None:
    score = copying_score(nearest(gaussian(1), gaussian(0)), nearest(gaussian(2) + 5, gaussian(0)))
    assert score.statistic > 4
    assert score.p_value > 0.999
    assert score.near_copies == 0


def test_a_few_copies_among_fresh_faces_are_counted_as_near_copies() -> None:
    train, held_out, fresh = gaussian(0, 1000), gaussian(1), gaussian(2)
    drawn = np.concatenate([fresh[:180], train[:20]])
    score = copying_score(nearest(held_out, train), nearest(drawn, train))
    assert 0.09 <= score.near_copies <= 0.15


def test_copying_score_is_neutral_where_all_distances_are_equal() -> None:
    score = copying_score(np.ones(20), np.ones(20))
    assert (score.statistic, score.p_value, score.near_copies) == (0, 0.5, 0)


def test_copying_p_values_are_uniform_without_copying() -> None:
    train = gaussian(0, 100)
    sets = [nearest(gaussian(seed), train) for seed in range(1, 121)]
    p_values = [copying_score(*pair).p_value for pair in zip(sets[::2], sets[1::2], strict=True)]
    assert 0.35 < np.mean(p_values) < 0.65
    assert np.mean(np.array(p_values) < 0.1) < 0.25


@pytest.mark.parametrize("measure", [frechet_distance, kernel_distance, precision_recall, density_coverage])
def test_invalid_features_are_refused(measure: Callable[..., Any]) -> None:
    good = gaussian(0, 20)
    with pytest.raises(DataError, match=r"widths differ: 12 and 5"):
        measure(good, good[:, :5])
    with pytest.raises(DataError, match=r"at least"):
        measure(good, good[:0])
    with pytest.raises(DataError, match=r"table.*shape \(20,\)"):
        measure(good, good[:, 0])
    with pytest.raises(DataError, match="NaN"):
        measure(good, np.where(good > 0, good, np.nan))


def test_too_few_faces_are_refused_with_the_required_number() -> None:
    with pytest.raises(DataError, match=r"at least 2 faces.*got 1"):
        frechet_distance(gaussian(0, 1), gaussian(1))
    with pytest.raises(DataError, match=r"at least 4 faces.*got 3"):
        precision_recall(gaussian(0, 3), gaussian(1))
    with pytest.raises(DataError, match=r"at least 10 real faces.*there are 9"):
        copying_score(np.ones(9), np.ones(20))
    with pytest.raises(ConfigError, match="k must be at least 1"):
        density_coverage(gaussian(0), gaussian(1), k=0)


def test_diversity_is_1_for_one_distribution_and_lower_for_each_kind_of_collapse() -> None:
    random = np.random.default_rng(0)
    real, fresh = random.normal(size=(2, 300, 16))
    assert diversity(real, fresh) == pytest.approx(1, abs=0.1)
    assert diversity(real, 0.3 * fresh) == pytest.approx(0.3, abs=0.05)  # all alike
    few = np.repeat(fresh[:10], 30, axis=0) + 0.01 * random.normal(size=(300, 16))
    assert diversity(real, few) < 0.05  # ten different faces, repeated
    assert diversity(real, np.zeros((300, 16))) == 0
    with pytest.raises(DataError, match=r"at least 6 faces.*got 5"):
        diversity(real, fresh[:5])
