"""The connection between the page's JavaScript components and Python: components, server functions, event handlers."""

from __future__ import annotations

import base64
import functools
import inspect
from abc import ABCMeta
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import gradio as gr
import numpy as np
from pydantic import ValidationError, validate_call
from starlette.concurrency import run_in_threadpool

from app.components.modules import COMPONENTS, loaded
from app.errors import JobMissing, explain_disk_errors, visitor_text
from ganime.errors import GanimeError
from ganime.images import sheet, webp_bytes

P = ParamSpec("P")
R = TypeVar("R")
Field = TypeVar("Field", bound=gr.components.Component)

Answer = dict[str, Any]  # what a server function returns to the browser, as JSON
ServerFunction = Callable[..., Awaitable[Answer]]
# Gradio runs this in each component's element. What fails while the module is loaded is said in its place.
MOUNT = """\
// Events: %s
%s
  .then(({ mount }) => mount({ element, props, server, trigger, watch }))
  .catch((error) => {
    console.error(error);
    element.innerHTML = "<p class=alert role=alert>This part of the page could not be loaded. Reload the page.</p>";
  });
"""
MEDIA_TYPES = {
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".mp4": "video/mp4",
    ".zip": "application/zip",
}

Trigger = Callable[..., Any]  # an event listener of a component, as gr.on takes it

# Arguments of an event that redraws whenever a control moves. It bypasses the queue and runs one at a time for each
# visitor. Of the moves made in the meantime only the last one counts, so an old picture never replaces a newer one.
LIVE: dict[str, Any] = {
    "api_visibility": "private",
    "queue": False,
    "show_progress": "hidden",
    "trigger_mode": "always_last",
}

# What a request passes before its work: it waits there for its turn, see app/limits.py.
Door = Callable[[gr.Request | None], AbstractAsyncContextManager[None]]


def component(
    name: str,
    server_functions: list[ServerFunction],
    elem_id: str,
    events: tuple[str, ...] = (),
    value: Answer | None = None,
) -> gr.HTML:
    """The component in the folder `name`: its .html and .css, and the `mount` of its .js, a module.

    server_functions: what the module can call on the server, by name. events: what it triggers; Gradio looks for their
    names in the text that it runs. value: what the module receives at the start.
    """
    folder, shared = COMPONENTS / name, COMPONENTS / "shared" / "common.css"
    css = [path.read_text(encoding="utf-8") for path in (shared, folder / f"{name}.css")]
    return gr.HTML(
        value=value or {},
        html_template=(folder / f"{name}.html").read_text(encoding="utf-8"),
        css_template="".join(css),
        js_on_load=MOUNT % (list(events), loaded(f"{name}/{name}.js")),
        server_functions=server_functions,
        apply_default_css=False,
        elem_id=elem_id,
    )


def remembered(value: str) -> gr.Textbox:
    """A text that the visitor's browser remembers and sends with events.

    A gr.State would be forgotten with the visitor's session, and sessions of others can push that out of memory.
    """
    return lenient(gr.Textbox, "")(value, visible="hidden", elem_classes="remembered")


def page_call(name: str) -> str:
    """An event's `js=` that calls a function of page.js; its result becomes the outputs."""
    return f"async (...values) => (await window.ganime).{name}(...values)"


def server_function(
    function: Callable[..., Any],
    door: Door,
    to_answer: Callable[[Any], Answer] = dict,
    invalid: str = "The page asked for something unknown. Reload it.",
    visitor_of: Callable[[Any], Any] | None = None,
) -> ServerFunction:
    """A function that a component's JavaScript calls by name. It answers {"error": text} for an expected failure.

    function: the work, in a thread unless it is a coroutine function. The browser sends its arguments as one list, and
    each is checked against its type hint.
    door: passed before, also by a coroutine function.
    to_answer: turns what `function` returns into the answer.
    invalid: the error text for arguments that do not fit the type hints.
    visitor_of: identifies the visitor behind a request; `function` then takes the visitor as its first argument.
    """
    validated = validate_call(function)

    def work(values: list[Any]) -> Any:
        with explain_disk_errors("This could not be read"):
            return to_answer(validated(*values))

    async def answer(arguments: Any, request: gr.Request | None = None) -> Answer:
        values = arguments if isinstance(arguments, list) else [arguments]
        if visitor_of:
            values = [visitor_of(request), *values]
        try:
            async with door(request):
                if inspect.iscoroutinefunction(function):
                    return to_answer(await validated(*values))
                return await run_in_threadpool(work, values)
        except ValidationError:
            return {"error": invalid}
        except GanimeError as error:
            return error_answer(error)

    answer.__name__ = function.__name__
    answer.door = door  # pyright: ignore[reportFunctionMemberAccess]
    return answer


