"""Finds directions in a latent space: named ones by regression on attributes, unnamed ones without any labels.

Named ones are ridge regressions of the feature network's attributes on the latent; as latents are N(0, 1), such a slope
is the mean gradient. They are made independent of each other as far as that measures better. Unnamed ones are the
closed-form factorisation of the first layer (SeFa, Shen & Zhou 2021, arXiv:2007.06600) and the principal components of
its activations (GANSpace, Härkönen et al. 2020, arXiv:2004.02546). A direction is kept only if its measured effect is
large enough.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator as Steps
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch

from ganime.drawing.directions import MAX_STRENGTH, Direction, Directions, Effect, is_effective, moved
from ganime.drawing.recipe import latents
from ganime.drawing.sampling import render
from ganime.errors import ConfigError
from ganime.models.checkpoint import Checkpoint
from ganime.nets.anime_features import FeatureNet, extract
from ganime.nets.blocks import NumberNorm, Projection
from ganime.nets.dcgan import Generator
from ganime.nets.prepared import PreparedGenerator, folded
from ganime.shapes import Float

FITTED_FACES = 6000  # for the regressions
FITTED_AT_ONCE = 512  # of them, between two reports
MEASURED_FACES = 256  # other faces, to measure effects on
VALIDATION_FACES = 96  # other faces, to choose the rival weight on
FIRST_SEED = 3_000_000_000  # far from the seeds that people try first
MIN_CLASS_FACES = 20  # with and without an attribute, for a direction to be fitted
REGRESSION_RIDGE = 0.01
RIVAL_WEIGHTS = (0.0, 0.3, 1.0, 3.0, 10.0)  # tried penalties on the change of other attributes
GOOD_FLIPS = 0.6  # share of flips from which the side effects decide
UNIT_EFFECT, MAX_UNIT_LENGTH = 0.8, 1.6  # of one unit of strength: standard deviations, length
MIN_EFFECT = (0.4, 3.0, 1.33)  # flips, ratio and lead needed to keep a direction; see `is_effective`
UNNAMED_COUNT = 6  # candidates of each kind
UNNAMED_LENGTH = 1.5
SAME_DIRECTION = 0.8  # cosine from which two directions are the same
ACTIVATIONS = 1024  # faces for the principal components
HAIR_LENGTH, BRIGHTNESS = "hair_length", "brightness"
LONG_AND_SHORT = ("long_hair", "short_hair")  # one slider for both, named HAIR_LENGTH
MIN_PROBABILITY = 1e-3  # probabilities are clipped to this distance from 0 and 1


@dataclass(frozen=True)
class FitProgress:
    """Progress of `find_directions`, 0 to 1, and what it is working on."""

    progress: float
    about: str


class SeenFaces(NamedTuple):
    """Latents (N, latent), and what was seen of their faces: attributes (N, K), features (N, D)."""

    z: Float[np.ndarray, "n latent"]
    attributes: Float[np.ndarray, "n k"]
    features: Float[np.ndarray, "n d"]

    def part(self, rows: slice) -> SeenFaces:
        return SeenFaces(*(values[rows] for values in self))


@dataclass(frozen=True)
class FaceReader:
    """Measures attributes and features of a model's faces.

    names: of the attributes that `see` returns, hair length and brightness included.
    shades: sorted brightness of many faces, to rank others.
    spread: median distance between the features of two faces.
    """

    generator: Generator | PreparedGenerator
    net: FeatureNet
    names: tuple[str, ...]
    shades: Float[np.ndarray, " n"]
    spread: float = 1.0

    def see(self, z: Float[np.ndarray, "n latent"]) -> SeenFaces:
        """What is seen of the faces of latents."""
        faces = render(self.generator, z)
        features, probabilities = extract(self.net, faces)
        shades = np.searchsorted(self.shades, brightness(faces)) / max(1, len(self.shades))
        return SeenFaces(z, columns(self.net, probabilities, shades)[1], features)

    def rivals(self, place: int) -> list[int]:
        """The columns that a direction for this one should not change: all but those that exclude it by definition."""
        own, name = group(self.names[place]), self.names[place]
        free = {BRIGHTNESS} if own == "hair colour" or name == BRIGHTNESS else set()
        return [j for j, other in enumerate(self.names) if group(other) != own and other not in free]


def find_directions(
    checkpoint: Checkpoint, net: FeatureNet, faces: int = FITTED_FACES, judged: int = MEASURED_FACES
) -> Iterator[FitProgress | Directions]:
    """Fit, measure and select directions for a model; yields FitProgress, and the Directions last.

    The same weights always give the same directions.

    faces: how many of the model's faces the fit uses, at least 100.
    judged: how many other faces each effect is measured on, at least 16.

    Raises ConfigError for fewer.
    """
    if faces < 100 or judged < 16:
        raise ConfigError(f"Directions need at least 100 faces and 16 judged ones; got {faces} and {judged}.")
    generator, dim = checkpoint.generator, checkpoint.generator.config.latent_dim
    judge, table = yield from read_own_faces(generator, net, faces)
    seen = judge.see(latents(range(FIRST_SEED + faces, FIRST_SEED + faces + judged + VALIDATION_FACES), dim))
    judge = replace(judge, spread=median_distance(seen.features, np.roll(seen.features, 1, 0)))
    fresh, validation = seen.part(slice(judged)), seen.part(slice(judged, None))

    slopes = fit(latents(range(FIRST_SEED, FIRST_SEED + faces), dim), table)  # (K, latent)
    with_it = (table > 0.5).sum(0)  # (K,)
    clear = np.flatnonzero(np.minimum(with_it, faces - with_it) >= MIN_CLASS_FACES).tolist()
    items = []
    for tried, k in enumerate(clear):
        yield FitProgress(0.4 + 0.5 * tried / len(clear), judge.names[k])
        ways = [independent(slopes, k, judge.rivals(k), weight) for weight in RIVAL_WEIGHTS]
        best = max(ways, key=lambda way: effect_score(measure_effect(judge, validation, way, k)))
        effect = measure_effect(judge, fresh, best, k)
        if is_effective(effect, *MIN_EFFECT):
            items.append(Direction(judge.names[k], "attribute", best, effect))
    items += yield from measured_unnamed(judge, fresh, generator)
    yield Directions(checkpoint.name, checkpoint.revision, tuple(items))


def measured_unnamed(
    judge: FaceReader, seen: SeenFaces, generator: Generator
) -> Steps[FitProgress, None, list[Direction]]:
    """The unnamed directions that change these faces more than random ones do; yields FitProgress, returns them."""
    yield FitProgress(0.9, "directions without a name")
    items = []
    random = np.random.RandomState(0).standard_normal((UNNAMED_COUNT, generator.config.latent_dim))
    blind = np.mean([measure_effect(judge, seen, unnamed_unit(way)).distance for way in random])
    for item in unnamed_directions(generator):
        yield FitProgress(0.9, item.name)
        effect = measure_effect(judge, seen, item.vector)
        if effect.distance > blind:
            upward = item.vector * (-1 if effect.own < 0 else 1)
            items.append(replace(item, vector=upward, effect=replace(effect, own=abs(effect.own))))
    return items


def read_own_faces(
    generator: Generator | PreparedGenerator, net: FeatureNet, faces: int
) -> Steps[FitProgress, None, tuple[FaceReader, Float[np.ndarray, "n k"]]]:
    """Draw many faces of a model; yields FitProgress, returns a reader and the faces' attributes, (N, K)."""
    seen, shades = [], []
    for start in range(0, faces, FITTED_AT_ONCE):
        yield FitProgress(0.4 * start / faces, "the model's own faces")
        seeds = range(FIRST_SEED + start, FIRST_SEED + min(start + FITTED_AT_ONCE, faces))
        drawn = render(generator, latents(seeds, generator.config.latent_dim))
        seen.append(extract(net, drawn)[1])
        shades.append(brightness(drawn))
    shade = np.concatenate(shades)
    names, table = columns(net, np.concatenate(seen), shade.argsort().argsort() / len(shade))
    return FaceReader(generator, net, names, np.sort(shade)), table


