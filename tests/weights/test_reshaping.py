"""A refined or recoloured model draws what the one it was made from drew, and can be resized."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganime.drawing.sampling import generate
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ganime.models.resizing import resize
from ganime.nets.dcgan import subsample_chroma
from tests.reshaped import apart, plain_model, resampled
from weights.make.reshaping import recoloured, refined


@pytest.fixture(scope="module")
def plain() -> Checkpoint:
    return plain_model()


@pytest.mark.slow
def test_a_refined_generator_has_a_layer_more_and_draws_what_it_drew(plain: Checkpoint) -> None:
    fine = refined(plain)
    old, config = plain.generator.config, fine.generator.config
    assert (config.image_size, config.rgb_stride) == (64, 1)
    assert config.channels == (*old.channels, old.channels[-1] // 2)
    assert np.abs(generate(fine, range(12)).astype(int) - generate(plain, range(12))).max() <= 2
    assert refined(fine) is fine
    large = resize(fine, 128)
    assert large.generator.config.channels == (*config.channels, config.channels[-1] // 2)
    wanted = resampled(generate(fine, range(12)), 128, Image.Resampling.BILINEAR)
    assert apart(generate(large, range(12)), wanted) < 0.1
    face = torch.zeros(1, 3, 64, 64)
    assert plain.discriminator
    assert fine.discriminator
    with torch.no_grad():
        assert torch.equal(fine.discriminator(face), plain.discriminator(face))


def test_a_recoloured_model_keeps_its_weights_and_tells_itself_apart(plain: Checkpoint, tmp_path: Path) -> None:
    soft = recoloured(plain)
    z = torch.randn(4, 128, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(soft.generator(z), subsample_chroma(plain.generator(z), 2))
    assert soft.revision != plain.revision
    save_checkpoint(soft, tmp_path / "soft")
    assert load_checkpoint(tmp_path / "soft", with_discriminator=True).revision == soft.revision
    assert (soft.discriminator and soft.discriminator.config) == soft.generator.config


@pytest.mark.slow
def test_a_recoloured_model_grows_and_shrinks_drawing_what_it_drew(plain: Checkpoint) -> None:
    soft = refined(recoloured(plain))
    drawn = generate(soft, range(8))
    small = resize(soft, 32)
    assert (small.generator.config.chroma_stride, small.generator.config.supersampling) == (2, 2)
    halved = resampled(drawn, 32, Image.Resampling.LANCZOS)
    assert np.abs(generate(small, range(8)).astype(float) - halved).mean() < 1.5
    large = resampled(drawn, 128, Image.Resampling.BILINEAR)
    assert apart(generate(resize(soft, 128), range(8)), large) < 0.1
