"""The Generate tab: count, seed, clarity and boldness in, a gallery of faces out."""

from __future__ import annotations

from typing import Any, Literal

import gradio as gr

from app.components.bridge import (
    DRAWING,
    LIVE,
    Answer,
    Trigger,
    clamped,
    component,
    file_function,
    page_call,
    server_function,
    sheet_url,
)
from app.faces.incoming import RecipeText, RecipeTexts, parse_recipes
from app.faces.loaded_model import MAX_FACES, FaceSize, LoadedModel
from app.faces.studio import Studio
from app.faces.walks import draw_zip
from app.tabs.long_work import work_functions
from app.tabs.sharp_view import sharp_function
from app.tabs.walks import walk_value
from ganime.drawing.clarity import DEFAULT_CLARITY
from ganime.drawing.recipe import MAX_CLARITY, Recipe
from ganime.errors import GanimeError
from ganime.images import SHEET_COLUMNS

ZipSize = Literal[0, 512]  # side in px; 0 for the model's own
CLARITY_INFO = "Mends blurred and broken faces."
NO_CLARITY_INFO = "No clarity was fitted to this model."


def build(studio: Studio, model_key: gr.State, opened: Trigger) -> gr.HTML:
    """Build the tab and return its gallery, whose event `send` names a slot and a seed.

    model_key: the model that draws.
    opened: fires when a visitor opens the page.
    """

    def draw(key: str, faces: Any, seed: Any, share: Any, factor: Any) -> dict[str, Any]:
        settings = boldness.preprocess(factor), clarity.preprocess(share)
        return gallery_value(studio, key, int(count.preprocess(faces)), seed, *settings)

    with gr.Row(elem_classes="controls", equal_height=True):
        count = clamped(gr.Slider(1, MAX_FACES, value=16, step=1, label="Faces", min_width=180))
        seed = gr.Number(0, label="Seed", min_width=150)
        clarity, boldness = clarity_slider(studio, model_key), boldness_slider()
    dice = gr.Button("⚄ Roll new faces", variant="primary", elem_id="dice")
    files = [file_function(face_file(studio)), server_function(zip_file(studio), visitor_of=studio.visitor)]
    functions = [server_function(draw, slots=DRAWING), *files, *work_functions(studio), sharp_function(studio)]
    gallery = component("gallery", functions, "gallery", ("send", "gone"))

    dice.click(None, None, seed, js=page_call("randomSeed"), api_visibility="private")
    redraw_on_change(gallery, [opened, model_key.change], model_key, [count, seed, clarity, boldness])
    return gallery


def clarity_slider(studio: Studio, model_key: gr.State) -> gr.Slider:
    """A slider for the clarity, disabled for a model that none was fitted to."""

    def settings(key: str) -> dict[str, Any]:
        try:
            fitted = studio.open(key).default_clarity > 0
        except GanimeError:  # the gallery says what is wrong with the model
            fitted = False
        return {"interactive": fitted, "info": CLARITY_INFO if fitted else NO_CLARITY_INFO}

    slider = clamped(
        gr.Slider(
            0,
            MAX_CLARITY,
            value=DEFAULT_CLARITY,
            step=0.05,
            label="Clarity",
            min_width=180,
            **settings(studio.library.start.key),
        )
    )
    model_key.change(lambda key: gr.update(**settings(key)), model_key, slider, **LIVE)
    return slider


def boldness_slider() -> gr.Slider:
    """A slider for the truncation, over the range in which faces survive."""
    info = "From soft to strong."
    return clamped(gr.Slider(0.85, 1.3, value=1.0, step=0.05, label="Boldness", info=info, min_width=180))


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


def gallery_value(studio: Studio, key: str, count: int, seed: int, truncation: float, clarity: float) -> dict[str, Any]:
    """The value of gallery.js: the sheet of faces, and each one's seed and recipe."""
    model = studio.open(key)
    drawn = model.draw(model.recipes(count, seed, truncation, clarity))
    return {
        **sheet_value(key, model, drawn.faces),
        "truncation": drawn.recipes[0].truncation,
        "clarity": drawn.recipes[0].clarity,
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

    def face_file(key: str, recipe: RecipeText, size: FaceSize) -> tuple[str, bytes]:
        face = Recipe.from_json(recipe)
        return f"face-{face.seed}.png", studio.open(key).pngs([face], size)[0]

    return face_file


def zip_file(studio: Studio) -> Any:
    """The download of several faces as a ZIP of PNGs, as long work."""

    def zip_file(visitor: str, key: str, recipes: RecipeTexts, size: ZipSize) -> Answer:
        steps = draw_zip(studio.open(key), parse_recipes(recipes), size)
        return {"search": studio.work.begin("zip", visitor, steps, walk_value)}

    return zip_file
