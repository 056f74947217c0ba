"""One model, as a request uses it: its faces by recipe, and the tools that change, find and name faces."""

from __future__ import annotations

import io
import logging
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from app.faces.device import Device
from app.faces.inspection import Inspector
from app.faces.zero_gpu import sharpened_there
from app.recently_used import RecentlyUsed
from ganime.drawing.attribute_search import ChosenFaces, SearchProgress, choose_faces
from ganime.drawing.clarity import BEST_OF, best_seeds, clear, clearest_of, default_clarity
from ganime.drawing.direction_search import group, unnamed_directions, unnamed_unit
from ganime.drawing.directions import Direction, Directions, between, combined, held, load_directions, steer
from ganime.drawing.layers import Inside, look_inside
from ganime.drawing.mixing import arithmetic, breed, mean_settings, recipes_between, recipes_of, vary
from ganime.drawing.projection import Projection, ProjectionProgress, project
from ganime.drawing.ranges import limits_of, usable_ranges
from ganime.drawing.recipe import (
    Recipe,
    check_clarity,
    check_seed,
    decoded,
    file_stem,
    latents,
    rounded,
    walk,
)
from ganime.drawing.sampling import latents_of, recipes_for, untruncated
from ganime.drawing.sharpening import sharpened
from ganime.errors import DataError, GanimeError, RecipeError
from ganime.faces.reading import decode
from ganime.images import png_bytes
from ganime.measuring.copies import Comparison, NearestFaces
from ganime.models.checkpoint import Checkpoint
from ganime.nets.anime_features import FeatureNet, load_features
from ganime.text import quoted

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

LOG = logging.getLogger(__name__)
MAX_FACES = 64
MAX_PATH_FRAMES = 120
TOOL_FACES = 8  # faces that a tool shows
FaceSize = Literal[0, 512, 1024]  # side in px of a downloaded face; 0 for the model's own, others are sharpened
OPENERS = {"c23a86445f8b": (116, 123, 112, 142, 111, 164)}  # seeds by revision, of faces that were looked at
FIRST_OPENER, OPENER_COUNT = 3, 6  # of other models
LOCKS = {  # what can be kept while other faces are rolled, with the attributes or their groups that decide it
    "hair": ("hair colour", "hair_length", "twintails"),
    "eyes": ("eye colour",),
    "expression": ("smile", "open_mouth", "blush"),
}
NO_VECTORS: Mapping[str, str] = {}


@cache
def feature_net() -> FeatureNet:
    """The network that recognises attributes, loaded on first use."""
    return load_features()


@dataclass(frozen=True, eq=False)
class Drawn:
    """Recipes and their faces, uint8 (N, H, W, 3), in the same order."""

    recipes: list[Recipe]
    faces: UInt8[np.ndarray, "n h w 3"]


