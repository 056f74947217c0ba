"""Explorer: what the Explore tab and its endpoints do with faces, all of it by recipe; nothing of a visitor is kept."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import numpy as np
from pydantic import Field

from app.faces.slices import Searches
from app.faces.studio import BATCH, MAX_FACES, Studio
from app.visitors import identity_of
from ganime.drawing.attribute_search import Choice, Looking, choose
from ganime.drawing.direction_search import group, unit, unnamed_directions
from ganime.drawing.directions import Direction, Directions, between, combined, load_directions, steer
from ganime.drawing.mixing import arithmetic, breed, recipes_of, vary
from ganime.drawing.projection import Nearing, Projection, project
from ganime.drawing.recipe import MAX_VECTOR, Recipe, decoded, rounded
from ganime.drawing.sampling import render
from ganime.errors import DataError, RecipeError
from ganime.faces.reading import decode
from ganime.models.checkpoint import Checkpoint
from ganime.nets.anime_features import FeatureNet, load_features
from ganime.text import printable

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

CHILDREN = 8  # tiles that a tool shows
MAX_PICTURE_BYTES = 4 * 2**20
MAX_PICTURE_TEXT = MAX_PICTURE_BYTES * 4 // 3 + 4  # characters of it in base64
MAX_RECIPE_TEXT = MAX_VECTOR + 1000  # characters of a recipe in JSON
Text = Annotated[str, Field(max_length=MAX_RECIPE_TEXT)]  # a recipe that comes from the network
Texts = Annotated[list[Text], Field(max_length=MAX_FACES)]
Item = TypeVar("Item")
Pair = tuple[Recipe, Recipe]
NONE: Mapping[str, str] = {}
REMEMBERED = 16  # models whose unnamed directions stay in memory
EXPRESSIONS = ("smile", "open_mouth", "blush")
UNNAMED = ("sefa", "pca")
HEADINGS = ("Hair colour", "Eyes", "Expression", "Other", "Your own", "Without a name")


@dataclass(frozen=True, eq=False)
class Drawn:
    """Recipes and their faces, uint8 (N, H, W, 3), in the same order."""

    recipes: list[Recipe]
    faces: UInt8[np.ndarray, "n h w 3"]


class Explorer:
    """Every method may be called from any thread, and raises GanimeError with a text for the visitor.

    key: the model, as the library gave it out. A recipe of another model is refused by name, never drawn wrongly.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.searches, self.walks = Searches(), Searches("walks")
        self.without_name: dict[str, list[Direction]] = {}  # by revision

    @cached_property
    def net(self) -> FeatureNet:
        """The network that knows attributes; read once it is needed."""
        return load_features()

    def checkpoint(self, key: str, recipes: Sequence[Recipe] = (), most: int = MAX_FACES) -> Checkpoint:
        """The model of a key. Raises RecipeError for too many recipes, or one that another model draws."""
        if len(recipes) > most:
            raise RecipeError(f"At most {most} faces at a time; got {len(recipes)}.")
        checkpoint = self.studio.library.checkpoint(key)
        for recipe in recipes:
            if recipe.revision != checkpoint.revision:
                raise RecipeError(
                    f"This face was drawn by {printable(recipe.model, 80)}, weights {printable(recipe.revision, 20)}; "
                    f"loaded is {printable(checkpoint.name, 80)}, weights {checkpoint.revision}. Load its model first."
                )
        return checkpoint

    def draw(self, key: str, recipes: list[Recipe]) -> Drawn:
        """The faces of recipes."""
        checkpoint = self.checkpoint(key, recipes)
        if not recipes:
            raise RecipeError("There is no face to draw.")
        dim = checkpoint.generator.config.latent_dim
        return Drawn(recipes, self.render(checkpoint, np.stack([recipe.latent(dim) for recipe in recipes])))

    def vary(self, key: str, recipe: Recipe, strength: float, seed: int, count: int = CHILDREN) -> Drawn:
        """Neighbours of a face; strength: 0 the face itself, 1 nothing in common with it."""
        checkpoint, [z] = self.starts(key, [recipe])
        return self.draw_latents(checkpoint, vary(z, strength, bounded(count), seed), recipe)

    def steer(self, key: str, recipe: Recipe, amounts: Mapping[str, float], own: Mapping[str, str] = NONE) -> Drawn:
        """A face moved along directions, each by its amount, -3 to 3; own: as for `directions`."""
        checkpoint, [z] = self.starts(key, [recipe])
        return self.draw_latents(checkpoint, steer(z, self.directions(key, own), amounts)[None], recipe)

    def breed(self, key: str, recipes: list[Recipe], mutation: float, seed: int) -> Drawn:
        """Children of two or more faces; mutation: the share of a latent's numbers that are drawn anew."""
        checkpoint, parents = self.starts(key, recipes)
        truncation = sum(recipe.truncation for recipe in recipes) / max(1, len(recipes))
        children = breed(parents, CHILDREN, mutation, seed)
        return self.draw_latents(checkpoint, children, Recipe("", "", recipes[0].seed, truncation))

    def arithmetic(self, key: str, a: Recipe, b: Recipe, c: Recipe) -> Drawn:
        """A - B + C."""
        checkpoint, (one, two, three) = self.starts(key, [a, b, c])
        return self.draw_latents(checkpoint, arithmetic(one, two, three)[None], c)

    def choose(self, key: str, wanted: list[str], seed: int) -> Iterator[Looking | Choice]:
        """Faces with attributes, for `searches`."""
        return self.on_device(choose(self.checkpoint(key), self.net, wanted, CHILDREN, seed))

    def project(self, key: str, picture: bytes) -> Iterator[Nearing | Projection]:
        """The face nearest to a picture file, for `searches`."""
        checkpoint = self.checkpoint(key)
        if len(picture) > MAX_PICTURE_BYTES:
            raise DataError(f"A picture has at most {MAX_PICTURE_BYTES:,} bytes here; got {len(picture):,}.")
        return self.nearing(checkpoint, picture)

    def nearing(self, checkpoint: Checkpoint, picture: bytes) -> Iterator[Nearing | Projection]:
        """The search itself; it decodes the picture when it has its place, not before."""
        try:
            target = decode(picture, checkpoint.generator.config.image_size).pixels
        except DataError as error:
            raise DataError(f"This picture cannot be used: {error}.") from error
        yield from self.on_device(project(checkpoint, self.net, target))

    def on_device(self, steps: Iterator[Item]) -> Iterator[Item]:
        """The same items, each made while nobody else draws.

        After each others have a turn: a lock that is let go and taken again at once is given to nobody else.
        """
        while True:
            with self.studio.device:
                try:
                    item = next(steps)
                except StopIteration:
                    return
            yield item
            time.sleep(0.001)

    def visitor(self, request: Any) -> str:
        """What tells the visitor behind a request from others; empty for a request that is not known."""
        return identity_of(request, self.studio.settings.proxies)

    def directions(self, key: str, own: Mapping[str, str] = NONE) -> Directions:
        """The directions beside a model, or else the unnamed ones that are found in a second, and a visitor's own.

        own: by name, each as `ganime.drawing.recipe.encoded` writes it.
        """
        checkpoint = self.checkpoint(key)
        dim = checkpoint.generator.config.latent_dim
        found = load_directions(checkpoint.folder, checkpoint.revision, dim)
        found = found or Directions(checkpoint.name, checkpoint.revision)
        if all(item.kind == "own" for item in found.items):
            fresh = tuple(item for item in self.unnamed(checkpoint) if item.name not in found.names)
            found = replace(found, items=(*found.items, *fresh))
        for name, vector in own.items():
            found = found.with_own(name, decoded(vector))
        return found

    def unnamed(self, checkpoint: Checkpoint) -> list[Direction]:
        """The unnamed directions of a model, found once while it is among the last that were asked for."""
        found = self.without_name.pop(checkpoint.revision, None)
        if found is None:
            with self.studio.device:
                found = unnamed_directions(checkpoint.generator)
        self.without_name[checkpoint.revision] = found
        for revision in list(self.without_name)[:-REMEMBERED]:
            self.without_name.pop(revision, None)
        return found

    def own_way(
        self,
        key: str,
        name: str,
        amounts: Mapping[str, float],
        own: Mapping[str, str] = NONE,
        faces: Pair | None = None,
    ) -> Direction:
        """A direction of a visitor's own: where sliders lead together, or, with faces A and B, from B to A.

        It is as long as other directions for which nobody knows how far they should go. Raises CheckpointError for a
        name that cannot be used.
        """
        found = self.directions(key, own)
        if faces:
            _, (a, b) = self.starts(key, list(faces))
            way = between(b[None], a[None])
        else:
            way = combined(found, amounts)
        return found.with_own(name, rounded(unit(way)))[name]

    def starts(self, key: str, recipes: list[Recipe]) -> tuple[Checkpoint, Float[np.ndarray, "n latent"]]:
        """The model of faces and their latents before truncation."""
        checkpoint = self.checkpoint(key, recipes)
        dim = checkpoint.generator.config.latent_dim
        z = [recipe.untruncated(dim) for recipe in recipes]
        return checkpoint, np.array(z, np.float32).reshape(-1, dim)  # (N, latent)

    def draw_latents(self, checkpoint: Checkpoint, z: Float[np.ndarray, "n latent"], origin: Recipe) -> Drawn:
        """Faces that no seed draws, as their recipes will draw them; origin: the face they came from."""
        recipes = recipes_of(checkpoint, z, origin.seed, origin.truncation)
        return Drawn(recipes, self.render(checkpoint, rounded(z) * np.float32(origin.truncation)))

    def render(self, checkpoint: Checkpoint, z: Float[np.ndarray, "n latent"]) -> UInt8[np.ndarray, "n h w 3"]:
        """The faces of latents; others have a turn after every batch."""
        drawn = []
        for start in range(0, len(z), BATCH):
            with self.studio.device:
                drawn.append(render(checkpoint.generator, z[start : start + BATCH]))
        return np.concatenate(drawn)


def unpacked(picture: str) -> bytes:
    """The bytes of a picture that came as base64 text. Raises DataError for any other text."""
    try:
        return base64.b64decode(picture, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"A picture comes as base64 text; this is none ({error}).") from error


def parsed(recipes: Sequence[str]) -> list[Recipe]:
    """Recipes from their texts. Raises RecipeError for a text that is none."""
    return [Recipe.from_json(recipe) for recipe in recipes]


def bounded(count: int) -> int:
    """A number of faces that are drawn at once."""
    if not isinstance(count, int) or not 1 <= count <= MAX_FACES:
        raise RecipeError(f"The number of faces must lie in 1 to {MAX_FACES}; got {count}.")
    return count


def heading(name: str, kind: str = "attribute") -> str:
    """What a slider or an attribute is listed under."""
    if kind in UNNAMED:
        return "Without a name"
    if kind == "own":
        return "Your own"
    if name in EXPRESSIONS:
        return "Expression"
    return {"hair colour": "Hair colour", "eye colour": "Eyes"}.get(group(name), "Other")
