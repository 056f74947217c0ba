"""The public endpoints, for gradio_client and plain HTTP; everything else on the page is private."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import gradio as gr
import numpy as np
from gradio.data_classes import FileData
from starlette.concurrency import run_in_threadpool

from app.arguments import base64_text, choice, number, whole, yes_or_no
from app.components.bridge import expected_errors, gradio_error, in_turns
from app.disk import Results
from app.faces.incoming import MAX_BASE64, MAX_PROJECTED_BYTES, MAX_RECIPE_TEXT, picture_bytes
from app.faces.library import EMBEDDED_KEY
from app.faces.loaded_model import MAX_FACES, Drawn, FaceSize, zip_of
from app.faces.studio import Studio
from app.faces.walks import FilmSize, Suffix, Walk, draw_film
from app.jobs.arrivals import Upload, all_uploads, delete_uploads
from app.jobs.limits import DEFAULT_SIDE, TrainingPlan, check_plan
from app.jobs.service import Jobs
from app.settings import Settings
from app.tabs.job_view import job_value
from app.visitors import visitor_of
from ganime.config import CROPS, RECIPES
from ganime.drawing.directions import MAX_DIRECTIONS
from ganime.drawing.projection import Projection, ProjectionProgress
from ganime.drawing.recipe import EASINGS, Recipe, parse_seed
from ganime.errors import DataError, RecipeError
from ganime.images import SHEET_COLUMNS, png_bytes, sheet, webp_bytes
from ganime.text import quoted

MAX_SHARPENED_FACES = 4  # for one call
FACE_SIZES, FILM_SIZES = get_args(FaceSize), get_args(FilmSize)  # in px; 0 for the model's own
FACE_KINDS = ("png", "zip", "sheet")
FILM_KINDS = [suffix.removeprefix(".") for suffix in get_args(Suffix)]
QUALITY = 90  # of a sheet, 1 to 100


def publish(studio: Studio, cache: str) -> None:
    """Add all endpoints to the page under construction. cache: Gradio's, whose files it serves."""
    faces = FaceEndpoints(studio, cache)
    for endpoint in (faces.generate, faces.vary, faces.steer):
        add(in_turns(endpoint, studio.door(studio.limits.draw)))
    for endpoint in (faces.interpolate, faces.walk, faces.project):
        add(endpoint)
    if studio.jobs:
        training = TrainingEndpoints(studio, studio.jobs)
        add(in_turns(training.train_start, studio.door(studio.limits.reading)))
        add(in_turns(training.train_result, studio.door(studio.limits.save)))
        for endpoint in (training.train_status, training.train_stop):
            add(in_turns(endpoint, studio.door(studio.limits.look)))


def add(endpoint: Callable[..., Any]) -> None:
    """Add an endpoint by the name of its function."""
    gr.api(expected_errors(gradio_error)(endpoint), api_name=endpoint.__name__)


