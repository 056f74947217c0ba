"""Server functions and event handlers: limits on simultaneous requests, and failures that become answers."""

from __future__ import annotations

import asyncio
import time

import gradio as gr
import pytest

from app.components.bridge import (
    Answer,
    ClampedSlider,
    ServerFunction,
    error_answer,
    expected_errors,
    gradio_error,
    in_turns,
    no_door,
    server_function,
)
from app.errors import JobMissing
from app.limits import Turns
from ganime.errors import GanimeError, RecipeError


def test_requests_beyond_the_places_wait_for_their_turn_and_hold_no_thread() -> None:
    turns, running, most = Turns(1, longest=60), 0, 0

    def slow(name: str) -> dict[str, str]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.01)
        running -= 1
        return {"name": name}

    async def slow_too(name: str) -> dict[str, str]:
        return await asyncio.to_thread(slow, name)

    async def crowd(call: ServerFunction) -> list[Answer]:
        return await asyncio.gather(*(call([str(number)]) for number in range(9)))

    for function in (slow, slow_too):
        call = server_function(function, lambda request: turns.turn("me"))
        assert asyncio.run(crowd(call)) == [{"name": str(number)} for number in range(9)]
        assert most == 1


def test_a_request_that_would_wait_for_long_is_refused_in_words() -> None:
    turns = Turns(1, longest=0.5, seconds=1)
    working = turns.join("another")
    call = server_function(lambda: {}, lambda request: turns.turn("me"))
    assert "busy" in asyncio.run(call([]))["error"]
    turns.leave(working)
    assert asyncio.run(call([])) == {}


def test_a_handler_waits_for_the_turn_of_its_visitor_wherever_the_request_stands_among_its_arguments() -> None:
    turns, mine, others = Turns(2, longest=60, each=1), gr.Request(username="me"), gr.Request(username="other")

    def handler(word: str, request: gr.Request, end: str = "!") -> str:
        return word + end

    waiting = in_turns(handler, lambda request: turns.turn(request.username if request else ""))
    first = turns.join("me")

    async def ask() -> str:
        mine_later = asyncio.create_task(waiting("mine", mine))
        assert await waiting("others", others, end="?") == "others?"
        assert not mine_later.done()
        turns.leave(first)
        return await mine_later

    assert asyncio.run(ask()) == "mine!"


def test_arguments_of_a_server_function_are_checked_against_their_type_hints() -> None:
    def double(number: int) -> dict[str, int]:
        return {"number": 2 * number}

    async def awaited(number: int) -> dict[str, int]:
        return double(number)

    for function in (double, awaited):
        call = server_function(function, no_door)
        assert asyncio.run(call([2])) == asyncio.run(call(2)) == {"number": 4}
        for arguments in ([], ["x"], [1, 2], None, {"number": 2}):
            assert list(asyncio.run(call(arguments))) == ["error"]


def test_an_expected_failure_reaches_the_client_and_leaves_no_traceback_in_the_log() -> None:
    @expected_errors(gradio_error)
    def refuse() -> None:
        raise RecipeError("No such face.")

    @expected_errors(gradio_error)
    async def refuse_later() -> None:
        raise RecipeError("No such face.")

    for call in (refuse, lambda: asyncio.run(refuse_later())):
        with pytest.raises(gr.Error, match="No such face") as caught:
            call()
        assert not caught.value.print_exception


def test_an_expected_failure_becomes_a_value_that_marks_a_deleted_job() -> None:
    @expected_errors(error_answer)
    def fail(error: GanimeError) -> dict[str, object]:
        raise error

    assert fail(RecipeError("No such face.")) == {"error": "No such face."}
    assert fail(JobMissing("No such job.")) == {"error": "No such job.", "missing": True}


@pytest.mark.parametrize(
    ("sent", "used"), [(65, 64), (-1, 1), (None, 1), (float("nan"), 1), ("x", 1), (7, 7), (10**400, 64)]
)
def test_slider_takes_a_value_out_of_range_as_the_nearest_end(sent: object, used: int) -> None:
    assert ClampedSlider(1, 64, step=1).preprocess(sent) == used
