"""What a weight file does not say, told from the statistics of its norms.

A BatchNorm keeps the mean and variance of what arrived at it in training. If latents that are sent through the layers
arrive with other ones, an activation, the norm's eps, the enlargement of a map or the kind of latent was another.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ganime.config import ENLARGEMENTS
from ganime.errors import CheckpointError
from ganime.models.importing.layers import ReadLayer
from ganime.nets.averaging import quasirandom_latents
from ganime.nets.blocks import activate

ACTIVATIONS: dict[str, tuple[str, float]] = {  # the name that people give it: the block's activation and slope
    "relu": ("relu", 0.2),
    "leaky-relu-0.2": ("leaky-relu", 0.2),
    "leaky-relu-0.1": ("leaky-relu", 0.1),
    "leaky-relu-0.3": ("leaky-relu", 0.3),
    "leaky-relu-0.01": ("leaky-relu", 0.01),
    "elu": ("elu", 1.0),
    "selu": ("selu", 0.2),
    "gelu": ("gelu", 0.2),
    "silu": ("silu", 0.2),
    "tanh": ("tanh", 0.2),
    "none": ("none", 0.2),
}
ALIKE = {"relu", "leaky-relu-0.01"}  # hard to tell apart, and they draw almost the same
EPSILONS = (1e-5, 1e-3, 0.8)  # of PyTorch, Keras, and eriklindernoren/PyTorch-GAN
UNIFORM = 3**-0.5  # standard deviation of latents from -1 to 1
KEPT, POOR = 0.2, 0.35  # mismatches: not worth a comparison behind the first one; nothing fits
CLEARLY_BETTER = 0.7  # another guess takes the place of the believed one if its mismatch is this much smaller
TIE = 0.015  # between the mismatches of two guesses, from which the simpler one is not believed
FACES, POINTS = (32, 256), 4096  # drawn to measure: fewest and most; points of a map
SEED = 2**32 + 1  # of the latents; nothing else uses it


@dataclass(frozen=True)
class Choices:
    """What the caller knows better than the comparison; None or empty to compare.

    activation: one of ACTIVATIONS, of all hidden layers. norm_eps: of all norms.
    """

    activation: str = ""
    norm_eps: float | None = None


class Guess(NamedTuple):
    """What may hold between one norm and the next: how a latent enters, or the end of a layer and the next enlargement.

    latent: "normal" or "uniform"; with classes also how they enter. activation, eps: of the layer before.
    enlarge: of this layer. first: whether this layer's own activation comes before its norm, and which.
    """

    latent: str = "normal"
    activation: str = "relu"
    eps: float = 1e-5
    enlarge: str = "none"
    first: str = ""


@dataclass(frozen=True)
class Fit:
    """The layers with everything known, and how well it matches.

    layers: from the latent to the picture. latent: how latents enter, as in `Guess`.
    mismatches: of each norm, in the order of the layers; see `ReadLayer.mismatch`.
    rival: the best activation that was not chosen, where they were compared, and its mismatch beside the chosen one's.
    """

    layers: list[ReadLayer]
    latent: str
    mismatches: list[float]
    rival: tuple[str, float, float] | None = None


@torch.no_grad()
def fit(layers: Sequence[ReadLayer], classes: Tensor | None, choices: Choices, known: bool = False) -> Fit:
    """Choose what is unknown so that the statistics match, from one norm to the next.

    classes: the table of classes, (classes, numbers); None without one.
    known: whether the file says everything about the layers, so that only the match is measured.
    """
    return Fitting(list(layers), classes, choices, known).run()


class Fitting:
    """The state of `fit`: the layers, the belief about what is unknown, and what arrives at the last settled norm.

    arrived: the output of the weight before that norm, (B, C, H, W); None before the first one.
    """

    def __init__(self, layers: list[ReadLayer], classes: Tensor | None, choices: Choices, known: bool) -> None:
        self.layers, self.classes, self.choices, self.known = layers, classes, choices, known
        eps = EPSILONS[0] if choices.norm_eps is None else choices.norm_eps
        self.belief = Guess(self.latents()[0], choices.activation or "relu", eps)
        self.arrived: Tensor | None = None
        self.rival: tuple[str, float, float] | None = None
        self.lost = False  # whether nothing matched at some norm: what is believed holds from there on

    def run(self) -> Fit:
        if not self.known:
            start = 0  # the layers before it are settled
            for index, layer in enumerate(self.layers):
                if layer.measured:
                    self.settle(start, index)
                    start = index
            self.end(start)
        mismatches: list[float] = []
        self.send(self.layers, self.belief.latent, None, 0, len(self.layers) - 1, mismatches)
        return Fit(self.layers, self.belief.latent, mismatches, self.rival)

    def end(self, start: int) -> None:
        """Settle the layers behind the last norm by the belief; the last convolution of most nets enlarges nothing."""
        belief = self.belief._replace(enlarge="nearest" if self.arrived is None else "none")
        self.apply(self.layers, start, len(self.layers) - 1, belief)
        if self.layers[-1].block.kind == "convolution":
            self.layers[-1] = self.layers[-1].changed(enlarge="none")

    def latents(self) -> list[str]:
        """The ways in which a latent may enter, the likeliest first."""
        ways = ["normal", "uniform"]
        if self.classes is None:
            return ways
        times = self.classes.shape[1] == self.layers[0].block.inputs
        entries = ["times class"] if times else ["before class", "behind class"]
        return [f"{way} {entry}" for entry in entries for way in ways]

    def settle(self, start: int, index: int) -> None:
        """Choose the guess for the layers from `start` up to the norm of `index`, and apply it."""
        best, least = self.belief, self.mismatch_of(self.belief, start, index)
        decides = self.rival is None and start < index and not self.choices.activation
        enters = self.arrived is None and self.classes is not None
        if (least > KEPT or decides or enters) and not self.lost:
            best, least = self.compared(best, least, start, index, decides)
        self.belief = best
        found: list[float] = []
        self.apply(self.layers, start, index, best)
        self.arrived = self.send(self.layers, best.latent, self.arrived, start, index, found)

    def compared(self, best: Guess, least: float, start: int, index: int, decides: bool) -> tuple[Guess, float]:
        """The guess that matches best at the norm of `index`, and its mismatch; the believed one where none matches.

        best, least: what is believed, and its mismatch. decides: whether the activation is decided here.
        """
        scores = {best: least}
        scores |= {guess: self.mismatch_of(guess, start, index) for guess in self.guesses(start, index)}
        other = min(scores, key=lambda guess: scores[guess])
        if start < index and self.layers[start].block.norm == "none":  # such a layer may well end in nothing
            plain = [guess for guess in scores if guess.activation == "none" and not guess.first]
            nearest = min(plain, key=lambda guess: scores[guess], default=other)
            other = nearest if scores[nearest] <= scores[other] + TIE else other
        if scores[other] >= CLEARLY_BETTER * least:
            other = best
        if decides:
            self.rival = rival_of(other, scores)
        if scores[other] > POOR:
            self.lost = True
            return best._replace(enlarge=other.enlarge), least
        return other, scores[other]

    def epsilons(self, start: int, index: int) -> tuple[float, ...]:
        """The eps that the norm of `start` may have."""
        has_norm = start < index and self.layers[start].block.norm != "none"
        return EPSILONS if self.choices.norm_eps is None and has_norm else (self.belief.eps,)

    def guesses(self, start: int, index: int) -> Iterator[Guess]:
        """All guesses that differ between one norm and the next."""
        choices = self.choices
        latents = self.latents() if self.arrived is None else [self.belief.latent]
        activations = [choices.activation] if choices.activation else [*ACTIVATIONS]
        ends = start < index
        enlargeable = any(each.block.kind == "convolution" for each in self.layers[start + ends : index + 1])
        ways = itertools.product(
            latents,
            activations if ends else [self.belief.activation],
            self.epsilons(start, index),
            ENLARGEMENTS if enlargeable else [self.belief.enlarge],
        )
        for way in ways:
            yield Guess(*way)
        if not ends or self.belief.first:
            for latent, first in itertools.product(latents, activations):
                yield self.belief._replace(latent=latent, first=first)

    def apply(self, layers: list[ReadLayer], start: int, index: int, guess: Guess) -> None:
        """Write a guess into the layers that it is about; the activation of the picture is left alone."""
        fresh = start + (self.arrived is not None)  # the first layer of which nothing is settled
        activation, slope = ACTIVATIONS[guess.first or guess.activation]
        for place in range(start, index + 1):
            changes: dict[str, object] = {}
            if place >= fresh and layers[place].block.kind == "convolution":
                changes["enlarge"] = guess.enlarge
            if place < len(layers) - 1 and (place >= fresh if guess.first else place < index):
                changes |= {"activation": activation, "slope": slope, "activation_first": bool(guess.first)}
            if place < index and layers[place].block.norm != "none":
                changes["eps"] = guess.eps
            layers[place] = layers[place].changed(**changes)

    def mismatch_of(self, guess: Guess, start: int, index: int) -> float:
        """The mismatch at the norm of `index` under a guess about the layers from `start` on."""
        layers, found = list(self.layers), []
        self.apply(layers, start, index, guess)
        self.send(layers, guess.latent, self.arrived, start, index, found)
        return found[-1]

    def send(
        self, layers: list[ReadLayer], latent: str, arrived: Tensor | None, start: int, index: int, found: list[float]
    ) -> Tensor:
        """What arrives at the norm of `index`, (B, C, H, W); appends the mismatch of each norm on the way to `found`.

        arrived: the output of the weight of `start`, (B, C, H, W); None to begin with latents.
        """
        faces = faces_for(layers[: index + 1])
        if arrived is None:
            entered = entering(latent, layers[0].block.inputs, self.classes, faces)
            arrived = layers[0].weighted(entered)
            self.measure(layers[0], arrived, found)
            start = 0
        x = arrived[:faces]
        for before, layer in itertools.pairwise(layers[start : index + 1]):
            x = layer.weighted(before.behind(x))
            self.measure(layer, x, found)
        return x

    def measure(self, layer: ReadLayer, x: Tensor, found: list[float]) -> None:
        """Append the mismatch at the norm of a layer, if it tells one; `x`: the output of its weight."""
        if layer.measured:
            x = activate(layer.block, x) if layer.block.activation_first else x
            found.append(layer.mismatch(x) if torch.isfinite(x).all() else math.inf)


def rival_of(best: Guess, scores: dict[Guess, float]) -> tuple[str, float, float]:
    """The activation that comes closest to the best one, its mismatch, and the best one's."""
    chosen = best.first or best.activation
    others = {guess: score for guess, score in scores.items() if not {guess.first or guess.activation, chosen} <= ALIKE}
    others = {guess: score for guess, score in others.items() if (guess.first or guess.activation) != chosen}
    nearest = min(others, key=lambda guess: others[guess])
    return nearest.first or nearest.activation, others[nearest], scores[best]


