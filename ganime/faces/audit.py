"""A report on a dataset, in figures and advice, and a contact sheet of its faces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ganime.errors import DataError
from ganime.faces.dataset import FaceDataset
from ganime.faces.kinds import TO_MEND
from ganime.faces.reading import MIN_SIDE
from ganime.images import sheet
from ganime.shapes import UInt8
from ganime.text import plural

FEW, COPIED_BELOW, SCARCE, PLENTY = 100, 1_000, 5_000, 10_000  # faces
FEW_HELD_OUT = 100  # faces; measures against fewer are rough
NOTABLE_SHARE = 0.1  # of the faces; advice is given from this share
UNREADABLE_SHARE = 0.01
OBLONG = 1.5  # longer to shorter side; beyond it, more than a third of the picture is cropped away


@dataclass(frozen=True)
class Audit:
    """What was found in the sources of a dataset and how it is used; all names are safe to print.

    image_size: side of the faces in px.
    used: number of faces in the dataset.
    train, held_out: number of faces to learn from, and held out.
    unused: number of files that are named like pictures and not used, by kind ("unreadable", "too small", "no face",
        "exact duplicate", "near duplicate").
    unused_files: (name, kind, reason) of each of them.
    passed_over: number of other files, by kind.
    exact_duplicates: pictures with exactly the pixels of another one.
    near_duplicates: other pictures that are a picture saved again.
    duplicates_kept: whether duplicates are used.
    similar: faces that are near duplicates of another face, but not the same picture.
    widths, heights: minimum, median and maximum of the used pictures, in px.
    aspects: the same of their width divided by height.
    cropped: faces that were cut out of a picture; its size is then that of what was cut out.
    further: faces, used or not, that are not the first of their picture.
    finds_faces: whether the pictures were searched for faces.
    enlarged: faces from pictures smaller than image_size.
    oblong: faces from pictures whose longer side is more than 1.5 times the shorter one.
    grey: faces without colour.
    advice: sentences, the most important first.
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
    cropped: int
    further: int
    finds_faces: bool
    enlarged: int
    oblong: int
    grey: int
    advice: tuple[str, ...] = ()

    @property
    def found(self) -> int:
        """The number of files in the sources; a folder that cannot be opened counts as one."""
        return self.used + sum(self.unused.values()) + sum(self.passed_over.values()) - self.further

    def to_dict(self) -> dict[str, Any]:
        """The report as a dictionary ready for JSON."""
        return {"found": self.found, **asdict(self)}


def audit(dataset: FaceDataset) -> Audit:
    """The report on a dataset, from what was noted when its pictures were decoded; nothing is decoded again."""
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
        cropped=int(facts.cropped.sum()),
        further=facts.further,
        finds_faces=facts.finds_faces,
        enlarged=int((shorter < image_size).sum()),
        oblong=int((longer > OBLONG * shorter).sum()),
        grey=int(facts.grey.sum()),
    )
    return replace(report, advice=(advice_on_count(report), *advice_on_faces(report), *advice_on_files(report)))


def spread(values: np.ndarray) -> tuple[float, float, float]:
    """Minimum, median and maximum."""
    return float(values.min()), float(np.median(values)), float(values.max())


def advice_on_count(report: Audit) -> str:
    """What to expect from this number of faces."""
    faces = f"{report.used:,} faces"
    if report.used < FEW:
        return (
            f"{faces} are very few: any model memorises them. Train briefly from the embedded model, expect copies, "
            "and add several hundred more if you can."
        )
    if report.used < COPIED_BELOW:
        return (
            f"{faces}: with fewer than about 1,000, a model from scratch tends to copy. One that starts from the "
            "embedded model does so less."
        )
    if report.used < SCARCE:
        return (
            f"{faces}: few for a model from scratch. Starting from the embedded model helps. Leave augmentation on, "
            "and watch the copying figure during training."
        )
    if report.used < PLENTY:
        return f"{faces}: enough for a model from scratch; starting from the embedded model gives good faces sooner."
    return f"{faces}: plenty for a model from scratch."


