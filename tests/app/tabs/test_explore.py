"""The Explore tab: its server functions, which answer in words whatever arrives, its sliders, and its texts."""

from __future__ import annotations

import base64
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.components import bridge
from app.faces.library import START_KEY
from app.faces.loaded_model import LoadedModel
from app.faces.studio import Studio
from app.settings import Settings
from app.tabs.explore import (
    closeness,
    face_functions,
    file_functions,
    search_functions,
    search_value,
    stage_value,
)
from app.tabs.long_work import work_functions
from app.tabs.walks import walk_functions
from ganime.drawing.attribute_search import ChosenFaces, SearchProgress
from ganime.drawing.directions import DIRECTION_INDEX_FILE
from ganime.drawing.projection import Projection, ProjectionProgress
from ganime.drawing.recipe import Recipe, decoded, encoded
from ganime.drawing.sampling import generate
from ganime.images import png_bytes
from tests.pictures import nearly_equal, picture_of

DIM = 8
Functions = dict[str, Callable[..., Any]]


@pytest.fixture
def functions(steered_studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Functions:
    """All server functions of the tab, by name; no work waits for other work to end."""
    monkeypatch.setattr(steered_studio.work, "settle_seconds", 0.05)
    tools = [*face_functions(steered_studio), *search_functions(steered_studio), *file_functions(steered_studio)]
    tools += [*walk_functions(steered_studio), *work_functions(steered_studio)]
    return {function.__name__: function for function in tools}


def test_every_tool_refuses_a_face_of_another_model_by_its_name(functions: Functions, recipe: Recipe) -> None:
    other = Recipe("owner/else", "0" * 12, 4).to_json()
    mine = recipe.to_json()
    for name, arguments in (
        ("draw", [[mine, other]]),
        ("vary", [other, 0.3, 0]),
        ("steer", [other, {"smile": 1}]),
        ("breed", [[mine, other], 0.1, 0]),
        ("mix", [mine, mine, other]),
        ("walk", [[mine, other], 10, True, "linear"]),
        ("film", [[mine, other], 10, True, "linear", 20, ".gif", 0]),
        ("keep_file", [other, 0]),
        ("tray_file", [[mine, other]]),
    ):
        answer = functions[name]([START_KEY, *arguments])
        if "search" in answer:  # what is wrong with a walk shows at its first step
            answer = functions["ask"]([answer["search"]])
        assert "owner/else" in answer["error"], name
        assert "Load its model first" in answer["error"], name


OWN = encoded(np.eye(DIM, dtype=np.float32)[3])
RECIPE = '{"model":"tiny","revision":"%s","seed":%d}'


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("draw", []),
        ("draw", [[]]),
        ("draw", [["{}"]]),
        ("draw", [["[" * 5000]]),
        ("draw", [[RECIPE] * 65]),
        ("draw", [[RECIPE.replace("%d", "-1")]]),
        ("draw", [[RECIPE.replace("%d", '1,"vector":"AAAA"')]]),
        ("draw", ["x" * 20_000]),
        ("vary", [RECIPE, 7, 0]),
        ("vary", [RECIPE, float("nan"), 0]),
        ("vary", [RECIPE, 0.3, -1]),
        ("steer", [RECIPE, {"smile": 4}]),
        ("steer", [RECIPE, {"<b>": 1}]),
        ("steer", [RECIPE, {str(number): 1 for number in range(300)}]),
        ("steer", [RECIPE, {"mine": 1}, {"mine": "AAAA"}]),
        ("steer", [RECIPE, {"mine": 1}, {"mine": "no base64!"}]),
        ("steer", [RECIPE, {"smile": 1}, {"smile": OWN}]),
        ("steer", [RECIPE, {"mine": 1}, {str(number): OWN for number in range(33)}]),
        ("own_sliders", ["mine", {}, {}]),
        ("own_sliders", ["smile", {"smile": 1}, {}]),
        ("own_sliders", ["a\nb", {"smile": 1}, {}]),
        ("own_sliders", ["x" * 65, {"smile": 1}, {}]),
        ("own_sliders", ["mine", {"smile": 4}, {}]),
        ("own_faces", ["mine", RECIPE, RECIPE]),
        ("breed", [[RECIPE], 0.1, 0]),
        ("breed", [[], 0.1, 0]),
        ("breed", [[RECIPE] * 17, 0.1, 0]),
        ("breed", [[RECIPE] * 2, 2, 0]),
        ("choose", [["nonsense"], 0]),
        ("choose", [[], 0]),
        ("project", ["no base64!"]),
        ("project", [base64.b64encode(b"no picture").decode()]),
        ("project", [""]),
        ("project", ["A" * 6_000_000]),
        ("walk", [[RECIPE], 10, True, "linear"]),
        ("walk", [[RECIPE] * 2, 241, True, "linear"]),
        ("walk", [[RECIPE] * 2, 1, True, "linear"]),
        ("walk", [[RECIPE] * 2, 10, True, "bumpy"]),
        ("keep_file", [RECIPE, 300]),
        ("tray_file", [[]]),
        ("film", [[RECIPE] * 2, 10, True, "linear", 0, ".gif", 0]),
        ("film", [[RECIPE] * 2, 10, True, "linear", 20, ".exe", 0]),
        ("film", [[RECIPE] * 2, 240, True, "linear", 20, ".gif", 512]),
    ],
)
def test_nonsense_from_the_network_is_answered_in_words(
    functions: Functions, model: LoadedModel, name: str, arguments: list[Any]
) -> None:
    def filled_in(value: Any) -> Any:
        if isinstance(value, list):
            return [filled_in(one) for one in value]
        return value.replace("%s", model.checkpoint.revision).replace("%d", "5") if isinstance(value, str) else value

    answer = functions[name]([START_KEY, *filled_in(arguments)])
    if "search" in answer:  # what is wrong with a search or a walk shows at its first step
        answer = functions["ask"]([answer["search"]])
    assert list(answer) == ["error"]
    assert len(answer["error"]) > 15


