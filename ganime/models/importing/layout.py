"""The layers of a generator, told from the names, the order and the shapes in a state dict.

A state dict holds tensors, not settings. Strides and paddings are taken to be those in use: a transposed convolution
doubles the side (one on a single point makes a map of its kernel's side), a convolution keeps it.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ganime.config import Block
from ganime.errors import CheckpointError
from ganime.models.importing.chain import as_map
from ganime.models.importing.layers import STATISTICS, ReadLayer, symmetric

NORM = {"weight", "bias", "running_mean", "running_var"}
SPECTRAL = {"original": "weight_orig", "0._u": "weight_u", "0._v": "weight_v"}  # new names -> old names
PICTURE_CHANNELS = (1, 3)
MOST_PARTS, MOST_ORDERS, MOST_STEPS = 40, 2000, 200_000  # of the search for an order
EMBEDDING_LIKE = r"emb|label|class"
TRANSPOSED, CONVOLUTION, LINEAR = "transposed", "convolution", "linear"
# How kernels of 3x3 and of 5x5 are read, the likeliest first; even kernels belong to transposed convolutions.
READINGS = ((CONVOLUTION, TRANSPOSED), (CONVOLUTION, CONVOLUTION), (TRANSPOSED, TRANSPOSED), (TRANSPOSED, CONVOLUTION))


class Part(NamedTuple):
    """The tensors of one module, by their names in it."""

    name: str
    tensors: dict[str, Tensor]

    @property
    def weight(self) -> Tensor:
        return self.tensors["weight"]


class Placed(NamedTuple):
    """A part in the chain from the latent to the picture, as one kind of layer."""

    part: Part
    kind: str
    inputs: int
    outputs: int


class Layout(NamedTuple):
    """The layers of a generator from the latent to the picture, and its table of classes if it has one."""

    layers: list[ReadLayer]
    classes: Tensor | None = None


def read_layout(tensors: dict[str, Tensor], ordered: bool, keras: bool = False) -> Layout:
    """The layers in a state dict.

    ordered: whether the order of the names is that of the network.
    keras: whether Keras made the weights: it crops transposed convolutions and orders the numbers of maps otherwise.

    Raises CheckpointError for what is no generator, and where more than one order is possible.
    """
    weights, norms, others, problems = split_parts(tensors)
    classes = None
    labels = [part for part in weights if is_table(part, weights)]
    if len(labels) == 1:
        classes, weights = labels[0].weight, [part for part in weights if part is not labels[0]]
    if not 2 <= len(weights) <= MOST_PARTS:
        raise CheckpointError(problems[0] if problems else f"it has {len(weights)} layers; a generator has 2 to 40.")
    in_order = placed(weights) if ordered else None
    if in_order is None and placed(sorted(weights, key=lambda part: name_tokens(part.name))) is None:
        refuse_discriminator(weights)
    if problems:
        raise CheckpointError(problems[0])
    chain = in_order or searched(weights)
    drawn = chain[-1].outputs
    if drawn not in PICTURE_CHANNELS:
        raise CheckpointError(f"its last layer, {chain[-1].part.name}, draws {drawn} channel(s) where RGB has 3.")
    kinds = [place.part for place in chain]
    behind = place_norms(chain, norms, [*kinds, *norms] if not ordered else others, ordered=in_order is not None)
    return Layout(with_sides(chain, behind, keras), classes)


def split_parts(tensors: dict[str, Tensor]) -> tuple[list[Part], list[Part], list[Part], list[str]]:
    """Weights, norms, both in the order given, and what is wrong with parts that are neither."""
    modules: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        path, new_form, own = name.partition(".parametrizations.weight.")
        path, own = (path, SPECTRAL.get(own, own)) if new_form else (name.rpartition(".")[0], name.rpartition(".")[2])
        modules.setdefault(path or "(top)", {})[own] = tensor
    weights, norms, both, problems = [], [], [], []
    for path, own in modules.items():
        if {"weight_orig", "weight_u", "weight_v"} <= own.keys():
            own["weight"] = without_spectral_norm(own.pop("weight_orig"), own.pop("weight_u"), own.pop("weight_v"))
        if is_norm(own):
            shape = next(iter(own.values())).shape
            norms.append(Part(path, {"weight": torch.ones(shape), "bias": torch.zeros(shape)} | own))
            both.append(norms[-1])
        elif problem := problem_of(own):
            listed = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in own.items())
            problems.append(f"layer {path} {problem}: {listed[:300]}.")
        else:
            weights.append(Part(path, own))
            both.append(weights[-1])
    return weights, norms, both, problems


def is_norm(own: dict[str, Tensor]) -> bool:
    """Whether these are the tensors of a BatchNorm with running statistics, or of a norm with scale and shift alone."""
    if len({tensor.shape for tensor in own.values()}) != 1 or next(iter(own.values())).ndim != 1:
        return False
    return {*STATISTICS} <= own.keys() <= NORM or (own.keys() == {"weight", "bias"} and len(own["bias"]) > 1)


def problem_of(own: dict[str, Tensor]) -> str:
    """Why a module that is no norm is no layer of a generator either; empty if it is one."""
    weight, bias = own.get("weight"), own.get("bias")
    if weight is None or weight.ndim not in (1, 2, 4) or not own.keys() <= {"weight", "bias"} or not weight.numel():
        return "is of a kind, or of shapes, that Ganime does not know"
    if weight.ndim == 1:
        return "is a learned activation, which Ganime does not know"
    if not torch.isfinite(weight).all():
        return "has a spectral norm that does not fit its weight"
    if weight.ndim == 4 and weight.shape[2] != weight.shape[3]:
        return f"has a {weight.shape[2]}x{weight.shape[3]} kernel where a square one is needed"
    if bias is not None and bias.shape not in ((weight.shape[0],), (weight.shape[min(1, weight.ndim - 3)],)):
        return "is neither a convolution nor a linear layer, by its bias"
    return ""


def without_spectral_norm(weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """The weight over its largest singular value, u^T W v with the outputs as W's rows; NaN where nothing fits.

    The outputs come second in a transposed convolution, and first in other layers.
    """
    best, divided = 0.0, weight * torch.nan
    for rows in (weight.flatten(1), weight.transpose(0, 1).flatten(1)) if weight.ndim in (2, 4) else ():
        if (*u.shape, *v.shape) == rows.shape:
            alike = float(u @ torch.nn.functional.normalize(rows @ v, dim=0))  # 1 for those that were iterated
            if alike > best:
                best, divided = alike, weight / (u @ (rows @ v))
    return divided


def is_table(part: Part, weights: Sequence[Part]) -> bool:
    """Whether a part is a table of classes (Embedding): a row of numbers for each class, named so, not in the chain."""
    if part.weight.ndim != 2 or "bias" in part.tensors or len(weights) < 3:
        return False
    return bool(re.search(EMBEDDING_LIKE, part.name.lower()))


def readings_of(part: Part, three: str, five: str) -> list[Placed]:
    """The kinds of layer that a part can be. three, five: how odd kernels up to 3, and larger ones, are read."""
    a, b, *kernel = part.weight.shape
    if not kernel:
        return [Placed(part, LINEAR, b, a)]
    ways = [three if kernel[0] <= 3 else five] if kernel[0] % 2 else [TRANSPOSED]
    if three == five == "either" and kernel[0] % 2:
        ways = [CONVOLUTION, TRANSPOSED]
    if part.name.startswith("conv2d"):  # a name that Keras gives
        ways = [TRANSPOSED if part.name.startswith("conv2d_transpose") else CONVOLUTION]
    read = [Placed(part, way, *((a, b) if way == TRANSPOSED else (b, a))) for way in ways]
    bias = part.tensors.get("bias")
    return [each for each in read if bias is None or len(bias) == each.outputs]


def follows(before: Placed, after: Placed) -> bool:
    """Whether a layer takes what another one gives; a linear layer may give a square map for each channel."""
    if after.kind == LINEAR:
        return before.kind == LINEAR and before.outputs == after.inputs
    if before.outputs == after.inputs:
        return True
    return before.kind == LINEAR and math.isqrt(before.outputs // after.inputs) ** 2 * after.inputs == before.outputs


def placed(parts: Sequence[Part]) -> list[Placed] | None:
    """The parts as layers of which each takes what the one before gives; None where they are no chain."""
    for three, five in READINGS:
        read = [readings_of(part, three, five) for part in parts]
        chain = [ways[0] for ways in read if ways]
        if len(chain) == len(parts) and all(follows(a, b) for a, b in itertools.pairwise(chain)):
            return chain
    return None


def searched(parts: list[Part]) -> list[Placed]:
    """The parts in the only order that is possible, among equal shapes in that of their numbers."""
    parts = sorted(parts, key=lambda part: name_tokens(part.name))
    in_order = placed(parts)
    chains = [in_order] if in_order else []
    chains += itertools.islice(all_chains(parts), MOST_ORDERS)
    chains = [chain for chain in chains if chain[-1].outputs in PICTURE_CHANNELS] or chains
    chains = [chain for chain in chains if chain[-1].outputs == 3] or chains
    if not chains:
        shapes = ", ".join(f"{part.name} {tuple(part.weight.shape)}" for part in parts)
        raise CheckpointError(f"no order of its layers lets each take what the one before gives: {shapes[:600]}.")
    for rivals in zip(*chains, strict=True):
        refuse_guessing({place.part.name for place in rivals}, ordered=False)
    return chains[0]


def all_chains(parts: list[Part]) -> Iterator[list[Placed]]:
    """Every order of the parts in which each takes what the one before gives, those near the given order first."""
    ways = [readings_of(part, "either", "either") for part in parts]
    steps = itertools.count()

    def further(chain: list[Placed], left: list[int]) -> Iterator[list[Placed]]:
        if not left:
            yield chain
        for index in left:
            for way in ways[index]:
                if next(steps) < MOST_STEPS and (not chain or follows(chain[-1], way)):
                    yield from further([*chain, way], [other for other in left if other != index])

    yield from further([], list(range(len(parts))))


def refuse_discriminator(parts: Sequence[Part]) -> None:
    """Raise CheckpointError for parts that lead from a picture to a number."""
    convolutions = [part.weight.shape for part in parts if part.weight.ndim == 4]
    backwards = all(a[0] == b[1] for a, b in itertools.pairwise(convolutions)) and len(convolutions) > 1
    if (backwards and convolutions[0][1] in (1, 3)) or any(shape[0] == 1 and shape[2] == 4 for shape in convolutions):
        raise CheckpointError("its layers lead from pictures to numbers, as a discriminator's do. Give the generator.")


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


def place_norms(chain: list[Placed], norms: list[Part], given: Sequence[Part], ordered: bool) -> dict[str, Part]:
    """The norm behind each layer that has one, by the layer's name.

    Told from a parent in common, from their place between the layers, or else from their lengths and numbers.
    given: layers and norms in the order of the network where `ordered`, else in any.
    """
    if not norms:
        return {}
    placements = by_parent(chain, norms) or by_place(chain, norms, given, ordered) or by_length(chain, norms, ordered)
    if placements:
        return placements
    lengths, widths = [len(part.weight) for part in norms], [place.outputs for place in chain[:-1]]
    raise CheckpointError(f"its norms have {lengths} channels, its hidden layers {widths}; they must go together.")


def lengths_of(chain: list[Placed], index: int) -> set[int]:
    """The lengths that a norm behind a layer may have."""
    place, after = chain[index], chain[index + 1].inputs if index + 1 < len(chain) else 0
    return {place.outputs, after} if place.kind == LINEAR and after else {place.outputs}


def by_parent(chain: list[Placed], norms: list[Part]) -> dict[str, Part] | None:
    """Norms that lie in the same module as their layers, each in another one; None where that does not fit."""
    parents = {part.name.rpartition(".")[0]: part for part in norms}
    layers = [place.part.name.rpartition(".")[0] for place in chain]
    found = {place.part.name: parents[own] for place, own in zip(chain, layers, strict=True) if own in parents}
    fits = all(
        len(found[p.part.name].weight) in lengths_of(chain, i) for i, p in enumerate(chain) if p.part.name in found
    )
    return found if len(found) == len(norms) == len(parents) and fits else None


def by_place(chain: list[Placed], norms: list[Part], given: Sequence[Part], ordered: bool) -> dict[str, Part] | None:
    """Norms that come right behind their layers; None where that does not fit."""
    if not ordered:
        given = sorted(given, key=lambda part: name_tokens(part.name))
        if len({re.sub(r"[0-9]+", "", part.name) for part in given}) > 1:
            return None  # words do not tell an order
    order, found, last = {place.part.name: i for i, place in enumerate(chain)}, {}, ""
    for part in given:
        if part.name in order:
            last = part.name
        elif part in norms:
            if not last or last in found or len(part.weight) not in lengths_of(chain, order[last]):
                return None
            found[last] = part
    return found


def by_length(chain: list[Placed], norms: list[Part], ordered: bool) -> dict[str, Part] | None:
    """Norms in the order of their numbers behind the layers of their lengths; None where that does not fit."""
    norms = norms if ordered else sorted(norms, key=lambda part: name_tokens(part.name))
    hidden = chain[:-1]
    found: dict[str, Part] = {}
    for length in dict.fromkeys(len(part.weight) for part in norms):
        own = [part for part in norms if len(part.weight) == length]
        layers = [place.part.name for i, place in enumerate(hidden) if length in lengths_of(chain, i)]
        if len(own) < len(layers):  # not behind each of them: behind those of the same number
            numbers = {name_tokens(name)[-2] if len(name_tokens(name)) > 1 else None: name for name in layers}
            same = [
                numbers.get(name_tokens(part.name)[-2] if len(name_tokens(part.name)) > 1 else None) for part in own
            ]
            layers = [name for name in same if name]
        if len(own) != len(layers) or not {*layers}.isdisjoint(found):
            return None
        refuse_guessing({part.name for part in own}, ordered)
        found |= dict(zip(layers, own, strict=True))
    return found


def with_sides(chain: list[Placed], norms: dict[str, Part], keras: bool) -> list[ReadLayer]:
    """The layers with strides, paddings and norms, of which not everything is known yet."""
    layers, side = [], 1
    for index, place in enumerate(chain):
        norm = norms[place.part.name].tensors if place.part.name in norms else {}
        what = "none" if not norm else "batch" if STATISTICS[0] in norm else "instance"
        if place.kind == LINEAR:
            layer = projected(place, chain[index + 1], norm, what, keras)
        elif place.kind == CONVOLUTION and side == 1:
            raise CheckpointError(f"{place.part.name} is a convolution on a single point, which draws nothing.")
        else:
            stride = 1 if place.kind == CONVOLUTION or side == 1 else 3 if is_third(chain, index) else 2
            layer = convolved(place, stride, side == 1, keras)
            layer = replace(layer, norm=norm).changed(norm=what)
        layers.append(layer)
        side = layer.block.side(side)
    return layers


def is_third(chain: list[Placed], index: int) -> bool:
    """Whether a layer triples the side: a last 5x5 behind 4x4, as in the anime GAN of pytorch-book (96 px)."""
    kernels = [place.part.weight.shape[2:] for place in chain]
    return index == len(chain) - 1 and {*kernels[:-1]} == {(4, 4)} and kernels[-1] == (5, 5)


def projected(place: Placed, after: Placed, norm: dict[str, Tensor], what: str, keras: bool) -> ReadLayer:
    """A linear layer, whose numbers become a map for the channels that the next layer takes."""
    part, outputs = place.part, place.outputs
    side = math.isqrt(outputs // after.inputs) if after.kind != LINEAR else 1
    block = Block(LINEAR, place.inputs, outputs, 1, bias="bias" in part.tensors)
    layer = ReadLayer(part.name, block, part.weight, part.tensors.get("bias"))
    if norm and len(norm["weight"]) == outputs:
        return as_map(replace(layer, norm=norm).changed(norm=what), side, keras)
    return replace(as_map(layer, side, keras), norm=norm).changed(norm=what)


def convolved(place: Placed, stride: int, of_point: bool, keras: bool) -> ReadLayer:
    """A convolution, or a transposed one that enlarges the side `stride` times, or makes a map of a point."""
    part, kernel = place.part, place.part.weight.shape[2]
    if place.kind == CONVOLUTION:
        crop = kernel // 2, kernel // 2
    else:
        lost = 0 if of_point else kernel - stride  # rows beyond `stride` times the side
        crop = max(0, lost) // 2, lost - max(0, lost) // 2
        crop = crop if keras else crop[::-1]
    weight, padding = symmetric(part.weight, *crop)
    block = Block(
        place.kind, place.inputs, place.outputs, weight.shape[2], stride, padding, bias="bias" in part.tensors
    )
    return ReadLayer(part.name, block, weight, part.tensors.get("bias"))