def measure_effect(
    judge: FaceReader, seen: SeenFaces, way: Float[np.ndarray, " latent"], place: int | None = None
) -> Effect:
    """The effect of the maximum strength on faces, each moved away from its present value in the column `place`.

    Without a column, every second face is moved backwards, and the column that changes most is reported.
    """
    before = seen.attributes
    back = np.arange(len(before)) % 2 > 0 if place is None else before[:, place] > 0.5
    sign = np.where(back, -1.0, 1.0)  # (N,)
    _, after, features = judge.see(moved(seen.z, (sign[:, None] * MAX_STRENGTH * way).astype(np.float32)))
    change = after - before  # (N, K)
    own = (sign[:, None] * change).mean(0)  # (K,)
    if place is None:
        place = int(abs(own).argmax())
    rivals = judge.rivals(place)
    others = abs(change[:, rivals]).mean(0)  # (R,)
    return Effect(
        attribute=judge.names[place],
        strength=MAX_STRENGTH,
        own=float(own[place]),
        others=float(others.mean()),
        flips=float(((after[:, place] > 0.5) != (before[:, place] > 0.5)).mean()),
        side=judge.names[rivals[int(others.argmax())]],
        side_change=float(others.max()),
        distance=median_distance(seen.features, features) / max(judge.spread, 1e-9),
    )


