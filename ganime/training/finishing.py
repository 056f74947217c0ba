"""What follows the last step of a run: a clarity for its model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ganime.drawing.clarity import save_clarity
from ganime.drawing.clarity_fitting import ClarityFit, fit_clarity, reference_features
from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import load_checkpoint
from ganime.nets.anime_features import load_features
from ganime.training.events import Done, Event, Notice

LEAST_FACES = 100  # for training; fewer say too little about which faces are clear
LEAST_EXPLAINED = 0.2  # R²; a clarity that predicts less moves faces at random


def with_clarity(
    events: Iterator[Event], run: Path, dataset: FaceDataset, should_stop: Callable[[], bool]
) -> Iterator[Event]:
    """The events of a run, and before its end a clarity fitted to its best model, unless the run was stopped.

    should_stop: whether a stop was requested; the clarity is then left out.
    """
    for event in events:
        if isinstance(event, Done) and event.reason != "stopped" and len(dataset.train) >= LEAST_FACES:
            yield Notice(event.images, fit_to_run(run, dataset, should_stop))
        yield event


def fit_to_run(run: Path, dataset: FaceDataset, should_stop: Callable[[], bool]) -> str:
    """Fit a clarity to the best model of a run and store it beside the weights; returns what came of it."""
    checkpoint, net = load_checkpoint(run), load_features()
    assert checkpoint.folder is not None
    for event in fit_clarity(checkpoint, net, reference_features(net, dataset.images[dataset.train])):
        if isinstance(event, ClarityFit):
            if event.explained < LEAST_EXPLAINED:
                return f"No clarity was stored: it explains only {event.explained:.0%} of how clear unseen faces are."
            save_clarity(event.clarity, checkpoint.revision, checkpoint.folder)
            return f"Clarity was fitted to the best model; it explains {event.explained:.0%} of how clear faces are."
        if should_stop():
            break
    return "Clarity was not fitted, because the run was stopped. Fit it with: ganime clarity RUN FACES."
