"""Folders and zips of face pictures -> one memory-mapped uint8 dataset with an honest held-out part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from ganime.errors import DataError
from ganime.files import atomic_folder
from ganime.pictures import decode, folder_files, list_pictures, open_zip

if TYPE_CHECKING:
    from jaxtyping import Float, Int, UInt8, UInt64
    from torch import Tensor

MIN_FACES = 16
FACES_FILE, INDEX_FILE = "faces.bin", "index.json"
HELD_OUT_SHARE, HELD_OUT_MOST = 0.1, 1_000
NEAR_DUPLICATE_BITS = 32  # of the 256 bits of a difference hash; with 64 bits, unrelated portraits chain together
SPLIT_VERSION = 2  # part of the cache's key: a cache that was split by another rule is made anew


@dataclass(frozen=True)
class FaceDataset:
    """Square faces on disk, memory-mapped, split into a training and a held-out part.

    images: uint8, (N, size, size, 3), RGB. train, held_out: positions in `images`, ascending and disjoint.
    names: where each face came from. skipped: (name, reason) of every file that is not used.
    key: SHA-256 of what the sources held; equal sources give equal keys wherever they lie.
    """

    images: np.ndarray
    train: np.ndarray
    held_out: np.ndarray
    names: list[str]
    skipped: list[tuple[str, str]]
    key: str

    def batch(self, start: int, count: int, seed: int, flip: bool) -> Float[Tensor, "b 3 size size"]:
        """Training faces number `start` to `start + count` of an endless shuffled stream, in [-1, 1].

        Every face comes once an epoch. The stream depends on `seed` alone, so a run can go on at any position.
        """
        positions, size = np.arange(start, start + count), len(self.train)
        chosen, mirrored = np.empty(count, np.int64), np.zeros(count, bool)
        for epoch in np.unique(positions // size):
            order = np.random.default_rng([seed, int(epoch)]).permutation(size)
            inside = positions // size == epoch
            chosen[inside] = self.train[order[positions[inside] % size]]
            if flip:
                mirrored[inside] = (
                    np.random.default_rng([seed, int(epoch), 1]).random(size)[positions[inside] % size] < 0.5
                )
        faces = torch.from_numpy(self.images[chosen]).permute(0, 3, 1, 2)  # (B, 3, S, S), channels-last in memory
        faces = faces.to(torch.float32, memory_format=torch.channels_last) / 127.5 - 1
        if flip:
            faces = torch.where(torch.from_numpy(mirrored)[:, None, None, None], faces.flip(3), faces)
        return faces.contiguous(memory_format=torch.channels_last)


def load_faces(
    sources: Sequence[Path | str], image_size: int, cache: Path, progress: Callable[[int, int], None] | None = None
) -> FaceDataset:
    """Read folders and zips, decode every picture once into `cache`, and open the result.

    The cache is keyed by content: a second call with the same pictures only maps files. `progress` gets
    (done, total) while pictures are decoded. Exact duplicates are dropped. Raises DataError when a source
    cannot be read or fewer than 16 faces are usable.
    """
    paths = [Path(source) for source in sources]
    if not paths:
        raise DataError("No faces were named. Give a folder or zip of pictures, or several.")
    key = content_key(paths)
    folder = cache / f"{key[:32]}-{image_size}-v{SPLIT_VERSION}"
    if not (folder / INDEX_FILE).is_file():
        with atomic_folder(folder) as temporary:
            decode_all(paths, image_size, temporary, progress)
    index = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
    return FaceDataset(
        images=np.memmap(folder / FACES_FILE, np.uint8, "r", shape=(len(index["names"]), image_size, image_size, 3)),
        train=np.array(index["train"], np.int64),
        held_out=np.array(index["held_out"], np.int64),
        names=index["names"],
        skipped=[(name, reason) for name, reason in index["skipped"]],
        key=key,
    )


def decode_all(
    paths: Sequence[Path], image_size: int, folder: Path, progress: Callable[[int, int], None] | None
) -> None:
    """Write all usable faces of the sources to `faces.bin`, one after the other, and what is known of them as JSON."""
    skipped: list[tuple[str, str]] = []
    names, hashes, digests = [], [], set()
    with ExitStack() as archives, (folder / FACES_FILE).open("wb") as file:
        pictures = [picture for path in paths for picture in list_pictures(path, skipped, archives)]
        for number, picture in enumerate(pictures):
            try:
                face = decode(picture.read(), image_size)
            except (DataError, OSError) as error:
                skipped.append((picture.name, str(error)))
            else:
                digest = hashlib.sha256(face.tobytes()).digest()
                if digest in digests:
                    skipped.append((picture.name, "exact duplicate"))
                else:
                    digests.add(digest)
                    names.append(picture.name)
                    hashes.append(difference_hash(face))
                    file.write(face.tobytes())
            if progress:
                progress(number + 1, len(pictures))
    if len(names) < MIN_FACES:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped[:3])
        raise DataError(
            f"{len(names)} usable faces were found in {', '.join(str(path) for path in paths)}; at least {MIN_FACES} "
            f"are needed{f' (skipped: {reasons})' if reasons else ''}. Add PNG, JPEG, WebP, GIF, BMP or AVIF pictures."
        )
    train, held_out = split_by_group(near_duplicate_groups(np.array(hashes)))
    index = {"names": names, "skipped": skipped, "train": train.tolist(), "held_out": held_out.tolist()}
    (folder / INDEX_FILE).write_text(json.dumps(index), encoding="utf-8")


def content_key(paths: Sequence[Path]) -> str:
    """SHA-256 over the bytes of every zip and every picture below every folder, with their relative names."""
    digest = hashlib.sha256()
    for path in paths:
        if path.is_dir():
            for file in folder_files(path):
                digest.update(file.relative_to(path).as_posix().encode(errors="surrogateescape"))
                with suppress(OSError):  # a file that may not be read is skipped when its turn comes
                    digest.update(file_digest(file))
        else:
            open_zip(path).close()
            digest.update(file_digest(path))
    return digest.hexdigest()


def file_digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()


def difference_hash(face: UInt8[np.ndarray, "size size 3"]) -> UInt64[np.ndarray, " 4"]:
    """The 256-bit difference hash (dHash) of a face: which of neighbouring pixels is brighter, in a 17x16 thumbnail."""
    small = np.asarray(Image.fromarray(face).convert("L").resize((17, 16), Image.Resampling.LANCZOS), np.int16)
    return np.packbits(small[:, 1:] > small[:, :-1]).view(np.uint64)


def near_duplicate_groups(hashes: UInt64[np.ndarray, "n 4"]) -> Int[np.ndarray, " n"]:
    """A group number for each hash: connected components of pairs that differ in at most 32 of 256 bits."""
    parent = np.arange(len(hashes))

    def root(member: int) -> int:
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member

    for row, value in enumerate(hashes):
        later = hashes[row + 1 :]
        differing = np.bitwise_count(later ^ value).sum(1, dtype=np.int64)  # (N - row - 1,)
        close = np.flatnonzero(differing <= NEAR_DUPLICATE_BITS) + row + 1
        for other in close:
            parent[root(int(other))] = root(row)
    return np.array([root(member) for member in range(len(hashes))])


def split_by_group(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions for training and for holding out, a tenth but at most 1,000; a group is never divided."""
    wanted = min(int(len(groups) * HELD_OUT_SHARE), HELD_OUT_MOST)
    order = np.random.default_rng(0).permutation(np.unique(groups))
    sizes = np.bincount(groups, minlength=groups.max() + 1)
    chosen, count = [], 0
    for group in order:
        if count + sizes[group] <= wanted:
            chosen.append(group)
            count += sizes[group]
    held = np.isin(groups, chosen)
    return np.flatnonzero(~held), np.flatnonzero(held)
