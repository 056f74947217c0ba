"""The faces of a run: decoded once into a memory-mapped cache, and drawn as an endless shuffled stream."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganime.errors import DataError
from ganime.faces.cropping import FaceFinder
from ganime.faces.decoding import decode_all
from ganime.faces.hub_datasets import local_source
from ganime.faces.search import Picture, Search
from ganime.faces.sources import list_pictures
from ganime.files import atomic_folder, write_json
from ganime.shapes import Bool, Float, Int, UInt8
from ganime.text import plural, printable

MIN_FACES = 16
FACES_FILE, CACHE_INDEX = "faces.bin", "index.json"
DIGESTS_FILE, MAX_DIGESTS = "digests.json", 100  # of large files, so that each is hashed once
ABANDONED = 24 * 3600  # seconds after which an unfinished cache is deleted
CACHE_VERSION = 5  # part of the cache's name: caches made by other rules are not used


@dataclass(frozen=True)
class SourceFacts:
    """What is known of the sources of a dataset beside its faces; `ganime.faces.audit` reports it.

    sizes: (N, 2), width and height of each face's picture, upright, in px.
    grey: (N,), whether a face has no colour.
    cropped: (N,), whether a face was cut out of its picture; the size is then that of what was cut out.
    further: number of faces, used or not, that are not the first of their picture.
    finds_faces: whether the pictures were searched for faces.
    groups: (N,), equal numbers for near duplicates.
    kinds: of each of `FaceDataset.skipped`, such as "unreadable".
    copies: (name, name of the face that it duplicates, kind) of each duplicate, safe to print.
    duplicates_kept: whether duplicates are among the faces.
    passed_over: number of files that are not pictures that are read, by kind.
    """

    sizes: Int[np.ndarray, "n 2"]
    grey: Bool[np.ndarray, " n"]
    cropped: Bool[np.ndarray, " n"]
    further: int
    finds_faces: bool
    groups: Int[np.ndarray, " n"]
    kinds: list[str]
    copies: list[tuple[str, str, str]]
    duplicates_kept: bool
    passed_over: dict[str, int]


@dataclass(frozen=True)
class FaceDataset:
    """Square faces on disk, memory-mapped, split into a training and a held-out part.

    images: uint8, (N, size, size, 3), RGB.
    train, held_out: positions in `images`, ascending and disjoint.
    names: the path of each face in its source.
    skipped: (name, reason), safe to print, of every file that is named like a picture and not used.
    key: SHA-256 of the content of the sources; equal content gives equal keys wherever it lies.
    facts: what else is known of the sources.
    """

    images: np.ndarray
    train: np.ndarray
    held_out: np.ndarray
    names: list[str]
    skipped: list[tuple[str, str]]
    key: str
    facts: SourceFacts

    def batch(
        self, start: int, count: int, seed: int, flip: bool, resident: Tensor | None = None
    ) -> Float[Tensor, "b 3 size size"]:
        """Training faces `start` to `start + count` of an endless shuffled stream, in [-1, 1].

        Every face comes once an epoch. The stream depends only on `seed`, so a run can be resumed at any position.
        flip: mirror half of the faces at random.
        resident: the faces as returned by `on`; the batch is then made on that device.
        """
        positions, size = np.arange(start, start + count), len(self.train)
        chosen, mirrored = np.empty(count, np.int64), np.zeros(count, bool)
        for epoch in np.unique(positions // size).tolist():
            inside = positions // size == epoch
            places = positions[inside] % size
            chosen[inside] = self.train[epoch_order(seed, epoch, size)[places]]
            if flip:
                mirrored[inside] = epoch_mirrored(seed, epoch, size)[places]
        faces = torch.from_numpy(self.images[chosen]) if resident is None else resident[torch.from_numpy(chosen)]
        faces = faces.permute(0, 3, 1, 2)  # (B, 3, S, S), channels-last in memory
        faces = faces.to(torch.float32, memory_format=torch.channels_last) / 127.5 - 1
        if flip:
            faces = torch.where(torch.from_numpy(mirrored).to(faces.device)[:, None, None, None], faces.flip(3), faces)
        return faces.contiguous(memory_format=torch.channels_last)

    def on(self, device: torch.device) -> UInt8[Tensor, "n size size 3"] | None:
        """All faces in the memory of a GPU, so that batches need no transfer.

        None for a CPU, and when they would take more than a quarter of the free memory.
        """
        if device.type != "cuda" or self.images.nbytes > torch.cuda.mem_get_info(device)[0] / 4:
            return None
        return torch.from_numpy(np.array(self.images)).to(device)


@lru_cache(maxsize=4)  # a batch may span the end of an epoch
def epoch_order(seed: int, epoch: int, size: int) -> Int[np.ndarray, " size"]:
    """The order of the training faces in an epoch. The array is shared: do not write to it."""
    return np.random.default_rng([seed, epoch]).permutation(size)


@lru_cache(maxsize=4)
def epoch_mirrored(seed: int, epoch: int, size: int) -> Bool[np.ndarray, " size"]:
    """Which places of an epoch hold a mirrored face. The array is shared: do not write to it."""
    return np.random.default_rng([seed, epoch, 1]).random(size) < 0.5


def load_faces(
    sources: Sequence[Path | str],
    image_size: int,
    cache: Path,
    progress: Callable[[int, int], None] | None = None,
    keep_duplicates: bool = False,
    finder: FaceFinder | None = None,
) -> FaceDataset:
    """Find the pictures in the sources, decode every one once into `cache`, and open the result.

    sources: folders, archives, Parquet files and pictures, or hf://datasets/owner/name on the Hugging Face hub.
    image_size: side of the faces in px.
    cache: folder of caches, keyed by content: a second call with the same pictures only maps files.
    progress: called with (done, total) while pictures are decoded.
    keep_duplicates: keep pictures with exactly the pixels of an earlier one, and all of those that are one picture
        saved several times; otherwise only the first, or the largest, is used.
    finder: cuts the faces out of pictures that are more than a face, and leaves out pictures without one; None takes
        the square in the middle of every picture.

    Raises DataError when a source cannot be read or fewer than 16 faces are usable.
    """
    if not sources:
        raise DataError("No faces were named. Give a folder or archive of pictures, or several.")
    paths = [local_source(str(source), cache) for source in sources]
    with ExitStack() as opened:
        search = Search(opened, scratch=cache)
        listed = [(path, list(list_pictures(path, search))) for path in paths]
        key = content_key(listed, cache, keep_duplicates, finder.revision if finder else "")
        folder = cache / f"{key[:32]}-{image_size}-v{CACHE_VERSION}"
        if not is_whole(folder, image_size):
            pictures = [picture for _, of_source in listed for picture in of_source]
            delete_abandoned(cache)
            try:
                with atomic_folder(folder) as temporary:
                    index = decode_all(pictures, image_size, temporary / FACES_FILE, keep_duplicates, progress, finder)
                    if len(index["names"]) < MIN_FACES:
                        unused = [(name, reason) for name, reason, _ in index["skipped"]]
                        unused += [(name, f"{kind} of {original}") for name, original, kind in index["copies"]]
                        raise too_few(sources, len(index["names"]), search, unused)
                    (temporary / CACHE_INDEX).write_text(json.dumps(index), encoding="utf-8")
            except OSError:
                if not appears(folder / CACHE_INDEX):  # else another process made the same folder in the meantime
                    raise
    return open_cache(folder, image_size, key, search, finder is not None)


def content_key(
    listed: Sequence[tuple[Path, Sequence[Picture]]], cache: Path, keep_duplicates: bool = False, finder: str = ""
) -> str:
    """SHA-256 of the bytes of every file that was named, and of the name and bytes of every picture in every folder.

    listed: each source with its pictures. An archive is hashed as a file; its pictures are read only if there is no
    cache.
    cache: remembers the hashes of archives. finder: the revision of what cuts the faces out, "" for nothing.
    """
    digest = hashlib.sha256(b"duplicates kept" if keep_duplicates else b"")
    digest.update(f"faces cut out by {finder}".encode() if finder else b"")
    archives: dict[Path, bytes] = {}
    for path, pictures in listed:
        if not path.is_dir():
            digest.update(archive_digest(path, cache))
            continue
        for picture in pictures:
            digest.update(picture.name.encode(errors="surrogateescape"))
            with suppress(OSError):  # a file that cannot be read is skipped, with the reason, when it is decoded
                if picture.file == path / picture.name:
                    digest.update(file_digest(picture.file))
                    continue
                if picture.file not in archives:
                    archives[picture.file] = archive_digest(picture.file, cache)
                digest.update(archives[picture.file])
    return digest.hexdigest()


def archive_digest(path: Path, cache: Path) -> bytes:
    """SHA-256 of an archive, remembered in `cache` for as long as the file stays the same by its size and times."""
    state = path.stat()
    identity = f"{path.resolve()} {state.st_ino} {state.st_size} {state.st_mtime_ns}"
    digests: dict[str, str] = {}
    with suppress(OSError, ValueError):  # none were remembered yet, or the file is damaged
        digests = json.loads((cache / DIGESTS_FILE).read_text(encoding="utf-8"))
    if identity in digests:
        return bytes.fromhex(digests[identity])
    digest = file_digest(path)
    latest = [*digests.items(), (identity, digest.hex())][-MAX_DIGESTS:]
    with suppress(OSError):  # faces may be cached on a full disk
        write_json(cache / DIGESTS_FILE, dict(latest))
    return digest


def file_digest(path: Path) -> bytes:
    """SHA-256 of a file. Raises OSError when it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()


