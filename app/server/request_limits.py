"""Limits on every request that Gradio does not set: the size of bodies, where files are accepted, and no fetching."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from contextlib import suppress
from typing import Any, NoReturn

import gradio as gr
from fastapi.exceptions import RequestValidationError
from gradio import processing_utils, queueing, routes
from gradio.blocks import Block
from gradio.route_utils import API_PREFIX
from gradio.state_holder import SessionState
from starlette._utils import get_route_path
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.server.event_queue import EventQueue, Messages
from app.server.hosts import refusal_of_host
from app.server.known_names import CALL, NAMED, refusal_of_unknown
from app.server.model_endpoint import MODEL_PATH
from app.server.origins import NoCredentials
from app.settings import MEGABYTE
from app.visitors import address_of
from ganime.text import printable

UPLOAD_PATH = f"{API_PREFIX}/upload"
MAX_BODY = 6 * MEGABYTE  # of any request but an upload; the largest, a picture to project, has 5.6 MB as base64
MAX_VALUES = 20_000  # in a JSON body; parsing and checking millions of them would block every other request
MAX_BUFFERED = 48 * MEGABYTE  # of all bodies that are being read or handled, which take several times as much memory
SHARE = 8  # one visitor's bodies may have an eighth of MAX_BUFFERED
MAX_UNSENT = 64 * MEGABYTE  # of answers in memory that one visitor has not taken yet
PIECE = 65_536  # bytes of an answer that are sent at a time
BODY_SECONDS = 60.0  # for a body to arrive
MAX_UPLOAD_ID = 64  # characters
MAX_OPEN = 512  # unanswered requests of one visitor; a page holds two, and many may share an address
MAX_NAME = 200  # characters of a session's hash, an event's id or a function's name; Gradio keeps session hashes
MAX_PATH = 2_000  # characters
MOVE_FILES = processing_utils.async_move_files_to_cache  # Gradio's own, see `leave_inputs`
FETCHING = re.compile(r"/(file|proxy)[=/]\s*https?:", re.IGNORECASE)
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # what could begin a line or a command in a log


class RequestLimits:
    """Middleware that refuses what Gradio would read into memory whole, keep for ever, or fetch from elsewhere."""

    def __init__(
        self,
        app: ASGIApp,
        body_seconds: float = BODY_SECONDS,
        max_buffered: int = MAX_BUFFERED,
        local: bool = False,
        proxies: int = 0,
    ) -> None:
        """local: whether only names of this machine are answered to, see `serves_only_this_machine`.
        proxies: see `app.visitors.address_of`.
        """
        self.app, self.body_seconds, self.max_buffered = app, body_seconds, max_buffered
        self.local, self.proxies = local, proxies
        self.buffered: Counter[str] = Counter()  # bytes of bodies, by visitor
        self.open: Counter[str] = Counter()  # requests that are not answered yet, by visitor
        self.unsent: Counter[str] = Counter()  # bytes of large answers that are on their way, by visitor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        scope = with_own_address(scope)
        request, path = Request(scope), scope["path"].rstrip("/")
        if refusal := refusal_of_host(request, self.local) or refusal_of(request, path):
            return await refusal(scope, receive, send)
        body, visitor = bytearray(), address_of(request, self.proxies)
        if refusal := self.refusal_of_many(visitor):
            return await refusal(scope, receive, send)
        self.open[visitor] += 1
        try:
            with suppress(ClientDisconnect):  # nobody is left to be answered
                if not takes_files(scope):
                    receive, refusal = await self.read_body(receive, body, visitor)
                    if not refusal and API_PREFIX in path:
                        refusal = refusal_of_content(scope, path, body)
                await (refusal or self.app)(scope, receive, self.in_pieces(send, visitor))
        except RuntimeError as error:  # of Starlette
            if not isinstance(error.__cause__, HTTPException):  # which comes too late to be the answer
                raise
            await send({"type": "http.response.body", "body": b""})
        finally:
            self.buffered -= Counter({visitor: len(body)})  # which forgets visitors without any
            self.open -= Counter([visitor])

    def refusal_of_many(self, visitor: str) -> Response | None:
        """Return the response to a visitor who has many requests under way, or leaves many answers; else None."""
        if self.open[visitor] >= MAX_OPEN:
            return PlainTextResponse(
                f"{MAX_OPEN:,} requests of yours are under way. Send the next ones when some are done.", 429
            )
        if self.unsent[visitor] >= MAX_UNSENT:
            text = f"{MAX_UNSENT // MEGABYTE} MB of answers to you are still on their way. Try again when they arrived."
            return PlainTextResponse(text, 429)
        return None

    def in_pieces(self, send: Send, visitor: str) -> Send:
        """Return a `send` that gives large bodies away in pieces, each once the client has taken those before.

        An answer in one piece would lie in the server's memory after its request had ended, where nothing counts it.
        """

        async def send_in_pieces(message: Message) -> None:
            body = message.get("body", b"")
            if len(body) <= PIECE:
                return await send(message)
            self.unsent[visitor] += len(body)
            try:
                for start in range(0, len(body), PIECE):
                    end = start + PIECE
                    more = message.get("more_body", False) or end < len(body)
                    await send({**message, "body": body[start:end], "more_body": more})
            finally:
                self.unsent -= Counter({visitor: len(body)})

        return send_in_pieces

    async def read_body(self, receive: Receive, body: bytearray, visitor: str) -> tuple[Receive, Response | None]:
        """Read a whole body into `body` before anything parses it.

        Returns a `receive` that delivers the body again, and a refusal when the body is too large, holds too many
        values (counted by their separators, in time linear in the number of bytes), arrives too slowly, or when too
        many bytes of this visitor or of all are being read or handled. Raises ClientDisconnect.
        """
        values, more, until = 1, True, time.monotonic() + self.body_seconds
        while more:
            try:
                message = await asyncio.wait_for(receive(), until - time.monotonic())
            except asyncio.TimeoutError:
                text = f"The request's body did not arrive within {self.body_seconds:g} seconds. Try again."
                return receive, PlainTextResponse(text, 408)
            if message["type"] != "http.request":
                raise ClientDisconnect
            chunk = message.get("body", b"")
            body += chunk
            self.buffered[visitor] += len(chunk)
            values += sum(chunk.count(mark) for mark in b",[{")
            more = message.get("more_body", False)
            if len(body) > MAX_BODY:
                return receive, body_too_large()
            if self.buffered[visitor] > self.max_buffered // SHARE:
                text = "Too many requests of yours are arriving. Send the next ones when some are done."
                return receive, PlainTextResponse(text, 429)
            if self.buffered.total() > self.max_buffered:
                return receive, PlainTextResponse("Too many requests are arriving. Try again in a moment.", 503)
            if values > MAX_VALUES:
                text = f"A request may contain at most {MAX_VALUES:,} values; send fewer at a time."
                return receive, PlainTextResponse(text, 413)
        return replay_first({"type": "http.request", "body": bytes(body), "more_body": False}, receive), None


def takes_files(scope: Scope) -> bool:
    """Whether a request goes to an endpoint that takes files and limits its body itself.

    The path is compared as the router compares it: the same path below a mount leads elsewhere.
    """
    return scope["method"] == "POST" and get_route_path(scope) in (UPLOAD_PATH, MODEL_PATH)


def refusal_of(request: Request, path: str) -> Response | None:
    """Return the response to a request whose path and headers are enough to refuse it; None for all others."""
    if CONTROL.search(path):
        return PlainTextResponse("A path has no control characters.", 400)
    if FETCHING.search(path):
        return PlainTextResponse("This page does not fetch anything from the web for a visitor.", 403)
    if any(len(name) > MAX_UPLOAD_ID for name in request.query_params.getlist("upload_id")):
        return PlainTextResponse(f"upload_id may have at most {MAX_UPLOAD_ID} characters; choose a shorter one.", 400)
    if any(request.query_params.getlist("page")):
        return PlainTextResponse("This page has no other pages; leave out ?page=.", 400)
    if len(path) > MAX_PATH:
        return PlainTextResponse(f"A path may have at most {MAX_PATH:,} characters.", 400)
    if refusal := next(filter(None, map(refusal_of_session, request.query_params.getlist("session_hash"))), None):
        return refusal
    if takes_files(request.scope):
        return None
    length = request.headers.get("content-length", "")
    if request.method in ("GET", "HEAD") and (length.strip("0") or "transfer-encoding" in request.headers):
        return PlainTextResponse("A request of this kind has no body.", 400)
    if any("multipart/" in kind.lower() for kind in request.headers.getlist("content-type")):
        return PlainTextResponse(f"Files are accepted at {UPLOAD_PATH} only.", 415)
    if length.isdecimal() and int(length) > MAX_BODY:
        return body_too_large()
    return None


def refusal_of_content(scope: Scope, path: str, body: bytearray) -> Response | None:
    """Return the response to a JSON body with a wrong text or number beside its data; None for all others.

    A call by the names of its inputs has nothing beside them.

    Gradio keeps such texts, above all `session_hash`, as keys of its tables. What is not JSON is left to Gradio.
    """
    try:
        fields = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        return None
    fields = fields if isinstance(fields, dict) else {}
    named = (call := CALL.search(path)) and call[1] == NAMED
    if named:
        return refusal_of_unknown(scope, path, fields)
    if any(isinstance(text, str) and len(text) > MAX_NAME for text in fields.values()):
        return PlainTextResponse(f"A name, an id or a hash may have at most {MAX_NAME} characters.", 400)
    index = fields.get("fn_index")
    if index is not None and type(index) is not int:
        return PlainTextResponse("fn_index is the number of a function, an integer.", 400)
    return refusal_of_session(fields.get("session_hash")) or refusal_of_unknown(scope, path, fields)


async def refuse_invalid(request: Request, error: Exception) -> Response:
    """Answer a request that is not what its endpoint takes, in the place of FastAPI, whose answer repeats all that was
    sent, and fails where that cannot be written as JSON, such as NaN: then it is in the log.
    """
    assert isinstance(error, RequestValidationError)
    places = [each["loc"] for each in error.errors()]  # such as ("body", "trigger_id")
    names = sorted({str(place[-1]) for place in places if len(place) > 1 and isinstance(place[-1], str)})
    wrong = f" Missing or of a wrong kind: {printable(', '.join(names), MAX_NAME)}." if names else ""
    return PlainTextResponse(f"This request is not of the form that this address takes.{wrong}", 422)


def with_own_address(scope: Scope) -> Scope:
    """Return the scope with which Gradio describes the endpoints under the address that this visitor uses.

    Gradio caches the description with the address of its first caller, and returns that to everybody, unless the
    request names a page of the app, here the only one, which has no name. `refusal_of` refuses all others.
    """
    if not scope["path"].rstrip("/").endswith(f"{API_PREFIX}/info"):
        return scope
    return {**scope, "query_string": b"&".join(filter(None, (scope["query_string"], b"page=")))}


def refusal_of_session(name: object) -> Response | None:
    """Return the response to a text that cannot name a session, such as half of a character; None for all else."""
    if not isinstance(name, str) or (0 < len(name) <= MAX_NAME and name.isprintable()):
        return None
    return PlainTextResponse(f"A session_hash has 1 to {MAX_NAME} printable characters.", 400)


def body_too_large() -> Response:
    """Return the response to a body of more than MAX_BODY bytes."""
    text = f"A request may have a body of at most {MAX_BODY // MEGABYTE} MB; upload files to {UPLOAD_PATH}."
    return PlainTextResponse(text, 413)


def replay_first(first: Message, receive: Receive) -> Receive:
    """Return a `receive` that delivers `first`, then what `receive` delivers."""
    waiting = [first]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def cut_body(receive: Receive, length: int, idle_seconds: float, least: float) -> Receive:
    """Return a `receive` that reports a disconnected client once a body has more than `length` bytes.

    It raises asyncio.TimeoutError when less than `least` of the body, a share, arrives in `idle_seconds`. Only the time
    counts for which the client was waited for.
    """
    received, counted, waited = 0, 0, 0.0

    async def receive_counted() -> Message:
        nonlocal received, counted, waited
        start = time.monotonic()
        message = await asyncio.wait_for(receive(), idle_seconds - waited)
        waited += time.monotonic() - start
        received += len(message.get("body", b""))
        if received - counted >= max(1, least * length):
            counted, waited = received, 0.0
        return message if received <= length else {"type": "http.disconnect"}

    return receive_counted


async def refuse_to_fetch(url: str, cache_dir: str = "") -> NoReturn:
    """Stand in for Gradio's functions that fetch a URL."""
    text = "This page does not fetch anything from the web for a visitor. Upload the file itself."
    raise gr.Error(text, print_exception=False)


