"""The faces of a run: on disk, memory-mapped, drawn from as an endless shuffled stream."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ganime.errors import DataError
from ganime.faces.duplicates import copies_in_groups, difference_hash, near_duplicate_groups, split_by_group
from ganime.faces.reading import (
    Face,
    Picture,
    TooSmallError,
    decode,
    in_order,
    is_grey,
    is_picture_name,
    list_pictures,
    walk,
)
from ganime.files import atomic_folder
from ganime.text import printable

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, UInt8
    from torch import Tensor


@dataclass(frozen=True)
class Facts:
    """What is known of the sources beside the faces; `ganime.faces.audit` puts it into words.

    sizes: (N, 2), width and height of each face's picture, upright, in px. grey: (N,), whether a face has no colour.
    groups: (N,), near duplicates have the same number. kinds: what is wrong with each of `skipped`, in a word.
    copies: (name, name of the face it duplicates, kind) of each duplicate, safe to print. duplicates_kept: whether
    they are among the faces, too. passed_over: how many files of the sources were not looked into, by kind.
    """

    sizes: Int[np.ndarray, "n 2"]
    grey: Bool[np.ndarray, " n"]
    groups: Int[np.ndarray, " n"]
    kinds: list[str]
    copies: list[tuple[str, str, str]]
    duplicates_kept: bool
    passed_over: dict[str, int]


@dataclass(frozen=True)
class FaceDataset:
    """Square faces on disk, memory-mapped, split into a training and a held-out part.

    images: uint8, (N, size, size, 3), RGB. train, held_out: positions in `images`, ascending and disjoint.
    names: where each face came from, as it is called there. skipped: (name, reason), safe to print, of every file that
    is named like a picture and not used. key: SHA-256 of what the sources held; equal sources give equal keys
    wherever they lie. facts: what else is known of the sources.
    """

    images: np.ndarray
    train: np.ndarray
    held_out: np.ndarray
    names: list[str]
    skipped: list[tuple[str, str]]
    key: str
    facts: Facts

    def batch(
        self, start: int, count: int, seed: int, flip: bool, resident: Tensor | None = None
    ) -> Float[Tensor, "b 3 size size"]:
        """Training faces number `start` to `start + count` of an endless shuffled stream, in [-1, 1].

        Every face comes once an epoch. The stream depends on `seed` alone, so a run can go on at any position.
        resident: the faces as `on` gives them; the batch is then made on that device.
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
        faces = torch.from_numpy(self.images[chosen]) if resident is None else resident[torch.from_numpy(chosen)]
        faces = faces.permute(0, 3, 1, 2)  # (B, 3, S, S), channels-last in memory
        faces = faces.to(torch.float32, memory_format=torch.channels_last) / 127.5 - 1
        if flip:
            faces = torch.where(torch.from_numpy(mirrored).to(faces.device)[:, None, None, None], faces.flip(3), faces)
        return faces.contiguous(memory_format=torch.channels_last)

    def on(self, device: torch.device) -> UInt8[Tensor, "n size size 3"] | None:
        """All faces in the memory of a GPU, so that no batch has to be sent there; None for a CPU, or where they would
        take more than a quarter of what is free."""
        if device.type != "cuda" or self.images.nbytes > torch.cuda.mem_get_info(device)[0] / 4:
            return None
        return torch.from_numpy(np.array(self.images)).to(device)


MIN_FACES = 16
FACES_FILE, INDEX_FILE = "faces.bin", "index.json"
JUDGED_FILE, JUDGED_SIDE = (
    "judged.bin",
    64,
)  # duplicates are found at one size, so the split is the same for every model
ABANDONED = 24 * 3600  # seconds after which a half-made cache has been left by whoever made it
VERSION = 4  # part of the cache's name: one that was made by other rules is made anew


