"""The studio: models by key, pictures by recipe, and what it refuses."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from app import components
from app.components.bridge import answer_with_file, forgiving
from app.errors import JobError, JobMissing
from app.faces.library import EMBEDDED_KEY, START_KEY
from app.faces.studio import Studio
from app.jobs.uploads import Upload
from app.settings import Settings
from app.tabs.generate import face_file, zip_file
from app.tabs.interpolate import frame_file
from app.tabs.job_view import job_functions
from app.visitors import Visitor
from ganime.config import ModelConfig
from ganime.drawing.recipe import Recipe
from ganime.drawing.sampling import generate
from ganime.errors import CheckpointError, GanimeError, HubError, RecipeError
from ganime.models.checkpoint import EMBEDDED, Checkpoint, load_checkpoint, save_checkpoint
from ganime.models.hub import pull
from ganime.nets.dcgan import Generator
from tests.hub_server import HubServer

SIDE = load_checkpoint(EMBEDDED).generator.config.image_size
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
def studio(tmp_path: Path) -> Studio:
    return Studio(Settings(home=tmp_path / "home", models_in_memory=2, hub_timeout=2))


def test_embedded_model_serves_without_any_hub(studio: Studio) -> None:
    recipes = studio.recipes(EMBEDDED_KEY, 3, 5, 1.0)
    assert [recipe.seed for recipe in recipes] == [5, 6, 7]
    expected = generate(load_checkpoint(EMBEDDED), [5, 6, 7])
    assert abs(studio.faces(EMBEDDED_KEY, recipes).astype(int) - expected.astype(int)).max() <= 1


def test_seeds_begin_again_after_the_last_one(studio: Studio) -> None:
    assert [recipe.seed for recipe in studio.recipes(EMBEDDED_KEY, 3, 2**32 - 2, 1.0)] == [2**32 - 2, 2**32 - 1, 0]


@pytest.mark.parametrize(("count", "seed", "truncation"), [(0, 0, 1.0), (65, 0, 1.0), (4, -1, 1.0), (4, 0, 9.0)])
def test_what_names_no_face_is_refused(studio: Studio, count: int, seed: int, truncation: float) -> None:
    with pytest.raises(RecipeError):
        studio.recipes(EMBEDDED_KEY, count, seed, truncation)


@pytest.mark.parametrize("frames", [1, 121, 0])
def test_walk_has_bounds(studio: Studio, frames: int) -> None:
    with pytest.raises(RecipeError, match="frames"):
        studio.walk_recipes(EMBEDDED_KEY, 1, 2, frames, 1.0)


def test_png_names_the_model_that_drew_it_whatever_the_recipe_claims(studio: Studio) -> None:
    [png] = studio.face_pngs(EMBEDDED_KEY, [Recipe("someone else's", "0" * 12, 4)])
    recipe = Recipe.from_json(Image.open(io.BytesIO(png)).info["ganime"])
    assert (recipe.model, recipe.revision) == (EMBEDDED.name, load_checkpoint(EMBEDDED).revision)


def test_zip_has_one_file_for_each_recipe(studio: Studio) -> None:
    data = studio.faces_zip(EMBEDDED_KEY, studio.recipes(EMBEDDED_KEY, 5, 0, 1.0))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == [f"face-{seed}.png" for seed in range(5)]
        assert Image.open(io.BytesIO(archive.read("face-3.png"))).size == (SIDE, SIDE)


def test_loaded_model_is_drawn_from_under_its_key_and_survives_leaving_memory(studio: Studio, hub: HubServer) -> None:
    keys = [studio.library.load(f"tester/{name}").key for name in "abcd"]
    assert len(studio.library.loaded) == 2
    first = studio.faces(keys[0], studio.recipes(keys[0], 2, 0, 1.0))  # long out of memory: read from the cache again
    assert first.shape == (2, 32, 32, 3)
    assert all(key.startswith("tester/") and len(key.partition("@")[2]) == 40 for key in keys)


def test_visitors_never_borrow_the_owners_token(
    studio: Studio, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_owner")
    studio.library.load("tester/e")
    assert hub.requests
    assert not any("hf_owner" in request.authorization for request in hub.requests)


def test_key_that_was_never_loaded_asks_no_hub(studio: Studio, hub: HubServer) -> None:
    with pytest.raises(HubError, match="Load it first"):
        studio.recipes(f"tester/a@{'0' * 40}", 1, 0, 1.0)
    assert hub.requests == []


@pytest.mark.parametrize("cache", ["hub", "public-hub"])
def test_a_cached_model_that_was_never_handed_out_is_not_drawn_from(
    studio: Studio, hub: HubServer, tmp_path: Path, cache: str
) -> None:
    found = pull("tester/a", tmp_path / "home" / cache, token="hf_owner")
    for key in ("tester/a", "tester/a@main", f"tester/a@{found.revision}"):
        with pytest.raises(HubError, match="Load it first"):
            studio.recipes(key, 1, 0, 1.0)
        with pytest.raises(HubError, match="Load it first"):
            studio.library.info(key)


def test_a_private_model_stays_private_while_the_hub_is_down(tmp_path: Path, hub: HubServer) -> None:
    hub.token = "hf_owner"
    settings = Settings(home=tmp_path / "home", model="tester/a", hub_timeout=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", "hf_owner")
        studio = Studio(settings)
    assert (studio.library.start.key, studio.library.start.note) == (START_KEY, "")
    assert studio.recipes(START_KEY, 1, 0, 1.0)[0].model == "tester/a"
    with pytest.raises(CheckpointError, match="GANIME_SHARE_MODEL"):
        studio.library.trainable(START_KEY)
    assert studio.library.trainable(EMBEDDED_KEY).name == EMBEDDED.name
    hub.mode = "down"
    with pytest.raises(HubError, match="no copy"):
        studio.library.load("tester/a")


@pytest.mark.parametrize(("model", "shared"), [("tester/b", False), ("folder", True)])
def test_a_public_or_shared_start_model_can_be_trained_on_from(
    tmp_path: Path, hub: HubServer, model: str, shared: bool
) -> None:
    reference = str(tmp_path / "a") if model == "folder" else model
    studio = Studio(Settings(home=tmp_path / "home", model=reference, hub_timeout=2, share_model=shared))
    assert studio.library.trainable(START_KEY).revision == studio.library.start.revision


def test_models_not_used_for_longest_leave_a_full_disk(studio: Studio, hub: HubServer) -> None:
    first = studio.library.load("tester/a").key
    object.__setattr__(studio.library.settings, "cache_megabytes", 0)
    second = studio.library.load("tester/b").key
    for key in "cd":
        studio.library.load(f"tester/{key}")  # pushes the first two out of memory, too
    assert not list(studio.library.cache.glob("models--tester--a/snapshots/*/*"))
    for key in (first, second):
        with pytest.raises(HubError, match="Load it again"):
            studio.recipes(key, 1, 0, 1.0)


def test_model_too_slow_for_a_shared_page_is_refused(studio: Studio, hub: HubServer, tmp_path: Path) -> None:
    config = ModelConfig(image_size=256, latent_dim=8, base_channels=256, max_channels=256)
    save_checkpoint(Checkpoint(Generator(config).eval(), name="slow"), tmp_path / "slow")
    hub.add_model("tester/slow", tmp_path / "slow")
    with pytest.raises(CheckpointError, match="billion multiply-adds"):
        studio.library.load("tester/slow")


def test_file_larger_than_visitors_may_load_is_refused(studio: Studio, hub: HubServer) -> None:
    hub.claimed_sizes["model.safetensors"] = 65 * 2**20
    with pytest.raises(HubError, match=r"model\.safetensors"):
        studio.library.load("tester/f")


def test_loading_is_refused_in_words_while_others_load(studio: Studio, hub: HubServer) -> None:
    with studio.library.turn(), studio.library.turn(), pytest.raises(HubError, match="Others are loading"):
        studio.library.load("tester/a")


@pytest.mark.parametrize("reference", ["/etc", "../weights/anime-64", "weights/../weights", "C:/x", "", "a/b/c", "~/x"])
def test_visitor_cannot_name_a_path(studio: Studio, hub: HubServer, reference: str) -> None:
    with pytest.raises(HubError):
        studio.library.load(reference)


def test_failing_start_model_leaves_the_embedded_one_and_a_note(tmp_path: Path) -> None:
    studio = Studio(Settings(model=str(tmp_path / "absent"), home=tmp_path))
    assert studio.library.start.key == EMBEDDED_KEY
    assert "absent" in studio.library.start.note


def test_start_model_can_be_a_folder(tmp_path: Path) -> None:
    save_checkpoint(Checkpoint(Generator(TINY).eval(), name="mine"), tmp_path / "mine")
    studio = Studio(Settings(model=str(tmp_path / "mine"), home=tmp_path))
    assert (studio.library.start.name, studio.library.start.image_size, studio.library.start.note) == ("mine", 32, "")
    assert studio.library.embedded().image_size == SIDE


def trained_job(studio: Studio, draw_face: Callable[..., Image.Image], folder: Path) -> str:
    """The key of a job that is called <b>mine</b> and has a model."""
    assert studio.jobs
    draw_face(1).save(folder / "face.png")
    key = studio.jobs.draft([Upload(folder / "face.png", "face.png")], Visitor("me"))
    with studio.jobs.changing(key) as (_, job):
        job.name = "<b>mine</b>"
    save_checkpoint(Checkpoint(Generator(TINY).eval()), studio.jobs.folder(key).run / "saves" / "best")
    return key


def test_model_of_a_job_draws_under_the_visitors_name_and_never_tells_the_key(
    studio: Studio, draw_face: Callable[..., Image.Image], tmp_path: Path
) -> None:
    job = trained_job(studio, draw_face, tmp_path)
    info = studio.library.load_job(job)
    assert (info.name, info.image_size) == ("<b>mine</b>", 32)
    [png] = studio.face_pngs(info.key, studio.recipes(info.key, 1, 7, 1.0))
    text = Image.open(io.BytesIO(png)).info["ganime"]
    recipe = Recipe.from_json(text)
    assert (recipe.model, recipe.revision) == ("<b>mine</b>", info.revision)
    assert job.partition(".")[2] not in text
    studio.library.loaded.clear()
    assert studio.library.checkpoint(info.key).revision == info.revision  # read from the disk again


def test_model_of_a_job_opens_with_its_own_key_alone_and_until_it_is_deleted(
    studio: Studio, draw_face: Callable[..., Image.Image], tmp_path: Path
) -> None:
    job = trained_job(studio, draw_face, tmp_path)
    key = studio.library.load_job(job).key
    for wrong in ("job:", "job:@", "job:../x@1", key.replace(job, job[:-4] + "aaaa"), key.replace(job, "0" * 16)):
        with pytest.raises(JobMissing):
            studio.recipes(wrong, 1, 0, 1.0)
    assert studio.jobs
    studio.jobs.delete(job)
    with pytest.raises(JobMissing):
        studio.recipes(key, 1, 0, 1.0)


def test_model_that_has_learnt_on_must_be_chosen_again(
    studio: Studio, draw_face: Callable[..., Image.Image], tmp_path: Path
) -> None:
    job = trained_job(studio, draw_face, tmp_path)
    key = studio.library.load_job(job).key
    assert studio.jobs
    save_checkpoint(Checkpoint(Generator(TINY).eval()), studio.jobs.folder(job).run / "saves" / "best")
    studio.library.loaded.clear()
    with pytest.raises(CheckpointError, match="Choose it again"):
        studio.recipes(key, 1, 0, 1.0)
    assert studio.library.load_job(job).key != key


def test_where_training_is_off_there_are_no_jobs(tmp_path: Path) -> None:
    studio = Studio(Settings(home=tmp_path / "home", training="off"))
    assert studio.jobs is None
    for ask in (studio.library.load_job, lambda key: studio.library.checkpoint(f"job:{key}@0")):
        with pytest.raises(JobError, match="switched off"):
            ask("0.0")


@pytest.mark.parametrize("arguments", [None, [], [7], ["x"], [["x"] * 51], ["x", -1], ["x", 10**9], {"key": "x"}])
def test_nonsense_asked_about_jobs_is_answered_in_words(studio: Studio, arguments: object) -> None:
    assert studio.jobs
    for function in job_functions(studio.jobs):
        answer = function(arguments)
        assert answer in ({"jobs": []}, {}) or len(answer["error"]) > 15  # what is over may be left once more


@pytest.mark.parametrize(("given", "taken"), [(65, 64), (-1, 1), (None, 1), (float("nan"), 1), ("x", 1), (7, 7)])
def test_slider_takes_what_is_out_of_range_as_its_nearest_end(given: object, taken: int) -> None:
    assert forgiving(gr.Slider(1, 64, step=1)).preprocess(given) == taken


def test_many_threads_draw_the_same_faces(studio: Studio) -> None:
    recipes = studio.recipes(EMBEDDED_KEY, 4, 0, 1.0)
    drawn: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: drawn.append(studio.faces(EMBEDDED_KEY, recipes))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(drawn) == 6
    assert all(np.array_equal(faces, drawn[0]) for faces in drawn)


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (face_file, None),
        (face_file, []),
        (face_file, {"key": "embedded"}),
        (face_file, ["embedded", "{}", 0]),
        (face_file, ["embedded", "[" * 50_000, 0]),
        (face_file, ["embedded", '{"model":"","revision":"","seed":1}', 100_000]),
        (face_file, [["embedded"], '{"model":"","revision":"","seed":1}', 0]),
        (face_file, ["../../etc", '{"model":"","revision":"","seed":1}', 0]),
        (zip_file, ["embedded", []]),
        (zip_file, ["embedded", ['{"model":"","revision":"","seed":1}'] * 65]),
        (face_file, ["tester/never", '{"model":"","revision":"","seed":1}', 0]),
        (frame_file, ["embedded", '{"model":"","revision":"","seed":1,"toward":-2,"position":0.5}', 0]),
    ],
)
def test_nonsense_from_the_network_is_answered_in_words(studio: Studio, make, arguments) -> None:
    answer = answer_with_file(make(studio))(arguments)
    assert list(answer) == ["error"]
    assert len(answer["error"]) > 15


def test_a_busy_page_answers_in_words_instead_of_holding_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components, "PATIENCE", 0.05)
    files, begun, go_on = components.Turn(1), threading.Event(), threading.Event()

    def slow() -> dict[str, str]:
        begun.set()
        go_on.wait(10)
        return {"name": "done"}

    answers: list[dict[str, str]] = []
    serve = components.answered(slow, turn=files)
    first = threading.Thread(target=lambda: answers.append(serve([])))
    first.start()
    assert begun.wait(10)
    assert "Others are being served" in serve([])["error"]
    go_on.set()
    first.join()
    assert answers == [{"name": "done"}]
    assert serve([]) == {"name": "done"}


def test_who_comes_while_enough_wait_is_refused_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components, "WAITING", 0)
    monkeypatch.setattr(components, "PATIENCE", 1000.0)
    turn = components.Turn(1)
    for _ in range(2):  # a turn that is over makes room again
        with turn, pytest.raises(GanimeError, match="Others are being served"), turn:
            pytest.fail("Two had their turn at once.")
