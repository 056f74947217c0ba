"""Hostile requests to everything that the running page says it has: no server error, no traceback, no long wait."""

from __future__ import annotations

import contextlib
import json
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.faces.model_files import UNREADABLE, ModelFiles, is_own_zip
from app.server.face_endpoint import TOOLS
from app.server.links import KINDS, read_link
from ganime.drawing.recipe import Recipe
from ganime.errors import GanimeError
from ganime.models.checkpoint import load_checkpoint, model_files
from tests.fuzzing import NO_INTEGERS, TEXT, damaged, examples, names, values

pytestmark = pytest.mark.slow  # starting the page takes seconds
SECONDS = 30.0  # that an answer may take


@dataclass
class Target:
    """The running page, as it describes itself.

    functions: (component, name) of its server functions. events: (number, inputs) of its handlers.
    """

    client: httpx.Client
    log: Path
    functions: list[tuple[int, str]]
    events: list[tuple[int, int]]
    recipe: str

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """Send a request, and check what every answer has in common."""
        return self.send("POST", path, content=json.dumps(body), headers={"Content-Type": "application/json"})

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request of any kind, and check the same."""
        before, begun = self.log.stat().st_size, time.monotonic()
        answer = self.client.request(method, path, **options)
        assert answer.status_code < 500 or answer.status_code == 503, (path, options, answer.text)
        assert time.monotonic() - begun < SECONDS, (path, options)
        assert "Traceback" not in answer.text
        assert "Traceback" not in self.log.read_text()[before:], (path, options)
        return answer


@pytest.fixture(scope="module")
def target(running: str, running_home: Path, steered_folder: Path) -> Iterator[Target]:
    with httpx.Client(base_url=running, timeout=60) as client:
        config = client.get("/config").json()
        components = config["components"]
        functions = [(each["id"], name) for each in components for name in each["props"].get("server_fns", [])]
        events = [(each["id"], len(each["inputs"])) for each in config["dependencies"]]
        recipe = Recipe("tiny", load_checkpoint(steered_folder).revision, 7).to_json()
        assert len(functions) > 30
        assert len(events) > 20
        yield Target(client, running_home / "app.log", functions, events, recipe)
        assert client.get("/").status_code == 200


def hostile_fields(tool: str, recipe: str) -> st.SearchStrategy[dict[str, Any]]:
    """The fields of a tool, some of which are as they should be."""
    usual = {
        "key": st.just("start"),
        "recipe": st.just(recipe),
        "recipes": st.just([recipe, recipe]),
        **dict.fromkeys("abc", st.just(recipe)),
        "seeds": st.lists(st.integers(0, 2**32), max_size=3),
        "seed": st.integers(0, 9),
        "count": st.integers(1, 4),
        "truncation": st.floats(0, 1.5),
        "clarity": st.floats(0, 0.95),
        "locks": st.just(["hair"]),
        "amounts": st.just({"smile": 1.0}),
        "own": st.none(),
        "strength": st.floats(0, 1),
        "mutation": st.floats(0, 1),
        "steps": st.integers(2, 9),
    }
    fields = TOOLS[tool].model_json_schema()["properties"]
    assert fields.keys() <= usual.keys()
    wanted = {name: usual[name] | usual[name] | values() for name in fields}
    return st.fixed_dictionaries(wanted)


@pytest.mark.parametrize("tool", sorted(TOOLS))
def test_what_draws_answers_with_faces_or_in_words(target: Target, tool: str) -> None:
    @examples(8)
    @given(hostile_fields(tool, target.recipe))
    def ask(fields: dict[str, Any]) -> None:
        answer = target.post(f"/ganime/{tool}", fields)
        if answer.status_code != 200:
            assert answer.json()["error"].isprintable()

    ask()


def test_server_functions_answer_in_words(target: Target) -> None:
    usual = st.sampled_from(["start", target.recipe, 0, 1.0, True, ".gif", [target.recipe] * 2, "smile", {"smile": 1}])
    arguments = st.lists(usual | usual | values(), max_size=9)

    @examples(120)
    @given(st.sampled_from(target.functions), arguments | values())
    def ask(function: tuple[int, str], data: object) -> None:
        component, name = function
        body = {"component_id": component, "fn_name": name, "session_hash": "fuzz", "data": data}
        answer = target.post("/gradio_api/component_server", body)
        if answer.status_code == 200:
            assert isinstance(answer.json(), dict)

    ask()


def test_events_end_with_a_result_or_in_words(target: Target) -> None:
    @examples(40)
    @given(st.sampled_from(target.events), st.data())
    def ask(event: tuple[int, int], data: st.DataObject) -> None:
        number, inputs = event
        sent = data.draw(st.lists(values(), min_size=inputs, max_size=inputs))
        odd = data.draw(st.sampled_from(["session", "number", *["nothing"] * 4]))
        session = data.draw(names()) if odd == "session" else f"fuzz{number}"
        numbered = data.draw(st.sampled_from(NO_INTEGERS) | values()) if odd == "number" else number
        body = {"fn_index": numbered, "session_hash": session, "data": sent, "event_data": data.draw(values())}
        before = target.log.stat().st_size
        joined = target.post("/gradio_api/queue/join", body)
        if joined.status_code != 200:
            return
        with target.client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
            assert stream.status_code == 200
            for line in stream.iter_lines():
                if "process_completed" in line or "close_stream" in line:
                    break
        written = target.log.read_text()[before:]
        assert "Traceback" not in written, (body, written[-1500:])

    ask()


def test_addresses_answer_in_words(target: Target) -> None:
    paths = st.sampled_from(["/", "/config", "/gradio_api/info", "/gradio_api/queue/data", "/gradio_api/x/{}"])
    names_of_calls = st.sampled_from(["/gradio_api/{}", "/gradio_api/run/{}", "/gradio_api/call/{}", "/{}"])

    @examples(40)
    @given(paths | names_of_calls, TEXT, st.sampled_from(["page", "session_hash", "all_endpoints"]), TEXT)
    def ask(path: str, name: str, field: str, value: str) -> None:
        address = path.format(quote(name, safe="", errors="surrogatepass"))
        unknown = f"{value}~" if value else ""  # a session that there is would be listened to for ever
        query = f"{field}={quote(unknown, safe='', errors='surrogatepass')}"
        answer = target.send("GET", f"{address}?{query}")
        assert answer.status_code == 200 or answer.text.isprintable()
        target.send("POST", address, json={"fn_index": target.events[0][0], "session_hash": "fuzz", "data": [name]})

    ask()


@examples(150)
@given(kind=st.sampled_from(KINDS), value=values(), recipe=st.booleans())
def test_a_link_is_read_or_refused(kind: str, value: object, recipe: bool) -> None:
    face = {"model": "a/b", "revision": "0" * 12, "seed": 1} if recipe else {}
    for each in (value, [value, face], {"faces": [face, value]}, {**face, "vector": value}, {**face, "seed": value}):
        with contextlib.suppress(GanimeError):
            read_link({kind: json.dumps(each)})


@pytest.fixture(scope="module")
def model_zip(steered_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("zip") / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in model_files(steered_folder):
            archive.write(file, f"ganime-model/{file.name}")
    return path.read_bytes()


def test_a_damaged_model_file_is_read_or_refused(model_zip: bytes, tmp_path: Path) -> None:
    files, path = ModelFiles(tmp_path / "brought", 1), tmp_path / "model.zip"

    @examples(40)
    @given(damaged(model_zip))
    def add(data: bytes) -> None:
        path.write_bytes(data)
        own = False
        with contextlib.suppress(UNREADABLE):
            own = is_own_zip(path)
        if own:  # others are imported in a process of their own
            with contextlib.suppress(GanimeError):
                files.add(path)

    add()
