"""The page as a whole: title, model line, tabs and the public endpoints."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from app import api
from app.components import modules
from app.components.bridge import DRAWING, SHARPENING, component, event_text, server_function
from app.components.theme import CSS, THEME
from app.errors import JobMissing, visitor_text
from app.faces.library import ModelInfo
from app.faces.studio import Studio
from app.server import icons
from app.server.card_endpoint import CardEndpoint
from app.server.compression import Compression
from app.server.face_endpoint import FaceEndpoint
from app.server.first_faces import first_faces
from app.server.launch import free_port, raise_file_limit
from app.server.page_head import PageHead
from app.server.request_limits import RequestLimits, restrict_gradio
from app.server.security_headers import SecurityHeaders
from app.server.upload_endpoint import UploadEndpoint
from app.server.words import TITLE as PAGE_TITLE
from app.settings import Settings
from app.tabs import explore as tab_explore
from app.tabs import generate as tab_generate
from app.tabs import interpolate as tab_interpolate
from app.tabs import train as tab_train
from app.tabs.job_view import existing_jobs
from ganime.errors import GanimeError

TITLE = "# Ganime\nAnime faces from a small DCGAN: roll faces, keep what you like, and turn one face into another."
MAX_SESSIONS = 1_000  # of visitors in memory; the least recently used are dropped first


@dataclass(frozen=True)
class Header:
    """The components above the tabs.

    key: the key of the model in use.
    line, banner: what is shown about it, and a notice.
    reference, load, embedded: the field and the buttons that load another model.
    own: the models that were trained in this browser, None when training is off.
    """

    key: gr.State
    line: gr.HTML
    banner: gr.HTML
    reference: gr.Textbox
    load: gr.Button
    embedded: gr.Button
    own: gr.HTML | None


@dataclass(frozen=True)
class Tabs:
    """The tabs, and the components in them that have events for the page.

    gallery, stage, view, job: of Generate, Explore, Interpolate and Train; job is None when training is off.
    start, end: the seeds of Interpolate.
    """

    tabs: gr.Tabs
    gallery: gr.HTML
    stage: gr.HTML
    start: gr.Number
    end: gr.Number
    view: gr.HTML
    job: gr.HTML | None


def create_app(studio: Studio) -> gr.Blocks:
    """The page, ready to launch; every visitor starts with the studio's start model."""
    with gr.Blocks(title=PAGE_TITLE, delete_cache=(3600, 3600), fill_width=True) as page:
        header = build_header(studio)
        tabs = build_tabs(studio, header.key, page.load)
        connect_models(ModelHandlers(studio), header, tabs)
        connect_gallery(studio, header.key, tabs)
        api.publish(studio, page.GRADIO_CACHE)
    return page


def build_header(studio: Studio) -> Header:
    """Title, model line, banner, and the fold in which another model is loaded."""
    gr.Markdown(TITLE, elem_id="title")
    key = gr.State(studio.library.start.key)
    line = gr.HTML(model_text(studio.library.start), elem_id="model-line")
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
            embedded = gr.Button("Embedded model", min_width=140, elem_id="embedded")
        own = (
            component("models", [server_function(existing_jobs(studio.jobs))], "models", ("use",))
            if studio.jobs
            else None
        )
    return Header(key, line, banner, reference, load, embedded, own)


def build_tabs(studio: Studio, model_key: gr.State, opened: Callable[..., Any]) -> Tabs:
    """All tabs. opened: fires when a visitor opens the page."""
    with gr.Tabs() as tabs:
        with gr.Tab("Generate", id="generate"):
            gallery = tab_generate.build(studio, model_key, opened)
        with gr.Tab("Explore", id="explore"):
            stage = tab_explore.build(studio, model_key, opened)
        with gr.Tab("Interpolate", id="interpolate"):
            start, end, view = tab_interpolate.build(studio, model_key, opened)
        with gr.Tab("Train", id="train"):
            job = tab_train.build(studio, model_key, opened)
    return Tabs(tabs, gallery, stage, start, end, view, job)


class ModelHandlers:
    """The event handlers that change the model in use.

    Each returns the new values of model key, model line and banner. If a model cannot be had, key and line stay and the
    banner gives the reason.
    """

    def __init__(self, studio: Studio) -> None:
        self.library = studio.library

    def load(self, key: str, reference: str) -> list[Any]:
        """Load a model from the hub."""
        return switch(key, lambda: self.library.load(reference))

    def embedded(self, key: str) -> list[Any]:
        """Return to the embedded model."""
        return switch(key, self.library.embedded)

    def job(self, event: gr.EventData, key: str) -> list[Any]:
        """Use the model of a training job, whose key the event names."""
        return switch(key, lambda: self.library.load_job(event_text(event, "key")))

    def job_and_show(self, event: gr.EventData, key: str) -> list[Any]:
        """The same from the Train tab, which also selects the Generate tab if the model could be loaded."""
        changes = self.job(event, key)
        shown = isinstance(changes[1], str)
        return [*changes, gr.Tabs(selected="generate") if shown else gr.skip()]

    def bring(self, event: gr.EventData, key: str) -> list[Any]:
        """Use the model that drew a face; explore.js has asked for its key."""
        return switch(key, lambda: self.library.info(event_text(event, "key")))

    def deleted(self, key: str) -> list[Any]:
        """Return to the start model if the model in use was deleted with its job."""
        try:
            self.library.checkpoint(key)
        except JobMissing:
            info = self.library.start
            note = f"That model was deleted with its job, so the page is back to {info.name}."
            return [info.key, model_text(info), banner_with(note)]
        except GanimeError as error:
            return [key, gr.skip(), banner_with(visitor_text(error))]
        return [key, gr.skip(), gr.skip()]


