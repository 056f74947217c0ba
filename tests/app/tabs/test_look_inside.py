"""Looking into a model on the page: both nets at work on a face, and whether a face copies a training face."""

from __future__ import annotations

import base64
import io
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.errors import JobMissing
from app.faces.explorer import Explorer
from app.faces.library import EMBEDDED_KEY, START_KEY
from app.faces.studio import Studio
from app.settings import Settings
from app.tabs import look_inside as module
from app.tabs.look_inside import UNKNOWN, Insight, insight_functions, with_discriminator
from ganime.drawing.layers import OTHERS, layer_costs
from ganime.drawing.recipe import Recipe
from ganime.drawing.sampling import generate
from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import EMBEDDED, Checkpoint, load_checkpoint

JOB = "job:0123.secret@0123"


@pytest.fixture(scope="module")
def insight(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Insight:
    home = tmp_path_factory.mktemp("home")
    return Insight(Explorer(Studio(Settings(model=str(tiny_folder), home=home, training="off"))))


@pytest.fixture
def functions(insight: Insight) -> dict[str, Callable[[Any], Any]]:
    return {function.__name__: function for function in insight_functions(insight)}


@pytest.fixture
def recipe(tiny: Checkpoint) -> str:
    return Recipe("tiny", tiny.revision, 7, 0.8).to_json()


def pixels(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))


