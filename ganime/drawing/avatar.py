"""Avatars: a face without its background, or cropped to a circle or a banner."""

from __future__ import annotations

import numpy as np

from ganime.errors import DataError
from ganime.shapes import Bool, Float, UInt8

SHAPES = ("square", "circle", "banner")
BANNER_RATIO = 3  # width of a banner, in heights
NEAR = 20.0  # distance of a colour from the background's up to which it is that
BLUR = 32  # the edge of a face is at most this part of the picture's side wide
LEAST_BORDER = 0.45  # share of the picture's border that has the background's colour, or the face has no plain one
LEAST_SHARE, MOST_SHARE = 0.03, 0.85  # of the picture that the background can be
SHOULDERS = 0.75  # of the picture's height is above them; below, clothes may be as white as the background
GAP = 40  # a gap in an outline of clothes may be 2 / GAP of the picture's side wide
ROUND_SCALE = 4  # a circle is drawn this many times as large, for a smooth edge


def avatar(
    face: UInt8[np.ndarray, "h w 3"], shape: str = "square", transparent: bool = False
) -> UInt8[np.ndarray, "h w2 4"]:
    """A face as RGBA in one of SHAPES; a banner is three times as wide as high, with the face in the middle.

    transparent: without its background; a banner then is transparent beside the face. Otherwise the rest of a banner
        has the colour of the background, and the outside of a circle is transparent.

    Raises DataError for another shape, and for a face whose background is not plain enough to be removed.
    """
    if shape not in SHAPES:
        raise DataError(f"An avatar's shape is one of {', '.join(SHAPES)}; got {shape[:40]!r}.")
    alpha = opacity(face) if transparent else np.full(face.shape[:2], 255, np.uint8)
    picture = np.dstack([without_background(face, alpha) if transparent else face, alpha])  # (H, W, 4)
    if shape == "circle":
        picture[..., 3] = np.minimum(picture[..., 3], disc(face.shape[0]))
    if shape == "banner":
        picture = banner(picture, border_colour(face), transparent)
    return picture


