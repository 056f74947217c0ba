"""Finding pictures in folders and zips, and decoding each safely to a square RGB face."""

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
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ganime.errors import DataError
from ganime.shapes import UInt8

Value = TypeVar("Value")
Result = TypeVar("Result")
SUFFIXES = {".png", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".avif"}
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF")  # accepted contents, whatever the suffix
OTHER_PICTURES = {".tif", ".tiff", ".heic", ".heif", ".jxl", ".jp2", ".psd", ".svg", ".ico", ".tga"}
ARCHIVES = {".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst"}
SYSTEM_NAMES = {"__MACOSX", "Thumbs.db", "desktop.ini"}
MIN_SIDE = 16  # px; a smaller picture cannot show a face
MAX_PICTURE_PIXELS = 50_000_000
MAX_PICTURE_BYTES = 64 * 1024**2
MAX_ENTRIES = 2_000_000  # of a zip
ENTRY_SIGNATURE = b"PK\x01\x02"  # starts each entry in a zip's directory
ENTRY_BYTES = 512  # allowed per entry in a zip's directory
MAX_RATIO = 200  # unpacked to packed bytes of a zip entry; pictures are already compressed
LARGE_PIXELS = 16_000_000  # larger pictures are decoded one at a time, to limit the memory of many threads
LARGE_PICTURE_LOCK = Lock()
GREY_LEVELS = 12  # of 255; channels that never differ by more are grey with traces of compression
MAX_THREADS = 8
LINK, CLOSED_FOLDER = "a symbolic link", "a folder that cannot be opened"


class TooSmallError(DataError):
    """A picture with fewer pixels than a face needs."""


class TooManyError(DataError):
    """A zip with more entries than are read."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A file that may be a face.

    name: its path in the source, with slashes.
    read: returns its bytes, or raises DataError or OSError.
    """

    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Face:
    """A decoded face.

    pixels: uint8, (size, size, 3), RGB.
    width, height: of the whole picture, upright, in px.
    """

    pixels: UInt8[np.ndarray, "size size 3"]
    width: int
    height: int


def decode(data: bytes, image_size: int) -> Face:
    """Decode a picture to a square RGB face: first frame, upright, on white, centre-cropped, resized by Lanczos.

    Raises the errors of `decode_with`.
    """

    def fit(picture: Image.Image, width: int, height: int) -> Face:
        square = ImageOps.fit(picture, (image_size, image_size), Image.Resampling.LANCZOS)
        return Face(np.asarray(square), width, height)

    return decode_with(data, fit, draft_side=image_size * 2)