def switch(key: str, load: Callable[[], ModelInfo]) -> list[Any]:
    """Model key, model line and banner after `load`. key: of the model in use, which stays if `load` fails."""
    try:
        info = load()
    except GanimeError as error:
        return [key, gr.skip(), banner_with(visitor_text(error))]
    return [info.key, model_text(info), banner_with(info.note)]


def connect_models(handlers: ModelHandlers, header: Header, tabs: Tabs) -> None:
    """Connect the events that change the model in use."""
    key, outputs = header.key, [header.key, header.line, header.banner]
    changed: dict[str, Any] = {"outputs": outputs, "api_visibility": "private"}
    gr.on(
        [header.load.click, header.reference.submit],
        handlers.load,
        [key, header.reference],
        **changed,
        concurrency_limit=4,  # several visitors may wait for the hub
    )
    header.embedded.click(handlers.embedded, key, **changed)
    tabs.stage.bring(handlers.bring, key, **changed, concurrency_limit=4)
    if header.own:
        header.own.use(handlers.job, key, **changed, concurrency_limit=2)
    if tabs.job:
        shown = [*outputs, tabs.tabs]
        tabs.job.use(handlers.job_and_show, key, shown, api_visibility="private", concurrency_limit=2)
        for view in (tabs.job, tabs.gallery, tabs.stage, tabs.view):
            view.gone(handlers.deleted, key, **changed, concurrency_limit=2)


def connect_gallery(studio: Studio, model_key: gr.State, tabs: Tabs) -> None:
    """Connect the buttons that send a face of the gallery to another tab."""

    def send(event: gr.EventData, key: str, start: int, end: int) -> list[Any]:
        """New values of the two seeds of Interpolate, the stage of Explore, and the selected tab."""
        if event._data["slot"] == "explore":
            value = tab_explore.stage_value(studio, key, event_text(event, "recipe"))
            return [start, end, value, gr.Tabs(selected="explore")]
        seed = event._data["seed"]
        ends = (seed, end) if event._data["slot"] == "a" else (start, seed)
        return [*ends, gr.skip(), gr.Tabs(selected="interpolate")]

    outputs = [tabs.start, tabs.end, tabs.stage, tabs.tabs]
    tabs.gallery.send(send, [model_key, tabs.start, tabs.end], outputs, api_visibility="private", queue=False)


def model_text(info: ModelInfo) -> str:
    """The model line in HTML. Names may come from strangers and are escaped."""
    return (
        f"<p>Model: <strong>{escape(info.name)}</strong> · {escape(info.origin)} · {info.image_size} px · "
        f"{info.parameters:,} parameters · weights {escape(info.revision)}</p>"
    )


def banner_with(text: str) -> gr.HTML:
    """The banner, or an update of it, with a plain text; hidden when the text is empty."""
    return gr.HTML(f'<p role="alert">{escape(text)}</p>', visible=bool(text), elem_id="banner")


def own_routes(studio: Studio) -> list[BaseRoute]:
    """The routes that take precedence over Gradio's own."""
    faces = FaceEndpoint(studio, DRAWING, SHARPENING)
    uploads = UploadEndpoint(studio.jobs, studio.no_jobs)
    return [
        *uploads.routes(),
        *modules.routes(),
        *icons.routes(),
        *CardEndpoint(studio).routes(),
        *faces.routes(),
    ]


def own_middleware(studio: Studio) -> list[Middleware]:
    """What every request passes through on its way to a route, from the outside to the inside."""
    faces = first_faces(studio.open(studio.library.start.key))
    return [
        Middleware(SecurityHeaders),
        Middleware(RequestLimits),
        Middleware(Compression),
        Middleware(PageHead, scripts=modules.page_head(), first_faces=faces),
    ]


def main() -> None:
    """Start the page at the address in GRADIO_SERVER_NAME and GRADIO_SERVER_PORT (127.0.0.1:7860).

    Raises GanimeError if that port is not free.
    """
    port = free_port()
    raise_file_limit()
    studio = Studio(Settings())
    os.environ["GRADIO_TEMP_DIR"] = str(studio.settings.temporary)  # on the disk of the jobs, used by nothing else
    page = create_app(studio)
    restrict_gradio()
    page.queue(max_size=64, default_concurrency_limit=2, api_open=False)  # no endpoint bypasses the queue
    if studio.jobs:
        studio.jobs.start()
    try:
        page.launch(
            server_port=port,  # no other one, which Gradio would look for
            theme=THEME,
            css=CSS,
            show_error=False,  # the texts of unexpected errors stay on the server
            footer_links=[],
            app_kwargs={"routes": own_routes(studio), "middleware": own_middleware(studio)},
            enable_monitoring=False,
            run_history=False,
            state_session_capacity=MAX_SESSIONS,
            ssr_mode=False,  # a second server in front of this one would hide visitors' addresses
        )
    finally:
        if studio.jobs:
            studio.jobs.close()
