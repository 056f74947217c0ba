"""The memory that pictures take while they are decoded, converted and turned, however many threads do so."""

from __future__ import annotations

import io
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from ganime.errors import DataError
from ganime.faces import pixels, reading
from ganime.faces.decoder_memory import DECODER_BYTES
from ganime.faces.pixels import to_rgb
from ganime.faces.reading import TRIM, Room, decode_with
from tests.ganime.faces.pictures import encoded
from tests.locks import CountingLock

NOISE = np.random.default_rng(0).integers(0, 256, (40, 30, 4), np.uint8)
PALETTE = Image.fromarray(NOISE[..., :3]).quantize(16)
PALETTE.info["transparency"] = 3
NUMBERS = NOISE[..., 0].astype(np.int32) * 300 + NOISE[..., 1]


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(NOISE),
        Image.fromarray(NOISE[..., 0]),
        Image.fromarray(NOISE[..., :2], "LA"),
        Image.fromarray(NOISE, "CMYK"),
        PALETTE,
        Image.fromarray(NUMBERS.astype(np.uint16)),
        Image.fromarray(NUMBERS),
        Image.fromarray(NUMBERS.astype(np.float32)),
    ],
    ids=lambda image: image.mode,
)
def test_a_picture_is_converted_a_few_rows_at_a_time_with_the_same_result(
    image: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, sizes, convert = np.asarray(to_rgb(image)), [], pixels.band_to_rgb

    def noted(band: Image.Image, scale: pixels.Scale | None) -> Image.Image:
        sizes.append(band.width * band.height)
        return convert(band, scale)

    monkeypatch.setattr(pixels, "band_to_rgb", noted)
    monkeypatch.setattr(pixels, "BAND_PIXELS", 100)
    assert np.array_equal(np.asarray(to_rgb(image)), whole)
    assert (len(sizes), max(sizes)) == (14, 90)
    half = np.asarray(to_rgb(image, factor=2)).astype(int)
    assert abs(half - whole.reshape(20, 2, 15, 2, 3).mean((1, 3))).max() <= 1


def test_pictures_that_are_decoded_at_once_have_the_memory_of_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PICTURES", Room(64 * 64 * 8 + 32 * 32 * 8))  # for one of 64 px and one of 32
    monkeypatch.setattr(reading, "SMALL_PICTURES", Room(0))
    data, held, most = [encoded(Image.new("RGB", (side, side))) for side in (64, 32, 64, 32, 64)], [], []

    def hold(picture: Image.Image, width: int, height: int) -> None:
        held.append(width)
        time.sleep(0.02)
        most.append(sum(held))
        held.remove(width)

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda one: decode_with(one, hold), data))
    assert max(most) <= 96
    assert reading.PICTURES.free == reading.PICTURES.size


def test_small_pictures_do_not_wait_for_large_ones() -> None:
    with reading.PICTURES.taken(reading.PICTURES.size), ThreadPoolExecutor(1) as pool:
        face = pool.submit(reading.decode, encoded(Image.new("RGB", (512, 512))), 64).result(60)
    assert face.pixels.shape == (64, 64, 3)


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"progressive": True}), ("JPEG2000", {}), ("WEBP", {})])
def test_what_a_decoder_keeps_beside_the_pixels_counts(
    kind: str, options: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    whole = Room.taken

    def noted(room: Room, size: int) -> AbstractContextManager[None]:
        taken.append(size)
        return whole(room, size)

    monkeypatch.setattr(Room, "taken", noted)
    reading.decode(encoded(Image.new("RGB", (640, 480)), kind, **options), 64)
    assert min(taken) >= 640 * 480 * 6


def test_no_thumbnail_is_decoded_before_there_is_room_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = pillow_heif.from_pillow(Image.new("RGB", (640, 480)))
    file = io.BytesIO()
    picture.info["thumbnails"] = [256]
    picture.save(file)
    thumbnails: list[tuple[int, int]] = []
    monkeypatch.setattr(pillow_heif.HeifThumbnail, "load", lambda self: thumbnails.append(self.size))
    assert len(Image.open(io.BytesIO(file.getvalue())).info["thumbnails"]) == 1
    assert reading.decode(file.getvalue(), 64).width == 640
    assert thumbnails == []


@pytest.mark.parametrize("kind", ["JPEG2000", "WEBP"])
def test_a_picture_whose_decoder_needs_very_much_is_refused_before_it_is_decoded(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded(Image.new("RGB", (640, 480)), kind)
    monkeypatch.setattr(reading, "MAX_DECODER_BYTES", 640 * 480 * DECODER_BYTES[kind])
    assert reading.decode(data, 64).width == 640
    monkeypatch.setattr(reading, "MAX_DECODER_BYTES", 640 * 480 * DECODER_BYTES[kind] - 1)
    with pytest.raises(DataError, match=f"640 x 480 pixels as {kind} that need "):
        reading.decode(data, 64)


def test_a_damaged_picture_is_not_in_memory_while_it_is_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures: list[weakref.ref[Image.Image]] = []
    opened, mend = reading.open_picture, reading.mend

    def noted(data: bytes) -> Image.Image:
        pictures.append(weakref.ref(found := opened(data)))
        return found

    def alone(data: bytes) -> Image.Image | None:
        assert pictures[0]() is None
        return mend(data)

    monkeypatch.setattr(reading, "open_picture", noted)
    monkeypatch.setattr(reading, "mend", alone)
    data = encoded(Image.fromarray(np.tile(NOISE[..., :3], (4, 4, 1))))
    assert reading.decode(data[:-60], 64).width == 120


def test_who_needs_much_memory_comes_before_those_who_ask_later() -> None:
    room, order = Room(10), []
    room.first = first = CountingLock()  # type: ignore[assignment]

    def take(size: int) -> None:
        with room.taken(size):
            order.append(size)

    with ThreadPoolExecutor(2) as pool:
        with room.taken(3):
            first.wait_for(1)
            large = pool.submit(take, 99)  # which has all that there is
            first.wait_for(1)
            small = pool.submit(take, 1)
            first.wait_for(1)
            assert order == []
        large.result(60)
        small.result(60)
    assert (order, room.free) == ([99, 1], 10)


@pytest.mark.parametrize(("mode", "orientation", "halved"), [("RGB", 1, False), ("RGBA", 1, True), ("RGB", 6, True)])
def test_a_very_large_picture_that_would_be_in_memory_twice_is_halved(
    mode: str, orientation: int, halved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PICTURES", Room(64 * 48 * 6))
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decode_with(encoded(Image.new(mode, (64, 48)), exif=exif), lambda picture, *size: (picture.size, size))
    upright = (48, 64) if orientation == 6 else (64, 48)
    assert found == ((upright[0] // 2, upright[1] // 2) if halved else upright, upright)


FREED = """
import io, threading
import psutil
from PIL import Image
from ganime.faces.reading import decode

file = io.BytesIO()
Image.new("L", (4000, 3000)).save(file, "PNG")
decode(file.getvalue(), 64)
before = psutil.Process().memory_info().rss
threads = [threading.Thread(target=lambda: [decode(file.getvalue(), 64) for _ in range(2)]) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print((psutil.Process().memory_info().rss - before) // 2**20)
"""


@pytest.mark.skipif(TRIM is None, reason="other C libraries return memory by themselves")
def test_memory_of_pictures_is_returned_once_they_are_decoded(run_python: Callable) -> None:
    assert int(run_python("-c", FREED, fresh=True).stdout) < 200  # MB; 360 without
