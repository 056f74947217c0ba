"""Fits a clarity to a model: draws faces, scores how clear they are, and learns to predict the scores from latents.

A teacher learns from the scores, and the network that sees the latent alone from the teacher; see clarity_teacher.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from ganime.drawing.clarity import default_clarity
from ganime.drawing.clarity_scores import COLOURS, NEAREST, Seen, clarity_scores, joined, see, standardised
from ganime.drawing.clarity_teacher import early_maps, fit_regression, new_teacher, predict, teach
from ganime.drawing.direction_search import group
from ganime.drawing.recipe import latents
from ganime.drawing.sampling import generate, render
from ganime.embedded import EMBEDDED
from ganime.errors import ConfigError
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from ganime.nets.anime_features import FeatureNet
from ganime.nets.clarity import QUANTILES, WIDTHS, Clarity, unit
from ganime.shapes import Float, Int, UInt8

FITTED_FACES = 2_000
LEAST_FACES = 500
FIRST_SEED = 2_000_000_000  # of the faces that are drawn, far from the seeds that people try first
REFERENCE_FACES = 4_000  # at most, of the real ones, or drawn by the embedded model where there are none
TESTED_SHARE = 0.1  # of the faces, which the prediction is tested on
UNSCORED_PER_FACE = 4  # latents whose scores the teacher predicts, for each face that is drawn and scored
EPOCHS, BATCH, RATE = 12, 128, 4e-3
DROPOUT, WEIGHT_DECAY = 0.05, 0.1
HELD_PART = 4  # at most a quarter of the latent's dimensions are held
DRAWN_AT_ONCE = 64
DRAWN, TAUGHT, PREDICTED = 0.55, 0.65, 0.95  # the progress after the faces, the teacher, and its predictions


@dataclass(frozen=True)
class ClarityFit:
    """The result of `fit_clarity`. explained: R² of the prediction on faces that the network was not fitted to."""

    clarity: Clarity
    explained: float


class Network(NamedTuple):
    """The weights and biases of the network of `Clarity`."""

    weights: tuple[Float[np.ndarray, "i o"], ...]
    biases: tuple[Float[np.ndarray, " o"], ...]


def fit_clarity(
    checkpoint: Checkpoint, net: FeatureNet, reference: Seen, faces: int = FITTED_FACES
) -> Iterator[float | ClarityFit]:
    """Fit a clarity to a model; yields the progress, 0 to 1, and the ClarityFit last.

    The same weights and reference always give the same clarity; see `clarity_scores` for what counts as clear.

    net: sees the eyes and the whole of faces, and recognises the colours of hair and eyes.
    reference: what `net` sees of real faces at the model's side, at least 8.
    faces: how many faces of the model the fit uses, at least 500.

    Raises ConfigError for fewer.
    """
    if faces < LEAST_FACES or len(reference) < NEAREST:
        raise ConfigError(
            f"A clarity is fitted to at least {LEAST_FACES} faces of the model, compared with at least {NEAREST} real "
            f"ones; got {faces} and {len(reference)}."
        )
    config, prepared = checkpoint.generator.config, checkpoint.prepared
    z = latents(range(FIRST_SEED, FIRST_SEED + faces), config.latent_dim)
    parts, maps = [], torch.empty(faces, *early_maps(prepared, z[:1]).shape[1:])  # (N, C, 8, 8), 66 MB for anime-128
    for start in range(0, faces, DRAWN_AT_ONCE):
        yield DRAWN * start / faces
        rows = z[start : start + DRAWN_AT_ONCE]
        parts.append(see(net, render(prepared, rows), config.image_size))
        maps[start : start + len(rows)] = early_maps(prepared, rows)
    yield DRAWN
    seen = joined(parts)
    scores = standardised(clarity_scores(net, seen, reference))
    columns = [k for k, name in enumerate(net.attributes) if group(name) in COLOURS]
    colours = seen.probabilities[:, columns].astype(np.float64)  # (N, A)
    tested = int(faces * TESTED_SHARE)
    teacher = new_teacher(maps.shape[1])
    for share in teach(teacher, maps[tested:], scores[tested:]):
        yield DRAWN + (TAUGHT - DRAWN) * share
    del maps
    unscored = latents(range(FIRST_SEED + faces, FIRST_SEED + (1 + UNSCORED_PER_FACE) * faces), config.latent_dim)
    predicted = []
    for start in range(0, len(unscored), DRAWN_AT_ONCE):
        yield TAUGHT + (PREDICTED - TAUGHT) * start / len(unscored)
        predicted.append(predict(teacher, early_maps(prepared, unscored[start : start + DRAWN_AT_ONCE])))
    network = fit_network(units(unscored), np.concatenate(predicted))
    yield with_quantiles(network, held_axes(z, colours), z, scores, tested)


def with_quantiles(
    network: Network,
    held: Float[np.ndarray, "h latent"],
    z: Float[np.ndarray, "n latent"],
    scores: Float[np.ndarray, " n"],
    tested: int,
) -> ClarityFit:
    """The clarity of a fitted network, with the quantiles of its predictions, and how well it predicts scores.

    tested: how many of the first scores played no part in fitting the network
    """
    clarity = Clarity(*network, held, np.zeros(QUANTILES))
    predicted = clarity.predict(z)
    explained = 1 - np.square(predicted - scores)[:tested].mean() / max(scores[:tested].var(), 1e-9)
    return ClarityFit(
        replace(clarity, quantiles=np.quantile(predicted, np.linspace(0, 1, QUANTILES))), float(explained)
    )


def held_axes(z: Float[np.ndarray, "n latent"], colours: Float[np.ndarray, "n a"]) -> Float[np.ndarray, "h latent"]:
    """Axes that predict the probabilities of colours, along which latents must not move."""
    return leading_axes(slopes(units(z), log_odds(colours)), z.shape[1] // HELD_PART)


def fit_network(u: Float[np.ndarray, "n latent"], y: Float[np.ndarray, " n"]) -> Network:
    """The network of `Clarity`, fitted to the values y with a little dropout."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [nn.Linear(inputs, outputs) for inputs, outputs in pairwise((u.shape[1], *WIDTHS, 1))]
        hidden = [part for layer in layers[:-1] for part in (layer, nn.SiLU(), nn.Dropout(DROPOUT))]
    net = nn.Sequential(*hidden, layers[-1])
    for _ in fit_regression(net, torch.from_numpy(u).float(), y, EPOCHS, BATCH, RATE, WEIGHT_DECAY):
        pass
    weights = tuple(layer.weight.detach().double().numpy().T.copy() for layer in layers)
    return Network(weights, tuple(layer.bias.detach().double().numpy() for layer in layers))


