"""Cutting faces out of whole drawings, where a picture is not a face already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from ganime.errors import DataError
from ganime.faces.reading import MIN_SIDE, Face, decode, decode_with
from ganime.shapes import Float

CORE_SHARE = 0.44  # of a face's square: eyes, nose and mouth, which must be inside the picture
FACE_ASPECT = 1.2  # longer to shorter side up to which a picture may be a face already
FACE_COVERAGE = 0.6  # of its central square, which the face's square covers if it is
MOST_FACES = 32  # of one picture


class NoFaceError(DataError):
    """A picture in which no face was found."""


class FaceFinder(Protocol):
    """Finds the faces in pictures, as `ganime.nets.face_detector.FaceDetector` does.

    revision: differs between finders that may find other faces.
    """

    revision: str

    def find(self, picture: Image.Image) -> Float[np.ndarray, "n 4"]:
        """The faces in an RGB picture, the most certain first: left, top and side of a square in px, and confidence."""
        ...


@dataclass(frozen=True)
class Square:
    """A square inside a picture, in px."""

    left: int
    top: int
    side: int


def crop_faces(data: bytes, sizes: Sequence[int], finder: FaceFinder) -> tuple[list[tuple[Face, ...]], bool]:
    """The faces in an encoded picture, from left to right, each at all of `sizes` in px; and whether they were cut out.

    A picture that is nothing but a face stays as `decode` reads it. The width and height of a face that was cut out are
    those of its square.

    Raises NoFaceError when there is no face, and the errors of `decode`.
    """

    def cut(picture: Image.Image, *_: int) -> list[tuple[Face, ...]]:
        found = finder.find(picture)
        if is_face(*picture.size, found):
            return []
        squares = squares_inside(*picture.size, found)
        if not squares:
            raise NoFaceError("no face was found in it")
        return [tuple(cut_out(picture, square, size) for size in sizes) for square in squares]

    faces = decode_with(data, cut)
    return (faces, True) if faces else ([tuple(decode(data, size) for size in sizes)], False)


def is_face(width: int, height: int, found: Float[np.ndarray, "n 4"]) -> bool:
    """Whether a picture of this size is nothing but a face: nearly square, and filled by the square of one of them."""
    shorter = min(width, height)
    if max(width, height) > FACE_ASPECT * shorter:
        return False
    start = np.array([width - shorter, height - shorter]) / 2  # of the central square
    for left, top, side, _ in found:
        low, high = np.maximum((left, top), start), np.minimum((left + side, top + side), start + shorter)
        if (high - low).clip(0).prod() >= FACE_COVERAGE * shorter**2:
            return True
    return False


def squares_inside(width: int, height: int, found: Float[np.ndarray, "n 4"]) -> list[Square]:
    """The squares to cut out, from left to right: those found, moved into the picture and made smaller if they must be.

    Faces are left out whose eyes or mouth lie beyond the edge, and squares of less than 16 px.
    """
    squares = []
    for left, top, side, _ in found[:MOST_FACES]:
        x, y, core = left + side / 2, top + side / 2, side * CORE_SHARE / 2
        beyond = min(x, y, width - x, height - y) < core
        fitting = int(min(round(side), width, height))
        if beyond or fitting < MIN_SIDE:
            continue
        left, top = (
            min(max(0.0, start), most - fitting)
            for start, most in ((x - fitting / 2, width), (y - fitting / 2, height))
        )
        squares.append(Square(round(left), round(top), fitting))
    return sorted(squares, key=lambda square: (square.left, square.top))


def cut_out(picture: Image.Image, square: Square, size: int) -> Face:
    """A square of a picture as a face of `size` px, resized by Lanczos."""
    box = (square.left, square.top, square.left + square.side, square.top + square.side)
    pixels = picture.crop(box).resize((size, size), Image.Resampling.LANCZOS)
    return Face(np.asarray(pixels), square.side, square.side)
