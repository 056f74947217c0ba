"""The training loop: a dataset and two configurations in, a stream of events out; it saves, never prints or draws."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ganime.config import SCRATCH, ModelConfig, TrainConfig
from ganime.drawing.recipe import latents
from ganime.drawing.sampling import render
from ganime.errors import TrainingError
from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import Checkpoint
from ganime.nets.averaging import ema_decay, settle_statistics, update_ema
from ganime.nets.critic import FeatureCritic
from ganime.nets.cuda_graph import Recorded, recordable
from ganime.nets.dcgan import Discriminator, Generator, set_requires_grad
from ganime.nets.device import out_of_memory, plan_for, precision_context
from ganime.nets.matrix_products import use_products
from ganime.training.augment import diff_augment
from ganime.training.distributed import Processes
from ganime.training.events import Done, Event, Notice, Preview, Saved, Step, journal_events
from ganime.training.losses import discriminator_loss, generator_loss, penalties, weighted
from ganime.training.run_folder import (
    TrainingState,
    alone,
    best_distance,
    limit_reached,
    load_last_save,
    progress_of,
    rescue,
    save,
    settle_run,
    write_run,
)
from ganime.training.validation import Validator, measured
from ganime.training.verdict import VerdictTracker

if TYPE_CHECKING:
    from jaxtyping import UInt8
    from torch import Tensor

FIRST_PREVIEW = 500  # images
REPORT_STEPS = 10
PREVIEW_FACES = 64
AUGMENT_BELOW = 10_000  # faces; with more, a discriminator has too much to see to learn it by heart
MEASURING_SHARE = 0.05  # of the time at most


def train(
    dataset: FaceDataset,
    run: Path,
    config: TrainConfig | None = None,
    model: ModelConfig | None = None,
    device: str = "cpu",
    should_stop: Callable[[], bool] = lambda: False,
    should_save: Callable[[], bool] = lambda: False,
    start: Checkpoint | None = None,
) -> Iterator[Event]:
    """Train a DCGAN in the folder `run`, or go on with the run that is in it, yielding events.

    All randomness derives from the seed and the count of images seen, so a run that was stopped and resumed
    draws what an uninterrupted one draws. A new run begins from the nets of `start` where that is given.
    `should_stop` and `should_save` are asked after every step; the one saves the run and ends it, the other saves it
    and draws a sample grid. Losses that are no longer finite are met once by going back to the last save at half the
    learning rates, and a batch too large for the memory by halving it. Raises TrainingError when the run cannot be
    resumed, breaks again, or is going on elsewhere, OSError when it cannot be saved; the last save is intact then.
    """
    workers = Processes.join(device)
    with alone(run) if workers.leads else nullcontext():
        yield from events_of(
            dataset, run, config or TrainConfig(), model or ModelConfig(), workers, should_stop, should_save, start
        )


def events_of(
    dataset: FaceDataset,
    run: Path,
    config: TrainConfig,
    model: ModelConfig,
    workers: Processes,
    should_stop: Callable[[], bool],
    should_save: Callable[[], bool],
    start: Checkpoint | None,
) -> Iterator[Event]:
    """The run itself, for the one who has its folder; see `train`."""
    target = workers.device
    with workers.in_turn():  # the first process settles the run, the others find it settled
        config, model = settle_run(run, config, model, dataset, start)
        share = workers.share(config.batch_size)
        precision, form = plan_for(model, target, config.precision, config.deep_layers)
        config = replace(config, precision=precision, deep_layers=form)
        notice = write_run(run, config, model, dataset) if workers.leads else ""
        state = TrainingState.create(model, config, target, start)
        resumed, damage = load_last_save(run, state)
    workers.agree(config, model, dataset.key, state.step, state.images)
    workers.share_statistics(state.generator, *state.judges)
    if resumed is None and start is None and config.start != SCRATCH:
        raise TrainingError(
            f"{run} began from {config.start}, and none of its saves is there any more, so it cannot go on. Delete the "
            "folder and begin a new run."
        )
    if resumed:
        told = (f"Resumed at {state.images:,} images from save {resumed.name}.", damage, notice)
        yield Notice(state.images, " ".join(text for text in told if text))
        if reason := limit_reached(config, state, 0.0):
            yield Done(state.images, reason, resumed)
            return
    elif start and not start.discriminator:
        yield Notice(0, f"{start.name} has no discriminator; a fresh one has to catch up with its generator first.")
    learning = [parameter for net in state.judges for parameter in net.parameters() if parameter.requires_grad]
    strengths = (config.r1 * config.penalty_steps, config.r2 * config.penalty_steps)  # as they come that seldom
    weights = [1.0] if state.critic is None else [1.0, config.critic * state.critic.views]
    if config.deep_layers == "matmul":
        use_products(state.generator)
        use_products(state.discriminator)
    autocast = precision_context(config.precision, target)
    augmented = config.augment == "diffaugment" or (config.augment == "auto" and len(dataset.train) < AUGMENT_BELOW)
    health = VerdictTracker(config.loss, len(dataset.train), config.start == SCRATCH)
    for event in journal_events(run, state.images) if resumed else ():
        health.see(event)
    gauge = Validator(dataset, config.flip, target, best_distance(run)) if config.measure_images else None
    resident = dataset.on(target)
    sums = torch.zeros(4, device=target)
    began = reported = last_save = rested = time.monotonic()
    earlier, reported_steps = state.seconds, state.step
    next_preview = preview_after(state.images, config.preview_images)
    next_measure = state.images + config.measure_images
    if start and not resumed and workers.leads:  # else a kill before the first save would lose what it began from
        yield Saved(0, save(run, state, config, dataset))
        yield Preview(0, preview(state.ema))
        if gauge:  # how far it has to go, and for the verdicts the first to be beaten
            yield from measured(gauge, health, run, state, config, dataset, keep=False)
            reported = time.monotonic()

    def learn(real: Tensor, z: Tensor, view: Callable[[Tensor], Tensor] = lambda images: images) -> Tensor:
        """One step of both nets: the losses of discriminator and generator and its mean logits, real and fake, (4,)."""
        # --- discriminator step
        with autocast():
            fake = state.generator(z)  # (B, 3, S, S)
            judged = [judge(net, view(real), view(fake.detach().float())) for net in state.judges]
        d_losses = [discriminator_loss(config.loss, *logits) for logits in judged]
        penalised = any(strengths) and state.step % config.penalty_steps == 0
        penalty = penalties(state.discriminator, *strengths, view(real), view(fake.detach())) if penalised else 0.0
        state.discriminator_optimizer.zero_grad(set_to_none=True)
        (weighted(weights, d_losses) + penalty).backward()
        workers.average(learning)
        state.discriminator_optimizer.step()

        # --- generator step, on the same fakes
        set_requires_grad(learning, False)
        with autocast():
            if config.loss == "relativistic":
                again = [judge(net, view(real), view(fake.float())) for net in state.judges]
            else:
                again = [
                    (logits.detach(), net(view(fake.float())).float())
                    for net, (logits, _) in zip(state.judges, judged, strict=True)
                ]
        g_losses = [generator_loss(config.loss, *logits) for logits in again]
        state.generator_optimizer.zero_grad(set_to_none=True)
        weighted(weights, g_losses).backward()
        workers.average(state.generator.parameters())
        state.generator_optimizer.step()
        set_requires_grad(learning, True)
        return torch.stack([d_losses[0], g_losses[0], *(logits.mean() for logits in judged[0])]).detach()  # of D alone

    played = (
        Recorded(learn, target) if recordable(config, state.critic, target, workers.count == 1, augmented) else None
    )

    while True:
        try:
            # --- batch: this process's share of the faces and latents at this position in the stream
            first = state.images + share.start
            real = dataset.batch(first, share.stop - share.start, config.seed, config.flip, resident).to(target)
            z = torch.randn(config.batch_size, model.latent_dim, generator=random_source(config.seed, state.images))
            z = z[share].to(target)
            draw = random_source(config.seed, first, stream=1)
            view = (lambda images: diff_augment(images, draw)) if augmented else (lambda images: images)  # noqa: B023

            figures = learn(real, z, view) if played is None else played(real, z)
        except RuntimeError as error:
            if played and played.recording:
                set_requires_grad(learning, True)
                played = None  # recording failed, and needs more memory than the work itself, which went well before
                continue
            if not out_of_memory(error) or config.batch_size < 4:
                raise
            if workers.count > 1:  # the others wait in the middle of this step
                raise TrainingError(
                    f"There is no memory for {config.batch_size // workers.count} faces in each of {workers.count} "
                    "processes. Begin a new run with a smaller batch, or go on with more processes by --resume."
                ) from error
            set_requires_grad(learning, True)
            config, played = replace(config, batch_size=config.batch_size // 2), None
            share = workers.share(config.batch_size)
            write_run(run, config, model, dataset)
            yield Notice(state.images, f"Out of memory; the batch is halved to {config.batch_size} faces.")
            continue

        # --- moving average
        state.step += 1
        state.images += config.batch_size
        update_ema(state.ema, state.generator, ema_decay(config, state.images))

        # --- report, every few steps and when there is something to decide; of the critic nothing is told
        sums += figures
        now = time.monotonic()
        state.seconds = earlier + now - began
        limit = limit_reached(config, state, now - began)
        stop, late, asked = workers.any([should_stop(), limit == "minutes", should_save()])  # each has its own clock
        reason = "minutes" if late else limit or ("stopped" if stop else "")
        if state.step % REPORT_STEPS and not reason and not asked:
            continue
        steps = state.step - reported_steps
        d_mean, g_mean, real_mean, fake_mean = (workers.mean(sums) / steps).tolist()
        rate = steps * config.batch_size / max(now - reported, 1e-9)
        progress = progress_of(config, state, now - began)
        report = Step(state.step, state.images, d_mean, g_mean, real_mean, fake_mean, rate, progress)
        reported, reported_steps = now, state.step
        sums.zero_()
        yield report
        if verdict := health.see(report):
            yield verdict
        broken = not np.isfinite([d_mean, g_mean]).all() or not state.finite()
        if workers.any([broken])[0]:
            with workers.in_turn():
                rescued = rescue(run, state)
            yield rescued
            if workers.leads:
                save(run, state, config, dataset)
            played = played and Recorded(learn, target)  # its rates and places were recorded with it
            reported_steps = state.step
            continue
        if not workers.leads:
            if reason:
                return
            continue

        # --- show and measure the moving average
        ended = bool(reason) and reason != "stopped"  # who stops a run does not want to wait
        showing = state.images >= next_preview or bool(reason) or asked
        measuring = ended or (state.images >= next_measure and now >= rested)
        saving = bool(reason) or asked or now - last_save >= config.save_minutes * 60
        if config.ema_images and (showing or measuring or saving):
            settle_statistics(state.ema)
        if showing:
            next_preview = preview_after(state.images, config.preview_images)
            yield Preview(state.images, preview(state.ema))
        if gauge and measuring:
            yield from measured(gauge, health, run, state, config, dataset)
            next_measure = state.images + config.measure_images
            rested = time.monotonic() + (time.monotonic() - now) / MEASURING_SHARE

        # --- save
        if saving:
            folder = save(run, state, config, dataset)
            last_save = time.monotonic()
            yield Saved(state.images, folder)
            if reason:
                yield Done(state.images, reason, folder)
                return


def preview_after(images: int, every: int) -> int:
    """When the next sample grid is due: soon at first, for then much changes, and each twice as late up to `every`."""
    due = FIRST_PREVIEW
    while due <= images and due < every:
        due *= 2
    return due if due < every else (images // every + 1) * every


def judge(net: Discriminator | FeatureCritic, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Logits for real and fake in fp32, (B,) or (B, L); apart where BatchNorm would mix the two, else in one pass."""
    if isinstance(net, FeatureCritic) or net.config.discriminator_norm == "batch":
        return net(real).float(), net(fake).float()
    both = torch.cat([real, fake]).contiguous(memory_format=torch.channels_last)  # (2B, 3, S, S)
    logits = net(both).float()
    return logits[: len(real)], logits[len(real) :]


def random_source(seed: int, images: int, stream: int = 0) -> torch.Generator:
    """The source of what is drawn at one position of the run, the same on every device; streams are independent."""
    state = np.random.SeedSequence([seed, images, stream]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


def preview(ema: Generator, count: int = PREVIEW_FACES) -> UInt8[np.ndarray, "n h w 3"]:
    """Faces of seeds 0 to `count` - 1, always the same latents, so that learning can be watched."""
    return render(ema, latents(range(count), ema.config.latent_dim))