def units(z: Float[np.ndarray, "n latent"]) -> Float[np.ndarray, "n latent"]:
    return np.stack([unit(row) for row in z])


def log_odds(probabilities: Float[np.ndarray, "n a"]) -> Float[np.ndarray, "n a"]:
    bounded = probabilities.clip(1e-4, 1 - 1e-4)
    return np.log(bounded) - np.log1p(-bounded)


def slopes(u: Float[np.ndarray, "n latent"], values: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "k latent"]:
    """The slopes of a linear regression of values on latents."""
    design = np.column_stack([u, np.ones(len(u))])
    return np.linalg.lstsq(design, values, rcond=None)[0][:-1].T


def leading_axes(rows: Float[np.ndarray, "k latent"], most: int) -> Float[np.ndarray, "h latent"]:
    """At most `most` orthonormal axes, along which the rows are longest."""
    return np.linalg.svd(rows, full_matrices=False)[2][: min(most, len(rows))]


def embedded_reference(net: FeatureNet, side: int) -> Seen:
    """Clear faces of the embedded model, for a model of `side` px whose real faces are not at hand."""
    embedded = load_checkpoint(EMBEDDED)
    parts = [range(start, start + DRAWN_AT_ONCE) for start in range(0, REFERENCE_FACES, DRAWN_AT_ONCE)]
    clarity = default_clarity(embedded)
    return joined(see(net, generate(embedded, part, clarity=clarity), side) for part in parts)


def real_reference(
    net: FeatureNet, faces: UInt8[np.ndarray, "n h w 3"], rows: Int[np.ndarray, " k"], side: int
) -> Iterator[Seen]:
    """What is seen of at most 4,000 of the faces in `rows`, always the same selection, in batches.

    faces: may be memory-mapped; a batch at a time is read. side: of the model's faces, in px.
    """
    chosen = np.sort(np.random.default_rng(0).permutation(rows)[:REFERENCE_FACES])
    for start in range(0, len(chosen), DRAWN_AT_ONCE):
        yield see(net, faces[chosen[start : start + DRAWN_AT_ONCE]], side)
