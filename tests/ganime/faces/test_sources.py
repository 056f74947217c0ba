"""Folders and zips: all of their pictures are found, and hostile ones do no harm."""

from __future__ import annotations

import contextlib
import io
import os
import random
import shutil
import stat
import struct
import subprocess
import warnings
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ganime.errors import DataError
from ganime.faces.dataset import FaceDataset, load_faces
from ganime.faces.search import Search, TooManyError
from ganime.faces.sources import list_pictures
from tests.ganime.faces.pictures import SIDE, encoded, files_below, make_zip, raw_png, tar_of


def names_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in files_below(folder))


def test_a_folder_and_a_zip_of_it_hold_the_same_faces(
    folder: Path, tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable[..., FaceDataset]
) -> None:
    plain = load(folder)
    zipped = load(make_zip(tmp_path / "faces.zip", pngs))
    deflated = load(make_zip(tmp_path / "deflated.zip", pngs, zipfile.ZIP_DEFLATED))
    assert plain.images.shape == (20, SIDE, SIDE, 3)
    assert plain.images.dtype == np.uint8
    for other in (zipped, deflated):
        assert np.array_equal(plain.images, other.images)
        assert plain.names == other.names
        assert np.array_equal(plain.train, other.train)


def test_nested_folders_are_read_in_order_of_name(folder: Path, load: Callable[..., FaceDataset]) -> None:
    (folder / "b" / "deep").mkdir(parents=True)
    (folder / "000.png").rename(folder / "b" / "deep" / "x.png")
    (folder / "001.png").rename(folder / "b" / "y.PNG")
    dataset = load(folder)
    assert dataset.names[-2:] == ["b/deep/x.png", "b/y.PNG"]
    assert len(dataset.images) == 20


def test_several_sources_make_one_dataset(
    folder: Path, tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable[..., FaceDataset]
) -> None:
    for name, _ in pngs[10:]:
        (folder / name).unlink()
    dataset = load(folder, make_zip(tmp_path / "rest.zip", pngs[10:]))
    assert dataset.names == [name for name, _ in pngs]


def test_hidden_and_foreign_files_are_passed_over_and_counted(
    folder: Path, tmp_path: Path, load: Callable[..., FaceDataset]
) -> None:
    good = (folder / "000.png").read_bytes()
    for name in (".hidden.png", "__MACOSX/a.png", ".git/b.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(good)
    others = {
        "notes.txt": b"a",
        "labels.csv": b"a,b",
        "c.bin": b"\1\2\xff",
        "d.jxl": b"\xff\x0a",
        "e.rar": b"Rar!\x1a\x07",
    }
    for name, data in others.items():
        (folder / name).write_bytes(data)
    expected = {
        "hidden or system file": 3,
        "text file": 2,
        "other file": 1,
        "JPEG XL picture": 1,
        "RAR archive": 1,
    }
    zipped = make_zip(tmp_path / "faces.zip", [(name, (folder / name).read_bytes()) for name in names_below(folder)])
    for dataset in (load(folder), load(zipped)):
        assert len(dataset.images) == 20
        assert dataset.skipped == []
        assert dataset.facts.passed_over == expected


def test_files_that_are_passed_over_are_counted_anew_with_a_ready_cache(folder: Path, load: Callable) -> None:
    key = load(folder).key
    (folder / "notes.txt").write_text("new")
    dataset = load(folder)
    assert dataset.key == key
    assert dataset.facts.passed_over == {"text file": 1}


def test_a_folder_of_links_is_read_as_a_snapshot_of_the_hub_is(folder: Path, tmp_path: Path, load: Callable) -> None:
    snapshot = tmp_path / "snapshots" / "main"
    (snapshot / "more").mkdir(parents=True)
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(path := folder / f"{number:064x}")  # as the hub's library names the files themselves
        (snapshot / ("more" if number > 9 else "") / f"{number:03}.png").symlink_to(path)
    dataset = load(snapshot)
    assert (len(dataset.images), dataset.skipped, dataset.facts.passed_over) == (20, [], {})


def test_each_folder_is_searched_once_wherever_links_lead(folder: Path, tmp_path: Path, load: Callable) -> None:
    (folder / "again").symlink_to(folder)
    (folder / "up").symlink_to(tmp_path)  # leads to the folder itself, and to all others
    (tmp_path / "outside").mkdir()
    (folder / "000.png").rename(tmp_path / "outside" / "000.png")
    for name in ("a", "b"):
        (folder / name).symlink_to(tmp_path / "outside")
    (folder / "gone.png").symlink_to(tmp_path / "nothing")
    dataset = load(folder)
    assert len(dataset.images) == 20
    assert dataset.skipped == [("gone.png", "a link to something that does not exist")]
    assert dataset.facts.passed_over == {"repeated folder": 3}


def test_a_thousand_folders_in_each_other_are_no_trouble(folder: Path, load: Callable) -> None:
    deep = folder / "/".join("d" * 1200)
    try:
        subprocess.run(["mkdir", "-p", deep], check=True)
        shutil.copy(folder / "000.png", deep / "copy.png")
        assert [reason for _, reason in load(folder).skipped] == ["exact duplicate of 000.png"]
    finally:
        subprocess.run(["rm", "-rf", folder / "d"], check=True)  # Python's own way to remove it gives up


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.mkdir()], ids=["pipe", "folder"])
def test_what_is_named_like_a_picture_and_is_no_file_never_stops(folder: Path, load: Callable, make: Callable) -> None:
    make(folder / "odd.png")
    dataset = load(folder)
    assert len(dataset.images) == 20
    assert [name for name, _ in dataset.skipped] == (["odd.png"] if (folder / "odd.png").is_fifo() else [])


