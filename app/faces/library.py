"""The models the page can draw from: the embedded one, the one it was started with, those visitors load or train."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from huggingface_hub import scan_cache_dir, try_to_load_from_cache

from app.errors import JobError
from app.jobs.service import Jobs
from app.settings import Settings
from ganime.drawing.layers import multiply_adds
from ganime.errors import CheckpointError, GanimeError, HubError
from ganime.models.checkpoint import EMBEDDED, Checkpoint, load_checkpoint
from ganime.models.hub import names_folder, open_model, parse_reference, pull
from ganime.nets.dcgan import CONFIG_FILE, Generator
from ganime.text import printable

EMBEDDED_KEY, START_KEY = "embedded", "start"
JOB_PREFIX, UNNAMED = "job:", "trained here"
TRAINED = "trained on this page"
PULLS = 2  # at a time; each holds a model in memory twice while it is checked
BUSY_SECONDS = 3.0
MAX_KEYS = 10_000  # of hub models that were handed out; the ones handed out first are forgotten
MAX_MULTIPLY_ADDS = 4_000_000_000  # for a face; the embedded model needs a fortieth of it


@dataclass(frozen=True)
class ModelInfo:
    """What the page tells about a model. key: how the page names it to the studio."""

    key: str
    name: str
    origin: str
    revision: str
    image_size: int
    parameters: int
    note: str = ""


class Library:
    """Models by key, for any thread. Every method raises GanimeError with a text for the visitor.

    A visitor's own model has the key "job:JOB_KEY@REVISION": only who has the key of the job can name it, and whoever
    shows the key of a model to others gives it away. jobs: where such models come from, None where nobody trains.
    """

    def __init__(self, settings: Settings, jobs: Jobs | None = None) -> None:
        self.settings = settings
        self.jobs = jobs
        self.lock = threading.Lock()
        self.pulls = threading.BoundedSemaphore(PULLS)
        self.loaded: OrderedDict[str, Checkpoint] = OrderedDict()  # least recently used first
        self.handed_out: OrderedDict[str, None] = OrderedDict()  # keys of hub models, oldest first
        self.kept = {EMBEDDED_KEY: load_checkpoint(EMBEDDED)}
        self.start = self.embedded()
        self.start_is_private = False  # whether visitors could get its weights nowhere else
        if settings.model:
            try:
                self.kept[START_KEY] = self.open_start(settings.model)
                self.start = describe(START_KEY, self.kept[START_KEY], f"from {settings.model}")
            except GanimeError as error:
                note = f"{settings.model} could not be loaded, so the embedded model is in place. {error}"
                self.start = replace(self.start, note=note)

    @property
    def cache(self) -> Path:
        """Where models that the hub gives to everyone are kept."""
        return self.settings.home / "public-hub"

    @property
    def owner_cache(self) -> Path:
        """Where models that were fetched with the owner's token are kept; visitors are never served from it."""
        return self.settings.home / "hub"

    def open_start(self, reference: str) -> Checkpoint:
        """The owner's model: fetched without the token where the hub allows it, else with it and marked private."""
        timeout = self.settings.hub_timeout
        if not names_folder(reference):
            with suppress(HubError):  # private, gated, or out of reach: the owner's token or cache may open it
                return open_model(reference, self.cache, timeout=timeout, token=False)
        self.start_is_private = True
        return open_model(reference, self.owner_cache, timeout=timeout)

    def embedded(self) -> ModelInfo:
        """The model that is always there."""
        return describe(EMBEDDED_KEY, self.kept[EMBEDDED_KEY], "embedded")

    def load(self, reference: str) -> ModelInfo:
        """Fetch a model from the hub by `repo_id` or `repo_id@revision` and make it available under its key.

        The owner's token is never sent for a visitor: it may open private models.
        """
        limit = self.settings.model_megabytes * 2**20
        with self.turn():
            found = pull(reference, self.cache, self.settings.hub_timeout, token=False, max_bytes=limit)
            key = f"{found.repo_id}@{found.revision}"
            checkpoint = self.remember(key, replace(load_checkpoint(found.folder), name=found.repo_id))
            self.hand_out(key)
            self.trim(found.repo_id)
        return replace(describe(key, checkpoint, f"hub, revision {found.revision[:12]}"), note=found.note)

    def load_job(self, job_key: str) -> ModelInfo:
        """Make the model of a training job, as it is now, available under its key."""
        with self.turn():
            checkpoint = self.trained(job_key)
            key = f"{JOB_PREFIX}{job_key}@{checkpoint.revision}"
            self.remember(key, checkpoint)
        return describe(key, checkpoint, TRAINED)

    def trained(self, job_key: str) -> Checkpoint:
        """The model of a job, read anew, by the name that the visitor gave it."""
        if self.jobs is None:
            raise JobError("Training is switched off on this page, so it has no models of visitors.")
        return replace(load_checkpoint(self.jobs.model(job_key)), name=self.jobs.get(job_key).name or UNNAMED)

    def info(self, key: str) -> ModelInfo:
        """What the page tells about the model of a key that was given out."""
        if key == self.start.key:
            return replace(self.start, note="")
        if key == EMBEDDED_KEY:
            return self.embedded()
        origin = TRAINED if key.startswith(JOB_PREFIX) else f"hub, revision {key.rpartition('@')[2][:12]}"
        return describe(key, self.checkpoint(key), origin)

    def drawer(self, name: str, revision: str, known: str = "", jobs: Sequence[str] = ()) -> str:
        """The key of the model that draws the faces of a name and a revision of weights, which it is made to have.

        It is one that the page keeps; or the one that the visitor had by the key `known`, empty for none; or the one of
        a job of the keys `jobs`; or the hub's of that name. Raises CheckpointError where the model of that name has
        other weights by now, and GanimeError where there is none or it cannot be had.
        """
        for key, checkpoint in self.kept.items():
            if checkpoint.revision == revision:
                return key
        with suppress(GanimeError):  # deleted, or gone from the disk: another may be the one
            if known and self.again(known).revision == revision:
                return known
        for job in jobs:
            with suppress(GanimeError):  # deleted, without a model, or no key at all: another may be the one
                if (info := self.job_named(job, name)) and info.revision == revision:
                    return info.key
        own = any(name == checkpoint.name for checkpoint in self.kept.values())
        found = self.load(name) if not own and "/" in name else None
        if found and found.revision == revision:
            return found.key
        if found or own:
            raise CheckpointError(
                f"{printable(name, 80)} has other weights by now. The face was drawn with the weights "
                f"{printable(revision, 20)}, and no others draw it again. Nothing was changed."
            )
        raise CheckpointError(
            f"The model {printable(name, 80)} with the weights {printable(revision, 20)} is not here: it was trained "
            "elsewhere or by another visitor, was deleted, or has learnt on since. Nothing was changed."
        )

    def again(self, key: str) -> Checkpoint:
        """The model of a key that was given out, fetched anew where the hub's is on the disk no longer."""
        try:
            return self.checkpoint(key)
        except HubError:
            if key.startswith(JOB_PREFIX):
                raise
            return self.checkpoint(self.load(key).key)

    def job_named(self, job_key: str, name: str) -> ModelInfo | None:
        """The model of a job, None when the job has another name; so of many jobs few are read."""
        if self.jobs is None or (self.jobs.get(job_key).name or UNNAMED) != name:
            return None
        return self.load_job(job_key)

    def checkpoint(self, key: str) -> Checkpoint:
        """The model of a key that was given out; from memory, or else from the disk, never from the network."""
        if key in self.kept:
            return self.kept[key]
        if key.startswith(JOB_PREFIX):
            return self.job_checkpoint(key)
        if key not in self.handed_out:
            raise HubError(f"{printable(key, 200)} was not loaded on this page. Load it first.")
        if found := self.recall(key):
            return found
        reference = parse_reference(key)
        config = try_to_load_from_cache(reference.repo_id, CONFIG_FILE, self.cache, reference.revision)
        if not isinstance(config, str):
            raise HubError(f"{reference.repo_id} is no longer here. Load it again.")
        with self.turn():
            return self.remember(key, replace(load_checkpoint(Path(config).parent), name=reference.repo_id))

    def trainable(self, key: str) -> Checkpoint:
        """The model of a key, to train on from. Whoever trains on from a model can download its weights.

        Raises CheckpointError for the owner's private model, unless the owner shares it.
        """
        if key == START_KEY and self.start_is_private and not self.settings.share_model:
            raise CheckpointError(
                f"{self.start.name} is private, and its weights could be downloaded from a job that begins with it. "
                "Start from the embedded model, or have the owner of this page set GANIME_SHARE_MODEL=true."
            )
        return self.checkpoint(key)

    def hand_out(self, key: str) -> None:
        """Note that a visitor may use the hub model of this key."""
        with self.lock:
            self.handed_out[key] = None
            while len(self.handed_out) > MAX_KEYS:
                self.handed_out.popitem(last=False)

    def job_checkpoint(self, key: str) -> Checkpoint:
        """The model of a job in the very revision that its key names; JobMissing once the job is deleted."""
        job_key, _, revision = key.removeprefix(JOB_PREFIX).rpartition("@")
        if self.jobs:
            self.jobs.get(job_key)
        if found := self.recall(key):
            return found
        with self.turn():
            checkpoint = self.trained(job_key)
            if checkpoint.revision != revision:
                raise CheckpointError(
                    f"{checkpoint.name} has learnt on since it was chosen. Choose it again on the Train tab."
                )
            return self.remember(key, checkpoint)

    def recall(self, key: str) -> Checkpoint | None:
        """A model that is still in memory."""
        with self.lock:
            if key in self.loaded:
                self.loaded.move_to_end(key)
            return self.loaded.get(key)

    def remember(self, key: str, checkpoint: Checkpoint) -> Checkpoint:
        """Keep a model in memory, and let go of the one that was not used for longest."""
        needed = multiply_adds(Generator, checkpoint.generator.config)
        if needed > MAX_MULTIPLY_ADDS:
            raise CheckpointError(
                f"{checkpoint.name} needs {needed / 1e9:.1f} billion multiply-adds for a face; this page draws with at "
                f"most {MAX_MULTIPLY_ADDS / 1e9:.0f} billion, so that others need not wait. Run it on your own machine."
            )
        with self.lock:
            self.loaded[key] = checkpoint
            while len(self.loaded) > self.settings.models_in_memory:
                self.loaded.popitem(last=False)
        return checkpoint

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A turn at loading; refused in words when others are at it for long."""
        if not self.pulls.acquire(timeout=BUSY_SECONDS):
            raise HubError("Others are loading models just now. Try again in a moment.")
        try:
            yield
        finally:
            self.pulls.release()

    def trim(self, newest: str) -> None:
        """Delete the models that were not used for longest while the cache on disk is too large."""
        found = scan_cache_dir(self.cache)
        excess = found.size_on_disk - self.settings.cache_megabytes * 2**20
        for repo in sorted(found.repos, key=lambda repo: repo.last_accessed):
            if excess > 0 and repo.repo_id != newest:
                found.delete_revisions(*(revision.commit_hash for revision in repo.revisions)).execute()
                excess -= repo.size_on_disk


def describe(key: str, checkpoint: Checkpoint, origin: str) -> ModelInfo:
    parameters = sum(parameter.numel() for parameter in checkpoint.generator.parameters())
    size = checkpoint.generator.config.image_size
    return ModelInfo(key, checkpoint.name, origin, checkpoint.revision, size, parameters)
