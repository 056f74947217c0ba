"""Decoding each picture safely to a square RGB face."""

from __future__ import annotations

import ctypes
import io
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Condition, Lock
from typing import TypeVar

import numpy as np
import pillow_heif
from PIL import Image, ImageOps, UnidentifiedImageError

from ganime.background import cores, in_order
from ganime.errors import DataError
from ganime.faces.decoder_memory import JPEG_FORMATS, decoder_bytes, webp_table_bytes
from ganime.faces.kinds import HEAD_BYTES, PICTURE, in_words, kind_by_content
from ganime.faces.mending import nearly_whole
from ganime.faces.pixels import to_rgb
from ganime.faces.search import MAX_PICTURE_BYTES
from ganime.opening import open_header
from ganime.shapes import UInt8

Value = TypeVar("Value")
Result = TypeVar("Result")
# Accepted contents, whatever the suffix. TGA has no mark, so anything may be taken for one: it comes last.
# Opening any of these decodes nothing; Pillow would decode an ICO then, before its size is known.
FORMATS = (
    *("PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF", "HEIF", "TIFF", "JPEG2000"),
    *("PPM", "QOI", "PSD", "DIB", "TGA"),
)
MIN_SIDE = 16  # px; a smaller picture cannot show a face
MAX_PICTURE_PIXELS = 50_000_000
MAX_THREADS = 8
ORIENTATION = 0x0112  # in EXIF
TURNS = {  # that undo an orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (TURNS[5], TURNS[6], TURNS[7], TURNS[8])  # change width and height
BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}  # of a pixel in Pillow's memory
RGB_BYTES = 4  # of all other modes, RGB too
MAX_DECODER_BYTES = 300_000_000  # of one picture
MAX_SLOW_PIXELS = 4_000_000  # of a picture that Pillow decodes in Python, which takes seconds
SLOW = {"qoi": "QOI", "ppm": "PPM of other than 255 levels", "ppm_plain": "PPM in plain text"}
MAX_COMMENTS = 1_000  # in a PPM in plain text; its decoder moves the text for each of them
MUCH = 2**23  # bytes; who takes more first returns what others have freed
TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
pillow_heif.register_heif_opener(decode_threads=1)  # pictures are decoded in threads of their own


def return_freed_memory() -> None:
    """Return memory to the system that was freed: glibc keeps it for each thread that has used it (`malloc_trim`)."""
    if TRIM:
        TRIM(0)


class Room:
    """Memory that threads share: who needs more than is free waits for it, each after those who came before."""

    def __init__(self, size: int) -> None:
        self.size = self.free = size  # in bytes
        self.first, self.changed = Lock(), Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Have so many bytes, all of them if there are fewer."""
        size = min(size, self.size)
        with self.first, self.changed:  # the first one waits for room, the others for the first
            self.changed.wait_for(lambda: self.free >= size)
            self.free -= size
        if size >= MUCH:
            return_freed_memory()
        try:
            yield
        finally:
            with self.changed:
                self.free += size
                self.changed.notify()


PICTURES = Room(RGB_BYTES * MAX_PICTURE_PIXELS)  # of all pictures that are decoded, but the
SMALL_PICTURES = Room(2**26)  # small ones, which do not wait for large ones
FILES = Room(MAX_PICTURE_BYTES)  # of all encoded pictures


class TooSmallError(DataError):
    """A picture with fewer pixels than a face needs."""


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

    A picture that is slightly damaged is read as browsers show it.

    draft_side: a JPEG is decoded at a fraction of its size, but with no side below this, in px; None for its full size.
    The width and height are those of the full picture. A picture is in memory only while `work` runs, and all together
    have as much as the largest one; one that would need much more while it is converted or turned is read at half its
    sides.

    Raises DataError with a short reason when the data are no picture, damaged or too large, TooSmallError when the
    picture is smaller than 16 x 16 px.
    """
    if not data:
        raise DataError("an empty file")
    try:
        return work_on(open_picture(data), work, draft_side)
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"far more than the {MAX_PICTURE_PIXELS:,} pixels that are read") from error
    except Exception as error:  # decoders raise nearly anything on damaged data; AVIF's raises RuntimeError
        reason = reason_for(data, error)
    mended = mend(data)  # not above, where the error would keep what was decoded in memory
    if mended is None:
        raise DataError(reason)
    return work_on(mended, work, draft_side)


