"""Finds a generator's state dict inside what a training program saved, by its names and by its layers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ganime.errors import CheckpointError
from ganime.models.importing.weight_files import MAX_IMPORT_BYTES

AVERAGES = ("g_ema", "generator_ema", "gen_ema", "netg_ema", "ema_generator", "params_ema", "ema_state_dict", "ema")
GENERATORS = (*AVERAGES, "generator", "netg", "g", "gen", "generator_state_dict", "netg_state_dict", "g_state_dict")
WRAPPERS = ("state_dict", "model_state_dict", "model", "params")
GENERATOR_LIKE = r"(^|[_.\-])(net)?g(en|enerator)?($|[_.\-])"  # such as model_G, gen_state_dict, net_g
DISCRIMINATOR_LIKE = r"(^|[_.\-])(net)?d(is|isc|iscriminator)?($|[_.\-])|critic|optim|scaler|scheduler"
TRANSPARENT = ("module", "_orig_mod", "_forward_module")  # put before names by DataParallel, torch.compile, DeepSpeed
DEEPEST, MOST_STATES = 5, 64  # how deep state dicts are looked for, and how many are tried
State = dict[str, Tensor]


def states_in(content: Any, key: str = "") -> list[tuple[str, State]]:
    """State dicts in what a file holds, with the keys that lead to them, the likeliest generator first.

    key: the name that the generator is under, or a part of its path; empty to look at all.

    Raises CheckpointError where there is none, or none under that key.
    """
    if not isinstance(content, dict | list | tuple):
        raise CheckpointError(f"it holds a {type(content).__name__} where a state dict is needed.")
    found = list(nested(content, "", DEEPEST))
    found += [(f"{path}.{head}".strip("."), part) for path, state in found for head, part in parts_of(state)]
    if not found:
        keys = ", ".join(map(str, content if isinstance(content, dict) else map(type_name, content)))[:200]
        kind = "a list of" if isinstance(content, list | tuple) else ""
        raise CheckpointError(f"it holds no generator's state dict, but {kind} {keys or 'nothing'}.".replace("  ", " "))
    if key:
        chosen = [(path, state) for path, state in found if key.lower() in (path.lower(), *path.lower().split("."))]
        if not chosen:
            paths = ", ".join(path for path, _ in found if path)[:300]
            raise CheckpointError(
                f"it holds no weights under {key!r}; those that it holds are under {paths or 'no key'}."
            )
        found = chosen
    found.sort(key=lambda pair: likelihood(pair[0]))
    return found[:MOST_STATES]


def type_name(value: Any) -> str:
    return type(value).__name__


def nested(content: Any, path: str, depth: int) -> Iterator[tuple[str, State]]:
    """Each dictionary with tensors in it, with its path."""
    entries = content.items() if isinstance(content, dict) else enumerate(content)
    tensors = {}
    for name, value in entries:
        if isinstance(value, Tensor) and isinstance(content, dict):
            tensors[str(name)] = value
        elif isinstance(value, dict | list | tuple) and depth:
            yield from nested(value, f"{path}.{name}".strip("."), depth - 1)
    if tensors:
        yield path, tensors


def parts_of(state: State) -> Iterator[tuple[str, State]]:
    """The nets that lie side by side in one state dict, such as generator.* and discriminator.*."""
    paths = {name: [part for part in name.split(".") if part not in TRANSPARENT] for name in state}
    depth = next((i for i, parts in enumerate(zip(*paths.values(), strict=False)) if len({*parts}) > 1), 0)
    heads = {name: path[depth] for name, path in paths.items() if len(path) > depth + 1}
    for head in dict.fromkeys(heads.values()):
        part = {name: state[name] for name, own in heads.items() if own == head}
        if len(part) < len(state) and sum(tensor.ndim >= 2 for tensor in part.values()) > 1:
            yield head, part


def likelihood(path: str) -> int:
    """The rank of a path as that of a generator: averages, generators, those without a telling name, others."""
    names = path.lower().split(".")
    if any(re.search(DISCRIMINATOR_LIKE, name) for name in names):
        return 1000
    known = [GENERATORS.index(name) for name in names if name in GENERATORS]
    if known:
        return min(known)
    if any(re.search(GENERATOR_LIKE, name) for name in names):
        return 100 if "ema" in path.lower() else 101
    return 200 if not path or names[-1] in WRAPPERS else 201


def finite_tensors(tensors: State) -> State:
    """The same tensors as finite fp32, without the counters. Raises CheckpointError for what is none."""
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
