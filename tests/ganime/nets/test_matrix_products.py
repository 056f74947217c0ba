"""Convolutions as matrix products: equal to convolutions in value and in every derivative, and nothing else changes."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganime.config import ModelConfig
from ganime.models.checkpoint import Checkpoint, save_checkpoint
from ganime.nets import matrix_products
from ganime.nets.dcgan import Discriminator, Generator
from ganime.nets.matrix_products import COARSE, FINE, WEIGHT, Product, deep_layers, multiply, use_products

MODEL = ModelConfig(image_size=32, latent_dim=8, base_channels=8, max_channels=32)
Net = TypeVar("Net", Generator, Discriminator)
NETS = (Generator, Discriminator)


def net_of(kind: type[Net], norm: str = "batch") -> Net:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = kind(replace(MODEL, generator_norm=norm, discriminator_norm=norm))
    return net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=dtype)


def inputs_of(net: Generator | Discriminator) -> Tensor:
    return drawn(6, 8) if isinstance(net, Generator) else drawn(6, 3, 32, 32)


def gradients(net: Generator | Discriminator, autocast: bool = False) -> tuple[Tensor, dict[str, Tensor]]:
    """The output of a net, and the gradient of a function of it in the input and in every parameter, by name."""
    x = inputs_of(net).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        y = net(x)
    net.zero_grad()
    (y.float() * drawn(*y.shape)).sum().backward()
    assert x.grad is not None
    found = {name: parameter.grad for name, parameter in net.named_parameters() if parameter.grad is not None}
    return y.detach(), found | {"input": x.grad}


@pytest.fixture(autouse=True)
def _small_layers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_products, "LEAST_WEIGHTS", 0)


@pytest.mark.parametrize("wanted", [FINE, COARSE, WEIGHT])
def test_first_and_second_derivatives_are_those_of_the_values(wanted: int) -> None:
    operands = [drawn(*shape, dtype=torch.float64) for shape in ((1, 1, 4, 6), (1, 2, 2, 3), (2, 1, 4, 4))]
    given = tuple(operand.requires_grad_() for number, operand in enumerate(operands) if number != wanted)
    assert torch.autograd.gradcheck(partial(Product.apply, wanted), given)
    assert torch.autograd.gradgradcheck(partial(Product.apply, wanted), given)


@pytest.mark.parametrize("norm", ["batch", "spectral", "none"])
@pytest.mark.parametrize("kind", NETS)
def test_products_compute_what_convolutions_do(kind: type[Net], norm: str) -> None:
    plain, other = net_of(kind, norm), net_of(kind, norm)
    use_products(other)
    (y, expected), (other_y, found) = gradients(plain), gradients(other)
    torch.testing.assert_close(other_y, y, rtol=1e-5, atol=1e-5)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max()), msg=name)


def gradient_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """The mean squared norm of the logits' gradient in the images (R1, Mescheder et al. 2018)."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)  # (B, C, H, W)
    return gradient.square().flatten(1).sum(1).mean()


def test_a_gradient_penalty_through_products_equals_that_through_convolutions() -> None:
    plain, other = net_of(Discriminator, "spectral"), net_of(Discriminator, "spectral")
    use_products(other)
    penalties = []
    for net in (plain, other):
        images = inputs_of(net).requires_grad_()
        penalties.append(gradient_penalty(net(images), images))
        penalties[-1].backward()
    torch.testing.assert_close(penalties[1], penalties[0])
    for (name, a), b in zip(plain.named_parameters(), other.parameters(), strict=True):
        if name.endswith("bias"):
            assert b.grad is None or not b.grad.any()
        else:
            assert a.grad is not None
            assert a.grad.any()
            torch.testing.assert_close(b.grad, a.grad, rtol=1e-4, atol=1e-5 * float(a.grad.abs().max()), msg=name)


