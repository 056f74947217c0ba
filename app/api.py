"""The public endpoints, for gradio_client and plain HTTP; everything else on the page is private."""

from __future__ import annotations

from typing import Any, get_args

import gradio as gr
from gradio.data_classes import FileData
from gradio.processing_utils import save_bytes_to_cache

from app.components.theme import raised
from app.errors import JobError
from app.faces.explorer import MAX_PICTURE_BYTES, MAX_PICTURE_TEXT, MAX_RECIPE_TEXT, Drawn, Explorer, unpacked
from app.faces.library import EMBEDDED_KEY
from app.faces.studio import MAX_FACES, Size, Studio
from app.jobs.limits import TrainingPlan
from app.jobs.service import Jobs
from app.jobs.uploads import Upload, discard, uploaded_file
from app.settings import Settings
from app.tabs.job_view import job_value
from app.tabs.walks import Film, Walk, filmed
from app.visitors import visitor_of
from ganime.config import SCRATCH
from ganime.drawing.directions import MAX_DIRECTIONS
from ganime.drawing.recipe import Recipe
from ganime.errors import DataError, RecipeError
from ganime.images import png_bytes
from ganime.text import quoted
from ganime.training.beginning import nearest_embedded

STARTS = (EMBEDDED_KEY, SCRATCH)
SIZES = get_args(Size)  # of animations, in px; 0 for as drawn
KINDS = ("webp", "gif", "png", "mp4")  # of animations


def publish(studio: Studio, cache: str) -> None:
    """Add the endpoints to the page under construction; their files go to Gradio's cache, which sweeps itself."""

    @raised
    def generate(count: int = 16, seed: int = 0, truncation: float = 1.0) -> list[dict]:
        """Draw faces: a list of PNG files, one for each of the seeds `seed`, `seed` + 1, ...

        Each file holds its recipe (model, revision, seed, truncation) as PNG text under the key `ganime`.
        count: 1 to 64. seed: 0 to 4294967295. truncation: 0 (the average face) to 1.5; 1 is as trained.
        """
        recipes = studio.recipes(studio.library.start.key, count, seed, truncation)
        pngs = studio.face_pngs(studio.library.start.key, recipes)
        return [served(cache, f"face-{recipe.seed}.png", png) for recipe, png in zip(recipes, pngs, strict=True)]

    gr.api(generate, api_name="generate", concurrency_id="device", concurrency_limit=2)
    if studio.jobs:
        publish_training(studio, studio.jobs, cache)


