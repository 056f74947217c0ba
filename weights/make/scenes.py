"""Scenes to train a face detector on: faces pasted onto backgrounds, beside things that only resemble faces.

A batch is composed at once in torch. Each scene has a background and four layers, each a face, a decoy or nothing, at a
random place, size, rotation and colour, behind a soft mask. A face beyond the edge of its picture goes on as smears of
its edge, so that hair and clothes do not end where the training picture ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ganime.nets.face_detector import NOMINAL_SIDE, STRIDE
from ganime.shapes import Float, UInt8

SCENE_SIDE, TILE_SIDE = 96, 128  # px
LAYERS = 4
CORE = (0.42, 0.46)  # half axes of the eyes and mouth of a training face, in halves of its side
FOUND_SIDES, NEAR_SIDES = (32, 70), (26, 92)  # px; faces of the second range may be found, those beyond must not
VISIBLE, HIDDEN = (
    0.7,
    0.35,
)  # shares of the core that is seen, above which a face must and below which it must not be found
CENTRE_SHARE, AROUND_SHARE = 0.2, 0.45  # of the side around the centre: places that answer, and places that may


@dataclass(frozen=True)
class Scenes:
    """A batch of scenes and the right answers.

    pictures: in [-1, 1].
    answers: 1 where a face is to be found, else 0. counted: 0 where either answer is right.
    squares: what `FaceDetector` answers for the squares, where `answers` is 1.
    """

    pictures: Float[Tensor, "b 3 96 96"]
    answers: Float[Tensor, "b 6 6"]
    counted: Float[Tensor, "b 6 6"]
    squares: Float[Tensor, "b 3 6 6"]

    def mirrored(self) -> Scenes:
        """The same scenes with left and right exchanged."""
        squares = self.squares.flip(3) * torch.tensor([-1.0, 1.0, 1.0])[:, None, None]
        return Scenes(self.pictures.flip(3), self.answers.flip(2), self.counted.flip(2), squares)


@dataclass(frozen=True)
class Placement:
    """Where a layer lies: centre, side in px, angle in radians, mirrored -1 or 1, stretch of the width; (B,) each."""

    x: np.ndarray
    y: np.ndarray
    side: np.ndarray
    angle: np.ndarray
    mirrored: np.ndarray
    stretch: np.ndarray

    def grid(self) -> Float[Tensor, "b 96 96 2"]:
        """The point of the layer's tile, in [-1, 1], that each pixel of the scene shows."""
        places = np.arange(SCENE_SIDE, dtype=np.float32) + 0.5
        across = (places - self.x[:, None])[:, None, :] * (2 / self.side)[:, None, None]  # (B, 1, S)
        down = (places - self.y[:, None])[:, :, None] * (2 / self.side)[:, None, None]  # (B, S, 1)
        cos, sin = np.cos(self.angle)[:, None, None], np.sin(self.angle)[:, None, None]
        turned = (cos * across + sin * down) * (self.mirrored / self.stretch)[:, None, None]
        return torch.from_numpy(np.stack([turned, cos * down - sin * across], -1).astype(np.float32))


def compose(
    draw_faces: Callable[[int], UInt8[np.ndarray, "b 128 128 3"]],
    drawings: UInt8[np.ndarray, "n 128 128 3"],
    count: int,
    random: np.random.Generator,
) -> Scenes:
    """A batch of scenes.

    draw_faces: returns that many random training faces.
    drawings: pictures without a face, see `weights.make.drawings`.
    """
    scene = backgrounds(draw_faces, drawings, count, random)
    layers: list[tuple[Placement, Tensor, np.ndarray]] = []  # placement, what is seen of the core, whether it is a face
    for _ in range(LAYERS):
        kind = random.choice(3, count, p=(0.5, 0.3, 0.2))  # face, decoy, nothing
        tiles = draw_faces(count)
        tiles[kind == 1] = decoys(tiles[kind == 1], drawings, random)
        place = placed(kind == 0, random)
        grid = place.grid()
        alpha = mask(grid, kind == 0, random) * torch.from_numpy((kind < 2).astype(np.float32))[:, None, None, None]
        layer = recoloured(
            F.grid_sample(softened(tiles, place.side), grid, padding_mode="border", align_corners=False), random
        )
        scene = scene * (1 - alpha) + layer * alpha  # (B, 3, S, S)
        core = ((grid / torch.tensor(CORE)).square().sum(-1) < 1).float()  # (B, S, S)
        layers = [(at, seen * (1 - alpha[:, 0]), is_face) for at, seen, is_face in layers]
        layers.append((place, core, kind == 0))
    inside = picture_areas(layers[-1][0], layers[-1][2], random)  # (B, 1, S, S)
    pictures = finished(scene, random) * inside
    return Scenes(pictures, *answers([(at, seen * inside[:, 0], is_face) for at, seen, is_face in layers]))


