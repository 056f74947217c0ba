"""Scores of how clear faces are: how near real faces lie to their eyes and to the whole, and whether the eyes match.

Faces that people call broken are told from others far better by their eyes than by the whole face.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganime.drawing.direction_search import group
from ganime.nets.anime_features import FEATURE_SIDE, FeatureNet, resize_pictures, to_tensor
from ganime.shapes import Float, UInt8

LARGEST_SIDE = 128  # px; larger faces are reduced to it
EYES_AT, EYE_SHARE = (0.3125, 0.25, 0.5), 0.25  # squares around the eyes, as shares of the side: top, lefts; side
EYE_SIDE = 32  # px, of an eye for the network
EYE_SQUARES = ((1, 4), (2, 4), (3, 2))  # stages of the network, and squares per side that their maps are averaged over
EYE_AXES = 32  # principal axes of an eye's features
FACES_FOR_AXIS = 4  # at least, of the real ones; fewer faces give fewer axes
NEAREST = 8  # real faces that a face is compared with
WHOLE_WEIGHT, MISMATCH_WEIGHT = 0.2, 0.6  # in the score, beside 1 for the nearness of the eyes
MOST_LOGIT = 5.0  # of a colour; beyond it, a colour is certain
EYE_COLOUR = "eye colour"
COLOURS = ("hair colour", EYE_COLOUR)
COMPARED_AT_ONCE = 512


@dataclass(frozen=True)
class Seen:
    """What the anime feature network sees of N faces.

    whole: the features of the faces. eyes: those of the left eye and of the right one, which is mirrored.
    mismatches: how much the colours of the two eyes differ, at least 0.
    probabilities: of the network's attributes. shades: the mean colours, in [-1, 1].
    """

    whole: Float[np.ndarray, "n d"]
    eyes: Float[np.ndarray, "n 2 e"]
    mismatches: Float[np.ndarray, " n"]
    probabilities: Float[np.ndarray, "n a"]
    shades: Float[np.ndarray, "n 3"]

    def __len__(self) -> int:
        return len(self.whole)


@torch.inference_mode()
def see(net: FeatureNet, faces: UInt8[np.ndarray, "n h w 3"], side: int) -> Seen:
    """What the network sees of a batch of faces. side: px that larger faces are reduced to, at most 128."""
    images = to_tensor(faces)
    if images.shape[-1] > min(side, LARGEST_SIDE):
        images = resize_pictures(min(side, LARGEST_SIDE), images)
    whole, logits = net(images)  # (B, D), (B, A)
    eyes = eye_features(net, eye_pictures(images)).half()  # (2 B, E)
    return Seen(
        whole=whole.numpy(),
        eyes=torch.stack(eyes.chunk(2), 1).numpy(),
        mismatches=colour_mismatches(net, images).numpy(),
        probabilities=logits.sigmoid().numpy(),
        shades=images.mean((2, 3)).numpy(),
    )


def joined(parts: Iterable[Seen]) -> Seen:
    """What was seen of several batches, as one."""
    parts = list(parts)
    return Seen(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Seen)))


def eye_squares(side: int) -> tuple[slice, slice, slice]:
    """The rows of both eyes, the columns of the left one and those of the right one, in pictures of `side` px.

    The faces must be aligned as the training faces are.
    """
    share = round(EYE_SHARE * side)
    rows, left, right = (slice(start, start + share) for start in (round(s * side) for s in EYES_AT))
    return rows, left, right


def eye_pictures(images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b2 3 32 32"]:
    """The left eyes of all faces, then the right ones, mirrored."""
    rows, left, right = eye_squares(images.shape[-1])
    both = torch.cat([images[:, :, rows, left], images[:, :, rows, right].flip(3)])  # (2 B, 3, share, share)
    return resize_pictures(EYE_SIDE, both).contiguous(memory_format=torch.channels_last)


def eye_features(net: FeatureNet, eyes: Float[Tensor, "b 3 32 32"]) -> Float[Tensor, "b e"]:
    """Averages over squares of the activations at three depths, each point's channels normalised to unit length."""
    squares, pooled = dict(EYE_SQUARES), []
    for depth, stage in enumerate(net.stages):
        if depth > max(squares):
            break
        eyes = stage(eyes)  # (B, C, side, side)
        if depth in squares:
            unit = F.normalize(eyes, dim=1, eps=1e-3)
            pooled.append(F.adaptive_avg_pool2d(unit, squares[depth]).flatten(1))  # (B, C * squares^2)
    return torch.cat(pooled, 1)


