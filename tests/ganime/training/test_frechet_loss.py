"""The Fréchet loss: a map between Gaussians, its distance, and what the views say of pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ganime.embedded import FEATURES
from ganime.measuring.distances import frechet_distance
from ganime.nets.anime_features import load_features, resize_pictures
from ganime.nets.critic import CRITIC_EYES
from ganime.training.frechet_loss import PIECE, WHOLE, FrechetLoss, Transport, View, numbers_of, shipped_views, windows


def gaussian(count: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    """Numbers that depend on one another, in several scales."""
    random = torch.Generator().manual_seed(seed)
    mixing = torch.randn(6, 6, generator=random) * torch.tensor([0.1, 0.5, 1, 1, 2, 4])
    return torch.randn(count, 6, generator=random) @ mixing + shift


@pytest.fixture
def transport() -> Transport:
    return Transport(gaussian(4000, 0), gaussian(4000, 1, 0.7))


def test_map_takes_drawn_numbers_to_the_mean_and_covariance_of_real_ones(transport: Transport) -> None:
    taken = transport.target(gaussian(4000, 1, 0.7) / transport.unit).double()
    assert torch.allclose(taken.mean(0).float(), transport.real_mean, atol=1e-4)
    assert torch.allclose(torch.cov(taken.T), transport.real_covariance, atol=0.02)


def test_distance_is_the_frechet_distance_a_number(transport: Transport) -> None:
    unit = transport.unit
    known = frechet_distance((gaussian(4000, 0) / unit).numpy(), (gaussian(4000, 1, 0.7) / unit).numpy())
    assert transport.distance == pytest.approx(known / 6, rel=0.02)


def test_the_step_to_the_target_is_the_gradient_of_the_distance(transport: Transport) -> None:
    drawn = (gaussian(4000, 1, 0.7) / transport.unit).double()
    towards = (transport.target(drawn.float()) - drawn).numpy()
    real = (gaussian(4000, 0) / transport.unit).numpy()

    def distance(step: float) -> float:
        return float(frechet_distance(real, drawn.numpy() + step * towards))

    slope = (distance(1e-3) - distance(-1e-3)) / 2e-3
    assert slope == pytest.approx(-2 * (towards**2).sum(1).mean(), rel=0.02)  # by the chain rule, 2 (x - T(x)) / n each
    assert distance(1.0) < 0.02 * distance(0.0)


def test_what_is_seen_takes_the_place_of_what_was_seen_before(transport: Transport) -> None:
    before = transport.distance
    for seed in range(600):
        transport.see(real_numbers(seed) / transport.unit)
    transport.renew()
    assert transport.distance < 0.05 * before


def real_numbers(seed: int) -> torch.Tensor:
    chosen = np.random.default_rng(seed).integers(0, 4000, 16)
    return gaussian(4000, 0)[chosen]


@pytest.mark.parametrize("drawn_spread", [0.0, 0.1])
def test_a_number_that_never_changes_in_real_pictures_does_not_rule(drawn_spread: float) -> None:
    real, drawn = gaussian(500, 0), gaussian(500, 1)
    without = Transport(real[:, 1:], drawn[:, 1:])
    real[:, 0], drawn[:, 0] = 3.0, 3.0 + drawn_spread * torch.randn(500, generator=torch.Generator().manual_seed(2))
    transport = Transport(real, drawn)
    assert torch.isfinite(transport.target(drawn / transport.unit)).all()
    assert abs(transport.distance * 6 - without.distance * 5) < 0.1


def test_numbers_that_are_all_still_are_no_obstacle() -> None:
    still = torch.ones(50, 3)
    transport = Transport(still, still)
    assert transport.distance == pytest.approx(0, abs=2e-3)
    assert torch.isfinite(transport.target(still / transport.unit)).all()


def test_numbers_are_means_and_deviations_and_of_few_channels_the_quarters() -> None:
    seen = torch.arange(2 * 3 * 4 * 4, dtype=torch.float32).reshape(2, 3, 4, 4)
    numbers = numbers_of(seen)
    assert numbers.shape == (2, 3 + 3 + 12)
    assert torch.equal(numbers[:, :3], seen.mean((2, 3)))
    assert torch.allclose(numbers[:, 3:6], seen.flatten(2).std(2))
    assert numbers[0, 6] == seen[0, 0, :2, :2].mean()
    assert numbers_of(torch.randn(2, 120, 4, 4)).shape == (2, 240)
    assert numbers_of(torch.randn(2, 500, 4, 4)).shape == (2, 500)


def ramp(side: int) -> torch.Tensor:
    """Pictures whose values say where they are: (1, 2, side, side), from -0.9 to 0.9 down and to the right."""
    line = torch.linspace(-0.9, 0.9, side)
    return torch.stack(torch.meshgrid(line, line, indexing="ij"))[None]


@pytest.mark.parametrize("side", [32, 64, 256])
@pytest.mark.parametrize("share", [WHOLE, PIECE])
def test_windows_show_squares_of_sizes_and_places_of_their_own(side: int, share: tuple[float, float]) -> None:
    seen = windows(ramp(64).expand(400, 2, 64, 64), share, side, torch.Generator().manual_seed(0))
    assert seen.shape == (400, 2, side, side)
    assert seen.is_contiguous(memory_format=torch.channels_last)
    inner = slice(side // 8, -(side // 8))  # the border of a picture has no other side to be interpolated with
    down, right = seen[:, 0, inner, side // 2], seen[:, 1, side // 2, inner]  # (400, n)
    span = (down[:, -1] - down[:, 0]) / (down.shape[1] - 1) * side / (1.8 * 64 / 63)  # of the side, in each window
    assert torch.allclose(down.diff(dim=1), down.diff(dim=1).mean(1, keepdim=True), atol=3e-3)
    assert share[0] - 0.01 < span.min() < share[0] + 0.02
    assert share[1] - 0.02 < span.max() < share[1] + 0.01
    assert torch.allclose(right[:, -1] - right[:, 0], down[:, -1] - down[:, 0], atol=5e-3)
    room = (1 - span) * 1.8 / 2  # how far a window's middle is from the picture's at most
    for middle in (down.mean(1), right.mean(1)):
        assert (middle.abs() < room + 0.02).all()
        assert middle.min() < -0.7 * room.max()
        assert middle.max() > 0.7 * room.max()


def test_a_window_of_the_whole_is_the_picture_itself() -> None:
    pictures = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    seen = windows(pictures, (1.0, 1.0), 16, torch.Generator().manual_seed(1))
    assert torch.allclose(seen, pictures, atol=1e-5)


@pytest.mark.parametrize(("full", "side"), [(256, 32), (48, 64), (64, 128)])
def test_a_window_of_another_size_is_the_picture_resized(full: int, side: int) -> None:
    grain = torch.randn(1, 3, full, full, generator=torch.Generator().manual_seed(0)).mul(0.3).clamp(-1, 1)
    seen = windows(grain, (1.0, 1.0), side, torch.Generator().manual_seed(1))
    assert torch.allclose(seen, resize_pictures(side, grain), atol=1e-3)


def test_shipped_views_see_pictures_of_any_size_but_not_as_the_measuring_network_does() -> None:
    views, source = shipped_views(), torch.Generator().manual_seed(0)
    assert [view.window for view in views] == [WHOLE, PIECE, WHOLE, PIECE]
    for side in (32, 64, 128):
        depths = [view(torch.rand(3, 3, side, side) * 2 - 1, source) for view in views]
        assert [len(found) for found in depths] == [5, 4, 5, 5]
        assert all(numbers.shape[0] == 3 and torch.isfinite(numbers).all() for found in depths for numbers in found)
    pictures = torch.rand(3, 3, 64, 64) * 2 - 1
    networks = {folder: load_features(folder) for folder in (FEATURES, CRITIC_EYES)}
    own, other = (numbers_of(net.activations(pictures)[-1]) for net in networks.values())
    anime = View("anime", views[2].maps, (1.0, 1.0), 64)(pictures, source)[-1]
    assert torch.allclose(anime, other, atol=1e-3)
    assert (anime - own).abs().max() > 0.1


def test_loss_reaches_the_pictures_and_falls_when_they_follow_it() -> None:
    torch.manual_seed(0)
    real, drawn = colours(400, 0.3, 0.0), colours(400, 0.1, 0.4)
    loss = FrechetLoss([View("toy", lambda images: [images])], [real], [drawn])
    offset, scale = torch.zeros(1, requires_grad=True), torch.ones(1, requires_grad=True)
    optimizer = torch.optim.Adam([offset, scale], 0.05)
    before = loss.renew()
    for step in range(250):
        if step % 10 == 0:
            loss.renew()
        optimizer.zero_grad()
        loss((drawn[torch.randint(400, (16,))] - 0.4) * scale + 0.4 + offset).backward()
        optimizer.step()
    assert loss.renew() < 0.3 * before
    assert float(offset.detach()) == pytest.approx(-0.4, abs=0.1)
    assert float(scale.detach()) == pytest.approx(3.0, abs=0.6)


def colours(count: int, spread: float, mean: float) -> torch.Tensor:
    """Pictures of one colour and some grain, (N, 3, 16, 16)."""
    random = torch.Generator().manual_seed(3)
    one = torch.randn(count, 3, 1, 1, generator=random) + 0.5 * torch.randn(count, 3, 16, 16, generator=random)
    return one * spread + mean