def effect_score(effect: Effect) -> tuple[bool, float, float]:
    """The key to rank directions by: whether it is effective, then the share of faces that flip up to GOOD_FLIPS, then
    its own change in relation to those of the others."""
    calm = effect.own / max(effect.others + effect.side_change / 4, 0.01)
    return is_effective(effect, *MIN_EFFECT), min(effect.flips, GOOD_FLIPS), calm


def columns(
    net: FeatureNet, probabilities: Float[np.ndarray, "n a"], shades: Float[np.ndarray, " n"]
) -> tuple[tuple[str, ...], Float[np.ndarray, "n k"]]:
    """What sliders are made for: the attributes, opposites as one, and brightness as a rank from 0 to 1."""
    seen = dict(zip(net.attributes, probabilities.T, strict=True))
    if set(LONG_AND_SHORT) <= seen.keys():
        long, short = (seen.pop(name) for name in LONG_AND_SHORT)
        seen[HAIR_LENGTH] = long / (long + short).clip(MIN_PROBABILITY)
    seen[BRIGHTNESS] = shades
    return tuple(seen), np.stack([*seen.values()], 1).astype(np.float32)  # (N, K)


def group(name: str) -> str:
    """The group of an attribute; those of one group exclude each other, such as hair colours."""
    if name.endswith("_hair") and name not in LONG_AND_SHORT:
        return "hair colour"
    return "eye colour" if name.endswith("_eyes") else name


def brightness(faces: np.ndarray) -> Float[np.ndarray, " n"]:
    """Mean over all pixels and channels, 0 to 255."""
    return faces.mean((1, 2, 3), dtype=np.float32)  # (N, H, W, 3) -> (N,)


