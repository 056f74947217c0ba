"""Polishing: a generator that is trained with the Fréchet loss alone."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ganime.errors import ConfigError, DataError, TrainingError
from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ganime.nets.averaging import quasirandom_latents, settle_statistics
from weights.make.frechet_loss import View
from weights.make.polish import STATISTICS_BATCH, PolishConfig, Polished, polish

# Settings for the few faces of these tests.
small = partial(PolishConfig, min_faces=32, real_faces=200, drawn_faces=200, settling_latents=256, report_steps=10)


@pytest.fixture(scope="module")
def views() -> list[View]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 8, 5, 4), nn.ReLU()).requires_grad_(False)
    return [View("toy", lambda images: [net(images)])]


def polished(
    faces: FaceDataset, model: Checkpoint, views: list[View], images: int = 1600, lr: float = 1e-3
) -> list[Polished]:
    config = small(images=images, lr=lr, ema_images=100)
    return list(polish(faces, model, config, views=views))


def test_distance_to_the_faces_falls_in_the_average_too(
    faces: FaceDataset, tiny: Checkpoint, views: list[View]
) -> None:
    events = polished(faces, tiny, views)
    assert events[-1].images == 1600
    assert events[-1].progress == 1
    assert events[-1].distance < 0.7 * events[0].distance
    again = polished(faces, events[-1].model(), views, images=16)
    assert again[0].distance < 0.7 * events[0].distance


def test_same_seed_gives_the_same_model_and_only_the_generator_changes(
    faces: FaceDataset, tiny: Checkpoint, views: list[View]
) -> None:
    before = {name: tensor.clone() for name, tensor in tiny.generator.state_dict().items()}
    one, other = (polished(faces, tiny, views, images=160)[-1].model() for _ in range(2))
    assert one.revision == other.revision != tiny.revision
    assert one.discriminator is tiny.discriminator
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny.generator.state_dict().items())
    assert (one.training["polished_images"], one.training["polished_from"]) == (160, tiny.revision)
    assert one.training["polished_through"] == "; ".join(view.name for view in views)
    assert not any(parameter.requires_grad for parameter in one.generator.parameters())


def running_statistics(model: Checkpoint) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in model.generator.state_dict().items() if "running" in name}


def test_the_loss_sees_what_the_polished_model_draws(faces: FaceDataset, tiny: Checkpoint) -> None:
    viewed: list[torch.Tensor] = []

    def maps(images: torch.Tensor) -> list[torch.Tensor]:
        viewed.append(images.detach().clone())
        return [images]

    views = [View("toy", maps, (1.0, 1.0))]
    model = polished(faces, tiny, views, images=16, lr=1e-8)[-1].model()
    before = math.ceil(small().drawn_faces / STATISTICS_BATCH) * STATISTICS_BATCH  # drawn before the first step
    latents = quasirandom_latents(tiny.generator.config.latent_dim, 0, drawn=before)(16)
    with torch.no_grad():
        drawn = model.generator(latents)
    assert torch.allclose(viewed[-1], drawn, atol=1e-3)
    statistics = running_statistics(model)

    def settled_over(latents: int) -> bool:
        """Whether the polished model's statistics are those over this number of latents."""
        generator = copy.deepcopy(tiny.generator)
        settle_statistics(generator, latents)
        expected = generator.state_dict()
        return all(torch.allclose(tensor, expected[name], rtol=1e-4, atol=1e-5) for name, tensor in statistics.items())

    assert statistics
    assert settled_over(small().settling_latents)
    assert not settled_over(64)


def test_polishing_a_polished_model_keeps_its_statistics_and_adds_its_images(
    faces: FaceDataset, tiny: Checkpoint, views: list[View]
) -> None:
    once = polished(faces, tiny, views, images=320)[-1].model()
    twice = polished(faces, once, views, images=16, lr=1e-8)[-1].model()
    statistics = running_statistics(once)
    assert statistics
    torch.testing.assert_close(running_statistics(twice), statistics)
    moved = copy.deepcopy(once.generator)
    settle_statistics(moved, small().settling_latents)  # the weights were not trained with these
    assert any(not torch.allclose(moved.state_dict()[name], tensor, rtol=1e-3) for name, tensor in statistics.items())
    assert twice.training["polished_images"] == 320 + 16


def test_real_faces_are_not_mirrored(faces: FaceDataset, tiny: Checkpoint) -> None:
    rows: list[torch.Tensor] = []

    def maps(images: torch.Tensor) -> list[torch.Tensor]:
        rows.append(images.detach().mean((1, 2)))  # (B, side)
        return [images]

    sides = np.zeros_like(faces.images)
    sides[:, :, : sides.shape[2] // 2] = 255
    polished(replace(faces, images=sides), tiny, [View("toy", maps, (1.0, 1.0))], images=16)
    real = torch.cat(rows)[: min(200, len(faces.train))]
    assert (real[:, 0] > 0.9).all()
    assert (real[:, -1] < -0.9).all()


@pytest.mark.parametrize("count", [None, "9", True, 2.5, -5, 10**4299])
def test_invalid_facts_of_a_model_are_ignored(
    count: Any, faces: FaceDataset, tiny: Checkpoint, views: list[View], tmp_path: Path
) -> None:
    strange = replace(tiny, training={"seconds": "2h", "polished_images": count, "images": "1.2M"})
    model = polished(faces, strange, views, images=16)[-1].model()
    save_checkpoint(model, tmp_path / "out")
    facts = load_checkpoint(tmp_path / "out").training
    assert facts["polished_images"] == 16
    assert facts["images"] == "1.2M"
    assert type(facts["seconds"]) is int


def test_too_few_faces_and_a_wrong_size_are_refused_with_the_required_ones(
    faces: FaceDataset, tiny: Checkpoint, embedded: Checkpoint, views: list[View]
) -> None:
    with pytest.raises(DataError, match=r"32 px.*anime-128 draws 128 px"):
        polished(faces, embedded, views)
    with pytest.raises(DataError, match=r"58 training faces.*needs 2,000"):
        list(polish(faces, tiny, views=views))


def test_a_loss_that_is_not_finite_asks_for_a_lower_learning_rate(faces: FaceDataset, tiny: Checkpoint) -> None:
    def broken(images: torch.Tensor) -> list[torch.Tensor]:
        return [images * (float("nan") if images.requires_grad else 1.0)]

    with pytest.raises(TrainingError, match=r"no longer finite after 0 images.*lower lr than 0.001"):
        polished(faces, tiny, [View("broken", broken)])


@pytest.mark.parametrize(("field", "value"), [("images", 0), ("batch_size", 1), ("lr", 0.0), ("ema_images", 0)])
def test_values_out_of_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"PolishConfig.{field}"):
        PolishConfig(**{field: value})
