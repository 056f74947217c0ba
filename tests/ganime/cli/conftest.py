"""Fixtures for tests of the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganime import cli
from ganime.config import TrainConfig
from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import Checkpoint
from ganime.training.loop import train
from tests.ganime.cli.common import Answer


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _shared_home(_own_home: None, shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode the same faces once for all commands."""
    monkeypatch.setenv("GANIME_HOME", str(shared_home))


@pytest.fixture
def ganime(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run a command in this process, as `python -m ganime` does."""

    def call(*arguments: Any) -> Answer:
        monkeypatch.setattr(sys, "argv", ["ganime", *(str(argument) for argument in arguments)])
        capfd.readouterr()
        status: Any = 0
        try:
            cli.main()
        except SystemExit as stop:
            status = stop.code or 0
        return Answer(status, *capfd.readouterr())

    return call


@pytest.fixture(scope="session")
def small_run(faces: FaceDataset, tiny: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps, to be copied."""
    folder = tmp_path_factory.mktemp("small") / "run"
    config = TrainConfig(batch_size=8, precision="fp32", steps=2, save_minutes=0.001, measure_images=0)
    list(train(faces, folder, config, tiny.generator.config))
    return folder
