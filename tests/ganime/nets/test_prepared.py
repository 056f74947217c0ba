"""A prepared generator draws what the generator draws, for every kind of generator."""

from __future__ import annotations

import pytest
import torch

from ganime.config import ModelConfig
from ganime.models.checkpoint import Checkpoint
from ganime.nets.dcgan import Generator
from ganime.nets.prepared import PreparedGenerator

TINY = {"image_size": 32, "latent_dim": 8, "base_channels": 4, "max_channels": 16}


def trained_for_a_moment(**config: object) -> Generator:
    """A generator with random weights whose BatchNorm statistics are far from their initial values."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = Generator(ModelConfig(**(TINY | config)))  # pyright: ignore[reportArgumentType]
        with torch.no_grad():
            for parameter in generator.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
            for _ in range(50):
                generator(torch.randn(32, 8))
    return generator.eval().requires_grad_(False)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"generator_norm": "spectral"},
        {"generator_norm": "none"},
        {"rgb_stride": 1},
        {"supersampling": 2},
        {"chroma_stride": 2},
    ],
    ids=str,
)
def test_it_draws_what_its_generator_draws(config: dict[str, object]) -> None:
    generator = trained_for_a_moment(**config)
    z = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    expected = generator(z)
    drawn = PreparedGenerator(generator)(z)
    assert expected.std() > 0.05
    assert drawn.shape == expected.shape == (5, 3, 32, 32)
    assert (drawn - expected).abs().max() * 127.5 < 0.01


@pytest.mark.parametrize(("side", "found", "layers"), [(1, 4, 0), (8, 8, 1), (9, 16, 2), (64, 16, 2)])
@pytest.mark.parametrize("imported", [False, True])
def test_it_tells_the_first_maps_of_a_side(side: int, found: int, layers: int, imported: bool) -> None:
    generator = trained_for_a_moment()
    prepared = PreparedGenerator(generator)
    if imported:
        prepared.copy = generator  # as for a generator with layers of its own
    z = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    maps = prepared.maps(z, side)
    assert maps.shape[2:] == (found, found)
    torch.testing.assert_close(maps, generator.blocks[:layers](generator.stem(z[:, :, None, None])), rtol=0, atol=1e-4)


def test_the_embedded_model_is_drawn_to_a_hundredth_of_a_level(embedded: Checkpoint) -> None:
    z = torch.randn(4, embedded.generator.config.latent_dim, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = embedded.generator(z)
    assert (PreparedGenerator(embedded.generator)(z) - expected).abs().max() * 127.5 < 0.01


@pytest.mark.parametrize("config", [{}, {"rgb_stride": 1}], ids=str)
def test_it_draws_the_same_where_weights_cannot_be_laid_out_beforehand(
    config: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, z = trained_for_a_moment(**config), torch.ones(3, 8)
    expected = PreparedGenerator(generator)(z)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    without = PreparedGenerator(generator)
    assert all(block.packed is None for block in without.blocks)
    assert (without(z) - expected).abs().max() * 127.5 < 0.01


@pytest.mark.parametrize("missing", ["_reorder_convolution_transpose_weight", "_convolution_transpose_pointwise"])
def test_it_draws_with_a_torch_that_lacks_one_of_the_operations(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    generator, z = trained_for_a_moment(), torch.ones(3, 8)
    expected = PreparedGenerator(generator)(z)

    def changed(*_: object) -> None:
        raise RuntimeError("expected at most 9 arguments")

    monkeypatch.setattr(torch.ops.mkldnn, missing, changed)
    without = PreparedGenerator(generator)
    assert all(block.packed is None for block in without.blocks)
    assert (without(z) - expected).abs().max() * 127.5 < 0.01


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="needs oneDNN")
def test_this_torch_has_the_operations_that_lay_weights_out() -> None:
    prepared = PreparedGenerator(trained_for_a_moment())
    assert all(block.packed is not None for block in prepared.blocks)


def test_it_keeps_the_weights_that_it_was_prepared_with() -> None:
    generator = trained_for_a_moment()
    prepared, z = PreparedGenerator(generator), torch.ones(1, 8)
    before = prepared(z)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.zero_()
    assert torch.equal(prepared(z), before)


def test_a_generator_in_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="eval"):
        PreparedGenerator(trained_for_a_moment().train())
