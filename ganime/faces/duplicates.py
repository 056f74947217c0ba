"""Faces that are alike: groups of near duplicates, a split that keeps groups together, and pictures saved again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from ganime.faces.reading import map_in_order
from ganime.shapes import Int, UInt8, UInt64

HASH_SIDE = 16  # 16 x 16 bits; with 8 x 8, unrelated portraits form chains
NEAR_DUPLICATE_BITS = 32  # the same drawing, also slightly moved, recoloured or with another expression
COPY_BITS, COPY_LIGHT, COPY_COLOUR = 24, 12, 48  # one picture saved twice: see copies_in_groups
MOST_COMPARED = 256  # near duplicates that one face is compared with
LIGHT = np.array([0.299, 0.587, 0.114], np.float32)  # shares of red, green and blue in luma (ITU-R BT.601)
THUMBNAIL = 16  # px; the side of the thumbnails whose colours are compared
HELD_OUT_SHARE, HELD_OUT_MOST = 0.1, 1_000
HASH_ROWS, HASH_COLUMNS = 8, 4096  # hashes compared at a time, which fit into a processor's cache


def difference_hash(face: UInt8[np.ndarray, "size size 3"]) -> UInt64[np.ndarray, " 4"]:
    """The 256-bit difference hash (dHash) of a face: compares neighbouring pixels of a 17x16 thumbnail."""
    import imagehash  # only here: opening a ready cache hashes no face, so training does not need the package

    return np.packbits(imagehash.dhash(Image.fromarray(face), HASH_SIDE).hash).view(np.uint64)


def near_duplicate_groups(hashes: UInt64[np.ndarray, "n 4"]) -> Int[np.ndarray, " n"]:
    """A group number for each hash: connected components of pairs that differ in at most 32 of 256 bits.

    All pairs are compared, so the time grows with the square of the count, the memory only with the count.
    """
    parent = np.arange(len(hashes))

    def roots(members: Int[np.ndarray, " m"]) -> Int[np.ndarray, " m"]:
        nodes = parent[members]
        while (parent[nodes] != nodes).any():
            nodes = parent[nodes]
        parent[members] = nodes
        return nodes

    compare = partial(close_pairs, hashes, np.ascontiguousarray(hashes.T))
    with closing(map_in_order(compare, range(0, len(hashes), HASH_ROWS))) as blocks:
        for pairs in blocks:
            for row in np.unique(pairs[:, 0]):
                parent[roots(pairs[pairs[:, 0] == row, 1])] = roots(np.array([row]))
    return roots(np.arange(len(hashes)))


def close_pairs(
    hashes: UInt64[np.ndarray, "n 4"], words: UInt64[np.ndarray, "4 n"], start: int
) -> Int[np.ndarray, "p 2"]:
    """Pairs of near duplicates, of which the first is one of the 8 hashes from `start` on and the second a later one.

    words: the hashes transposed, for speed. Two of the four words are compared first: if they differ in too many bits,
    so do the hashes.
    """
    pairs = [np.empty((0, 2), np.int64)]
    rows = words[:, start : start + HASH_ROWS, None]  # (4, R, 1)
    for left in range(start, len(hashes), HASH_COLUMNS):
        columns = words[:, None, left : left + HASH_COLUMNS]  # (4, 1, C)
        half = np.bitwise_count(rows[0] ^ columns[0]) + np.bitwise_count(rows[2] ^ columns[2])  # (R, C)
        row, column = np.divmod(np.flatnonzero(half <= NEAR_DUPLICATE_BITS), half.shape[1])
        row, column = row + start, column + left
        close = (differing_bits(hashes[row], hashes[column]) <= NEAR_DUPLICATE_BITS) & (row < column)
        pairs.append(np.stack([row[close], column[close]], 1))  # (P, 2)
    return np.concatenate(pairs)


def differing_bits(one: UInt64[np.ndarray, "*n 4"], other: UInt64[np.ndarray, "*n 4"]) -> Int[np.ndarray, "*n"]:
    """The number of bits in which two hashes differ (Hamming distance), 0 to 256."""
    return np.bitwise_count(one ^ other).sum(-1, dtype=np.int64)


def split_by_group(groups: Int[np.ndarray, " n"]) -> tuple[Int[np.ndarray, " t"], Int[np.ndarray, " h"]]:
    """Positions for training and for holding out. A tenth is held out, at most 1,000; groups are never divided."""
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
    thumbnails: Path, hashes: UInt64[np.ndarray, "n 4"], groups: Int[np.ndarray, " n"], areas: Sequence[int]
) -> dict[int, int]:
    """Find faces that are another face saved again, as JPEG or at another size: copy -> its original, the largest.

    thumbnails: the file that contains the `thumbnail` of each face, one after the other.
    hashes, groups: of each face.
    areas: pixels in the picture of each face.

    Copies differ in at most 24 of the 256 bits of their hashes, and their thumbnails nowhere by more than 12 of 255
    levels of luma and 48 of any colour, since JPEG stores colours coarsely. Closed eyes, other clothes, other colours
    or another crop differ by more.
    """
    copies: dict[int, int] = {}
    _, group, counts = np.unique(groups, return_inverse=True, return_counts=True)
    shared = np.flatnonzero(counts[group] > 1)
    if not len(shared):
        return {}
    small = np.memmap(thumbnails, np.uint8, "r", shape=(len(groups), THUMBNAIL, THUMBNAIL, 3))
    order = shared[np.argsort(group[shared], kind="stable")]
    for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        members = np.array(sorted(members.tolist(), key=lambda member: (-areas[member], member)), np.int64)
        copies |= copies_in_group(members, hashes[members], small[members])
    return copies


def copies_in_group(
    members: Int[np.ndarray, " m"], hashes: UInt64[np.ndarray, "m 4"], small: UInt8[np.ndarray, "m 16 16 3"]
) -> dict[int, int]:
    """The copies in a group of near duplicates, sorted from the largest: each is compared with the originals so far.

    At most 256 originals are compared, which only a set that was made to be slow can exceed. small: thumbnails.
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


def thumbnail(face: UInt8[np.ndarray, "size size 3"]) -> UInt8[np.ndarray, "16 16 3"]:
    """A face box-filtered to 16 px."""
    return np.asarray(Image.fromarray(face).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))
