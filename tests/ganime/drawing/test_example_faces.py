"""Example faces: as many as are wanted, each with the attribute, the same every time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ganime.drawing.attribute_search import PRESENT
from ganime.drawing.example_faces import ExampleFaces, example_faces
from ganime.embedded import EMBEDDED
from ganime.errors import RecipeError
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from ganime.nets.anime_features import extract, load_features


def test_example_faces_have_their_attribute_and_are_the_same_every_time() -> None:
    checkpoint, net = load_checkpoint(EMBEDDED), load_features()
    *progress, found = example_faces(checkpoint, net, "red_hair", 20)
    assert isinstance(found, ExampleFaces)
    assert found.faces.shape == (20, 128, 128, 3)
    assert found.looked_at <= 60
    probabilities = extract(net, found.faces)[1][:, list(net.attributes).index("red_hair")]
    assert probabilities.min() > PRESENT - 1e-3
    assert all(isinstance(before, float) and before <= after for before, after in pairwise(progress))  # type: ignore[operator]
    *_, again = example_faces(checkpoint, net, "red_hair", 20)
    assert isinstance(again, ExampleFaces)
    assert np.array_equal(again.faces, found.faces)


def test_a_model_that_cannot_draw_the_attribute_gives_what_it_has(tiny: Checkpoint) -> None:
    *_, found = example_faces(tiny, load_features(), "red_hair", 1)
    assert isinstance(found, ExampleFaces)
    assert len(found.faces) <= 1
    assert found.looked_at <= 32
    with pytest.raises(RecipeError, match="red_hair"):
        next(example_faces(tiny, load_features(), "green_skin", 1))
