"""Compression of the page's texts, by Brotli or gzip, whichever the browser accepts."""

from __future__ import annotations

import gzip

import anyio
import brotli
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TEXTS = ("text/html", "text/css", "text/javascript", "application/javascript", "application/json", "image/svg+xml")
TEXTS += ("application/manifest+json",)
MIN_BYTES = 1000  # smaller answers fit into one packet anyway
INLINE_BYTES = 32_000  # more are compressed in a thread, so that other requests are answered meanwhile
THREADS = 2  # of their own: the page's other threads may all be waiting for the device
BROTLI_QUALITY, GZIP_LEVEL = 5, 6  # what takes a few milliseconds for the page's HTML


class Compression:
    """Middleware that compresses texts which are sent in one piece.

    Everything else passes through as it comes: event streams must not wait for more data, pictures and archives are
    compressed already, and files are sent in pieces.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.threads = anyio.CapacityLimiter(THREADS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        encoding = accepted_encoding(scope) if scope["type"] == "http" else ""
        if not encoding:
            await self.app(scope, receive, send)
            return
        start: Message | None = None  # held back until the first piece of the body is known

        async def send_compressed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and is_text(message):
                start = message
                return
            if start and message["type"] == "http.response.body":
                body, headers = message.get("body", b""), MutableHeaders(scope=start)
                headers.add_vary_header("Accept-Encoding")
                if len(body) >= MIN_BYTES and not message.get("more_body"):
                    body = await self.compressed(body, encoding)
                    headers["Content-Encoding"], headers["Content-Length"] = encoding, str(len(body))
                    message = {**message, "body": body}
            if start:
                start, first = None, start
                await send(first)
            await send(message)

        await self.app(scope, receive, send_compressed)

    async def compressed(self, body: bytes, encoding: str) -> bytes:
        """The body in an encoding, computed where it holds up nobody."""
        if len(body) < INLINE_BYTES:
            return compressed(body, encoding)
        return await anyio.to_thread.run_sync(compressed, body, encoding, limiter=self.threads)


def accepted_encoding(scope: Scope) -> str:
    """The encoding for a browser: "br", "gzip", or empty for none of the two."""
    accepted = [part.strip() for part in Headers(scope=scope).get("accept-encoding", "").lower().split(",")]
    names = {part.partition(";")[0] for part in accepted if not part.replace(" ", "").endswith((";q=0", ";q=0.0"))}
    return next((name for name in ("br", "gzip") if name in names), "")


def is_text(start: Message) -> bool:
    """Whether the answer that begins with this message is a text that has not been compressed."""
    headers = Headers(raw=start.get("headers", []))
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in TEXTS and "content-encoding" not in headers and start["status"] == 200


def compressed(body: bytes, encoding: str) -> bytes:
    """The body in an encoding, "br" or "gzip"."""
    if encoding == "br":
        return brotli.compress(body, quality=BROTLI_QUALITY)
    return gzip.compress(body, GZIP_LEVEL, mtime=0)