def colour_mismatches(net: FeatureNet, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, " b"]:
    """How differently the network reads the colour of the eyes if both are the left one, and if both are the right one.

    It is the mean difference of the logits of all eye colours.
    """
    colours = [k for k, name in enumerate(net.attributes) if group(name) == EYE_COLOUR]
    if not colours:
        return torch.zeros(len(images))
    images = resize_pictures(FEATURE_SIDE, images)
    rows, left, right = eye_squares(FEATURE_SIDE)
    lefts, rights = images.clone(), images.clone()
    lefts[:, :, rows, right] = images[:, :, rows, left].flip(3)
    rights[:, :, rows, left] = images[:, :, rows, right].flip(3)
    both = torch.cat([lefts, rights]).contiguous(memory_format=torch.channels_last)  # (2 B, 3, 64, 64)
    logits = net.logits(net.activations(both)[-1])[:, colours].clamp(-MOST_LOGIT, MOST_LOGIT)  # (2 B, colours)
    first, second = logits.chunk(2)
    return (first - second).abs().mean(1)


def clarity_scores(net: FeatureNet, drawn: Seen, real: Seen) -> Float[np.ndarray, " n"]:
    """How clear drawn faces are, higher is clearer.

    Each part is compared with that of faces of the same colours; otherwise rare colours would count as unclear.
    """
    known, near_eyes = known_colours(net, drawn), -distances_to_nearest(*on_axes(drawn.eyes, real.eyes))
    near_faces, matching = -distances_to_nearest(drawn.whole, real.whole), -drawn.mismatches.astype(np.float64)
    parts = [standardised(beyond(known, part)) for part in (near_eyes, near_faces, matching)]
    return parts[0] + WHOLE_WEIGHT * parts[1] + MISMATCH_WEIGHT * parts[2]


def on_axes(
    drawn: Float[np.ndarray, "n 2 e"], real: Float[np.ndarray, "r 2 e"]
) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "r k"]]:
    """Features of both eyes on the principal axes of a real eye, each axis in units of its standard deviation."""
    single = real.reshape(-1, real.shape[2]).astype(np.float32)  # (2 R, E)
    mean = single.mean(0)
    variances, axes = np.linalg.eigh(np.cov((single - mean).T))  # in ascending order
    count = max(1, min(EYE_AXES, len(real) // FACES_FOR_AXIS))
    scaled = (axes[:, -count:] / np.sqrt(variances[-count:].clip(1e-12))).astype(np.float32)  # (E, count)
    both = [((eyes.astype(np.float32) - mean) @ scaled).reshape(len(eyes), -1) for eyes in (drawn, real)]
    return both[0], both[1]  # (N, 2 count), (R, 2 count)


@torch.inference_mode()
def distances_to_nearest(
    features: Float[np.ndarray, "n d"], reference: Float[np.ndarray, "r d"]
) -> Float[np.ndarray, " n"]:
    """The mean distance of each face to the 8 real faces nearest to it."""
    real = torch.from_numpy(reference)
    parts = [
        torch.cdist(rows, real).topk(NEAREST, 1, largest=False).values.mean(1)  # (B, R) -> (B,)
        for rows in torch.from_numpy(features).split(COMPARED_AT_ONCE)
    ]
    return torch.cat(parts).double().numpy()


def known_colours(net: FeatureNet, seen: Seen) -> Float[np.ndarray, "n k"]:
    """What a face's score is compared by: the most probable colours of its hair and eyes, as 0 and 1, and its shade.

    The probabilities themselves would not do: an eye that is no eye has low ones.
    """
    columns: list[np.ndarray] = [seen.shades]
    for kind in COLOURS:
        chosen = [k for k, name in enumerate(net.attributes) if group(name) == kind]
        if chosen:
            columns.append(np.eye(len(chosen))[seen.probabilities[:, chosen].argmax(1)])
    return np.column_stack(columns)


def beyond(known: Float[np.ndarray, "n k"], values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Values less what a linear regression on `known` predicts of them."""
    design = np.column_stack([known, np.ones(len(known))])
    return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]


def standardised(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return (values - values.mean()) / max(values.std(), 1e-9)
