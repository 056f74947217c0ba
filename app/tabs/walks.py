"""Walks: through faces in their order, as frames to play or as a file to keep, for the tabs and the endpoints."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from app.components.bridge import answered, packed, sheet_url
from app.faces.explorer import Explorer, Texts, parsed
from app.faces.studio import BATCH, Size
from ganime.drawing.recipe import Recipe, check_number, walk
from ganime.drawing.sampling import render
from ganime.errors import RecipeError
from ganime.images import SHEET_COLUMNS, animation_kind, mp4_works, save_animation
from ganime.models.checkpoint import Checkpoint
from ganime.text import quoted

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

MAX_FRAMES = 240  # a browser holds them all at once, to play them without a request: 63 MB at 256 px
MAX_PIXELS = 240 * 256 * 256  # of all frames of a file, so that nobody waits for long behind another's
DRAWN = 0.6  # of the progress of a file; the rest is writing it
Suffix = Literal[".gif", ".webp", ".png", ".mp4"]
Easing = Literal["linear", "smooth"]


@dataclass(frozen=True)
class Walk:
    """Faces in the order they are passed. easing: see `ganime.drawing.recipe.eased`. loop: whether to end at the first.

    Raises RecipeError for a number of frames outside 2 to 240.
    """

    faces: tuple[Recipe, ...]
    frames: int
    loop: bool = True
    easing: str = "linear"

    def __post_init__(self) -> None:
        if not isinstance(self.frames, int) or not 2 <= self.frames <= MAX_FRAMES:
            raise RecipeError(f"A walk has 2 to {MAX_FRAMES} frames here; got {quoted(self.frames)}.")

    def path(self, checkpoint: Checkpoint) -> Float[np.ndarray, "frames latent"]:
        """The latents of all frames. Raises RecipeError for fewer than two faces."""
        dim = checkpoint.generator.config.latent_dim
        faces = np.array([face.latent(dim) for face in self.faces], np.float32).reshape(-1, dim)  # (N, latent)
        return walk(faces, self.frames, self.loop, self.easing)


@dataclass(frozen=True)
class Going:
    """How far a walk has come, 0 to 1."""

    progress: float


@dataclass(frozen=True, eq=False)
class Frames:
    """All frames of a walk, uint8 (N, H, W, 3)."""

    pixels: UInt8[np.ndarray, "n h w 3"]


@dataclass(frozen=True)
class Film:
    """A walk as a file."""

    name: str
    data: bytes


def framed(explorer: Explorer, key: str, way: Walk) -> Iterator[Going | Frames]:
    """A walk some faces at a time, between which others have the device: Going after Going, then the Frames."""
    checkpoint = explorer.checkpoint(key, way.faces)
    path, pixels = way.path(checkpoint), []

    def batches() -> Iterator[Going]:
        for start in range(0, len(path), BATCH):
            pixels.append(render(checkpoint.generator, path[start : start + BATCH]))
            yield Going(min(1.0, (start + BATCH) / len(path)))

    yield from explorer.on_device(batches())
    yield Frames(np.concatenate(pixels))


def filmed(
    explorer: Explorer, key: str, way: Walk, fps: float, suffix: str, size: int | None
) -> Iterator[Going | Film]:
    """A walk as a file: Going after Going, then the Film. suffix: .gif, .webp, .png (APNG), or .mp4 with PyAV.

    fps: frames a second, 1 to 60. size: side in pixels, None for the model's own. Raises GanimeError for what cannot
    be had; the device is nobody's while the file is written.
    """
    fps, name = check_number("The speed", fps, 1, 60), f"walk{suffix}"
    animation_kind(Path(name))
    if way.frames * (size or 0) ** 2 > MAX_PIXELS:
        most = MAX_PIXELS // (size or 1) ** 2
        raise RecipeError(f"At {size} px a file has at most {most} frames; got {way.frames}. Choose a smaller size.")
    for event in framed(explorer, key, way):
        if isinstance(event, Frames):
            yield Film(name, animated(event.pixels, suffix, fps, size))
        else:
            yield Going(DRAWN * event.progress)


def animated(pictures: UInt8[np.ndarray, "n h w 3"], suffix: str, fps: float, size: int | None) -> bytes:
    """Pictures as an endless animation file; suffix: .webp, .gif, .png, or .mp4 with PyAV."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"walk{suffix}"
        save_animation(pictures, path, fps, size)
        return path.read_bytes()


def walk_functions(explorer: Explorer) -> list[Callable[..., dict[str, Any]]]:
    """What the page asks for; every argument comes from the network, the first two are the visitor and the model."""

    def walk(visitor: str, key: str, recipes: Texts, frames: int, loop: bool, easing: Easing) -> dict[str, Any]:
        way = Walk(tuple(parsed(recipes)), frames, loop, easing)
        return {"search": explorer.walks.begin(visitor, framed(explorer, key, way))}

    def film(
        visitor: str,
        key: str,
        recipes: Texts,
        frames: int,
        loop: bool,
        easing: Easing,
        fps: float,
        suffix: Suffix,
        size: Size,
    ) -> dict[str, Any]:
        way = Walk(tuple(parsed(recipes)), frames, loop, easing)
        return {"search": explorer.walks.begin(visitor, filmed(explorer, key, way, fps, suffix, size or None))}

    def ask_walk(key: str, search: str) -> dict[str, Any]:
        event, _ = explorer.walks.go_on(search)
        if isinstance(event, Frames | Film):  # nobody asks again
            explorer.walks.end(search)
        return walk_value(event)

    def leave_walk(key: str, search: str) -> dict[str, Any]:
        explorer.walks.end(search)
        return {}

    begun = [answered(make, visitor=explorer.visitor) for make in (walk, film)]
    return [*begun, answered(ask_walk), answered(leave_walk)]


def walk_value(event: Going | Frames | Film | None) -> dict[str, Any]:
    """How far a walk has come, None before its first step, its frames in one exact sheet, or its file."""
    if event is None or isinstance(event, Going):
        return {"progress": event.progress if event else 0.0}
    if isinstance(event, Film):
        return packed((event.name, event.data))
    pixels = event.pixels
    return {"sheet": sheet_url(pixels), "columns": SHEET_COLUMNS, "side": pixels.shape[1], "frames": len(pixels)}


def endings() -> list[str]:
    """The kinds of files that can be written here; MP4 takes PyAV."""
    return [".webp", ".gif", ".png", *([".mp4"] if mp4_works() else [])]
