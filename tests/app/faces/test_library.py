"""The library: models by key, from the hub, the owner and training jobs, and who may use which."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from app import loading
from app.errors import JobError, JobMissing
from app.faces import library
from app.faces.library import EMBEDDED_KEY, LOADED, START_KEY
from app.faces.publishing import Statement, Target, is_copying, publication
from app.faces.studio import Studio
from app.jobs.arrivals import Upload
from app.jobs.store import FINISHED
from app.settings import Settings
from app.visitors import Visitor
from ganime.config import SCRATCH, ModelConfig
from ganime.drawing.recipe import Recipe
from ganime.embedded import EMBEDDED
from ganime.errors import CheckpointError, GanimeError, HubError
from ganime.images import png_bytes
from ganime.models import checkpoint
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ganime.models.hub import pull
from ganime.nets.clarity import CLARITY_FILE
from ganime.nets.dcgan import Generator, load_net
from tests.hub_server import HubServer

TINY = ModelConfig(image_size=32, latent_dim=8, base_channels=4, max_channels=16)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub with the models tester/a ... tester/f."""
    with HubServer() as server:
        template = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.endpoint)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        for name in "abcdef":
            save_checkpoint(Checkpoint(Generator(TINY).eval(), name=name), tmp_path / name)
            server.add_model(f"tester/{name}", tmp_path / name)
        yield server


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    monkeypatch.setattr(library, "MODELS_IN_MEMORY", 2)
    return Studio(Settings(home=tmp_path / "home", hub_timeout=10))


def test_a_loaded_model_is_found_by_its_key_also_after_eviction_from_memory(studio: Studio, hub: HubServer) -> None:
    keys = [studio.library.load(f"tester/{name}").key for name in "abcd"]
    assert len(studio.library.recent.all_keys()) == 2
    evicted = studio.open(keys[0])  # loaded from the disk again
    assert evicted.draw(evicted.recipes(2, 0, 1.0)).faces.shape == (2, 32, 32, 3)
    assert all(key.startswith("tester/") and len(key.partition("@")[2]) == 40 for key in keys)


def test_large_models_leave_the_memory_earlier(studio: Studio, hub: HubServer) -> None:
    studio.library.recent.most = 1
    keys = [studio.library.load(f"tester/{name}").key for name in "ab"]
    assert studio.library.recent.all_keys() == keys[1:]


