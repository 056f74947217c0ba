"""Drawing as tools for language models: with a real client, and with requests that do harm."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from gradio import mcp
from PIL import Image

from app.server.event_queue import MAX_EVENTS
from app.server.mcp_tools import MAX_DEPTH, MOST_PICTURES, TOOLS, Server, is_deep, offer_tools, parts_of
from ganime.drawing.recipe import Recipe
from ganime.errors import ConfigError
from tests.page_server import serve

HEADERS = {"Accept": "application/json, text/event-stream"}
MOST_LOGGED = 300  # characters for one hostile request
MOST_ANSWERED = 1_000  # bytes


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.server.mcp_tools.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"'\.\[mcp\]'"):
        offer_tools(0)


def test_few_files_are_shown_and_many_are_named() -> None:
    few, many = [{"path": "a"}] * MOST_PICTURES, [{"path": "a"}] * (MOST_PICTURES + 1)
    assert parts_of(few) == few
    assert parts_of(many) == [many]
    assert parts_of({"file": {"path": "a"}, "distance": 0.5}) == [{"path": "a"}, {"distance": 0.5}]


def test_the_levels_of_a_message_are_counted() -> None:
    assert not is_deep({"params": {"arguments": {"amounts": {"smile": 2}}}}, 4)
    assert is_deep({"params": {"arguments": {"amounts": {"smile": 2}}}}, 3)


def test_a_picture_is_shown_as_it_was_saved_and_a_film_by_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "face.png")
    frames[0].save(tmp_path / "film.webp", save_all=True, append_images=frames[1:], lossless=True)
    with Image.open(tmp_path / "face.png") as face, Image.open(tmp_path / "film.webp") as film:
        assert base64.b64decode(Server.get_base64_data(face, "png")) == (tmp_path / "face.png").read_bytes()
        shown = Image.open(io.BytesIO(base64.b64decode(Server.get_base64_data(film, "webp"))))
    assert not getattr(shown, "is_animated", False)
    assert shown.convert("RGB").getpixel((4, 4))[0] > 200  # pyright: ignore[reportOptionalSubscript, reportIndexIssue]


def test_pictures_are_encoded_off_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    async def process_api(*inputs: Any) -> dict[str, Any]:
        return {"data": []}

    def note_thread(self: Any, data: Any, root: str) -> list[Any]:
        threads.append(threading.current_thread())
        return []

    monkeypatch.setattr(mcp.GradioMCPServer, "postprocess_output_data", note_thread)
    monkeypatch.setattr("app.server.mcp_tools.get_root_url", lambda *request: "http://page")
    monkeypatch.setattr("app.server.mcp_tools.SessionState", lambda blocks: None)
    server = Server.__new__(Server)
    server.blocks, server.root_path = SimpleNamespace(process_api=process_api), ""  # type: ignore[assignment]
    server.tool_to_endpoint = {"vary": "/vary"}
    monkeypatch.setattr(Server, "get_block_fn_from_endpoint_name", lambda self, name: object())
    monkeypatch.setattr(Server, "get_route_path", lambda self, request: "/gradio_api/mcp")
    asyncio.run(server.drawn("vary", [], None))  # type: ignore[arg-type]
    assert threads
    assert threads[0] is not threading.current_thread()


@pytest.fixture(scope="module")
def page(steered_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a page behind one proxy, and its log."""
    pytest.importorskip("mcp", reason="the extra 'mcp' is not installed")
    home = tmp_path_factory.mktemp("home")
    variables = {"GANIME_MODEL": str(steered_folder), "GANIME_PROXIES": "1", "NO_PROXY": "127.0.0.1"}
    with serve(home, GANIME_MCP="true", **variables) as url:
        yield url, home / "app.log"


@pytest.fixture
def address(page: tuple[str, Path]) -> str:
    return f"{page[0]}/gradio_api/mcp/"


@pytest.fixture
def log(page: tuple[str, Path]) -> Path:
    return page[1]


def answers(address: str, *calls: tuple[str, dict[str, Any]]) -> tuple[set[str], list[Any]]:
    """The tools of a server, and its answers to calls."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def talk() -> tuple[set[str], list[Any]]:
        async with streamable_http_client(address) as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            tools = {tool.name for tool in (await session.list_tools()).tools}
            return tools, [await session.call_tool(name, arguments) for name, arguments in calls]

    return asyncio.run(talk())


def pictures(answer: Any) -> list[Image.Image]:
    found = [part for part in answer.content if part.type == "image"]
    return [Image.open(io.BytesIO(base64.b64decode(part.data))) for part in found]


@pytest.mark.slow
def test_a_client_draws_and_steers_and_cannot_train(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    tools, (drawn, steered, film, unknown, *training) = answers(
        address,
        ("generate", {"count": 2, "seed": 7}),
        ("steer", {"face": "7", "amounts": {"smile": 2}}),
        ("interpolate", {"start": 3, "end": 14, "frames": 3}),
        ("steer", {"face": "7", "amounts": {"wings": 2}}),
        ("train_start", {"files": []}),
        ("train_status", {"key": "x"}),
    )
    assert tools == set(TOOLS)
    assert [picture.size for picture in pictures(drawn)] == [(32, 32)] * 2
    assert [Recipe.from_json(picture.info["ganime"]).seed for picture in pictures(drawn)] == [7, 8]
    assert [picture.size for picture in pictures(steered)] == [(32, 32)]
    assert [picture.size for picture in pictures(film)] == [(32, 32)]
    assert unknown.isError
    assert "smile" in unknown.content[0].text
    for answer in training:
        assert answer.isError
        assert "Unknown tool" in answer.content[0].text


def post(address: str, message: Any, visitor: str = "192.0.2.1", **headers: str) -> httpx.Response:
    """The answer to a message, or to bytes in its place."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    headers |= HEADERS | {"X-Forwarded-For": visitor, "Content-Type": "application/json"}
    # Certificates are not needed, and reading them would keep simultaneous messages apart.
    return httpx.post(address, content=body, headers=headers, timeout=60, trust_env=False, verify=False)


