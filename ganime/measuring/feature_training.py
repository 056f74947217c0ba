"""Teaching the feature network: attributes from labels, and poor drawing from damage done on purpose."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ganime.errors import DataError
from ganime.faces.dataset import MIN_FACES, load_faces
from ganime.files import atomic_folder
from ganime.nets.anime_features import (
    FEATURE_SIDE,
    FEATURE_WIDTHS,
    FeatureNet,
    extract,
    load_features,
    save_features,
    to_tensor,
)
from ganime.nets.device import faster_of

if TYPE_CHECKING:
    from jaxtyping import Float, Int, UInt8
    from torch import Generator as RandomSource
    from torch import Tensor

MIN_POSITIVES = 30  # an attribute that fewer faces have is not learned
DAMAGE_WEIGHT = 0.2
PEAK_RATE, WEIGHT_DECAY, WARM_UP = 2e-3, 0.02, 0.1
REPORT_STEPS = 100
PROJECTION_FACES = 10_000
EPOCHS, BATCH = 10, 64


@dataclass(frozen=True)
class FitStep:
    """Means since the last report: progress from 0 to 1, and the losses in nats."""

    images: int
    progress: float
    attribute_loss: float
    damage_loss: float


def train_features(
    net: FeatureNet,
    images: UInt8[np.ndarray, "n 64 64 3"],
    labels: Float[np.ndarray, "n a"],
    positions: np.ndarray,
    epochs: float = EPOCHS,
    minutes: float = 0.0,
    batch_size: int = BATCH,
    seed: int = 0,
) -> Iterator[FitStep]:
    """Teach `net` to name the attributes of whole faces, and the damage done to a quarter of them.

    labels: 0 or 1. positions: the rows to learn from. It ends after `epochs`, or after `minutes` where that is sooner
    and not 0; without a time limit equal arguments give equal nets on one machine. `net` is in eval mode at the end.
    """
    start, random, precision = time.monotonic(), torch.Generator().manual_seed(seed), faster_precision(net, batch_size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tell = nn.Linear(FEATURE_WIDTHS[-1], len(DAMAGES))  # names the damage; not kept
    optimizer = make_optimizer([*net.parameters(), *tell.parameters()])
    rate = labels[positions].mean(0).clip(1e-6, 1 - 1e-6)
    rarity = torch.from_numpy(np.sqrt((1 - rate) / rate).clip(1, 5).astype(np.float32))  # (A,), mild: capped root
    net.to(memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
    order, seen, progress, losses = np.empty(0, np.int64), 0, 0.0, []
    while progress < 1:
        if len(order) < batch_size:
            order = np.concatenate([order, torch.randperm(len(positions), generator=random).numpy()])
            continue
        chosen, order = positions[order[:batch_size]], order[batch_size:]
        faces, kinds = spoiled_batch(to_tensor(images[chosen]), random)
        for group in optimizer.param_groups:
            group["lr"] = PEAK_RATE * min(1.0, progress / WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * progress))
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            deepest = net.activations(faces)[-1]  # (B, 256, 4, 4)
            logits, guesses = net.logits(deepest).float(), tell(deepest.mean((2, 3))).float()  # (B, A), (B, kinds)
        whole, target = kinds == 0, torch.from_numpy(labels[chosen].astype(np.float32))
        attribute_loss = F.binary_cross_entropy_with_logits(logits[whole], target[whole], pos_weight=rarity)
        damage_loss = F.cross_entropy(guesses, kinds)
        optimizer.zero_grad(set_to_none=True)
        (attribute_loss + DAMAGE_WEIGHT * damage_loss).backward()
        optimizer.step()
        seen += batch_size
        elapsed = (time.monotonic() - start) / 60
        progress = min(1.0, max(seen / (epochs * len(positions)), elapsed / minutes if minutes else 0.0))
        losses.append((attribute_loss.item(), damage_loss.item()))
        if len(losses) == REPORT_STEPS or progress >= 1:
            yield FitStep(seen, progress, *np.mean(losses, axis=0).tolist())
            losses.clear()
    net.eval()


def make_optimizer(parameters: Sequence[nn.Parameter]) -> torch.optim.AdamW:
    """AdamW that decays weights but neither biases nor the scales of BatchNorm."""
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=PEAK_RATE)


def faster_precision(net: FeatureNet, batch_size: int) -> str:
    """ "bf16" where a batch is looked at a quarter faster in it, else "fp32"; `net` is in eval mode afterwards."""
    faces = torch.zeros(batch_size, 3, FEATURE_SIDE, FEATURE_SIDE).contiguous(memory_format=torch.channels_last)
    net.eval()
    with torch.inference_mode():
        return faster_of(lambda: net.activations(faces), torch.device("cpu"))


def fit_projection(net: FeatureNet, images: UInt8[np.ndarray, "n h w 3"], positions: np.ndarray) -> None:
    """Set the projection to the leading principal components of the pooled activations, each standardised first.

    It is scaled so that a feature's mean square is 1 over the given faces.
    """
    chosen = np.sort(np.random.default_rng(0).permutation(positions)[:PROJECTION_FACES])
    with torch.inference_mode():
        parts = [
            net.pool(net.activations(to_tensor(images[part])))
            for part in np.array_split(chosen, max(1, len(chosen) // BATCH))
        ]
    pooled = torch.cat(parts).double()  # (N, pooled)
    mean, deviation = pooled.mean(0), pooled.std(0) + 1e-6
    standard = (pooled - mean) / deviation
    vectors = torch.linalg.eigh(standard.T @ standard).eigenvectors.flip(1)[:, : net.features]  # (pooled, D)
    scale = (standard @ vectors).square().mean().sqrt()
    net.mean.copy_(mean)
    net.projection.copy_(vectors / deviation[:, None] / scale)


def read_attributes(path: Path, names: Sequence[str]) -> tuple[list[str], Float[np.ndarray, "n a"]]:
    """The attribute names of a CSV file, and the labels of the named faces: 0, 1, or NaN in the rows of unlisted faces.

    The first column holds file names, the others 0 or 1. Raises DataError, naming file and line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise DataError(f"{path} is no readable CSV of attributes ({error}).") from error
    attributes = header[1:]
    if not attributes:
        raise DataError(f"{path} names no attribute; its first line needs a column for file names and one for each.")
    table: dict[str, list[str]] = {}
    for number, row in enumerate(rows, 2):
        if len(row) != len(header) or not set(row[1:]) <= {"0", "1"}:
            raise DataError(f"{path}, line {number}: a file name and {len(attributes)} values 0 or 1 are needed.")
        table[row[0]] = row[1:]
    labels = np.full((len(names), len(attributes)), np.nan, np.float32)
    for position, name in enumerate(names):
        row = table.get(name) or table.get(PurePosixPath(name).name)
        if row:
            labels[position] = [float(value) for value in row]
    return attributes, labels


