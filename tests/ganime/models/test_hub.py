"""Pulling from a hub: what arrives, what is refused, how long it may take, and what every failure says."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants, hf_hub_download, scan_cache_dir
from huggingface_hub.utils import close_session

import ganime.models.hub
from ganime.config import ModelConfig
from ganime.drawing.directions import Direction, Directions, load_directions, save_directions
from ganime.errors import CheckpointError, HubError
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ganime.models.hub import HubUnreachable, ModelReference, PulledModel, parse_reference, pull
from ganime.nets.dcgan import Discriminator, Generator
from tests.hub_server import HubServer, git_checksum, sha256

SMALL = ModelConfig(image_size=32, latent_dim=8, base_channels=4, max_channels=16)
MODEL = "ada/faces"
TOKEN = "hf_aVeryPrivateToken"
SLACK = 2.0  # seconds that a busy computer may add to a deadline; what is waited out instead takes 20 or more


@pytest.fixture(autouse=True)
def _no_token_of_this_computer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.fixture(autouse=True, scope="module")
def _connections_of_our_own() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        close_session()
        yield
        close_session()


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "faces"
    torch.manual_seed(0)
    save_checkpoint(Checkpoint(Generator(SMALL), Discriminator(SMALL), name="faces"), folder)
    return folder


@pytest.fixture
def own_faces(faces: Path, tmp_path: Path) -> Path:
    """A copy of the model for tests that change its files."""
    folder = tmp_path / "own"
    folder.mkdir()
    for path in faces.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def hub(faces: Path) -> Iterator[HubServer]:
    with HubServer() as server:
        server.add_model(MODEL, faces)
        yield server


def failure(hub: HubServer, cache: Path, text: str = MODEL, timeout: float = 5.0, token: str | None = None) -> HubError:
    with pytest.raises(HubError) as caught:
        pull(text, cache, timeout, token, endpoint=hub.endpoint)
    return caught.value


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- what names a model


@pytest.mark.parametrize(
    ("text", "repo_id", "revision"),
    [
        ("ada/faces", "ada/faces", None),
        ("  ada/faces\n", "ada/faces", None),
        ("Ada-1/faces_v2.5", "Ada-1/faces_v2.5", None),
        ("ada/faces@v1.0", "ada/faces", "v1.0"),
        ("ada/faces@refs/pr/3", "ada/faces", "refs/pr/3"),
        ("https://huggingface.co/ada/faces", "ada/faces", None),
        ("https://huggingface.co/ada/faces/", "ada/faces", None),
        ("https://huggingface.co/ada/faces?library=ganime#card", "ada/faces", None),
        ("https://huggingface.co/ada/faces/tree/v1.0", "ada/faces", "v1.0"),
        ("https://huggingface.co/ada/faces/tree/refs%2Fpr%2F3/", "ada/faces", "refs/pr/3"),
    ],
)
def test_reference_is_a_name_a_revision_or_an_address(text: str, repo_id: str, revision: str | None) -> None:
    assert parse_reference(text) == ModelReference(repo_id, revision)


def test_reference_reads_back_from_its_own_text() -> None:
    assert parse_reference(str(ModelReference("ada/faces", "v1"))) == ModelReference("ada/faces", "v1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "faces",
        "ada/",
        "/faces",
        "ada/faces/extra",
        "ada/faces@",
        "ada/faces@a b",
        "ada/faces@../../../etc",
        "ada/faces@/etc",
        "ada/faces@a//b",
        "ada/faces@.hidden",
        "ada/faces@" + "x" * 201,
        "ada/faces@v1@v2",
        "../faces",
        "ada/..",
        "ada/fa--ces",
        "ada/faces.git",
        "ada/" + "x" * 97,
        "adä/faces",
        "https://example.com/ada/faces",
        "https://huggingface.co/faces",
        "https://huggingface.co/datasets/ada/faces",
        "https://huggingface.co/ada/faces/tree/%2e%2e%2fup",
        "https://huggingface.co/ada/faces/blob/main/config.json",
    ],
)
def test_anything_else_is_refused_with_what_came_and_what_was_needed(text: str) -> None:
    with pytest.raises(HubError, match="owner/name@revision") as caught:
        parse_reference(text)
    assert repr(text[:200]) in str(caught.value)


# --- what a pull brings


def test_pull_brings_a_folder_that_loads_to_the_same_generator(hub: HubServer, cache: Path, faces: Path) -> None:
    pulled = pull(MODEL, cache, endpoint=hub.endpoint)
    assert pulled == PulledModel(pulled.folder, MODEL, hub.models[MODEL].refs["main"], "")
    assert load_checkpoint(pulled.folder).revision == load_checkpoint(faces).revision
    assert names(pulled.folder) == {"config.json", "model.safetensors", "README.md"}
    assert all((pulled.folder / name).read_bytes() == (faces / name).read_bytes() for name in names(pulled.folder))


def test_discriminator_comes_when_asked_for(hub: HubServer, cache: Path) -> None:
    pulled = pull(MODEL, cache, endpoint=hub.endpoint, with_discriminator=True)
    assert load_checkpoint(pulled.folder, with_discriminator=True).discriminator is not None


def test_card_and_discriminator_are_optional(hub: HubServer, cache: Path, own_faces: Path) -> None:
    (own_faces / "README.md").unlink()
    (own_faces / "discriminator.safetensors").unlink()
    hub.add_model("ada/bare", own_faces)
    pulled = pull("ada/bare", cache, endpoint=hub.endpoint, with_discriminator=True)
    assert names(pulled.folder) == {"config.json", "model.safetensors"}


def test_directions_come_with_the_model(hub: HubServer, cache: Path, own_faces: Path) -> None:
    model = load_checkpoint(own_faces)
    way = Direction("smile", "own", np.ones(SMALL.latent_dim))
    save_directions(Directions(model.name, model.revision, (way,)), own_faces)
    hub.add_model("ada/steered", own_faces)
    pulled = pull("ada/steered", cache, endpoint=hub.endpoint).folder
    found = load_directions(pulled, load_checkpoint(pulled).revision, SMALL.latent_dim)
    assert found
    assert found.names == ("smile",)


def test_nothing_but_the_model_is_fetched_even_where_there_is_a_pickle(
    hub: HubServer, cache: Path, own_faces: Path
) -> None:
    (own_faces / "model.pt").write_bytes(b"pickle")
    (own_faces / "pytorch_model.bin").write_bytes(b"pickle")
    hub.add_model("ada/mixed", own_faces)
    pulled = pull("ada/mixed", cache, endpoint=hub.endpoint, with_discriminator=True)
    assert names(pulled.folder) == {"config.json", "model.safetensors", "README.md", "discriminator.safetensors"}
    assert not any(".pt" in request.path or ".bin" in request.path for request in hub.requests)


def test_branch_tag_and_commit_bring_their_own_weights(
    hub: HubServer, cache: Path, faces: Path, tmp_path: Path
) -> None:
    save_checkpoint(Checkpoint(Generator(SMALL), name="other"), tmp_path / "other")
    old = hub.models[MODEL].refs["main"]
    tag = hub.add_model(MODEL, tmp_path / "other", revision="v2")
    for text, commit, folder in [
        (MODEL, old, faces),
        (f"{MODEL}@main", old, faces),
        (f"{MODEL}@v2", tag, tmp_path / "other"),
        (f"{MODEL}@{tag}", tag, tmp_path / "other"),
        (f"https://huggingface.co/{MODEL}/tree/v2", tag, tmp_path / "other"),
    ]:
        pulled = pull(text, cache, endpoint=hub.endpoint)
        assert pulled.revision == commit
        assert load_checkpoint(pulled.folder).revision == load_checkpoint(folder).revision


def test_moved_branch_brings_the_new_commit(hub: HubServer, cache: Path, own_faces: Path) -> None:
    first = pull(MODEL, cache, endpoint=hub.endpoint)
    (own_faces / "README.md").write_text("second")
    commit = hub.add_model(MODEL, own_faces)
    second = pull(MODEL, cache, endpoint=hub.endpoint)
    assert second.revision == commit != first.revision
    assert (second.folder / "README.md").read_text() == "second"


def test_second_pull_fetches_no_file_again(hub: HubServer, cache: Path) -> None:
    pull(MODEL, cache, endpoint=hub.endpoint)
    hub.requests.clear()
    pull(MODEL, cache, endpoint=hub.endpoint)
    assert [request.path.split("?")[0] for request in hub.requests] == [f"/api/models/{MODEL}/revision/main"]


def test_damaged_file_in_the_cache_is_fetched_again(hub: HubServer, cache: Path, faces: Path) -> None:
    weights = pull(MODEL, cache, endpoint=hub.endpoint).folder / "model.safetensors"
    weights.write_bytes(bytes(weights.stat().st_size))
    pull(MODEL, cache, endpoint=hub.endpoint)
    assert weights.read_bytes() == (faces / "model.safetensors").read_bytes()


def test_library_finds_what_pull_left_in_the_cache(hub: HubServer, cache: Path) -> None:
    pulled = pull(MODEL, cache, endpoint=hub.endpoint)
    assert hf_hub_download(MODEL, "config.json", cache_dir=cache, local_files_only=True) == str(
        pulled.folder / "config.json"
    )
    generator = Generator.from_pretrained(MODEL, cache_dir=cache, local_files_only=True)
    assert Checkpoint(generator).revision == load_checkpoint(pulled.folder).revision
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        found = scan_cache_dir(cache)
    assert not found.warnings
    assert [revision.commit_hash for repo in found.repos for revision in repo.revisions] == [pulled.revision]


def test_pull_uses_what_the_library_left_in_the_cache(
    hub: HubServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    commit = hub.models[MODEL].refs["main"]
    for name in ("config.json", "model.safetensors", "README.md"):
        hf_hub_download(MODEL, name, revision=commit, cache_dir=cache, endpoint=hub.endpoint)
    hub.requests.clear()
    assert pull(MODEL, cache, endpoint=hub.endpoint).revision == commit
    assert len(hub.requests) == 1


def test_from_pretrained_and_pull_go_to_the_hub_that_hf_endpoint_names(
    hub: HubServer, cache: Path, faces: Path, tmp_path: Path
) -> None:
    program = (
        "import sys; from pathlib import Path; from ganime.nets.dcgan import Generator\n"
        "from ganime.models.hub import pull\n"
        "from ganime.models.checkpoint import Checkpoint, load_checkpoint\n"
        f"print(Checkpoint(Generator.from_pretrained({MODEL!r})).revision)\n"
        f"print(load_checkpoint(pull({MODEL!r}, Path(sys.argv[1])).folder).revision)\n"
    )
    environment = os.environ | {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", program, str(cache)], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [load_checkpoint(faces).revision] * 2


# --- tokens


def test_token_opens_a_private_model_and_never_leaves_the_hub(hub: HubServer, cache: Path) -> None:
    hub.token = TOKEN
    pull(MODEL, cache, token=TOKEN, endpoint=hub.endpoint)
    elsewhere = [request for request in hub.requests if request.path.startswith("/cdn/")]
    assert [request.authorization for request in elsewhere] == [""]
    assert all(request.authorization == f"Bearer {TOKEN}" for request in hub.requests if request not in elsewhere)


def test_token_of_the_environment_is_used(hub: HubServer, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.token = TOKEN
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert pull(MODEL, cache, endpoint=hub.endpoint).repo_id == MODEL


@pytest.mark.parametrize("mode", ["401", "403", "gated", "404", "429", "500", "no hub", "truncated", "down"])
def test_no_error_shows_the_token(hub: HubServer, cache: Path, mode: str) -> None:
    hub.mode = mode
    error = failure(hub, cache, token=TOKEN)
    assert TOKEN not in str(error)
    assert error.__suppress_context__ or error.__context__ is None  # so neither does a logged traceback


@pytest.mark.parametrize("token", [f"{TOKEN}\n{TOKEN}", f"{TOKEN} x", f"{TOKEN}…"])
def test_garbled_token_is_an_error_that_does_not_show_it(hub: HubServer, cache: Path, token: str) -> None:
    error = failure(hub, cache, token=token)
    assert "token" in str(error)
    assert TOKEN not in str(error)
    assert hub.requests == []


def test_password_in_the_endpoint_is_not_shown(hub: HubServer, cache: Path) -> None:
    hub.mode = "down"
    with pytest.raises(HubError) as caught:
        pull(MODEL, cache, endpoint=hub.endpoint.replace("://", "://ada:secret@"))
    assert "secret" not in str(caught.value)


# --- refusals


@pytest.mark.parametrize(
    ("mode", "texts"),
    [
        ("down", ["cannot be reached", "Check the network", "cache holds no copy"]),
        ("500", ["overloaded or broken", "HTTP 500", "Try again later"]),
        ("429", ["overloaded or broken", "HTTP 429", "Try again later"]),
        ("404", ["has no model ada/faces", "Check its owner and name"]),
        ("401", ["private", "HTTP 401", "set HF_TOKEN"]),
        ("403", ["private", "HTTP 403", "set HF_TOKEN"]),
        ("gated", ["gated", "accept its conditions", "set HF_TOKEN"]),
        ("no hub", ["does not answer like a Hugging Face hub", "HF_ENDPOINT"]),
        ("truncated", ["broke off", "list of files"]),
    ],
)
def test_each_failure_of_the_hub_has_its_own_words(hub: HubServer, cache: Path, mode: str, texts: list[str]) -> None:
    hub.mode = mode
    started = time.monotonic()
    error = str(failure(hub, cache))
    assert all(text in error for text in texts), error
    assert time.monotonic() - started < SLACK  # no retry, whatever Retry-After says


def test_unknown_model_and_unknown_revision_are_told_apart(hub: HubServer, cache: Path) -> None:
    assert "has no model ada/nobody" in str(failure(hub, cache, "ada/nobody"))
    assert "no revision ada/faces@v9" in str(failure(hub, cache, f"{MODEL}@v9"))


def test_gate_that_shows_only_at_the_files_is_told(hub: HubServer, cache: Path) -> None:
    hub.mode, hub.only = "gated", "/resolve/"
    assert "accept its conditions" in str(failure(hub, cache))


def test_file_that_is_listed_but_gone_is_named(hub: HubServer, cache: Path) -> None:
    hub.mode, hub.only = "gone", "/resolve/"
    assert "does not hand over config.json (HTTP 404)" in str(failure(hub, cache))


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_repository_without_a_model_names_the_missing_file(
    hub: HubServer, cache: Path, own_faces: Path, missing: str
) -> None:
    (own_faces / missing).unlink()
    hub.add_model("ada/other", own_faces)
    error = str(failure(hub, cache, "ada/other"))
    assert "holds no Ganime model" in error
    assert missing in error
    assert "python -m ganime import" not in error
    assert not cache.exists()


@pytest.mark.parametrize("pickle", ["netG.pth", "weights/Generator.PT", "pytorch_model.bin"])
def test_repository_with_only_a_pickle_points_to_the_import(
    hub: HubServer, cache: Path, tmp_path: Path, pickle: str
) -> None:
    path = tmp_path / "foreign" / pickle
    path.parent.mkdir(parents=True)
    path.write_bytes(b"pickle")
    hub.add_model("ada/foreign", tmp_path / "foreign")
    error = str(failure(hub, cache, "ada/foreign"))
    assert "config.json and model.safetensors" in error
    assert pickle in error
    assert "python -m ganime import" in error
    assert len(hub.requests) == 1


@pytest.mark.parametrize(
    ("name", "size"), [("model.safetensors", 512 * 2**20 + 1), ("config.json", 16 * 2**20 + 1), ("README.md", 2**40)]
)
def test_file_over_the_limit_is_refused_before_anything_is_fetched(
    hub: HubServer, cache: Path, name: str, size: int
) -> None:
    hub.claimed_sizes[name] = size
    error = str(failure(hub, cache))
    assert name in error
    assert f"{size:,} bytes" in error
    assert len(hub.requests) == 1


@pytest.mark.parametrize("name", ["model.safetensors", "README.md"])
def test_file_longer_than_the_hub_said_is_cut_off_and_dropped(hub: HubServer, cache: Path, name: str) -> None:
    hub.claimed_sizes[name] = 10
    assert f"{name} of {MODEL}@main came damaged" in str(failure(hub, cache))


@pytest.mark.parametrize(
    ("mode", "text"),
    [("truncated", "broke off while sending"), ("short", "came damaged"), ("wrong hash", "came damaged")],
)
@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_damaged_download_is_told_leaves_nothing_broken_and_a_retry_mends_it(
    hub: HubServer, cache: Path, faces: Path, mode: str, text: str, name: str
) -> None:
    hub.mode, hub.only = mode, "/cdn/" if name.endswith(".safetensors") else f"/{name}"
    error = str(failure(hub, cache))
    assert text in error
    assert name in error
    for path in cache.rglob("*"):
        assert path.is_dir() or path.read_bytes() == (faces / path.name).read_bytes()
    hub.mode = "ok"
    assert load_checkpoint(pull(MODEL, cache, endpoint=hub.endpoint).folder).generator.config == SMALL


def test_listing_with_nonsense_in_it_is_no_hub(hub: HubServer, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "a" * 40
    whole = {"rfilename": "config.json", "size": 1, "blobId": "b" * 40}
    for answer in [
        b"[]",
        b"{}",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        json.dumps({"sha": "../../etc", "siblings": []}).encode(),
        json.dumps({"sha": None, "siblings": []}).encode(),
        json.dumps({"sha": commit, "siblings": None}).encode(),
        json.dumps({"sha": commit, "siblings": [{"size": 1}]}).encode(),
        json.dumps({"sha": commit, "siblings": [whole | {"size": None}]}).encode(),
        json.dumps({"sha": commit, "siblings": [whole | {"size": float("inf")}]}).encode(),
        json.dumps({"sha": commit, "siblings": [whole | {"lfs": {"sha256": "c" * 64}}]}).encode(),
    ]:
        monkeypatch.setattr(ganime.models.hub.Hub, "read", lambda *_, answer=answer: iter([answer]))
        assert "does not answer like a Hugging Face hub" in str(failure(hub, cache))
    assert not cache.exists()


def test_config_that_does_not_fit_the_weights_is_an_error_that_names_file_and_mismatch(
    hub: HubServer, cache: Path, own_faces: Path
) -> None:
    wider = dataclasses.asdict(dataclasses.replace(SMALL, latent_dim=9))
    (own_faces / "config.json").write_text(json.dumps(wider))
    hub.add_model("ada/wrong", own_faces)
    with pytest.raises(
        CheckpointError, match=r"model\.safetensors: stem.* has shape \(8, .*config\.json asks for \(9,"
    ):
        pull("ada/wrong", cache, endpoint=hub.endpoint)


def test_config_with_a_value_out_of_range_is_an_error_that_names_it(
    hub: HubServer, cache: Path, own_faces: Path
) -> None:
    (own_faces / "config.json").write_text(json.dumps(dataclasses.asdict(SMALL) | {"image_size": 48}))
    hub.add_model("ada/wrong", own_faces)
    error = str(failure(hub, cache, "ada/wrong"))
    assert "config.json of ada/wrong@main" in error
    assert "image_size" in error
    assert "48" in error


def test_config_nested_without_end_is_an_error_that_names_the_file(
    hub: HubServer, cache: Path, own_faces: Path
) -> None:
    (own_faces / "config.json").write_text("[" * 100_000)
    hub.add_model("ada/deep", own_faces)
    with pytest.raises(CheckpointError, match=r"config\.json is no readable JSON"):
        pull("ada/deep", cache, endpoint=hub.endpoint)


def test_config_of_another_kind_of_model_is_an_error_that_names_the_file(
    hub: HubServer, cache: Path, own_faces: Path
) -> None:
    (own_faces / "config.json").write_text('{"model_type": "bert"}')
    hub.add_model("ada/bert", own_faces)
    with pytest.raises(CheckpointError, match=r"config\.json .* no Ganime configuration"):
        pull("ada/bert", cache, endpoint=hub.endpoint)


def test_cache_that_cannot_be_written_is_an_error_that_names_it(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert f"cache {tmp_path / 'file'} cannot be used" in str(failure(hub, tmp_path / "file"))


# --- deadlines


@pytest.mark.parametrize("mode", ["slow", "drip", "drip headers"])
def test_hub_that_keeps_its_list_to_itself_costs_no_more_than_the_timeout(
    hub: HubServer, cache: Path, mode: str
) -> None:
    hub.mode = mode
    started = time.monotonic()
    error = str(failure(hub, cache, timeout=0.4))
    assert 0.3 < time.monotonic() - started < 0.4 + SLACK
    assert "did not answer within 0.4 seconds" in error


def test_host_that_takes_no_connection_costs_no_more_than_the_timeout(cache: Path) -> None:
    started = time.monotonic()
    with pytest.raises(HubError):
        pull(MODEL, cache, timeout=0.4, endpoint="http://192.0.2.1")  # an address nobody may use (RFC 5737)
    assert time.monotonic() - started < 0.4 + SLACK


def test_name_that_takes_for_ever_to_look_up_costs_no_more_than_the_timeout(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: release.wait(20) and [])
    started = time.monotonic()
    with pytest.raises(HubError, match="did not answer within"):
        pull(MODEL, cache, timeout=0.4, endpoint="http://hub.invalid")
    assert time.monotonic() - started < 0.4 + SLACK
    release.set()


def test_silence_in_the_middle_costs_no_more_than_the_timeout(hub: HubServer, cache: Path) -> None:
    hub.mode, hub.only = "slow", "/cdn/"
    started = time.monotonic()
    error = str(failure(hub, cache, timeout=0.4))
    assert 0.3 < time.monotonic() - started < 0.4 + SLACK
    assert "was silent for 0.4 seconds" in error


@pytest.mark.parametrize("mode", ["drip", "drip headers"])
def test_steady_drip_ends_with_the_whole_pull_and_a_retry_mends_it(
    hub: HubServer, cache: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(ganime.hub, "PULL_SECONDS", 1.0)
    hub.mode, hub.only = mode, "/cdn/"
    started = time.monotonic()
    error = str(failure(hub, cache))
    assert 0.9 < time.monotonic() - started < 1.0 + SLACK
    assert "not done after 1" in error
    monkeypatch.undo()
    hub.mode = "ok"
    assert pull(MODEL, cache, endpoint=hub.endpoint).note == ""


def test_thread_that_was_left_behind_ends_and_leaves_nothing(
    hub: HubServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ganime.hub, "PULL_SECONDS", 0.4)
    hub.mode, hub.only = "drip", "/cdn/"
    failure(hub, cache)
    for thread in threading.enumerate():
        if thread.name == "ganime-hub":
            thread.join(SLACK)
            assert not thread.is_alive()
    assert {path.name for path in cache.rglob("*") if path.is_file()} == {"config.json", "README.md"}


# --- without the hub


@pytest.mark.parametrize("mode", ["down", "500", "429", "slow", "truncated"])
def test_copy_in_the_cache_stands_in_for_a_hub_that_cannot_be_reached(hub: HubServer, cache: Path, mode: str) -> None:
    first = pull(MODEL, cache, endpoint=hub.endpoint)
    hub.mode = mode
    second = pull(MODEL, cache, timeout=0.4, endpoint=hub.endpoint)
    assert (second.folder, second.revision) == (first.folder, first.revision)
    assert "copy of ada/faces@main in the cache" in second.note
    assert first.revision[:12] in second.note
    by_commit = pull(f"{MODEL}@{first.revision}", cache, timeout=0.4, endpoint=hub.endpoint)
    assert by_commit.folder == first.folder


def test_copy_of_another_revision_does_not_stand_in(hub: HubServer, cache: Path) -> None:
    pull(MODEL, cache, endpoint=hub.endpoint)
    hub.mode = "down"
    assert "The cache holds no copy of ada/faces@v2" in str(failure(hub, cache, f"{MODEL}@v2"))


def test_half_a_copy_does_not_stand_in(hub: HubServer, cache: Path) -> None:
    (pull(MODEL, cache, endpoint=hub.endpoint).folder / "config.json").unlink()
    hub.mode = "down"
    assert "The cache holds no copy" in str(failure(hub, cache))


@pytest.mark.parametrize("mode", ["401", "404", "gated", "no hub"])
def test_copy_in_the_cache_does_not_hide_a_refusal(hub: HubServer, cache: Path, mode: str) -> None:
    pull(MODEL, cache, endpoint=hub.endpoint)
    hub.mode = mode
    assert not isinstance(failure(hub, cache), HubUnreachable)


def test_offline_mode_is_an_error_that_names_the_variable_unless_the_cache_has_a_copy(
    hub: HubServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in str(failure(hub, cache))
    assert hub.requests == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    pull(MODEL, cache, endpoint=hub.endpoint)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in pull(MODEL, cache, endpoint=hub.endpoint).note


def test_hub_that_comes_back_is_used_again(hub: HubServer, cache: Path) -> None:
    hub.mode = "down"
    failure(hub, cache)
    hub.mode = "ok"
    assert pull(MODEL, cache, endpoint=hub.endpoint).note == ""


# --- the server itself


def test_server_speaks_to_the_library(
    hub: HubServer, cache: Path, faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import HfApi, snapshot_download

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    info = HfApi(endpoint=hub.endpoint).model_info(MODEL, files_metadata=True)
    listed = {sibling.rfilename: sibling for sibling in info.siblings or []}
    assert listed["config.json"].blob_id == git_checksum((faces / "config.json").read_bytes())
    assert listed["model.safetensors"].lfs is not None
    assert listed["model.safetensors"].lfs.sha256 == sha256((faces / "model.safetensors").read_bytes())
    folder = Path(snapshot_download(MODEL, cache_dir=cache, endpoint=hub.endpoint))
    assert names(folder) == names(faces)