class LoadedModel:
    """A checkpoint, with the device that draws it. Any thread may call any method.

    Every method raises GanimeError with a text for the visitor. Unless stated otherwise, a recipe of another model is
    refused by name, never drawn with the wrong weights.
    """

    def __init__(
        self,
        key: str,
        checkpoint: Checkpoint,
        device: Device,
        unnamed: RecentlyUsed[list[Direction]],
        inspector: Inspector,
    ) -> None:
        """unnamed: a cache of the unnamed directions of models, by revision."""
        self.key, self.checkpoint, self.device = key, checkpoint, device
        self.unnamed, self.inspector = unnamed, inspector
        self.latent_dim = checkpoint.generator.config.latent_dim
        self.image_size = checkpoint.generator.config.image_size

    # Recipes and faces

    @cached_property
    def default_clarity(self) -> float:
        """The clarity that faces are drawn with by default; 0 if none was fitted to the model, or it is damaged."""
        try:
            return default_clarity(self.checkpoint)
        except GanimeError as error:  # everything else works without it
            LOG.warning("%s", error)
            return 0.0

    @property
    def openers(self) -> Sequence[int]:
        """The seeds of the faces that a visitor sees first, of which the first one is in the page's HTML."""
        chosen = OPENERS.get(self.checkpoint.revision)
        return chosen or best_seeds(self.checkpoint, FIRST_OPENER, OPENER_COUNT, self.best_of)

    @property
    def best_of(self) -> int:
        """Of how many seeds a rolled face is the clearest; 1 if no clarity was fitted to the model."""
        return BEST_OF if self.default_clarity else 1

    def recipes(
        self, count: int, seed: int, truncation: float = 1.0, clarity: float | None = None, best_of: int = 1
    ) -> list[Recipe]:
        """Recipes of `count` faces (1 to 64) with consecutive seeds from `seed` on; 0 follows the largest seed.

        clarity: 0 to 0.95, by default `default_clarity`. A model without a clarity draws all latents unchanged.
        best_of: as for `best_seeds`.
        """
        seeds = best_seeds(self.checkpoint, seed, check_count(count), best_of)
        return recipes_for(self.checkpoint, seeds, truncation, self.usable_clarity(clarity))

    def fresh(self, count: int, seed: int, truncation: float, clarity: float) -> Drawn:
        """1 to 64 faces, each the clearest of four seeds; of every seed if no clarity was fitted to the model."""
        return self.draw(self.recipes(count, seed, truncation, clarity, self.best_of))

    def usable_clarity(self, clarity: float | None) -> float:
        """A clarity that the model can draw: `clarity`, the default for None, 0 if none was fitted to it."""
        wanted = self.default_clarity if clarity is None else check_clarity(clarity)
        return wanted if self.default_clarity else 0.0

    def path_recipes(
        self, start: int, end: int, frames: int, truncation: float = 1.0, clarity: float | None = None
    ) -> list[Recipe]:
        """Recipes of the frames (2 to 120) from the face of seed `start` to that of seed `end`, both included.

        clarity: as for `recipes`.
        """
        if not isinstance(frames, int | float) or not 2 <= frames <= MAX_PATH_FRAMES:
            raise RecipeError(f"Give 2 to {MAX_PATH_FRAMES} frames; got {quoted(frames)}.")
        [first] = self.recipes(1, start, truncation, clarity)
        positions = [number / (int(frames) - 1) for number in range(int(frames))]
        return [replace(first, toward=check_seed(end), position=position) for position in positions]

    def check(self, recipes: Sequence[Recipe]) -> None:
        """Raise RecipeError for more than 64 recipes, and for a recipe that another model draws."""
        if len(recipes) > MAX_FACES:
            raise RecipeError(f"At most {MAX_FACES} faces at a time; got {len(recipes)}.")
        for recipe in recipes:
            recipe.check_model(self.checkpoint.name, self.checkpoint.revision)

    def latents(self, recipes: Sequence[Recipe]) -> Float[np.ndarray, "n latent"]:
        """The latents of recipes, truncation and clarity applied."""
        self.check(recipes)
        return latents_of(self.checkpoint, recipes)

    def untruncated(self, recipes: Sequence[Recipe]) -> Float[np.ndarray, "n latent"]:
        """The latents of recipes before truncation and clarity, which are what the tools change."""
        self.check(recipes)
        return untruncated(self.checkpoint, recipes)

    def path(self, recipes: Sequence[Recipe], frames: int, loop: bool, easing: str) -> Float[np.ndarray, "n latent"]:
        """The latents of a walk through faces, each with the clarity of the faces before and after it.

        Raises RecipeError as `ganime.drawing.recipe.walk` does.
        """
        stops = self.latents([replace(recipe, clarity=0.0) for recipe in recipes])  # (K, latent)
        z = walk(stops, frames, loop, easing)  # (N, latent)
        clarities = [recipe.clarity for recipe in (*recipes, *recipes[: int(loop)])]
        places = np.linspace(0, len(clarities) - 1, len(z), endpoint=not loop)
        return clear(self.checkpoint, z, np.interp(places, range(len(clarities)), clarities).tolist())

    def render(self, z: Float[np.ndarray, "n latent"]) -> UInt8[np.ndarray, "n h w 3"]:
        """The faces of latents."""
        return self.device.render(self.checkpoint.prepared, z)

    def batches(self, z: Float[np.ndarray, "n latent"]) -> Iterator[UInt8[np.ndarray, "b h w 3"]]:
        """The same faces in batches, between which other visitors have their turns."""
        return self.device.batches(self.checkpoint.prepared, z)

    def draw(self, recipes: list[Recipe]) -> Drawn:
        """The faces of recipes; at least one."""
        if not recipes:
            raise RecipeError("There is no face to draw.")
        return Drawn(recipes, self.render(self.latents(recipes)))

    def pngs(self, recipes: list[Recipe], size: int = 0) -> list[bytes]:
        """Faces as PNGs with their recipes inside, see `draw_pngs`."""
        return list(self.draw_pngs(recipes, size))

    def draw_pngs(self, recipes: list[Recipe], size: int = 0) -> Iterator[bytes]:
        """Faces as PNGs, one after the other, drawn by this model whatever model the recipes name.

        size: side in px to sharpen them to, 0 for the model's own picture. The recipes inside the files name this model
        and say to what side the picture was sharpened.
        """
        settings = {"model": self.checkpoint.name, "revision": self.checkpoint.revision}
        drawn = self.draw([replace(recipe, **settings) for recipe in recipes])
        pictures = self.sharpened(drawn.faces, size) if size else drawn.faces
        for picture, recipe in zip(pictures, drawn.recipes, strict=True):
            yield png_bytes(picture, replace(recipe, sharpened=size).to_json())

    def sharpened(self, faces: UInt8[np.ndarray, "n h w 3"], size: int) -> Iterator[UInt8[np.ndarray, "size size 3"]]:
        """Faces at `size` px, enlarged one after the other, between which other visitors have their turns."""
        there = sharpened_there(faces, size)
        if there is not None:
            return iter(there)
        return self.device.sharpen(sharpened(faces, size))

    # Tools: faces from faces

    def vary(
        self, recipe: Recipe, strength: float, seed: int, count: int = TOOL_FACES, locks: Sequence[str] = ()
    ) -> Drawn:
        """Variations of a face.

        strength: 0 (the face itself) to 1 (nothing in common with it). count: 1 to 64. locks: as for `roll_beside`.
        """
        [z] = self.untruncated([recipe])
        return self.draw_latents(self.locked(vary(z, strength, check_count(count), seed), z, locks), recipe)

    def roll_beside(self, recipe: Recipe, seeds: Sequence[int], locks: Sequence[str], best_of: int = 1) -> Drawn:
        """The faces of seeds, with what is locked taken from another face, whose settings they have.

        seeds: 1 to 64 times `best_of`, of which as many give a face. locks: names in LOCKS; one that no direction of
        the model belongs to has no effect. best_of: as for `clearest_of`.
        """
        check_count(len(seeds) // best_of)
        [z] = self.untruncated([recipe])
        rolled = self.locked(latents([check_seed(seed) for seed in seeds], self.latent_dim), z, locks)
        return self.draw_latents(clearest_of(self.checkpoint, rolled, best_of), recipe)

    def locked(
        self, z: Float[np.ndarray, "n latent"], face: Float[np.ndarray, " latent"], locks: Sequence[str]
    ) -> Float[np.ndarray, "n latent"]:
        """Latents with what is locked taken from a face. Raises RecipeError for an unknown lock."""
        if unknown := set(locks) - LOCKS.keys():
            raise RecipeError(f"Nothing is called {quoted(min(unknown))}; lock {', '.join(LOCKS)}.")
        ways = [item.vector for item in locked_by(self.directions(), locks)] if locks else []
        return held(z, face, np.stack(ways)) if ways else z

    def steer(self, recipe: Recipe, amounts: Mapping[str, float], own: Mapping[str, str] = NO_VECTORS) -> Drawn:
        """A face moved along directions. amounts: -3 to 3, by name. own: as for `directions`."""
        [z] = self.untruncated([recipe])
        return self.draw_latents(steer(z, self.directions(own), amounts)[None], recipe)

    def breed(self, recipes: list[Recipe], mutation: float, seed: int) -> Drawn:
        """Children of 2 to 16 faces. mutation: share of a child's latent that is drawn anew, 0 to 1."""
        parents = self.untruncated(recipes)
        children = breed(parents, TOOL_FACES, mutation, seed)
        return self.draw_latents(children, mean_settings(recipes))

    def between(self, a: Recipe, b: Recipe, steps: int) -> Drawn:
        """The faces on the way from one face to another in equal steps (2 to 64), both ends left out."""
        self.check([a, b])
        return self.draw(recipes_between(self.checkpoint, a, b, steps))

    def arithmetic(self, a: Recipe, b: Recipe, c: Recipe) -> Drawn:
        """The face A - B + C."""
        return self.draw_latents(arithmetic(*self.untruncated([a, b, c]))[None], c)

    def draw_latents(self, z: Float[np.ndarray, "n latent"], origin: Recipe) -> Drawn:
        """Faces of untruncated latents. origin: the face they came from, whose truncation and clarity they have."""
        return self.draw(recipes_of(self.checkpoint, z, origin))

    # Searches, in steps for `SlicedWork`

    def choose(self, wanted: list[str], seed: int) -> Iterator[SearchProgress | ChosenFaces]:
        """Faces with the attributes `wanted`: progress, then the ChosenFaces."""
        clarity = self.default_clarity
        return self.device.run(choose_faces(self.checkpoint, feature_net(), wanted, TOOL_FACES, seed, clarity=clarity))

    def project(self, picture: bytes) -> Iterator[ProjectionProgress | Projection]:
        """The face nearest to a picture file: progress, then the Projection. The picture is decoded in the first step.

        Raises DataError, in that step, for a file that is not a usable picture.
        """
        try:
            target = decode(picture, self.image_size).pixels  # (H, W, 3)
        except DataError as error:
            raise DataError(f"This picture cannot be used: {error}.") from error
        yield from self.device.run(project(self.checkpoint, feature_net(), target))

    # Directions

    def directions(self, own: Mapping[str, str] = NO_VECTORS) -> Directions:
        """The model's own directions, and those of the visitor.

        A model that has none, apart from any made by a user, gets the unnamed directions of its first layer.
        own: vectors of the visitor's directions by name, each as `ganime.drawing.recipe.encoded` writes it.
        """
        checkpoint = self.checkpoint
        directions = load_directions(checkpoint.folder, checkpoint.revision, self.latent_dim)
        directions = directions or Directions(checkpoint.name, checkpoint.revision)
        if all(item.kind == "own" for item in directions.items):
            unnamed = (item for item in self.unnamed_directions() if item.name not in directions.names)
            directions = replace(directions, items=(*directions.items, *unnamed))
        for name, vector in own.items():
            directions = directions.with_own(name, decoded(vector))
        return directions

    def unnamed_directions(self) -> list[Direction]:
        """The unnamed directions of the first layer, from the cache if they were found before."""
        directions = self.unnamed.get(self.checkpoint.revision)
        if directions is None:
            with self.device.lock:
                directions = self.unnamed.add(self.checkpoint.revision, unnamed_directions(self.checkpoint.generator))
        return directions

    def ranges(self, directions: Directions) -> Mapping[str, tuple[float, float]]:
        """The amounts of each direction at which faces survive; see `usable_ranges`."""
        return usable_ranges(self.checkpoint, directions) if self.default_clarity else limits_of(directions)

    def direction_of_sliders(self, name: str, amounts: Mapping[str, float], own: Mapping[str, str]) -> Direction:
        """A visitor's direction that goes where sliders lead together. own: as for `directions`.

        Its length is that of any unmeasured direction. Raises CheckpointError for a name that cannot be used.
        """
        directions = self.directions(own)
        return directions.with_own(name, rounded(unnamed_unit(combined(directions, amounts))))[name]

    def direction_between(self, name: str, a: Recipe, b: Recipe) -> Direction:
        """A visitor's direction that leads from face B to face A, as long as any unmeasured direction.

        Raises CheckpointError for a name that cannot be used.
        """
        z = self.untruncated([a, b])
        return self.directions().with_own(name, rounded(unnamed_unit(between(z[1:], z[:1]))))[name]

    # The discriminator, and copies

    def inside(self, recipe: Recipe) -> Inside:
        """The activations of each layer of both networks for a face."""
        [z] = self.latents([recipe])  # (latent,)
        checkpoint, logits = self.inspector.with_discriminator(self.key, self.checkpoint)
        with self.device.lock:
            return look_inside(checkpoint, z, others=logits)

    def must_read_training_faces(self) -> bool:
        """Whether a comparison takes seconds, because the training faces have to be read: see `read_and_compare`."""
        return self.inspector.must_read_faces(self.key)

    def compare(self, recipe: Recipe) -> Comparison | None:
        """A face beside the training faces nearest to it; None where those are unknown."""
        [face] = self.draw([recipe]).faces  # (H, W, 3)
        return self.inspector.compare(self.key, self.checkpoint, face)

    def read_and_compare(self, recipe: Recipe) -> Iterator[float | Comparison]:
        """The same after the training faces were read: progress from 0 to 1, then the Comparison."""
        [face] = self.draw([recipe]).faces  # (H, W, 3)
        yield from self.inspector.read_and_compare(self.key, face)

    def nearest_training_faces(self) -> Iterator[float | NearestFaces]:
        """Faces of a job's model beside the training faces nearest to them: progress from 0 to 1, then the result."""
        return self.inspector.nearest_faces(self.key, self.checkpoint)


def locked_by(directions: Directions, locks: Sequence[str]) -> list[Direction]:
    """The directions that decide what is locked. locks: names in LOCKS."""
    groups = {name for lock in locks for name in LOCKS[lock]}
    return [item for item in directions.items if item.kind == "attribute" and group(item.name) in groups]


def zip_of(recipes: list[Recipe], pngs: list[bytes]) -> bytes:
    """A ZIP of the PNGs of faces (1 to 64), see `file_names`."""
    if not 1 <= len(recipes) <= MAX_FACES:
        raise RecipeError(f"A ZIP holds 1 to {MAX_FACES} faces; got {len(recipes)}.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in zip(file_names(recipes), pngs, strict=True):
            archive.writestr(name, data)
    return buffer.getvalue()


def check_count(count: int) -> int:
    """A number of faces as an int. Raises RecipeError unless it is 1 to 64."""
    if not isinstance(count, int | float) or not 1 <= count <= MAX_FACES:
        raise RecipeError(f"The number of faces is 1 to {MAX_FACES}; got {quoted(count)}.")
    return int(count)


def file_names(recipes: list[Recipe]) -> list[str]:
    """`file_stem` and .png for each recipe; further faces of the same name are numbered: face-SEED-2.png."""
    names, uses = [], Counter[str]()
    for stem in map(file_stem, recipes):
        uses[stem] += 1
        names.append(f"{stem}-{uses[stem]}.png" if uses[stem] > 1 else f"{stem}.png")
    return names
