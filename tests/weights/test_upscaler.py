"""The conversion of the published upscaler: every number lands in its layer."""

from __future__ import annotations

import struct

import numpy as np
import torch
from torch import nn

from ganime.nets.upscaler import Upscaler
from weights.make.upscaler import HALF_PRECISION, fill


def packed(net: Upscaler) -> bytes:
    """The weights as ncnn's files hold them."""
    parts = []
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            weights = layer.weight.detach().numpy()
            weights = weights.swapaxes(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weights
            data = np.ascontiguousarray(weights, "<f2").tobytes()
            parts += [struct.pack("<I", HALF_PRECISION), data, bytes(-len(data) % 4)]
            parts.append(layer.bias.detach().numpy().astype("<f4").tobytes())  # pyright: ignore[reportOptionalMemberAccess]
    return b"".join(parts)


def test_a_file_fills_the_layers_that_it_was_packed_from() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        published, converted = Upscaler().half().float(), Upscaler()
    fill(converted, packed(published))
    for (name, one), (_, other) in zip(published.named_parameters(), converted.named_parameters(), strict=True):
        assert torch.equal(one, other), name