@pytest.mark.parametrize("kind", NETS)
def test_autocast_halves_the_precision_and_keeps_the_gradients(kind: type[Net]) -> None:
    plain, other = net_of(kind, "spectral"), net_of(kind, "spectral")
    use_products(other)
    (y, exact), (half_y, found) = gradients(plain), gradients(other, autocast=True)
    assert half_y.dtype == torch.bfloat16
    torch.testing.assert_close(half_y.float(), y, rtol=0.05, atol=0.05 * float(y.abs().max()))
    for name, gradient in exact.items():
        assert found[name].dtype == torch.float32
        assert F.cosine_similarity(found[name].flatten(), gradient.flatten(), dim=0) > 0.99, name


def test_a_penalty_taken_inside_autocast_is_differentiated_too() -> None:
    net = net_of(Discriminator, "spectral")
    use_products(net)
    images = inputs_of(net).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        penalty = gradient_penalty(net(images).float(), images)
    penalty.backward()
    weight = net.blocks.get_parameter("0.0.parametrizations.weight.original")
    assert weight.grad is not None
    assert weight.grad.isfinite().all()
    assert weight.grad.any()


def test_frozen_weights_get_no_gradient_and_let_it_through() -> None:
    net = net_of(Discriminator).requires_grad_(False)
    use_products(net)
    images = inputs_of(net).requires_grad_()
    net(images).sum().backward()
    assert images.grad is not None
    assert images.grad.any()
    assert all(parameter.grad is None for parameter in net.parameters())


def test_the_layer_at_the_smallest_map_comes_first() -> None:
    up, down = deep_layers(net_of(Generator)), deep_layers(net_of(Discriminator))
    assert [type(layer) for layer in (*up, *down)] == [nn.ConvTranspose2d] * 2 + [nn.Conv2d] * 2
    assert [tuple(layer.weight.shape[:2]) for layer in (*up, *down)] == [(32, 16), (16, 8), (32, 16), (16, 8)]


def test_small_layers_and_those_at_large_maps_stay_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Discriminator(ModelConfig(image_size=128, base_channels=1))  # 16, 8, 4, 2 and 1 channels
    assert [tuple(layer.weight.shape[:2]) for layer in deep_layers(net)] == [(16, 8), (8, 4)]
    monkeypatch.setattr(matrix_products, "LEAST_WEIGHTS", 16 * 16 * 8)
    assert [tuple(layer.weight.shape[:2]) for layer in deep_layers(net)] == [(16, 8)]


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize("bias", [True, False])
def test_any_memory_layout_and_an_activation_in_place_will_do(kind: type, bias: bool) -> None:
    layer, shape = kind(4, 4, 4, 2, 1, bias=bias), (2, 4, 6, 4)
    plain = drawn(*shape)
    for x in (plain, plain.contiguous(memory_format=torch.channels_last), drawn(*shape[::-1]).permute(3, 2, 1, 0)):
        y = F.leaky_relu_(multiply(layer, x), 0.2)
        torch.testing.assert_close(y, F.leaky_relu(layer(x), 0.2), rtol=1e-5, atol=1e-6)
        expected = torch.autograd.grad(F.leaky_relu(layer(x), 0.2).sum(), layer.weight)
        torch.testing.assert_close(torch.autograd.grad(y.sum(), layer.weight), expected, rtol=1e-4, atol=1e-5)


def test_a_checkpoint_of_a_switched_net_is_that_of_a_plain_one(tmp_path: Path) -> None:
    nets = []
    for name in ("plain", "switched"):
        generator, discriminator = net_of(Generator).eval(), net_of(Discriminator, "spectral").eval()
        if name == "switched":
            use_products(generator)
            use_products(discriminator)
        nets.append(generator)
        save_checkpoint(Checkpoint(generator, discriminator, name="model"), tmp_path / name)
    for path in (tmp_path / "plain").iterdir():
        assert (tmp_path / "switched" / path.name).read_bytes() == path.read_bytes(), path.name
    assert list(nets[0].state_dict()) == list(nets[1].state_dict())


def test_a_copy_of_a_switched_net_computes_with_its_own_weights() -> None:
    net = net_of(Discriminator)
    use_products(net)
    before = net(inputs_of(net))
    other = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert not other(inputs_of(net)).any()
    torch.testing.assert_close(net(inputs_of(net)), before)
