"""A small network that sees anime faces: their attributes, and features to measure generated faces by."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ganime.errors import CheckpointError, DataError
from ganime.files import WEIGHTS, load_tensors, save_tensors

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from torch import Tensor

DEFAULT_FEATURES = WEIGHTS / "anime-features"
WEIGHTS_FILE, CONFIG_FILE = "model.safetensors", "config.json"
FEATURE_SIDE = 64  # px; pictures of another size are resized to it
FEATURE_WIDTHS = (16, 32, 64, 128, 256)  # channels at 64, 32, 16, 8 and 4 px
POOLED_SQUARES = (0, 4, 4, 2, 1)  # a depth enters the features as averages over this many squares a side
FEATURES = 320


class FeatureNet(nn.Module):
    """Picture -> features and attribute logits: 3x3 convolutions with BatchNorm, halving the side four times.

    The features are averages over squares of the activations at four depths, from strokes to whole faces. As in
    LPIPS (Zhang et al. 2018) the channels at each point are first brought to unit length, so that what counts is
    what is seen and not how strongly. A projection, fitted once after the training, brings them to `features` numbers.
    """

    mean: Tensor
    projection: Tensor

    def __init__(self, attributes: Sequence[str], features: int = FEATURES) -> None:
        super().__init__()
        self.attributes, self.features = tuple(attributes), features
        stages: list[nn.Module] = [conv_layer(3, FEATURE_WIDTHS[0])]
        for inputs, outputs in pairwise(FEATURE_WIDTHS):
            same = [conv_layer(outputs, outputs)] if outputs != FEATURE_WIDTHS[-1] else []
            stages.append(nn.Sequential(conv_layer(inputs, outputs, stride=2), *same))
        self.stages = nn.ModuleList(stages)
        self.head = nn.Linear(FEATURE_WIDTHS[-1] * 4 * 4, len(self.attributes))
        pooled = sum(width * squares**2 for width, squares in zip(FEATURE_WIDTHS, POOLED_SQUARES, strict=True))
        self.register_buffer("mean", torch.zeros(pooled))
        self.register_buffer("projection", torch.zeros(pooled, features))

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b a"]]:
        """Features (fp32) and attribute logits of pictures in [-1, 1]."""
        levels = self.activations(images)
        return (self.pool(levels) - self.mean) @ self.projection, self.logits(levels[-1])  # (B, D), (B, A)

    def activations(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b c side side"]]:
        """What each stage sees, from 64 px down to 4 px."""
        return activations(self.stages, images)

    def pool(self, levels: Sequence[Float[Tensor, "b c side side"]]) -> Float[Tensor, "b pooled"]:
        """The averages that the features are made of."""
        pooled = []
        for level, squares in zip(levels, POOLED_SQUARES, strict=True):
            if squares:
                unit = F.normalize(level.float(), dim=1, eps=1e-3)
                pooled.append(F.adaptive_avg_pool2d(unit, squares).flatten(1))  # (B, width * squares^2)
        return torch.cat(pooled, 1)

    def logits(self, deepest: Float[Tensor, "b c side side"]) -> Float[Tensor, "b a"]:
        """Attribute logits; where something is seen counts, for eyes are small and lie where eyes are."""
        return self.head(deepest.flatten(1))


def activations(stages: Iterable[nn.Module], images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b c side side"]]:
    """What each of a network's stages sees of pictures, brought to 64 px first."""
    levels = [resize_pictures(FEATURE_SIDE, images)]
    for stage in stages:
        levels.append(stage(levels[-1]))  # (B, width, side, side)
    return levels[1:]


def resize_pictures(side: int, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 side side"]:
    """Pictures in [-1, 1] made so many px large, where they are not."""
    if images.shape[-2:] == (side, side):
        return images
    return F.interpolate(images, (side, side), mode="bicubic", antialias=True).clamp(-1, 1)


def conv_layer(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, BatchNorm, ReLU: (B, C, H, W) -> (B, C', H / stride, W / stride)."""
    conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def to_tensor(images: UInt8[np.ndarray, "n h w 3"]) -> Float[Tensor, "n 3 h w"]:
    """uint8 pictures as floats in [-1, 1], channels-last in memory."""
    faces = torch.from_numpy(np.array(images)).permute(
        0, 3, 1, 2
    )  # (N, 3, H, W); a copy, for memory maps are read-only
    return faces.to(torch.float32, memory_format=torch.channels_last) / 127.5 - 1


def extract(
    net: FeatureNet, images: UInt8[np.ndarray, "n h w 3"], batch_size: int = 64
) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n a"]]:
    """Features and attribute probabilities, float32, of RGB pictures of one size, also memory-mapped ones.

    The batch size changes them by rounding alone. Raises DataError for anything but uint8 (N, H, W, 3).
    """
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise DataError(f"Pictures must be uint8 of shape (N, H, W, 3); got {images.dtype} {tuple(images.shape)}.")
    if not batch_size > 0:
        raise DataError(f"batch_size must be at least 1; got {batch_size}.")
    features = np.empty((len(images), net.features), np.float32)
    probabilities = np.empty((len(images), len(net.attributes)), np.float32)
    device = net.mean.device
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            found, logits = net(to_tensor(images[start : start + batch_size]).to(device))
            features[start : start + batch_size] = found.cpu().numpy()
            probabilities[start : start + batch_size] = logits.sigmoid().cpu().numpy()
    return features, probabilities


def save_features(net: FeatureNet, folder: Path) -> None:
    """Write the weights in 16 bits, and config.json, into an existing folder."""
    save_tensors(net.state_dict(), folder / WEIGHTS_FILE, half=True)
    config = {"attributes": list(net.attributes), "features": net.features}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def load_features(folder: Path | str = DEFAULT_FEATURES) -> FeatureNet:
    """Read a feature network, by default the one that comes with Ganime; in eval mode, fp32, on the CPU.

    Raises CheckpointError, naming the file, when anything is missing, damaged or of another shape.
    """
    path = Path(folder) / CONFIG_FILE
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        attributes, features = config["attributes"], config["features"]
        if not isinstance(attributes, list) or not all(isinstance(name, str) for name in attributes):
            raise TypeError("attributes must be a list of names")
        if type(features) is not int or not 1 <= features <= 4096:
            raise ValueError("features must be a whole number from 1 to 4096")
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path} is missing; a feature network holds {CONFIG_FILE} and {WEIGHTS_FILE}."
        ) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path} describes no feature network ({error}). Fetch or fit it again.") from error
    net = FeatureNet(attributes, features)
    net.load_state_dict(load_tensors(path.with_name(WEIGHTS_FILE), net.state_dict()))
    net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return net.eval().requires_grad_(False)