def decode_with(data: bytes, work: Callable[[Image.Image, int, int], Result], draft_side: int | None = None) -> Result:
    """Decode a picture and return what `work` makes of it: the first frame, upright, RGB, on white; width and height.

    draft_side: a JPEG is decoded at a fraction of its size, but with no side below this, in px; None for its full size.
    The width and height are those of the full picture. A large picture is in memory only while `work` runs, one at a
    time.

    Raises DataError with a short reason when the data are no picture, damaged or too large, TooSmallError when the
    picture is smaller than 16 x 16 px.
    """
    if not data:
        raise DataError("an empty file")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        if width * height > MAX_PICTURE_PIXELS:
            raise DataError(f"{width} x {height} pixels; at most {MAX_PICTURE_PIXELS:,} are read")
        if min(width, height) < MIN_SIDE:
            raise TooSmallError(f"{width} x {height} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed")
        if draft_side:
            image.draft("RGB", (draft_side, draft_side))  # JPEG only
        with LARGE_PICTURE_LOCK if image.width * image.height > LARGE_PIXELS else nullcontext():
            upright = ImageOps.exif_transpose(image)
            if upright.size != image.size:
                width, height = height, width
            return work(to_rgb(upright), width, height)
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"far more than the {MAX_PICTURE_PIXELS:,} pixels that are read") from error
    except UnidentifiedImageError as error:
        raise DataError("not a picture that can be read") from error
    except Exception as error:  # decoders raise nearly anything on damaged data; AVIF's raises RuntimeError
        raise DataError(f"damaged picture: {error}") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode that these formats have to RGB: 16 bits scaled to 8, transparency composited on white."""
    if image.mode in ("I", "I;16", "I;16B"):
        values = np.asarray(image)
        grey = (values // 257).clip(0, 255).astype(np.uint8)  # 65535 becomes 255
        if isinstance(transparent := image.info.get("transparency"), int):
            grey[values == transparent] = 255
        return Image.fromarray(grey).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def is_grey(face: UInt8[np.ndarray, "size size 3"]) -> bool:
    """Whether no pixel of a face has more than a trace of colour."""
    return bool((face.max(2) - face.min(2)).max() <= GREY_LEVELS)


def list_pictures(
    path: Path,
    skipped: list[tuple[str, str]],
    archives: ExitStack,
    passed_over: Counter[str] | None = None,
    most_entries: int = MAX_ENTRIES,
) -> Iterator[Picture]:
    """Yield the pictures in a folder (with its subfolders; links are not followed) or in a zip, in order of name.

    path: the folder or zip.
    skipped: receives (name, reason) of each file that is named like a picture and cannot be read.
    archives: keeps a zip open until it is closed, so that the pictures can be read.
    passed_over: receives the counts of all other files by kind.
    most_entries: allowed in a zip.

    Raises DataError when `path` is neither a folder nor a whole zip, TooManyError when the zip has too many entries.
    """
    passed_over = Counter() if passed_over is None else passed_over
    if path.is_dir():
        yield from pictures_in_folder(path, skipped, passed_over)
    else:
        yield from pictures_in_zip(open_zip(path, archives, most_entries), skipped, passed_over)


def pictures_in_folder(folder: Path, skipped: list[tuple[str, str]], passed_over: Counter[str]) -> Iterator[Picture]:
    """The pictures in a folder; see `list_pictures`."""
    for name, reason in walk_folder(folder):
        if reason and (is_picture_name(name) or reason == CLOSED_FOLDER):
            skipped.append((name, reason))
        elif is_picture_name(name):
            yield Picture(name, partial(read_picture_file, folder, name))
        else:
            passed_over["links" if reason == LINK else kind_of(name)] += 1


def pictures_in_zip(
    archive: zipfile.ZipFile, skipped: list[tuple[str, str]], passed_over: Counter[str]
) -> Iterator[Picture]:
    """The pictures in an open zip; see `list_pictures`."""
    lock = Lock()
    for entry in picture_entries(archive, skipped, passed_over):
        yield Picture(entry.filename, partial(read_entry, archive, lock, entry))


def picture_entries(
    archive: zipfile.ZipFile, skipped: list[tuple[str, str]], passed_over: Counter[str]
) -> Iterator[zipfile.ZipInfo]:
    """The entries of the pictures in an open zip; see `list_pictures`. Nothing is unpacked."""
    for entry in sorted(archive.infolist(), key=lambda entry: entry.filename):
        if entry.filename.endswith("/"):  # a folder; is_dir() fails for an entry without a name
            continue
        if not is_picture_name(entry.filename):
            passed_over[kind_of(entry.filename)] += 1
        elif reason := reason_to_skip(entry):
            skipped.append((entry.filename, reason))
        else:
            yield entry


def walk_folder(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield everything below a folder except folders, in order of name: (path in it, reason not to read it or "").

    Links are not followed. A folder that cannot be opened is yielded with that reason. Only names are held in memory.
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
    """ "folder", the reason not to read an entry of a folder, or "" for a plain file."""
    if entry.is_symlink():
        return LINK
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    return "" if entry.is_file(follow_symlinks=False) else "neither a file nor a folder"


def kind_of(name: str) -> str:
    """The kind under which a file that is not named like a picture is counted."""
    if is_hidden(name):
        return "hidden and system files"
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in ARCHIVES:
        return "archives inside"
    return "pictures of other formats" if suffix in OTHER_PICTURES else "other files"


def is_picture_name(name: str) -> bool:
    """Whether a path has the suffix of a picture and no hidden or system folder in it."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES and not is_hidden(name)