def load_faces(
    sources: Sequence[Path | str],
    image_size: int,
    cache: Path,
    progress: Callable[[int, int], None] | None = None,
    keep_duplicates: bool = False,
) -> FaceDataset:
    """Read folders and zips, decode every picture once into `cache`, and open the result.

    The cache is keyed by content: a second call with the same pictures only maps files. `progress` gets (done, total)
    while pictures are decoded. Pictures with the very pixels of an earlier one, and all but the largest of those that
    are one picture saved several times, are dropped unless `keep_duplicates`. Raises DataError when a source cannot
    be read or fewer than 16 faces are usable.
    """
    paths = [Path(source) for source in sources]
    if not paths:
        raise DataError("No faces were named. Give a folder or zip of pictures, or several.")
    refused: list[tuple[str, str]] = []
    passed_over: Counter[str] = Counter()
    with ExitStack() as archives:
        pictures = [picture for path in paths for picture in list_pictures(path, refused, archives, passed_over)]
        key = content_key(paths, keep_duplicates)
        folder = cache / f"{key[:32]}-{image_size}-v{VERSION}"
        if not intact(folder, image_size):
            for abandoned in cache.glob(".*"):  # what was cut off while decoding
                if time.time() - abandoned.stat().st_mtime > ABANDONED:
                    shutil.rmtree(abandoned, ignore_errors=True)
            try:
                with atomic_folder(folder) as temporary:
                    index = decode_all(pictures, image_size, temporary / FACES_FILE, keep_duplicates, progress)
                    if len(index["names"]) < MIN_FACES:
                        raise too_few(paths, index, refused)
                    (temporary / INDEX_FILE).write_text(json.dumps(index), encoding="utf-8")
                    if intact(folder, image_size):
                        raise FileExistsError(f"{folder} was made by another process meanwhile")
            except OSError:  # of two processes at once, the second one takes what the first one left
                if not appears(folder / INDEX_FILE):
                    raise
    return open_cache(folder, image_size, key, refused, passed_over)


def open_cache(
    folder: Path, image_size: int, key: str, refused: Sequence[tuple[str, str]], passed_over: Mapping[str, int]
) -> FaceDataset:
    """The dataset in a cache's folder; `refused` and `passed_over` are what its sources hold beside pictures."""
    appears(folder / INDEX_FILE)
    index = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
    unused = [*((name, reason, "unreadable") for name, reason in refused), *index["skipped"]]
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
        facts=Facts(
            sizes=shapes[:, :2],
            grey=shapes[:, 2] > 0,
            groups=np.array(index["groups"], np.int64),
            kinds=[kind for _, _, kind in unused],
            copies=[(printable(name), printable(original), kind) for name, original, kind in index["copies"]],
            duplicates_kept=index["duplicates_kept"],
            passed_over=dict(passed_over),
        ),
    )


def intact(folder: Path, image_size: int) -> bool:
    """Whether a cache is there, and holds as many faces as it says."""
    try:
        count = len(json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))["names"])
        return (folder / FACES_FILE).stat().st_size == count * image_size**2 * 3
    except (OSError, ValueError, KeyError, TypeError):
        return False


def appears(path: Path) -> bool:
    """Whether a file is there, or comes within a second: another process may be moving its folder into place."""
    for _ in range(20):
        if path.is_file():
            return True
        time.sleep(0.05)
    return False


def too_few(paths: Sequence[Path], index: Mapping[str, Any], refused: Sequence[tuple[str, str]]) -> DataError:
    reasons = [(name, reason) for name, reason, *_ in [*refused, *index["skipped"]]]
    reasons += [(name, f"{kind} of {original}") for name, original, kind in index["copies"]]
    told = "; ".join(f"{printable(name)}: {printable(reason)}" for name, reason in reasons[:3])
    more = f"; and {len(reasons) - 3:,} more" if len(reasons) > 3 else ""
    return DataError(
        f"{len(index['names'])} usable faces were found in {', '.join(str(path) for path in paths)}; at least "
        f"{MIN_FACES} are needed{f' (skipped: {told}{more})' if reasons else ''}. "
        "Add PNG, JPEG, WebP, GIF, BMP or AVIF pictures."
    )


