"""The page as a whole: header, tabs, dock and the public endpoints."""

from __future__ import annotations

import os

import gradio as gr
from fastapi.exceptions import RequestValidationError
from starlette.middleware import Middleware
from starlette.routing import Route

from app import api
from app.components import modules
from app.components.bridge import LIVE, component, event_text, page_call, remembered, server_function
from app.components.theme import CSS, FORM_CSS, THEME
from app.faces.studio import Studio
from app.jobs.arrivals import arrivals_folder
from app.server import icons
from app.server.card_endpoint import CardEndpoint
from app.server.compression import Compression
from app.server.connections import limit_connections
from app.server.face_endpoint import FaceEndpoint
from app.server.first_faces import first_faces
from app.server.hosts import serves_only_this_machine
from app.server.known_routes import KnownRoutes
from app.server.launch import free_port, limit_heaps, raise_file_limit, stop_with
from app.server.mcp_tools import offer_tools
from app.server.model_endpoint import ModelEndpoint
from app.server.page_head import PageHead
from app.server.page_turns import PageTurns
from app.server.request_limits import RequestLimits, refuse_invalid, restrict_gradio
from app.server.security_headers import SecurityHeaders
from app.server.sign_in import SignIn
from app.server.upload_endpoint import UploadEndpoint
from app.server.words import TITLE
from app.settings import Settings
from app.static.browser_files import BrowserFiles
from app.tabs import dock as tab_dock
from app.tabs import train as tab_train
from app.tabs.job_view import existing_jobs

MAX_EVENTS = 256  # of all visitors; each is under way at once, and waits for its turn at a door of app/limits.py
MAX_SESSIONS = 1_000  # of visitors in memory; the least recently used are dropped first


def create_app(studio: Studio) -> gr.Blocks:
    """The page, ready to launch; every visitor starts with the studio's start model.

    The header, the tabs Create and Interpolate and the dock share one state, which lives in the visitor's browser; see
    core/core.js. The Train tab learns from the dock which model is in use.
    """
    with gr.Blocks(title=TITLE, delete_cache=(3600, 3600), fill_width=True) as page:
        model_key = remembered(studio.library.start.key)
        own_jobs = [server_function(existing_jobs(studio.jobs), studio.door(studio.limits.look))] if studio.jobs else []
        component("header", own_jobs, "header")
        with gr.Tabs():
            with gr.Tab("Create", id="create"):
                component("create", [], "create")
            with gr.Tab("Interpolate", id="interpolate"):
                component("interpolate", [], "interpolate")
            with gr.Tab("Train", id="train"):
                tab_train.build(studio, model_key, page.load)
        dock = tab_dock.build(studio)
        dock.model(model_in_use, None, model_key, **LIVE)
        page.load(None, None, None, js=page_call("scrollClearOfTray"), api_visibility="private")
        api.publish(studio, page.GRADIO_CACHE)
    return page


def model_in_use(event: gr.EventData) -> str:
    """The key of the model that a visitor has changed to."""
    return event_text(event, "key")


def own_routes(studio: Studio) -> list[Route]:
    """The routes that take precedence over Gradio's own."""
    faces = FaceEndpoint(studio)
    uploads = UploadEndpoint(studio.jobs, studio.no_jobs, studio.limits)
    return [
        *uploads.routes(),
        *ModelEndpoint(studio).routes(),
        *modules.routes(),
        *icons.routes(),
        *CardEndpoint(studio).routes(),
        *BrowserFiles(studio).routes(),
        *faces.routes(),
    ]


def own_middleware(studio: Studio, routes: list[Route], login: bool) -> list[Middleware]:
    """What every request passes through on its way to a route, from the outside to the inside.

    routes: the page's own. login: whether visitors can sign in.
    """
    faces = first_faces(studio.open(studio.library.start.key))
    return [
        Middleware(SecurityHeaders),
        Middleware(RequestLimits, local=serves_only_this_machine(studio.settings), proxies=studio.settings.proxies),
        Middleware(KnownRoutes, own=routes, login=login, tools=studio.settings.mcp),
        Middleware(SignIn),
        Middleware(Compression),
        Middleware(PageHead, scripts=modules.page_head(), first_faces=faces),
        Middleware(PageTurns, studio=studio),
    ]


def main() -> None:
    """Start the page at the address in GRADIO_SERVER_NAME and GRADIO_SERVER_PORT (127.0.0.1:7860).

    Raises GanimeError if that port is not free.
    """
    port = free_port()
    limit_heaps()
    studio = Studio(Settings())
    limit_connections(raise_file_limit(), studio.settings.proxies)
    os.environ["GRADIO_TEMP_DIR"] = str(studio.settings.temporary)  # on the disk of the jobs, used by nothing else
    page = create_app(studio)
    restrict_gradio(studio.settings.proxies)
    if studio.settings.mcp:
        offer_tools(studio.settings.proxies)
    page.queue(max_size=MAX_EVENTS, default_concurrency_limit=None, api_open=False)  # no endpoint bypasses the queue
    routes = own_routes(studio)
    middleware = own_middleware(studio, routes, login=page.expects_oauth)
    arrivals = arrivals_folder(studio.settings)
    closing = None
    if studio.jobs:
        studio.jobs.start()
        closing = stop_with(studio.jobs) if os.getpid() == 1 else None
    try:
        page.launch(
            server_port=port,  # no other one, which Gradio would look for
            theme=THEME,
            css=CSS + FORM_CSS,
            show_error=False,  # the texts of unexpected errors stay on the server
            footer_links=["api"],
            max_threads=MAX_EVENTS,  # Gradio has as many events under way
            app_kwargs={
                "routes": routes,
                "middleware": middleware,
                "exception_handlers": {RequestValidationError: refuse_invalid},
            },
            blocked_paths=sorted({str(arrivals), str(arrivals.resolve())}),  # nobody fetches what was uploaded
            enable_monitoring=False,
            run_history=False,
            state_session_capacity=MAX_SESSIONS,
            mcp_server=studio.settings.mcp,
            share=False,  # no tunnel, whatever GRADIO_SHARE says
            ssr_mode=False,  # a second server in front of this one would hide visitors' addresses
        )
    finally:
        if closing and closing.ident:
            closing.join()
        elif studio.jobs:
            studio.jobs.close()
