"""Identical requests: what becomes of the others when the one that draws for them is given up, fails or is refused."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.responses import Response, StreamingResponse

from app import limits
from app.limits import Busy, Turn, Turns
from app.server import face_turns
from app.server.face_turns import MEDIA_TYPE, FaceTurns

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_turns, "PATIENCE", 0.01)


class Drawing:
    """A drawing that goes on until `end`, and may fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.begun, self.end = error, threading.Event(), threading.Event()

    def __call__(self) -> Response:
        self.begun.set()
        assert self.end.wait(20)
        if self.error:
            raise self.error
        return Response(b"faces", media_type=MEDIA_TYPE)


def head_of(part: Any) -> dict[str, Any]:
    """A part of a streamed answer that is a head only."""
    return json.loads(part[4:])


async def drawn_for_two(faces: FaceTurns, drawing: Drawing) -> list[asyncio.Task[Response]]:
    """Two identical requests: the first is being drawn, the second waits for it."""
    turns, requests = Turns(2, longest=30), []
    for visitor in "ab":
        requests.append(asyncio.create_task(faces.answer(turns, visitor, "same", drawing, False)))
        await asyncio.to_thread(drawing.begun.wait, 20)
    await asyncio.sleep(0.05)  # both are past their patience
    assert faces.wanted["same"].requests == 2
    return requests


async def test_a_request_that_is_given_up_does_not_take_the_drawing_from_others() -> None:
    faces, drawing = FaceTurns(), Drawing()
    first, second = await drawn_for_two(faces, drawing)
    first.cancel()
    drawing.end.set()
    assert (await asyncio.wait_for(second, 30)).body == b"faces"
    assert faces.wanted == {}


async def test_identical_requests_are_told_that_a_drawing_was_cancelled() -> None:
    faces, drawing, turns = FaceTurns(), Drawing(), Turns(2, longest=30)
    first = asyncio.create_task(faces.served(turns, turns.join("a"), "same", drawing, False))
    await asyncio.to_thread(drawing.begun.wait, 20)
    second = asyncio.create_task(faces.served(turns, turns.join("b"), "same", drawing, False))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(Busy):
        await asyncio.wait_for(second, 30)
    drawing.end.set()
    assert (faces.wanted, turns.serving) == ({}, 0)


async def test_a_request_that_is_answered_late_does_not_have_a_later_drawing_forgotten() -> None:
    faces, first, second = FaceTurns(), Drawing(), Drawing()
    turns, requests = Turns(1, longest=30), []
    for visitor in "ab":
        requests.append(asyncio.create_task(faces.served(turns, turns.join(visitor), "same", first, False)))
        await asyncio.to_thread(first.begun.wait, 20)

    def begin_again(_: object) -> None:
        requests.append(asyncio.create_task(faces.served(turns, turns.join("c"), "same", second, False)))

    requests[0].add_done_callback(begin_again)
    first.end.set()
    await asyncio.wait(set(requests))
    await asyncio.to_thread(second.begun.wait, 20)
    assert faces.wanted["same"].begun
    second.end.set()
    await asyncio.wait_for(requests[2], 30)
    assert faces.wanted == {}


async def test_an_answer_made_between_looking_for_it_and_asking_for_it_is_not_made_again() -> None:
    faces, drawing, made = FaceTurns(), Drawing(), []
    drawing.end.set()

    def draw() -> Response:
        made.append(1)
        return drawing()

    class Doors(Turns):
        """A slow visitor is overtaken by a quick one, whose request is served in another event loop."""

        def join(self, visitor: str) -> Turn:
            if visitor == "slow":
                with ThreadPoolExecutor(1) as other:
                    other.submit(asyncio.run, ask("quick")).result()
            return super().join(visitor)

    async def ask(visitor: str) -> Response:
        return await faces.answer(turns, visitor, "same", draw, True)

    turns = Doors(2, longest=30)
    answer = await ask("slow")
    assert (answer.body, made, faces.wanted, turns.serving) == (b"faces", [1], {}, 0)


async def test_a_failure_reaches_all_identical_requests_and_is_not_logged_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    faces, drawing = FaceTurns(), Drawing(ValueError("broken"))
    requests = await drawn_for_two(faces, drawing)
    drawing.end.set()
    found = await asyncio.gather(*requests, return_exceptions=True)
    assert [str(error) for error in found] == ["broken", "broken"]
    gc.collect()
    assert "never retrieved" not in caplog.text


async def test_a_request_that_is_refused_while_it_waits_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_WAITING", 2)
    faces, turns = FaceTurns(), Turns(1, longest=30)
    for _ in range(2):
        turns.join("greedy")
    answer = await faces.answer(turns, "greedy", "one", Drawing(), False)
    assert isinstance(answer, StreamingResponse)
    parts = aiter(answer.body_iterator)
    places = head_of(await anext(parts))
    turns.join("modest")
    refusal = head_of(await anext(parts))
    assert (places["ahead"], refusal["status"]) == (1, 503)
    assert [part async for part in parts] == []
