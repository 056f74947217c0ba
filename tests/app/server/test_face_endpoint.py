"""The face endpoint: what each tool draws, how small it is, and what is refused in words."""

from __future__ import annotations

import io
import json
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from app.faces.library import EMBEDDED_KEY, START_KEY
from app.faces.studio import Studio
from app.server.face_endpoint import SHARP_SIDE, TOOLS, FaceEndpoint
from app.server.request_limits import RequestLimits
from app.slots import Slots
from ganime.drawing.recipe import Recipe


@dataclass
class Answer:
    """An answer taken apart: its head, and the faces as uint8 (N, side, side, 3)."""

    head: dict[str, Any]
    faces: np.ndarray


def unpacked(data: bytes) -> Answer:
    end = 4 + int.from_bytes(data[:4], "big")
    head = json.loads(data[4:end])
    with Image.open(io.BytesIO(data[end:]), formats=["WEBP"]) as picture:
        sheet = np.asarray(picture.convert("RGB"))
    side, columns = head["side"], head["columns"]
    places = [divmod(number, columns) for number in range(len(head["recipes"]))]
    tiles = [sheet[row * side : (row + 1) * side, column * side : (column + 1) * side] for row, column in places]
    assert sheet.shape[1] == columns * side
    return Answer(head, np.stack(tiles))


def client_of(studio: Studio, drawing: Slots | None = None) -> TestClient:
    endpoint = FaceEndpoint(studio, drawing or Slots(4), Slots(1, waiting=0))
    return TestClient(Starlette(routes=endpoint.routes(), middleware=[Middleware(RequestLimits)]))


@pytest.fixture(scope="session")
def client(steered_studio: Studio) -> TestClient:
    return client_of(steered_studio)


def recipe_of(studio: Studio, seed: int) -> Recipe:
    return Recipe("tiny", studio.open(START_KEY).checkpoint.revision, seed)


def test_faces_come_in_the_order_of_their_recipes(client: TestClient, steered_studio: Studio) -> None:
    model = steered_studio.open(EMBEDDED_KEY)
    recipes = [recipe for seed in (3, 14, 15, 9, 2, 6, 5, 35, 8) for recipe in model.recipes(1, seed)]
    asked = {"key": EMBEDDED_KEY, "recipes": [recipe.to_json() for recipe in recipes]}
    answer = client.post("/ganime/draw", json=asked)
    drawn = unpacked(answer.content)
    assert [Recipe.from_json(text) for text in drawn.head["recipes"]] == recipes
    assert drawn.head["key"] == EMBEDDED_KEY
    assert (drawn.head["model"], drawn.head["revision"]) == (recipes[0].model, recipes[0].revision)
    exact = model.draw(recipes).faces.astype(int)
    nearest = [int(np.argmin([abs(face - other).mean() for other in exact])) for face in drawn.faces]
    assert nearest == list(range(9))
    assert "no-store" in answer.headers["cache-control"]


def test_one_face_is_a_picture_of_its_own_size(client: TestClient, steered_studio: Studio) -> None:
    asked = {"key": START_KEY, "recipes": [recipe_of(steered_studio, 7).to_json()]}
    head = unpacked(client.post("/ganime/draw", json=asked).content).head
    assert (head["columns"], head["side"]) == (1, 32)


def test_a_roll_of_16_faces_of_the_embedded_model_is_small_and_true(client: TestClient, steered_studio: Studio) -> None:
    answer = client.post("/ganime/roll", json={"key": EMBEDDED_KEY, "count": 16, "seed": 5})
    assert len(answer.content) < 120_000
    drawn, model = unpacked(answer.content), steered_studio.open(EMBEDDED_KEY)
    recipes = [Recipe.from_json(text) for text in drawn.head["recipes"]]
    assert [recipe.seed for recipe in recipes] == list(range(5, 21))
    assert recipes[0].clarity == model.default_clarity > 0
    exact = model.draw(recipes).faces.astype(int)
    assert abs(drawn.faces - exact).mean() < 3  # of 255


def test_every_tool_draws(client: TestClient, steered_studio: Studio) -> None:
    texts = [recipe_of(steered_studio, seed).to_json() for seed in range(3)]
    asked: dict[str, tuple[int, dict[str, Any]]] = {
        "draw": (3, {"recipes": texts}),
        "roll": (2, {"count": 2, "seed": 0, "truncation": 0.9, "clarity": None}),
        "vary": (8, {"recipe": texts[0], "strength": 0.3, "seed": 1}),
        "steer": (1, {"recipe": texts[0], "amounts": {"smile": 2}}),
        "breed": (8, {"recipes": texts, "mutation": 0.1, "seed": 0}),
        "mix": (1, dict(zip("abc", texts, strict=True))),
        "sharp": (1, {"recipe": texts[0]}),
    }
    assert asked.keys() == TOOLS.keys()
    for tool, (count, fields) in asked.items():
        answer = client.post(f"/ganime/{tool}", json={"key": START_KEY, **fields})
        assert answer.status_code == 200, answer.text
        drawn = unpacked(answer.content)
        assert len(drawn.faces) == count
        assert drawn.head["side"] == (SHARP_SIDE if tool == "sharp" else 32)


