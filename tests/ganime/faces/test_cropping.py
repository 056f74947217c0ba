"""Cropping: faces are cut out of whole drawings, pictures that are faces stay, pictures without a face are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganime.errors import DataError
from ganime.faces.audit import audit
from ganime.faces.cropping import NoFaceError, Square, crop_faces, is_face, squares_inside
from ganime.faces.dataset import FaceDataset, load_faces
from tests.ganime.faces.pictures import SIDE, encoded

DRAWING, LANDSCAPE = (300, 120), (300, 110)  # sizes of pictures, by which the finder below tells them apart


class FinderBySize:
    """Finds the squares that it was told for pictures of a size; every square picture is a face."""

    def __init__(self, squares: dict[tuple[int, int], list[list[float]]], revision: str = "one") -> None:
        self.squares, self.revision = squares, revision

    def find(self, picture: Image.Image) -> np.ndarray:
        width, height = picture.size
        found = [[0.0, 0.0, width, 0.9]] if width == height else self.squares.get(picture.size, [])
        return np.array(found, np.float64).reshape(-1, 4)


TWO_FACES = FinderBySize({DRAWING: [[200, 40, 60, 0.9], [10, 5, 64, 0.8]]})


@pytest.fixture
def mixed(folder: Path, draw_face: Callable[..., Image.Image]) -> Path:
    """Twenty faces, a drawing with two more, and a landscape."""
    drawing = Image.new("RGB", DRAWING, "white")
    drawing.paste(draw_face(70, 60), (200, 40))
    drawing.paste(draw_face(71, 64), (10, 5))
    drawing.save(folder / "drawing.png")
    Image.new("RGB", LANDSCAPE, "green").save(folder / "landscape.png")
    return folder


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., FaceDataset]:
    return lambda source, finder=TWO_FACES: load_faces([source], SIDE, tmp_path / "cache", finder=finder)


def test_several_faces_in_a_picture_become_several_faces_and_faces_stay_as_they_are(
    mixed: Path, load: Callable[..., FaceDataset], draw_face: Callable[..., Image.Image]
) -> None:
    dataset, plain = load(mixed), load(mixed, None)
    assert dataset.names == [*plain.names[:20], "drawing.png (face 1)", "drawing.png (face 2)"]
    assert np.array_equal(dataset.images[:20], plain.images[:20])
    for face, drawn in zip(dataset.images[20:], (draw_face(71, 64), draw_face(70, 60)), strict=True):  # left to right
        assert np.array_equal(face, np.asarray(drawn.resize((SIDE, SIDE), Image.Resampling.LANCZOS)))


def test_the_report_counts_files_once_and_names_pictures_without_a_face(
    mixed: Path, load: Callable[..., FaceDataset]
) -> None:
    report = audit(load(mixed))
    assert (report.found, report.used, report.cropped, report.further) == (22, 22, 2, 1)
    assert report.unused == {"no face": 1}
    [(name, kind, _)] = report.unused_files
    assert (name, kind) == ("landscape.png", "no face")
    assert (report.widths, report.oblong) == ((60, 64, 64), 0)  # of what was cut out
    [advice] = [sentence for sentence in report.advice if "1 picture" in sentence]
    assert "No face" in advice
    plain = audit(load(mixed, None))
    assert (plain.found, plain.cropped, plain.finds_faces, plain.unused) == (22, 0, False, {})


def test_another_finder_and_none_at_all_decode_the_pictures_again(
    mixed: Path, load: Callable[..., FaceDataset], tmp_path: Path
) -> None:
    keys = {load(mixed).key, load(mixed, None).key, load(mixed, FinderBySize({}, "two")).key}
    assert len(keys) == 3 == len(list((tmp_path / "cache").glob("*-v*")))
    assert load(mixed).key in keys
    assert audit(load(mixed)) == audit(load(mixed))  # the second from the cache


def test_too_few_faces_are_explained_by_the_pictures_without_one(
    tmp_path: Path, load: Callable[..., FaceDataset]
) -> None:
    (tmp_path / "green").mkdir()
    for number in range(17):
        Image.new("RGB", LANDSCAPE, (0, number, 0)).save(tmp_path / "green" / f"{number}.png")
    with pytest.raises(DataError, match=r"0 usable faces.*0\.png: no face"):
        load(tmp_path / "green")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([40.4, 20.6, 50.2], Square(40, 21, 50)),
        ([-10, 30, 60], Square(0, 30, 60)),  # moved into the picture
        ([150, 55, 60], Square(140, 40, 60)),
        ([20, -30, 160], Square(50, 0, 100)),  # made smaller around its middle
        ([-30, 30, 60], None),  # half of the face is outside
        ([50, 50, 15], None),  # too small to show a face
    ],
)
def test_squares_are_moved_into_the_picture_and_cut_faces_left_out(found: list[float], expected: Square | None) -> None:
    squares = squares_inside(200, 100, np.array([[*found, 0.9]]))
    assert squares == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    ("size", "square", "expected"),
    [
        ((100, 100), [0, 0, 100], True),
        ((100, 100), [-20, -20, 140], True),  # cut closer than the training faces
        ((118, 100), [5, 2, 98], True),
        ((150, 100), [25, 0, 100], False),  # not square
        ((100, 100), [20, 10, 60], False),  # more than a face
        ((100, 100), [50, 50, 100], False),
    ],
)
def test_a_picture_is_a_face_if_it_is_square_and_filled_by_one(
    size: tuple[int, int], square: list[float], expected: bool
) -> None:
    assert is_face(*size, np.array([[*square, 0.9]])) is expected


def test_a_picture_lying_on_its_side_is_searched_upright() -> None:
    picture = Image.new("RGB", DRAWING, "white")
    picture.paste("red", (10, 5, 74, 69))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    data = encoded(picture.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)
    [*faces], cropped = crop_faces(data, (16, 64), TWO_FACES)
    assert cropped
    assert [face.pixels.shape[0] for face in faces[0]] == [16, 64]
    assert np.array_equal(faces[0][1].pixels[2:-2, 2:-2], np.broadcast_to([255, 0, 0], (60, 60, 3)))
    with pytest.raises(NoFaceError):
        crop_faces(encoded(Image.new("RGB", LANDSCAPE)), (16,), TWO_FACES)
