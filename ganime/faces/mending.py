"""Pictures that are slightly damaged, as browsers show them: broken chunks are left out, a few missing rows filled."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from PIL import Image

from ganime.opening import open_header
from ganime.shapes import Bool, UInt8

MAX_MISSING = 0.1  # share of the pixels that may be missing; they are filled with the row above
MAX_MENDED_PIXELS = 4_000_000  # of a picture; it is decoded three times
ROWS = 64  # that are compared at a time
MAX_DIFFERENCE = 12  # levels; a progressive JPEG without its last bits differs by less
MENDABLE = {"PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP"}
PNG_START, JPEG_START = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
PNG_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT"}  # make the pixels; all others only describe the picture
WEBP_CHUNKS = {b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"}
EXIF, ORIENTATION = b"eXIf", 0x0112
START_OF_SCAN, END_OF_IMAGE = 0xDA, b"\xff\xd9"
FILLER = bytes(range(1, 250)) * 8  # that a JPEG decoder takes for pixels; the end of a whole one comes before
RESTART_INTERVAL, RESTARTS, MAX_RESTARTS = b"\xff\xdd\0\4", range(0xD0, 0xD8), 1_000
PLAIN_MARKERS = {0x01, *range(0xD0, 0xDA)}  # JPEG markers without a segment
DESCRIBING = {*range(0xE1, 0xEE), 0xEF, 0xFE}  # JPEG segments: APP1 to APP13, APP15 and comments


def nearly_whole(data: bytes, open_picture: Callable[[bytes], Image.Image]) -> Image.Image | None:
    """A damaged picture with what is missing of it filled in; None if that is more than a tenth.

    It is decoded twice, with another content in place of what is missing: that is where the two differ.

    open_picture: opens a picture without decoding it. Raises what that and Pillow raise.
    """
    opened = [open_picture(version) for version in rebuilt(data)]
    if opened[0].format not in MENDABLE or any(size_of(picture) > MAX_MENDED_PIXELS for picture in opened):
        return None
    pictures = [load_partly(picture, canvas) for picture, canvas in zip(opened, (0, 255), strict=True)]
    missing = one_colour(pictures[0]) if pictures[0].format == "GIF" else differing(*pictures)
    if missing.mean() > MAX_MISSING:
        return None
    return filled(pictures[0], missing) if missing.any() else pictures[0]


def size_of(picture: Image.Image) -> int:
    """The number of pixels of a picture."""
    return picture.width * picture.height


def pixels_to_mend(data: bytes) -> int:
    """How many pixels are decoded of a picture whose own header cannot be read, by that of the mended one; or 0."""
    try:
        picture = open_header(io.BytesIO(rebuilt(data)[0]), tuple(MENDABLE - {"MPO"}))
    except Exception:  # see `reading.decode_with`
        return 0
    return size_of(picture) if size_of(picture) <= MAX_MENDED_PIXELS else 0


def differing(first: Image.Image, second: Image.Image) -> Bool[np.ndarray, "height width"]:
    """Where two pictures differ; a few rows are compared at a time, in numbers that can be subtracted."""
    parts = []
    for top in range(0, first.height, ROWS):
        box = (0, top, first.width, min(first.height, top + ROWS))
        one, other = (values_of(picture.crop(box)) for picture in (first, second))
        parts.append(np.atleast_3d(abs(one - other)).max(2) > MAX_DIFFERENCE)
    return np.concatenate(parts)


def one_colour(picture: Image.Image) -> Bool[np.ndarray, "height width"]:
    """The rows of a GIF that have only the colour of its last pixel: its decoder has a canvas of its own."""
    pixels = np.asarray(picture)
    return np.broadcast_to((pixels == pixels[-1, -1]).all(1, keepdims=True), pixels.shape)


def values_of(picture: Image.Image) -> np.ndarray:
    """The pixels of a picture as numbers that can be subtracted."""
    return np.asarray(picture.convert("L") if picture.mode == "1" else picture).astype(np.int32)


def load_partly(picture: Image.Image, canvas: int) -> Image.Image:
    """Decode as much of a picture as there is. canvas: value of the pixels that are missing."""
    bands = len(picture.getbands())
    picture.im = Image.new(picture.mode, picture.size, canvas if bands == 1 else (canvas,) * bands).im
    try:
        picture.load()
    except OSError:
        picture.tile = []  # type: ignore[attr-defined]  # nothing more is decoded; the pixels so far are kept
    return picture


def filled(picture: Image.Image, missing: Bool[np.ndarray, "height width"]) -> Image.Image:
    """A picture whose missing pixels are those of the next row that has them. It keeps its orientation."""
    transparent = "A" in picture.getbands() or "transparency" in picture.info
    whole: UInt8[np.ndarray, "height width bands"] = np.array(picture.convert("RGBA" if transparent else "RGB"))
    turned = slice(None, None, -1 if missing[0].any() else 1)  # a bitmap begins with its last row
    pixels, missing = whole[turned], missing[turned]
    for row in np.flatnonzero(missing.any(1)):
        pixels[row][missing[row]] = pixels[max(0, row - 1)][missing[row]]
    result = Image.fromarray(whole)
    with suppress(Exception):  # the description may be what is damaged
        result.getexif()[ORIENTATION] = picture.getexif().get(ORIENTATION, 1)
    return result


def rebuilt(data: bytes) -> tuple[bytes, bytes]:
    """The file with only those of its parts that make the pixels, and its orientation; twice.

    Where bytes are missing at the end, both have others in their place if the format allows that.
    """
    if data.startswith(PNG_START):
        return (known := rebuilt_png(data)), known
    if data.startswith(JPEG_START):
        known = rebuilt_jpeg(data)
        return known + END_OF_IMAGE, known + filler_for(known) + END_OF_IMAGE
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return (known := rebuilt_webp(data)), known
    return data, data


def filler_for(jpeg: bytes) -> bytes:
    """Bytes that a decoder takes for the pixels of a JPEG that has no end, with restart markers if it has those."""
    restarts = [jpeg.rfind(bytes([0xFF, marker])) for marker in RESTARTS]
    if RESTART_INTERVAL not in jpeg or max(restarts) < 0:
        return FILLER * (1 + len(jpeg) // 8 // len(FILLER))
    following = restarts.index(max(restarts)) + 1
    markers = [bytes([0xFF, RESTARTS[(following + number) % len(RESTARTS)]]) for number in range(MAX_RESTARTS)]
    return b"".join(FILLER + marker for marker in markers)


def rebuilt_png(data: bytes) -> bytes:
    """A PNG with checksums that fit, up to the first chunk that has no name."""
    parts, place = [PNG_START], len(PNG_START)
    while place + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        if not name.isalpha():
            break
        content = data[place + 8 : place + 8 + length]
        checksum = zlib.crc32(name + content)
        intact = data[place + 8 + length : place + 12 + length] == struct.pack(">I", checksum)
        if name in PNG_CHUNKS or (name == EXIF and intact):
            parts.append(struct.pack(">I4s", len(content), name) + content + struct.pack(">I", checksum))
        place += 12 + length
    return b"".join(parts) + struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))


def rebuilt_jpeg(data: bytes) -> bytes:
    """A JPEG without garbage between its segments and without descriptions but its EXIF."""
    parts, place = [data[:2]], 2
    while (place := data.find(b"\xff", place)) >= 0 and place + 4 <= len(data):
        marker = data[place + 1]
        if marker in (0x00, 0xFF):
            place += 1
            continue
        if marker == START_OF_SCAN:
            parts.append(data[place:])
            break
        length = 0 if marker in PLAIN_MARKERS else int.from_bytes(data[place + 2 : place + 4], "big")
        segment = data[place : place + 2 + length]
        if length >= 2 and len(segment) == 2 + length:
            if marker not in DESCRIBING or (marker == 0xE1 and segment[4:10] == b"Exif\0\0"):
                parts.append(segment)
            place += 2 + length
        else:
            place += 2
    return b"".join(parts)


def rebuilt_webp(data: bytes) -> bytes:
    """A WebP of the chunks that are whole. Of one chunk a tenth of the bytes may be missing, which become zeros:
    its decoder takes nothing else there."""
    parts, place = [], 12
    while place + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, place)
        content = data[place + 8 : place + 8 + length]
        gap = length - len(content)
        if name in WEBP_CHUNKS and gap <= MAX_MISSING * length and not (gap and name == b"ANMF"):
            parts.append(struct.pack("<4sI", name, length) + content.ljust(length + length % 2, b"\0"))
        place += 8 + length + length % 2
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body
