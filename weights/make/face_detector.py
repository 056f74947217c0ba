"""Train and judge the face detector, `ganime.nets.face_detector`.

`python -m weights.make.face_detector train FACES... --out weights/face-detector --minutes 50`
`python -m weights.make.face_detector judge FACES... --model weights/face-detector`

FACES are folders or zips of faces that are all cut alike. The network learns the square of each face as it was cut, so
the squares that it finds have the same margin. Held-out faces are never trained on: one half chooses the least
confidence, the other half judges.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
import typer
from torch import Tensor

from ganime.cli.common import DEFAULT_HOME, HomeOption, set_threads
from ganime.embedded import FEATURES
from ganime.faces.dataset import load_faces
from ganime.files import WEIGHTS_FILE, refuse_to_replace, save_tensors
from ganime.models.checkpoint import CHECKPOINT_FILES
from ganime.nets.anime_features import load_features
from ganime.nets.face_detector import MIN_CONFIDENCE, FaceDetector, load_face_detector
from ganime.shapes import UInt8
from weights.make import drawings
from weights.make.face_pictures import Judged, judge, pictures_with_faces, pictures_without_faces
from weights.make.feature_training import make_optimizer
from weights.make.scenes import TILE_SIDE, Scenes, compose

BATCH = 32
FROZEN_STAGES = 3  # of the feature network; the others are adapted
PEAK_RATE, SLOW_RATE, WARM_UP_SHARE = 2e-3, 5e-4, 0.05  # of new layers, and of those of the feature network
FOCUS = 2.0  # exponent of the focal loss (Lin et al. 2017, arXiv:1708.02002): sure answers count little
SQUARE_WEIGHT = 2.0  # of the loss of the squares, next to 1 for that of the answers
DRAWINGS, DRAWINGS_SEED = 3_000, 1
STEPS_PER_REPORT = 50
JUDGED_PICTURES = 200  # with faces, and as many without
CONFIDENCES = (0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)

application = typer.Typer(add_completion=False, no_args_is_help=True)


@dataclass(frozen=True)
class DetectorStep:
    """A report: scenes shown so far, progress from 0 to 1, and the mean losses since the last report."""

    scenes: int
    progress: float
    answer_loss: float
    square_loss: float


def train_detector(
    net: FaceDetector,
    faces: UInt8[np.ndarray, "n 128 128 3"],
    positions: np.ndarray,
    minutes: float,
    bank: UInt8[np.ndarray, "m 128 128 3"],
    seed: int = 0,
    most_scenes: int = 0,
) -> Iterator[DetectorStep]:
    """Train `net` on scenes with the faces at `positions`, for some minutes; it is in eval mode at the end.

    bank: drawings without a face. most_scenes: end after that many if that is sooner; 0 for no limit.
    """
    start, random, progress, shown, losses = time.monotonic(), np.random.default_rng(seed), 0.0, 0, []
    optimizers = {
        PEAK_RATE: make_optimizer([*net.narrow.parameters(), *net.around.parameters(), *net.head.parameters()]),
        SLOW_RATE: make_optimizer([*net.stages[FROZEN_STAGES:].parameters()]),
    }
    net.to(memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
    net.stages[:FROZEN_STAGES].eval().requires_grad_(False)
    scenes = None
    while progress < 1:
        # Each batch is shown twice, the second time mirrored: to compose it takes as long as to learn from it.
        scenes = (
            scenes.mirrored() if scenes else compose(partial(some_faces, faces, positions, random), bank, BATCH, random)
        )
        for rate, optimizer in optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rate * min(1.0, progress / WARM_UP_SHARE) * (0.5 + 0.5 * np.cos(np.pi * progress)) + 1e-6
        answer_loss, square_loss = detector_losses(net, scenes)
        net.zero_grad(set_to_none=True)
        (answer_loss + SQUARE_WEIGHT * square_loss).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        for optimizer in optimizers.values():
            optimizer.step()
        shown += BATCH
        elapsed = (time.monotonic() - start) / 60 / minutes
        progress = min(1.0, max(elapsed, shown / most_scenes if most_scenes else 0.0))
        losses.append((answer_loss.item(), square_loss.item()))
        scenes = scenes if shown // BATCH % 2 else None
        if len(losses) == STEPS_PER_REPORT or progress >= 1:
            yield DetectorStep(shown, progress, *np.mean(losses, axis=0).tolist())
            losses.clear()
    net.eval()


def some_faces(faces: np.ndarray, positions: np.ndarray, random: np.random.Generator, count: int) -> np.ndarray:
    """That many random faces of those at `positions`: (count, 128, 128, 3)."""
    return faces[np.sort(random.choice(positions, count))][random.permutation(count)]


def detector_losses(net: FaceDetector, scenes: Scenes) -> tuple[Tensor, Tensor]:
    """The focal loss of the answers, for each face to be found, and the mean error of its square, as in `forward`."""
    pictures = scenes.pictures.contiguous(memory_format=torch.channels_last)
    logits, squares = net(pictures).split([1, 3], 1)  # (B, 1, P, P), (B, 3, P, P)
    logits = logits[:, 0]
    plain = F.binary_cross_entropy_with_logits(logits, scenes.answers, reduction="none")  # (B, P, P)
    weight = (scenes.answers - logits.sigmoid()).abs() ** FOCUS * scenes.counted
    found = scenes.answers.sum().clamp(min=1)
    errors = F.smooth_l1_loss(squares, scenes.squares, reduction="none", beta=0.05).sum(1) * scenes.answers
    return (plain * weight).sum() / found, errors.sum() / found


@application.command()
def train(
    data: list[Path],
    out: Annotated[Path, typer.Option(help="Folder to write the network to.")],
    start: Annotated[Path, typer.Option(help="Feature network whose stages it begins with.")] = FEATURES,
    minutes: float = 50.0,
    seed: int = 0,
    threads: int = 1,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Train a face detector; the card is written by hand."""
    refuse_to_replace(out, CHECKPOINT_FILES)
    set_threads(threads)
    dataset = load_faces(data, TILE_SIDE, home / "cache")
    torch.manual_seed(seed)
    net = FaceDetector()
    net.stages.load_state_dict(load_features(start).stages.state_dict())
    bank = drawings.draw_many(DRAWINGS, TILE_SIDE, DRAWINGS_SEED)
    for step in train_detector(net, dataset.images, dataset.train, minutes, bank, seed):
        print(
            f"{step.progress:.0%} {step.scenes:,} scenes, "
            f"answers {step.answer_loss:.4f}, squares {step.square_loss:.4f}",
            flush=True,
        )
        save_detector(net, out)


