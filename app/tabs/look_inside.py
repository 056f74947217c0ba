"""Looking into a model on the Create tab: its layers at work on a face, and whether a face copies a training face."""

from __future__ import annotations

import numpy as np

from app.components.bridge import Answer, ServerFunction, picture_url, server_function
from app.faces.incoming import RecipeText
from app.faces.studio import Studio
from ganime.drawing.layers import IMAGE_LAYERS, Inside, LayerMaps
from ganime.drawing.recipe import Recipe
from ganime.images import SHEET_COLUMNS, png_bytes, sheet
from ganime.measuring.copies import VERDICTS, Comparison

UNKNOWN = (
    "The training faces of this model are unknown here, so copies cannot be detected. The person who trained "
    "the model can check, with Ganime on the machine that has the faces."
)


def look_inside_functions(studio: Studio) -> list[ServerFunction]:
    """The server functions of Layers and Is it a copy?; every argument comes from the network."""

    def inside(key: str, recipe: RecipeText) -> Answer:
        return inside_value(studio.open(key).inside(Recipe.from_json(recipe)))

    def compare(visitor: str, key: str, recipe: RecipeText) -> Answer:
        """The verdict; or {"work": key} while the training faces are being read."""
        model, face = studio.open(key), Recipe.from_json(recipe)
        model.check([face])
        if model.must_read_training_faces():
            steps = model.read_and_compare(face)
            return {"work": studio.work.begin("comparison", visitor, steps, comparison_value)}
        comparison = model.compare(face)
        return comparison_value(comparison) if comparison else {"verdict": "unknown", "text": UNKNOWN}

    door = studio.door(studio.limits.draw)
    beginning = studio.beginning("comparison", studio.limits.draw)
    return [server_function(inside, door), server_function(compare, beginning, visitor_of=studio.visitor)]


def comparison_value(comparison: Comparison | float | None) -> Answer:
    """The progress of a comparison, None before its first step; or the verdict, its grounds, and the nearest training
    faces where they are available."""
    if not isinstance(comparison, Comparison):
        return {"progress": comparison or 0.0}
    training = [] if comparison.training is None else list(comparison.training)
    return {
        "verdict": comparison.verdict,
        "title": VERDICTS[comparison.verdict],
        "text": capitalised(comparison.reasons()),
        "share": comparison.share,
        "face": picture_url("png", png_bytes(comparison.face)),
        "training": [picture_url("png", png_bytes(face)) for face in training],
    }


def capitalised(text: str) -> str:
    """A text that begins with a capital letter."""
    return text[:1].upper() + text[1:]


def inside_value(inside: Inside) -> Answer:
    """Both networks layer by layer, and the discriminator's verdict on the face."""
    return {
        "nets": [net_value("Generator", inside.generator), net_value("Discriminator", inside.discriminator)],
        "verdict": inside.verdict(),
    }


def net_value(name: str, maps: list[LayerMaps]) -> Answer:
    """The layers of a network, and what all of them cost."""
    costs = [layer.cost for layer in maps if layer.cost]
    return {
        "name": name,
        "layers": [layer_value(layer) for layer in maps],
        "parameters": sum(cost.parameters for cost in costs),
        "multiplyAdds": sum(cost.multiply_adds for cost in costs),
    }


def layer_value(layer: LayerMaps) -> Answer:
    """A layer: its maps in one picture, or the colour picture that it is; its shape and its cost."""
    if layer.name in IMAGE_LAYERS:
        pixels = layer.tiles.transpose(1, 2, 0)  # (3, H, W) -> (H, W, 3)
    else:
        grey = np.repeat(layer.tiles[..., None], 3, 3)  # (N, H, W) -> (N, H, W, 3)
        pixels = sheet(grey, min(SHEET_COLUMNS, len(grey)))
    return {
        "name": layer.name,
        "shape": " x ".join(f"{length:,}" for length in layer.shape),
        "tiles": len(layer.channels),
        "url": picture_url("png", png_bytes(pixels)) if pixels.size > 3 else "",  # a single number is not a picture
        "kind": layer.cost.kind if layer.cost else "",
        "parameters": layer.cost.parameters if layer.cost else 0,
        "multiplyAdds": layer.cost.multiply_adds if layer.cost else 0,
    }
