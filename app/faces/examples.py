"""Faces to train on for visitors who have none at hand: examples of one hair colour, or those of their tray."""

from __future__ import annotations

import math
import secrets
import threading
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from app.faces.library import EMBEDDED_KEY
from app.faces.loaded_model import MAX_FACES, LoadedModel, feature_net
from app.faces.studio import Studio
from app.jobs.arrivals import Upload, arrivals_folder
from ganime.drawing.example_faces import ExampleFaces, example_faces
from ganime.drawing.recipe import Recipe
from ganime.errors import RecipeError
from ganime.faces.dataset import MIN_FACES
from ganime.files import atomic_file
from ganime.images import png_bytes
from ganime.text import plural

EXAMPLE_COUNT, EXAMPLE_ATTRIBUTE = 300, "red_hair"
VARIED_TO, VARIATION = 64, 0.45  # faces of a small tray with its variations, and how far those lie from the kept face
Faces = Iterable[np.ndarray]  # (H, W, 3) each


class Examples:
    """Example faces, drawn once and kept in the home for everyone."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.drawing = threading.Lock()  # one visitor draws them; others who come meanwhile wait for the same file

    def upload(self, progress: Callable[[int, int], None]) -> Upload:
        """A zip of example faces, as if it had been uploaded. progress: called with (done, total) while it is drawn."""
        model = self.studio.open(EMBEDDED_KEY)
        name = f"{EXAMPLE_ATTRIBUTE}-{EXAMPLE_COUNT}-{model.checkpoint.revision}.zip"
        path = self.studio.settings.home / "examples" / name
        with self.drawing:
            if not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                with atomic_file(path) as temporary:
                    write_zip(temporary, self.draw(model, progress))
        return Upload(path, "example-faces.zip")

    def draw(self, model: LoadedModel, progress: Callable[[int, int], None]) -> Faces:
        """Draw the example faces; other visitors have their turns meanwhile."""
        steps = example_faces(model.checkpoint, feature_net(), EXAMPLE_ATTRIBUTE, EXAMPLE_COUNT)
        for event in self.studio.device.run(steps):
            if isinstance(event, ExampleFaces):
                return event.faces
            progress(round(event * EXAMPLE_COUNT), EXAMPLE_COUNT)
        raise AssertionError("The search for example faces ends with its result.")


def tray_upload(studio: Studio, texts: Sequence[str], model_key: str) -> tuple[Upload, str]:
    """A zip of the faces of a tray, as if it had been uploaded, and a remark on what it contains, which may be empty.

    Where a tray has too few faces to train on, variations of each are added. Faces of models that are not loaded here
    are left out.

    texts: recipes. model_key: of the model in use.

    Raises RecipeError for a tray without a usable face.
    """
    recipes = [Recipe.from_json(text) for text in texts[:MAX_FACES]]
    models = [studio.open(key) for key in dict.fromkeys((model_key, *studio.library.permanent))]
    kept: list[tuple[LoadedModel, Recipe]] = []
    for recipe in recipes:
        kept += [(model, recipe) for model in models if model.checkpoint.revision == recipe.revision][:1]
    if not kept:
        raise RecipeError(
            "The faces in your tray were drawn by models that are not loaded here. Load one of them, or keep new faces."
            if recipes
            else "Your tray is empty. Keep some faces on the Create tab first."
        )
    each = math.ceil((VARIED_TO - len(kept)) / len(kept)) if len(kept) < MIN_FACES else 0
    path = arrivals_folder(studio.settings) / secrets.token_hex(8) / "tray" / "tray.zip"
    path.parent.mkdir(parents=True)
    write_zip(path, tray_faces(kept, each))
    remarks = []
    if each:
        remarks.append(
            f"{plural(len(kept), 'face')} of your tray would be too few to train on, so {each} variations of each were "
            f"added: {len(kept) * (1 + each)} in all. Keep more faces for a better model."
        )
    if left := len(recipes) - len(kept):
        remarks.append(f"{plural(left, 'face')} of other models {'was' if left == 1 else 'were'} left out.")
    return Upload(path, "tray.zip"), " ".join(remarks)


def tray_faces(kept: Sequence[tuple[LoadedModel, Recipe]], variations: int) -> Faces:
    """Draw each face, and some variations of it."""
    for number, (model, recipe) in enumerate(kept):
        same = replace(recipe, model=model.checkpoint.name)  # the weights may be known by another name elsewhere
        yield from model.draw([same]).faces
        if variations:
            yield from model.vary(same, VARIATION, number, min(variations, MAX_FACES)).faces


def write_zip(path: Path, faces: Faces) -> None:
    """Write faces as PNG files of a zip."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, face in enumerate(faces):
            archive.writestr(f"{number:04d}.png", png_bytes(face))
