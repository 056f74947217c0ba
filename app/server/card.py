"""Cards: the pictures that messengers and social sites show beside a link, a row of faces with a title."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from app.server.words import NAME
from ganime.images import bytes_within
from ganime.shapes import UInt8

WIDTH, HEIGHT = CARD_SIZE = (1200, 630)  # px
MAX_FACES = 4
MAX_BYTES = 300_000
QUALITIES = (90, 80, 70, 50, 30)  # of JPEG, tried in this order until the card is small enough
MARGIN, GAP, RADIUS = 60, 16, 26  # px
PAPER, INK, QUIET, ACCENT = "#fdf9fa", "#2a2230", "#5d5265", "#b4234f"  # as in theme.py
TITLE_SIZE, TEXT_SIZE, NAME_SIZE = 60, 32, 36  # px of the letters
LINE = 1.25  # height of a line, in letters


def draw_card(faces: Sequence[UInt8[np.ndarray, "h w 3"]], title: str, text: str) -> bytes:
    """A card as JPEG of at most MAX_BYTES. faces: 1 to MAX_FACES square pictures. title, text: below or beside them."""
    card = Image.new("RGB", CARD_SIZE, PAPER)
    alone = len(faces) == 1
    side = HEIGHT - 2 * MARGIN if alone else min(330, (WIDTH - 2 * MARGIN - GAP * (len(faces) - 1)) // len(faces))
    for number, face in enumerate(faces):
        picture = Image.fromarray(face).resize((side, side), Image.Resampling.LANCZOS)
        card.paste(picture, (MARGIN + number * (side + GAP), MARGIN), rounded(side))
    left, top = (2 * MARGIN + side, MARGIN + 90) if alone else (MARGIN, MARGIN + side + 36)
    draw = ImageDraw.Draw(card)
    for words, size, colour in ((title, TITLE_SIZE, INK), (text, TEXT_SIZE, QUIET)):
        for line in lines_of(words, font(size), WIDTH - MARGIN - left):
            draw.text((left, top), line, colour, font(size))
            top += round(LINE * size)
        top += 14
    draw.text((WIDTH - MARGIN, HEIGHT - MARGIN + 10), NAME, ACCENT, font(NAME_SIZE), anchor="rs")
    return bytes_within(card, MAX_BYTES, "JPEG", QUALITIES, subsampling=0, optimize=True)


def lines_of(words: str, letters: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """A text in lines of at most `width` px, broken at plain spaces."""
    lines: list[str] = []
    for word in words.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and letters.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def rounded(side: int) -> Image.Image:
    """The mask of a square with round corners."""
    mask = Image.new("L", (4 * side, 4 * side))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, 4 * side - 1, 4 * side - 1), 4 * RADIUS, 255)
    return mask.resize((side, side), Image.Resampling.LANCZOS)


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font, which every machine has."""
    found = ImageFont.load_default(size)
    assert isinstance(found, ImageFont.FreeTypeFont)
    return found
