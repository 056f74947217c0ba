"""The page as a whole: title, model line, tabs and the public endpoints."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from app import api, tab_generate, tab_interpolate, tab_train
from app.settings import Settings
from app.studio import ModelInfo, Studio
from app.theme import CSS, THEME, private
from ganime.errors import GanimeError

TITLE = "# Ganime\nAnime faces from a small DCGAN: roll the dice, walk between two faces, keep what you like."


def create_app(studio: Studio) -> gr.Blocks:
    """The page, ready to launch; every visitor begins with the studio's start model."""
    with gr.Blocks(title="Ganime: anime faces", delete_cache=(3600, 3600), fill_width=True) as page:
        gr.Markdown(TITLE, elem_id="title")
        model_key = gr.State(studio.start.key)
        model_line = gr.HTML(model_text(studio.start), elem_id="model-line")
        banner = gr.Markdown(visible=False, elem_id="banner")
        with gr.Accordion("Load another model", open=False), gr.Row(equal_height=True):
            reference = gr.Textbox(
                label="Model on the Hugging Face hub", placeholder="owner/name or owner/name@revision", scale=4
            )
            load = gr.Button("Load", min_width=90, elem_id="load")
            back = gr.Button("Embedded model", min_width=140, elem_id="embedded")
        with gr.Tabs() as tabs:
            with gr.Tab("Generate", id="generate"):
                generate = tab_generate.build(studio, model_key)
            with gr.Tab("Interpolate", id="interpolate"):
                interpolate = tab_interpolate.build(studio, model_key)
            with gr.Tab("Train", id="train"):
                tab_train.build()

        def draw_both(key: str, count: int, seed: int, truncation: float, start: int, end: int) -> list[Any]:
            faces = tab_generate.gallery_value(studio, key, count, seed, truncation)
            return [faces, tab_interpolate.walk_value(studio, key, start, end, truncation)]

        def change_model(wanted: str | None, key: str, *state: Any) -> list[Any]:
            """Load what was asked for and draw it; when that fails, leave all as it was and say why."""
            try:
                info = studio.load(wanted) if wanted is not None else studio.embedded()
                drawn = draw_both(info.key, *state)
            except GanimeError as error:
                return [key, gr.skip(), warning(str(error)), gr.skip(), gr.skip()]
            return [info.key, model_text(info), warning(info.note), *drawn]

        state = [*generate.inputs[1:], interpolate.start, interpolate.end]
        outputs = [model_key, model_line, banner, generate.gallery, interpolate.walk]
        ask: dict[str, Any] = {"outputs": outputs, "api_visibility": "private", "concurrency_limit": 4}
        load.click(change_model, [reference, model_key, *state], **ask)
        reference.submit(change_model, [reference, model_key, *state], **ask)
        back.click(lambda *rest: change_model(None, *rest), [model_key, *state], **ask)

        def send(event: gr.EventData, start: int, end: int) -> list[Any]:
            """A face of the gallery becomes one end of the walk."""
            seed = event._data["seed"]
            ends = (seed, end) if event._data["slot"] == "a" else (start, seed)
            return [*ends, gr.Tabs(selected="interpolate")]

        ends = [interpolate.start, interpolate.end]
        sent = generate.gallery.send(send, ends, [*ends, tabs], **private("hidden"))
        sent.then(**interpolate.redraw)
        page.load(
            lambda *values: [*draw_both(*values), warning(studio.start.note)],
            [model_key, *state],
            [generate.gallery, interpolate.walk, banner],
            **private("hidden"),
        )
        api.publish(studio, page.GRADIO_CACHE)
    return page


def model_text(info: ModelInfo) -> str:
    """The model line in HTML; names come from strangers and are escaped."""
    return (
        f"<p>Model: <strong>{escape(info.name)}</strong> · {escape(info.origin)} · {info.image_size} px · "
        f"{info.parameters / 1e6:.1f} M parameters · weights {escape(info.revision)}</p>"
    )


def warning(text: str) -> Any:
    """An update of the banner: shown with this text as plain words, or hidden when there is none."""
    return gr.update(value=f"⚠️ {escape(text)}" if text else "", visible=bool(text))


def main() -> None:
    """Start the page on the address in GRADIO_SERVER_NAME and GRADIO_SERVER_PORT (127.0.0.1:7860)."""
    page = create_app(Studio(Settings()))
    page.queue(max_size=64, default_concurrency_limit=2)
    page.launch(theme=THEME, css=CSS, show_error=True, footer_links=[])
