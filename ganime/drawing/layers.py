"""Seeing inside a model: the activations of every layer for one face, and what each layer costs."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from ganime.config import ModelConfig
from ganime.drawing.recipe import latents
from ganime.drawing.sampling import render
from ganime.models.checkpoint import Checkpoint
from ganime.nets.anime_features import to_tensor
from ganime.nets.blocks import Enlarged, Projection, weight_of
from ganime.nets.dcgan import Discriminator, Generator, downsample
from ganime.shapes import Float, UInt8

IMAGE_LAYERS = ("to_rgb", "smaller")  # layers whose output is an image
MAPS_SHOWN = 16  # feature maps shown of a layer
OTHERS = 32  # other faces of the model that the discriminator judges for comparison
FIRST_OTHER = 3_500_000_000  # their first seed, far from the seeds that people try first
WHITE_PERCENTILE = 99.5  # of a map's values; it is drawn white
SAME_MAP = 0.8  # correlation from which two maps are considered the same


@dataclass(frozen=True, eq=False)
class LayerMaps:
    """The output of one layer for one face.

    name: as in `layer_costs`, or "latent" or "smaller".
    shape: of the whole output, without the batch.
    tiles: some of its maps, (N, H, W), those that vary most first, each scaled to its own range from black to white;
        for IMAGE_LAYERS the three colours.
    channels: which maps the tiles are.
    cost: None if the layer has no weights.
    """

    name: str
    shape: tuple[int, ...]
    tiles: UInt8[np.ndarray, "n h w"]
    channels: tuple[int, ...]
    cost: LayerCost | None = None


@dataclass(frozen=True, eq=False)
class Inside:
    """The layers of both networks for one face, in order.

    generator: the latent, then the layers of the generator.
    discriminator: the layers of the discriminator; empty if the model has none.
    logit: the output of the discriminator, positive for real; None if the model has none.
    others: (32,), sorted; its outputs for other faces of the model.
    """

    generator: list[LayerMaps]
    discriminator: list[LayerMaps]
    logit: float | None = None
    others: Float[np.ndarray, " n"] | None = None

    def verdict(self) -> str:
        """The discriminator's opinion of the face as a sentence, compared with other faces of the model."""
        if self.logit is None or self.others is None:
            return "This model has no discriminator, the network that judges faces."
        opinion = "real" if self.logit > 0 else "generated"
        below = int((self.others < self.logit).sum())
        return (
            f"The second network, the discriminator, considers this face {opinion}: its score is {self.logit:+.2f}, "
            f"and above 0 means real. {below} of {len(self.others)} other faces of this model score lower."
        )


@torch.inference_mode()
def generator_maps(generator: Generator, z: Float[np.ndarray, " latent"], tiles: int = MAPS_SHOWN) -> list[LayerMaps]:
    """The output of each layer of the generator for one latent; the latent itself, as one tile, comes first.

    With supersampling, the large image of "to_rgb" is followed by "smaller", the face.
    """
    x = torch.from_numpy(np.asarray(z, np.float32)[None]).to(generator.device)
    x = x[:, :, None, None]  # (1, Z, 1, 1)
    maps = [LayerMaps("latent", (len(z),), grey(as_square(np.asarray(z, np.float32))[None]), (0,))]
    for name, layer in named_layers(generator):
        if name == "to_rgb":
            x = generator.drawn(x)  # (1, 3, S, S), or larger
            maps.append(image_maps(name, x[0]))
        else:
            x = layer(x)  # (1, C, H, W)
            maps.append(liveliest_maps(name, x[0], tiles))
    times = generator.config.supersampling
    return [*maps, image_maps("smaller", downsample(x, times)[0])] if times > 1 else maps


def image_maps(name: str, x: Float[Tensor, "3 h w"]) -> LayerMaps:
    """An image in [-1, 1] as the three maps of a layer."""
    pixels = ((x + 1) * 127.5).round().clamp(0, 255).byte().cpu().numpy()  # (3, H, W)
    return LayerMaps(name, tuple(x.shape), pixels, (0, 1, 2))


@torch.inference_mode()
def discriminator_maps(
    discriminator: Discriminator, face: UInt8[np.ndarray, "size size 3"]
) -> tuple[list[LayerMaps], float]:
    """The output of each layer of the discriminator for one face, and its logit, positive for real."""
    x = to_tensor(face[None]).to(next(discriminator.parameters()).device)  # (1, 3, S, S)
    maps = []
    for name, layer in named_layers(discriminator):
        x = layer(x)  # (1, C, H, W)
        maps.append(liveliest_maps(name, x[0]))
    return maps, float(x[0, 0, 0, 0])


def look_inside(
    checkpoint: Checkpoint, z: Float[np.ndarray, " latent"], others: Float[np.ndarray, " n"] | None = None
) -> Inside:
    """The layers of both networks for one face; without a discriminator those of the generator alone.

    z: the latent of the face.
    others: the result of `logits_of_others`, which takes as long as drawing 32 faces; None to compute it.
    """
    made = with_costs(generator_maps(checkpoint.generator, z), checkpoint.generator)
    if checkpoint.discriminator is None:
        return Inside(made, [])
    judged, logit = discriminator_maps(checkpoint.discriminator, made[-1].tiles.transpose(1, 2, 0))
    others = logits_of_others(checkpoint) if others is None else others
    return Inside(made, with_costs(judged, checkpoint.discriminator), logit, others)


def with_costs(maps: list[LayerMaps], net: Generator | Discriminator) -> list[LayerMaps]:
    """The same maps with the cost of each layer."""
    costs = {cost.name: cost for cost in layer_costs(net)}
    return [replace(one, cost=costs.get(one.name)) for one in maps]


