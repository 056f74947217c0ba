"""Links to this page that name faces, as app/components/shared/links.js makes them.

    ?face=RECIPE   a face; RECIPE is its recipe as JSON
    ?tray=LIST     several faces; LIST is a JSON list of recipes
    ?walk=WALK     a film; WALK is {"model", "revision", "faces": [a recipe, without the two if it has the same], ...}

The query reaches the server, which can therefore draw a preview of the link. `#job=KEY`, which opens a training job,
does not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.faces.loaded_model import MAX_FACES
from ganime.drawing.recipe import Recipe
from ganime.errors import RecipeError

KINDS = ("face", "tray", "walk")
MAX_LINK = 16_000  # characters of its value; the page makes links of 8,000


@dataclass(frozen=True)
class Link:
    """What a link names. kind: one of KINDS. text: its value in the link. recipes: at least one."""

    kind: str
    text: str
    recipes: tuple[Recipe, ...]

    @property
    def title(self) -> str:
        """What the link leads to, in a few words."""
        count, [first, *_] = len(self.recipes), self.recipes
        if self.kind == "walk":
            return f"A film through {count} faces"
        if count > 1:
            return f"{count} anime faces"
        return "An edited anime face" if first.vector is not None else f"Anime face, seed\N{NO-BREAK SPACE}{first.seed}"

    @property
    def caption(self) -> str:
        """What can be done with it, in one sentence."""
        if self.kind == "walk":
            return "Open it to watch and save the film."
        if len(self.recipes) > 1:
            return "Open them to keep, mix and change them."
        return "Open it to change its hair, eyes and expression."


def read_link(query: Mapping[str, str]) -> Link | None:
    """What an address names; None if it names nothing. Raises RecipeError for what cannot be read."""
    kind = next((kind for kind in KINDS if query.get(kind)), None)
    if kind is None:
        return None
    text = query[kind]
    if len(text) > MAX_LINK:
        raise RecipeError(f"A link may name a {kind} in at most {MAX_LINK:,} characters; got {len(text):,}.")
    try:
        recipes = tuple(recipe_of(face) for face in faces_of(kind, json.loads(text)))
    except (ValueError, RecursionError) as error:
        if isinstance(error, RecipeError):
            raise
        raise RecipeError(f"The {kind} in this link is not JSON; it may have been cut short.") from error
    if not recipes:
        raise RecipeError(f"The {kind} in this link holds no face.")
    return Link(kind, text, recipes)


def faces_of(kind: str, value: Any) -> list[Any]:
    """The faces in the value of a link, each with its model. Raises RecipeError for another value."""
    if kind == "face":
        return [value]
    if kind == "walk" and isinstance(value, dict):
        model = {name: value.get(name) for name in ("model", "revision")}
        faces = value.get("faces")
        value = [{**model, **face} for face in faces if isinstance(face, dict)] if isinstance(faces, list) else None
    if not isinstance(value, list):
        raise RecipeError(f"The {kind} in this link is not a list of faces.")
    if len(value) > MAX_FACES:
        raise RecipeError(f"A {kind} has at most {MAX_FACES} faces; this one has {len(value):,}.")
    return value


def recipe_of(value: Any) -> Recipe:
    """A recipe from JSON. Raises RecipeError for another value."""
    if not isinstance(value, dict):
        raise RecipeError("A face in this link is not a recipe.")
    return Recipe.from_json(json.dumps(value | {"sharpened": 0}))
