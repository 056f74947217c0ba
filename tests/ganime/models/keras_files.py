"""Generators as Keras writes them, and their forward passes written out in numpy, for the tests of importing."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ganime.models.importing.keras import snake_case

Layer = tuple[str, dict[str, Any], dict[str, np.ndarray]]  # kind, configuration, weights in Keras's order
LATENT, EPS = 12, 1e-3


class Builder:
    """Layers with random weights; `norm` has the statistics that arrive at it, as after training."""

    def __init__(self, seed: int = 0) -> None:
        self.random, self.layers = np.random.default_rng(seed), []
        self.x = self.random.standard_normal((256, LATENT))

    def add(self, kind: str, config: dict[str, Any] | None = None, **weights: np.ndarray) -> Builder:
        name = f"{snake_case(kind)}_{sum(layer[0] == kind for layer in self.layers) + 7}"
        layer = (kind, {"name": name, **(config or {})}, weights)
        self.layers.append(layer)
        self.x = forward([layer], self.x)
        return self

    def dense(self, units: int, bias: bool = True, activation: str = "linear") -> Builder:
        weights = {"kernel": self.random.standard_normal((self.x.shape[1], units)) / self.x.shape[1] ** 0.5}
        if bias:
            weights["bias"] = self.random.standard_normal(units) * 0.1
        return self.add("Dense", {"units": units, "activation": activation, "use_bias": bias}, **weights)

    def convolution(self, kind: str, filters: int, kernel: int, stride: int, **config: Any) -> Builder:
        inputs = self.x.shape[-1]
        shape = (kernel, kernel, filters, inputs) if kind == "Conv2DTranspose" else (kernel, kernel, inputs, filters)
        weights = {"kernel": self.random.standard_normal(shape) * 1.4 * stride / (kernel * inputs**0.5)}
        bias = config.get("use_bias", True)
        if bias:
            weights["bias"] = self.random.standard_normal(filters) * 0.1
        known = {"filters": filters, "kernel_size": [kernel] * 2, "strides": [stride] * 2, "padding": "same"}
        known |= {"data_format": "channels_last", "dilation_rate": [1, 1], "activation": "linear", "use_bias": bias}
        return self.add(kind, known | config, **weights)

    def norm(self) -> Builder:
        axes = tuple(range(self.x.ndim - 1))
        channels = self.x.shape[-1]
        return self.add(
            "BatchNormalization",
            {"axis": [-1], "momentum": 0.99, "epsilon": EPS, "center": True, "scale": True},
            gamma=self.random.uniform(0.7, 1.3, channels),
            beta=self.random.standard_normal(channels) * 0.3,
            moving_mean=self.x.mean(axes),
            moving_variance=self.x.var(axes),
        )

    def config(self) -> dict[str, Any]:
        layers = [{"class_name": kind, "config": config} for kind, config, _ in self.layers]
        begins = {"class_name": "InputLayer", "config": {"name": "input_1", "batch_shape": [None, LATENT]}}
        return {"class_name": "Sequential", "config": {"name": "sequential", "layers": [begins, *layers]}}

    def pictures(self, z: np.ndarray) -> np.ndarray:
        """(N, 3, S, S) in [-1, 1] for latents (N, LATENT)."""
        drawn = forward(self.layers, z).transpose(0, 3, 1, 2)
        last = self.layers[-1][1].get("activation")
        return 2 * drawn - 1 if last == "sigmoid" else drawn


ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
}


def forward(layers: list[Layer], x: np.ndarray) -> np.ndarray:
    """What the layers make of latents (N, LATENT), channels last, by the definitions in Keras's documentation."""
    for kind, config, weights in layers:
        if kind == "Dense":
            x = x @ weights["kernel"] + weights.get("bias", 0)
        elif kind == "Reshape":
            x = x.reshape(len(x), *config["target_shape"])
        elif kind == "BatchNormalization":
            x = (x - weights["moving_mean"]) / np.sqrt(weights["moving_variance"] + config["epsilon"])
            x = x * weights["gamma"] + weights["beta"]
        elif kind == "Conv2DTranspose":
            x = transposed(x, weights["kernel"], config["strides"][0]) + weights.get("bias", 0)
        elif kind == "Conv2D":
            x = convolved(x, weights["kernel"]) + weights.get("bias", 0)
        elif kind == "UpSampling2D":
            x = x.repeat(2, 1).repeat(2, 2)
        elif kind == "LeakyReLU":
            slope = config.get("negative_slope", config.get("alpha"))
            x = np.where(x > 0, x, slope * x)
        elif kind == "ReLU":
            x = np.maximum(x, 0)
        x = ACTIVATIONS[config.get("activation", "linear")](x)
    return x


