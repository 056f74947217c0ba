"""A model as the browser draws with it: networks as ONNX, and its clarity and its directions as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from app.faces.loaded_model import LOCKS, TOOL_FACES, LoadedModel, locked_by
from ganime.drawing.clarity import BEST_OF
from ganime.drawing.direction_search import UNNAMED_LENGTH
from ganime.drawing.directions import MAX_STRENGTH, Directions
from ganime.drawing.mixing import MAX_PARENTS, MAX_STEPS
from ganime.drawing.onnx_files import generator_file, upscaler_file
from ganime.errors import GanimeError
from ganime.nets.clarity import Clarity
from ganime.nets.upscaler import LEAST_SIDE

SHARPENED = 512  # px
# Faces that a tool shows, seeds of which a fresh face is the clearest, parents of a child, steps from one face to
# another, the amount of a direction either way, and the length of a visitor's direction.
LIMITS = {
    "shown": TOOL_FACES,
    "bestOf": BEST_OF,
    "parents": MAX_PARENTS,
    "steps": MAX_STEPS,
    "amount": MAX_STRENGTH,
    "ownLength": UNNAMED_LENGTH,
}
KINDS = {"f2": np.float16, "f4": np.float32, "f8": np.float64}  # of numbers, the smallest first


@dataclass(frozen=True)
class Numbers:
    """Arrays in one file. index: of each the kind of its numbers, its first byte and its count, by name."""

    data: bytes
    index: dict[str, dict[str, Any]]


def exported_upscaler(model: LoadedModel) -> bytes | None:
    """The upscaler as ONNX; None for a model whose faces it cannot sharpen to SHARPENED px."""
    fits = LEAST_SIDE <= model.image_size < SHARPENED
    return upscaler_file().data if fits else None


def exported_generator(model: LoadedModel) -> bytes:
    """The generator as ONNX."""
    return generator_file(model.checkpoint).data


def exported_numbers(model: LoadedModel) -> tuple[dict[str, Any], Numbers]:
    """What app/components/static/artist.js needs to know, and the numbers that belong to it.

    {"dim": length of latents, "names": of directions, "locks": names of directions by lock, "clarity": whether there
    is one, "limits": see there}; the numbers are "directions", one row each, and those of `Clarity`.
    """
    directions = directions_of(model)
    arrays = {"directions": np.stack([item.vector for item in directions.items])} if directions.items else {}
    clarity = model.checkpoint.clarity if model.default_clarity else None
    artist = {
        "dim": model.latent_dim,
        "names": list(directions.names),
        "locks": {lock: [item.name for item in locked_by(directions, [lock])] for lock in LOCKS},
        "clarity": clarity is not None,
        "limits": LIMITS,
    }
    return artist, packed(arrays | (clarity_arrays(clarity) if clarity else {}))


def directions_of(model: LoadedModel) -> Directions:
    """The directions of a model; none if they are damaged, which the page says."""
    try:
        return model.directions()
    except GanimeError:
        return Directions(model.checkpoint.name, model.checkpoint.revision)


def clarity_arrays(clarity: Clarity) -> dict[str, np.ndarray]:
    arrays = {f"weight{number}": weight for number, weight in enumerate(clarity.weights)}
    arrays |= {f"bias{number}": bias for number, bias in enumerate(clarity.biases)}
    return arrays | {"held": clarity.held, "quantiles": clarity.quantiles}


def packed(arrays: dict[str, np.ndarray]) -> Numbers:
    """Arrays in one file, each in the fewest bytes that lose nothing."""
    data, index = b"", {}
    for name, array in arrays.items():
        kind = next(kind for kind, type_ in KINDS.items() if np.array_equal(array.astype(type_), array))
        index[name] = {"type": kind, "start": len(data), "count": array.size}
        data += array.astype(f"<{kind}").tobytes()
    return Numbers(data, index)
