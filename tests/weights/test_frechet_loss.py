"""The Fréchet loss: the transport map between Gaussians, its distance, and the features of the views."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from ganime.embedded import FEATURES
from ganime.measuring.distances import frechet_distance
from ganime.nets.anime_features import load_features, resize_pictures
from ganime.nets.critic import CRITIC_EYES
from weights.make.frechet_loss import (
    PIECE,
    WHOLE,
    FrechetLoss,
    Transport,
    View,
    map_features,
    shipped_views,
    windows,
)


def gaussian(count: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    """Correlated features of different scales, (count, 6)."""
    random = torch.Generator().manual_seed(seed)
    mixing = torch.randn(6, 6, generator=random) * torch.tensor([0.1, 0.5, 1, 1, 2, 4])
    return torch.randn(count, 6, generator=random) @ mixing + shift


@pytest.fixture
def transport() -> Transport:
    return Transport(gaussian(4000, 0), gaussian(4000, 1, 0.7))


def test_map_gives_drawn_features_the_mean_and_covariance_of_real_ones(transport: Transport) -> None:
    mapped = transport.target(gaussian(4000, 1, 0.7) / transport.unit).double()
    assert torch.allclose(mapped.mean(0).float(), transport.real_mean, atol=1e-4)
    assert torch.allclose(torch.cov(mapped.T), transport.real_covariance, atol=0.02)


def test_distance_is_the_frechet_distance_per_feature(transport: Transport) -> None:
    unit = transport.unit
    expected = frechet_distance((gaussian(4000, 0) / unit).numpy(), (gaussian(4000, 1, 0.7) / unit).numpy())
    assert transport.distance == pytest.approx(expected / 6, rel=0.02)


def test_the_step_to_the_target_is_the_gradient_of_the_distance(transport: Transport) -> None:
    drawn = (gaussian(4000, 1, 0.7) / transport.unit).double()
    towards = (transport.target(drawn.float()) - drawn).numpy()
    real = (gaussian(4000, 0) / transport.unit).numpy()

    def distance(step: float) -> float:
        return float(frechet_distance(real, drawn.numpy() + step * towards))

    slope = (distance(1e-3) - distance(-1e-3)) / 2e-3
    assert slope == pytest.approx(-2 * (towards**2).sum(1).mean(), rel=0.02)  # by the chain rule, 2 (x - T(x)) / n each
    assert distance(1.0) < 0.02 * distance(0.0)


def test_remembered_pictures_replace_earlier_ones(transport: Transport) -> None:
    before = transport.distance
    for seed in range(600):
        transport.remember(real_features(seed) / transport.unit)
    transport.renew()
    assert transport.distance < 0.05 * before


def real_features(seed: int) -> torch.Tensor:
    chosen = np.random.default_rng(seed).integers(0, 4000, 16)
    return gaussian(4000, 0)[chosen]


@pytest.mark.parametrize("drawn_spread", [0.0, 0.1])
def test_a_feature_that_is_constant_in_real_pictures_does_not_dominate(drawn_spread: float) -> None:
    real, drawn = gaussian(500, 0), gaussian(500, 1)
    without = Transport(real[:, 1:], drawn[:, 1:])
    real[:, 0], drawn[:, 0] = 3.0, 3.0 + drawn_spread * torch.randn(500, generator=torch.Generator().manual_seed(2))
    transport = Transport(real, drawn)
    assert torch.isfinite(transport.target(drawn / transport.unit)).all()
    assert abs(transport.distance * 6 - without.distance * 5) < 0.1


def test_constant_features_give_finite_targets() -> None:
    constant = torch.ones(50, 3)
    transport = Transport(constant, constant)
    assert transport.distance == pytest.approx(0, abs=2e-3)
    assert torch.isfinite(transport.target(constant / transport.unit)).all()


def test_features_are_means_and_deviations_and_for_few_channels_quarter_means() -> None:
    depth = torch.arange(2 * 3 * 4 * 4, dtype=torch.float32).reshape(2, 3, 4, 4)
    features = map_features(depth)
    assert features.shape == (2, 3 + 3 + 12)
    assert torch.equal(features[:, :3], depth.mean((2, 3)))
    assert torch.allclose(features[:, 3:6], depth.flatten(2).std(2))
    assert features[0, 6] == depth[0, 0, :2, :2].mean()
    assert map_features(torch.randn(2, 120, 4, 4)).shape == (2, 240)
    assert map_features(torch.randn(2, 500, 4, 4)).shape == (2, 500)


def ramp(side: int) -> torch.Tensor:
    """A picture whose pixels are their coordinates, (1, 2, side, side): row and column, each from -0.9 to 0.9."""
    line = torch.linspace(-0.9, 0.9, side)
    return torch.stack(torch.meshgrid(line, line, indexing="ij"))[None]


@pytest.mark.parametrize("side", [32, 64, 256])
@pytest.mark.parametrize("share", [WHOLE, PIECE])
def test_windows_have_random_sizes_and_places(side: int, share: tuple[float, float]) -> None:
    cropped = windows(ramp(64).expand(400, 2, 64, 64), share, side, torch.Generator().manual_seed(0))
    assert cropped.shape == (400, 2, side, side)
    assert cropped.is_contiguous(memory_format=torch.channels_last)
    inner = slice(side // 8, -(side // 8))  # at its border a picture has no pixels outside to interpolate with
    down, right = cropped[:, 0, inner, side // 2], cropped[:, 1, side // 2, inner]  # (400, n)
    span = (down[:, -1] - down[:, 0]) / (down.shape[1] - 1) * side / (1.8 * 64 / 63)  # the window's share of the side
    assert torch.allclose(down.diff(dim=1), down.diff(dim=1).mean(1, keepdim=True), atol=3e-3)
    assert share[0] - 0.01 < span.min() < share[0] + 0.02
    assert share[1] - 0.02 < span.max() < share[1] + 0.01
    assert torch.allclose(right[:, -1] - right[:, 0], down[:, -1] - down[:, 0], atol=5e-3)
    room = (1 - span) * 1.8 / 2  # largest distance between the centres of a window and its picture
    for middle in (down.mean(1), right.mean(1)):
        assert (middle.abs() < room + 0.02).all()
        assert middle.min() < -0.7 * room.max()
        assert middle.max() > 0.7 * room.max()


def test_a_window_of_the_whole_picture_is_the_picture() -> None:
    pictures = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    cropped = windows(pictures, (1.0, 1.0), 16, torch.Generator().manual_seed(1))
    assert torch.allclose(cropped, pictures, atol=1e-5)


@pytest.mark.parametrize(("full", "side"), [(256, 32), (48, 64), (64, 128)])
def test_a_window_of_another_size_is_the_picture_resized(full: int, side: int) -> None:
    grain = torch.randn(1, 3, full, full, generator=torch.Generator().manual_seed(0)).mul(0.3).clamp(-1, 1)
    cropped = windows(grain, (1.0, 1.0), side, torch.Generator().manual_seed(1))
    assert torch.allclose(cropped, resize_pictures(side, grain), atol=1e-3)


def test_shipped_views_take_pictures_of_any_size_and_differ_from_the_measuring_network() -> None:
    views, source = shipped_views(), torch.Generator().manual_seed(0)
    assert [view.window for view in views] == [WHOLE, PIECE, WHOLE, PIECE]
    for side in (32, 64, 128):
        depths = [view(torch.rand(3, 3, side, side) * 2 - 1, source) for view in views]
        assert [len(view) for view in depths] == [5, 4, 5, 5]
        assert all(len(features) == 3 and torch.isfinite(features).all() for view in depths for features in view)
    pictures = torch.rand(3, 3, 64, 64) * 2 - 1
    networks = {folder: load_features(folder) for folder in (FEATURES, CRITIC_EYES)}
    measuring, critic = (map_features(net.activations(pictures)[-1]) for net in networks.values())
    anime = View("anime", views[2].maps, (1.0, 1.0), 64)(pictures, source)[-1]
    assert torch.allclose(anime, critic, atol=1e-3)
    assert (anime - measuring).abs().max() > 0.1


def test_loss_has_gradients_and_falls_when_pictures_follow_them() -> None:
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


def test_views_of_every_third_batch_take_turns() -> None:
    seen: list[str] = []

    def maps(name: str, images: torch.Tensor) -> list[torch.Tensor]:
        seen.append(name)
        return [images]

    views = [View("always", partial(maps, "always")), *(View(name, partial(maps, name), every=3) for name in "abcd")]
    loss = FrechetLoss(views, [colours(40, 0.3, 0.0)], [colours(40, 0.3, 0.0)])
    looking = []
    for _ in range(6):
        seen.clear()
        loss(colours(4, 0.3, 0.0))
        looking.append("".join(name[0] for name in seen if name != "always"))
        assert seen.count("always") == 1
    assert looking == ["c", "ad", "b", "c", "ad", "b"]


def colours(count: int, spread: float, mean: float) -> torch.Tensor:
    """Pictures of one colour with noise, (N, 3, 16, 16)."""
    random = torch.Generator().manual_seed(3)
    one = torch.randn(count, 3, 1, 1, generator=random) + 0.5 * torch.randn(count, 3, 16, 16, generator=random)
    return one * spread + mean
