"""Pictures as files: PNG with a recipe inside, sheets of many faces, animations with theirs."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from importlib.util import find_spec
from itertools import count as count_up
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image, PngImagePlugin

from ganime.errors import GanimeError
from ganime.files import atomic_file
from ganime.opening import open_header
from ganime.shapes import UInt8

RECIPE_KEY = "ganime"  # the PNG text chunk that holds a recipe as JSON
EXIF_DESCRIPTION = 0x010E  # the EXIF tag that holds it in a WebP file
MP4_COMMENT = b"\xa9cmt"  # the metadata box that holds it in an MP4 file: size, this name, size, "data", 8 bytes, text
ANIMATION_FORMATS = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG", ".apng": "PNG", ".mp4": "MP4"}
MAX_SIDE = 2048
SHEET_COLUMNS = 8  # tiles in a row of a sheet
PALETTE_FRAMES = 64  # of a GIF, from which its colours are chosen
PNG_START = b"\x89PNG\r\n\x1a\n"


class FrameSequence(Protocol):
    """Pictures of one size, uint8 (H, W, 3) each, such as an array of all."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Any: ...


def png_bytes(face: UInt8[np.ndarray, "h w 3"], recipe: str = "", size: int | None = None) -> bytes:
    """A face as PNG, exact to the pixel.

    recipe: JSON to store as text in the file. size: side in px to scale to, by default that of the face.

    Raises GanimeError for a size outside 1 to 2048.
    """
    text = PngImagePlugin.PngInfo()
    if recipe:
        text.add_text(RECIPE_KEY, recipe)
    buffer = io.BytesIO()
    resize_picture(Image.fromarray(face), size).save(buffer, "PNG", pnginfo=text)
    return buffer.getvalue()


def webp_bytes(pixels: UInt8[np.ndarray, "h w 3"], quality: int | None = None) -> bytes:
    """A picture as WebP. Lossless is exact to the pixel, and encoded several times faster than PNG.

    quality: 1 to 100 for a small picture that is only looked at; by default lossless.
    """
    options: dict[str, Any] = {"lossless": True, "quality": 0, "method": 0, "exact": True}
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", **({"quality": quality, "method": 2} if quality else options))
    return buffer.getvalue()


def jpeg_bytes(pixels: UInt8[np.ndarray, "h w 3"], quality: int) -> bytes:
    """A picture as JPEG with colours at full resolution, for what is only looked at.

    It is encoded about thirty times faster than WebP, and a third larger at the same quality.

    quality: 1 to 95.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling="4:4:4")
    return buffer.getvalue()


def bytes_within(image: Image.Image, most: int, form: str, qualities: Sequence[int], **options: Any) -> bytes:
    """A picture encoded in the best of `qualities` in which it has at most `most` bytes, or else in the last one.

    form, options: such as "JPEG", and what its encoder takes.
    """
    data = b""
    for quality in qualities:
        buffer = io.BytesIO()
        image.save(buffer, form, quality=quality, **options)
        data = buffer.getvalue()
        if len(data) <= most:
            break
    return data


def read_recipe(data: bytes) -> str:
    """The recipe in a PNG that Ganime made, or an empty string. Raises GanimeError when the data are not a PNG."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            image.load()  # text chunks may follow the pixels
            return str(image.info.get(RECIPE_KEY, ""))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise GanimeError(f"This file is not a readable PNG ({error}).") from error


def recipe_in(data: bytes) -> str:
    """The recipe in a face or a film that Ganime made, or an empty string.

    data: of a PNG, APNG, GIF, WebP or MP4 file. Raises GanimeError for other data.
    """
    if data[4:8] == b"ftyp":
        return mp4_comment(data)
    try:
        with open_header(io.BytesIO(data), ("PNG", "GIF", "WEBP")) as image:
            if image.format == "GIF":
                comment = image.info.get("comment", b"")
                return comment.decode("ascii", "replace") if comment.startswith(b"{") else ""
            if image.format == "WEBP":
                return str(image.getexif().get(EXIF_DESCRIPTION, ""))
            return read_recipe(data)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise GanimeError(f"This file is not a readable PNG, GIF, WebP or MP4 ({error}).") from error


