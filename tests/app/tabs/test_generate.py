"""The Generate and Interpolate tabs: the values that their components show, and their downloads."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.components.bridge import file_function, server_function
from app.faces.incoming import parse_recipes
from app.faces.library import EMBEDDED_KEY, START_KEY
from app.faces.studio import Studio
from app.tabs.generate import face_file, gallery_value, zip_file
from app.tabs.interpolate import FRAMES, frame_file, path_value
from app.tabs.sharp_view import sharp_function
from ganime.drawing.recipe import Recipe
from ganime.drawing.sampling import generate
from tests.pictures import nearly_equal, picture_of


def test_the_gallery_has_a_tile_and_a_recipe_for_each_seed(steered_studio: Studio) -> None:
    value = gallery_value(steered_studio, START_KEY, 3, 5, 0.8, 0.7)
    checkpoint = steered_studio.open(START_KEY).checkpoint
    assert (value["key"], value["model"], value["revision"]) == (START_KEY, "tiny", checkpoint.revision)
    assert [face["seed"] for face in value["faces"]] == [5, 6, 7]
    assert Recipe.from_json(value["faces"][2]["recipe"]) == Recipe("tiny", checkpoint.revision, 7, 0.8)
    tiles = np.split(picture_of(value["sheet"]), value["columns"], axis=1)  # one row
    assert nearly_equal(np.stack(tiles[:3]), generate(checkpoint, [5, 6, 7], 0.8))


def test_the_frames_lead_from_the_first_seed_to_the_second(steered_studio: Studio) -> None:
    value = path_value(steered_studio, START_KEY, 3, 14, 1.0, 0.7)
    assert (value["start"], value["end"], value["frames"]) == (3, 14, FRAMES)
    sheet, side = picture_of(value["sheet"]), value["side"]
    row, column = divmod(FRAMES - 1, value["columns"])
    last = sheet[row * side : (row + 1) * side, column * side : (column + 1) * side]
    [end] = generate(steered_studio.open(START_KEY).checkpoint, [14])
    assert nearly_equal(last, end)


def test_a_downloaded_frame_is_named_after_its_place_and_says_that_it_was_sharpened(steered_studio: Studio) -> None:
    frame = steered_studio.open(START_KEY).path_recipes(3, 14, 5, 1.0)[2]
    answer = file_function(frame_file(steered_studio))([START_KEY, frame.to_json(), 512])
    assert (answer["name"], answer["type"]) == ("face-3-14-50.png", "image/png")
    image = Image.open(io.BytesIO(base64.b64decode(answer["data"])))
    assert image.size == (512, 512)
    recipe = Recipe.from_json(image.info["ganime"])
    assert recipe == replace(frame, sharpened=512)
    assert parse_recipes([recipe.to_json()]) == [frame]  # dropped on the page, it is the face again


def test_the_embedded_model_is_drawn_as_clear_as_asked_for(steered_studio: Studio) -> None:
    checkpoint = steered_studio.open(EMBEDDED_KEY).checkpoint
    for clarity in (0.0, 0.7):
        value = gallery_value(steered_studio, EMBEDDED_KEY, 2, 8, 1.0, clarity)
        assert value["clarity"] == clarity
        tiles = np.split(picture_of(value["sheet"]), value["columns"], axis=1)
        assert nearly_equal(np.stack(tiles[:2]), generate(checkpoint, [8, 9], clarity=clarity))
    frames = path_value(steered_studio, EMBEDDED_KEY, 8, 9, 1.0, 0.7)
    assert frames["clarity"] == 0.7
    first = picture_of(frames["sheet"])[: frames["side"], : frames["side"]]
    assert nearly_equal(first, generate(checkpoint, [8], clarity=0.7)[0])


def test_a_zip_of_faces_is_drawn_one_by_one(steered_studio: Studio) -> None:
    recipes = steered_studio.open(START_KEY).recipes(3, 5)
    zip_of_faces = server_function(zip_file(steered_studio), visitor_of=lambda _: "me")
    search = zip_of_faces([START_KEY, [recipe.to_json() for recipe in recipes], 0], None)["search"]
    answers = [steered_studio.work.ask(search)]
    while "progress" in answers[-1]:
        answers.append(steered_studio.work.ask(search))
    archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(answers[-1]["data"])))
    assert archive.namelist() == ["face-5.png", "face-6.png", "face-7.png"]
    assert Recipe.from_json(Image.open(archive.open("face-6.png")).info["ganime"]) == recipes[1]


def test_a_face_on_view_is_sharpened(steered_studio: Studio) -> None:
    [recipe] = steered_studio.open(START_KEY).recipes(1, 5)
    picture = picture_of(sharp_function(steered_studio)([START_KEY, recipe.to_json()])["picture"])
    assert picture.shape == (512, 512, 3)
    assert "error" in sharp_function(steered_studio)([START_KEY, "no recipe"])


SEED_1 = '{"model":"","revision":"","seed":1}'


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (face_file, None),
        (face_file, []),
        (face_file, {"key": "start"}),
        (face_file, ["start", "{}", 0]),
        (face_file, ["start", "[" * 50_000, 0]),
        (face_file, ["start", SEED_1, 100_000]),
        (face_file, [["start"], SEED_1, 0]),
        (face_file, ["../../etc", SEED_1, 0]),
        (zip_file, ["start", []]),
        (zip_file, ["start", [SEED_1] * 65]),
        (face_file, ["tester/never", SEED_1, 0]),
        (frame_file, ["start", '{"model":"","revision":"","seed":1,"toward":-2,"position":0.5}', 0]),
    ],
)
def test_nonsense_from_the_network_is_answered_in_words(
    steered_studio: Studio, make: Callable[[Studio], Any], arguments: Any
) -> None:
    answer = file_function(make(steered_studio))(arguments)
    assert list(answer) == ["error"]
    assert len(answer["error"]) > 15
