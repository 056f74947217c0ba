"""Duplicates: copies are dropped, near duplicates stay together, and the rest stays."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from ganime.faces.dataset import FaceDataset, load_faces
from ganime.faces.duplicates import NEAR_DUPLICATE_BITS, near_duplicate_groups, split_by_group
from ganime.faces.reading import decode as decode_face
from tests.ganime.faces.pictures import SIDE


def decode(data: bytes, size: int) -> np.ndarray:
    return decode_face(data, size).pixels


def test_exact_duplicates_are_dropped(folder: Path, load: Callable[..., FaceDataset]) -> None:
    shutil.copy(folder / "003.png", folder / "copy.png")
    Image.open(folder / "004.png").save(folder / "same pixels.bmp")
    dataset = load(folder)
    assert len(dataset.images) == 20
    assert dataset.skipped == [
        ("copy.png", "exact duplicate of 003.png"),
        ("same pixels.bmp", "exact duplicate of 004.png"),
    ]


def save_again(image: Image.Image, folder: Path) -> None:
    """The kinds of copies that gather in collections: other formats, qualities and sizes."""
    image.save(folder / "again.jpg", quality=75)
    image.save(folder / "again.webp", quality=80)
    image.resize((48, 48), Image.Resampling.BICUBIC).save(folder / "again small.png")
    image.resize((200, 200), Image.Resampling.LANCZOS).save(folder / "again large.jpg", quality=90)


def test_of_a_picture_saved_several_times_the_largest_is_kept(folder: Path, load: Callable[..., FaceDataset]) -> None:
    save_again(Image.open(folder / "003.png"), folder)
    dataset = load(folder)
    assert len(dataset.images) == 20
    assert "again large.jpg" in dataset.names
    others = ("003.png", "again.jpg", "again.webp", "again small.png")
    assert dict(dataset.skipped) == dict.fromkeys(others, "near duplicate of again large.jpg")
    assert sorted([*dataset.train, *dataset.held_out]) == list(range(20))
    for name, face in zip(dataset.names, dataset.images, strict=True):
        assert np.array_equal(face, decode((folder / name).read_bytes(), SIDE))


def test_duplicates_are_kept_on_request_and_stay_together(folder: Path, load: Callable) -> None:
    save_again(Image.open(folder / "003.png"), folder)
    shutil.copy(folder / "003.png", folder / "copy.png")
    dropped = load(folder)
    kept = load_faces([folder], SIDE, folder.parent / "cache", keep_duplicates=True)
    assert (len(dropped.images), len(kept.images)) == (20, 25)
    assert kept.key != dropped.key
    assert kept.skipped == []
    assert Counter(kind for _, _, kind in kept.facts.copies) == {"exact duplicate": 1, "near duplicate": 4}
    groups = {kept.facts.groups[kept.names.index(name)] for name in ("003.png", "copy.png", "again.jpg")}
    assert len(groups) == 1
    assert len(load(folder).images) == 20


def test_another_expression_is_no_copy(folder: Path, load: Callable) -> None:
    face = Image.open(folder / "003.png").convert("RGB")
    face.paste(face.resize((1, 1)).resize((30, 8)), (17, 28))
    face.save(folder / "eyes closed.png")
    dataset = load(folder)
    assert len(dataset.images) == 21
    assert dataset.facts.groups[dataset.names.index("003.png")] == dataset.facts.groups[-1]


# --- groups and the split


def test_a_face_and_its_near_duplicate_are_never_divided(tmp_path: Path, draw_face: Callable, load: Callable) -> None:
    folder = tmp_path / "pairs"
    folder.mkdir()
    for seed in range(60):
        face = draw_face(seed)
        face.save(folder / f"{seed:02d}a.png")
        face.point(lambda level: level // 2 + 80).save(folder / f"{seed:02d}b.png")  # paler: no copy, but near
    dataset = load(folder)
    assert len(dataset.images) == 120
    held = {dataset.names[position] for position in dataset.held_out}
    assert held
    assert {name[:2] + "a.png" for name in held} | {name[:2] + "b.png" for name in held} == held


@given(groups=st.lists(st.integers(0, 30), min_size=1, max_size=300))
def test_a_split_never_divides_a_group(groups: list[int]) -> None:
    array = np.array(groups)
    train, held_out = split_by_group(array)
    assert sorted([*train, *held_out]) == list(range(len(groups)))
    assert len(held_out) <= len(groups) // 10
    assert not set(array[train]) & set(array[held_out])


def test_the_split_is_the_same_at_every_size(draw_face: Callable[..., Image.Image], tmp_path: Path) -> None:
    """Also where a picture is a near duplicate at one size alone."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for seed in range(80):
        face = draw_face(seed, 128)
        face.save(folder / f"{seed:03d}.png")
        if seed % 8 == 0:
            face.save(folder / f"{seed:03d}-again.jpg", quality=60 + seed // 4)
        if seed % 8 == 1:
            face.rotate(seed / 16).save(folder / f"{seed:03d}-turned.png")
    split = {
        size: (dataset.names, dataset.train.tolist(), dataset.held_out.tolist(), dataset.facts.copies)
        for size in (32, 64, 128)
        for dataset in [load_faces([folder], size, tmp_path / "cache")]
    }
    assert split[32] == split[64] == split[128]
    assert len(split[64][3]) >= 8
    assert not list((tmp_path / "cache").glob("*/thumbnails.bin"))


def test_at_most_a_thousand_faces_are_held_out() -> None:
    train, held_out = split_by_group(np.arange(20_000))
    assert (len(train), len(held_out)) == (19_000, 1_000)


@given(
    hashes=hnp.arrays(np.uint64, st.tuples(st.integers(1, 40), st.just(4))),
    flips=st.lists(st.integers(0, 255), max_size=NEAR_DUPLICATE_BITS),
)
def test_hashes_that_hardly_differ_share_a_group(hashes: np.ndarray, flips: list[int]) -> None:
    near = hashes[0].copy()
    for bit in flips:
        near[bit // 64] ^= np.uint64(1 << bit % 64)
    hashes = np.concatenate([hashes, near[None]])
    groups = near_duplicate_groups(hashes)
    assert groups[0] == groups[-1]
    for i, j in np.argwhere(np.bitwise_count(hashes[:, None] ^ hashes).sum(2, dtype=int) <= NEAR_DUPLICATE_BITS):
        assert groups[i] == groups[j]


@given(bits=hnp.arrays(np.bool_, st.tuples(st.integers(1, 60), st.just(12))), columns=st.integers(1, 70))
def test_groups_are_those_of_comparing_each_with_each(bits: np.ndarray, columns: int) -> None:
    hashes = np.zeros((len(bits), 32), np.uint8)
    hashes[:, :12] = bits * 255  # each bit eight times: pairs differ in 0, 8, 16, 24, 32, 40 ... bits
    hashes = hashes.view(np.uint64)
    groups = np.arange(len(hashes))
    for i, j in np.argwhere(np.bitwise_count(hashes[:, None] ^ hashes).sum(2, dtype=int) <= NEAR_DUPLICATE_BITS):
        groups[groups == groups[i]] = groups[j]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganime.faces.duplicates.HASH_COLUMNS", columns)
        found = near_duplicate_groups(hashes)
    assert np.array_equal(found[:, None] == found, groups[:, None] == groups)


def test_hashes_far_apart_stay_apart() -> None:
    hashes = np.array([[0, 0, 0, 0], [2**33 - 1, 0, 0, 0], [2**64 - 1] * 4], np.uint64)
    assert len(set(near_duplicate_groups(hashes).tolist())) == 3
