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
from ganime.faces.reading import Face, Picture, TooSmallError, decode, is_grey, map_in_order

THUMBNAILS_FILE = "thumbnails.bin"  # deleted once duplicates are found
COMPARED_SIDE = 64  # px; duplicates are found at one size, so that the split does not depend on the model's


@dataclass
class Decoded:
    """What decoding noted of the faces in a file, in their order, and of the pictures that are not among them.

    names, shapes, hashes: of each face its name, (width, height, grey) of its picture, and its difference hash.
    repeated: numbers of the faces whose pixels equal those of an earlier one; none unless duplicates are kept.
    skipped: (name, reason, kind). copies: (name, name of the original, kind).
    """

    names: list[str] = field(default_factory=list)
    shapes: list[tuple[int, int, bool]] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    skipped: list[tuple[str, str, str]] = field(default_factory=list)
    copies: list[tuple[str, str, str]] = field(default_factory=list)


def decode_all(
    pictures: Sequence[Picture],
    image_size: int,
    file: Path,
    keep_duplicates: bool,
    progress: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    """Write all faces to use to `file`, one after the other, and return the index of the cache, ready for JSON.

    Duplicates are found and faces are held out by the faces at 64 px, whatever size is written.
    """
    small_file = file.with_name(THUMBNAILS_FILE)
    decoded = decode_pictures(pictures, image_size, file, small_file, keep_duplicates, progress)
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
) -> Decoded:
    """Write all faces, without exact duplicates unless they are kept, to `file`, and thumbnails to `small_file`."""
    decoded = Decoded()
    first: dict[bytes, int] = {}  # digest of a face's pixels -> the first face that has them
    with (
        file.open("wb") as out,
        small_file.open("wb") as small_out,
        warnings.catch_warnings(),
        closing(map_in_order(partial(examine, image_size), pictures)) as results,
    ):
        warnings.simplefilter("ignore")  # Pillow warns of what it repaired, and of sizes that `decode` refuses
        for number, (picture, result) in enumerate(zip(pictures, results, strict=True), start=1):
            if progress:
                progress(number, len(pictures))
            if isinstance(result, Exception):
                kind = "too small" if isinstance(result, TooSmallError) else "unreadable"
                decoded.skipped.append((picture.name, str(result), kind))
                continue
            face, digest, bits, small, grey = result
            original = first.setdefault(digest, len(decoded.names))
            if original < len(decoded.names):
                decoded.copies.append((picture.name, decoded.names[original], "exact duplicate"))
                if not keep_duplicates:
                    continue
                decoded.repeated.append(len(decoded.names))
            decoded.names.append(picture.name)
            decoded.shapes.append((face.width, face.height, grey))
            decoded.hashes.append(bits)
            out.write(face.pixels.tobytes())
            small_out.write(small)
    return decoded


def examine(image_size: int, picture: Picture) -> tuple[Face, bytes, bytes, bytes, bool] | Exception:
    """The face in a picture, and of the same face at 64 px the digest of its pixels, its difference hash, its thumbnail
    and whether it is grey; or the reason why there is no face."""
    try:
        data = picture.read()
        face = decode(data, image_size)
        compared = (face if image_size == COMPARED_SIDE else decode(data, COMPARED_SIDE)).pixels
    except (DataError, OSError) as error:
        return error
    digest, bits = hashlib.sha256(compared.tobytes()).digest(), duplicates.difference_hash(compared).tobytes()
    return face, digest, bits, duplicates.thumbnail(compared).tobytes(), is_grey(compared)


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
