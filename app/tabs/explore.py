"""The Explore tab: one face on a stage, tools around it, and a tray of favourites, all kept by explore.js."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import gradio as gr
from pydantic import Field

from app.components.bridge import (
    DRAWING,
    LIVE,
    Answer,
    Trigger,
    component,
    error_answer,
    expected_errors,
    file_function,
    page_call,
    picture_url,
    server_function,
    sheet_url,
)
from app.errors import visitor_text
from app.faces.incoming import (
    MAX_OWN,
    Amounts,
    Base64,
    Name,
    OwnVectors,
    RecipeText,
    RecipeTexts,
    parse_recipes,
    picture_bytes,
)
from app.faces.library import JOB_PREFIX
from app.faces.loaded_model import MAX_FACES, NO_VECTORS, TOOL_FACES, Drawn, FaceSize, feature_net
from app.faces.studio import Studio
from app.faces.walks import MAX_WALK_FRAMES, film_suffixes
from app.tabs.job_view import JobKeys
from app.tabs.long_work import work_functions
from app.tabs.look_inside import look_inside_functions
from app.tabs.sharp_view import sharp_function
from app.tabs.walks import walk_functions
from ganime.drawing.attribute_search import ChosenFaces, SearchProgress
from ganime.drawing.direction_search import group
from ganime.drawing.directions import Direction
from ganime.drawing.projection import Projection, ProjectionProgress
from ganime.drawing.recipe import Recipe, encoded
from ganime.errors import CheckpointError, GanimeError
from ganime.images import SHEET_COLUMNS, webp_bytes

Names = Annotated[list[str], Field(max_length=64)]
Key = Annotated[str, Field(max_length=200)]
LOG = logging.getLogger(__name__)
SECTIONS = ("Hair colour", "Eyes", "Expression", "Other", "Your own", "Unnamed")  # of sliders and attributes
EXPRESSIONS = ("smile", "open_mouth", "blush")
UNNAMED_LABELS = {"sefa": "pattern", "pca": "variation"}  # by the method that found the direction
METHODS = {
    "sefa": "A direction that the first layer responds to most strongly, computed from its weights (SeFa).",
    "pca": "A direction in which the first layer's responses vary most from face to face (PCA).",
}


def build(studio: Studio, model_key: gr.State, opened: Trigger) -> gr.HTML:
    """Build the tab and return its component, whose event `bring` asks for the model, by key, that drew a face.

    model_key: the model that draws.
    opened: fires when a visitor opens the page.
    """
    functions = [*face_functions(studio), *search_functions(studio), *file_functions(studio)]
    functions += [*walk_functions(studio), *look_inside_functions(studio), *work_functions(studio)]
    functions.append(sharp_function(studio))
    stage = component("explore", functions, "explore", ("bring", "gone"))

    gr.on([opened, model_key.change], partial(stage_value, studio), model_key, stage, **LIVE)
    opened(None, None, None, js=page_call("openLink"), api_visibility="private")
    return stage


@expected_errors(error_answer)
def stage_value(studio: Studio, key: str, sent: str = "") -> Answer:
    """The value of explore.js: what it needs of the model, or {"error": text}.

    sent: a recipe from elsewhere on the page, to be shown. The time in the value lets the same face be sent twice.
    """
    model = studio.open(key)
    sliders, note = [], ""
    try:
        sliders = [slider_value(direction) for direction in model.directions().items]
    except GanimeError as error:  # damaged, or of other weights; everything else works without them
        LOG.warning("%s", error)
        note = "This model has no sliders: its directions are damaged or belong to other weights."
    attributes = [{"name": name, "label": label(name), "group": section(name)} for name in feature_net().attributes]
    return {
        "key": key,
        "model": model.checkpoint.name,
        "revision": model.checkpoint.revision,
        "trained": key.startswith(JOB_PREFIX),
        "embedded": studio.library.embedded().name,
        "side": model.image_size,
        "clarity": model.default_clarity,
        "steers": by_section(sliders),
        "note": note,
        "attributes": by_section(attributes),
        "most": MAX_FACES,
        "mostOwn": MAX_OWN,
        "frames": MAX_WALK_FRAMES,
        "endings": film_suffixes(),
        "sent": sent,
        "time": time.time(),
    }


def slider_value(direction: Direction) -> dict[str, str]:
    """A slider of the Steer tool."""
    name, kind = direction.name, direction.kind
    return {"name": name, "label": label(name, kind), "group": section(name, kind), "title": METHODS.get(kind, "")}


def by_section(entries: list[dict[str, str]]) -> list[dict[str, str]]:
    """Sliders or attributes in the order of their sections."""
    return sorted(entries, key=lambda entry: SECTIONS.index(entry["group"]))


def label(name: str, kind: str = "attribute") -> str:
    """The label of a slider or an attribute; unnamed directions are numbered."""
    words = f"{UNNAMED_LABELS[kind]} {name.rpartition('-')[2]}" if kind in UNNAMED_LABELS else name
    return words.replace("_", " ").capitalize()


def section(name: str, kind: str = "attribute") -> str:
    """The section that a slider or an attribute belongs to, one of SECTIONS."""
    if kind in UNNAMED_LABELS:
        return "Unnamed"
    if kind == "own":
        return "Your own"
    if name in EXPRESSIONS:
        return "Expression"
    return {"hair colour": "Hair colour", "eye colour": "Eyes"}.get(group(name), "Other")


def face_functions(studio: Studio) -> list[Callable[..., Answer]]:
    """The server functions that draw faces and make directions.

    Every argument comes from the network; the first is the model's key.
    """

    def draw(key: str, recipes: RecipeTexts) -> Drawn:
        return studio.open(key).draw(parse_recipes(recipes))

    def vary(key: str, recipe: RecipeText, strength: float, seed: int) -> Drawn:
        return studio.open(key).vary(Recipe.from_json(recipe), strength, seed)

    def steer(key: str, recipe: RecipeText, amounts: Amounts, own: OwnVectors | None = None) -> Drawn:
        return studio.open(key).steer(Recipe.from_json(recipe), amounts, own or NO_VECTORS)

    def breed(key: str, recipes: RecipeTexts, mutation: float, seed: int) -> Drawn:
        return studio.open(key).breed(parse_recipes(recipes), mutation, seed)

    def mix(key: str, a: RecipeText, b: RecipeText, c: RecipeText) -> Drawn:
        return studio.open(key).arithmetic(*parse_recipes([a, b, c]))

    def own_sliders(key: str, name: Name, amounts: Amounts, own: OwnVectors) -> Direction:
        return studio.open(key).direction_of_sliders(name, amounts, own)

    def own_faces(key: str, name: Name, a: RecipeText, b: RecipeText) -> Direction:
        return studio.open(key).direction_between(name, *parse_recipes([a, b]))

    return [
        *(server_function(function, tiles_value, DRAWING) for function in (draw, vary, steer, breed, mix)),
        *(server_function(function, direction_value, DRAWING) for function in (own_sliders, own_faces)),
    ]


def search_functions(studio: Studio) -> list[Callable[..., Answer]]:
    """The server functions that search for faces, and for the model that drew one."""

    def choose(visitor: str, key: str, wanted: Names, seed: int) -> Answer:
        return {"search": studio.work.begin("search", visitor, studio.open(key).choose(wanted, seed), search_value)}

    def project(visitor: str, key: str, picture: Base64) -> Answer:
        steps = studio.open(key).project(picture_bytes(picture))
        return {"search": studio.work.begin("search", visitor, steps, search_value)}

    def drawer(key: str, recipe: RecipeText, current: Key, jobs: JobKeys) -> Answer:
        face = Recipe.from_json(recipe)
        try:
            return {"key": studio.library.key_of(face.model, face.revision, current, jobs)}
        except CheckpointError as error:  # a second attempt would fail, too
            return {"key": "", "text": visitor_text(error)}

    return [
        *(server_function(function, visitor_of=studio.visitor) for function in (choose, project)),
        server_function(drawer),
    ]


def file_functions(studio: Studio) -> list[Callable[[Any], dict[str, str]]]:
    """The downloads of the tab."""

    def keep_file(key: str, recipe: RecipeText, size: FaceSize) -> tuple[str, bytes]:
        face, model = Recipe.from_json(recipe), studio.open(key)
        model.check([face])
        return f"face-{face.seed}.png", model.pngs([face], size)[0]

    def tray_file(key: str, recipes: RecipeTexts) -> tuple[str, bytes]:
        faces, model = parse_recipes(recipes), studio.open(key)
        model.check(faces)
        return "faces.zip", model.faces_zip(faces)

    return [file_function(keep_file), file_function(tray_file)]


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
        text = f"{matches} of {len(faces)} match. ({event.looked_at} faces checked in {event.seconds:.1f} s)"
        return tiles_value(Drawn(faces, event.faces)) | {"text": text, "carries": event.carries.tolist()}
    if isinstance(event, Projection):
        return tiles_value(Drawn([event.recipe], event.face[None])) | {
            "text": f"{closeness(event.percentile)} ({event.seconds:.1f} s)",
        }
    if isinstance(event, ProjectionProgress):
        return {"progress": event.progress, "face": picture_url("webp", webp_bytes(event.face))}
    adjusting = " Too few match, so some are being adjusted." if event.searching else ""
    return {
        "progress": event.found / TOOL_FACES,
        "text": f"{event.found} found among {event.looked_at} faces.{adjusting}",
    }


def closeness(percentile: float) -> str:
    """How close a projection is, without claiming more than was measured.

    percentile: of random pairs of faces, how many are closer to each other, 0 to 100.
    """
    share = "99% or more" if percentile <= 1 else f"{100 - percentile:.0f}%"
    closer = f"It is closer to your picture than {share} of random pairs of faces are to each other."
    if percentile < 5:
        return f"A close match. {closer}"
    if percentile < 40:
        return f"Similar in part. {closer}"
    return f"Not close: this model draws no such face. {closer}"
