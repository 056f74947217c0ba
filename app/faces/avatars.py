"""Avatars as files: a sharp face as a circle, as a banner, or without its background."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from app.faces.loaded_model import LoadedModel
from ganime.drawing.avatar import avatar
from ganime.drawing.recipe import Recipe
from ganime.images import png_bytes

AvatarShape = Literal["circle", "banner", "cutout"]  # the last is a square without its background
AVATAR_SIDE = 512  # px


def avatar_png(model: LoadedModel, recipe: Recipe, shape: AvatarShape) -> bytes:
    """A face as an avatar, as PNG with its recipe inside.

    Raises DataError, for "cutout", if the face has no plain background.
    """
    [face] = model.draw([recipe]).faces
    large = model.image_size < AVATAR_SIDE
    if large:
        [face] = model.sharpened(face[None], AVATAR_SIDE)
    cut = shape == "cutout"
    picture = avatar(face, "square" if cut else shape, cut)
    return png_bytes(picture, replace(recipe, sharpened=AVATAR_SIDE if large else 0).to_json())