def publish_exploring(explorer: Explorer, cache: str) -> None:
    """The endpoints that begin from a face or a picture; they draw with the model that the page begins with."""
    key = explorer.studio.library.start.key

    def face_of(face: str) -> Recipe:
        """A face as a client names it. Raises RecipeError for what names none."""
        if not isinstance(face, str) or len(face) > MAX_RECIPE_TEXT:
            raise RecipeError("Give a face as text: a seed, or the recipe in a PNG that Ganime made.")
        if face.strip().isdecimal():
            start = explorer.checkpoint(key)
            return Recipe(start.name, start.revision, int(face) if len(face) < 20 else -1)
        return Recipe.from_json(face)

    def files(drawn: Drawn, name: str) -> list[dict]:
        pngs = [png_bytes(face, recipe.to_json()) for face, recipe in zip(drawn.faces, drawn.recipes, strict=True)]
        return [served(cache, f"{name}-{number}.png", png) for number, png in enumerate(pngs, start=1)]

    def animation(who: str, way: Walk, name: str, kind: str, speed: float = 20.0, size: int = 0) -> dict:
        if kind not in KINDS:
            raise RecipeError(f"kind must be one of {', '.join(KINDS)}; got {quoted(kind)}.")
        if size not in SIZES:
            raise RecipeError(f"size must be one of {', '.join(map(str, SIZES))}; got {quoted(size)}.")
        film = explorer.walks.finish(who, filmed(explorer, key, way, speed, f".{kind}", size or None))
        assert isinstance(film, Film)
        return served(cache, f"{name}.{kind}", film.data)

    @raised
    def interpolate(
        request: gr.Request, start: int, end: int, frames: int = 48, easing: str = "linear", kind: str = "webp"
    ) -> dict:
        """Walk from the face of seed `start` to that of seed `end` and back: one endless animation.

        start, end: 0 to 4294967295. frames: one way, 2 to 120; the animation has 2 * frames - 2. easing: "linear", or
        "smooth" to slow down at both faces. kind: "webp" or "png" (APNG), both lossless, "gif", or "mp4" where the
        owner of the page has installed PyAV.
        """
        first, *_, last = explorer.studio.walk_recipes(key, start, end, frames, 1.0)
        way = Walk((first, last), 2 * int(frames) - 2, True, easing)
        return animation(explorer.visitor(request), way, f"walk-{start}-{end}", kind)

    @raised
    def walk(
        request: gr.Request,
        faces: list[str],
        frames: int = 96,
        loop: bool = True,
        easing: str = "linear",
        kind: str = "webp",
        speed: float = 20.0,
        size: int = 0,
    ) -> dict:
        """Walk through any faces in their order, each as long as the next: one animation.

        faces: 2 to 64, each a seed, or a recipe as JSON, which the PNGs of this page hold as text under the key
        `ganime`. frames: of the whole walk, 2 to 240. loop: whether it goes back to the first face, so that it has no
        end. easing: "linear", or "smooth" to slow down at every face. kind: "webp" or "png" (APNG), both lossless at
        size 0, "gif", or "mp4" where the owner of the page has installed PyAV. speed: frames a second, 1 to 60. size: 0
        as drawn, 256 px, or 512 px for at most 60 frames.
        """
        if not isinstance(faces, list) or len(faces) > MAX_FACES:
            raise RecipeError(f'At most {MAX_FACES} faces make a walk, given as a list of texts such as ["3", "14"].')
        way = Walk(tuple(map(face_of, faces)), frames, loop, easing)
        return animation(explorer.visitor(request), way, "walk", kind, speed, size)

    @raised
    def vary(face: str, strength: float = 0.3, count: int = 8, seed: int = 0) -> list[dict]:
        """Draw neighbours of a face: a list of PNG files, each with its recipe inside.

        face: a seed, or a recipe as JSON, which the PNGs of this page hold as text under the key `ganime`. strength:
        0 (the face itself) to 1 (nothing in common with it). count: 1 to 64. seed: another one gives other neighbours.
        """
        return files(explorer.vary(key, face_of(face), strength, seed, count), "variation")

    @raised
    def steer(face: str, amounts: dict) -> dict:
        """Move a face along named directions, such as {"smile": 2, "blonde_hair": -1.5}: a PNG with its recipe inside.

        face: a seed, or a recipe as JSON. amounts: from -3 to 3 by name; a wrong name is answered with all there are.
        """
        if not isinstance(amounts, dict) or len(amounts) > MAX_DIRECTIONS:
            raise RecipeError('Give amounts by name, such as {"smile": 2}.')
        return files(explorer.steer(key, face_of(face), amounts), "steered")[0]

    @raised
    def project(request: gr.Request, picture: str) -> dict:
        """Find the face that comes nearest to a picture, which takes seconds.

        picture: a PNG, JPEG, WebP, GIF, BMP or AVIF file as base64 text, at most 4 MiB; the square in its middle
        counts. Answers with `file`, a PNG with its recipe inside; `distance` of the two on the feature network;
        `typical`, the median distance of two random faces; `percentile` of random pairs that are nearer to one another:
        0 is a match, 50 no better than any face; and `seconds`.
        """
        if not isinstance(picture, str) or len(picture) > MAX_PICTURE_TEXT:
            raise DataError(f"Give a picture of at most {MAX_PICTURE_BYTES:,} bytes as base64 text.")
        found = explorer.searches.finish(explorer.visitor(request), explorer.project(key, unpacked(picture)))
        [file] = files(Drawn([found.recipe], found.face[None]), "nearest")
        measures = {name: getattr(found, name) for name in ("distance", "typical", "percentile", "seconds")}
        return {"file": file} | measures

    for endpoint in (interpolate, walk, vary, steer):
        gr.api(endpoint, api_name=endpoint.__name__, concurrency_id="device", concurrency_limit=2)
    gr.api(project, api_name="project", concurrency_id="search", concurrency_limit=2)


