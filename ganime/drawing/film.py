"""The recipe of a film, which its file contains, so that the film can be made again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ganime.drawing.recipe import Recipe


def film_recipe(faces: Sequence[Recipe], frames: int, fps: float, loop: bool, easing: str, side: int = 0) -> str:
    """The recipe of a film as JSON in ASCII, in the form of the page's links to films.

    It names the model of the first face and then lists the faces, each without what is the same or has its default.

    faces: that the film passes, in order. frames: of the whole film. fps: frames per second. loop, easing: as for
    `ganime.drawing.recipe.walk`. side: of the saved pictures in px, 0 to leave it out.
    """
    model, revision = faces[0].model, faces[0].revision
    legs = len(faces) if loop else max(1, len(faces) - 1)
    seconds = (frames if loop else frames - 1) / legs / fps
    film = {
        "ganime": "film",
        "model": model,
        "revision": revision,
        "faces": [short_face(face, model, revision) for face in faces],
        "seconds": round(seconds, 3),
        "loop": loop,
        "easing": easing,
    } | ({"side": side} if side else {})
    return json.dumps(film)


def short_face(face: Recipe, model: str, revision: str) -> dict[str, Any]:
    """A face without the parts that are those of the film, have their default, or concern its picture alone."""
    common = {"model": model, "revision": revision, "truncation": 1.0, "position": 0.0, "clarity": 0.0}
    values = json.loads(face.to_json())
    values.pop("sharpened", None)
    return {name: value for name, value in values.items() if name not in common or value != common[name]}