class FaceEndpoints:
    """The endpoints that draw, all with the model that the page starts with. Docstrings and names are public."""

    def __init__(self, studio: Studio, cache: str) -> None:
        self.studio, self.results = studio, Results(Path(cache) / "results")
        self.key = studio.library.start.key

    def generate(
        self,
        request: gr.Request,
        count: int = 16,
        seed: int = 0,
        truncation: float = 1.0,
        clarity: float | None = None,
        size: int = 0,
        kind: str = "png",
        best_of: int = 1,
    ) -> list[dict]:
        """Draw faces: a list of PNG files, one for each of the seeds `seed`, `seed` + 1, ...

        Each file contains its recipe (model, revision, seed, truncation, clarity) as PNG text under the key `ganime`.
        count: 1 to 64. seed: 0 to 4294967295. truncation: 0 (the average face) to 1.5; 1 is as trained. clarity: the
        share of the model's faces that each face is at least as clear as, 0 (drawn unchanged) to 0.95; 0.35 by default
        if the model has a clarity. size: 0 for the model's own; 512 or 1024 px are sharpened, which takes about a
        second for each face, so that at most 4 are drawn. kind: "png"; "zip" for one ZIP of the files; "sheet" for one
        WebP picture of all faces, 8 in a row, for looking at, which takes less time than the files. best_of: 2 to 64
        draws only the face of every so many seeds that is predicted to be clearest, as the page does with 4.
        """
        size, kind = one_of("size", size, FACE_SIZES), choice("kind", kind, FACE_KINDS)
        clarity = None if clarity is None else number("clarity", clarity)
        model = self.studio.open(self.key)
        recipes = model.recipes(
            whole("count", count),
            whole("seed", seed),
            number("truncation", truncation),
            clarity,
            whole("best_of", best_of),
        )
        if size and len(recipes) > MAX_SHARPENED_FACES:
            raise RecipeError(f"At most {MAX_SHARPENED_FACES} faces are sharpened at a time; got {len(recipes)}.")
        if kind == "sheet":
            faces = model.draw(recipes).faces
            pictures = np.stack(list(model.sharpened(faces, size))) if size else faces
            return [self.file("faces.webp", webp_bytes(sheet(pictures, min(SHEET_COLUMNS, len(faces))), QUALITY))]
        pngs = model.pngs(recipes, size)
        if kind == "zip":
            return [self.file("faces.zip", zip_of(recipes, pngs))]
        return [self.file(f"face-{recipe.seed}.png", png) for recipe, png in zip(recipes, pngs, strict=True)]

    async def interpolate(
        self, request: gr.Request, start: int, end: int, frames: int = 48, easing: str = "linear", kind: str = "webp"
    ) -> dict:
        """A film from the face of seed `start` to that of seed `end` and back, which repeats for ever.

        start, end: 0 to 4294967295. frames: one way, 2 to 120; the film has 2 * frames - 2. easing: "linear", or
        "smooth" to slow down at both faces. kind: "webp" or "png" (APNG), both lossless, "gif", or "mp4".
        """
        start, end, frames = whole("start", start), whole("end", end), whole("frames", frames)
        first, *_, last = self.studio.open(self.key).path_recipes(start, end, frames)
        route = Walk((first, last), 2 * frames - 2, True, choice("easing", easing, EASINGS))
        return await self.film(request, route, f"walk-{start}-{end}", kind)

    async def walk(
        self,
        request: gr.Request,
        faces: list[str],
        frames: int = 96,
        loop: bool = True,
        easing: str = "linear",
        kind: str = "webp",
        speed: float = 20.0,
        size: int = 0,
    ) -> dict:
        """A film through several faces in order, with the same number of frames from each to the next.

        faces: 2 to 64, each a seed, or a recipe as JSON, which the PNGs of this page contain as text under the key
        `ganime`. frames: of the whole film, 2 to 600. loop: whether it returns to the first face. easing: "linear", or
        "smooth" to slow down at every face. kind: "webp" or "png" (APNG), both lossless at size 0, "gif", or "mp4".
        speed: frames per second, 1 to 60. size: 0 for the model's own, 256 px, or 512 px for at most 180 frames.
        """
        if not isinstance(faces, list) or len(faces) > MAX_FACES:
            raise RecipeError(f"Give at most {MAX_FACES} faces, as a list such as [3, 14].")
        frames, loop = whole("frames", frames), yes_or_no("loop", loop)
        route = Walk(tuple(map(self.face, faces)), frames, loop, choice("easing", easing, EASINGS))
        return await self.film(request, route, "walk", kind, speed, size)

    def vary(self, request: gr.Request, face: str, strength: float = 0.3, count: int = 8, seed: int = 0) -> list[dict]:
        """Draw variations of a face: a list of PNG files, each with its recipe inside.

        face: a seed, or a recipe as JSON, which the PNGs of this page contain as text under the key `ganime`. strength:
        0 (the face itself) to 1 (nothing in common with it). count: 1 to 64. seed: another one gives other variations.
        """
        numbers = number("strength", strength), whole("seed", seed), whole("count", count)
        return self.pngs(self.studio.open(self.key).vary(self.face(face), *numbers), "variation")

    def steer(self, request: gr.Request, face: str, amounts: dict) -> dict:
        """Move a face along named directions, such as {"smile": 2, "blonde_hair": -1.5}: a PNG with its recipe inside.

        face: a seed, or a recipe as JSON. amounts: -3 to 3, by name; the error for an unknown name lists all names.
        """
        if not isinstance(amounts, dict) or len(amounts) > MAX_DIRECTIONS:
            raise RecipeError('Give amounts by name, such as {"smile": 2}.')
        amounts = {name: number(f"The amount of {quoted(name)}", amount) for name, amount in amounts.items()}
        return self.pngs(self.studio.open(self.key).steer(self.face(face), amounts), "steered")[0]

    async def project(self, request: gr.Request, picture: str) -> dict:
        """Find the face closest to a picture. This takes several seconds.

        picture: a PNG, JPEG, WebP, HEIC or similar file as base64 text or as a data: URL, at most 4 MiB; the square in
        its middle is used. The answer has `file`, a PNG with its recipe inside; `distance`, between the two on the
        feature network; `typical`, the median distance of two random faces; `percentile`, the share of random pairs
        that are closer to each other (0 is a match, 50 is no closer than any face); and `seconds`.
        """
        if not isinstance(picture, str) or len(picture) > 2 * MAX_BASE64:  # with line breaks and escapes
            raise DataError(f"Give a picture of at most {MAX_PROJECTED_BYTES:,} bytes as base64 text.")
        result = await self.studio.work.finish("search", self.studio.visitor(request), self.search(picture))
        [file] = await run_in_threadpool(self.pngs, Drawn([result.recipe], result.face[None]), "nearest")
        return {
            "file": file,
            "distance": result.distance,
            "typical": result.typical,
            "percentile": result.percentile,
            "seconds": result.seconds,
        }

    def search(self, picture: str) -> Iterator[ProjectionProgress | Projection]:
        """Search for the face closest to a picture in base64, which is decoded in the first step, in its thread."""
        yield from self.studio.open(self.key).project(picture_bytes(base64_text(picture)))

    def face(self, text: str | float) -> Recipe:
        """The recipe of a face that a client names by seed or recipe. Raises RecipeError for any other text."""
        if isinstance(text, int | float) and not isinstance(text, bool):
            text = str(whole("A face", text))
        if not isinstance(text, str) or len(text) > MAX_RECIPE_TEXT:
            raise RecipeError("Give a face as text: a seed, or the recipe in a PNG that Ganime made.")
        if text.strip().isdecimal():
            return self.studio.open(self.key).recipes(1, parse_seed(text))[0]
        return Recipe.from_json(text)

    async def film(
        self, request: gr.Request, route: Walk, name: str, kind: str, speed: float = 20.0, size: int = 0
    ) -> dict[str, Any]:
        """A walk as a film for the client. Raises RecipeError for an unknown kind or size."""
        kind, size, speed = choice("kind", kind, FILM_KINDS), one_of("size", size, FILM_SIZES), number("speed", speed)
        steps = draw_film(self.studio.open(self.key), route, speed, f".{kind}", size)
        film = await self.studio.work.finish("film", self.studio.visitor(request), steps)
        return await run_in_threadpool(self.file, f"{name}.{kind}", film.data)

    def pngs(self, drawn: Drawn, name: str) -> list[dict[str, Any]]:
        """Faces as PNG files for the client, numbered from 1."""
        pngs = [png_bytes(face, recipe.to_json()) for face, recipe in zip(drawn.faces, drawn.recipes, strict=True)]
        return [self.file(f"{name}-{number}.png", png) for number, png in enumerate(pngs, start=1)]

    def file(self, name: str, data: bytes) -> dict[str, Any]:
        """A file that the client downloads."""
        path = self.results.save(name, data)
        return FileData(path=str(path), orig_name=name, size=len(data)).model_dump()


