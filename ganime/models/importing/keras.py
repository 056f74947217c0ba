"""Reads the generators of Keras models, .h5 and .keras, with h5py alone: no TensorFlow, and nothing in them is run."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganime.errors import CheckpointError
from ganime.models.importing.chain import Chain
from ganime.models.importing.layout import Layout, read_layout
from ganime.models.importing.weight_files import HDF5, MAX_IMPORT_BYTES, read_json

KERAS_EPS = 1e-3
MOST_OBJECTS, DEEPEST = 20_000, 16  # groups and datasets in an HDF5 file; groups in one another
CONTAINERS = ("Sequential", "Functional", "Model")
SKIPPED = ("InputLayer", "Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "ActivityRegularization")
LEAVES = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")  # names of weights, without ":0"


class KerasLayer(NamedTuple):
    """A layer of a Keras model. weights: by LEAVES, as numpy arrays."""

    kind: str
    name: str
    config: dict[str, Any]
    weights: dict[str, np.ndarray]


def read_keras(file: Path, kind: str) -> tuple[Layout, bool]:
    """The layers of a Keras model, and whether the file says everything about them, as those with a model in them do.

    kind: HDF5 or KERAS. Raises CheckpointError for a file that is damaged, too large or links to others, and for layers
    that Ganime does not know.
    """
    if kind == HDF5:
        with opened(file) as (arrays, config):
            return from_arrays(arrays, config)
    with zipfile.ZipFile(file) as archive:  # its size was checked
        try:
            stored = {name: archive.read(name) for name in ("config.json", "model.weights.h5")}
        except (KeyError, zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
            raise CheckpointError(f"it is no whole Keras file ({error}). Fetch it or save it again.") from error
    with opened(io.BytesIO(stored["model.weights.h5"])) as (arrays, _):
        return from_arrays(arrays, read_json(stored["config.json"], "config.json"))


def from_arrays(arrays: dict[str, np.ndarray], config: Any) -> tuple[Layout, bool]:
    """The layers of named arrays, with the configuration of the model that they belong to, or without."""
    if config is None:
        return read_layout(as_state(arrays), ordered=False, keras=True), False
    chain = Chain()
    try:
        for layer in layers_in(config, arrays, ""):
            add(chain, layer)
    except (TypeError, ValueError, LookupError, AttributeError) as error:  # CheckpointError is none of these
        raise CheckpointError(f"its model_config is malformed ({str(error)[:200]}).") from error
    return Layout(chain.finished()), True


@contextmanager
def opened(source: Path | io.BytesIO) -> Iterator[tuple[dict[str, np.ndarray], Any]]:
    """The arrays of an HDF5 file by their paths, and the configuration of its model, None without one."""
    try:
        import h5py
    except ImportError as error:
        raise CheckpointError("a Keras file is read with h5py. Install it: pip install 'ganime[keras]'.") from error
    try:
        with h5py.File(source, "r") as store:
            text = store.attrs.get("model_config")
            arrays = {path: whole(path, data) for path, data in checked_size(dict(datasets(store, "", 0)))}
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, UnicodeError) as error:
        raise CheckpointError(f"it is no whole HDF5 file ({str(error)[:200]}). Fetch it or save it again.") from error
    yield arrays, None if text is None else read_json(text, "model_config")


def datasets(group: Any, path: str, depth: int, seen: list[int] | None = None) -> Iterator[tuple[str, Any]]:
    """The datasets in an HDF5 file with their paths. Raises CheckpointError for links, which may lead elsewhere."""
    import h5py

    seen = [0] if seen is None else seen
    for name in group:
        seen[0] += 1
        if depth > DEEPEST or seen[0] > MOST_OBJECTS:
            raise CheckpointError(f"it holds more than {MOST_OBJECTS:,} objects, or groups more than {DEEPEST} deep.")
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise CheckpointError(f"{path}{name} is a link to another place or file, which Ganime does not follow.")
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from datasets(item, f"{path}{name}/", depth + 1, seen)
        elif isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
            yield f"{path}{name}", item


def checked_size(found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The datasets of a model, without the state of its optimizer. Raises CheckpointError where they are too large."""
    kept = {path: data for path, data in found.items() if "optimizer" not in path.split("/")[0]}
    numbers = sum(int(np.prod(data.shape, dtype=object)) for data in kept.values())
    if 4 * numbers > MAX_IMPORT_BYTES:
        raise CheckpointError(f"it holds {numbers:,} numbers; at most {MAX_IMPORT_BYTES // 4:,} are read.")
    yield from kept.items()


def whole(path: str, data: Any) -> np.ndarray:
    """The numbers of a dataset in fp32. Raises CheckpointError where they are in another file, or not finite."""
    if data.external or data.is_virtual:
        raise CheckpointError(f"{path} keeps its numbers in another file, which Ganime does not open.")
    array = np.asarray(data[()], np.float32)
    if not np.isfinite(array).all():
        raise CheckpointError(f"{path} holds NaN or infinity; its training run diverged.")
    return array


