"""What tests of reshaped models share: a model to begin from, and comparisons of what two models draw."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import nn

from ganime.config import ModelConfig
from ganime.models.checkpoint import Checkpoint
from ganime.nets.averaging import settle_statistics
from ganime.nets.dcgan import Discriminator, Generator


def plain_model() -> Checkpoint:
    """A model in the paper's shape whose pictures are smooth and have all shades, though it was never trained."""
    config = ModelConfig(base_channels=32, max_channels=128)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator, discriminator = Generator(config), Discriminator(config)
    with torch.no_grad():
        ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
        for layer in generator.modules():
            if isinstance(layer, nn.ConvTranspose2d) and layer.stride == (2, 2):
                layer.weight.copy_(layer.weight.sum((2, 3), keepdim=True) * torch.outer(ramp, ramp))
        generator.to_rgb.weight.mul_(2)
        for _ in range(60):  # until spectral norm knows the weights
            discriminator(torch.zeros(1, 3, 64, 64))
    settle_statistics(generator)
    return Checkpoint(generator.eval().requires_grad_(False), discriminator.eval(), name="plain")


def apart(ones: np.ndarray, others: np.ndarray) -> float:
    """How far two sets of faces differ, of 255 levels, beside how far they differ when shuffled."""
    whole, shuffled = (np.abs(ones.astype(float) - set_).mean() for set_ in (others, np.roll(others, 1, 0)))
    return float(whole / shuffled)


def resampled(faces: np.ndarray, side: int, how: Image.Resampling) -> np.ndarray:
    return np.stack([np.asarray(Image.fromarray(face).resize((side, side), how)) for face in faces])
