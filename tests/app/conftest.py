"""Fixtures for tests of the page: settings, training jobs with a stand-in for their trainer, and uploaded faces."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

import psutil
import pytest
from PIL import Image

from app.faces.library import START_KEY
from app.faces.loaded_model import LoadedModel
from app.faces.studio import Studio
from app.jobs.arrivals import Upload
from app.jobs.options import JobOptions
from app.jobs.service import Jobs
from app.settings import Settings
from ganime.drawing.recipe import Recipe
from tests.app.job_helpers import children_of
from tests.page_server import ROOT, serve
from tests.trainers import options_for

OPTION_NAMES = {field.name for field in fields(JobOptions)}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def open_jobs(settings: Settings) -> Iterator[Callable[..., Jobs]]:
    """open_jobs(kind, setting=value, option=value, ...): jobs with a stand-in as trainer; its processes are killed."""
    opened: list[Jobs] = []

    def make(kind: str = "mock", start: bool = True, **changes: object) -> Jobs:
        options = {name: value for name, value in changes.items() if name in OPTION_NAMES}
        changed = {name: value for name, value in changes.items() if name not in OPTION_NAMES}
        jobs = Jobs(settings.model_copy(update=changed), replace(options_for(kind), **options))
        if start:
            jobs.start()
        opened.append(jobs)
        return jobs

    yield make
    for jobs in opened:
        jobs.close()
    for process in children_of(settings.home):
        with contextlib.suppress(psutil.Error):
            process.kill()
            process.wait(10)


@pytest.fixture
def studio(settings: Settings) -> Iterator[Studio]:
    """A studio with jobs that nothing supervises."""
    studio = Studio(settings)
    assert studio.jobs
    yield studio
    studio.jobs.close()


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory, draw_face: Callable[..., Image.Image]) -> list[Upload]:
    """Sixteen faces as Gradio hands them over."""
    folder = tmp_path_factory.mktemp("uploaded")
    for seed in range(16):
        draw_face(seed).save(folder / f"face{seed}.png")
    return [Upload(path, path.name) for path in sorted(folder.iterdir())]


@pytest.fixture(scope="session")
def running_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def running(running_home: Path, steered_folder: Path) -> Iterator[str]:
    """The address of a page that starts with the tiny model and trains with the trainers of tests/trainers.py."""
    limits = {"UPLOAD_FACES": 40, "UPLOAD_MEGABYTES": 2, "VISITOR_JOBS": 2, "MODEL": steered_folder}
    variables = {f"GANIME_{name}": str(value) for name, value in limits.items()}
    variables |= {"GRADIO_TEMP_DIR": str(running_home / "gradio"), "GRADIO_SHARE": "true"}
    with serve(running_home, (str(ROOT / "tests" / "trainers.py"), "app", "mock"), **variables) as address:
        yield address
    for process in children_of(running_home):
        process.kill()


@pytest.fixture(scope="session")
def steered_studio(steered_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """A studio that starts with the tiny model and its two directions, without training."""
    return Studio(Settings(model=str(steered_folder), home=tmp_path_factory.mktemp("home"), training="off"))


@pytest.fixture(scope="session")
def model(steered_studio: Studio) -> LoadedModel:
    return steered_studio.open(START_KEY)


@pytest.fixture
def recipe(model: LoadedModel) -> Recipe:
    return Recipe("tiny", model.checkpoint.revision, 7, 0.8)