def transposed(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """Conv2DTranspose with padding "same": every pixel adds its kernel to the picture, of which the border is cut."""
    size, side = len(kernel), x.shape[1]
    full = np.zeros((len(x), side * stride + size, side * stride + size, kernel.shape[2]))
    for row in range(side):
        for column in range(side):
            patch = np.einsum("ni,hwoi->nhwo", x[:, row, column], kernel)
            full[:, row * stride : row * stride + size, column * stride : column * stride + size] += patch
    first = max(size - stride, 0) // 2
    return full[:, first : first + side * stride, first : first + side * stride]


def convolved(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Conv2D with padding "same" and stride 1."""
    size, side = len(kernel), x.shape[1]
    first = (size - 1) // 2
    padded = np.pad(x, ((0, 0), (first, size - 1 - first), (first, size - 1 - first), (0, 0)))
    out = np.zeros((*x.shape[:3], kernel.shape[3]))
    for row in range(size):
        for column in range(size):
            out += padded[:, row : row + side, column : column + side] @ kernel[row, column]
    return out


def write_h5(net: Builder, file: Path, config: dict[str, Any] | None = None) -> Path:
    """As `model.save("G.h5")` does. config: of the model, by default that of `net`."""
    with h5py.File(file, "w") as store:
        store.attrs["keras_version"], store.attrs["backend"] = "2.15.0", "tensorflow"
        store.attrs["model_config"] = json.dumps(config or net.config())
        weights = store.create_group("model_weights")
        for _, own, arrays in net.layers:
            for leaf, array in arrays.items():
                weights[f"{own['name']}/{own['name']}/{leaf}:0"] = array.astype(np.float32)
        store.create_group("optimizer_weights")["iterations"] = np.float32(3)
    return file


def numbered(net: Builder, prefix: str = "layers/") -> dict[str, np.ndarray]:
    """The weights by the paths that Keras 3 gives them."""
    arrays, counts = {}, {}
    for kind, _, weights in net.layers:
        name = snake_case(kind)
        place = f"{name}_{counts[name]}" if name in counts else name
        counts[name] = counts.get(name, 0) + 1
        arrays |= {f"{prefix}{place}/vars/{i}": array for i, array in enumerate(weights.values())}
    return arrays


def write_weights(net: Builder, file: Path | io.BytesIO, prefix: str = "layers/") -> Path | io.BytesIO:
    """As `model.save_weights("G.weights.h5")` of Keras 3 does."""
    with h5py.File(file, "w") as store:
        for path, array in numbered(net, prefix).items():
            store[path] = array.astype(np.float32)
    return file


def write_keras(net: Builder, file: Path, config: dict[str, Any] | None = None, prefix: str = "layers/") -> Path:
    """As `model.save("G.keras")` does."""
    weights = io.BytesIO()
    write_weights(net, weights, prefix)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.4.1"}')
        archive.writestr("config.json", json.dumps(config or net.config()))
        archive.writestr("model.weights.h5", weights.getvalue())
    return file


def tutorial() -> Builder:
    """TensorFlow's DCGAN tutorial: Dense, norm, LeakyReLU, Reshape, 5x5 transposed, the first of stride 1."""
    net = Builder().dense(4 * 4 * 16, bias=False).norm().add("LeakyReLU", {"alpha": 0.3})
    net.add("Reshape", {"target_shape": [4, 4, 16]})
    for filters, stride in ((12, 1), (10, 2), (8, 2)):
        net.convolution("Conv2DTranspose", filters, 5, stride, use_bias=False).norm()
        net.add("LeakyReLU", {"negative_slope": 0.3})
    return net.convolution("Conv2DTranspose", 3, 5, 2, use_bias=False, activation="tanh")


def even_kernels() -> Builder:
    """Dense and Reshape without a norm, 4x4 transposed with norm and ReLU, sigmoid."""
    net = Builder(1).dense(4 * 4 * 16).add("Reshape", {"target_shape": [4, 4, 16]})
    for filters in (12, 10):
        net.convolution("Conv2DTranspose", filters, 4, 2).norm().add("ReLU", {"max_value": None})
    return net.convolution("Conv2DTranspose", 3, 4, 2, activation="sigmoid")


def enlarging() -> Builder:
    """eriklindernoren/Keras-GAN, dcgan.py: Dense with ReLU, Reshape, UpSampling2D and Conv2D, tanh as a layer."""
    net = Builder(2).dense(8 * 8 * 12, activation="relu").add("Reshape", {"target_shape": [8, 8, 12]})
    for filters, kernel in ((12, 3), (8, 4)):
        net.add("UpSampling2D", {"size": [2, 2], "interpolation": "nearest"})
        net.convolution("Conv2D", filters, kernel, 1).norm().add("Activation", {"activation": "relu"})
    return net.convolution("Conv2D", 3, 3, 1).add("Activation", {"activation": "tanh"})


def selu_first() -> Builder:
    """Géron's book: Dense, Reshape, norm; transposed convolutions whose SELU comes before the norm; grey, 28 px."""
    net = Builder(3).dense(7 * 7 * 16).add("Reshape", {"target_shape": [7, 7, 16]}).norm()
    net.convolution("Conv2DTranspose", 12, 5, 2, activation="selu").norm()
    return net.convolution("Conv2DTranspose", 1, 5, 2, activation="tanh")
