"""Writes ONNX files: nodes in the order in which they run, weights in as few bytes as lose nothing, and a check."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
import torch

from ganime.errors import CheckpointError, ConfigError
from ganime.version import __version__

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as error:
    raise ConfigError(f"ONNX files need the package onnx ({error}). Run: pip install 'ganime[onnx]'.") from error

OPSET, IR_VERSION = 17, 8  # of 2022; every runtime of today reads them
TOLERANCE = 1e-4  # of what ONNX Runtime computes against torch; a grey level of a picture is 0.008


class Graph:
    """Collects nodes and weights. Every method returns the name of the value that it adds."""

    def __init__(self, prefix: str = "") -> None:
        """prefix: of all names, so that those of a loop's body differ from those around it."""
        self.prefix = prefix
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator, by its ONNX name."""
        output = f"{self.prefix}{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, values: Any, kind: type = np.float32) -> str:
        """Add numbers as they are."""
        name = f"{self.prefix}weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(array_of(values), kind, order="C"), name))
        return name

    def weight(self, values: np.ndarray | torch.Tensor) -> str:
        """Add numbers in their own precision, stored in fp16 where that changes none of them."""
        array = array_of(values)
        halved = array.astype(np.float16)
        if not np.array_equal(halved, array):
            return self.constant(array, array.dtype.type)
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        return self.node("Cast", self.constant(halved, np.float16), to=kind)

    def graph(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """The nodes so far as a graph. outputs: with the names of values."""
        return helper.make_graph(self.nodes, name, inputs, outputs, self.weights)

    def model(self, name: str, inputs: Sequence[Any], output: tuple[str, Any], facts: Mapping[str, str]) -> bytes:
        """The graph as a file. output: the value, and the output that it becomes. facts: kept in the file."""
        value, info = output
        self.nodes.append(helper.make_node("Identity", [value], [info.name]))
        opset = helper.make_opsetid("", OPSET)
        producer = {"producer_name": "ganime", "producer_version": __version__}
        graph = self.graph(name, inputs, [info])
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, **producer)
        helper.set_model_props(model, dict(facts))
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString()


def array_of(values: Any) -> Any:
    """The numbers of a tensor; anything else as it is."""
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values


def numbers(name: str, *shape: int | str, kind: int = TensorProto.FLOAT) -> Any:
    """An input or output of a graph; a side that is a name may have any length."""
    return helper.make_tensor_value_info(name, kind, shape)


def check(what: str, data: bytes, inputs: Mapping[str, np.ndarray], expected: Callable[[], np.ndarray]) -> float | None:
    """Compare what ONNX Runtime computes from a file with what torch computes.

    what: the file, for errors. Returns the largest difference; None if ONNX Runtime is not installed.

    Raises CheckpointError if it is more than TOLERANCE.
    """
    if find_spec("onnxruntime") is None:
        return None
    difference = float(np.abs(computed(data, inputs) - expected()).max())
    if not difference <= TOLERANCE:
        raise CheckpointError(
            f"{what} is of no use as ONNX: ONNX Runtime and torch differ by {difference:.2g} where {TOLERANCE:g} is "
            "tolerated. Update onnxruntime, or report this model."
        )
    return difference


def computed(data: bytes, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """The first output of a file, computed by ONNX Runtime on one thread."""
    runtime = onnx_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, dict(inputs))[0])


def onnx_runtime() -> ModuleType:
    """ONNX Runtime, kept from what it does from its import on otherwise: to write an id of this machine into the home
    folder, and to report to its makers what it is used for.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read at the import; after it, only the rest could be switched off
    import onnxruntime  # an extra, and slow to import

    onnxruntime.disable_telemetry_events()  # Windows reports by other means
    return onnxruntime
