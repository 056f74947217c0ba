"""Drawing as tools for language models, with a real client: which tools there are, and that training is none."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.server.mcp_tools import MOST_PICTURES, TOOLS, offer_tools, parts_of
from ganime.errors import ConfigError
from tests.page_server import serve


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.server.mcp_tools.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"'\.\[mcp\]'"):
        offer_tools()


def test_few_files_are_shown_and_many_are_named() -> None:
    few, many = [{"path": "a"}] * MOST_PICTURES, [{"path": "a"}] * (MOST_PICTURES + 1)
    assert parts_of(few) == few
    assert parts_of(many) == [many]
    assert parts_of({"file": {"path": "a"}, "distance": 0.5}) == [{"path": "a"}, {"distance": 0.5}]


@pytest.fixture(scope="module")
def address(steered_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("mcp", reason="the extra 'mcp' is not installed")
    home = tmp_path_factory.mktemp("home")
    with serve(home, GANIME_MCP="true", GANIME_MODEL=str(steered_folder), NO_PROXY="127.0.0.1") as url:
        yield f"{url}/gradio_api/mcp/"


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
    tools, (drawn, steered, unknown, *training) = answers(
        address,
        ("generate", {"count": 2, "seed": 7}),
        ("steer", {"face": "7", "amounts": {"smile": 2}}),
        ("steer", {"face": "7", "amounts": {"wings": 2}}),
        ("train_start", {"files": []}),
        ("train_status", {"key": "x"}),
    )
    assert tools == set(TOOLS)
    assert [picture.size for picture in pictures(drawn)] == [(32, 32)] * 2
    assert [picture.size for picture in pictures(steered)] == [(32, 32)]
    assert unknown.isError
    assert "smile" in unknown.content[0].text
    for answer in training:
        assert answer.isError
        assert "Unknown tool" in answer.content[0].text
