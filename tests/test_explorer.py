"""Exploring: faces by recipe for the Explore tab and its endpoints, what is refused, and searches that take turns."""

from __future__ import annotations

import base64
import io
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from app import searches
from app.explorer import Explorer, unpacked
from app.library import START_KEY
from app.searches import Searches
from app.settings import Settings
from app.studio import Studio
from app.tab_explore import closeness, file_functions, sent_value, server_functions, stage_value
from ganime.checkpoint import Checkpoint, load_checkpoint
from ganime.directions import INDEX_FILE, Direction, Directions, save_directions
from ganime.errors import DataError, GanimeError, RecipeError
from ganime.images import png_bytes
from ganime.latents import Recipe, decoded
from ganime.sampling import generate, generate_recipes
from tests.browser.conftest import serve

DIM = 8


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
def functions(explorer: Explorer) -> dict[str, Callable[[Any], Any]]:
    made = [*server_functions(explorer), *file_functions(explorer)]
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
        ("walk", [[mine, other], 10, True]),
        ("inside", [other]),
        ("keep_file", [other, 0]),
        ("tray_file", [[mine, other]]),
        ("walk_file", [[mine, other], 10, True, 20, ".gif", 0]),
    ):
        answer = functions[name]([START_KEY, *arguments])
        assert "owner/else" in answer["error"], name
        assert "Load its model first" in answer["error"], name


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
        ("walk", [[RECIPE], 10, True]),
        ("walk", [[RECIPE] * 2, 241, True]),
        ("walk", [[RECIPE] * 2, 1, True]),
        ("inside", [7]),
        ("keep_file", [RECIPE, 300]),
        ("tray_file", [[]]),
        ("walk_file", [[RECIPE] * 2, 10, True, 0, ".gif", 0]),
        ("walk_file", [[RECIPE] * 2, 10, True, 20, ".exe", 0]),
        ("walk_file", [[RECIPE] * 2, 240, True, 20, ".gif", 512]),
    ],
)
def test_nonsense_from_the_network_is_answered_in_words(
    functions: dict[str, Callable[[Any], Any]], model: Checkpoint, name: str, arguments: list[Any]
) -> None:
    def filled(value: Any) -> Any:
        if isinstance(value, list):
            return [filled(one) for one in value]
        return value.replace("%s", model.revision).replace("%d", "5") if isinstance(value, str) else value

    answer = functions[name]([START_KEY, *filled(arguments)])
    if "search" in answer:  # what is wrong with a search shows at its first step
        answer = functions["ask"]([START_KEY, answer["search"]])
    assert list(answer) == ["error"]
    assert len(answer["error"]) > 15


def test_directions_beside_the_model_become_sliders_under_headings(explorer: Explorer) -> None:
    steers = stage_value(explorer, START_KEY)["steers"]
    assert [(one["label"], one["group"]) for one in steers] == [("Smile", "Expression"), ("Sefa-1", "Without a name")]


def test_model_without_directions_is_steered_by_those_of_its_first_layer(tiny_folder: Path, tmp_path: Path) -> None:
    explorer = Explorer(Studio(Settings(model=str(tiny_folder), home=tmp_path, training="off")))
    names = explorer.directions(START_KEY).names
    assert names[:2] == ("sefa-1", "sefa-2")
    seven = explorer.draw(START_KEY, [Recipe("tiny", explorer.checkpoint(START_KEY).revision, 7)])
    steered = explorer.steer(START_KEY, seven.recipes[0], {"sefa-1": 3.0})
    assert not near(steered.faces, seven.faces)


def test_damaged_directions_are_told_of_and_leave_all_else_working(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "tiny")
    (tmp_path / "tiny" / INDEX_FILE).write_text("{", encoding="utf-8")
    explorer = Explorer(Studio(Settings(model=str(tmp_path / "tiny"), home=tmp_path, training="off")))
    value = stage_value(explorer, START_KEY)
    assert value["steers"] == []
    assert INDEX_FILE in value["note"]
    assert explorer.draw(START_KEY, [Recipe("tiny", value["revision"], 1)]).faces.shape == (1, 32, 32, 3)


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
    table = Searches(threading.Lock())
    keys = [table.begin(iter([1, 2])) for _ in range(2)]
    with pytest.raises(GanimeError, match="Try again in some seconds"):
        table.begin(iter([1]))
    assert table.go_on(keys[0]) == (2, True)
    table.begin(iter([1]))
    with pytest.raises(GanimeError, match="over"):
        table.go_on(keys[0])
    monkeypatch.setattr(searches, "FORGOTTEN_SECONDS", -1.0)
    table.begin(iter([1]))
    with pytest.raises(GanimeError, match="over"):
        table.go_on(keys[1])


def test_search_goes_on_slice_by_slice_and_lets_others_at_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searches, "SLICE_SECONDS", 0.0)
    device = threading.Lock()
    table = Searches(device)
    held = []

    def steps() -> Iterator[int]:
        for number in range(3):
            held.append(device.locked())
            yield number

    key = table.begin(steps())
    for expected in ((0, False), (1, False), (2, False), (2, True)):
        assert table.go_on(key) == expected
        assert not device.locked()
    assert held == [True] * 3


def test_search_that_fails_gives_its_place_back() -> None:
    def steps() -> Iterator[int]:
        yield 1
        raise RecipeError("It cannot be done.")

    table = Searches(threading.Lock())
    for _ in range(3):
        key = table.begin(steps())
        with pytest.raises(RecipeError, match="cannot be done"):
            table.go_on(key)


def test_walk_passes_all_kept_faces_and_is_exported_as_each_kind(
    explorer: Explorer, model: Checkpoint, recipe: Recipe
) -> None:
    recipes = [recipe, Recipe("tiny", model.revision, 8), Recipe("tiny", model.revision, 9)]
    frames = explorer.walk(START_KEY, recipes, 12, loop=True)
    assert near(frames[[0, 4, 8]], generate_recipes(model, recipes))
    for suffix, kind in ((".gif", "GIF"), (".webp", "WEBP"), (".png", "PNG")):
        film = Image.open(io.BytesIO(explorer.animation(START_KEY, recipes, 12, True, 25, suffix, 256)))
        assert (film.format, film.size, getattr(film, "n_frames", 1)) == (kind, (256, 256), 12)


def test_layers_lead_from_the_latent_to_the_face(
    functions: dict[str, Callable[[Any], Any]], model: Checkpoint, recipe: Recipe
) -> None:
    layers = functions["inside"]([START_KEY, recipe.to_json()])["layers"]
    assert layers[0]["name"] == "latent"
    picture = Image.open(io.BytesIO(base64.b64decode(layers[-1]["url"].partition(",")[2])))
    assert near(np.asarray(picture), generate(model, [7], 0.8)[0])


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
