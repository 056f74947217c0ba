"""Finding pictures in folders and zips, and reading each safely as a square RGB face."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ganime.errors import DataError

if TYPE_CHECKING:
    from jaxtyping import UInt8

Item = TypeVar("Item")
Result = TypeVar("Result")
SUFFIXES = {".png", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".avif"}
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF")  # what a file may be, whatever its name ends in
OTHER_PICTURES = {".tif", ".tiff", ".heic", ".heif", ".jxl", ".jp2", ".psd", ".svg", ".ico", ".tga"}
ARCHIVES = {".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst"}
SYSTEM_NAMES = {"__MACOSX", "Thumbs.db", "desktop.ini"}
MIN_SIDE = 16  # px; smaller pictures say nothing about a face
MAX_PIXELS = 50_000_000
MAX_FILE_BYTES = 64 * 1024**2
MAX_ENTRIES = 2_000_000
ENTRY_MARK, ENTRY_BYTES = b"PK\x01\x02", 512  # what an entry in a zip's directory begins with; how long it may be
MAX_RATIO = 200  # unpacked to packed bytes of one zip entry; pictures are compressed already
LARGE_PIXELS = 16_000_000  # decoded one at a time, so that many threads never hold many of them
GREY_LEVELS = 12  # of 255; a picture whose channels never differ by more has no colour, only traces of compression
MOST_THREADS = 8
LARGE = Lock()
LINK, CLOSED_FOLDER = "a symbolic link", "a folder that cannot be opened"


class TooSmallError(DataError):
    """A picture with fewer pixels than a face needs."""


class TooManyError(DataError):
    """A zip with more entries than are read."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A file that may be a face: its name for people, and how to read its bytes."""

    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Face:
    """A picture as a square face: uint8 (size, size, 3), RGB; width and height of the whole picture, upright, in px."""

    pixels: UInt8[np.ndarray, "size size 3"]
    width: int
    height: int


def decode(data: bytes, image_size: int) -> Face:
    """One picture as a square RGB face: first frame, upright, on white, centre-cropped, Lanczos-resized.

    Raises DataError with a short reason when it is no picture, damaged, too large or (TooSmallError) too small.
    """
    if not data:
        raise DataError("an empty file")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise DataError(f"{width} x {height} pixels; at most {MAX_PIXELS:,} are read")
        if min(width, height) < MIN_SIDE:
            raise TooSmallError(f"{width} x {height} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed")
        image.draft("RGB", (image_size * 2, image_size * 2))  # JPEG alone: decode at a fraction, then resize
        with LARGE if image.width * image.height > LARGE_PIXELS else nullcontext():
            upright = ImageOps.exif_transpose(image)
            if upright.size != image.size:
                width, height = height, width
            square = ImageOps.fit(to_rgb(upright), (image_size, image_size), Image.Resampling.LANCZOS)
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"far more than the {MAX_PIXELS:,} pixels that are read") from error
    except UnidentifiedImageError as error:
        raise DataError("not a picture that can be read") from error
    except Exception as error:  # a damaged picture raises nearly every kind, AVIF's decoder RuntimeError
        raise DataError(f"damaged picture: {error}") from error
    return Face(np.asarray(square), width, height)


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode that these formats have as RGB: 16-bit scaled down, transparency composited on white."""
    if image.mode in ("I", "I;16", "I;16B"):
        values = np.asarray(image)
        grey = (values // 257).clip(0, 255).astype(np.uint8)  # 65535 is 255, and 0 is 0
        if isinstance(clear := image.info.get("transparency"), int):
            grey[values == clear] = 255
        return Image.fromarray(grey).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def is_grey(face: UInt8[np.ndarray, "size size 3"]) -> bool:
    """Whether no pixel of a face has more than a trace of colour."""
    red, green, blue = (face[..., channel].astype(np.int16) for channel in range(3))  # (size, size) each
    return bool(max(abs(red - green).max(), abs(green - blue).max(), abs(red - blue).max()) <= GREY_LEVELS)


def list_pictures(
    path: Path,
    skipped: list[tuple[str, str]],
    archives: ExitStack,
    passed_over: Counter[str] | None = None,
    most_entries: int = MAX_ENTRIES,
) -> Iterator[Picture]:
    """The pictures in a folder (nested, links not followed) or zip, in order of name.

    What is named like a picture and is not read goes to `skipped` with the reason; all other files are counted by
    kind in `passed_over`. Zips stay open, so that their pictures can be read, until `archives` is closed.
    Raises DataError for what is neither a folder nor a whole zip, TooManyError for a zip with too many entries.
    """
    passed_over = Counter() if passed_over is None else passed_over
    if path.is_dir():
        for name, reason in walk(path):
            if reason and (is_picture_name(name) or reason == CLOSED_FOLDER):
                skipped.append((name, reason))
            elif is_picture_name(name):
                yield Picture(name, partial(read_file, path, name))
            else:
                passed_over["links" if reason == LINK else kind_of(name)] += 1
        return
    archive, lock = open_zip(path, archives, most_entries), Lock()
    for entry in sorted(archive.infolist(), key=lambda entry: entry.filename):
        if entry.filename.endswith("/"):  # a folder; is_dir() fails for an entry without a name
            continue
        if not is_picture_name(entry.filename):
            passed_over[kind_of(entry.filename)] += 1
        elif reason := refusal(entry):
            skipped.append((entry.filename, reason))
        else:
            yield Picture(entry.filename, partial(read_entry, archive, lock, entry))


def walk(folder: Path) -> Iterator[tuple[str, str]]:
    """All below a folder that is no folder itself, in order of name: the path in it, and why it is not read or "".

    Links are not followed. A folder that cannot be opened comes as one such thing. Names alone are held in memory.
    """
    waiting = [("", "folder")]
    while waiting:
        name, kind = waiting.pop()
        if kind != "folder":
            yield name, kind
            continue
        try:
            with os.scandir(folder / name) as entries:
                below = [(f"{name}/{entry.name}" if name else entry.name, kind_of_entry(entry)) for entry in entries]
        except OSError:
            yield name or ".", CLOSED_FOLDER
        else:
            waiting += sorted(below, reverse=True)


def kind_of_entry(entry: os.DirEntry[str]) -> str:
    """Folder, or why an entry of a folder is not read, or "" for a plain file."""
    if entry.is_symlink():
        return LINK
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    return "" if entry.is_file(follow_symlinks=False) else "neither a file nor a folder"


def kind_of(name: str) -> str:
    """What a file that is named like no picture may be, for the count of those that are passed over."""
    path = PurePosixPath(name)
    if any(part.startswith(".") or part in SYSTEM_NAMES for part in path.parts):
        return "hidden and system files"
    suffix = path.suffix.lower()
    if suffix in ARCHIVES:
        return "archives inside"
    return "pictures of other formats" if suffix in OTHER_PICTURES else "other files"


def is_picture_name(name: str) -> bool:
    """Whether a name ends like a picture's and lies in no hidden or system folder."""
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not any(
        part.startswith(".") or part in SYSTEM_NAMES for part in path.parts
    )


