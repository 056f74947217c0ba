"""Sliders, colours and attributes in words, as the page shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ganime.drawing.direction_search import group
from ganime.drawing.directions import Direction

HAIR, EYES, EXPRESSION, OTHER, UNNAMED = "Hair colour", "Eye colour", "Expression", "More", "Without a name"
SECTIONS = (HAIR, EYES, EXPRESSION, OTHER, UNNAMED)  # of sliders and attributes, in the order of the page
EXPRESSIONS = ("smile", "open_mouth", "blush")
ENDS = {  # of a slider, by direction; first the one at negative amounts
    "smile": ("Serious", "Smile"),
    "open_mouth": ("Closed mouth", "Open mouth"),
    "blush": ("Pale", "Blush"),
    "hair_length": ("Short hair", "Long hair"),
    "brightness": ("Darker", "Brighter"),
    "twintails": ("No twintails", "Twintails"),
    "hat": ("No hat", "Hat"),
    "ribbon": ("No ribbon", "Ribbon"),
    "glasses": ("No glasses", "Glasses"),
}
COLOURS = {  # of swatches, as faces show them
    "blonde": "#f1d27a",
    "brown": "#8a5a3b",
    "black": "#2b2a33",
    "blue": "#5a7fd6",
    "pink": "#f29bb7",
    "purple": "#9a78c8",
    "green": "#6fae6a",
    "red": "#c8403f",
    "white": "#ececf2",
    "silver": "#c4c8d4",
    "orange": "#ee9a4d",
    "aqua": "#74cfd0",
    "yellow": "#e8c93f",
}
UNNAMED_KINDS = {  # of directions without a name, with how they were found
    "sefa": "What the first layer of the network answers to most strongly, computed from its weights (SeFa).",
    "pca": "That in which the answers of the first layer differ most from face to face (PCA).",
}


def slider_values(directions: Iterable[Direction], ranges: Mapping[str, tuple[float, float]]) -> list[dict[str, Any]]:
    """Sliders as steer.js shows them, by section. ranges: the amounts at which faces survive, by name."""
    values, unnamed = [], 0
    for item in directions:
        if item.kind in UNNAMED_KINDS:
            unnamed += 1  # numbered without gaps, whichever of them were kept
            values.append(unnamed_value(item, ranges[item.name], unnamed))
        else:
            values.append(slider_value(item, ranges[item.name]))
    return by_section(values)


def slider_value(direction: Direction, limits: tuple[float, float]) -> dict[str, Any]:
    """A slider with a name."""
    name = direction.name
    text, part = label(name), section(name)
    low, high = ENDS.get(name, (f"Less {text.lower()}", f"More {text.lower()}"))
    return {
        "name": name,
        "label": text,
        "group": part,
        "title": "",
        "low": low,
        "high": high,
        "range": list(limits),
        "colour": colour(name) if part in (HAIR, EYES) else "",
    }


def unnamed_value(direction: Direction, limits: tuple[float, float], number: int) -> dict[str, Any]:
    """A slider without a name: its number, and what it changes most where that was measured."""
    text = f"Change {number}"
    return {
        "name": direction.name,
        "label": text,
        "group": UNNAMED,
        "title": UNNAMED_KINDS[direction.kind],
        "low": text,
        "high": f"mostly {label(direction.effect.attribute).lower()}" if direction.effect else "",
        "range": list(limits),
        "colour": "",
    }


def attribute_values(names: Iterable[str]) -> list[dict[str, Any]]:
    """The attributes that faces can be searched for, by section."""
    return by_section(
        [{"name": name, "label": label(name), "group": section(name), "colour": colour(name)} for name in names]
    )


def by_section(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sliders or attributes in the order of their sections."""
    return sorted(entries, key=lambda entry: SECTIONS.index(entry["group"]))


def label(name: str) -> str:
    """The name of a direction or an attribute in words."""
    return name.replace("_", " ").capitalize()


def section(name: str) -> str:
    """The section that a slider or an attribute belongs to, one of SECTIONS."""
    if name in EXPRESSIONS:
        return EXPRESSION
    return {"hair colour": HAIR, "eye colour": EYES}.get(group(name), OTHER)


def colour(name: str) -> str:
    """The colour of a swatch for an attribute of hair or eyes; empty for any other attribute."""
    return COLOURS.get(name.split("_")[0], "#999999") if section(name) in (HAIR, EYES) else ""
