"""The dock: the tray below every tab, and the component whose JavaScript all tabs share the server's functions of."""

from __future__ import annotations

import gradio as gr

from app.components.bridge import ServerFunction, component
from app.faces.studio import Studio
from app.tabs.create import search_functions, slider_functions
from app.tabs.long_work import work_functions
from app.tabs.look_inside import look_inside_functions
from app.tabs.model_menu import model_functions, model_value
from app.tabs.saving import saving_functions


def build(studio: Studio) -> gr.HTML:
    """Build the dock, whose event `model` names the model in use by its key.

    It stands outside the tabs, because Gradio mounts what is inside a tab only when a visitor first opens that tab.
    """
    return component("dock", server_functions(studio), "dock", ("model",), model_value(studio, studio.library.start))


def server_functions(studio: Studio) -> list[ServerFunction]:
    """The server functions of all tabs but Train; the page's JavaScript calls them by name."""
    functions = [*model_functions(studio), *slider_functions(studio), *search_functions(studio)]
    functions += [*saving_functions(studio), *look_inside_functions(studio)]
    return functions + work_functions(studio)