def mp4_comment(data: bytes) -> str:
    """The comment in the metadata of an MP4 file, or an empty string."""
    place = data.find(MP4_COMMENT)
    if place < 4:
        return ""
    box = data[place - 4 : place - 4 + int.from_bytes(data[place - 4 : place], "big")]
    return box[24:].decode("utf-8", "replace")


def resize_picture(image: Image.Image, size: int | None) -> Image.Image:
    """The picture scaled to `size` x `size` px by Lanczos, or unchanged for None.

    Raises GanimeError for a size outside 1 to 2048.
    """
    if size is None or image.size == (size, size):
        return image
    if not 1 <= size <= MAX_SIDE:
        raise GanimeError(f"A picture's side is 1 to {MAX_SIDE} pixels; got {size}.")
    return image.resize((size, size), Image.Resampling.LANCZOS)


def sheet(faces: UInt8[np.ndarray, "n h w 3"], columns: int = SHEET_COLUMNS) -> UInt8[np.ndarray, "rows columns 3"]:
    """All faces in one picture, row by row, without gaps; unused tiles are black."""
    count, height, width, _ = faces.shape
    rows = -(-count // columns)
    grid = np.zeros((rows * columns, height, width, 3), np.uint8)
    grid[:count] = faces
    grid = grid.reshape(rows, columns, height, width, 3).swapaxes(1, 2)  # (rows, H, columns, W, 3)
    return grid.reshape(rows * height, columns * width, 3)


def save_animation(
    frames: FrameSequence,
    path: Path,
    fps: float = 20.0,
    size: int | None = None,
    recipe: str = "",
) -> None:
    """Write frames as an animation in the format of the suffix of `path`; all formats except MP4 loop.

    GIF: one palette of 256 colours for all frames, dithered, at most 50 frames a second. APNG: exact. WebP: exact at
    the size of the frames, quality 90 when scaled. MP4: H.264, which needs PyAV. Each frame is asked for when it is
    written, in order; of a GIF some are asked for before.

    fps: frames per second, 1 to 60. size: side in px to scale to, by default that of the frames. recipe: JSON in ASCII
    to store in the file; `recipe_in` reads it.

    Raises GanimeError for another suffix, and for MP4 without PyAV.
    """
    kind = animation_kind(path)
    duration = round(1000 / fps)  # ms
    with atomic_file(path) as temporary:
        if kind == "MP4":
            write_mp4(frames, temporary, fps, size, recipe)
        elif kind == "PNG":
            write_apng(pictures_of(frames, size), len(frames), temporary, duration, recipe)
        elif kind == "GIF":
            write_gif(frames, temporary, fps, size, recipe)
        else:
            film = film_of(frames, size)
            options = recipe_option(kind, recipe) | {"lossless": film.size == frames[0].shape[1::-1]}
            film.save(temporary, kind, save_all=True, method=2, quality=90, duration=duration, loop=0, **options)


def pictures_of(frames: FrameSequence, size: int | None) -> Iterator[Image.Image]:
    """Frames as pictures, scaled to `size` px, one at a time."""
    return (resize_picture(Image.fromarray(frames[number]), size) for number in range(len(frames)))


def film_of(frames: FrameSequence, size: int | None) -> Image.Image:
    """Frames as one picture of many, of which one is in memory: Pillow calls `seek` to have the next one there."""
    film = resize_picture(Image.fromarray(frames[0]), size).copy()

    def seek(number: int) -> None:
        film.paste(resize_picture(Image.fromarray(frames[number]), size))

    film.n_frames, film.seek = len(frames), seek  # type: ignore[attr-defined, method-assign]
    return film


def write_gif(frames: FrameSequence, path: Path, fps: float, size: int | None, recipe: str) -> None:
    """Write frames as GIF, for which all are in memory with a byte for each pixel."""
    some = np.linspace(0, len(frames) - 1, min(len(frames), PALETTE_FRAMES)).round().astype(int).tolist()
    palette = Image.fromarray(sheet(np.stack([frames[number] for number in some]), SHEET_COLUMNS))
    palette = palette.quantize(256, Image.Quantize.MEDIANCUT)
    first, *rest = (
        picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for picture in pictures_of(frames, size)
    )
    duration = max(20, 10 * round(100 / fps))  # GIF counts in hundredths; browsers slow 1 down to 10
    options = recipe_option("GIF", recipe)
    first.save(path, "GIF", save_all=True, append_images=rest, duration=duration, loop=0, **options)


def write_apng(pictures: Iterable[Image.Image], count: int, path: Path, duration: int, recipe: str) -> None:
    """Write `count` pictures of one size as APNG, one at a time; Pillow would have two copies of each in memory.

    duration: of a frame, in ms. The format: https://www.w3.org/TR/png-3/#apng-frame-based-animation
    """
    sequence = count_up()
    with path.open("wb") as file:
        for number, picture in enumerate(pictures):
            buffer = io.BytesIO()
            picture.save(buffer, "PNG", **(recipe_option("PNG", recipe) if number == 0 else {}))
            control = struct.pack(">IIIIIHHBB", next(sequence), *picture.size, 0, 0, duration, 1000, 0, 0)
            begun = False  # whether the pixels of this frame have
            for name, data in png_chunks(buffer.getvalue()):
                if name == b"IDAT" and not begun:
                    begun = True
                    if number == 0:
                        file.write(png_chunk(b"acTL", struct.pack(">II", count, 0)))
                    file.write(png_chunk(b"fcTL", control))
                if number == 0 and name != b"IEND":
                    file.write(PNG_START if name == b"IHDR" else b"")
                    file.write(png_chunk(name, data))
                elif name == b"IDAT":
                    file.write(png_chunk(b"fdAT", struct.pack(">I", next(sequence)) + data))
        file.write(png_chunk(b"IEND", b""))


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG that is whole: their names and contents."""
    place = len(PNG_START)
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        yield data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        place += 12 + length  # length, name, content, checksum


def png_chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def recipe_option(kind: str, recipe: str) -> dict[str, Any]:
    """What Pillow takes to store a recipe in an animation of a kind; nothing for an empty one."""
    if not recipe:
        return {}
    if kind == "GIF":
        return {"comment": recipe.encode("ascii")}
    if kind == "WEBP":
        exif = Image.Exif()
        exif[EXIF_DESCRIPTION] = recipe
        return {"exif": exif.tobytes()}
    text = PngImagePlugin.PngInfo()
    text.add_text(RECIPE_KEY, recipe)
    return {"pnginfo": text}


def animation_kind(path: Path) -> str:
    """The animation format of a path's suffix: "GIF", "WEBP", "PNG" or "MP4".

    Raises GanimeError for another suffix, and for MP4 without PyAV.
    """
    kind = ANIMATION_FORMATS.get(path.suffix.lower())
    if kind is None:
        raise GanimeError(f"{path.name} does not end in an animation format; use {', '.join(ANIMATION_FORMATS)}.")
    if kind == "MP4" and not mp4_works():
        raise GanimeError("MP4 needs PyAV, which is not installed: pip install av. Or use .webp, .gif or .png.")
    return kind


def mp4_works() -> bool:
    """Whether MP4 films can be written: whether PyAV is installed."""
    return find_spec("av") is not None


def write_mp4(frames: FrameSequence, path: Path, fps: float, size: int | None = None, comment: str = "") -> None:
    """Write frames as H.264 in MP4, in the form that every player supports. size: as for `save_animation`.

    Its colours have half the size (yuv420p), so both sides must be even: the last line of an odd side is repeated.
    """
    import av  # 100 MB that only films need

    rate = Fraction(fps).limit_denominator(1000)
    sides = (size, size) if size else frames[0].shape[:2]
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as film:
        if comment:
            film.metadata["comment"] = comment
        stream = film.add_stream("libx264", rate=rate, options={"crf": "16", "preset": "fast"})
        stream.height, stream.width = (side + side % 2 for side in sides)
        stream.pix_fmt = "yuv420p"
        for picture in pictures_of(frames, size):
            pixels = np.asarray(picture)  # (H, W, 3)
            pixels = np.pad(pixels, ((0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)), "edge")
            film.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        film.mux(stream.encode(None))