@dataclass(frozen=True)
class AttributeScore:
    """How well an attribute is told on held-out faces: the mean of the rates at which its 1s and its 0s are found."""

    name: str
    positives: int
    balanced_accuracy: float


def fit_features(
    sources: Sequence[Path | str],
    attributes_csv: Path,
    out: Path,
    minutes: float = 0.0,
    cache: Path = Path(".ganime"),
    progress: Callable[[FitStep], None] | None = None,
    epochs: float = EPOCHS,
    batch_size: int = BATCH,
    notes: str = "",
    seed: int = 0,
) -> list[AttributeScore]:
    """Fit a feature network to labelled faces, write it with its card as the folder `out`, and score its attributes.

    minutes: at most so long, 0 for `epochs` however long they take. notes: Markdown for the card, on the data's origin.
    Raises DataError when the faces or the labels cannot be used.
    """
    dataset = load_faces(sources, FEATURE_SIDE, cache)
    attributes, labels = read_attributes(attributes_csv, dataset.names)
    labelled = ~np.isnan(labels[:, 0])  # (N,)
    train, held_out = dataset.train[labelled[dataset.train]], dataset.held_out[labelled[dataset.held_out]]
    if len(train) < MIN_FACES or not len(held_out):
        raise DataError(f"{attributes_csv} lists {labelled.sum()} of {len(labelled)} faces, too few to learn from.")
    common = np.flatnonzero(labels[train].sum(0) >= MIN_POSITIVES)
    if not len(common):
        raise DataError(f"{attributes_csv}: no attribute is 1 for {MIN_POSITIVES} training faces; nothing to learn.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = FeatureNet([attributes[column] for column in common])
    labels, images, seen = labels[:, common], dataset.images, 0
    for step in train_features(net, images, labels, train, epochs, minutes, batch_size, seed):
        seen = step.images
        if progress:
            progress(step)
    fit_projection(net, images, train)
    with atomic_folder(out) as folder:
        save_features(net, folder)
        scores = score_attributes(load_features(folder), images[held_out], labels[held_out])  # as stored, in 16 bits
        dropped = [name for name in attributes if name not in net.attributes]
        text = feature_card(scores, dropped, len(train), len(held_out), seen, notes)
        (folder / "README.md").write_text(text, encoding="utf-8")
    return scores


def score_attributes(
    net: FeatureNet, images: UInt8[np.ndarray, "n h w 3"], labels: Float[np.ndarray, "n a"]
) -> list[AttributeScore]:
    """Balanced accuracy of every attribute at a probability of 0.5; NaN where the faces are all of one kind."""
    found, truth = extract(net, images)[1] > 0.5, labels > 0.5  # (N, A)
    scores = []
    for column, name in enumerate(net.attributes):
        ones = truth[:, column]  # (N,)
        right = np.equal(found[:, column], ones)
        balanced = float(right[ones].mean() + right[~ones].mean()) / 2 if 0 < ones.sum() < len(ones) else math.nan
        scores.append(AttributeScore(name, int(ones.sum()), balanced))
    return scores


def feature_card(
    scores: Sequence[AttributeScore], dropped: Sequence[str], train: int, held_out: int, seen: int, notes: str
) -> str:
    """The card of a feature network, in Markdown; only facts of the fit, and the notes."""
    rows = "\n".join(
        f"| {score.name} | {score.positives} | "
        f"{'cannot be told' if math.isnan(score.balanced_accuracy) else f'{score.balanced_accuracy:.3f}'} |"
        for score in scores
    )
    known = [score.balanced_accuracy for score in scores if not math.isnan(score.balanced_accuracy)]
    missing = (
        f"Not learned, since fewer than {MIN_POSITIVES} training faces have it: {', '.join(dropped)}."
        if dropped
        else ""
    )
    return f"""---
library_name: ganime
pipeline_tag: image-feature-extraction
tags: [anime, features, attributes]
---

# Anime features

A small convolutional network that sees faces of {FEATURE_SIDE} x {FEATURE_SIDE} px: it names
{len(scores)} attributes, and its features
measure generated faces against real ones. Distances made with it are "on anime features"; they are no FID or KID in
the usual sense and compare with nothing that another network measured.

{notes}
## Fit

{train:,} training faces, {seen:,} shown in all; the attributes learned by binary cross-entropy, together with naming
the damage done to a quarter of the faces on purpose (blur, checkerboard, smears, warps, tears, coarse pixels, parts of
another face). Features: averages of unit-length activations at four depths, standardised and projected on their
leading principal components. Fitted by

```
python -m ganime fit-features FACES --attributes attributes.csv --out weights/anime-features
```

## Attributes

Balanced accuracy on {held_out:,} held-out faces at a probability of 0.5, mean {np.mean(known):.3f}. {missing}

| attribute | held-out faces with it | balanced accuracy |
|---|---|---|
{rows}

## Use

```python
from ganime.nets.anime_features import extract, load_features

features, probabilities = extract(load_features(), images)  # images: uint8 (N, H, W, 3)
```
"""


DAMAGES = ("none", "blur", "checkerboard", "smear", "warp", "tear", "coarse", "mixture")


def spoiled_batch(
    faces: Float[Tensor, "b 3 side side"], random: RandomSource
) -> tuple[Float[Tensor, "b 3 side side"], Int[Tensor, " b"]]:
    """Faces to learn from, the first quarter of them damaged, and the kind of damage of each, 0 for none."""
    count = len(faces) // 4
    kinds = torch.zeros(len(faces), dtype=torch.long)
    kinds[:count] = torch.randint(1, len(DAMAGES), (count,), generator=random)
    faces = augment(faces, random)
    faces[:count] = damage(faces[:count], kinds[:count], 0.2 + 0.8 * torch.rand(count, generator=random), random)
    return roughen(faces, random).contiguous(memory_format=torch.channels_last), kinds


def damage(
    images: Float[Tensor, "b 3 side side"],
    kinds: Int[Tensor, " b"],
    strength: Float[Tensor, " b"],
    random: RandomSource,
) -> Float[Tensor, "b 3 side side"]:
    """Damage each picture in one way, as a poor generator would.

    kinds: 0 leaves it, 1 blurs, 2 lays a checkerboard on it, 3 smears parts of it, 4 warps it, 5 tears it into shifted
    squares, 6 coarsens its pixels, 7 puts parts of the next face in. strength: from 0, little
    or nothing, to 1, plain to see.
    """
    (count, side), amount = (len(images), images.shape[-1]), strength.view(-1, 1, 1, 1)
    is_kind = [(kinds == kind).view(-1, 1, 1, 1) for kind in range(len(DAMAGES))]
    blurred = F.avg_pool2d(F.pad(images, (2, 2, 2, 2), mode="replicate"), 5, 1)
    out = torch.where(is_kind[1], torch.lerp(images, blurred, amount), images)
    period = 2 * torch.randint(1, 3, (count, 1, 1), generator=random)  # px: 2 or 4, as of strided convolutions
    line = torch.arange(side)
    board = ((line[:, None] * 2 // period + line * 2 // period) % 2 * 2 - 1).view(count, 1, side, side)
    out = torch.where(is_kind[2], images + 0.25 * amount * board, out)
    parts = F.interpolate(torch.randn(count, 1, 4, 4, generator=random), (side, side), mode="bicubic")
    inside = parts > 1 - amount
    flat = F.interpolate(F.avg_pool2d(images, 16), (side, side), mode="bilinear")
    out = torch.where(is_kind[3] & inside, flat, out)
    shifts = 0.16 * torch.randn(count, 2, 8, 8, generator=random) * amount  # 1 is half the side
    smooth = F.interpolate(shifts, (side, side), mode="bicubic")
    squares = F.interpolate(shifts, (side, side), mode="nearest")
    moved = torch.where(is_kind[4], smooth, squares).permute(0, 2, 3, 1)  # (B, S, S, 2)
    grid = F.affine_grid(torch.eye(2, 3).expand(count, 2, 3), [count, 3, side, side], align_corners=False)
    warped = F.grid_sample(images, grid + moved, mode="bilinear", padding_mode="border", align_corners=False)
    out = torch.where(is_kind[4] | is_kind[5], warped, out)
    coarse = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2.0, mode="nearest")
    out = torch.where(is_kind[6], torch.lerp(images, coarse, amount), out)
    out = torch.where(is_kind[7] & inside, images.roll(1, 0), out)
    return out.clamp(-1, 1)


def augment(images: Float[Tensor, "b 3 side side"], random: RandomSource) -> Float[Tensor, "b 3 side side"]:
    """Mirror half of the pictures and shift each by up to 4 pixels; colours stay, for hair and eyes are labels."""
    count, side = len(images), images.shape[-1]
    sign = torch.randint(0, 2, (count,), generator=random) * 2.0 - 1
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = sign, 1
    theta[:, :, 2] = torch.randint(-4, 5, (count, 2), generator=random) * 2 / side  # whole pixels: nothing blurs
    grid = F.affine_grid(theta, [count, 3, side, side], align_corners=False)
    return F.grid_sample(images, grid, mode="nearest", padding_mode="reflection", align_corners=False)


def roughen(images: Float[Tensor, "b 3 side side"], random: RandomSource) -> Float[Tensor, "b 3 side side"]:
    """Blur and noise too faint to see, at random, so that the net does not come to look for them."""
    count = (len(images), 1, 1, 1)
    blurred = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    images = torch.lerp(images, blurred, 0.4 * torch.rand(count, generator=random))
    return images + 0.05 * torch.rand(count, generator=random) * torch.randn(images.shape, generator=random)