@pytest.mark.parametrize("arguments", [["nobody's"], [7], [], [START_KEY, "nobody's"]])
def test_a_request_for_work_that_nobody_began_is_answered_in_words(functions: Functions, arguments: list[Any]) -> None:
    answer = functions["ask"](arguments)
    assert list(answer) == ["error"]
    assert len(answer["error"]) > 15


def test_an_own_slider_leads_where_the_sliders_it_was_saved_from_led(
    model: LoadedModel, functions: Functions, recipe: Recipe
) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    saved = functions["own_sliders"]([START_KEY, hostile, {"smile": 1.0, "sefa-1": 1.0}, {}])
    assert saved["name"] == hostile
    amount = float(np.sqrt(2) / 1.5)  # a unit of it is 1.5 long, as of all directions that nobody has measured
    answer = functions["steer"]([START_KEY, recipe.to_json(), {hostile: amount}, {hostile: saved["vector"]}])
    [there] = [Recipe.from_json(text).untruncated(DIM) for text in answer["recipes"]]
    wanted = model.steer(recipe, {"smile": 1.0, "sefa-1": 1.0}).recipes[0].untruncated(DIM)
    np.testing.assert_allclose(there, wanted, atol=5e-3)


def test_an_own_slider_from_two_faces_leads_from_one_to_the_other(
    functions: Functions, model: LoadedModel, recipe: Recipe
) -> None:
    b = Recipe("tiny", model.checkpoint.revision, 8, 0.8)
    way = decoded(functions["own_faces"]([START_KEY, "mine", recipe.to_json(), b.to_json()])["vector"])
    wanted = recipe.untruncated(DIM) - b.untruncated(DIM)
    assert way @ wanted / np.linalg.norm(way) / np.linalg.norm(wanted) == pytest.approx(1, abs=1e-4)


def test_directions_beside_the_model_become_sliders_in_sections(steered_studio: Studio) -> None:
    steers = stage_value(steered_studio, START_KEY)["steers"]
    assert [(one["label"], one["group"]) for one in steers] == [
        ("Smile", "Expression"),
        ("Pattern 1", "Unnamed"),
    ]
    assert [one["name"] for one in steers] == ["smile", "sefa-1"]  # as they are stored
    assert "SeFa" in steers[1]["title"]


