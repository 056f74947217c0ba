"""Fixtures for tests of training: tiny runs on drawn faces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganime.config import RECIPES, ModelConfig, TrainConfig
from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import Checkpoint
from ganime.training.events import Event, Working
from ganime.training.loop import train
from ganime.training.session import Reporting
from tests.ganime.training.common import BATCH, FEW, QUICK, Run, Trained


@pytest.fixture(scope="session")
def run(faces: FaceDataset, tiny_config: ModelConfig) -> Run:
    """Train the tiny model in a folder with a few changed settings. Returns all events but those of `Working`."""

    def events_of(
        folder: Path,
        should_stop: Callable[[], bool] = lambda: False,
        recipe: str = "modern",
        model: dict[str, Any] | None = None,
        start: Checkpoint | None = None,
        reporting: Reporting = FEW,
        rates: dict[str, float] | None = None,
        **changes: Any,
    ) -> list[Event]:
        config = TrainConfig(**(vars(RECIPES[recipe][0]) | QUICK | changes))
        shape = ModelConfig(**(vars(tiny_config) | (model or {})))
        events = train(
            faces,
            folder,
            config,
            shape,
            should_stop=should_stop,
            start=start,
            reporting=reporting,
            rates=rates,
        )
        return [event for event in events if not isinstance(event, Working)]

    return events_of


@pytest.fixture(scope="session")
def short_run(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """30 steps in one session, not measured."""
    folder = tmp_path_factory.mktemp("short") / "run"
    return Trained(folder, run(folder, steps=30))


@pytest.fixture(scope="session")
def measured_run(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """30 steps in one session, measured every 10 steps."""
    folder = tmp_path_factory.mktemp("measured") / "run"
    return Trained(folder, run(folder, steps=30, measure_images=10 * BATCH))


@pytest.fixture(scope="session")
def begun_run(run: Run, tiny: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """20 steps from the tiny model with learning rates of almost nothing, measured at the beginning and the end."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    slow = {"generator_lr": 1e-8, "discriminator_lr": 1e-8}
    return Trained(folder, run(folder, start=tiny, steps=20, measure_images=10**6, **slow))