def advice_on_faces(report: Audit) -> Iterator[str]:
    """Advice on what is unusual about many of the faces."""

    def many(count: int, total: int = report.used) -> bool:
        return count >= NOTABLE_SHARE * total

    def share(count: int, total: int = report.used) -> str:
        return f"{count:,} of {total:,} ({count / total:.0%})"

    duplicates = report.exact_duplicates + report.near_duplicates
    readable = report.used + (0 if report.duplicates_kept else duplicates)
    if many(duplicates, readable):
        fate = "kept, so they are seen more often than others" if report.duplicates_kept else "dropped"
        yield f"{share(duplicates, readable)} pictures are duplicates of others and are {fate}."
    if many(report.similar) and not report.duplicates_kept:
        yield (
            f"{share(report.similar)} faces are much like another one, such as the same drawing in other colours or "
            "with another expression: there is less variety than the number of faces suggests."
        )
    if many(report.enlarged):
        yield (
            f"{share(report.enlarged)} faces come from pictures smaller than {report.image_size} px and are "
            "enlarged: they teach the model blur. Find larger ones, or train a smaller image size."
        )
    if many(report.oblong):
        yield (
            f"The longer side of {share(report.oblong)} pictures is more than {OBLONG} times the shorter one. Only "
            "the square in the middle is used: check the contact sheet, and crop to the faces if any are cut."
        )
    if many(report.grey):
        yield (f"{share(report.grey)} faces are grey: the model will draw as many. Leave them out if you want colour.")
    if report.held_out < FEW_HELD_OUT:
        yield f"Only {plural(report.held_out, 'face')} held out: treat the measurements as rough."


def advice_on_files(report: Audit) -> Iterator[str]:
    """Advice on files that are skipped."""
    unreadable, small = report.unused.get("unreadable", 0), report.unused.get("too small", 0)
    if unreadable >= UNREADABLE_SHARE * report.used:
        them = "it" if unreadable == 1 else "them"
        yield f"Cannot be read: {plural(unreadable, 'picture')}. Save {them} again as PNG, or download {them} again."
    if without := report.unused.get("no face", 0):
        yield f"No face was found in {plural(without, 'picture')}: not used. Crop those that have one yourself."
    if small >= NOTABLE_SHARE * report.used:
        yield f"Smaller than {MIN_SIDE} px and skipped: {plural(small, 'picture')}."
    formats = [kind for kind in report.passed_over if kind.endswith(("picture", "drawing"))]
    if formats:
        yield f"In formats that are not read: {counted(report, formats)}. Save them as PNG or JPEG."
    archives = [kind for kind in report.passed_over if kind.endswith("archive")]
    if archives:
        yield f"Not opened: {counted(report, archives)}. Unpack them, or name each as a source."
    if pointers := [kind for kind in report.passed_over if kind in TO_MEND and kind not in archives]:
        yield f"Files that only stand for others: {counted(report, pointers)}. Fetch the files themselves."


def counted(report: Audit, kinds: list[str]) -> str:
    """Kinds of files that were passed over, with their counts."""
    return ", ".join(plural(report.passed_over[kind], kind) for kind in kinds)


def contact_sheet(dataset: FaceDataset, count: int = 64) -> UInt8[np.ndarray, "rows columns 3"]:
    """At most `count` evenly spaced faces of the dataset in one picture, eight in a row.

    Raises DataError for a count below 1.
    """
    if count < 1:
        raise DataError(f"A contact sheet needs at least 1 face; got {count}.")
    chosen = np.linspace(0, len(dataset.images) - 1, min(count, len(dataset.images))).round().astype(np.int64)
    return sheet(dataset.images[chosen])  # (count, S, S, 3) -> (rows * S, 8 * S, 3)
