"""The files that the static edition saves, read by Python."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.faces.loaded_model import LoadedModel, file_names
from app.faces.walks import MixedFrames
from ganime.drawing.film import film_recipe
from ganime.drawing.recipe import Recipe
from ganime.images import read_recipe
from tests.app.static.conftest import called

SIDE = 24


def picture(seed: int = 0) -> tuple[dict[str, Any], np.ndarray]:
    """A picture as the page's JavaScript has it, and its pixels, (SIDE, SIDE, 3)."""
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    pixels[: SIDE // 2] = pixels[:1]  # rows that filters compress
    opaque = np.concatenate([pixels, np.full((SIDE, SIDE, 1), 255, np.uint8)], 2)
    return {"side": SIDE, "pixels": opaque.ravel().tolist()}, pixels


def test_a_png_holds_the_exact_pixels_and_the_recipe() -> None:
    given, pixels = picture()
    recipe = Recipe("ü", "0" * 12, 7, clarity=0.7, sharpened=512)
    with_recipe, without = called(["png", "pngOf", given, recipe.to_json()], ["png", "pngOf", given])
    data = bytes(with_recipe)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        assert np.array_equal(np.asarray(image), pixels)
    assert Recipe.from_png(data) == recipe
    assert read_recipe(bytes(without)) == ""


def test_an_animated_png_holds_every_frame_its_pace_and_the_recipe() -> None:
    frames = [picture(seed) for seed in range(3)]
    [data] = called(["png", "apngOf", [given for given, _ in frames], 20, '{"ganime": "film"}'])
    with Image.open(io.BytesIO(bytes(data))) as film:
        assert (film.n_frames, film.info["loop"], film.info["duration"]) == (3, 0, 50)
        assert film.info["ganime"] == '{"ganime": "film"}'
        for number, (_, pixels) in enumerate(frames):
            film.seek(number)
            assert np.array_equal(np.asarray(film.convert("RGB")), pixels)


def test_a_zip_is_whole_and_its_files_are_named_as_the_server_names_them() -> None:
    recipes = [Recipe("m", "0" * 12, seed) for seed in (7, 8, 7, 7)]
    recipes += [replace(recipes[0], vector="AAAAAAAAAAA"), replace(recipes[0], toward=9, position=0.3)]
    [names] = called(["studio", "zipNames", [recipe.to_json() for recipe in recipes]])
    assert names == file_names(recipes)
    contents = [bytes([number]) * (100 * number) for number in range(len(names))]
    files = [{"name": name, "data": list(data)} for name, data in zip([*names[:5], "ü.png"], contents, strict=True)]
    [data] = called(["zip", "zipOf", files])
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
        assert archive.testzip() is None
        assert [archive.read(name) for name in archive.namelist()] == contents
        assert archive.namelist() == [*names[:5], "ü.png"]


@pytest.mark.parametrize("loop", [True, False])
def test_the_recipe_of_a_film_is_that_of_the_server(model: LoadedModel, loop: bool) -> None:
    faces = [model.recipes(1, seed)[0] for seed in (3, 14)]
    faces.append(model.steer(faces[0], {"smile": 1}).recipes[0])
    texts = [face.to_json() for face in faces]
    [text] = called(["studio", "filmRecipe", texts, 96, 24, loop, "smooth"])
    assert text.isascii()
    assert json.loads(text) == json.loads(film_recipe(faces, 96, 24, loop, "smooth"))


@pytest.mark.parametrize("side", [10, SIDE, 50])
def test_pictures_are_made_smaller_and_larger_as_pillow_does(side: int) -> None:
    given, pixels = picture()
    [made] = called(["resizing", "resized", given, side])
    values = made["pixels"].values() if isinstance(made["pixels"], dict) else made["pixels"]
    shown = np.array([*values], np.uint8).reshape(side, side, 4)
    expected = np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))
    assert np.abs(shown[..., :3].astype(int) - expected).max() <= 1
    assert (shown[..., 3] == 255).all()


def test_frames_between_sharpened_ones_are_mixed_as_on_the_server() -> None:
    count, most = 9, 4
    places = np.linspace(0, count - 1, most).round().astype(int)
    assert called(["frames", "placesAmong", count, most], ["frames", "placesAmong", 5, 60]) == [
        places.tolist(),
        [0, 1, 2, 3, 4],
    ]
    given = [picture(seed) for seed in range(most)]
    film = {"pictures": [one for one, _ in given], "places": places.tolist(), "count": count}
    [frames] = called(["frames", "allFrames", film])
    expected = MixedFrames(np.stack([pixels for _, pixels in given]), places, count)
    assert len(frames) == len(expected)
    for number, frame in enumerate(frames):
        shown = np.array(frame["pixels"], np.uint8).reshape(SIDE, SIDE, 4)[..., :3]
        assert np.abs(shown.astype(int) - expected[number]).max() <= 1
