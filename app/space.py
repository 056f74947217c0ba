"""Writes the folder of a Hugging Face Space: this repository as a Gradio Space, or the page as plain files."""

from __future__ import annotations

import re
import shutil
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from huggingface_hub import RepoCard

from app.faces.studio import Studio
from app.server.page_head import CARD_PATH
from app.server.words import DESCRIPTION
from app.settings import ROOT, Settings
from app.static.page import card_of
from app.static.runtime import PACKAGE, PROGRAM, SCRIPT, find_runtime
from ganime.errors import ConfigError
from ganime.own_files import own_files

PARTS = ("app", "ganime", "weights", "requirements.txt", "LICENSE")  # of the repository
MAKING = Path("weights", "make")  # made the weights; a Space does not need it
THUMBNAIL = "thumbnail.jpg"
ZERO_GPU_TORCH = "torch>=2.8,<2.12 # ZeroGPU accepts no later one"
ONNX = "onnx>=1.17,<2 # for visitors' browsers, which draw faces with it"


def write_gradio_space(out: Path, repo_id: str, model: str, home: Path, runtime: Path | None = None) -> bool:
    """Copy the repository's own files to the folder `out`, with a picture for links and a torch that ZeroGPU accepts.

    ONNX Runtime for browsers is taken along where it is found, and the answer is whether it was.

    model: on the hub, with which the page starts; empty for the embedded one. runtime: see `find_runtime`.

    Raises ConfigError in an installed package, and for a model that cannot be opened.
    """
    if not (ROOT / "requirements.txt").is_file():
        raise ConfigError("A Gradio Space is made of the repository. Run this in a clone of it, or add --static.")
    for path in own_files(ROOT, PARTS):
        if not path.is_relative_to(MAKING):
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, out / path)
    requirements = (out / "requirements.txt").read_text(encoding="utf-8")
    (out / "requirements.txt").write_text(re.sub(r"(?m)^torch\b.*$", ZERO_GPU_TORCH, requirements), encoding="utf-8")
    (out / THUMBNAIL).write_bytes(thumbnail(model, home))
    write_readme(out, repo_id, model, THUMBNAIL)
    return add_runtime(out, runtime)


def add_runtime(out: Path, runtime: Path | None) -> bool:
    """Add ONNX Runtime for browsers to a Space, where its page looks for it; returns False where it is not found.

    Raises ConfigError if it is not in the folder `runtime`.
    """
    try:
        found = find_runtime(runtime)
    except ConfigError:
        if runtime:
            raise
        return False
    folder = out / "node_modules" / PACKAGE / "dist"
    folder.mkdir(parents=True)
    (folder / SCRIPT).write_bytes(found.script)
    (folder / PROGRAM).write_bytes(found.program)
    with (out / "requirements.txt").open("a", encoding="utf-8") as file:
        file.write(f"{ONNX}\n")
    return True


def write_static_space(out: Path, repo_id: str, model: str, hub_model: str, runtime: Path | None, home: Path) -> None:
    """Write the page as plain files to the folder `out`; see `app.static.edition.build`.

    hub_model: the model if it is on the hub, else empty.
    """
    from app.static import edition  # needs the extra `onnx`

    address = re.sub(r"[^a-z0-9]+", "-", repo_id.lower()).strip("-")
    edition.build(model, out, runtime, f"https://{address}.static.hf.space", home)
    write_readme(out, repo_id, hub_model, CARD_PATH, static=True)


def write_readme(out: Path, repo_id: str, model: str, picture: str, static: bool = False) -> None:
    """Write README.md with the front matter of the repository's own, completed for this Space.

    model: on the hub, empty for none. picture: for links to the Space, a path in it.
    """
    card = RepoCard(readme_text(), ignore_metadata_errors=True)
    card.data["thumbnail"] = f"https://huggingface.co/spaces/{repo_id}/resolve/main/{picture}"
    if model:
        card.data["models"] = [model.partition("@")[0]]
    if static:
        for name in ("sdk_version", "python_version", "app_file", "suggested_hardware", "hf_oauth", "hf_oauth_scopes"):
            card.data.pop(name, None)
        card.data["sdk"] = "static"
        card.text = "\nAnime faces, drawn in your browser. Made with Ganime: `ganime push-space --static`.\n"
    (out / "README.md").write_text(str(card), encoding="utf-8")


def readme_text() -> str:
    """The text of the repository's README.md, also in an installed package."""
    if (ROOT / "README.md").is_file():
        return (ROOT / "README.md").read_text(encoding="utf-8")
    try:
        return str(metadata("ganime").json["description"])
    except PackageNotFoundError as error:
        raise ConfigError("README.md is missing. Install Ganime again, or use a clone of the repository.") from error


def thumbnail(model: str, home: Path) -> bytes:
    """The picture that goes with links to the Space, as JPEG."""
    studio = Studio(Settings(model=model, training="off", home=home))
    info = studio.library.start
    if info.note:
        raise ConfigError(info.note)
    return card_of(studio.open(info.key), DESCRIPTION)
