"""From the layers of a foreign generator to one of Ganime, exactly: a plain DCGAN where they are one, else blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ganime.config import IMAGE_SIZES, MOST_PIXELS, ModelConfig
from ganime.errors import CheckpointError
from ganime.models.importing.fitting import UNIFORM, side_of
from ganime.models.importing.layers import ReadLayer
from ganime.nets.blocks import weight_of
from ganime.nets.dcgan import Generator

PLAIN_EPS = 1e-5  # of the norms of a plain DCGAN


def coloured(layers: list[ReadLayer]) -> list[ReadLayer]:
    """The layers with a last one that draws grey as red, green and blue, if it draws one channel."""
    last = layers[-1]
    if last.block.outputs == 3:
        return layers
    axis = 1 if last.block.kind == "transposed" else 0
    bias = None if last.bias is None else last.bias.repeat(3)
    norm = {name: tensor.repeat(3) for name, tensor in last.norm.items()}
    tripled = replace(last, weight=last.weight.repeat_interleave(3, axis), bias=bias, norm=norm)
    return [*layers[:-1], tripled.changed(outputs=3)]


def for_normal_latents(layers: list[ReadLayer], latent: str, row: Tensor | None) -> list[ReadLayer]:
    """The layers with a first one that takes normal latents alone.

    Of latents from -1 to 1 it takes normal ones of the same spread. The class is worked into its weight and bias.

    latent: how latents enter, as `fitting.Fit` says. row: the numbers of the class; None without classes.
    """
    first, (kind, _, entry) = layers[0], latent.partition(" ")
    if row is not None:
        first = with_class(as_linear(first), entry, row)
    if kind == "uniform":
        first = replace(first, weight=first.weight * UNIFORM)
    return [first, *layers[1:]]


def as_linear(layer: ReadLayer) -> ReadLayer:
    """A transposed convolution of a single point as the linear layer that it is."""
    if layer.block.kind == "linear":
        return layer
    kernel = layer.block.kernel
    weight = layer.weight.flatten(1).T  # (C * K * K, Z)
    bias = None if layer.bias is None else layer.bias.repeat_interleave(kernel**2)
    return replace(layer, weight=weight, bias=bias).changed(kind="linear")


def with_class(layer: ReadLayer, entry: str, row: Tensor) -> ReadLayer:
    """A linear first layer for one class, whose row scales the latent ("times class") or is a part of the input."""
    if entry == "times class":
        return replace(layer, weight=layer.weight * row)
    split = len(row) if entry == "behind class" else layer.block.inputs - len(row)
    parts = layer.weight[:, :split], layer.weight[:, split:]
    own, fixed = parts if entry == "before class" else parts[::-1]
    added = fixed @ row + (0 if layer.bias is None else layer.bias)  # (C * K * K,)
    return replace(layer, weight=own, bias=added).changed(inputs=own.shape[1], bias=True)


def build_generator(layers: Sequence[ReadLayer]) -> Generator:
    """A generator that draws what the layers draw, in eval mode. Raises CheckpointError, ConfigError."""
    plain = plain_config([as_stem(layers[0]), *layers[1:]])
    if plain:
        return filled_plain(plain, [as_stem(layers[0]), *layers[1:]])
    size, latent = side_of(layers), layers[0].block.inputs
    if not 8 <= size <= MOST_PIXELS:
        raise CheckpointError(f"it draws pictures of {size} px; Ganime draws 8 to {MOST_PIXELS}.")
    near = min(1024, max(1, layers[-1].block.inputs))
    widest = min(4096, max(near, *(layer.block.outputs for layer in layers)))
    norm = "batch" if any(layer.measured for layer in layers) else "none"
    blocks = tuple(layer.block for layer in layers)
    config = ModelConfig(size, latent, near, widest, generator_norm=norm, blocks=blocks)
    with torch.random.fork_rng(devices=[]):  # its first weights are thrown away: leave the random state alone
        generator = Generator(config)
    for net, layer in zip([generator.stem, *generator.blocks, generator.to_rgb], layers, strict=True):
        fill(net, layer)
    return generator.eval().requires_grad_(False)


@torch.no_grad()
def fill(net: torch.nn.Module, layer: ReadLayer) -> None:
    """Give the modules of a block the numbers of a layer."""
    assert isinstance(net, torch.nn.Sequential)
    weight_of(net).load_state_dict({"weight": layer.weight} | ({} if layer.bias is None else {"bias": layer.bias}))
    kinds = torch.nn.BatchNorm1d | torch.nn.BatchNorm2d | torch.nn.InstanceNorm2d
    for norm in (module for module in net.modules() if isinstance(module, kinds)):
        counted = {} if layer.block.norm == "instance" else {"num_batches_tracked": torch.tensor(0)}
        norm.load_state_dict(layer.norm | counted)


def as_stem(layer: ReadLayer) -> ReadLayer:
    """A linear first layer as the transposed convolution of a single point, where its bias is that of one."""
    block, bias = layer.block, layer.bias
    if block.kind != "linear" or block.norm == "batch-1d":
        return layer
    if bias is not None:
        by_channel = bias.view(block.outputs, -1)
        if (by_channel != by_channel[:, :1]).any():
            return layer
        bias = by_channel[:, 0]
    weight = layer.weight.T.reshape(block.inputs, block.outputs, block.kernel, block.kernel)
    return replace(layer, weight=weight, bias=bias).changed(kind="transposed")


def plain_config(layers: Sequence[ReadLayer]) -> ModelConfig | None:
    """The configuration of the plain DCGAN that the layers are; None if they are another net."""
    *hidden, last = layers
    widths, size = [layer.block.outputs for layer in hidden], side_of(layers)
    norms = {layer.block.norm for layer in hidden}
    if size not in IMAGE_SIZES or norms not in ({"batch"}, {"none"}) or last.norm or last.block.activation != "tanh":
        return None
    config = ModelConfig(size, layers[0].block.inputs, min(widths[-1], 1024), min(max(widths), 4096))
    config = replace(config, generator_norm=norms.pop())
    known = [layer.block for layer in hidden]
    if [*config.channels] != widths or any(
        (block.activation, block.activation_first) != ("relu", False) for block in known
    ):
        return None
    if any(block.eps != PLAIN_EPS for block in known if block.norm == "batch"):
        return None
    shapes = [(b.kind, b.kernel, b.stride, b.padding) for b in (layer.block for layer in layers)]
    wanted = [("transposed", 4, 1, 0)] + [("transposed", 4, 2, 1)] * (len(layers) - 1)
    return config if shapes == wanted else None


def filled_plain(config: ModelConfig, layers: Sequence[ReadLayer]) -> Generator:
    """A plain DCGAN with the numbers of the layers; a bias before BatchNorm goes into its running mean."""
    with torch.random.fork_rng(devices=[]):
        generator = Generator(config)
    state = {}
    names = ["stem.0", *(f"blocks.{i}.0" for i in range(len(layers) - 2)), "to_rgb"]
    for name, layer in zip(names, layers, strict=True):
        bias = torch.zeros(layer.block.outputs) if layer.bias is None else layer.bias
        state[f"{name}.weight"] = layer.weight
        if layer.norm:
            mean = layer.norm["running_mean"] - bias
            behind = layer.norm | {"running_mean": mean, "num_batches_tracked": torch.tensor(0)}
            state |= {f"{name[:-1]}1.{key}": value for key, value in behind.items()}
        else:
            state[f"{name}.bias"] = bias
    generator.load_state_dict(state)
    return generator.eval().requires_grad_(False)
