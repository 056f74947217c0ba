"""Differentiable augmentation: colour jitter and translation within their ranges, from the given generator alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ganime.training.augment import diff_augment, jitter_color, translate

SIDE, REACH = 16, 2
VIEWS = [diff_augment, jitter_color, translate]


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 8, side: int = SIDE, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=source(9), dtype=dtype) * 2 - 1


def shifted(picture: torch.Tensor, down: int, right: int, reach: int = REACH) -> torch.Tensor:
    """The picture (C, H, W) moved by whole pixels and filled with zeros."""
    side = picture.shape[-1]
    padded = F.pad(picture, [reach] * 4)
    return padded[:, reach - down : reach - down + side, reach - right : reach - right + side]


def shift_of(view: torch.Tensor, picture: torch.Tensor, reach: int = REACH) -> tuple[int, int]:
    """The only shift, down and right, that turns the picture into the view."""
    shifts = [
        (down, right)
        for down in range(-reach, reach + 1)
        for right in range(-reach, reach + 1)
        if torch.equal(view, shifted(picture, down, right, reach))
    ]
    assert len(shifts) == 1
    return shifts[0]


@pytest.mark.parametrize("view", VIEWS)
def test_views_keep_shape_and_type(view: Callable) -> None:
    images = pictures()
    assert view(images, source()).shape == images.shape
    assert view(images, source()).dtype == images.dtype
    assert view(images.double(), source()).dtype == torch.float64


@pytest.mark.parametrize("view", VIEWS)
def test_equal_seeds_give_equal_views_and_different_seeds_different_ones(view: Callable) -> None:
    images = pictures()
    assert torch.equal(view(images, source(1)), view(images, source(1)))
    assert not torch.equal(view(images, source(1)), view(images, source(2)))


@pytest.mark.parametrize("view", VIEWS)
def test_successive_calls_with_one_generator_give_different_views(view: Callable) -> None:
    images, random = pictures(), source()
    assert not torch.equal(view(images, random), view(images, random))


@pytest.mark.parametrize("view", VIEWS)
def test_pictures_of_a_batch_get_different_views(view: Callable) -> None:
    views = view(pictures(1).repeat(32, 1, 1, 1), source())
    assert len({one.numpy().tobytes() for one in views}) > 10


@pytest.mark.parametrize("view", VIEWS)
def test_views_change_neither_their_input_nor_global_random_states(view: Callable) -> None:
    images = pictures()
    before = images.clone(), torch.get_rng_state(), np.random.get_state()[1].copy()
    view(images, source())
    assert torch.equal(images, before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    assert np.array_equal(np.random.get_state()[1], before[2])


@pytest.mark.parametrize("view", VIEWS)
def test_views_pass_the_gradient_check(view: Callable) -> None:
    images = pictures(2, 4, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: view(x, source(3)), (images,))


@pytest.mark.parametrize("side", [16, 32, 64])
def test_a_translation_moves_whole_pixels_and_fills_with_zeros(side: int) -> None:
    images, reach = pictures(64, side), side // 8
    shifts = {shift_of(view, image, reach) for view, image in zip(translate(images, source()), images, strict=True)}
    assert len(shifts) > 10
    assert {down for down, _ in shifts} >= {-reach, reach}
    assert {right for _, right in shifts} >= {-reach, reach}


def test_tiny_pictures_move_by_one_pixel() -> None:
    images = pictures(128, 4)
    shifts = {shift_of(view, image, 1) for view, image in zip(translate(images, source()), images, strict=True)}
    assert len(shifts) == 9


def test_pixels_moved_out_of_the_picture_get_no_gradient() -> None:
    images = pictures(16).requires_grad_()
    views = translate(images, source())
    views.sum().backward()
    assert images.grad is not None
    for view, image, gradient in zip(views, images, images.grad, strict=True):
        down, right = shift_of(view.detach(), image.detach())
        assert torch.equal(gradient, shifted(torch.ones(3, SIDE, SIDE), -down, -right))


def test_brightness_changes_a_flat_picture_by_at_most_a_half() -> None:
    grey = torch.zeros(256, 3, 4, 4)
    views = jitter_color(grey, source())
    levels = views[:, 0, 0, 0]
    assert torch.allclose(views, levels[:, None, None, None].expand_as(views), atol=1e-6)
    assert levels.abs().max() <= 0.5
    assert levels.min() < -0.4
    assert levels.max() > 0.4


def test_saturation_and_contrast_stay_in_their_ranges() -> None:
    images = pictures(256)
    views = jitter_color(images, source())
    grey_before, grey_after = images.mean(1), views.mean(1)  # (B, H, W); saturation does not change it
    contrast = grey_after.flatten(1).std(1) / grey_before.flatten(1).std(1)
    assert contrast.min() >= 0.5 - 1e-4
    assert contrast.max() <= 1.5 + 1e-4
    colour_before, colour_after = images - grey_before[:, None], views - grey_after[:, None]
    saturation = colour_after.flatten(1).norm(dim=1) / colour_before.flatten(1).norm(dim=1) / contrast
    assert 0 <= saturation.min() < 0.2
    assert 1.8 < saturation.max() <= 2 + 1e-4
