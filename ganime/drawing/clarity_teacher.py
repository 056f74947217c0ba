"""A teacher of clarity, which sees how a generator begins a face and predicts from that how clear the face will be.

Of a few thousand faces, a network that sees the latent alone learns less than one that sees the generator's own maps at
16 px. The maps take a fraction of the time of a face that is drawn and scored, so the teacher judges many more latents,
from which the network of a `Clarity` learns (distillation, Hinton et al. 2015, arXiv:1503.02531).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganime.nets.prepared import PreparedGenerator
from ganime.shapes import Float

MAP_SIDE = 16  # px, of the maps that it sees; those of 8 px tell it clearly less
SQUARES = 8  # per side, over which a map is averaged
CHANNELS, WIDTH = 32, 128  # of its convolutions and of its hidden layer
DROPOUT = 0.3
EPOCHS, BATCH, RATE, WEIGHT_DECAY = 10, 64, 3e-3, 0.5


class Teacher(nn.Module):
    """(B, C, 8, 8) -> (B, 1): the predicted clarity of the faces that have these maps."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, CHANNELS, 1),  # (B, 32, 8, 8)
            nn.SiLU(),
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(CHANNELS, CHANNELS, 3, stride=2, padding=1),  # (B, 32, 4, 4)
            nn.SiLU(),
            nn.Flatten(),  # (B, 512)
            nn.Dropout(DROPOUT),
            nn.Linear(CHANNELS * (SQUARES // 2) ** 2, WIDTH),
            nn.SiLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(WIDTH, 1),
        )

    def forward(self, maps: Float[Tensor, "b c 8 8"]) -> Float[Tensor, "b 1"]:
        return self.layers(maps.float())


@torch.inference_mode()
def early_maps(prepared: PreparedGenerator, z: Float[np.ndarray, "n latent"]) -> Float[Tensor, "n c 8 8"]:
    """What the generator's first maps of 16 px are on average over 8 x 8 squares, in fp16 on the CPU."""
    maps = prepared.maps(torch.from_numpy(z).to(prepared.device), MAP_SIDE)  # (N, C, 16, 16)
    return F.adaptive_avg_pool2d(maps, SQUARES).half().cpu()


def fit_teacher(maps: Float[Tensor, "n c 8 8"], scores: Float[np.ndarray, " n"]) -> Teacher:
    """A teacher, in eval mode, of the scores that faces with these maps have; always the same for the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        teacher = Teacher(maps.shape[1])
        fit_regression(teacher, maps, scores, EPOCHS, BATCH, RATE, WEIGHT_DECAY)
    return teacher.eval()


@torch.inference_mode()
def judged(teacher: Teacher, maps: Float[Tensor, "n c 8 8"]) -> Float[np.ndarray, " n"]:
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
) -> None:
    """Fit a network to wanted values by least squares: AdamW, with the learning rate rising to `rate` and then falling.

    A last batch that is not full is left out, and other rows with it in each epoch.
    """
    targets = torch.from_numpy(wanted).float()[:, None]  # (N, 1)
    batches = max(len(inputs) // batch, 1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * batches)
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs))[: batches * batch].split(batch):
            optimizer.zero_grad()
            (net(inputs[rows]) - targets[rows]).square().mean().backward()
            optimizer.step()
            schedule.step()
