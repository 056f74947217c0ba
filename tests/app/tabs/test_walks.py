"""Films on the page: progress, turns at the device, places that are free again, and nonsense from the network."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image

from app.faces.device import TURN_FACES
from app.faces.library import START_KEY
from app.faces.studio import Studio
from ganime.drawing.recipe import Recipe
from tests.app.tabs.conftest import Functions


def test_a_film_reports_its_progress_and_holds_the_device_for_one_batch_at_a_time(
    functions: Functions, steered_studio: Studio, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steered_studio.work, "slice_seconds", 1e-6)
    mine = [recipe.to_json(), recipe.to_json()]
    started = functions["film"]([START_KEY, mine, 40, True, "smooth", 20, ".gif", 0])
    shares = []
    while "data" not in (answer := functions["ask"]([started["work"]])):
        shares.append(answer["progress"])
        assert not steered_studio.device.lock.locked()
    assert shares == pytest.approx(
        [0.6 * frames / 40 for frames in range(TURN_FACES, 41, TURN_FACES)]
    )  # the rest is encoding
    assert answer["name"] == "film.gif"
    with Image.open(io.BytesIO(base64.b64decode(answer["data"]))) as film:
        assert film.format == "GIF"
    assert steered_studio.work.works == {}


def test_a_film_that_is_stopped_leaves_its_place(functions: Functions, steered_studio: Studio, recipe: Recipe) -> None:
    mine = [recipe.to_json(), recipe.to_json()]
    begun = functions["film"]([START_KEY, mine, 40, True, "linear", 20, ".gif", 0])
    functions["leave"]([begun["work"]])
    assert "ended" in functions["ask"]([begun["work"]])["error"]
    assert steered_studio.work.works == {}


@pytest.mark.parametrize(
    "odd",
    [
        {"faces": 1},
        {"frames": 601},
        {"frames": 1},
        {"easing": "bumpy"},
        {"fps": 0},
        {"suffix": ".exe"},
        {"size": 300},
        {"frames": 240, "size": 512},
    ],
    ids=str,
)
def test_nonsense_is_answered_in_words(
    functions: Functions, steered_studio: Studio, recipe: Recipe, odd: dict[str, Any]
) -> None:
    asked = {"faces": 2, "frames": 10, "loop": True, "easing": "linear", "fps": 20, "suffix": ".gif", "size": 0} | odd
    faces = [recipe.to_json()] * asked.pop("faces")
    answer = functions["film"]([START_KEY, faces, *asked.values()])
    if "work" in answer:  # what is wrong with a film shows at its first step
        answer = functions["ask"]([answer["work"]])
    assert list(answer) == ["error"]
    assert len(answer["error"]) > 15
    assert steered_studio.work.works == {}