@pytest.mark.parametrize(
    ("tool", "fields", "word"),
    [
        ("draw", {"recipes": ["{}"] * 65}, "64"),
        ("draw", {"recipes": []}, "no face"),
        ("draw", {"recipes": ["\x1b[31m"]}, "recipe"),
        ("draw", {"recipes": "x"}, "recipes"),
        ("draw", {"recipes": [], "own": {}}, "own"),
        ("draw", {}, "recipes"),
        ("roll", {"count": 1000, "seed": 0}, "64"),
        ("roll", {"count": 1, "seed": -1}, "seed"),
        ("roll", {"count": 1, "seed": 2**32}, "seed"),
        ("roll", {"count": 1, "seed": 10**400}, "seed"),
        ("roll", {"count": 1, "seed": 0, "truncation": 1e9}, "truncation"),
        ("roll", {"count": 1, "seed": 0, "clarity": "high"}, "clarity"),
        ("roll", {"count": 1, "seed": 0, "\u202e\x00" * 500: 0}, ""),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(
    client: TestClient, tool: str, fields: dict[str, Any], word: str
) -> None:
    answer = client.post(f"/ganime/{tool}", json={"key": START_KEY, **fields})
    text = answer.json()["error"]
    assert (answer.status_code, word in text, len(text) < 300) == (400, True, True), text
    assert text.isprintable()


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"7", b"\xff", b'{"key": NaN}', b"[" * 10_000])
def test_what_is_no_request_is_refused_in_words(client: TestClient, body: bytes) -> None:
    answer = client.post("/ganime/draw", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_model_that_this_page_does_not_have_is_refused(client: TestClient, steered_studio: Studio) -> None:
    for key in ("owner/private@main", "", "job:x@y", "x" * 201):
        answer = client.post("/ganime/roll", json={"key": key, "count": 1, "seed": 0})
        assert answer.status_code in (400, 404)
    other = Recipe("owner/else", "0" * 12, 4).to_json()
    answer = client.post("/ganime/draw", json={"key": START_KEY, "recipes": [other]})
    assert (answer.status_code, "owner/else" in answer.json()["error"]) == (400, True)


def test_only_json_of_bounded_size_and_known_tools_are_accepted(client: TestClient) -> None:
    asked = {"key": START_KEY, "count": 1, "seed": 0}
    plain = client.post("/ganime/roll", content=json.dumps(asked), headers={"Content-Type": "text/plain"})
    assert plain.status_code == 415
    large = client.post("/ganime/draw", json={"key": START_KEY, "recipes": ["x" * 2**20]})
    assert large.status_code == 413
    assert client.post("/ganime/nothing", json=asked).status_code == 404
    assert client.get("/ganime/draw").status_code == 405


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://testserver"}, 200),
        ({"Origin": "https://faces.example", "X-Forwarded-Host": "faces.example"}, 200),
        ({"Origin": "https://faces.example", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://testserver", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_pages_of_other_sites_cannot_draw_here(client: TestClient, headers: dict[str, str], status: int) -> None:
    answer = client.post("/ganime/roll", json={"key": START_KEY, "count": 1, "seed": 0}, headers=headers)
    assert answer.status_code == status


def test_a_busy_server_says_when_to_try_again(steered_studio: Studio) -> None:
    slots = Slots(1, waiting=0)
    client = client_of(steered_studio, slots)
    asked = {"key": START_KEY, "count": 1, "seed": 0}
    with slots:
        answer = client.post("/ganime/roll", json=asked)
    assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (503, True)
    assert client.post("/ganime/roll", json=asked).status_code == 200


def test_requests_wait_their_turn_at_the_device(steered_studio: Studio) -> None:
    client, answers = client_of(steered_studio), []
    asked = {"key": START_KEY, "count": 1, "seed": 0}
    thread = threading.Thread(target=lambda: answers.append(client.post("/ganime/roll", json=asked).status_code))
    with steered_studio.device.lock:
        thread.start()
        thread.join(0.3)
        assert answers == []
    thread.join(20)
    assert answers == [200]
