"""Draw the pictures of a model's card that show clarity and sharpening: `python -m weights.make.clear_faces FOLDER`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import typer
from PIL import Image

from ganime.drawing.clarity import DEFAULT_CLARITY
from ganime.drawing.sampling import generate
from ganime.drawing.sharpening import sharpened
from ganime.images import sheet
from ganime.models.checkpoint import load_checkpoint

SHOWN, COLUMNS = 100, 10
ENLARGED, ENLARGED_SIDE = 6, 256  # faces, and their side in px


def main(folder: Path) -> None:
    """Write faces-clear.webp, and faces-sharp.webp with some of them resized above and sharpened below."""
    model = load_checkpoint(folder)
    clear = generate(model, range(SHOWN), clarity=DEFAULT_CLARITY)
    save(sheet(clear, COLUMNS), folder / "faces-clear.webp")
    some = clear[:ENLARGED]
    size = (ENLARGED_SIDE, ENLARGED_SIDE)
    plain = np.stack([np.asarray(Image.fromarray(face).resize(size, Image.Resampling.LANCZOS)) for face in some])
    sharp = np.stack(list(sharpened(some, ENLARGED_SIDE)))
    save(sheet(np.concatenate([plain, sharp]), ENLARGED), folder / "faces-sharp.webp")


def save(pixels: np.ndarray, path: Path) -> None:
    Image.fromarray(pixels).save(path, quality=90, method=6)


if __name__ == "__main__":
    typer.run(main)
