"""Pulling from a hub: what arrives, what is refused, how long it may take, and what each failure reports."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants, scan_cache_dir
from huggingface_hub.utils import close_session

from ganime.config import ModelConfig
from ganime.errors import CheckpointError, HubError
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ganime.models.hub import HubUnreachable, ModelReference, PulledModel, open_model, parse_reference, pull
from ganime.nets.dcgan import Discriminator, Generator
from tests.hub_server import HubServer

SMALL = ModelConfig(image_size=32, latent_dim=8, base_channels=4, max_channels=16)
MODEL = "ada/faces"
TOKEN = "hf_aVeryPrivateToken"
SLACK = 15.0  # seconds that a busy machine may add to a deadline; waiting for the hub would take 20 or more


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
        # Abandoned downloads of earlier tests go on trying for a while: they must not log or close our connections
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        patch.setattr("huggingface_hub.utils._http.close_session", lambda: None)
        yield
        close_session()


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "faces"
    torch.manual_seed(0)
    save_checkpoint(Checkpoint(Generator(SMALL), Discriminator(SMALL), name="faces"), folder)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def hub(faces: Path) -> Iterator[HubServer]:
    with HubServer() as server:
        server.add_model(MODEL, faces)
        yield server


@pytest.fixture
def pulled(hub: HubServer, cache: Path) -> PulledModel:
    """The model, pulled once already."""
    first = pull(MODEL, cache, endpoint=hub.endpoint)
    hub.requests.clear()
    return first


def publish(hub: HubServer, folder: Path, repo_id: str, **changed: bytes | str | None) -> None:
    """Put a copy of a model on the hub with files changed, or left out if None; "__" stands for the dot of a name."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name, content in changed.items():
        files.pop(name.replace("__", "."), None)
        if content is not None:
            files[name.replace("__", ".")] = content if isinstance(content, bytes) else content.encode()
    with tempfile.TemporaryDirectory() as copy:
        for name, content in files.items():
            (Path(copy) / name).write_bytes(content)
        hub.add_model(repo_id, Path(copy))


def failure(hub: HubServer, cache: Path, text: str = MODEL, timeout: float = 5.0, **options: Any) -> HubError:
    with pytest.raises(HubError) as caught:
        pull(text, cache, timeout, endpoint=hub.endpoint, **options)
    return caught.value


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- references


