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

from app.errors import JobMissing
from app.faces.library import EMBEDDED_KEY, START_KEY
from app.faces.loaded_model import LoadedModel
from app.faces.studio import Studio
from app.limits import Limits, Turns
from app.server import face_turns
from app.server.face_endpoint import SHARP_SIDE, TOOLS, FaceEndpoint
from app.server.request_limits import RequestLimits
from ganime.drawing.recipe import Recipe, encoded


@dataclass
class Answer:
    """An answer taken apart: its head, and the faces as uint8 (N, side, side, 3)."""

    head: dict[str, Any]
    faces: np.ndarray


def unpacked(data: bytes) -> Answer:
    end = 4 + int.from_bytes(data[:4], "big")
    head = json.loads(data[4:end])
    with Image.open(io.BytesIO(data[end:]), formats=["JPEG"]) as picture:
        sheet = np.asarray(picture.convert("RGB"))
    side, columns = head["side"], head["columns"]
    places = [divmod(number, columns) for number in range(len(head["recipes"]))]
    tiles = [sheet[row * side : (row + 1) * side, column * side : (column + 1) * side] for row, column in places]
    assert sheet.shape[1] == columns * side
    return Answer(head, np.stack(tiles))


def client_of(studio: Studio, turns: Turns | None = None) -> TestClient:
    endpoint = FaceEndpoint(studio)
    endpoint.limits = Limits()
    endpoint.limits.draw = turns or endpoint.limits.draw
    return TestClient(Starlette(routes=endpoint.routes(), middleware=[Middleware(RequestLimits)]))


@pytest.fixture(scope="session")
def client(steered_studio: Studio) -> TestClient:
    return client_of(steered_studio)


@pytest.fixture
def revision(steered_studio: Studio) -> str:
    return steered_studio.open(START_KEY).checkpoint.revision


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
    model = steered_studio.open(EMBEDDED_KEY)
    recipes = model.recipes(16, 5)
    answer = client.post("/ganime/draw", json={"key": EMBEDDED_KEY, "recipes": [one.to_json() for one in recipes]})
    assert len(answer.content) < 120_000
    exact = model.draw(recipes).faces.astype(int)
    assert abs(unpacked(answer.content).faces - exact).mean() < 3  # of 255


def test_a_roll_keeps_what_is_locked_and_has_the_settings_of_the_face(
    client: TestClient, steered_studio: Studio
) -> None:
    model = steered_studio.open(EMBEDDED_KEY)
    face = Recipe(model.checkpoint.name, model.checkpoint.revision, 7, 0.9, clarity=0.3)
    asked = {"key": EMBEDDED_KEY, "recipe": face.to_json(), "seeds": [1, 2**32 - 1], "locks": ["hair"]}
    recipes = [
        Recipe.from_json(one) for one in unpacked(client.post("/ganime/roll", json=asked).content).head["recipes"]
    ]
    assert recipes == model.roll_beside(face, [1, 2**32 - 1], ["hair"]).recipes
    assert {(recipe.truncation, recipe.clarity) for recipe in recipes} == {(0.9, 0.3)}


def test_fresh_faces_are_the_clearest_of_every_four_seeds(client: TestClient, steered_studio: Studio) -> None:
    model = steered_studio.open(EMBEDDED_KEY)
    settings = {"key": EMBEDDED_KEY, "count": 3, "seed": 40, "truncation": 0.9}

    def drawn(clarity: float) -> list[Recipe]:
        answer = client.post("/ganime/fresh", json=settings | {"clarity": clarity})
        return [Recipe.from_json(text) for text in unpacked(answer.content).head["recipes"]]

    assert drawn(0.5) == model.recipes(3, 40, 0.9, 0.5, best_of=4)
    assert [recipe.seed for recipe in drawn(0)] == [recipe.seed for recipe in drawn(0.5)]
    assert [recipe.seed for recipe in drawn(0)] != [40, 41, 42]


