"""Seeing inside: what each layer makes of one face, from noise to picture and from picture to verdict."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from ganime.drawing.recipe import latents
from ganime.drawing.sampling import render
from ganime.models.checkpoint import Checkpoint
from ganime.nets.anime_features import to_tensor
from ganime.nets.dcgan import Discriminator, Generator, downsample

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from torch import Tensor

PICTURES = ("to_rgb", "smaller")  # layers that end in a picture
TILES = 16  # feature maps shown of a layer
OTHERS = 32  # other faces of the model that the discriminator is asked about
FIRST_OTHER = 3_500_000_000  # their first seed, far from those that people try first
BRIGHT = 99.5  # percentile of a map's values that is drawn white
ALIKE = 0.8  # correlation from which two maps show the same


@dataclass(frozen=True, eq=False)
class LayerMaps:
    """One layer's answer to one face.

    name: as in `model.summary`, or "latent". shape: of the whole answer, without the batch. tiles: some of its maps,
    uint8 (N, H, W), the liveliest first, each on a scale of its own from black to white. channels: which maps these
    are. One of PICTURES has its three colours as tiles. cost: kind, parameters and multiply-adds of the
    layer, None for the latent, which is none.
    """

    name: str
    shape: tuple[int, ...]
    tiles: UInt8[np.ndarray, "n h w"]
    channels: tuple[int, ...]
    cost: LayerSummary | None = None


@dataclass(frozen=True, eq=False)
class Inside:
    """What both nets of a model make of one face, in the order it passes them, and what they cost.

    made: the latent, then the layers of the generator. judged: the layers of the discriminator. logit: its answer,
    positive for real; others: (32,), sorted, its answers to other faces of the model. These are empty and None where
    the model comes without its discriminator.
    """

    made: list[LayerMaps]
    judged: list[LayerMaps]
    logit: float | None = None
    others: Float[np.ndarray, " n"] | None = None

    def verdict(self) -> str:
        """What the discriminator thinks of the face, in words; a logit alone says little: it stands beside others."""
        if self.logit is None or self.others is None:
            return "This model comes without its discriminator."
        takes = "takes this face for a real one" if self.logit > 0 else "sees that this face was generated"
        below = int((self.others < self.logit).sum())
        return (
            f"The discriminator {takes}: its logit is {self.logit:+.2f}, and above 0 stands for real. Of "
            f"{len(self.others)} other faces of this model it finds {below} less convincing."
        )


@torch.inference_mode()
def generator_maps(generator: Generator, z: Float[np.ndarray, " latent"], tiles: int = TILES) -> list[LayerMaps]:
    """What each layer of the generator makes of a latent; the latent itself, as one tile, is the first.

    With supersampling the picture as it was drawn is followed by "smaller", the face itself.
    """
    x = torch.from_numpy(np.asarray(z, np.float32)[None]).to(next(generator.parameters()).device)
    x = x[:, :, None, None]  # (1, Z, 1, 1)
    maps = [LayerMaps("latent", (len(z),), grey(as_square(np.asarray(z, np.float32))[None]), (0,))]
    for name, layer in named_layers(generator):
        if name == "to_rgb":
            x = generator.drawn(x)  # (1, 3, S, S), or larger
            maps.append(picture(name, x[0]))
        else:
            x = layer(x)  # (1, C, H, W)
            maps.append(liveliest(name, x[0], tiles))
    times = generator.config.supersampling
    return [*maps, picture("smaller", downsample(x, times)[0])] if times > 1 else maps


def picture(name: str, x: Float[Tensor, "3 h w"]) -> LayerMaps:
    pixels = ((x + 1) * 127.5).round().clamp(0, 255).byte().cpu().numpy()  # (3, H, W)
    return LayerMaps(name, tuple(x.shape), pixels, (0, 1, 2))


@torch.inference_mode()
def discriminator_maps(
    discriminator: Discriminator, face: UInt8[np.ndarray, "size size 3"], tiles: int = TILES
) -> tuple[list[LayerMaps], float]:
    """What each layer of the discriminator sees in a face, and its verdict: a logit, positive for real."""
    device = next(discriminator.parameters()).device
    x = torch.from_numpy(face.copy()).permute(2, 0, 1)[None].to(device).float() / 127.5 - 1  # (1, 3, S, S)
    maps = []
    for name, layer in named_layers(discriminator):
        x = layer(x)  # (1, C, H, W)
        maps.append(liveliest(name, x[0], tiles))
    return maps, float(x[0, 0, 0, 0])


def look_inside(
    checkpoint: Checkpoint,
    z: Float[np.ndarray, " latent"],
    tiles: int = TILES,
    others: Float[np.ndarray, " n"] | None = None,
) -> Inside:
    """The layers of both nets in the order a face passes them; of the generator alone where there is no other.

    others: what `logits_of_others` answered for this model before, which takes as long as drawing 32 faces.
    """
    made = with_costs(generator_maps(checkpoint.generator, z, tiles), checkpoint.generator)
    if checkpoint.discriminator is None:
        return Inside(made, [])
    judged, logit = discriminator_maps(checkpoint.discriminator, made[-1].tiles.transpose(1, 2, 0), tiles)
    others = logits_of_others(checkpoint) if others is None else others
    return Inside(made, with_costs(judged, checkpoint.discriminator), logit, others)


def with_costs(maps: list[LayerMaps], net: Generator | Discriminator) -> list[LayerMaps]:
    """The same with what each layer costs."""
    costs = {row.name: row for row in summary(net)}
    return [replace(one, cost=costs.get(one.name)) for one in maps]


@torch.inference_mode()
def logits_of_others(checkpoint: Checkpoint) -> Float[np.ndarray, " n"]:
    """What the discriminator answers to 32 faces of the model, always the same ones, sorted."""
    assert checkpoint.discriminator is not None
    z = latents(range(FIRST_OTHER, FIRST_OTHER + OTHERS), checkpoint.generator.config.latent_dim)
    faces = render(checkpoint.generator, z, batch_size=8)  # the last maps of a large model are large
    device = next(checkpoint.discriminator.parameters()).device
    return np.sort(checkpoint.discriminator(to_tensor(faces).to(device)).cpu().numpy())  # (32,)


def named_layers(net: Generator | Discriminator) -> Iterator[tuple[str, torch.nn.Module]]:
    """The layers in order, by the names that `model.summary` gives them."""
    for name, child in net.named_children():
        if name == "blocks":
            yield from ((f"blocks.{inner}", layer) for inner, layer in child.named_children())
        else:
            yield name, child


def liveliest(name: str, x: Float[Tensor, "c h w"], tiles: int) -> LayerMaps:
    """The maps of a layer that vary most over the face, but none that is much like one before it.

    Where there is one point only, those that answer most; where too few differ, the next liveliest fill the row.
    """
    values = x.float().cpu().numpy()  # (C, H, W)
    life = values.std((1, 2)) if values[0].size > 1 else np.abs(values[:, 0, 0])  # (C,)
    order = np.argsort(-life, kind="stable")
    flat = values.reshape(len(values), -1)  # (C, H * W)
    flat = flat - flat.mean(1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True).clip(1e-9)
    chosen: list[int] = []
    for channel in order:
        if len(chosen) < tiles and not (flat[chosen] @ flat[channel] > ALIKE).any():
            chosen.append(int(channel))
    chosen += [int(channel) for channel in order if channel not in chosen][: max(0, tiles - len(chosen))]
    return LayerMaps(name, tuple(values.shape), grey(values[chosen]), tuple(chosen))


def grey(values: Float[np.ndarray, "n h w"]) -> UInt8[np.ndarray, "n h w"]:
    """Each map from black (its least) to white; a single point against zero, for it has nothing beside it."""
    points = values.reshape(len(values), -1)  # (N, H * W)
    low = points.min(1) if points.shape[1] > 1 else points.clip(max=0).min(1)
    reach = np.percentile(points, BRIGHT, axis=1) - low
    scaled = (values - low[:, None, None]) * (255 / reach.clip(1e-9))[:, None, None]  # (N, H, W)
    return scaled.round().clip(0, 255).astype(np.uint8)


def as_square(z: Float[np.ndarray, " latent"]) -> Float[np.ndarray, "rows columns"]:
    """A latent as a block as nearly square as its length allows, row by row: 128 numbers as 8 x 16."""
    rows = max(divisor for divisor in range(1, int(len(z) ** 0.5) + 1) if len(z) % divisor == 0)
    return z.reshape(rows, -1)  # (rows, latent / rows)


@dataclass(frozen=True)
class LayerSummary:
    """One convolution of a net: output shape without the batch, learned parameters (norm included), multiply-adds."""

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int


@torch.no_grad()
def summary(net: Generator | Discriminator) -> list[LayerSummary]:
    """The topology layer by layer, measured by sending one latent (or picture) through a copy of the net."""
    net, config, rows = copy.deepcopy(net).cpu().eval(), net.config, []
    if isinstance(net, Generator):
        x = torch.zeros(1, config.latent_dim, 1, 1)
    else:
        x = torch.zeros(1, 3, config.image_size, config.image_size)
    layers = [("blocks." + name, layer) for name, layer in net.blocks.named_children()]
    (first, last) = [(name, layer) for name, layer in net.named_children() if name != "blocks"]
    for name, layer in (first, *layers, last):
        before, x = x, layer(x)
        conv = layer[0] if isinstance(layer, nn.Sequential) else layer
        assert isinstance(conv, nn.Conv2d | nn.ConvTranspose2d)
        windows = before if isinstance(conv, nn.ConvTranspose2d) else x  # the whole kernel acts once for each pixel
        rows.append(
            LayerSummary(
                name=name,
                kind="ConvTranspose2d" if windows is before else "Conv2d",
                output=tuple(x.shape[1:]),
                parameters=sum(parameter.numel() for parameter in layer.parameters()),
                multiply_adds=windows.shape[-2] * windows.shape[-1] * conv.weight.numel(),
            )
        )
    return rows
