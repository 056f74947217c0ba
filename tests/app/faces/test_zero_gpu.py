"""The GPU of a ZeroGPU Space: one decorated function there, nothing at all elsewhere."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.faces import zero_gpu
from ganime.drawing.sharpening import sharpened
from ganime.shapes import UInt8


@pytest.fixture
def lent(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, list[str]]]:
    """The module as a ZeroGPU Space imports it, and the names of the functions that were run with a GPU."""
    calls: list[str] = []

    def decorate(duration: int) -> Callable[..., Any]:
        def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
            def run(*arguments: Any) -> Any:
                calls.append(function.__name__)
                return function(*arguments)

            return run

        assert 0 < duration <= 120
        return wrap

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=decorate))
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    yield importlib.reload(zero_gpu), calls
    monkeypatch.undo()
    importlib.reload(zero_gpu)


@pytest.fixture
def faces() -> UInt8[np.ndarray, "n h w 3"]:
    return np.random.default_rng(0).integers(0, 256, (zero_gpu.LEAST_FACES, 32, 32, 3), dtype=np.uint8)


def test_nothing_is_lent_elsewhere(faces: np.ndarray) -> None:
    assert "spaces" not in sys.modules
    assert not zero_gpu.IS_ZERO_GPU
    assert zero_gpu.sharpened_there(faces, 64) is None


def test_many_faces_are_sharpened_on_the_lent_gpu_and_few_are_not(
    lent: tuple[ModuleType, list[str]], faces: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, calls = lent
    monkeypatch.setattr(module, "DEVICE", "cpu")
    assert module.sharpened_there(faces[1:], 64) is None
    assert calls == []
    assert np.array_equal(module.sharpened_there(faces, 64), np.stack(list(sharpened(faces, 64))))
    assert calls == ["sharpen_there"]


def test_a_visitor_without_a_share_left_is_served_by_the_cpu(
    lent: tuple[ModuleType, list[str]], faces: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, calls = lent
    monkeypatch.setattr(module, "DEVICE", "meta")  # on which nothing can be computed, as without a GPU
    assert module.sharpened_there(faces, 64) is None
    assert calls == ["sharpen_there"]
