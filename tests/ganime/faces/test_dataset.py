"""The dataset: its cache is used and renewed when it should be, and the stream of batches is fair."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganime.errors import DataError
from ganime.faces.dataset import FaceDataset, file_digest, load_faces
from ganime.faces.decoding import decode_all
from tests.ganime.faces.pictures import SIDE, files_below, make_zip


@pytest.mark.parametrize("count", [0, 1, 15])
def test_fewer_than_sixteen_faces_are_an_error_that_counts_them(folder: Path, load: Callable, count: int) -> None:
    for path in sorted(folder.iterdir())[count:]:
        path.unlink()
    (folder / "junk.png").write_bytes(b"junk")
    with pytest.raises(DataError, match=rf"^{count} usable faces?.*at least 16.*junk\.png") as caught:
        load(folder)
    assert str(folder) in str(caught.value)


def test_sixteen_faces_are_enough(folder: Path, load: Callable[..., FaceDataset]) -> None:
    for path in sorted(folder.iterdir())[16:]:
        path.unlink()
    dataset = load(folder)
    assert len(dataset.images) == 16
    assert len(dataset.train) + len(dataset.held_out) == 16


def test_a_failed_load_leaves_nothing_behind(folder: Path, tmp_path: Path, load: Callable) -> None:
    for path in sorted(folder.iterdir())[3:]:
        path.unlink()
    with pytest.raises(DataError):
        load(folder)
    assert not files_below(tmp_path / "cache")


def test_no_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No faces were named"):
        load_faces([], SIDE, tmp_path)


def test_a_source_that_is_not_there_is_named(tmp_path: Path, load: Callable) -> None:
    with pytest.raises(DataError, match=r"nowhere.*does not exist"):
        load(tmp_path / "nowhere")


# --- the cache


def refuse_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode_nothing(*_: Any) -> None:
        raise AssertionError("a picture was decoded again")

    monkeypatch.setattr("ganime.faces.decoding.decode", decode_nothing)


def test_a_second_load_decodes_nothing(folder: Path, load: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(folder)
    refuse_decoding(monkeypatch)
    second = load(folder)
    assert np.array_equal(first.images, second.images)
    assert (first.names, first.skipped, first.key) == (second.names, second.skipped, second.key)
    assert np.array_equal(first.train, second.train)
    assert np.array_equal(first.held_out, second.held_out)


def test_a_ready_cache_is_opened_without_imagehash(
    folder: Path, load: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(folder)
    monkeypatch.setitem(sys.modules, "imagehash", None)  # as if it were not installed
    assert load(folder).names == first.names
    with pytest.raises(ImportError):
        load(folder, size=64)


def test_equal_content_elsewhere_is_found_in_the_cache(
    folder: Path, tmp_path: Path, load: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(folder)
    refuse_decoding(monkeypatch)
    moved = folder.rename(tmp_path / "moved")
    os.utime(moved / "000.png", (1, 1))
    assert load(moved).key == first.key


MEET = """
import sys, time
from pathlib import Path
from ganime.faces import dataset as data
decode_all = data.decode_all
def decode_and_meet(*arguments):
    index = decode_all(*arguments)
    Path(sys.argv[3], "there").touch()
    while not Path(sys.argv[3], "here").exists():
        time.sleep(0.001)
    return index
