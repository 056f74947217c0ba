"""Generators in ONNX files: they draw what ONNX Runtime draws, and graphs that are no chain are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from ganime.models.checkpoint import Checkpoint
from ganime.models.importing import import_generator, onnx_files
from ganime.models.onnx_graph import Graph, computed, numbers
from ganime.models.onnx_networks import generator_onnx
from tests.ganime.models.refusals import refusal

LATENT = 6


class Net(Graph):
    """A graph whose weights are random; each method returns the value that it adds."""

    def __init__(self) -> None:
        super().__init__()
        self.random = np.random.default_rng(3)

    def drawn(self, *shape: int, scale: float = 0.4) -> str:
        return self.constant(self.random.normal(0, scale, shape))

    def norm(self, x: str, channels: int) -> str:
        near_one = [self.constant(self.random.uniform(0.5, 1.5, channels)) for _ in range(2)]
        return self.node("BatchNormalization", x, near_one[0], self.drawn(channels), self.drawn(channels), near_one[1])

    def shaped(self, x: str, *shape: int) -> str:
        return self.node("Reshape", x, self.constant(shape, np.int64))

    def file(self, x: str, side: int, *more_inputs: str) -> bytes:
        inputs = [numbers(name, "faces", LATENT) for name in ("latents", *more_inputs)]
        return self.model("net", inputs, (x, numbers("pictures", "faces", 3, side, side)), {})


def of_torch() -> bytes:
    """Linear and reshape, 5x5 transposed with output_padding, LeakyReLU, a 3x3 layer behind an enlargement, sigmoid."""
    net = Net()
    x = net.node("Gemm", "latents", net.drawn(8 * 16, LATENT), net.drawn(8 * 16), transB=1)
    x = net.node("Relu", net.norm(net.shaped(x, -1, 8, 4, 4), 8))
    sizes = {"kernel_shape": [5, 5], "strides": [2, 2], "pads": [2] * 4, "output_padding": [1, 1]}
    x = net.node("LeakyRelu", net.norm(net.node("ConvTranspose", x, net.drawn(8, 6, 5, 5), **sizes), 6), alpha=0.2)
    scales = net.constant([1, 1, 2, 2])
    options = {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}
    x = net.node(
        "Conv", net.node("Resize", x, "", scales, **options), net.drawn(5, 6, 3, 3), net.drawn(5), pads=[1] * 4
    )
    x = net.node("Mul", x, net.node("Sigmoid", x))  # SiLU
    return net.file(net.node("Sigmoid", net.node("Conv", x, net.drawn(3, 5, 3, 3), pads=[1] * 4)), 16)


def of_keras() -> bytes:
    """A product, a bias and a norm of numbers; the map has its channels last, and is transposed before and behind."""
    net = Net()
    x = net.node("Add", net.node("MatMul", "latents", net.drawn(LATENT, 8 * 16)), net.drawn(8 * 16))
    x = net.node("LeakyRelu", net.norm(x, 8 * 16), alpha=0.3)
    x = net.node("Transpose", net.shaped(x, -1, 4, 4, 8), perm=[0, 3, 1, 2])
    sizes = {"kernel_shape": [4, 4], "strides": [2, 2], "pads": [1] * 4}
    x = net.node("ConvTranspose", x, net.drawn(8, 4, 4, 4), **sizes)
    x = net.node("Clip", net.node("Add", x, net.drawn(1, 4, 1, 1)), net.constant(0.0), net.constant(6.0))
    x = net.node("Tanh", net.node("ConvTranspose", x, net.drawn(4, 3, 4, 4), **sizes))
    x = net.node("Transpose", net.node("Transpose", x, perm=[0, 2, 3, 1]), perm=[0, 3, 1, 2])
    return net.file(x, 16)


def batch_from_shape() -> bytes:
    """The number of faces is computed from the latent, as PyTorch exports view(x.size(0), ...)."""
    net = Net()
    x = net.node("Gemm", "latents", net.drawn(LATENT, 8 * 16), net.drawn(8 * 16))
    count = net.node("Gather", net.node("Shape", x), net.constant(0, np.int64))
    count = net.node("Unsqueeze", count, net.constant([0], np.int64))
    shape = net.node("Concat", count, net.constant([8, 4, 4], np.int64), axis=0)
    x = net.node("Relu", net.node("Reshape", x, shape))
    sizes = {"kernel_shape": [4, 4], "strides": [2, 2], "pads": [1] * 4}
    return net.file(net.node("Tanh", net.node("ConvTranspose", x, net.drawn(8, 3, 4, 4), **sizes)), 8)


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("make", [of_torch, of_keras, batch_from_shape])
def test_a_generator_draws_what_onnx_runtime_draws(make: Callable[[], bytes], tmp_path: Path) -> None:
    data, z = make(), np.random.default_rng(5).standard_normal((4, LATENT), np.float32)
    wanted = computed(data, {"latents": z})
    assert wanted.std() > 0.02
    imported = import_generator(written(tmp_path / "generator", data))  # recognised by its content
    with torch.no_grad():
        drawn = imported.generator(torch.from_numpy(z)).numpy()
    if "from 0 to 1" in imported.training["output"]:
        drawn = drawn / 2 + 0.5
    assert abs(drawn - wanted).max() < 1e-5


def test_an_exported_model_comes_back(tiny: Checkpoint, tmp_path: Path) -> None:
    imported = import_generator(written(tmp_path / "tiny.onnx", generator_onnx(tiny))).generator
    z = torch.randn(4, tiny.generator.config.latent_dim, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(imported(z), tiny.generator(z), atol=1e-4)


def joined() -> bytes:
    net = Net()
    x = net.node("Gemm", "latents", net.drawn(LATENT, 3 * 64), net.drawn(3 * 64))
    x = net.shaped(x, -1, 3, 8, 8)
    return net.file(net.node("Tanh", net.node("Add", x, net.node("Relu", x))), 8)


def labelled() -> bytes:
    net = Net()
    x = net.node("Add", "latents", "labels")
    return net.file(
        net.shaped(net.node("Gemm", x, net.drawn(LATENT, 3 * 64), net.drawn(3 * 64)), -1, 3, 8, 8), 8, "labels"
    )


def elsewhere() -> bytes:
    model = onnx.load_model_from_string(of_torch())
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return model.SerializeToString()


def infinite() -> bytes:
    model = onnx.load_model_from_string(of_torch())
    array = numpy_helper.to_array(model.graph.initializer[0]) * np.inf
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(array, model.graph.initializer[0].name))
    return model.SerializeToString()


def unknown() -> bytes:
    net = Net()
    x = net.node("Gemm", "latents", net.drawn(LATENT, 12 * 64), net.drawn(12 * 64))
    return net.file(net.node("DepthToSpace", net.shaped(x, -1, 12, 8, 8), blocksize=2), 16)


@pytest.mark.parametrize(
    ("make", "fact"),
    [
        (joined, "Add"),
        (labelled, "labels"),
        (elsewhere, "another file"),
        (infinite, "NaN or infinity"),
        (unknown, "DepthToSpace"),
        (lambda: of_torch()[:-400], "ONNX"),
        (lambda: of_torch()[:40], "ONNX"),
    ],
)
def test_a_graph_that_is_no_chain_of_known_layers_is_refused(
    make: Callable[[], bytes], fact: str, tmp_path: Path
) -> None:
    assert fact in refusal(written(tmp_path / "net.onnx", make()))


def test_constants_that_would_fill_the_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_files, "MAX_IMPORT_BYTES", 2**20)
    net = Net()
    weight = net.node("Mul", net.drawn(LATENT, 1), net.constant(np.ones((1, 2**17))))
    x = net.node("Gemm", "latents", weight, net.drawn(1))
    graph = net.graph("net", [numbers("latents", "faces", LATENT)], [numbers(x, "faces", 2**17)])
    data = onnx.helper.make_model(graph, producer_name="pytorch").SerializeToString()
    assert "too large" in refusal(written(tmp_path / "net.onnx", data))
