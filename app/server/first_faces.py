"""The faces that a visitor sees first, part of the page's HTML and removed once the page shows faces itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from app.faces.loaded_model import LoadedModel
from app.server.icons import DARK, LIGHT
from app.server.words import NAME
from ganime.errors import GanimeError
from ganime.images import sheet
from ganime.shapes import UInt8

FIRST_SEEDS = range(16)  # those that the gallery begins with
COLUMNS, SIDE = 4, 96  # of the sheet; px of a face in it
MAX_BYTES = 30_000
QUALITIES = (80, 70, 60, 50, 40, 30, 20, 10)  # of WebP, tried in this order until the sheet is small enough
SHOWN = ".tile, .now[data-recipe]"  # matches as soon as the page shows faces itself
PATIENCE = 30  # seconds until a page that shows none is uncovered all the same

STYLE = """
#first-faces { position: fixed; inset: 0; z-index: 50; overflow: hidden; padding: 22px max(16px, 50vw - 590px);
  box-sizing: border-box; background: %(light)s; color: #2a2230; pointer-events: none;
  font: 16px/1.4 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; transition: opacity 0.15s; }
#first-faces b { display: block; margin: 0 0 18px; font-size: 30px; letter-spacing: -0.02em; }
#first-faces div { display: grid; grid-template-columns: repeat(8, 1fr); gap: 10px; }
#first-faces i { aspect-ratio: 1; border-radius: 10px; background: url(%(sheet)s) 0 0 / %(scale)d%%; }
@media (max-width: 700px) { #first-faces div { grid-template-columns: repeat(4, 1fr); gap: 6px; } }
@media (prefers-color-scheme: dark) { #first-faces { background: %(dark)s; color: #f1eaf3; } }
"""
# Runs before anything of Gradio does. A link to a training job, which the server does not see, leads to another tab.
SCRIPT = """
(() => {
  const cover = document.getElementById("first-faces");
  const begun = Date.now();
  const isDone = () => location.hash.length > 1 || document.querySelector('%(shown)s')
    || Date.now() - begun > %(milliseconds)d;
  const timer = setInterval(() => {
    if (!isDone()) return;
    clearInterval(timer);
    cover.style.opacity = 0;
    setTimeout(() => cover.remove(), 200);
  }, 30);
  if (isDone()) cover.remove();
})();
"""


def first_faces(model: LoadedModel) -> str:
    """HTML for the beginning of the page's body; empty if the model cannot draw."""
    try:
        recipes = [recipe for seed in FIRST_SEEDS for recipe in model.recipes(1, seed)]
        faces = model.draw(recipes).faces
    except GanimeError:  # the page says what is wrong with the model
        return ""
    return html_of(faces)


def html_of(faces: UInt8[np.ndarray, "n h w 3"]) -> str:
    """The same for faces in a multiple of COLUMNS."""
    data = base64.b64encode(small_sheet(faces)).decode()
    style = STYLE % {
        "light": LIGHT,
        "dark": DARK,
        "sheet": f"data:image/webp;base64,{data}",
        "scale": 100 * COLUMNS,
    }
    rows = len(faces) // COLUMNS
    places = [divmod(number, COLUMNS) for number in range(len(faces))]
    tiles = [f'<i style="background-position:{share(x, COLUMNS)} {share(y, rows)}"></i>' for y, x in places]
    script = SCRIPT % {"shown": SHOWN, "milliseconds": 1000 * PATIENCE}
    cover = f'<div id="first-faces" role="img" aria-label="Anime faces. The page is loading."><b>{NAME}</b><div>'
    return f"<style>{style}</style>{cover}{''.join(tiles)}</div></div><script>{script}</script>"


def share(index: int, count: int) -> str:
    """The CSS position of a tile among `count` tiles of a background."""
    return f"{100 * index / (count - 1):.4g}%" if count > 1 else "0"


def small_sheet(faces: UInt8[np.ndarray, "n h w 3"], most: int = MAX_BYTES) -> bytes:
    """Faces as one WebP sheet of COLUMNS columns, in the best quality that fits into `most` bytes."""
    small = [Image.fromarray(face).resize((SIDE, SIDE), Image.Resampling.LANCZOS) for face in faces]
    picture = Image.fromarray(sheet(np.stack([np.asarray(face) for face in small]), COLUMNS))
    return next((data for data in encodings(picture, QUALITIES) if len(data) <= most), b"")


def encodings(picture: Image.Image, qualities: Sequence[int]) -> Iterator[bytes]:
    """A picture as WebP in one quality after the other."""
    for quality in qualities:
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=quality, method=6)
        yield buffer.getvalue()
