"""Walks and films on the page: progress, turns at the device, and places that are free again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.faces.library import START_KEY
from app.faces.studio import Studio
from app.tabs.long_work import work_functions
from app.tabs.walks import walk_functions
from ganime.drawing.recipe import Recipe


def test_a_walk_reports_its_progress_and_holds_the_device_for_one_batch_at_a_time(
    steered_studio: Studio, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [*walk_functions(steered_studio), *work_functions(steered_studio)]
    functions: dict[str, Callable[..., Any]] = {one.__name__: one for one in both}
    monkeypatch.setattr(steered_studio.work, "slice_seconds", 1e-6)
    mine = [recipe.to_json(), recipe.to_json()]
    started = functions["walk"]([START_KEY, mine, 40, True, "smooth"])
    shares = []
    while "sheet" not in (answer := functions["ask"]([started["search"]])):
        shares.append(answer["progress"])
        assert not steered_studio.device.lock.locked()
    assert shares == [16 / 40, 32 / 40, 1.0]
    assert answer["frames"] == 40
    assert steered_studio.work.works == {}
    begun = functions["film"]([START_KEY, mine, 40, True, "linear", 20, ".gif", 0])
    functions["ask"]([begun["search"]])
    functions["leave"]([begun["search"]])
    assert "ended" in functions["ask"]([begun["search"]])["error"]
    assert steered_studio.work.works == {}