def answers(layers: list[tuple[Placement, Tensor, np.ndarray]]) -> tuple[Tensor, Tensor, Tensor]:
    """The answers to scenes, from each layer's placement, seen core (B, S, S), and whether it is a face (B,)."""
    count, places = len(layers[0][2]), SCENE_SIDE // STRIDE
    found, counted = torch.zeros(count, places, places), torch.ones(count, places, places)
    squares = torch.zeros(count, 3, places, places)
    middle = (torch.arange(places) + 0.5) * STRIDE
    for at, seen, is_face in layers:
        x, y, side = (torch.from_numpy(value.astype(np.float32))[:, None, None] for value in (at.x, at.y, at.side))
        share = seen.sum((1, 2)) / (math.pi * math.prod(CORE) * torch.from_numpy(at.side / 2).float().square())  # (B,)
        share = torch.where(torch.from_numpy(is_face), share, 0)[:, None, None]
        across, down = x - middle[None, None, :], y - middle[None, :, None]  # (B, 1, P), (B, P, 1)
        distance = (across.square() + down.square()).sqrt()  # (B, P, P)
        may = (side >= NEAR_SIDES[0]) & (side <= NEAR_SIDES[1]) & (share > HIDDEN)  # (B, 1, 1)
        must = (side >= FOUND_SIDES[0]) & (side <= FOUND_SIDES[1]) & (share > VISIBLE)
        centre = must & (distance <= (CENTRE_SHARE * side).clamp(min=STRIDE * 0.71))  # at least one place
        counted[may & (distance <= AROUND_SHARE * side)] = 0
        found[centre] = 1
        size = (side / NOMINAL_SIDE).log().expand_as(distance)
        square = torch.stack(
            [(across / NOMINAL_SIDE).expand_as(distance), (down / NOMINAL_SIDE).expand_as(distance), size], 1
        )
        squares = torch.where(centre[:, None], square, squares)
    return found, torch.maximum(counted, found), squares


def placed(is_face: np.ndarray, random: np.random.Generator) -> Placement:
    """Random placements: faces nearly upright and mostly of the sides that are found, decoys anyhow."""
    count = len(is_face)
    wanted = random.random(count) < 0.75
    low, high = np.log(FOUND_SIDES)
    side = np.exp(np.where(wanted, random.uniform(low, high, count), random.uniform(np.log(18), np.log(195), count)))
    angle = random.normal(0, 0.2, count).clip(-0.6, 0.6) * (random.random(count) < 0.7)
    x, y = random.uniform(-0.1, 1.1, (2, count)) * SCENE_SIDE
    exact = is_face & (random.random(count) < 0.12)  # a picture that is nothing but a face
    x, y, angle = np.where(exact, side / 2, x), np.where(exact, side / 2, y), np.where(exact, 0.0, angle)
    return Placement(
        x,
        y,
        side,
        np.where(is_face, angle, random.uniform(-math.pi, math.pi, count)),
        random.choice((-1.0, 1.0), count),
        np.exp(random.normal(0, 0.05, count)),
    )


def picture_areas(at: Placement, is_face: np.ndarray, random: np.random.Generator) -> Float[Tensor, "b 1 s s"]:
    """1 inside each picture, 0 outside, as the detector pads: all, a part, or what is around the last layer."""
    count = len(is_face)
    margins = np.exp(random.uniform(np.log(0.3), np.log(1.5), (4, count))) * at.side  # left, top, right, bottom
    margins = np.where(is_face & (random.random(count) < 0.3), margins, np.inf)
    exact = is_face & (at.x == at.side / 2) & (at.y == at.side / 2)
    left, top, right, bottom = np.where(exact, at.side / 2, margins)[..., None]  # (B, 1) each
    places = np.arange(SCENE_SIDE) + 0.5
    columns = (places > at.x[:, None] - left) & (places < at.x[:, None] + right)  # (B, S)
    rows = (places > at.y[:, None] - top) & (places < at.y[:, None] + bottom)
    ends = np.where(random.random((2, count)) < 0.08, random.uniform(24, SCENE_SIDE, (2, count)), np.inf)
    columns, rows = columns & (places < ends[0][:, None]), rows & (places < ends[1][:, None])
    return torch.from_numpy((rows[:, :, None] & columns[:, None, :]).astype(np.float32))[:, None]


