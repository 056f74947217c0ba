"""The Explore tab: one face on a stage, tools around it, and a tray of favourites; explore.js holds the state."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Annotated, Any

import gradio as gr
from pydantic import Field

from app.components.bridge import (
    DRAWING,
    LOADING,
    answer_with_file,
    answered,
    component,
    page_call,
    picture_url,
    sheet_url,
)
from app.components.theme import LIVE, Trigger, shown
from app.faces.explorer import (
    CHILDREN,
    HEADINGS,
    MAX_PICTURE_TEXT,
    NONE,
    Drawn,
    Explorer,
    Text,
    Texts,
    heading,
    parsed,
    unpacked,
)
from app.faces.library import JOB_PREFIX
from app.faces.studio import MAX_FACES, Size
from app.tabs.look_inside import Insight, insight_functions
from app.tabs.walks import MAX_FRAMES, endings, walk_functions
from ganime.drawing.attribute_search import Choice
from ganime.drawing.directions import MAX_DIRECTIONS, MAX_NAME, Direction
from ganime.drawing.projection import Nearing, Projection
from ganime.drawing.recipe import Recipe, encoded
from ganime.errors import CheckpointError, GanimeError
from ganime.images import SHEET_COLUMNS, webp_bytes

Amounts = Annotated[dict[str, float], Field(max_length=MAX_DIRECTIONS)]
Names = Annotated[list[str], Field(max_length=64)]
Name = Annotated[str, Field(max_length=MAX_NAME)]
MOST_OWN = 32  # directions of a visitor's own, for each model
Own = Annotated[dict[Name, Text], Field(max_length=MOST_OWN)]
Key = Annotated[str, Field(max_length=200)]
Keys = Annotated[list[Key], Field(max_length=50)]
Base64 = Annotated[str, Field(max_length=MAX_PICTURE_TEXT)]
Answer = dict[str, Any]
LOG = logging.getLogger(__name__)
PATTERNS = {"sefa": "pattern", "pca": "variation"}  # the sliders without a name, by how they were found
METHODS = {
    "sefa": "A direction that the first layer answers most strongly, read off its weights (SeFa). Nobody has named it.",
    "pca": "A direction in which the first layer's answers differ most from face to face (PCA). Nobody has named it.",
}


def build(explorer: Explorer, model_key: gr.State, opened: Trigger) -> gr.HTML:
    """The tab's component; returns it. Its event `bring` asks for the model, by key, that a face was drawn by.

    model_key: which model draws. opened: fires when a visitor opens the page.
    """
    functions = [*server_functions(explorer), *walk_functions(explorer), *file_functions(explorer)]
    functions += insight_functions(Insight(explorer))
    stage = component("explore", functions, "explore", ("bring", "gone"))

    @shown
    def tell(key: str) -> Answer:
        return stage_value(explorer, key)

    gr.on([opened, model_key.change], tell, model_key, stage, **LIVE)
    opened(None, None, None, js=page_call("openLink"), api_visibility="private")
    return stage


@shown
def sent_value(explorer: Explorer, key: str, recipe: str) -> Answer:
    """The value by which a face from elsewhere on the page comes to the stage, or {"error": text}."""
    return stage_value(explorer, key, recipe)


def stage_value(explorer: Explorer, key: str, sent: str = "") -> Answer:
    """What explore.js knows of the model; sent: a recipe from elsewhere on the page that is to be shown.

    The time makes two values of the same face sent twice.
    """
    checkpoint, note, steers = explorer.checkpoint(key), "", []
    try:
        for item in explorer.directions(key).items:
            words = {"label": label(item.name, item.kind), "title": METHODS.get(item.kind, "")}
            steers.append({"name": item.name, "group": heading(item.name, item.kind), **words})
        steers.sort(key=lambda entry: HEADINGS.index(entry["group"]))
    except GanimeError as error:  # its directions are damaged or of other weights: all else works without them
        LOG.warning("%s", error)
        note = "The sliders of this model are damaged or were made for other weights, so there are none."
    attributes = [{"name": n, "label": label(n), "group": heading(n)} for n in explorer.net.attributes]
    return {
        "key": key,
        "model": checkpoint.name,
        "revision": checkpoint.revision,
        "trained": key.startswith(JOB_PREFIX),
        "embedded": explorer.studio.library.embedded().name,
        "side": checkpoint.generator.config.image_size,
        "steers": steers,
        "note": note,
        "attributes": sorted(attributes, key=lambda entry: HEADINGS.index(entry["group"])),
        "most": MAX_FACES,
        "mostOwn": MOST_OWN,
        "frames": MAX_FRAMES,
        "endings": endings(),
        "sent": sent,
        "time": time.time(),
    }


def label(name: str, kind: str = "attribute") -> str:
    """What a slider or an attribute is called; those that nobody has named go by their number."""
    plain = f"{PATTERNS[kind]} {name.rpartition('-')[2]}" if kind in PATTERNS else name
    return plain.replace("_", " ").capitalize()


def server_functions(explorer: Explorer) -> list[Callable[..., Answer]]:
    """What explore.js asks for; every argument comes from the network, the first is the model's key."""

    def draw(key: str, recipes: Texts) -> Drawn:
        return explorer.draw(key, parsed(recipes))

    def vary(key: str, recipe: Text, strength: float, seed: int) -> Drawn:
        return explorer.vary(key, Recipe.from_json(recipe), strength, seed)

    def steer(key: str, recipe: Text, amounts: Amounts, own: Own | None = None) -> Drawn:
        return explorer.steer(key, Recipe.from_json(recipe), amounts, own or NONE)

    def own_sliders(key: str, name: Name, amounts: Amounts, own: Own) -> Answer:
        return own_value(explorer.own_way(key, name, amounts, own))

    def own_faces(key: str, name: Name, a: Text, b: Text) -> Answer:
        return own_value(explorer.own_way(key, name, {}, faces=(Recipe.from_json(a), Recipe.from_json(b))))

    def breed(key: str, recipes: Texts, mutation: float, seed: int) -> Drawn:
        return explorer.breed(key, parsed(recipes), mutation, seed)

    def mix(key: str, a: Text, b: Text, c: Text) -> Drawn:
        return explorer.arithmetic(key, *parsed([a, b, c]))

    def choose(visitor: str, key: str, wanted: Names, seed: int) -> Answer:
        return {"search": explorer.searches.begin(visitor, explorer.choose(key, wanted, seed))}

    def project(visitor: str, key: str, picture: Base64) -> Answer:
        return {"search": explorer.searches.begin(visitor, explorer.project(key, unpacked(picture)))}

    def drawer(key: str, recipe: Text, known: Key, jobs: Keys) -> Answer:
        face = Recipe.from_json(recipe)
        try:
            return {"key": explorer.studio.library.drawer(face.model, face.revision, known, jobs)}
        except CheckpointError as error:  # to ask again is of no use
            return {"key": "", "text": str(error)}

    def ask(key: str, search: str) -> Answer:
        event, _ = explorer.searches.go_on(search)
        answer = search_value(event)
        if "progress" not in answer:  # nobody asks again
            explorer.searches.end(search)
        return answer

    def leave(key: str, search: str) -> Answer:
        explorer.searches.end(search)
        return {}

    tiled = [answered(make, tiles, DRAWING) for make in (draw, vary, steer, breed, mix)]
    owned = [answered(make, turn=DRAWING) for make in (own_sliders, own_faces)]
    begun = [answered(make, visitor=explorer.visitor) for make in (choose, project)]
    return [*tiled, *owned, *begun, answered(drawer, turn=LOADING), answered(ask), answered(leave)]