def save_detector(net: FaceDetector, out: Path) -> None:
    """Write the weights in fp16."""
    out.mkdir(parents=True, exist_ok=True)
    save_tensors(net.state_dict(), out / WEIGHTS_FILE, half=True)


@application.command(name="judge")
def judge_command(
    data: list[Path],
    model: Annotated[Path, typer.Option(help="Folder of the network.")],
    pictures: Annotated[int, typer.Option(help="How many to judge on, with faces and without.")] = JUDGED_PICTURES,
    threads: int = 1,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Print how well it finds held-out faces in composed pictures.

    One half of the faces is judged at several confidences, the other half at the one in use.
    """
    set_threads(threads)
    dataset, net = load_faces(data, TILE_SIDE, home / "cache"), load_face_detector(model)
    halves = np.array_split(np.random.default_rng(0).permutation(dataset.held_out), 2)
    for name, positions, confidences, seed in (
        ("choosing", halves[0], CONFIDENCES, 100),
        ("judging", halves[1], (MIN_CONFIDENCE,), 200),
    ):
        random = np.random.default_rng(seed)
        scenes = [*pictures_with_faces(dataset.images[np.sort(positions)], pictures, random)]
        scenes += pictures_without_faces(dataset.images[np.sort(positions)], pictures, random)
        found = [net.find(scene.picture, min(CONFIDENCES)) for scene in scenes]
        for confidence in confidences:
            print(f"{name:<9} {confidence:.2f} {describe(judge(scenes, found, confidence))}", flush=True)


def describe(judged: Judged) -> str:
    """The figures of a judgement in one line."""
    return (
        f"{judged.recall:.3f} of {judged.faces} faces found, {judged.precision:.3f} of {judged.found} squares right; "
        f"mean overlap {judged.overlap:.3f}, centre off by {judged.centre_error:.3f} and side by "
        f"{judged.side_error:.3f} of the side; {judged.false_alarms:.3f} false ones for each picture without a face"
    )


if __name__ == "__main__":
    application()
