"""Faces that are alike: groups of near duplicates, the split that never divides one, and pictures saved again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ganime.faces.reading import in_order

if TYPE_CHECKING:
    from jaxtyping import Int, UInt8, UInt64

HASH_SIDE = 16  # 16 x 16 bits; with 8 x 8, unrelated portraits chain together
NEAR_DUPLICATE_BITS = 32  # the same drawing, though it was moved a little, recoloured or given another expression
COPY_BITS, COPY_LIGHT, COPY_COLOUR = 24, 12, 48  # one picture saved twice: see copies_in_groups
MOST_COMPARED = 256  # near duplicates that one face is compared with
LIGHT = np.array([0.299, 0.587, 0.114], np.float32)  # shares of red, green and blue (ITU-R BT.601)
THUMBNAIL = 16  # px; the side of the thumbnails whose colours are compared
HELD_OUT_SHARE, HELD_OUT_MOST = 0.1, 1_000
ROWS, COLUMNS = 8, 4096  # of hashes compared at a time, so that they fit into a processor's cache


def difference_hash(face: UInt8[np.ndarray, "size size 3"]) -> UInt64[np.ndarray, " 4"]:
    """The 256-bit difference hash (dHash) of a face: which of neighbouring pixels is brighter, in a 17x16 thumbnail."""
    import imagehash  # here alone: with a ready cache no face is hashed, so training goes without it

    return np.packbits(imagehash.dhash(Image.fromarray(face), HASH_SIDE).hash).view(np.uint64)


def near_duplicate_groups(hashes: UInt64[np.ndarray, "n 4"]) -> Int[np.ndarray, " n"]:
    """A group number for each hash: connected components of pairs that differ in at most 32 of 256 bits.

    All pairs are compared, so the time grows with the square of the count; the memory grows with the count alone.
    """
    parent = np.arange(len(hashes))

    def roots(members: Int[np.ndarray, " m"]) -> Int[np.ndarray, " m"]:
        found = parent[members]
        while (parent[found] != found).any():
            found = parent[found]
        parent[members] = found
        return found

    compare = partial(close_pairs, hashes, np.ascontiguousarray(hashes.T))
    with closing(in_order(compare, range(0, len(hashes), ROWS))) as blocks:
        for pairs in blocks:
            for row in np.unique(pairs[:, 0]):
                parent[roots(pairs[pairs[:, 0] == row, 1])] = roots(np.array([row]))
    return roots(np.arange(len(hashes)))


def close_pairs(hashes: UInt64[np.ndarray, "n 4"], words: UInt64[np.ndarray, "4 n"], start: int) -> np.ndarray:
    """Pairs (P, 2) of one of the few hashes from `start` on and a later one that are near duplicates.

    words: the hashes again, turned, for speed. Two of four words are compared first: hashes that differ too much
    there differ too much as a whole.
    """
    pairs = [np.empty((0, 2), np.int64)]
    rows = words[:, start : start + ROWS, None]  # (4, R, 1)
    for left in range(start, len(hashes), COLUMNS):
        columns = words[:, None, left : left + COLUMNS]  # (4, 1, C)
        half = np.bitwise_count(rows[0] ^ columns[0]) + np.bitwise_count(rows[2] ^ columns[2])  # (R, C)
        row, column = np.divmod(np.flatnonzero(half <= NEAR_DUPLICATE_BITS), half.shape[1])
        row, column = row + start, column + left
        close = (differing_bits(hashes[row], hashes[column]) <= NEAR_DUPLICATE_BITS) & (row < column)
        pairs.append(np.stack([row[close], column[close]], 1))  # (P, 2)
    return np.concatenate(pairs)


def differing_bits(one: UInt64[np.ndarray, "*n 4"], other: UInt64[np.ndarray, "*n 4"]) -> Int[np.ndarray, "*n"]:
    return np.bitwise_count(one ^ other).sum(-1, dtype=np.int64)


def split_by_group(groups: Int[np.ndarray, " n"]) -> tuple[Int[np.ndarray, " t"], Int[np.ndarray, " h"]]:
    """Positions for training and for holding out, a tenth but at most 1,000; a group is never divided."""
    wanted = min(int(len(groups) * HELD_OUT_SHARE), HELD_OUT_MOST)
    order = np.random.default_rng(0).permutation(np.unique(groups))
    sizes = np.bincount(groups, minlength=1)
    chosen, count = [], 0
    for group in order:
        if count + sizes[group] <= wanted:
            chosen.append(group)
            count += sizes[group]
    held = np.isin(groups, chosen)
    return np.flatnonzero(~held), np.flatnonzero(held)


def copies_in_groups(
    faces: Path,
    image_size: int,
    hashes: UInt64[np.ndarray, "n 4"],
    groups: Int[np.ndarray, " n"],
    areas: Sequence[int],
) -> dict[int, int]:
    """Which faces are another one saved again, as JPEG or at another size: the face -> the largest one, which is none.

    faces: the file with all faces as uint8, one after the other. areas: how many pixels the picture of each had.
    All must hold: the hashes differ in at most 24 of 256 bits, and the thumbnails nowhere by more than 12 of 255 levels
    of light and 48 of any colour, since JPEG keeps colours coarsely. Closed eyes, other clothes, other colours or
    another crop are beyond that.
    """
    copies: dict[int, int] = {}
    _, group, counts = np.unique(groups, return_inverse=True, return_counts=True)
    shared = np.flatnonzero(counts[group] > 1)
    order = shared[np.argsort(group[shared], kind="stable")]
    for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        members = np.array(sorted(members.tolist(), key=lambda member: (-areas[member], member)), np.int64)
        copies |= copies_in_group(members, hashes[members], thumbnails(faces, image_size, members))
    return copies


def copies_in_group(
    members: Int[np.ndarray, " m"], hashes: UInt64[np.ndarray, "m 4"], small: UInt8[np.ndarray, "m 16 16 3"]
) -> dict[int, int]:
    """The copies among near duplicates, best first: each is compared with those that are kept so far, 256 at most.

    Drawings are never so many variants of one another; only a set that was made to be slow is.
    """
    copies: dict[int, int] = {}
    kept = np.zeros(len(members), bool)
    for place, member in enumerate(members):
        near = np.flatnonzero(kept)
        near = near[differing_bits(hashes[near], hashes[place]) <= COPY_BITS][:MOST_COMPARED]
        apart = small[near].astype(np.float32) - small[place]  # (K, 16, 16, 3)
        light, colour = abs(apart @ LIGHT).max((1, 2)), abs(apart).max((1, 2, 3))  # (K,) each
        same = near[(light <= COPY_LIGHT) & (colour <= COPY_COLOUR)]
        if len(same):
            copies[int(member)] = int(members[same[0]])
        else:
            kept[place] = True
    return copies


def thumbnails(faces: Path, image_size: int, numbers: Int[np.ndarray, " m"]) -> UInt8[np.ndarray, "m 16 16 3"]:
    """The faces of these numbers in the file, 16 px wide, each pixel the mean of those it stands for."""
    length = image_size**2 * 3
    small = np.empty((len(numbers), THUMBNAIL, THUMBNAIL, 3), np.uint8)
    with faces.open("rb") as file:
        for place, number in enumerate(numbers):
            file.seek(number * length)
            face = Image.frombytes("RGB", (image_size, image_size), file.read(length))
            small[place] = np.asarray(face.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))
    return small
