"""Reads DCGAN generators trained elsewhere; the layout of a state dict follows from its order, names and shapes.

A state dict holds tensors, not settings. What it cannot show is taken to be as in Radford et al. 2015 and the many
programs after it: the first transposed convolution has stride 1 and padding 0, the others stride 2 and padding 1;
each hidden layer is convolution, BatchNorm (eps 1e-5) or none, ReLU; the last one ends in tanh.
"""

from __future__ import annotations

import itertools
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ganime.config import IMAGE_SIZES, ModelConfig
from ganime.errors import CheckpointError, ConfigError
from ganime.files import read_tensors
from ganime.models.checkpoint import Checkpoint
from ganime.nets.dcgan import Generator

MAX_IMPORT_BYTES = 2**30
TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".tar")
SUPPORTED = (
    "Ganime imports RGB DCGANs of 32, 64, 128 or 256 px: 4x4 ConvTranspose2d from a latent, BatchNorm2d or none."
)
AVERAGES = ("g_ema", "generator_ema", "gen_ema", "netg_ema", "ema_generator", "params_ema", "ema_state_dict", "ema")
GENERATORS = (*AVERAGES, "generator", "netg", "g", "gen", "generator_state_dict", "netg_state_dict", "g_state_dict")
WRAPPERS = ("state_dict", "model_state_dict", "model", "params")
DISCRIMINATORS = ("discriminator", "netd", "d", "disc", "critic")
TRANSPARENT = ("module", "_orig_mod", "_forward_module")  # put before names by DataParallel, torch.compile, DeepSpeed
NORM = {"weight", "bias", "running_mean", "running_var"}
SPECTRAL = {"original": "weight_orig", "0._u": "weight_u", "0._v": "weight_v"}  # new names -> old names


class Part(NamedTuple):
    """A transposed convolution with its weight's shape (inputs, outputs, 4, 4), or a BatchNorm with (channels,)."""

    name: str
    shape: torch.Size
    tensors: dict[str, Tensor]


def import_generator(file: Path) -> Checkpoint:
    """A generator's weight file (.safetensors, .pt, .pth, .bin, .ckpt) as a Checkpoint: eval mode, fp32, on the CPU.

    Nothing in the file is ever run. Raises CheckpointError, naming the file, when it is missing, over 1 GiB, damaged,
    would need code to be run, or holds anything but a DCGAN generator that Ganime can express.
    """
    state = read_weight_file(file)
    try:
        tensors = finite_tensors(find_generator(state))
        generator = build_generator(*read_layers(tensors, ordered=file.suffix.lower() != ".safetensors"))
    except (CheckpointError, ConfigError) as error:
        raise CheckpointError(f"{file}: {error} {SUPPORTED}") from error
    return Checkpoint(generator, training={"imported_from": file.name}, name=file.stem)


def read_weight_file(file: Path) -> Any:
    """What the file holds: named tensors, or any nesting of plain values and tensors."""
    suffix = file.suffix.lower()
    if not file.is_file() or suffix not in (".safetensors", *TORCH_SUFFIXES):
        what = "a folder" if file.is_dir() else "no weight file by its name" if file.exists() else "missing"
        raise CheckpointError(f"{file} is {what}; Ganime imports .safetensors, {', '.join(TORCH_SUFFIXES)} files.")
    size = file.stat().st_size
    if not 0 < size <= MAX_IMPORT_BYTES:
        raise CheckpointError(f"{file} has {size:,} bytes; a weight file has 1 to {MAX_IMPORT_BYTES:,}.")
    if suffix == ".safetensors":
        return read_tensors(file)
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:  # may be compressed
                size = sum(entry.file_size for entry in archive.infolist())
        if size <= MAX_IMPORT_BYTES:
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file raises nearly every kind
        message = str(error)
        wanted = re.search(r"GLOBAL ([\w.]+)", message)
        if wanted or re.search("TorchScript|pickle protocol|operand 149", message):  # 149: a pickle newer than torch's
            what = wanted[1] if wanted else "a program of its own"
            problem = f"wants {what} to be run, and Ganime runs no code from weight files"
            mend = "Open it in a trusted place, save model.state_dict() alone, and import that"
        else:
            detail = message.rpartition("WeightsUnpickler error:")[2].strip().partition("\n")[0].partition(". ")[0]
            problem, mend = f"is no whole PyTorch file ({detail or 'it ends early'})", "Fetch it or save it again"
        raise CheckpointError(f"{file} {problem}. {mend}.") from error
    raise CheckpointError(f"{file} unpacks to {size:,} bytes; Ganime reads up to {MAX_IMPORT_BYTES:,}.")


