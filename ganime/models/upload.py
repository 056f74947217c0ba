"""Uploads a folder to a repository on the Hugging Face hub, that of a model or of a Space.

huggingface_hub does the uploading: a second attempt sends only what has not arrived. As when a model is pulled, it
works within a deadline, because it waits as long as a Retry-After header asks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import HfApi, constants
from huggingface_hub import errors as hf

from ganime.errors import HUB_OFFLINE, HubError
from ganime.files import folder_bytes
from ganime.models.hub import (
    NOT_A_HUB,
    HubUnreachable,
    ModelReference,
    bounded,
    host_of,
    overload_of,
    parse_reference,
    token_to_send,
)
from ganime.version import __version__

UPLOAD_SECONDS = 120.0  # for a folder of any size, and more for a large one:
SLOWEST = 50_000  # bytes a second
ACCOUNT_SECONDS = 30.0  # for the hub to say whose a token is
NO_TOKEN = "There is no token that may write to the hub. Run `hf auth login`, or set HF_TOKEN."


@dataclass(frozen=True)
class Target:
    """A repository to upload to, which is created if it does not exist.

    repo_id: owner/name.
    private: whether only its owner may see it. A public repository that exists is then refused.
    kind: "model", "space" or "dataset".
    sdk: of a new Space, "gradio" or "static". hardware: of a new Space, None for the hub's default.
    variables: environment variables of a Space, by name.
    endpoint: URL of the hub, None for HF_ENDPOINT.
    """

    repo_id: str
    private: bool = False
    kind: str = "model"
    sdk: str | None = None
    hardware: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    endpoint: str | None = None

    def __post_init__(self) -> None:
        if parse_reference(self.repo_id) != ModelReference(self.repo_id):
            raise HubError(f"Name the repository as owner/name; got {self.repo_id[:200]!r}.")

    @property
    def host(self) -> str:
        return host_of(self.endpoint or constants.ENDPOINT)


@dataclass(frozen=True)
class Uploaded:
    """What was uploaded: the address of the repository for a browser, and the full commit."""

    url: str
    commit: str


def upload(
    folder: Path,
    target: Target,
    message: str,
    token: str | bool | None = None,
    obsolete: Collection[str] = (),
    seconds: float | None = None,
    inside: str = "",
) -> Uploaded:
    """Commit the files of a folder to a repository, and delete the files named in `obsolete` that the folder lacks.

    message: of the commit.
    inside: folder of the repository to commit to, and in which obsolete files lie.
    token: None for the one of HF_TOKEN or `hf auth login`.
    seconds: time limit; by default two minutes and a second for every 50 kB.

    Raises HubError, with a text that contains no token. What has arrived by then is not sent again the next time.
    """
    api, sent = api_of(target, token)
    size = folder_bytes(folder)

    def work() -> Uploaded:
        try:
            return commit(api, folder, target, message, obsolete, inside)
        except Exception as error:
            raise explained(error, target, sent) from None

    return bounded(seconds or UPLOAD_SECONDS + size / SLOWEST, target.host, work)


def check_token(target: Target, token: str | bool | None = None) -> None:
    """Raise HubError, as `upload` does, unless the hub knows the token. Whether it may write is not known before."""
    api, sent = api_of(target, token)

    def work() -> None:
        try:
            api.whoami()
        except Exception as error:
            raise explained(error, target, sent) from None

    bounded(ACCOUNT_SECONDS, target.host, work)


def api_of(target: Target, token: str | bool | None) -> tuple[HfApi, str]:
    """The client of the hub for a repository, and the token that it sends. Raises HubError if there is none."""
    sent = token_to_send(token)
    if not sent:
        raise HubError(NO_TOKEN)
    return HfApi(target.endpoint, sent, library_name="ganime", library_version=__version__), sent


def commit(
    api: HfApi, folder: Path, target: Target, message: str, obsolete: Collection[str], inside: str = ""
) -> Uploaded:
    """Create the repository and commit the folder; raises what huggingface_hub raises."""
    repo_id, kind = target.repo_id, target.kind
    private = target.private or None  # None: as the owner's settings say
    url = api.create_repo(
        repo_id,
        private=private,
        repo_type=kind,
        space_sdk=target.sdk,
        space_hardware=target.hardware,  # pyright: ignore[reportArgumentType] - a text is fine, too
        exist_ok=True,
    )
    if target.private and not api.repo_info(repo_id, repo_type=kind).private:
        raise HubError(f"{repo_id} exists already and is public. Choose another name, or make it private on {url}.")
    for name, value in target.variables.items():
        api.add_space_variable(repo_id, name, value)
    made = api.upload_folder(
        repo_id=repo_id,
        folder_path=folder,
        repo_type=kind,
        path_in_repo=inside,
        commit_message=message,
        delete_patterns=[name for name in obsolete if not (folder / name).exists()] or None,
    )
    return Uploaded(str(url), made.oid)


def explained(error: Exception, target: Target, token: str) -> HubError:
    """What a failed upload means to the user. token: is cut out of texts that come from the hub."""
    repo_id, host = target.repo_id, target.host
    while isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # huggingface_hub wraps what happened to a large file
    if isinstance(error, HubError):
        return error
    if isinstance(error, hf.OfflineModeIsEnabled):
        return HubUnreachable(HUB_OFFLINE)
    if isinstance(error, hf.HfHubHTTPError):
        return refused(error.response.status_code, target)
    if isinstance(error, ValueError) and "metadata in README.md" in str(error):
        reason = " ".join(str(error).replace(token, "...").split())[:500]
        return HubError(f"{host} does not accept the card of {repo_id}: {reason}")
    if isinstance(error, NOT_A_HUB):
        return HubError(f"{host} does not answer like a Hugging Face hub. Check HF_ENDPOINT.")
    if isinstance(error, OSError) and error.errno and error.filename:
        return HubError(f"{error.filename} could not be read ({error.strerror}).")
    return HubUnreachable(f"The upload to {host} was cut off. Try again: what has arrived is not sent again.")


def refused(status: int, target: Target) -> HubError:
    """What an HTTP status of the hub means for an upload."""
    repo_id, host = target.repo_id, target.host
    if overload := overload_of(host, status):
        return HubUnreachable(f"{overload} What has arrived is not sent again.")
    if status == 401:
        return HubError(f"{host} does not accept the token (HTTP 401). Create one that may write.")
    if status == 402:
        rule = "Gradio Spaces need a paid plan or ZeroGPU; a static Space is free (--static)"
        if target.kind != "space":
            rule = "it needs a payment method or pre-paid credits in the settings of the account"
        return HubError(f"{host} wants to be paid for this (HTTP 402): {rule}.")
    if status in (403, 404):
        owner = repo_id.partition("/")[0]
        return HubError(
            f"The token may not write to {repo_id} (HTTP {status}). It needs the right to write to repositories of "
            f"{owner}; check the name, too."
        )
    if status in (409, 412):
        return HubError(f"{repo_id} was changed by someone else meanwhile (HTTP {status}). Try again.")
    if status == 413:
        return HubError(f"{host} has no room for these files (HTTP 413).")
    return HubError(f"{host} refused the upload to {repo_id} (HTTP {status}).")
