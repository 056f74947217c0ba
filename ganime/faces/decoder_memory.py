"""The memory that decoders take beside the pixels, by what the file says to them rather than to Pillow.

A file states its size in several places. Pillow goes by one of them, its decoders allocate by another: a TIFF by the
size of its tiles, an AVIF by that of the frames in it. A JPEG keeps all coefficients if its colours come one by one.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from ganime.errors import DataError

JPEG_FORMATS = ("JPEG", "MPO")  # of opened pictures
# Bytes of a pixel in the memory of decoders that hold the whole picture in another form.
DECODER_BYTES = {"JPEG2000": 16, "WEBP": 12, "AVIF": 6, "HEIF": 4, "QOI": 4}
COEFFICIENT_BYTES = 2  # of a JPEG
FRAME_BYTES = 6  # of a pixel of an AVIF's frames: three colours of 16 bits
TILE_WIDTH, TILE_LENGTH, STRIP_ROWS = 322, 323, 278  # tags of a TIFF
BITS, SAMPLES, COLOURS, YCBCR = 258, 277, 262, 6
TIFF_SIZES = (3, 4, 16)  # types of numbers that can be a size
MAX_SCANS = 100  # of a JPEG; each goes over the whole picture, and usual ones have up to 12
TABLE_BITS, TABLE_BYTES, MAX_TABLES = 20, 5_600, 2**16  # of a WebP: at least in the file, in memory, and how many
JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
AV1_SEQUENCE, AV1_FRAMES, MAX_AV1_FRAMES = 1, (3, 6), 9  # in memory at once: eight to refer to, and the one on view
MAX_PARTS = 1_000  # of an AVIF, and of each part; usual ones have up to 10


def decoder_bytes(image: Image.Image) -> int:
    """What the decoder of a picture that is open in memory takes beside the pixels; 0 once it is decoded.

    Raises DataError for a file that says too little, or too much, for that to be known.
    """
    file = getattr(image, "fp", None)
    if file is None:
        return 0
    data = file.getvalue()
    total = image.width * image.height * DECODER_BYTES.get(image.format or "", 0)
    if image.format in JPEG_FORMATS:
        total += jpeg_coefficients(image, data) * COEFFICIENT_BYTES
    elif image.format == "TIFF":
        total += tiff_tile_bytes(image, data)
    elif image.format == "AVIF":
        total += avif_pixels(data) * FRAME_BYTES
    return total


def jpeg_coefficients(image: Image.Image, data: bytes) -> int:
    """How many coefficients a JPEG's decoder keeps: none if the first scan has all colours. Raises DataError."""
    colours = len(image.getbands())
    scans = jpeg_scans(data)
    if "progressive" not in image.info and next(scans, 0) >= colours:
        return 0
    if data.count(b"\xff\xda") > MAX_SCANS and sum(1 for _ in scans) > MAX_SCANS:  # the first is quick
        raise DataError(f"a JPEG of more than {MAX_SCANS} scans; usual ones have up to 12. Save it again")
    return image.width * image.height * colours


def jpeg_scans(data: bytes) -> Iterator[int]:
    """The number of colours in each scan of a JPEG."""
    place = 2
    while (found := JPEG_MARKER.search(data, place)) and found[1][0] != END_OF_IMAGE:
        place = found.end()
        if found[1][0] == START_OF_SCAN:
            yield data[place + 2] if place + 2 < len(data) else 0
        place += int.from_bytes(data[place : place + 2], "big")