@pytest.mark.parametrize(
    ("text", "repo_id", "revision"),
    [
        ("ada/faces", "ada/faces", None),
        ("  ada/faces\n", "ada/faces", None),
        ("Ada-1/faces_v2.5", "Ada-1/faces_v2.5", None),
        ("ada/faces@v1.0", "ada/faces", "v1.0"),
        ("ada/faces@refs/pr/3", "ada/faces", "refs/pr/3"),
        ("https://huggingface.co/ada/faces", "ada/faces", None),
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


def wait_for_downloads(earlier: set[threading.Thread]) -> None:
    """Wait until no download of this test runs any more, abandoned ones included."""
    for thread in set(threading.enumerate()) - earlier:
        if thread.name == "ganime-hub":
            thread.join(60)
            assert not thread.is_alive()


def assert_only_whole_files(cache: Path, faces: Path) -> None:
    """Snapshots and blobs hold only files of the model, each of them whole."""
    contents = {path.read_bytes() for path in faces.iterdir()}
    for folder in cache.glob("models--*"):
        for path in (*folder.glob("blobs/*"), *folder.glob("snapshots/*/*")):
            assert path.read_bytes() in contents, path


# --- what a pull brings


def test_pull_brings_a_folder_that_loads_to_the_same_generator(
    pulled: PulledModel, hub: HubServer, faces: Path
) -> None:
    assert pulled == PulledModel(pulled.folder, pulled.checkpoint, MODEL, hub.models[MODEL].refs["main"], "")
    assert load_checkpoint(pulled.folder).revision == load_checkpoint(faces).revision
    assert names(pulled.folder) == {"config.json", "model.safetensors", "README.md"}
    assert all((pulled.folder / name).read_bytes() == (faces / name).read_bytes() for name in names(pulled.folder))


def test_opened_model_has_the_name_of_its_repository(
    pulled: PulledModel, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert open_model(f"{MODEL}@main", cache).name == MODEL
    with pytest.raises(HubError, match="no folder ada/nobody"):
        open_model("ada/nobody", cache)


def test_all_files_of_a_model_come_with_it_and_nothing_else(hub: HubServer, cache: Path, faces: Path) -> None:
    extra = dict.fromkeys(("directions__json", "directions__safetensors", "known__json", "known__safetensors"), b"{}")
    publish(hub, faces, "ada/whole", model__pt=b"pickle", pytorch_model__bin=b"pickle", notes__txt="hi", **extra)
    drawing = {"config.json", "model.safetensors", "README.md"} | {name.replace("__", ".") for name in extra}
    assert names(pull("ada/whole", cache, endpoint=hub.endpoint).folder) == drawing
    whole = pull("ada/whole", cache, endpoint=hub.endpoint, with_discriminator=True)
    assert names(whole.folder) == {*drawing, "discriminator.safetensors"}
    assert load_checkpoint(whole.folder, with_discriminator=True).discriminator is not None
    assert not any(name in request.path for request in hub.requests for name in (".pt", ".bin", ".txt"))


def test_card_and_discriminator_are_optional(hub: HubServer, cache: Path, faces: Path) -> None:
    publish(hub, faces, "ada/bare", README__md=None, discriminator__safetensors=None)
    pulled = pull("ada/bare", cache, endpoint=hub.endpoint, with_discriminator=True)
    assert names(pulled.folder) == {"config.json", "model.safetensors"}


def test_branch_tag_and_commit_bring_their_own_weights(
    hub: HubServer, cache: Path, faces: Path, tmp_path: Path
) -> None:
    save_checkpoint(Checkpoint(Generator(SMALL), name="other"), tmp_path / "other")
    old = hub.models[MODEL].refs["main"]
    tag = hub.add_model(MODEL, tmp_path / "other", revision="v2")
    for text, commit, folder in [
        (MODEL, old, faces),
        (f"{MODEL}@v2", tag, tmp_path / "other"),
        (f"{MODEL}@{tag}", tag, tmp_path / "other"),
        (f"https://huggingface.co/{MODEL}/tree/v2", tag, tmp_path / "other"),
    ]:
        pulled = pull(text, cache, endpoint=hub.endpoint)
        assert pulled.revision == commit
        assert load_checkpoint(pulled.folder).revision == load_checkpoint(folder).revision


def test_moved_branch_brings_the_new_commit(pulled: PulledModel, hub: HubServer, cache: Path, faces: Path) -> None:
    publish(hub, faces, MODEL, README__md="second")
    second = pull(MODEL, cache, endpoint=hub.endpoint)
    assert second.revision == hub.models[MODEL].refs["main"] != pulled.revision
    assert (second.folder / "README.md").read_text() == "second"


def test_second_pull_downloads_no_file_again(pulled: PulledModel, hub: HubServer, cache: Path) -> None:
    pull(MODEL, cache, endpoint=hub.endpoint)
    assert [request.path.split("?")[0] for request in hub.requests] == [f"/api/models/{MODEL}/revision/main"]


def test_damaged_file_in_the_cache_is_downloaded_again(
    pulled: PulledModel, hub: HubServer, cache: Path, faces: Path
) -> None:
    for name in ("model.safetensors", "config.json"):
        path = pulled.folder / name
        path.write_bytes(bytes(path.stat().st_size))
    pull(MODEL, cache, endpoint=hub.endpoint)
    assert all((pulled.folder / name).read_bytes() == (faces / name).read_bytes() for name in names(pulled.folder))


def test_library_of_the_hub_finds_the_model_in_the_cache(pulled: PulledModel, cache: Path) -> None:
    generator = Generator.from_pretrained(MODEL, cache_dir=cache, local_files_only=True)
    assert Checkpoint(generator).revision == load_checkpoint(pulled.folder).revision
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        found = scan_cache_dir(cache)
    assert not found.warnings
    assert [revision.commit_hash for repo in found.repos for revision in repo.revisions] == [pulled.revision]


@pytest.mark.slow
def test_from_pretrained_and_pull_use_the_hub_of_hf_endpoint(
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


def test_token_opens_a_private_model_and_is_not_sent_to_other_hosts(hub: HubServer, cache: Path) -> None:
    hub.token = TOKEN
    pull(MODEL, cache, token=TOKEN, endpoint=hub.endpoint)
    elsewhere = [request for request in hub.requests if request.path.startswith("/cdn/")]
    assert [request.authorization for request in elsewhere] == [""]
    assert all(request.authorization == f"Bearer {TOKEN}" for request in hub.requests if request not in elsewhere)


def test_token_of_the_environment_is_sent_unless_that_is_switched_off(
    hub: HubServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    pull(MODEL, cache, endpoint=hub.endpoint, token=False)
    assert {request.authorization for request in hub.requests} == {""}
    hub.token = TOKEN
    assert pull(MODEL, cache, endpoint=hub.endpoint).repo_id == MODEL
    assert "choose a public model" in str(failure(hub, cache, token=False))


@pytest.mark.parametrize("mode", ["401", "403", "gated", "404", "429", "500", "no hub", "truncated", "down"])
@pytest.mark.parametrize("only", ["/api/", "/resolve/"])
def test_no_error_contains_the_token(hub: HubServer, cache: Path, mode: str, only: str) -> None:
    hub.mode, hub.only = mode, only
    error = failure(hub, cache, token=TOKEN, download_seconds=0.3)
    assert TOKEN not in str(error)
    assert error.__suppress_context__ or error.__context__ is None  # so a logged traceback does not contain it either


@pytest.mark.parametrize("token", [f"{TOKEN}\n{TOKEN}", f"{TOKEN} x", f"{TOKEN}…"])
def test_garbled_token_is_an_error_that_does_not_contain_it(hub: HubServer, cache: Path, token: str) -> None:
    error = failure(hub, cache, token=token)
    assert "token" in str(error)
    assert TOKEN not in str(error)
    assert hub.requests == []


def test_password_in_the_endpoint_is_not_in_the_error(hub: HubServer, cache: Path) -> None:
    hub.mode = "down"
    with pytest.raises(HubError) as caught:
        pull(MODEL, cache, endpoint=hub.endpoint.replace("://", "://ada:secret@"))
    assert "secret" not in str(caught.value)


# --- refusals


@pytest.mark.parametrize(
    ("mode", "facts"),
    [
        ("down", ["network", "cache holds no copy"]),
        ("500", ["overloaded", "HTTP 500"]),
        ("429", ["overloaded", "HTTP 429"]),
        ("404", ["no model ada/faces"]),
        ("401", ["private", "HTTP 401", "HF_TOKEN"]),
        ("403", ["private", "HTTP 403", "HF_TOKEN"]),
        ("gated", ["gated", "conditions", "HF_TOKEN"]),
        ("no hub", ["HF_ENDPOINT"]),
        ("truncated", ["list of files"]),
    ],
)
def test_each_failure_of_the_hub_has_its_own_words(hub: HubServer, cache: Path, mode: str, facts: list[str]) -> None:
    hub.mode = mode
    started = time.monotonic()
    error = str(failure(hub, cache))
    assert all(fact in error for fact in facts), error
    assert time.monotonic() - started < SLACK  # no retry, whatever Retry-After says


def test_unknown_model_and_unknown_revision_are_distinguished(hub: HubServer, cache: Path) -> None:
    assert "no model ada/nobody" in str(failure(hub, cache, "ada/nobody"))
    assert "no revision ada/faces@v9" in str(failure(hub, cache, f"{MODEL}@v9"))


@pytest.mark.parametrize(("mode", "fact"), [("gated", "conditions"), ("gone", "config.json"), ("no hub", "endpoint")])
def test_refusal_that_comes_only_with_the_files_is_reported(hub: HubServer, cache: Path, mode: str, fact: str) -> None:
    hub.mode, hub.only = mode, "/resolve/"
    assert fact in str(failure(hub, cache)).lower()


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_repository_without_a_model_names_the_missing_file(
    hub: HubServer, cache: Path, faces: Path, missing: str
) -> None:
    publish(hub, faces, "ada/other", **{missing.replace(".", "__"): None})
    error = str(failure(hub, cache, "ada/other"))
    assert missing in error
    assert "ganime import" not in error
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
    assert all(fact in error for fact in ("config.json and model.safetensors", pickle, "`ganime import`"))
    assert len(hub.requests) == 1


@pytest.mark.parametrize(
    ("name", "size"), [("model.safetensors", 512 * 2**20 + 1), ("config.json", 16 * 2**20 + 1), ("README.md", 2**40)]
)
def test_file_over_the_limit_is_refused_before_any_download(hub: HubServer, cache: Path, name: str, size: int) -> None:
    hub.claimed_sizes[name] = size
    error = str(failure(hub, cache))
    assert name in error
    assert f"{size:,} bytes" in error
    assert len(hub.requests) == 1


def test_limit_for_weights_can_be_lowered(hub: HubServer, cache: Path) -> None:
    assert "1,000 are allowed" in str(failure(hub, cache, max_bytes=1000))


@pytest.mark.parametrize("name", ["model.safetensors", "README.md"])
def test_file_of_another_size_than_listed_is_refused_and_deleted(hub: HubServer, cache: Path, name: str) -> None:
    hub.claimed_sizes[name] = 10
    assert f"{name} of {MODEL}@main arrived damaged" in str(failure(hub, cache))
    assert not list(cache.rglob(name))


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        pytest.param("truncated", "model.safetensors", marks=pytest.mark.slow),  # the library tries five times more
        ("short", "model.safetensors"),
        ("short", "config.json"),
        ("wrong hash", "model.safetensors"),
        ("wrong hash", "config.json"),
    ],
)
def test_damaged_download_is_refused_leaves_nothing_broken_and_a_second_pull_succeeds(
    hub: HubServer, cache: Path, faces: Path, mode: str, name: str
) -> None:
    earlier = set(threading.enumerate())
    hub.mode, hub.only = mode, "/cdn/" if name.endswith(".safetensors") else f"/{name}"
    error = str(failure(hub, cache, download_seconds=0.5 if mode == "truncated" else 60))
    assert ("0.5 seconds" if mode == "truncated" else f"{name} of {MODEL}@main arrived damaged") in error
    wait_for_downloads(earlier)
    assert_only_whole_files(cache, faces)
    hub.mode = "ok"
    assert load_checkpoint(pull(MODEL, cache, endpoint=hub.endpoint).folder).generator.config == SMALL


@pytest.mark.parametrize(
    "listing",
    [
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        {"sha": "../../etc", "siblings": []},
        {"sha": None, "siblings": []},
        {"sha": "a" * 40, "siblings": [{"size": 1}]},
        {"sha": "a" * 40, "siblings": [{"rfilename": "config.json", "lfs": {"sha256": "c" * 64}}]},
    ],
)
def test_listing_with_nonsense_in_it_comes_from_no_hub(
    hub: HubServer, cache: Path, listing: bytes | dict[str, Any]
) -> None:
    hub.listing = listing if isinstance(listing, bytes) else json.dumps({"id": MODEL, **listing}).encode()
    assert "HF_ENDPOINT" in str(failure(hub, cache))
    assert not cache.exists()


@pytest.mark.parametrize(
    ("config", "facts"),
    [
        ({"latent_dim": 9}, ["model.safetensors", "(8, ", "(9, "]),
        ({"image_size": 48}, ["config.json of ada/wrong@main", "image_size", "48"]),
        ("[" * 100_000, ["config.json", "JSON"]),
        ('{"model_type": "bert"}', ["config.json", "Ganime configuration"]),
    ],
)
def test_config_that_fits_no_model_is_an_error_that_names_the_file_and_the_value(
    hub: HubServer, cache: Path, faces: Path, config: str | dict[str, int], facts: list[str]
) -> None:
    text = config if isinstance(config, str) else json.dumps(dataclasses.asdict(SMALL) | config)
    publish(hub, faces, "ada/wrong", config__json=text)
    with pytest.raises((CheckpointError, HubError)) as caught:
        pull("ada/wrong", cache, endpoint=hub.endpoint)
    assert all(fact in str(caught.value) for fact in facts), caught.value


def test_cache_that_cannot_be_written_is_an_error_that_names_it(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert f"cache {tmp_path / 'file'} cannot be used" in str(failure(hub, tmp_path / "file"))


# --- deadlines


@pytest.mark.parametrize("mode", ["slow", "drip", "drip headers"])
@pytest.mark.parametrize("only", ["/api/", "/resolve/", "/cdn/"])
def test_slow_hub_costs_no_more_than_the_time_limit(hub: HubServer, cache: Path, mode: str, only: str) -> None:
    hub.mode, hub.only = mode, only
    started = time.monotonic()
    error = failure(hub, cache, timeout=0.4 if only == "/api/" else 5.0, download_seconds=0.6)
    assert 0.3 < time.monotonic() - started < 0.6 + SLACK
    assert isinstance(error, HubUnreachable)


@pytest.mark.parametrize("mode", ["429", "500"])
def test_overloaded_hub_is_not_waited_for_longer_than_the_time_limit(hub: HubServer, cache: Path, mode: str) -> None:
    hub.mode, hub.only = mode, "/resolve/"
    started = time.monotonic()
    assert isinstance(failure(hub, cache, download_seconds=0.4), HubUnreachable)
    assert time.monotonic() - started < 0.4 + SLACK


def test_host_that_takes_no_connection_costs_no_more_than_the_time_limit(cache: Path) -> None:
    started = time.monotonic()
    with pytest.raises(HubError):
        pull(MODEL, cache, timeout=0.4, endpoint="http://192.0.2.1")  # an address that is never assigned (RFC 5737)
    assert time.monotonic() - started < 0.4 + SLACK


def test_dns_lookup_costs_no_more_than_the_time_limit(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: release.wait(20) and [])
    started = time.monotonic()
    with pytest.raises(HubError, match=r"0\.4 seconds"):
        pull(MODEL, cache, timeout=0.4, endpoint="http://hub.invalid")
    assert time.monotonic() - started < 0.4 + SLACK
    release.set()


def test_abandoned_download_is_used_once_it_has_arrived(hub: HubServer, cache: Path, faces: Path) -> None:
    earlier = set(threading.enumerate())
    hub.mode, hub.only, hub.delay = "slow", "/cdn/", 1.0
    assert isinstance(failure(hub, cache, download_seconds=0.4), HubUnreachable)
    wait_for_downloads(earlier)
    assert_only_whole_files(cache, faces)
    hub.requests.clear()
    assert pull(MODEL, cache, endpoint=hub.endpoint).note == ""
    assert len(hub.requests) == 1


# --- without the hub


@pytest.mark.parametrize("mode", ["down", "500", "429", "slow", "truncated"])
def test_copy_in_the_cache_is_used_if_the_hub_is_unreachable(
    pulled: PulledModel, hub: HubServer, cache: Path, mode: str
) -> None:
    hub.mode = mode
    for text in (MODEL, f"{MODEL}@{pulled.revision}"):
        second = pull(text, cache, timeout=0.4, endpoint=hub.endpoint)
        assert (second.folder, second.revision) == (pulled.folder, pulled.revision)
        assert "in the cache" in second.note
        assert pulled.revision[:12] in second.note


def test_older_copy_is_used_if_the_new_files_do_not_arrive_in_time(
    pulled: PulledModel, hub: HubServer, cache: Path, faces: Path
) -> None:
    publish(hub, faces, MODEL, README__md="second")
    hub.mode, hub.only = "slow", "/resolve/"
    second = pull(MODEL, cache, endpoint=hub.endpoint, download_seconds=0.4)
    assert second.revision == pulled.revision
    assert pulled.revision[:12] in second.note


def test_copy_of_another_revision_or_half_a_copy_is_not_used(pulled: PulledModel, hub: HubServer, cache: Path) -> None:
    hub.mode = "down"
    assert "no copy of ada/faces@v2" in str(failure(hub, cache, f"{MODEL}@v2"))
    (pulled.folder / "config.json").unlink()
    assert "no copy of ada/faces@main" in str(failure(hub, cache))


@pytest.mark.parametrize("mode", ["401", "404", "gated", "no hub"])
def test_copy_in_the_cache_does_not_hide_a_refusal(pulled: PulledModel, hub: HubServer, cache: Path, mode: str) -> None:
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
