"""Recipes and their latents: a seed always gives the same face, whichever faces are drawn with it."""

from __future__ import annotations

import base64
import binascii
import json
import math
import threading
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ganime.errors import RecipeError
from ganime.shapes import Float
from ganime.text import printable, quoted

MAX_SEED = 2**32 - 1
MAX_TRUNCATION = 1.5
MAX_CLARITY = 0.95
MAX_SHARPENED = 2048  # px
LATER_FIELDS = ("clarity", "sharpened")  # unknown to earlier versions
MAX_FRAMES = 600
EASINGS = ("linear", "smooth")  # from one face to the next
MAX_NUMBER = 16.0  # of a latent that is written out; N(0, 1) stays far below
MAX_VECTOR = 10_923  # characters: 4,096 numbers of 16 bits


@dataclass(frozen=True)
class Recipe:
    """Everything needed to draw a face again.

    model, revision: which weights, as `Checkpoint.name` and `Checkpoint.revision` give them.
    seed: the face, 0 to 2^32 - 1.
    truncation: factor on the latent, 0 (the average face) to 1.5; 1 leaves it unchanged.
    toward, position: for a face on the way from `seed` to the seed `toward`, how far it has come, 0 to 1.
    vector: for a face that no seed draws (steered, bred, found), its latent as `encoded` writes it. The seed then only
        names the face it came from; there is no `toward`.
    clarity: the share of the model's faces that this one is at least as clear as, 0 to 0.95; see `drawing.clarity`.
        0 draws the latent unchanged.
    sharpened: side in px of a picture that the upscaler enlarged, see `drawing.sharpening`; 0 for the model's own.

    Raises RecipeError when a value is out of range.
    """

    model: str
    revision: str
    seed: int
    truncation: float = 1.0
    toward: int | None = None
    position: float = 0.0
    vector: str | None = None
    clarity: float = 0.0
    sharpened: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not isinstance(self.revision, str):
            raise RecipeError("A recipe names its model and revision as text.")
        object.__setattr__(self, "seed", check_seed(self.seed))
        object.__setattr__(self, "truncation", check_truncation(self.truncation))
        if self.toward is not None:
            object.__setattr__(self, "toward", check_seed(self.toward))
        object.__setattr__(self, "position", check_number("A position", self.position, 0.0, 1.0))
        if self.vector is not None:
            if self.toward is not None or self.position:
                raise RecipeError("A recipe has either a vector or a seed to go toward, never both.")
            object.__setattr__(self, "vector", encoded(decoded(self.vector)))  # one way to write each latent

        object.__setattr__(self, "clarity", check_clarity(self.clarity))
        object.__setattr__(self, "sharpened", check_whole("A side in px", self.sharpened, 0, MAX_SHARPENED))

    def latent(self, latent_dim: int) -> Float[np.ndarray, " latent"]:
        """The float32 latent, truncation applied and clarity not. Raises RecipeError for a vector of another length."""
        return self.untruncated(latent_dim) * np.float32(self.truncation)

    def untruncated(self, latent_dim: int) -> Float[np.ndarray, " latent"]:
        """The same before truncation: what is steered, varied and bred, so that the truncation can still be changed."""
        if self.vector is not None:
            z = decoded(self.vector)
            if len(z) != latent_dim:
                raise RecipeError(
                    f"This recipe's vector holds {len(z)} numbers, and the model takes {latent_dim}. "
                    f"Open it with the model it names: {quoted(self.model)}."
                )
            return z
        z = latent(self.seed, latent_dim)
        return z if self.toward is None else slerp(z, latent(self.toward, latent_dim), self.position)

    def to_json(self) -> str:
        """The recipe as JSON; clarity and sharpening are left out when they are 0, for earlier versions."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps({name: value for name, value in values.items() if value or name not in LATER_FIELDS})

    def check_model(self, name: str, revision: str) -> None:
        """Raise RecipeError, naming both models, if the recipe is for other weights than `revision`."""
        if self.revision != revision:
            drew, used = printable(self.model, 80), printable(name, 80)
            if drew == used:
                drew, used = f"{drew}, weights {printable(self.revision, 20)}", f"{used}, weights {revision}"
            raise RecipeError(f"This face was drawn by {drew}; the model in use is {used}. Load its model first.")

    @classmethod
    def from_png(cls, png: Path | str | bytes) -> Recipe:
        """The recipe in a PNG that Ganime made.

        png: the path of the file, or its bytes.

        Raises GanimeError for another file, and RecipeError for a PNG without a recipe.
        """
        from ganime.images import read_recipe  # pictures are not needed to draw latents

        text = read_recipe(png if isinstance(png, bytes) else Path(png).read_bytes())
        if not text:
            raise RecipeError(f"{'This PNG' if isinstance(png, bytes) else png} contains no recipe.")
        return cls.from_json(text)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The inverse of `to_json`. Raises RecipeError for anything else."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError, RecursionError) as error:
            if isinstance(error, RecipeError):
                raise
            reason = "it lacks a part, or has one too many" if isinstance(error, TypeError) else error
            raise RecipeError(f"This is no recipe: {reason}.") from error


def file_stem(recipe: Recipe) -> str:
    """A face's file name without its ending: face-SEED; between two seeds face-A-B-PERCENT.

    An edited face's is face-SEED-edited-CODE; the code is the CRC-32 of its vector, so that each has its own name.
    """
    if recipe.vector is not None:
        return f"face-{recipe.seed}-edited-{zlib.crc32(recipe.vector.encode()):08x}"
    end = "" if recipe.toward is None else f"-{recipe.toward}-{round(recipe.position * 100)}"
    return f"face-{recipe.seed}{end}"


def encoded(z: Float[np.ndarray, " latent"]) -> str:
    """A latent as text, base64 for addresses over 16-bit floats: 342 characters for 128 numbers.

    Rounding to 16 bits moves a number by less than 0.1 %, a pixel by a level or two; see `rounded`. Raises RecipeError
    for what is no latent: NaN, infinity, numbers beyond -16 to 16, none of them or over 4,096.
    """
    z = np.asarray(z)
    if z.ndim != 1 or not 1 <= len(z) <= 4096 or not (np.abs(z) <= MAX_NUMBER).all():  # also refuses NaN
        raise RecipeError(f"A latent is 1 to 4096 numbers from -{MAX_NUMBER:g} to {MAX_NUMBER:g}; got {quoted(z)}.")
    return base64.urlsafe_b64encode(z.astype("<f2").tobytes()).decode().rstrip("=")


def decoded(vector: str) -> Float[np.ndarray, " latent"]:
    """The float32 latent of a text from `encoded`. Raises RecipeError for any other text."""
    if not isinstance(vector, str) or not 2 < len(vector) <= MAX_VECTOR:
        raise RecipeError(f"A recipe's vector is text of 3 to {MAX_VECTOR} characters; got {quoted(vector)}.")
    try:
        data = base64.b64decode(vector + "=" * (-len(vector) % 4), altchars=b"-_", validate=True)
        z = np.frombuffer(data, "<f2").astype(np.float32)
    except (binascii.Error, ValueError) as error:
        raise RecipeError(f"A recipe's vector is base64 over 16-bit floats; got {quoted(vector)} ({error}).") from error
    if not (np.abs(z) <= MAX_NUMBER).all():
        raise RecipeError(f"A recipe's vector holds numbers from -{MAX_NUMBER:g} to {MAX_NUMBER:g}; this one does not.")
    return z


def rounded(z: Float[np.ndarray, "*n latent"]) -> Float[np.ndarray, "*n latent"]:
    """Round latents to the 16 bits that a recipe stores, so that the recipe gives exactly the face that was shown."""
    return np.asarray(z).astype(np.float16).astype(np.float32)


def latent(seed: int, latent_dim: int) -> Float[np.ndarray, " latent"]:
    """The float32 latent of a seed, from N(0, 1).

    NumPy's RandomState is used on purpose: its stream is frozen for good (NEP 19), so a seed names the same
    latent bit for bit on every machine and in every version to come.
    """
    random = SOURCE.random
    random.seed(check_seed(seed))
    return random.standard_normal(latent_dim).astype(np.float32)


class Source(threading.local):
    """A RandomState for each thread. It is seeded anew for every latent, since making one takes fifty times as long."""

    def __init__(self) -> None:
        self.random = np.random.RandomState(0)


SOURCE = Source()


def latents(seeds: Iterable[int], latent_dim: int, truncation: float = 1.0) -> Float[np.ndarray, "n latent"]:
    """The latents of several seeds, each as if it were drawn alone, times `truncation`."""
    drawn = [latent(seed, latent_dim) for seed in seeds]
    return np.array(drawn, np.float32).reshape(-1, latent_dim) * np.float32(check_truncation(truncation))


def lerp(a: Float[np.ndarray, " latent"], b: Float[np.ndarray, " latent"], t: float) -> Float[np.ndarray, " latent"]:
    """The straight line from `a` (t = 0) to `b` (t = 1); in the middle it is shorter than a Gaussian latent is."""
    return (a * (1 - t) + b * t).astype(np.float32)


def slerp(a: Float[np.ndarray, " latent"], b: Float[np.ndarray, " latent"], t: float) -> Float[np.ndarray, " latent"]:
    """The arc from `a` (t = 0) to `b` (t = 1), Shoemake 1985; the length goes evenly from one norm to the other.

    Opposite latents have no shortest arc; a fixed half circle is taken. Where one is zero it is a straight line.
    """
    if t in (0, 1):
        return (a, b)[int(t)].astype(np.float32)
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    norm_a, norm_b = np.linalg.norm(a64), np.linalg.norm(b64)
    if norm_a == 0 or norm_b == 0:
        return lerp(a, b, t)
    start, end = a64 / norm_a, b64 / norm_b
    across = end - np.dot(start, end) * start  # the part of `end` at right angles to `start`
    if np.linalg.norm(across) < 1e-7:
        across = np.eye(len(a64))[np.argmin(abs(start))]
        across -= np.dot(start, across) * start
    length = np.linalg.norm(across)
    angle = math.atan2(np.dot(end, across) / length if length else 0.0, np.dot(start, end)) * t
    direction = np.cos(angle) * start + np.sin(angle) * (across / length if length else across)
    return (direction * (norm_a * (1 - t) + norm_b * t)).astype(np.float32)


def eased(t: float, easing: str) -> float:
    """How far a face has come after the share `t` of its time, both 0 to 1.

    easing: "linear" goes evenly; "smooth" begins and ends at rest, by the cubic 3 t^2 - 2 t^3.
    Raises RecipeError for another one.
    """
    if easing not in EASINGS:
        raise RecipeError(f"An easing is one of {', '.join(EASINGS)}; got {quoted(easing)}.")
    return t * t * (3 - 2 * t) if easing == "smooth" else t


def walk(
    keyframes: Float[np.ndarray, "k latent"], frames: int, loop: bool = False, easing: str = "linear"
) -> Float[np.ndarray, "frames latent"]:
    """Latents on the way through all keyframes by slerp, each leg as long as the others; a loop goes back to the first.

    easing: as for `eased`, of each leg. Raises RecipeError for fewer than two keyframes, frames outside 2 to 600, or an
    unknown easing.
    """
    if len(keyframes) < 2:
        raise RecipeError(f"A walk needs at least 2 seeds; got {len(keyframes)}.")
    frames = check_whole("The number of frames", frames, 2, MAX_FRAMES)
    stops = np.concatenate([keyframes, keyframes[:1]]) if loop else keyframes
    path = []
    for position in np.linspace(0, len(stops) - 1, frames, endpoint=not loop):
        leg = min(int(position), len(stops) - 2)
        path.append(slerp(stops[leg], stops[leg + 1], eased(float(position - leg), easing)))
    return np.stack(path)


def parse_seed(text: str) -> int:
    """The seed that `text` writes in decimal digits, spaces around them ignored.

    Raises RecipeError for anything else and for a number above 2^32 - 1, however many digits it has.
    """
    digits = text.strip()
    if not (digits.isascii() and digits.isdecimal()) or len(digits.lstrip("0")) > len(str(MAX_SEED)):
        shown = quoted(text) if len(text) <= 60 else f"{quoted(text[:20])} and {len(text) - 20:,} more characters"
        raise RecipeError(f"A seed is a whole number from 0 to {MAX_SEED:,}; got {shown}.")
    return check_seed(int(digits.lstrip("0") or "0"))


def parse_seeds(text: str, most: int) -> list[int]:
    """The seeds in a text: seeds and ranges, both ends included, separated by commas, such as "3,14-16".

    Raises RecipeError for anything else, for a range whose end comes first, and for more than `most` seeds.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        start = parse_seed(first)
        end = parse_seed(last) if dash else start
        if end < start:
            raise RecipeError(f"A range of seeds begins with its smaller end; got {quoted(part.strip())}.")
        if len(seeds) + end - start >= most:
            raise RecipeError(f"There are at most {most:,} seeds.")
        seeds.extend(range(start, end + 1))
    return seeds