def tiff_tile_bytes(image: Image.Image, data: bytes) -> int:
    """The bytes of one tile or strip of a TIFF, which libtiff decodes as a whole; 0 where Pillow reads rows itself.

    Raises DataError where libtiff may read another size than Pillow: of a tag that is there twice, it takes the first.
    """
    tags = image.tag_v2  # type: ignore[attr-defined]
    if image.tile[0].codec_name != "libtiff":  # type: ignore[attr-defined]
        return 0
    (entries,) = struct.unpack_from(tags._endian + ("Q" if tags._bigtiff else "H"), data, tags._offset)
    if entries != len(tags):
        raise DataError("damaged picture: this TIFF has a tag twice, or one that cannot be read")
    width, height = image._tile_size  # type: ignore[attr-defined]  # before it is turned
    if TILE_WIDTH in tags or TILE_LENGTH in tags:
        width, height = size_in(tags, TILE_WIDTH), size_in(tags, TILE_LENGTH)
        if not width or not height:
            raise DataError("damaged picture: this TIFF does not say how large its tiles are")
    else:
        height = min(height, size_in(tags, STRIP_ROWS) or height)
    bits = max(tags.get(BITS, (1,))) * max(tags.get(SAMPLES, 1), len(image.getbands()))
    as_rgb = 32 if tags.get(COLOURS) == YCBCR or image.info["compression"] == "tiff_jpeg" else 0
    return math.ceil(width * height * (bits + as_rgb) / 8)


def size_in(tags: ImageFileDirectory_v2, tag: int) -> int:
    """The size that a tag of a TIFF gives, as libtiff takes it; 0 for none."""
    return tags[tag] if tags.tagtype.get(tag) in TIFF_SIZES and isinstance(tags[tag], int) else 0


def avif_pixels(data: bytes) -> int:
    """The pixels of all frames of an AVIF's parts together, by the headers that the decoder of AV1 goes by.

    Raises DataError for more parts than are read, and for films whose header gives times.
    """
    try:
        parts = list(avif_parts(data))
        return sum(av1_pixels(part) for part in parts)
    except (struct.error, IndexError) as error:
        raise DataError("damaged picture: the parts of this AVIF cannot be found") from error


