"""The static edition draws the same faces as the server: seeds, recipes and tools, compared with Python's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app.faces.loaded_model import LoadedModel
from ganime.drawing.mixing import recipes_between
from ganime.drawing.recipe import Recipe, encoded, latent, rounded, slerp, walk
from ganime.drawing.sampling import latents_of
from tests.app.static.conftest import called, in_node

SEEDS = 10_000
Art = Callable[..., list[Any]]


def test_ten_thousand_seeds_have_the_same_latents_to_the_bit() -> None:
    random = np.random.default_rng(0)
    seeds = [0, 1, 2**31, 2**32 - 1, *map(int, random.integers(0, 2**32, SEEDS - 4))]
    here = np.frombuffer(in_node([["seeds", seeds, 128]]), "<f4").reshape(SEEDS, 128)
    assert np.array_equal(here, np.stack([latent(seed, 128) for seed in seeds]))


def test_latents_of_an_odd_length_are_the_same_too() -> None:
    here = np.frombuffer(in_node([["seeds", [7, 8], 37]]), "<f4").reshape(2, 37)
    assert np.array_equal(here, np.stack([latent(seed, 37) for seed in (7, 8)]))


def test_numbers_are_rounded_to_sixteen_bits_as_numpy_rounds_them() -> None:
    random = np.random.default_rng(1)
    edges = [0.0, -0.0, 1e-8, 2**-25, 3 * 2**-25, 2**-24, 2**-14, 2**-14 - 2**-26, 1 + 2**-11, 1 + 3 * 2**-11, 16, -2.0]
    numbers = np.array([*edges, *random.standard_normal(2000), *(random.standard_normal(500) * 1e-5)], np.float32)
    [text, back] = called(
        ["recipe", "encodeVector", {"f4": numbers.tolist()}], ["recipe", "decodeVector", encoded(numbers)]
    )
    assert text == encoded(numbers)
    assert np.array_equal(np.array(back, np.float32), rounded(numbers))


@pytest.mark.parametrize("position", [0, 1e-5, 0.25, 0.5, 1])
def test_the_way_between_faces_is_the_same(position: float) -> None:
    a, b = latent(3, 128), latent(14, 128)
    pairs = [(a, b), (b, a), (a, np.zeros_like(a)), (a, a)]
    ways = called(*(["latents", "slerp", {"f4": x.tolist()}, {"f4": y.tolist()}, position] for x, y in pairs))
    for way, (x, y) in zip(ways, pairs, strict=True):
        assert np.allclose(way, slerp(x, y, position), rtol=0, atol=2e-7)


def test_recipes_are_written_letter_for_letter_as_python_writes_them(art: Art, model: LoadedModel) -> None:
    name, revision = model.checkpoint.name, model.checkpoint.revision
    recipes = [
        Recipe(name, revision, 7),
        Recipe("ü “\n\x7f😀", revision, 2**32 - 1, truncation=0.85, clarity=0.95),
        Recipe(name, revision, 7, toward=9, position=1 / 3),
        Recipe(name, revision, 0, truncation=0.00001, toward=0, position=1.0),
        Recipe(name, revision, 7, vector=encoded(latent(5, 128)), clarity=0.7, sharpened=512),
    ]
    texts = [recipe.to_json() for recipe in recipes]
    [drawn] = art(["draw", {"recipes": texts}])
    assert drawn["recipes"] == texts
    # What the page's own JavaScript writes becomes the same text.
    loose = [json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False) for text in texts]
    assert art(["draw", {"recipes": [text.replace("1.0,", "1,") for text in loose]}])[0]["recipes"] == texts


def test_what_is_no_recipe_of_the_model_is_refused_in_words(art: Art, model: LoadedModel) -> None:
    fine = Recipe(model.checkpoint.name, model.checkpoint.revision, 7)
    values = json.loads(fine.to_json())
    bad = [
        "7",
        "{",
        json.dumps(values | {"seed": 2**32}),
        json.dumps(values | {"seed": True}),
        json.dumps(values | {"seed": 1.5}),
        json.dumps(values | {"truncation": 1.6}),
        json.dumps(values | {"clarity": 0.96}),
        json.dumps(values | {"vector": "AAA$"}),
        json.dumps(values | {"vector": encoded(latent(1, 64))}),
        json.dumps(values | {"vector": encoded(latent(1, 128)), "toward": 3}),
        json.dumps(values | {"more": 1}),
        replace(fine, revision="0" * 12).to_json(),
    ]
    answers = art(*(["draw", {"recipes": [text]}] for text in bad))
    assert all(set(answer) == {"error"} for answer in answers), answers
    assert "0" * 12 in answers[-1]["error"]
    assert "64 numbers" in answers[8]["error"]
    assert "error" in art(["draw", {"recipes": []}])[0]
    assert "64" in art(["draw", {"recipes": [fine.to_json()] * 65}])[0]["error"]


def test_every_tool_makes_the_same_recipes(art: Art, model: LoadedModel) -> None:
    a, b, c = (model.recipes(1, seed)[0] for seed in (3, 14, 15))
    edited = model.steer(a, {"smile": 1.5}).recipes[0]
    own = {"mine": vector_of(model, "blush")}
    texts = [recipe.to_json() for recipe in (a, b, c)]
    asked = [
        (
            ["fresh", {"count": 5, "seed": 2**32 - 9, "truncation": 0.9, "clarity": 0.35}],
            model.fresh(5, 2**32 - 9, 0.9, 0.35),
        ),
        (
            ["fresh", {"count": 3, "seed": 2**32 - 1, "truncation": 1, "clarity": 0}],
            model.fresh(3, 2**32 - 1, 1.0, 0.0),
        ),
        (
            ["roll", {"recipe": texts[0], "seeds": [1, 2, 3], "locks": ["hair", "eyes"]}],
            model.roll_beside(a, [1, 2, 3], ["hair", "eyes"]),
        ),
        (["roll", {"recipe": texts[0], "seeds": [5], "locks": []}], model.roll_beside(a, [5], [])),
        (
            ["beside", {"recipe": texts[0], "count": 3, "seed": 2**32 - 5, "locks": ["hair"]}],
            model.roll_beside(a, [(2**32 - 5 + number) % 2**32 for number in range(12)], ["hair"], best_of=4),
        ),
        (["vary", {"recipe": texts[0], "strength": 0.3, "seed": 9}], model.vary(a, 0.3, 9)),
        (
            ["vary", {"recipe": edited.to_json(), "strength": 1, "seed": 0, "locks": ["expression"]}],
            model.vary(edited, 1, 0, locks=["expression"]),
        ),
        (
            ["steer", {"recipe": texts[1], "amounts": {"smile": -2, "blonde_hair": 2.5}, "own": {}}],
            model.steer(b, {"smile": -2, "blonde_hair": 2.5}),
        ),
        (["steer", {"recipe": texts[1], "amounts": {"mine": 1.1}, "own": own}], model.steer(b, {"mine": 1.1}, own)),
        (["breed", {"recipes": texts, "mutation": 0.1, "seed": 4}], model.breed([a, b, c], 0.1, 4)),
        (["breed", {"recipes": texts[:2], "mutation": 0, "seed": 2}], model.breed([a, b], 0, 2)),
        (["mix", {"a": texts[0], "b": texts[1], "c": texts[2]}], model.arithmetic(a, b, c)),
    ]
    for answer, (call, drawn) in zip(art(*(call for call, _ in asked)), asked, strict=True):
        assert answer.get("recipes") == [recipe.to_json() for recipe in drawn.recipes], (call[0], answer.get("error"))


def vector_of(model: LoadedModel, name: str) -> str:
    return encoded(model.directions()[name].vector)


def test_faces_between_others_are_the_same(art: Art, model: LoadedModel) -> None:
    a, b = (model.recipes(1, seed)[0] for seed in (3, 14))
    softer = replace(b, truncation=0.9, clarity=0.2)
    edited = model.steer(a, {"smile": 1.5}).recipes[0]
    for first, second in ((a, b), (a, softer), (edited, b)):
        [answer] = art(["between", {"a": first.to_json(), "b": second.to_json(), "steps": 5}])
        expected = recipes_between(model.checkpoint, first, second, 5)
        assert answer["recipes"] == [recipe.to_json() for recipe in expected]
    assert "64" in art(["between", {"a": a.to_json(), "b": b.to_json(), "steps": 65}])[0]["error"]


def test_clarity_moves_latents_to_the_same_places(art: Art, model: LoadedModel) -> None:
    shares = (0.0, 0.3, 0.7, 0.95)
    recipes = [
        Recipe(model.checkpoint.name, model.checkpoint.revision, seed, clarity=shares[seed % 4], truncation=0.9)
        for seed in range(40)
    ]
    [drawn] = art(["draw", {"recipes": [recipe.to_json() for recipe in recipes]}])
    expected = latents_of(model.checkpoint, recipes)
    assert np.abs(np.array(drawn["latents"]) - expected).max() < 1e-4
    unmoved = [number for number, recipe in enumerate(recipes) if not recipe.clarity]
    assert np.array_equal(np.array(drawn["latents"], np.float32)[unmoved], expected[unmoved])


@pytest.mark.parametrize(("loop", "easing"), [(True, "smooth"), (False, "linear")])
def test_films_go_the_same_way(art: Art, model: LoadedModel, loop: bool, easing: str) -> None:
    faces = [replace(model.recipes(1, seed)[0], clarity=clarity) for seed, clarity in ((3, 0.0), (14, 0.7), (15, 0.2))]
    [path] = art(["path", [face.to_json() for face in faces], 17, loop, easing, list(range(17))])
    assert np.abs(np.array(path) - model.path(faces, 17, loop, easing)).max() < 1e-4
    assert len(walk(np.array(path[:2], np.float32), 2)) == 2


def test_sliders_of_a_visitor_are_the_same(art: Art, model: LoadedModel) -> None:
    a, b = (model.recipes(1, seed)[0] for seed in (3, 14))
    sliders, faces, same = art(
        ["ownSliders", {"smile": 1, "blush": -0.5}, {}],
        ["ownFaces", a.to_json(), b.to_json()],
        ["ownFaces", a.to_json(), a.to_json()],
    )
    assert sliders == encoded(model.direction_of_sliders("mine", {"smile": 1, "blush": -0.5}, {}).vector)
    assert faces == encoded(model.direction_between("mine", a, b).vector)
    assert "same" in same["error"]


def test_amounts_directions_and_locks_out_of_range_are_refused(art: Art, model: LoadedModel) -> None:
    text = model.recipes(1, 3)[0].to_json()
    answers = art(
        ["steer", {"recipe": text, "amounts": {"smile": 3.5}}],
        ["steer", {"recipe": text, "amounts": {"nothing": 1}}],
        ["steer", {"recipe": text, "amounts": {"constructor": 1}}],
        ["steer", {"recipe": text, "amounts": {"mine": 1}, "own": {"mine": encoded(latent(1, 64))}}],
        ["roll", {"recipe": text, "seeds": [1], "locks": ["nose"]}],
        ["breed", {"recipes": [text], "mutation": 0, "seed": 1}],
    )
    assert [set(answer) for answer in answers] == [{"error"}] * len(answers), answers
