"""Named directions in a model's latent space: steering by them, and keeping them beside the checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ganime.drawing.recipe import check_number
from ganime.errors import CheckpointError, RecipeError
from ganime.files import atomic_file, read_tensors, save_tensors
from ganime.models.checkpoint import DIRECTION_FILES
from ganime.text import quoted

if TYPE_CHECKING:
    from jaxtyping import Float

VECTORS_FILE, INDEX_FILE = DIRECTION_FILES
KINDS = ("attribute", "sefa", "pca", "own")
MAX_STRENGTH = 3.0  # either way, the ends of a slider
MAX_DIRECTIONS = 256
MAX_NAME = 64  # characters
MAX_INDEX_BYTES, MAX_VECTOR_BYTES = 2**20, 2**23
MAX_LENGTH = 16.0  # of a vector; a latent of 128 numbers is about 11 long


@dataclass(frozen=True)
class Effect:
    """What a direction did to fresh faces of its model, each pushed away from what it was, by `strength`.

    attribute: what it moves, by the feature network, or "brightness". own: how far that attribute's probability went
    where it was pushed, on average (brightness: its rank among all faces, 0 to 1). others: mean absolute change of
    the other attributes' probabilities; those that exclude it, such as other colours of the hair, are not counted.
    flips: share of faces whose tag (probability over 0.5) turned over. side, side_change: which of the others changed
    most, and its mean absolute change. distance: how far the faces moved on the features, in the median; 1 is as far as
    from one face to another.

    Raises CheckpointError when a value is out of range.
    """

    attribute: str
    strength: float
    own: float
    others: float
    flips: float
    side: str
    side_change: float
    distance: float

    def __post_init__(self) -> None:
        check_name("an attribute's name", self.attribute)
        check_name("an attribute's name", self.side)
        ranges = {"strength": 100.0, "own": 1.0, "others": 1.0, "flips": 1.0, "side_change": 1.0, "distance": 1e6}
        for name, high in ranges.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not -1 <= value <= high:
                raise CheckpointError(f"A direction's effect: {name} lies in -1 to {high:g}; got {quoted(value)}.")


@dataclass(frozen=True, eq=False)
class Direction:
    """A direction with a name; adding its vector to a latent is one unit of strength.

    kind: "attribute" (fitted to the feature network's answers), "sefa", "pca" (both found without any), "own" (made
    by a user). effect: as measured, None for one that was not.

    Raises CheckpointError when the name, the kind or the vector cannot be used.
    """

    name: str
    kind: str
    vector: Float[np.ndarray, " latent"]
    effect: Effect | None = None

    def __post_init__(self) -> None:
        check_name("a direction's name", self.name)
        if self.kind not in KINDS:
            raise CheckpointError(f"A direction's kind is one of {', '.join(KINDS)}; got {quoted(self.kind)}.")
        vector = np.asarray(self.vector, np.float32)
        length = float(np.linalg.norm(vector))
        if vector.ndim != 1 or not 0 < length <= MAX_LENGTH:  # also refuses NaN
            raise CheckpointError(
                f"Direction {self.name}: its vector is one row of finite numbers, at most {MAX_LENGTH:g} long and not "
                f"0; got shape {vector.shape}, length {length:g}."
            )
        object.__setattr__(self, "vector", vector)


@dataclass(frozen=True, eq=False)
class Directions:
    """The directions of one model, which its weights' revision names; names are unique, vectors equally long.

    Raises CheckpointError when they are not, or are more than 256.
    """

    model: str
    revision: str
    items: tuple[Direction, ...] = ()

    def __post_init__(self) -> None:
        if len(self.items) > MAX_DIRECTIONS:
            raise CheckpointError(f"A model has at most {MAX_DIRECTIONS} directions; got {len(self.items)}.")
        if len(set(self.names)) < len(self.items):
            raise CheckpointError("Two directions have the same name. Rename one of them.")
        if len({len(item.vector) for item in self.items}) > 1:
            raise CheckpointError("The directions' vectors differ in length; those of one model do not.")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(item.name for item in self.items)

    def __getitem__(self, name: str) -> Direction:
        """The direction of that name. Raises RecipeError, naming those there are, when there is none."""
        for item in self.items:
            if item.name == name:
                return item
        raise RecipeError(f"There is no direction {quoted(name)}; there are {', '.join(self.names) or 'none'}.")

    def with_own(self, name: str, vector: Float[np.ndarray, " latent"]) -> Directions:
        """These and one more that a user made, such as `between` two faces; it takes the place of one so named.

        Raises CheckpointError when a fitted direction has that name or the vector cannot be used.
        """
        if any(item.name == name and item.kind != "own" for item in self.items):
            raise CheckpointError(f"{name} is a direction that was fitted. Choose another name.")
        kept = tuple(item for item in self.items if item.name != name)
        return replace(self, items=(*kept, Direction(name, "own", vector)))


def steer(
    z: Float[np.ndarray, "*n latent"], directions: Directions, amounts: Mapping[str, float]
) -> Float[np.ndarray, "*n latent"]:
    """Latents moved along several directions at once, each by its amount (-3 to 3), and brought back to their length.

    Raises RecipeError for an amount out of range, a direction that is not there or made for longer latents.
    """
    if not amounts:
        return np.asarray(z, np.float32)
    offset = combined(directions, amounts)
    if offset.shape[-1] != np.shape(z)[-1]:
        long = f"Direction {next(iter(amounts))} is for latents of {offset.shape[-1]} numbers"
        raise RecipeError(f"{long}; these have {np.shape(z)[-1]}.")
    return moved(z, offset)


def combined(directions: Directions, amounts: Mapping[str, float]) -> Float[np.ndarray, " latent"]:
    """Where several directions lead together, each by its amount (-3 to 3): a way to be kept under a name of its own.

    Raises RecipeError for no amounts, an amount out of range or a direction that is not there.
    """
    if not amounts:
        raise RecipeError("Name at least one direction and how far to go along it.")
    ways = [
        np.float32(check_number(f"The amount of {name}", amount, -MAX_STRENGTH, MAX_STRENGTH)) * directions[name].vector
        for name, amount in amounts.items()
    ]
    return np.stack(ways).sum(0, dtype=np.float32)


def moved(z: Float[np.ndarray, "*n latent"], offset: Float[np.ndarray, "*n latent"]) -> Float[np.ndarray, "*n latent"]:
    """z + offset at the length of z, where faces of the model's own lie; a latent of length 0 has none to keep."""
    before = np.linalg.norm(z, axis=-1, keepdims=True)  # (..., 1)
    there = z + offset
    after = np.linalg.norm(there, axis=-1, keepdims=True)
    factor = np.where((before > 0) & (after > 0), before / np.maximum(after, 1e-12), 1.0)
    return (there * factor).astype(np.float32)


