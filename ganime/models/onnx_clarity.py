"""The clarity of a model as an ONNX file, which moves latents to where the model draws well.

It takes latents, (N, latent) in fp32, and the clarity wanted for each, (N,) in fp64, and gives the latents to draw. It
computes in fp64 what `ganime.nets.clarity.Clarity.clear` computes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ganime.models.onnx_graph import Graph, TensorProto, numbers
from ganime.nets.clarity import LEAST_RADIUS, MAX_STEPS, OVERSHOOT, STEP, Clarity


def clarity_onnx(clarity: Clarity, facts: Mapping[str, str]) -> bytes:
    """The climb of `ganime.nets.clarity.Clarity.clear` as an ONNX file, for several latents at once.

    facts: kept in the file, such as the revision of the weights that it was fitted to. The file also says how clear the
    shares 0 to 1 of the model's faces are ("quantiles").
    """
    graph, dim = Graph(), clarity.held.shape[1]

    def double(values: Any) -> str:
        return graph.constant(values, np.float64)

    fixed = {f"weight{n}": graph.weight(weight) for n, weight in enumerate(clarity.weights)}
    fixed |= {f"turned{n}": graph.node("Transpose", fixed[f"weight{n}"], perm=[1, 0]) for n in range(len(fixed))}
    fixed |= {f"bias{n}": graph.weight(bias) for n, bias in enumerate(clarity.biases)}
    fixed |= {"held": double(clarity.held.T @ clarity.held), "one": double(1), "zero": double(0)}
    z = graph.node("Cast", "latents", to=TensorProto.DOUBLE)
    length = graph.node("ReduceL2", z, axes=[1])  # (N, 1)
    usable = graph.node("Greater", length, fixed["zero"])
    u = graph.node("Mul", z, graph.node("Div", double(dim**0.5), graph.node("Where", usable, length, fixed["one"])))
    fixed["kept"] = graph.node("MatMul", u, fixed["held"])
    start = graph.node("Sub", u, fixed["kept"])
    radius = graph.node("ReduceL2", start, axes=[1])  # (N, 1)
    wanted = graph.node("Reshape", "clarity", graph.constant([-1, 1], np.int64))  # (N, 1)
    moves = graph.node("Not", graph.node("Less", radius, double(LEAST_RADIUS)))
    fixed["moves"] = graph.node("And", moves, graph.node("Greater", wanted, fixed["zero"]))
    fixed["radius"] = graph.node("Where", fixed["moves"], radius, fixed["one"])
    fixed["target"] = interpolated(graph, wanted, clarity.quantiles)
    fixed |= {"longest": graph.node("Mul", fixed["radius"], double(STEP)), "overshoot": double(OVERSHOOT)}
    most = graph.constant(MAX_STEPS, np.int64)
    free = graph.node("Loop", most, graph.constant(True, np.bool_), start, body=climb_step(fixed, dim))
    moved = graph.node("Add", fixed["kept"], free)
    moved = graph.node("Mul", moved, graph.node("Div", length, double(dim**0.5)))
    still = graph.node("Equal", free, start)  # (N, latent)
    same = graph.node("ReduceMin", graph.node("Cast", still, to=TensorProto.FLOAT), axes=[1])  # (N, 1)
    same = graph.node("Cast", same, to=TensorProto.BOOL)
    x = graph.node("Where", same, "latents", graph.node("Cast", moved, to=TensorProto.FLOAT))
    inputs = [numbers("latents", "faces", dim), numbers("clarity", "faces", kind=TensorProto.DOUBLE)]
    facts = {**facts, "quantiles": json.dumps(clarity.quantiles.tolist())}
    return graph.model("clarity", inputs, (x, numbers("cleared", "faces", dim)), facts)


def interpolated(graph: Graph, share: str, values: np.ndarray) -> str:
    """Values at shares 0 to 1, (N, 1), of an evenly spaced table."""
    last = len(values) - 1
    place = graph.node("Mul", share, graph.constant(last, np.float64))
    below = graph.node("Min", graph.node("Floor", place), graph.constant(last - 1, np.float64))
    index = graph.node("Cast", below, to=TensorProto.INT64)
    low = graph.node("Gather", graph.constant(values[:-1], np.float64), index)
    rise = graph.node("Gather", graph.constant(np.diff(values), np.float64), index)
    return graph.node("Add", low, graph.node("Mul", rise, graph.node("Sub", place, below)))


def climb_step(fixed: dict[str, str], dim: int) -> Any:
    """The body of the loop: one step up the gradient of the network for the latents that are not clear enough yet."""
    graph = Graph("climb_")
    node = graph.node

    def slope_of_silu(before: str, gate: str) -> str:  # SiLU'(x) = s(x) (1 + x (1 - s(x)))
        inner = node("Mul", before, node("Sub", fixed["one"], gate))
        return node("Mul", gate, node("Add", fixed["one"], inner))

    x = node("Add", fixed["kept"], "free")
    before, gates = [], []
    for number in range(2):
        before.append(node("Add", node("MatMul", x, fixed[f"weight{number}"]), fixed[f"bias{number}"]))
        gates.append(node("Sigmoid", before[-1]))
        x = node("Mul", before[-1], gates[-1])
    value = node("Add", node("MatMul", x, fixed["weight2"]), fixed["bias2"])  # (N, 1)
    back = node("Mul", fixed["turned2"], slope_of_silu(before[1], gates[1]))
    back = node("Mul", node("MatMul", back, fixed["turned1"]), slope_of_silu(before[0], gates[0]))
    slope = node("MatMul", back, fixed["turned0"])  # (N, latent)
    slope = node("Sub", slope, node("MatMul", slope, fixed["held"]))
    outward = node("ReduceSum", node("Mul", slope, "free"), graph.constant([1], np.int64), keepdims=1)
    outward = node("Div", outward, node("Mul", fixed["radius"], fixed["radius"]))
    slope = node("Sub", slope, node("Mul", outward, "free"))  # along the sphere
    steepness = node("ReduceL2", slope, axes=[1])  # (N, 1)
    climbs = node("And", node("Less", value, fixed["target"]), fixed["moves"])
    climbs = node("And", climbs, node("Greater", steepness, fixed["zero"]))
    steepness = node("Where", climbs, steepness, fixed["one"])
    wanted = node("Mul", node("Div", node("Sub", fixed["target"], value), steepness), fixed["overshoot"])
    step = node("Div", node("Min", wanted, fixed["longest"]), steepness)
    moved = node("Add", "free", node("Mul", slope, step))
    moved = node("Mul", moved, node("Div", fixed["radius"], node("ReduceL2", moved, axes=[1])))
    free = node("Where", climbs, moved, "free")
    any_climbs = node("ReduceMax", node("Cast", climbs, to=TensorProto.FLOAT), keepdims=0)
    going = node("Cast", any_climbs, to=TensorProto.BOOL)
    inputs = [numbers("step", kind=TensorProto.INT64), numbers("go", kind=TensorProto.BOOL)]
    inputs.append(numbers("free", "faces", dim, kind=TensorProto.DOUBLE))
    outputs = [numbers(going, kind=TensorProto.BOOL), numbers(free, "faces", dim, kind=TensorProto.DOUBLE)]
    return graph.graph("climb", inputs, outputs)