async def leave_inputs(data: Any, block: Block, *, check_in_upload_folder: bool = False, **options: bool) -> Any:
    """Stand in for Gradio's function that looks for files in values; in those from visitors, it looks for none.

    It would look up each path that a request names, on the thread that all visitors share, and remember it for ever.
    What takes files checks their paths itself, see `uploaded_files`.
    """
    if check_in_upload_folder:
        return data
    return await MOVE_FILES(data, block, **options)


def leave_event_data(data: object) -> None:
    """Stand in for Gradio's function that looks up each path in the data of an event; nobody takes those for files."""


def keep_no_value(state: SessionState, key: int, value: object) -> None:
    """Stand in for the method with which Gradio notes what a visitor has sent, to restore it from a deep link.

    Each of a thousand sessions could keep as many bytes as a request may have.
    """


def restrict_gradio(proxies: int = 0) -> None:
    """Replace the functions with which Gradio fetches URLs, looks for files and keeps values, found anew at each call,
    and the queue and the answers to other sites that pages get from then on. `proxies`: see `app.visitors.address_of`.

    Raises AttributeError when another version of Gradio has other names for them.
    """
    EventQueue.proxies = proxies
    replacements = {
        "async_ssrf_protected_download": (processing_utils, refuse_to_fetch),
        "async_ssrf_protected_get": (processing_utils, refuse_to_fetch),
        "async_move_files_to_cache": (processing_utils, leave_inputs),
        "check_all_files_in_cache": (processing_utils, leave_event_data),
        "_update_value_in_config": (SessionState, keep_no_value),
        "CustomCORSMiddleware": (routes, NoCredentials),
        "AsyncQueue": (queueing, Messages),
        "Queue": (queueing, EventQueue),
    }
    for name, (place, replacement) in replacements.items():
        getattr(place, name)
        setattr(place, name, replacement)
