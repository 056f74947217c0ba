"""Server functions and event handlers: limits on simultaneous requests, and failures that become answers."""

from __future__ import annotations

import threading

import gradio as gr
import pytest

from app.components.bridge import clamped, error_answer, expected_errors, gradio_error, server_function
from app.errors import JobMissing
from app.slots import Slots
from ganime.errors import GanimeError, RecipeError


def test_a_busy_page_refuses_a_request_instead_of_holding_it() -> None:
    started, may_finish = threading.Event(), threading.Event()

    def slow() -> dict[str, str]:
        started.set()
        may_finish.wait(10)
        return {"name": "done"}

    answers: list[dict[str, str]] = []
    call = server_function(slow, slots=Slots(1, seconds=0.05))
    first = threading.Thread(target=lambda: answers.append(call([])))
    first.start()
    assert started.wait(10)
    assert "busy" in call([])["error"]
    may_finish.set()
    first.join()
    assert answers == [{"name": "done"}]
    assert call([]) == {"name": "done"}


def test_arguments_of_a_server_function_are_checked_against_their_type_hints() -> None:
    def double(number: int) -> dict[str, int]:
        return {"number": 2 * number}

    call = server_function(double)
    assert call([2]) == call(2) == {"number": 4}
    for arguments in ([], ["x"], [1, 2], None, {"number": 2}):
        assert list(call(arguments)) == ["error"]


def test_an_expected_failure_reaches_the_client_and_leaves_no_traceback_in_the_log() -> None:
    @expected_errors(gradio_error)
    def refuse() -> None:
        raise RecipeError("No such face.")

    with pytest.raises(gr.Error, match="No such face") as caught:
        refuse()
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
    assert clamped(gr.Slider(1, 64, step=1)).preprocess(sent) == used
