"""Discriminators and training faces: what is loaded and kept, and that every use of a network holds the device."""

from __future__ import annotations

import gc
import shutil
import threading
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

from app.errors import JobMissing
from app.faces import inspection
from app.faces.inspection import load_discriminator
from app.faces.library import EMBEDDED_KEY, START_KEY
from app.faces.studio import Studio
from app.recently_used import RecentlyUsed
from app.settings import Settings
from ganime.drawing.recipe import Recipe
from ganime.embedded import EMBEDDED
from ganime.faces.dataset import FaceDataset, load_faces
from ganime.measuring.copies import Comparison
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from tests.locks import CountingLock

JOB = "job:0123.secret@0123"


@pytest.fixture
def studio(tiny_folder: Path, tmp_path: Path) -> Studio:
    return Studio(Settings(model=str(tiny_folder), home=tmp_path, training="off"))


def test_simultaneous_requests_load_one_discriminator_once(
    studio: Studio, tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, recipe = studio.open(START_KEY), Recipe("tiny", tiny.revision, 7, 0.8)
    model.inside(recipe)  # the first use of the networks takes seconds
    for key in studio.inspector.discriminators.all_keys():
        studio.inspector.discriminators.discard(key)
    read, answers, loading = [], [], CountingLock()

    def slow(checkpoint: Checkpoint) -> Checkpoint:
        read.append(checkpoint.revision)
        loading.wait_for(3 if len(read) == 1 else 0)  # requests, all of which have found none that is loaded
        return load_discriminator(checkpoint)

    monkeypatch.setattr(studio.inspector, "loading", loading)
    monkeypatch.setattr(inspection, "load_discriminator", slow)
    crowd = [threading.Thread(target=lambda: answers.append(model.inside(recipe))) for _ in "abc"]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert len(read) == 1
    assert all(answer.generator and answer.discriminator for answer in answers)
    assert len(answers) == 3


@pytest.mark.parametrize("has_discriminator", [True, False])
def test_a_model_that_was_looked_inside_of_is_not_held_for_that(
    studio: Studio, tiny_folder: Path, has_discriminator: bool
) -> None:
    checkpoint = load_checkpoint(tiny_folder)
    if not has_discriminator:
        checkpoint = replace(checkpoint, folder=None)
    complete, _ = studio.inspector.with_discriminator("key", checkpoint)
    assert (complete.discriminator is not None) == has_discriminator
    generator = weakref.ref(checkpoint.generator)
    del checkpoint, complete
    gc.collect()
    assert generator() is None


def test_training_faces_of_a_deleted_job_are_dropped(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    here, gone = JOB, "job:4567.secret@4567"

    def get(key: str) -> None:
        if key == "4567.secret":
            raise JobMissing("There is no such job.")

    known: Any = (None, None)
    cache: RecentlyUsed[Any] = RecentlyUsed(4)
    for key in (here, gone, EMBEDDED_KEY):
        cache.add(key, known)
    monkeypatch.setattr(studio.inspector, "training_faces", cache)
    monkeypatch.setattr(studio.inspector, "jobs", SimpleNamespace(get=get))
    studio.inspector.forget_deleted()
    assert cache.all_keys() == [here, EMBEDDED_KEY]


def test_training_faces_that_were_compared_leave_the_disk_with_their_job(
    studio: Studio, faces_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = SimpleNamespace(
        get=lambda key: None, training_faces=lambda key: (load_faces([faces_folder], 32, tmp_path / "cache"), True)
    )
    monkeypatch.setattr(studio.inspector, "jobs", jobs)
    face = np.zeros((32, 32, 3), np.uint8)
    *_, found = studio.inspector.read_and_compare(JOB, face)
    assert isinstance(found, Comparison)
    again = studio.inspector.compare(JOB, load_checkpoint(EMBEDDED), face)
    assert found.training is not None
    assert again
    assert again.training is not None
    assert np.array_equal(found.training, again.training)
    gc.collect()
    mapped = [file.path for file in psutil.Process().memory_maps()]
    assert mapped
    assert not [path for path in mapped if str(tmp_path) in path]
    shutil.rmtree(tmp_path / "cache")  # between the look for the job and the comparison
    without = studio.inspector.compare(JOB, load_checkpoint(EMBEDDED), face)
    assert without
    assert without.training is None
    assert without.share == found.share


def test_a_discriminator_is_used_only_with_the_weights_beside_it(tiny_folder: Path) -> None:
    checkpoint = load_checkpoint(tiny_folder)
    assert load_discriminator(checkpoint).discriminator is not None
    assert load_discriminator(replace(checkpoint, folder=None)).discriminator is None
    assert load_discriminator(replace(checkpoint, folder=EMBEDDED)).discriminator is None


def test_a_discriminator_that_is_too_large_for_the_page_is_left_out(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = load_checkpoint(tiny_folder, with_discriminator=True)
    assert checkpoint.discriminator is not None
    monkeypatch.setattr(inspection, "MAX_MULTIPLY_ADDS", 1)
    assert load_discriminator(replace(checkpoint, discriminator=None)).discriminator is None


def test_the_nearest_training_faces_are_searched_only_while_the_device_is_held(
    studio: Studio, tiny: Checkpoint, faces: FaceDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []

    def nearest(checkpoint: Checkpoint, dataset: FaceDataset, *args: object, **kwargs: object) -> Iterator[float]:
        assert (checkpoint, dataset) == (tiny, faces)
        for progress in (0.5, 1.0):
            held.append(studio.device.lock.locked())
            yield progress

    monkeypatch.setattr(inspection, "nearest_faces", nearest)
    monkeypatch.setattr(studio.library, "checkpoint", lambda key: tiny)
    jobs = SimpleNamespace(get=lambda key: None, training_faces=lambda key: (faces, True))
    monkeypatch.setattr(studio.inspector, "jobs", jobs)
    for _ in studio.open(JOB).nearest_training_faces():
        assert not studio.device.lock.locked()
    assert held == [True, True]
