"""The embedded feature network: shapes, exactness, and distances that grow with damage."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganime.embedded import FEATURES
from ganime.errors import CheckpointError, DataError
from ganime.measuring.distances import frechet_distance
from ganime.nets.anime_features import FeatureNet, extract, load_features, to_tensor
from weights.make.damage import DAMAGES, damage


@pytest.fixture(scope="module")
def pictures(draw_face: Callable[..., Any]) -> np.ndarray:
    return np.stack([np.asarray(draw_face(seed)) for seed in range(96)])


@pytest.fixture(scope="module")
def clean(net: FeatureNet, pictures: np.ndarray) -> np.ndarray:
    """Features of the undamaged pictures, (96, 320)."""
    return extract(net, pictures)[0]


def test_the_embedded_network_is_small_and_its_card_lists_its_attributes(net: FeatureNet) -> None:
    assert (FEATURES / "model.safetensors").stat().st_size < 10 * 1024**2
    assert {"blonde_hair", "blue_eyes", "smile", "glasses"} <= set(net.attributes)
    assert {"gray_hair", "drill_hair", "orange_eyes"}.isdisjoint(net.attributes)
    assert not net.training
    card = (FEATURES / "README.md").read_text(encoding="utf-8")
    assert all(f"| {name} |" in card for name in net.attributes)
    assert "yuhengfdada/ANIMEGAN_Dataset1" in card


def test_extract_gives_finite_float32_tables(net: FeatureNet, pictures: np.ndarray) -> None:
    features, probabilities = extract(net, pictures[:5])
    assert features.shape == (5, net.features)
    assert probabilities.shape == (5, len(net.attributes))
    assert features.dtype == probabilities.dtype == np.float32
    assert np.isfinite(features).all()
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    empty = extract(net, pictures[:0])
    assert (len(empty[0]), len(empty[1])) == (0, 0)


def test_forward_gives_what_extract_gives(net: FeatureNet, pictures: np.ndarray) -> None:
    features, logits = net(to_tensor(pictures[:3]))
    expected = extract(net, pictures[:3])
    np.testing.assert_allclose(features.numpy(), expected[0], atol=1e-4)
    np.testing.assert_allclose(logits.sigmoid().numpy(), expected[1], atol=1e-5)


def test_features_do_not_depend_on_batch_or_neighbours(net: FeatureNet, pictures: np.ndarray) -> None:
    whole, alone = extract(net, pictures[:9], batch_size=9), extract(net, pictures[:9], batch_size=1)
    reversed_ = extract(net, pictures[8::-1], batch_size=4)
    np.testing.assert_allclose(whole[0], alone[0], atol=1e-3)
    np.testing.assert_allclose(whole[0], reversed_[0][::-1], atol=1e-3)
    np.testing.assert_allclose(whole[1], alone[1], atol=1e-4)


def test_features_are_the_same_every_time(net: FeatureNet, pictures: np.ndarray) -> None:
    np.testing.assert_array_equal(extract(net, pictures[:8])[0], extract(load_features(), pictures[:8])[0])


@pytest.mark.parametrize("side", [32, 128, 256])
def test_features_are_alike_at_other_sizes(net: FeatureNet, draw_face: Callable[..., Any], side: int) -> None:
    own = extract(net, np.stack([np.asarray(draw_face(seed, 64)) for seed in range(24)]))[0]
    other = extract(net, np.stack([np.asarray(draw_face(seed, side)) for seed in range(24)]))[0]
    strangers = np.linalg.norm(own - np.roll(own, 1, axis=0), axis=1).mean()
    assert np.linalg.norm(own - other, axis=1).mean() < 0.75 * strangers


@pytest.mark.slow
@pytest.mark.parametrize("kind", range(1, len(DAMAGES)), ids=DAMAGES[1:])
def test_distance_rises_with_damage(net: FeatureNet, pictures: np.ndarray, clean: np.ndarray, kind: int) -> None:
    distances = []
    for strength in (0.02, 0.1, 1.0):  # drawn ellipses look torn long before real faces do
        kinds, strengths = torch.full((len(pictures),), kind), torch.full((len(pictures),), strength)
        damaged = damage(to_tensor(pictures), kinds, strengths, torch.Generator().manual_seed(0))
        faces = ((damaged.permute(0, 2, 3, 1) + 1) * 127.5).round().byte().numpy()
        distances.append(frechet_distance(clean, extract(net, faces)[0]))
    assert 0 < distances[0] < distances[1] < distances[2]


def test_noise_too_faint_to_see_changes_less_than_another_face(
    net: FeatureNet, pictures: np.ndarray, clean: np.ndarray
) -> None:
    noise = np.random.default_rng(0).normal(0, 3, pictures.shape)
    noisy = extract(net, (pictures + noise).round().clip(0, 255).astype(np.uint8))[0]
    strangers = np.linalg.norm(clean - np.roll(clean, 1, axis=0), axis=1)
    assert np.median(np.linalg.norm(clean - noisy, axis=1) / strangers) < 0.5


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 64, 64, 3)), np.zeros((64, 64, 3), np.uint8), np.zeros((2, 64, 64, 4), np.uint8)]
)
def test_other_arrays_are_refused(net: FeatureNet, wrong: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"uint8 of shape \(N, H, W, 3\)"):
        extract(net, wrong)
    with pytest.raises(DataError, match="batch_size"):
        extract(net, np.zeros((2, 64, 64, 3), np.uint8), batch_size=0)


def test_damaged_folders_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        load_features(tmp_path / "nowhere")
    folder = tmp_path / "copy"
    shutil.copytree(FEATURES, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for broken in ("{", "[]", "{}", json.dumps(config | {"features": 0}), json.dumps(config | {"attributes": "hat"})):
        (folder / "config.json").write_text(broken, encoding="utf-8")
        with pytest.raises(CheckpointError, match=r"config\.json describes no feature network"):
            load_features(folder)
    (folder / "config.json").write_text(json.dumps(config | {"features": 7}), encoding="utf-8")
    with pytest.raises(CheckpointError, match="projection has shape"):
        load_features(folder)
    shutil.copy(FEATURES / "config.json", folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is not a whole"):
        load_features(folder)