def asked(method: str, **parameters: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}


def called(address: str, tool: str, visitor: str = "192.0.2.1", **arguments: Any) -> dict[str, Any]:
    """The result of a tool."""
    response = post(address, asked("tools/call", name=tool, arguments=arguments), visitor)
    [data] = [line for line in response.text.splitlines() if line.startswith("data: ")]
    return json.loads(data.removeprefix("data: "))["result"]


@pytest.mark.slow
def test_a_tool_reads_no_file_that_its_arguments_name(address: str, log: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("for nobody")
    os.mkfifo(tmp_path / "pipe")
    texts = set()
    for name in (secret, tmp_path / "pipe", tmp_path / "nothing", "http://127.0.0.1:9/"):
        file = {"path": str(name), "meta": {"_type": "gradio.FileData"}}
        for arguments in ({"face": "7", "amounts": {"x": file}}, {"face": "7", "amounts": {"x": [file]}}):
            result = called(address, "steer", **arguments)
            assert result["isError"]
        assert called(address, "steer", face=file, amounts={})["isError"]
        assert called(address, "project", picture=file)["isError"]
        texts.add(called(address, "steer", face=json.dumps(file), amounts={})["content"][0]["text"])
    assert len(texts) == 1  # which do not say what there is
    copies = [path for path in log.parent.rglob("*.txt") if path.is_file() and path.read_text() == "for nobody"]
    assert copies == []


@pytest.mark.slow
def test_many_calls_of_one_visitor_are_refused_and_another_is_served(address: str) -> None:
    count, message = 2 * MAX_EVENTS, asked("tools/call", name="generate", arguments={"count": 24})
    with ThreadPoolExecutor(count) as pool:
        many = [pool.submit(post, address, message, "192.0.2.2") for _ in range(count)]
        one = called(address, "generate", "192.0.2.3", count=1)
        answers = [each.result() for each in many]
    assert not one["isError"]
    refused = [answer.json()["error"]["message"] for answer in answers if "json" in answer.headers["content-type"]]
    assert 0 < len(refused) < count
    assert all(str(MAX_EVENTS) in text for text in refused)
    assert not called(address, "generate", "192.0.2.2", count=1)["isError"]  # once the others are done


@pytest.mark.slow
def test_nothing_is_served_beside_the_address_for_clients_and_nothing_for_browsers(address: str) -> None:
    script = "%3C/script%3E%3Cscript%3Ealert(1)%3C/script%3E/gradio_api/mcp"
    statuses = Counter()
    for place in ("", "http", script, "sse", "messages/"):
        response = httpx.get(
            address + place,
            headers={"Accept": "text/html", "X-Forwarded-Proto": "<script>", "X-Forwarded-For": "192.0.2.4"},
            trust_env=False,
        )
        assert response.headers["content-type"].startswith("text/plain")
        assert "<" not in response.text
        statuses[response.status_code] += 1
    assert statuses == {405: 2, 404: 3}
    schema = httpx.get(f"{address}schema", headers={"X-Forwarded-For": "192.0.2.4"}, trust_env=False)
    assert {tool["name"] for tool in schema.json()} == set(TOOLS)


@pytest.mark.slow
def test_hostile_messages_are_answered_in_words_and_leave_little_in_the_log(address: str, log: Path) -> None:
    long = "x\n" * 1_000_000
    initialize = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    hostile = [
        asked("tools/call", name=long, arguments={}),
        asked("tools/call", name="steer", arguments={long: 1}),
        asked("tools/call", name="generate", arguments={"count": long}),
        asked("tools/call", name="\ud800", arguments={}),
        asked("tools/call", name=3),
        asked("tools/call", name="steer", arguments=[{"path": "x"}]),
        asked(long),
        asked("initialize", **initialize | {"clientInfo": long}),
        asked("tools/list") | {"id": None},
        asked("tools/list") | {"id": [long]},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": {"a": long}}},
        {"jsonrpc": "2.0", "id": long, "result": {}},
        {"jsonrpc": "2.0", "id": 1, "result": {"a": long}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": long}},
        asked("ping") | {"id": long},
        asked("ping") | {"id": "\ud800"},
        asked("unknown") | {"id": "\ud800"},
        [asked("tools/list")] * 3,
        b"[" * 3_000 + b"]" * 3_000,
        b'{"params":' * 900 + b"1" + b"}" * 900,
        b"\xff",
        b"",
    ]
    for message in hostile:
        before = len(log.read_bytes())
        response = post(address, message)
        assert response.status_code < 500, message[:80] if isinstance(message, bytes) else str(message)[:80]
        assert response.status_code == 400 or "rror" in response.text
        assert len(response.content) < MOST_ANSWERED
        assert len(log.read_bytes()) - before < MOST_LOGGED
    levels: Any = 1
    for _ in range(MAX_DEPTH):
        levels = {"x": levels}
    assert "levels" in post(address, asked("tools/call", name="steer", arguments=levels)).text


@pytest.mark.slow
def test_there_are_no_prompts_and_no_resources(address: str) -> None:
    for method, name in (
        ("prompts/get", "name"),
        ("resources/read", "uri"),
        ("prompts/list", ""),
        ("resources/list", ""),
    ):
        answer = post(address, asked(method, **({name: "data:x"} if name else {}))).text
        assert "Method not found" in answer