def mask(grid: Float[Tensor, "b s s 2"], is_face: np.ndarray, random: np.random.Generator) -> Float[Tensor, "b 1 s s"]:
    """How opaque a layer is: a soft superellipse, for some wider and longer below than the tile."""
    count = len(is_face)

    def drawn(low: float, high: float) -> Tensor:
        return torch.from_numpy(random.uniform(low, high, (count, 1, 1)).astype(np.float32))

    tight = torch.from_numpy((random.random((count, 1, 1)) < 0.3) | ~is_face[:, None, None])  # the tile with its edges
    width = torch.where(tight, drawn(0.7, 1.0), drawn(0.75, 1.7))
    top = torch.where(tight, drawn(0.75, 1.0), drawn(0.85, 1.5))
    bottom = torch.where(tight, drawn(0.75, 1.0), drawn(0.8, 4.0))
    power, sharpness = torch.exp2(drawn(1, 5)), torch.exp(drawn(1.5, 4.5))
    across, down = grid[..., 0].abs() / width, torch.where(grid[..., 1] < 0, -grid[..., 1] / top, grid[..., 1] / bottom)
    distance = powered(powered(across, power) + powered(down, power), 1 / power)  # (B, S, S)
    return torch.sigmoid((1 - distance) * sharpness)[:, None]


def powered(x: Tensor, exponent: Tensor) -> Tensor:
    """x, at least 1e-30 and at most 1e30, to the power of the exponent; several times as fast as torch's own."""
    return torch.exp(x.clamp(1e-30, 1e30).log() * exponent)


def softened(tiles: UInt8[np.ndarray, "b 128 128 3"], sides: np.ndarray) -> Float[Tensor, "b 3 128 128"]:
    """Tiles in [0, 1], without the details that would alias at these sides in px."""
    soft = torch.from_numpy(tiles).permute(0, 3, 1, 2).float() / 255  # (B, 3, T, T)
    for least, most, factor in ((0.35, 0.6, 2), (0.0, 0.35, 4)):
        few = torch.from_numpy(np.flatnonzero((sides >= least * TILE_SIDE) & (sides < most * TILE_SIDE)))
        pooled = F.avg_pool2d(soft[few].contiguous(), factor)
        soft[few] = F.interpolate(pooled, scale_factor=factor)
    return soft


