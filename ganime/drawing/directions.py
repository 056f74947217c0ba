"""Directions in a model's latent space: moving faces along them, and storing them beside the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganime.drawing.recipe import check_number
from ganime.errors import CheckpointError, RecipeError
from ganime.files import read_json_object, read_tensors, save_tensors, write_json
from ganime.models.checkpoint import DIRECTION_FILES
from ganime.shapes import Float
from ganime.text import quoted

DIRECTION_VECTORS_FILE, DIRECTION_INDEX_FILE = DIRECTION_FILES
DIRECTION_KINDS = ("attribute", "sefa", "pca", "own")
MAX_STRENGTH = 3.0  # either way, the ends of a slider
MAX_DIRECTIONS = 256
MAX_NAME = 64  # characters
MAX_DIRECTIONS_JSON_BYTES, MAX_VECTOR_BYTES = 2**20, 2**23
MAX_DIRECTION_LENGTH = 16.0  # of a vector; a latent of 128 numbers is about 11 long


@dataclass(frozen=True)
class Effect:
    """What a direction did to faces of its model, each moved by `strength` away from its present value.

    attribute: what it changes, an attribute of the feature network or "brightness".
    own: mean change of that attribute's probability in the intended direction (for brightness: of its rank, 0 to 1).
    others: mean absolute change of the other attributes' probabilities, without those that exclude this one, such as
        other hair colours.
    flips: share of faces for which the attribute (probability above 0.5) changed.
    side, side_change: which other attribute changed most, and its mean absolute change.
    distance: median change of the features, in units of the median distance between two faces.

    Raises CheckpointError if a value is out of range.
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
    """A named direction; adding its vector to a latent is one unit of strength.

    kind: "attribute" (fitted to an attribute), "sefa", "pca" (found without attributes) or "own" (made by a user).
    effect: None if it was not measured.
    origin: the name of the model that it was fitted to, if it was carried over from another one; else empty.
    limits: the amounts between which drawn faces were seen to hold, within -3 to 3; see `ranges.with_limits`.

    Raises CheckpointError if a name, the kind, the vector or the limits are invalid.
    """

    name: str
    kind: str
    vector: Float[np.ndarray, " latent"]
    effect: Effect | None = None
    origin: str = ""
    limits: tuple[float, float] = (-MAX_STRENGTH, MAX_STRENGTH)

    def __post_init__(self) -> None:
        check_name("a direction's name", self.name)
        object.__setattr__(self, "limits", check_limits(self.name, self.limits))
        if self.origin != "":
            check_name("the name of the model that a direction was carried over from", self.origin)
        if self.kind not in DIRECTION_KINDS:
            raise CheckpointError(f"A direction's kind is {', '.join(DIRECTION_KINDS)}; got {quoted(self.kind)}.")
        vector = np.asarray(self.vector, np.float32)
        length = float(np.linalg.norm(vector.astype(np.float64)))  # whose squares do not overflow
        if vector.ndim != 1 or not 0 < length <= MAX_DIRECTION_LENGTH:  # also refuses NaN
            raise CheckpointError(
                f"Direction {self.name}: its vector must be one row of finite numbers of a length above 0 and up to "
                f"{MAX_DIRECTION_LENGTH:g}; got shape {vector.shape}, length {length:g}."
            )
        object.__setattr__(self, "vector", vector)


