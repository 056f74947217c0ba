"""The training loop: a dataset and two configurations in, a stream of events out; it saves, never prints or draws."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganime.config import ModelConfig, TrainConfig
from ganime.drawing.directions import Directions
from ganime.drawing.recipe import latents
from ganime.drawing.sampling import render
from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import Checkpoint
from ganime.nets.averaging import ema_decay, settle_statistics, update_ema
from ganime.nets.dcgan import Generator
from ganime.nets.device import out_of_memory
from ganime.shapes import UInt8
from ganime.training.distributed import Processes
from ganime.training.events import Done, Event, Measured, Notice, Preview, Saved, Step, Working
from ganime.training.run_folder import alone, facts, limit_reached, progress_of, save_best
from ganime.training.run_start import keep_start, stand_for_start
from ganime.training.session import Reporting, Session, prepare_session

FIRST_PREVIEW = 500  # images
PREVIEW_FACES = 64


def train(
    dataset: FaceDataset,
    run: Path,
    config: TrainConfig,
    model: ModelConfig,
    device: str = "cpu",
    should_stop: Callable[[], bool] = lambda: False,
    should_save: Callable[[], bool] = lambda: False,
    start: Checkpoint | None = None,
    rates: Mapping[str, float] | None = None,
    reporting: Reporting | None = None,
    directions: Directions | None = None,
) -> Iterator[Event]:
    """Train a DCGAN in the folder `run`, or resume the run that is in it, yielding events.

    All randomness derives from the seed and the number of images seen, so a run that was stopped and resumed equals
    one that was never stopped. Losses that are no longer finite send the run back to its last save at half the
    learning rates, once; a batch too large for the memory is halved.

    dataset: the faces, at the model's size.
    run: the folder, created for a new run.
    config, model: the configurations of a new run; a resumed one keeps its own and takes only the limits of `config`.
    device: "auto", "cpu", "cuda" or "mps".
    should_stop, should_save: called after every step; True saves and ends the run, or saves it and shows a preview.
    start: the model that a new run begins from, None for fresh nets.
    rates: learning rates from now on, also of a resumed run, by the name of their field in TrainConfig.
    reporting: how often to report and measure.
    directions: those of the model that a new run begins from, which the run keeps; see `finishing`.

    Raises ConfigError for settings that contradict each other, TrainingError when the run cannot be resumed, is being
    trained by another process or breaks a second time, OSError when it cannot be saved; the last save is intact then.
    """
    processes = Processes.join(device)
    with alone(run) if processes.leads else nullcontext():
        session = prepare_session(dataset, run, config, model, processes, start, rates or {}, reporting or Reporting())
        yield from opening(session, start is not None, directions)
        if not session.limit_at_start:
            yield from train_steps(session, should_stop, should_save)


def opening(session: Session, begun: bool, directions: Directions | None = None) -> Iterator[Event]:
    """The events before the first step.

    begun: whether a new run begins from a model, which is then saved, shown, measured and kept first. A run that begins
    from fresh nets shows what those draw.
    """
    state = session.state
    if session.notice:
        yield Notice(state.images, session.notice)
    if session.resumed and session.limit_at_start:
        yield Done(state.images, session.limit_at_start, session.resumed)
    elif not session.resumed and session.leads:
        yield Working(0, "sampling")
        if begun:  # a kill before the next save would lose the model that the run begins from
            yield Saved(0, session.save())
        yield Preview(0, preview(state.ema))
        if begun:
            yield from measure_start(session, directions)


def train_steps(session: Session, should_stop: Callable[[], bool], should_save: Callable[[], bool]) -> Iterator[Event]:
    """Train step by step until a limit is reached or a stop is requested; see `train`."""
    state, processes, reporting = session.state, session.processes, session.reporting
    means = MeanFigures(processes.device)
    session.began = last_save = time.monotonic()
    measured_until = 0.0
    next_preview = preview_after(state.images, session.config.preview_images)
    next_measure = state.images + session.config.measure_images
    if session.leads:
        yield Working(state.images, "training")

    while True:
        # --- batch and step
        try:
            figures = session.step(*session.batch())  # (4,)
        except RuntimeError as error:
            if notice := session.recover(error):
                yield notice
            continue
        config = session.config
        state.step += 1
        state.images += config.batch_size
        update_ema(state.ema, state.generator, ema_decay(config, state.images))

        # --- report, at regular steps and when the run is to be saved or ends
        means.add(figures)
        now = time.monotonic()
        elapsed = now - session.began
        state.seconds = session.earlier_seconds + elapsed
        limit = limit_reached(config, state, elapsed if session.leads else 0.0)
        slow = now - means.since >= reporting.report_seconds
        stop, late, asked, slow = processes.any([should_stop(), limit == "minutes", should_save(), slow])
        reason = "minutes" if late else limit or ("stopped" if stop else "")
        if state.step % reporting.report_steps and not slow and not reason and not asked:
            continue
        report = means.report(session, elapsed)
        yield report
        if verdict := session.verdicts.see(report):
            yield verdict
        if session.is_broken(report):
            yield session.rescue()
            means.restart()
            continue
        if not session.leads:
            if reason:
                return
            continue

        # --- show the moving average
        showing = state.images >= next_preview or bool(reason) or asked
        ended = bool(reason) and reason != "stopped"  # a stop should not take long
        due = state.images >= next_measure and now >= measured_until
        measuring = session.validator is not None and (ended or due)
        saving = bool(reason) or asked or now - last_save >= config.save_minutes * 60
        if config.ema_images and (showing or measuring or saving):
            settle_statistics(state.ema)
        if showing:
            next_preview = preview_after(state.images, config.preview_images)
            yield Preview(state.images, preview(state.ema))

        # --- measure
        if measuring:
            yield from measure(session)
            if not reason:
                yield Working(state.images, "training")
            next_measure = state.images + config.measure_images
            measured_until = time.monotonic() + (time.monotonic() - now) / reporting.measuring_share

        # --- save
        if saving:
            if reason:
                yield Working(state.images, "saving")
            folder = session.save()
            last_save = time.monotonic()
            yield Saved(state.images, folder)
            if reason:
                yield Done(state.images, reason, folder)
                return

        # --- count only the training
        session.began += time.monotonic() - now
        means.restart()


class MeanFigures:
    """The mean losses, logits and throughput of the steps since the last report."""

    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(4, device=device)
        self.steps, self.since = 0, time.monotonic()

    def add(self, figures: Tensor) -> None:
        """Count one step, with the figures that it returned, (4,)."""
        self.sums += figures
        self.steps += 1

    def report(self, session: Session, elapsed: float) -> Step:
        """The event for these steps, averaged over all processes; the next report starts from here.

        elapsed: seconds of this session.
        """
        state, now = session.state, time.monotonic()
        d_loss, g_loss, d_real, d_fake = (session.processes.mean(self.sums) / self.steps).tolist()
        rate = self.steps * session.config.batch_size / max(now - self.since, 1e-9)
        progress = progress_of(session.config, state, elapsed)
        self.restart()
        return Step(state.step, state.images, d_loss, g_loss, d_real, d_fake, rate, progress)

    def restart(self) -> None:
        """Begin to count for the next report."""
        self.sums.zero_()
        self.steps, self.since = 0, time.monotonic()


def measure_start(session: Session, directions: Directions | None) -> Iterator[Event]:
    """Measure the model that the run begins from, and keep it with its directions; see `measure`."""
    frechet = None
    for event in measure(session, keep=False):
        if isinstance(event, Measured) and session.validator and session.validator.best < float("inf"):
            frechet = event.frechet
        yield event
    begun = session.state.checkpoint(session.run.name, facts(session.state, session.config, session.dataset))
    named = directions and replace(directions, model=session.config.start)
    keep_start(session.run, begun, named, frechet)


def measure(session: Session, keep: bool = True) -> Iterator[Event]:
    """Measure the moving average, save it when it is the best so far, and give the verdict.

    Where the model that the run began from is better than all that it made, that one becomes its best save. Without
    enough memory, a notice says that nothing was measured.

    keep: False for the model that the run begins from, which becomes the best save only if training makes it worse.
    """
    state, validator = session.state, session.validator
    if validator is None:
        return
    yield Working(state.images, "measuring")
    try:
        event = validator.measure(state.ema, state.discriminator, state.images)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        yield Notice(state.images, "There was no memory to measure the faces; training continues unmeasured.")
        return
    if not keep:
        event = replace(event, best=False)
    elif event.best:
        save_best(session.run, state, session.config, session.dataset, event.frechet)
    else:
        stand_for_start(session.run)
    yield event
    if verdict := session.verdicts.see(event):
        yield verdict


def preview_after(images: int, every: int) -> int:
    """The number of images at which the next preview is due.

    The first comes after 500 images, since much changes then; the interval doubles until it reaches `every`.
    """
    due = FIRST_PREVIEW
    while due <= images and due < every:
        due *= 2
    return due if due < every else (images // every + 1) * every


def preview(ema: Generator) -> UInt8[np.ndarray, "n h w 3"]:
    """Faces of the first 64 seeds: always the same latents, so that progress is visible."""
    return render(ema, latents(range(PREVIEW_FACES), ema.config.latent_dim))
