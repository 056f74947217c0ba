"""The Interpolate tab: two seeds in, a walk out that the browser scrubs from memory."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.components.bridge import DRAWING, answer_with_file, answered, component, forgiving, page_call, sheet_url
from app.components.theme import Trigger
from app.faces.explorer import Explorer
from app.faces.studio import Size, Studio
from app.tabs.generate import ask_on
from app.tabs.walks import endings, walk_functions
from ganime.drawing.recipe import MAX_TRUNCATION, Recipe, check_seed
from ganime.images import SHEET_COLUMNS

FRAMES = 48


def build(explorer: Explorer, model_key: gr.State, opened: Trigger) -> tuple[gr.Number, gr.Number, gr.HTML]:
    """The tab's components, wired to the explorer; returns the fields of the two seeds, and the walk.

    model_key: which model draws. opened: fires when a visitor opens the page.
    """

    def draw(key: str, first: Any, last: Any, factor: Any) -> dict[str, Any]:
        return walk_value(explorer.studio, key, first, last, truncation.preprocess(factor))

    with gr.Row(elem_classes="controls", equal_height=True):
        start = gr.Number(3, label="From seed", min_width=150)
        end = gr.Number(14, label="To seed", min_width=150)
        truncation = forgiving(gr.Slider(0, MAX_TRUNCATION, value=1.0, step=0.05, label="Truncation", min_width=180))
    with gr.Row():
        roll_start = gr.Button("⚄ Roll the first", elem_id="roll-start", min_width=120)
        roll_end = gr.Button("⚄ Roll the second", elem_id="roll-end", min_width=120)
    functions = [answered(draw, turn=DRAWING), answer_with_file(frame_file(explorer.studio)), *walk_functions(explorer)]
    walk = component("walk", functions, "walk", ("gone",))

    roll_start.click(None, None, start, js=page_call("randomSeed"), api_visibility="private")
    roll_end.click(None, None, end, js=page_call("randomSeed"), api_visibility="private")
    ask_on(walk, [opened, model_key.change], model_key, [start, end, truncation])
    return start, end, walk


def walk_value(studio: Studio, key: str, start: int, end: int, truncation: float) -> dict[str, Any]:
    """What walk.js shows: all frames of the walk in one exact sheet."""
    recipes = studio.walk_recipes(key, start, end, FRAMES, truncation)
    frames = studio.faces(key, recipes)
    return {
        "key": key,
        "model": recipes[0].model,
        "revision": recipes[0].revision,
        "sheet": sheet_url(frames),
        "columns": SHEET_COLUMNS,
        "side": frames.shape[1],
        "frames": len(frames),
        "start": check_seed(start),
        "end": check_seed(end),
        "truncation": truncation,
        "endings": endings(),
    }


def frame_file(studio: Studio) -> Any:
    def frame_file(key: str, recipe: str, size: Size) -> tuple[str, bytes]:
        parsed = Recipe.from_json(recipe)
        way = "" if parsed.toward is None else f"-{parsed.toward}-{round(parsed.position * 100)}"
        return f"face-{parsed.seed}{way}.png", studio.face_pngs(key, [parsed], size or None)[0]

    return frame_file
