"""The folder of the static edition: what is in it, what it says of the model, and what cannot be made into one."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest

from app.components.theme import THEME
from app.faces.studio import Studio
from app.settings import Settings
from app.static import edition
from app.static.edition import build, write_edition
from app.static.runtime import PACKAGE, PROGRAM, SCRIPT, VERSION, Runtime, find_runtime
from app.static.styles import style_sheet
from ganime.errors import CheckpointError, ConfigError
from ganime.models.onnx_graph import computed

ROOT = Path(__file__).resolve().parents[3]
RUNTIME = Runtime(b"export default 0;", b"\0asm" * 1000)


@pytest.fixture(scope="module")
def studio(steered_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """A studio with a tiny model that has directions and no clarity."""
    return Studio(Settings(model=str(steered_folder), training="off", home=tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def folder(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("static") / "site"
    write_edition(studio, out, RUNTIME, "https://example.org/faces")
    return out


def about(folder: Path) -> dict:
    return json.loads((folder / "model.json").read_text())


def test_every_file_that_the_page_names_is_there_and_nothing_is_elsewhere(folder: Path) -> None:
    for name, asset in about(folder)["files"].items():
        assert (folder / asset["path"]).stat().st_size == asset["bytes"], name
    html = (folder / "index.html").read_text()
    for path in re.findall(r'(?:href|src)="([^"#:]+)"', html):
        assert (folder / path).is_file(), path
    assert not [url for url in re.findall(r'(?:href|src)="(\w+:[^"]*)"', html) if not url.startswith("data:")]
    [kept] = re.findall(r"^const FILES = (.*);$", (folder / "service-worker.js").read_text(), re.MULTILINE)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    not_kept = {name for name in files if name.startswith("licences/")} | {"service-worker.js"}
    assert set(json.loads(kept)) == (files - not_kept) | {"./"}


def test_the_policy_of_the_page_allows_no_other_host_and_no_text_as_program(folder: Path) -> None:
    html = (folder / "index.html").read_text()
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.replace("&#x27;", "'").split("; ")}
    assert rules["default-src"] == ["'none'"]
    assert rules["script-src"] == ["'self'", "'wasm-unsafe-eval'"]
    sources = {source for values in rules.values() for source in values}
    assert sources <= {"'self'", "'none'", "'wasm-unsafe-eval'", "data:", "blob:"}
    assert not re.findall(r"<script(?! src)|<style| style=| on\w+=", html)


def test_links_have_a_preview_where_the_address_is_known(folder: Path, studio: Studio, tmp_path: Path) -> None:
    assert 'og:image" content="https://example.org/faces/ganime/card.jpg"' in (folder / "index.html").read_text()
    assert (folder / "ganime" / "card.jpg").read_bytes()[:3] == b"\xff\xd8\xff"
    write_edition(studio, tmp_path / "site", RUNTIME)
    assert "og:image" not in (tmp_path / "site" / "index.html").read_text()
    assert not (tmp_path / "site" / "ganime" / "card.jpg").exists()


def test_the_model_is_the_one_that_was_named_with_its_numbers(folder: Path, studio: Studio) -> None:
    model, told = studio.open(studio.library.start.key), about(folder)
    assert (told["model"]["model"], told["model"]["revision"]) == (model.checkpoint.name, model.checkpoint.revision)
    assert {"models", "project", "find", "training"} <= set(told["model"]["lacks"])
    names = [item.name for item in model.directions().items]
    assert told["artist"]["names"] == names
    assert told["artist"]["locks"]["expression"] == ["smile"]
    assert told["artist"]["clarity"] is False
    place = told["numbers"]["directions"]
    data = (folder / told["files"]["numbers"]["path"]).read_bytes()[place["start"] :]
    vectors = np.frombuffer(data, f"<{place['type']}", place["count"]).reshape(len(names), -1)
    assert np.array_equal(vectors, np.stack([item.vector for item in model.directions().items]))
    z = np.zeros((1, 8), np.float32)
    pictures = computed((folder / told["files"]["generator"]["path"]).read_bytes(), {"latents": z})
    assert pictures.shape == (1, 3, 32, 32)


def test_the_runtime_is_taken_along_packed_with_its_licence(folder: Path) -> None:
    files = about(folder)["files"]
    assert gzip.decompress((folder / files["wasm"]["path"]).read_bytes()) == RUNTIME.program
    assert (folder / files["runtime"]["path"]).read_bytes() == RUNTIME.script
    licences = {path.stem: path.read_text() for path in (folder / "licences").iterdir()}
    assert licences.keys() == {"ganime", "onnxruntime-web", "real-cugan"}
    assert "Microsoft" in licences["onnxruntime-web"]


def test_a_changed_file_has_another_path_and_the_page_another_cache(
    folder: Path, studio: Studio, tmp_path: Path
) -> None:
    before = about(folder)
    write_edition(studio, tmp_path / "site", Runtime(b"export default 1;", RUNTIME.program))
    after = about(tmp_path / "site")
    changed = {name for name, asset in after["files"].items() if asset["path"] != before["files"][name]["path"]}
    assert changed == {"runtime"}
    assert before["cache"] != after["cache"]
    assert before["cache"].rpartition("-")[0] == after["cache"].rpartition("-")[0]


def test_an_earlier_edition_is_replaced_and_files_of_others_are_not(studio: Studio, tmp_path: Path) -> None:
    out = tmp_path / "site"
    write_edition(studio, out, RUNTIME)
    write_edition(studio, out, RUNTIME)
    assert about(out)["model"]["model"] == "tiny"
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"thesis\.txt"):
        write_edition(studio, out, RUNTIME)
    assert (out / "thesis.txt").read_text() == "mine"


def test_a_file_that_hosts_refuse_is_an_error(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edition, "MOST_BYTES", 1_000_000)
    with pytest.raises(ConfigError, match=r"upscaler.*2\.8 MB"):
        write_edition(studio, tmp_path / "site", RUNTIME)
    assert not (tmp_path / "site").exists()


def test_a_missing_runtime_is_named_with_the_command_that_brings_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"npm install {PACKAGE}@{VERSION}"):
        find_runtime(None, (tmp_path,))
    with pytest.raises(ConfigError, match=str(tmp_path)):
        find_runtime(tmp_path)
    (tmp_path / SCRIPT).write_bytes(RUNTIME.script)
    (tmp_path / PROGRAM).write_bytes(RUNTIME.program)
    assert find_runtime(tmp_path) == RUNTIME


def test_a_model_that_cannot_be_opened_is_an_error_and_not_another_model(tmp_path: Path) -> None:
    for name, data in ((SCRIPT, RUNTIME.script), (PROGRAM, RUNTIME.program)):
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigError, match="nowhere"):
        build(str(tmp_path / "nowhere"), tmp_path / "site", tmp_path, "", tmp_path / "home")
    assert not (tmp_path / "site").exists()


def test_npm_brings_the_version_that_the_error_names() -> None:
    package = json.loads((ROOT / "package.json").read_text())
    assert package["devDependencies"][PACKAGE] == VERSION


def test_every_colour_that_the_components_use_is_defined() -> None:
    css = style_sheet(("header", "create", "interpolate", "dock"))
    light = re.sub(r"^\.dark \{.*?\}", "", css, flags=re.MULTILINE | re.DOTALL)
    used, defined = set(re.findall(r"var\(--([\w-]+)\)", css)), set(re.findall(r"--([\w-]+):", light))
    set_by_scripts = {"colour", "legs", "origin", "from", "to"}
    assert used - defined - set_by_scripts == set()
    assert f"--body-text-color: {THEME.body_text_color}" in css
