"""Exploring: faces by recipe for the Explore tab and its endpoints, what is refused, and searches that take turns."""

from __future__ import annotations

import base64
import io
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from app import components
from app.faces import slices as searches
from app.faces.explorer import Explorer, unpacked
from app.faces.library import EMBEDDED_KEY, START_KEY
from app.faces.slices import Searches
from app.faces.studio import Studio
from app.jobs.uploads import Upload
from app.settings import Settings
from app.tabs.explore import closeness, file_functions, sent_value, server_functions, stage_value
from app.tabs.walks import Film, Frames, Walk, filmed, framed, walk_functions
from app.visitors import Visitor
from ganime import images
from ganime.drawing.directions import INDEX_FILE, Direction, Directions, save_directions
from ganime.drawing.projection import Projection
from ganime.drawing.recipe import Recipe, decoded, encoded
from ganime.drawing.sampling import generate, generate_recipes
from ganime.errors import CheckpointError, DataError, GanimeError, RecipeError
from ganime.images import png_bytes
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ganime.nets.dcgan import Generator
from tests.browser.conftest import serve

DIM = 8


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits long for a search that may be dying away; who is refused is refused soon."""
    monkeypatch.setattr(searches, "SETTLING_SECONDS", 0.05)


@pytest.fixture(scope="module")
def folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_directions(tiny_folder, tmp_path_factory.mktemp("steered") / "tiny")


def with_directions(model: Path, folder: Path) -> Path:
    """A copy of the tiny model with two directions beside it."""
    shutil.copytree(model, folder)
    ways = np.eye(DIM, dtype=np.float32)
    items = (Direction("smile", "attribute", ways[0]), Direction("sefa-1", "sefa", ways[1]))
    save_directions(Directions("tiny", load_checkpoint(folder).revision, items), folder)
    return folder


@pytest.fixture(scope="module")
def explorer(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Explorer:
    home = tmp_path_factory.mktemp("home")
    return Explorer(Studio(Settings(model=str(folder), home=home, training="off")))


@pytest.fixture(scope="module")
def model(folder: Path) -> Checkpoint:
    return load_checkpoint(folder)


@pytest.fixture(scope="module")
def functions(explorer: Explorer) -> dict[str, Callable[..., Any]]:
    made = [*server_functions(explorer), *walk_functions(explorer), *file_functions(explorer)]
    return {function.__name__: function for function in made}


@pytest.fixture
def recipe(model: Checkpoint) -> Recipe:
    return Recipe("tiny", model.revision, 7, 0.8)


def near(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(abs(a.astype(int) - b.astype(int)).max() <= 1)


def test_every_made_face_is_drawn_again_from_its_recipe(explorer: Explorer, model: Checkpoint, recipe: Recipe) -> None:
    others = [Recipe("tiny", model.revision, seed, 0.8) for seed in (8, 9)]
    for drawn in (
        explorer.vary(START_KEY, recipe, 0.4, 3),
        explorer.steer(START_KEY, recipe, {"smile": 2.0, "sefa-1": -1.0}),
        explorer.breed(START_KEY, [recipe, *others], 0.1, 3),
        explorer.arithmetic(START_KEY, recipe, *others),
    ):
        assert all(one.truncation == pytest.approx(0.8) for one in drawn.recipes)
        assert near(drawn.faces, generate_recipes(model, drawn.recipes))


def test_slider_at_rest_and_variation_of_no_strength_are_the_face_itself(
    explorer: Explorer, model: Checkpoint, recipe: Recipe
) -> None:
    face = generate(model, [7], 0.8)
    for drawn in (explorer.vary(START_KEY, recipe, 0.0, 1, 1), explorer.steer(START_KEY, recipe, {"smile": 0.0})):
        assert abs(drawn.faces.astype(int) - face.astype(int)).max() <= 3  # a latent is kept in 16 bits


def test_slider_moves_the_latent_along_its_direction(explorer: Explorer, recipe: Recipe) -> None:
    low, high = (explorer.steer(START_KEY, recipe, {"smile": amount}).recipes[0].vector for amount in (-3.0, 3.0))
    assert low
    assert high
    assert decoded(high)[0] > decoded(low)[0] + 2


def test_face_of_another_model_is_refused_by_its_name_by_every_tool(
    functions: dict[str, Callable[[Any], Any]], recipe: Recipe
) -> None:
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
            answer = functions["ask_walk"]([START_KEY, answer["search"]])
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
        ("ask", ["nobody's"]),
        ("ask", [7]),
        ("walk", [[RECIPE], 10, True, "linear"]),
        ("walk", [[RECIPE] * 2, 241, True, "linear"]),
        ("walk", [[RECIPE] * 2, 1, True, "linear"]),
        ("walk", [[RECIPE] * 2, 10, True, "bumpy"]),
        ("ask_walk", ["nobody's"]),
        ("keep_file", [RECIPE, 300]),
        ("tray_file", [[]]),
        ("film", [[RECIPE] * 2, 10, True, "linear", 0, ".gif", 0]),
        ("film", [[RECIPE] * 2, 10, True, "linear", 20, ".exe", 0]),
        ("film", [[RECIPE] * 2, 240, True, "linear", 20, ".gif", 512]),
    ],
)
def test_nonsense_from_the_network_is_answered_in_words(
    functions: dict[str, Callable[[Any], Any]], model: Checkpoint, name: str, arguments: list[Any]
) -> None:
    def load_net(value: Any) -> Any:
        if isinstance(value, list):
            return [load_net(one) for one in value]
        return value.replace("%s", model.revision).replace("%d", "5") if isinstance(value, str) else value

    answer = functions[name]([START_KEY, *load_net(arguments)])
    if "search" in answer:  # what is wrong with a search or a walk shows at its first step
        asking = "ask_walk" if name in ("walk", "film") else "ask"
        answer = functions[asking]([START_KEY, answer["search"]])
    assert list(answer) == ["error"]
    assert len(answer["error"]) > 15


def test_own_slider_leads_where_the_sliders_that_it_was_saved_from_led(
    explorer: Explorer, functions: dict[str, Callable[[Any], Any]], recipe: Recipe
) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    saved = functions["own_sliders"]([START_KEY, hostile, {"smile": 1.0, "sefa-1": 1.0}, {}])
    assert saved["name"] == hostile
    amount = float(np.sqrt(2) / 1.5)  # a unit of it is 1.5 long, as of all directions that nobody has measured
    answer = functions["steer"]([START_KEY, recipe.to_json(), {hostile: amount}, {hostile: saved["vector"]}])
    [there] = [Recipe.from_json(text).untruncated(DIM) for text in answer["recipes"]]
    wanted = explorer.steer(START_KEY, recipe, {"smile": 1.0, "sefa-1": 1.0}).recipes[0].untruncated(DIM)
    np.testing.assert_allclose(there, wanted, atol=5e-3)


def test_own_slider_from_two_faces_leads_from_one_to_the_other(
    functions: dict[str, Callable[[Any], Any]], model: Checkpoint, recipe: Recipe
) -> None:
    b = Recipe("tiny", model.revision, 8, 0.8)
    way = decoded(functions["own_faces"]([START_KEY, "mine", recipe.to_json(), b.to_json()])["vector"])
    wanted = recipe.untruncated(DIM) - b.untruncated(DIM)
    assert way @ wanted / np.linalg.norm(way) / np.linalg.norm(wanted) == pytest.approx(1, abs=1e-4)


def test_directions_beside_the_model_become_sliders_under_headings(explorer: Explorer) -> None:
    steers = stage_value(explorer, START_KEY)["steers"]
    assert [(one["label"], one["group"]) for one in steers] == [
        ("Smile", "Expression"),
        ("Pattern 1", "Without a name"),
    ]
    assert [one["name"] for one in steers] == ["smile", "sefa-1"]  # as they are stored
    assert "SeFa" in steers[1]["title"]


def test_model_without_directions_is_steered_by_those_of_its_first_layer(tiny_folder: Path, tmp_path: Path) -> None:
    explorer = Explorer(Studio(Settings(model=str(tiny_folder), home=tmp_path, training="off")))
    names = explorer.directions(START_KEY).names
    assert {name.partition("-")[0] for name in names} == {"sefa", "pca"}
    assert explorer.directions(START_KEY).items[0] is explorer.directions(START_KEY).items[0]  # found once
    assert {one["group"] for one in stage_value(explorer, START_KEY)["steers"]} == {"Without a name"}
    seven = explorer.draw(START_KEY, [Recipe("tiny", explorer.checkpoint(START_KEY).revision, 7)])
    steered = explorer.steer(START_KEY, seven.recipes[0], {"sefa-1": 3.0})
    assert not near(steered.faces, seven.faces)


def test_damaged_directions_are_told_of_and_leave_all_else_working(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "tiny")
    (tmp_path / "tiny" / INDEX_FILE).write_text("{", encoding="utf-8")
    explorer = Explorer(Studio(Settings(model=str(tmp_path / "tiny"), home=tmp_path, training="off")))
    value = stage_value(explorer, START_KEY)
    assert value["steers"] == []
    assert "damaged" in value["note"]
    assert explorer.draw(START_KEY, [Recipe("tiny", value["revision"], 1)]).faces.shape == (1, 32, 32, 3)


def test_model_that_drew_a_face_is_found_by_its_weights_and_never_taken_for_another(
    folder: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    studio = Studio(Settings(model=str(folder), home=tmp_path))
    library, jobs, revision = studio.library, studio.jobs, load_checkpoint(folder).revision
    assert jobs
    assert library.drawer("any name", revision) == START_KEY
    assert library.drawer("any name", library.embedded().revision) == EMBEDDED_KEY
    keys = []
    for place, name in enumerate(("other", "mine", "mine")):
        png = png_bytes(np.zeros((8, 8, 3), np.uint8))
        (tmp_path / "face.png").write_bytes(png)
        keys.append(jobs.draft([Upload(tmp_path / "face.png", "face.png")], Visitor(str(place))))
        with jobs.changing(keys[-1]) as (_, job):
            job.name = name
        torch.manual_seed(place)
        config = load_checkpoint(tiny_folder).generator.config
        save_checkpoint(Checkpoint(Generator(config).eval()), jobs.folder(keys[-1]).run / "saves" / "best")
    wanted = library.load_job(keys[2])
    assert library.drawer("mine", wanted.revision, "", ["no key", *keys]) == wanted.key
    library.loaded.clear()
    assert library.drawer("mine", wanted.revision, wanted.key) == wanted.key
    with pytest.raises(CheckpointError, match="trained elsewhere or by another visitor"):
        library.drawer("mine", wanted.revision, "", keys[:2])
    with pytest.raises(CheckpointError, match="other weights by now"):
        library.drawer(library.embedded().name, "0" * 12)
    jobs.delete(keys[2])
    with pytest.raises(CheckpointError, match="was deleted"):  # so undo leads past its faces
        library.drawer("mine", wanted.revision, wanted.key)


def test_model_of_a_key_is_told_with_where_it_came_from(explorer: Explorer) -> None:
    library = explorer.studio.library
    assert (library.info(START_KEY).key, library.info(EMBEDDED_KEY).origin) == (START_KEY, "embedded")
    assert library.info(START_KEY).origin.startswith("from ")
    with pytest.raises(GanimeError, match="tester/gone"):
        library.info(f"tester/gone@{'0' * 40}")


def test_sent_face_of_a_model_that_is_gone_is_answered_in_words(explorer: Explorer) -> None:
    assert "tester/gone" in sent_value(explorer, f"tester/gone@{'0' * 40}", "{}")["error"]


def until_done(functions: dict[str, Callable[[Any], Any]], started: dict[str, Any]) -> tuple[list[dict], dict]:
    """All that a search reports on its way, and what it finds."""
    reports: list[dict] = []
    while True:
        answer = functions["ask"]([START_KEY, started["search"]])
        assert "error" not in answer
        if "recipes" in answer:
            return reports, answer
        reports.append(answer)


def test_choice_reports_its_way_and_says_how_many_carry_what_was_asked_for(
    functions: dict[str, Callable[[Any], Any]],
) -> None:
    reports, answer = until_done(functions, functions["choose"]([START_KEY, ["blonde_hair"], 5]))
    assert len(answer["recipes"]) == len(answer["carries"]) == 8
    assert f"{sum(answer['carries'])} of 8 carry" in answer["text"]
    assert all(0 <= report["progress"] <= 1 for report in reports)


def test_projection_reports_its_way_and_says_how_near_it_came(
    functions: dict[str, Callable[[Any], Any]], model: Checkpoint
) -> None:
    picture = base64.b64encode(png_bytes(generate(model, [123])[0])).decode()
    reports, answer = until_done(functions, functions["project"]([START_KEY, picture]))
    assert [report["progress"] for report in reports] == sorted(report["progress"] for report in reports)
    assert Recipe.from_json(answer["recipes"][0]).vector
    assert "random pairs of faces" in answer["text"]


@pytest.mark.parametrize(
    ("percentile", "begins", "share"), [(0.0, "Close", "99 % or more"), (20.0, "Alike", "80 %"), (80.0, "Not", "20 %")]
)
def test_words_on_closeness_follow_the_measure(percentile: float, begins: str, share: str) -> None:
    assert closeness(percentile).startswith(begins)
    assert share in closeness(percentile)


def test_searches_beyond_two_are_refused_until_one_ends_or_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Searches()
    keys = [table.begin(visitor, iter([1, 2])) for visitor in "ab"]
    with pytest.raises(GanimeError, match="Try again in some seconds"):
        table.begin("c", iter([1]))
    assert table.go_on(keys[0]) == (2, True)
    table.begin("c", iter([1]))
    with pytest.raises(GanimeError, match="over"):
        table.go_on(keys[0])
    monkeypatch.setattr(searches, "FORGOTTEN_SECONDS", -1.0)
    table.begin("d", iter([1]))
    with pytest.raises(GanimeError, match="over"):
        table.go_on(keys[1])


def test_one_visitor_has_one_search_and_leaves_room_for_another(
    functions: dict[str, Callable[..., Any]], explorer: Explorer
) -> None:
    def choose(address: str) -> dict[str, Any]:
        request: Any = SimpleNamespace(client=SimpleNamespace(host=address), username=None)
        return functions["choose"]([START_KEY, ["smile"], 0], request)

    mine = choose("192.0.2.1")
    assert "under way already" in choose("192.0.2.1")["error"]
    another = choose("192.0.2.2")
    assert "of other visitors" in choose("192.0.2.3")["error"]
    functions["leave"]([START_KEY, mine["search"]])
    mine = choose("192.0.2.1")
    for started in (mine, another):
        functions["leave"]([START_KEY, started["search"]])
    assert explorer.searches.found == {}


def test_search_goes_on_slice_by_slice_and_lets_others_at_the_device(
    monkeypatch: pytest.MonkeyPatch, explorer: Explorer
) -> None:
    monkeypatch.setattr(searches, "SLICE_SECONDS", 1e-6)
    device, held = explorer.studio.device, []

    def steps() -> Iterator[int]:
        for number in range(3):
            held.append(device.locked())
            yield number

    table = Searches()
    key = table.begin("me", explorer.on_device(steps()))
    for expected in ((0, False), (1, False), (2, False), (2, True)):
        assert table.go_on(key) == expected
        assert not device.locked()
    assert held == [True] * 3


def test_whoever_waits_for_the_device_has_it_between_two_steps_of_a_search(explorer: Explorer) -> None:
    device, waiting, order = explorer.studio.device, threading.Event(), []

    def another() -> None:
        waiting.set()
        with device:
            order.append("another")

    def steps() -> Iterator[None]:
        thread.start()
        waiting.wait(10)
        time.sleep(0.05)
        for _ in range(100):
            order.append("step")
            yield

    thread = threading.Thread(target=another)
    for _ in explorer.on_device(steps()):
        pass
    thread.join()
    assert order.index("another") < 90


def test_first_steps_of_searches_draw_few_faces_at_a_time(
    explorer: Explorer, model: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = []
    forward = model.generator.forward
    start = explorer.checkpoint(START_KEY).generator

    def counted(z: Any) -> Any:
        most.append(len(z))
        return forward(z)

    monkeypatch.setattr(start, "forward", counted)
    picture = png_bytes(generate(model, [5])[0])
    for steps in (explorer.project(START_KEY, picture), explorer.choose(START_KEY, ["smile"], 0)):
        for _ in zip(range(4), steps, strict=False):
            pass
    assert len(most) == 8
    assert max(most) <= 16


def test_search_that_fails_gives_its_place_back() -> None:
    def steps() -> Iterator[int]:
        yield 1
        raise RecipeError("It cannot be done.")

    table = Searches()
    for _ in range(3):
        key = table.begin("me", steps())
        with pytest.raises(RecipeError, match="cannot be done"):
            table.go_on(key)


@pytest.fixture
def at_work() -> Iterator[tuple[Searches, str, threading.Thread, threading.Event]]:
    """A table with a search of "me" in the middle of a slice, its key, the thread at it, and the event to go on."""
    begun, go_on, table = threading.Event(), threading.Event(), Searches()

    def steps() -> Iterator[int]:
        begun.set()
        go_on.wait(30)
        yield 1
        time.sleep(2 * searches.SLICE_SECONDS)
        yield 2

    key = table.begin("me", steps())
    thread = threading.Thread(target=table.go_on, args=(key,))
    thread.start()
    assert begun.wait(10)
    yield table, key, thread, go_on
    go_on.set()
    thread.join()


def test_search_that_is_left_at_work_keeps_its_place_until_its_slice_is_over(
    at_work: tuple[Searches, str, threading.Thread, threading.Event],
) -> None:
    table, key, thread, go_on = at_work
    table.end(key)
    with pytest.raises(GanimeError, match="over"):
        table.go_on(key)
    with pytest.raises(GanimeError, match="under way already"):
        table.begin("me", iter([1]))
    table.begin("another", iter([1]))
    with pytest.raises(GanimeError, match="of other visitors"):
        table.begin("a third", iter([1]))
    go_on.set()
    thread.join()
    assert table.go_on(table.begin("me", iter([3]))) == (3, True)


def test_next_search_waits_until_one_of_a_page_that_was_closed_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searches, "SETTLING_SECONDS", 30.0)
    monkeypatch.setattr(searches, "FORGOTTEN_SECONDS", 0.3)
    table = Searches()
    table.begin("me", iter([1]))
    assert table.go_on(table.begin("me", iter([2]))) == (2, True)
    assert table.found == {}


def test_next_search_waits_for_the_last_slice_of_the_one_that_was_left(
    at_work: tuple[Searches, str, threading.Thread, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searches, "SETTLING_SECONDS", 30.0)
    table, key, thread, go_on = at_work
    table.end(key)
    threading.Timer(0.2, go_on.set).start()
    assert table.go_on(table.begin("me", iter([3]))) == (3, True)
    thread.join()
    assert table.found == {}


def test_question_at_a_search_at_work_is_answered_at_once_with_what_there_is(
    at_work: tuple[Searches, str, threading.Thread, threading.Event],
    explorer: Explorer,
    functions: dict[str, Callable[[Any], Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, key, thread, go_on = at_work
    assert table.go_on(key) == (None, False)
    for name, ask in (("searches", "ask"), ("walks", "ask_walk")):
        monkeypatch.setattr(explorer, name, table)
        assert functions[ask]([START_KEY, key])["progress"] == 0.0
    go_on.set()
    thread.join()
    assert table.go_on(key) == (2, True)


def test_place_is_free_once_the_result_is_told_though_its_slice_ended_with_it(
    explorer: Explorer,
    functions: dict[str, Callable[[Any], Any]],
    recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(searches, "SLICE_SECONDS", 1e-9)
    face = np.zeros((32, 32, 3), np.uint8)
    found = Projection(np.zeros(DIM, np.float32), recipe, face, face, 0.0, 1.0, 0.0, 1.0)
    _, answer = until_done(functions, {"search": explorer.searches.begin("me", iter([None, found]))})
    assert answer["recipes"]
    assert explorer.searches.found == {}
    walked = functions["walk"]([START_KEY, [recipe.to_json()] * 2, 3, True, "linear"])["search"]
    while "sheet" not in functions["ask_walk"]([START_KEY, walked]):
        assert explorer.walks.found
    assert explorer.walks.found == {}


def test_crowd_that_draws_at_once_is_refused_in_words_but_for_a_few(
    explorer: Explorer,
    functions: dict[str, Callable[[Any], Any]],
    recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(components, "PATIENCE", 0.05)
    answers: list[dict[str, Any]] = []
    asked = [START_KEY, recipe.to_json(), 0.3, 1]
    crowd = [threading.Thread(target=lambda: answers.append(functions["vary"](asked))) for _ in range(40)]
    with explorer.studio.device:
        for thread in crowd:
            thread.start()
        until = time.monotonic() + 10
        while len(answers) < 36 and time.monotonic() < until:
            time.sleep(0.01)
        assert len(answers) == 36
        assert all("Others are being served" in answer["error"] for answer in answers)
    for thread in crowd:
        thread.join()
    assert sum("recipes" in answer for answer in answers) == 4


def test_walk_passes_all_kept_faces_and_is_exported_as_each_kind(
    explorer: Explorer, model: Checkpoint, recipe: Recipe
) -> None:
    recipes = (recipe, Recipe("tiny", model.revision, 8), Recipe("tiny", model.revision, 9))
    for easing in ("linear", "smooth"):
        *_, last = framed(explorer, START_KEY, Walk(recipes, 12, easing=easing))
        assert isinstance(last, Frames)
        assert near(last.pixels[[0, 4, 8]], generate_recipes(model, recipes))
    for suffix, kind in ((".gif", "GIF"), (".webp", "WEBP"), (".png", "PNG")):
        *_, last = filmed(explorer, START_KEY, Walk(recipes, 12), 25, suffix, 256)
        assert isinstance(last, Film)
        film = Image.open(io.BytesIO(last.data))
        assert (film.format, film.size, getattr(film, "n_frames", 1)) == (kind, (256, 256), 12)


def test_walk_tells_how_far_it_is_and_holds_the_device_for_one_batch_at_a_time(
    functions: dict[str, Callable[[Any], Any]], explorer: Explorer, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searches, "SLICE_SECONDS", 1e-6)
    mine = [recipe.to_json(), recipe.to_json()]
    started = functions["walk"]([START_KEY, mine, 40, True, "smooth"])
    told = []
    while "sheet" not in (answer := functions["ask_walk"]([START_KEY, started["search"]])):
        told.append(answer["progress"])
        assert not explorer.studio.device.locked()
    assert told == [16 / 40, 32 / 40, 1.0]
    assert answer["frames"] == 40
    assert explorer.walks.found == {}
    begun = functions["film"]([START_KEY, mine, 40, True, "linear", 20, ".gif", 0])
    functions["ask_walk"]([START_KEY, begun["search"]])
    functions["leave_walk"]([START_KEY, begun["search"]])
    assert "over" in functions["ask_walk"]([START_KEY, begun["search"]])["error"]
    assert explorer.walks.found == {}


def test_film_that_cannot_be_made_here_is_answered_in_words(
    explorer: Explorer, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "mp4_works", lambda: False)
    events = filmed(explorer, START_KEY, Walk((recipe, recipe), 4), 20, ".mp4", None)
    with pytest.raises(GanimeError, match="pip install av"):
        next(events)


def test_zip_of_a_tray_holds_every_face_also_those_from_one_seed(
    functions: dict[str, Callable[[Any], Any]], explorer: Explorer, recipe: Recipe
) -> None:
    made = [one.to_json() for one in explorer.vary(START_KEY, recipe, 0.4, 3).recipes]
    answer = functions["tray_file"]([START_KEY, [recipe.to_json(), *made]])
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(answer["data"]))) as archive:
        assert archive.namelist() == ["face-7.png", *(f"face-7-{number}.png" for number in range(2, 10))]
        kept = Image.open(io.BytesIO(archive.read("face-7-4.png"))).info["ganime"]
    assert kept == made[2]


def test_picture_is_taken_as_base64_alone() -> None:
    assert unpacked(base64.b64encode(b"a picture").decode()) == b"a picture"
    for text in ("ä", "AA\nAA", "A"):
        with pytest.raises(DataError, match="base64"):
            unpacked(text)


@pytest.fixture(scope="module")
def client(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    home = tmp_path_factory.mktemp("served")
    variables = {"GANIME_MODEL": str(folder), "GANIME_TRAINING": "off", "GRADIO_TEMP_DIR": str(home / "gradio")}
    with serve(home, ("-m", "app"), **variables) as address:
        client = Client(address, verbose=False, download_files=str(tmp_path_factory.mktemp("files")))
        yield client
        client.close()


def read(file: str) -> tuple[np.ndarray, Recipe]:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB")), Recipe.from_json(image.info["ganime"])


def test_endpoints_vary_and_steer_a_face_by_seed_or_recipe(client: Client, model: Checkpoint) -> None:
    files = client.predict(face="7", strength=0.2, count=3, seed=1, api_name="/vary")
    assert len(files) == 3
    pixels, found = read(files[1])
    assert (found.model, found.seed) == ("tiny", 7)
    assert near(pixels, generate_recipes(model, [found])[0])
    steered, way = read(client.predict(face=found.to_json(), amounts={"smile": 2.5}, api_name="/steer"))
    assert way.vector not in (None, found.vector)
    assert near(steered, generate_recipes(model, [way])[0])


def test_endpoint_projects_a_picture(client: Client, model: Checkpoint) -> None:
    picture = base64.b64encode(png_bytes(generate(model, [5])[0])).decode()
    answer = client.predict(picture=picture, api_name="/project")
    assert sorted(answer) == ["distance", "file", "percentile", "seconds", "typical"]
    assert 0 <= answer["percentile"] <= 100


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("vary", {"face": "nobody"}, "no recipe"),
        ("vary", {"face": "9" * 30}, "seed"),
        ("vary", {"face": '{"model":"owner/else","revision":"x","seed":1}'}, "owner/else"),
        ("vary", {"face": "1", "count": 65}, "1 to 64"),
        ("steer", {"face": "1", "amounts": {"nonsense": 1}}, "smile"),
        ("steer", {"face": "1", "amounts": {"smile": "much"}}, "number"),
        ("project", {"picture": "AAAA"}, "picture"),
    ],
)
def test_endpoints_refuse_nonsense_in_words(client: Client, name: str, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(AppError, match=words):
        client.predict(**arguments, api_name=f"/{name}")
