"""Publishing a model on the hub: what was found about it, the folder that is uploaded, and when it is refused."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from ganime.drawing.clarity import default_clarity
from ganime.drawing.directions import load_directions
from ganime.drawing.sampling import generate
from ganime.errors import ConfigError
from ganime.files import CONFIG_FILE, folder_bytes, write_json
from ganime.images import sheet, webp_bytes
from ganime.models.checkpoint import CARD_FILE, MODEL_FILES, RUN_SAVES, Checkpoint, load_checkpoint, model_files
from ganime.models.published_card import COPYING, FIGURES, Contents, Statement, published_card
from ganime.models.upload import Target, Uploaded, check_token, upload
from ganime.training.events import EVENTS_FILE, read_journal

SAMPLES, SAMPLES_FILE = 64, "faces.webp"
NAMED_KINDS = ("attribute", "own")  # of directions that a person can name


def model_to_publish(source: Path) -> Checkpoint:
    """The model in a model folder, or the best save of a training run, with all that is known about its training.

    Raises CheckpointError if it cannot be read.
    """
    return with_known_facts(load_checkpoint(source))


def with_known_facts(checkpoint: Checkpoint) -> Checkpoint:
    """A model with all that is known about its training."""
    return replace(checkpoint, training=known_facts(checkpoint))


def copies(checkpoint: Checkpoint) -> bool:
    """Whether the verdict on a model is that it copies its training faces."""
    return checkpoint.training.get("verdict") == COPYING


def publish(
    checkpoint: Checkpoint,
    target: Target,
    statement: Statement,
    token: str | bool | None = None,
    copies_confirmed: bool = False,
    drawing: AbstractContextManager[Any] | None = None,
) -> Iterator[str | Uploaded]:
    """Publish a model: yields what is done next, in words, and at last where the model is.

    checkpoint: from `model_to_publish`.
    token: see `upload`.
    copies_confirmed: publish it even if its verdict is "copying", which its card then says.
    drawing: entered while the sample faces are drawn.

    Raises ConfigError for a model that copies, CheckpointError if a file of it is damaged, and HubError if the hub does
    not take it.
    """
    check_originality(checkpoint, copies_confirmed)
    check_token(target, token)  # before the work
    with tempfile.TemporaryDirectory(prefix="ganime-") as name:
        folder = Path(name)
        yield "drawing sample faces"
        with drawing or nullcontext():
            write_publication(checkpoint, folder, target.repo_id, statement)
        size = folder_bytes(folder)
        yield f"uploading {size / 1e6:.1f} MB"
        obsolete = (*MODEL_FILES, SAMPLES_FILE)
        message = f"Ganime model {checkpoint.revision}"
        yield upload(folder, target, message, token, obsolete)


def check_originality(checkpoint: Checkpoint, copies_confirmed: bool) -> None:
    """Raise ConfigError for a model that copies its training faces, unless that is confirmed."""
    if copies(checkpoint) and not copies_confirmed:
        raise ConfigError(
            f"{checkpoint.name} copies its training faces, as the verdict on its training says. Publish an "
            "earlier save, or confirm that the training faces may be shown to everyone (--copies-confirmed)."
        )


def write_publication(checkpoint: Checkpoint, folder: Path, repo_id: str, statement: Statement) -> None:
    """Write what is uploaded into an empty folder: the files of the model, a card, and sample faces."""
    assert checkpoint.folder is not None
    directions = load_directions(checkpoint.folder, checkpoint.revision, checkpoint.generator.config.latent_dim)
    clarity, written = default_clarity(checkpoint), ""
    for file in model_files(checkpoint.folder):
        if file.name == CARD_FILE:
            written = file.read_text(encoding="utf-8")
        else:
            shutil.copyfile(file, folder / file.name)
    config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    write_json(folder / CONFIG_FILE, config | {"training": checkpoint.training})
    faces = generate(checkpoint, range(SAMPLES), clarity=clarity)
    (folder / SAMPLES_FILE).write_bytes(webp_bytes(sheet(faces)))
    named = [item.name for item in directions.items if item.kind in NAMED_KINDS] if directions else []
    contents = Contents(
        checkpoint.generator.config, checkpoint.training, clarity, SAMPLES_FILE, SAMPLES, directions=named
    )
    card = published_card(repo_id, contents, statement, written)
    (folder / CARD_FILE).write_text(card, encoding="utf-8")


def known_facts(checkpoint: Checkpoint) -> dict[str, Any]:
    """The facts about a model's training, with the figures and the verdict of its run if it is a save of one.

    The verdict is the last one up to the save: a run that began to copy later has an earlier save to publish.
    """
    training, run = dict(checkpoint.training), run_of(checkpoint.folder)
    images = training.get("images")
    if run is None or not isinstance(images, int):
        return training
    for line in read_journal(run):
        if line["event"] == "Measured" and line["images"] == images:
            figures = {name: line[name] for name in FIGURES if isinstance(line.get(name), int | float)}
            training |= {name: round(value, 4) for name, value in figures.items()}
            training["measured_on"] = (
                f"{line.get('generated', 0):,} generated faces against {line.get('reference', 0):,} real ones"
            )
        elif line["event"] == "Verdict" and line["images"] <= images:
            training["verdict"] = str(line.get("state", ""))
    return training


def run_of(folder: Path | None) -> Path | None:
    """The training run that a folder is a save of, None for another folder."""
    if folder is None or folder.parent.name != RUN_SAVES or not (folder.parents[1] / EVENTS_FILE).is_file():
        return None
    return folder.parents[1]
