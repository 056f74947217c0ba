"""What follows the last step of a run: a clarity for its model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ganime.drawing.clarity_fitting import ClarityFit, fit_clarity, reference_features
from ganime.errors import CheckpointError
from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from ganime.nets.anime_features import load_features
from ganime.nets.clarity import save_clarity
from ganime.training.events import Done, Event, Notice

LEAST_FACES = 100  # for training; fewer say too little about which faces are clear
BY_HAND = "Fit it with: ganime clarity RUN FACES."
LEAST_EXPLAINED = 0.2  # R²; a clarity that predicts less moves faces at random


def with_clarity(
    events: Iterator[Event], run: Path, dataset: FaceDataset, should_stop: Callable[[], bool]
) -> Iterator[Event]:
    """The events of a run, and before its end a clarity fitted to its best model, unless the run was stopped.

    A clarity that cannot be fitted or stored is reported; the run ends as it would have ended without.

    should_stop: whether a stop was requested; the clarity is then left out.
    """
    for event in events:
        if isinstance(event, Done) and event.reason != "stopped" and len(dataset.train) >= LEAST_FACES:
            try:
                text = fit_to_run(run, dataset, should_stop)
            except Exception as error:  # whatever it is, the model is trained and saved
                text = f"Clarity was not fitted ({error or type(error).__name__}). {BY_HAND}"
            if text:
                yield Notice(event.images, text)
        yield event


def fit_to_run(run: Path, dataset: FaceDataset, should_stop: Callable[[], bool]) -> str:
    """Fit a clarity to the best model of a run, unless it has one, and store it beside the weights.

    Returns what came of it; an empty text if there was nothing to do.
    """
    checkpoint, net = load_checkpoint(run), load_features()
    if has_clarity(checkpoint):
        return ""
    assert checkpoint.folder is not None
    stopped = f"Clarity was not fitted, because the run was stopped. {BY_HAND}"
    features = []
    for batch in reference_features(net, dataset.images, dataset.train):
        features.append(batch)
        if should_stop():
            return stopped
    for event in fit_clarity(checkpoint, net, np.concatenate(features)):
        if isinstance(event, ClarityFit):
            if event.explained < LEAST_EXPLAINED:
                return f"No clarity was stored: it explains only {event.explained:.0%} of how clear unseen faces are."
            save_clarity(event.clarity, checkpoint.revision, checkpoint.folder)
            return f"Clarity was fitted to the best model; it explains {event.explained:.0%} of how clear faces are."
        if should_stop():
            break
    return stopped


def has_clarity(checkpoint: Checkpoint) -> bool:
    """Whether a clarity that can be read was fitted to the weights."""
    try:
        return checkpoint.clarity is not None
    except CheckpointError:
        return False
