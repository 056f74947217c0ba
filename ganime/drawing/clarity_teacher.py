"""A teacher of clarity, which sees how a generator begins a face and predicts from that how clear the face will be.

From a few thousand faces, a network that sees the latent alone learns less than one that sees the generator's own maps
at 16 px. The maps take a fraction of the time of a face that is drawn and scored, so the teacher can predict the scores
of many more latents. The network of a `Clarity` learns from these (distillation, Hinton et al. 2015, arXiv:1503.02531).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganime.nets.prepared import PreparedGenerator
from ganime.shapes import Float

MAP_SIDE = 16  # px, of the maps that it sees; maps of 8 px predict less well
MOST_MAPS = 256  # the first ones; more would take much memory and tell little
SQUARES = 8  # per side, over which a map is averaged
HIDDEN_CHANNELS, HIDDEN_WIDTH = 32, 128
DROPOUT = 0.3
EPOCHS, BATCH, RATE, WEIGHT_DECAY = 10, 64, 3e-3, 0.5


class Teacher(nn.Module):
    """(B, C, 8, 8) -> (B, 1): the predicted clarity of the faces that have these maps."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, HIDDEN_CHANNELS, 1),  # (B, 32, 8, 8)
            nn.SiLU(),
            nn.Conv2d(HIDDEN_CHANNELS, HIDDEN_CHANNELS, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(HIDDEN_CHANNELS, HIDDEN_CHANNELS, 3, stride=2, padding=1),  # (B, 32, 4, 4)
            nn.SiLU(),
            nn.Flatten(),  # (B, 512)
            nn.Dropout(DROPOUT),
            nn.Linear(HIDDEN_CHANNELS * (SQUARES // 2) ** 2, HIDDEN_WIDTH),
            nn.SiLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(HIDDEN_WIDTH, 1),
        )

    def forward(self, maps: Float[Tensor, "b c 8 8"]) -> Float[Tensor, "b 1"]:
        return self.layers(maps)


@torch.inference_mode()
def early_maps(prepared: PreparedGenerator, z: Float[np.ndarray, "n latent"]) -> Float[Tensor, "n c 8 8"]:
    """The averages over 8 x 8 squares of the generator's first maps of 16 px, at most 256 of them, on the CPU."""
    maps = prepared.maps(torch.from_numpy(z).to(prepared.device), MAP_SIDE)[:, :MOST_MAPS]  # (N, C, 16, 16)
    return F.adaptive_avg_pool2d(maps, SQUARES).cpu()


def new_teacher(maps: int) -> Teacher:
    """A teacher that sees so many maps and has not learned yet, always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Teacher(maps)


def teach(teacher: Teacher, maps: Float[Tensor, "n c 8 8"], scores: Float[np.ndarray, " n"]) -> Iterator[float]:
    """Fit a new teacher to the scores of faces that have these maps; yields the progress, 0 to 1.

    The teacher is in eval mode afterwards. The same inputs give the same one.
    """
    yield from fit_regression(teacher, maps, scores, EPOCHS, BATCH, RATE, WEIGHT_DECAY)
    teacher.eval()


@torch.inference_mode()
def predict(teacher: Teacher, maps: Float[Tensor, "n c 8 8"]) -> Float[np.ndarray, " n"]:
    """The scores that the teacher predicts."""
    return teacher(maps)[:, 0].double().numpy()


def fit_regression(
    net: nn.Module,
    inputs: Float[Tensor, " n *shape"],
    wanted: Float[np.ndarray, " n"],
    epochs: int,
    batch: int,
    rate: float,
    weight_decay: float,
) -> Iterator[float]:
    """Fit a network to wanted values by least squares; yields the progress, 0 to 1, after each epoch.

    The optimiser is AdamW, whose learning rate rises to `rate` and then falls. Randomness derives from the epoch.

    The incomplete last batch is dropped; which rows it holds differs by epoch.
    """
    targets = torch.from_numpy(wanted).float()[:, None]  # (N, 1)
    batches = max(len(inputs) // batch, 1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * batches)
    for epoch in range(epochs):
        with torch.random.fork_rng(devices=[]):  # the caller may draw random numbers between two epochs
            torch.manual_seed(epoch)
            for rows in torch.randperm(len(inputs))[: batches * batch].split(batch):
                optimizer.zero_grad()
                (net(inputs[rows]) - targets[rows]).square().mean().backward()
                optimizer.step()
                schedule.step()
        yield (epoch + 1) / epochs
