"""The server functions of the page's JavaScript, as the dock offers them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.faces.studio import Studio
from app.tabs.dock import server_functions

Functions = dict[str, Callable[..., Any]]


@pytest.fixture
def functions(steered_studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Functions:
    """All server functions, by name; no work waits for other work to end."""
    monkeypatch.setattr(steered_studio.work, "settle_seconds", 0.05)
    return {function.__name__: function for function in server_functions(steered_studio)}
