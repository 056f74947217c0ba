"""Decoding pictures once into a file of faces, with what is known of each, and dropping duplicates on the way."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ganime.errors import DataError
from ganime.faces import duplicates
from ganime.faces.cropping import FaceFinder, NoFaceError, crop_faces
from ganime.faces.pixels import is_grey
from ganime.faces.reading import FILES, Face, TooSmallError, decode, map_in_order
from ganime.faces.search import Picture

THUMBNAILS_FILE = "thumbnails.bin"  # deleted once duplicates are found
KINDS = {TooSmallError: "too small", NoFaceError: "no face"}  # of skipped pictures, by their error
COMPARED_SIDE = 64  # px; duplicates are found at one size, so that the split does not depend on the model's


@dataclass(frozen=True)
class Examined:
    """A face, and what is noted of it.

    name: that of its picture, with a number if there are several faces in it.
    digest, bits, small, grey: of the same face at 64 px: the digest of its pixels, its difference hash, its thumbnail,
        and whether it is without colour.
    cropped: whether it was cut out of its picture.
    """

    name: str
    face: Face
    digest: bytes
    bits: bytes
    small: bytes
    grey: bool
    cropped: bool


@dataclass
class Decoded:
    """What decoding noted of the faces in a file, in their order, and of the pictures that are not among them.

    names, shapes, hashes: of each face its name, (width, height, grey) of its picture, and its difference hash.
    cropped: whether each face was cut out of its picture. further: how many faces are not the first of their picture.
    repeated: numbers of the faces whose pixels equal those of an earlier one; none unless duplicates are kept.
    skipped: (name, reason, kind). copies: (name, name of the original, kind).
    """

    names: list[str] = field(default_factory=list)
    shapes: list[tuple[int, int, bool]] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    cropped: list[bool] = field(default_factory=list)
    further: int = 0
    repeated: list[int] = field(default_factory=list)
    skipped: list[tuple[str, str, str]] = field(default_factory=list)
    copies: list[tuple[str, str, str]] = field(default_factory=list)


def decode_all(
    pictures: Sequence[Picture],
    image_size: int,
    file: Path,
    keep_duplicates: bool,
    progress: Callable[[int, int], None] | None,
    finder: FaceFinder | None = None,
) -> dict[str, Any]:
    """Write all faces to use to `file`, one after the other, and return the index of the cache, ready for JSON.

    Duplicates are found and faces are held out by the faces at 64 px, whatever size is written. finder: cuts the faces
    out of the pictures; None takes each picture for a face.
    """
    small_file = file.with_name(THUMBNAILS_FILE)
    decoded = decode_pictures(pictures, image_size, file, small_file, keep_duplicates, progress, finder)
    names, shapes = decoded.names, decoded.shapes
    hashes = np.frombuffer(b"".join(decoded.hashes), np.uint64).reshape(-1, 4)  # (N, 4)
    groups = duplicates.near_duplicate_groups(hashes)  # (N,)

    compared = groups.copy()
    compared[decoded.repeated] = len(groups) + np.arange(len(decoded.repeated))  # already known: groups of one
    areas = [width * height for width, height, _ in shapes]
    near = duplicates.copies_in_groups(small_file, hashes, compared, areas)
    small_file.unlink()
    copies = [(names[number], names[original], "near duplicate") for number, original in sorted(near.items())]

    kept = [number for number in range(len(names)) if keep_duplicates or number not in near]
    keep_records(file, image_size**2 * 3, kept)
    train, held_out = duplicates.split_by_group(groups[kept])
    return {
        "names": [names[number] for number in kept],
        "shapes": [shapes[number] for number in kept],
        "cropped": [decoded.cropped[number] for number in kept],
        "further": decoded.further,
        "groups": groups[kept].tolist(),
        "train": train.tolist(),
        "held_out": held_out.tolist(),
        "skipped": decoded.skipped,
        "copies": [*decoded.copies, *copies],
        "duplicates_kept": keep_duplicates,
    }


def decode_pictures(
    pictures: Sequence[Picture],
    image_size: int,
    file: Path,
    small_file: Path,
    keep_duplicates: bool,
    progress: Callable[[int, int], None] | None,
    finder: FaceFinder | None,
) -> Decoded:
    """Write all faces, without exact duplicates unless they are kept, to `file`, and thumbnails to `small_file`."""
    decoded = Decoded()
    first: dict[bytes, int] = {}  # digest of a face's pixels -> the first face that has them
    with (
        file.open("wb") as out,
        small_file.open("wb") as small_out,
        warnings.catch_warnings(),
        closing(map_in_order(partial(examine, image_size, finder), pictures)) as results,
    ):
        warnings.simplefilter("ignore")  # Pillow warns of what it repaired, and of sizes that `decode` refuses
        for number, (picture, result) in enumerate(zip(pictures, results, strict=True), start=1):
            if progress:
                progress(number, len(pictures))
            if isinstance(result, Exception):
                decoded.skipped.append((picture.name, str(result), KINDS.get(type(result), "unreadable")))
                continue
            decoded.further += len(result) - 1
            for face in result:
                original = first.setdefault(face.digest, len(decoded.names))
                if original < len(decoded.names):
                    decoded.copies.append((face.name, decoded.names[original], "exact duplicate"))
                    if not keep_duplicates:
                        continue
                    decoded.repeated.append(len(decoded.names))
                note(decoded, face)
                out.write(face.face.pixels.tobytes())
                small_out.write(face.small)
    return decoded


def note(decoded: Decoded, face: Examined) -> None:
    """Note a face that is written."""
    decoded.names.append(face.name)
    decoded.shapes.append((face.face.width, face.face.height, face.grey))
    decoded.hashes.append(face.bits)
    decoded.cropped.append(face.cropped)


def examine(image_size: int, finder: FaceFinder | None, picture: Picture) -> list[Examined] | Exception:
    """The faces in a picture, or the reason why there is none."""
    sizes = (image_size,) if image_size == COMPARED_SIDE else (image_size, COMPARED_SIDE)
    try:
        with FILES.taken(picture.size):
            data = picture.read()
            if finder is None:
                faces, cropped = [tuple(decode(data, size) for size in sizes)], False
            else:
                faces, cropped = crop_faces(data, sizes, finder)
    except (DataError, OSError) as error:
        return error
    names = [picture.name]
    if len(faces) > 1:
        names = [f"{picture.name} (face {number})" for number in range(1, len(faces) + 1)]
    return [describe(name, face[0], face[-1], cropped) for name, face in zip(names, faces, strict=True)]


def describe(name: str, face: Face, compared: Face, cropped: bool) -> Examined:
    """What is noted of a face; compared: the same at 64 px."""
    pixels = compared.pixels
    return Examined(
        name=name,
        face=face,
        digest=hashlib.sha256(pixels.tobytes()).digest(),
        bits=duplicates.difference_hash(pixels).tobytes(),
        small=duplicates.thumbnail(pixels).tobytes(),
        grey=is_grey(pixels),
        cropped=cropped,
    )


def keep_records(file: Path, length: int, kept: Sequence[int]) -> None:
    """Shorten a file of records of `length` bytes to those with the given ascending numbers, in place."""
    with file.open("r+b") as records:
        for place, number in enumerate(kept):
            if place != number:
                records.seek(number * length)
                record = records.read(length)
                records.seek(place * length)
                records.write(record)
        records.truncate(len(kept) * length)
