"""The cores that a process may use: as few as its affinity and its container allow."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.limits import Limits
from ganime.background import cores


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """32 cores, 8 of which this process may use."""
    monkeypatch.setattr(os, "cpu_count", lambda: 32)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(("text", "expected"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 8), ("", 8)])
def test_cores_are_those_of_the_affinity_or_of_a_containers_quota(text: str, expected: int, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert cores(tmp_path / "cpu.max") == expected


@pytest.mark.usefixtures("machine")
def test_the_page_serves_no_more_than_its_own_cores_can_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0}, raising=False)
    assert Limits().draw.places == 2
