"""The models on the page: what its JavaScript needs to know of one, and how a visitor changes to another."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import Annotated

from pydantic import Field

from app.components.bridge import Answer, ServerFunction, server_function
from app.errors import JobError, visitor_text
from app.faces.incoming import MAX_OWN, RecipeText
from app.faces.library import JOB_PREFIX, PRIVATE_PREFIXES, ModelInfo, job_of
from app.faces.loaded_model import LOCKS, MAX_FACES, TOOL_FACES, feature_net, locked_by
from app.faces.studio import Studio
from app.faces.walks import MAX_LARGE_FRAMES, MAX_WALK_FRAMES, film_suffixes
from app.jobs.status import FITTING
from app.jobs.store import RUNNING
from app.tabs.job_view import JobKeys
from app.tabs.sliders import attribute_values, slider_values
from ganime.drawing.directions import Directions
from ganime.drawing.mixing import MAX_PARENTS
from ganime.drawing.recipe import MAX_CLARITY, Recipe
from ganime.errors import CheckpointError, GanimeError

Key = Annotated[str, Field(max_length=200)]
LOG = logging.getLogger(__name__)
NO_SLIDERS = "This model has no sliders: its directions are damaged or belong to other weights."
TRAINED_ON = "This model has no sliders, because its job has trained on. Choose “Use this model” there again."
FITTED_NOW = "Its sliders are not ready yet: they are being fitted, and appear as soon as they are there."
FITTED_LATER = (
    "Its sliders are not ready yet: they are fitted at the end of its job. Choose “Use this model” again then."
)


def model_functions(studio: Studio) -> list[ServerFunction]:
    """The server functions that change the model in use; each answers with `model_value`.

    Every argument comes from the network.
    """

    def start_model() -> ModelInfo:
        return studio.library.start

    def embedded_model() -> ModelInfo:
        return studio.library.embedded()

    def hub_model(reference: Annotated[str, Field(max_length=300)]) -> ModelInfo:
        return studio.library.load(reference)

    def job_model(job_key: Key) -> ModelInfo:
        return studio.library.load_job(job_key)

    def known_model(key: Key) -> ModelInfo:
        """A model that was loaded before, or brought as a file."""
        return studio.library.info(key)

    def renewed_model(key: Key) -> ModelInfo:
        """The same model of a job, with what was fitted to it since it was loaded."""
        return studio.library.renew(key)

    def drawing_model(recipe: RecipeText, current: Key, jobs: JobKeys) -> Answer:
        """The model that drew a face; {"final": text} where a second attempt would fail, too."""
        face = Recipe.from_json(recipe)
        try:
            key = studio.library.key_of(face.model, face.revision, current, jobs)
        except CheckpointError as error:
            return {"final": visitor_text(error)}
        return model_value(studio, studio.library.info(key))

    to_answer, look, door = partial(model_value, studio), *map(studio.door, (studio.limits.look, studio.limits.models))
    own, loads = (start_model, embedded_model), (hub_model, job_model, known_model, renewed_model)
    return [
        *(server_function(function, look, to_answer) for function in own),
        *(server_function(function, door, to_answer) for function in loads),
        server_function(drawing_model, door),
    ]


def model_value(studio: Studio, info: ModelInfo) -> Answer:
    """What the page's JavaScript knows of the model in use, see model.js.

    Raises GanimeError for a model that is gone.
    """
    model = studio.open(info.key)
    directions, ranges, note = None, {}, visitor_text(info.note)
    try:
        directions = model.directions()
        ranges = model.ranges(directions)
    except GanimeError as error:  # damaged, or of other weights; everything else works without them
        LOG.warning("%s", error)
        note = f"{note} {TRAINED_ON if info.key.startswith(JOB_PREFIX) else NO_SLIDERS}".strip()
    return {
        "key": info.key,
        "model": info.name,
        "revision": info.revision,
        "origin": info.origin,
        "parameters": info.parameters,
        "note": note,
        "trained": info.key.startswith(JOB_PREFIX),
        "private": info.key.startswith(PRIVATE_PREFIXES),
        "embedded": studio.library.embedded().name,
        "side": model.image_size,
        "clarity": model.default_clarity,
        "mostClarity": MAX_CLARITY,
        "openers": list(model.openers),
        "steers": slider_values(directions.items, ranges) if directions else [],
        "locks": [lock for lock in LOCKS if directions and locked_by(directions, [lock])],
        "attributes": attribute_values(feature_net().attributes),
        "most": MAX_FACES,
        "mostOwn": MAX_OWN,
        "mostParents": MAX_PARENTS,
        "shown": TOOL_FACES,
        "frames": MAX_WALK_FRAMES,
        "largeFrames": MAX_LARGE_FRAMES,
        "endings": film_suffixes(),
        "training": studio.jobs is not None,
        "awaited": "" if has_names(directions) else awaited(studio, info.key),
    }


def has_names(directions: Directions | None) -> bool:
    """Whether a model has sliders that say what they change."""
    return directions is not None and any(item.kind == "attribute" for item in directions.items)


def awaited(studio: Studio, key: str) -> str:
    """What is said of sliders that the job of a model has yet to fit; empty for any other model."""
    if studio.jobs and key.startswith(JOB_PREFIX):
        with suppress(JobError):  # deleted meanwhile
            status = studio.jobs.status(job_of(key))
            if status.state == RUNNING:
                return FITTED_NOW if status.activity in FITTING else FITTED_LATER
    return ""