def recoloured(layer: Float[Tensor, "b 3 s s"], random: np.random.Generator) -> Float[Tensor, "b 3 s s"]:
    """The layer with other saturation, gains and gamma."""
    count = len(layer)

    def drawn(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.from_numpy(random.uniform(low, high, (count, channels, 1, 1)).astype(np.float32))

    grey = layer.mean(1, keepdim=True)
    layer = grey + (layer - grey) * drawn(0.5, 1.3)
    return powered((layer * drawn(0.85, 1.1, 3)).clamp(max=1), torch.exp(drawn(-0.35, 0.35)))


def finished(scene: Float[Tensor, "b 3 s s"], random: np.random.Generator) -> Float[Tensor, "b 3 s s"]:
    """The scenes in [-1, 1]: some grey, some blurred, some noisy, all in other light."""
    count = len(scene)

    def some(share: float) -> Tensor:
        return torch.from_numpy(random.random((count, 1, 1, 1)) < share)

    scene = torch.where(some(0.12), scene.mean(1, keepdim=True), scene)
    scene = torch.where(some(0.15), F.avg_pool2d(scene, 3, 1, 1, count_include_pad=False), scene)
    noisy = np.flatnonzero(random.random(count) < 0.2)
    scene[noisy] += torch.from_numpy(random.standard_normal((len(noisy), *scene.shape[1:]), np.float32)) * 0.03
    light = torch.from_numpy(random.uniform(0.75, 1.15, (count, 1, 1, 1)).astype(np.float32))
    return (scene * light).clamp(0, 1) * 2 - 1


def backgrounds(
    draw_faces: Callable[[int], UInt8[np.ndarray, "b 128 128 3"]],
    drawings: UInt8[np.ndarray, "n 128 128 3"],
    count: int,
    random: np.random.Generator,
) -> Float[Tensor, "b 3 s s"]:
    """Backgrounds: plain or graded colours, clouds of noise, drawings, enlarged parts of faces, and nearby faces."""
    kind = random.choice(5, count, p=(0.25, 0.15, 0.25, 0.2, 0.15))
    faces = draw_faces(count)
    tiles = drawings[random.integers(len(drawings), size=count)].copy()
    tiles[kind == 3] = decoys(faces[kind == 3], drawings, random)
    tiles[kind == 4] = faces[kind == 4]  # far larger than what is to be found
    side = np.where(kind == 4, np.exp(random.uniform(np.log(130), np.log(520), count)), random.uniform(105, 300, count))
    x, y = (0.5 + random.uniform(-0.6, 0.6, (2, count)) * side / SCENE_SIDE) * SCENE_SIDE
    angle = np.where(kind == 4, random.normal(0, 0.2, count), random.uniform(-math.pi, math.pi, count))
    ones = np.ones(count)
    grid = Placement(x, y, side, angle, ones, ones).grid()
    pasted = F.grid_sample(softened(tiles, side), grid, padding_mode="reflection", align_corners=False)
    scene = recoloured(pasted, random)
    plain, cloudy = np.flatnonzero(kind == 0), np.flatnonzero(kind == 1)
    graded = clouds(len(plain), random, (2,)) * (random.random((len(plain), 1, 1, 1)) < 0.6)
    scene[plain] = torch.from_numpy(graded + random.random((len(plain), 3, 1, 1)) ** 0.4).float()
    rough = clouds(len(cloudy), random, (2, 4, 8, 16, 32, 64)) + random.random((len(cloudy), 3, 1, 1))
    scene[cloudy] = torch.from_numpy(rough).float()
    return scene.clamp(0, 1)


def clouds(count: int, random: np.random.Generator, sides: tuple[int, ...]) -> np.ndarray:
    """Smooth random colours around 0, (count, 3, S, S): a sum of grids of these sides, the finer the fainter."""
    total = np.zeros((count, 3, SCENE_SIDE, SCENE_SIDE), np.float32)
    for level, side in enumerate(sides):
        grid = torch.from_numpy(random.standard_normal((count, 3, side, side), np.float32) * 0.3 * 0.75**level)
        total += F.interpolate(grid, (SCENE_SIDE, SCENE_SIDE), mode="bilinear").numpy()
    return total


def decoys(
    faces: UInt8[np.ndarray, "b 128 128 3"], drawings: UInt8[np.ndarray, "n 128 128 3"], random: np.random.Generator
) -> UInt8[np.ndarray, "b 128 128 3"]:
    """Tiles without a face: a drawing, a face in shuffled squares, a head without features, or hair and clothes."""
    tiles = np.empty_like(faces)
    for tile, face, kind in zip(tiles, faces, random.choice(4, len(faces), p=(0.3, 0.2, 0.25, 0.25)), strict=True):
        tile[:] = drawings[random.integers(len(drawings))]
        if kind == 1:
            tile[:] = shuffled(face, int(random.choice((2, 4, 8))), random)
        elif kind == 2:
            tile[:] = face + (plain_or(tile, face, random) - face) * core_mask()
        elif kind == 3:
            tile[:] = part(face, random)
    return tiles


def shuffled(
    face: UInt8[np.ndarray, "128 128 3"], squares: int, random: np.random.Generator
) -> UInt8[np.ndarray, "128 128 3"]:
    """A face in squares, `squares` to a side, each in another place."""
    side = TILE_SIDE // squares
    parts = face.reshape(squares, side, squares, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)  # (squares^2, ...)
    order = (
        np.roll(np.arange(len(parts)), int(random.integers(1, len(parts))))
        if squares == 2
        else random.permutation(len(parts))
    )
    return parts[order].reshape(squares, squares, side, side, 3).swapaxes(1, 2).reshape(TILE_SIDE, TILE_SIDE, 3)


def plain_or(tile: np.ndarray, face: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """What covers a face: the drawing, or a colour of the face, of its skin or of its hair."""
    if random.random() < 0.3:
        return tile.astype(np.float32)
    row, column = random.choice(((76, 64), (30, 64), (8, 64)))
    return np.broadcast_to(face[row, column].astype(np.float32), face.shape)


@cache
def core_mask() -> Float[np.ndarray, "128 128 1"]:
    """How much of each pixel of a training face belongs to the eyes, nose and mouth: 1 inside, soft at the edge."""
    down, across = np.mgrid[0:TILE_SIDE, 0:TILE_SIDE] / (TILE_SIDE / 2) - 1
    distance = np.hypot(across / 0.5, (down - 0.05) / 0.5)
    return np.clip((1.15 - distance) / 0.15, 0, 1)[..., None].astype(np.float32)


def part(face: UInt8[np.ndarray, "128 128 3"], random: np.random.Generator) -> UInt8[np.ndarray, "128 128 3"]:
    """A part of a face's picture above the eyes or below the chin, which shows hair or clothes, enlarged to a tile."""
    side = int(random.integers(20, 36))
    above, below = random.integers(0, 44 - side), random.integers(92, TILE_SIDE - side + 1)
    left, top = int(random.integers(0, TILE_SIDE - side)), int(random.choice((above, below)))
    area = Image.fromarray(face).crop((left, top, left + side, top + side))
    return np.asarray(area.resize((TILE_SIDE, TILE_SIDE), Image.Resampling.BICUBIC))
