"""Training a feature network: an easy attribute is learned, invalid input is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganime.errors import DataError
from ganime.nets.anime_features import FeatureNet, extract, load_features
from weights.make.damage import DAMAGES, augment, damage, damaged_batch
from weights.make.feature_training import (
    AttributeScore,
    FitStep,
    fit_features,
    save_features,
    train_features,
)

FACES = 110


def colour_face(seed: int) -> np.ndarray:
    """A noisy square, red for odd seeds and blue for even ones."""
    random = np.random.default_rng(seed)
    face = random.integers(0, 100, (64, 64, 3))
    face[:, :, 0 if seed % 2 else 2] += 150
    return face.astype(np.uint8)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    lines = ["file,red,rare"]
    for seed in range(FACES):
        Image.fromarray(colour_face(seed)).save(folder / f"{seed:03d}.png")
        lines.append(f"{seed:03d}.png,{seed % 2},{int(seed < 5)}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Fitted:
    folder: Path
    scores: list[AttributeScore]
    steps: list[FitStep]


@pytest.fixture(scope="module")
def fitted(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    folder, steps = tmp_path_factory.mktemp("fitted"), []
    labels = toy / "labels.csv"
    scores = fit_features([toy], labels, folder / "net", 0, folder, steps.append, epochs=8, batch_size=16, notes="Hm.")
    return Fitted(folder / "net", scores, steps)


@pytest.mark.slow
def test_an_easy_attribute_is_learned_and_a_rare_one_is_not(fitted: Fitted) -> None:
    assert [score.name for score in fitted.scores] == ["red"]
    assert fitted.scores[0].balanced_accuracy == 1
    assert fitted.steps[-1].progress == 1
    probabilities = extract(load_features(fitted.folder), np.stack([colour_face(1001), colour_face(1002)]))[1][:, 0]
    assert probabilities[0] > 0.5 > probabilities[1]


@pytest.mark.slow
def test_the_card_lists_learned_and_dropped_attributes(fitted: Fitted) -> None:
    card = (fitted.folder / "README.md").read_text(encoding="utf-8")
    assert f"| red | {fitted.scores[0].positives} | 1.000 |" in card
    assert "fewer than 30 training faces have it: rare." in card
    assert "Hm." in card


@pytest.mark.slow
def test_features_of_training_faces_are_centred_and_of_unit_size(fitted: Fitted) -> None:
    features = extract(load_features(fitted.folder), np.stack([colour_face(seed) for seed in range(FACES)]))[0]
    assert np.abs(features.mean(0)).max() < 0.1 * features.std(0).max()
    assert (features**2).mean() == pytest.approx(1, abs=0.3)


def test_a_saved_network_comes_back_in_half_precision(net: FeatureNet, tmp_path: Path) -> None:
    faces = np.stack([colour_face(seed) for seed in range(4)])
    save_features(net, tmp_path)
    np.testing.assert_array_equal(extract(load_features(tmp_path), faces)[0], extract(net, faces)[0])


def test_training_gives_equal_nets_for_equal_arguments() -> None:
    images = np.stack([colour_face(seed) for seed in range(32)])
    labels = (np.arange(32) % 2).astype(np.float32)[:, None]
    states = []
    for _ in range(2):
        torch.manual_seed(0)
        net = FeatureNet(["red"])
        steps = list(train_features(net, images, labels, np.arange(32), epochs=2, batch_size=16))
        assert steps[-1].images == 64
        assert not net.training
        states.append(net.state_dict())
    for name, tensor in states[0].items():
        torch.testing.assert_close(tensor, states[1][name], msg=name)


def test_a_time_limit_ends_the_training() -> None:
    images, labels = np.stack([colour_face(seed) for seed in range(32)]), np.ones((32, 1), np.float32)
    steps = list(train_features(FeatureNet(["any"]), images, labels, np.arange(32), epochs=1e6, minutes=0.01))
    assert steps[-1].progress == 1


def test_damage_of_kind_none_changes_nothing_and_every_other_kind_does() -> None:
    faces = torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    damaged = damage(faces, torch.arange(len(DAMAGES)), torch.ones(8), torch.Generator().manual_seed(0))
    changed = (damaged - faces).abs().amax((1, 2, 3)) > 0.05
    assert changed.tolist() == [False] + [True] * 7
    assert damaged.abs().max() <= 1


def test_augmentation_only_mirrors_and_shifts_by_whole_pixels() -> None:
    faces = torch.arange(64 * 64.0).view(1, 1, 64, 64).repeat(16, 3, 1, 1)
    views = augment(faces, torch.Generator().manual_seed(0))
    assert torch.equal(views, views.round())
    right = views[:, 0, 32, 33] - views[:, 0, 32, 32]
    assert set(right.tolist()) == {-1.0, 1.0}
    assert (views[:, 0, 33, 32] - views[:, 0, 32, 32] == 64).all()


def test_a_quarter_of_a_batch_is_damaged() -> None:
    faces, kinds = damaged_batch(torch.zeros(16, 3, 64, 64), torch.Generator().manual_seed(0))
    assert faces.shape == (16, 3, 64, 64)
    assert (kinds[:4] > 0).all()
    assert (kinds[4:] == 0).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file\n000.png\n", "names no attribute"),
        ("file,red\n000.png,yes\n", "line 2"),
        ("file,red\n000.png,1,0\n", "line 2"),
        ("file,red\nnobody.png,1\n", "too few"),
        ("", "not a readable CSV"),
    ],
)
def test_invalid_labels_are_refused(toy: Path, tmp_path: Path, text: str, message: str) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        fit_features([toy], labels, tmp_path / "net", cache=tmp_path)
    assert not (tmp_path / "net").exists()


def test_missing_labels_and_attributes_too_rare_are_refused(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv is not a readable CSV"):
        fit_features([toy], tmp_path / "nowhere.csv", tmp_path / "net", cache=tmp_path)
    labels = tmp_path / "labels.csv"
    labels.write_text("file,rare\n" + "".join(f"{seed:03d}.png,{int(seed < 5)}\n" for seed in range(FACES)), "utf-8")
    with pytest.raises(DataError, match="no attribute is 1 for at least 30"):
        fit_features([toy], labels, tmp_path / "net", cache=tmp_path)