def test_damaged_directions_are_reported_and_everything_else_works(steered_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(steered_folder, tmp_path / "tiny")
    (tmp_path / "tiny" / DIRECTION_INDEX_FILE).write_text("{", encoding="utf-8")
    studio = Studio(Settings(model=str(tmp_path / "tiny"), home=tmp_path, training="off"))
    value = stage_value(studio, START_KEY)
    assert value["steers"] == []
    assert "damaged" in value["note"]
    drawn = studio.open(START_KEY).draw([Recipe("tiny", value["revision"], 1)])
    assert drawn.faces.shape == (1, 32, 32, 3)


def test_a_sent_face_of_an_unknown_model_is_answered_in_words(steered_studio: Studio) -> None:
    assert "tester/gone" in stage_value(steered_studio, f"tester/gone@{'0' * 40}", "{}")["error"]


def until_done(functions: Functions, started: dict[str, Any]) -> tuple[list[dict], dict]:
    """All that a search reports on its way, and what it finds."""
    reports: list[dict] = []
    while True:
        answer = functions["ask"]([started["search"]])
        assert "error" not in answer
        if "recipes" in answer:
            return reports, answer
        reports.append(answer)


def test_a_choice_reports_its_progress_and_how_many_faces_match(recipe: Recipe) -> None:
    assert search_value(None) == {"progress": 0.0, "text": ""}
    assert search_value(SearchProgress(2, 300, searching=False))["progress"] == 2 / 8
    assert "adjusted" in search_value(SearchProgress(2, 300, searching=True))["text"]
    faces, probabilities = np.zeros((2, 32, 32, 3), np.uint8), np.array([[0.9, 0.8], [0.9, 0.2]])
    answer = search_value(ChosenFaces(("smile", "hat"), (recipe, recipe), faces, probabilities, 393, 1, 5.04))
    assert answer["carries"] == [True, False]
    assert all(fact in answer["text"] for fact in ("1 of 2", "393", "5.0 s"))
    assert answer["recipes"] == [recipe.to_json()] * 2


def test_a_projection_shows_the_whole_face_so_far_without_black_tiles_around_it() -> None:
    face = np.full((32, 32, 3), 200, np.uint8)
    answer = search_value(ProjectionProgress(0.25, 1.0, face))
    assert answer["progress"] == 0.25
    assert nearly_equal(picture_of(answer["face"]), face)


@pytest.mark.slow
def test_a_choice_ends_with_eight_faces(functions: Functions) -> None:
    reports, answer = until_done(functions, functions["choose"]([START_KEY, ["blonde_hair"], 5]))
    assert len(answer["recipes"]) == len(answer["carries"]) == 8
    assert all(0 <= report["progress"] <= 1 for report in reports)


@pytest.mark.slow
def test_a_projection_ends_with_a_face_that_no_seed_draws(functions: Functions, model: LoadedModel) -> None:
    picture = base64.b64encode(png_bytes(generate(model.checkpoint, [123])[0])).decode()
    reports, answer = until_done(functions, functions["project"]([START_KEY, picture]))
    assert [report["progress"] for report in reports] == sorted(report["progress"] for report in reports)
    assert Recipe.from_json(answer["recipes"][0]).vector
    assert "random pairs of faces" in answer["text"]


@pytest.mark.parametrize(
    ("percentile", "begins", "share"),
    [(0.0, "A close", "99% or more"), (20.0, "Similar", "80%"), (80.0, "Not", "20%")],
)
def test_the_text_on_closeness_follows_the_percentile(percentile: float, begins: str, share: str) -> None:
    assert closeness(percentile).startswith(begins)
    assert share in closeness(percentile)


def test_a_visitor_has_one_search_and_leaves_a_place_for_another(functions: Functions, steered_studio: Studio) -> None:
    def choose(address: str) -> dict[str, Any]:
        request: Any = SimpleNamespace(client=SimpleNamespace(host=address), username=None)
        return functions["choose"]([START_KEY, ["smile"], 0], request)

    mine = choose("192.0.2.1")
    assert "already have a search" in choose("192.0.2.1")["error"]
    another = choose("192.0.2.2")
    assert "Other visitors" in choose("192.0.2.3")["error"]
    functions["leave"]([mine["search"]])
    mine = choose("192.0.2.1")
    for started in (mine, another):
        functions["leave"]([started["search"]])
    assert steered_studio.work.works == {}


def test_a_request_during_a_slice_is_answered_at_once(steered_studio: Studio, functions: Functions) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def steps() -> Iterator[int]:
        begun.set()
        go_on.wait(30)
        yield 1

    key = steered_studio.work.begin("search", "me", steps(), search_value)
    thread = threading.Thread(target=steered_studio.work.advance, args=(key,))
    thread.start()
    assert begun.wait(10)
    assert functions["ask"]([key])["progress"] == 0.0
    go_on.set()
    thread.join()


def test_the_place_is_free_once_the_result_was_sent_even_if_the_slice_ended_with_it(
    steered_studio: Studio,
    functions: Functions,
    recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(steered_studio.work, "slice_seconds", 1e-9)
    face = np.zeros((32, 32, 3), np.uint8)
    found = Projection(np.zeros(DIM, np.float32), recipe, face, 0.0, 1.0, 0.0, 1.0)
    key = steered_studio.work.begin("search", "me", iter([None, found]), search_value)
    _, answer = until_done(functions, {"search": key})
    assert answer["recipes"]
    assert steered_studio.work.works == {}
    walked = functions["walk"]([START_KEY, [recipe.to_json()] * 2, 3, True, "linear"])["search"]
    while "sheet" not in functions["ask"]([walked]):
        assert steered_studio.work.works
    assert steered_studio.work.works == {}


def test_of_many_requests_at_once_all_but_a_few_are_refused_in_words(
    steered_studio: Studio,
    functions: Functions,
    recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bridge.DRAWING, "seconds", 0.05)
    answers: list[dict[str, Any]] = []
    asked = [START_KEY, recipe.to_json(), 0.3, 1]
    crowd = [threading.Thread(target=lambda: answers.append(functions["vary"](asked))) for _ in range(40)]
    with steered_studio.device.lock:
        for thread in crowd:
            thread.start()
        until = time.monotonic() + 10
        while len(answers) < 36 and time.monotonic() < until:
            time.sleep(0.01)
        assert len(answers) == 36
        assert all("busy" in answer["error"] for answer in answers)
    for thread in crowd:
        thread.join()
    assert sum("recipes" in answer for answer in answers) == 4
