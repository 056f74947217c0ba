"""The face that a visitor sees first, and its variations: part of the HTML, removed once the page shows them itself."""

from __future__ import annotations

import base64

import numpy as np
from PIL import Image

from app.faces.loaded_model import TOOL_FACES, LoadedModel
from app.server.icons import DARK, LIGHT
from app.server.words import NAME
from ganime.errors import GanimeError
from ganime.images import bytes_within, sheet
from ganime.shapes import UInt8

LARGE, SMALL = 512, 80  # px of the face and of a variation, as create.css lays them out
SHARPENED_FROM = 64  # px; smaller faces are only enlarged
STRENGTH = 0.3  # of the variations, as in create.html
MOST_LARGE, MOST_SMALL = 21_000, 9_000  # bytes, before base64
QUALITIES = (80, 70, 60, 50, 40, 30, 20, 10)  # of WebP, tried in this order until a picture is small enough
SHOWN = ".now[data-recipe]"  # matches as soon as the page shows the face itself
PATIENCE = 30  # seconds until a page that shows none is uncovered all the same

# The places are those of header.css, page.css and create.css, so that nothing moves when the page itself appears.
STYLE = """
#first-faces { --left: max(clamp(12px, 2vw, 20px), 50vw - 660px); position: fixed; inset: 0; z-index: 50;
  overflow: hidden; background: %(light)s; color: #2a2230; pointer-events: none; transition: opacity 0.15s;
  font: 750 24px/1.4 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
#first-faces b { position: absolute; left: var(--left); top: 20px; letter-spacing: -0.02em; }
#first-faces img { position: absolute; display: block; left: var(--left); top: 118px; border-radius: 18px;
  width: min(512px, 100vw - 2 * var(--left)); }
#first-faces img + img { left: calc(var(--left) + 540px); top: 649px; width: calc(100vw - 2 * var(--left) - 540px); }
@media (max-width: 900px) { #first-faces img + img { display: none; } }
@media (max-width: 620px) { #first-faces img { top: 139px; } }
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
        face, [recipe] = first_face(model), model.recipes(1, model.openers[0])
        variations = model.vary(recipe, STRENGTH, seed=0, count=TOOL_FACES).faces  # (8, H, W, 3)
    except GanimeError:  # the page says what is wrong with the model
        return ""
    return html_of(face, variations)


def first_face(model: LoadedModel) -> str:
    """The first face of a model, sharp where the upscaler can enlarge it, as a data URL."""
    faces = model.draw(model.recipes(1, model.openers[0])).faces  # (1, H, W, 3)
    [face] = model.sharpened(faces, LARGE) if SHARPENED_FROM <= model.image_size < LARGE else faces
    return small_url(Image.fromarray(face), MOST_LARGE)


def html_of(face: str, variations: UInt8[np.ndarray, "n h w 3"]) -> str:
    """The same for the data URL of a face, and its variations."""
    small = [Image.fromarray(each).resize((SMALL, SMALL), Image.Resampling.LANCZOS) for each in variations]
    row = Image.fromarray(sheet(np.stack([np.asarray(each) for each in small]), len(small)))
    images = "".join(f'<img alt="" src="{url}">' for url in (face, small_url(row, MOST_SMALL)))
    script = SCRIPT % {"shown": SHOWN, "milliseconds": 1000 * PATIENCE}
    cover = f'<div id="first-faces" role="img" aria-label="An anime face. The page is loading."><b>{NAME}</b>'
    return f"<style>{STYLE % {'light': LIGHT, 'dark': DARK}}</style>{cover}{images}</div><script>{script}</script>"


def small_url(picture: Image.Image, most: int) -> str:
    """A picture as WebP in a data URL, in the best quality that fits into `most` bytes, or else in the last one."""
    data = bytes_within(picture, most, "WEBP", QUALITIES, method=6)
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"
