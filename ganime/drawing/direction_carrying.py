"""Carries directions over from the model that another was trained from, where they measurably still work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ganime.drawing.direction_search import (
    FIRST_SEED,
    MIN_EFFECT,
    FaceReader,
    FitProgress,
    SeenFaces,
    measure_effect,
    measured_unnamed,
    median_distance,
    read_own_faces,
)
from ganime.drawing.directions import MAX_NAME, Direction, Directions, is_effective
from ganime.drawing.recipe import latents
from ganime.models.checkpoint import Checkpoint
from ganime.nets.anime_features import FeatureNet
from ganime.text import printable

RANKED_FACES = 128  # whose brightness others are ranked by
JUDGED_FACES = 64  # on which each direction is measured; on half of them, for those without a name


def carried_directions(
    checkpoint: Checkpoint, net: FeatureNet, parent: Directions, judged: int = JUDGED_FACES
) -> Iterator[FitProgress | Directions]:
    """Measure the directions of a parent model on a model; yields FitProgress, and the Directions that work last.

    A direction that was fitted to an attribute is kept if its effect is as large as `find_directions` asks for. Those
    made by a user are kept, because it is unknown what they should change; unnamed ones are found anew. Each of the
    parent's has the parent's name as its origin.

    parent: for latents of the same length.
    judged: how many faces each effect is measured on.
    """
    dim = checkpoint.generator.config.latent_dim
    judge, _ = yield from read_own_faces(checkpoint.prepared, net, RANKED_FACES)
    seen = judge.see(latents(range(FIRST_SEED + RANKED_FACES, FIRST_SEED + RANKED_FACES + judged), dim))
    judge = replace(judge, spread=median_distance(seen.features, seen.features[::-1]))
    items, origin = [], printable(parent.model, MAX_NAME)
    for number, item in enumerate(parent.items):
        yield FitProgress(0.1 + 0.7 * number / len(parent.items), item.name)
        if item.kind == "own":
            items.append(replace(item, origin=item.origin or origin))
        elif kept := if_effective(judge, seen, item):
            items.append(replace(kept, origin=item.origin or origin))
    unnamed = yield from measured_unnamed(judge, seen.part(slice(judged // 2)), checkpoint.generator)
    items += [item for item in unnamed if item.name not in {kept.name for kept in items}]
    yield Directions(checkpoint.name, checkpoint.revision, tuple(items))


def if_effective(judge: FaceReader, seen: SeenFaces, item: Direction) -> Direction | None:
    """A direction of an attribute with its effect on these faces; None if that is too small, or it has no attribute."""
    if item.kind != "attribute" or item.name not in judge.names:
        return None
    effect = measure_effect(judge, seen, item.vector, judge.names.index(item.name))
    return replace(item, effect=effect) if is_effective(effect, *MIN_EFFECT) else None
