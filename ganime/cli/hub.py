"""The Hugging Face hub: `push` publishes a model, `push-space` the page."""

from __future__ import annotations

import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from ganime.cli.common import DEFAULT_HOME, HomeOption, ModelOption, show_progress
from ganime.cli.page import PAGE, check_installed
from ganime.cli.static import RuntimeOption
from ganime.embedded import EMBEDDED
from ganime.errors import ConfigError
from ganime.files import folder_bytes
from ganime.models.hub import names_folder
from ganime.models.published_card import LICENCES, Statement
from ganime.models.upload import Target, Uploaded, upload
from ganime.training.publishing import copies, model_to_publish, publish
from ganime.version import __version__

RepositoryArgument = Annotated[str, typer.Argument(help="owner/name; it is created if it does not exist.")]
PrivateOption = Annotated[bool, typer.Option("--private", help="Only you may see it.")]


def push_command(
    model: Annotated[Path, typer.Argument(help="A model folder, or a training run, whose best save is published.")],
    repo_id: RepositoryArgument,
    private: PrivateOption = False,
    provenance: Annotated[
        str, typer.Option(help="Where the training faces came from; the card quotes it.", show_default=False)
    ] = "",
    licence: Annotated[
        str,
        typer.Option(
            "--licence",
            "--license",
            help=f"Of the model: {', '.join(LICENCES)}, or another that the hub knows.",
            show_default=False,
        ),
    ] = "",
    copies_confirmed: Annotated[
        bool, typer.Option("--copies-confirmed", help="Publish a model that copies its training faces, too.")
    ] = False,
) -> None:
    """Publish a model on the Hugging Face hub, with a card, sample faces, its directions and its clarity.

    The token is that of `hf auth login`, or HF_TOKEN. After an interruption, the same command sends what is missing.
    """
    target, checkpoint = Target(repo_id, private), model_to_publish(model)
    statement = Statement(
        asked("--provenance", "Where did the training faces come from?", provenance),
        asked("--licence", f"Licence of the model ({', '.join(LICENCES)}, ...)", licence),
    )
    if copies(checkpoint) and not copies_confirmed and sys.stdin.isatty():
        copies_confirmed = typer.confirm("This model copies its training faces. Publish it all the same?")
    for event in publish(checkpoint, target, statement, copies_confirmed=copies_confirmed):
        if isinstance(event, Uploaded):
            print(f"{event.url}: revision {checkpoint.revision}, commit {event.commit[:12]}")
        else:
            show_progress(event)


def push_space_command(
    repo_id: RepositoryArgument,
    static: Annotated[
        bool, typer.Option("--static", help="The page without a server: plain files, which are free to host.")
    ] = False,
    model: ModelOption = "",
    private: PrivateOption = False,
    hardware: Annotated[
        str, typer.Option(help="Of a new Gradio Space, such as cpu-basic, t4-small, or zero-a10g for ZeroGPU.")
    ] = "",
    runtime: RuntimeOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Publish the page as a Space on the Hugging Face hub, with the embedded model or another one.

    The token is that of `hf auth login`, or HF_TOKEN. After an interruption, the same command sends what is missing.
    """
    check_installed(PAGE, "gradio", *(["onnx"] if static else []))
    hub_model = model if model and not names_folder(model) else ""
    if model and not hub_model and not static:
        raise ConfigError(f"A Space finds its model on the hub; {model} is a folder. Publish it first: ganime push.")
    sdk, variables = ("static", {}) if static else ("gradio", {"GANIME_MODEL": hub_model} if hub_model else {})
    target = Target(repo_id, private, "space", sdk, hardware or None, variables)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # no request to the outside
    space: Any = import_module(f"{PAGE}.space")  # by its name, since the engine never imports the page
    with tempfile.TemporaryDirectory(prefix="ganime-") as name:
        folder = Path(name) / "space"
        show_progress("writing the files of the Space")
        if static:
            space.write_static_space(folder, repo_id, model or str(EMBEDDED), hub_model, runtime, home)
        else:
            if not space.write_gradio_space(folder, repo_id, hub_model, home, runtime):
                show_progress("without ONNX Runtime for browsers, so the Space draws all faces: see docs/hosting.md")
        size = folder_bytes(folder)
        show_progress(f"uploading {size / 1e6:.1f} MB")
        uploaded = upload(folder, target, f"Ganime {__version__}", obsolete=("assets/*",) if static else ())
    print(f"{uploaded.url}: commit {uploaded.commit[:12]}")


def asked(option: str, question: str, given: str) -> str:
    """The value of an option, or the answer to a question if a person is there to answer. Raises ConfigError if not."""
    if given.strip():
        return given
    if not sys.stdin.isatty():
        raise ConfigError(f"{option} is missing. {question}")
    return typer.prompt(question)