@dataclass(frozen=True, eq=False)
class Directions:
    """The directions of one model, identified by the revision of its weights.

    Raises CheckpointError if two have the same name, the vectors differ in length, or there are more than 256.
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

    @property
    def latent_dim(self) -> int:
        """The length of the latents that they are for, 0 if there are none."""
        return len(self.items[0].vector) if self.items else 0

    def __getitem__(self, name: str) -> Direction:
        """The direction of that name. Raises RecipeError, listing all names, if there is none."""
        for item in self.items:
            if item.name == name:
                return item
        raise RecipeError(f"There is no direction {quoted(name)}; there are {', '.join(self.names) or 'none'}.")

    def with_own(self, name: str, vector: Float[np.ndarray, " latent"]) -> Directions:
        """A copy with a direction made by a user added, such as `between` two faces; replaces one of the same name.

        Raises CheckpointError if a fitted direction has that name or the vector is invalid.
        """
        if any(item.name == name and item.kind != "own" for item in self.items):
            raise CheckpointError(f"{name} is a direction that was fitted. Choose another name.")
        kept = tuple(item for item in self.items if item.name != name)
        return replace(self, items=(*kept, Direction(name, "own", vector)))


def steer(
    z: Float[np.ndarray, "*n latent"], directions: Directions, amounts: Mapping[str, float]
) -> Float[np.ndarray, "*n latent"]:
    """Move latents along several directions at once, each by its amount (-3 to 3); their lengths do not change.

    Raises RecipeError for an amount out of range, an unknown direction or one for latents of another length.
    """
    if not amounts:
        return np.asarray(z, np.float32)
    offset = combined(directions, amounts)
    if offset.shape[-1] != np.shape(z)[-1]:
        long = f"Direction {next(iter(amounts))} is for latents of {offset.shape[-1]} numbers"
        raise RecipeError(f"{long}; these have {np.shape(z)[-1]}.")
    return moved(z, offset)


def combined(directions: Directions, amounts: Mapping[str, float]) -> Float[np.ndarray, " latent"]:
    """The weighted sum of several directions, each times its amount (-3 to 3).

    Raises RecipeError for no amounts, an amount out of range or an unknown direction.
    """
    if not amounts:
        raise RecipeError("Name at least one direction and how far to go along it.")
    ways = [
        np.float32(check_number(f"The amount of {name}", amount, -MAX_STRENGTH, MAX_STRENGTH)) * directions[name].vector
        for name, amount in amounts.items()
    ]
    return np.stack(ways).sum(0, dtype=np.float32)


def moved(z: Float[np.ndarray, "*n latent"], offset: Float[np.ndarray, "*n latent"]) -> Float[np.ndarray, "*n latent"]:
    """z + offset, scaled to the length of z; a latent of length 0 is not scaled."""
    before = np.linalg.norm(z, axis=-1, keepdims=True)  # (..., 1)
    there = z + offset
    after = np.linalg.norm(there, axis=-1, keepdims=True)
    factor = np.where((before > 0) & (after > 0), before / np.maximum(after, 1e-12), 1.0)
    return (there * factor).astype(np.float32)


def held(
    z: Float[np.ndarray, "n latent"], face: Float[np.ndarray, " latent"], ways: Float[np.ndarray, "k latent"]
) -> Float[np.ndarray, "n latent"]:
    """Latents that have along `ways` exactly what `face` has there, and are otherwise z; their lengths do not change.

    face: a latent of about the length of z. ways: 1 to latent - 1 vectors.
    """
    basis = np.linalg.qr(ways.T.astype(np.float64))[0]  # (latent, K)
    kept = basis @ (basis.T @ face)  # (latent,)
    free = z - (z @ basis) @ basis.T  # (N, latent)
    room = (z.astype(np.float64) ** 2).sum(1) - kept @ kept  # (N,)
    scale = np.sqrt(room.clip(0) / (free**2).sum(1).clip(1e-12))  # (N,)
    return (kept + free * scale[:, None]).astype(np.float32)


def between(
    start: Float[np.ndarray, "n latent"], end: Float[np.ndarray, "m latent"], length: float = 1.0
) -> Float[np.ndarray, " latent"]:
    """The direction from the mean of some latents to the mean of others, scaled to `length`.

    Raises RecipeError if the means are equal or one set is empty.
    """
    if not len(start) or not len(end):
        raise RecipeError("A direction runs from at least one face to at least one other.")
    way = np.mean(end, 0) - np.mean(start, 0)
    whole = float(np.linalg.norm(way))
    if not whole > 0:
        raise RecipeError("The faces on both sides are the same; no direction runs between them.")
    return (way * (length / whole)).astype(np.float32)


def save_directions(directions: Directions, folder: Path) -> None:
    """Write directions.safetensors and directions.json into a folder, each completely or not at all."""
    index = [
        {"name": item.name, "kind": item.kind, "effect": item.effect and asdict(item.effect)}
        | ({"origin": item.origin} if item.origin else {})
        | ({"limits": list(item.limits)} if item.limits != (-MAX_STRENGTH, MAX_STRENGTH) else {})
        for item in directions.items
    ]
    names = {"model": directions.model, "revision": directions.revision}
    rows = [item.vector for item in directions.items]
    vectors = np.stack(rows) if rows else np.zeros((0, 0), np.float32)  # (N, latent)
    save_tensors({"vectors": torch.from_numpy(vectors)}, folder / DIRECTION_VECTORS_FILE)
    write_json(folder / DIRECTION_INDEX_FILE, names | {"directions": index})


def load_directions(folder: Path | None, revision: str, latent_dim: int) -> Directions | None:
    """The directions in a model's folder; None if it has none or `folder` is None.

    Raises CheckpointError, naming the file, if it is damaged or made for other weights or latents of another length.
    """
    if folder is None or not (folder / DIRECTION_INDEX_FILE).exists():
        return None
    path, again = folder / DIRECTION_INDEX_FILE, "Compute them again: ganime directions MODEL."
    values = read_direction_index(path)
    if values.get("revision") != revision:
        found = quoted(values.get("revision"))
        raise CheckpointError(f"{path} was made for the weights of revision {found}; these have {revision}. {again}")
    count = len(values["directions"])
    rows = read_direction_vectors(folder / DIRECTION_VECTORS_FILE, (count, latent_dim if count else 0))
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
    limits = entry.get("limits", (-MAX_STRENGTH, MAX_STRENGTH))
    return Direction(entry.get("name", ""), entry.get("kind", ""), vector, effect, entry.get("origin", ""), limits)


def read_direction_index(path: Path) -> dict[str, Any]:
    """Read directions.json. Raises CheckpointError if it is not an object with a list of at most 256 directions."""
    try:
        values = read_json_object(path, MAX_DIRECTIONS_JSON_BYTES)
        if not isinstance(values.get("directions"), list):
            raise ValueError("an object with revision and directions is needed")
        if len(values["directions"]) > MAX_DIRECTIONS:
            raise ValueError(f"{len(values['directions'])} directions; at most {MAX_DIRECTIONS} are read")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} holds no directions ({error}). Compute or fetch them again.") from error
    return values


def read_direction_vectors(path: Path, shape: tuple[int, int]) -> Float[np.ndarray, "n latent"]:
    """Read the rows of directions.safetensors. Raises CheckpointError if they are not of the given shape."""
    tensors = read_tensors(path, MAX_VECTOR_BYTES)
    vectors = tensors.get("vectors")
    if vectors is None or len(tensors) != 1 or tuple(vectors.shape) != shape or not vectors.is_floating_point():
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        raise CheckpointError(f"{path} needs vectors of shape {shape} and nothing else; it holds {quoted(found)}.")
    return vectors.float().numpy()


def check_limits(name: str, limits: Any) -> tuple[float, float]:
    """The limits of a direction. Raises CheckpointError unless they are two numbers, -3 to below 0 and above 0 to 3."""
    numbers = list(limits) if isinstance(limits, list | tuple) else []
    if len(numbers) != 2 or not all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers):
        raise CheckpointError(f"Direction {name}: its limits are two numbers; got {quoted(limits)}.")
    low, high = numbers
    if not -MAX_STRENGTH <= low < 0 < high <= MAX_STRENGTH:
        raise CheckpointError(
            f"Direction {name}: its limits are a number from {-MAX_STRENGTH:g} to below 0 and one from above 0 to "
            f"{MAX_STRENGTH:g}; got {quoted(limits)}."
        )
    return float(low), float(high)


def check_name(what: str, name: Any) -> None:
    """Raise CheckpointError unless a name is printable text of at most 64 characters."""
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= len(name) <= MAX_NAME or not name.isprintable():
        raise CheckpointError(f"{what.capitalize()} is 1 to {MAX_NAME} printable characters; got {quoted(name)}.")


def is_effective(effect: Effect, least_flips: float, least_ratio: float, least_lead: float) -> bool:
    """Whether a direction deserves a slider.

    It must flip at least the share `least_flips` of faces, and change its own attribute by at least `least_ratio` times
    the mean change and `least_lead` times the largest change of the others.
    """
    least = max(least_ratio * effect.others, least_lead * effect.side_change)
    return effect.flips >= least_flips and effect.own >= least


def effect_rows(directions: Sequence[Direction]) -> list[tuple[str, ...]]:
    """A table of effects as text, one row for each measured direction, by kind and the strongest first."""
    rows = []
    for item in sorted(
        directions, key=lambda item: (DIRECTION_KINDS.index(item.kind), -(item.effect.own if item.effect else 0))
    ):
        if effect := item.effect:
            numbers = (f"{effect.own:.2f}", f"{effect.others:.3f}", f"{effect.flips:.0%}")
            side = (f"{effect.side} {effect.side_change:.2f}", f"{effect.distance:.2f}")
            rows.append((item.name, item.kind, effect.attribute, f"{effect.strength:g}", *numbers, *side))
    return rows
