"""Downloads models from the Hugging Face hub: only the files of a model, within size limits and within a deadline.

huggingface_hub does the downloading. It retries for minutes, waits as long as a Retry-After header asks, and compares
no checksums. So its calls run in a thread that is abandoned when the time is up, and every file is checked afterwards.
An abandoned download may still finish in the background; a later call then finds it in the cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from huggingface_hub import HfApi, constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub import errors as hf
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import HFValidationError, get_token_to_send, validate_repo_id

from ganime.background import in_time
from ganime.errors import HUB_OFFLINE, ConfigError, HubError
from ganime.files import write_bytes
from ganime.models.checkpoint import FILES_FOR_TRAINING, MODEL_FILES, Checkpoint, load_checkpoint
from ganime.nets.dcgan import CONFIG_FILE, WEIGHTS_FILE
from ganime.version import __version__

DOWNLOAD_SECONDS = 120.0  # for all files of a model together
MAX_WEIGHTS_BYTES = 512 * 2**20  # of one .safetensors file
MAX_TEXT_BYTES = 16 * 2**20  # of any other file
HEADERS = {"user-agent": f"ganime/{__version__}"}
PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl")
URL = re.compile(r"https?://huggingface\.co/([\w.-]+/[\w.-]+)(?:/tree/([^/?#]+))?/?(?:[?#].*)?", re.ASCII)
NAME = re.compile(r"([\w.-]+/[\w.-]+)(?:@(\S+))?", re.ASCII)
REVISION = re.compile(r"(?=.{1,200}$)\w[\w.+-]*(?:/\w[\w.+-]*)*", re.ASCII)  # safe as a path below refs/
NOT_A_HUB = (hf.FileMetadataError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
T = TypeVar("T")


class HubUnreachable(HubError):
    """The hub is down, slow, overloaded or out of reach; a copy in the cache can be used instead."""


@dataclass(frozen=True)
class ModelReference:
    """A model on the hub: owner/name, and a branch, tag or commit; None for the branch main."""

    repo_id: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{self.repo_id}@{self.revision or constants.DEFAULT_REVISION}"


@dataclass(frozen=True)
class PulledModel:
    """A downloaded model.

    folder: the model folder, for `load_checkpoint`.
    checkpoint: the model, as it was read from there.
    repo_id: owner/name.
    revision: the full commit.
    note: what the user should know about the download, empty if nothing.
    """

    folder: Path
    checkpoint: Checkpoint
    repo_id: str
    revision: str
    note: str


def parse_reference(text: str) -> ModelReference:
    """Parse owner/name, owner/name@revision or a URL on huggingface.co. Raises HubError for any other text."""
    match = URL.fullmatch(text.strip()) or NAME.fullmatch(text.strip())
    if match and (match[2] is None or REVISION.fullmatch(unquote(match[2]))):
        with contextlib.suppress(HFValidationError):
            validate_repo_id(match[1])
            return ModelReference(match[1], match[2] and unquote(match[2]))
    raise HubError(
        f"{text[:200]!r} is not a model name. Enter owner/name, owner/name@revision or its huggingface.co address."
    )


def pull(
    text: str,
    cache: Path,
    timeout: float = 10.0,
    token: str | bool | None = None,
    *,
    with_discriminator: bool = False,
    endpoint: str | None = None,
    max_bytes: int = MAX_WEIGHTS_BYTES,
    download_seconds: float = DOWNLOAD_SECONDS,
    load: Callable[[Path, bool], Checkpoint] = load_checkpoint,
) -> PulledModel:
    """Download a model into a hub cache and load it.

    If the hub is unreachable, too slow or overloaded, a copy in the cache is used, and the note says so.

    text: the model, as `parse_reference` reads it.
    cache: folder of the cache, in the layout of huggingface_hub.
    timeout: seconds until the hub must have listed the model's files.
    token: None for the one of HF_TOKEN or `hf auth login`, False to send none.
    with_discriminator: also download the discriminator and the critic if the model has them.
    endpoint: URL of the hub, by default HF_ENDPOINT.
    max_bytes: size limit for a file of weights.
    download_seconds: time limit for all files together.
    load: reads a folder, with the discriminator or without.

    Raises HubError if the hub does not deliver a model, CheckpointError if config.json and weights do not match.
    """
    reference, note = parse_reference(text), ""
    hub = Hub(reference, cache, (endpoint or constants.ENDPOINT).rstrip("/"), token)
    names = [name for name in MODEL_FILES if with_discriminator or name not in FILES_FOR_TRAINING]
    try:
        commit, files = bounded(timeout, hub.host, lambda: hub.list_files(names, timeout, max_bytes))
        bounded(download_seconds, hub.host, lambda: hub.download(commit, files, timeout))
    except HubUnreachable as error:
        copy = try_to_load_from_cache(reference.repo_id, WEIGHTS_FILE, cache_dir=cache, revision=reference.revision)
        if not (isinstance(copy, str) and Path(copy).with_name(CONFIG_FILE).is_file()):
            raise HubUnreachable(f"{error} The cache holds no copy of {reference} to use instead.") from None
        commit = Path(copy).parent.name
        note = f"{error} This is the copy of {reference} in the cache, commit {commit[:12]}."
    folder = hub.repository / "snapshots" / commit
    try:
        checkpoint = load(folder, with_discriminator)
    except ConfigError as error:
        raise HubError(f"{CONFIG_FILE} of {reference} describes no model Ganime can build: {error}") from error
    return PulledModel(folder, checkpoint, reference.repo_id, commit, note)


@dataclass(frozen=True)
class Hub:
    """One model on a hub; see `pull` for the fields. Methods raise HubError with a text that contains no token."""

    reference: ModelReference
    cache: Path
    endpoint: str
    token: str | bool | None

    @property
    def host(self) -> str:
        return host_of(self.endpoint)

    @property
    def repository(self) -> Path:
        return self.cache / repo_folder_name(repo_id=self.reference.repo_id, repo_type="model")

    def list_files(self, names: list[str], timeout: float, max_bytes: int) -> tuple[str, list[RepoSibling]]:
        """The commit of the revision, and those of the named files that it has. Raises HubError if it is no model."""
        repo_id, revision = self.reference.repo_id, self.reference.revision or constants.DEFAULT_REVISION
        try:
            token_to_send(self.token)
            api = HfApi(self.endpoint, self.token, headers=HEADERS)
            info = api.model_info(repo_id, revision=revision, files_metadata=True, timeout=timeout)
            [commit] = re.findall(r"\A[0-9a-f]{40}\Z", info.sha or "")  # it becomes the name of a folder
            listed = {file.rfilename: file for file in info.siblings or []}
            for file in (files := [listed[name] for name in names if name in listed]):
                name, size = file.rfilename, file.size or 0
                if size > (limit := max_bytes if name.endswith(".safetensors") else MAX_TEXT_BYTES):
                    raise HubError(f"{name} of {self.reference} has {size:,} bytes; {limit:,} are allowed.")
        except Exception as error:
            raise self.explained(error, "its list of files") from None
        if missing := [name for name in (CONFIG_FILE, WEIGHTS_FILE) if name not in listed]:
            text = f"{self.reference} holds no Ganime model: {' and '.join(missing)} missing."
            if pickles := [name for name in listed if name.lower().endswith(PICKLES)]:
                text += f" {pickles[0]} may run code: if you trust it, fetch it and `ganime import` it."
            raise HubError(text)
        return commit, files

    def download(self, commit: str, files: list[RepoSibling], timeout: float) -> None:
        """Download the files of a commit that the cache does not hold intact, and note it as the revision's commit."""
        options: dict[str, Any] = {"endpoint": self.endpoint, "token": self.token, "headers": HEADERS}
        options |= {"cache_dir": self.cache, "revision": commit, "etag_timeout": timeout}
        name = "the model"
        try:
            for file in files:
                name, path = file.rfilename, self.repository / "snapshots" / commit / file.rfilename
                if path.exists() and not is_intact(path, file):
                    delete_cached(path)
                hf_hub_download(self.reference.repo_id, name, **options)
                if not is_intact(path, file):
                    delete_cached(path)
                    raise HubError(f"{name} of {self.reference} arrived damaged and was deleted. Try again.")
            if self.reference.revision != commit:
                write_bytes(self.repository / "refs" / (self.reference.revision or "main"), commit.encode())
        except Exception as error:
            raise self.explained(error, name) from None

    def explained(self, error: Exception, what: str) -> HubError:
        """What a failure to fetch `what` means to the user; other errors' texts are left out, they may hold a token."""
        model, host, remedy = self.reference.repo_id, self.host, "set HF_TOKEN to a token that may read it"
        if self.token is False:
            remedy = "choose a public model, for only those are read here"
        if isinstance(error, hf.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
            error = error.__cause__  # huggingface_hub wraps what happened
        if isinstance(error, HubError):
            return error
        if isinstance(error, hf.OfflineModeIsEnabled):
            return HubUnreachable(HUB_OFFLINE)
        if isinstance(error, hf.HfHubHTTPError):
            status = error.response.status_code
            if overload := overload_of(host, status):
                return overload
            if isinstance(error, hf.GatedRepoError):
                return HubError(f"{model} is gated (HTTP {status}): accept its conditions on {host} and {remedy}.")
            if status in (401, 403):
                return HubError(f"{model} is private or not on {host} (HTTP {status}). Check the name or {remedy}.")
            if isinstance(error, hf.RevisionNotFoundError):
                return HubError(f"{model} has no revision {self.reference}. Give a branch, a tag or a full commit.")
            if isinstance(error, hf.RepositoryNotFoundError):
                return HubError(f"{host} has no model {model} (HTTP {status}). Check its owner and name.")
            return HubError(f"{host} does not deliver {what} of {self.reference} (HTTP {status}). Try again later.")
        if isinstance(error, NOT_A_HUB):
            return HubError(f"{host} does not answer like a Hugging Face hub. Check HF_ENDPOINT.")
        if isinstance(error, OSError) and error.errno:
            return HubError(f"The cache {self.cache} cannot be used: {error}. Make room in it or choose another.")
        if isinstance(error, OSError):  # without a number: the library's check of the size
            return HubError(f"{what} of {self.reference} arrived damaged and was deleted. Try again.")
        return HubUnreachable(f"{host} could not be reached for {what}. Check the network, or try again later.")


def overload_of(host: str, status: int) -> HubUnreachable | None:
    """The error for an HTTP status with which a hub says that it cannot answer now; None for any other status."""
    if status in (408, 429) or status >= 500:
        return HubUnreachable(f"{host} is overloaded or out of order (HTTP {status}). Try again later.")
    return None


def host_of(endpoint: str) -> str:
    """The host in the address of a hub, without user name and password."""
    return (urlsplit(endpoint).netloc or endpoint).rpartition("@")[2]


def token_to_send(token: str | bool | None) -> str | None:
    """The token that huggingface_hub would send, None for none. Raises HubError for one that fits in no header.

    token: see `pull`.
    """
    sent = get_token_to_send(token)
    if sent and not re.fullmatch(r"[!-~]+", sent):
        raise HubError("The token for the hub holds a space or an unprintable character. Copy it again.")
    return sent


def is_intact(path: Path, file: RepoSibling) -> bool:
    """Whether `path` holds the listed file: by SHA-256 if it is kept in LFS, else by git's SHA-1 of a blob."""
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    content = path.read_bytes()
    if file.lfs:
        return hashlib.sha256(content).hexdigest() == file.lfs.sha256
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == file.blob_id


def delete_cached(path: Path) -> None:
    """Delete a file of a snapshot, and the blob that it links to."""
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def bounded(seconds: float, host: str, work: Callable[[], T]) -> T:
    """Return or raise what `work()` does. Raises HubUnreachable if that takes longer than `seconds`.

    It runs in a separate thread: no timeout of the library bounds a DNS lookup, dripping headers or a Retry-After.
    """
    try:
        return in_time(seconds, work, "ganime-hub")
    except TimeoutError:
        raise HubUnreachable(f"{host} was not done within {seconds:g} seconds. Try again later.") from None


def names_folder(reference: str) -> bool:
    """Whether a reference names a folder on this machine rather than a repository on the hub."""
    return Path(reference).exists() or reference.startswith((".", "/", "~")) or reference.count("/") != 1


def open_model(
    reference: str,
    hub_cache: Path,
    with_discriminator: bool = False,
    timeout: float = 10.0,
    token: str | bool | None = None,
) -> Checkpoint:
    """Load the model in a folder or training run if there is one of that name, else repo_id[@revision] from the hub.

    Only for references from the owner of the machine: a path is read wherever it points.

    hub_cache: where models from the hub are kept.
    with_discriminator, timeout, token: as for `pull`.

    Raises GanimeError.
    """
    if names_folder(reference):
        return load_checkpoint(Path(reference).expanduser(), with_discriminator)
    try:
        pulled = pull(reference, hub_cache, timeout, token, with_discriminator=with_discriminator)
    except HubError as error:
        raise HubError(f"There is no folder {reference}, and as a model on the hub: {error}") from error
    return replace(pulled.checkpoint, name=pulled.repo_id)