class TrainingEndpoints:
    """The endpoints of training jobs, within the limits of the page. The key of a job gives access to that job alone.

    Docstrings and names are public.
    """

    def __init__(self, studio: Studio, jobs: Jobs) -> None:
        self.studio, self.jobs = studio, jobs

    def train_start(
        self,
        request: gr.Request,
        profile: gr.OAuthProfile | None,
        files: list[dict],
        minutes: float = 15.0,
        name: str = "",
        start: str = EMBEDDED_KEY,
        recipe: str = "modern",
        image_size: int = DEFAULT_SIDE,
        images: int = 0,
        crop: str = "none",
    ) -> str:
        """Queue a training job on faces and return its key, the only secret that gives access to the job: keep it.

        The faces are read first, so an answer takes a moment; faces that cannot be trained on are refused with the
        reason. files: archives and pictures, each as gradio_client's handle_file makes it. minutes: the longest
        training time. start: "embedded" to begin from the embedded model, or "scratch". recipe:
        "modern" or "classic". image_size: 32, 64, 128 or 256 px. images: stop after this many images, 0 for no limit.
        crop: "faces" to cut the faces out of pictures that are more than a face, "none" to take the middle of each.
        """
        uploads = client_uploads(files, self.studio.settings)
        visitor = visitor_of(request, profile, self.studio.settings.proxies)
        try:
            image_size, recipe = whole("image_size", image_size), choice("recipe", recipe, tuple(RECIPES))
            folder, _ = self.studio.library.beginning(start, image_size)
            images, minutes = whole("images", images), number("minutes", minutes)
            plan = TrainingPlan(recipe, image_size, minutes, images, str(name), folder)
            check_plan(plan, self.jobs.settings)
            key = self.jobs.draft(uploads, visitor, image_size, crop=choice("crop", crop, CROPS))
        finally:
            delete_uploads(uploads)
        try:
            self.jobs.read_draft(key)
            self.jobs.submit(key, plan, visitor)
        except BaseException:
            self.jobs.delete(key)
            raise
        return key

    def train_status(self, request: gr.Request, key: str) -> dict:
        """The status of a job.

        state: "queued", "running", "stopping", "elsewhere" (on the visitor's own account of the hub), "finished",
        "failed" or "interrupted", with the reason in words; place in the queue, and wait, the estimated seconds until
        its turn; images seen, and most_images, after which it ends; minutes_left, the unused time of an ended job;
        stopped, whether it was stopped before its limit; activity, what it does now, and activity_share of that; share,
        of the nearest limit that is used up, 0 to 1; images_per_second; seconds_left, of training; after, the estimated
        seconds that follow it; skipped, the files that are not used and why; the last verdict and measures; losses and
        measures as [images, value, value]; has_model; on_hub, where on the hub it trains or was trained, if not here:
        id and url of the job, its owner, the dataset of its run, the flavor of the machine, and dollars, the most that
        it can cost.
        """
        return job_value(self.jobs, key)

    def train_stop(self, request: gr.Request, key: str) -> dict:
        """Save and end a job after its current step, or remove it from the queue; returns its status."""
        self.jobs.stop(key)
        return job_value(self.jobs, key)

    def train_result(self, request: gr.Request, key: str) -> dict:
        """The current model of a job: a zip of the folder `ganime-model`."""
        path = self.jobs.archive(key)
        return FileData(path=str(path), orig_name=path.name, size=path.stat().st_size).model_dump()


def client_uploads(files: Any, settings: Settings) -> list[Upload]:
    """Files that a client uploaded before. Raises JobError for anything else; what was uploaded is deleted then."""
    named = [file if isinstance(file, dict) else {} for file in (files if isinstance(files, list) else [files])]
    return all_uploads([(file.get("path"), file.get("orig_name")) for file in named], settings)


def one_of(name: str, value: Any, numbers: Sequence[int]) -> int:
    """Return one of some whole numbers, see `whole`. Raises RecipeError for any other."""
    found = whole(name, value)
    if found not in numbers:
        raise RecipeError(f"{name} must be one of {', '.join(map(str, numbers))}; got {quoted(value)}.")
    return found
