"""The sharp picture of a face on view, for the tabs Generate and Explore."""

from __future__ import annotations

from collections.abc import Callable

from app.components.bridge import SHARPENING, Answer, picture_url, server_function
from app.faces.incoming import RecipeText, parse_recipes
from app.faces.studio import Studio
from ganime.images import webp_bytes

SHARP_SIDE = 512  # px


def sharp_function(studio: Studio) -> Callable[..., Answer]:
    """The server function `sharp`: a face at 512 px. sharp.js shows it; its arguments come from the network."""

    def sharp(key: str, recipe: RecipeText) -> str:
        model, [face] = studio.open(key), parse_recipes([recipe])
        [picture] = model.sharpened(model.draw([face]).faces, SHARP_SIDE)
        return picture_url("webp", webp_bytes(picture, quality=90))

    return server_function(sharp, lambda picture: {"picture": picture}, SHARPENING)
