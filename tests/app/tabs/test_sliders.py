"""Sliders, swatches and attributes in words: labels, sections, the names at both ends, colours and ranges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from app.tabs.sliders import ENDS, EXPRESSION, EYES, HAIR, OTHER, UNNAMED, attribute_values, slider_values
from ganime.drawing.directions import Direction, Effect


def direction(name: str, kind: str) -> Direction:
    return Direction(name, kind, np.eye(8, dtype=np.float32)[0])


def test_sliders_stand_in_sections_with_a_name_at_each_end() -> None:
    named = ["pca-3", "sefa-2", "sefa-5", "glasses", "smile", "blue_eyes", "blonde_hair", "brightness", "mystery"]
    kinds = {"pca-3": "pca", "sefa-2": "sefa", "sefa-5": "sefa"}
    ranges = dict.fromkeys(named, (-1.5, 2.5))
    values = slider_values([direction(name, kinds.get(name, "attribute")) for name in named], ranges)
    assert [(value["name"], value["label"], value["group"]) for value in values] == [
        ("blonde_hair", "Blonde hair", HAIR),
        ("blue_eyes", "Blue eyes", EYES),
        ("smile", "Smile", EXPRESSION),
        ("glasses", "Glasses", OTHER),
        ("brightness", "Brightness", OTHER),
        ("mystery", "Mystery", OTHER),
        ("pca-3", "Change 1", UNNAMED),
        ("sefa-2", "Change 2", UNNAMED),
        ("sefa-5", "Change 3", UNNAMED),
    ]
    by_name = {value["name"]: value for value in values}
    assert (by_name["smile"]["low"], by_name["smile"]["high"]) == ENDS["smile"]
    assert (by_name["mystery"]["low"], by_name["mystery"]["high"]) == ("Less mystery", "More mystery")
    assert all(value["range"] == [-1.5, 2.5] for value in values)
    assert "SeFa" in by_name["sefa-2"]["title"]
    assert "PCA" in by_name["pca-3"]["title"]
    assert by_name["pca-3"]["high"] == ""  # what it changes was not measured
    effect = Effect("hair_length", 3.0, 0.4, 0.1, 0.4, "blush", 0.1, 0.5)
    [measured] = slider_values([replace(direction("pca-3", "pca"), effect=effect)], ranges)
    assert (measured["low"], measured["high"]) == ("Change 1", "mostly hair length")


def test_colours_of_hair_and_eyes_are_swatches_and_nothing_else_is() -> None:
    values = {value["name"]: value for value in attribute_values(["smile", "long_hair", "pink_hair", "green_eyes"])}
    assert list(values)[:2] == ["pink_hair", "green_eyes"]
    for name in ("pink_hair", "green_eyes"):
        assert values[name]["colour"].startswith("#")
    for name in ("smile", "long_hair"):
        assert values[name]["colour"] == ""
