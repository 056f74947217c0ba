"""Looking into a model on the Explore tab: its layers at work on a face, and whether a face copies a training face."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from app.components.bridge import DRAWING, Answer, Slots, picture_url, server_function
from app.errors import JobMissing
from app.faces.incoming import RecipeText
from app.faces.library import JOB_PREFIX, MAX_MULTIPLY_ADDS
from app.faces.loaded_model import LoadedModel
from app.faces.recently_used import RecentlyUsed
from app.faces.studio import Studio
from ganime.drawing.layers import IMAGE_LAYERS, Inside, LayerMaps, logits_of_others, look_inside, multiply_adds
from ganime.drawing.recipe import Recipe
from ganime.images import SHEET_COLUMNS, png_bytes, sheet
from ganime.measuring.copies import Comparison, compare_with_training_faces
from ganime.measuring.training_faces import TrainingFaces, find_training_faces, read_training_faces
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from ganime.nets.dcgan import Discriminator

MODELS_IN_MEMORY = 4  # whose discriminators, and whose training faces, stay in memory
MAX_COMPARED = 4_000  # training faces of a job; several hundred are read per second, once for each model
UNKNOWN = (
    "The training faces of this model are unknown here, so copies cannot be detected. The person who trained "
    "the model can check, with Ganime on the machine that has the faces."
)
Images = np.ndarray | None  # uint8 (N, H, W, 3)
Logits = np.ndarray | None  # float (N,)


class LookInside:
    """The discriminators and the training faces of the models that visitors asked about last.

    Every method may be called from any thread, and raises GanimeError with a text for the visitor.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.loading = Slots(1)  # discriminators at a time
        self.discriminators: RecentlyUsed[tuple[Checkpoint, Logits]] = RecentlyUsed(MODELS_IN_MEMORY)
        self.training_faces: RecentlyUsed[tuple[TrainingFaces, Images]] = RecentlyUsed(MODELS_IN_MEMORY)

    def inside(self, key: str, recipe: Recipe) -> Inside:
        """The activations of each layer of both networks for a face."""
        model = self.studio.open(key)
        [z] = model.latents([recipe])  # (latent,)
        checkpoint, logits = self.with_discriminator(key, model.checkpoint)
        with self.studio.device.lock:
            return look_inside(checkpoint, z, others=logits)

    def with_discriminator(self, key: str, checkpoint: Checkpoint) -> tuple[Checkpoint, Logits]:
        """A model with its discriminator, and that one's logits of other faces; None where there is no discriminator.

        Simultaneous requests load one discriminator at a time, so that none is loaded twice.
        """
        name = f"{key} {checkpoint.revision}"
        if loaded := self.discriminators.get(name):
            return loaded
        with self.loading:
            if loaded := self.discriminators.get(name):
                return loaded
            complete = load_discriminator(checkpoint)
            with self.studio.device.lock:
                logits = logits_of_others(complete) if complete.discriminator else None
            return self.discriminators.add(name, (complete, logits))

    def compare(self, visitor: str, key: str, recipe: Recipe) -> Answer:
        """Whether a face copies a training face of its model; or {"search": key} while those faces are being read."""
        model = self.studio.open(key)
        model.check([recipe])
        self.forget_deleted()
        known = self.training_faces.get(key)
        if known is None and key.startswith(JOB_PREFIX):
            return {"search": self.studio.work.begin("comparison", visitor, self.read_and_compare(key, model, recipe))}
        if known is None and (found := find_training_faces(model.checkpoint)):
            known = self.training_faces.add(key, (found, None))
        if known is None:
            return {"verdict": "unknown", "text": UNKNOWN}
        return comparison_value(self.comparison(known, model, recipe))

    def read_and_compare(self, key: str, model: LoadedModel, recipe: Recipe) -> Iterator[float | Comparison]:
        """Read the training faces of a job, then compare: progress from 0 to 1, then the Comparison."""
        jobs = self.studio.jobs
        assert jobs is not None
        dataset, flip = jobs.training_faces(job_of(key))
        for event in self.studio.device.run(read_training_faces(dataset, flip, MAX_COMPARED)):
            if isinstance(event, TrainingFaces):
                known = self.training_faces.add(key, (event, dataset.images))
                self.forget_deleted()
                yield self.comparison(known, model, recipe)
            else:
                yield event

    def comparison(self, known: tuple[TrainingFaces, Images], model: LoadedModel, recipe: Recipe) -> Comparison:
        """A face beside the training faces nearest to it."""
        [face] = model.draw([recipe]).faces  # (H, W, 3)
        with self.studio.device.lock:
            return compare_with_training_faces(known[0], face, known[1])

    def forget_deleted(self) -> None:
        """Drop the training faces of deleted jobs. As memory maps, they occupy the disk until they are dropped."""
        if self.studio.jobs is None:
            return
        for key in self.training_faces.all_keys():
            if key.startswith(JOB_PREFIX):
                try:
                    self.studio.jobs.get(job_of(key))
                except JobMissing:
                    self.training_faces.discard(key)


