"""Films that visitors save: walks from face to face, drawn anew at full frame rate, with their recipes inside."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from app.faces.loaded_model import LoadedModel, zip_of
from ganime.drawing.film import film_recipe
from ganime.drawing.recipe import Recipe, check_number
from ganime.errors import RecipeError
from ganime.images import FrameSequence, animation_kind, mp4_works, save_animation
from ganime.shapes import Float, Int, UInt8
from ganime.text import quoted

MAX_WALK_FRAMES = 600  # 25 s at 24 frames a second; of a model of 256 px they take 118 MB
MAX_LARGE_FRAMES = 180  # of a film of 512 px
SHARPENED_FRAMES = 60  # of them at most are drawn and sharpened, about a second each; the others are mixed from those
DRAWING_SHARE = 0.6  # of a film's progress; the rest is encoding
DRAWING_SHARE_OF_SHARP, SHARPENING_SHARE = 0.1, 0.8  # of a sharpened film's; the rest is encoding
FilmSize = Literal[0, 256, 512]  # side in px; 0 for the model's own
SHARPENED_SIZE = 512  # px from which the frames of a film are sharpened; smaller ones are resized
Suffix = Literal[".mp4", ".webp", ".gif", ".png"]  # of a film, the best kind first; .png is an APNG
Easing = Literal["linear", "smooth"]


@dataclass(frozen=True)
class Walk:
    """The way through several faces.

    faces: two or more recipes, in the order in which they are passed.
    frames: 2 to 600, of the whole walk.
    loop: whether the walk goes back to the first face.
    easing: see `ganime.drawing.recipe.eased`.

    Raises RecipeError for a number of frames out of range.
    """

    faces: tuple[Recipe, ...]
    frames: int
    loop: bool = True
    easing: str = "linear"

    def __post_init__(self) -> None:
        if not isinstance(self.frames, int) or not 2 <= self.frames <= MAX_WALK_FRAMES:
            raise RecipeError(f"A film has 2 to {MAX_WALK_FRAMES} frames on this page; got {quoted(self.frames)}.")

    def latents(self, model: LoadedModel) -> Float[np.ndarray, "frames latent"]:
        """The latents of all frames. Raises RecipeError for fewer than two faces, or one of another model."""
        return model.path(self.faces, self.frames, self.loop, self.easing)


@dataclass(frozen=True)
class Progress:
    """The share of the work that is done, 0 to 1."""

    share: float


@dataclass(frozen=True, eq=False)
class Frames:
    """All frames of a walk, uint8 (N, H, W, 3)."""

    pixels: UInt8[np.ndarray, "n h w 3"]


@dataclass(frozen=True)
class SavedFile:
    """A film or a ZIP, with the name to save it under."""

    name: str
    data: bytes


def draw_walk(model: LoadedModel, z: Float[np.ndarray, "n latent"]) -> Iterator[Progress | Frames]:
    """Draw latents in batches, between which other visitors have their turns: Progress, then the Frames."""
    frames, done = np.empty((len(z), model.image_size, model.image_size, 3), np.uint8), 0
    for batch in model.batches(z):
        frames[done : done + len(batch)] = batch  # (B, H, W, 3)
        done += len(batch)
        yield Progress(done / len(z))
    yield Frames(frames)


def draw_film(model: LoadedModel, route: Walk, fps: float, suffix: str, size: int) -> Iterator[Progress | SavedFile]:
    """Draw a walk and encode it: Progress, then the film. Other visitors may draw while it is encoded.

    fps: frames per second, 1 to 60.
    suffix: .gif, .webp, .png (APNG) or .mp4.
    size: side in px, 0 for the model's own. At 512 px up to 60 frames are sharpened, and others mixed from them.

    The film contains its recipe, see `film_recipe`. Raises RecipeError for a value out of range and for a film of
    512 px with more than 180 frames, GanimeError for an unusable suffix.
    """
    fps = check_number("The speed", fps, 1, 60)
    animation_kind(Path(f"film{suffix}"))
    if size >= SHARPENED_SIZE and route.frames > MAX_LARGE_FRAMES:
        raise RecipeError(
            f"A film of {size} px has at most {MAX_LARGE_FRAMES} frames; got {route.frames}. Choose a smaller size."
        )
    recipe = film_recipe(route.faces, route.frames, fps, route.loop, route.easing, size)
    sharp = size >= max(SHARPENED_SIZE, model.image_size + 1)
    drawing = DRAWING_SHARE_OF_SHARP if sharp else DRAWING_SHARE
    z = route.latents(model)  # (N, latent)
    drawn = min(SHARPENED_FRAMES, len(z)) if sharp else len(z)
    places = np.linspace(0, len(z) - 1, drawn).round().astype(int)  # (K,) of the frames that are drawn
    for event in draw_walk(model, z[places]):
        if isinstance(event, Progress):
            yield Progress(drawing * event.share)
            continue
        frames = event.pixels
        if sharp:
            pictures = []
            for picture in model.sharpened(frames, size):
                pictures.append(picture)
                yield Progress(drawing + SHARPENING_SHARE * len(pictures) / len(frames))
            frames = MixedFrames(np.stack(pictures), places, len(z))
        yield SavedFile(f"film{suffix}", encode_film(frames, suffix, fps, size, recipe))


@dataclass(frozen=True, eq=False)
class MixedFrames:
    """Frames of a film, of which pictures are given; between two of them their colours are mixed when one is asked for.

    pictures: uint8, (K, H, W, 3). places: (K,), of the pictures among the frames, ascending from the first to the last
    frame. count: number of frames.
    """

    pictures: UInt8[np.ndarray, "k h w 3"]
    places: Int[np.ndarray, " k"]
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> UInt8[np.ndarray, "h w 3"]:
        if not 0 <= number < self.count:
            raise IndexError(number)
        after = int(np.searchsorted(self.places, number))
        if self.places[after] == number:
            return self.pictures[after]
        before, then = self.places[after - 1], self.places[after]
        share = np.float32((number - before) / (then - before))
        mixed = self.pictures[after - 1] * (1 - share) + self.pictures[after] * share  # (H, W, 3)
        return mixed.round().astype(np.uint8)


def draw_zip(model: LoadedModel, recipes: list[Recipe], size: int) -> Iterator[Progress | SavedFile]:
    """Draw faces (1 to 64) as a ZIP of PNG files: Progress, then the ZIP. size: as for `LoadedModel.draw_pngs`."""
    pngs: list[bytes] = []
    for png in model.draw_pngs(recipes, size):
        pngs.append(png)
        yield Progress(len(pngs) / len(recipes))
    yield SavedFile("faces.zip", zip_of(recipes, pngs))


def encode_film(frames: FrameSequence, suffix: str, fps: float, size: int, recipe: str) -> bytes:
    """The bytes of an animation that repeats for ever. suffix, size: as for `draw_film`. recipe: to store inside."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"film{suffix}"
        save_animation(frames, path, fps, size or None, recipe)
        return path.read_bytes()


def film_suffixes() -> list[str]:
    """The kinds of films that can be written here, the best one first; MP4 needs PyAV."""
    return [suffix for suffix in get_args(Suffix) if suffix != ".mp4" or mp4_works()]
