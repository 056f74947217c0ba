"""The recipe of a film: what the page and the command line write into its file."""

from __future__ import annotations

import json

import pytest

from ganime.drawing.film import film_recipe
from ganime.drawing.recipe import Recipe


def test_a_film_names_its_model_once_and_every_face_by_what_is_its_own() -> None:
    faces = [Recipe("tiny", "0123", 1), Recipe("tiny", "0123", 2, 0.8, 5, 0.5, clarity=0.7, sharpened=512)]
    film = json.loads(film_recipe([*faces, Recipe("漢字", "4567", 3)], 90, 20, True, "smooth"))
    assert (film["model"], film["revision"]) == ("tiny", "0123")
    assert film["faces"] == [
        {"seed": 1},
        {"seed": 2, "truncation": 0.8, "toward": 5, "position": 0.5, "clarity": 0.7},
        {"seed": 3, "model": "漢字", "revision": "4567"},
    ]
    assert (film["seconds"], film["loop"], film["easing"]) == (1.5, True, "smooth")


@pytest.mark.parametrize(("frames", "loop", "seconds"), [(40, True, 1.0), (41, False, 2.0)])
def test_the_seconds_of_a_film_are_those_from_face_to_face(frames: int, loop: bool, seconds: float) -> None:
    faces = [Recipe("tiny", "0123", seed) for seed in (1, 2)]
    film = json.loads(film_recipe(faces, frames, 20, loop, "linear", 512))
    assert (film["seconds"], film["side"]) == (seconds, 512)


def test_the_recipe_is_ascii_as_the_comment_of_a_gif_has_to_be() -> None:
    assert film_recipe([Recipe("漢字 😀", "0123", 1)] * 2, 4, 20, True, "linear").isascii()
