"""Judge what clarity does to a model's faces: how many a face detector finds, and how many keep their colours.

`pip install animeface==2.0.3` (it needs Pillow below 12), then `python -m weights.make.clarity_judged MODEL`.

The detector takes no part in fitting a clarity. The colours are read by the anime features, which do.
"""

from __future__ import annotations

import itertools
from typing import Annotated

import animeface
import numpy as np
import PIL
import typer
from PIL import Image

from ganime.cli import common
from ganime.drawing.clarity import DEFAULT_CLARITY, best_seeds, clear
from ganime.drawing.direction_search import group
from ganime.drawing.recipe import latents
from ganime.drawing.sampling import generate
from ganime.embedded import EMBEDDED
from ganime.models.hub import open_model
from ganime.nets.anime_features import extract, load_features

DETECTOR_SIDE = 256  # px
CERTAIN = 0.5  # probability of a colour above which a face counts


def main(
    model: common.ModelArgument = str(EMBEDDED),
    clarity: Annotated[list[float] | None, typer.Option(help="May be given several times.")] = None,
    best_of: Annotated[
        list[int] | None, typer.Option(help="Draw the clearest face of so many seeds; may be given several times.")
    ] = None,
    count: Annotated[int, typer.Option(help="Number of faces, of the first seeds.")] = 400,
    home: common.HomeOption = common.DEFAULT_HOME,
) -> None:
    """Print a table with one row for each clarity and number of seeds to choose from."""
    if int(PIL.__version__.split(".")[0]) >= 12:
        raise SystemExit(f"animeface finds no face at all with Pillow {PIL.__version__}: pip install 'pillow<12'")
    checkpoint, net = open_model(model, home / "hub"), load_features()
    columns = {
        kind: [k for k, name in enumerate(net.attributes) if group(name) == kind]
        for kind in ("hair colour", "eye colour")
    }
    print(
        "| best of | clarity | faces moved | a face is found | hair colour kept | eye colour kept |\n"
        + "|---" * 6
        + "|"
    )
    for choice, share in itertools.product(best_of or [1], clarity or [0.0, DEFAULT_CLARITY, 0.95]):
        seeds = best_seeds(checkpoint, 0, count, choice)
        before = extract(net, generate(checkpoint, seeds))[1]
        z = latents(seeds, checkpoint.generator.config.latent_dim)
        faces = generate(checkpoint, seeds, clarity=share)
        moved = (clear(checkpoint, z, share) != z).any(1)
        after = extract(net, faces)[1]
        kept = [kept_share(before[moved][:, names], after[moved][:, names]) for names in columns.values()]
        found = np.mean([bool(animeface.detect(enlarged(face))) for face in faces])
        print(
            f"| {choice} | {share:g} | {moved.mean():.0%} | {found:.1%} | {kept[0]:.1%} | {kept[1]:.1%} |", flush=True
        )


def kept_share(before: np.ndarray, after: np.ndarray) -> float:
    """The share of faces of a certain colour, (N, colours), whose most probable colour stays the same."""
    certain = before.max(1) > CERTAIN
    return float((before.argmax(1) == after.argmax(1))[certain].mean()) if certain.any() else 1.0


def enlarged(face: np.ndarray) -> Image.Image:
    return Image.fromarray(face).resize((DETECTOR_SIDE, DETECTOR_SIDE), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    typer.run(main)