def faces_for(layers: Sequence[ReadLayer]) -> int:
    """How many faces to draw up to the last of these layers: more where a map has few points."""
    side = 1
    for layer in layers:
        side = layer.block.side(side)
    fewest, most = FACES
    return min(most, max(fewest, POINTS // max(1, side) ** 2))


def entering(latent: str, inputs: int, classes: Tensor | None, faces: int) -> Tensor:
    """Latents as the first layer takes them, (N, inputs, 1, 1), with classes in turn."""
    kind, _, entry = latent.partition(" ")
    numbers = inputs if classes is None or entry == "times class" else inputs - classes.shape[1]
    z = quasirandom_latents(numbers, SEED)(faces)  # (N, Z)
    if kind == "uniform":
        z = torch.special.ndtr(z) * 2 - 1
    if classes is not None:
        rows = classes[torch.arange(faces) % len(classes)]  # (N, numbers of a class)
        z = z * rows if entry == "times class" else torch.cat([z, rows] if entry == "before class" else [rows, z], 1)
    return z[:, :, None, None]


def enlarged_to(layers: list[ReadLayer], size: int, allowed: Callable[[int], bool]) -> list[ReadLayer]:
    """The layers with the enlargement of those behind the last norm changed until the picture has an allowed side.

    size: the side that is wanted, 0 for any that is allowed. Raises CheckpointError where that is impossible.
    """

    def fits(candidate: list[ReadLayer]) -> bool:
        side = side_of(candidate)
        return side == size if size else allowed(side)

    if fits(layers):
        return layers
    last = max((i for i, layer in enumerate(layers) if layer.measured), default=-1)
    free = [i for i in range(last + 1, len(layers)) if layers[i].block.kind == "convolution"]
    for count in range(1, len(free) + 1):
        for chosen in itertools.combinations(free, count):
            changed = [
                layer.changed(enlarge="none" if layer.block.enlarge != "none" else "nearest") if i in chosen else layer
                for i, layer in enumerate(layers)
            ]
            if fits(changed):
                return changed
    wanted = f"{size} px" if size else "a side that Ganime can draw"
    raise CheckpointError(f"its layers draw {side_of(layers)} px, and no enlargement of them gives {wanted}.")


def side_of(layers: Sequence[ReadLayer]) -> int:
    """The side of the picture that the layers draw."""
    side = 1
    for layer in layers:
        side = layer.block.side(side)
    return side
