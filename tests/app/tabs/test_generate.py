"""The Generate and Interpolate tabs: the values that their components show, and their downloads."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.components.bridge import file_function
from app.faces.library import START_KEY
from app.faces.studio import Studio
from app.tabs.generate import face_file, gallery_value, zip_file
from app.tabs.interpolate import FRAMES, frame_file, path_value
from ganime.drawing.recipe import Recipe
from ganime.drawing.sampling import generate
from tests.pictures import nearly_equal, picture_of


def test_the_gallery_has_a_tile_and_a_recipe_for_each_seed(steered_studio: Studio) -> None:
    value = gallery_value(steered_studio, START_KEY, 3, 5, 0.8)
    checkpoint = steered_studio.open(START_KEY).checkpoint
    assert (value["key"], value["model"], value["revision"]) == (START_KEY, "tiny", checkpoint.revision)
    assert [face["seed"] for face in value["faces"]] == [5, 6, 7]
    assert Recipe.from_json(value["faces"][2]["recipe"]) == Recipe("tiny", checkpoint.revision, 7, 0.8)
    tiles = np.split(picture_of(value["sheet"]), value["columns"], axis=1)  # one row
    assert nearly_equal(np.stack(tiles[:3]), generate(checkpoint, [5, 6, 7], 0.8))


def test_the_frames_lead_from_the_first_seed_to_the_second(steered_studio: Studio) -> None:
    value = path_value(steered_studio, START_KEY, 3, 14, 1.0)
    assert (value["start"], value["end"], value["frames"]) == (3, 14, FRAMES)
    sheet, side = picture_of(value["sheet"]), value["side"]
    row, column = divmod(FRAMES - 1, value["columns"])
    last = sheet[row * side : (row + 1) * side, column * side : (column + 1) * side]
    [end] = generate(steered_studio.open(START_KEY).checkpoint, [14])
    assert nearly_equal(last, end)


def test_a_downloaded_frame_is_named_after_its_place_and_has_the_size_asked_for(steered_studio: Studio) -> None:
    frame = steered_studio.open(START_KEY).path_recipes(3, 14, 5, 1.0)[2]
    answer = file_function(frame_file(steered_studio))([START_KEY, frame.to_json(), 256])
    assert (answer["name"], answer["type"]) == ("face-3-14-50.png", "image/png")
    image = Image.open(io.BytesIO(base64.b64decode(answer["data"])))
    assert image.size == (256, 256)
    assert Recipe.from_json(image.info["ganime"]) == frame


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