def fit(z: Float[np.ndarray, "n latent"], table: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "k latent"]:
    """Ridge regression of standardised log odds on the latent: what a unit step changes, in standard deviations."""
    clipped = table.clip(MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    odds = np.log(clipped / (1 - clipped))  # (N, K)
    odds = (odds - odds.mean(0)) / odds.std(0).clip(1e-6)
    x = z - z.mean(0)
    square = x.T @ x / len(x) + REGRESSION_RIDGE * np.eye(x.shape[1])  # (latent, latent)
    return np.linalg.solve(square, x.T @ odds / len(x)).T.astype(np.float32)


def independent(
    slopes: Float[np.ndarray, "k latent"], place: int, rivals: list[int], weight: float
) -> Float[np.ndarray, " latent"]:
    """The shortest vector that changes one column by UNIT_EFFECT; `weight` penalises changes of the rivals' columns.

    Minimises |v|^2 + weight * sum over rivals of (their unit slope . v)^2 at a given slope . v; as the weight grows it
    becomes the projection orthogonal to all rivals. Its length is at most MAX_UNIT_LENGTH.
    """
    own, others = slopes[place].astype(np.float64), slopes[rivals].astype(np.float64)  # (latent,), (R, latent)
    others /= np.linalg.norm(others, axis=1, keepdims=True).clip(1e-9)
    way = np.linalg.solve(np.eye(len(own)) + weight * others.T @ others, own)
    way *= UNIT_EFFECT / max(way @ own, 1e-9)
    return (way * min(1.0, MAX_UNIT_LENGTH / np.linalg.norm(way).clip(1e-9))).astype(np.float32)


def unnamed_directions(generator: Generator) -> list[Direction]:
    """Directions of a generator by SeFa and GANSpace, without names; found in about a second and not measured.

    At most 6 of each kind, the strongest first. Duplicates are left out, and so is a kind whose layer overflows.
    """
    found: list[Direction] = []
    for kind, ways in (("sefa", factorised(generator)), ("pca", principal(generator))):
        for number, way in enumerate(ways, start=1):
            if all(abs(way @ other.vector) <= SAME_DIRECTION * UNNAMED_LENGTH for other in found):
                found.append(Direction(f"{kind}-{number}", kind, unnamed_unit(way)))
    return found


@torch.no_grad()
def factorised(generator: Generator) -> Float[np.ndarray, "n latent"]:
    """SeFa: unit latents with the largest response of the first layer, its norm included; largest first."""
    table = response(generator).cpu().double()  # (latent, C * 16)
    if not torch.isfinite(table).all():
        return np.empty((0, len(table)), np.float32)
    vectors = torch.linalg.eigh(table @ table.T).eigenvectors.flip(1)  # (latent, latent), the largest value first
    return vectors[:, :UNNAMED_COUNT].T.float().numpy()


def response(generator: Generator) -> Float[torch.Tensor, "latent numbers"]:
    """How the first layer answers to each number of the latent, its norm included where that is linear."""
    if not generator.config.blocks:
        weight, _ = folded(generator.stem)  # (latent, C, 4, 4)
        return weight.flatten(1)
    linear = (Projection, NumberNorm, torch.nn.Conv2d, torch.nn.ConvTranspose2d, torch.nn.BatchNorm2d)
    first = torch.nn.Sequential(*itertools.takewhile(lambda layer: isinstance(layer, linear), generator.stem))
    unit = torch.eye(generator.config.latent_dim, device=generator.device)[:, :, None, None]  # (latent, latent, 1, 1)
    return (first(unit) - first(torch.zeros_like(unit[:1]))).flatten(1)


@torch.no_grad()
def principal(generator: Generator) -> Float[np.ndarray, "n latent"]:
    """GANSpace: unit latents that correspond to the principal components of the first layer's activations."""
    dim = generator.config.latent_dim
    z = latents(range(FIRST_SEED, FIRST_SEED + ACTIVATIONS), dim)
    x = torch.from_numpy(z)[:, :, None, None]  # (N, Z, 1, 1)
    seen = generator.stem(x.to(generator.device)).flatten(1)  # (N, C * 16)
    seen = seen - seen.mean(0)
    alike = seen @ seen.T  # (N, N)
    if not torch.isfinite(alike).all():
        return np.empty((0, dim), np.float32)
    scores = torch.linalg.eigh(alike).eigenvectors.flip(1)[:, :UNNAMED_COUNT]  # (N, n)
    ways = scores.T.cpu().numpy() @ z  # (n, latent); latents are uncorrelated, so this is the regression
    return (ways / np.linalg.norm(ways, axis=1, keepdims=True).clip(1e-9)).astype(np.float32)


def unnamed_unit(way: Float[np.ndarray, " latent"]) -> Float[np.ndarray, " latent"]:
    """Scale an unnamed direction to the length of one unit of strength."""
    return (way * (UNNAMED_LENGTH / np.linalg.norm(way).clip(1e-9))).astype(np.float32)


def median_distance(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "n d"]) -> float:
    """Median distance between corresponding rows of two sets of features."""
    return float(np.median(np.linalg.norm(a - b, axis=1)))
