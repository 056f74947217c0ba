"""Pictures of any mode and depth as RGB of 8 bits."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ganime.shapes import UInt8

NUMBERS = {"I", "I;16", "I;16B", "I;16L", "I;16N", "F"}  # modes of Pillow with more than 8 bits
TRANSPARENT = {"LA", "PA", "RGBA", "RGBa", "La"}
BITS_TAG, PHOTOMETRIC_TAG, WHITE_IS_ZERO = 258, 262, 0  # of TIFF
GREY_LEVELS = 12  # of 255; channels that never differ by more are grey with traces of compression


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB: numbers scaled to 8 bits, transparency composited on white."""
    if image.mode in NUMBERS:
        return Image.fromarray(to_levels(image)).convert("RGB")
    if image.mode in TRANSPARENT or "transparency" in image.info:
        image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def to_levels(image: Image.Image) -> UInt8[np.ndarray, "height width"]:
    """Grey of 16 or 32 bits, or of floating-point numbers, as 8 bits."""
    values = np.nan_to_num(np.asarray(image))
    tags = getattr(image, "tag_v2", {})
    scale = full_scale(values, image.mode, tags.get(BITS_TAG, (0,))[0])
    clipped = values.clip(0, scale)
    levels = (clipped * 255.0 / scale if image.mode == "F" else clipped.astype(np.int64) * 255 // scale).astype(
        np.uint8
    )
    if tags.get(PHOTOMETRIC_TAG) == WHITE_IS_ZERO:
        levels = 255 - levels
    if isinstance(transparent := image.info.get("transparency"), int):
        levels[values == transparent] = 255
    return levels


def full_scale(values: np.ndarray, mode: str, bits: int) -> int:
    """The number that stands for white. bits: that a TIFF states, 0 for other formats, which scale to 16 by themselves.

    Numbers of 32 bits have no agreed scale: the smallest of the usual ones is taken that has room for all of them.
    """
    if mode not in ("I", "F") or not (bits or mode == "F"):
        return 2**bits - 1 if 8 < bits < 16 else 65_535
    if bits == 16 and mode == "I":  # with a sign
        return 32_767
    usual = (1, 255, 65_535) if mode == "F" else (255, 65_535)
    return next((scale for scale in usual if values.max() <= scale), int(values.max()))


def is_grey(face: UInt8[np.ndarray, "size size 3"]) -> bool:
    """Whether no pixel of a face has more than a trace of colour."""
    return bool((face.max(2) - face.min(2)).max() <= GREY_LEVELS)
