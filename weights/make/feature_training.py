"""Train a feature network: it learns attributes from labels, and poor drawing from artificial damage.

`python -m weights.make.feature_training FACES... --attributes CSV --out FOLDER [--epochs 10] [--seed 0]`

FACES are folders or zips; the CSV has one row for each face: its file name, then a 0 or 1 for each attribute. For
weights/anime-critic the options were `--seed 77 --epochs 5`.
"""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
import typer
from torch import nn

from ganime.cli.common import DEFAULT_HOME, HomeOption, set_threads
from ganime.errors import DataError
from ganime.faces.dataset import MIN_FACES, load_faces
from ganime.files import CONFIG_FILE, WEIGHTS_FILE, atomic_folder, refuse_to_replace, save_tensors
from ganime.models.checkpoint import CHECKPOINT_FILES
from ganime.nets.anime_features import (
    FEATURE_SIDE,
    FEATURE_WIDTHS,
    FeatureNet,
    extract,
    load_features,
    to_tensor,
)
from ganime.nets.device import faster_of
from ganime.shapes import Float, UInt8
from weights.make.damage import DAMAGES, damaged_batch

MIN_POSITIVES = 30  # attributes with fewer positive training faces are not learned
DAMAGE_WEIGHT = 0.2  # of the damage loss, next to 1 for the attribute loss
PEAK_RATE, WEIGHT_DECAY = 2e-3, 0.02
WARM_UP_SHARE = 0.1  # of the training, in which the learning rate rises
STEPS_PER_REPORT = 100
PROJECTION_FACES = 10_000  # at most this many faces give the principal components
EPOCHS, BATCH = 10, 64