def read_file(folder: Path, name: str) -> bytes:
    """The bytes of a file below a folder. Raises DataError when they are too many."""
    with (folder / name).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_FILE_BYTES:
            raise DataError(f"{size:,} bytes; at most {MAX_FILE_BYTES:,} are read")
        return file.read(size)


class SparingFile(io.BufferedReader):
    """A zip's bytes for zipfile, which reads the directory in one piece and makes some hundred bytes of each entry.

    While the zip is opened TooManyError is raised in between when there are more than `most` entries; whatever the zip
    says of their number, this one is of what zipfile goes on with.
    """

    def __init__(self, path: Path, most: int) -> None:
        super().__init__(io.FileIO(path))
        self.path, self.most, self.opening = path, most, True

    def read(self, size: int | None = -1) -> bytes:
        if self.opening and (size or 0) > self.most * ENTRY_BYTES:
            raise TooManyError(f"{self.path} has a directory of {size:,} bytes, too much for {self.most:,} entries.")
        data = super().read(size)
        if self.opening and (entries := data.count(ENTRY_MARK)) > self.most:
            raise TooManyError(f"{self.path} has {entries:,} entries; at most {self.most:,} are read.")
        return data


def open_zip(path: Path, archives: ExitStack, most_entries: int = MAX_ENTRIES) -> zipfile.ZipFile:
    """A readable zip, open until `archives` is closed. Raises DataError naming the file when it is none."""
    if not path.exists():
        raise DataError(f"{path} does not exist. Give a folder or zip of pictures.")
    try:
        if not path.is_file():
            raise ValueError("no ordinary file")
        file = archives.enter_context(SparingFile(path, most_entries))
        archive = archives.enter_context(zipfile.ZipFile(file))
        file.opening = False
        return archive
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise DataError(f"{path} is neither a folder nor a whole zip file ({error}).") from error


def refusal(entry: zipfile.ZipInfo) -> str:
    """Why an entry of a zip is not read, or an empty string."""
    if stat.S_ISLNK(entry.external_attr >> 16):
        return LINK
    if entry.flag_bits & 0x1:
        return "encrypted"
    if entry.file_size > MAX_FILE_BYTES:
        return f"{entry.file_size:,} bytes; at most {MAX_FILE_BYTES:,} are read"
    if entry.file_size > MAX_RATIO * max(1, entry.compress_size):
        return "unpacks to suspiciously much"
    return ""


def read_entry(archive: zipfile.ZipFile, lock: Lock, entry: zipfile.ZipInfo) -> bytes:
    """The bytes of an entry, never more than it declares; one thread at a time reads an archive."""
    try:
        with lock, archive.open(entry) as file:
            return file.read(entry.file_size)
    except Exception as error:  # zlib's, lzma's and others that share no base
        raise DataError(f"damaged in the zip: {error}") from error


def in_order(function: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
    """The results of `function` in the order of `items`, computed by several threads a little ahead."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = min(cores, MOST_THREADS)
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
