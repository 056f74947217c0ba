"""Drawings without a face, which a face detector must pass over: shapes, headless figures, text, tone, patterns."""

from __future__ import annotations

import math
import string
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ganime.shapes import UInt8

Random = np.random.Generator
SKIN = ((255, 228, 206), (250, 214, 190), (236, 188, 160), (198, 140, 108), (140, 92, 70))


def draw_many(count: int, side: int, seed: int) -> UInt8[np.ndarray, "count side side 3"]:
    """Random drawings of a side in px; equal arguments give equal drawings."""
    random = np.random.default_rng(seed)
    return np.stack([draw(side, random) for _ in range(count)])


def draw(side: int, random: Random) -> UInt8[np.ndarray, "side side 3"]:
    """A random drawing: a ground, and one to four kinds of things on it."""
    picture = Image.new("RGB", (side, side), colour(random) if random.random() < 0.6 else (255, 255, 255))
    for number in random.choice(len(THINGS), int(random.integers(1, 5))):
        THINGS[number](ImageDraw.Draw(picture), side, random)
    return np.asarray(picture)


def colour(random: Random) -> tuple[int, ...]:
    """A random colour: of any kind, of skin, or near black."""
    kind = random.random()
    if kind < 0.25:
        return SKIN[random.integers(len(SKIN))]
    return tuple(int(value) for value in random.integers(0, 60 if kind < 0.4 else 256, 3))


def spot(side: int, random: Random) -> tuple[float, float]:
    """A random point of the drawing, or near it."""
    x, y = random.uniform(-0.1, 1.1, 2) * side
    return float(x), float(y)


def polygons(pen: ImageDraw.ImageDraw, side: int, random: Random) -> None:
    for _ in range(random.integers(1, 8)):
        corners = [spot(side, random) for _ in range(random.integers(3, 7))]
        pen.polygon(corners, colour(random), colour(random))


def ellipses(pen: ImageDraw.ImageDraw, side: int, random: Random) -> None:
    for _ in range(random.integers(1, 10)):
        (x, y), (width, height) = spot(side, random), np.exp(random.uniform(-4, -1, 2)) * side
        pen.ellipse(
            (x - width, y - height, x + width, y + height), colour(random), colour(random), int(random.integers(0, 3))
        )


def lines(pen: ImageDraw.ImageDraw, side: int, random: Random) -> None:
    ink = colour(random)
    for _ in range(random.integers(3, 40)):
        pen.line([spot(side, random) for _ in range(random.integers(2, 5))], ink, int(random.integers(1, 4)), "curve")


def strands(pen: ImageDraw.ImageDraw, side: int, random: Random) -> None:
    """Bundles of curves side by side, as hair and folds are drawn."""
    for _ in range(random.integers(1, 5)):
        x, y = spot(side, random)
        bend, length, base = random.uniform(-2, 2), random.uniform(0.3, 1) * side, np.array(colour(random))
        for _ in range(random.integers(8, 40)):
            x, way = x + random.uniform(0.5, 3), random.uniform(0.9, 1.1) * math.pi / 2
            steps = np.linspace(0, 1, 8)
            points = [
                (x + length * s * math.cos(way + bend * s), y + length * s * math.sin(way + bend * s)) for s in steps
            ]
            shade = tuple(int(value) for value in (base * random.uniform(0.6, 1.3)).clip(0, 255))
            pen.line(points, shade, int(random.integers(1, 5)), "curve")


def text(pen: ImageDraw.ImageDraw, side: int, random: Random) -> None:
    for _ in range(random.integers(1, 6)):
        font = ImageFont.load_default(float(random.uniform(6, 60) * side / 128))
        letters = random.choice(
            list(string.ascii_letters + string.digits + "!?&@#%*()[]{}~+=<>:;.,'\""), random.integers(1, 12)
        )
        pen.text(spot(side, random), "".join(letters), colour(random), font)


def bubbles(pen: ImageDraw.ImageDraw, side: int, random: Random) -> None:
    """Speech bubbles and panels with a black edge."""
    for _ in range(random.integers(1, 4)):
        (x, y), (width, height) = spot(side, random), random.uniform(0.1, 0.45, 2) * side
        shape = pen.ellipse if random.random() < 0.6 else pen.rectangle
        shape((x - width, y - height, x + width, y + height), (255, 255, 255), (0, 0, 0), int(random.integers(1, 4)))