def layers_in(model: Any, arrays: dict[str, np.ndarray], prefix: str) -> Iterator[KerasLayer]:
    """The layers of a configuration in order, those of models inside models too.

    prefix: path of the model in a .keras file, whose layers are numbered by their kinds and not named.
    """
    config = model.get("config") if isinstance(model, dict) else None
    layers = config if isinstance(config, list) else config.get("layers") if isinstance(config, dict) else None
    if not isinstance(layers, list) or len(layers) > 1000:
        raise CheckpointError("its model_config has no list of layers.")
    counts: dict[str, int] = {}
    for layer in layers:
        kind, own = (layer.get("class_name"), layer.get("config")) if isinstance(layer, dict) else (None, None)
        if not isinstance(kind, str) or not isinstance(own, dict):
            raise CheckpointError("its model_config has layers without class_name and config.")
        snake = snake_case(kind)
        place = f"{prefix}layers/{snake}" + (f"_{counts[snake]}" if counts.get(snake) else "")
        counts[snake] = counts.get(snake, 0) + 1
        if kind in CONTAINERS:
            if prefix.count("/") > 2 * DEEPEST:
                raise CheckpointError(f"its models are more than {DEEPEST} deep in one another.")
            yield from layers_in(layer, arrays, f"{place}/")
        elif kind not in SKIPPED:
            name = str(own.get("name"))
            yield KerasLayer(kind, name, own, weights_of(arrays, kind, own, name, place))


def snake_case(kind: str) -> str:
    """The name of a class as Keras spells it in files: conv2d_transpose for Conv2DTranspose."""
    spaced = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", spaced).lower()


def weights_of(
    arrays: dict[str, np.ndarray], kind: str, config: dict[str, Any], name: str, place: str
) -> dict[str, np.ndarray]:
    """The weights of a layer, by LEAVES: under its place in a .keras file, or under its name in an older one."""
    numbered = [arrays[path] for i in range(4) if (path := f"{place}/vars/{i}") in arrays]
    if numbered:
        return dict(zip(leaves_of(kind, config), numbered, strict=False))
    found = {}
    for path, array in arrays.items():
        *groups, leaf = path.split("/")
        leaf = leaf.partition(":")[0]
        if groups and groups[-1] == name and leaf in LEAVES:
            found[leaf] = array
    return found


def leaves_of(kind: str, config: dict[str, Any]) -> list[str]:
    """The names of a layer's weights in the order in which Keras numbers them."""
    if kind != "BatchNormalization":
        return ["kernel", "bias"]
    used = {"gamma": config.get("scale", True), "beta": config.get("center", True)}
    return [*(leaf for leaf, is_used in used.items() if is_used), "moving_mean", "moving_variance"]


