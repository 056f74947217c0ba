"""The Interpolate tab: two seeds in, and out the frames between their faces, which the browser scrubs from memory."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.components.bridge import DRAWING, Trigger, component, file_function, page_call, server_function
from app.faces.incoming import RecipeText
from app.faces.loaded_model import FaceSize
from app.faces.studio import Studio
from app.faces.walks import film_suffixes
from app.tabs.generate import boldness_slider, clarity_slider, redraw_on_change, sheet_value
from app.tabs.long_work import work_functions
from app.tabs.walks import walk_functions
from ganime.drawing.recipe import Recipe, check_seed

FRAMES = 48


def build(studio: Studio, model_key: gr.State, opened: Trigger) -> tuple[gr.Number, gr.Number, gr.HTML]:
    """Build the tab and return the fields of its two seeds, and its view.

    model_key: the model that draws.
    opened: fires when a visitor opens the page.
    """

    def draw(key: str, first: Any, last: Any, share: Any, factor: Any) -> dict[str, Any]:
        return path_value(studio, key, first, last, boldness.preprocess(factor), clarity.preprocess(share))

    with gr.Row(elem_classes="controls", equal_height=True):
        start = gr.Number(3, label="From seed", min_width=150)
        end = gr.Number(14, label="To seed", min_width=150)
        clarity, boldness = clarity_slider(studio, model_key), boldness_slider()
    with gr.Row():
        roll_start = gr.Button("⚄ Roll the first", elem_id="roll-start", min_width=120)
        roll_end = gr.Button("⚄ Roll the second", elem_id="roll-end", min_width=120)
    frame = file_function(frame_file(studio))
    functions = [server_function(draw, slots=DRAWING), frame, *walk_functions(studio), *work_functions(studio)]
    view = component("walk", functions, "walk", ("gone",))

    roll_start.click(None, None, start, js=page_call("randomSeed"), api_visibility="private")
    roll_end.click(None, None, end, js=page_call("randomSeed"), api_visibility="private")
    redraw_on_change(view, [opened, model_key.change], model_key, [start, end, clarity, boldness])
    return start, end, view


def path_value(studio: Studio, key: str, start: int, end: int, truncation: float, clarity: float) -> dict[str, Any]:
    """The value of walk.js: all frames from one face to the other in one lossless sheet."""
    model = studio.open(key)
    recipes = model.path_recipes(start, end, FRAMES, truncation, clarity)
    frames = model.draw(recipes).faces
    return {
        **sheet_value(key, model, frames),
        "frames": len(frames),
        "start": check_seed(start),
        "end": check_seed(end),
        "truncation": truncation,
        "clarity": recipes[0].clarity,
        "endings": film_suffixes(),
    }


def frame_file(studio: Studio) -> Any:
    """The download of one frame as a PNG."""

    def frame_file(key: str, recipe: RecipeText, size: FaceSize) -> tuple[str, bytes]:
        frame = Recipe.from_json(recipe)
        end = "" if frame.toward is None else f"-{frame.toward}-{round(frame.position * 100)}"
        return f"face-{frame.seed}{end}.png", studio.open(key).pngs([frame], size)[0]

    return frame_file
