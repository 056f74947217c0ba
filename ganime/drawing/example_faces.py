"""Example faces to train on: many clear faces of one model that share an attribute, such as red hair."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ganime.drawing.attribute_search import PRESENT, attribute_columns
from ganime.drawing.clarity import clear, default_clarity
from ganime.drawing.directions import load_directions, steer
from ganime.drawing.recipe import latents
from ganime.drawing.sampling import render
from ganime.models.checkpoint import Checkpoint
from ganime.nets.anime_features import FeatureNet, extract
from ganime.shapes import UInt8

DRAWN_AT_ONCE = 16
STRENGTH = 2.0  # along the attribute's direction; most faces have the attribute then
MOST_DRAWN = 20  # times as many faces as are wanted, before the search gives up
FIRST_SEED = 1_000_000_000  # far from the seeds that people try first


@dataclass(frozen=True)
class ExampleFaces:
    """The result of `example_faces`. faces: (N, H, W, 3). looked_at: how many faces were drawn for them."""

    faces: UInt8[np.ndarray, "n h w 3"]
    looked_at: int


def example_faces(
    checkpoint: Checkpoint, net: FeatureNet, attribute: str, count: int
) -> Iterator[float | ExampleFaces]:
    """Draw faces that have an attribute; yields the progress, 0 to 1, and the ExampleFaces last.

    Latents are moved along the model's direction for the attribute, if it has one, and to where the model draws clear
    faces; those whose face has the attribute, as `net` sees it, are kept. The same model always gives the same faces.

    attribute: one that `net` recognises.
    count: how many faces; fewer are returned where 20 times as many had to be drawn.

    Raises RecipeError for an unknown attribute.
    """
    [column] = attribute_columns(net, [attribute])
    dim = checkpoint.generator.config.latent_dim
    directions = load_directions(checkpoint.folder, checkpoint.revision, dim)
    amounts = {attribute: STRENGTH} if directions and attribute in directions.names else {}
    kept: list[UInt8[np.ndarray, "h w 3"]] = []
    drawn = 0
    while len(kept) < count and drawn < MOST_DRAWN * count:
        z = latents(range(FIRST_SEED + drawn, FIRST_SEED + drawn + DRAWN_AT_ONCE), dim)
        if directions:
            z = steer(z, directions, amounts)
        faces = render(checkpoint.prepared, clear(checkpoint, z, default_clarity(checkpoint)))  # (B, H, W, 3)
        kept += list(faces[extract(net, faces)[1][:, column] > PRESENT])
        drawn += DRAWN_AT_ONCE
        yield min(1.0, len(kept) / count)
    side = checkpoint.generator.config.image_size
    yield ExampleFaces(np.stack(kept[:count]) if kept else np.empty((0, side, side, 3), np.uint8), drawn)
