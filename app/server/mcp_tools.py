"""The page's drawing as tools for language models, over the Model Context Protocol: at /gradio_api/mcp, if it is on."""

from __future__ import annotations

import base64
import json
import logging
from collections import Counter
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import mcp
from gradio.mcp import GradioMCPServer
from gradio.route_utils import get_root_url
from gradio.state_holder import SessionState
from PIL import Image
from starlette._utils import get_route_path
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from app.server.event_queue import MAX_EVENTS
from app.server.request_limits import replay_first
from app.visitors import address_of
from ganime.errors import ConfigError
from ganime.text import printable

MOST_PICTURES = 8  # in an answer; more are given by their addresses
TOOLS = ("generate", "interpolate", "vary", "steer", "project")  # endpoints; never those of training
PLACES = ("", "http")  # below /gradio_api/mcp where clients post their messages
MAX_DEPTH = 16  # of a message; the deepest, a call with amounts, has three levels
MAX_SHOWN = 200  # characters of a caller's own text in an error, and of an id
INVALID_REQUEST, SERVER_ERROR = -32600, -32000  # of JSON-RPC
LOGGER = logging.getLogger(__name__)


def offer_tools(proxies: int) -> None:
    """Have Gradio offer these tools and no others. `proxies`: see `app.visitors.address_of`.

    Raises ConfigError if the package `mcp` is not installed.
    """
    if find_spec("mcp") is None:
        raise ConfigError("GANIME_MCP needs the package 'mcp', which is not installed. Run: pip install '.[mcp]'")
    mcp.GradioMCPServer = partial(Server, proxies=proxies)  # pyright: ignore


