"""Refuses requests for functions, components and events that the page does not have, which Gradio would fail over.

Pages of other sites are refused all functions but those that draw.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import gradio as gr
from gradio.route_utils import API_PREFIX
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope

from app.server.origins import from_another_site, refuse_other_sites

DRAWING = ("generate", "interpolate", "walk", "vary", "steer", "project")  # public endpoints that do nothing else
CALL = re.compile(rf"{API_PREFIX}/(run|call|call/v2)/([^/]+)$")  # of an endpoint by its name
NAMED = "call/v2"  # a call whose body has the inputs by their names
DIRECT = "run"  # a call past the queue, which Gradio refuses for most functions, whatever their inputs
RESULT = re.compile(rf"{API_PREFIX}/call/(?:v2/)?[^/]+/([^/]+)$")  # of an event by its id
QUEUE = f"{API_PREFIX}/queue/join"


def refusal_of_unknown(scope: Scope, path: str, fields: dict[str, Any]) -> Response | None:
    """The response to a request for what the page does not have; None for all others.

    path: without a slash at its end. fields: of the JSON body, empty for any other body.
    """
    get_blocks = getattr(scope.get("app"), "get_blocks", None)
    if get_blocks is None:  # not Gradio's app
        return None
    blocks = get_blocks()
    if scope["method"] == "GET":
        result = RESULT.search(path)
        return unknown("event") if result and not blocks._queue.has(result[1]) else None
    component = fields.get("component_id")
    if component is not None and not (isinstance(component, int) and component in blocks.blocks):
        return unknown("component")
    call = CALL.search(path)
    if not call and not path.endswith(QUEUE):
        return None
    way, name = call.groups() if call else ("", "")
    function = function_of(blocks, name, fields.get("fn_index") if way == DIRECT or not name else None)
    if function and function.api_name not in DRAWING and from_another_site(Request(scope)):
        return refuse_other_sites()
    if way == NAMED:
        return refusal_of_inputs(blocks, name, fields)
    return refusal_of_call(function, fields, way == DIRECT)


def function_of(blocks: gr.Blocks, name: str, index: int | None) -> Any:
    """The function of an index, else of an endpoint's name; None where there is none."""
    if index is not None:
        return blocks.fns.get(index)
    return next((each for each in blocks.fns.values() if name and each.api_name == name), None)


def refusal_of_call(function: Any, fields: dict[str, Any], direct: bool) -> Response | None:
    """The response to the call of a function that does not exist, or with too few inputs; None for all others."""
    if function is None or function.fn is None:  # the latter runs in the browser alone
        return unknown("function")
    needed = sum(not isinstance(block, gr.State) for block in function.inputs)  # clients leave out states
    given = fields.get("data")
    if isinstance(given, list) and len(given) < needed and not (direct and function.queue):
        return PlainTextResponse(f"This function takes {needed} inputs; got {len(given)}.", 422)
    return None


def refusal_of_inputs(blocks: gr.Blocks, name: str, fields: dict[str, Any]) -> Response | None:
    """The response to a call with inputs by name that are unknown or too few; None for all others."""
    inputs = inputs_of(blocks, name)
    if inputs is None:
        return unknown("function")
    missing = [each for each, has_default in inputs.items() if not has_default and each not in fields]
    if missing or fields.keys() - inputs.keys() - {"oauth_token"}:
        return PlainTextResponse(f"This function takes {', '.join(inputs) or 'nothing'}, by these names.", 422)
    return None


@lru_cache(maxsize=64)
def inputs_of(blocks: gr.Blocks, name: str) -> dict[str, bool] | None:
    """The names of an endpoint's inputs, and whether each may be left out; None for a function that is none."""
    endpoint = blocks.get_api_info()["named_endpoints"].get(f"/{name}")
    if endpoint is None:
        return None
    return {each["parameter_name"]: each.get("parameter_has_default", False) for each in endpoint["parameters"]}


def unknown(what: str) -> Response:
    """The response to a request for something that the page does not have."""
    return PlainTextResponse(f"This page has no such {what}.", 404)
