"""The handlers of the Train tab: uploads become drafts, and what is refused is answered in words."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from gradio.data_classes import FileData, ListFiles
from PIL import Image

from app.faces import examples
from app.faces.library import EMBEDDED_KEY
from app.faces.studio import Studio
from app.jobs.arrivals import Upload, arrivals_folder
from app.jobs.service import Jobs
from app.jobs.supervisor import train_arguments
from app.settings import Settings
from app.tabs.train import TrainHandlers
from app.tabs.train_form import build_fields, uploads_of
from ganime.errors import CheckpointError
from tests.app.job_helpers import exists

REQUEST = gr.Request(username="me")


def beginning(start: str, image_size: int, key: str) -> tuple[None, int]:
    """Stand in for `Library.beginning` where only training from scratch is allowed."""
    if start != "scratch":
        raise CheckpointError("private")
    return None, image_size


def handlers_of(jobs: Jobs) -> TrainHandlers:
    return TrainHandlers(SimpleNamespace(library=SimpleNamespace(beginning=beginning)), jobs)  # type: ignore[arg-type]


def no_bar(*_: object, **__: object) -> None:
    """Stand in for Gradio's progress bar."""


def take(
    handlers: TrainHandlers,
    files: list[Upload],
    old: str = "",
    start: str = "scratch",
    size: int = 32,
    crop: str = "none",
) -> list:
    return handlers.take_files(files, old, "", start, size, crop, REQUEST, None, lambda *_, **__: None)  # type: ignore[arg-type]


@pytest.fixture
def copies(files: list[Upload], tmp_path: Path) -> list[Upload]:
    """Uploads that may be deleted, as they are once they are stored."""
    found = []
    for file in files:
        (tmp_path / "copies" / file.name).mkdir(parents=True)
        found.append(Upload(tmp_path / "copies" / file.name / "a.png", file.name))
        shutil.copyfile(file.path, found[-1].path)
    return found


def test_uploads_become_a_draft_that_is_decoded_at_the_size_of_training(
    open_jobs: Callable[..., Jobs], copies: list[Upload]
) -> None:
    jobs = open_jobs("mock", start=False)
    key, value, _, _ = take(handlers_of(jobs), copies)
    assert "sheet" in value
    assert [path.name.split("-")[1] for path in jobs.folder(key).cache.iterdir()] == ["32"]
    assert not [file for file in copies if file.path.exists()]


def test_rejected_uploads_leave_the_draft_before_and_accepted_ones_replace_it(
    open_jobs: Callable[..., Jobs], copies: list[Upload], tmp_path: Path
) -> None:
    jobs = open_jobs("mock", start=False, visitor_jobs=1)
    handlers = handlers_of(jobs)
    (tmp_path / "one.png").write_bytes(copies[0].path.read_bytes())
    few = tmp_path / "few.png"
    shutil.copyfile(copies[0].path, few)
    old, *_ = take(handlers, copies)
    key, value, _, _ = take(handlers, [Upload(tmp_path / "one.png", "one.png")], old)
    assert key == old
    assert "at least 16" in value["error"]
    assert [status.id for status in jobs.overview()] == [old.partition(".")[0]]
    many = [Upload(tmp_path / f"{number}.png", f"{number}.png") for number in range(16)]
    for number, upload in enumerate(many):
        shutil.copyfile(jobs.folder(old).uploads / "pictures" / f"{number:08d}-upload.png", upload.path)
    new, *_ = take(handlers, many, old)
    assert new != old
    assert (exists(jobs, old), exists(jobs, new)) == (False, True)


class Finder:
    """Takes every picture for a face, or finds no face anywhere."""

    revision, finds = "test", True

    def find(self, picture: Image.Image) -> np.ndarray:
        return np.array([[0.0, 0.0, picture.width, 0.9]] if self.finds else []).reshape(-1, 4)


