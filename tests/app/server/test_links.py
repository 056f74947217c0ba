"""Links as the server reads them: the same as the page makes, and every other value is refused in words."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from app.server.links import MAX_LINK, read_link
from ganime.drawing.recipe import Recipe, encoded
from ganime.errors import RecipeError

FACE: dict[str, Any] = {"model": "tiny", "revision": "abc", "seed": 7, "truncation": 1.0}
VECTOR = encoded(np.zeros(8, np.float32) + 1)


def link_of(kind: str, value: Any) -> dict[str, str]:
    return {kind: json.dumps(value)}


def test_a_face_a_tray_and_a_film_are_read() -> None:
    face = read_link(link_of("face", FACE))
    tray = read_link(link_of("tray", [FACE, FACE | {"seed": 8}]))
    other = {"model": "else", "revision": "def"}
    film = read_link(
        link_of(
            "walk",
            {
                "model": "tiny",
                "revision": "abc",
                "faces": [{"seed": 7}, {"seed": 9, "clarity": 0.5}, {"seed": 4, **other}],
            },
        )
    )
    assert face
    assert tray
    assert film
    assert face.recipes == (Recipe("tiny", "abc", 7),)
    assert tray.recipes == (Recipe("tiny", "abc", 7), Recipe("tiny", "abc", 8))
    assert film.recipes == (Recipe("tiny", "abc", 7), Recipe("tiny", "abc", 9, clarity=0.5), Recipe("else", "def", 4))
    assert [link.title for link in (face, tray, film)] == [
        "Anime face, seed\N{NO-BREAK SPACE}7",
        "2 anime faces",
        "A film through 3 faces",
    ]


def test_a_link_keeps_its_value_and_says_what_was_edited() -> None:
    text = json.dumps(FACE | {"vector": VECTOR, "sharpened": 512})
    link = read_link({"face": text, "tab": "Explore"})
    assert link
    assert (link.text, link.recipes[0].sharpened) == (text, 0)
    assert "edited" in link.title


@pytest.mark.parametrize("query", [{}, {"face": ""}, {"tab": "Train"}])
def test_other_addresses_name_nothing(query: dict[str, str]) -> None:
    assert read_link(query) is None


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("face", "x"),
        ("face", "{}"),
        ("face", "[]"),
        ("face", "null"),
        ("face", json.dumps(FACE | {"seed": 10**400})[:300]),
        ("face", json.dumps(FACE | {"seed": -1})),
        ("face", json.dumps(FACE | {"seed": float("nan")})),
        ("face", json.dumps(FACE | {"more": 1})),
        ("face", json.dumps(FACE | {"model": 5})),
        ("face", json.dumps(FACE | {"vector": "\x00\u202e"})),
        ("tray", "{}"),
        ("tray", "[]"),
        ("tray", "[1]"),
        ("tray", json.dumps([FACE] * 65)),
        ("walk", "[]"),
        ("walk", json.dumps({"faces": 3})),
        ("walk", json.dumps({"faces": [{"seed": 1}, 2]})),
        ("walk", json.dumps({"model": "tiny", "faces": [{"seed": 1}]})),
        ("face", "[" * 10_000),
        ("face", "1" * 10_000),
        ("tray", " " * (MAX_LINK + 1)),
    ],
)
def test_what_is_no_link_is_refused_in_printable_words(kind: str, text: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read_link({kind: text})
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()
