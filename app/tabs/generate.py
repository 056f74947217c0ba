"""The Generate tab: count, seed and truncation in, a gallery of faces out."""

from __future__ import annotations

from typing import Annotated, Any

import gradio as gr
from pydantic import Field

from app.components.bridge import DRAWING, answer_with_file, answered, component, forgiving, page_call, sheet_url
from app.components.theme import LIVE, Trigger
from app.faces.studio import MAX_FACES, Size, Studio
from ganime.drawing.recipe import MAX_TRUNCATION, Recipe
from ganime.images import SHEET_COLUMNS


def build(studio: Studio, model_key: gr.State, opened: Trigger) -> gr.HTML:
    """The tab's components, wired to the studio; returns the gallery, whose event `send` names a slot and a seed.

    model_key: which model draws. opened: fires when a visitor opens the page.
    """

    def draw(key: str, faces: Any, seed: Any, factor: Any) -> dict[str, Any]:
        return gallery_value(studio, key, int(count.preprocess(faces)), seed, truncation.preprocess(factor))

    with gr.Row(elem_classes="controls", equal_height=True):
        count = forgiving(gr.Slider(1, MAX_FACES, value=16, step=1, label="Faces", min_width=180))
        seed = gr.Number(0, label="Seed", min_width=150)
        info = "1: as trained. Lower: softer, until faces fall apart. Higher: bolder."
        truncation = forgiving(
            gr.Slider(0, MAX_TRUNCATION, value=1.0, step=0.05, label="Truncation", info=info, min_width=180)
        )
    dice = gr.Button("⚄ Roll new faces", variant="primary", elem_id="dice")
    files = [answer_with_file(face_file(studio)), answer_with_file(zip_file(studio))]
    gallery = component("gallery", [answered(draw, turn=DRAWING), *files], "gallery", ("send", "gone"))

    dice.click(None, None, seed, js=page_call("randomSeed"), api_visibility="private")
    ask_on(gallery, [opened, model_key.change], model_key, [count, seed, truncation])
    return gallery


def ask_on(view: gr.HTML, begins: list[Trigger], model_key: gr.State, controls: list[Any]) -> None:
    """Let the page's JavaScript ask for pictures when the model is another one or a control is moved.

    The model and what the controls say go to gallery.js or walk.js as {key, asked}. These modules request the faces
    outside Gradio's events, which take longer to pass a picture through the page than the model takes to draw it.
    """
    asked: dict[str, Any] = {
        "inputs": [view, *controls],
        "outputs": view,
        "js": page_call("withControls"),
        "api_visibility": "private",
    }
    gr.on(begins, lambda key: {"key": key}, model_key, view, **LIVE).then(None, **asked)
    gr.on([control.change for control in controls], None, **asked)


def gallery_value(studio: Studio, key: str, count: int, seed: int, truncation: float) -> dict[str, Any]:
    """What gallery.js shows: the sheet of faces and each one's seed and recipe."""
    recipes = studio.recipes(key, count, seed, truncation)
    faces = studio.faces(key, recipes)
    return {
        "key": key,
        "model": recipes[0].model,
        "revision": recipes[0].revision,
        "sheet": sheet_url(faces),
        "columns": SHEET_COLUMNS,
        "side": faces.shape[1],
        "truncation": recipes[0].truncation,
        "faces": [{"seed": recipe.seed, "recipe": recipe.to_json()} for recipe in recipes],
    }


def face_file(studio: Studio) -> Any:
    def face_file(key: str, recipe: str, size: Size) -> tuple[str, bytes]:
        parsed = Recipe.from_json(recipe)
        return f"face-{parsed.seed}.png", studio.face_pngs(key, [parsed], size or None)[0]

    return face_file


def zip_file(studio: Studio) -> Any:
    def zip_file(key: str, recipes: Annotated[list[str], Field(max_length=MAX_FACES)]) -> tuple[str, bytes]:
        return "faces.zip", studio.faces_zip(key, [Recipe.from_json(recipe) for recipe in recipes])

    return zip_file
