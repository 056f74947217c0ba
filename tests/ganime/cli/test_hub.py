"""The command `push`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.static.runtime import PROGRAM, SCRIPT
from ganime.models.checkpoint import Checkpoint, save_checkpoint
from tests.ganime.cli.common import Answer, assert_refused
from tests.hub_server import HubServer

REPO = "ada/tiny"
SAID = ("--provenance", "drawn by a program", "--licence", "mit")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> Iterator[HubServer]:
    with HubServer() as server:
        server.accounts = {"hf_ada": "ada"}
        server.become_default(monkeypatch)
        monkeypatch.setenv("HF_TOKEN", "hf_ada")
        yield server


def test_push_publishes_a_model_folder(ganime: Callable[..., Answer], tiny_folder: Path, hub: HubServer) -> None:
    answer = ganime("push", tiny_folder, REPO, "--private", *SAID)
    assert answer.status == 0, answer.error
    assert f"{hub.endpoint}/{REPO}" in answer.out
    assert hub.models[REPO].private
    assert b"> drawn by a program" in hub.models[REPO].files["README.md"]


def test_push_needs_provenance_and_licence(ganime: Callable[..., Answer], tiny_folder: Path, hub: HubServer) -> None:
    assert_refused(ganime("push", tiny_folder, REPO), "--provenance")
    assert_refused(ganime("push", tiny_folder, REPO, *SAID[:2]), "--licence")
    assert hub.models == {}


def test_push_asks_a_person_for_what_is_missing_and_whether_copies_may_be_shown(
    ganime: Callable[..., Answer], tiny: Checkpoint, tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(replace(tiny, training={"verdict": "copying"}), tmp_path / "model")
    answers = {"--provenance": "my own drawings", "--licence": "mit", "copies": False}
    monkeypatch.setattr("ganime.cli.hub.sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.prompt", lambda text: answers["--licence" if "Licence" in text else "--provenance"])
    monkeypatch.setattr("typer.confirm", lambda text: answers["copies"])
    assert_refused(ganime("push", tmp_path / "model", REPO), "copies")
    assert hub.models == {}
    answers["copies"] = True
    assert ganime("push", tmp_path / "model", REPO).status == 0
    card = hub.models[REPO].files["README.md"]
    assert all(part in card for part in (b"> my own drawings", b"license: mit", b"This model copies"))


def test_push_reports_what_the_hub_refuses(ganime: Callable[..., Answer], tiny_folder: Path, hub: HubServer) -> None:
    assert_refused(ganime("push", tiny_folder, "bob/tiny", *SAID), "bob/tiny", "HTTP 403")
    assert_refused(ganime("push", tiny_folder, "tiny", *SAID), "owner/name")


def test_push_space_publishes_the_page_with_a_model_of_the_hub(
    ganime: Callable[..., Answer], tiny_folder: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub.add_model(REPO, tiny_folder)
    monkeypatch.setattr("app.space.PARTS", ("app", "requirements.txt"))  # without the large weights
    monkeypatch.setattr("app.space.thumbnail", lambda model, home: b"")
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    for name in (SCRIPT, PROGRAM):
        (runtime / name).write_text(name)
    options = ("--hardware", "zero-a10g", "--home", tmp_path, "--runtime", runtime)
    answer = ganime("push-space", "ada/page", "--model", REPO, *options)
    assert answer.status == 0, answer.error
    space = hub.spaces["ada/page"]
    assert (space.sdk, space.hardware, space.variables) == ("gradio", "zero-a10g", {"GANIME_MODEL": REPO})
    assert space.files["app/__main__.py"]
    assert space.files[f"node_modules/onnxruntime-web/dist/{PROGRAM}"]
    assert f"models:\n- {REPO}".encode() in space.files["README.md"]


def test_push_space_refuses_a_model_that_a_space_could_not_find(
    ganime: Callable[..., Answer], tiny_folder: Path, hub: HubServer
) -> None:
    assert_refused(ganime("push-space", "ada/page", "--model", tiny_folder), "ganime push")
    assert hub.spaces == {}