def is_hidden(name: str) -> bool:
    """Whether any part of a path is the name of a hidden or system file."""
    return any(part.startswith(".") or part in SYSTEM_NAMES for part in PurePosixPath(name).parts)


def read_picture_file(folder: Path, name: str) -> bytes:
    """The bytes of a file below a folder. Raises DataError when the file is larger than 64 MiB."""
    with (folder / name).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_PICTURE_BYTES:
            raise DataError(f"{size:,} bytes; at most {MAX_PICTURE_BYTES:,} are read")
        return file.read(size)


class GuardedZipFile(io.BufferedReader):
    """A zip's bytes for zipfile, which reads the whole directory at once and makes several hundred bytes of each entry.

    While the zip is being opened, a directory with more than `most` entries raises TooManyError. They are counted in
    the bytes that zipfile will parse, whatever number the zip declares.
    """

    def __init__(self, path: Path, most: int) -> None:
        super().__init__(io.FileIO(path))
        self.path, self.most, self.opening = path, most, True

    def read(self, size: int | None = -1) -> bytes:
        if self.opening and (size or 0) > self.most * ENTRY_BYTES:
            raise TooManyError(f"{self.path} has a directory of {size:,} bytes, too much for {self.most:,} entries.")
        data = super().read(size)
        if self.opening and (entries := data.count(ENTRY_SIGNATURE)) > self.most:
            raise TooManyError(f"{self.path} has {entries:,} entries; at most {self.most:,} are read.")
        return data


def open_zip(path: Path, archives: ExitStack, most_entries: int = MAX_ENTRIES) -> zipfile.ZipFile:
    """Open a zip for reading until `archives` is closed.

    Raises DataError, naming the file, when it is missing or not a whole zip, TooManyError when it has too many entries.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist. Give a folder or zip of pictures.")
    try:
        if not path.is_file():
            raise ValueError("not a regular file")
        file = archives.enter_context(GuardedZipFile(path, most_entries))
        archive = archives.enter_context(zipfile.ZipFile(file))
        file.opening = False
        return archive
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise DataError(f"{path} is neither a folder nor a whole zip file ({error}).") from error


def reason_to_skip(entry: zipfile.ZipInfo) -> str:
    """The reason not to read an entry of a zip, or an empty string."""
    if stat.S_ISLNK(entry.external_attr >> 16):
        return LINK
    if entry.flag_bits & 0x1:
        return "encrypted"
    if entry.file_size > MAX_PICTURE_BYTES:
        return f"{entry.file_size:,} bytes; at most {MAX_PICTURE_BYTES:,} are read"
    if entry.file_size > MAX_RATIO * max(1, entry.compress_size):
        return f"unpacks to over {MAX_RATIO} times its packed size, which no picture does"
    return ""


def read_entry(archive: zipfile.ZipFile, lock: Lock, entry: zipfile.ZipInfo) -> bytes:
    """The bytes of an entry, never more than it declares; `lock` lets one thread at a time read the archive.

    Raises DataError when the entry is damaged.
    """
    try:
        with lock, archive.open(entry) as file:
            return file.read(entry.file_size)
    except Exception as error:  # the errors of zlib, lzma and others have no common base
        raise DataError(f"damaged in the zip: {error}") from error


def map_in_order(function: Callable[[Value], Result], items: Iterable[Value]) -> Generator[Result, None, None]:
    """Yield the results of `function` in the order of `items`; up to 8 threads compute a little ahead."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = min(cores, MAX_THREADS)
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
