"""Clarity: a network that predicts from a latent how clear its face is, and moves latents to where faces are clear.

A DCGAN draws some of its latents badly. Whether it does can be read from the latent by a small network, without drawing
the face (latent reweighting, Issenhuth et al. 2021, arXiv:2110.09803), and climbing the gradient of that network mends
the face.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from ganime.errors import CheckpointError
from ganime.files import read_facts, read_tensors, save_tensors
from ganime.shapes import Float
from ganime.text import quoted

CLARITY_FILE = "clarity.safetensors"
QUANTILES = 101
WIDTHS = (256, 128)  # of the network's hidden layers
MAX_STEPS = 40  # of a latent's climb
STEP = 0.06  # the longest step, as a share of the length of what moves
OVERSHOOT = 1.05  # steps aim beyond the wanted clarity, so that they reach it
MAX_FILE_BYTES = 2**23  # enough for latents of 4,096 numbers
MOST_WEIGHT = 1e4
LEAST_RADIUS = 1e-6  # of the part that moves; a latent with less lies along what is held


@dataclass(frozen=True, eq=False)
class Clarity:
    """Predicts the clarity of a model's faces, in fp64, from the direction of a latent; its length does not count.

    weights, biases: of a network of three layers with SiLU between them, (in, out) and (out,).
    held: (H, latent), orthonormal; latents do not move along these, so that hair and eyes keep their colours.
    quantiles: (Q,), the clarity that the shares 0 to 1 of the model's faces stay below, evenly spaced.
    reaches: how far faces were found to hold along directions, by the bytes of these; see drawing/ranges.py.
    """

    weights: tuple[Float[np.ndarray, "i o"], ...]
    biases: tuple[Float[np.ndarray, " o"], ...]
    held: Float[np.ndarray, "h latent"]
    quantiles: Float[np.ndarray, " q"]
    reaches: dict[bytes, float] = field(default_factory=dict, init=False, repr=False)

    def predict(self, z: Float[np.ndarray, "n latent"]) -> Float[np.ndarray, " n"]:
        """The clarity of the faces of latents, none of them zero, on the scale of `quantiles`."""
        z = z.astype(np.float64)
        x = z * (z.shape[1] ** 0.5 / np.linalg.norm(z, axis=1, keepdims=True))  # (N, latent)
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight + bias  # (N, out)
            if number < len(self.weights) - 1:
                x = x * sigmoid(x)
        return x[:, 0]

    def share_below(self, z: Float[np.ndarray, " latent"]) -> float:
        """The share of the model's faces that are predicted to be less clear than a latent's, 0 to 1."""
        shares = np.linspace(0, 1, len(self.quantiles))
        return float(np.interp(self.predict(z[None])[0], self.quantiles, shares))

    def value_and_gradient(self, u: Float[np.ndarray, " latent"]) -> tuple[float, Float[np.ndarray, " latent"]]:
        """The clarity at a latent of length sqrt(latent), and its gradient there."""
        (first, second, last), (bias1, bias2, bias3) = self.weights, self.biases
        before1 = u @ first + bias1
        gate1 = sigmoid(before1)
        before2 = (before1 * gate1) @ second + bias2
        gate2 = sigmoid(before2)
        value = float((before2 * gate2) @ last[:, 0] + bias3[0])
        back2 = last[:, 0] * gate2 * (1 + before2 * (1 - gate2))  # SiLU'(x) = s(x) (1 + x (1 - s(x)))
        back1 = (second @ back2) * gate1 * (1 + before1 * (1 - gate1))
        return value, first @ back1

    def clear(self, z: Float[np.ndarray, " latent"], clarity: float) -> Float[np.ndarray, " latent"]:
        """Move a latent at constant length until it is predicted to be clearer than the share `clarity` of faces.

        A latent that is as clear already is returned unchanged, bit for bit. Each latent is moved by itself, so that it
        comes out the same beside any others.
        """
        if clarity == 0 or not np.any(z):
            return z
        target = np.interp(clarity, np.linspace(0, 1, len(self.quantiles)), self.quantiles)
        u = unit(z)
        held = (u @ self.held.T) @ self.held
        free = start = u - held  # the part that moves, at constant length
        radius = float(np.linalg.norm(free))
        if radius < LEAST_RADIUS:
            return z
        for _ in range(MAX_STEPS):
            value, slope = self.value_and_gradient(held + free)
            if value >= target:
                break
            slope = slope - (slope @ self.held.T) @ self.held
            slope -= (slope @ free) / radius**2 * free  # along the sphere
            steepness = float(np.linalg.norm(slope))
            if not steepness > 0:
                break
            free = free + slope / steepness * min((target - value) / steepness * OVERSHOOT, STEP * radius)
            free *= radius / np.linalg.norm(free)
        if free is start:
            return z
        length = np.linalg.norm(z.astype(np.float64))
        return ((held + free) * (length / np.linalg.norm(u))).astype(np.float32)


def unit(z: Float[np.ndarray, " latent"]) -> Float[np.ndarray, " latent"]:
    """A latent in fp64 at length sqrt(latent), that of most latents from N(0, 1); it must not be zero."""
    z = z.astype(np.float64)
    return z * (len(z) ** 0.5 / np.linalg.norm(z))


def sigmoid(x: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    return 0.5 + 0.5 * np.tanh(x / 2)  # does not overflow


def load_clarity(path: Path, revision: str, latent_dim: int) -> Clarity:
    """Read what `save_clarity` wrote for the weights of `revision`.

    Raises CheckpointError, naming the file, if it is missing, damaged or was fitted to other weights.
    """
    again = "Fit it again (ganime clarity MODEL), or draw with a clarity of 0."
    tensors, facts = read_tensors(path, MAX_FILE_BYTES), read_facts(path)
    if facts.get("revision") != revision:
        fitted = quoted(facts.get("revision"))
        raise CheckpointError(f"{path} was fitted to the weights of revision {fitted}; these have {revision}. {again}")
    arrays = {name: tensor.double().numpy() for name, tensor in tensors.items() if tensor.is_floating_point()}
    sides = (latent_dim, *WIDTHS, 1)
    shapes: dict[str, tuple[int, ...]] = {f"weight{n}": sides[n : n + 2] for n in range(3)}
    shapes |= {f"bias{n}": sides[n + 1 : n + 2] for n in range(3)}
    held = tensors["held"].shape[:1].numel() if "held" in tensors else 0
    shapes |= {"quantiles": (QUANTILES,), "held": (held, latent_dim)}
    found = {name: array.shape for name, array in arrays.items()}
    if found != shapes or held >= latent_dim:
        raise CheckpointError(f"{path} holds {quoted(found)}; needed are {quoted(shapes)}. {again}")
    if not all(map(is_bounded, arrays.values())):
        raise CheckpointError(f"{path} holds a number beyond {MOST_WEIGHT:g} or none at all. {again}")
    return Clarity(
        weights=tuple(arrays[f"weight{n}"] for n in range(3)),
        biases=tuple(arrays[f"bias{n}"] for n in range(3)),
        held=orthonormal(arrays["held"]),
        quantiles=arrays["quantiles"],
    )


def save_clarity(clarity: Clarity, revision: str, folder: Path) -> None:
    """Write clarity.safetensors, in fp16, into a model's folder. revision: of the weights it was fitted to.

    Raises CheckpointError, and writes nothing, if a number is too large to be read again, or none at all.
    """
    arrays = {f"weight{n}": array for n, array in enumerate(clarity.weights)}
    arrays |= {f"bias{n}": array for n, array in enumerate(clarity.biases)}
    arrays |= {"held": clarity.held, "quantiles": clarity.quantiles}
    if not all(map(is_bounded, arrays.values())):
        raise CheckpointError(
            f"The clarity was not stored: fitting it gave a number beyond {MOST_WEIGHT:g} or none at all. The "
            "model may have very large weights. Draw with a clarity of 0."
        )
    tensors = {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}
    save_tensors(tensors, folder / CLARITY_FILE, half=True, facts={"revision": revision})


def is_bounded(array: Float[np.ndarray, "*n"]) -> bool:
    """Whether all numbers are small enough to be those of a clarity; NaN is not."""
    return bool((np.abs(array) <= MOST_WEIGHT).all())


def orthonormal(rows: Float[np.ndarray, "h latent"]) -> Float[np.ndarray, "h latent"]:
    """An orthonormal basis of what the rows span, which must be linearly independent."""
    return np.linalg.qr(rows.T)[0].T
