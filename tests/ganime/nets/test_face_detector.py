"""The face detector: it finds faces in whole pictures at any size, and nothing where there is no face."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from ganime.drawing.sampling import generate
from ganime.models.checkpoint import Checkpoint
from ganime.nets.face_detector import FaceDetector, load_face_detector, merged, overlaps


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return load_face_detector()


@pytest.fixture(scope="module")
def faces(embedded: Checkpoint) -> list[Image.Image]:
    """Three faces that the embedded model draws."""
    return [Image.fromarray(face) for face in generate(embedded, [3, 7, 14], clarity=0.7)]


def scene(width: int, height: int, *pasted: tuple[Image.Image, int, int, int]) -> Image.Image:
    """A picture with faces at left, top and side, on a coarse pattern."""
    pattern = np.random.default_rng(0).integers(120, 256, (height // 40 + 1, width // 40 + 1, 3), np.uint8)
    picture = Image.fromarray(pattern).resize((width, height), Image.Resampling.BICUBIC)
    for face, left, top, side in pasted:
        picture.paste(face.resize((side, side), Image.Resampling.LANCZOS), (left, top))
    return picture


def test_each_face_of_a_picture_is_found_once_with_the_square_that_it_was_pasted_in(
    detector: FaceDetector, faces: list[Image.Image]
) -> None:
    squares = [(60, 80, 120), (300, 60, 260), (620, 380, 180)]
    picture = scene(900, 640, *((face, *square) for face, square in zip(faces, squares, strict=True)))
    found = detector.find(picture)
    assert len(found) == 3
    for square in squares:
        assert overlaps(np.array(square, float), found).max() > 0.6


@pytest.mark.parametrize("side", [32, 64, 300, 1200])
def test_a_picture_that_is_a_face_is_found_to_be_one(
    detector: FaceDetector, faces: list[Image.Image], side: int
) -> None:
    found = detector.find(faces[0].resize((side, side), Image.Resampling.LANCZOS))
    assert overlaps(np.array([0.0, 0.0, side]), found).max() > 0.6


@pytest.mark.parametrize(("width", "height"), [(800, 600), (16, 16), (17, 1000), (2000, 30)])
def test_nothing_is_found_where_there_is_no_face(detector: FaceDetector, width: int, height: int) -> None:
    assert detector.find(scene(width, height)).shape == (0, 4)
    assert detector.find(Image.new("RGB", (width, height), "white")).shape == (0, 4)


def test_a_large_picture_is_looked_at_in_copies_of_bounded_size(
    detector: FaceDetector, faces: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    look: Callable = FaceDetector.look
    monkeypatch.setattr(FaceDetector, "look", lambda net, copy: seen.append(copy.size) or look(net, copy))
    [found] = detector.find(scene(4000, 3000, (faces[1], 1000, 500, 1500)))
    assert overlaps(np.array([1000.0, 500, 1500]), found[None]).max() > 0.7
    assert max(width * height for width, height in seen) < 400_000


def test_squares_of_one_face_become_their_mean_weighted_by_confidence() -> None:
    found = np.array([[10, 10, 100, 0.3], [14, 10, 100, 0.9], [200, 10, 100, 0.6]])
    assert np.allclose(merged(found), [[13, 10, 100, 0.9], [200, 10, 100, 0.6]])
