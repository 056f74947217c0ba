"""Losses against their closed forms, and which way each of them pushes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn

from ganime.config import LOSSES, ModelConfig
from ganime.nets.dcgan import Discriminator
from ganime.training.losses import discriminator_loss, generator_loss, gradient_penalty

logits = hnp.arrays(np.float64, 7, elements=st.floats(-50, 50))


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


def pushes(kind: str, real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of the discriminator's loss in real and fake logits, and of the generator's in the fake ones."""
    real, fake = real.clone().requires_grad_(), fake.clone().requires_grad_()
    d_real, d_fake = torch.autograd.grad(discriminator_loss(kind, real, fake), (real, fake))
    (g_fake,) = torch.autograd.grad(generator_loss(kind, real, fake), fake)
    return d_real, d_fake, g_fake


@given(real=logits, fake=logits)
def test_losses_equal_the_formulas_of_their_papers(real: np.ndarray, fake: np.ndarray) -> None:
    x, y = torch.from_numpy(real), torch.from_numpy(fake)
    discriminator = {
        "bce": softplus(-real).mean() + softplus(fake).mean(),
        "hinge": np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean(),
        "relativistic": softplus(fake - real).mean(),
    }
    generator = {"bce": softplus(-fake).mean(), "hinge": -fake.mean(), "relativistic": softplus(real - fake).mean()}
    for kind in LOSSES:
        assert float(discriminator_loss(kind, x, y)) == pytest.approx(discriminator[kind], rel=1e-9, abs=1e-12)
        assert float(generator_loss(kind, x, y)) == pytest.approx(generator[kind], rel=1e-9, abs=1e-12)


def test_bce_is_the_negative_log_likelihood_of_the_sigmoid() -> None:
    real, fake = torch.tensor([0.3, -1.2]), torch.tensor([0.7, -2.0])
    likelihood = -(torch.sigmoid(real).log().mean() + (1 - torch.sigmoid(fake)).log().mean())
    assert discriminator_loss("bce", real, fake) == pytest.approx(float(likelihood), rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "d_loss", "g_loss"),
    [("bce", 2 * math.log(2), math.log(2)), ("hinge", 2.0, 0.0), ("relativistic", math.log(2), math.log(2))],
)
def test_an_undecided_discriminator_costs_what_the_paper_says(kind: str, d_loss: float, g_loss: float) -> None:
    zeros = torch.zeros(4)
    assert float(discriminator_loss(kind, zeros, zeros)) == pytest.approx(d_loss, abs=1e-6)
    assert float(generator_loss(kind, zeros, zeros)) == pytest.approx(g_loss, abs=1e-6)


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


@given(real=logits, fake=logits)
def test_relativistic_players_swap_roles(real: np.ndarray, fake: np.ndarray) -> None:
    x, y = torch.from_numpy(real), torch.from_numpy(fake)
    assert torch.equal(discriminator_loss("relativistic", x, y), generator_loss("relativistic", y, x))


@pytest.mark.parametrize("kind", LOSSES)
def test_huge_logits_overflow_nothing(kind: str) -> None:
    huge = torch.tensor([1e4, -1e4])
    assert torch.isfinite(discriminator_loss(kind, huge, -huge))
    assert torch.isfinite(generator_loss(kind, huge, -huge))


def test_unknown_losses_are_refused() -> None:
    for loss in (discriminator_loss, generator_loss):
        with pytest.raises(ValueError, match="wasserstein"):
            loss("wasserstein", torch.zeros(2), torch.zeros(2))


def test_penalty_of_a_linear_critic_is_the_squared_norm_of_its_weight() -> None:
    weight = torch.linspace(-1, 1, 3 * 4 * 4)
    images = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    penalty = gradient_penalty(images.flatten(1) @ weight, images)
    assert float(penalty) == pytest.approx(float(weight @ weight), rel=1e-5)


def test_penalty_of_a_quadratic_critic_matches_its_closed_form() -> None:
    images = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    penalty = gradient_penalty(images.square().flatten(1).sum(1) / 2, images).detach()
    assert float(penalty) == pytest.approx(float(images.detach().square().flatten(1).sum(1).mean()), rel=1e-5)


def smooth_critic() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.Tanh(), nn.Linear(6, 1)).double()


def test_penalty_matches_finite_differences_in_the_images() -> None:
    critic, step = smooth_critic(), 1e-5
    images = torch.randn(3, 3, 2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    slopes = torch.zeros_like(images)
    with torch.no_grad():
        for i in np.ndindex(*images.shape):
            nudge = torch.zeros_like(images)
            nudge[i] = step
            slopes[i] = (critic(images + nudge)[i[0], 0] - critic(images - nudge)[i[0], 0]) / (2 * step)
    images.requires_grad_()
    penalty = gradient_penalty(critic(images)[:, 0], images)
    assert float(penalty.detach()) == pytest.approx(float(slopes.square().flatten(1).sum(1).mean()), rel=1e-6)


def test_penalty_can_be_descended_in_the_critics_weights() -> None:
    critic, step = smooth_critic(), 1e-5
    images = torch.randn(3, 3, 2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    gradient_penalty(critic(images)[:, 0], images).backward()
    weight = critic[1].weight
    assert weight.grad is not None
    for i in ((0, 0), (3, 7), (5, 11)):
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[i] += sign * step
            values.append(float(gradient_penalty(critic(images)[:, 0], images).detach()))
            with torch.no_grad():
                weight[i] -= sign * step
        assert float(weight.grad[i]) == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5)


@pytest.mark.parametrize("norm", ["batch", "spectral", "none"])
def test_penalty_reaches_the_weights_of_the_real_discriminator(norm: str) -> None:
    critic = Discriminator(ModelConfig(32, 8, 4, 16, discriminator_norm=norm))
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    gradient_penalty(critic(images), images).backward()
    weights = [parameter for parameter in critic.parameters() if parameter.ndim == 4]
    assert all(
        weight.grad is not None and torch.isfinite(weight.grad).all() and weight.grad.any() for weight in weights
    )