def as_state(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """Arrays without a model as a state dict of torch; each module is named by its kind and number."""
    state: dict[str, Tensor] = {}
    for path, array in arrays.items():
        *groups, leaf = path.split("/")
        leaf = leaf.partition(":")[0]
        if groups and groups[-1] == "vars":
            groups = groups[:-1]
            norm = any(f"{'/'.join([*groups, 'vars'])}/{i}" in arrays for i in (2, 3))
            leaf = leaves_of("BatchNormalization" if norm else "", {})[int(leaf)] if leaf in "0123" else leaf
        names = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
        if groups and leaf in LEAVES:
            module = groups[-1] if re.search(r"[0-9]$", groups[-1]) else f"{groups[-1]}_0"
            state[f"{module}.{names.get(leaf, 'weight' if leaf == 'kernel' else leaf)}"] = as_torch(array)
    return state


def as_torch(array: np.ndarray) -> Tensor:
    """A kernel in torch's order: (h, w, a, b) to (b, a, h, w), (inputs, outputs) to (outputs, inputs); others alike."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if tensor.ndim == 4:
        return tensor.permute(3, 2, 0, 1).contiguous()
    return tensor.T.contiguous() if tensor.ndim == 2 else tensor


def add(chain: Chain, layer: KerasLayer) -> None:
    """Add a layer of Keras to a chain. Raises CheckpointError for one that Ganime does not know."""
    config, kind = layer.config, layer.kind
    if config.get("data_format") == "channels_first":
        raise CheckpointError(f"layer {layer.name} has its channels first; Ganime reads models with channels last.")
    if kind in ("Dense", "Conv2D", "Conv2DTranspose"):
        add_weight(chain, layer)
        chain.activate(*activation_of(config.get("activation")), where=layer.name)
    elif kind == "Reshape":
        chain.reshape(tuple(config.get("target_shape") or ()), channels_last=True)
    elif kind == "UpSampling2D":
        if list(config.get("size", ())) != [2, 2] or config.get("interpolation", "nearest") not in (
            "nearest",
            "bilinear",
        ):
            raise CheckpointError(f"layer {layer.name} enlarges by {config.get('size')}; Ganime knows twice the side.")
        chain.enlarge(config.get("interpolation", "nearest"), where=layer.name)
    elif kind == "BatchNormalization":
        arrays = {leaf: torch.from_numpy(array) for leaf, array in layer.weights.items()}
        if not {"moving_mean", "moving_variance"} <= arrays.keys():
            raise CheckpointError(
                f"layer {layer.name} lacks its weights: the file holds {', '.join(arrays) or 'none'}."
            )
        mean, variance = arrays["moving_mean"], arrays["moving_variance"]
        scale, shift = arrays.get("gamma", torch.ones_like(mean)), arrays.get("beta", torch.zeros_like(mean))
        norm = {"weight": scale, "bias": shift, "running_mean": mean, "running_var": variance}
        chain.norm("batch", norm, float(config.get("epsilon", KERAS_EPS)), where=layer.name)
    elif kind in ("LeakyReLU", "ReLU", "ELU", "Activation", "Softmax"):
        chain.activate(*activation_layer(kind, config), where=layer.name)
    else:
        raise CheckpointError(f"layer {layer.name} is of the kind {kind}, which Ganime does not know.")


def lacking(layer: KerasLayer) -> CheckpointError:
    """The error for a layer whose weights are not in the file."""
    return CheckpointError(
        f"layer {layer.name} lacks its weights: the file holds {', '.join(layer.weights) or 'none'}."
    )


def add_weight(chain: Chain, layer: KerasLayer) -> None:
    """Add a Dense, Conv2D or Conv2DTranspose layer without its activation."""
    config, arrays = layer.config, layer.weights
    ndim = 2 if layer.kind == "Dense" else 4
    if "kernel" not in arrays or arrays["kernel"].ndim != ndim:
        raise lacking(layer)
    weight = as_torch(arrays["kernel"])
    bias = torch.from_numpy(arrays["bias"]) if "bias" in arrays else None
    if layer.kind == "Dense":
        chain.linear(layer.name, weight, bias)
        return
    kernel, strides, dilation = (config.get(name) for name in ("kernel_size", "strides", "dilation_rate"))
    square = weight.shape[2] == weight.shape[3] and list(kernel or ()) == [*weight.shape[2:]]
    stride = (strides or [0])[0]
    if not square or list(strides or ()) != [stride, stride] or list(dilation or [1, 1]) != [1, 1]:
        raise CheckpointError(
            f"layer {layer.name} has a kernel of {kernel} and strides of {strides}; both must be square."
        )
    if config.get("padding") not in ("same", "valid") or config.get("output_padding") or config.get("groups", 1) != 1:
        raise CheckpointError(f"layer {layer.name} has padding {config.get('padding')!r}, output_padding or groups.")
    same = config["padding"] == "same"
    if layer.kind == "Conv2DTranspose":
        before = max(0, weight.shape[2] - stride) // 2 if same else 0
        after = weight.shape[2] - stride - before if same else 0
        chain.transposed(layer.name, weight, bias, stride, (before, after))
    else:
        before = (weight.shape[2] - 1) // 2 if same else 0
        chain.convolution(layer.name, weight, bias, stride, (before, weight.shape[2] - 1 - before if same else 0))


def activation_of(name: Any) -> tuple[str, float]:
    """The activation of a layer of Keras by its name, with its slope."""
    if isinstance(name, dict):
        return activation_layer(str(name.get("class_name")), name.get("config") or {})
    known = {None: "none", "linear": "none", "swish": "silu", "relu": "relu", "hard_swish": "hard-swish"}
    known |= {same: same for same in ("elu", "selu", "gelu", "silu", "tanh", "sigmoid", "softplus", "mish", "relu6")}
    if name in ("leaky_relu", "LeakyReLU"):
        return "leaky-relu", 0.2 if name == "leaky_relu" else 0.3
    if name not in known:
        raise CheckpointError(f"the activation {str(name)[:80]!r} is one that Ganime does not know.")
    return known[name], 1.0 if name == "elu" else 0.2


def activation_layer(kind: str, config: dict[str, Any]) -> tuple[str, float]:
    """The activation that a layer of Keras is, with its slope."""
    if kind == "LeakyReLU":
        return "leaky-relu", number(config.get("negative_slope", config.get("alpha", 0.3)))
    if kind == "ELU":
        return "elu", number(config.get("alpha", 1.0))
    if kind == "ReLU":
        slope, most = number(config.get("negative_slope") or 0.0), config.get("max_value")
        if number(config.get("threshold") or 0.0) or most not in (None, 6, 6.0) or (most and slope):
            raise CheckpointError(f"a ReLU with max_value {most} and a threshold is one that Ganime does not know.")
        return ("relu6", 0.2) if most else ("leaky-relu", slope) if slope else ("relu", 0.2)
    return activation_of(config.get("activation") if kind == "Activation" else kind)


def number(value: Any) -> float:
    """A number of a configuration; old versions store arrays as a dictionary with a value."""
    value = value.get("value") if isinstance(value, dict) else value
    if not isinstance(value, int | float):
        raise CheckpointError(f"its model_config has {str(value)[:80]!r} where a number is needed.")
    return float(value)
