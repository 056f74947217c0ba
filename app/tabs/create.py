"""The server functions of the Create tab beside drawing: own sliders, and searches for faces."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.components.bridge import Answer, ServerFunction, picture_url, server_function, sheet_url
from app.faces.incoming import Amounts, Base64, Name, OwnVectors, RecipeText, parse_recipes, picture_bytes
from app.faces.loaded_model import TOOL_FACES, Drawn
from app.faces.studio import Studio
from ganime.drawing.attribute_search import ChosenFaces, SearchProgress
from ganime.drawing.directions import Direction
from ganime.drawing.projection import Projection, ProjectionProgress
from ganime.drawing.recipe import encoded
from ganime.images import SHEET_COLUMNS, webp_bytes
from ganime.text import in_seconds

CLEAR = 0.1  # share of the model's faces that a clear one surpasses, at least
PARTLY = 40  # percentile below which a projection is similar in part
Names = Annotated[list[str], Field(max_length=64)]


def slider_functions(studio: Studio) -> list[ServerFunction]:
    """The server functions that make a visitor's own sliders.

    Every argument comes from the network; the first is the model's key.
    """

    def own_sliders(key: str, name: Name, amounts: Amounts, own: OwnVectors) -> Direction:
        return studio.open(key).direction_of_sliders(name, amounts, own)

    def own_faces(key: str, name: Name, a: RecipeText, b: RecipeText) -> Direction:
        return studio.open(key).direction_between(name, *parse_recipes([a, b]))

    door = studio.door(studio.limits.draw)
    return [server_function(function, door, direction_value) for function in (own_sliders, own_faces)]


def search_functions(studio: Studio) -> list[ServerFunction]:
    """The server functions that search for faces."""

    def choose(visitor: str, key: str, wanted: Names, seed: int) -> Answer:
        return {"work": studio.work.begin("search", visitor, studio.open(key).choose(wanted, seed), search_value)}

    def project(visitor: str, key: str, picture: Base64) -> Answer:
        steps = studio.open(key).project(picture_bytes(picture))
        return {"work": studio.work.begin("search", visitor, steps, search_value)}

    door = studio.beginning("search")
    return [server_function(function, door, visitor_of=studio.visitor) for function in (choose, project)]


def tiles_value(drawn: Drawn) -> Answer:
    """Faces in one lossless sheet, with their recipes as text."""
    return {
        "recipes": [recipe.to_json() for recipe in drawn.recipes],
        "sheet": sheet_url(drawn.faces),
        "columns": SHEET_COLUMNS,
        "side": drawn.faces.shape[1],
    }


def direction_value(direction: Direction) -> Answer:
    """A visitor's direction, as the browser keeps it."""
    return {"name": direction.name, "vector": encoded(direction.vector)}


def search_value(event: SearchProgress | ChosenFaces | ProjectionProgress | Projection | None) -> Answer:
    """The progress of a search, None before its first step, or its result."""
    if event is None:
        return {"progress": 0.0, "text": ""}
    if isinstance(event, ChosenFaces):
        matches, faces = int(event.carries.sum()), list(event.recipes)
        looked_at = f"{event.looked_at:,} faces looked at in {in_seconds(event.seconds)}"
        text = f"{matches} of {len(faces)} seem to match. ({looked_at})"
        return tiles_value(Drawn(faces, event.faces)) | {"text": text, "carries": event.carries.tolist()}
    if isinstance(event, Projection):
        return tiles_value(Drawn([event.recipe], event.face[None])) | {
            "text": f"{closeness(event.percentile, event.clearer)} ({in_seconds(event.seconds)})",
            "blurred": event.percentile < PARTLY and is_blurred(event.clearer),
        }
    if isinstance(event, ProjectionProgress):
        return {
            "progress": event.progress,
            "face": picture_url("webp", webp_bytes(event.face)),
            "recipe": event.recipe.to_json(),
        }
    adjusting = " The others are being made from faces that come close." if event.searching else ""
    return {
        "progress": event.found / TOOL_FACES,
        "text": f"{event.found} of {TOOL_FACES} found, {event.looked_at:,} faces looked at.{adjusting}",
        "found": [recipe.to_json() for recipe in event.recipes],
    }


def is_blurred(clearer: float | None) -> bool:
    """Whether a face is among the model's least clear ones; see `closeness`."""
    return clearer is not None and clearer < CLEAR


def closeness(percentile: float, clearer: float | None = None) -> str:
    """How close a projection is, without claiming more than was measured.

    percentile: of random pairs of faces, how many are closer to each other, 0 to 100.
    clearer: than this share of the model's faces; None where that is not known.
    """
    if percentile < PARTLY and is_blurred(clearer):
        return "Close, but blurred."
    closer = f"{min(99.0, max(1.0, percentile)):.0f}% of random pairs of faces are closer."
    if percentile < PARTLY:
        return f"{'A close match' if percentile < 5 else 'Similar in part'}. Only {closer}"
    return f"Not close: this model draws no such face. {closer}"
