"""What files are, by content and name, and what the user is told of those that are not read."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from ganime.errors import DataError
from ganime.faces.dataset import FaceDataset
from ganime.faces.kinds import ARCHIVE, OTHER, PICTURE, TABLE, LeftOut, in_words, kind_by_content
from tests.ganime.faces.pictures import encoded, make_zip

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


@pytest.mark.parametrize(
    "kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "HEIF", "AVIF", "PPM", "QOI"]
)
def test_every_format_that_is_read_is_known_by_its_content(kind: str) -> None:
    assert kind_by_content(encoded(Image.new("RGB", (32, 32)), kind)[:512]) == PICTURE


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (HEIC, PICTURE),
        (b"\xff\x4f\xff\x51\0\x2f", PICTURE),
        (b"PK\x03\x04", ARCHIVE),
        (b"7z\xbc\xaf\x27\x1c", ARCHIVE),
        (gzip.compress(b"", mtime=0), ARCHIVE),
        (b"\0" * 257 + b"ustar\0", ARCHIVE),
        (b"PAR1", TABLE),
        (b"Rar!\x1a\x07\x01\0", "RAR archive"),
        (b"\xff\x0a\0", "JPEG XL picture"),
        (b"\0\0\0\x20ftypisom", "film"),
        (b"RIFF\0\0\0\0AVI LIST", "film"),
        (b"\0\0\0\x18ftypcrx ", "camera raw picture"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "Git LFS pointer"),
        (b"\r\n<!DOCTYPE html><html lang=en>", "web page"),
        (b'<?xml version="1.0"?>\n<svg xmlns="">', "SVG drawing"),
        (b"%PDF-1.7", "PDF document"),
        ("文字 and more".encode()[:-1], "text file"),
        (b"BM is how this text begins, which is no bitmap", "text file"),
        (b"\1\2\3\xff", OTHER),
        (b"", "empty file"),
    ],
)
def test_what_is_not_read_is_known_by_its_content_as_well(head: bytes, kind: str) -> None:
    assert kind_by_content(head) == kind


def test_what_was_found_is_counted_in_words() -> None:
    left = LeftOut()
    for kind, name in [("film", "a.mp4"), ("film", "b.mp4"), ("RAR archive", "in\n.rar"), ("JPEG XL picture", "c.jxl")]:
        left.note(kind, name)
    assert left.in_words() == "2 films, 1 RAR archive (in\\n.rar) and 1 JPEG XL picture (c.jxl)"
    assert LeftOut().in_words() == ""
    assert in_words("HDF5 file") == "an HDF5 file"
    assert in_words("RAR archive") == "a RAR archive: unpack it"


def test_pictures_with_missing_and_odd_names_are_read(folder: Path, tmp_path: Path, load: Callable) -> None:
    endings = ["", ".jpg_large", ".dat", ".png?width=200", ".tmp", ".txt", ".JPG!d", ".zip"]
    for path, ending in zip(sorted(folder.iterdir()), endings, strict=False):
        path.rename(folder / f"{path.stem}{ending}")
    entries = [(path.name, path.read_bytes()) for path in sorted(folder.iterdir())]
    for dataset in (load(folder), load(make_zip(tmp_path / "zipped", entries))):
        assert (len(dataset.images), dataset.skipped, dataset.facts.passed_over) == (20, [], {})


def test_pictures_may_be_named_one_by_one(folder: Path, load: Callable[..., FaceDataset]) -> None:
    dataset = load(*sorted(folder.iterdir()))
    assert (len(dataset.images), dataset.names[0]) == (20, "000.png")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({f"{n}.jxl": b"\xff\x0a" for n in range(40)}, "40 JPEG XL pictures"),
        ({"faces.rar": b"Rar!\x1a\x07\0"}, "1 RAR archive (faces.rar)"),
        ({"a.mp4": b"\0\0\0\x20ftypisom", "b.svg": b"<svg>", "c.svg": b"<svg>"}, "2 SVG drawings and 1 film (a.mp4)"),
        ({"model.docx": b"PK\3\4"}, "1 other file (model.docx)"),
        ({"train.csv": b"a,b"}, "1 text file (train.csv)"),
        ({"images.bin": b"version https://git-lfs"}, "1 Git LFS pointer (images.bin)"),
        ({".DS_Store": b"x"}, "1 hidden or system file (.DS_Store)"),
    ],
)
@pytest.mark.parametrize("as_zip", [False, True])
def test_no_faces_say_what_was_found_instead(
    content: dict[str, bytes], found: str, as_zip: bool, tmp_path: Path, load: Callable
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for name, data in content.items():
        (source / name).write_bytes(data)
    if as_zip:
        source = make_zip(tmp_path / "in.zip", content.items())
    with pytest.raises(DataError, match="0 usable faces") as caught:
        load(source)
    assert f"Found instead: {found}." in str(caught.value)


def test_no_faces_name_an_archive_in_an_archive_and_links_to_nothing(tmp_path: Path, load: Callable) -> None:
    deepest = make_zip(tmp_path / "deepest.zip", []).read_bytes()
    inner = make_zip(tmp_path / "inner.zip", [("faces.zip", deepest)]).read_bytes()
    with pytest.raises(DataError, match=r"1 archive \(inner\.zip/faces\.zip\)"):
        load(make_zip(tmp_path / "outer.zip", [("inner.zip", inner)]))
    (tmp_path / "links").mkdir()
    for number in range(3):
        (tmp_path / "links" / f"{number}.png").symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match=r"0\.png: a link to something that does not exist; .*2\.png"):
        load(tmp_path / "links")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="Nothing else was found"):
        load(tmp_path / "empty")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.zip", b"<html><title>Sign in", "a web page: the download went wrong"),
        ("a.zip", b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer.*git lfs pull"),
        ("a.zip", b"", "an empty file"),
        ("a.zip", b"Rar!\x1a\x07\0", "a RAR archive: unpack it"),
        ("a.rar", b"Rar!\x1a\x07\0", "a RAR archive: unpack it"),
        ("a.pdf", b"%PDF-1.4", "a PDF document"),
        (
            "a.png.gz",
            gzip.compress(encoded(Image.new("RGB", (32, 32))), mtime=0),
            "a compressed picture, not a compressed tar",
        ),
        ("a.txt", b"notes", "a text file"),
    ],
)
def test_a_source_that_is_no_archive_is_called_what_it_is(
    name: str, data: bytes, words: str, tmp_path: Path, load: Callable
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=words):
        load(tmp_path / name)


def test_pictures_that_stand_for_others_are_skipped_as_what_they_are(folder: Path, load: Callable) -> None:
    (folder / "pointer.png").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n")
    (folder / "page.jpg").write_bytes(b"<html><body>404")
    (folder / "film.jpg").write_bytes(b"\0\0\0\x20ftypisom")
    assert [reason for _, reason in load(folder).skipped] == [
        "not a picture but a film",
        "not a picture but a web page: the download went wrong; fetch the file again",
        "not a picture but a Git LFS pointer: fetch the file itself with `git lfs pull`",
    ]


def test_names_in_zips_are_readable_in_japanese_too(
    tmp_path: Path, pngs: list[tuple[str, bytes]], load: Callable
) -> None:
    names = ["表示.png", "顔.png"]  # the first has a backslash among its bytes
    path = make_zip(tmp_path / "faces.zip", [("AAAA.png", pngs[0][1]), ("BB.png", pngs[1][1]), *pngs[2:]])
    data = path.read_bytes()
    for placeholder, name in zip((b"AAAA", b"BB"), names, strict=True):
        data = data.replace(placeholder + b".png", name.encode("cp932"))
    path.write_bytes(data)
    assert set(names) <= set(load(path).names)
