"""What an import found, in sentences, and the range of the pictures, which no norm tells."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ganime.models.importing.fitting import ACTIVATIONS, POOR, Fit, entering
from ganime.models.importing.layers import ReadLayer

JUDGED_FACES = 32
SATURATED, MOST_SATURATED = 0.95, 0.4  # a level of tanh next to its end, and the share of pixels that reach it at most
NAMES = {
    "none": "none",
    "relu": "ReLU",
    "elu": "ELU",
    "selu": "SELU",
    "gelu": "GELU",
    "gelu-tanh": "GELU (tanh)",
    "silu": "SiLU (Swish)",
    "leaky-relu": "LeakyReLU",
    "hard-swish": "hard Swish",
    "relu6": "ReLU6",
}


@torch.no_grad()
def likely_output(layers: Sequence[ReadLayer], fitted: Fit, classes: Tensor | None) -> str:
    """ "tanh", or "sigmoid" where tanh would drive most pixels of colour pictures to black or white."""
    x = entering(fitted.latent, layers[0].block.inputs, classes, JUDGED_FACES)  # (B, Z, 1, 1)
    for layer in layers[:-1]:
        x = layer.behind(layer.weighted(x))
    x = layers[-1].normed(layers[-1].weighted(x))  # (B, 3, S, S)
    grey = bool((x[:, 0] == x[:, 1]).all())  # such as digits, which are black and white in truth
    driven = float((torch.tanh(x).abs() > SATURATED).float().mean())
    return "sigmoid" if driven > MOST_SATURATED and not grey else "tanh"


def describe(layers: Sequence[ReadLayer], fitted: Fit, chosen_output: bool, known: bool) -> dict[str, str]:
    """What was found, by subject, as sentences for people; which options say otherwise.

    chosen_output: whether the caller chose the output. known: whether the file says everything about the layers.
    """
    first, last = layers[0].block, layers[-1].block
    found = {"layers": layers_found(layers), "match": match_found(fitted)}
    names = list(dict.fromkeys(name_of(layer) for layer in layers[:-1]))
    found["activation"] = ", ".join(names) + ("" if known else evidence(fitted))
    epsilons = list(dict.fromkeys(f"{layer.block.eps:g}" for layer in layers if layer.norm))
    if epsilons:
        found["norm_eps"] = ", ".join(epsilons)
    ends = "pictures from 0 to 1" if last.activation == "sigmoid" else "pictures from -1 to 1"
    how = "" if known or chosen_output else "; judged by the pictures alone, --output says otherwise"
    found["output"] = f"{NAMES.get(last.activation, last.activation)}, {ends}{how}"
    kind, _, entry = fitted.latent.partition(" ")
    spread = (
        "of mean 0 and deviation 1" if kind == "normal" else "from -1 to 1; normal ones of the same spread are drawn"
    )
    found["latent"] = f"{first.inputs} numbers {spread}" + (f"; {entry.replace('class', 'the class')}" if entry else "")
    return found


def layers_found(layers: Sequence[ReadLayer]) -> str:
    """The layers in words, such as "linear to 8x8, 2 convolutions, 32 px"."""
    words, side = [], 1
    for layer in layers:
        block = layer.block
        side = block.side(side)
        kernel = "" if block.kind == "linear" else f" {block.kernel}x{block.kernel}"
        enlarged = f" after {block.enlarge} enlargement" if block.enlarge != "none" else ""
        norm = {"none": "", "instance": ", InstanceNorm"}.get(block.norm, ", BatchNorm")
        words.append(f"{block.kind}{kernel}{enlarged} to {block.outputs} x {side} x {side}{norm}")
    return "; ".join(words)


def match_found(fitted: Fit) -> str:
    """How well the statistics of the norms match, and what that means."""
    if not fitted.mismatches:
        return "no BatchNorm shows whether this is right: look at the pictures, and set --activation if they are wrong"
    worst, count = max(fitted.mismatches), len(fitted.mismatches)
    figures = f"{worst:.2f} is the largest mismatch of {count} norms"
    if worst > POOR:
        return f"NOTHING MATCHES WELL: {figures} (below 0.1 is good); the pictures may be wrong"
    return f"{figures} (below 0.1 is good)"


def evidence(fitted: Fit) -> str:
    """How clearly the activation was told."""
    if fitted.rival is None:
        return " (not measured; --activation says otherwise)" if not fitted.mismatches else ""
    name, other, own = fitted.rival
    if own > POOR:
        return f" (taken for granted: the best match, {own:.2f}, is none; --activation says otherwise)"
    return f" (mismatch {own:.2f}; the next, {label_of(*ACTIVATIONS[name])}, {other:.2f}; --activation says otherwise)"


def name_of(layer: ReadLayer) -> str:
    """The activation of a layer as people call it."""
    return label_of(layer.block.activation, layer.block.slope)


def label_of(activation: str, slope: float) -> str:
    """An activation as people call it, with its slope where it has one."""
    name = NAMES.get(activation, activation)
    return f"{name} {slope:g}" if activation == "leaky-relu" else name