def opacity(face: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
    """How opaque each pixel is without the background, 0 to 255.

    The background is what has nearly the colour of most of the border and is connected to the border through such
    pixels; so the white of an eye stays, and white clothes, see `background`. Raises DataError for a face without a
    plain background.
    """
    distance = np.linalg.norm(face.astype(np.float32) - border_colour(face), axis=2)  # (H, W)
    near = distance <= NEAR
    border = np.concatenate([near[0], near[-1], near[:, 0], near[:, -1]])
    outside = background(near)
    if border.mean() < LEAST_BORDER or not LEAST_SHARE <= outside.mean() <= MOST_SHARE:
        raise DataError(
            "The background of this face cannot be removed: the background is not one plain colour, or the face "
            "fills the picture. Try another face; most stand on white."
        )
    outside = ~flooded(~outside & middle(outside.shape), ~outside)  # specks and smudges beside the face go, too
    share = np.where(outside, 0.0, edge_share(distance, outside, max(2, len(face) // BLUR)))
    return (share * 255).round().astype(np.uint8)


def edge_share(
    distance: Float[np.ndarray, "h w"], outside: Bool[np.ndarray, "h w"], width: int
) -> Float[np.ndarray, "h w"]:
    """The share that a face has in the colour of each pixel, 1 but for its edge, where the background shines through.

    From the background inwards the distance to its colour rises until the face's own colour is reached, such as that of
    its outline; a pixel on the way has the share of that distance. width: px of the edge, at most.
    """
    reached, low = outside, np.where(outside, distance, 0.0)
    for _ in range(width):
        ring = grown(reached, 1) & ~reached & (distance > neighbours(low).max(0))
        reached, low = reached | ring, np.where(ring, distance, low)
    edge = reached & ~outside
    higher = neighbours(distance) > distance  # (4, H, W)
    own = distance
    for _ in range(width):
        own = np.where(edge, np.maximum(own, np.where(higher, neighbours(own), 0.0).max(0)), own)
    return np.where(edge, distance / np.maximum(own, NEAR), 1.0)


def neighbours(values: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "4 h w"]:
    """The values above, below, left and right of each pixel; 0 outside the picture."""
    wide = np.pad(values, 1)
    return np.stack([wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:]])


def border_colour(face: UInt8[np.ndarray, "h w 3"]) -> np.ndarray:
    """The median colour of the upper half of the border, float32 (3,): below, hair and shoulders cross it."""
    half = face.shape[0] // 2
    return np.median(np.concatenate([face[0], face[:half, 0], face[:half, -1]]), axis=0).astype(np.float32)


def background(near: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The part of a mask that is connected to the top of the picture, or to its sides above the shoulders.

    Clothes in the mask are left out: the connection never begins at the lower edge of the picture, and below the
    shoulders it leads only through passages wider than 2 / GAP of the side, so not through a gap in an outline.
    """
    side = len(near)
    shoulders, gap = int(side * SHOULDERS), max(1, side // GAP)
    above, start = near.copy(), np.zeros_like(near)
    above[shoulders:] = False
    start[0], start[:, [0, -1]] = above[0], above[:, [0, -1]]
    reached = flooded(start, above)
    room = near & ~grown(~near, gap)
    room[:shoulders] = False
    reached = flooded(reached, reached | room)
    for _ in range(2 * gap):  # to the outlines, and a little into what is narrow
        reached = grown(reached, 1) & near
    return reached


def middle(shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """The middle of a picture, half as high and wide as it is, where faces are."""
    mask = np.zeros(shape, bool)
    mask[shape[0] // 4 : -(shape[0] // 4), shape[1] // 4 : -(shape[1] // 4)] = True
    return mask


def flooded(start: Bool[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The part of a mask that is connected to `start`, which lies in it.

    Each pixel is visited once, so that a winding path takes no longer than a plain background.
    """
    framed = np.pad(mask, 1)  # (H + 2, W + 2)
    left, width = framed.ravel().copy(), framed.shape[1]  # left: not reached yet
    reached = np.flatnonzero(np.pad(start, 1))
    while len(reached):
        left[reached] = False
        beside = np.concatenate([reached - width, reached + width, reached - 1, reached + 1])
        reached = np.unique(beside[left[beside]])
    return (framed & ~left.reshape(framed.shape))[1:-1, 1:-1]


def grown(mask: Bool[np.ndarray, "h w"], pixels: int) -> Bool[np.ndarray, "h w"]:
    """A mask with the pixels beside it."""
    for _ in range(pixels):
        wider = mask.copy()
        wider[1:] |= mask[:-1]
        wider[:-1] |= mask[1:]
        wider[:, 1:] |= mask[:, :-1]
        wider[:, :-1] |= mask[:, 1:]
        mask = wider
    return mask


def without_background(face: UInt8[np.ndarray, "h w 3"], alpha: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """The colours of a face where the background shines through, without the background's part in them."""
    share = np.maximum(alpha[..., None].astype(np.float32) / 255, 1 / 255)  # (H, W, 1)
    own = (face - border_colour(face) * (1 - share)) / share
    return own.round().clip(0, 255).astype(np.uint8)


def disc(side: int) -> UInt8[np.ndarray, "side side"]:
    """A disc in a square, 255 inside, with a smooth edge."""
    places = (np.arange(side * ROUND_SCALE) + 0.5) / ROUND_SCALE - side / 2
    inside = places[:, None] ** 2 + places**2 <= (side / 2) ** 2
    return (inside.reshape(side, ROUND_SCALE, side, ROUND_SCALE).mean((1, 3)) * 255).round().astype(np.uint8)


def banner(picture: UInt8[np.ndarray, "h h 4"], colour: np.ndarray, transparent: bool) -> UInt8[np.ndarray, "h w 4"]:
    """A picture in the middle of a banner, whose rest has the colour of the background or is transparent."""
    side = picture.shape[0]
    wide = np.zeros((side, BANNER_RATIO * side, 4), np.uint8)
    wide[:] = (*colour.round().clip(0, 255), 0 if transparent else 255)
    left = (wide.shape[1] - side) // 2
    wide[:, left : left + side] = picture
    return wide
