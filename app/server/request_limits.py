"""What no request may do here though Gradio would let it: bring much, bring files, have the page fetch a URL."""

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

UPLOAD, PROGRESS = f"{API_PREFIX}/upload", f"{API_PREFIX}/upload_progress"
MOST_BODY = 6 * MEGABYTE  # of any request but an upload; the largest, a picture to project, has 5.6 MB as base64
MOST_VALUES = 20_000  # in a JSON body; parsing and checking millions of them would block every other request
MOST_NAME = 64  # characters by which a browser may name an upload
FETCHING = re.compile(r"/(file|proxy)[=/]\s*https?:", re.IGNORECASE)


class Narrow:
    """Refuses what Gradio would read into memory whole, keep for ever, or fetch from elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request, path = Request(scope), scope["path"].rstrip("/")
        if refusal := refused(request, path):
            return await refusal(scope, receive, send)
        try:
            if not path.endswith(UPLOAD):
                receive, refusal = await checked_body(receive)
                if refusal:
                    return await refusal(scope, receive, send)
            await self.app(scope, receive, send)
        finally:
            if path.endswith(PROGRESS):
                forget_unknown(request.query_params.get("upload_id", ""))


def refused(request: Request, path: str) -> Response | None:
    """The answer to a request that goes no further; None for all others."""
    if FETCHING.search(path):
        return PlainTextResponse("This page fetches nothing from the web for a visitor.", 403)
    if any(len(name) > MOST_NAME for name in request.query_params.getlist("upload_id")):
        return PlainTextResponse(f"upload_id may have {MOST_NAME} characters; choose a shorter one.", 400)
    if path.endswith(UPLOAD):
        return None
    if any("multipart/" in kind.lower() for kind in request.headers.getlist("content-type")):
        return PlainTextResponse(f"Files are taken by {UPLOAD} alone.", 415)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > MOST_BODY:
        return too_large()
    return None


def too_large() -> Response:
    """The answer to a body of more than MOST_BODY bytes."""
    words = f"A request may have a body of at most {MOST_BODY // MEGABYTE} MB; files are uploaded to {UPLOAD}."
    return PlainTextResponse(words, 413)


async def checked_body(receive: Receive) -> tuple[Receive, Response | None]:
    """Read a whole body before anything parses it.

    Returns a `receive` that delivers the body again, and a refusal when the body has more than MOST_BODY bytes or
    MOST_VALUES values. Values are counted by their separators, in time linear in the bytes.
    """
    body, values, more = bytearray(), 1, True
    while more:
        message = await receive()
        if message["type"] != "http.request":  # the client has disconnected
            return replayed(message, receive), None
        chunk = message.get("body", b"")
        body += chunk
        values += sum(chunk.count(mark) for mark in b",[{")
        more = message.get("more_body", False)
        if len(body) > MOST_BODY:
            return receive, too_large()
        if values > MOST_VALUES:
            words = f"A request may hold at most {MOST_VALUES:,} values; this one holds more. Send fewer at a time."
            return receive, PlainTextResponse(words, 413)
    return replayed({"type": "http.request", "body": bytes(body), "more_body": False}, receive), None


def replayed(first: Message, receive: Receive) -> Receive:
    """A `receive` that delivers `first` and then whatever `receive` delivers."""
    waiting = [first]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def counted(receive: Receive, most: int) -> Receive:
    """`receive` until more than so many bytes of a body have come; then as if the visitor had gone."""
    come = 0

    async def count() -> Message:
        nonlocal come
        message = await receive()
        come += len(message.get("body", b""))
        return message if come <= most else {"type": "http.disconnect"}

    return count


def forget(name: str) -> None:
    """Take what Gradio notes of the upload of this name out of its tables."""
    file_upload_statuses.stop_tracking(name)
    file_upload_statuses._signals.pop(name, None)


def forget_unknown(name: str) -> None:
    """The same for one that somebody has asked about and that is not on its way."""
    if name not in file_upload_statuses._statuses:
        forget(name)


class FilesOnly(GradioMultiPartParser):
    """Reads forms of files alone; other fields would be gathered in memory, however long they are."""

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        if self._current_part.file is None:
            raise MultiPartException(
                "Every part of an upload must be a file, with a filename; this one has other ones."
            )


async def not_fetched(url: str, cache_dir: str = "") -> NoReturn:
    raise gr.Error("This page fetches nothing from the web for a visitor. Upload the file itself.")


def close() -> None:
    """Have Gradio fetch no URL that a visitor names, and read no upload with other fields than files.

    It looks these up in their modules at each call.
    """
    changes = {
        "async_ssrf_protected_download": (processing_utils, not_fetched),
        "async_ssrf_protected_get": (processing_utils, not_fetched),
        "GradioMultiPartParser": (route_utils, FilesOnly),
    }
    for name, (module, stand_in) in changes.items():
        getattr(module, name)  # AttributeError where another Gradio calls it otherwise
        setattr(module, name, stand_in)
