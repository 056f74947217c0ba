"""Opening a model by what a person calls it: a folder, a training run, or a repository on the hub."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ganime.checkpoint import Checkpoint, load_checkpoint
from ganime.errors import HubError
from ganime.hub import pull


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
