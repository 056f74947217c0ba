"""Looking into a model on the Explore tab: its layers at work on a face, and whether a face copies a training face."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from app.components.bridge import DRAWING, Turn, answered, picture_url
from app.errors import JobMissing
from app.faces.explorer import Explorer, Text
from app.faces.library import JOB_PREFIX, MAX_MULTIPLY_ADDS
from app.faces.slices import Searches
from ganime.drawing.layers import IMAGE_LAYERS, Inside, LayerMaps, logits_of_others, look_inside, multiply_adds
from ganime.drawing.recipe import Recipe
from ganime.images import SHEET_COLUMNS, png_bytes, sheet
from ganime.measuring.copies import Comparison, compare_with_training_faces
from ganime.measuring.training_faces import TrainingFaces, find_training_faces, read_training_faces
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from ganime.nets.dcgan import Discriminator

KEPT = 4  # models whose discriminator, or whose known faces, stay in memory
COMPARED = 4_000  # training faces that are looked at; some hundred a second, once for a model
UNKNOWN = (
    "The faces that this model was trained on are not known here, so nothing can be said about copies. Whoever "
    "trained it can tell, with Ganime on the machine where they are."
)
Answer = dict[str, Any]
Value = TypeVar("Value")


class Insight:
    """What takes a model's discriminator or its training faces, both kept for the models that were last asked about.

    Every method may be called from any thread, and raises GanimeError with a text for the visitor.
    """

    def __init__(self, explorer: Explorer) -> None:
        self.explorer = explorer
        self.comparisons = Searches("comparisons")
        self.lock = threading.Lock()
        self.loading = Turn(1)  # discriminators at a time
        self.judges: OrderedDict[str, tuple[Checkpoint, np.ndarray | None]] = OrderedDict()  # by key and revision
        self.learned: OrderedDict[str, tuple[TrainingFaces, np.ndarray | None]] = OrderedDict()  # by the model's key

    def inside(self, key: str, recipe: Recipe) -> Inside:
        """What each layer of both nets makes of a face."""
        checkpoint = self.explorer.checkpoint(key, [recipe])
        z = recipe.latent(checkpoint.generator.config.latent_dim)
        name = f"{key} {checkpoint.revision}"
        judged, others = self.recall(self.judges, name) or self.judge(name, checkpoint)
        with self.explorer.studio.device:
            return look_inside(judged, z, others=others)

    def judge(self, name: str, checkpoint: Checkpoint) -> tuple[Checkpoint, np.ndarray | None]:
        """A model with its discriminator and what that says of other faces; of those who come at once one reads it."""
        with self.loading:
            if found := self.recall(self.judges, name):
                return found
            judged = with_discriminator(checkpoint)
            with self.explorer.studio.device:
                others = logits_of_others(judged) if judged.discriminator else None
            return self.remember(self.judges, name, (judged, others))

    def compare(self, visitor: str, key: str, recipe: Recipe) -> Answer:
        """Whether a face copies one that its model learned from, or a search to ask by while that is found out."""
        checkpoint = self.explorer.checkpoint(key, [recipe])
        found = self.recall(self.learned, key)
        if found is None and key.startswith(JOB_PREFIX):
            return {"search": self.comparisons.begin(visitor, self.look(key, checkpoint, recipe))}
        if found is None and (known := find_training_faces(checkpoint)):
            found = self.remember(self.learned, key, (known, None))
        return copy_value(self.kin(found, checkpoint, recipe)) if found else {"verdict": "unknown", "text": UNKNOWN}

    def look(self, key: str, checkpoint: Checkpoint, recipe: Recipe) -> Iterator[float | Comparison]:
        """A look at the training faces of a visitor's own job, which stay known, and then at the face."""
        jobs = self.explorer.studio.jobs
        assert jobs is not None
        faces, flip = jobs.training_faces(job_of(key))
        for event in self.explorer.on_device(read_training_faces(faces, flip, COMPARED)):
            if isinstance(event, TrainingFaces):
                found = self.remember(self.learned, key, (event, faces.images))
                yield self.kin(found, checkpoint, recipe)
            else:
                yield event

    def kin(self, found: tuple[TrainingFaces, np.ndarray | None], checkpoint: Checkpoint, recipe: Recipe) -> Comparison:
        z = recipe.latent(checkpoint.generator.config.latent_dim)
        [face] = self.explorer.render(checkpoint, z[None])
        with self.explorer.studio.device:
            return compare_with_training_faces(found[0], face, found[1])

    def recall(self, kept: OrderedDict[str, Value], key: str) -> Value | None:
        """What is still in memory."""
        self.forget_deleted()
        with self.lock:
            if key in kept:
                kept.move_to_end(key)
            return kept.get(key)

    def remember(self, kept: OrderedDict[str, Value], key: str, value: Value) -> Value:
        """Keep something in memory, and let go of what was not used for longest."""
        with self.lock:
            kept[key] = value
            while len(kept) > KEPT:
                kept.popitem(last=False)
        self.forget_deleted()
        return value

    def forget_deleted(self) -> None:
        """Let go of the training faces of jobs that are gone; as long as they are mapped they take up the disk."""
        jobs = self.explorer.studio.jobs
        if jobs is None:
            return
        with self.lock:
            keys = [key for key in self.learned if key.startswith(JOB_PREFIX)]
        for key in keys:
            try:
                jobs.get(job_of(key))
            except JobMissing:
                with self.lock:
                    self.learned.pop(key, None)


