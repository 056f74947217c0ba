"""Folders and zips of face pictures -> one memory-mapped uint8 dataset with an honest held-out part."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from ganime.errors import DataError
from ganime.files import atomic_file, atomic_folder

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from torch import Tensor

SUFFIXES = {".png", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".avif"}
MIN_FACES = 16
MIN_SIDE = 16  # px; smaller pictures say nothing about a face
MAX_PIXELS = 50_000_000
MAX_FILE_BYTES = 64 * 1024**2
MAX_ENTRIES = 2_000_000
MAX_RATIO = 200  # unpacked to packed bytes of one zip entry; pictures are compressed already
HELD_OUT_SHARE, HELD_OUT_MOST = 0.1, 1_000
NEAR_DUPLICATE_BITS = 6  # of the 64 bits of a difference hash


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
        chosen = np.empty(count, np.int64)
        for epoch in np.unique(positions // size):
            order = np.random.default_rng([seed, int(epoch)]).permutation(size)
            inside = positions // size == epoch
            chosen[inside] = self.train[order[positions[inside] % size]]
        faces = torch.from_numpy(self.images[chosen]).permute(0, 3, 1, 2)  # (B, 3, S, S), channels-last in memory
        faces = faces.to(torch.float32, memory_format=torch.channels_last) / 127.5 - 1
        if flip:
            mirrored = torch.from_numpy(np.random.default_rng([seed, start, 1]).random(count) < 0.5)
            faces = torch.where(mirrored[:, None, None, None], faces.flip(3), faces)
        return faces.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Picture:
    """A file that may be a face: its name for people, its size in bytes, and how to read it."""

    name: str
    read: Callable[[], bytes]


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
    folder = cache / f"{key[:32]}-{image_size}"
    if not (folder / "index.json").is_file():
        with atomic_folder(folder) as temporary:
            decode_all(paths, image_size, temporary, progress)
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    return FaceDataset(
        images=np.load(folder / "faces.npy", mmap_mode="r"),
        train=np.array(index["train"], np.int64),
        held_out=np.array(index["held_out"], np.int64),
        names=index["names"],
        skipped=[(name, reason) for name, reason in index["skipped"]],
        key=key,
    )


def decode_all(
    paths: Sequence[Path], image_size: int, folder: Path, progress: Callable[[int, int], None] | None
) -> None:
    """Write `faces.npy` and `index.json` for all usable pictures of the sources."""
    skipped: list[tuple[str, str]] = []
    pictures = [picture for path in paths for picture in list_pictures(path, skipped)]
    names, digests, hashes = [], set(), []
    faces = np.lib.format.open_memmap(
        folder / "all.npy", mode="w+", dtype=np.uint8, shape=(max(1, len(pictures)), image_size, image_size, 3)
    )
    for number, picture in enumerate(pictures):
        try:
            face = decode(picture.read(), image_size)
        except DataError as error:
            skipped.append((picture.name, str(error)))
            continue
        finally:
            if progress:
                progress(number + 1, len(pictures))
        digest = hashlib.sha256(face.tobytes()).digest()
        if digest in digests:
            skipped.append((picture.name, "exact duplicate"))
            continue
        digests.add(digest)
        faces[len(names)] = face
        hashes.append(difference_hash(face))
        names.append(picture.name)
    if len(names) < MIN_FACES:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped[:3])
        raise DataError(
            f"{len(names)} usable faces were found in {', '.join(str(path) for path in paths)}; at least {MIN_FACES} "
            f"are needed{f' (skipped: {reasons})' if reasons else ''}. Add PNG, JPEG, WebP, GIF, BMP or AVIF pictures."
        )
    with atomic_file(folder / "faces.npy") as temporary:
        kept = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=(len(names), *faces.shape[1:]))
        kept[:] = faces[: len(names)]
        kept.flush()
    del faces, kept
    (folder / "all.npy").unlink()
    train, held_out = split_by_group(near_duplicate_groups(np.array(hashes, np.uint64)))
    index = {"names": names, "skipped": skipped, "train": train.tolist(), "held_out": held_out.tolist()}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")


def decode(data: bytes, image_size: int) -> UInt8[np.ndarray, "size size 3"]:
    """One picture as a square RGB face: first frame, upright, on white, centre-cropped, Lanczos-resized.

    Raises DataError with a short reason when it is no picture, damaged, too large or too small.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise DataError(f"{width} x {height} pixels; at most {MAX_PIXELS:,} are read")
            if min(width, height) < MIN_SIDE:
                raise DataError(f"{width} x {height} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed")
            image.draft("RGB", (image_size * 2, image_size * 2))  # JPEG alone: decode at a fraction, then resize
            image = to_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        raise DataError("not a picture that can be read") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"damaged picture: {error}") from error
    return np.asarray(ImageOps.fit(image, (image_size, image_size), Image.Resampling.LANCZOS))


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode as RGB: 16-bit scaled down, transparency composited on white."""
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "F"):
        values = np.asarray(image, np.float64)
        values = values / (257 if image.mode != "F" or values.max() > 255 else 1)
        return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def list_pictures(path: Path, skipped: list[tuple[str, str]]) -> Iterator[Picture]:
    """The pictures in a folder (nested, links not followed) or zip, in order of name; odd files go to `skipped`."""
    if path.is_dir():
        for file in folder_files(path):
            if file.stat().st_size > MAX_FILE_BYTES:
                skipped.append((file.name, f"{file.stat().st_size:,} bytes; at most {MAX_FILE_BYTES:,} are read"))
            else:
                yield Picture(str(file.relative_to(path)), file.read_bytes)
        return
    with open_zip(path) as archive:
        entries = sorted(archive.infolist(), key=lambda entry: entry.filename)
    if len(entries) > MAX_ENTRIES:
        raise DataError(f"{path} has {len(entries):,} entries; at most {MAX_ENTRIES:,} are read.")
    archive = open_zip(path)
    for entry in entries:
        if is_picture_name(entry.filename) and not entry.is_dir():
            reason = refusal(entry)
            if reason:
                skipped.append((entry.filename, reason))
            else:
                yield Picture(entry.filename, lambda entry=entry: read_entry(archive, entry))


def folder_files(path: Path) -> Iterator[Path]:
    """Picture files below a folder in order of name, hidden files and symbolic links left out."""
    for file in sorted(path.rglob("*")):
        if file.is_file() and not file.is_symlink() and is_picture_name(file.relative_to(path).as_posix()):
            yield file


def is_picture_name(name: str) -> bool:
    """Whether a name ends like a picture's and lies in no hidden or system folder."""
    parts = PurePosixPath(name).parts
    return PurePosixPath(name).suffix.lower() in SUFFIXES and not any(
        part.startswith(".") or part == "__MACOSX" for part in parts
    )