def tone(pen: ImageDraw.ImageDraw, side: int, random: Random) -> None:
    """A grid of dots, as printed comics are shaded."""
    step, size, ink = random.uniform(3, 16), random.uniform(0.2, 0.5), colour(random)
    for row in range(int(side / step) + 1):
        for column in range(int(side / step) + 1):
            x, y = (column + (row % 2) / 2) * step, row * step
            pen.ellipse((x - size * step, y - size * step, x + size * step, y + size * step), ink)


def stripes(pen: ImageDraw.ImageDraw, side: int, random: Random) -> None:
    """Stripes or checks, as on cloth, walls and blinds."""
    step, checked, one, other = random.uniform(4, 30), random.random() < 0.5, colour(random), colour(random)
    for row in range(int(side / step) + 1):
        for column in range(int(side / step) + 1 if checked else 1):
            x, width = column * step, step if checked else side
            pen.rectangle((x, row * step, x + width, (row + 1) * step), (one, other)[(row + column) % 2])


def rays(pen: ImageDraw.ImageDraw, side: int, random: Random) -> None:
    """Lines that run towards a point, as those of speed and light."""
    (x, y), ink = spot(side, random), colour(random)
    for way in random.uniform(0, 2 * math.pi, random.integers(10, 60)):
        near, far = random.uniform(0.1, 0.5) * side, 2 * side
        start = (x + near * math.cos(way), y + near * math.sin(way))
        pen.line([start, (x + far * math.cos(way), y + far * math.sin(way))], ink, int(random.integers(1, 4)))


def houses(pen: ImageDraw.ImageDraw, side: int, random: Random) -> None:
    """Blocks with rows of windows."""
    left = 0.0
    while left < side:
        width, top = random.uniform(0.12, 0.5) * side, random.uniform(0, 0.8) * side
        pen.rectangle((left, top, left + width, side), colour(random), (0, 0, 0))
        step, pane = random.uniform(6, 24), colour(random)
        for x in np.arange(left + step / 3, left + width - step / 2, step):
            for y in np.arange(top + step / 3, side, step):
                pen.rectangle((x, y, x + step / 2, y + step / 2), pane)
        left += width


def figure(pen: ImageDraw.ImageDraw, side: int, random: Random) -> None:
    """A body without a head: a torso with buttons in pairs, arms, legs, a belt, and sometimes an empty head."""
    (x, y), tall, skin, cloth = spot(side, random), random.uniform(0.4, 1.6) * side, colour(random), colour(random)
    wide = tall * random.uniform(0.18, 0.35)
    for way in (-1, 1):
        hand = (x + way * wide * random.uniform(0.6, 1.5), y + tall * random.uniform(0.1, 0.7))
        pen.line([(x + way * wide / 2, y + tall * 0.05), hand], skin, max(1, int(tall * 0.07)))
        pen.line([(x + way * wide / 4, y + tall * 0.4), (x + way * wide / 3, y + tall)], skin, max(1, int(tall * 0.09)))
    pen.polygon(
        [(x - wide / 2, y), (x + wide / 2, y), (x + wide * 0.7, y + tall / 2), (x - wide * 0.7, y + tall / 2)], cloth
    )
    size, ink = tall * 0.02, colour(random)
    for row in np.linspace(0.08, 0.42, int(random.integers(2, 6))) * tall:
        for way in (-1, 1):
            centre = x + way * wide * 0.15
            pen.ellipse((centre - size, y + row - size, centre + size, y + row + size), ink)
    if random.random() < 0.5:
        head, hair = tall * random.uniform(0.08, 0.14), colour(random)
        pen.ellipse(
            (x - head, y - 2 * head, x + head, y + head * 0.3), hair if random.random() < 0.6 else skin, (0, 0, 0)
        )


THINGS: tuple[Callable[[ImageDraw.ImageDraw, int, Random], None], ...] = (
    *(polygons, ellipses, lines, strands, strands, text, bubbles, tone, stripes, rays, houses, figure, figure),
)
