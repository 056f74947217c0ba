"""The Explore tab: one face on a stage, tools around it, and a tray of favourites; explore.js holds the state."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

import gradio as gr
import numpy as np
from pydantic import Field

from app.components import answer_with_file, answered, component, picture_url, sheet_url
from app.explorer import (
    CHILDREN,
    HEADINGS,
    MAX_FRAMES,
    MAX_PICTURE_TEXT,
    MAX_RECIPE_TEXT,
    Drawn,
    Explorer,
    heading,
    unpacked,
)
from app.studio import MAX_FACES
from app.tab_generate import Size
from app.theme import LIVE, Trigger, shown
from ganime.choosing import Choice
from ganime.directions import MAX_DIRECTIONS
from ganime.errors import GanimeError
from ganime.images import COLUMNS, png_bytes, sheet
from ganime.latents import Recipe
from ganime.layers import LayerMaps
from ganime.projection import Nearing, Projection

Text = Annotated[str, Field(max_length=MAX_RECIPE_TEXT)]  # a recipe
Texts = Annotated[list[Text], Field(max_length=MAX_FACES)]
Amounts = Annotated[dict[str, float], Field(max_length=MAX_DIRECTIONS)]
Names = Annotated[list[str], Field(max_length=64)]
Base64 = Annotated[str, Field(max_length=MAX_PICTURE_TEXT)]
Suffix = Literal[".gif", ".webp", ".png"]
Answer = dict[str, Any]
PARTS = ("explore-tray", "explore-tools", "explore-search", "explore-walk", "explore-start")
# A link to a face or a tray opens this tab; what it names is read by explore.js.
OPEN_LINK = """() => {
  const search = new URLSearchParams(location.search);
  if (!search.has("face") && !search.has("tray")) return;
  [...document.querySelectorAll("[role=tab]")].find((tab) => tab.textContent.trim() === "Explore")?.click();
}"""


def build(explorer: Explorer, model_key: gr.State, opened: Trigger) -> gr.HTML:
    """The tab's component; returns it. Its event `bring` asks for the model, by name, that a face was drawn by.

    model_key: which model draws. opened: fires when a visitor opens the page.
    """
    stage = component("explore", [*server_functions(explorer), *file_functions(explorer)], "explore", PARTS)

    @shown
    def tell(key: str) -> Answer:
        return stage_value(explorer, key)

    gr.on([opened, model_key.change], tell, model_key, stage, **LIVE)
    opened(None, None, None, js=OPEN_LINK, api_visibility="private")
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
            steers.append({"name": item.name, "label": label(item.name), "group": heading(item.name, item.kind)})
        steers.sort(key=lambda entry: HEADINGS.index(entry["group"]))
    except GanimeError as error:  # its directions are damaged or of other weights: all else works without them
        note = str(error)
    attributes = [{"name": n, "label": label(n), "group": heading(n)} for n in explorer.net.attributes]
    return {
        "key": key,
        "model": checkpoint.name,
        "revision": checkpoint.revision,
        "embedded": explorer.studio.library.embedded().name,
        "side": checkpoint.generator.config.image_size,
        "steers": steers,
        "note": note,
        "attributes": sorted(attributes, key=lambda entry: HEADINGS.index(entry["group"])),
        "most": MAX_FACES,
        "frames": MAX_FRAMES,
        "sent": sent,
        "time": time.time(),
    }


def label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def server_functions(explorer: Explorer) -> list[Callable[[Any], Answer]]:
    """What explore.js asks for; every argument comes from the network, the first is the model's key."""

    def draw(key: str, recipes: Texts) -> Drawn:
        return explorer.draw(key, parsed(recipes))

    def vary(key: str, recipe: Text, strength: float, seed: int) -> Drawn:
        return explorer.vary(key, Recipe.from_json(recipe), strength, seed)

    def steer(key: str, recipe: Text, amounts: Amounts) -> Drawn:
        return explorer.steer(key, Recipe.from_json(recipe), amounts)

    def breed(key: str, recipes: Texts, mutation: float, seed: int) -> Drawn:
        return explorer.breed(key, parsed(recipes), mutation, seed)

    def mix(key: str, a: Text, b: Text, c: Text) -> Drawn:
        return explorer.arithmetic(key, *parsed([a, b, c]))

    def choose(key: str, wanted: Names, seed: int) -> Answer:
        return {"search": explorer.searches.begin(explorer.choose(key, wanted, seed))}

    def project(key: str, picture: Base64) -> Answer:
        return {"search": explorer.searches.begin(explorer.project(key, unpacked(picture)))}

    def ask(key: str, search: str) -> Answer:
        return search_value(*explorer.searches.go_on(search))

    def leave(key: str, search: str) -> Answer:
        explorer.searches.end(search)
        return {}

    def walk(key: str, recipes: Texts, frames: int, loop: bool) -> Answer:
        pictures = explorer.walk(key, parsed(recipes), frames, loop)
        return {"sheet": sheet_url(pictures), "columns": COLUMNS, "side": pictures.shape[1], "frames": len(pictures)}

    def inside(key: str, recipe: Text) -> Answer:
        return {"layers": [layer_value(layer) for layer in explorer.inside(key, Recipe.from_json(recipe))]}

    tiled = [answered(make, tiles) for make in (draw, vary, steer, breed, mix)]
    return [*tiled, *(answered(make) for make in (choose, project, ask, leave, walk, inside))]