def between(
    start: Float[np.ndarray, "n latent"], end: Float[np.ndarray, "m latent"], length: float = 1.0
) -> Float[np.ndarray, " latent"]:
    """The direction from the mean of some latents to the mean of others, `length` long: "more like these".

    Raises RecipeError where there is none: the means are equal, or a side is empty.
    """
    if not len(start) or not len(end):
        raise RecipeError("A direction runs from at least one face to at least one other.")
    way = np.mean(end, 0) - np.mean(start, 0)
    whole = float(np.linalg.norm(way))
    if not whole > 0:
        raise RecipeError("The faces on both sides are the same; no direction runs between them.")
    return (way * (length / whole)).astype(np.float32)


def save_directions(directions: Directions, folder: Path) -> None:
    """Write directions.safetensors and directions.json into a folder, each whole or not at all."""
    index = [
        {"name": item.name, "kind": item.kind, "effect": item.effect and asdict(item.effect)}
        for item in directions.items
    ]
    names = {"model": directions.model, "revision": directions.revision}
    rows = [item.vector for item in directions.items]
    vectors = np.stack(rows) if rows else np.zeros((0, 0), np.float32)  # (N, latent)
    save_tensors({"vectors": torch.from_numpy(vectors)}, folder / VECTORS_FILE)
    with atomic_file(folder / INDEX_FILE) as temporary:
        temporary.write_text(json.dumps(names | {"directions": index}, indent=2) + "\n", encoding="utf-8")


