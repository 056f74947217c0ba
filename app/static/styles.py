"""The style sheet of the static edition: those of the components, and the theme's colours without Gradio."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from app.components.modules import COMPONENTS
from app.components.theme import CSS, FONT, THEME

USED = re.compile(r"var\(--([a-z-]+)")
COLOUR = re.compile(r"#[0-9a-f]{6}")


def style_sheet(parts: Sequence[str]) -> str:
    """The style sheet of a page with the components `parts`; each one's rules hold inside the element of its name."""
    common = text_of("shared/common.css")
    everywhere = ", ".join(f"#{part}" for part in parts)
    rules = [
        f":is({everywhere}) {{\n{common}\n}}",
        *(f"#{part} {{\n{text_of(f'{part}/{part}.css')}\n}}" for part in parts),
    ]
    fonts = ", ".join(font.name if " " not in font.name else f'"{font.name}"' for font in FONT)
    base = text_of("static/static.css").replace("$font", fonts)
    rest = "\n".join([base, CSS, *rules])
    return colours(rest) + rest


def text_of(path: str) -> str:
    return (COMPONENTS / path).read_text(encoding="utf-8")


def colours(css: str) -> str:
    """The colours of the theme that a style sheet uses, for light and dark pages; it may define others after these."""
    names = sorted(set(USED.findall(css)))
    light = declarations((name, theme_value(name)) for name in names)
    dark = declarations((name, theme_value(name, "_dark")) for name in names)
    return f":root {{ {light} }}\n.dark {{ {dark} }}\n"


def theme_value(name: str, end: str = "") -> str:
    """A colour of the theme; empty for what it leaves to Gradio or does not know."""
    value = getattr(THEME, name.replace("-", "_") + end, None) or ""
    return value if COLOUR.fullmatch(value) else ""


def declarations(values: Iterable[tuple[str, str]]) -> str:
    return " ".join(f"--{name}: {value};" for name, value in values if value)
