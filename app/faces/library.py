"""The models that the page can draw with: the embedded one, the owner's, and those that visitors load or train."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from huggingface_hub import scan_cache_dir, try_to_load_from_cache

from app.disk import check_free
from app.errors import JobError, visitor_text
from app.faces.model_costs import check_cost
from app.faces.model_files import ModelFiles
from app.faces.model_memory import ModelMemory, bytes_of
from app.jobs.limits import check_image_size
from app.jobs.service import Jobs
from app.loading import load_model
from app.recently_used import RecentlyUsed
from app.settings import Settings
from ganime.config import SCRATCH
from ganime.drawing.sampling import generate
from ganime.embedded import EMBEDDED
from ganime.errors import CheckpointError, GanimeError, HubError
from ganime.models.checkpoint import Checkpoint
from ganime.models.hub import names_folder, open_model, parse_reference, pull
from ganime.nets.clarity import CLARITY_FILE
from ganime.nets.dcgan import CONFIG_FILE
from ganime.text import printable, quoted

EMBEDDED_KEY, START_KEY = "embedded", "start"
LOADED = "loaded"  # a training job begins from the model in use
JOB_PREFIX = "job:"
FILE_PREFIX = "file:"  # of the key of a model that a visitor brought; the rest cannot be guessed
PRIVATE_PREFIXES = (JOB_PREFIX, FILE_PREFIX)  # of keys whose rest is a secret
UNNAMED_MODEL = "trained here"  # the name of a model whose job has none
TRAINED = "trained on this page"
MODELS_IN_MEMORY = 4  # beside those that always are
MAX_KEYS = 10_000  # keys of hub models that are remembered; the least recently used are forgotten first


@dataclass(frozen=True)
class ModelInfo:
    """What the page shows about a model.

    key: identifies the model to the studio.
    origin: where it comes from, in words.
    image_size: in px.
    note: a notice for the visitor, empty for none.
    """

    key: str
    name: str
    origin: str
    revision: str
    image_size: int
    parameters: int
    note: str = ""


class Library:
    """Models by key, for any thread. Every method raises GanimeError with a text for the visitor.

    A model trained here has the key "job:JOB_KEY@REVISION". That contains the secret key of its job, so the key of a
    model must never be shown to another visitor. jobs: the training jobs, None when training is off.
    """

    def __init__(self, settings: Settings, jobs: Jobs | None = None) -> None:
        self.settings = settings
        self.jobs = jobs
        self.lock = threading.Lock()
        self.recent: ModelMemory[Checkpoint] = ModelMemory(MODELS_IN_MEMORY, memory_of)
        self.files = ModelFiles(settings.home / "brought", settings.model_megabytes)
        self.issued: RecentlyUsed[str] = RecentlyUsed(MAX_KEYS)  # keys of hub models that visitors may use
        self.permanent = {EMBEDDED_KEY: load_model(EMBEDDED)}
        self.start = self.embedded()
        self.start_is_private = False  # whether its weights are unavailable to visitors elsewhere
        if settings.model:
            try:
                self.permanent[START_KEY] = self.open_start(settings.model)
                origin = f"from {Path(settings.model).name if names_folder(settings.model) else settings.model}"
                self.start = describe(START_KEY, self.permanent[START_KEY], origin)
            except GanimeError as error:
                text = f"{settings.model} could not be loaded, so the page uses the embedded model. {error}"
                self.start = replace(self.start, note=visitor_text(text))

    @property
    def cache(self) -> Path:
        """The cache of public hub models."""
        return self.settings.home / "public-hub"

    @property
    def owner_cache(self) -> Path:
        """The cache of models downloaded with the owner's token; visitors are never served from it."""
        return self.settings.home / "hub"

    def open_start(self, reference: str) -> Checkpoint:
        """The owner's model, downloaded without the token if possible; otherwise with it, and marked private."""
        timeout = self.settings.hub_timeout
        if not names_folder(reference):
            with suppress(HubError):  # private, gated, or unreachable: the owner's token or cache may give access
                return open_model(reference, self.cache, timeout=timeout, token=False)
        self.start_is_private = True
        return open_model(reference, self.owner_cache, timeout=timeout)

    @property
    def shares_start(self) -> bool:
        """Whether visitors may have the weights of the model that the page starts with."""
        return self.start.key == EMBEDDED_KEY or not self.start_is_private or self.settings.share_model

    def embedded(self) -> ModelInfo:
        """The embedded model, which is always available."""
        return describe(EMBEDDED_KEY, self.permanent[EMBEDDED_KEY], "embedded")

    def load(self, reference: str) -> ModelInfo:
        """Download a model from the hub and make it available under its key. reference: owner/name[@revision].

        The owner's token is never sent, because it may give access to private models.
        """
        limit = self.settings.model_megabytes * 2**20
        self.cache.mkdir(parents=True, exist_ok=True)
        check_free(self.cache, limit)
        loaded = ""
        try:
            timeout = self.settings.hub_timeout
            pulled = pull(reference, self.cache, timeout, token=False, max_bytes=limit, load=load_model)
            key = f"{pulled.repo_id}@{pulled.revision}"
            checkpoint = self.add_recent(key, replace(pulled.checkpoint, name=pulled.repo_id))
            loaded = pulled.revision
        finally:  # a model that is refused leaves files, too
            self.shrink_cache(loaded)
        self.issued.add(key, key)
        return replace(describe(key, checkpoint, f"hub, revision {pulled.revision[:12]}"), note=pulled.note)

    def load_file(self, path: Path, name: str) -> ModelInfo:
        """Make the model in a file that a visitor brought available under its key. name: of the file, for the visitor.

        Raises CheckpointError, with a text for the visitor, for a file that holds no model, or one that cannot draw.
        """
        secret = self.files.add(path, name)
        key = f"{FILE_PREFIX}{secret}"
        try:
            checkpoint = self.add_recent(key, self.brought(key))
            generate(checkpoint, [0])
        except Exception as error:  # whatever is wrong with it, its key is not handed out
            self.recent.discard(key)
            self.files.delete(secret)
            if isinstance(error, GanimeError):
                raise
            raise CheckpointError("The model in this file cannot draw a face.") from error
        return describe(key, checkpoint, f"from {printable(name, 80)}")

    def brought(self, key: str) -> Checkpoint:
        """The model of a key from `load_file`, from the disk, with its own name or that of its file.

        No name is that of one of the page's own models, whose faces anyone can draw.
        """
        secret = key.removeprefix(FILE_PREFIX)
        name = self.files.name(secret)
        if any(name == checkpoint.name for checkpoint in self.permanent.values()):
            name = f"{name}, brought"
        return self.from_disk(self.files.folder(secret), name)

    def from_disk(self, folder: Path, name: str) -> Checkpoint:
        """The model in a folder, by this name."""
        return replace(load_model(folder), name=name)

    def load_job(self, job_key: str) -> ModelInfo:
        """Make the current model of a training job available under its key."""
        checkpoint = self.trained(job_key)
        key = f"{JOB_PREFIX}{job_key}@{checkpoint.revision}"
        self.add_recent(key, checkpoint)
        return describe(key, checkpoint, TRAINED)

    def renew(self, key: str) -> ModelInfo:
        """Read the model of a job again, with the clarity that may have been fitted to it; never another revision."""
        known = self.checkpoint(key)
        if known.clarity is None and known.folder and (known.folder / CLARITY_FILE).is_file():
            checkpoint = self.trained(job_of(key))
            if checkpoint.revision == known.revision:
                self.add_recent(key, checkpoint)
        return self.info(key)

    def trained(self, job_key: str) -> Checkpoint:
        """The current model of a job, loaded from the disk, with the name that the visitor gave the job."""
        if self.jobs is None:
            raise JobError("Training is switched off on this page, so there are no models trained here.")
        checkpoint = self.jobs.checkpoint(job_key)
        return replace(checkpoint, name=self.jobs.get(job_key).name or UNNAMED_MODEL)

    def info(self, key: str) -> ModelInfo:
        """What the page shows about the model of a key, without any note."""
        if key == self.start.key:
            return replace(self.start, note="")
        if key == EMBEDDED_KEY:
            return self.embedded()
        origin = f"hub, revision {key.rpartition('@')[2][:12]}"
        if key.startswith(PRIVATE_PREFIXES):
            origin = TRAINED if key.startswith(JOB_PREFIX) else "from a file"
        return describe(key, self.checkpoint(key), origin)

    def key_of(self, name: str, revision: str, current: str = "", jobs: Sequence[str] = ()) -> str:
        """The key of the model that drew a face, which is loaded for it if necessary.

        name, revision: of the model, as the face's recipe states them; the revision decides.
        current: a key under which the visitor had that model before, empty for none.
        jobs: keys of the visitor's jobs.

        Looked for in this order: among the page's own models, under `current`, in `jobs`, on the hub by name. Raises
        CheckpointError if the model is not found or has other weights now, and GanimeError if it cannot be loaded.
        """
        for key, checkpoint in self.permanent.items():
            if checkpoint.revision == revision:
                return key
        with suppress(GanimeError):  # deleted or evicted
            if current and self.checkpoint_or_download(current).revision == revision:
                return current
        for job in jobs:
            with suppress(GanimeError):  # deleted, without a model, or not a key at all
                if (info := self.load_job_named(job, name)) and info.revision == revision:
                    return info.key
        is_permanent = any(name == checkpoint.name for checkpoint in self.permanent.values())
        loaded = self.load(name) if not is_permanent and names_hub_model(name) else None
        if loaded and loaded.revision == revision:
            return loaded.key
        name, revision = printable(name, 80), printable(revision, 20)
        if loaded or is_permanent:
            raise CheckpointError(
                f"{name} has other weights by now. The face was drawn with the weights {revision}, and only those can "
                "draw it again. Nothing was changed."
            )
        raise CheckpointError(
            f"The model {name} with the weights {revision} is not available: it was trained elsewhere or by another "
            "visitor, was deleted, or has been trained further since. Nothing was changed."
        )

    def public_key_of(self, revision: str) -> str | None:
        """The key of a model in memory with these weights that anyone may draw with; None for no such model.

        Models of training jobs and of files belong to those who have the key.
        """
        hub = [key for key in self.recent.all_keys() if not key.startswith(PRIVATE_PREFIXES)]
        for key in (*self.permanent, *hub):
            checkpoint = self.permanent.get(key) or self.recent.get(key)
            if checkpoint and checkpoint.revision == revision:
                return key
        return None

    def checkpoint_or_download(self, key: str) -> Checkpoint:
        """The model of a key; a hub model that was evicted from the disk is downloaded again."""
        try:
            return self.checkpoint(key)
        except HubError:
            if key.startswith(PRIVATE_PREFIXES):
                raise
            return self.checkpoint(self.load(key).key)

    def load_job_named(self, job_key: str, name: str) -> ModelInfo | None:
        """`load_job`, but None for a job of another name, whose model need not be read for that."""
        if self.jobs is None or (self.jobs.get(job_key).name or UNNAMED_MODEL) != name:
            return None
        return self.load_job(job_key)

    def checkpoint(self, key: str) -> Checkpoint:
        """The model of a key that this page issued, from memory or from the disk, never from the network."""
        if key in self.permanent:
            return self.permanent[key]
        if key.startswith(JOB_PREFIX):
            return self.job_checkpoint(key)
        if key.startswith(FILE_PREFIX):
            return self.recent.get(key) or self.add_recent(key, self.brought(key))
        if not self.issued.get(key):
            raise HubError(f"{printable(key, 200)} was not loaded on this page. Load it first.")
        if checkpoint := self.recent.get(key):
            return checkpoint
        reference = parse_reference(key)
        config = try_to_load_from_cache(reference.repo_id, CONFIG_FILE, self.cache, reference.revision)
        if not isinstance(config, str):
            raise HubError(f"{reference.repo_id} is no longer stored here. Load it again.")
        return self.add_recent(key, self.from_disk(Path(config).parent, reference.repo_id))

    def trainable(self, key: str) -> Checkpoint:
        """The model of a key, to continue training from; its weights can then be downloaded from the job.

        Raises CheckpointError for the owner's private model, unless GANIME_SHARE_MODEL is set.
        """
        if key == START_KEY and not self.shares_start:
            raise CheckpointError(
                f"{self.start.name} is private, and its weights could be downloaded from a job that starts from it. "
                "Start from the embedded model, or have the owner of this page set GANIME_SHARE_MODEL=true."
            )
        return self.checkpoint(key)

    def beginning(self, start: str, image_size: int, key: str = "") -> tuple[Path | None, int]:
        """The folder of the model that a training job begins from, None for scratch, and its image size in px.

        start: EMBEDDED_KEY, SCRATCH, or LOADED for the model of `key`, which keeps its own size.
        Raises GanimeError as `trainable`, and JobError for any other start or size.
        """
        check_image_size(image_size)
        if start == SCRATCH:
            return None, image_size
        if start == EMBEDDED_KEY:
            return EMBEDDED, image_size
        if start != LOADED or not key:
            raise JobError(f"start must be one of {EMBEDDED_KEY}, {SCRATCH}; got {quoted(start)}.")
        loaded = self.trainable(key)
        return loaded.folder, loaded.generator.config.image_size

    def job_checkpoint(self, key: str) -> Checkpoint:
        """The model of a job, in exactly the revision that the key names.

        Raises JobMissing once the job is deleted, and CheckpointError once the job has another model.
        """
        job_key, revision = job_of(key), key.rpartition("@")[2]
        if self.jobs:
            self.jobs.get(job_key)
        if checkpoint := self.recent.get(key):
            return checkpoint
        checkpoint = self.trained(job_key)
        if checkpoint.revision != revision:
            raise CheckpointError(
                f"{checkpoint.name} has been trained further since you chose it. Choose it again on the Train tab."
            )
        return self.add_recent(key, checkpoint)

    def add_recent(self, key: str, checkpoint: Checkpoint) -> Checkpoint:
        """Keep a model in memory. Raises CheckpointError for a model that is too slow for a shared page."""
        check_cost(checkpoint.name, checkpoint.generator.config)
        return self.recent.add(key, checkpoint)

    def shrink_cache(self, loaded: str) -> None:
        """Delete the oldest revisions of hub models, but not the commit `loaded`, until the cache fits its limit."""
        if not self.cache.is_dir():
            return
        with self.lock:
            cache = scan_cache_dir(self.cache)
            excess = cache.size_on_disk - self.settings.cache_megabytes * 2**20
            revisions = [revision for repo in cache.repos for revision in repo.revisions]
            for revision in sorted(revisions, key=lambda revision: revision.last_modified):
                if excess > 0 and revision.commit_hash != loaded:
                    strategy = cache.delete_revisions(revision.commit_hash)
                    strategy.execute()
                    excess -= strategy.expected_freed_size


def names_hub_model(name: str) -> bool:
    """Whether a model's name could be that of a repository on the hub; a visitor may call a job anything."""
    try:
        parse_reference(name)
    except HubError:
        return False
    return True


def job_of(key: str) -> str:
    """The key of the job that trained the model of this key."""
    return key.removeprefix(JOB_PREFIX).rpartition("@")[0]


def memory_of(checkpoint: Checkpoint) -> int:
    """How many bytes a model takes that is drawn with: its generator as it is, and prepared."""
    return 2 * bytes_of(checkpoint.generator)


def describe(key: str, checkpoint: Checkpoint, origin: str) -> ModelInfo:
    """What the page shows about a model: see `ModelInfo` for `key` and `origin`."""
    parameters = sum(parameter.numel() for parameter in checkpoint.generator.parameters())
    size = checkpoint.generator.config.image_size
    return ModelInfo(key, checkpoint.name, origin, checkpoint.revision, size, parameters)