@dataclass(frozen=True)
class FitStep:
    """A report: images shown so far, progress from 0 to 1, and the mean losses since the last report, in nats."""

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
    """Train `net` to recognise the attributes of undamaged faces, and the kind of damage on a quarter of each batch.

    Without a time limit, equal arguments give equal nets on one machine.

    net: changed in place; it is in eval mode at the end.
    images: the faces.
    labels: (N, A), 0 or 1.
    positions: the rows of `images` and `labels` to train on.
    epochs: number of times that each face is shown.
    minutes: end after this time if that is sooner; 0 for no limit.
    batch_size: faces in a step.
    seed: seed of the order, the damage and the augmentation.
    """
    start, random, precision = time.monotonic(), torch.Generator().manual_seed(seed), faster_precision(net, batch_size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        damage_head = nn.Linear(FEATURE_WIDTHS[-1], len(DAMAGES))  # needed only here
    optimizer = make_optimizer([*net.parameters(), *damage_head.parameters()])
    frequency = labels[positions].mean(0).clip(1e-6, 1 - 1e-6)  # (A,)
    odds = (1 - frequency) / frequency
    positive_weight = torch.from_numpy(np.sqrt(odds).clip(1, 5).astype(np.float32))  # (A,)
    net.to(memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
    order, shown_images, progress, losses = np.empty(0, np.int64), 0, 0.0, []
    while progress < 1:
        if len(order) < batch_size:
            order = np.concatenate([order, torch.randperm(len(positions), generator=random).numpy()])
            continue
        chosen, order = positions[order[:batch_size]], order[batch_size:]
        faces, kinds = damaged_batch(to_tensor(images[chosen]), random)
        for group in optimizer.param_groups:
            group["lr"] = scheduled_rate(progress)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            deepest = net.activations(faces)[-1]  # (B, 256, 4, 4)
            logits, damage_logits = (
                net.logits(deepest).float(),
                damage_head(deepest.mean((2, 3))).float(),
            )  # (B, A), (B, kinds)
        undamaged, target = kinds == 0, torch.from_numpy(labels[chosen].astype(np.float32))
        attribute_loss = F.binary_cross_entropy_with_logits(
            logits[undamaged], target[undamaged], pos_weight=positive_weight
        )
        damage_loss = F.cross_entropy(damage_logits, kinds)
        optimizer.zero_grad(set_to_none=True)
        (attribute_loss + DAMAGE_WEIGHT * damage_loss).backward()
        optimizer.step()
        shown_images += batch_size
        elapsed = (time.monotonic() - start) / 60
        progress = min(1.0, max(shown_images / (epochs * len(positions)), elapsed / minutes if minutes else 0.0))
        losses.append((attribute_loss.item(), damage_loss.item()))
        if len(losses) == STEPS_PER_REPORT or progress >= 1:
            yield FitStep(shown_images, progress, *np.mean(losses, axis=0).tolist())
            losses.clear()
    net.eval()


def scheduled_rate(progress: float) -> float:
    """The learning rate at a progress from 0 to 1: a linear warm-up times a cosine decay to 0."""
    return PEAK_RATE * min(1.0, progress / WARM_UP_SHARE) * (0.5 + 0.5 * math.cos(math.pi * progress))


def make_optimizer(parameters: Sequence[nn.Parameter]) -> torch.optim.AdamW:
    """AdamW with weight decay for matrices and kernels only, not for biases and BatchNorm scales."""
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=PEAK_RATE)


def faster_precision(net: FeatureNet, batch_size: int) -> str:
    """The faster precision for a batch, "bf16" or "fp32", as `faster_of` measures; `net` is in eval mode afterwards."""
    faces = torch.zeros(batch_size, 3, FEATURE_SIDE, FEATURE_SIDE).contiguous(memory_format=torch.channels_last)
    net.eval()
    with torch.inference_mode():
        return faster_of(lambda: net.activations(faces), torch.device("cpu"))


def fit_projection(net: FeatureNet, images: UInt8[np.ndarray, "n h w 3"], positions: np.ndarray) -> None:
    """Set the projection of `net` to the leading principal components of its standardised pooled activations.

    The mean square of the features is 1 over the given faces.

    images: uint8 RGB.
    positions: the rows of `images` to use; of more than 10,000, a fixed random selection.
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
    """Read attribute names and labels from a CSV file whose first column is a file name and whose others are 0 or 1.

    names: the file names of the faces, N of them; they match with or without their folders.

    Returns the A attribute names and the labels, (N, A): 0 or 1, and NaN in the rows of faces that are not listed.
    Raises DataError with the file name, and the line if one is invalid.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise DataError(f"{path} is not a readable CSV file of attributes ({error}).") from error
    attributes = header[1:]
    if not attributes:
        raise DataError(
            f"{path} names no attribute; the first line needs a column for file names and one per attribute."
        )
    table: dict[str, list[str]] = {}
    for number, row in enumerate(rows, 2):
        if len(row) != len(header) or not set(row[1:]) <= {"0", "1"}:
            raise DataError(
                f"{path}, line {number}: a row needs a file name and {len(attributes)} values that are 0 or 1."
            )
        table[row[0]] = row[1:]
    labels = np.full((len(names), len(attributes)), np.nan, np.float32)
    for position, name in enumerate(names):
        row = table.get(name) or table.get(PurePosixPath(name).name)
        if row:
            labels[position] = [float(value) for value in row]
    return attributes, labels


@dataclass(frozen=True)
class AttributeScore:
    """The score of an attribute on held-out faces.

    name: of the attribute.
    positives: number of held-out faces that have it.
    balanced_accuracy: the mean of the accuracies on faces with it and without it, 0 to 1; NaN if all are of one kind.
    """

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
    """Train a feature network on labelled faces and write it, with its card, to the folder `out`.

    sources: folders, zips or other sources of faces, as `load_faces` takes them.
    attributes_csv: see `read_attributes`.
    out: the folder to write.
    minutes: end the training after this time if that is sooner than `epochs`; 0 for no limit.
    cache: the folder of the cache of read faces.
    progress: called with each report.
    epochs, batch_size, seed: as in `train_features`.
    notes: Markdown for the card, about the origin of the data.

    Returns the scores of the attributes on the held-out faces.
    Raises DataError when the faces or the labels cannot be used.
    """
    dataset = load_faces(sources, FEATURE_SIDE, cache)
    attributes, labels = read_attributes(attributes_csv, dataset.names)
    labelled = ~np.isnan(labels[:, 0])  # (N,)
    train, held_out = dataset.train[labelled[dataset.train]], dataset.held_out[labelled[dataset.held_out]]
    if len(train) < MIN_FACES or not len(held_out):
        raise DataError(f"{attributes_csv} lists {labelled.sum()} of {len(labelled)} faces, too few to train on.")
    common = np.flatnonzero(labels[train].sum(0) >= MIN_POSITIVES)
    if not len(common):
        raise DataError(f"{attributes_csv}: no attribute is 1 for at least {MIN_POSITIVES} training faces.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = FeatureNet([attributes[column] for column in common])
    labels, images, shown_images = labels[:, common], dataset.images, 0
    for step in train_features(net, images, labels, train, epochs, minutes, batch_size, seed):
        shown_images = step.images
        if progress:
            progress(step)
    fit_projection(net, images, train)
    with atomic_folder(out) as folder:
        save_features(net, folder)
        scores = score_attributes(
            load_features(folder), images[held_out], labels[held_out]
        )  # from the stored 16-bit weights
        dropped = [name for name in attributes if name not in net.attributes]
        text = feature_card(scores, dropped, len(train), len(held_out), shown_images, notes)
        (folder / "README.md").write_text(text, encoding="utf-8")
    return scores


def save_features(net: FeatureNet, folder: Path) -> None:
    """Write the weights, in fp16, and config.json into an existing folder."""
    save_tensors(net.state_dict(), folder / WEIGHTS_FILE, half=True)
    config = {"attributes": list(net.attributes), "features": net.features}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def score_attributes(
    net: FeatureNet, images: UInt8[np.ndarray, "n h w 3"], labels: Float[np.ndarray, "n a"]
) -> list[AttributeScore]:
    """The score of every attribute with a threshold of 0.5 on its probability."""
    predicted, truth = extract(net, images)[1] > 0.5, labels > 0.5  # (N, A)
    scores = []
    for column, name in enumerate(net.attributes):
        ones = truth[:, column]  # (N,)
        correct = np.equal(predicted[:, column], ones)
        balanced = float(correct[ones].mean() + correct[~ones].mean()) / 2 if 0 < ones.sum() < len(ones) else math.nan
        scores.append(AttributeScore(name, int(ones.sum()), balanced))
    return scores


def feature_card(
    scores: Sequence[AttributeScore], dropped: Sequence[str], train: int, held_out: int, shown_images: int, notes: str
) -> str:
    """The card of a feature network in Markdown.

    scores: the attributes that were learned.
    dropped: names of the attributes that were not.
    train, held_out: number of faces.
    shown_images: number of training images, counting repetitions.
    notes: Markdown about the origin of the data.
    """
    rows = "\n".join(
        f"| {score.name} | {score.positives} | "
        f"{'unknown' if math.isnan(score.balanced_accuracy) else f'{score.balanced_accuracy:.3f}'} |"
        for score in scores
    )
    accuracies = [score.balanced_accuracy for score in scores if not math.isnan(score.balanced_accuracy)]
    missing = ""
    if dropped:
        missing = f"Not learned, since fewer than {MIN_POSITIVES} training faces have it: {', '.join(dropped)}."
    return f"""---
library_name: ganime
pipeline_tag: image-feature-extraction
tags: [anime, features, attributes]
---

# Anime features

A small convolutional network for faces of {FEATURE_SIDE} x {FEATURE_SIDE} px. It recognises {len(scores)} attributes,
and its features measure generated faces against real ones. Distances with it are "on anime features"; they are not the
usual FID or KID and do not compare with values from other networks.

{notes}
## Fit

{train:,} training faces, {shown_images:,} images shown in all. The network learned the attributes by binary
cross-entropy, and at the same time the kind of artificial damage on a quarter of the faces (blur, checkerboard, smears,
warps, tears, coarse pixels, parts of another face). Its features are averages of unit-length activations at four
depths, standardised and projected on their leading principal components. Command:

```
python -m python -m weights.make.feature_training FACES --attributes attributes.csv --out weights/anime-features
```

## Attributes

Balanced accuracy on {held_out:,} held-out faces with a threshold of 0.5, mean {np.mean(accuracies):.3f}. {missing}

| attribute | held-out faces with it | balanced accuracy |
|---|---|---|
{rows}

## Use

```python
from ganime.nets.anime_features import extract, load_features

features, probabilities = extract(load_features(), images)  # images: uint8 (N, H, W, 3)
```
"""


def main(
    data: list[Path],
    attributes: Annotated[Path, typer.Option(help="CSV, one row per face: file name, then a 0 or 1 per attribute.")],
    out: Annotated[Path, typer.Option(help="Folder to write the network to.")],
    minutes: Annotated[float, typer.Option(help="Time limit in minutes; 0 for none.")] = 0.0,
    epochs: Annotated[float, typer.Option(min=0.01, help="Number of passes over the faces.")] = EPOCHS,
    seed: int = 0,
    threads: int = 0,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Fit a feature network to labelled faces and print its score for each attribute."""
    refuse_to_replace(out, CHECKPOINT_FILES)
    set_threads(threads)

    def show_step(step: FitStep) -> None:
        print(f"{step.progress:.0%} {step.images:,} faces, attribute loss {step.attribute_loss:.4f}", flush=True)

    for score in fit_features(data, attributes, out, minutes, home / "cache", show_step, epochs, seed=seed):
        print(f"{score.name:<16} {score.balanced_accuracy:.3f}")


if __name__ == "__main__":
    typer.run(main)