class Server(GradioMCPServer):
    """Gradio's own server, which knows of no other endpoint, and calls these as their callers' own requests.

    Gradio itself calls an endpoint through a client that runs beside the page. It uploads each file that the arguments
    name, wherever that is, keeps a thread until the answer is there, and makes one visitor of all callers.
    """

    def __init__(self, blocks: gr.Blocks, proxies: int) -> None:
        self.proxies = proxies
        self.messages: Counter[str] = Counter()  # that are not answered yet, by visitor
        super().__init__(blocks)

    def get_tool_to_endpoint(self) -> dict[str, str]:
        every = super().get_tool_to_endpoint()
        return {tool: endpoint for tool, endpoint in every.items() if endpoint.lstrip("/") in TOOLS}

    def create_mcp_server(self) -> Any:
        """The library's server, which lists tools and calls them; the page has no prompts and resources."""
        server = super().create_mcp_server()
        kept = (self.types.PingRequest, self.types.ListToolsRequest)
        server.request_handlers = {kind: server.request_handlers[kind] for kind in kept}
        server.request_handlers[self.types.CallToolRequest] = self.call
        return server

    def launch_mcp_on_sse(self, app: Starlette, subpath: str, root_path: str) -> None:
        """Serve the protocol (Streamable HTTP alone, despite the name of Gradio's method) below `subpath`."""
        self.root_path = root_path
        app.mount(subpath, self.serve)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a message, or describe the tools; there is nothing else here, and no page for a browser."""
        request, place = Request(scope, receive), get_route_path(scope).strip("/")
        if place == "schema" and request.method == "GET":  # what "Use via API" shows
            response = await self.get_complete_schema(request)
        elif place not in PLACES:
            response = PlainTextResponse("MCP clients connect to /gradio_api/mcp/; there is nothing below it.", 404)
        elif request.method != "POST":
            text = "MCP clients send their messages here by POST (Streamable HTTP); nothing else is answered."
            response = PlainTextResponse(text, 405, {"Allow": "POST"})
        else:
            response = partial(self.take, request)
        await response(scope, receive, send)

    async def take(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a message, if it is one and few others of its visitor are waiting or under way."""
        body, visitor = await request.body(), address_of(request, self.proxies)
        receive = replay_first({"type": "http.request", "body": body, "more_body": False}, receive)
        if refusal := self.refusal_of_message(body, visitor):
            return await refusal(scope, receive, send)
        self.messages[visitor] += 1
        try:
            return await self.manager.handle_request(scope, receive, send)
        finally:
            self.messages -= Counter([visitor])  # which forgets visitors without any

    def refusal_of_message(self, body: bytes, visitor: str) -> Response | None:
        """The answer to one of too many messages, for which the library would take its time, and to what is no message
        of a client, which it would log at length; None for all others.
        """
        types, fields = self.types, None
        try:
            fields = json.loads(body)
            if is_deep(fields, MAX_DEPTH):
                raise RecursionError
            if self.messages[visitor] >= MAX_EVENTS:
                text = f"{MAX_EVENTS} calls of yours are waiting or under way. Send the next ones when some are done."
                return protocol_error(SERVER_ERROR, text, fields)
            message = types.JSONRPCMessage.model_validate(fields).root
            if isinstance(message, types.JSONRPCResponse | types.JSONRPCError):
                text = "This server asks its clients nothing, so that it takes no results and no errors of theirs."
                return protocol_error(INVALID_REQUEST, text, fields)
            if isinstance(message, types.JSONRPCRequest) and not is_id(message.id):
                text = f"The id of a request is a number, or a text of at most {MAX_SHOWN} printable characters."
                return protocol_error(INVALID_REQUEST, text)
            kind = types.ClientRequest if isinstance(message, types.JSONRPCRequest) else types.ClientNotification
            kind.model_validate(message.model_dump(by_alias=True, mode="json", exclude_none=True))
        except RecursionError:
            return protocol_error(INVALID_REQUEST, f"A message has at most {MAX_DEPTH} levels of lists and objects.")
        except ValueError:  # of pydantic, too
            text = "This is no JSON-RPC message that MCP clients send: its method or its parameters are unknown."
            return protocol_error(INVALID_REQUEST, text, fields)
        return None

    async def call(self, asked: Any) -> Any:
        """Answer the call of a tool, asked as a CallToolRequest, with a ServerResult."""
        content: list[Any]
        try:
            content, failed = await self.answer(asked.params.name, asked.params.arguments or {}), False
        except gr.Error as error:
            content, failed = [self.types.TextContent(type="text", text=error.message)], True
        return self.types.ServerResult(self.types.CallToolResult(content=content, isError=failed))

    async def answer(self, tool: str, arguments: dict[str, Any]) -> list[Any]:
        """The parts of a tool's answer. Raises gr.Error with a text for the caller."""
        inputs, request = self.inputs_of(tool, arguments), self.mcp_server.request_context.request
        assert request  # calls arrive over HTTP alone
        try:
            return await self.drawn(tool, inputs, request)
        except gr.Error:
            raise
        except Exception as error:
            LOGGER.exception("The tool %s failed.", tool)
            raise gr.Error("This failed for a reason that only the log of the page says.") from error

    def inputs_of(self, tool: str, arguments: dict[str, Any]) -> list[Any]:
        """The inputs of a tool's endpoint, in order. Raises gr.Error for an unknown tool or input."""
        if tool not in self.tool_to_endpoint:
            raise gr.Error(f"Unknown tool for this Gradio app: {printable(tool, MAX_SHOWN)}")
        try:
            return self._prepare_tool_call_args(tool, arguments)[1]
        except (TypeError, ValueError) as error:
            raise gr.Error(printable(str(error), MAX_SHOWN)) from error

    async def drawn(self, tool: str, inputs: list[Any], request: Request) -> list[Any]:
        """What the endpoint of a tool makes of its inputs. Raises gr.Error, and anything else by mistake."""
        endpoint = self.get_block_fn_from_endpoint_name(self.tool_to_endpoint[tool])
        assert endpoint
        result = await self.blocks.process_api(endpoint, inputs, SessionState(self.blocks), gr.Request(request))
        root = get_root_url(request, self.get_route_path(request), self.root_path)
        return await run_in_threadpool(self.postprocess_output_data, result["data"], root)

    def postprocess_output_data(self, data: Any, root_url: str) -> list[Any]:
        """The answer of a tool: Gradio shows single files as pictures, and files inside of something not."""
        return super().postprocess_output_data([part for output in data for part in parts_of(output)], root_url)

    @staticmethod
    def get_base64_data(image: Image.Image, format: str) -> str:
        """A picture as it was saved, with its recipe, or the first frame of a film."""
        if getattr(image, "is_animated", False):
            return GradioMCPServer.get_base64_data(image, format)
        return base64.b64encode(Path(image.filename).read_bytes()).decode()  # pyright: ignore


def parts_of(output: Any) -> list[Any]:
    """What an answer consists of: a few files as themselves, and a file with facts about it as both."""
    if isinstance(output, list) and len(output) <= MOST_PICTURES:
        return output
    if isinstance(output, dict) and isinstance(output.get("file"), dict):
        return [output["file"], {name: value for name, value in output.items() if name != "file"}]
    return [output]


def is_deep(value: Any, most: int) -> bool:
    """Whether JSON has more than so many levels of lists and objects."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(inner) and (most == 0 or any(is_deep(each, most - 1) for each in inner))


def is_id(value: Any) -> bool:
    """Whether something can be the id of a request, which its answer repeats."""
    if isinstance(value, str):
        return len(value) <= MAX_SHOWN and value.isprintable()
    return isinstance(value, int) and not isinstance(value, bool)


def protocol_error(code: int, text: str, asked: Any = None) -> Response:
    """An error of JSON-RPC, in answer to `asked` if that is a request with a number or a name."""
    number = asked.get("id") if isinstance(asked, dict) else None
    known = is_id(number)
    error = {"jsonrpc": "2.0", "id": number if known else None, "error": {"code": code, "message": text}}
    return JSONResponse(error, 200 if known else 400)