def in_turns(handler: Callable[..., Any], door: Door) -> Callable[..., Any]:
    """The handler of an event or endpoint, run in a thread once it is the turn of the request among its arguments."""

    @functools.wraps(handler)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        request = next((each for each in args if isinstance(each, gr.Request)), None)
        async with door(request):
            return await run_in_threadpool(handler, *args, **kwargs)

    wrapped.door = door  # pyright: ignore[reportAttributeAccessIssue]
    return wrapped


def no_door(request: gr.Request | None) -> AbstractAsyncContextManager[None]:
    """The door of what passes one later, when it knows which, or needs no thread; the caller says why."""
    return nullcontext()


def file_function(function: Callable[..., tuple[str, bytes]], door: Door) -> ServerFunction:
    """A server function whose work returns (file name, bytes); the browser receives them as `file_answer`."""
    return server_function(function, door, file_answer, "This download is unknown. Reload the page.")


def file_answer(file: tuple[str, bytes]) -> dict[str, str]:
    """A file as the browser receives it, its bytes in base64."""
    name, data = file
    return {"name": name, "data": base64.b64encode(data).decode(), "type": MEDIA_TYPES[Path(name).suffix]}


def error_answer(error: GanimeError) -> dict[str, Any]:
    """An expected failure as a value that the page's components show in place; `missing` marks a deleted job."""
    answer: dict[str, Any] = {"error": visitor_text(error)}
    return answer | {"missing": True} if isinstance(error, JobMissing) else answer


def gradio_error(error: GanimeError) -> NoReturn:
    """Raise an expected failure as a gr.Error, whose text reaches the client and which leaves no traceback in the log.

    Gradio replaces the text of any other exception with a general one.
    """
    raise gr.Error(visitor_text(error), print_exception=False) from error


def expected_errors(respond: Callable[[GanimeError], Any]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator for event handlers and endpoints: a GanimeError becomes what `respond` makes of it.

    respond: `error_answer`, for events that bypass the queue and therefore show no toast; or `gradio_error`.
    """

    def decorate(handler: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(handler)
        async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
            try:
                return await handler(*args, **kwargs)  # pyright: ignore[reportGeneralTypeIssues]
            except GanimeError as error:
                return respond(error)

        @functools.wraps(handler)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return handler(*args, **kwargs)
            except GanimeError as error:
                return respond(error)

        return awaited if inspect.iscoroutinefunction(handler) else wrapped  # pyright: ignore[reportReturnType]

    return decorate


def event_text(event: gr.EventData, name: str) -> str:
    """A text that the page's JavaScript sent with an event; empty where there is none or the value is not a text."""
    data = event._data
    value = data.get(name) if isinstance(data, dict) else None
    return value if isinstance(value, str) else ""


def variant(kind: type[Field], **members: Any) -> type[Field]:
    """A subclass of a component's class with other methods or properties.

    For a visitor for whom an event has updated a component, Gradio makes it anew from its class; a method replaced in
    the first one would be lost. The class is created past `ComponentMeta`, which would write a .pyi file beside this
    one.
    """
    return ABCMeta.__new__(type(kind), kind.__name__, (kind,), members)  # Gradio tells kinds apart by these names


def lenient(kind: type[Field], otherwise: Any) -> type[Field]:
    """The class of a form's field that takes a value that the page never sends as `otherwise`.

    Gradio would raise an error and log the whole value with a traceback.
    """

    def preprocess(self: Field, payload: Any) -> Any:
        try:
            value = kind.preprocess(self, payload)
        except Exception:  # of any kind, for values of any type
            return otherwise
        return otherwise if value is None else value

    return variant(kind, preprocess=preprocess)


def clamp(slider: gr.Slider, payload: Any) -> float:
    """The preprocessing of a slider that takes a value outside its range as the nearest end, any other as the least.

    gr.Slider itself raises an error.
    """
    is_number = isinstance(payload, int | float) and payload == payload  # not NaN
    value = min(max(payload, slider.minimum), slider.maximum) if is_number else slider.minimum
    return gr.Slider.preprocess(slider, value)


ClampedSlider = variant(gr.Slider, preprocess=clamp)


def sheet_url(faces: np.ndarray) -> str:
    """Faces, uint8 (N, H, W, 3), as one lossless WebP sheet in a data URL."""
    return picture_url("webp", webp_bytes(sheet(faces)))


def picture_url(kind: str, data: bytes) -> str:
    """An encoded picture of this kind, such as "webp", in a data URL."""
    return f"data:image/{kind};base64," + base64.b64encode(data).decode()