def load_directions(folder: Path | None, revision: str, latent_dim: int) -> Directions | None:
    """The directions in a model's folder, None where it has none; `folder` as in `Checkpoint.folder`.

    Raises CheckpointError, naming the file, when it is damaged, or made for other weights or longer latents.
    """
    if folder is None or not (folder / INDEX_FILE).exists():
        return None
    path, again = folder / INDEX_FILE, "Compute them again: python -m ganime directions MODEL."
    values = read_index(path)
    if values.get("revision") != revision:
        raise CheckpointError(
            f"{path} was made for the weights of revision {quoted(values.get('revision'))}; these have {revision}. "
            + again
        )
    count = len(values["directions"])
    rows = read_vectors(folder / VECTORS_FILE, (count, latent_dim if count else 0))
    try:
        items = [read_direction(entry, row) for entry, row in zip(values["directions"], rows, strict=True)]
        return Directions(str(values.get("model", "")), revision, tuple(items))
    except (CheckpointError, TypeError) as error:
        raise CheckpointError(f"{path}: {error} {again}") from error


def read_direction(entry: Any, vector: Float[np.ndarray, " latent"]) -> Direction:
    """A direction from its entry in the index."""
    if not isinstance(entry, dict) or not isinstance(entry.get("effect", {}), dict | None):
        raise CheckpointError(f"A direction is an object with name, kind and effect; got {quoted(entry)}.")
    effect = Effect(**entry["effect"]) if entry.get("effect") else None
    return Direction(entry.get("name", ""), entry.get("kind", ""), vector, effect)


def read_index(path: Path) -> dict[str, Any]:
    """The content of directions.json, once it is an object with a list of directions of bearable length."""
    try:
        if path.stat().st_size > MAX_INDEX_BYTES:
            raise ValueError(f"{path.stat().st_size:,} bytes; at most {MAX_INDEX_BYTES:,} are read")
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or not isinstance(values.get("directions"), list):
            raise ValueError("an object with revision and directions is needed")
        if len(values["directions"]) > MAX_DIRECTIONS:
            raise ValueError(f"{len(values['directions'])} directions; at most {MAX_DIRECTIONS} are read")
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} holds no directions ({error}). Compute or fetch them again.") from error
    return values


def read_vectors(path: Path, shape: tuple[int, int]) -> Float[np.ndarray, "n latent"]:
    """The rows of directions.safetensors, once they are as many and as long as they have to be."""
    if path.is_file() and path.stat().st_size > MAX_VECTOR_BYTES:
        raise CheckpointError(f"{path} has {path.stat().st_size:,} bytes; at most {MAX_VECTOR_BYTES:,} are read.")
    tensors = read_tensors(path)
    vectors = tensors.get("vectors")
    if vectors is None or len(tensors) != 1 or tuple(vectors.shape) != shape or not vectors.is_floating_point():
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        raise CheckpointError(f"{path} needs vectors of shape {shape} and nothing else; it holds {quoted(found)}.")
    return vectors.float().numpy()


def check_name(what: str, name: Any) -> None:
    """Raise CheckpointError unless a name is printable text of at most 64 characters."""
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= len(name) <= MAX_NAME or not name.isprintable():
        raise CheckpointError(f"{what.capitalize()} is 1 to {MAX_NAME} printable characters; got {quoted(name)}.")


def works(effect: Effect, least_flips: float, least_ratio: float, least_lead: float) -> bool:
    """Whether a slider may be shown: it turns enough faces, and moves its own attribute so many times as far as the
    others on average, and so many times as far as any one of them."""
    least = max(least_ratio * effect.others, least_lead * effect.side_change)
    return effect.flips >= least_flips and effect.own >= least


def table_rows(directions: Sequence[Direction]) -> list[tuple[str, ...]]:
    """The table of effects, the strongest first within a kind: one row of text for each direction that was measured."""
    rows = []
    for item in sorted(directions, key=lambda item: (KINDS.index(item.kind), -(item.effect.own if item.effect else 0))):
        if effect := item.effect:
            numbers = (f"{effect.own:.2f}", f"{effect.others:.3f}", f"{effect.flips:.0%}")
            side = (f"{effect.side} {effect.side_change:.2f}", f"{effect.distance:.2f}")
            rows.append((item.name, item.kind, effect.attribute, f"{effect.strength:g}", *numbers, *side))
    return rows
