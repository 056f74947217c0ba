"""Uploading to a hub: what arrives, what a second attempt sends, what is refused, and what each failure reports."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from ganime.errors import HubError
from ganime.models.hub import HubUnreachable
from ganime.models.upload import Target, Uploaded, upload
from tests.hub_server import HubServer

TOKEN, OTHER = "hf_adasVeryPrivateToken", "hf_bobs"
REPO = "ada/faces"
CARD = "---\nlicense: mit\nlibrary_name: ganime\n---\n\n# faces\n"

pytestmark = pytest.mark.usefixtures("waits")


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        server.accounts = {TOKEN: "ada", OTHER: "bob"}
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "upload"
    path.mkdir()
    (path / "README.md").write_text(CARD)
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(b"weights" * 1000)
    (path / "clarity.safetensors").write_bytes(b"clarity" * 1000)
    return path


def send(hub: HubServer, folder: Path, token: str = TOKEN, seconds: float | None = 20, **target: object) -> Uploaded:
    place = Target(**{"repo_id": REPO, "endpoint": hub.endpoint, **target})  # type: ignore[arg-type]
    return upload(folder, place, "a model", token, ("directions.json", "clarity.safetensors"), seconds)


def failure(hub: HubServer, folder: Path, token: str = TOKEN, **more: object) -> HubError:
    with pytest.raises(HubError) as caught:
        send(hub, folder, token, **more)  # type: ignore[arg-type]
    assert token not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def sent_files(hub: HubServer) -> list[str]:
    return [request.path for request in hub.requests if request.method == "PUT"]


def test_upload_creates_the_repository_and_commits_every_file_once(hub: HubServer, folder: Path) -> None:
    uploaded = send(hub, folder)
    repository = hub.models[REPO]
    files = dict(repository.files)
    del files[".gitattributes"]
    assert files == contents(folder)
    assert uploaded == Uploaded(f"{hub.endpoint}/{REPO}", repository.refs["main"])
    assert not repository.private
    assert len(sent_files(hub)) == 2


def test_token_goes_to_the_hub_alone_and_not_to_where_large_files_are_kept(hub: HubServer, folder: Path) -> None:
    send(hub, folder)
    assert {bool(request.authorization) for request in hub.requests if request.method == "PUT"} == {False}
    assert all(request.authorization == f"Bearer {TOKEN}" for request in hub.requests if request.method != "PUT")


def test_second_upload_sends_what_changed_and_deletes_what_is_obsolete(hub: HubServer, folder: Path) -> None:
    send(hub, folder)
    (folder / "config.json").write_text('{"changed": true}')
    (folder / "clarity.safetensors").unlink()
    hub.requests.clear()
    send(hub, folder)
    assert sent_files(hub) == []
    assert hub.models[REPO].files.keys() - {".gitattributes"} == contents(folder).keys()
    assert hub.models[REPO].files["config.json"] == b'{"changed": true}'


def test_private_repository_is_created_private_and_a_public_one_is_refused(hub: HubServer, folder: Path) -> None:
    send(hub, folder, private=True)
    assert hub.models[REPO].private
    send(hub, folder, private=True)
    hub.create("model", "ada/open")
    assert "public" in str(failure(hub, folder, repo_id="ada/open", private=True))
    assert hub.models["ada/open"].files.keys() == {".gitattributes"}


def test_interrupted_upload_resumes_with_the_files_that_have_not_arrived(hub: HubServer, folder: Path) -> None:
    hub.mode, hub.only = "cut", "/commit/"
    assert isinstance(failure(hub, folder), HubUnreachable)
    assert len(sent_files(hub)) == 2
    assert hub.models[REPO].files.keys() == {".gitattributes"}
    hub.mode = "ok"
    hub.requests.clear()
    send(hub, folder)
    assert sent_files(hub) == []
    assert hub.models[REPO].files.keys() - {".gitattributes"} == contents(folder).keys()


@pytest.mark.parametrize("mode", ["429", "500", "cut"])
@pytest.mark.parametrize("only", ["/preupload/", "/objects/batch", "/storage/"])
def test_upload_survives_a_fault_that_passes(
    hub: HubServer, folder: Path, waits: list[float], mode: str, only: str
) -> None:
    hub.mode, hub.only, hub.times = mode, only, 1
    send(hub, folder)
    assert hub.models[REPO].files["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    assert waits == ([3601] if mode == "429" else [1])  # as Retry-After asks


@pytest.mark.parametrize(
    ("mode", "only", "facts"),
    [
        ("429", "", ["overloaded", "HTTP 429"]),
        ("500", "/commit/", ["HTTP 500", "not sent again"]),
        ("wrong hash", "/storage/", ["HTTP 422"]),
        ("truncated", "/objects/batch", ["cut off"]),
        ("cut", "/storage/", ["cut off", "not sent again"]),
        ("no hub", "", ["HF_ENDPOINT"]),
        ("down", "", ["cut off"]),
        ("401", "", ["token", "HTTP 401"]),
        ("403", "/commit/", ["may not write to ada/faces"]),
    ],
)
def test_each_failure_says_what_it_means_and_never_the_token(
    hub: HubServer, folder: Path, mode: str, only: str, facts: list[str]
) -> None:
    hub.mode, hub.only = mode, only
    error = str(failure(hub, folder))
    assert all(fact in error for fact in facts), error
    assert not hub.models.get(REPO) or hub.models[REPO].files.keys() == {".gitattributes"}


def test_slow_hub_costs_no_more_than_the_time_limit(hub: HubServer, folder: Path) -> None:
    hub.mode, hub.only = "slow", "/commit/"
    begun = time.monotonic()
    assert isinstance(failure(hub, folder, seconds=0.5), HubUnreachable)
    assert time.monotonic() - begun < 15


def test_token_that_is_missing_unknown_or_another_users_is_refused(
    hub: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "HTTP 401" in str(failure(hub, folder, "hf_unknown"))
    assert "may not write to ada/faces" in str(failure(hub, folder, OTHER))
    with pytest.raises(HubError, match="hf auth login"):
        upload(folder, Target(REPO, endpoint=hub.endpoint), "a model")
    assert "space or an unprintable" in str(failure(hub, folder, f"{TOKEN} x"))
    assert hub.models == {}
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert upload(folder, Target(REPO, endpoint=hub.endpoint), "a model").url.endswith(REPO)


def test_card_that_the_hub_does_not_accept_is_refused_before_anything_is_sent(hub: HubServer, folder: Path) -> None:
    (folder / "README.md").write_text(CARD.replace("mit", "my-own"))
    assert '"license" must be one of' in str(failure(hub, folder))
    assert sent_files(hub) == []


@pytest.mark.parametrize("repo_id", ["faces", "ada/faces@v1", "https://huggingface.co/ada/faces", "../faces", ""])
def test_repository_is_named_by_owner_and_name_alone(repo_id: str) -> None:
    with pytest.raises(HubError, match="owner/name"):
        Target(repo_id)


def test_space_is_created_with_its_sdk_and_a_plan_that_is_missing_is_named(hub: HubServer, folder: Path) -> None:
    send(hub, folder, repo_id="ada/page", kind="space", sdk="static")
    assert hub.spaces["ada/page"].sdk == "static"
    hub.free_accounts = True
    assert "--static" in str(failure(hub, folder, repo_id="ada/other", kind="space", sdk="gradio"))
    assert "ada/other" not in hub.spaces


def test_offline_mode_is_an_error_that_names_the_variable(
    hub: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in str(failure(hub, folder))
