"""How the page looks, and what every event handler has in common."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import gradio as gr

from ganime.errors import GanimeError

P = ParamSpec("P")
R = TypeVar("R")

FONT = [gr.themes.Font(name) for name in ("system-ui", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")]
MONO = [gr.themes.Font(name) for name in ("ui-monospace", "Menlo", "Consolas", "monospace")]

THEME = gr.themes.Base(
    primary_hue=gr.themes.colors.rose,
    neutral_hue=gr.themes.colors.slate,
    radius_size=gr.themes.sizes.radius_lg,
    font=FONT,
    font_mono=MONO,
).set(
    body_background_fill="#fdf9fa",
    body_background_fill_dark="#15121a",
    background_fill_secondary="#f8eef1",
    background_fill_secondary_dark="#231d2b",
    block_background_fill="#ffffff",
    block_background_fill_dark="#1d1824",
    body_text_color="#2a2230",
    body_text_color_dark="#f1eaf3",
    body_text_color_subdued="#5d5265",
    body_text_color_subdued_dark="#bdb2c6",
    block_info_text_color="#5d5265",
    block_info_text_color_dark="#bdb2c6",
    block_label_text_color="#4a3f52",
    block_label_text_color_dark="#d9cfe0",
    button_primary_background_fill="#b4234f",
    button_primary_background_fill_hover="#961b41",
    button_primary_background_fill_dark="#b4234f",
    button_primary_background_fill_hover_dark="#cf2f60",
    button_primary_text_color="#ffffff",
    button_primary_text_color_dark="#ffffff",
    color_accent="#b4234f",
    input_background_fill_dark="#2a2333",
    button_secondary_background_fill="#f3e3e8",
    button_secondary_background_fill_dark="#352b40",
    button_secondary_background_fill_hover="#ecd5dc",
    button_secondary_background_fill_hover_dark="#43364f",
    slider_color="#b4234f",
    slider_color_dark="#e0557f",
)

CSS = """
.dark { --color-accent: #ff8fae; --link-text-color: #ff8fae; }
.gradio-container { width: 100%; max-width: 1180px !important; margin: 0 auto !important; overflow: clip !important; }
#title h1 { margin: 6px 0 0; font-size: 30px; letter-spacing: -0.02em; }
#title p { margin: 2px 0 0; }
#model-line, #model-line > *, #estimate, #estimate > * { font-size: 14px; padding-left: 0 !important; }
#model-line strong { font-weight: 650; }
#banner {
  border-left: 4px solid #c2410c; padding: 10px 14px; border-radius: 8px; background: var(--background-fill-secondary);
}
footer { display: none !important; }
input[type="range"]:focus-visible { outline: 3px solid var(--color-accent); outline-offset: 4px; }
input[type="number"]:focus-visible { outline: 2px solid var(--color-accent); }
pre { max-width: 100%; overflow-x: auto; }
#faces-folder, #start-training { min-height: 44px; }
@media (max-width: 480px) {
  .gradio-container { padding: 0 4px !important; }
  .tab-container > button { padding: 0 7px !important; }  /* so that all tabs fit beside each other */
}
"""


Trigger = Callable[..., Any]  # an event listener of a component, as gr.on takes it

# Arguments of an event that redraws whenever a control moves: past the queue, one at a time for each visitor, and of
# the moves that came meanwhile only the last one counts, so that an old picture never replaces a newer one.
LIVE: dict[str, Any] = {
    "api_visibility": "private",
    "queue": False,
    "show_progress": "hidden",
    "trigger_mode": "always_last",
}


def asked(event: gr.EventData, name: str) -> str:
    """A text that the page's JavaScript sent with an event; empty when there is none, for it comes from the network."""
    data = event._data
    value = data.get(name) if isinstance(data, dict) else None
    return value if isinstance(value, str) else ""


def raised(handler: Callable[P, R]) -> Callable[P, R]:
    """An endpoint whose expected failures reach the client in words; Gradio hides the text of other exceptions."""

    @functools.wraps(handler)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return handler(*args, **kwargs)
        except GanimeError as error:
            raise gr.Error(str(error)) from error

    return wrapped


def shown(handler: Callable[P, dict[str, Any]]) -> Callable[P, dict[str, Any]]:
    """A handler whose expected failures are a value, {"error": text}, that the page's components show in place.

    An event past the queue raises no toast, so a gr.Error would leave the visitor without a word.
    """

    @functools.wraps(handler)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        try:
            return handler(*args, **kwargs)
        except GanimeError as error:
            return {"error": str(error)}

    return wrapped
