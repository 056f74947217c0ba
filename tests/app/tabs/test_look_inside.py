"""Looking into a model on the page: both nets at work on a face, and whether a face copies a training face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.faces.library import EMBEDDED_KEY, START_KEY
from app.faces.studio import Studio
from app.settings import Settings
from app.tabs.long_work import work_functions
from app.tabs.look_inside import UNKNOWN, comparison_value, look_inside_functions
from ganime.drawing.layers import OTHERS, layer_costs
from ganime.drawing.recipe import Recipe
from ganime.drawing.sampling import generate
from ganime.embedded import EMBEDDED
from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from tests.app.tabs.conftest import by_name
from tests.pictures import nearly_equal, picture_of

JOB = "job:0123.secret@0123"


@pytest.fixture(scope="module")
def studio(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio(Settings(model=str(tiny_folder), home=tmp_path_factory.mktemp("home"), training="off"))


@pytest.fixture
def functions(studio: Studio) -> dict[str, Callable[[Any], Any]]:
    both = (*look_inside_functions(studio), *work_functions(studio))
    return by_name(both)


@pytest.fixture
def recipe(tiny: Checkpoint) -> str:
    return Recipe("tiny", tiny.revision, 7, 0.8).to_json()


def test_layers_lead_from_noise_to_the_face_and_on_to_the_verdict(
    functions: dict[str, Callable[[Any], Any]], tiny: Checkpoint, recipe: str
) -> None:
    answer = functions["inside"]([START_KEY, recipe])
    made, judged = answer["nets"]
    assert (made["name"], judged["name"]) == ("Generator", "Discriminator")
    assert made["layers"][0]["name"] == "latent"
    assert nearly_equal(picture_of(made["layers"][-1]["url"]), generate(tiny, [7], 0.8)[0])
    assert tiny.discriminator is not None
    for told, net in ((made, tiny.generator), (judged, tiny.discriminator)):
        rows = layer_costs(net)
        assert told["parameters"] == sum(row.parameters for row in rows)
        assert told["multiplyAdds"] == sum(row.multiply_adds for row in rows)
        assert [layer["multiplyAdds"] for layer in told["layers"][-len(rows) :]] == [row.multiply_adds for row in rows]
    assert judged["layers"][-1]["url"] == ""  # a single number is no picture
    assert f"of {OTHERS} other faces of this model" in answer["verdict"]


def test_a_face_of_the_embedded_model_is_compared_at_once_and_without_pictures(
    functions: dict[str, Callable[[Any], Any]],
) -> None:
    embedded = load_checkpoint(EMBEDDED)
    answer = functions["compare"]([EMBEDDED_KEY, Recipe(embedded.name, embedded.revision, 1).to_json()])
    assert answer["verdict"] in ("free", "close")
    assert "of 1,000 real faces" in answer["text"]
    assert answer["training"] == []


def test_unknown_training_faces_are_reported(functions: dict[str, Callable[[Any], Any]], recipe: str) -> None:
    assert functions["compare"]([START_KEY, recipe]) == {"verdict": "unknown", "text": UNKNOWN}


def test_a_face_of_a_job_is_compared_with_its_training_faces_and_shows_them(
    studio: Studio,
    functions: dict[str, Callable[[Any], Any]],
    tiny: Checkpoint,
    faces: FaceDataset,
    recipe: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learned = replace(faces, images=np.concatenate([generate(tiny, [7], 0.8), faces.images[1:]]))
    learned = replace(learned, train=np.union1d(learned.train, [0]), held_out=np.setdiff1d(learned.held_out, [0]))
    asked = []
    monkeypatch.setattr(studio.library, "checkpoint", lambda key: tiny)
    jobs = SimpleNamespace(get=lambda key: None, training_faces=lambda key: asked.append(key) or (learned, True))
    monkeypatch.setattr(studio.inspector, "jobs", jobs)
    begun = functions["compare"]([JOB, recipe])
    reports = []
    while "verdict" not in (answer := functions["ask"]([begun["work"]])):
        reports.append(answer["progress"])
    assert all(0 <= progress <= 1 for progress in reports)
    assert answer["verdict"] == "copy"
    assert nearly_equal(picture_of(answer["face"]), learned.images[0])
    assert nearly_equal(picture_of(answer["training"][0]), learned.images[0])
    other = Recipe("tiny", tiny.revision, 8).to_json()
    assert functions["compare"]([JOB, other])["training"]  # at once, for its faces are known now
    assert asked == ["0123.secret"]


def test_a_comparison_that_is_left_gives_its_place_back(
    studio: Studio, functions: dict[str, Callable[[Any], Any]]
) -> None:
    key = studio.work.begin("comparison", "", iter([0.1, 0.2]), comparison_value)
    assert functions["leave"]([key]) == {}
    assert "ended" in functions["ask"]([key])["error"]


@pytest.mark.parametrize("name", ["inside", "compare"])
@pytest.mark.parametrize("arguments", [[7], [], ["{}"], ["x" * 20_000], ['{"model":"else","revision":"0","seed":1}']])
def test_nonsense_from_the_network_is_answered_in_words(
    functions: dict[str, Callable[[Any], Any]], name: str, arguments: list[Any]
) -> None:
    answer = functions[name]([START_KEY, *arguments])
    assert list(answer) == ["error"]
    assert len(answer["error"]) > 15
