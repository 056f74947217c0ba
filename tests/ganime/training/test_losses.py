"""Losses against their closed forms, and which way each of them pushes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ganime.config import LOSSES
from ganime.training.losses import discriminator_loss, generator_loss

logits = hnp.arrays(np.float64, 7, elements=st.floats(-50, 50))


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


def pushes(kind: str, real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of the discriminator's loss in real and fake logits, and of the generator's in the fake ones."""
    real, fake = real.clone().requires_grad_(), fake.clone().requires_grad_()
    d_real, d_fake = torch.autograd.grad(discriminator_loss(kind, real, fake), (real, fake))
    (g_fake,) = torch.autograd.grad(generator_loss(kind, fake), fake)
    return d_real, d_fake, g_fake


@given(real=logits, fake=logits)
def test_losses_equal_the_formulas_of_their_papers(real: np.ndarray, fake: np.ndarray) -> None:
    x, y = torch.from_numpy(real), torch.from_numpy(fake)
    discriminator = {
        "bce": softplus(-real).mean() + softplus(fake).mean(),
        "hinge": np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean(),
    }
    generator = {"bce": softplus(-fake).mean(), "hinge": -fake.mean()}
    for kind in LOSSES:
        assert float(discriminator_loss(kind, x, y)) == pytest.approx(discriminator[kind], rel=1e-9, abs=1e-12)
        assert float(generator_loss(kind, y)) == pytest.approx(generator[kind], rel=1e-9, abs=1e-12)


def test_bce_is_the_negative_log_likelihood_of_the_sigmoid() -> None:
    real, fake = torch.tensor([0.3, -1.2]), torch.tensor([0.7, -2.0])
    likelihood = -(torch.sigmoid(real).log().mean() + (1 - torch.sigmoid(fake)).log().mean())
    assert discriminator_loss("bce", real, fake) == pytest.approx(float(likelihood), rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "d_loss", "g_loss"),
    [("bce", 2 * math.log(2), math.log(2)), ("hinge", 2.0, 0.0)],
)
def test_an_undecided_discriminator_costs_what_the_paper_says(kind: str, d_loss: float, g_loss: float) -> None:
    zeros = torch.zeros(4)
    assert float(discriminator_loss(kind, zeros, zeros)) == pytest.approx(d_loss, abs=1e-6)
    assert float(generator_loss(kind, zeros)) == pytest.approx(g_loss, abs=1e-6)


@given(real=logits, fake=logits)
def test_the_two_players_pull_in_opposite_directions(real: np.ndarray, fake: np.ndarray) -> None:
    for kind in LOSSES:
        d_real, d_fake, g_fake = pushes(kind, torch.from_numpy(real), torch.from_numpy(fake))
        assert (d_real <= 0).all()  # descending raises the logits of real pictures
        assert (d_fake >= 0).all()  # and lowers those of fakes
        assert (g_fake <= 0).all()  # which the generator raises


@pytest.mark.parametrize("kind", LOSSES)
def test_a_generator_that_fools_nobody_still_gets_a_gradient(kind: str) -> None:
    *_, g_fake = pushes(kind, torch.full((4,), 20.0), torch.full((4,), -20.0))
    assert torch.allclose(g_fake, torch.full((4,), -0.25))


def test_hinge_ignores_pictures_beyond_the_margin() -> None:
    d_real, d_fake, _ = pushes("hinge", torch.tensor([1.5, 0.5]), torch.tensor([-1.5, -0.5]))
    assert d_real.tolist() == [0.0, -0.5]
    assert d_fake.tolist() == [0.0, 0.5]


@pytest.mark.parametrize("kind", LOSSES)
def test_huge_logits_overflow_nothing(kind: str) -> None:
    huge = torch.tensor([1e4, -1e4])
    assert torch.isfinite(discriminator_loss(kind, huge, -huge))
    assert torch.isfinite(generator_loss(kind, -huge))


def test_unknown_losses_are_refused() -> None:
    with pytest.raises(ValueError, match="wasserstein"):
        discriminator_loss("wasserstein", torch.zeros(2), torch.zeros(2))
    with pytest.raises(ValueError, match="wasserstein"):
        generator_loss("wasserstein", torch.zeros(2))
