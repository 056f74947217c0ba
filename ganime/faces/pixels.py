"""Pictures of any mode and depth as RGB of 8 bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ganime.shapes import UInt8

NUMBERS = {"I", "I;16", "I;16B", "I;16L", "I;16N", "F"}  # modes of Pillow with more than 8 bits
TRANSPARENT = {"LA", "PA", "RGBA", "RGBa", "La"}
BITS_TAG, PHOTOMETRIC_TAG, WHITE_IS_ZERO = 258, 262, 0  # of TIFF
BAND_PIXELS = 2**18  # that are converted at a time
GREY_LEVELS = 12  # of 255; channels that never differ by more are grey with traces of compression


def to_rgb(image: Image.Image, factor: int = 1) -> Image.Image:
    """Any mode as RGB: numbers scaled to 8 bits, transparency composited on white. An RGB picture is given as it is.

    factor: by which both sides are reduced. A band of rows is converted at a time, so that nothing but the result is in
    memory beside the picture.
    """
    if image.mode == "RGB" and "transparency" not in image.info and factor == 1:
        return image
    rows = factor * max(1, BAND_PIXELS // image.width // factor)
    bands = [(0, top, image.width, min(top + rows, image.height)) for top in range(0, image.height, rows)]
    scale = Scale.of(image, bands) if image.mode in NUMBERS else None
    result = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for band in bands:
        converted = band_to_rgb(image.crop(band), scale)
        result.paste(converted.reduce(factor), (0, band[1] // factor))
    return result


def band_to_rgb(image: Image.Image, scale: Scale | None) -> Image.Image:
    """A part of a picture as RGB. scale: of one whose pixels are numbers."""
    if scale:
        return Image.fromarray(scale.levels(image)).convert("RGB")
    if image.mode in TRANSPARENT or "transparency" in image.info:
        image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


@dataclass(frozen=True)
class Scale:
    """How grey of 16 or 32 bits, or of floating-point numbers, becomes 8 bits.

    white: the number that stands for white. inverted: whether it stands for black instead. transparent: the number that
    stands for nothing, None if there is none.
    """

    white: int
    inverted: bool
    transparent: int | None

    @classmethod
    def of(cls, image: Image.Image, bands: Sequence[tuple[int, int, int, int]]) -> Scale:
        """The scale of a picture. bands: boxes that it consists of."""
        tags, transparent = getattr(image, "tag_v2", {}), image.info.get("transparency")
        most = max(np.nan_to_num(np.asarray(image.crop(band))).max() for band in bands)
        white = full_scale(most, image.mode, tags.get(BITS_TAG, (0,))[0])
        inverted = tags.get(PHOTOMETRIC_TAG) == WHITE_IS_ZERO
        return cls(white, inverted, transparent if isinstance(transparent, int) else None)

    def levels(self, image: Image.Image) -> UInt8[np.ndarray, "height width"]:
        """A part of the picture as 8 bits."""
        values = np.nan_to_num(np.asarray(image))
        clipped = values.clip(0, self.white)
        scaled = clipped * 255.0 / self.white if image.mode == "F" else clipped.astype(np.int64) * 255 // self.white
        levels = scaled.astype(np.uint8)
        levels = 255 - levels if self.inverted else levels
        if self.transparent is not None:
            levels[values == self.transparent] = 255
        return levels


def full_scale(most: float, mode: str, bits: int) -> int:
    """The number that stands for white.

    most: the largest number of the picture. bits: that a TIFF states, 0 for other formats, which scale to 16 by
    themselves.

    Numbers of 32 bits have no agreed scale: the smallest of the usual ones is taken that has room for all of them.
    """
    if mode not in ("I", "F") or not (bits or mode == "F"):
        return 2**bits - 1 if 8 < bits < 16 else 65_535
    if bits == 16 and mode == "I":  # with a sign
        return 32_767
    usual = (1, 255, 65_535) if mode == "F" else (255, 65_535)
    return next((scale for scale in usual if most <= scale), int(most))


def is_grey(face: UInt8[np.ndarray, "size size 3"]) -> bool:
    """Whether no pixel of a face has more than a trace of colour."""
    return bool((face.max(2) - face.min(2)).max() <= GREY_LEVELS)
