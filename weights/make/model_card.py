"""Measuring a default model and writing its folder: weights, directions, 100 faces and a card with the figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from torch import nn

from ganime.drawing.direction_search import find_directions
from ganime.drawing.directions import Directions, effect_rows, save_directions
from ganime.drawing.ranges import with_limits
from ganime.drawing.sampling import generate
from ganime.faces.dataset import FaceDataset
from ganime.images import sheet
from ganime.measuring.report import Report, evaluate
from ganime.measuring.training_faces import TrainingFaces
from ganime.models.checkpoint import CARD_FILE, FRONT_MATTER, Checkpoint, load_checkpoint, save_checkpoint
from ganime.nets.anime_features import load_features

COUNT, SHOWN = 1000, 100  # faces that are measured, and faces in the picture of the card
EXAMPLE, PEER = "PyTorch DCGAN example", "MakeGirls.moe"
PEER_TEXT = f"; beside it 1,000 samples of {PEER}'s Amaryllis model (Jin et al. 2017), the quality to be reached"
EXAMPLE_TEXT = f", and the best save of the {EXAMPLE} in a run of at least as many images (`--recipe classic`)"


def measure(faces: np.ndarray, real: FaceDataset, training_faces: TrainingFaces | None = None) -> Report:
    """Measure faces, uint8 (N, H, W, 3), against the held-out ones at 64 px; with `training_faces` also for copies."""
    return evaluate(load_features(), faces, real.images[real.held_out], training_faces)


def table(columns: dict[str, Report]) -> str:
    """The measures of several sets of faces side by side, in Markdown."""
    reports = columns.values()
    rows = [
        ("Fréchet distance", [f"{report.frechet:.1f}" for report in reports], "0"),
        (
            "kernel distance x 1000",
            [f"{report.kernel * 1e3:.0f} ± {report.kernel_error * 1e3:.0f}" for report in reports],
            "0",
        ),
        ("precision", [f"{report.precision:.2f}" for report in reports], "1"),
        ("recall", [f"{report.recall:.2f}" for report in reports], "1"),
        ("density", [f"{report.density:.2f}" for report in reports], "1"),
        ("coverage", [f"{report.coverage:.2f}" for report in reports], "1"),
        (
            "near copies of training faces",
            [f"{report.copying.near_copies:.3f}" if report.copying else "" for report in reports],
            "0.010 by chance",
        ),
    ]
    lines = [f"| measure | {' | '.join(columns)} | best |", "|---" * (len(columns) + 2) + "|"]
    lines += [f"| {name} | {' | '.join(cells)} | {best} |" for name, cells, best in rows]
    return "\n".join(lines)


def write_model(
    model: Checkpoint,
    history: list[str],
    real: FaceDataset,
    training_faces: TrainingFaces,
    others: dict[str, Report],
    folder: Path,
) -> None:
    """Write the folder of a default model: both networks, its directions, 100 faces and the card.

    model: with "images", "polished_images", "faces" and "seconds" in its `training`.
    history: one line for each stage.
    real: the faces it learned from, with the held-out ones, at 64 px.
    training_faces: the same, as the check for copies needs them.
    others: the reports of other sets of faces, by the heading of their column.
    """
    save_checkpoint(replace(model, name=folder.name), folder)
    model = load_checkpoint(folder, with_discriminator=True)  # as stored, in half precision
    faces = Image.fromarray(sheet(generate(model, range(SHOWN)), columns=10))
    faces.save(folder / "faces.webp", quality=90, method=6)
    measures = table({folder.name: measure(generate(model, range(COUNT)), real, training_faces)} | others)
    *_, found = find_directions(model, load_features())
    assert isinstance(found, Directions)
    *_, directions = with_limits(model, found)
    assert isinstance(directions, Directions)
    save_directions(directions, folder)
    (folder / CARD_FILE).write_text(card(model, history, measures, directions, others), encoding="utf-8")
    print(f"{folder}, revision {model.revision}\n{measures}", flush=True)


def card(
    model: Checkpoint, history: list[str], measures: str, directions: Directions, others: dict[str, Report]
) -> str:
    """The text of default_card.md with the facts of a model.

    measures: the table of all sets of faces. others: as for `write_model`; the card explains PEER and EXAMPLE.
    """
    config, training = model.generator.config, model.training
    template = Path(__file__).with_name("default_card.md").read_text(encoding="utf-8")
    return template.format(
        title=f"{FRONT_MATTER}\n# {model.name}\n",
        name=model.name,
        size=config.image_size,
        latent=config.latent_dim,
        generator=parameters_of(model.generator),
        discriminator=parameters_of(model.discriminator),
        critic=parameters_of(model.critic),
        images=training["images"],
        polished=training["polished_images"],
        faces=training["faces"],
        hours=training["seconds"] / 3600,
        history="\n".join(f"{number}. {line}" for number, line in enumerate(history, start=1)),
        table=measures,
        peer=PEER_TEXT if PEER in others else "",
        example=EXAMPLE_TEXT if EXAMPLE in others else "",
        directions="\n".join(f"| {' | '.join(row)} |" for row in effect_rows(directions.items)),
        shown=SHOWN - 1,
    )


def parameters_of(net: nn.Module | None) -> int:
    """Parameters that learn; every parameter of a net that is frozen whole, as a loaded generator is."""
    if net is None:
        return 0
    learning = [parameter.numel() for parameter in net.parameters() if parameter.requires_grad]
    return sum(learning) or sum(parameter.numel() for parameter in net.parameters())
