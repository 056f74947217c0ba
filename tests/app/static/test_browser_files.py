"""What the page's server gives to browsers that draw: which files, with which headers, and when there are none."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from app import static
from app.faces.library import START_KEY
from app.faces.studio import Studio
from app.server.compression import Compression
from app.server.request_limits import RequestLimits
from app.settings import Settings
from app.static import edition
from app.static.browser_files import PIECE, BrowserFiles
from app.static.runtime import PROGRAM, SCRIPT
from ganime.drawing.recipe import Recipe

BROWSER = "/ganime/browser"
PROGRAM_BYTES = np.random.default_rng(0).bytes(2 * PIECE)  # which gzip does not make smaller


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runtime")
    (folder / SCRIPT).write_bytes(b"export default 0;" * 100)
    (folder / PROGRAM).write_bytes(PROGRAM_BYTES)
    return folder


def studio_of(model: Path, home: Path, share_model: bool) -> Studio:
    return Studio(Settings(model=str(model), home=home, training="off", share_model=share_model))


def client_of(studio: Studio, runtime: Path) -> TestClient:
    middleware = [Middleware(RequestLimits), Middleware(Compression)]
    return TestClient(Starlette(routes=BrowserFiles(studio, runtime).routes(), middleware=middleware))


@pytest.fixture(scope="module")
def studio(steered_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """A studio with the tiny model, whose owner shares it."""
    return studio_of(steered_folder, tmp_path_factory.mktemp("home"), share_model=True)


@pytest.fixture(scope="module")
def client(studio: Studio, runtime: Path) -> TestClient:
    return client_of(studio, runtime)


def about(client: TestClient) -> dict[str, Any]:
    answer = client.get(f"{BROWSER}/model.json")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
    return answer.json()


def test_the_files_are_those_of_the_static_edition_and_a_trial(client: TestClient, studio: Studio) -> None:
    told, model = about(client), studio.open(START_KEY)
    assert told["files"].keys() == {"generator", "numbers", "worker", "runtime", "wasm", "trial"}
    assert told["model"] == {"model": model.checkpoint.name, "revision": model.checkpoint.revision, "most": 64}
    trial = [Recipe.from_json(text) for text in told["trial"]]
    pixels = client.get(f"{BROWSER}/{told['files']['trial']['path']}").content
    assert pixels == model.draw(trial).faces.tobytes()
    for name, asset in told["files"].items():
        assert len(client.get(f"{BROWSER}/{asset['path']}").content) == asset["bytes"], name


def test_files_may_be_kept_for_ever_and_large_ones_arrive_whole(client: TestClient) -> None:
    files = about(client)["files"]
    for asset in files.values():
        answer = client.get(f"{BROWSER}/{asset['path']}", headers={"Accept-Encoding": "gzip"})
        assert "immutable" in answer.headers["cache-control"]
    head = client.head(f"{BROWSER}/{files['wasm']['path']}", headers={"Accept-Encoding": "identity"})
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == files["wasm"]["bytes"] > PIECE
    script = client.get(f"{BROWSER}/{files['runtime']['path']}", headers={"Accept-Encoding": "gzip"})
    assert script.headers["content-encoding"] == "gzip"


def test_the_worker_may_compile_webassembly_and_do_nothing_else_than_the_page(client: TestClient) -> None:
    answer = client.get(f"{BROWSER}/{about(client)['files']['worker']['path']}")
    assert answer.headers["content-type"].startswith("text/javascript")
    policy = dict(rule.split(maxsplit=1) for rule in answer.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self' 'wasm-unsafe-eval'",
        "connect-src": "'self'",
    }


@pytest.mark.parametrize(
    "path",
    [
        "",
        "assets/",
        "assets/generator.onnx",
        "../draw",
        "..%2f..%2fmodel.json",
        "%2e%2e/%2e%2e/etc/passwd",
        "/etc/passwd",
        "%00",
        "model.json/",
        "x" * 1900,
    ],
)
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    answer = client.get(f"{BROWSER}/{path}")
    assert answer.status_code == (400 if path == "%00" else 404)
    assert client.post(f"{BROWSER}/model.json").status_code == 405


def given(studio: Studio, runtime: Path) -> tuple[int, int]:
    """The status of model.json, and that of a file that another page names."""
    client = client_of(studio, runtime)
    model = client.get(f"{BROWSER}/model.json")
    assert model.content == b"" or json.loads(model.content)
    return model.status_code, client.get(f"{BROWSER}/assets/generator-0123456789ab.onnx").status_code


def test_weights_of_a_private_start_model_are_not_given_away(
    steered_folder: Path, runtime: Path, tmp_path: Path
) -> None:
    studio = studio_of(steered_folder, tmp_path, share_model=False)
    assert studio.library.start_is_private
    assert given(studio, runtime) == (204, 404)


def test_a_server_that_lacks_what_browsers_need_gives_nothing(
    studio: Studio, runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert given(studio, tmp_path) == (204, 404)  # no ONNX Runtime
    with monkeypatch.context() as patch:
        patch.setattr(edition, "MOST_BYTES", 1000)
        assert given(studio, runtime) == (204, 404)  # a model that is too large
    monkeypatch.delattr(static, "edition")
    needing = ("app.static.edition", "app.faces.exported", "ganime.drawing.onnx_files")
    for name in (*needing, *(name for name in sys.modules if name.startswith("ganime.models.onnx_"))):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert given(studio, runtime) == (204, 404)  # without the extra `onnx`
