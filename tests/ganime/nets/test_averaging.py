"""The latents that BatchNorm statistics are computed from: normal, even, and always the same."""

from __future__ import annotations

import torch

from ganime.nets.averaging import quasirandom_latents


def test_quasirandom_latents_are_normal_and_more_even_than_random_ones() -> None:
    source = quasirandom_latents(128, seed=1)
    batches = torch.stack([source(16) for _ in range(64)])  # (64, 16, 128)
    assert batches.isfinite().all()
    every = batches.flatten()
    assert abs(float(every.std()) - 1) < 0.01
    assert abs(float((every.abs() < 1).float().mean()) - 0.6827) < 0.005
    by_chance = torch.randn(64, 16, 128, generator=torch.Generator().manual_seed(0))
    assert batches.mean(1).std() < by_chance.mean(1).std() / 3
    even, uneven = (torch.corrcoef(z.flatten(0, 1).T).fill_diagonal_(0) for z in (batches, by_chance))
    assert even.square().mean() < uneven.square().mean() / 2
    assert torch.equal(quasirandom_latents(128, seed=1)(16), batches[0])
    assert torch.equal(quasirandom_latents(128, seed=1, drawn=16)(16), batches[1])
    assert not torch.equal(quasirandom_latents(128, seed=2)(16), batches[0])


def test_a_sobol_point_rounded_to_1_gives_a_finite_latent() -> None:
    """The first Sobol point of this seed has a coordinate that is 1 in single precision."""
    first = torch.quasirandom.SobolEngine(4096, scramble=True, seed=23312).draw(1, dtype=torch.float64)
    assert float(first.max()) == 1.0
    assert quasirandom_latents(4096, seed=23312)(40).isfinite().all()
