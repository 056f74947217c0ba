"""The Generate tab: count, seed and truncation in, a gallery of faces out."""

from __future__ import annotations

from typing import Annotated, Any

import gradio as gr
from pydantic import Field

from app.components.bridge import (
    DRAWING,
    LIVE,
    Trigger,
    clamped,
    component,
    file_function,
    page_call,
    server_function,
    sheet_url,
)
from app.faces.loaded_model import MAX_FACES, LoadedModel, Size
from app.faces.studio import Studio
from ganime.drawing.recipe import MAX_TRUNCATION, Recipe
from ganime.images import SHEET_COLUMNS


def build(studio: Studio, model_key: gr.State, opened: Trigger) -> gr.HTML:
    """Build the tab and return its gallery, whose event `send` names a slot and a seed.

    model_key: the model that draws.
    opened: fires when a visitor opens the page.
    """

    def draw(key: str, faces: Any, seed: Any, factor: Any) -> dict[str, Any]:
        return gallery_value(studio, key, int(count.preprocess(faces)), seed, truncation.preprocess(factor))

    with gr.Row(elem_classes="controls", equal_height=True):
        count = clamped(gr.Slider(1, MAX_FACES, value=16, step=1, label="Faces", min_width=180))
        seed = gr.Number(0, label="Seed", min_width=150)
        info = "1: as trained. Lower: softer, until faces break. Higher: bolder."
        truncation = clamped(
            gr.Slider(0, MAX_TRUNCATION, value=1.0, step=0.05, label="Truncation", info=info, min_width=180)
        )
    dice = gr.Button("⚄ Roll new faces", variant="primary", elem_id="dice")
    files = [file_function(face_file(studio)), file_function(zip_file(studio))]
    gallery = component("gallery", [server_function(draw, slots=DRAWING), *files], "gallery", ("send", "gone"))

    dice.click(None, None, seed, js=page_call("randomSeed"), api_visibility="private")
    redraw_on_change(gallery, [opened, model_key.change], model_key, [count, seed, truncation])
    return gallery


def redraw_on_change(view: gr.HTML, resets: list[Trigger], model_key: gr.State, controls: list[Any]) -> None:
    """Have the JavaScript of `view` ask for pictures on each of `resets`, with the model then in use, and on each
    change of a control.

    The model and the values of the controls go to gallery.js or walk.js as {key, asked}. Those modules call the server
    function for the faces, because a picture takes longer to pass through a Gradio event than to draw.
    """
    ask: dict[str, Any] = {
        "inputs": [view, *controls],
        "outputs": view,
        "js": page_call("withControls"),
        "api_visibility": "private",
    }
    gr.on(resets, lambda key: {"key": key}, model_key, view, **LIVE).then(None, **ask)
    gr.on([control.change for control in controls], None, **ask)


def gallery_value(studio: Studio, key: str, count: int, seed: int, truncation: float) -> dict[str, Any]:
    """The value of gallery.js: the sheet of faces, and each one's seed and recipe."""
    model = studio.open(key)
    drawn = model.draw(model.recipes(count, seed, truncation))
    return {
        **sheet_value(key, model, drawn.faces),
        "truncation": drawn.recipes[0].truncation,
        "faces": [{"seed": recipe.seed, "recipe": recipe.to_json()} for recipe in drawn.recipes],
    }


def sheet_value(key: str, model: LoadedModel, faces: Any) -> dict[str, Any]:
    """What gallery.js and walk.js need of the model and a sheet of its faces, uint8 (N, H, W, 3)."""
    return {
        "key": key,
        "model": model.checkpoint.name,
        "revision": model.checkpoint.revision,
        "sheet": sheet_url(faces),
        "columns": SHEET_COLUMNS,
        "side": model.image_size,
    }


def face_file(studio: Studio) -> Any:
    """The download of one face as a PNG."""

    def face_file(key: str, recipe: str, size: Size) -> tuple[str, bytes]:
        face = Recipe.from_json(recipe)
        return f"face-{face.seed}.png", studio.open(key).pngs([face], size or None)[0]

    return face_file


def zip_file(studio: Studio) -> Any:
    """The download of several faces as a ZIP of PNGs."""

    def zip_file(key: str, recipes: Annotated[list[str], Field(max_length=MAX_FACES)]) -> tuple[str, bytes]:
        return "faces.zip", studio.open(key).faces_zip([Recipe.from_json(recipe) for recipe in recipes])

    return zip_file
