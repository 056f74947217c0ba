"""The JavaScript modules: what is served, under which address, and that nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from app.components.bridge import component, page_call
from app.components.modules import COMPONENTS, FIRST, MODULES, VERSION, module_url, page_head, routes, with_imports
from app.server.request_limits import RequestLimits

NAMES = ("explore", "gallery", "walk", "job", "faces", "models")


@pytest.fixture
def client() -> TestClient:
    """The route behind the page's limits on requests."""
    return TestClient(Starlette(routes=routes(), middleware=[Middleware(RequestLimits)]))


def test_modules_are_served_as_javascript_and_may_be_kept_for_ever(client: TestClient) -> None:
    for name, source in MODULES.items():
        answer = client.get(f"/{module_url(name)}")
        assert (answer.status_code, answer.content) == (200, source)
        assert answer.headers["content-type"].startswith("text/javascript")
        assert "immutable" in answer.headers["cache-control"]
    assert client.head(f"/{module_url('page.js')}").status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "",
        "none.js",
        "bridge.py",
        "explore/explore.html",
        "../page.py",
        "..%2f..%2fpage.py",
        "/etc/passwd",
        "%00",
        "explore",
    ],
)
def test_nothing_else_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/modules/{VERSION}/{name}").status_code == 404


def test_another_version_is_unknown_and_that_is_not_cached(client: TestClient) -> None:
    answer = client.get("/modules/0123456789ab/page.js")
    assert answer.status_code == 404
    assert answer.headers["cache-control"] == "no-store"


def test_address_is_relative_so_that_the_page_may_lie_below_a_path() -> None:
    assert not module_url("page.js").startswith(("/", "http"))


@pytest.mark.parametrize("name", NAMES)
def test_component_loads_a_module_that_can_be_mounted(name: str) -> None:
    made = component(name, [], name, ("send",))
    assert module_url(f"{name}/{name}.js") in made.js_on_load
    assert b"export function mount(" in MODULES[f"{name}/{name}.js"]
    assert callable(made.send)  # Gradio looks for the names of events in the text
    assert {path.suffix for path in (COMPONENTS / name).iterdir()} == {".html", ".css", ".js"}


def test_functions_of_the_page_that_events_call_exist() -> None:
    source = MODULES["page.js"].decode()
    calls = {
        call
        for path in Path(COMPONENTS.parent).rglob("*.py")
        for call in path.read_text(encoding="utf-8").split('page_call("')[1:]
    }
    names = {call.partition('"')[0] for call in calls}
    assert names
    for name in names:
        assert name in page_call(name)
        assert f"function {name}(" in source or f"const {name} =" in source or f"export {{ {name} }}" in source


def test_head_preloads_what_the_first_tab_imports() -> None:
    head = page_head()
    assert set(FIRST) <= set(with_imports(FIRST))
    assert "shared/live.js" in with_imports(FIRST)
    assert "explore/explore.js" not in with_imports(FIRST)
    assert all(f'"{module_url(name)}"' in head for name in with_imports(FIRST))
    assert "http" not in head
