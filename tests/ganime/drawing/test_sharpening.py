"""Sharpened faces: their sizes, that each is independent of its neighbours, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from ganime.drawing.sharpening import sharpened
from ganime.errors import DataError


@pytest.fixture(scope="module")
def faces(draw_face: Callable[..., Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(draw_face(seed, 32)) for seed in range(3)])


def mean_gradient(picture: np.ndarray) -> float:
    grey = picture.astype(float).mean(2)
    return float(np.hypot(*np.gradient(grey)).max())


@pytest.mark.parametrize("size", [64, 128, 256])
def test_faces_come_at_the_size_asked_for(faces: np.ndarray, size: int) -> None:
    [face] = sharpened(faces[:1], size)
    assert (face.shape, face.dtype) == ((size, size, 3), np.uint8)


def test_a_face_is_the_same_beside_any_others(faces: np.ndarray) -> None:
    together = list(sharpened(faces, 128))
    for number, face in enumerate(faces):
        [alone] = sharpened(face[None], 128)
        assert (alone == together[number]).all()


def test_a_sharpened_face_is_the_face_with_harder_edges(faces: np.ndarray) -> None:
    [face] = sharpened(faces[:1], 128)
    blurred = np.asarray(Image.fromarray(faces[0]).resize((128, 128), Image.Resampling.LANCZOS))
    assert abs(face.astype(int) - blurred).mean() < 12
    back = np.asarray(Image.fromarray(face).resize((32, 32), Image.Resampling.BOX))
    assert abs(back.astype(int) - faces[0]).mean() < 8
    assert mean_gradient(face) > mean_gradient(blurred)


@pytest.mark.parametrize(
    ("shape", "size", "fact"),
    [
        ((1, 32, 30, 3), 128, "32, 30"),
        ((1, 32, 32, 4), 128, "32, 4"),
        ((1, 16, 16, 3), 64, "16 px"),
        ((1, 33, 33, 3), 128, "33 px"),
        ((1, 32, 32, 3), 32, "got 32"),
        ((1, 32, 32, 3), 4096, "got 4096"),
    ],
)
def test_what_cannot_be_sharpened_is_refused_with_its_size(shape: tuple[int, ...], size: int, fact: str) -> None:
    with pytest.raises(DataError, match=fact):
        sharpened(np.zeros(shape, np.uint8), size)