def find_generator(state: Any) -> dict[str, Tensor]:
    """The generator's state dict out of the dictionaries around it and from among other nets, averages first."""
    for _ in range(5):
        if not isinstance(state, dict):
            raise CheckpointError(f"it holds a {type(state).__name__} where a state dict is needed.")
        inner = {str(name).lower(): value for name, value in state.items() if isinstance(value, dict)}
        full = {name for name, value in inner.items() if any(isinstance(v, dict | Tensor) for v in value.values())}
        state = next((inner[name] for name in (*GENERATORS, *WRAPPERS) if name in full), state)
    tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        found = ", ".join(map(str, state))[:200] or "nothing"
        raise CheckpointError(f"it holds no generator's state dict, but {found}.")
    paths = {name: [part for part in name.split(".") if part not in TRANSPARENT] for name in tensors}
    depth = next((i for i, parts in enumerate(zip(*paths.values(), strict=False)) if len({*parts}) > 1), 0)
    heads = {name: path[depth].lower() if len(path) > depth else "" for name, path in paths.items()}
    chosen = next((head for head in GENERATORS if head in heads.values()), None)
    beside = {*GENERATORS, *DISCRIMINATORS} & {*heads.values()} - {chosen}
    return {name: tensor for name, tensor in tensors.items() if not (chosen and beside) or heads[name] == chosen}


def finite_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors as finite fp32, without the counters."""
    if sum(tensor.numel() for tensor in tensors.values()) > MAX_IMPORT_BYTES // 2:
        raise CheckpointError("it holds more weights than any DCGAN has.")
    floats = {}
    for name, tensor in tensors.items():
        if name.endswith("num_batches_tracked") or (tensor.ndim == 0 and not tensor.is_floating_point()):
            continue
        if not tensor.is_floating_point() or tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise CheckpointError(f"{name} is {tensor.dtype}, {tensor.layout} where plain floating numbers are needed.")
        floats[name] = tensor.detach().float().contiguous()
        if not torch.isfinite(floats[name]).all() or (name.endswith("running_var") and (floats[name] < 0).any()):
            raise CheckpointError(f"{name} holds NaN, infinity or a negative variance; its training run diverged.")
    return floats


def read_layers(tensors: dict[str, Tensor], ordered: bool) -> tuple[list[Part], list[Part]]:
    """Convolutions from latent to picture, and the norms behind the hidden ones; `ordered`: as the net has them."""
    layers, norms, problems = split_parts(tensors)
    ordered = ordered and is_chain(layers)
    for parts in () if ordered else (layers, norms):
        parts.sort(key=lambda part: name_tokens(part.name))
    chained = is_chain(layers)
    backwards = not chained and is_chain(layers[::-1]) and layers[0].shape[1] in (1, 3)
    if backwards or (not chained and any((part.shape[0], part.shape[2]) == (1, 4) for part in layers)):
        raise CheckpointError("its layers lead from pictures to numbers, as a discriminator's do. Give the generator.")
    if problems:
        raise CheckpointError(problems[0])
    if 4 * 2 ** (len(layers) - 1) not in IMAGE_SIZES:
        raise CheckpointError(f"it has {len(layers)} convolutions where 4, 5, 6 or 7 are needed.")
    chains = [order for order in itertools.permutations(layers) if is_chain(order)]
    chains = [order for order in chains if order[-1].shape[1] == 3] or chains
    if not chains:
        shapes = ", ".join(f"{part.name} {part.shape[0]}->{part.shape[1]}" for part in layers)
        raise CheckpointError(f"no order of its layers lets each take what the one before gives: {shapes}.")
    for rivals in zip(*chains, strict=True):
        refuse_guessing({part.name for part in rivals}, ordered)
    *hidden, last = chains[0]  # the first chain keeps the given order among equal shapes
    if last.shape[1] != 3:
        raise CheckpointError(f"its last layer, {last.name}, draws {last.shape[1]} channel(s) where RGB has 3.")
    return [*hidden, last], order_norms(hidden, norms, ordered)


def split_parts(tensors: dict[str, Tensor]) -> tuple[list[Part], list[Part], list[str]]:
    """Convolutions and norms in the order given, and what is wrong with parts that are neither."""
    modules: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        path, new_form, own = name.partition(".parametrizations.weight.")
        path, own = (path, SPECTRAL.get(own, own)) if new_form else (name.rpartition(".")[0], name.rpartition(".")[2])
        modules.setdefault(path or "(top)", {})[own] = tensor
    layers, norms, problems = [], [], []
    for path, own in modules.items():
        if {"weight_orig", "weight_u", "weight_v"} <= own.keys():
            own["weight"] = without_spectral_norm(own.pop("weight_orig"), own.pop("weight_u"), own.pop("weight_v"))
        shapes = {tensor.shape for tensor in own.values()}
        if {"running_mean", "running_var"} <= own.keys() <= NORM and shapes == {own["running_mean"].view(-1).shape}:
            ones = torch.ones_like(own["running_mean"])
            norms.append(Part(path, ones.shape, {"weight": ones, "bias": 0 * ones} | own))
            continue
        if own.keys() <= {"weight", "bias"} and "weight" in own and own["weight"].ndim == 4:
            layers.append(Part(path, own["weight"].shape, own))
        if problem := problem_of(own):
            listed = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in own.items())
            problems.append(f"layer {path} {problem}: {listed}.")
    return layers, norms, problems


def problem_of(own: dict[str, Tensor]) -> str:
    """Why a layer that is no BatchNorm is no ConvTranspose2d of a DCGAN either; empty if it is one."""
    weight, bias = own.get("weight"), own.get("bias")
    if weight is not None and weight.ndim == 2:
        return "is a Linear or Embedding layer, which no DCGAN has"
    if weight is None or weight.ndim not in (1, 4) or not own.keys() <= {"weight", "bias"}:
        return "is of a kind, or of shapes, that Ganime does not know"
    if weight.ndim == 1:
        return "is a norm without running statistics, or a learned activation"
    if not torch.isfinite(weight).all():
        return "has a spectral norm that fits no ConvTranspose2d"
    if weight.shape[2:] != (4, 4):
        return f"has a {weight.shape[2]}x{weight.shape[3]} kernel where 4x4 is needed"
    return "is no ConvTranspose2d, by its bias" if bias is not None and bias.shape != weight.shape[1:2] else ""


def without_spectral_norm(weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """The weight (inputs, outputs, 4, 4) over its largest singular value, u^T W v with the outputs as W's rows."""
    rows = weight.transpose(0, 1).flatten(1) if weight.ndim == 4 else weight  # (outputs, inputs * 16)
    return weight / (u @ (rows @ v)) if (*u.shape, *v.shape) == rows.shape else weight * torch.nan


