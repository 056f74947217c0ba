"""Reads the generators in ONNX files with the package onnx alone: the graph is followed, and nothing in it is run."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganime.errors import CheckpointError
from ganime.models.importing.chain import Chain
from ganime.models.importing.layout import Layout
from ganime.models.importing.weight_files import MAX_IMPORT_BYTES

MOST_NODES = 2_000
BATCH = -1  # stands for the number of pictures in shapes that are computed
ACTIVATIONS = {  # by the operator: the activation, and the default of its attribute alpha if it has one
    "Relu": ("relu", None),
    "LeakyRelu": ("leaky-relu", 0.01),
    "Elu": ("elu", 1.0),
    "Selu": ("selu", None),
    "Tanh": ("tanh", None),
    "Sigmoid": ("sigmoid", None),
    "Softplus": ("softplus", None),
    "Mish": ("mish", None),
    "HardSwish": ("hard-swish", None),
}
PASSED = ("Identity", "Dropout", "Cast")  # change nothing when pictures are drawn
ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
}


def read_onnx(file: Path) -> Layout:
    """The layers of the generator in an ONNX file, whose graph must be a chain from one latent to the picture.

    Raises CheckpointError for a file that is damaged or keeps its weights elsewhere, and for operators that Ganime does
    not know.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise CheckpointError("an ONNX file is read with onnx. Install it: pip install 'ganime[onnx]'.") from error
    try:
        graph = onnx.load(str(file), load_external_data=False).graph
    except Exception as error:  # of protobuf, or of whatever else the bytes are
        raise CheckpointError(f"it is no whole ONNX file ({str(error)[:200]}). Fetch it or save it again.") from error
    if len(graph.node) > MOST_NODES:
        raise CheckpointError(f"it has {len(graph.node):,} nodes; at most {MOST_NODES:,} are read.")
    for tensor in graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise CheckpointError(f"{tensor.name} keeps its numbers in another file, which Ganime does not open.")
    try:
        known = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        nodes = [Node(node, onnx.helper) for node in graph.node]
        latents = [value.name for value in graph.input if value.name not in known]
        if len(latents) != 1:
            raise CheckpointError(
                f"its ONNX graph takes the inputs {', '.join(latents)[:200] or 'none'}; a generator takes one latent."
            )
        return Layout(Follower(nodes, known, latents[0]).layers())
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:  # CheckpointError is none
        raise CheckpointError(f"its graph is malformed ({str(error)[:200]}).") from error


