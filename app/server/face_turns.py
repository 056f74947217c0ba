"""Has requests for faces wait their turn and tells them their place; identical requests are drawn once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from app.limits import BUSY, Busy, Turn, Turns
from app.recently_used import RecentlyUsed

PATIENCE = 0.4  # seconds after which a request that still waits is told its place
NOTICE_SECONDS = 1.0  # between two notices
MAX_ANSWERS, MAX_KEPT = 64, 400_000  # answers that are kept, and bytes of each at most; 16 faces have 90 kB
MEDIA_TYPE = "application/octet-stream"
T = TypeVar("T")


@dataclass(eq=False)
class Wanted:
    """An answer that one or more requests wait for. begun: whether it is being made."""

    answer: Future[Response] = field(default_factory=Future)
    requests: int = 0
    begun: bool = False

    def __post_init__(self) -> None:
        self.answer.set_running_or_notify_cancel()  # one request that is given up does not take it from the others


class FaceTurns:
    """Has answers made in turns. Any event loop may call `answer`."""

    def __init__(self) -> None:
        self.lock = threading.Lock()  # held while what is wanted changes
        self.wanted: dict[str, Wanted] = {}  # by request
        self.answers: RecentlyUsed[Response] = RecentlyUsed(MAX_ANSWERS)
        self.tasks: set[asyncio.Task[Response]] = set()

    async def answer(self, turns: Turns, visitor: str, name: str, make: Callable[[], Response], keep: bool) -> Response:
        """The answer to a request, or a stream that says its place until the answer is there.

        name: equal for identical requests, see `name_of`. make: makes the answer, in a thread. keep: whether later
        identical requests have the same answer, too. Raises Busy if the request would wait for too long.
        """
        if known := self.answers.get(name):
            return known
        turn = turns.join(visitor)
        task = asyncio.create_task(self.served(turns, turn, name, make, keep))
        self.tasks.add(task)  # a loop forgets tasks that nobody holds
        task.add_done_callback(self.tasks.discard)
        done, _ = await asyncio.wait({task}, timeout=PATIENCE)
        if done or turn.granted.done():
            return await asyncio.shield(task)  # identical requests may wait for the same drawing
        return StreamingResponse(self.notices(turns, turn, task), media_type=MEDIA_TYPE)

    async def served(self, turns: Turns, turn: Turn, name: str, make: Callable[[], Response], keep: bool) -> Response:
        """Wait until it is this request's turn, or until an identical one was answered."""
        wanted = self.want(name)
        try:
            if known := self.answers.get(name):  # made since `answer` looked for it
                return known
            granted, answered = in_loop(turn.granted), in_loop(wanted.answer)
            await asyncio.wait({granted, answered}, return_when=asyncio.FIRST_COMPLETED)
            if not self.begin(wanted, granted):
                turns.leave(turn)  # it is for others
                return await answered
            response = await made(wanted, make)
            if keep and response.status_code == 200 and len(response.body) <= MAX_KEPT:
                self.answers.add(name, response)
            wanted.answer.set_result(response)
            return response
        finally:
            turns.leave(turn)
            self.give_up(name, wanted)

    def want(self, name: str) -> Wanted:
        """Count one more request that waits for an answer."""
        with self.lock:
            wanted = self.wanted.setdefault(name, Wanted())
            wanted.requests += 1
        return wanted

    def begin(self, wanted: Wanted, granted: asyncio.Future[None]) -> bool:
        """Whether the caller has to make an answer; no, if an identical request makes it or has made it.

        granted: is done, unless the answer has been made. Raises Busy if the caller was refused while it waited.
        """
        with self.lock:
            if wanted.begun:
                return False
            granted.result()
            wanted.begun = True
            return True

    def give_up(self, name: str, wanted: Wanted) -> None:
        """Count one request less, and forget an answer that is made or that nobody waits for."""
        with self.lock:
            wanted.requests -= 1
            if self.wanted.get(name) is wanted and (not wanted.requests or wanted.answer.done()):
                del self.wanted[name]

    async def notices(self, turns: Turns, turn: Turn, task: asyncio.Task[Response]) -> AsyncIterator[bytes]:
        """The place of a request, again and again, then its answer. A client that leaves gives its turn up."""
        try:
            while not task.done():
                ahead, seconds = turns.place(turn)
                yield headed({"ahead": ahead, "seconds": round(seconds, 1)})
                await asyncio.wait({task}, timeout=NOTICE_SECONDS)
            try:
                response = task.result()
            except Busy as error:
                yield headed({"error": str(error), "status": 503})
                return
            if response.media_type != MEDIA_TYPE:  # a refusal, whose status can no longer be sent
                yield headed(json.loads(bytes(response.body)) | {"status": response.status_code})
            else:
                yield bytes(response.body)
        finally:
            if not turn.granted.done():
                task.cancel()


async def made(wanted: Wanted, make: Callable[[], Response]) -> Response:
    """Make an answer in a thread. If that fails or is given up, so do the identical requests that wait for it."""
    try:
        return await run_in_threadpool(make)
    except BaseException as error:
        wanted.answer.set_exception(error if isinstance(error, Exception) else Busy(BUSY))
        raise


def in_loop(future: Future[T]) -> asyncio.Future[T]:
    """A future for the event loop of the caller, which does not log that nobody asked for an exception in it."""
    found = asyncio.wrap_future(future)
    found.add_done_callback(lambda done: done.cancelled() or done.exception())
    return found


def headed(head: dict[str, object], rest: bytes = b"") -> bytes:
    """A head as JSON behind its length, then the rest."""
    text = json.dumps(head).encode()
    return len(text).to_bytes(4, "big") + text + rest


def name_of(tool: str, body: bytes) -> str:
    """A short name that identical requests have in common."""
    return hashlib.sha256(tool.encode() + b"\0" + body).hexdigest()
