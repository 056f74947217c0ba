"""The server functions of the Create tab: own sliders, and searches for faces, one of them for each visitor."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.faces.library import EMBEDDED_KEY, START_KEY
from app.faces.loaded_model import LoadedModel
from app.faces.studio import Studio
from app.tabs.create import closeness, search_value
from ganime.drawing import projection
from ganime.drawing.attribute_search import ChosenFaces, SearchProgress
from ganime.drawing.projection import Projection, ProjectionProgress
from ganime.drawing.recipe import Recipe, decoded, encoded
from ganime.drawing.sampling import generate, generate_recipes
from ganime.images import png_bytes
from tests.app.tabs.conftest import Functions
from tests.pictures import nearly_equal, picture_of

DIM = 8
OWN = encoded(np.eye(DIM, dtype=np.float32)[3])
RECIPE = '{"model":"tiny","revision":"%s","seed":%d}'


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("own_sliders", ["mine", {}, {}]),
        ("own_sliders", ["smile", {"smile": 1}, {}]),
        ("own_sliders", ["a\nb", {"smile": 1}, {}]),
        ("own_sliders", ["x" * 65, {"smile": 1}, {}]),
        ("own_sliders", ["mine", {"smile": 4}, {}]),
        ("own_sliders", ["mine", {"<b>": 1}, {}]),
        ("own_sliders", ["mine", {str(number): 1 for number in range(300)}, {}]),
        ("own_sliders", ["mine", {"a": 1}, {"a": "AAAA"}]),
        ("own_sliders", ["mine", {"a": 1}, {"a": "no base64!"}]),
        ("own_sliders", ["mine", {"smile": 1}, {str(number): OWN for number in range(33)}]),
        ("own_faces", ["mine", RECIPE, RECIPE]),
        ("own_faces", ["mine", RECIPE, '{"model":"owner/else","revision":"0","seed":4}']),
        ("own_faces", ["mine", RECIPE, "[" * 5000]),
        ("own_faces", ["mine", RECIPE]),
        ("choose", [["nonsense"], 0]),
        ("choose", [[], 0]),
        ("choose", [["smile"] * 65, 0]),
        ("choose", [["smile"], -1]),
        ("project", ["no base64!"]),
        ("project", [base64.b64encode(b"no picture").decode()]),
        ("project", [""]),
        ("project", ["A" * 6_000_000]),
    ],
)
def test_nonsense_from_the_network_is_answered_in_words(
    functions: Functions, model: LoadedModel, name: str, arguments: list[Any]
) -> None:
    def filled_in(value: Any) -> Any:
        return value.replace("%s", model.checkpoint.revision).replace("%d", "5") if isinstance(value, str) else value

    answer = functions[name]([START_KEY, *map(filled_in, arguments)])
    if "work" in answer:  # what is wrong with a search shows at its first step
        answer = functions["ask"]([answer["work"]])
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
    [moved] = model.steer(recipe, {hostile: amount}, {hostile: saved["vector"]}).recipes
    [wanted] = model.steer(recipe, {"smile": 1.0, "sefa-1": 1.0}).recipes
    np.testing.assert_allclose(moved.untruncated(DIM), wanted.untruncated(DIM), atol=5e-3)


def test_an_own_slider_from_two_faces_leads_from_one_to_the_other(
    functions: Functions, model: LoadedModel, recipe: Recipe
) -> None:
    b = Recipe("tiny", model.checkpoint.revision, 8, 0.8)
    way = decoded(functions["own_faces"]([START_KEY, "mine", recipe.to_json(), b.to_json()])["vector"])
    wanted = recipe.untruncated(DIM) - b.untruncated(DIM)
    assert way @ wanted / np.linalg.norm(way) / np.linalg.norm(wanted) == pytest.approx(1, abs=1e-4)


def until_done(functions: Functions, started: dict[str, Any]) -> tuple[list[dict], dict]:
    """All that a search reports on its way, and what it finds."""
    reports: list[dict] = []
    while True:
        answer = functions["ask"]([started["work"]])
        assert "error" not in answer
        if "recipes" in answer:
            return reports, answer
        reports.append(answer)


def test_a_choice_reports_its_progress_and_how_many_faces_match(recipe: Recipe) -> None:
    assert search_value(None) == {"progress": 0.0, "text": ""}
    progress = search_value(SearchProgress((recipe, recipe), 300, searching=False))
    assert (progress["progress"], progress["found"]) == (2 / 8, [recipe.to_json()] * 2)
    assert "being made" in search_value(SearchProgress((), 300, searching=True))["text"]
    faces, probabilities = np.zeros((2, 32, 32, 3), np.uint8), np.array([[0.9, 0.8], [0.9, 0.2]])
    answer = search_value(ChosenFaces(("smile", "hat"), (recipe, recipe), faces, probabilities, 393, 1, 5.14))
    assert answer["carries"] == [True, False]
    assert all(fact in answer["text"] for fact in ("1 of 2", "393", "5.1\N{NO-BREAK SPACE}s"))
    assert answer["recipes"] == [recipe.to_json()] * 2


def test_a_projection_shows_the_face_so_far_and_its_recipe_draws_it_again(model: LoadedModel) -> None:
    [recipe] = model.vary(Recipe("tiny", model.checkpoint.revision, 7), 0.4, 1, 1).recipes
    [face] = generate_recipes(model.checkpoint, [recipe])
    answer = search_value(ProjectionProgress(0.25, 1.0, recipe, face))
    assert answer["progress"] == 0.25
    assert nearly_equal(picture_of(answer["face"]), face)
    stopped = Recipe.from_json(answer["recipe"])
    assert nearly_equal(generate_recipes(model.checkpoint, [stopped])[0], face)


def test_a_choice_ends_with_eight_faces(functions: Functions) -> None:
    reports, answer = until_done(functions, functions["choose"]([EMBEDDED_KEY, ["smile"], 5]))
    assert len(answer["recipes"]) == len(answer["carries"]) == 8
    assert sum(answer["carries"]) >= 6
    assert all(0 <= report["progress"] <= 1 for report in reports)


def test_a_projection_ends_with_a_face_that_no_seed_draws(
    functions: Functions, model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "FIRST_STEPS", 2)
    monkeypatch.setattr(projection, "LAST_STEPS", 2)
    picture = base64.b64encode(png_bytes(generate(model.checkpoint, [123])[0])).decode()
    reports, answer = until_done(functions, functions["project"]([START_KEY, picture]))
    assert [report["progress"] for report in reports] == sorted(report["progress"] for report in reports)
    assert all(report.keys() >= {"face", "recipe"} for report in reports)
    assert Recipe.from_json(answer["recipes"][0]).vector
    assert "random pairs of faces" in answer["text"]


@pytest.mark.parametrize(
    ("percentile", "begins", "share"),
    [(0.0, "A close", "Only 1%"), (20.0, "Similar", "Only 20%"), (80.0, "Not", " 80%"), (99.9, "Not", " 99%")],
)
def test_the_text_on_closeness_follows_the_percentile(percentile: float, begins: str, share: str) -> None:
    assert closeness(percentile).startswith(begins)
    assert share in closeness(percentile)


def test_a_face_that_came_out_unclear_is_not_called_a_match() -> None:
    assert closeness(1.0, 0.02) == "Close, but blurred."
    assert closeness(1.0, 0.5) == closeness(1.0) == closeness(1.0, 0.1)
    assert closeness(80.0, 0.02) == closeness(80.0)


def test_a_visitor_has_one_search_and_leaves_a_place_for_another(functions: Functions, steered_studio: Studio) -> None:
    def choose(address: str) -> dict[str, Any]:
        request: Any = SimpleNamespace(client=SimpleNamespace(host=address), scope={})
        return functions["choose"]([START_KEY, ["smile"], 0], request)

    mine = choose("192.0.2.1")
    assert "already have a search" in choose("192.0.2.1")["error"]
    another = choose("192.0.2.2")
    waiting = choose("192.0.2.3")
    assert functions["ask"]([waiting["work"]]) == {"progress": 0.0, "text": "", "ahead": 1}
    functions["leave"]([mine["work"]])
    assert "ahead" not in functions["ask"]([waiting["work"]])
    mine = choose("192.0.2.1")
    for started in (mine, another, waiting):
        functions["leave"]([started["work"]])
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
    steered_studio: Studio, functions: Functions, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steered_studio.work, "slice_seconds", 1e-9)
    face = np.zeros((32, 32, 3), np.uint8)
    found = Projection(np.zeros(DIM, np.float32), recipe, face, 0.0, 1.0, 0.0, None, 1.0)
    key = steered_studio.work.begin("search", "me", iter([None, found]), search_value)
    _, answer = until_done(functions, {"work": key})
    assert answer["recipes"]
    assert steered_studio.work.works == {}
