"""The films of the Interpolate tab, which are drawn and encoded while the page asks for their progress."""

from __future__ import annotations

from app.components.bridge import Answer, ServerFunction, file_answer, server_function
from app.faces.incoming import RecipeTexts, parse_recipes
from app.faces.studio import Studio
from app.faces.walks import Easing, FilmSize, Progress, SavedFile, Suffix, Walk, draw_film


def walk_functions(studio: Studio) -> list[ServerFunction]:
    """The server function that begins a film.

    Every argument comes from the network; the first two are visitor and model.
    """

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
        return {"work": studio.work.begin("film", visitor, steps, saving_value)}

    return [server_function(film, studio.beginning("film"), visitor_of=studio.visitor)]


def saving_value(event: Progress | SavedFile | None) -> Answer:
    """The progress of a film or a ZIP, None before its first step; or its file."""
    if isinstance(event, SavedFile):
        return file_answer((event.name, event.data))
    return {"progress": event.share if event else 0.0}
