"""The broad eyes: the published network's shape, and weights that see."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ganime.errors import CheckpointError
from ganime.nets.critic import BROAD_EYES
from ganime.nets.mobilenet import MOBILENET_WIDTHS, Bottleneck, Convolution, MobileNet, load_mobilenet


def test_it_has_the_parameters_of_the_paper_up_to_the_last_bottleneck() -> None:
    """2,223,872 in the whole net without its classifier (Sandler et al. 2018), of which the last layer and the
    BatchNorms' scales are no part here: what is counted below is the sum over table 2."""
    net = MobileNet()
    kernels = sum(parameter.numel() for name, parameter in net.named_parameters() if name.endswith("weight"))
    biases = sum(parameter.numel() for name, parameter in net.named_parameters() if name.endswith("bias"))
    whole = kernels + 320 * 1280 + 2 * (biases + 1280)  # the last 1x1 layer; a BatchNorm has two numbers a channel
    assert whole == 2_223_872
    assert len([layer for layer in net.modules() if isinstance(layer, Bottleneck)]) == 17


@pytest.mark.parametrize("side", [64, 128])
def test_maps_halve_from_half_the_side_on(side: int) -> None:
    maps = load_mobilenet(BROAD_EYES)(torch.zeros(2, 3, side, side))
    assert [tuple(seen.shape) for seen in maps] == [
        (2, width, side >> depth, side >> depth) for depth, width in enumerate(MOBILENET_WIDTHS, start=1)
    ]


def test_a_stride_of_two_pads_below_and_to_the_right() -> None:
    layer = Convolution(1, 1, 3, 2)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        layer.weight[0, 0, 0, 0] = 1  # the upper left of what it sees, which is in the picture everywhere
        picture = torch.arange(16.0).view(1, 1, 4, 4) / 4
        torch.testing.assert_close(layer(picture), picture[:, :, ::2, ::2])


def test_its_weights_see_a_change_in_fine_strokes() -> None:
    net = load_mobilenet(BROAD_EYES)
    smooth = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64).contiguous()
    striped = smooth + 0.1 * torch.tensor([1.0, -1.0]).repeat(32)
    with torch.no_grad():
        for depth, (one, other) in enumerate(zip(net(smooth), net(striped), strict=True)):
            assert torch.isfinite(one).all()
            assert (one - other).norm() > 0.05 * one.norm(), depth


def test_missing_eyes_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load_mobilenet(tmp_path)
