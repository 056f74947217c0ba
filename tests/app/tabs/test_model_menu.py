"""The models on the page: what its JavaScript learns of one, and how a visitor changes to another."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.faces.library import EMBEDDED_KEY, START_KEY
from app.faces.loaded_model import LOCKS
from app.faces.studio import Studio
from app.jobs.arrivals import Upload
from app.jobs.service import Jobs
from app.jobs.store import RUNNING
from app.settings import Settings
from app.tabs.model_menu import model_functions, model_value
from app.visitors import Visitor
from ganime.drawing.clarity import DEFAULT_CLARITY
from ganime.drawing.directions import DIRECTION_FILES, DIRECTION_INDEX_FILE, MAX_STRENGTH
from ganime.drawing.recipe import Recipe
from ganime.embedded import EMBEDDED
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ganime.nets.clarity import CLARITY_FILE, QUANTILES, WIDTHS, Clarity, save_clarity
from ganime.nets.dcgan import Generator
from tests.app.job_helpers import change
from tests.app.tabs.conftest import Functions, by_name
from tests.hub_server import HubServer
from tests.trainers import write


def test_a_model_is_described_with_its_sliders_and_limits(steered_studio: Studio) -> None:
    value = model_value(steered_studio, steered_studio.library.start)
    checkpoint = steered_studio.open(START_KEY).checkpoint
    assert (value["key"], value["model"], value["revision"]) == (START_KEY, "tiny", checkpoint.revision)
    assert (value["side"], value["clarity"]) == (32, 0.0)
    assert len(value["openers"]) >= 4
    assert [(one["name"], one["label"], one["group"]) for one in value["steers"]] == [
        ("smile", "Smile", "Expression"),
        ("sefa-1", "Change 1", "Without a name"),
    ]
    assert value["steers"][0]["range"] == [-MAX_STRENGTH, MAX_STRENGTH]  # without a clarity nothing is known of them
    assert value["locks"] == ["expression"]
    assert {"blue_hair", "smile"} <= {one["name"] for one in value["attributes"]}
    assert value["training"] is False


def test_the_embedded_model_has_openers_locks_and_ranges_in_which_faces_hold(functions: Functions) -> None:
    value = functions["embedded_model"]([])
    assert (value["key"], value["model"], value["clarity"]) == (EMBEDDED_KEY, EMBEDDED.name, DEFAULT_CLARITY)
    assert value["model"] == value["embedded"]
    assert value["locks"] == list(LOCKS)
    assert len(value["openers"]) >= 4
    for slider in value["steers"]:
        low, high = slider["range"]
        assert -MAX_STRENGTH <= low < 0 < high <= MAX_STRENGTH, slider["name"]
    assert any(slider["range"] != [-MAX_STRENGTH, MAX_STRENGTH] for slider in value["steers"])


def test_damaged_directions_are_reported_and_everything_else_works(steered_folder: Path, tmp_path: Path) -> None:
    studio = damaged_studio(steered_folder, tmp_path, DIRECTION_INDEX_FILE)
    value = model_value(studio, studio.library.start)
    assert (value["steers"], value["locks"]) == ([], [])
    assert "damaged" in value["note"]
    assert studio.open(START_KEY).draw([Recipe("tiny", value["revision"], 1)]).faces.shape == (1, 32, 32, 3)


def test_a_damaged_clarity_takes_no_sliders_away(steered_folder: Path, tmp_path: Path) -> None:
    studio = damaged_studio(steered_folder, tmp_path, CLARITY_FILE)
    value = model_value(studio, studio.library.start)
    assert (value["clarity"], value["note"], len(value["steers"])) == (0.0, "", 2)
    assert studio.open(START_KEY).draw([Recipe("tiny", value["revision"], 1)]).faces.shape == (1, 32, 32, 3)


def damaged_studio(steered_folder: Path, tmp_path: Path, name: str) -> Studio:
    """A studio on a copy of a model, of which one file is damaged."""
    shutil.copytree(steered_folder, tmp_path / "tiny")
    (tmp_path / "tiny" / name).write_text("{", encoding="utf-8")
    return Studio(Settings(model=str(tmp_path / "tiny"), home=tmp_path, training="off"))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("hub_model", []),
        ("hub_model", [7]),
        ("hub_model", [""]),
        ("hub_model", ["nonsense"]),
        ("hub_model", ["../../etc/passwd"]),
        ("hub_model", ["<b>x</b>/<img src=x>"]),
        ("hub_model", ["a/" + "b" * 300]),
        ("job_model", ["nobody's"]),
        ("job_model", ["../../x"]),
        ("job_model", ["x" * 201]),
        ("drawing_model", ["{}", "", []]),
        ("drawing_model", ["[" * 5000, "", []]),
        ("drawing_model", ['{"model":"","revision":"","seed":1}', "x" * 201, []]),
        ("drawing_model", ['{"model":"","revision":"","seed":1}', "", ["x"] * 1000]),
    ],
)
def test_nonsense_from_the_network_is_answered_in_words(functions: Functions, name: str, arguments: list[Any]) -> None:
    answer = functions[name](arguments)
    assert list(answer) == ["error"]
    assert len(answer["error"]) > 15


def test_the_model_that_drew_a_face_is_found_by_its_weights(functions: Functions, steered_studio: Studio) -> None:
    for key in (START_KEY, EMBEDDED_KEY):
        checkpoint = steered_studio.open(key).checkpoint
        face = Recipe("a name that nobody knows", checkpoint.revision, 1)
        assert functions["drawing_model"]([face.to_json(), "", []])["key"] == key


def test_weights_that_no_retry_brings_back_are_refused_for_good(functions: Functions) -> None:
    for name in ("tiny", "trained elsewhere", EMBEDDED.name):
        answer = functions["drawing_model"]([Recipe(name, "0" * 12, 1).to_json(), "", []])
        assert list(answer) == ["final"], name
        assert name in answer["final"]


def test_a_hub_that_fails_is_told_in_words_and_loads_once_it_works(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HubServer() as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.endpoint)
        template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        hub.add_model("tester/tiny", tiny_folder)
        studio = Studio(Settings(home=tmp_path, training="off", hub_timeout=10))
        functions = by_name(model_functions(studio))
        for mode, name in (("ok", "tester/absent"), ("500", "tester/tiny"), ("401", "tester/tiny")):
            hub.mode = mode
            answer = functions["hub_model"]([name])
            assert list(answer) == ["error"], mode
            assert name in answer["error"]
            assert "Error(" not in answer["error"]  # the words of no library
        hub.mode = "ok"
        value = functions["hub_model"](["tester/tiny"])
        assert (value["model"], value["trained"]) == ("tester/tiny", False)
        assert value["key"].startswith("tester/tiny@")


def test_a_private_model_of_a_job_is_had_with_its_key_alone(
    open_jobs: Callable[..., Jobs], files: list[Upload], tiny: Checkpoint, settings: Settings
) -> None:
    studio = Studio(settings)
    assert studio.jobs
    key = studio.jobs.draft(files, Visitor("me"), 32)
    with studio.jobs.changing(key) as (_, row):
        row.name = "<b>mine</b>"
    save_checkpoint(tiny, studio.jobs.folder(key).run / "saves" / "best")
    functions = by_name(model_functions(studio))
    value = functions["job_model"]([key])
    assert (value["model"], value["trained"], value["key"].startswith("job:")) == ("<b>mine</b>", True, True)
    face = Recipe("<b>mine</b>", value["revision"], 1).to_json()
    assert functions["drawing_model"]([face, "", [key]])["key"] == value["key"]
    assert list(functions["drawing_model"]([face, "", []])) == ["final"]  # to those without the key


def flat_clarity(dim: int) -> Clarity:
    """A clarity to which all faces are equally clear."""
    sides = list(pairwise((dim, *WIDTHS, 1)))
    weights, biases = [np.zeros(shape) for shape in sides], [np.zeros(outputs) for _, outputs in sides]
    return Clarity(tuple(weights), tuple(biases), np.eye(dim)[:1], np.zeros(QUANTILES))


def test_sliders_that_a_job_has_yet_to_fit_are_awaited_and_come_with_the_clarity_without_loading_the_model_anew(
    open_jobs: Callable[..., Jobs], files: list[Upload], steered_folder: Path, settings: Settings
) -> None:
    studio = Studio(settings)
    assert studio.jobs
    key = studio.jobs.draft(files, Visitor("me"), 32)
    tiny, folder = load_checkpoint(steered_folder), studio.jobs.folder(key).run / "saves" / "best"
    save_checkpoint(tiny, folder)
    functions = by_name(model_functions(studio))
    assert functions["job_model"]([key])["awaited"] == ""
    change(studio.jobs, key, state=RUNNING, started=time.time() - 1)
    run = studio.jobs.folder(key).run
    write(run, "Working", 64, activity="training")
    value = functions["job_model"]([key])
    assert "at the end of its job" in value["awaited"]
    write(run, "Working", 64, activity="checking sliders", progress=0.5)
    assert "being fitted" in functions["renewed_model"]([value["key"]])["awaited"]
    for name in DIRECTION_FILES:
        shutil.copyfile(steered_folder / name, folder / name)
    save_clarity(flat_clarity(tiny.generator.config.latent_dim), tiny.revision, folder)
    renewed = functions["renewed_model"]([value["key"]])
    assert (renewed["key"], renewed["awaited"], len(renewed["steers"])) == (value["key"], "", 2)
    assert renewed["clarity"] > value["clarity"] == 0
    save_checkpoint(Checkpoint(Generator(tiny.generator.config).eval()), folder)  # it has trained on
    assert functions["renewed_model"]([value["key"]])["revision"] == value["revision"]
