"""The page's own components: a folder here with HTML, CSS and JavaScript for each, made into gr.HTML by `component`."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from pydantic import ValidationError, validate_call

from app.components.modules import module_url
from app.errors import JobMissing, explain_disk_errors
from ganime.errors import GanimeError
from ganime.images import sheet, webp_bytes

FOLDER = Path(__file__).parent
# Gradio runs this in each component's element. What fails while the module is loaded is said in its place.
MOUNT = """\
// Events: %s
import(new URL("%s", document.baseURI))
  .then(({ mount }) => mount({ element, props, server, trigger, watch }))
  .catch((error) => {
    console.error(error);
    element.innerHTML = "<p class=alert role=alert>This part of the page could not be loaded. Reload the page.</p>";
  });
"""
PATIENCE = 5.0  # seconds that one request waits for its turn; a thread that waited on would be lost to all others
WAITING = 8  # requests that wait for one kind of turn; the page has 40 threads for all that it does
BUSY = "Others are being served just now. Try again in a moment."


class Turn:
    """So many at a time, while a few wait. Raises GanimeError for who waits for long or comes when enough wait."""

    def __init__(self, places: int) -> None:
        self.places = threading.BoundedSemaphore(places)
        self.room = threading.BoundedSemaphore(places + WAITING)

    def __enter__(self) -> None:
        if not self.room.acquire(blocking=False):
            raise GanimeError(BUSY)
        if not self.places.acquire(timeout=PATIENCE):
            self.room.release()
            raise GanimeError(BUSY)

    def __exit__(self, *error: object) -> None:
        self.places.release()
        self.room.release()


ENCODERS = Turn(2)  # files made at a time
DRAWING = Turn(4)  # requests that take turns at the device
LOADING = Turn(2)  # requests that may fetch a model first
AT_ONCE = nullcontext()
MEDIA_TYPES = {
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".mp4": "video/mp4",
    ".zip": "application/zip",
}


def forgiving(slider: gr.Slider) -> gr.Slider:
    """A slider that takes what lies outside its range as its nearest end, where it would fail by itself."""
    strict = slider.preprocess

    def preprocess(payload: Any) -> float:
        known = isinstance(payload, int | float) and payload == payload  # not NaN
        return strict(min(max(payload, slider.minimum), slider.maximum) if known else slider.minimum)

    slider.preprocess = preprocess
    return slider


def component(
    name: str, server_functions: list[Callable[..., Any]], elem_id: str, events: tuple[str, ...] = ()
) -> gr.HTML:
    """The component in the folder `name`: its .html and .css, and the `mount` of its .js, a module.

    server_functions: what the module can call on the server, by name. events: what it triggers; Gradio looks for their
    names in the text that it runs.
    """
    folder, shared = FOLDER / name, FOLDER / "shared" / "common.css"
    css = [path.read_text(encoding="utf-8") for path in (shared, folder / f"{name}.css")]
    return gr.HTML(
        value={},
        html_template=(folder / f"{name}.html").read_text(encoding="utf-8"),
        css_template="".join(css),
        js_on_load=MOUNT % (list(events), module_url(f"{name}/{name}.js")),
        server_functions=server_functions,
        apply_default_css=False,
        elem_id=elem_id,
    )


def page_call(name: str) -> str:
    """An event's `js=` that calls a function of page.js; its result becomes the outputs."""
    return f"async (...values) => (await window.ganime).{name}(...values)"


def answered(
    make: Callable[..., Any],
    pack: Callable[[Any], dict[str, Any]] = dict,
    turn: AbstractContextManager[Any] = AT_ONCE,
    unknown: str = "The page asked for what is not there; reload it.",
    visitor: Callable[[Any], str] | None = None,
) -> Callable[..., dict[str, Any]]:
    """A server function from one of plain arguments; it answers {"error": text} where it cannot do what it is asked.

    The browser sends one list of arguments; they come from the network, so each is checked against its type hint.
    pack: makes the answer of what `make` returns. turn: held meanwhile. unknown: said of arguments that do not fit.
    visitor: tells who asks, by the request; `make` is then given that before the arguments.
    """
    checked = validate_call(make)

    def answer(arguments: Any, request: gr.Request | None = None) -> dict[str, Any]:
        given = arguments if isinstance(arguments, list) else [arguments]
        try:
            with turn, explain_disk_errors("This could not be read"):
                made = checked(*([visitor(request), *given] if visitor else given))
        except ValidationError:
            return {"error": unknown}
        except JobMissing as error:
            return {"error": str(error), "missing": True}
        except GanimeError as error:
            return {"error": str(error)}
        return pack(made)

    answer.__name__ = make.__name__
    return answer


def answer_with_file(make: Callable[..., tuple[str, bytes]]) -> Callable[..., dict[str, str]]:
    """A server function from one that returns (file name, bytes); the browser gets base64, or the error's text."""
    return answered(make, packed, ENCODERS, "This download asks for what is not there; reload the page.")


def packed(file: tuple[str, bytes]) -> dict[str, str]:
    name, data = file
    return {"name": name, "data": base64.b64encode(data).decode(), "type": MEDIA_TYPES[Path(name).suffix]}


def sheet_url(faces: np.ndarray) -> str:
    """All faces (N, H, W, 3) as one exact picture, in a URL that carries it."""
    return picture_url("webp", webp_bytes(sheet(faces)))


def picture_url(kind: str, data: bytes) -> str:
    """A URL that carries a picture of this kind, such as "webp"."""
    return f"data:image/{kind};base64," + base64.b64encode(data).decode()