def file_functions(explorer: Explorer) -> list[Callable[[Any], dict[str, str]]]:
    """The downloads of explore.js."""

    def keep_file(key: str, recipe: Text, size: Size) -> tuple[str, bytes]:
        one = Recipe.from_json(recipe)
        explorer.checkpoint(key, [one])
        return f"face-{one.seed}.png", explorer.studio.face_pngs(key, [one], size or None)[0]

    def tray_file(key: str, recipes: Texts) -> tuple[str, bytes]:
        explorer.checkpoint(key, faces := parsed(recipes))
        return "faces.zip", explorer.studio.faces_zip(key, faces)

    return [answer_with_file(make) for make in (keep_file, tray_file)]


def tiles(drawn: Drawn) -> Answer:
    """Faces in one exact sheet, with their recipes as text."""
    return {
        "recipes": [recipe.to_json() for recipe in drawn.recipes],
        "sheet": sheet_url(drawn.faces),
        "columns": SHEET_COLUMNS,
        "side": drawn.faces.shape[1],
    }


def own_value(way: Direction) -> Answer:
    """A direction of a visitor's own, as the browser keeps it."""
    return {"name": way.name, "vector": encoded(way.vector)}


def search_value(event: Any) -> Answer:
    """How far a search has come, None before its first step, or what it found."""
    if event is None:
        return {"progress": 0.0, "text": ""}
    if isinstance(event, Choice):
        seconds, carry = f"{event.seconds:.1f}", int(event.carries.sum())
        words = (
            f"{carry} of {len(event.faces)} carry what was asked for, as the attribute network sees it. "
            f"{event.looked_at} faces looked at, {seconds} s."
        )
        return tiles(Drawn(list(event.recipes), event.faces)) | {"text": words, "carries": event.carries.tolist()}
    if isinstance(event, Projection):
        return tiles(Drawn([event.recipe], event.face[None])) | {
            "text": f"{closeness(event.percentile)} {event.seconds:.1f} s.",
        }
    if isinstance(event, Nearing):
        return {"progress": event.progress, "face": picture_url("webp", webp_bytes(event.face))}
    searching = " Too few have it, so some are made to." if event.searching else ""
    words = f"{event.found} found among {event.looked_at} faces.{searching}"
    return {"progress": event.found / CHILDREN, "text": words}


def closeness(percentile: float) -> str:
    """How near a projection has come, in words that promise no more than was measured."""
    share = "99 % or more" if percentile <= 1 else f"{100 - percentile:.0f} %"
    nearer = f"It is nearer to your picture than {share} of random pairs of faces are to one another"
    if percentile < 5:
        return f"Close. {nearer}."
    if percentile < 40:
        return f"Alike in some ways. {nearer}."
    return f"Not close: this model draws no such face. {nearer}."
