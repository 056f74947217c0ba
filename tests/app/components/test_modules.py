"""The JavaScript modules: what is served, under which address, and that nothing else is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from app.components.bridge import component, page_call
from app.components.modules import (
    BUNDLE,
    COMPONENTS,
    MODULES,
    URL,
    imports_of,
    in_order,
    loaded,
    page_head,
    routes,
)
from app.server.request_limits import RequestLimits

# Compares the exports of each module in the joined file with those of the module itself.
EXPORTS = """
globalThis.matchMedia = () => ({ matches: false });
const [joined, folder] = process.argv.slice(1);
const { default: modules } = await import(joined);
for (const [name, exported] of Object.entries(modules)) {
  const names = Object.keys(await import(`${folder}/${name}`)).sort().join();
  if (Object.keys(exported).sort().join() !== names) throw new Error(name);
}
console.log(Object.keys(modules).length, "same");
"""
SERVED = [name for name in MODULES if not name.startswith("static/")]  # those of the page that a server draws for
NAMES = sorted(path.stem for path in COMPONENTS.glob("*/*.html") if path.stem == path.parent.name)


@pytest.fixture
def client() -> TestClient:
    """The route behind the page's limits on requests."""
    return TestClient(Starlette(routes=routes(), middleware=[Middleware(RequestLimits)]))


@pytest.mark.parametrize("accepted", ["gzip, br", "identity"])
def test_modules_are_served_as_javascript_and_may_be_kept_for_ever(client: TestClient, accepted: str) -> None:
    answer = client.get(f"/{URL}", headers={"Accept-Encoding": accepted})
    assert (answer.status_code, answer.content) == (200, BUNDLE)
    assert ("content-encoding" in answer.headers) == ("gzip" in accepted)
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    assert client.head(f"/{URL}").status_code == 200


@pytest.mark.parametrize("name", ["", "none.js", "page.js", "../page.py", "..%2f..%2fpage.py", "/etc/passwd", "%00"])
def test_nothing_else_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/modules/{name}").status_code == (400 if name == "%00" else 404)


def test_another_version_is_unknown_and_that_is_not_cached(client: TestClient) -> None:
    answer = client.get("/modules/0123456789ab.js")
    assert answer.status_code == 404
    assert answer.headers["cache-control"] == "no-store"


def test_each_module_comes_after_those_that_it_imports() -> None:
    order = in_order(MODULES)
    assert sorted(order) == sorted(MODULES)
    for place, name in enumerate(order):
        assert set(imports_of(name)) <= set(order[:place])


def test_joined_modules_have_no_import_and_no_export_of_their_own() -> None:
    statements = re.findall(r"^(?:import|export)\b.*", BUNDLE.decode(), re.MULTILINE)
    assert statements == ["export default $modules;"]
    imports = sum(len(imports_of(name)) for name in MODULES)
    assert imports == sum(source.count('} from "') for source in MODULES.values())


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")
def test_joined_modules_export_what_the_modules_export(tmp_path: Path) -> None:
    (tmp_path / "joined.mjs").write_bytes(BUNDLE)
    answer = subprocess.run(
        ["node", "--input-type=module", "-e", EXPORTS, str(tmp_path / "joined.mjs"), str(COMPONENTS)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (answer.returncode, answer.stdout.split()) == (0, [str(len(SERVED)), "same"]), answer.stderr


@pytest.mark.parametrize("name", NAMES)
def test_component_loads_a_module_that_can_be_mounted(name: str) -> None:
    made = component(name, [], name, ("send",))
    assert loaded(f"{name}/{name}.js") in made.js_on_load
    assert re.search(r"^export (async )?function mount\(", MODULES[f"{name}/{name}.js"], re.MULTILINE)
    assert callable(made.send)  # Gradio looks for the names of events in the text
    assert {path.suffix for path in (COMPONENTS / name).iterdir()} == {".html", ".css", ".js"}


def test_functions_of_the_page_that_events_call_exist() -> None:
    source = MODULES["page.js"]
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


def test_head_loads_the_modules_from_an_address_relative_to_the_page() -> None:
    head = page_head()
    assert f'<link rel="modulepreload" href="{URL}">' in head
    assert loaded("page.js") in head
    assert "http" not in head
    assert not URL.startswith("/")