def is_chain(layers: Sequence[Part]) -> bool:
    return all(a.shape[1] == b.shape[0] for a, b in itertools.pairwise(layers))


def name_tokens(name: str) -> list[Any]:
    """Text and numbers in turn, which sorts conv2 before conv10."""
    return [int(token) if i % 2 else token for i, token in enumerate(re.split(r"([0-9]{1,9})", name))]


def refuse_guessing(names: set[str], ordered: bool) -> None:
    """Names alone tell an order only where they differ first in a number."""
    for a, b in itertools.combinations(sorted(names), 2):
        difference = next(
            (i for i, (x, y) in enumerate(zip(name_tokens(a), name_tokens(b), strict=False)) if x != y), 0
        )
        if not ordered and difference % 2 == 0:
            raise CheckpointError(f"neither shape nor name tells whether {a} or {b} comes first; a .pt file would.")


def order_norms(layers: list[Part], norms: list[Part], ordered: bool) -> list[Part]:
    """One norm behind each layer, or none at all; told from a parent in common, or else from lengths and order."""
    widths, lengths = [part.shape[1] for part in layers], [part.shape[0] for part in norms]
    if norms and sorted(lengths) != sorted(widths):
        raise CheckpointError(f"its norms have {lengths} channels, its hidden layers {widths}; they must go together.")
    parents = {part.name.rpartition(".")[0]: part for part in norms}
    siblings = [parents[parent] for part in layers if (parent := part.name.rpartition(".")[0]) in parents]
    if len(parents) == len(norms) and [part.shape[0] for part in siblings] == widths:
        return siblings
    rivals = {width: [part for part in norms if part.shape[0] == width] for width in widths}
    for parts in rivals.values():
        refuse_guessing({part.name for part in parts}, ordered)
    return [rivals[width].pop(0) for width in widths if norms]  # among equal lengths, in order


def build_generator(layers: list[Part], norms: list[Part]) -> Generator:
    """Our generator with the weights of the foreign one; a bias before BatchNorm goes into its running mean."""
    widths = [part.shape[1] for part in layers[:-1]]
    size, norm = 4 * 2 ** len(widths), "batch" if norms else "none"
    config = ModelConfig(size, layers[0].shape[0], widths[-1], max(widths), generator_norm=norm)
    if [*config.channels] != widths:
        raise CheckpointError(f"its hidden layers have {widths} channels, not doubling ones as {[*config.channels]}.")
    with torch.random.fork_rng(devices=[]):  # its first weights are thrown away: leave the random state alone
        generator = Generator(config)
    state = {}
    names = ["stem.0", *(f"blocks.{i}.0" for i in range(len(widths) - 1)), "to_rgb"]
    for name, part, norm in itertools.zip_longest(names, layers, norms):
        own = {"bias": torch.zeros(part.shape[1])} | part.tensors
        if norm:
            mean = norm.tensors["running_mean"] - own.pop("bias")
            behind = norm.tensors | {"running_mean": mean, "num_batches_tracked": torch.tensor(0)}
            state |= {f"{name[:-1]}1.{key}": value for key, value in behind.items()}
        state |= {f"{name}.{key}": value for key, value in own.items()}
    generator.load_state_dict(state)
    return generator.eval().requires_grad_(False)
