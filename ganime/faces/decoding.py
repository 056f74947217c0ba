"""Decoding pictures once into a file of faces, with what is known of each, and dropping duplicates on the way."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ganime.errors import DataError
from ganime.faces.duplicates import copies_in_groups, difference_hash, near_duplicate_groups, split_by_group
from ganime.faces.reading import Face, Picture, TooSmallError, decode, is_grey, map_in_order

COMPARED_FILE = "compared.bin"  # the faces at COMPARED_SIDE, deleted once duplicates are found
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
    compared_file = file if image_size == COMPARED_SIDE else file.with_name(COMPARED_FILE)
    decoded = decode_pictures(pictures, image_size, file, compared_file, keep_duplicates, progress)
    names, shapes = decoded.names, decoded.shapes
    hashes = np.frombuffer(b"".join(decoded.hashes), np.uint64).reshape(-1, 4)  # (N, 4)
    groups = near_duplicate_groups(hashes)  # (N,)

    compared = groups.copy()
    compared[decoded.repeated] = len(groups) + np.arange(len(decoded.repeated))  # already known: groups of one
    areas = [width * height for width, height, _ in shapes]
    near = copies_in_groups(compared_file, COMPARED_SIDE, hashes, compared, areas)
    copies = [(names[number], names[original], "near duplicate") for number, original in sorted(near.items())]

    kept = [number for number in range(len(names)) if keep_duplicates or number not in near]
    keep_records(file, image_size**2 * 3, kept)
    if compared_file != file:
        compared_file.unlink()
    train, held_out = split_by_group(groups[kept])
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
    compared_file: Path,
    keep_duplicates: bool,
    progress: Callable[[int, int], None] | None,
) -> Decoded:
    """Write all faces, without exact duplicates unless they are kept, to `file`, and at 64 px to `compared_file`.

    The two files are the same when the faces have 64 px.
    """
    decoded = Decoded()
    first: dict[bytes, int] = {}  # digest of a face's pixels -> the first face that has them
    with ExitStack() as stack:
        out = stack.enter_context(file.open("wb"))
        compared_out = None if compared_file == file else stack.enter_context(compared_file.open("wb"))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # Pillow warns of what it repaired, and of sizes that `decode` refuses
        examined = stack.enter_context(closing(map_in_order(partial(examine, image_size), pictures)))
        for number, (picture, result) in enumerate(zip(pictures, examined, strict=True), start=1):
            if progress:
                progress(number, len(pictures))
            if isinstance(result, Exception):
                kind = "too small" if isinstance(result, TooSmallError) else "unreadable"
                decoded.skipped.append((picture.name, str(result), kind))
                continue
            face, compared, grey, bits = result
            pixels = compared.pixels.tobytes()
            original = first.setdefault(hashlib.sha256(pixels).digest(), len(decoded.names))
            if original < len(decoded.names):
                decoded.copies.append((picture.name, decoded.names[original], "exact duplicate"))
                if not keep_duplicates:
                    continue
                decoded.repeated.append(len(decoded.names))
            decoded.names.append(picture.name)
            decoded.shapes.append((face.width, face.height, grey))
            decoded.hashes.append(bits)
            out.write(face.pixels.tobytes())
            if compared_out:
                compared_out.write(pixels)
    return decoded


def examine(image_size: int, picture: Picture) -> tuple[Face, Face, bool, bytes] | Exception:
    """The face in a picture, the same at 64 px, whether it is grey, and its difference hash; or why there is none."""
    try:
        data = picture.read()
        face = decode(data, image_size)
        compared = face if image_size == COMPARED_SIDE else decode(data, COMPARED_SIDE)
    except (DataError, OSError) as error:
        return error
    return face, compared, is_grey(compared.pixels), difference_hash(compared.pixels).tobytes()


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
