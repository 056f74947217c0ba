"""What the page does not have is refused with a status of its own, before Gradio fails over it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from starlette.responses import Response

from app.api import FaceEndpoints, TrainingEndpoints
from app.server.known_names import DRAWING, refusal_of_unknown

SESSION = {"session_hash": "s"}
INDEX = 3  # of the only function, which takes two inputs and a state


class Blocks(SimpleNamespace):
    __hash__ = object.__hash__

    def get_api_info(self) -> dict[str, Any]:
        inputs = [("number", False), ("factor", True)]
        parameters = [{"parameter_name": name, "parameter_has_default": default} for name, default in inputs]
        return {"named_endpoints": {"/double": {"parameters": parameters}}}


@pytest.fixture(scope="module")
def app() -> SimpleNamespace:
    """Gradio's app, as far as the refusals look at it; tests/app/test_api.py has the whole one."""
    function = SimpleNamespace(api_name="double", queue=True, inputs=["number", gr.State(), "number"], fn=print)
    private = SimpleNamespace(api_name="_submit", queue=True, inputs=["key"], fn=print)
    in_browser = SimpleNamespace(api_name="jump", queue=True, inputs=[], fn=None)
    queue = SimpleNamespace(has={"running", "ended"}.__contains__)
    blocks = Blocks(
        fns={INDEX: function, INDEX + 1: in_browser, INDEX + 2: private}, blocks={7: object()}, _queue=queue
    )
    return SimpleNamespace(get_blocks=lambda: blocks)


def refusal(app: Any, path: str, fields: dict[str, Any] | None = None, site: str = "") -> Response | None:
    headers = [(b"sec-fetch-site", site.encode())] if site else []
    scope = {"type": "http", "app": app, "method": "GET" if fields is None else "POST", "headers": headers}
    return refusal_of_unknown(scope, f"/below/gradio_api/{path}", fields or {})


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("run/nope", {"data": []}),
        ("run/predict", {"data": [], "fn_index": 99999}),
        ("run/predict", {"data": [], "fn_index": -1}),
        ("run/predict", {"data": []}),
        ("call/nope", {"data": []}),
        ("call/nope", {"data": [1, 2], "fn_index": INDEX}),  # whose name counts
        ("call/v2/nope", {"number": 1}),
        ("call/v2/_submit", {"key": "x"}),
        ("call/v2/_submit", {}),
        ("queue/join", {"data": [], "fn_index": 99999, **SESSION}),
        ("queue/join", {"data": [], "fn_index": INDEX + 1, **SESSION}),
        ("queue/join", {"data": [], **SESSION}),
        ("queue/join", {"data": [], "fn_index": 10**30, **SESSION}),
        ("component_server", {"component_id": 99999, "fn_name": "draw", "data": [], **SESSION}),
        ("component_server", {"component_id": "x", "fn_name": "draw", "data": [], **SESSION}),
    ],
)
def test_an_unknown_function_or_component_is_not_found(app: Any, path: str, fields: dict[str, Any]) -> None:
    answer = refusal(app, path, fields)
    assert answer
    assert (answer.status_code, len(answer.body) < 100) == (404, True)


@pytest.mark.parametrize("path", ["call/double/abc", "call/v2/double/abc", "call/nope/abc"])
def test_an_unknown_event_is_not_found(app: Any, path: str) -> None:
    answer = refusal(app, path)
    assert answer
    assert answer.status_code == 404


@pytest.mark.parametrize(("path", "fields"), [("queue/join", {"fn_index": INDEX, **SESSION}), ("call/double", {})])
def test_too_few_inputs_are_refused_without_repeating_them(app: Any, path: str, fields: dict[str, Any]) -> None:
    answer = refusal(app, path, {"data": ["\x1b[31m"], **fields})
    assert answer
    assert (answer.status_code, b"2 inputs" in answer.body, b"31m" in answer.body) == (422, True, False)
    assert refusal(app, path, {"data": [1, 2], **fields}) is None


@pytest.mark.parametrize("fields", [{}, {"factor": 2}, {"number": 1, "\x1b[31m": 2}, {"number": 1, "data": []}])
def test_inputs_by_name_that_are_unknown_or_missing_are_refused(app: Any, fields: dict[str, Any]) -> None:
    answer = refusal(app, "call/v2/double", fields)
    assert answer
    assert (answer.status_code, b"number, factor" in answer.body, b"31m" in answer.body) == (422, True, False)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("call/double", {"data": [1, None, 2]}),
        ("call/v2/double", {"number": 1}),
        ("call/v2/double", {"number": 1, "factor": 2, "oauth_token": "x"}),
        ("run/double", {"data": []}),  # refused by Gradio, as it would go past the queue
        ("run/predict", {"data": [1, 2, 3, 4], "fn_index": INDEX}),
        ("component_server", {"component_id": 7}),
        ("upload", {}),
        ("call/double/running", None),
        ("call/v2/double/ended", None),
        ("file=/etc/passwd", None),
    ],
)
def test_everything_else_reaches_gradio(app: Any, path: str, fields: dict[str, Any] | None) -> None:
    assert refusal(app, path, fields) is None
    assert refusal(None, path, fields) is None


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("call/double", {"data": [1, 2]}),
        ("call/v2/double", {"number": 1}),
        ("queue/join", {"data": [1, 2], "fn_index": INDEX, **SESSION}),
        ("run/predict", {"data": [1, 2], "fn_index": INDEX}),
        ("run/double", {"data": [1, 2]}),
    ],
)
def test_other_sites_may_call_what_draws_and_nothing_else(
    app: Any, path: str, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = refusal(app, path, fields, "cross-site")
    assert answer
    assert answer.status_code == 403
    assert refusal(app, path, fields, "same-origin") is None
    monkeypatch.setattr("app.server.known_names.DRAWING", ("double",))
    assert refusal(app, path, fields, "cross-site") is None


def test_what_draws_are_the_public_endpoints_but_those_of_training() -> None:
    assert all(hasattr(FaceEndpoints, name) for name in DRAWING)
    assert not any(hasattr(TrainingEndpoints, name) for name in DRAWING)
