"""Limits on every request that Gradio does not set: the size of bodies, where files are accepted, and no fetching."""

from __future__ import annotations

import re
from typing import NoReturn

import gradio as gr
from gradio import processing_utils, route_utils
from gradio.route_utils import API_PREFIX, GradioMultiPartParser, MultiPartException
from gradio.routes import file_upload_statuses
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.settings import MEGABYTE

UPLOAD_PATH, PROGRESS_PATH = f"{API_PREFIX}/upload", f"{API_PREFIX}/upload_progress"
MAX_BODY = 6 * MEGABYTE  # of any request but an upload; the largest, a picture to project, has 5.6 MB as base64
MAX_VALUES = 20_000  # in a JSON body; parsing and checking millions of them would block every other request
MAX_UPLOAD_ID = 64  # characters
FETCHING = re.compile(r"/(file|proxy)[=/]\s*https?:", re.IGNORECASE)


class RequestLimits:
    """Middleware that refuses what Gradio would read into memory whole, keep for ever, or fetch from elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request, path = Request(scope), scope["path"].rstrip("/")
        refusal = refusal_of(request, path)
        if not refusal and not path.endswith(UPLOAD_PATH):
            receive, refusal = await read_body(receive)
        if refusal:
            return await refusal(scope, receive, send)
        try:
            await self.app(scope, receive, send)
        finally:
            upload_id = request.query_params.get("upload_id", "")
            if path.endswith(PROGRESS_PATH) and upload_id not in file_upload_statuses._statuses:
                forget_upload(upload_id)  # Gradio notes the id of any upload that is asked about


def refusal_of(request: Request, path: str) -> Response | None:
    """Return the response to a request whose path and headers are enough to refuse it; None for all others."""
    if FETCHING.search(path):
        return PlainTextResponse("This page does not fetch anything from the web for a visitor.", 403)
    if any(len(name) > MAX_UPLOAD_ID for name in request.query_params.getlist("upload_id")):
        return PlainTextResponse(f"upload_id may have at most {MAX_UPLOAD_ID} characters; choose a shorter one.", 400)
    if path.endswith(UPLOAD_PATH):
        return None
    if any("multipart/" in kind.lower() for kind in request.headers.getlist("content-type")):
        return PlainTextResponse(f"Files are accepted at {UPLOAD_PATH} only.", 415)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > MAX_BODY:
        return body_too_large()
    return None


def body_too_large() -> Response:
    """Return the response to a body of more than MAX_BODY bytes."""
    text = f"A request may have a body of at most {MAX_BODY // MEGABYTE} MB; upload files to {UPLOAD_PATH}."
    return PlainTextResponse(text, 413)


async def read_body(receive: Receive) -> tuple[Receive, Response | None]:
    """Read a whole body before anything parses it.

    Returns a `receive` that delivers the body again, and a refusal when the body has more than MAX_BODY bytes or
    MAX_VALUES values. Values are counted by their separators, in time linear in the number of bytes.
    """
    body, values, more = bytearray(), 1, True
    while more:
        message = await receive()
        if message["type"] != "http.request":  # the client has disconnected
            return replay_first(message, receive), None
        chunk = message.get("body", b"")
        body += chunk
        values += sum(chunk.count(mark) for mark in b",[{")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            return receive, body_too_large()
        if values > MAX_VALUES:
            text = f"A request may contain at most {MAX_VALUES:,} values; send fewer at a time."
            return receive, PlainTextResponse(text, 413)
    return replay_first({"type": "http.request", "body": bytes(body), "more_body": False}, receive), None


def replay_first(first: Message, receive: Receive) -> Receive:
    """Return a `receive` that delivers `first`, then what `receive` delivers."""
    waiting = [first]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def cut_body(receive: Receive, most: int) -> Receive:
    """Return a `receive` that reports a disconnected client once a body has more than `most` bytes."""
    received = 0

    async def receive_counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        return message if received <= most else {"type": "http.disconnect"}

    return receive_counted


def forget_upload(upload_id: str) -> None:
    """Remove an upload from Gradio's tables of progress."""
    file_upload_statuses.stop_tracking(upload_id)
    file_upload_statuses._signals.pop(upload_id, None)


class FilesOnlyParser(GradioMultiPartParser):
    """A parser of forms that contain only files. Gradio would collect other fields in memory, whatever their size."""

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        if self._current_part.file is None:
            raise MultiPartException("Every part of an upload must be a file with a filename; this one has others.")


async def refuse_to_fetch(url: str, cache_dir: str = "") -> NoReturn:
    """Stand in for Gradio's functions that fetch a URL."""
    raise gr.Error("This page does not fetch anything from the web for a visitor. Upload the file itself.")


def restrict_gradio() -> None:
    """Replace the functions with which Gradio fetches URLs and parses forms; it looks them up at each call.

    Raises AttributeError when another version of Gradio has other names for them.
    """
    replacements = {
        "async_ssrf_protected_download": (processing_utils, refuse_to_fetch),
        "async_ssrf_protected_get": (processing_utils, refuse_to_fetch),
        "GradioMultiPartParser": (route_utils, FilesOnlyParser),
    }
    for name, (module, replacement) in replacements.items():
        getattr(module, name)
        setattr(module, name, replacement)