def file_functions(explorer: Explorer) -> list[Callable[[Any], dict[str, str]]]:
    """The downloads of explore.js."""

    def keep_file(key: str, recipe: Text, size: Size) -> tuple[str, bytes]:
        one = Recipe.from_json(recipe)
        explorer.checkpoint(key, [one])
        return f"face-{one.seed}.png", explorer.studio.face_pngs(key, [one], size or None)[0]

    def tray_file(key: str, recipes: Texts) -> tuple[str, bytes]:
        explorer.checkpoint(key, faces := parsed(recipes))
        return "faces.zip", explorer.studio.faces_zip(key, faces)

    def walk_file(
        key: str, recipes: Texts, frames: int, loop: bool, fps: float, suffix: Suffix, size: Size
    ) -> tuple[str, bytes]:
        data = explorer.animation(key, parsed(recipes), frames, loop, fps, suffix, size or None)
        return f"walk{suffix}", data

    return [answer_with_file(make) for make in (keep_file, tray_file, walk_file)]


def parsed(recipes: list[str]) -> list[Recipe]:
    return [Recipe.from_json(recipe) for recipe in recipes]


def tiles(drawn: Drawn) -> Answer:
    """Faces in one exact sheet, with their recipes as text."""
    return {
        "recipes": [recipe.to_json() for recipe in drawn.recipes],
        "sheet": sheet_url(drawn.faces),
        "columns": COLUMNS,
        "side": drawn.faces.shape[1],
    }


def search_value(event: Any, last: bool) -> Answer:
    """How far a search has come, or what it found."""
    if isinstance(event, Choice):
        seconds, carry = f"{event.seconds:.1f}", int(event.carries.sum())
        words = (
            f"{carry} of {len(event.faces)} carry what was asked for, as the attribute network sees it. "
            f"{event.looked_at} faces looked at, {seconds} s."
        )
        return tiles(Drawn(list(event.recipes), event.faces)) | {"text": words, "carries": event.carries.tolist()}
    if isinstance(event, Projection):
        return tiles(Drawn([event.recipe], event.face[None])) | {
            "target": sheet_url(event.target[None]),
            "text": f"{closeness(event.percentile)} {event.seconds:.1f} s.",
        }
    if isinstance(event, Nearing):
        return {"progress": event.progress, "face": sheet_url(event.face[None])}
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


def layer_value(layer: LayerMaps) -> Answer:
    """A layer's tiles in one picture, a colour picture as it is, and what they are."""
    if layer.name == "to_rgb":
        pixels = layer.tiles.transpose(1, 2, 0)  # (3, H, W) -> (H, W, 3)
    else:
        grey = np.repeat(layer.tiles[..., None], 3, 3)  # (N, H, W) -> (N, H, W, 3)
        pixels = sheet(grey, min(COLUMNS, len(grey)))
    shape = " x ".join(f"{length:,}" for length in layer.shape)
    return {
        "name": layer.name,
        "shape": shape,
        "tiles": len(layer.channels),
        "url": picture_url("png", png_bytes(pixels)),
    }
