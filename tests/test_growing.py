"""Growing: a model of twice the side draws and judges as the smaller one did, and goes on learning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ganime.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ganime.config import ModelConfig
from ganime.errors import ConfigError
from ganime.growing import grow
from ganime.model import Discriminator, Generator
from ganime.sampling import generate


@pytest.fixture(scope="module")
def grown(embedded: Checkpoint) -> Checkpoint:
    return grow(embedded, 128)


def as_tensor(faces: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(faces).permute(0, 3, 1, 2).float() / 127.5 - 1  # (N, 3, S, S)


def untrained(**config: object) -> Checkpoint:
    shape = replace(ModelConfig(image_size=32, latent_dim=8, base_channels=16, max_channels=32), **config)
    return Checkpoint(Generator(shape), Discriminator(shape), name="wide")


def test_a_grown_generator_draws_what_it_drew_magnified(embedded: Checkpoint, grown: Checkpoint) -> None:
    small, large = (generate(model, range(12)) for model in (embedded, grown))
    assert large.shape == (12, 128, 128, 3)
    wanted = nn.functional.interpolate(as_tensor(small), scale_factor=2, mode="bilinear")
    apart = (as_tensor(large) - wanted).abs()[:, :, 2:-2, 2:-2]  # beyond the border is nothing to mix with
    assert apart.mean() * 127.5 < 3  # of 255 levels: tanh comes after magnifying instead of before
    shuffled = (as_tensor(large) - wanted.roll(1, 0)).abs()
    assert shuffled.mean() > 10 * apart.mean()


def test_a_grown_discriminator_judges_as_before(embedded: Checkpoint, grown: Checkpoint) -> None:
    random, faces = torch.Generator().manual_seed(0), as_tensor(generate(embedded, range(36)))
    noisy = faces[12:24] + 0.5 * torch.randn(12, 3, 64, 64, generator=random)
    small = torch.cat([faces[:12], noisy, faces[24:].roll(20, 2) / 2]).clamp(-1, 1)  # (36, 3, 64, 64)
    large = nn.functional.interpolate(small, scale_factor=2)
    assert embedded.discriminator
    assert grown.discriminator
    with torch.no_grad():
        logits = torch.stack([embedded.discriminator(small), grown.discriminator(large)])  # (2, 36)
    assert torch.corrcoef(logits)[0, 1] > 0.95


def test_growing_twice_doubles_twice_and_the_same_every_time() -> None:
    start = untrained(base_channels=24, max_channels=96, discriminator_channels=48)
    state = torch.random.get_rng_state()
    one, other = grow(start, 128), grow(start, 128)
    assert torch.equal(state, torch.random.get_rng_state())
    config = one.generator.config
    assert (config.image_size, config.base_channels, config.discriminator_channels) == (128, 6, 12)
    assert one.revision == other.revision
    assert generate(one, [0]).shape == (1, 128, 128, 3)
    assert grow(start, 32) is start


def test_a_model_without_a_discriminator_grows_too() -> None:
    grown = grow(replace(untrained(), discriminator=None), 64)
    assert grown.discriminator is None
    assert grown.generator.config.image_size == 64


def test_a_grown_model_can_be_saved_and_loaded(grown: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(grown, tmp_path / "grown")
    loaded = load_checkpoint(tmp_path / "grown", with_discriminator=True)
    assert loaded.revision == grown.revision
    assert np.array_equal(generate(loaded, [3]), generate(load_checkpoint(tmp_path / "grown"), [3]))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"discriminator_norm": "batch"}, "only a model with batch and spectral norm"),
        ({"generator_norm": "none"}, "only a model with batch and spectral norm"),
        ({"base_channels": 10}, "at least 12"),
        ({"base_channels": 15}, "must be even"),
        ({"discriminator_channels": 10}, "at least 12"),
    ],
    ids=str,
)
def test_models_that_cannot_grow_say_why(config: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        grow(untrained(**config), 64)