def test_loading_for_a_visitor_never_sends_the_owners_token(
    studio: Studio, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_owner")
    studio.library.load("tester/e")
    assert hub.requests
    assert not any("hf_owner" in request.authorization for request in hub.requests)


def test_an_unknown_key_causes_no_request_to_the_hub(studio: Studio, hub: HubServer) -> None:
    with pytest.raises(HubError, match="Load it first"):
        studio.open(f"tester/a@{'0' * 40}")
    assert hub.requests == []


@pytest.mark.parametrize("cache", ["hub", "public-hub"])
def test_a_cached_model_whose_key_was_never_issued_is_refused(
    studio: Studio, hub: HubServer, tmp_path: Path, cache: str
) -> None:
    found = pull("tester/a", tmp_path / "home" / cache, token="hf_owner")
    for key in ("tester/a", "tester/a@main", f"tester/a@{found.revision}"):
        with pytest.raises(HubError, match="Load it first"):
            studio.open(key)
        with pytest.raises(HubError, match="Load it first"):
            studio.library.info(key)


def test_a_private_model_stays_private_while_the_hub_is_down(tmp_path: Path, hub: HubServer) -> None:
    hub.token = "hf_owner"
    settings = Settings(home=tmp_path / "home", model="tester/a", hub_timeout=10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", "hf_owner")
        studio = Studio(settings)
    assert (studio.library.start.key, studio.library.start.note) == (START_KEY, "")
    assert studio.open(START_KEY).checkpoint.name == "tester/a"
    with pytest.raises(CheckpointError, match="GANIME_SHARE_MODEL"):
        studio.library.trainable(START_KEY)
    assert studio.library.trainable(EMBEDDED_KEY).name == EMBEDDED.name
    hub.mode = "down"
    with pytest.raises(HubError, match="no copy"):
        studio.library.load("tester/a")


@pytest.mark.parametrize(("model", "shared"), [("tester/b", False), ("folder", True)])
def test_training_can_continue_from_a_public_or_shared_start_model(
    tmp_path: Path, hub: HubServer, model: str, shared: bool
) -> None:
    reference = str(tmp_path / "a") if model == "folder" else model
    studio = Studio(Settings(home=tmp_path / "home", model=reference, hub_timeout=10, share_model=shared))
    assert studio.library.trainable(START_KEY).revision == studio.library.start.revision


@pytest.mark.parametrize("size", [32, 64, 128, 256])
def test_a_job_of_any_image_size_begins_from_the_embedded_model_or_from_scratch(studio: Studio, size: int) -> None:
    assert studio.library.beginning(EMBEDDED_KEY, size) == (EMBEDDED, size)
    assert studio.library.beginning(SCRATCH, size) == (None, size)


def test_a_job_that_begins_from_the_model_in_use_keeps_its_image_size(studio: Studio, hub: HubServer) -> None:
    key = studio.library.load("tester/a").key
    assert studio.library.beginning(LOADED, 128, key) == (studio.open(key).checkpoint.folder, 32)


@pytest.mark.parametrize(("start", "size"), [("", 64), (LOADED, 64), ("../x", 64), (EMBEDDED_KEY, 63), (SCRATCH, "64")])
def test_a_job_cannot_begin_from_anything_else(studio: Studio, start: str, size: int) -> None:
    with pytest.raises(JobError, match="must be one of"):
        studio.library.beginning(start, size)


def test_the_least_recently_used_models_are_deleted_from_a_full_disk(studio: Studio, hub: HubServer) -> None:
    first = studio.library.load("tester/a").key
    object.__setattr__(studio.library.settings, "cache_megabytes", 0)
    second = studio.library.load("tester/b").key
    for key in "cd":
        studio.library.load(f"tester/{key}")  # pushes the first two out of memory, too
    assert not list(studio.library.cache.glob("models--tester--a/snapshots/*/*"))
    for key in (first, second):
        with pytest.raises(HubError, match="Load it again"):
            studio.open(key)


def test_older_revisions_and_refused_models_do_not_fill_the_cache(
    studio: Studio, hub: HubServer, tmp_path: Path
) -> None:
    object.__setattr__(studio.library.settings, "cache_megabytes", 0)
    for revision in ("v1", "v2", "v3"):
        save_checkpoint(Checkpoint(Generator(TINY).eval(), name=revision), tmp_path / revision)
        hub.add_model("tester/many", tmp_path / revision, revision=revision)
        newest = studio.library.load(f"tester/many@{revision}").key
    kept = [path.name for path in studio.library.cache.glob("models--*/snapshots/*")]
    assert kept == [newest.partition("@")[2]]
    (tmp_path / "v1" / "config.json").write_text("{")
    hub.add_model("tester/broken", tmp_path / "v1")
    with pytest.raises(GanimeError):
        studio.library.load("tester/broken")
    assert not list(studio.library.cache.glob("models--*/snapshots/*"))


def test_a_model_that_is_too_slow_for_a_shared_page_is_refused(studio: Studio, hub: HubServer, tmp_path: Path) -> None:
    config = ModelConfig(image_size=256, latent_dim=8, base_channels=256, max_channels=256)
    save_checkpoint(Checkpoint(Generator(config).eval(), name="slow"), tmp_path / "slow")
    hub.add_model("tester/slow", tmp_path / "slow")
    with pytest.raises(CheckpointError, match="billion multiply-adds"):
        studio.library.load("tester/slow")


def test_a_model_file_over_the_limit_of_the_page_is_refused(studio: Studio, hub: HubServer) -> None:
    hub.claimed_sizes["model.safetensors"] = 65 * 2**20
    with pytest.raises(HubError, match=r"model\.safetensors"):
        studio.library.load("tester/f")


@pytest.mark.parametrize("reference", ["/etc", "../weights/anime-64", "weights/../weights", "C:/x", "", "a/b/c", "~/x"])
def test_a_visitor_cannot_load_from_a_path(studio: Studio, hub: HubServer, reference: str) -> None:
    with pytest.raises(HubError):
        studio.library.load(reference)


def test_a_start_model_that_fails_is_replaced_by_the_embedded_one_with_a_note(tmp_path: Path) -> None:
    studio = Studio(Settings(model=str(tmp_path / "absent"), home=tmp_path))
    assert studio.library.start.key == EMBEDDED_KEY
    assert "absent" in studio.library.start.note


def test_the_start_model_can_be_a_folder(tmp_path: Path) -> None:
    save_checkpoint(Checkpoint(Generator(TINY).eval(), name="mine"), tmp_path / "mine")
    studio = Studio(Settings(model=str(tmp_path / "mine"), home=tmp_path))
    assert (studio.library.start.name, studio.library.start.image_size, studio.library.start.note) == ("mine", 32, "")
    assert studio.library.embedded().image_size == load_checkpoint(EMBEDDED).generator.config.image_size


def forget_all(studio: Studio) -> None:
    """Evict all models from memory."""
    for key in studio.library.recent.all_keys():
        studio.library.recent.discard(key)


def trained_job(studio: Studio, draw_face: Callable[..., Image.Image], folder: Path) -> str:
    """The key of a job that is called <b>mine</b> and has a model."""
    assert studio.jobs
    draw_face(1).save(folder / "face.png")
    key = studio.jobs.draft([Upload(folder / "face.png", "face.png")], Visitor("me"), 32)
    with studio.jobs.changing(key) as (_, job):
        job.name = "<b>mine</b>"
    save_checkpoint(Checkpoint(Generator(TINY).eval()), studio.jobs.folder(key).run / "saves" / "best")
    return key


def test_every_way_to_a_model_keeps_to_the_number_that_are_loaded_at_a_time(
    studio: Studio,
    hub: HubServer,
    draw_face: Callable[..., Image.Image],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models, jobs = studio.library, studio.jobs
    assert jobs
    job = trained_job(studio, draw_face, tmp_path)
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        for file in (tmp_path / "a").iterdir():
            archive.write(file, file.name)
    keys = [models.load("tester/b").key, models.load_job(job).key]
    alone, held = threading.BoundedSemaphore(1), []
    monkeypatch.setattr(loading, "places", alone)

    def load(*given: Any) -> Any:
        held.append(not alone.acquire(blocking=False))
        if not held[-1]:
            alone.release()
        return load_net(*given)

    monkeypatch.setattr(checkpoint, "load_net", load)
    keys.append(models.load("tester/c").key)
    assert held == [True]  # and read no second time
    keys.append(models.load_file(tmp_path / "model.zip", "mine.zip").key)
    assert held == [True] * 3
    for key in keys:
        forget_all(studio)
        models.checkpoint(key)  # from the disk again
    assert held == [True] * 7
    known = models.checkpoint(keys[1])
    assert known.clarity is None
    (jobs.folder(job).run / "saves" / "best" / CLARITY_FILE).touch()  # as fitted meanwhile
    models.renew(keys[1])
    models.recent.discard(keys[1])
    jobs.archive(job)
    jobs.card(job)
    assert not is_copying(jobs, job)
    with jobs.changing(job) as (_, row):
        row.state = FINISHED
    publication(jobs, "me", job, Target("me/mine", True), Statement("my own", "mit"), "hf_me", False, nullcontext())
    studio.inspector.with_discriminator(keys[1], known)
    assert known.folder
    loading.copy_model(known.folder, tmp_path / "copy")
    assert held == [True] * len(held)
    assert len(held) >= 14  # each of these at least once


def test_the_model_of_a_job_has_the_visitors_name_and_no_trace_of_the_key(
    studio: Studio, draw_face: Callable[..., Image.Image], tmp_path: Path
) -> None:
    job = trained_job(studio, draw_face, tmp_path)
    info = studio.library.load_job(job)
    assert (info.name, info.image_size) == ("<b>mine</b>", 32)
    model = studio.open(info.key)
    [png] = model.pngs(model.recipes(1, 7, 1.0))
    text = Image.open(io.BytesIO(png)).info["ganime"]
    recipe = Recipe.from_json(text)
    assert (recipe.model, recipe.revision) == ("<b>mine</b>", info.revision)
    assert job.partition(".")[2] not in text
    forget_all(studio)
    assert studio.library.checkpoint(info.key).revision == info.revision  # read from the disk again


def test_the_model_of_a_job_opens_only_with_its_key_and_only_until_it_is_deleted(
    studio: Studio, draw_face: Callable[..., Image.Image], tmp_path: Path
) -> None:
    job = trained_job(studio, draw_face, tmp_path)
    key = studio.library.load_job(job).key
    for wrong in ("job:", "job:@", "job:../x@1", key.replace(job, job[:-4] + "aaaa"), key.replace(job, "0" * 16)):
        with pytest.raises(JobMissing):
            studio.open(wrong)
    assert studio.jobs
    studio.jobs.delete(job)
    with pytest.raises(JobMissing):
        studio.open(key)


def test_a_model_that_was_trained_further_must_be_chosen_again(
    studio: Studio, draw_face: Callable[..., Image.Image], tmp_path: Path
) -> None:
    job = trained_job(studio, draw_face, tmp_path)
    key = studio.library.load_job(job).key
    assert studio.jobs
    save_checkpoint(Checkpoint(Generator(TINY).eval()), studio.jobs.folder(job).run / "saves" / "best")
    forget_all(studio)
    with pytest.raises(CheckpointError, match="Choose it again"):
        studio.open(key)
    assert studio.library.load_job(job).key != key


def test_there_are_no_jobs_when_training_is_off(tmp_path: Path) -> None:
    studio = Studio(Settings(home=tmp_path / "home", training="off"))
    assert studio.jobs is None
    for ask in (studio.library.load_job, lambda key: studio.library.checkpoint(f"job:{key}@0")):
        with pytest.raises(JobError, match="switched off"):
            ask("0.0")


def test_the_model_that_drew_a_face_is_found_by_its_weights_only(steered_folder: Path, tmp_path: Path) -> None:
    studio = Studio(Settings(model=str(steered_folder), home=tmp_path))
    library, jobs, revision = studio.library, studio.jobs, load_checkpoint(steered_folder).revision
    assert jobs
    assert library.key_of("any name", revision) == START_KEY
    assert library.key_of("any name", library.embedded().revision) == EMBEDDED_KEY
    keys = []
    for place, name in enumerate(("other", "mine", "mine")):
        png = png_bytes(np.zeros((8, 8, 3), np.uint8))
        (tmp_path / "face.png").write_bytes(png)
        keys.append(jobs.draft([Upload(tmp_path / "face.png", "face.png")], Visitor(str(place)), 32))
        with jobs.changing(keys[-1]) as (_, job):
            job.name = name
        torch.manual_seed(place)
        save_checkpoint(Checkpoint(Generator(TINY).eval()), jobs.folder(keys[-1]).run / "saves" / "best")
    wanted = library.load_job(keys[2])
    assert library.key_of("mine", wanted.revision, "", ["no key", *keys]) == wanted.key
    forget_all(studio)
    assert library.key_of("mine", wanted.revision, wanted.key) == wanted.key
    with pytest.raises(CheckpointError, match="trained elsewhere or by another visitor"):
        library.key_of("mine", wanted.revision, "", keys[:2])
    with pytest.raises(CheckpointError, match="other weights by now"):
        library.key_of(library.embedded().name, "0" * 12)
    jobs.delete(keys[2])
    with pytest.raises(CheckpointError, match="was deleted"):  # so undo leads past its faces
        library.key_of("mine", wanted.revision, wanted.key)


def test_info_states_where_a_model_came_from(steered_studio: Studio) -> None:
    library = steered_studio.library
    assert (library.info(START_KEY).key, library.info(EMBEDDED_KEY).origin) == (START_KEY, "embedded")
    assert library.info(START_KEY).origin.startswith("from ")
    with pytest.raises(GanimeError, match="tester/gone"):
        library.info(f"tester/gone@{'0' * 40}")
