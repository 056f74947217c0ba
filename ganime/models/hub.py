"""Pulling a model from the Hugging Face hub: checked, within a deadline, and never a pickle.

huggingface_hub's download retries for minutes, sleeps as long as a Retry-After header bids and compares no checksum;
so the bytes are read here, over its session, and laid into its cache where it finds them too.
"""

from __future__ import annotations

import concurrent.futures as futures
import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, unquote, urlsplit

from huggingface_hub import constants, try_to_load_from_cache
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import HFValidationError, get_session, get_token_to_send, validate_repo_id

from ganime.errors import ConfigError, HubError
from ganime.files import atomic_file
from ganime.models.checkpoint import CARD_FILE, DIRECTION_FILES, Checkpoint, load_checkpoint
from ganime.nets.critic import CRITIC_FILE
from ganime.nets.dcgan import CONFIG_FILE, DISCRIMINATOR_FILE, WEIGHTS_FILE
from ganime.version import __version__

PULL_SECONDS = 120.0  # for a whole pull, however steadily the hub drips
MAX_FILE_BYTES = 512 * 2**20
MAX_TEXT_BYTES = 16 * 2**20  # of config.json, of the card and of the hub's list of files
ADDRESS = re.compile(r"https?://huggingface\.co/([\w.-]+/[\w.-]+)(?:/tree/([^/?#]+))?/?(?:[?#].*)?", re.ASCII)
PLAIN = re.compile(r"([\w.-]+/[\w.-]+)(?:@(\S+))?", re.ASCII)
REVISION = re.compile(r"(?=.{1,200}$)\w[\w.+-]*(?:/\w[\w.+-]*)*", re.ASCII)  # safe as a path below refs/
T = TypeVar("T")


class HubUnreachable(HubError):
    """The hub is down, slow, busy or out of reach: the one failure that a copy in the cache can mend."""


@dataclass(frozen=True)
class ModelReference:
    """A model on the hub: owner/name, and a branch, tag or commit; None for the branch main."""

    repo_id: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{self.repo_id}@{self.revision or constants.DEFAULT_REVISION}"


@dataclass(frozen=True)
class PulledModel:
    """A model folder to give to `load_checkpoint`, the full commit it is, and what a person should know of it."""

    folder: Path
    repo_id: str
    revision: str
    note: str


