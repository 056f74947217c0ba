"""A small network for anime faces: their attributes, and features that generated faces are measured with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganime.embedded import FEATURES
from ganime.errors import CheckpointError, DataError
from ganime.files import CONFIG_FILE, WEIGHTS_FILE, load_tensors, read_json_object
from ganime.shapes import Float, UInt8

FEATURE_SIDE = 64  # px; pictures of another size are resized to it
FEATURE_WIDTHS = (16, 32, 64, 128, 256)  # channels at 64, 32, 16, 8 and 4 px
POOLED_SQUARES = (0, 4, 4, 2, 1)  # per depth: the features average over this many squares per side
FEATURE_COUNT = 320
MAX_CONFIG_BYTES = 2**20


class FeatureNet(nn.Module):
    """Picture -> features and attribute logits: 3x3 convolutions with BatchNorm, halving the side four times.

    The features are averages over squares of the activations at four depths, from strokes to whole faces. As in
    LPIPS (Zhang et al. 2018), the channels at each point are first normalised to unit length, so that the pattern
    counts and not its strength. A projection, fitted once after training, reduces the averages to `features` numbers.

    attributes: their names, in the order of the logits. features: length of the feature vector.
    """

    mean: Tensor
    projection: Tensor

    def __init__(self, attributes: Sequence[str], features: int = FEATURE_COUNT) -> None:
        super().__init__()
        self.attributes, self.features = tuple(attributes), features
        self.stages = make_stages()
        self.head = nn.Linear(FEATURE_WIDTHS[-1] * 4 * 4, len(self.attributes))
        pooled = sum(width * squares**2 for width, squares in zip(FEATURE_WIDTHS, POOLED_SQUARES, strict=True))
        self.register_buffer("mean", torch.zeros(pooled))
        self.register_buffer("projection", torch.zeros(pooled, features))

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b a"]]:
        """Features (fp32) and attribute logits of pictures in [-1, 1]."""
        levels = self.activations(images)
        return (self.pool(levels) - self.mean) @ self.projection, self.logits(levels[-1])  # (B, D), (B, A)

    def activations(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b c side side"]]:
        """The activations after each stage, from 64 px down to 4 px."""
        return activations(self.stages, images)

    def pool(self, levels: Sequence[Float[Tensor, "b c side side"]]) -> Float[Tensor, "b pooled"]:
        """The averages from which the features are projected."""
        pooled = []
        for level, squares in zip(levels, POOLED_SQUARES, strict=True):
            if squares:
                unit = F.normalize(level.float(), dim=1, eps=1e-3)
                pooled.append(F.adaptive_avg_pool2d(unit, squares).flatten(1))  # (B, width * squares^2)
        return torch.cat(pooled, 1)

    def logits(self, deepest: Float[Tensor, "b c side side"]) -> Float[Tensor, "b a"]:
        """Attribute logits. They depend on the position of what is seen, since eyes are small and in a known place."""
        return self.head(deepest.flatten(1))  # (B, 256, 4, 4) -> (B, A)


def make_stages() -> nn.ModuleList:
    """The convolutions of a feature network: at the full side, then each stage at half the side of the one before."""
    stages: list[nn.Module] = [conv_layer(3, FEATURE_WIDTHS[0])]
    for inputs, outputs in pairwise(FEATURE_WIDTHS):
        same = [conv_layer(outputs, outputs)] if outputs != FEATURE_WIDTHS[-1] else []
        stages.append(nn.Sequential(conv_layer(inputs, outputs, stride=2), *same))
    return nn.ModuleList(stages)


def activations(stages: Iterable[nn.Module], images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b c side side"]]:
    """The activations after each of a network's stages, of pictures resized to 64 px."""
    levels = [resize_pictures(FEATURE_SIDE, images)]
    for stage in stages:
        levels.append(stage(levels[-1]))  # (B, width, side, side)
    return levels[1:]


def resize_pictures(side: int, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 side side"]:
    """Pictures in [-1, 1], resized to `side` px unless they have that size."""
    if images.shape[-2:] == (side, side):
        return images
    return F.interpolate(images, (side, side), mode="bicubic", antialias=True).clamp(-1, 1)


def conv_layer(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Convolution, by default 3x3, BatchNorm, ReLU: (B, C, H, W) -> (B, C', H / stride, W / stride)."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def to_tensor(images: UInt8[np.ndarray, "n h w 3"]) -> Float[Tensor, "n 3 h w"]:
    """uint8 pictures as floats in [-1, 1], channels-last in memory."""
    pixels = np.array(images)  # a copy, since memory maps are read-only
    faces = torch.from_numpy(pixels).permute(0, 3, 1, 2)  # (N, 3, H, W)
    return faces.to(torch.float32, memory_format=torch.channels_last) / 127.5 - 1


def extract(
    net: FeatureNet,
    images: UInt8[np.ndarray, "n h w 3"],
    batch_size: int = 64,
    prepare: Callable[[Tensor], Tensor] = lambda batch: batch,
) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n a"]]:
    """Features and attribute probabilities, float32, of RGB pictures of one size, which may be memory-mapped.

    The batch size changes them only by rounding. prepare: changes each batch, (B, 3, H, W) in [-1, 1], before the net.

    Raises DataError for anything but uint8 (N, H, W, 3), and for a batch size below 1.
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
            batch, logits = net(prepare(to_tensor(images[start : start + batch_size]).to(device)))  # (B, D), (B, A)
            features[start : start + batch_size] = batch.cpu().numpy()
            probabilities[start : start + batch_size] = logits.sigmoid().cpu().numpy()
    return features, probabilities


def load_features(folder: Path | str = FEATURES) -> FeatureNet:
    """Read a feature network, by default the embedded one; in eval mode, fp32, on the CPU.

    Raises CheckpointError, naming the file, when anything is missing, damaged or has another shape.
    """
    path = Path(folder) / CONFIG_FILE
    try:
        config = read_json_object(path, MAX_CONFIG_BYTES)
        attributes, features = config.get("attributes"), config.get("features")
        if not isinstance(attributes, list) or not all(isinstance(name, str) for name in attributes):
            raise ValueError("attributes must be a list of names")
        if type(features) is not int or not 1 <= features <= 4096:
            raise ValueError("features must be a whole number from 1 to 4096")
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing; a feature network has it beside {WEIGHTS_FILE}.") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} describes no feature network ({error}). Fetch or fit it again.") from error
    net = FeatureNet(attributes, features)
    net.load_state_dict(load_tensors(path.with_name(WEIGHTS_FILE), net.state_dict()))
    net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return net.eval().requires_grad_(False)