def decode_all(
    pictures: Sequence[Picture],
    image_size: int,
    file: Path,
    keep_duplicates: bool,
    progress: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    """Write all faces to use to `file`, one after the other, and return what is known of them, ready for JSON.

    Which faces are duplicates and which are held out is judged at 64 px, whatever size is written.
    """
    judged_file = file if image_size == JUDGED_SIDE else file.with_name(JUDGED_FILE)
    names: list[str] = []
    shapes: list[tuple[int, int, bool]] = []
    skipped: list[tuple[str, str, str]] = []
    copies: list[tuple[str, str, str]] = []
    hashes, repeated = bytearray(), []
    first: dict[bytes, int] = {}  # the digest of a face's pixels -> the first face that has them
    with ExitStack() as stack:
        out = stack.enter_context(file.open("wb"))
        judged_out = out if judged_file == file else stack.enter_context(judged_file.open("wb"))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # Pillow's remarks on what it repaired, and on sizes that `decode` refuses
        examined = stack.enter_context(closing(in_order(partial(examine, image_size), pictures)))
        for number, (picture, found) in enumerate(zip(pictures, examined, strict=True), start=1):
            if progress:
                progress(number, len(pictures))
            if isinstance(found, Exception):
                kind = "too small" if isinstance(found, TooSmallError) else "unreadable"
                skipped.append((picture.name, str(found), kind))
                continue
            face, judged, grey, bits = found
            pixels = judged.pixels.tobytes()
            original = first.setdefault(hashlib.sha256(pixels).digest(), len(names))
            if original < len(names):
                copies.append((picture.name, names[original], "exact duplicate"))
                if not keep_duplicates:
                    continue
                repeated.append(len(names))
            names.append(picture.name)
            shapes.append((face.width, face.height, grey))
            hashes += bits
            out.write(face.pixels.tobytes())
            if judged_out is not out:
                judged_out.write(pixels)
    codes = np.frombuffer(bytes(hashes), np.uint64).reshape(-1, 4)  # (N, 4)
    groups = near_duplicate_groups(codes)
    compared = groups.copy()
    compared[repeated] = len(groups) + np.arange(len(repeated))  # groups of their own: they are known as duplicates
    areas = [width * height for width, height, _ in shapes]
    near = copies_in_groups(judged_file, JUDGED_SIDE, codes, compared, areas)
    copies += [(names[number], names[original], "near duplicate") for number, original in sorted(near.items())]
    kept = [number for number in range(len(names)) if keep_duplicates or number not in near]
    keep_records(file, image_size**2 * 3, kept)
    if judged_file != file:
        judged_file.unlink()
    train, held_out = split_by_group(groups[kept])
    return {
        "names": [names[number] for number in kept],
        "shapes": [shapes[number] for number in kept],
        "groups": groups[kept].tolist(),
        "train": train.tolist(),
        "held_out": held_out.tolist(),
        "skipped": skipped,
        "copies": copies,
        "duplicates_kept": keep_duplicates,
    }


def examine(image_size: int, picture: Picture) -> tuple[Face, Face, bool, bytes] | Exception:
    """The face in a picture, the same at 64 px, whether it is grey, and its difference hash; or why there is none."""
    try:
        data = picture.read()
        face = decode(data, image_size)
        judged = face if image_size == JUDGED_SIDE else decode(data, JUDGED_SIDE)
    except (DataError, OSError) as error:
        return error
    return face, judged, is_grey(judged.pixels), difference_hash(judged.pixels).tobytes()


def keep_records(file: Path, length: int, kept: Sequence[int]) -> None:
    """Leave of a file of equally long records those whose numbers are given, ascending, without a second copy."""
    with file.open("r+b") as records:
        for place, number in enumerate(kept):
            if place != number:
                records.seek(number * length)
                record = records.read(length)
                records.seek(place * length)
                records.write(record)
        records.truncate(len(kept) * length)


def content_key(paths: Sequence[Path], keep_duplicates: bool = False) -> str:
    """SHA-256 over the bytes of every zip and every picture below every folder, with their relative names."""
    digest = hashlib.sha256(b"duplicates kept" if keep_duplicates else b"")
    for path in paths:
        if path.is_dir():
            for name, reason in walk(path):
                if not reason and is_picture_name(name):
                    digest.update(name.encode(errors="surrogateescape"))
                    with suppress(OSError):  # a file that may not be read is skipped when its turn comes
                        digest.update(file_digest(path / name))
        else:
            digest.update(file_digest(path))
    return digest.hexdigest()


def file_digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()
