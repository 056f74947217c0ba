"""What a dataset is made of: a report in figures and advice in words, and a contact sheet to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ganime.errors import DataError
from ganime.faces.dataset import FaceDataset
from ganime.faces.reading import MIN_SIDE
from ganime.images import sheet
from ganime.text import plural

if TYPE_CHECKING:
    from jaxtyping import UInt8

FEW, COPIED_BELOW, SCARCE, PLENTY = 100, 1_000, 5_000, 10_000  # faces
FEW_HELD_OUT = 100  # faces; against fewer, measures are rough
WORTH_A_WORD = 0.1  # share of the faces from which on something is advised about them
UNREADABLE_SHARE = 0.01
OBLONG = 1.5  # longer to shorter side; beyond it, a third and more of the picture is cropped away


@dataclass(frozen=True)
class Audit:
    """What was found in the sources of a dataset and what becomes of it; all names are safe to print.

    image_size: side of the faces in px. used: faces in the dataset, `train` to learn from and `held_out`.
    unused: how many files are named like pictures and not used, by kind ("unreadable", "too small", "exact duplicate",
    "near duplicate"). unused_files: (name, kind, reason) of each. passed_over: how many other files there are, by kind.
    exact_duplicates: pictures with the very pixels of another; near_duplicates: others that are one picture saved
    again; they are dropped unless duplicates_kept. similar: faces that are near another face, though not the same.
    widths, heights: least, median and most px of the pictures that are used; aspects: of their width to height.
    enlarged: faces from pictures smaller than image_size. oblong: faces from pictures more than 1.5 times as long as
    wide, or as wide as long. grey: faces without colour. advice: sentences, the most important first.
    """

    image_size: int
    used: int
    train: int
    held_out: int
    unused: dict[str, int]
    unused_files: tuple[tuple[str, str, str], ...]
    passed_over: dict[str, int]
    exact_duplicates: int
    near_duplicates: int
    duplicates_kept: bool
    similar: int
    widths: tuple[float, float, float]
    heights: tuple[float, float, float]
    aspects: tuple[float, float, float]
    enlarged: int
    oblong: int
    grey: int
    advice: tuple[str, ...] = ()

    @property
    def found(self) -> int:
        """All files of the sources; a folder that cannot be opened counts as one."""
        return self.used + sum(self.unused.values()) + sum(self.passed_over.values())

    def to_dict(self) -> dict[str, Any]:
        return {"found": self.found, **asdict(self)}


def audit(dataset: FaceDataset) -> Audit:
    """The report on a dataset, from what was noted when its pictures were decoded; none is decoded again."""
    facts, image_size = dataset.facts, dataset.images.shape[1]
    width, height = facts.sizes.T  # (N,) each
    longer, shorter = np.maximum(width, height), np.minimum(width, height)
    alike = np.unique(facts.groups, return_counts=True)[1]  # (groups,)
    duplicates = Counter(kind for _, _, kind in facts.copies)
    report = Audit(
        image_size=image_size,
        used=len(dataset.images),
        train=len(dataset.train),
        held_out=len(dataset.held_out),
        unused=dict(Counter(facts.kinds)),
        unused_files=tuple(
            (name, kind, reason) for (name, reason), kind in zip(dataset.skipped, facts.kinds, strict=True)
        ),
        passed_over=facts.passed_over,
        exact_duplicates=duplicates["exact duplicate"],
        near_duplicates=duplicates["near duplicate"],
        duplicates_kept=facts.duplicates_kept,
        similar=int(alike[alike > 1].sum()),
        widths=spread(width),
        heights=spread(height),
        aspects=spread(width / height),
        enlarged=int((shorter < image_size).sum()),
        oblong=int((longer > OBLONG * shorter).sum()),
        grey=int(facts.grey.sum()),
    )
    return replace(report, advice=(advice_on_count(report), *advice_on_faces(report), *advice_on_files(report)))


def spread(values: np.ndarray) -> tuple[float, float, float]:
    """The least, the median and the most of some values."""
    return float(values.min()), float(np.median(values)), float(values.max())


def advice_on_count(report: Audit) -> str:
    """What can be hoped for from so many faces."""
    faces = f"{report.used:,} faces"
    if report.used < FEW:
        return (
            f"{faces}: so few that any model learns them by heart. Start from the embedded model, train briefly, "
            "expect copies, and look for some hundreds more."
        )
    if report.used < COPIED_BELOW:
        return f"{faces}: below about 1,000 a model from scratch copies; start from the embedded model."
    if report.used < SCARCE:
        return (
            f"{faces}: scarce for a model from scratch. Start from the embedded model, leave augmentation on, and look "
            "at the copying figure while it trains."
        )
    if report.used < PLENTY:
        return f"{faces}: enough for a model from scratch; one that starts from the embedded model is sooner good."
    return f"{faces}: plenty for a model from scratch."


def advice_on_faces(report: Audit) -> Iterator[str]:
    """What is odd about the faces themselves, where it is many of them."""

    def many(count: int, all_of: int = report.used) -> bool:
        return count >= WORTH_A_WORD * all_of

    def of_them(count: int, all_of: int = report.used) -> str:
        return f"{count:,} of {all_of:,} ({count / all_of:.0%})"

    again = report.exact_duplicates + report.near_duplicates
    read = report.used + (0 if report.duplicates_kept else again)
    if many(again, read):
        fate = "kept, so they are learned more often than others" if report.duplicates_kept else "dropped"
        yield f"{of_them(again, read)} pictures are duplicates of others and are {fate}."
    if many(report.similar) and not report.duplicates_kept:
        yield (
            f"{of_them(report.similar)} faces are near another one, such as one drawing in other colours or with "
            "another expression: there is less variety than the count says."
        )
    if many(report.enlarged):
        yield (
            f"{of_them(report.enlarged)} faces come from pictures smaller than {report.image_size} px and are "
            "enlarged: they teach the model blur. Find larger ones, or train a smaller image size."
        )
    if many(report.oblong):
        yield (
            f"{of_them(report.oblong)} pictures are more than {OBLONG} times as long as wide, or as wide as long. Only "
            "the square in the middle is used: look at the contact sheet, and crop to the faces where they are cut."
        )
    if many(report.grey):
        yield (
            f"{of_them(report.grey)} faces are grey: the model will draw as many. Leave them out if you want colour."
        )
    if report.held_out < FEW_HELD_OUT:
        yield f"Only {plural(report.held_out, 'face')} held out: take measures against so few as rough."


def advice_on_files(report: Audit) -> Iterator[str]:
    """What could be gained from files that are not used."""
    unreadable, small = report.unused.get("unreadable", 0), report.unused.get("too small", 0)
    if unreadable >= UNREADABLE_SHARE * report.used:
        yield f"Cannot be read: {plural(unreadable, 'picture')}. Save again as PNG, or fetch again."
    if small >= WORTH_A_WORD * report.used:
        yield f"Below {MIN_SIDE} px, and so of no use: {plural(small, 'picture')}."
    if formats := report.passed_over.get("pictures of other formats"):
        yield f"Of formats that are not read, such as TIFF or HEIC: {plural(formats, 'picture')}. Save as PNG or JPEG."
    if archives := report.passed_over.get("archives inside"):
        yield f"Not opened: {plural(archives, 'archive')} inside. Unpack, or name as a source of its own."


def contact_sheet(dataset: FaceDataset, count: int = 64) -> UInt8[np.ndarray, "rows columns 3"]:
    """At most `count` faces from the first to the last at even distances, in one picture, eight in a row.

    Raises DataError for a count below 1.
    """
    if count < 1:
        raise DataError(f"A contact sheet needs at least 1 face; got {count}.")
    chosen = np.linspace(0, len(dataset.images) - 1, min(count, len(dataset.images))).round().astype(np.int64)
    return sheet(dataset.images[chosen])  # (count, S, S, 3) -> (rows * S, 8 * S, 3)