def job_of(key: str) -> str:
    """The key of the job that trained the model of this key."""
    return key.removeprefix(JOB_PREFIX).rpartition("@")[0]


def load_discriminator(checkpoint: Checkpoint) -> Checkpoint:
    """The model with its discriminator, if the folder has one for the same weights and within MAX_MULTIPLY_ADDS."""
    if checkpoint.folder is None or multiply_adds(Discriminator, checkpoint.generator.config) > MAX_MULTIPLY_ADDS:
        return checkpoint
    complete = load_checkpoint(checkpoint.folder, with_discriminator=True)
    same = complete.revision == checkpoint.revision  # a job that continues overwrites its best model
    return replace(checkpoint, discriminator=complete.discriminator) if same else checkpoint


def look_inside_functions(inside_of: LookInside) -> list[Callable[..., Answer]]:
    """The server functions of See inside and Is it a copy?; every argument comes from the network."""
    work = inside_of.studio.work

    def inside(key: str, recipe: RecipeText) -> Answer:
        return inside_value(inside_of.inside(key, Recipe.from_json(recipe)))

    def compare(visitor: str, key: str, recipe: RecipeText) -> Answer:
        return inside_of.compare(visitor, key, Recipe.from_json(recipe))

    def ask_comparison(key: str, search: str) -> Answer:
        event = work.ask(search, Comparison)
        return comparison_value(event) if isinstance(event, Comparison) else {"progress": event or 0.0}

    def leave_comparison(key: str, search: str) -> Answer:
        work.end(search)
        return {}

    return [
        server_function(inside, slots=DRAWING),
        server_function(compare, slots=DRAWING, visitor_of=inside_of.studio.visitor),
        server_function(ask_comparison),
        server_function(leave_comparison),
    ]


def comparison_value(comparison: Comparison) -> Answer:
    """The verdict, its grounds, and the nearest training faces where they are available."""
    training = [] if comparison.training is None else list(comparison.training)
    return {
        "verdict": comparison.verdict,
        "text": comparison.describe(),
        "face": picture_url("png", png_bytes(comparison.face)),
        "training": [picture_url("png", png_bytes(face)) for face in training],
    }


def inside_value(inside: Inside) -> Answer:
    """Both networks layer by layer, and the discriminator's verdict on the face."""
    return {
        "nets": [net_value("Generator", inside.generator), net_value("Discriminator", inside.discriminator)],
        "verdict": inside.verdict(),
    }


def net_value(name: str, maps: list[LayerMaps]) -> Answer:
    """The layers of a network, and what all of them cost."""
    costs = [layer.cost for layer in maps if layer.cost]
    return {
        "name": name,
        "layers": [layer_value(layer) for layer in maps],
        "parameters": sum(cost.parameters for cost in costs),
        "multiplyAdds": sum(cost.multiply_adds for cost in costs),
    }


def layer_value(layer: LayerMaps) -> Answer:
    """A layer: its maps in one picture, or the colour picture that it is; its shape and its cost."""
    if layer.name in IMAGE_LAYERS:
        pixels = layer.tiles.transpose(1, 2, 0)  # (3, H, W) -> (H, W, 3)
    else:
        grey = np.repeat(layer.tiles[..., None], 3, 3)  # (N, H, W) -> (N, H, W, 3)
        pixels = sheet(grey, min(SHEET_COLUMNS, len(grey)))
    return {
        "name": layer.name,
        "shape": " x ".join(f"{length:,}" for length in layer.shape),
        "tiles": len(layer.channels),
        "url": picture_url("png", png_bytes(pixels)) if pixels.size > 3 else "",  # a single number is not a picture
        "kind": layer.cost.kind if layer.cost else "",
        "parameters": layer.cost.parameters if layer.cost else 0,
        "multiplyAdds": layer.cost.multiply_adds if layer.cost else 0,
    }
