"""How far uploads have come: GET /gradio_api/upload_progress?upload_id=ID, which Gradio's components follow.

The answer is a stream of events: {"orig_name": name of a file, "chunk_size": bytes of it since the last event}, and
{"msg": "done"} as the last one.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from gradio.route_utils import API_PREFIX
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from app.recently_used import RecentlyUsed

PROGRESS_PATH = f"{API_PREFIX}/upload_progress"
MAX_FOLLOWED = 1_000  # uploads whose progress can be asked for
START_SECONDS = 3.0  # for an upload to begin: a browser may ask for its progress first
PAUSE_SECONDS = 0.1  # between two looks at an upload


@dataclass(eq=False)
class FollowedUpload:
    """An upload that is under way. arrived: bytes that were not told yet, by the name of the file."""

    followers: int = 0
    arrived: Counter[str] = field(default_factory=Counter)
    done: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, count: int) -> None:
        """Note that bytes of a file have arrived, if anybody follows. Any thread may call it."""
        with self.lock:
            if self.followers and not self.done:
                self.arrived[name] += count

    def end(self) -> None:
        """Note that the upload has ended; what nobody was told by then is forgotten."""
        with self.lock:
            self.done = True
            self.arrived.clear()

    def take(self) -> Counter[str]:
        """What has arrived since the last call."""
        with self.lock:
            arrived, self.arrived = self.arrived, Counter()
        return arrived


class UploadProgress:
    """The uploads that are under way or ended lately, by the ids that browsers give them."""

    def __init__(self) -> None:
        self.uploads: RecentlyUsed[FollowedUpload] = RecentlyUsed(MAX_FOLLOWED)

    def route(self) -> Route:
        return Route(PROGRESS_PATH, self.answer, methods=["GET"])

    def begin(self, upload_id: str) -> FollowedUpload:
        """A new upload; one without an id is followed by nobody."""
        return self.uploads.add(upload_id, FollowedUpload()) if upload_id else FollowedUpload()

    async def answer(self, request: Request) -> Response:
        """Follow an upload."""
        upload_id, until = request.query_params.get("upload_id", ""), time.monotonic() + START_SECONDS
        while not (upload := self.uploads.get(upload_id)):
            if time.monotonic() > until:
                return PlainTextResponse("There is no such upload.", 404)
            await asyncio.sleep(PAUSE_SECONDS)
        return StreamingResponse(self.events(upload), media_type="text/event-stream")

    async def events(self, upload: FollowedUpload) -> AsyncIterator[str]:
        """The events of an upload until its end."""
        upload.followers += 1
        try:
            while not upload.done:
                for name, count in upload.take().items():
                    yield event({"orig_name": name, "chunk_size": count})
                await asyncio.sleep(PAUSE_SECONDS)
            yield event({"msg": "done"})
        finally:
            upload.followers -= 1


def event(message: dict[str, object]) -> str:
    return f"data: {json.dumps(message)}\n\n"
