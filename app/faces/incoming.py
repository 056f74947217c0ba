"""Recipes and pictures as they arrive from the network: their limits, and how they are parsed."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from app.faces.loaded_model import MAX_FACES
from ganime.drawing.directions import MAX_DIRECTIONS, MAX_NAME
from ganime.drawing.recipe import MAX_VECTOR, Recipe
from ganime.errors import DataError

MAX_PROJECTED_BYTES = 4 * 2**20
MAX_BASE64 = MAX_PROJECTED_BYTES * 4 // 3 + 4  # characters of such a picture
MAX_RECIPE_TEXT = MAX_VECTOR + 1000  # characters of a recipe in JSON
MAX_OWN = 32  # directions of a visitor, for each model
RecipeText = Annotated[str, Field(max_length=MAX_RECIPE_TEXT)]
RecipeTexts = Annotated[list[RecipeText], Field(max_length=MAX_FACES)]
Name = Annotated[str, Field(max_length=MAX_NAME)]
Amounts = Annotated[dict[str, float], Field(max_length=MAX_DIRECTIONS)]
OwnVectors = Annotated[dict[Name, RecipeText], Field(max_length=MAX_OWN)]
Base64 = Annotated[str, Field(max_length=MAX_BASE64)]


def parse_recipes(texts: Sequence[str]) -> list[Recipe]:
    """Recipes from JSON texts, of the faces themselves even if the text is that of a sharpened picture.

    Raises RecipeError for a text that is not a recipe.
    """
    return [replace(Recipe.from_json(text), sharpened=0) for text in texts]


def picture_bytes(text: str) -> bytes:
    """The bytes of a picture from base64. Raises DataError for any other text and for more than 4 MiB."""
    try:
        picture = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"Give the picture as base64 text ({error}).") from error
    if len(picture) > MAX_PROJECTED_BYTES:
        raise DataError(f"A picture may have at most {MAX_PROJECTED_BYTES:,} bytes; this one has {len(picture):,}.")
    return picture