def open_zip(path: Path) -> zipfile.ZipFile:
    """A readable zip. Raises DataError naming the file when it is not there or not one."""
    if not path.exists():
        raise DataError(f"{path} does not exist. Give a folder or zip of pictures.")
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path} is neither a folder nor a whole zip file ({error}).") from error


def refusal(entry: zipfile.ZipInfo) -> str:
    """Why an entry of a zip is not read, or an empty string."""
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "a symbolic link"
    if entry.flag_bits & 0x1:
        return "encrypted"
    if entry.file_size > MAX_FILE_BYTES:
        return f"{entry.file_size:,} bytes; at most {MAX_FILE_BYTES:,} are read"
    if entry.file_size > MAX_RATIO * max(1, entry.compress_size):
        return "unpacks to suspiciously much"
    return ""


def read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The bytes of an entry, never more than it declares."""
    try:
        with archive.open(entry) as file:
            return file.read(entry.file_size)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"damaged in the zip: {error}") from error


def content_key(paths: Sequence[Path]) -> str:
    """SHA-256 over the bytes of every zip and every picture below every folder, with their relative names."""
    digest = hashlib.sha256()
    for path in paths:
        if path.is_dir():
            for file in folder_files(path):
                digest.update(file.relative_to(path).as_posix().encode(errors="surrogateescape"))
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


def difference_hash(face: UInt8[np.ndarray, "size size 3"]) -> int:
    """The 64-bit difference hash (dHash) of a face: which of neighbouring pixels is brighter, in a 9x8 thumbnail."""
    small = np.asarray(Image.fromarray(face).convert("L").resize((9, 8), Image.Resampling.LANCZOS), np.int16)
    return int.from_bytes(np.packbits(small[:, 1:] > small[:, :-1]).tobytes(), "big")


def near_duplicate_groups(hashes: UInt8[np.ndarray, " n"]) -> np.ndarray:
    """A group number for each hash: connected components of pairs that differ in at most 6 of 64 bits."""
    parent = np.arange(len(hashes))

    def root(member: int) -> int:
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member

    for row, value in enumerate(hashes):
        later = hashes[row + 1 :]
        close = np.flatnonzero(np.bitwise_count(later ^ value) <= NEAR_DUPLICATE_BITS) + row + 1
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