@torch.inference_mode()
def logits_of_others(checkpoint: Checkpoint) -> Float[np.ndarray, " n"]:
    """The sorted logits of the discriminator for 32 faces of the model, always the same ones."""
    assert checkpoint.discriminator is not None
    z = latents(range(FIRST_OTHER, FIRST_OTHER + OTHERS), checkpoint.generator.config.latent_dim)
    faces = render(checkpoint.generator, z, batch_size=8)  # the last maps of a large model are large
    device = next(checkpoint.discriminator.parameters()).device
    return np.sort(checkpoint.discriminator(to_tensor(faces).to(device)).cpu().numpy())  # (32,)


def named_layers(net: Generator | Discriminator) -> Iterator[tuple[str, torch.nn.Module]]:
    """The layers of a network in order, with their names; the layers inside `blocks` one by one."""
    for name, child in net.named_children():
        if name == "blocks":
            yield from ((f"blocks.{inner}", layer) for inner, layer in child.named_children())
        else:
            yield name, child


def liveliest_maps(name: str, x: Float[Tensor, "c h w"], tiles: int = MAPS_SHOWN) -> LayerMaps:
    """The maps of a layer that vary most across the image, leaving out those that resemble one already chosen.

    If a map is a single point, the largest ones. If too few maps differ, those left out fill the row.
    """
    values = x.float().cpu().numpy()  # (C, H, W)
    variation = values.std((1, 2)) if values[0].size > 1 else np.abs(values[:, 0, 0])  # (C,)
    order = np.argsort(-variation, kind="stable")
    flat = values.reshape(len(values), -1)  # (C, H * W)
    flat = flat - flat.mean(1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True).clip(1e-9)
    chosen: list[int] = []
    for channel in order:
        if len(chosen) < tiles and not (flat[chosen] @ flat[channel] > SAME_MAP).any():
            chosen.append(int(channel))
    chosen += [int(channel) for channel in order if channel not in chosen][: max(0, tiles - len(chosen))]
    return LayerMaps(name, tuple(values.shape), grey(values[chosen]), tuple(chosen))


def grey(values: Float[np.ndarray, "n h w"]) -> UInt8[np.ndarray, "n h w"]:
    """Scale each map from its minimum, black, to WHITE_PERCENTILE, white; a single point is compared with zero."""
    points = values.reshape(len(values), -1)  # (N, H * W)
    low = points.min(1) if points.shape[1] > 1 else points.clip(max=0).min(1)
    spread = np.percentile(points, WHITE_PERCENTILE, axis=1) - low
    scaled = (values - low[:, None, None]) * (255 / spread.clip(1e-9))[:, None, None]  # (N, H, W)
    return scaled.round().clip(0, 255).astype(np.uint8)


def as_square(z: Float[np.ndarray, " latent"]) -> Float[np.ndarray, "rows columns"]:
    """Reshape a latent to the block that is nearest to a square: 128 numbers to 8 x 16."""
    rows = max(divisor for divisor in range(1, int(len(z) ** 0.5) + 1) if len(z) % divisor == 0)
    return z.reshape(rows, -1)  # (rows, latent / rows)


@dataclass(frozen=True)
class LayerCost:
    """One convolution or linear layer of a network and its norm.

    name: as in the network, such as "stem" or "blocks.0".
    kind: the class of the layer.
    output: shape of its output without the batch, (C, H, W).
    parameters: how many numbers it learns, those of the norm included.
    multiply_adds: of the convolution, for one face.
    inputs: channels of its input, which has at most the height and width of the output unless the layer reduces them.
    """

    name: str
    kind: str
    output: tuple[int, int, int]
    parameters: int
    multiply_adds: int
    inputs: int = 0


def layer_costs(net: Generator | Discriminator) -> list[LayerCost]:
    """What each layer of a network costs, computed from the shapes of its weights."""
    side = 1 if isinstance(net, Generator) else net.config.image_size
    costs = []
    for name, layer in named_layers(net):
        conv = weight_of(layer) if isinstance(layer, nn.Sequential) else layer
        parameters = sum(parameter.numel() for parameter in layer.parameters())
        if isinstance(conv, nn.Linear):
            projection = layer[0] if isinstance(layer, nn.Sequential) else layer
            assert isinstance(projection, Projection)
            shape, side = projection.shape, projection.shape[-1]
            costs.append(LayerCost(name, "Linear", shape, parameters, conv.weight.numel()))
            continue
        if isinstance(layer, nn.Sequential) and isinstance(layer[0], Enlarged):
            side *= 2
        assert isinstance(conv, nn.Conv2d | nn.ConvTranspose2d)
        kernel, stride, padding = conv.kernel_size[0], conv.stride[0], int(conv.padding[0])
        if isinstance(conv, nn.ConvTranspose2d):
            positions = side  # the kernel is applied once for each pixel of the input
            side = (side - 1) * stride - 2 * padding + kernel
        else:
            side = positions = (side + 2 * padding - kernel) // stride + 1  # once for each pixel of the output
        kind = type(conv).__name__.removeprefix("Parametrized")
        multiplied = positions * positions * conv.in_channels * conv.out_channels * kernel * kernel
        costs.append(LayerCost(name, kind, (conv.out_channels, side, side), parameters, multiplied, conv.in_channels))
    return costs


@functools.lru_cache(256)
def costs_of(kind: type[Generator] | type[Discriminator], config: ModelConfig) -> tuple[LayerCost, ...]:
    """What each layer of a network costs, computed without its weights."""
    with torch.device("meta"):
        net = kind(config)
    return tuple(layer_costs(net))


def multiply_adds(kind: type[Generator] | type[Discriminator], config: ModelConfig) -> int:
    """Multiply-adds of a network for one face."""
    return sum(cost.multiply_adds for cost in costs_of(kind, config))
