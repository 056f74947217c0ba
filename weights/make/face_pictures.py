"""Whole pictures to judge a face detector on, made otherwise than those that it learns from, and the judgement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ganime.nets.face_detector import SAME_OVERLAP, overlaps
from ganime.shapes import Float, UInt8
from weights.make.drawings import colour, draw

MATCH = 0.5  # intersection over union of a found square and a true one


@dataclass(frozen=True)
class Scene:
    """A picture and the true squares of its faces: left, top, side in px."""

    picture: Image.Image
    squares: Float[np.ndarray, "n 3"]


@dataclass(frozen=True)
class Judged:
    """How well faces were found.

    faces, found: how many there are, and how many squares were found.
    recall, precision: shares of the faces that a square matches, and of the squares that match a face.
    overlap: mean intersection over union of the matches.
    centre_error, side_error: mean distance of the centres and difference of the sides, as shares of the true side.
    false_alarms: squares for each picture without a face.
    """

    faces: int
    found: int
    recall: float
    precision: float
    overlap: float
    centre_error: float
    side_error: float
    false_alarms: float


def pictures_with_faces(
    faces: UInt8[np.ndarray, "n 128 128 3"], count: int, random: np.random.Generator
) -> Iterator[Scene]:
    """Pictures of 500 to 1,400 px with one to five figures, whose faces do not overlap by much."""
    for _ in range(count):
        picture, squares = ground(random), []
        for face in faces[random.integers(len(faces), size=int(random.integers(1, 6)))]:
            side = float(np.exp(random.uniform(np.log(0.13), np.log(0.75)))) * min(picture.size)
            left = random.uniform(-0.05, 1.05) * (picture.width - side)
            top = random.uniform(-0.05, 0.9) * (picture.height - side)
            square = np.array([left, top, side])
            if not squares or overlaps(square, np.array(squares)).max() < SAME_OVERLAP / 3:
                paste(picture, face, square, random)
                squares.append(square)
        yield Scene(picture, np.array(squares))


def pictures_without_faces(
    faces: UInt8[np.ndarray, "n 128 128 3"], count: int, random: np.random.Generator
) -> Iterator[Scene]:
    """Pictures of shapes, figures without a face, text, and enlarged hair and clothes."""
    for _ in range(count):
        picture = ground(random, 1.0)
        for face in faces[random.integers(len(faces), size=int(random.integers(0, 4)))]:
            edge = int(random.choice((0, 92)))
            area = Image.fromarray(face).crop((0, edge, 128, edge + 36))
            width, height = (random.uniform(0.1, 0.6, 2) * picture.size).astype(int).tolist()
            left, top = (random.uniform(0, 0.8, 2) * picture.size).astype(int).tolist()
            picture.paste(area.resize((width, height), Image.Resampling.BICUBIC), (left, top))
        yield Scene(picture, np.empty((0, 3)))


def ground(random: np.random.Generator, share: float = 0.6) -> Image.Image:
    """A white picture, or for `share` of them a drawing; 500 to 1,400 px on each side."""
    width, height = (int(value) for value in random.uniform(500, 1400, 2))
    if random.random() >= share:
        return Image.new("RGB", (width, height), "white")
    return Image.fromarray(draw(max(width, height), random)).crop((0, 0, width, height))


def paste(
    picture: Image.Image, face: UInt8[np.ndarray, "128 128 3"], square: np.ndarray, random: np.random.Generator
) -> None:
    """Draw a figure: a body below the square, then the face in it, a little turned, with soft corners."""
    left, top, side = square.tolist()
    middle, pen = left + side / 2, ImageDraw.Draw(picture)
    hips = side * random.uniform(0.5, 0.8)
    shoulders = [(left + side * 0.1, top + side * 0.95), (left + side * 0.9, top + side * 0.95)]
    cloth = tuple(int(value) for value in face[124, int(random.integers(50, 78))])
    pen.polygon([*shoulders, (middle + hips, top + 2.5 * side), (middle - hips, top + 2.5 * side)], cloth)
    for way in (-1, 1):
        hand = (middle + way * side * random.uniform(0.5, 1.4), top + side * random.uniform(0.8, 2))
        pen.line([(middle + way * side * 0.4, top + side), hand], colour(random), max(2, int(side * 0.14)))
    size = max(8, round(side))
    tile = Image.fromarray(face).resize((size, size), Image.Resampling.LANCZOS)
    mask = Image.new("L", (size, size), 0)
    inset = size * 0.04
    ImageDraw.Draw(mask).rounded_rectangle((inset, inset, size - inset, size), size * 0.35, 255)
    mask = mask.filter(ImageFilter.GaussianBlur(size * 0.02))
    angle = float(random.normal(0, 8))
    turned, mask = (part.rotate(angle, Image.Resampling.BICUBIC) for part in (tile, mask))
    if random.random() < 0.5:
        turned, mask = (part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for part in (turned, mask))
    picture.paste(turned, (round(left), round(top)), mask)


def judge(scenes: Sequence[Scene], found: Sequence[Float[np.ndarray, "n 4"]], confidence: float) -> Judged:
    """Compare what was found in each picture, of at least this confidence, with the true squares."""
    faces, squares, false_alarms, empty, matches = 0, 0, 0, 0, []
    for scene, answer in zip(scenes, found, strict=True):
        answer = answer[answer[:, 3] >= confidence]
        faces, squares = faces + len(scene.squares), squares + len(answer)
        if not len(scene.squares):
            empty, false_alarms = empty + 1, false_alarms + len(answer)
        matches += matched(scene.squares, answer[:, :3])
    errors = np.array(matches).reshape(-1, 3)
    hits = len(errors)
    overlap, centre_error, side_error = (errors.mean(0) if hits else np.full(3, np.nan)).tolist()
    return Judged(
        faces=faces,
        found=squares,
        recall=hits / max(1, faces),
        precision=hits / max(1, squares),
        overlap=overlap,
        centre_error=centre_error,
        side_error=side_error,
        false_alarms=false_alarms / max(1, empty),
    )


def matched(true: Float[np.ndarray, "n 3"], found: Float[np.ndarray, "m 3"]) -> list[tuple[float, float, float]]:
    """Of each true square that a found one matches: the overlap, and the errors of centre and side as its shares."""
    matches, left = [], [*found]
    for square in true:
        if not left:
            break
        shared = overlaps(square, np.array(left))
        best = int(shared.argmax())
        if shared[best] >= MATCH:
            other = left.pop(best)
            away = np.hypot(*(other[:2] + other[2] / 2 - square[:2] - square[2] / 2))
            matches.append((float(shared[best]), float(away / square[2]), float(abs(other[2] / square[2] - 1))))
    return matches