def test_faces_rolled_beside_another_are_the_clearest_of_every_four_with_what_is_locked(
    client: TestClient, steered_studio: Studio
) -> None:
    model = steered_studio.open(EMBEDDED_KEY)
    face = Recipe(model.checkpoint.name, model.checkpoint.revision, 7, 0.9, clarity=0.3)
    asked = {"key": EMBEDDED_KEY, "recipe": face.to_json(), "count": 3, "seed": 2**32 - 6, "locks": ["hair", "eyes"]}
    chosen = unpacked(client.post("/ganime/beside", json=asked).content).head["recipes"]
    seeds = [(2**32 - 6 + number) % 2**32 for number in range(12)]
    every = model.roll_beside(face, seeds, ["hair", "eyes"]).recipes
    assert model.checkpoint.clarity
    predicted = model.checkpoint.clarity.predict(model.untruncated(every)).reshape(3, 4).argmax(axis=1)
    assert chosen == [every[4 * group + int(place)].to_json() for group, place in enumerate(predicted)]
    assert chosen != [recipe.to_json() for recipe in every[:3]]


def test_faces_rolled_beside_another_without_a_clarity_are_those_of_every_seed(
    client: TestClient, steered_studio: Studio
) -> None:
    face = recipe_of(steered_studio, 7)
    asked = {"key": START_KEY, "recipe": face.to_json(), "count": 3, "seed": 40, "locks": ["expression"]}
    recipes = unpacked(client.post("/ganime/beside", json=asked).content).head["recipes"]
    drawn = steered_studio.open(START_KEY).roll_beside(face, [40, 41, 42], ["expression"])
    assert recipes == [recipe.to_json() for recipe in drawn.recipes]


def test_fresh_faces_of_a_model_without_a_clarity_are_those_of_every_seed(client: TestClient) -> None:
    settings = {"key": START_KEY, "count": 3, "seed": 40, "truncation": 0.9, "clarity": 0}
    recipes = unpacked(client.post("/ganime/fresh", json=settings).content).head["recipes"]
    assert [json.loads(text)["seed"] for text in recipes] == [40, 41, 42]


def test_every_tool_draws(client: TestClient, steered_studio: Studio) -> None:
    texts = [recipe_of(steered_studio, seed).to_json() for seed in range(3)]
    asked: dict[str, tuple[int, dict[str, Any]]] = {
        "draw": (3, {"recipes": texts}),
        "fresh": (5, {"count": 5, "seed": 2**32 - 2, "truncation": 0.9, "clarity": 0.35}),
        "roll": (2, {"recipe": texts[0], "seeds": [1, 2], "locks": ["expression"]}),
        "beside": (3, {"recipe": texts[0], "count": 3, "seed": 2**32 - 2, "locks": ["expression"]}),
        "vary": (8, {"recipe": texts[0], "strength": 0.3, "seed": 1, "locks": ["expression"]}),
        "steer": (1, {"recipe": texts[0], "amounts": {"smile": 2}}),
        "breed": (8, {"recipes": texts, "mutation": 0.1, "seed": 0}),
        "mix": (1, dict(zip("abc", texts, strict=True))),
        "between": (13, {"a": texts[0], "b": texts[1], "steps": 14}),
        "sharp": (1, {"recipe": texts[0]}),
    }
    assert asked.keys() == TOOLS.keys()
    for tool, (count, fields) in asked.items():
        answer = client.post(f"/ganime/{tool}", json={"key": START_KEY, **fields})
        assert answer.status_code == 200, answer.text
        drawn = unpacked(answer.content)
        assert len(drawn.faces) == count
        assert drawn.head["side"] == (SHARP_SIDE if tool == "sharp" else 32)


FACE = '{"model":"tiny","revision":"%s","seed":7}'
OWN = encoded(np.eye(8, dtype=np.float32)[3])