@dataclass(frozen=True)
class RemoteFile:
    """A file as the hub lists it; size in bytes; checksum: SHA-256 of a large file, git's blob SHA-1 of another."""

    name: str
    size: int
    checksum: str

    def is_at(self, path: Path) -> bool:
        """Whether `path` holds exactly this file."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        digest = hashlib.sha256() if len(self.checksum) == 64 else hashlib.sha1(b"blob %d\0" % self.size)
        digest.update(path.read_bytes())
        return digest.hexdigest() == self.checksum


def parse_reference(text: str) -> ModelReference:
    """The model that owner/name, owner/name@revision or an address on huggingface.co names; HubError for all else."""
    match = ADDRESS.fullmatch(text.strip()) or PLAIN.fullmatch(text.strip())
    if match and (match[2] is None or REVISION.fullmatch(unquote(match[2]))):
        with contextlib.suppress(HFValidationError):
            validate_repo_id(match[1])
            return ModelReference(match[1], match[2] and unquote(match[2]))
    raise HubError(f"{text[:200]!r} is no model; give owner/name, owner/name@revision or its huggingface.co address.")


def pull(
    text: str,
    cache: Path,
    timeout: float = 10.0,
    token: str | bool | None = None,
    *,
    with_discriminator: bool = False,
    endpoint: str | None = None,
    max_bytes: int | None = None,
) -> PulledModel:
    """Fetch the model that `text` names (see `parse_reference`) into the hub cache in folder `cache`, and check it.

    timeout: seconds for the hub to say what it has, and then the longest silence while it sends; all of it ends
    within PULL_SECONDS. token: by default that of HF_TOKEN or `hf auth login`; False sends none.
    with_discriminator: fetch it and the critic too, where there are any, to train on from. endpoint: address of the
    hub, by default that of HF_ENDPOINT. max_bytes: the largest file of weights to fetch, by default MAX_FILE_BYTES.
    When the hub cannot be reached a copy in the cache is used, and the note says so.

    Raises HubError when the hub hands over no model, CheckpointError when config.json and weights do not fit.
    """
    reference, note, begin = parse_reference(text), "", time.monotonic()
    hub = Hub(reference, (endpoint or constants.ENDPOINT).rstrip("/"), token, timeout, max_bytes or MAX_FILE_BYTES)
    repository = cache / repo_folder_name(repo_id=reference.repo_id, repo_type="model")
    judges = [DISCRIMINATOR_FILE, CRITIC_FILE] * with_discriminator
    names = [CONFIG_FILE, CARD_FILE, WEIGHTS_FILE, *DIRECTION_FILES, *judges]
    try:
        late = f"{hub.host} did not answer within {timeout:g} seconds. Try again later."
        sha, files = in_time(begin + min(timeout, PULL_SECONDS), late, lambda by: hub.list_files(names, by))
    except HubUnreachable as error:
        found = try_to_load_from_cache(reference.repo_id, WEIGHTS_FILE, cache_dir=cache, revision=reference.revision)
        if not (isinstance(found, str) and Path(found).with_name(CONFIG_FILE).is_file()):
            raise HubUnreachable(f"{error} The cache holds no copy of {reference} to use instead.") from None
        sha, files = Path(found).parent.name, []
        note = f"{error} This is the copy of {reference} in the cache, commit {sha[:12]}."
    folder = repository / "snapshots" / sha
    try:
        if files:
            late = f"{hub.host} was silent for {timeout:g} seconds or not done after {PULL_SECONDS:g}. Try again later."
            in_time(begin + PULL_SECONDS, late, lambda by: hub.fetch(files, sha, folder, by))
            if reference.revision != sha:
                with atomic_file(repository / "refs" / (reference.revision or constants.DEFAULT_REVISION)) as ref:
                    ref.write_text(sha, encoding="utf-8")
        load_checkpoint(folder, with_discriminator)
    except ConfigError as error:
        raise HubError(f"{CONFIG_FILE} of {reference} describes no model Ganime can build: {error}") from error
    except OSError as error:
        raise HubError(f"The cache {cache} cannot be used: {error}. Make room in it or choose another.") from error
    return PulledModel(folder, reference.repo_id, sha, note)


@dataclass(frozen=True)
class Hub:
    """One conversation with a hub about one model; timeout: the longest silence in seconds."""

    reference: ModelReference
    endpoint: str
    token: str | bool | None
    timeout: float
    max_bytes: int

    @property
    def host(self) -> str:
        return (urlsplit(self.endpoint).netloc or self.endpoint).rpartition("@")[2]  # without user name and password

    def list_files(self, names: list[str], deadline: float) -> tuple[str, list[RemoteFile]]:
        """The commit that the revision stands for, and those of the named files it has. HubError if it is no model."""
        revision = quote(self.reference.revision or constants.DEFAULT_REVISION, safe="")
        url = f"{self.endpoint}/api/models/{self.reference.repo_id}/revision/{revision}?blobs=true"
        files = []
        try:
            answer = json.loads(b"".join(self.read(url, "its list of files", MAX_TEXT_BYTES, deadline)))
            [sha] = re.findall(r"\A[0-9a-f]{40}\Z", answer["sha"])  # it becomes the name of a folder
            entries = {entry["rfilename"]: entry for entry in answer["siblings"]}
            for name in (name for name in names if name in entries):
                large = entries[name].get("lfs") or {"size": entries[name]["size"], "sha256": entries[name]["blobId"]}
                files.append(RemoteFile(name, int(large["size"]), str(large["sha256"])))
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
            raise HubError(f"{self.host} does not answer like a Hugging Face hub. Check HF_ENDPOINT.") from None
        if missing := [name for name in (CONFIG_FILE, WEIGHTS_FILE) if name not in entries]:
            text = f"{self.reference} holds no Ganime model: {' and '.join(missing)} missing."
            if pickles := [name for name in entries if name.lower().endswith((".pt", ".pth", ".bin", ".ckpt", ".pkl"))]:
                text += f" {pickles[0]} may run code: if you trust it, fetch it and `python -m ganime import` it."
            raise HubError(text)
        for file in files:
            if file.size > (limit := self.max_bytes if file.name.endswith(".safetensors") else MAX_TEXT_BYTES):
                raise HubError(f"{file.name} of {self.reference} has {file.size:,} bytes; {limit:,} are allowed.")
        return sha, files

    def fetch(self, files: list[RemoteFile], sha: str, folder: Path, deadline: float) -> None:
        """Make `folder` hold these files of the commit; what is there already is kept if its checksum agrees."""
        for file in [file for file in files if not file.is_at(folder / file.name)]:
            url = f"{self.endpoint}/{self.reference.repo_id}/resolve/{sha}/{file.name}"
            with atomic_file(folder / file.name) as temporary:
                with temporary.open("wb") as out:
                    out.writelines(self.read(url, file.name, file.size, deadline))
                if not file.is_at(temporary):
                    what = f"{temporary.stat().st_size:,} bytes of {file.size:,}, or another checksum"
                    raise HubError(f"{file.name} of {self.reference} came damaged ({what}) and was dropped: try again.")

    def read(self, url: str, what: str, limit: int, deadline: float) -> Iterator[bytes]:
        """The bytes at `url` as they come, until `deadline` on the monotonic clock or just past `limit` bytes."""
        if constants.HF_HUB_OFFLINE:
            raise HubUnreachable("HF_HUB_OFFLINE keeps this program off the hub; unset it to go online.")
        headers, fate, size = {"User-Agent": f"ganime/{__version__}"}, "cannot be reached", 0
        try:
            if token := get_token_to_send(self.token):
                if not re.fullmatch(r"[!-~]+", token):
                    raise HubError("The token for the hub holds a space or an unprintable character. Copy it anew.")
                headers["Authorization"] = f"Bearer {token}"
            with get_session().stream("GET", url, headers=headers, timeout=self.timeout) as response:
                fate = f"broke off while sending {what}"
                if response.status_code != 200:
                    raise self.refusal(response.status_code, response.headers.get("X-Error-Code", ""), what)
                for chunk in response.iter_bytes():
                    if time.monotonic() > deadline:
                        raise futures.TimeoutError
                    yield chunk
                    if (size := size + len(chunk)) > limit:
                        return
        except HubError:
            raise
        except Exception as error:  # httpx's or httpx2's, by the version of huggingface_hub; they share no base
            kind = type(error).__name__
            if "Timeout" in kind:
                raise futures.TimeoutError from None
            reason = f"{kind}: {error}" if kind == "ConnectError" else kind  # other texts may quote a header
            raise HubUnreachable(f"{self.host} {fate} ({reason}). Check the network and try again.") from None

    def refusal(self, status: int, code: str, what: str) -> HubError:
        """What an answer other than 200 means, in words."""
        model, host, remedy = self.reference.repo_id, self.host, "set HF_TOKEN to a token that may read it"
        if self.token is False:
            remedy = "choose a public model, for only those are read here"
        if status in (408, 429) or status >= 500:
            return HubUnreachable(f"{host} is overloaded or broken just now (HTTP {status}). Try again later.")
        if code == "GatedRepo":
            return HubError(f"{model} is gated (HTTP {status}): accept its conditions on {host} and {remedy}.")
        if status in (401, 403):
            return HubError(f"{host} keeps {model} private or lacks it (HTTP {status}). Check the name or {remedy}.")
        if code == "RevisionNotFound":
            return HubError(f"There is no revision {self.reference}. Give one of its branches, tags or full commits.")
        if status == 404 and code != "EntryNotFound":
            return HubError(f"{host} has no model {model} (HTTP 404). Check its owner and name.")
        return HubError(f"{self.reference}: {host} does not hand over {what} (HTTP {status}). Try again later.")


def in_time(deadline: float, late: str, work: Callable[[float], T]) -> T:
    """What `work(deadline)` returns or raises, or HubUnreachable(late) once the monotonic clock is past `deadline`."""
    future: futures.Future[T] = futures.Future()

    def run() -> None:
        try:
            future.set_result(work(deadline))
        except BaseException as error:
            future.set_exception(error)

    # A thread, as looking up a name and reading headers obey no deadline; a late one ends at the next byte or silence
    threading.Thread(target=run, name="ganime-hub", daemon=True).start()
    try:
        return future.result(max(0.0, deadline - time.monotonic()))
    except futures.TimeoutError:
        raise HubUnreachable(late) from None


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
    """The model of a folder or training run where there is one of that name, else of repo_id[@revision] on the hub.

    Only for references the owner of the machine gives: a path is read wherever it points. token: see `pull`.
    Raises GanimeError.
    """
    if names_folder(reference):
        return load_checkpoint(Path(reference).expanduser(), with_discriminator)
    try:
        found = pull(reference, hub_cache, timeout, token, with_discriminator=with_discriminator)
    except HubError as error:
        raise HubError(f"There is no folder {reference}, and as a model on the hub: {error}") from error
    return replace(load_checkpoint(found.folder, with_discriminator), name=found.repo_id)
