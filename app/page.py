"""The page as a whole: title, model line, tabs and the public endpoints."""

from __future__ import annotations

import os
from html import escape
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from app import api
from app.components import modules
from app.components.bridge import answered, component
from app.components.theme import CSS, THEME, asked
from app.errors import JobMissing
from app.faces.explorer import Explorer
from app.faces.library import ModelInfo
from app.faces.studio import Studio
from app.server.request_limits import RequestLimits, restrict_gradio
from app.server.upload_endpoint import UploadEndpoint
from app.settings import Settings
from app.tabs import explore as tab_explore
from app.tabs import generate as tab_generate
from app.tabs import interpolate as tab_interpolate
from app.tabs import train as tab_train
from app.tabs.job_view import existing_jobs
from ganime.errors import GanimeError

TITLE = "# Ganime\nAnime faces from a small DCGAN: roll the dice, walk between two faces, keep what you like."

MOST_SESSIONS = 1_000  # of visitors kept in memory; the longest unused give way


def create_app(studio: Studio) -> gr.Blocks:
    """The page, ready to launch; every visitor begins with the studio's start model."""
    explorer = Explorer(studio)
    with gr.Blocks(title="Ganime: anime faces", delete_cache=(3600, 3600), fill_width=True) as page:
        gr.Markdown(TITLE, elem_id="title")
        model_key = gr.State(studio.library.start.key)
        model_line = gr.HTML(model_text(studio.library.start), elem_id="model-line")
        banner = banner_with(studio.library.start.note)
        with gr.Accordion("Load another model", open=False):
            with gr.Row(equal_height=True):
                reference = gr.Textbox(
                    label="Model on the Hugging Face hub",
                    placeholder="owner/name or owner/name@revision",
                    scale=4,
                    min_width=280,
                )
                load = gr.Button("Load", min_width=90, elem_id="load")
                back = gr.Button("Embedded model", min_width=140, elem_id="embedded")
            own = (
                component("models", [answered(existing_jobs(studio.jobs))], "models", ("use",)) if studio.jobs else None
            )
        with gr.Tabs() as tabs:
            with gr.Tab("Generate", id="generate"):
                gallery = tab_generate.build(studio, model_key, page.load)
            with gr.Tab("Explore", id="explore"):
                stage = tab_explore.build(explorer, model_key, page.load)
            with gr.Tab("Interpolate", id="interpolate"):
                start, end, walk = tab_interpolate.build(explorer, model_key, page.load)
            with gr.Tab("Train", id="train"):
                job = tab_train.build(studio, model_key, page.load)

        def change_model(key: str, reference: str | None) -> list[Any]:
            """Load what was asked for; when that fails, leave the model as it was and say why."""
            try:
                info = studio.library.load(reference) if reference is not None else studio.library.embedded()
            except GanimeError as error:
                return [key, gr.skip(), banner_with(str(error))]
            return [info.key, model_text(info), banner_with(info.note)]

        def choose(event: gr.EventData, key: str) -> list[Any]:
            """The model of a training job becomes that of all tabs."""
            try:
                info = studio.library.load_job(asked(event, "key"))
            except GanimeError as error:
                return [key, gr.skip(), banner_with(str(error))]
            return [info.key, model_text(info), banner_with(info.note)]

        def leave(key: str) -> list[Any]:
            """A model that was deleted with its job gives way to the one that the page begins with."""
            try:
                studio.library.checkpoint(key)
            except JobMissing:
                info = studio.library.start
                note = f"The model in use was deleted with its job. {info.name} is in its place."
                return [info.key, model_text(info), banner_with(note)]
            except GanimeError as error:
                return [key, gr.skip(), banner_with(str(error))]
            return [key, gr.skip(), gr.skip()]

        def use(event: gr.EventData, key: str) -> list[Any]:
            """So it does from the Train tab, and its faces come to the front."""
            [chosen, line, note] = choose(event, key)
            return [chosen, line, note, gr.Tabs(selected="generate") if isinstance(line, str) else gr.skip()]

        def bring(event: gr.EventData, key: str) -> list[Any]:
            """The model that a face was drawn by, once explore.js has found its key."""
            try:
                info = studio.library.info(asked(event, "key"))
            except GanimeError as error:
                return [key, gr.skip(), banner_with(str(error))]
            return [info.key, model_text(info), banner_with(info.note)]

        def send(event: gr.EventData, key: str, start: int, end: int) -> list[Any]:
            """A face of the gallery becomes one end of the walk, or goes to the stage."""
            if event._data["slot"] == "explore":
                value = tab_explore.sent_value(explorer, key, asked(event, "recipe"))
                return [start, end, value, gr.Tabs(selected="explore")]
            seed = event._data["seed"]
            ends = (seed, end) if event._data["slot"] == "a" else (start, seed)
            return [*ends, gr.skip(), gr.Tabs(selected="interpolate")]

        changed: dict[str, Any] = {"outputs": [model_key, model_line, banner], "api_visibility": "private"}
        gr.on([load.click, reference.submit], change_model, [model_key, reference], **changed, concurrency_limit=4)
        back.click(lambda key: change_model(key, None), model_key, **changed)
        if own:
            own.use(choose, model_key, **changed, concurrency_limit=2)
        if job:
            job.use(use, model_key, [*changed["outputs"], tabs], api_visibility="private", concurrency_limit=2)
            for part in (job, gallery, stage, walk):
                part.gone(leave, model_key, **changed, concurrency_limit=2)
        stage.bring(bring, model_key, **changed, concurrency_limit=4)
        sent = [start, end, stage, tabs]
        gallery.send(send, [model_key, start, end], sent, api_visibility="private", queue=False)
        api.publish(studio, page.GRADIO_CACHE)
        api.publish_exploring(explorer, page.GRADIO_CACHE)
    return page


def model_text(info: ModelInfo) -> str:
    """The model line in HTML; names come from strangers and are escaped."""
    return (
        f"<p>Model: <strong>{escape(info.name)}</strong> · {escape(info.origin)} · {info.image_size} px · "
        f"{info.parameters:,} parameters · weights {escape(info.revision)}</p>"
    )


def banner_with(text: str) -> gr.HTML:
    """The banner, or an update of it: shown with this text as plain words, hidden when there is none."""
    return gr.HTML(f'<p role="alert">{escape(text)}</p>', visible=bool(text), elem_id="banner")


def main() -> None:
    """Start the page on the address in GRADIO_SERVER_NAME and GRADIO_SERVER_PORT (127.0.0.1:7860)."""
    studio = Studio(Settings())
    os.environ["GRADIO_TEMP_DIR"] = str(studio.settings.temporary)  # on the disk of the jobs, and nobody else's
    page = create_app(studio)
    restrict_gradio()
    page.queue(max_size=64, default_concurrency_limit=2, api_open=False)  # no endpoint is called past the queue
    server = {
        "routes": [*UploadEndpoint(studio.jobs, studio.no_jobs).routes(), *modules.routes()],
        "middleware": [Middleware(RequestLimits)],
    }
    if studio.jobs:
        studio.jobs.start()
    try:
        page.launch(
            theme=THEME,
            css=CSS,
            head=modules.page_head(),
            show_error=False,  # texts of unexpected errors stay on the server
            footer_links=[],
            app_kwargs=server,
            enable_monitoring=False,
            run_history=False,
            state_session_capacity=MOST_SESSIONS,
            ssr_mode=False,  # another server in front of this one would hide visitors' addresses
        )
    finally:
        if studio.jobs:
            studio.jobs.close()