# --- the cache on disk


def delete_abandoned(cache: Path) -> None:
    """Delete what processes that were killed while decoding left a day ago or earlier."""
    for abandoned in cache.glob(".*"):
        with suppress(OSError):  # another process has just moved it to its place
            if time.time() - abandoned.stat().st_mtime > ABANDONED:
                shutil.rmtree(abandoned, ignore_errors=True)


def is_whole(folder: Path, image_size: int) -> bool:
    """Whether the cache exists and contains as many faces as its index says."""
    try:
        count = len(json.loads((folder / CACHE_INDEX).read_text(encoding="utf-8"))["names"])
        return (folder / FACES_FILE).stat().st_size == count * image_size**2 * 3
    except (OSError, ValueError, KeyError, TypeError):
        return False


def appears(path: Path) -> bool:
    """Whether a file exists, or appears within a second: another process may be moving its folder into place."""
    for _ in range(20):
        if path.is_file():
            return True
        time.sleep(0.05)
    return False


def open_cache(folder: Path, image_size: int, key: str, search: Search, finds_faces: bool) -> FaceDataset:
    """The dataset in a cache's folder. search: what `list_pictures` found in its sources."""
    appears(folder / CACHE_INDEX)
    index = json.loads((folder / CACHE_INDEX).read_text(encoding="utf-8"))
    unused = [*((name, reason, "unreadable") for name, reason in search.skipped), *index["skipped"]]
    if not index["duplicates_kept"]:
        unused += [(name, f"{kind} of {original}", kind) for name, original, kind in index["copies"]]
    shapes = np.array(index["shapes"], np.int64)  # (N, 3)
    return FaceDataset(
        images=np.memmap(folder / FACES_FILE, np.uint8, "r", shape=(len(shapes), image_size, image_size, 3)),
        train=np.array(index["train"], np.int64),
        held_out=np.array(index["held_out"], np.int64),
        names=index["names"],
        skipped=[(printable(name), printable(reason)) for name, reason, _ in unused],
        key=key,
        facts=SourceFacts(
            sizes=shapes[:, :2],
            grey=shapes[:, 2] > 0,
            cropped=np.array(index.get("cropped", [False] * len(shapes)), bool),  # caches of earlier versions have none
            further=index.get("further", 0),
            finds_faces=finds_faces,
            groups=np.array(index["groups"], np.int64),
            kinds=[kind for _, _, kind in unused],
            copies=[(printable(name), printable(original), kind) for name, original, kind in index["copies"]],
            duplicates_kept=index["duplicates_kept"],
            passed_over=dict(search.left_out.counts),
        ),
    )


def too_few(
    sources: Sequence[Path | str], faces: int, search: Search, unused: Sequence[tuple[str, str]] = ()
) -> DataError:
    """The error for fewer than 16 usable faces: the first three files that are not used and why, and what was found.

    unused: (name, reason) of what the search found and is not used.
    """
    reasons = [*search.skipped, *unused]
    examples = "; ".join(f"{printable(name)}: {printable(reason)}" for name, reason in reasons[:3])
    more = f"; and {len(reasons) - 3:,} more" if len(reasons) > 3 else ""
    skipped = f" (skipped: {examples}{more})" if reasons else ""
    found = search.left_out.in_words()
    instead = f" Found instead: {found}." if found else "" if reasons or faces else " Nothing else was found."
    names = ", ".join(str(source) for source in sources)
    return DataError(
        f"{plural(faces, 'usable face')} found in {names}; at least {MIN_FACES} are needed{skipped}."
        f"{instead} Add pictures, such as PNG, JPEG, WebP or HEIC."
    )
