"""Models that are too large for a page that many visitors share."""

from __future__ import annotations

import pytest

from app.faces.model_costs import check_cost
from ganime.config import Block, ModelConfig
from ganime.embedded import EMBEDDED
from ganime.errors import CheckpointError
from ganime.models.checkpoint import load_checkpoint


def test_the_embedded_model_and_wide_ones_are_allowed() -> None:
    check_cost("it", load_checkpoint(EMBEDDED).generator.config)
    check_cost("it", ModelConfig(image_size=256, latent_dim=512))


@pytest.mark.parametrize(
    ("blocks", "word"),
    [
        ([("linear", 1, 300, 32, 1), ("convolution", 300, 3, 3, 1)], "first layer"),
        (
            [
                ("linear", 1, 1, 32, 1),
                ("transposed", 1, 1, 8, 8),
                ("convolution", 1, 200, 1, 1),
                ("convolution", 200, 3, 1, 1),
            ],
            "maps",
        ),
    ],
)
def test_few_weights_that_make_huge_maps_are_refused(blocks: list[tuple], word: str) -> None:
    made = []
    for kind, inputs, outputs, kernel, stride in blocks:
        padding = 1 if kind == "convolution" and kernel == 3 else 0
        made.append(Block(kind=kind, inputs=inputs, outputs=outputs, kernel=kernel, stride=stride, padding=padding))
    side = 32 if len(made) == 2 else 256
    config = ModelConfig(image_size=side, latent_dim=1, blocks=tuple(made))
    with pytest.raises(CheckpointError, match=word):
        check_cost("it", config)


def test_long_latents_are_refused() -> None:
    with pytest.raises(CheckpointError, match="4,096"):
        check_cost("it", ModelConfig(latent_dim=4096))