def webp_table_bytes(image: Image.Image) -> int:
    """What the tables of a WebP without loss may take as well; few do: each 4 x 4 px may have tables of their own."""
    data = image.fp.getvalue() if image.format == "WEBP" and image.fp else b""  # type: ignore[attr-defined]
    if b"VP8L" not in data and b"ALPH" not in data:
        return 0
    blocks = math.ceil(image.width / 4) * math.ceil(image.height / 4)
    return min(blocks, MAX_TABLES, len(data) * 8 // TABLE_BITS) * TABLE_BYTES


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The name, and the start and end of the content, of each box of an ISO media file between two places."""
    while start + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", data, start + 8), 16
        stop = end if size == 0 else start + size
        if (size and size < head) or stop > end:
            return
        yield name, start + head, stop
        start = stop


def avif_parts(data: bytes) -> Iterator[bytes]:
    """What the decoder of AV1 is given of an AVIF: each of its items, and the first picture of each film."""
    for name, start, end in boxes(data, 0, len(data)):
        if name == b"meta":
            inner = {name: (start, end) for name, start, end in boxes(data, start + 4, end)}
            yield from avif_items(data, inner)
        elif name == b"moov":
            yield from first_frames(data, start, end)


def first_frames(data: bytes, start: int, end: int) -> Iterator[bytes]:
    """The first picture of each film in a box. Raises DataError where a film has several tables of the same kind."""
    inner = list(boxes(data, start, end))
    tables = [(name, start) for name, start, _ in inner if name in (b"stsz", b"stco", b"co64")]
    if tables:
        places = {b"stsz" if name == b"stsz" else b"chunks": start for name, start in tables}
        if len(tables) != len(places) or len(places) != 2:
            raise DataError("damaged picture: this AVIF film has no single table of its pictures")
        size, _, first = struct.unpack_from(">III", data, places[b"stsz"] + 4)
        (place,) = struct.unpack_from(">Q" if b"co64" in dict(tables) else ">I", data, places[b"chunks"] + 8)
        yield data[place : place + (size or first)]
    for name, start, end in inner:
        if name in (b"trak", b"mdia", b"minf", b"stbl"):
            yield from first_frames(data, start, end)


class Numbers:
    """Big-endian numbers of several sizes one after another, in bytes or bits. Raises IndexError at the end."""

    def __init__(self, data: bytes, place: int = 0) -> None:
        self.data, self.bit = data, place * 8

    def bits(self, count: int) -> int:
        first, last = self.bit // 8, (self.bit + count + 7) // 8
        if last > len(self.data):
            raise IndexError(last)
        self.bit += count
        return (int.from_bytes(self.data[first:last], "big") >> (last * 8 - self.bit)) & ((1 << count) - 1)

    def bytes(self, count: int) -> int:
        return self.bits(count * 8)


def avif_items(data: bytes, inner: dict[bytes, tuple[int, int]]) -> Iterator[bytes]:
    """What each item of an AVIF has in it: by the `iloc` among some boxes, with the start and end of their content."""
    if b"iloc" not in inner:
        return
    read = Numbers(data[: inner[b"iloc"][1]], inner[b"iloc"][0])
    version, _ = read.bytes(1), read.bytes(3)
    offset_bytes, length_bytes, base_bytes, index_bytes = (read.bits(4) for _ in range(4))
    parts = 0
    for _ in range(read.bytes(4 if version == 2 else 2)):
        read.bytes(4 if version == 2 else 2)
        inside = read.bytes(2) & 15 if version else 0  # 1: in `idat`
        read.bytes(2)
        base, extents, whole = read.bytes(base_bytes), read.bytes(2), b""
        for _ in range(extents):
            if version:
                read.bytes(index_bytes)
            start, length = base + read.bytes(offset_bytes), read.bytes(length_bytes)
            first, last = inner.get(b"idat", (0, 0)) if inside else (0, len(data))
            whole += data[first + start : min(last, first + start + length) if length else last]
            parts += 1
            if parts > MAX_PARTS or len(whole) > len(data):
                raise DataError(f"an AVIF of more than {MAX_PARTS:,} parts, or of parts larger than itself")
        yield whole


def av1_pixels(part: bytes) -> int:
    """The pixels that AV1's decoder has in memory for a part of an AVIF; 0 for a part that has no AV1 in it.

    Raises DataError for more units than are read, and for a header that gives times.
    """
    largest = frames = units = place = 0
    while place < len(part):
        units += 1
        if units > MAX_PARTS:
            raise DataError(f"an AVIF of more than {MAX_PARTS:,} units in one picture")
        kind, extended, sized = part[place] >> 3 & 15, part[place] & 4, part[place] & 2
        place += 2 if extended else 1
        size = len(part) - place
        if sized:
            size, place = leb128(part, place)
        if kind == AV1_SEQUENCE:
            largest = max(largest, sequence_pixels(part[place : place + size]))
        frames += kind in AV1_FRAMES
        place += size
    return largest * min(max(frames, 1), MAX_AV1_FRAMES)


def leb128(data: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits in each byte, and the place after it; the size of the data where they end before."""
    number = 0
    for index in range(8):
        if place + index >= len(data):
            break
        number |= (data[place + index] & 127) << 7 * index
        if data[place + index] < 128:
            return number, place + index + 1
    return len(data), place


def sequence_pixels(header: bytes) -> int:
    """The pixels of the largest frame that a sequence header of AV1 allows; 0 for one that breaks off.

    Raises DataError for one that gives times, which pictures have no need of.
    """
    read = Numbers(header)
    try:
        read.bits(4)
        if read.bits(1):  # of a single picture
            read.bits(5)
        else:
            if read.bits(1):
                raise DataError("an AVIF whose header gives times, which is not read. Save it again")
            delayed = read.bits(1)
            for _ in range(read.bits(5) + 1):
                read.bits(12)
                if read.bits(5) > 7:
                    read.bits(1)
                if delayed and read.bits(1):
                    read.bits(4)
        wide, high = read.bits(4) + 1, read.bits(4) + 1
        return (read.bits(wide) + 1) * (read.bits(high) + 1)
    except IndexError:
        return 0
