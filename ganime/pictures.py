"""Finding pictures in folders and zips, and reading each safely as a square RGB face."""

from __future__ import annotations

import io
import stat
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ganime.errors import DataError

if TYPE_CHECKING:
    from jaxtyping import UInt8

SUFFIXES = {".png", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".avif"}
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF")  # what a file may be, whatever its name ends in
MIN_SIDE = 16  # px; smaller pictures say nothing about a face
MAX_PIXELS = 50_000_000
MAX_FILE_BYTES = 64 * 1024**2
MAX_ENTRIES = 2_000_000
MAX_RATIO = 200  # unpacked to packed bytes of one zip entry; pictures are compressed already


@dataclass(frozen=True)
class Picture:
    """A file that may be a face: its name for people, its size in bytes, and how to read it."""

    name: str
    read: Callable[[], bytes]


def decode(data: bytes, image_size: int) -> UInt8[np.ndarray, "size size 3"]:
    """One picture as a square RGB face: first frame, upright, on white, centre-cropped, Lanczos-resized.

    Raises DataError with a short reason when it is no picture, damaged, too large or too small.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise DataError(f"{width} x {height} pixels; at most {MAX_PIXELS:,} are read")
            if min(width, height) < MIN_SIDE:
                raise DataError(f"{width} x {height} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed")
            image.draft("RGB", (image_size * 2, image_size * 2))  # JPEG alone: decode at a fraction, then resize
            image = to_rgb(ImageOps.exif_transpose(image))
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError("not a picture that can be read") from error
    except Exception as error:  # a damaged picture raises nearly every kind, AVIF's decoder RuntimeError
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


def list_pictures(path: Path, skipped: list[tuple[str, str]], archives: ExitStack) -> Iterator[Picture]:
    """The pictures in a folder (nested, links not followed) or zip, in order of name; odd files go to `skipped`.

    Zips stay open, so that their pictures can be read, until `archives` is closed.
    """
    if path.is_dir():
        for file in folder_files(path):
            if file.stat().st_size > MAX_FILE_BYTES:
                skipped.append(
                    (str(file.relative_to(path)), f"{file.stat().st_size:,} bytes; at most {MAX_FILE_BYTES:,} are read")
                )
            else:
                yield Picture(str(file.relative_to(path)), file.read_bytes)
        return
    archive = archives.enter_context(open_zip(path))
    entries = sorted(archive.infolist(), key=lambda entry: entry.filename)
    if len(entries) > MAX_ENTRIES:
        raise DataError(f"{path} has {len(entries):,} entries; at most {MAX_ENTRIES:,} are read.")
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
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
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
    except Exception as error:  # zlib's, lzma's and others that share no base
        raise DataError(f"damaged in the zip: {error}") from error
