"""What is known of models beside their generators: the discriminators, and the training faces that a face may copy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import numpy as np

from app.errors import JobError, JobMissing
from app.faces.device import Device
from app.faces.library import JOB_PREFIX, job_of
from app.faces.model_costs import MAX_MULTIPLY_ADDS
from app.faces.model_memory import MOST_BYTES, ModelMemory, bytes_of
from app.jobs.service import Jobs
from app.loading import load_model
from app.recently_used import RecentlyUsed
from ganime.drawing.layers import logits_of_others, multiply_adds
from ganime.faces.dataset import FaceDataset
from ganime.measuring.copies import Comparison, NearestFaces, compare_with_training_faces, nearest_faces
from ganime.measuring.training_faces import TrainingFaces, compute_training_faces, find_training_faces
from ganime.models.checkpoint import Checkpoint
from ganime.nets.dcgan import Discriminator
from ganime.shapes import UInt8

MODELS_IN_MEMORY = 4  # whose discriminators, and whose training faces, stay in memory
MAX_COMPARED = 4_000  # training faces of a job; several hundred are read per second, once for each model
PAIRS = 8  # faces of a job's model that are shown with their nearest training faces
MAX_SEARCHED = 2_000  # training faces that are searched for that; about 100 per second
Images = Callable[[], np.ndarray | None]  # uint8 (N, H, W, 3), see `opener`
Logits = np.ndarray | None  # float (N,)


class Inspector:
    """The discriminators and the training faces of the models that visitors asked about last.

    Every method may be called from any thread, and raises GanimeError with a text for the visitor.
    key: of a model, as the library issues it.
    """

    def __init__(self, device: Device, jobs: Jobs | None) -> None:
        self.device, self.jobs = device, jobs
        self.loading = threading.Lock()  # held while a discriminator is loaded
        self.discriminators: ModelMemory[tuple[Discriminator | None, Logits]] = ModelMemory(
            MODELS_IN_MEMORY, lambda kept: bytes_of(kept[0]), MOST_BYTES // 2
        )
        self.training_faces: RecentlyUsed[tuple[TrainingFaces, Images | None]] = RecentlyUsed(MODELS_IN_MEMORY)

    def with_discriminator(self, key: str, checkpoint: Checkpoint) -> tuple[Checkpoint, Logits]:
        """A model with its discriminator, and that one's logits of other faces; None where there is no discriminator.

        Simultaneous requests load one discriminator at a time, so that none is loaded twice.
        """
        discriminator, logits = self.discriminator_of(f"{key} {checkpoint.revision}", checkpoint)
        return replace(checkpoint, discriminator=discriminator), logits

    def discriminator_of(self, name: str, checkpoint: Checkpoint) -> tuple[Discriminator | None, Logits]:
        """What is kept of a model by this name; its generator is not."""
        if known := self.discriminators.get(name):
            return known
        with self.loading:
            if known := self.discriminators.get(name):
                return known
            complete = load_discriminator(checkpoint)
            with self.device.lock:
                logits = logits_of_others(complete) if complete.discriminator else None
            return self.discriminators.add(name, (complete.discriminator, logits))

    def must_read_faces(self, key: str) -> bool:
        """Whether the training faces have to be read for a comparison, see `read_and_compare`; so it is for a job."""
        self.forget_deleted()
        return key.startswith(JOB_PREFIX) and self.training_faces.get(key) is None

    def read_and_compare(self, key: str, face: UInt8[np.ndarray, "h w 3"]) -> Iterator[float | Comparison]:
        """Read the training faces of a job's model, then compare a face: progress from 0 to 1, then the Comparison.

        Raises JobError while the job runs.
        """
        dataset, flip = self.job_faces(key)
        for event in self.device.run(compute_training_faces(dataset, flip, MAX_COMPARED)):
            if isinstance(event, TrainingFaces):
                known = self.training_faces.add(key, (event, opener(dataset.images)))
                self.forget_deleted()
                yield self.comparison(known, face)
            else:
                yield event

    def compare(self, key: str, checkpoint: Checkpoint, face: UInt8[np.ndarray, "h w 3"]) -> Comparison | None:
        """A face beside the training faces nearest to it; None where those are unknown."""
        known = self.training_faces.get(key)
        if known is None and (found := find_training_faces(checkpoint)):
            known = self.training_faces.add(key, (found, None))
        return None if known is None else self.comparison(known, face)

    def comparison(self, known: tuple[TrainingFaces, Images | None], face: UInt8[np.ndarray, "h w 3"]) -> Comparison:
        """A face beside the nearest of these training faces."""
        features, images = known
        with self.device.lock:
            return compare_with_training_faces(features, face, images and images())

    def nearest_faces(self, key: str, checkpoint: Checkpoint) -> Iterator[float | NearestFaces]:
        """The training faces nearest to PAIRS faces of a job's model: progress from 0 to 1, then the result.

        Raises JobError while the job runs.
        """
        dataset, flip = self.job_faces(key)
        return self.device.run(nearest_faces(checkpoint, dataset, range(PAIRS), flip=flip, most=MAX_SEARCHED))

    def job_faces(self, key: str) -> tuple[FaceDataset, bool]:
        """The training faces of a job's model, and whether it mirrored them."""
        if self.jobs is None:
            raise JobError("Training is switched off on this page, so the training faces are not available.")
        return self.jobs.training_faces(job_of(key))

    def forget_deleted(self) -> None:
        """Drop what is known of the training faces of deleted jobs."""
        for key in self.training_faces.all_keys():
            if self.jobs and key.startswith(JOB_PREFIX):
                try:
                    self.jobs.get(job_of(key))
                except JobMissing:
                    self.training_faces.discard(key)


def opener(images: np.ndarray) -> Images:
    """What opens the decoded faces of a dataset again, None once their file is deleted.

    Until it is called nothing holds the file: a deleted one occupies the disk for as long as it is mapped.
    """
    if not isinstance(images, np.memmap):
        return lambda: images
    path, kind, offset, shape = str(images.filename), images.dtype, images.offset, images.shape

    def opened() -> np.ndarray | None:
        with suppress(FileNotFoundError):
            return np.memmap(path, kind, "r", offset, shape)
        return None

    return opened


def load_discriminator(checkpoint: Checkpoint) -> Checkpoint:
    """The model with its discriminator, if the folder has one for the same weights and within MAX_MULTIPLY_ADDS."""
    if checkpoint.folder is None or multiply_adds(Discriminator, checkpoint.generator.config) > MAX_MULTIPLY_ADDS:
        return checkpoint
    complete = load_model(checkpoint.folder, with_discriminator=True)
    same = complete.revision == checkpoint.revision  # a job that continues overwrites its best model
    return replace(checkpoint, discriminator=complete.discriminator) if same else checkpoint
