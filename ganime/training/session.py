"""A training run that is set up: its settings, its nets and what they learn from, ready for the next step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganime.config import SCRATCH, ModelConfig, TrainConfig
from ganime.errors import TrainingError
from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import Checkpoint
from ganime.nets.cuda_graph import Recorded, recordable
from ganime.nets.device import out_of_memory, plan_for
from ganime.nets.matrix_products import use_products
from ganime.training import run_folder
from ganime.training.augment import diff_augment
from ganime.training.distributed import Processes
from ganime.training.events import Notice, Step, journal_events
from ganime.training.reports import REPORT_STEPS
from ganime.training.run_start import best_distance
from ganime.training.step import Augmentation, TrainStep, unchanged
from ganime.training.validation import Validator
from ganime.training.verdict import VerdictTracker

AUGMENT_BELOW = 10_000  # faces; the discriminator cannot memorise more


@dataclass(frozen=True)
class Reporting:
    """How often a run reports and how it is measured. Nothing here changes what the run learns.

    report_steps, report_seconds: steps from one Step event to the next, fewer if they take longer than that.
    measured_faces: faces that are generated for a measurement.
    measuring_share: the largest share of the run's time that measurements may take, 0 to 1.
    """

    report_steps: int = REPORT_STEPS
    report_seconds: float = 5.0
    measured_faces: int = 500
    measuring_share: float = 0.05


@dataclass
class Session:
    """Everything that one process needs to train a run.

    resumed: the save that the run continues from, None for a new run.
    notice: what to report about the resumed run, empty if nothing.
    began: monotonic time at which it would have begun if it had only trained, without measuring, showing or saving.
    """

    dataset: FaceDataset
    run: Path
    config: TrainConfig
    model: ModelConfig
    processes: Processes
    state: run_folder.TrainingState
    reporting: Reporting
    resumed: Path | None
    notice: str

    def __post_init__(self) -> None:
        device, config = self.processes.device, self.config
        self.augmented = is_augmented(config, len(self.dataset.train))
        self.train_step = TrainStep(self.state, config, self.processes)
        self.recorded: Recorded | None = None
        if recordable(self.state.critic, device, self.processes.count == 1, self.augmented):
            self.recorded = Recorded(self.train_step, device)
        steps = self.reporting.report_steps
        self.verdicts = VerdictTracker(config.loss, len(self.dataset.train), config.start == SCRATCH, steps)
        for event in journal_events(self.run, self.state.images) if self.resumed else ():
            self.verdicts.see(event)
        self.validator: Validator | None = None
        if config.measure_images:
            best = best_distance(self.run)
            self.validator = Validator(self.dataset, config.flip, device, best, self.reporting.measured_faces)
        self.resident = self.dataset.on(device)
        self.limit_at_start = run_folder.limit_reached(config, self.state, 0.0) if self.resumed else ""
        self.earlier_seconds = self.state.seconds  # of training, in earlier sessions
        self.began = time.monotonic()

    @property
    def leads(self) -> bool:
        """Whether this process shows, measures and saves."""
        return self.processes.leads

    def batch(self) -> tuple[Tensor, Tensor, Augmentation]:
        """The next real faces (B, 3, S, S) and latents (B, Z) of this process, and the augmentation of this step.

        All three derive from the seed and the number of images seen so far.
        """
        config, images, device = self.config, self.state.images, self.processes.device
        share = self.processes.share(config.batch_size)
        first, count = images + share.start, share.stop - share.start
        real = self.dataset.batch(first, count, config.seed, config.flip, self.resident).to(device)
        source = random_source(config.seed, images)
        z = torch.randn(config.batch_size, self.model.latent_dim, generator=source)[share].to(device)
        if not self.augmented:
            return real, z, unchanged
        source = random_source(config.seed, first, stream=1)
        return real, z, lambda images: diff_augment(images, source)

    def step(self, real: Tensor, z: Tensor, augment: Augmentation) -> Tensor:
        """Update both nets once; see `TrainStep`. Returns losses and mean logits, (4,)."""
        return self.recorded(real, z) if self.recorded else self.train_step(real, z, augment)

    def recover(self, error: RuntimeError) -> Notice | None:
        """Prepare to repeat the step that raised `error`: without a recording, or with half the batch.

        Returns a notice when the batch was halved. Raises `error` itself when it is not about memory or the batch is
        down to 2 or 3 faces, and TrainingError when there are other processes, which wait in the middle of this step.
        """
        if self.recorded and self.recorded.recording:  # recording takes more memory than the step
            self.train_step.abandon()
            self.recorded = None
            return None
        batch, count = self.config.batch_size, self.processes.count
        if not out_of_memory(error) or batch < 4:
            raise error
        if count > 1:
            raise TrainingError(
                f"There is no memory for {batch // count} faces in each of {count} processes. Begin a new run with a "
                "smaller batch, or continue with more processes and --resume."
            ) from error
        self.train_step.abandon()
        self.recorded = None
        self.config = replace(self.config, batch_size=batch // 2)
        run_folder.write_run(self.run, self.config, self.model, self.dataset)
        return Notice(self.state.images, f"Out of memory; the batch is halved to {self.config.batch_size} faces.")

    def is_broken(self, report: Step) -> bool:
        """Whether losses or weights are no longer finite in any of the processes."""
        finite = bool(np.isfinite([report.d_loss, report.g_loss]).all()) and self.state.finite()
        return self.processes.any([not finite])[0]

    def rescue(self) -> Notice:
        """Return to the last save at half the learning rates; see `run_folder.rescue`."""
        with self.processes.in_turn():
            notice = run_folder.rescue(self.run, self.state)
        if self.leads:
            self.save()
        if self.recorded:  # the recording holds the old learning rates and tensors
            self.recorded = Recorded(self.train_step, self.processes.device)
        return notice

    def save(self) -> Path:
        """Save the run. Returns the save's folder; raises OSError when it cannot be written."""
        return run_folder.save(self.run, self.state, self.config, self.dataset)