def open_picture(data: bytes) -> Image.Image:
    """Open a picture without decoding it. Raises DataError for one that is too large or too small."""
    image = open_header(io.BytesIO(data), FORMATS)
    width, height = image.size
    if width * height > MAX_PICTURE_PIXELS:
        raise DataError(f"{width} x {height} pixels; at most {MAX_PICTURE_PIXELS:,} are read")
    if (needed := decoder_bytes(image)) > MAX_DECODER_BYTES:
        raise DataError(
            f"{width} x {height} pixels as {image.format} that need {needed / 1e6:,.0f} MB to be decoded; at most "
            f"{MAX_DECODER_BYTES / 1e6:,.0f} MB are given to one picture. Save it smaller, or as PNG"
        )
    form = SLOW.get(codec_of(image), "")
    if form and width * height > MAX_SLOW_PIXELS:
        raise DataError(
            f"{width} x {height} pixels as {form}; at most {MAX_SLOW_PIXELS:,} are read of this form. Save it as PNG"
        )
    if codec_of(image) == "ppm_plain" and data.count(b"#") > MAX_COMMENTS:
        raise DataError(f"a PPM with more than {MAX_COMMENTS:,} comments. Save it as PNG")
    if min(width, height) < MIN_SIDE:
        raise TooSmallError(f"{width} x {height} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed")
    return image


def codec_of(image: Image.Image) -> str:
    """The name of what decodes an open picture; empty where its plugin does all of that."""
    return image.tile[0].codec_name if image.tile else ""  # type: ignore[attr-defined]


def work_on(image: Image.Image, work: Callable[[Image.Image, int, int], Result], draft_side: int | None) -> Result:
    """What `work` makes of an open picture; see `decode_with`. Raises what Pillow raises on damaged data."""
    width, height = image.size
    decoder = decoder_bytes(image) + webp_table_bytes(image)
    if draft_side and image.format in JPEG_FORMATS:  # which are decoded at a fraction of the size; a HEIF would
        image.draft("RGB", (draft_side, draft_side))  # decode its thumbnails here, before it has room
    stored = image.size
    needed = image.width * image.height * (BYTES.get(image.mode, RGB_BYTES) + RGB_BYTES)  # for itself and a copy
    room = SMALL_PICTURES if decoder + needed <= SMALL_PICTURES.size // 4 else PICTURES
    with room.taken(decoder + needed):
        image.load()
        turn = turn_of(image)
        if (image.size != stored) != (turn in SIDEWAYS):  # Pillow turns a TIFF by itself
            width, height = height, width
        copied = turn is not None or image.mode != "RGB" or "transparency" in image.info
        picture = to_rgb(image, factor=2 if copied and needed > PICTURES.size else 1)
        del image
        return work(picture if turn is None else picture.transpose(turn), width, height)


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """What turns a decoded picture as its EXIF says; None where it stays as it is, or where that cannot be read."""
    with suppress(Exception):  # EXIF is parsed by many readers, which raise what they like
        return TURNS.get(image.getexif().get(ORIENTATION, 1))
    return None


def mend(data: bytes) -> Image.Image | None:
    """A slightly damaged picture, whole again, upright and RGB; None when too much is missing.

    Raises DataError as `open_picture` does.
    """
    try:
        with PICTURES.taken(PICTURES.size):  # it is decoded three times
            mended = nearly_whole(data, open_picture)
            if mended is None:
                return None
            turn = turn_of(mended)
            picture = to_rgb(mended)
            return picture if turn is None else picture.transpose(turn)
    except DataError:
        raise
    except Exception:  # see `decode_with`
        return None


def reason_for(data: bytes, error: Exception) -> str:
    """Why data that Pillow failed on with `error` are no face."""
    kind = kind_by_content(data[:HEAD_BYTES])
    if kind != PICTURE:
        return f"not a picture but {in_words(kind)}"
    if isinstance(error, UnidentifiedImageError):
        return "damaged picture: its header cannot be read"
    return f"damaged picture: {error}"


def map_in_order(function: Callable[[Value], Result], items: Iterable[Value]) -> Generator[Result, None, None]:
    """Yield the results of `function` in the order of `items`; up to 8 threads compute a little ahead."""
    threads = min(cores(), MAX_THREADS)
    with ThreadPoolExecutor(threads) as pool:
        yield from in_order(pool, function, items, 2 * threads + 1)