data.decode_all = decode_and_meet
dataset = data.load_faces([sys.argv[1]], int(sys.argv[2]), Path(sys.argv[3]) / "cache")
print(len(dataset.images), dataset.images.sum())
"""


@pytest.mark.slow
def test_two_processes_that_decode_at_once_both_end_well(
    folder: Path, tmp_path: Path, load: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", MEET, str(folder), str(SIDE), str(tmp_path)]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root, text=True)

    def decode_and_meet(*arguments: Any) -> dict[str, Any]:
        index = decode_all(*arguments)
        while not (tmp_path / "there").exists():
            assert other.poll() is None, other.communicate()
            time.sleep(0.001)
        (tmp_path / "here").touch()
        return index

    monkeypatch.setattr("ganime.faces.dataset.decode_all", decode_and_meet)
    dataset = load(folder)
    told, errors = other.communicate(timeout=60)
    assert (other.returncode, errors) == (0, "")
    assert told.split() == ["20", str(dataset.images.sum())]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f"{dataset.key[:32]}-{SIDE}-v5"]


def test_changed_content_is_decoded_anew(folder: Path, draw_face: Callable, load: Callable) -> None:
    first = load(folder)
    draw_face(500).save(folder / "000.png")
    second = load(folder)
    assert second.key != first.key
    assert not np.array_equal(second.images[0], first.images[0])
    (folder / "001.png").rename(folder / "zzz.png")
    assert load(folder).key not in (first.key, second.key)


def test_a_zip_is_hashed_again_only_after_it_has_changed(
    pngs: list[tuple[str, bytes]], tmp_path: Path, load: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = []
    monkeypatch.setattr("ganime.faces.dataset.file_digest", lambda path: hashed.append(path) or file_digest(path))
    path = make_zip(tmp_path / "faces.zip", pngs)
    key = load(path).key
    assert load(path, size=64).key == key
    assert hashed == [path]
    make_zip(path, [(f"x{name[1:]}", data) for name, data in pngs])  # as many bytes under other names
    assert load(path).key != key
    assert hashed == [path, path]


def test_each_image_size_has_a_cache_of_its_own(folder: Path, load: Callable) -> None:
    assert load(folder, size=32).images.shape == (20, 32, 32, 3)
    assert load(folder, size=64).images.shape == (20, 64, 64, 3)
    assert load(folder, size=32).images.shape == (20, 32, 32, 3)


def test_cached_faces_are_mapped_and_cannot_be_written(folder: Path, load: Callable) -> None:
    images = load(folder).images
    assert isinstance(images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


def test_progress_counts_every_picture_once(folder: Path, tmp_path: Path) -> None:
    (folder / "junk.png").write_bytes(b"junk")
    shutil.copy(folder / "003.png", folder / "copy.png")
    told: list[tuple[int, int]] = []
    load_faces([folder], SIDE, tmp_path / "cache", lambda done, total: told.append((done, total)))
    assert told == [(done, 22) for done in range(1, 23)]


@pytest.mark.parametrize("file", ["faces.bin", "index.json"])
def test_a_damaged_cache_is_made_anew(faces_folder: Path, tmp_path: Path, file: str) -> None:
    whole = np.array(load_faces([faces_folder], SIDE, tmp_path).images)
    [path] = tmp_path.glob(f"*/{file}")
    path.write_bytes(path.read_bytes()[:1000])
    assert np.array_equal(load_faces([faces_folder], SIDE, tmp_path).images, whole)


def test_what_was_cut_off_while_decoding_goes_after_a_day(faces_folder: Path, tmp_path: Path) -> None:
    old, young = tmp_path / ".old.x1", tmp_path / ".young.x2"
    old.mkdir()
    young.mkdir()
    os.utime(old, (time.time() - 100_000,) * 2)
    (tmp_path / ".moved.x3").symlink_to(tmp_path / "moved")  # as another process leaves a name that was just listed
    load_faces([faces_folder], SIDE, tmp_path)
    assert (old.exists(), young.exists()) == (False, True)


def test_train_and_held_out_share_no_face_and_leave_none_out(faces: FaceDataset) -> None:
    assert sorted([*faces.train, *faces.held_out]) == list(range(len(faces.images)))
    assert 0 < len(faces.held_out) <= len(faces.images) // 10


# --- the stream of batches


def numbers_of(batch: torch.Tensor, dataset: FaceDataset) -> list[int]:
    """Which face of the dataset each picture of a batch is."""
    known = {image.tobytes(): number for number, image in enumerate(dataset.images)}
    pixels = ((batch + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1)
    return [known[picture.contiguous().numpy().tobytes()] for picture in pixels]


def test_a_batch_is_floats_between_minus_one_and_one_in_channels_last(faces: FaceDataset) -> None:
    batch = faces.batch(0, 16, 0, flip=True)
    assert batch.shape == (16, 3, SIDE, SIDE)
    assert batch.dtype == torch.float32
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert -1 <= batch.min() < -0.5 < 0.5 < batch.max() <= 1


def test_faces_in_the_memory_of_a_device_give_the_same_batches(faces: FaceDataset) -> None:
    resident = torch.from_numpy(np.array(faces.images))  # what `on` gives for a GPU, here on the CPU
    for start in (0, 40):
        assert torch.equal(faces.batch(start, 32, 3, True), faces.batch(start, 32, 3, True, resident))
    assert faces.on(torch.device("cpu")) is None


@pytest.mark.parametrize("count", [1, 7, 16, 60, 200])
def test_every_training_face_comes_once_an_epoch(faces: FaceDataset, count: int) -> None:
    size = len(faces.train)
    seen: list[int] = []
    while len(seen) < 3 * size:
        seen += numbers_of(faces.batch(len(seen), count, 5, flip=False), faces)
    epochs = [seen[start : start + size] for start in range(0, 3 * size, size)]
    for epoch in epochs:
        assert Counter(epoch) == Counter(faces.train.tolist())
    assert len({tuple(epoch) for epoch in epochs}) == 3


@given(start=st.integers(0, 200), count=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_the_stream_is_the_same_from_any_start(faces: FaceDataset, start: int, count: int, seed: int) -> None:
    whole = faces.batch(0, 240, seed, flip=False)
    assert torch.equal(faces.batch(start, count, seed, flip=False), whole[start : start + count])


@given(start=st.integers(0, 200), count=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_the_mirrored_stream_is_the_same_from_any_start(faces: FaceDataset, start: int, count: int, seed: int) -> None:
    whole = faces.batch(0, 240, seed, flip=True)
    assert torch.equal(faces.batch(start, count, seed, flip=True), whole[start : start + count])


def test_the_order_of_an_epoch_is_drawn_once_for_all_its_batches(
    faces: FaceDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    default_rng = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda seed: drawn.append(seed) or default_rng(seed))
    for start in range(0, len(faces.train), 8):
        faces.batch(start, min(8, len(faces.train) - start), 123_456, flip=True)
    assert drawn == [[123_456, 0], [123_456, 0, 1]]


def test_seeds_shuffle_differently_and_reproducibly(faces: FaceDataset) -> None:
    assert torch.equal(faces.batch(32, 16, 1, flip=True), faces.batch(32, 16, 1, flip=True))
    assert not torch.equal(faces.batch(0, 16, 1, flip=False), faces.batch(0, 16, 2, flip=False))


def test_a_batch_far_into_a_run_costs_no_more(faces: FaceDataset) -> None:
    begun = time.thread_time()
    assert len(faces.batch(10**12, 16, 0, flip=True)) == 16
    assert time.thread_time() - begun < 1


def test_about_half_of_the_faces_are_mirrored(faces: FaceDataset) -> None:
    count, total, mirrored = 64, 6400, 0
    both_ways: dict[int, set[bool]] = {}
    for start in range(0, total, count):
        plain, shown = faces.batch(start, count, 3, flip=False), faces.batch(start, count, 3, flip=True)
        for number, before, after in zip(numbers_of(plain, faces), plain, shown, strict=True):
            turned = not torch.equal(before, after)
            if turned:
                assert torch.equal(before.flip(2), after)
            mirrored += turned
            both_ways.setdefault(number, set()).add(turned)
    assert abs(mirrored / total - 0.5) < 5 * 0.5 / total**0.5
    assert all(ways == {True, False} for ways in both_ways.values())


def test_batches_touch_no_global_source(faces: FaceDataset) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    faces.batch(0, 16, 0, flip=True)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]