class Node:
    """An operator with its attributes as plain values. name: for errors."""

    def __init__(self, node: Any, helper: Any) -> None:
        self.kind, self.inputs, self.outputs = node.op_type, list(node.input), list(node.output)
        self.attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        self.name = node.name or f"{node.op_type} ({self.outputs[0] if self.outputs else '?'})"

    def text(self, name: str, default: str) -> str:
        """An attribute that is a text."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else str(value)

    def pair(self, name: str, default: int) -> list[int]:
        """An attribute with a number for each side of a map."""
        return [int(value) for value in self.attributes.get(name, [default, default])]


class Follower:
    """Follows the one value that is computed from the latent, and adds each operator on its way to a chain."""

    def __init__(self, nodes: list[Node], known: dict[str, np.ndarray], latent: str) -> None:
        self.nodes, self.known, self.value = iter(nodes), known, latent
        self.users: dict[str, list[Node]] = {}
        for node in nodes:
            for name in node.inputs:
                self.users.setdefault(name, []).append(node)
        self.chain = Chain()
        self.channels_last = False  # between two transpositions, of files that were made from Keras

    def layers(self) -> list[Any]:
        """All layers."""
        for node in self.nodes:
            if all(name in self.known or not name for name in node.inputs):
                self.compute(node)
            elif node.kind == "Shape" and node.inputs == [self.value]:
                self.known[node.outputs[0]] = np.array([BATCH], np.int64)  # of the rest nothing is asked
            else:
                self.follow(node)
        return self.chain.finished()

    def compute(self, node: Node) -> None:
        """Keep what an operator makes of constants."""
        values = [self.known[name] for name in node.inputs if name]
        result = computed(node, values)
        if result.nbytes > MAX_IMPORT_BYTES:
            raise CheckpointError(f"{node.name} makes {result.nbytes:,} bytes; at most {MAX_IMPORT_BYTES:,} are read.")
        self.known[node.outputs[0]] = result

    def follow(self, node: Node) -> None:
        """Add an operator on the way from the latent. Raises CheckpointError for one that Ganime does not know."""
        others = [name for name in node.inputs if name and name != self.value]
        if self.value not in node.inputs or any(name not in self.known for name in others):
            raise CheckpointError(f"{node.name} joins two ways through the net; Ganime reads a single one.")
        weights = [self.known[name] for name in node.inputs if name in self.known]
        if node.kind in ("Gemm", "MatMul"):
            self.linear(node, weights)
        elif node.kind in ("Conv", "ConvTranspose"):
            self.convolution(node, weights)
        elif node.kind in ("BatchNormalization", "InstanceNormalization"):
            self.norm(node, weights)
        elif node.kind == "Add":
            self.add(node, weights[0])
        elif node.kind in ("Reshape", "Unsqueeze", "Flatten", "Squeeze"):
            self.reshape(node, weights)
        elif node.kind == "Transpose":
            self.transpose(node)
        elif node.kind in ("Resize", "Upsample"):
            self.enlarge(node, weights)
        elif node.kind == "Sigmoid" and self.is_silu(node):
            return
        elif node.kind in ("Clip", *ACTIVATIONS):
            self.chain.activate(*activation_of(node, weights), where=node.name)
        elif node.kind not in PASSED:
            raise CheckpointError(f"{node.name} is an operator {node.kind}, which Ganime does not know here.")
        self.value = node.outputs[0]

    def linear(self, node: Node, weights: list[np.ndarray]) -> None:
        """Add a linear layer, whose weight comes second."""
        factors = {float(node.attributes.get(name, 1.0)) for name in ("alpha", "beta")}
        if node.inputs[0] != self.value or weights[0].ndim != 2 or factors != {1.0} or node.attributes.get("transA"):
            raise CheckpointError(f"{node.name} is a matrix product of a form that Ganime does not know.")
        weight = weights[0] if node.attributes.get("transB") else weights[0].T
        bias = None if len(weights) < 2 else np.broadcast_to(weights[1].reshape(-1), weight.shape[:1])
        self.chain.linear(node.name, tensor(weight), None if bias is None else tensor(bias))

    def convolution(self, node: Node, weights: list[np.ndarray]) -> None:
        """Add a convolution or a transposed one."""
        weight, bias = tensor(weights[0]), tensor(weights[1]) if len(weights) > 1 else None
        kernel, strides = [*weight.shape[2:]], node.pair("strides", 1)
        pads = [int(value) for value in node.attributes.get("pads", [0, 0, 0, 0])]
        plain = node.attributes.get("group", 1) == 1 and node.pair("dilations", 1) == [1, 1]
        plain &= node.text("auto_pad", "NOTSET") in ("NOTSET", "VALID") and "output_shape" not in node.attributes
        square = len(kernel) == 2 and kernel[0] == kernel[1] and strides[0] == strides[1] and pads[0::2] == pads[1::2]
        if not plain or not square or self.channels_last:
            raise CheckpointError(f"{node.name} is not square, or has groups, dilations or paddings by itself.")
        if node.kind == "Conv":
            self.chain.convolution(node.name, weight, bias, strides[0], (pads[0], pads[2]))
            return
        extra = node.pair("output_padding", 0)
        if extra[0] != extra[1]:
            raise CheckpointError(f"{node.name} has an output_padding of {extra}; both numbers must be the same.")
        self.chain.transposed(node.name, weight, bias, strides[0], (pads[0], pads[2] - extra[0]))

    def norm(self, node: Node, weights: list[np.ndarray]) -> None:
        """Add a norm with its scale and shift, and of a BatchNorm its mean and variance."""
        kind = "batch" if node.kind == "BatchNormalization" else "instance"
        names = ("weight", "bias", "running_mean", "running_var")
        if len(weights) != (4 if kind == "batch" else 2) or node.attributes.get("training_mode"):
            raise CheckpointError(f"{node.name} is a norm that computes its own statistics.")
        numbers = {name: tensor(array) for name, array in zip(names, weights, strict=False)}
        self.chain.norm(kind, numbers, float(node.attributes.get("epsilon", 1e-5)), where=node.name)

    def add(self, node: Node, bias: np.ndarray) -> None:
        """Add a bias to the last weight: numbers along the channels alone."""
        along = [side for side in bias.shape if side > 1]
        if len(along) > 1 or (bias.ndim > 2 and bias.shape[-2:] != (1, 1)):
            raise CheckpointError(f"{node.name} adds an array of {bias.shape}, which is no bias.")
        self.chain.add_bias(tensor(bias.reshape(-1)), where=node.name)

    def reshape(self, node: Node, weights: list[np.ndarray]) -> None:
        """Numbers become a map; a latent may take any shape."""
        if not self.chain.layers:
            return
        shape = [int(value) for value in weights[0]] if node.kind == "Reshape" and weights else []
        if len(shape) == 2:  # from numbers to numbers
            return
        users = self.users.get(node.outputs[0], [])
        self.channels_last = [user.kind for user in users] == ["Transpose"]
        self.chain.reshape(tuple(shape[1:]), self.channels_last)

    def transpose(self, node: Node) -> None:
        """Channels come first or last from here on."""
        wanted = [0, 3, 1, 2] if self.channels_last else [0, 2, 3, 1]
        if list(node.attributes.get("perm", ())) != wanted:
            raise CheckpointError(f"{node.name} transposes a map in a way that Ganime does not know.")
        self.channels_last = not self.channels_last

    def enlarge(self, node: Node, weights: list[np.ndarray]) -> None:
        """The map at twice the side."""
        scales = next((array for array in weights if array.dtype.kind == "f" and array.size == 4), None)
        scales = node.attributes.get("scales") if scales is None else scales
        mode = {"nearest": "nearest", "linear": "bilinear"}.get(node.text("mode", "nearest"))
        aligned = node.text("coordinate_transformation_mode", "half_pixel")
        if scales is None or [float(value) for value in scales] != [1, 1, 2, 2] or mode is None:
            raise CheckpointError(f"{node.name} enlarges a map otherwise than to twice its side.")
        if aligned not in ("half_pixel", "pytorch_half_pixel") and (mode, aligned) != ("nearest", "asymmetric"):
            raise CheckpointError(f"{node.name} enlarges with {aligned}, which Ganime does not know.")
        self.chain.enlarge(mode, where=node.name)

    def is_silu(self, node: Node) -> bool:
        """Add SiLU, if the next operator multiplies what this Sigmoid makes with what it was made of."""
        users = self.users.get(node.outputs[0], [])
        if len(users) != 1 or users[0].kind != "Mul" or {*users[0].inputs} != {self.value, node.outputs[0]}:
            return False
        self.chain.activate("silu", 0.2, where=node.name)
        self.value = next(self.nodes).outputs[0]
        return True


def activation_of(node: Node, weights: list[np.ndarray]) -> tuple[str, float]:
    """The activation that an operator is, with its slope."""
    if node.kind == "Clip":
        bounds = [float(array) for array in weights] or [node.attributes.get("min"), node.attributes.get("max")]
        if bounds != [0.0, 6.0]:
            raise CheckpointError(f"{node.name} cuts values off at {bounds}; Ganime knows 0 and 6, which is ReLU6.")
        return "relu6", 0.2
    name, default = ACTIVATIONS[node.kind]
    return name, 0.2 if default is None else float(node.attributes.get("alpha", default))


def computed(node: Node, values: list[np.ndarray]) -> np.ndarray:
    """What an operator makes of constants. Raises CheckpointError for one that Ganime does not know."""
    if node.kind == "Constant":
        return constant(node)
    first, *rest = values
    if node.kind in ARITHMETIC:
        shape = np.broadcast_shapes(first.shape, rest[0].shape)
        if math.prod(shape) * 8 > MAX_IMPORT_BYTES:
            raise CheckpointError(f"{node.name} makes an array of {shape}, which is too large.")
        return ARITHMETIC[node.kind](first, rest[0])
    axes = tuple(np.ravel(rest[0] if rest else node.attributes.get("axes", ())).astype(int).tolist())
    makers: dict[str, Callable[[], np.ndarray]] = {
        "Identity": lambda: first,
        "Cast": lambda: first.astype(np.float32) if first.dtype.kind == "f" else first.astype(np.int64),
        "Transpose": lambda: first.transpose(node.attributes.get("perm")),
        "Reshape": lambda: first.reshape(rest[0]),
        "Squeeze": lambda: first.squeeze(axes),
        "Unsqueeze": lambda: np.expand_dims(first, axes),
        "Gather": lambda: first[rest[0]],
        "Concat": lambda: np.concatenate([np.atleast_1d(value) for value in values]),
    }
    if node.kind not in makers or (node.kind in ("Gather", "Concat") and first.ndim > 1):
        raise CheckpointError(f"{node.name} is an operator {node.kind} on constants, which Ganime does not know.")
    return makers[node.kind]()


def constant(node: Node) -> np.ndarray:
    """The numbers of an operator that holds them itself."""
    from onnx import TensorProto, numpy_helper

    [value] = node.attributes.values()
    if isinstance(value, TensorProto):
        if value.data_location == TensorProto.EXTERNAL:
            raise CheckpointError(f"{node.name} keeps its numbers in another file, which Ganime does not open.")
        return numpy_helper.to_array(value)
    return np.array(value)


def tensor(array: np.ndarray) -> Tensor:
    """Numbers in fp32. Raises CheckpointError where they are not finite."""
    values = np.array(array, np.float32)
    if not np.isfinite(values).all():
        raise CheckpointError("it holds NaN or infinity; its training run diverged.")
    return torch.from_numpy(values)