def publish_training(studio: Studio, jobs: Jobs, cache: str) -> None:
    """The endpoints of training jobs; the limits of the page hold, and a key opens its own job alone."""

    @raised
    def train_start(
        request: gr.Request,
        profile: gr.OAuthProfile | None,
        files: list[dict],
        minutes: float = 15.0,
        name: str = "",
        start: str = EMBEDDED_KEY,
        recipe: str = "modern",
        image_size: int = 64,
        images: int = 0,
    ) -> str:
        """Queue a training job on faces and return its key, the one secret that opens the job: keep it.

        files: zips and pictures, each as gradio_client's handle_file gives it. minutes: the longest it trains.
        start: "embedded", to begin from the embedded model closest to image_size, or "scratch". recipe: "modern" or
        "classic". image_size: 32, 64, 128 or 256 px. images: number of images seen after which it stops, 0 for no
        limit.
        """
        uploads = client_uploads(files, studio.settings)
        try:
            if start not in STARTS:
                raise JobError(f"start must be one of {', '.join(STARTS)}; got {str(start)[:40]!r}.")
            visitor = visitor_of(request, profile, studio.settings.proxies)
            key = jobs.draft(uploads, visitor, image_size)
        finally:
            discard(uploads)
        try:
            folder = nearest_embedded(image_size) if start == EMBEDDED_KEY else None
            jobs.submit(key, TrainingPlan(recipe, image_size, minutes, images, str(name), folder), visitor)
        except BaseException:
            jobs.delete(key)
            raise
        return key

    @raised
    def train_status(key: str) -> dict:
        """How the job of a key stands.

        state: "queued", "running", "stopping", "finished", "failed" or "interrupted", with the reason in words; place
        in the queue, and wait, about how many seconds until its turn; images seen, and most_images, after which it
        ends; minutes_left, what an ended job lacks of its time; share of the nearest limit that is done, 0 to 1;
        images_per_second; seconds_left;
        the last verdict and measures; losses and measures as [images, value, value]; has_model.
        """
        return job_value(jobs, key)

    @raised
    def train_stop(key: str) -> dict:
        """Have the job saved and ended after the step it is at, or taken out of the queue; its status."""
        jobs.stop(key)
        return job_value(jobs, key)

    @raised
    def train_result(key: str) -> dict:
        """The model of the job as it is now: a zip with the folder `ganime-model`."""
        path = jobs.archive(key)
        return FileData(path=str(path), orig_name=path.name, size=path.stat().st_size).model_dump()

    for endpoint in (train_start, train_status, train_stop, train_result):
        gr.api(endpoint, api_name=endpoint.__name__, concurrency_id="training", concurrency_limit=4)


def served(cache: str, name: str, data: bytes) -> dict[str, Any]:
    """A file for a client to fetch."""
    path = save_bytes_to_cache(data, name, cache)
    return FileData(path=path, orig_name=name, size=len(data)).model_dump()


def client_uploads(files: Any, settings: Settings) -> list[Upload]:
    """Files that a client has uploaded before. Raises JobError for anything else."""
    named = [file if isinstance(file, dict) else {} for file in (files if isinstance(files, list) else [files])]
    return [uploaded_file(file.get("path"), file.get("orig_name"), settings) for file in named]
