"""The files that visitors save: faces as PNGs and ZIPs, and films, which are made while the page asks for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from app.components.bridge import Answer, ServerFunction, file_answer, file_function, server_function
from app.faces.avatars import AvatarShape, avatar_png
from app.faces.incoming import RecipeText, RecipeTexts, parse_recipes
from app.faces.loaded_model import FaceSize
from app.faces.studio import Studio
from app.faces.walks import Easing, FilmSize, Progress, SavedFile, Suffix, Walk, draw_film, draw_zip
from ganime.drawing.recipe import Recipe, file_stem

ZipSize = Literal[0, 512]  # side in px; 0 for the model's own


def saving_functions(studio: Studio) -> list[ServerFunction]:
    """The server functions that answer with a file, or begin to make one; all arguments come from the network."""

    def face_file(key: str, recipe: RecipeText, size: FaceSize) -> tuple[str, bytes]:
        face, model = Recipe.from_json(recipe), studio.open(key)
        model.check([face])
        return f"{file_stem(face)}.png", model.pngs([face], size)[0]

    def avatar_file(key: str, recipe: RecipeText, shape: AvatarShape) -> tuple[str, bytes]:
        face, model = replace(Recipe.from_json(recipe), sharpened=0), studio.open(key)
        model.check([face])
        return f"{file_stem(face)}-{shape}.png", avatar_png(model, face, shape)

    def zip_file(visitor: str, key: str, recipes: RecipeTexts, size: ZipSize) -> Answer:
        faces, model = parse_recipes(recipes), studio.open(key)
        model.check(faces)
        return {"work": studio.work.begin("zip", visitor, draw_zip(model, faces, size), saving_value)}

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

    door = studio.door(studio.limits.save)
    files = [file_function(face_file, door), file_function(avatar_file, door)]
    begun = ((zip_file, studio.beginning("zip")), (film, studio.beginning("film")))
    return files + [server_function(function, door, visitor_of=studio.visitor) for function, door in begun]


def saving_value(event: Progress | SavedFile | None) -> Answer:
    """The progress of a film or a ZIP, None before its first step; or its file."""
    if isinstance(event, SavedFile):
        return file_answer((event.name, event.data))
    return {"progress": event.share if event else 0.0}