def check_seed(seed: Any) -> int:
    """A seed as an int from 0 to 2^32 - 1. Raises RecipeError for anything else."""
    return check_whole("A seed", seed, 0, MAX_SEED)


def check_truncation(truncation: Any) -> float:
    """A truncation as a float from 0 to 1.5. Raises RecipeError for anything else."""
    return check_number("A truncation", truncation, 0.0, MAX_TRUNCATION)


def check_clarity(clarity: Any) -> float:
    """A clarity as a float from 0 to 0.95. Raises RecipeError for anything else."""
    return check_number("A clarity", clarity, 0.0, MAX_CLARITY)


def check_whole(what: str, value: Any, low: int, high: int) -> int:
    """A whole number, Python's or NumPy's, as an int. Raises RecipeError, naming `what`, for any other value."""
    value = value.item() if isinstance(value, np.number) else value
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or not low <= value <= high:
        raise RecipeError(f"{what} is a whole number from {low:,} to {high:,}; got {quoted(value)}.")
    return int(value)


def check_number(what: str, value: Any, low: float, high: float) -> float:
    """A number, Python's or NumPy's, as a float. Raises RecipeError, naming `what`, for any other value."""
    value = value.item() if isinstance(value, np.number) else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:  # also refuses NaN
        raise RecipeError(f"{what} is a number from {low:g} to {high:g}; got {quoted(value)}.")
    return float(value)
