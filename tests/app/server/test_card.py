"""Cards: what they show and weigh, and that links of strangers cost no more than the page allows."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.faces.library import EMBEDDED_KEY, START_KEY
from app.faces.studio import Studio
from app.limits import Limits, Rate, Turns
from app.recently_used import RecentlyUsed
from app.server import card_endpoint
from app.server.card import CARD_SIZE, MARGIN, MAX_BYTES, draw_card, font, lines_of
from app.server.card_endpoint import CardEndpoint, places
from ganime.drawing.recipe import Recipe

CARD = "/ganime/card.jpg"


@pytest.fixture
def endpoint(steered_studio: Studio) -> CardEndpoint:
    endpoint = CardEndpoint(steered_studio)
    endpoint.limits = Limits()  # of this test alone
    return endpoint


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faces are sharpened in one short step."""
    monkeypatch.setattr(card_endpoint, "SIDE", 64)


@pytest.fixture
def client(endpoint: CardEndpoint) -> TestClient:
    return client_of(endpoint)


def client_of(endpoint: CardEndpoint) -> TestClient:
    return TestClient(Starlette(routes=endpoint.routes()))


def face_of(studio: Studio, seed: int, key: str = START_KEY) -> dict[str, Any]:
    checkpoint = studio.open(key).checkpoint
    return json.loads(Recipe(checkpoint.name, checkpoint.revision, seed).to_json())


def picture_of(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
        assert picture.size == CARD_SIZE
        return np.asarray(picture.convert("RGB")).astype(int)


def test_a_card_shows_the_face_of_its_link(client: TestClient, steered_studio: Studio) -> None:
    answer = client.get(CARD, params={"face": json.dumps(face_of(steered_studio, 128, EMBEDDED_KEY))})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert len(answer.content) <= MAX_BYTES
    assert "max-age" in answer.headers["cache-control"]
    side = CARD_SIZE[1] - 2 * MARGIN
    shown = picture_of(answer.content)[MARGIN : MARGIN + side, MARGIN : MARGIN + side]
    model = steered_studio.open(EMBEDDED_KEY)
    faces = [
        model.draw([Recipe(model.checkpoint.name, model.checkpoint.revision, seed)]).faces[0] for seed in (127, 128)
    ]
    near = [abs(np.asarray(Image.fromarray(face).resize((side, side))).astype(int) - shown).mean() for face in faces]
    assert near[1] < 12 < near[0]  # of 255


@pytest.mark.usefixtures("_quick")
def test_trays_and_films_have_cards_with_several_faces(client: TestClient, steered_studio: Studio) -> None:
    faces = [face_of(steered_studio, seed) for seed in range(9)]
    film = {"model": faces[0]["model"], "revision": faces[0]["revision"], "faces": [{"seed": 1}, {"seed": 2}]}
    cards = [
        client.get(CARD, params={"tray": json.dumps(faces)}),
        client.get(CARD, params={"tray": json.dumps(faces[:2])}),
        client.get(CARD, params={"walk": json.dumps(film)}),
    ]
    assert [card.status_code for card in cards] == [200, 200, 200]
    assert len({card.content for card in cards}) == 3
    for card in cards:
        picture_of(card.content)


@pytest.mark.usefixtures("_quick")
def test_the_pages_own_card_stands_in_for_models_that_are_not_here(client: TestClient, steered_studio: Studio) -> None:
    own = client.get(CARD)
    elsewhere = Recipe("owner/else", "0" * 12, 4).to_json()
    assert own.status_code == 200
    assert client.get(CARD, params={"face": elsewhere}).content == own.content
    mixed = [face_of(steered_studio, 1), json.loads(elsewhere)]
    assert client.get(CARD, params={"tray": json.dumps(mixed)}).content != own.content


def test_the_model_of_a_training_job_draws_no_card(steered_studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    library, hidden = steered_studio.library, replace(steered_studio.open(START_KEY).checkpoint, name="hidden")
    monkeypatch.setattr(library, "recent", RecentlyUsed(2))
    monkeypatch.setattr(library, "permanent", {EMBEDDED_KEY: library.permanent[EMBEDDED_KEY]})
    library.recent.add("job:0123.secret@x", hidden)
    assert library.public_key_of(hidden.revision) is None
    library.recent.add("owner/model@x", hidden)
    assert library.public_key_of(hidden.revision) == "owner/model@x"


@pytest.mark.parametrize("value", ["x", "{}", "[" * 9000, '{"seed": 1}', "\x1b[31m\x00", "1" * 20_000])
def test_a_hostile_link_is_refused_in_printable_words(client: TestClient, value: str) -> None:
    answer = client.get(CARD, params={"face": value})
    assert (answer.status_code, answer.headers["content-type"][:10]) == (400, "text/plain")
    assert 10 < len(answer.text) < 400
    assert answer.text.isprintable()


def test_a_vector_of_another_length_is_refused(client: TestClient, steered_studio: Studio) -> None:
    face = face_of(steered_studio, 1) | {"vector": "AAAAAAAA"}
    assert client.get(CARD, params={"face": json.dumps(face)}).status_code == 400


def test_a_card_is_drawn_once(endpoint: CardEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(endpoint, "drawn", lambda *_: drawn.append(1) or b"card")
    client = client_of(endpoint)
    assert [client.get(CARD).content for _ in range(50)] == [b"card"] * 50
    assert len(drawn) == 1


def test_a_visitor_has_only_so_many_new_cards_drawn(steered_studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = CardEndpoint(steered_studio)
    endpoint.limits = Limits()
    endpoint.limits.new_cards = Rate(2, seconds=60)
    monkeypatch.setattr(endpoint, "drawn", lambda *_: b"card")
    client = client_of(endpoint)
    links = [{"face": json.dumps(face_of(steered_studio, seed))} for seed in range(3)]
    assert [client.get(CARD, params=link).status_code for link in links] == [200, 200, 429]
    assert client.get(CARD, params=links[0]).status_code == 200  # it is there already


@pytest.mark.usefixtures("_quick")
def test_a_card_that_would_wait_for_long_is_refused_for_now(endpoint: CardEndpoint) -> None:
    endpoint.limits.card = Turns(1, longest=0.5, seconds=1)
    client, working = client_of(endpoint), endpoint.limits.card.join("another")
    answer = client.get(CARD)
    assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (429, True)
    endpoint.limits.card.leave(working)
    assert client.get(CARD).status_code == 200


@pytest.mark.parametrize(
    ("count", "spread", "expected"),
    [(1, True, [0]), (4, False, [0, 1, 2, 3]), (9, False, [0, 1, 2, 3]), (10, True, [0, 3, 6, 9])],
)
def test_films_are_shown_from_their_first_to_their_last_face(count: int, spread: bool, expected: list[int]) -> None:
    assert places(count, spread) == expected


def test_a_card_is_small_even_for_noise_and_long_words() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (4, 512, 512, 3), np.uint8)
    for count in (1, 4):
        assert len(draw_card(noise[:count], "W" * 100 + " a", "word " * 200)) <= MAX_BYTES


def test_lines_fit_their_width() -> None:
    letters = font(32)
    lines = lines_of("Open it to change its hair, eyes and expression.", letters, 300)
    assert len(lines) > 1
    assert all(letters.getlength(line) <= 300 for line in lines)
