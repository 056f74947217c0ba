"""The command `static`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ganime.models.checkpoint import load_checkpoint
from tests.ganime.cli.common import Answer, assert_refused

RUNTIME = {"ort.wasm.bundle.min.mjs": b"export default 0;", "ort-wasm-simd-threaded.wasm": b"\0asm"}


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A folder with files named like those of ONNX Runtime."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    for name, data in RUNTIME.items():
        (folder / name).write_bytes(data)
    return folder


def test_static_writes_the_page_and_lists_its_files(
    ganime: Callable[..., Answer], tiny_folder: Path, runtime: Path, tmp_path: Path
) -> None:
    out = tmp_path / "site"
    answer = ganime("static", "--model", tiny_folder, "--out", out, "--runtime", runtime)
    assert answer.status == 0, answer.error
    revision = load_checkpoint(tiny_folder).revision
    assert revision in answer.out
    assert f"{(out / 'index.html').stat().st_size:,}  index.html" in answer.out
    assert json.loads((out / "model.json").read_text())["model"]["revision"] == revision


def test_static_says_what_is_missing(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "site"
    assert_refused(ganime("static", "--model", tiny_folder, "--out", out, "--runtime", tmp_path), "npm install")
    monkeypatch.setattr("ganime.cli.page.find_spec", lambda name: None if name == "onnx" else True)
    assert_refused(ganime("static", "--model", tiny_folder, "--out", out), "pip install '.[onnx]'")
    assert not out.exists()