def job_of(key: str) -> str:
    """The key of the job whose model has this key."""
    return key.removeprefix(JOB_PREFIX).rpartition("@")[0]


def with_discriminator(checkpoint: Checkpoint) -> Checkpoint:
    """The model with its discriminator, where one lies beside the very weights in memory and is of bearable size."""
    if checkpoint.folder is None or multiply_adds(Discriminator, checkpoint.generator.config) > MAX_MULTIPLY_ADDS:
        return checkpoint
    found = load_checkpoint(checkpoint.folder, with_discriminator=True)
    same = found.revision == checkpoint.revision  # a run that goes on writes its best model over the one before
    return replace(checkpoint, discriminator=found.discriminator) if same else checkpoint


def insight_functions(insight: Insight) -> list[Callable[..., Answer]]:
    """What inside.js and copies.js ask for; every argument comes from the network."""

    def inside(key: str, recipe: Text) -> Answer:
        return inside_value(insight.inside(key, Recipe.from_json(recipe)))

    def compare(visitor: str, key: str, recipe: Text) -> Answer:
        return insight.compare(visitor, key, Recipe.from_json(recipe))

    def ask_comparison(key: str, search: str) -> Answer:
        event, _ = insight.comparisons.go_on(search)
        if not isinstance(event, Comparison):
            return {"progress": event or 0.0}
        insight.comparisons.end(search)
        return copy_value(event)

    def leave_comparison(key: str, search: str) -> Answer:
        insight.comparisons.end(search)
        return {}

    return [
        answered(inside, turn=DRAWING),
        answered(compare, turn=DRAWING, visitor=insight.explorer.visitor),
        *map(answered, (ask_comparison, leave_comparison)),
    ]


def copy_value(kin: Comparison) -> Answer:
    """What is shown of a face's kinship: the verdict, its grounds, and where they are here the training faces."""
    found = [] if kin.training is None else list(kin.training)
    return {
        "verdict": kin.verdict,
        "text": kin.describe(),
        "face": picture_url("png", png_bytes(kin.face)),
        "training": [picture_url("png", png_bytes(face)) for face in found],
    }


def inside_value(inside: Inside) -> Answer:
    """Both nets layer by layer, and what the discriminator thinks of the face."""
    return {
        "nets": [
            net_value(name, maps)
            for name, maps in (("Generator", inside.generator), ("Discriminator", inside.discriminator))
        ],
        "verdict": inside.verdict(),
    }


def net_value(name: str, maps: list[LayerMaps]) -> Answer:
    costs = [layer.cost for layer in maps if layer.cost]
    return {
        "name": name,
        "layers": [layer_value(layer) for layer in maps],
        "parameters": sum(cost.parameters for cost in costs),
        "multiplyAdds": sum(cost.multiply_adds for cost in costs),
    }


def layer_value(layer: LayerMaps) -> Answer:
    """A layer's tiles in one picture, a colour picture as it is, what they are and what they cost."""
    if layer.name in IMAGE_LAYERS:
        pixels = layer.tiles.transpose(1, 2, 0)  # (3, H, W) -> (H, W, 3)
    else:
        grey = np.repeat(layer.tiles[..., None], 3, 3)  # (N, H, W) -> (N, H, W, 3)
        pixels = sheet(grey, min(SHEET_COLUMNS, len(grey)))
    return {
        "name": layer.name,
        "shape": " x ".join(f"{length:,}" for length in layer.shape),
        "tiles": len(layer.channels),
        "url": picture_url("png", png_bytes(pixels)) if pixels.size > 3 else "",  # a single number is no picture
        "kind": layer.cost.kind if layer.cost else "",
        "parameters": layer.cost.parameters if layer.cost else 0,
        "multiplyAdds": layer.cost.multiply_adds if layer.cost else 0,
    }
