"""The server functions of the page's JavaScript, as the dock offers them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from app.components.bridge import ServerFunction
from app.faces.studio import Studio
from app.tabs.dock import server_functions

Functions = dict[str, Callable[..., Any]]


def by_name(functions: Iterable[ServerFunction]) -> Functions:
    """Server functions by name, each of which waits for its answer."""

    def waiting(function: ServerFunction) -> Callable[..., Any]:
        async def call(*arguments: Any) -> Any:
            return await function(*arguments)

        return lambda *arguments: asyncio.run(call(*arguments))

    return {function.__name__: waiting(function) for function in functions}


@pytest.fixture
def functions(steered_studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Functions:
    """All server functions, by name; no work waits for other work to end."""
    monkeypatch.setattr(steered_studio.work, "settle_seconds", 0.05)
    return by_name(server_functions(steered_studio))
