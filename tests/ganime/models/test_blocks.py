"""What the rest of Ganime does with imported layers: training, directions, the view of layers, resizing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ganime.config import RECIPES, Block, ModelConfig, from_dict, to_dict
from ganime.drawing.direction_search import unnamed_directions
from ganime.drawing.layers import generator_maps, layer_costs, look_inside, multiply_adds
from ganime.drawing.sampling import generate
from ganime.errors import ConfigError
from ganime.models.checkpoint import Checkpoint
from ganime.models.importing import import_generator
from ganime.models.resizing import resize
from ganime.nets.averaging import settle_statistics
from ganime.nets.dcgan import Discriminator, Generator
from ganime.nets.matrix_products import use_products
from ganime.training.run_folder import TrainingState
from tests.ganime.models.foreign_nets import LATENT, dcgan, projected, trained, tripling, upsampling, wide_kernels

NETS: dict[str, Callable[[], nn.Module]] = {
    "linear, BatchNorm1d": lambda: projected("1d"),
    "linear": projected,
    "upsampling": upsampling,
    "5x5": wide_kernels,
    "extra layers": lambda: dcgan(extra=1),
    "InstanceNorm": lambda: dcgan(norm=lambda n, eps: nn.InstanceNorm2d(n, eps, affine=True)),
    "LeakyReLU": lambda: dcgan(lambda: nn.LeakyReLU(0.2)),
    "grey, ELU": lambda: dcgan(nn.ELU, channels=1),
}


def imported(net: nn.Module, folder: Path) -> Checkpoint:
    torch.save(net.state_dict(), folder / "netG.pth")
    return import_generator(folder / "netG.pth")


@pytest.fixture(params=NETS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Checkpoint:
    checkpoint = imported(trained(NETS[request.param]()), tmp_path)
    assert checkpoint.generator.config.blocks or request.param == "linear"
    return checkpoint


def test_it_can_be_trained_on(model: Checkpoint) -> None:
    config = replace(RECIPES["modern"][0], critic=0.0)
    state = TrainingState.create(model.generator.config, config, torch.device("cpu"), model)
    use_products(state.generator)
    before = [parameter.clone() for parameter in state.generator.parameters()]
    z = torch.randn(4, LATENT)
    loss = -state.discriminator(state.generator.train()(z)).mean()
    loss.backward()
    state.generator_optimizer.step()
    assert all((a != b).any() for a, b in zip(before, state.generator.parameters(), strict=True))
    settle_statistics(state.ema, 64)
    assert torch.isfinite(state.ema(z)).all()


def test_it_has_directions(model: Checkpoint) -> None:
    found = unnamed_directions(model.generator)
    assert len(found) >= 6
    assert all(np.isfinite(direction.vector).all() for direction in found)


def test_its_layers_can_be_seen(model: Checkpoint) -> None:
    face = generate(model, [3])[0]
    with torch.random.fork_rng(devices=[]):
        judged = replace(model, discriminator=Discriminator(model.generator.config).eval())
    z = np.random.RandomState(3).standard_normal(LATENT).astype(np.float32)
    inside = look_inside(judged, z)
    assert inside.generator[-1].shape == (3, 32, 32)
    assert abs(inside.generator[-1].tiles.transpose(1, 2, 0).astype(int) - face).max() <= 1
    assert inside.discriminator
    for maps, cost in zip(generator_maps(model.generator, z)[1:], layer_costs(model.generator), strict=True):
        assert maps.shape == cost.output
    assert multiply_adds(Generator, model.generator.config) > 0


def test_it_keeps_its_size(model: Checkpoint) -> None:
    assert resize(model, 32) is model
    if model.generator.config.blocks:
        with pytest.raises(ConfigError, match="32 px"):
            resize(model, 64)


def test_a_model_of_another_side_is_not_trained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="96 px"):
        resize(imported(trained(tripling()), tmp_path), 96)


# --- the configuration


def blocks() -> tuple[Block, ...]:
    return Block("linear", 8, 4, 16, bias=True, activation="relu"), Block(
        "transposed", 4, 3, 4, 2, 1, activation="tanh"
    )


def test_a_configuration_with_blocks_round_trips() -> None:
    config = ModelConfig(32, 8, blocks=blocks())
    values = to_dict(config)
    assert [type(block) for block in values["blocks"]] == [dict, dict]
    assert from_dict(ModelConfig, values) == config
    assert hash(config) != hash(ModelConfig(32, 8))
    assert "blocks" not in to_dict(ModelConfig())


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"image_size": 64}, "64"),
        ({"latent_dim": 9}, r"blocks\[0\]"),
        ({"supersampling": 2}, "supersampling"),
        ({"blocks": blocks()[:1]}, "2 to 64"),
        ({"blocks": blocks() * 40}, "2 to 64"),
        ({"blocks": ({}, {})}, "2 to 64"),
        ({"blocks": (blocks()[0], replace(blocks()[1], outputs=4))}, "4 channels"),
        ({"blocks": (blocks()[0], replace(blocks()[1], inputs=5))}, r"blocks\[1\] takes 5"),
        ({"blocks": (blocks()[0], replace(blocks()[1], kernel=32, stride=8, padding=0))}, "32"),
        ({"blocks": (blocks()[0], Block("linear", 4, 3, 32))}, "linear"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(changes: dict[str, object], found: str) -> None:
    values = {"image_size": 32, "latent_dim": 8, "blocks": blocks()} | changes
    with pytest.raises(ConfigError, match=found):
        ModelConfig(**values)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("value", ["text", 3, {}, [3], [{"kind": "code"}], [{"colour": 1}], None])
def test_blocks_of_other_kinds_are_refused(value: object) -> None:
    with pytest.raises(ConfigError):
        from_dict(ModelConfig, {"image_size": 32, "latent_dim": 8, "blocks": value})