def test_a_pipe_is_no_source(tmp_path: Path, load: Callable) -> None:
    os.mkfifo(tmp_path / "faces.zip")
    with pytest.raises(DataError, match=r"faces\.zip is neither a folder nor a file"):
        load(tmp_path / "faces.zip")


def test_one_bad_picture_never_stops_and_is_named(folder: Path, draw_face: Callable, load: Callable) -> None:
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("no picture")
    (folder / "cut.png").write_bytes((folder / "000.png").read_bytes()[:200])
    (folder / "huge.png").write_bytes(raw_png(60_000, 60_000, 8, 2, b"\0" * 100))
    draw_face(1, 8).save(folder / "small.gif")
    dataset = load(folder)
    assert len(dataset.images) == 20
    assert {name for name, _ in dataset.skipped} == {"empty.png", "text.jpg", "cut.png", "huge.png", "small.gif"}
    assert all(reason for _, reason in dataset.skipped)
    assert dict(dataset.skipped)["empty.png"] == "an empty file"


def test_a_file_that_may_not_be_read_never_stops(
    folder: Path, load: Callable[..., FaceDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "locked.png").write_bytes(b"anything")
    opened = io.open

    def locked(file: Any, *arguments: Any, **options: Any) -> Any:
        if str(file).endswith("locked.png"):
            raise PermissionError(13, "Permission denied", str(file))
        return opened(file, *arguments, **options)

    monkeypatch.setattr(io, "open", locked)
    dataset = load(folder)
    assert len(dataset.images) == 20
    assert [name for name, _ in dataset.skipped] == ["locked.png"]


def test_a_skipped_file_is_named_by_its_path_in_the_source(
    folder: Path, load: Callable[..., FaceDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganime.faces.sources.MAX_PICTURE_BYTES", 50_000)
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "large.png").write_bytes(b"x" * 60_000)
    assert [name for name, _ in load(folder).skipped] == ["a/large.png", "b/large.png"]


def test_an_entry_without_a_name_is_passed_over(draw_face: Callable[..., Image.Image], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        nameless = zipfile.ZipInfo("x")
        nameless.filename = ""
        archive.writestr(nameless, b"nobody")
        for seed in range(20):
            archive.writestr(f"{seed}.png", encoded(draw_face(seed)))
    dataset = load_faces([tmp_path / "faces.zip"], SIDE, tmp_path / "cache")
    assert len(dataset.images) == 20
    assert sum(dataset.facts.passed_over.values()) == 1


# --- hostile zips


METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\x03\x04", b"PK\x05\x06" + bytes(10)])
def test_what_is_no_zip_is_refused_by_name(tmp_path: Path, load: Callable, data: bytes) -> None:
    (tmp_path / "faces.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"faces\.zip is (damaged|an empty file|a text file)"):
        load(tmp_path / "faces.zip")


def test_a_truncated_zip_is_refused_by_name(tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable) -> None:
    path = make_zip(tmp_path / "faces.zip", pngs)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"faces\.zip"):
        load(path)


def test_names_that_point_outside_write_nothing_outside_the_cache(
    tmp_path: Path, pngs: list[tuple[str, bytes]], draw_face: Callable[..., Image.Image], load: Callable
) -> None:
    absolute = f"{tmp_path}/absolute.png"
    names = ["../up.png", "../../up.png", "a/../../up.png", absolute, "C:\\drive.png", "..\\back.png", "nul\0.png"]
    evil = [(name, encoded(draw_face(100 + number))) for number, name in enumerate(names)]
    (tmp_path / "in" / "deep").mkdir(parents=True)
    path = make_zip(tmp_path / "in" / "deep" / "faces.zip", [*pngs, *evil])
    before = files_below(tmp_path)
    assert len(load(path).images) >= 20
    written = files_below(tmp_path) - before
    assert written
    assert all(tmp_path / "cache" in file.parents for file in written)


def test_links_in_a_zip_are_refused(tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    dataset = load(make_zip(tmp_path / "faces.zip", [*pngs, (link, b"/etc/passwd")]))
    assert dataset.skipped == [("link.png", "a symbolic link")]


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable) -> None:
    path = make_zip(tmp_path / "faces.zip", [*pngs, ("bomb.png", bytes(8_000_000))], zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 200_000
    dataset = load(path)
    assert len(dataset.images) == 20
    [(name, reason)] = dataset.skipped
    assert name == "bomb.png"
    assert "over 200 times its packed size" in reason


@pytest.mark.parametrize("declared", [None, 1])
def test_a_zip_of_very_many_entries_is_refused_before_they_are_taken_apart(
    tmp_path: Path, pngs: list[tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch, declared: int | None
) -> None:
    path = make_zip(tmp_path / "faces.zip", pngs)
    if declared:  # the number that the end of the zip tells is not what zipfile goes by
        data = path.read_bytes()
        path.write_bytes(data[:-14] + struct.pack("<HH", declared, declared) + data[-10:])
    with ExitStack() as opened:
        assert len(list(list_pictures(path, Search(opened, most_entries=len(pngs))))) == len(pngs)
        monkeypatch.setattr(zipfile, "ZipInfo", None)
        with pytest.raises(TooManyError, match=r"faces\.zip: it has 20 entries; at most 19 are read"):
            list(list_pictures(path, Search(opened, most_entries=19)))
        monkeypatch.setattr("ganime.faces.zips.BLOCK", 0)
        with pytest.raises(TooManyError, match=r"directory of 1,\d\d\d bytes"):
            list(list_pictures(path, Search(opened, most_entries=2)))


def changed_header(data: bytes, name: bytes, local: int, central: int, form: str, value: int) -> bytes:
    """The zip with one field of an entry overwritten in both its headers."""
    changed = bytearray(data)
    for mark, offset, name_at in ((b"PK\x03\x04", local, 30), (b"PK\x01\x02", central, 46)):
        start = data.index(mark)
        while data[start + name_at : start + name_at + len(name)] != name:
            start = data.index(mark, start + 4)
        struct.pack_into(form, changed, start + offset, value)
    return bytes(changed)


@pytest.mark.parametrize(
    ("local", "central", "form", "value", "reason"),
    [
        (6, 8, "<H", 1, "encrypted"),
        (22, 24, "<I", 2**32 - 2, "at most"),
        (22, 24, "<I", 10, "damaged"),
        (14, 16, "<I", 0, "damaged in the zip"),
        (8, 10, "<H", 97, "compressed with wavpack (method 97)"),
        (8, 10, "<H", 9, "compressed with Deflate64"),
    ],
    ids=["encrypted", "claims 4 GB", "claims 10 bytes", "wrong checksum", "unknown compression", "Deflate64"],
)
def test_an_entry_with_a_lying_header_is_passed_over(
    tmp_path: Path,
    pngs: list[tuple[str, bytes]],
    load: Callable,
    local: int,
    central: int,
    form: str,
    value: int,
    reason: str,
) -> None:
    path = make_zip(tmp_path / "faces.zip", pngs)
    path.write_bytes(changed_header(path.read_bytes(), b"007.png", local, central, form, value))
    dataset = load(path)
    assert len(dataset.images) == 19
    assert [name for name, _ in dataset.skipped] == ["007.png"]
    assert reason in dataset.skipped[0][1]


@pytest.mark.parametrize("place", [0, 30])
@pytest.mark.parametrize("method", METHODS)
def test_an_entry_with_damaged_bytes_is_passed_over(
    tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable, method: int, place: int
) -> None:
    path = make_zip(tmp_path / "faces.zip", pngs, method)
    data = bytearray(path.read_bytes())
    place += data.index(b"007.png") + len(b"007.png")
    data[place : place + 60] = b"\xff" * 60
    path.write_bytes(data)
    dataset = load(path)
    assert len(dataset.images) == 19
    assert [name for name, _ in dataset.skipped] == ["007.png"]


@pytest.mark.parametrize("as_folder", [False, True])
def test_archives_inside_a_source_are_opened_one_level_deep(
    as_folder: bool, tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable
) -> None:
    deepest = make_zip(tmp_path / "deepest.zip", pngs[:1]).read_bytes()
    inner = make_zip(tmp_path / "inner.zip", [*pngs[:10], ("deeper.zip", deepest)]).read_bytes()
    packed = tar_of(pngs[10:], "w:gz")
    entries = [("a/inner.zip", inner), ("inner.tar.gz", packed), ("inner.png", inner), ("broken.zip", b"PK\3\4any")]
    if as_folder:
        for name, data in entries:
            (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "in" / name).write_bytes(data)
    dataset = load(tmp_path / "in" if as_folder else make_zip(tmp_path / "faces.zip", entries, zipfile.ZIP_DEFLATED))
    assert len(dataset.images) == 20
    assert dataset.names[0] == "a/inner.zip/000.png"
    assert [name for name, _ in dataset.skipped] == ["broken.zip", "inner.png"]
    assert "not a picture but an archive" in dict(dataset.skipped)["inner.png"]
    assert dataset.facts.passed_over == {"archive": 1}


def test_a_huge_header_in_a_zip_is_passed_over(tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable) -> None:
    huge = raw_png(60_000, 60_000, 8, 2, random.Random(0).randbytes(1000))
    dataset = load(make_zip(tmp_path / "faces.zip", [*pngs, ("huge.png", huge)]))
    assert len(dataset.images) == 20
    assert [name for name, _ in dataset.skipped] == ["huge.png"]


def test_a_zip_with_names_that_are_no_text_is_refused_by_name(
    tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable
) -> None:
    path = make_zip(tmp_path / "faces.zip", [*pngs, ("ü.png", pngs[0][1])])
    path.write_bytes(path.read_bytes().replace("ü.png".encode(), b"\xff\xfe.png"))
    with pytest.raises(DataError, match=r"faces\.zip"):
        load(path)


def test_a_zip_from_a_newer_world_is_refused_by_name(
    tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable
) -> None:
    path = make_zip(tmp_path / "faces.zip", pngs)
    path.write_bytes(changed_header(path.read_bytes(), b"007.png", 4, 6, "<H", 255))
    with pytest.raises(DataError, match=r"faces\.zip"):
        load(path)


@settings(max_examples=25)
@given(
    method=st.sampled_from(METHODS),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
    tail=st.booleans(),
)
def test_a_mangled_zip_is_loaded_or_refused_and_nothing_else(
    method: int, changes: list[tuple[float, int]], tail: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("mangled")
    pictures = [np.random.default_rng(seed).integers(0, 2, (16, 16, 3), np.uint8) * 255 for seed in range(17)]
    entries = [(f"{i:02d}.bmp", encoded(Image.fromarray(pixels), "BMP")) for i, pixels in enumerate(pictures)]
    path = make_zip(folder / "faces.zip", entries, method)
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\x01\x02") if tail else 0  # the list of contents is where most goes wrong
    for place, value in changes:
        data[start + int(place * (len(data) - start - 1))] = value
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(DataError):
            assert len(load_faces([path], 32, folder / "cache").images) in (16, 17)
    shutil.rmtree(folder)
