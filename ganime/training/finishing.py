"""What follows the last step of a run: a clarity and directions for its model."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from ganime.drawing.clarity_fitting import ClarityFit, fit_clarity, real_reference
from ganime.drawing.clarity_scores import joined
from ganime.drawing.direction_carrying import carried_directions
from ganime.drawing.direction_search import FitProgress, find_directions
from ganime.drawing.directions import Directions, save_directions
from ganime.drawing.ranges import with_limits
from ganime.drawing.recipe import latents
from ganime.drawing.sampling import render
from ganime.errors import CheckpointError, reason_of
from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from ganime.nets.anime_features import FeatureNet, extract, load_features
from ganime.nets.clarity import save_clarity
from ganime.training.events import Done, Event, Notice, Working
from ganime.training.run_start import directions_of, start_directions

LONGEST = 600.0  # s for which a clarity and directions are fitted; what is not done by then is left out
LEAST_FACES = 100  # for training; fewer say too little about which faces are clear
CLARITY_BY_HAND = "Fit it with: ganime clarity RUN FACES."
SLIDERS_BY_HAND = "Find them with: ganime directions RUN."
LEAST_EXPLAINED = 0.2  # R²; a clarity that predicts less moves faces at random
REFITTED_FACES, REFIT_JUDGED = 2_000, 96  # for directions that are fitted anew
REFIT_COST, REFIT_SHARE = 24_000, 0.1  # faces that this draws, about, and the share of the training time it may take
TIMED_FACES = 16
REPORTED_SHARE = 0.05  # of a task, between two reports

Task = Iterator[float | str]  # progress from 0 to 1, then what came of it in words, empty if there was nothing to do


def finished(
    events: Iterator[Event],
    run: Path,
    dataset: FaceDataset,
    should_stop: Callable[[], bool],
    wanted: bool = True,
) -> Iterator[Event]:
    """The events of a run, and before its end a clarity and directions for its best model, unless it was stopped.

    What cannot be fitted or stored, or not within `LONGEST`, is reported; the run ends as it would have ended without.

    should_stop: whether a stop was requested; the rest is then left out.
    wanted: False leaves out both.
    """
    for event in events:
        if isinstance(event, Done) and event.reason != "stopped" and wanted:
            ending = Ending(event.images, should_stop, time.monotonic() + LONGEST)
            if len(dataset.train) >= LEAST_FACES:
                yield from reported(ending, "fitting clarity", fit_to_run(run, dataset), CLARITY_BY_HAND)
            yield from reported(ending, "checking sliders", give_directions(run), SLIDERS_BY_HAND)
        yield event


@dataclass(frozen=True)
class Ending:
    """The end of a run: images seen, whether a stop was requested, and the monotonic time at which tasks are left."""

    images: int
    should_stop: Callable[[], bool]
    deadline: float


def reported(ending: Ending, activity: str, task: Task, by_hand: str) -> Iterator[Working | Notice]:
    """The events of a task: its progress, and a notice of what came of it, of an error, of a stop, or of its length."""
    text, shown = "", -1.0
    try:
        for item in task:
            if isinstance(item, str):
                text = item
            elif ending.should_stop():
                text = f"The run was stopped during: {activity}. {by_hand}"
                break
            elif time.monotonic() > ending.deadline:
                text = (
                    f"Left out, because it would have taken more than {LONGEST / 60:g} minutes: {activity}. {by_hand}"
                )
                break
            elif item >= shown + REPORTED_SHARE:
                shown = item
                yield Working(ending.images, activity, round(item, 2))
    except Exception as error:  # whatever it is, the model is trained and saved
        text = f"Failed: {activity} ({reason_of(error)}). {by_hand}"
    if text:
        yield Notice(ending.images, text)


def fit_to_run(run: Path, dataset: FaceDataset) -> Task:
    """Fit a clarity to the best model of a run, unless it has one, and store it beside the weights."""
    checkpoint, net = load_checkpoint(run), load_features()
    if has_clarity(checkpoint):
        return
    assert checkpoint.folder is not None
    seen = []
    for batch in real_reference(net, dataset.images, dataset.train, checkpoint.generator.config.image_size):
        seen.append(batch)
        yield 0.0
    for event in fit_clarity(checkpoint, net, joined(seen)):
        if not isinstance(event, ClarityFit):
            yield event
        elif not math.isfinite(event.explained):
            yield "No clarity was stored: fitting it gave values that are not numbers."
        elif event.explained < LEAST_EXPLAINED:
            yield f"No clarity was stored: it explains only {event.explained:.0%} of how clear unseen faces are."
        else:
            try:
                save_clarity(event.clarity, checkpoint.revision, checkpoint.folder)
            except CheckpointError as error:  # which the same command would meet again
                yield str(error)
            else:
                yield f"Clarity was fitted to the best model (R² {event.explained:.2f})."


def has_clarity(checkpoint: Checkpoint) -> bool:
    """Whether a clarity that can be read was fitted to the weights."""
    try:
        return checkpoint.clarity is not None
    except CheckpointError:
        return False


def give_directions(run: Path) -> Task:
    """Give the best model of a run the directions that still work of the model it began from, unless it has some.

    Where none does, they are fitted anew if that takes little time beside the training.
    """
    checkpoint, parent = load_checkpoint(run), start_directions(run)
    if directions_of(checkpoint):
        return
    assert checkpoint.folder is not None
    net = load_features()
    if parent and parent.latent_dim == checkpoint.generator.config.latent_dim:
        directions = yield from to_end(carried_directions(checkpoint, net, parent))
        wanted, kept = names(parent), names(directions)
        if kept:
            save_directions(directions, checkpoint.folder)
            yield carried_text(parent.model, wanted, kept)
            return
    if search_seconds(checkpoint, net) > REFIT_SHARE * float(checkpoint.training.get("seconds", 0)):
        return
    directions = yield from to_end(find_directions(checkpoint, net, REFITTED_FACES, REFIT_JUDGED))
    if directions.items:
        directions = yield from to_end(with_limits(checkpoint, directions))
        save_directions(directions, checkpoint.folder)
    if kept := names(directions):
        yield f"{len(kept)} named sliders were fitted to the model: {', '.join(kept)}."


def search_seconds(checkpoint: Checkpoint, net: FeatureNet) -> float:
    """How long it takes to fit directions to a model, from the time that some faces take."""
    z = latents(range(TIMED_FACES), checkpoint.generator.config.latent_dim)
    extract(net, render(checkpoint.generator, z[:1]))  # the first face takes longer
    began = time.monotonic()
    extract(net, render(checkpoint.generator, z))
    return (time.monotonic() - began) / TIMED_FACES * REFIT_COST


def to_end(work: Iterator[FitProgress | Directions]) -> Generator[float, None, Directions]:
    """Yield the progress of a search for directions; return its result."""
    directions = None
    for event in work:
        if isinstance(event, Directions):
            directions = event
        else:
            yield event.progress
    assert directions is not None
    return directions


def names(directions: Directions) -> list[str]:
    """The names, in words, of those that were fitted to an attribute or made by a user."""
    return [item.name.replace("_", " ") for item in directions.items if item.kind in ("attribute", "own")]


def carried_text(model: str, wanted: list[str], kept: list[str]) -> str:
    """Which named directions of a model were carried over."""
    dropped = [name for name in wanted if name not in kept]
    rest = f" No longer working and left out: {', '.join(dropped)}." if dropped else ""
    return f"{len(kept)} of {len(wanted)} named sliders of {model} still work and were carried over.{rest}"