def near(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(abs(a.astype(int) - b.astype(int)).max() <= 1)


def test_layers_lead_from_noise_to_the_face_and_on_to_the_verdict(
    functions: dict[str, Callable[[Any], Any]], tiny: Checkpoint, recipe: str
) -> None:
    answer = functions["inside"]([START_KEY, recipe])
    made, judged = answer["nets"]
    assert (made["name"], judged["name"]) == ("Generator", "Discriminator")
    assert made["layers"][0]["name"] == "latent"
    assert near(pixels(made["layers"][-1]["url"]), generate(tiny, [7], 0.8)[0])
    assert tiny.discriminator is not None
    for told, net in ((made, tiny.generator), (judged, tiny.discriminator)):
        rows = layer_costs(net)
        assert told["parameters"] == sum(row.parameters for row in rows)
        assert told["multiplyAdds"] == sum(row.multiply_adds for row in rows)
        assert [layer["multiplyAdds"] for layer in told["layers"][-len(rows) :]] == [row.multiply_adds for row in rows]
    assert judged["layers"][-1]["url"] == ""  # a single number is no picture
    assert f"of {OTHERS} other faces of this model" in answer["verdict"]


def test_discriminator_is_read_once_for_all_who_come_at_once(
    insight: Insight, functions: dict[str, Callable[[Any], Any]], recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, answers = [], []

    def slow(checkpoint: Checkpoint) -> Checkpoint:
        read.append(checkpoint.revision)
        time.sleep(0.2)
        return with_discriminator(checkpoint)

    insight.judges.clear()
    monkeypatch.setattr(module, "with_discriminator", slow)
    crowd = [threading.Thread(target=lambda: answers.append(functions["inside"]([START_KEY, recipe]))) for _ in "abc"]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert len(read) == 1
    assert [len(answer["nets"]) for answer in answers] == [2] * 3


def test_training_faces_of_a_job_that_is_gone_are_let_go(insight: Insight, monkeypatch: pytest.MonkeyPatch) -> None:
    here, gone = JOB, "job:4567.secret@4567"

    def get(key: str) -> None:
        if key == "4567.secret":
            raise JobMissing("There is no such job.")

    known: Any = (None, None)
    monkeypatch.setattr(insight, "learned", OrderedDict({here: known, gone: known, EMBEDDED_KEY: known}))
    monkeypatch.setattr(insight.explorer.studio, "jobs", SimpleNamespace(get=get))
    insight.recall(insight.judges, "any model")
    assert list(insight.learned) == [here, EMBEDDED_KEY]
    insight.remember(insight.learned, gone, known)  # deleted while its faces were looked at
    assert list(insight.learned) == [here, EMBEDDED_KEY]


def test_discriminator_is_taken_only_with_the_weights_that_it_lies_beside(tiny_folder: Path) -> None:
    checkpoint = load_checkpoint(tiny_folder)
    assert with_discriminator(checkpoint).discriminator is not None
    assert with_discriminator(replace(checkpoint, folder=None)).discriminator is None
    assert with_discriminator(replace(checkpoint, folder=EMBEDDED)).discriminator is None


def test_discriminator_that_is_too_large_for_the_page_is_left_out(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = load_checkpoint(tiny_folder, with_discriminator=True)
    assert checkpoint.discriminator is not None
    monkeypatch.setattr(module, "MAX_MULTIPLY_ADDS", 1)
    assert with_discriminator(replace(checkpoint, discriminator=None)).discriminator is None


def test_face_of_the_embedded_model_is_compared_at_once_and_without_pictures(
    functions: dict[str, Callable[[Any], Any]],
) -> None:
    embedded = load_checkpoint(EMBEDDED)
    answer = functions["compare"]([EMBEDDED_KEY, Recipe(embedded.name, embedded.revision, 1).to_json()])
    assert answer["verdict"] in ("free", "close")
    assert "of 1,000 held-out faces" in answer["text"]
    assert answer["training"] == []


def test_where_nothing_is_known_of_the_faces_that_is_said(
    functions: dict[str, Callable[[Any], Any]], recipe: str
) -> None:
    assert functions["compare"]([START_KEY, recipe]) == {"verdict": "unknown", "text": UNKNOWN}


def test_model_of_a_job_is_compared_with_its_own_faces_and_shows_them(
    insight: Insight,
    functions: dict[str, Callable[[Any], Any]],
    tiny: Checkpoint,
    faces: FaceDataset,
    recipe: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learned = replace(faces, images=np.concatenate([generate(tiny, [7], 0.8), faces.images[1:]]))
    learned = replace(learned, train=np.union1d(learned.train, [0]), held_out=np.setdiff1d(learned.held_out, [0]))
    asked = []
    monkeypatch.setattr(insight.explorer, "checkpoint", lambda key, recipes=(): tiny)
    jobs = SimpleNamespace(get=lambda key: None, training_faces=lambda key: asked.append(key) or (learned, True))
    monkeypatch.setattr(insight.explorer.studio, "jobs", jobs)
    begun = functions["compare"]([JOB, recipe])
    reports = []
    while "verdict" not in (answer := functions["ask_comparison"]([JOB, begun["search"]])):
        reports.append(answer["progress"])
    assert all(0 <= progress <= 1 for progress in reports)
    assert answer["verdict"] == "copy"
    assert near(pixels(answer["face"]), learned.images[0])
    assert near(pixels(answer["training"][0]), learned.images[0])
    other = Recipe("tiny", tiny.revision, 8).to_json()
    assert functions["compare"]([JOB, other])["training"]  # at once, for its faces are known now
    assert asked == ["0123.secret"]


def test_comparison_that_is_left_gives_its_place_back(insight: Insight) -> None:
    functions = {function.__name__: function for function in insight_functions(insight)}
    key = insight.comparisons.begin("", iter([0.1, 0.2]))
    assert functions["leave_comparison"]([START_KEY, key]) == {}
    assert "over" in functions["ask_comparison"]([START_KEY, key])["error"]


@pytest.mark.parametrize("name", ["inside", "compare"])
@pytest.mark.parametrize("arguments", [[7], [], ["{}"], ["x" * 20_000], ['{"model":"else","revision":"0","seed":1}']])
def test_nonsense_from_the_network_is_answered_in_words(
    functions: dict[str, Callable[[Any], Any]], name: str, arguments: list[Any]
) -> None:
    answer = functions[name]([START_KEY, *arguments])
    assert list(answer) == ["error"]
    assert len(answer["error"]) > 15
