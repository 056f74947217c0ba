"""Walks and films in the browser, for the tabs Explore and Interpolate."""

from __future__ import annotations

from collections.abc import Callable

from app.components.bridge import Answer, file_answer, server_function, sheet_url
from app.faces.incoming import RecipeTexts, parse_recipes
from app.faces.studio import Studio
from app.faces.walks import Easing, FilmSize, Frames, Progress, SavedFile, Suffix, Walk, draw_film, draw_walk
from ganime.images import SHEET_COLUMNS


def walk_functions(studio: Studio) -> list[Callable[..., Answer]]:
    """The server functions that begin walks and films.

    Every argument comes from the network; the first two are visitor and model.
    """

    def walk(visitor: str, key: str, recipes: RecipeTexts, frames: int, loop: bool, easing: Easing) -> Answer:
        route = Walk(tuple(parse_recipes(recipes)), frames, loop, easing)
        return {"search": studio.work.begin("film", visitor, draw_walk(studio.open(key), route), walk_value)}

    def film(
        visitor: str,
        key: str,
        recipes: RecipeTexts,
        frames: int,
        loop: bool,
        easing: Easing,
        fps: float,
        suffix: Suffix,
        size: FilmSize,
    ) -> Answer:
        route = Walk(tuple(parse_recipes(recipes)), frames, loop, easing)
        steps = draw_film(studio.open(key), route, fps, suffix, size)
        return {"search": studio.work.begin("film", visitor, steps, walk_value)}

    return [server_function(function, visitor_of=studio.visitor) for function in (walk, film)]


def walk_value(event: Progress | Frames | SavedFile | None) -> Answer:
    """The progress of a walk, None before its first step; or its frames in one lossless sheet; or its file."""
    if event is None or isinstance(event, Progress):
        return {"progress": event.share if event else 0.0}
    if isinstance(event, SavedFile):
        return file_answer((event.name, event.data))
    pixels = event.pixels
    return {"sheet": sheet_url(pixels), "columns": SHEET_COLUMNS, "side": pixels.shape[1], "frames": len(pixels)}