def prepare_session(
    dataset: FaceDataset,
    run: Path,
    config: TrainConfig,
    model: ModelConfig,
    processes: Processes,
    start: Checkpoint | None,
    rates: Mapping[str, float],
    reporting: Reporting,
) -> Session:
    """Set up a new run, or continue the one in the folder `run`.

    dataset, config, model, start: as in `train`.
    processes: this process among all.
    rates: learning rates that replace the run's own, by the name of their field in TrainConfig.

    Raises ConfigError for settings that contradict each other, TrainingError when the run cannot be resumed.
    """
    with processes.in_turn():  # the first process writes the folder, the others read what it wrote
        config, model = run_folder.settle_run(run, config, model, dataset, start)
        config = replace(config, **rates)
        processes.share(config.batch_size)  # refuses a batch that cannot be divided
        precision, form = plan_for(model, processes.device, config.precision, config.deep_layers)
        config = replace(config, precision=precision, deep_layers=form)
        state = run_folder.TrainingState.create(model, config, processes.device, start)
        resumed, damage = run_folder.load_last_save(run, state)
        if resumed is None and start is None and config.start != SCRATCH:
            raise TrainingError(
                f"{run} began from {config.start}, and it has no save to resume from. Begin it again: the same command "
                "with --out in place of --resume, and the options that it was begun with."
            )
        changed = ""
        if resumed and rates:
            state.set_learning_rates(config)
            first, second = config.generator_lr, config.discriminator_lr
            changed = f"The learning rates are now {first:g} for the generator and {second:g} for the discriminator."
            if processes.leads:  # before run.json: a kill in between leaves the rates that the next save records
                run_folder.save(run, state, config, dataset)
        other_faces = run_folder.write_run(run, config, model, dataset) if processes.leads else ""
    processes.agree(config, model, dataset.key, state.step, state.images)
    processes.share_statistics(state.generator, *state.judges)
    if config.deep_layers == "matmul":
        use_products(state.generator)
        use_products(state.discriminator)
    notice = ""
    if resumed:
        begun = f"Resumed at {state.images:,} images from save {resumed.name}."
        notice = " ".join(text for text in (begun, changed, damage, other_faces) if text)
    elif start and not start.discriminator:
        notice = f"{start.name} has no discriminator; a fresh one has to catch up with its generator first."
    return Session(dataset, run, config, model, processes, state, reporting, resumed, notice)


def is_augmented(config: TrainConfig, faces: int) -> bool:
    """Whether a run on this many training faces augments them; "auto" does so below 10,000."""
    return config.augment == "diffaugment" or (config.augment == "auto" and faces < AUGMENT_BELOW)


def random_source(seed: int, images: int, stream: int = 0) -> torch.Generator:
    """The random source for one position of a run, the same on every device; streams are independent."""
    state = np.random.SeedSequence([seed, images, stream]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)