@pytest.mark.parametrize(
    ("tool", "fields", "word"),
    [
        ("draw", {"recipes": ["{}"] * 65}, "64"),
        ("draw", {"recipes": []}, "no face"),
        ("draw", {"recipes": ["\x1b[31m"]}, "recipe"),
        ("draw", {"recipes": "x"}, "recipes"),
        ("draw", {"recipes": [], "own": {}}, "own"),
        ("draw", {}, "recipes"),
        ("draw", {"recipes": ["[" * 5000]}, "recipe"),
        ("draw", {"recipes": ["x" * 20_000]}, "recipes"),
        ("draw", {"recipes": [FACE.replace("7", "-1")]}, "seed"),
        ("draw", {"recipes": [FACE.replace("7", "1e400")]}, ""),
        ("draw", {"recipes": [FACE.replace("7", '1,"vector":"AAAA"')]}, "vector"),
        ("draw", {"recipes": [FACE.replace("7", '1,"truncation":1e9')]}, "truncation"),
        ("draw", {"recipes": [FACE.replace("7", '1,"clarity":"high"')]}, "clarity"),
        ("draw", {"recipes": [FACE], "\u202e\x00" * 500: 0}, ""),
        ("fresh", {"count": 65, "seed": 0, "truncation": 1, "clarity": 0}, "64"),
        ("fresh", {"count": 0, "seed": 0, "truncation": 1, "clarity": 0}, "64"),
        ("fresh", {"count": 10**400, "seed": 0, "truncation": 1, "clarity": 0}, "64"),
        ("fresh", {"count": 1, "seed": -1, "truncation": 1, "clarity": 0}, "seed"),
        ("fresh", {"count": 1, "seed": 0, "truncation": 2, "clarity": 0}, "truncation"),
        ("fresh", {"count": 1, "seed": 0, "truncation": 1, "clarity": 1}, "clarity"),
        ("fresh", {"count": 1, "seed": 0, "truncation": 1}, "clarity"),
        ("roll", {"recipe": FACE, "seeds": list(range(65)), "locks": []}, "64"),
        ("roll", {"recipe": FACE, "seeds": [], "locks": []}, "64"),
        ("roll", {"recipe": FACE, "seeds": [-1], "locks": []}, "seed"),
        ("roll", {"recipe": FACE, "seeds": [2**32], "locks": []}, "seed"),
        ("roll", {"recipe": FACE, "seeds": [10**400], "locks": []}, "seed"),
        ("roll", {"recipe": FACE, "seeds": [1], "locks": ["\x1b[31m"]}, "hair"),
        ("roll", {"recipe": FACE, "seeds": [1], "locks": ["hair"] * 17}, "locks"),
        ("roll", {"recipe": FACE, "seeds": [1], "locks": "hair"}, "locks"),
        ("roll", {"recipe": FACE, "seeds": [1]}, "locks"),
        ("beside", {"recipe": FACE, "count": 65, "seed": 0, "locks": []}, "64"),
        ("beside", {"recipe": FACE, "count": 10**400, "seed": 0, "locks": []}, "64"),
        ("beside", {"recipe": FACE, "count": 1, "seed": 2**32, "locks": []}, "seed"),
        ("beside", {"recipe": FACE, "count": 1, "seed": 0, "locks": ["nose"]}, "nose"),
        ("beside", {"recipe": FACE, "count": 1, "seed": 0}, "locks"),
        ("vary", {"recipe": FACE, "strength": 7, "seed": 0}, "trength"),
        ("vary", {"recipe": FACE, "strength": 0.3, "seed": -1}, "seed"),
        ("vary", {"recipe": FACE, "strength": 0.3, "seed": 0, "locks": ["nose"]}, "nose"),
        ("steer", {"recipe": FACE, "amounts": {"smile": 4}}, "smile"),
        ("steer", {"recipe": FACE, "amounts": {"<b>": 1}}, "smile"),
        ("steer", {"recipe": FACE, "amounts": {str(number): 1 for number in range(300)}}, "256"),
        ("steer", {"recipe": FACE, "amounts": {"mine": 1}, "own": {"mine": "AAAA"}}, ""),
        ("steer", {"recipe": FACE, "amounts": {"mine": 1}, "own": {"mine": "no base64!"}}, ""),
        ("steer", {"recipe": FACE, "amounts": {"smile": 1}, "own": {"smile": OWN}}, "smile"),
        ("steer", {"recipe": FACE, "amounts": {"mine": 1}, "own": {str(number): OWN for number in range(33)}}, "32"),
        ("breed", {"recipes": [FACE], "mutation": 0.1, "seed": 0}, "2"),
        ("breed", {"recipes": [], "mutation": 0.1, "seed": 0}, "2"),
        ("breed", {"recipes": [FACE] * 17, "mutation": 0.1, "seed": 0}, "16"),
        ("breed", {"recipes": [FACE] * 2, "mutation": 2, "seed": 0}, "utation"),
        ("mix", {"a": FACE, "b": FACE, "c": "{}"}, "recipe"),
        ("sharp", {"recipe": "{}"}, "recipe"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(
    client: TestClient, revision: str, tool: str, fields: dict[str, Any], word: str
) -> None:
    body = json.dumps({"key": START_KEY, **fields}).replace("%s", revision)
    answer = client.post(f"/ganime/{tool}", content=body, headers={"Content-Type": "application/json"})
    text = answer.json()["error"]
    assert (answer.status_code, word in text, len(text) < 300) == (400, True, True), text
    assert text.isprintable()


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"7", b"\xff", b'{"key": NaN}', b"[" * 10_000])
def test_what_is_no_request_is_refused_in_words(client: TestClient, body: bytes) -> None:
    answer = client.post("/ganime/draw", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_model_that_this_page_does_not_have_is_refused(client: TestClient, steered_studio: Studio) -> None:
    face = recipe_of(steered_studio, 1).to_json()
    for key in ("owner/private@main", "", "job:x@y", "../../etc", "x" * 201):
        answer = client.post("/ganime/draw", json={"key": key, "recipes": [face]})
        assert answer.status_code in (400, 404)


def test_every_tool_refuses_a_face_of_another_model_by_its_name(client: TestClient, steered_studio: Studio) -> None:
    mine, other = recipe_of(steered_studio, 1).to_json(), Recipe("owner/else", "0" * 12, 4).to_json()
    asked: dict[str, dict[str, Any]] = {
        "draw": {"recipes": [mine, other]},
        "roll": {"recipe": other, "seeds": [1], "locks": []},
        "beside": {"recipe": other, "count": 1, "seed": 1, "locks": []},
        "vary": {"recipe": other, "strength": 0.3, "seed": 0},
        "steer": {"recipe": other, "amounts": {"smile": 1}},
        "breed": {"recipes": [mine, other], "mutation": 0.1, "seed": 0},
        "mix": {"a": mine, "b": mine, "c": other},
        "between": {"a": mine, "b": other, "steps": 3},
        "sharp": {"recipe": other},
    }
    assert asked.keys() == TOOLS.keys() - {"fresh"}  # which takes no face
    for tool, fields in asked.items():
        answer = client.post(f"/ganime/{tool}", json={"key": START_KEY, **fields})
        text = answer.json()["error"]
        assert (answer.status_code, "owner/else" in text, "Load its model first" in text) == (400, True, True), tool


def test_only_json_of_bounded_size_and_known_tools_are_accepted(client: TestClient, steered_studio: Studio) -> None:
    asked = {"key": START_KEY, "recipes": [recipe_of(steered_studio, 1).to_json()]}
    plain = client.post("/ganime/draw", content=json.dumps(asked), headers={"Content-Type": "text/plain"})
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
def test_pages_of_other_sites_cannot_draw_here(
    client: TestClient, steered_studio: Studio, headers: dict[str, str], status: int
) -> None:
    asked = {"key": START_KEY, "recipes": [recipe_of(steered_studio, 1).to_json()]}
    answer = client.post("/ganime/draw", json=asked, headers=headers)
    assert answer.status_code == status


def test_a_request_that_would_wait_for_long_is_told_when_to_try_again(steered_studio: Studio) -> None:
    turns = Turns(1, longest=0.5, seconds=1)
    client, working = client_of(steered_studio, turns), turns.join("another")
    asked = {"key": START_KEY, "recipes": [recipe_of(steered_studio, 1).to_json()]}
    answer = client.post("/ganime/draw", json=asked)
    assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (503, True)
    turns.leave(working)
    assert client.post("/ganime/draw", json=asked).status_code == 200


def test_faces_are_drawn_while_a_search_computes(steered_studio: Studio) -> None:
    asked = {"key": START_KEY, "recipes": [recipe_of(steered_studio, 1).to_json()]}
    with steered_studio.device.lock:
        assert client_of(steered_studio).post("/ganime/draw", json=asked).status_code == 200


def places_before(data: bytes) -> tuple[list[dict[str, float]], bytes]:
    """The places in an answer, and what comes after them."""
    places = []
    while True:
        end = 4 + int.from_bytes(data[:4], "big")
        head = json.loads(data[4:end])
        if "ahead" not in head:
            return places, data
        places.append(head)
        data = data[end:]


def test_who_waits_is_told_the_place_and_then_gets_the_faces(
    steered_studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(face_turns, "PATIENCE", 0.02)
    monkeypatch.setattr(face_turns, "NOTICE_SECONDS", 0.02)
    turns = Turns(1, longest=60)
    client, working = client_of(steered_studio, turns), turns.join("another")
    threading.Timer(0.2, turns.leave, [working]).start()
    asked = {"key": START_KEY, "recipes": [recipe_of(steered_studio, 1).to_json()]}
    places, rest = places_before(client.post("/ganime/draw", json=asked).content)
    assert places[0] == {"ahead": 0, "seconds": 0.1}
    assert len(unpacked(rest).faces) == 1


def test_a_refusal_after_a_wait_has_its_status_in_its_head(
    steered_studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(face_turns, "PATIENCE", 0.02)
    turns = Turns(1, longest=60)
    client, working = client_of(steered_studio, turns), turns.join("another")
    threading.Timer(0.2, turns.leave, [working]).start()
    answer = client.post("/ganime/draw", json={"key": START_KEY, "recipes": ["{}"]})
    _, rest = places_before(answer.content)
    head = json.loads(rest[4:])
    assert (answer.status_code, head["status"], "recipe" in head["error"]) == (200, 400, True)


def test_identical_requests_are_drawn_once_and_others_are_not(
    steered_studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, drawn = Turns(2, longest=60), []
    vary = LoadedModel.vary
    monkeypatch.setattr(LoadedModel, "vary", lambda *given, **named: drawn.append(1) or vary(*given, **named))
    client, answers = client_of(steered_studio, turns), []
    asked = {"key": START_KEY, "recipe": recipe_of(steered_studio, 1).to_json(), "strength": 0.3, "seed": 1}
    working = [turns.join("another") for _ in range(2)]
    crowd = [
        threading.Thread(target=lambda: answers.append(client.post("/ganime/vary", json=asked))) for _ in range(12)
    ]
    for thread in crowd:
        thread.start()
    for turn in working:
        turns.leave(turn)
    for thread in crowd:
        thread.join()
    assert {places_before(answer.content)[1] for answer in answers} == {answers[0].content}
    assert client.post("/ganime/vary", json=asked).content == answers[0].content
    assert len(drawn) == 1
    monkeypatch.setattr(face_turns, "MAX_KEPT", 10)
    for _ in range(2):  # a large one is drawn again
        client.post("/ganime/vary", json=asked | {"seed": 2})
    assert len(drawn) == 3
    assert (turns.serving, turns.waiting) == (0, {})


def test_what_a_private_model_drew_is_not_kept_for_others(
    steered_studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = steered_studio.open(START_KEY)
    monkeypatch.setattr(steered_studio, "open", lambda key: model)
    client = client_of(steered_studio)
    asked = {"key": "job:0123.secret@0123", "recipes": [recipe_of(steered_studio, 1).to_json()]}
    assert client.post("/ganime/draw", json=asked).status_code == 200

    def gone(key: str) -> LoadedModel:
        raise JobMissing("There is no such job.")

    monkeypatch.setattr(steered_studio, "open", gone)
    assert client.post("/ganime/draw", json=asked).status_code == 404
