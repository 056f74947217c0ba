"""A teacher learns from a generator's maps, and what it teaches is more than the faces alone would have taught."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ganime.drawing.clarity_fitting import Network, fit_network, units, with_quantiles
from ganime.drawing.clarity_scores import eye_pictures, standardised
from ganime.drawing.clarity_teacher import MOST_MAPS, early_maps, new_teacher, predict, teach
from ganime.drawing.recipe import latents
from ganime.drawing.sampling import render
from ganime.models.checkpoint import Checkpoint
from ganime.nets.anime_features import to_tensor

FACES = 600
LEARNED = slice(60, FACES)  # the first tenth is what a fit is tested on


@pytest.fixture(scope="module")
def maps(tiny: Checkpoint) -> torch.Tensor:
    return early_maps(tiny.prepared, latents(range(FACES), tiny.generator.config.latent_dim))


def test_maps_are_averages_over_squares(tiny: Checkpoint, maps: torch.Tensor) -> None:
    z = latents(range(7), tiny.generator.config.latent_dim)
    whole = tiny.generator.blocks[:2](tiny.generator.stem(torch.from_numpy(z)[:, :, None, None]))  # (7, C, 16, 16)
    squares = whole.unflatten(3, (8, 2)).unflatten(2, (8, 2)).mean((3, 5))
    torch.testing.assert_close(maps[:7].float(), squares, rtol=1e-3, atol=1e-3)


def test_of_very_wide_generators_the_first_maps_are_kept() -> None:
    class Wide:
        device = torch.device("cpu")

        def maps(self, z: torch.Tensor, side: int) -> torch.Tensor:
            return torch.ones(len(z), 4096, side, side)

    assert early_maps(Wide(), np.zeros((2, 8), np.float32)).shape == (2, MOST_MAPS, 8, 8)  # pyright: ignore


def test_a_teacher_predicts_scores_that_it_was_not_fitted_to_and_is_the_same_each_time(maps: torch.Tensor) -> None:
    part = maps.double().numpy()
    scores = standardised(abs(part[:, 0, 2, 3] - part[:, 1, 5, 5]) + abs(part[:, 2, 4, 1] - part[:, 3, 1, 6]))
    teacher, again, untaught = (new_teacher(maps.shape[1]) for _ in range(3))
    progress = list(teach(teacher, maps[LEARNED], scores[60:]))
    assert progress == sorted(progress)
    assert progress[-1] == 1
    for _ in teach(again, maps[LEARNED], scores[60:]):
        torch.rand(1)  # random numbers that somebody draws meanwhile change nothing
    found = predict(teacher, maps[:60])
    assert np.array_equal(found, predict(again, maps[:60]))
    assert np.corrcoef(found, scores[:60])[0, 1] > 0.7
    assert np.corrcoef(predict(untaught.eval(), maps[:60]), scores[:60])[0, 1] < 0.5


@pytest.mark.slow
def test_a_clarity_learns_more_from_a_teacher_than_from_the_faces(embedded: Checkpoint) -> None:
    z = latents(range(5 * FACES), embedded.generator.config.latent_dim)
    maps = torch.cat([early_maps(embedded.prepared, rows) for rows in np.split(z, 50)])
    drawn = np.concatenate([render(embedded.prepared, rows) for rows in np.split(z[:FACES], 10)])
    left, right = eye_pictures(to_tensor(drawn)).chunk(2)
    scores = standardised((left - right).abs().mean((1, 2, 3)).double().numpy())  # how unlike both eyes are
    teacher = new_teacher(maps.shape[1])
    assert list(teach(teacher, maps[LEARNED], scores[60:]))
    predicted = predict(teacher, maps[FACES:])
    taught = explained(fit_network(units(z[FACES:]), predicted), z[:60], scores[:60])
    alone = explained(fit_network(units(z[LEARNED]), scores[60:]), z[:60], scores[:60])
    assert taught > max(alone, 0) + 0.1


def explained(network: Network, z: np.ndarray, scores: np.ndarray) -> float:
    """R² of the predictions of a clarity's network."""
    return with_quantiles(network, np.zeros((0, z.shape[1])), z, scores, len(z)).explained
