"""Faces and films as files: recipes inside, progress, turns at the device, and what is refused in words."""

from __future__ import annotations

import base64
import io
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.faces.device import TURN_FACES
from app.faces.incoming import parse_recipes
from app.faces.library import START_KEY
from app.faces.studio import Studio
from ganime.drawing.recipe import Recipe
from ganime.drawing.sampling import generate
from tests.app.tabs.conftest import Functions
from tests.pictures import nearly_equal


def picture_in(answer: dict[str, str]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(answer["data"])))


def test_a_saved_face_is_exact_and_has_its_recipe_inside(functions: Functions, steered_studio: Studio) -> None:
    model = steered_studio.open(START_KEY)
    [recipe] = model.recipes(1, 5)
    answer = functions["face_file"]([START_KEY, recipe.to_json(), 0])
    assert (answer["name"], answer["type"]) == ("face-5.png", "image/png")
    image = picture_in(answer)
    assert nearly_equal(np.asarray(image), generate(model.checkpoint, [5])[0])
    assert Recipe.from_json(image.info["ganime"]) == recipe


def test_a_face_between_two_seeds_is_named_after_its_place_and_says_that_it_was_sharpened(
    functions: Functions, steered_studio: Studio
) -> None:
    frame = steered_studio.open(START_KEY).path_recipes(3, 14, 5, 1.0)[2]
    answer = functions["face_file"]([START_KEY, frame.to_json(), 512])
    assert answer["name"] == "face-3-14-50.png"
    image = picture_in(answer)
    assert image.size == (512, 512)
    recipe = Recipe.from_json(image.info["ganime"])
    assert recipe == replace(frame, sharpened=512)
    assert parse_recipes([recipe.to_json()]) == [frame]  # dropped on the page, it is the face again


def test_an_avatar_is_sharp_and_cropped_and_a_background_that_cannot_go_is_named(
    functions: Functions, steered_studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    [recipe] = steered_studio.open(START_KEY).recipes(1, 5)
    answer = functions["avatar_file"]([START_KEY, recipe.to_json(), "circle"])
    assert answer["name"] == "face-5-circle.png"
    image = picture_in(answer)
    assert (image.mode, image.size) == ("RGBA", (512, 512))
    assert Recipe.from_json(image.info["ganime"]) == replace(recipe, sharpened=512)
    monkeypatch.setattr("ganime.drawing.avatar.LEAST_BORDER", 1.1)  # no background is plain enough
    assert "one plain colour" in functions["avatar_file"]([START_KEY, recipe.to_json(), "cutout"])["error"]
    assert "error" in functions["avatar_file"]([START_KEY, recipe.to_json(), "star"])


def test_a_zip_of_faces_is_drawn_one_by_one(functions: Functions, steered_studio: Studio) -> None:
    recipes = steered_studio.open(START_KEY).recipes(3, 5)
    work = functions["zip_file"]([START_KEY, [recipe.to_json() for recipe in recipes], 0])["work"]
    answers = [functions["ask"]([work])]
    while "progress" in answers[-1]:
        answers.append(functions["ask"]([work]))
    archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(answers[-1]["data"])))
    assert archive.namelist() == ["face-5.png", "face-6.png", "face-7.png"]
    assert Recipe.from_json(Image.open(archive.open("face-6.png")).info["ganime"]) == recipes[1]


SEED_1 = '{"model":"","revision":"","seed":1}'
OTHER = '{"model":"owner/else","revision":"000000000000","seed":4}'


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("face_file", None),
        ("face_file", []),
        ("face_file", {"key": "start"}),
        ("face_file", ["start", "{}", 0]),
        ("face_file", ["start", "[" * 50_000, 0]),
        ("face_file", ["start", SEED_1, 300]),
        ("face_file", ["start", SEED_1, 100_000]),
        ("face_file", [["start"], SEED_1, 0]),
        ("face_file", ["../../etc", SEED_1, 0]),
        ("face_file", ["tester/never", SEED_1, 0]),
        ("face_file", ["start", '{"model":"","revision":"","seed":1,"toward":-2,"position":0.5}', 0]),
        ("zip_file", ["start", []]),
        ("zip_file", ["start", [], 0]),
        ("zip_file", ["start", [SEED_1] * 65, 0]),
        ("zip_file", ["start", [SEED_1], 1024]),
    ],
)
def test_nonsense_from_the_network_is_answered_in_words(functions: Functions, name: str, arguments: Any) -> None:
    answer = functions[name](arguments)
    if "work" in answer:  # an empty ZIP is refused at its first step
        answer = functions["ask"]([answer["work"]])
    assert list(answer) == ["error"]
    assert len(answer["error"]) > 15


def test_a_face_of_another_model_is_refused_by_its_name(functions: Functions, recipe: Recipe) -> None:
    for name, arguments in (("face_file", [OTHER, 0]), ("zip_file", [[recipe.to_json(), OTHER], 0])):
        answer = functions[name]([START_KEY, *arguments])
        assert "owner/else" in answer["error"], name
        assert "Load its model first" in answer["error"], name


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
