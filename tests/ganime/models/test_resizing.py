"""A model of another side draws and judges as the one it was made from did, and goes on learning."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from ganime.config import ModelConfig
from ganime.drawing.sampling import generate
from ganime.errors import ConfigError
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ganime.models.resizing import resize
from ganime.nets.dcgan import Discriminator, Generator
from tests.reshaped import plain_model, resampled


@pytest.fixture(scope="module")
def plain() -> Checkpoint:
    return plain_model()


def test_statistics_that_are_not_those_of_the_weights_stay(plain: Checkpoint) -> None:
    """A polished model has such."""
    generator = copy.deepcopy(plain.generator)
    for layer in generator.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean += 0.3 * layer.running_var.sqrt()
    one = resize(replace(plain, generator=generator), 128).generator.state_dict()
    shared = [name for name in generator.state_dict() if "running" in name]
    assert shared
    assert all(torch.equal(one[name], generator.state_dict()[name]) for name in shared)


@pytest.fixture(scope="module")
def grown(plain: Checkpoint) -> Checkpoint:
    return resize(plain, 128)


def as_tensor(faces: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(faces).permute(0, 3, 1, 2).float() / 127.5 - 1  # (N, 3, S, S)


def untrained(**config: object) -> Checkpoint:
    shape = replace(ModelConfig(image_size=32, latent_dim=8, base_channels=16, max_channels=32), **config)
    return Checkpoint(Generator(shape), Discriminator(shape), name="wide")


def test_a_grown_generator_draws_what_it_drew_magnified(plain: Checkpoint, grown: Checkpoint) -> None:
    small, large = (generate(model, range(12)) for model in (plain, grown))
    assert large.shape == (12, 128, 128, 3)
    wanted = nn.functional.interpolate(as_tensor(small), scale_factor=2, mode="bilinear")
    apart = (as_tensor(large) - wanted).abs()[:, :, 2:-2, 2:-2]  # beyond the border is nothing to mix with
    assert apart.mean() * 127.5 < 3  # of 255 levels: tanh comes after magnifying instead of before
    shuffled = (as_tensor(large) - wanted.roll(1, 0)).abs()
    assert shuffled.mean() > 10 * apart.mean()


def test_a_grown_discriminator_judges_as_before(plain: Checkpoint, grown: Checkpoint) -> None:
    random, faces = torch.Generator().manual_seed(0), as_tensor(generate(plain, range(36)))
    noisy = faces[12:24] + 0.5 * torch.randn(12, 3, 64, 64, generator=random)
    small = torch.cat([faces[:12], noisy, faces[24:].roll(20, 2) / 2]).clamp(-1, 1)  # (36, 3, 64, 64)
    large = nn.functional.interpolate(small, scale_factor=2)
    assert plain.discriminator
    assert grown.discriminator
    with torch.no_grad():
        logits = torch.stack([plain.discriminator(small), grown.discriminator(large)])  # (2, 36)
    assert torch.corrcoef(logits)[0, 1] > 0.95


def test_growing_twice_doubles_twice_and_the_same_every_time() -> None:
    start = untrained(base_channels=24, max_channels=96, discriminator_channels=48)
    state = torch.random.get_rng_state()
    one, other = resize(start, 128), resize(start, 128)
    assert torch.equal(state, torch.random.get_rng_state())
    config = one.generator.config
    assert (config.image_size, config.base_channels, config.discriminator_channels) == (128, 6, 12)
    assert one.revision == other.revision
    assert generate(one, [0]).shape == (1, 128, 128, 3)
    assert resize(start, 32) is start


def test_a_shrunk_generator_draws_what_it_drew_made_smaller(plain: Checkpoint) -> None:
    large, small = (generate(model, range(12)) for model in (plain, resize(plain, 32)))
    assert small.shape == (12, 32, 32, 3)
    wanted = resampled(large, 32, Image.Resampling.LANCZOS).astype(int)
    assert np.abs(small - wanted).mean() < 0.5
    assert np.abs(small - wanted).max() < 16  # Pillow cuts off what swings over after each of two passes


def test_there_is_no_model_of_another_size(plain: Checkpoint) -> None:
    with pytest.raises(ConfigError, match="image_size must be one of"):
        resize(plain, 48)


def test_first_layer_of_a_shrunk_discriminator_sees_what_two_saw(plain: Checkpoint) -> None:
    shrunk = resize(plain, 32)
    small = as_tensor(generate(shrunk, range(100, 124)))  # (24, 3, 32, 32)
    large = nn.functional.interpolate(small, scale_factor=2.0, mode="bilinear")
    assert plain.discriminator
    assert shrunk.discriminator
    old, new = plain.discriminator, shrunk.discriminator
    with torch.no_grad():
        seen = torch.stack([old.blocks[0](old.from_rgb(large)), new.from_rgb(small)])  # (2, 24, C, 16, 16)
    assert torch.corrcoef(seen.flatten(1))[0, 1] > 0.85
    for name, tensor in new.blocks[0].state_dict().items():
        if "bias" in name or "original" in name:
            assert torch.equal(tensor, old.blocks[1].state_dict()[name])


@pytest.mark.slow
def test_a_model_that_shrank_grows_again_to_what_it_was(plain: Checkpoint) -> None:
    state = torch.random.get_rng_state()
    small = resize(plain, 32)
    assert torch.equal(state, torch.random.get_rng_state())
    assert small.generator.config.supersampling == 2
    assert small.revision == resize(plain, 32).revision
    large = resize(small, 64)
    assert small.revision != plain.revision
    assert large.revision == plain.revision
    assert large.generator.config == replace(plain.generator.config, discriminator_channels=32)
    assert np.array_equal(generate(large, range(4)), generate(plain, range(4)))
    assert resize(resize(plain, 128), 32).generator.config.supersampling == 4


def test_a_model_without_a_discriminator_changes_its_side_too() -> None:
    start = replace(untrained(), discriminator=None)
    other = resize(resize(start, 64), 32)
    assert other.discriminator is None
    assert generate(other, [0]).shape == (1, 32, 32, 3)


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
        ({"base_channels": 15}, "must halve evenly"),
        ({"discriminator_channels": 10}, "at least 12"),
    ],
    ids=str,
)
def test_models_that_cannot_change_their_side_say_why(config: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        resize(untrained(**config), 64)