def test_the_switch_crops_the_draft_and_its_training_and_a_failure_leaves_both_as_they_were(
    open_jobs: Callable[..., Jobs], copies: list[Upload], monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = Finder()
    monkeypatch.setattr("app.jobs.service.face_finder", lambda crop: finder if crop == "faces" else None)
    jobs = open_jobs("mock", start=False)
    handlers = handlers_of(jobs)
    key, value, _, _ = take(handlers, copies, crop="faces")

    def trained_with() -> str:
        words = train_arguments(jobs.get(key), jobs.folder(key), 1)
        return words[words.index("--crop") + 1]

    assert "sheet" in value
    assert trained_with() == "faces"
    value, switch = handlers.change_crop(key, "none", REQUEST, no_bar)  # type: ignore[arg-type]
    assert "sheet" in value
    assert trained_with() == "none"
    finder.finds = False
    value, switch = handlers.change_crop(key, "faces", REQUEST, no_bar)  # type: ignore[arg-type]
    assert "0 usable faces" in value["error"]
    assert (switch, trained_with()) == ("none", "none")
    assert "sideways" in handlers.change_crop(key, "sideways", REQUEST, no_bar)[0]["error"]  # type: ignore[arg-type]


def test_a_model_that_may_not_be_trained_on_is_refused_and_uploads_are_deleted(
    open_jobs: Callable[..., Jobs], copies: list[Upload]
) -> None:
    jobs = open_jobs("mock", start=False)
    handlers = handlers_of(jobs)
    assert "private" in take(handlers, copies, start="loaded")[1]["error"]
    assert not [file for file in copies if file.path.exists()]
    assert "private" in handlers.estimate("", "", "loaded", 15, 0, "modern", 64, REQUEST)[0]
    assert jobs.overview() == []


def test_a_draft_knows_how_many_of_its_files_are_faces(
    open_jobs: Callable[..., Jobs], copies: list[Upload], tmp_path: Path
) -> None:
    jobs = open_jobs("mock", start=False)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    key, *_ = take(handlers_of(jobs), [*copies, Upload(tmp_path / "broken.png", "broken.png")])
    assert jobs.status(key).faces == len(copies)


def test_faces_of_the_tray_are_trained_on_with_variations_where_they_are_few(
    open_jobs: Callable[..., Jobs], settings: Settings
) -> None:
    studio = Studio(settings)
    jobs = open_jobs("mock", start=False)
    handlers = TrainHandlers(studio, jobs)
    embedded = studio.open(EMBEDDED_KEY)
    kept = [recipe.to_json() for recipe in embedded.recipes(2, seed=7)]
    elsewhere = replace(embedded.recipes(1, seed=9)[0], revision="0" * 12).to_json()

    def use(tray: object) -> list:
        return handlers.take_tray({"tray": tray}, "", EMBEDDED_KEY, "scratch", 32, "none", REQUEST, None, no_bar)  # type: ignore[arg-type]

    key, value, _ = use([*kept, elsewhere])
    assert "31 variations of each" in value["advice"][0]
    assert "1 face of other models" in value["advice"][0]
    assert 32 <= jobs.status(key).faces <= 64  # near duplicates are skipped
    for tray in ([], None, [7], [elsewhere], ["{}"]):
        key, value, _ = use(tray)
        assert (key, len(value["error"]) > 15) == ("", True)
    assert not list((settings.temporary / "arrivals").glob("*"))
    assert studio.jobs
    studio.jobs.close()


def test_example_faces_are_drawn_once_and_become_a_draft(
    open_jobs: Callable[..., Jobs], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "EXAMPLE_COUNT", 24)
    studio = Studio(settings)
    jobs = open_jobs("mock", start=False)
    handlers, bars = TrainHandlers(studio, jobs), []

    def bar(done: tuple[int, int], **_: object) -> None:
        bars.append(done)

    def take_examples(old: str) -> list:
        return handlers.take_examples(old, EMBEDDED_KEY, "scratch", 32, "none", REQUEST, None, bar)  # type: ignore[arg-type]

    key, value, _ = take_examples("")
    assert jobs.status(key).faces == 24
    assert "sheet" in value
    assert (24, 24) in bars
    monkeypatch.setattr(examples, "example_faces", None)  # the second time they are in the home
    again, *_ = take_examples(key)
    assert (exists(jobs, key), jobs.status(again).faces) == (False, 24)
    assert len(list((settings.home / "examples").iterdir())) == 1
    assert studio.jobs
    studio.jobs.close()


def test_only_uploads_to_this_page_reach_the_form(settings: Settings) -> None:
    folder = arrivals_folder(settings)
    inside = FileData(path=str(folder / "request" / "c"), orig_name="a.png")
    outside = FileData(path=str(folder.parent / "c"), orig_name="a.png")
    assert uploads_of(ListFiles([inside]), settings) == [Upload(folder / "request" / "c", "a.png")]
    assert uploads_of(None, settings) == []
    for payload in (outside, ListFiles([inside, outside])):
        with pytest.raises(gr.Error, match="not uploaded"):
            uploads_of(payload, settings)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "sent",
    [
        ["x"],
        {"path": "/etc/passwd"},
        [{"path": "/tmp", "url": None, "size": 0, "orig_name": "x.png", "meta": 5}],
        10**400,
        "y" * 100,
        True,
        None,
    ],
    ids=["list", "dict", "files", "int", "str", "bool", "None"],
)
async def test_a_field_takes_any_value_also_once_gradio_has_made_it_anew_for_a_visitor(
    sent: object, settings: Settings
) -> None:
    with gr.Blocks():
        form = build_fields(settings, [], gr.Column())
    for field in (form.start, form.size, form.crop, form.recipe, form.images, form.name, form.minutes, form.draft):
        anew = type(field)(**field.constructor_args | {"render": False})
        assert anew.get_block_name() == field.get_block_name() in {"radio", "number", "textbox", "slider"}
        anew.preprocess(sent)
    for files in (form.files, form.folder):
        anew = type(files)(**files.constructor_args | {"render": False})
        payload = anew.data_model.model_validate(sent, context={"validate_meta": True})  # as Gradio does
        assert anew.preprocess(payload) == []
