"""Uploads, also harmful ones: refused or treated as what they are; nothing is written outside the job's folder."""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from PIL import Image

from app.errors import JobError
from app.jobs.arrivals import Upload, all_uploads, arrivals_folder, bundle, delete_uploads, uploaded_files
from app.jobs.service import Jobs
from app.jobs.uploads import sort_files, store_files, stored_sources, with_visitor_names
from app.settings import Settings
from app.tabs.job_view import faces_value
from ganime.errors import DataError, GanimeError
from ganime.faces import dataset
from tests.app.job_helpers import ME
from tests.ganime.faces.pictures import tar_of

LONG = "あ" * 83 + "12.png"  # 255 bytes
NAMES = [
    "顔.png",
    "😀👩‍🎤.png",
    LONG,
    "../../up.png",
    "/etc/passwd.png",
    "a\nb\x1b[31m.png",
    "<img src=x onerror=alert(1)>.png",
]


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def header(width: int, height: int) -> bytes:
    """Return a whole PNG whose header claims a size, and whose data has next to no pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    claimed = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", claimed) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


@pytest.fixture(scope="module")
def pngs(draw_face: Callable[..., Image.Image]) -> list[bytes]:
    return [png(draw_face(seed)) for seed in range(20)]


def uploaded(folder: Path, named: list[tuple[str, bytes]]) -> list[Upload]:
    """Return files as Gradio hands them over: under safe names, with the visitor's names beside."""
    found = []
    for number, (name, data) in enumerate(named):
        (folder / f"upload{number}").write_bytes(data)
        found.append(Upload(folder / f"upload{number}", name))
    return found


def zipped(named: list[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in named:
            archive.writestr(name, data)
    return buffer.getvalue()


def looked_at(jobs: Jobs, files: list[Upload]) -> dict:
    return faces_value(*jobs.read_draft(jobs.draft(files, ME, 64)))


def count(value: dict, row: str) -> int:
    return int(dict(value["rows"]).get(row, "0").replace(",", ""))


def files_outside(folder: Path, jobs: Jobs) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and jobs.settings.home not in path.parents}


@pytest.mark.parametrize("as_zip", [False, True])
def test_harmful_files_are_named_and_the_good_ones_used(
    as_zip: bool, open_jobs: Callable[..., Jobs], pngs: list[bytes], tmp_path: Path
) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    bad = [
        ("huge.png", header(60_000, 60_000)),
        ("cut.png", pngs[0][: len(pngs[0]) // 2]),
        ("empty.png", b""),
        ("page.png", b"<html><script>alert(1)</script></html>"),
        ("polyglot.jpg", zipped([("inside.png", pngs[0])])),
    ]
    good = [
        *zip(NAMES, pngs, strict=False),
        *((f"{number}.png", data) for number, data in enumerate(pngs[len(NAMES) :])),
    ]
    good[-1] = ("and a zip.png", pngs[-1] + zipped([("inside.png", pngs[0])]))  # a picture, whatever follows it
    jobs = open_jobs("mock", start=False)
    packed = [("faces.zip", zipped([*good, *bad, (link, b"/etc/passwd")]))]
    files = uploaded(tmp_path, packed if as_zip else good + bad)
    before = files_outside(tmp_path, jobs)
    value = looked_at(jobs, files)
    used = count(value, "Faces to learn from") + count(value, "Held out, to measure against")
    assert used == len(good) - as_zip  # of a zip, what is in a folder that begins with a dot is passed over
    assert count(value, "Unreadable") == len(bad) + as_zip
    named = {entry["name"] for entry in value["skipped"]}
    assert {name for name, _ in bad} <= named
    assert files_outside(tmp_path, jobs) == before
    assert str(tmp_path) not in json.dumps(value)


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06" + bytes(18), b"PK\x03\x04", b"\x89PNG\r\n\x1a\n"], ids=repr)
def test_zips_that_are_none_or_hold_nothing_are_refused_by_name(
    data: bytes, open_jobs: Callable[..., Jobs], tmp_path: Path
) -> None:
    jobs = open_jobs("mock", start=False)
    with pytest.raises(
        GanimeError, match=r"^<b>\.zip is damaged|0 usable faces found in (<b>\.zip|your pictures)|^<b>\.zip is "
    ) as caught:
        looked_at(jobs, uploaded(tmp_path, [("<b>.zip", data)]))
    assert str(tmp_path) not in str(caught.value)


def test_a_bomb_is_refused_by_what_it_unpacks_to(
    open_jobs: Callable[..., Jobs], pngs: list[bytes], tmp_path: Path
) -> None:
    noise = os.urandom(5_000) * 200  # a megabyte in a few kilobytes, below the ratio at which an entry is refused
    bomb = zipped([(f"{number}.bmp", noise[number:]) for number in range(30)], zipfile.ZIP_DEFLATED)
    assert len(bomb) < 10 * 2**20
    jobs = open_jobs("mock", start=False, upload_megabytes=10)
    with pytest.raises(JobError, match=r"more than 10 MB uncompressed.*GANIME_UPLOAD_MEGABYTES"):
        jobs.draft(uploaded(tmp_path, [("bomb.zip", bomb)]), ME, 64)
    suspicious = zipped([*((f"{n}.png", data) for n, data in enumerate(pngs)), ("bomb.png", bytes(9_000_000))], 8)
    value = looked_at(jobs, uploaded(tmp_path, [("faces.zip", suspicious)]))
    [skipped] = value["skipped"]
    assert skipped["name"] == "bomb.png"
    assert "over 200 times its packed size" in skipped["reason"]


def test_a_zip_is_counted_from_headers_and_neither_unpacked_nor_decoded(
    open_jobs: Callable[..., Jobs], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = [Image.frombytes("RGB", (256, 256), os.urandom(256 * 256 * 3)) for _ in range(16)]
    packed = zipped([(f"{number}.png", png(image)) for number, image in enumerate(noise)], zipfile.ZIP_DEFLATED)
    unpacked = []
    read = zipfile.ZipExtFile.read
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda *args: unpacked.append(data := read(*args)) or data)
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("a picture was decoded"))
    jobs = open_jobs("mock", start=False)
    assert jobs.get(jobs.draft(uploaded(tmp_path, [("faces.zip", packed)]), ME, 64)).faces == 16
    assert sum(map(len, unpacked)) < len(packed) / 10


def test_a_zip_is_hashed_and_decoded_once_on_its_way_to_the_trainer(
    open_jobs: Callable[..., Jobs], pngs: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []

    def counted(name: str) -> Callable[..., Any]:
        function = getattr(dataset, name)
        return lambda *args: done.append(name) or function(*args)

    for name in ("file_digest", "decode_all"):
        monkeypatch.setattr(dataset, name, counted(name))
    packed = zipped([(f"{number}.png", data) for number, data in enumerate(pngs)])
    jobs = open_jobs("mock", start=False)
    key = jobs.draft(uploaded(tmp_path, [("faces.zip", packed)]), ME, 64)
    jobs.read_draft(key)
    folder = jobs.folder(key)
    dataset.load_faces(stored_sources(folder.uploads), 64, folder.cache)  # as the trainer does
    assert done == ["file_digest", "decode_all"]


def test_many_tiny_files_are_refused_by_their_number(open_jobs: Callable[..., Jobs], tmp_path: Path) -> None:
    tiny = png(Image.new("RGB", (1, 1)))
    path = tmp_path / "tiny.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(1_000):
            archive.writestr(f"{number}.png", tiny)
    with pytest.raises(JobError, match=r"999 pictures.*GANIME_UPLOAD_FACES"):
        open_jobs("mock", start=False, upload_faces=999).draft([Upload(path, "tiny.zip")], ME, 32)


def test_names_of_files_are_kept_and_never_become_paths(
    open_jobs: Callable[..., Jobs], pngs: list[bytes], tmp_path: Path
) -> None:
    jobs = open_jobs("mock", start=False)
    key = jobs.draft(uploaded(tmp_path, list(zip([*NAMES, "lone \udcff.png"], pngs, strict=False))), ME, 32)
    sources = jobs.sources(key)
    assert list(sources.names.values()) == [*NAMES, "lone \udcff.png"]
    kept = sorted(path.relative_to(sources.folder).as_posix() for path in sources.folder.rglob("*.png"))
    assert kept == [f"pictures/{number:08d}-upload.png" for number in range(len(NAMES) + 1)]
    for wrong in ("../" + key, key.replace(".", "/../."), f"{'0' * 16}.x", "%2e%2e." + key.partition(".")[2]):
        with pytest.raises(JobError, match="no such job"):
            jobs.status(wrong)


def test_deleted_uploads_leave_the_stored_faces_and_what_else_is_in_their_folder(
    open_jobs: Callable[..., Jobs], files: list[Upload], tmp_path: Path
) -> None:
    jobs = open_jobs("mock", start=False)
    copies = []
    for file in files:
        (tmp_path / file.name).mkdir()
        copies.append(Upload(tmp_path / file.name / "face.png", file.name))
        copies[-1].path.write_bytes(file.path.read_bytes())
    (tmp_path / files[0].name / "other").write_bytes(b"")
    key = jobs.draft(copies, ME, 32)
    delete_uploads(copies)
    delete_uploads(copies)
    assert [path.name for path in tmp_path.glob("*.png")] == [files[0].name]  # its folder contains something else
    assert len(list((jobs.folder(key).uploads / "pictures").iterdir())) == 16
    with pytest.raises(JobError, match="no longer exist"):
        jobs.draft(copies, ME, 32)


def test_uploads_beyond_a_limit_are_refused_and_leave_nothing(
    open_jobs: Callable[..., Jobs], files: list[Upload], tmp_path: Path
) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.bmp", os.urandom(20_000) * 60)  # more than a megabyte in a few kilobytes
    large = tmp_path / "large.png"
    large.write_bytes(header(2_300, 2_300))
    damaged = tmp_path / "damaged.png"
    changed = bytearray(header(1_500, 1_500))
    changed[29] ^= 1  # the checksum of its header: it will be mended
    damaged.write_bytes(changed)
    many = tmp_path / "many.zip"
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(1_035):
            archive.writestr(f"{number}.txt", b"")
    notes = tmp_path / "notes"
    notes.write_text("notes")
    refused = [
        ({"upload_faces": 16}, [Upload(many, "many.zip")], r"more than 1,032 entries.*GANIME_UPLOAD_FACES: 16"),
        ({"upload_megabytes": 1}, [Upload(bomb, "bomb.zip")], "1 MB uncompressed.*GANIME_UPLOAD_MEGABYTES"),
        ({"upload_faces": 15}, files, "GANIME_UPLOAD_FACES"),
        ({"upload_faces": 16}, [Upload(large, "large.png")], r"4\.1943 million pixels.*GANIME_UPLOAD_FACES"),
        ({"upload_faces": 16}, [Upload(damaged, "a.png"), Upload(damaged, "b.png")], r"4\.1943 million pixels"),
        ({"upload_megabytes": 0.01}, files, "GANIME_UPLOAD_MEGABYTES"),
        ({"disk_gigabytes": 1e-6}, files, "GANIME_DISK_GIGABYTES"),
        ({}, [Upload(notes, "notes.txt")], r"^notes\.txt is a text file\."),
        ({}, [], "no picture among the files"),
    ]
    for changes, uploads, words in refused:
        jobs = open_jobs("mock", start=False, **changes)
        with pytest.raises(JobError, match=words):
            jobs.draft(uploads, ME, 32)
    (tmp_path / "link.png").symlink_to("/etc/passwd")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK\3\4")
    jobs = open_jobs("mock", start=False)
    with pytest.raises(JobError, match=r"^link\.png is "):
        jobs.draft([Upload(tmp_path / "link.png", "link.png")], ME, 32)
    with pytest.raises(DataError, match=r"^my <faces>\.zip is damaged or incomplete"):
        jobs.draft([Upload(broken, "my <faces>.zip")], ME, 32)
    assert not list((jobs.settings.home / "jobs").glob("*"))
    assert jobs.overview() == []
    assert all(file.path.is_file() for file in files)


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", "nul\0", "{arrivals}/../x", "{arrivals}", 7, None])
def test_only_files_that_were_uploaded_to_this_page_are_taken(path: object, settings: Settings) -> None:
    arrivals = arrivals_folder(settings)
    assert uploaded_files(f"{arrivals}/request/a/faces.zip", "", settings)[0].name == "faces.zip"
    assert uploaded_files(f"{arrivals}/request/a/x.zip", "My.zip", settings)[0].name == "My.zip"
    with pytest.raises(JobError, match="no longer exist"):  # the folder of a request that is no longer there
        uploaded_files(f"{arrivals}/request", "", settings)
    with pytest.raises(JobError, match="handle_file"):
        uploaded_files(path.format(arrivals=arrivals) if isinstance(path, str) else path, "x", settings)


def test_naming_an_upload_many_times_is_refused_at_once(settings: Settings) -> None:
    place = arrivals_folder(settings) / "request"
    files = [place / str(number) / "a.png" for number in range(100)]
    for file in files:
        file.parent.mkdir(parents=True)
        file.touch()
    bundle(place, files)
    assert len(all_uploads([(str(place), "")], settings)) == 100
    with patch("app.jobs.arrivals.Upload") as made, pytest.raises(JobError, match="named twice"):
        all_uploads([(str(place), ""), *[(f"{place}/./", "")] * 1_000], settings)
    assert made.call_count == 100
    file = place.parent / "other" / "0" / "7.png"
    file.parent.mkdir(parents=True)
    file.touch()
    with pytest.raises(JobError, match="more than 1,002 files"):
        all_uploads(
            [(f"{place.parent}/other/0/{n}.png", "") for n in range(1_003)],
            settings.model_copy(update={"upload_faces": 1}),
        )
    assert not file.exists()


def test_more_archives_than_stay_open_are_refused(settings: Settings, tmp_path: Path) -> None:
    [file] = uploaded(tmp_path, [("a.zip", b"PK\5\6" + bytes(18))])
    with pytest.raises(JobError, match="257 archives; at most 256"):
        sort_files([file] * 257, settings)


def test_pictures_of_phones_tars_and_archives_inside_archives_are_taken_whatever_their_names(
    open_jobs: Callable[..., Jobs], pngs: list[bytes], tmp_path: Path
) -> None:
    heic = io.BytesIO()
    Image.open(io.BytesIO(pngs[0])).save(heic, "HEIF", quality=95)
    named = [(f"{number}.png", data) for number, data in enumerate(pngs)]
    files = [
        ("IMG_1.HEIC", heic.getvalue()),
        ("no ending", pngs[1]),
        ("faces.tar.gz", tar_of(named[2:8], "w:gz")),
        ("all of it", zipped([("inner.zip", zipped(named[8:12])), ("inner.tar", tar_of(named[12:16])), *named[16:]])),
        ("faces.rar", b"Rar!\x1a\x07\0"),
        ("table.parquet", b"PAR1"),
        (".DS_Store", b"x"),
    ]
    jobs = open_jobs("mock", start=False)
    key = jobs.draft(uploaded(tmp_path, files), ME, 32)
    assert jobs.get(key).faces == 20
    sources, dataset = jobs.read_draft(key)
    assert len(dataset.images) == 20
    assert [name for name, _ in sources.skipped(dataset)] == ["faces.rar", "table.parquet", ".DS_Store"]
    assert jobs.status(key).skipped[0] == "faces.rar: a RAR archive: unpack it"
    value = faces_value(sources, dataset)
    assert count(value, "Other files") == 3
    assert value["skipped"][1]["reason"] == "a Parquet or Arrow file"


def test_limits_hold_in_archives_inside_archives(
    open_jobs: Callable[..., Jobs], pngs: list[bytes], tmp_path: Path
) -> None:
    inner = zipped([(f"{number}.png", data) for number, data in enumerate(pngs)])
    many = zipped([(f"{number}.zip", inner) for number in range(3)])
    text = zipped([(f"{number}.txt", b"") for number in range(1_100)])
    noise = os.urandom(5_000) * 200
    packed = tar_of([(f"{number}.bmp", noise[number:]) for number in range(4)], "w:xz")
    for changes, data, words in (
        ({"upload_faces": 50}, many, r"more than 50 pictures.*GANIME_UPLOAD_FACES"),
        ({"upload_faces": 20}, zipped([("a.zip", text)]), r"my\.zip contains more than 1,040 entries"),
        ({"upload_megabytes": 2}, packed, r"my\.zip contains more than 2 MB uncompressed.*GANIME_UPLOAD_MEGABYTES"),
        ({"upload_megabytes": 2}, zipped([("a.tar.xz", packed)]), r"my\.zip contains more than 2 MB uncompressed"),
    ):
        jobs = open_jobs("mock", start=False, **changes)
        with pytest.raises(JobError, match=words):
            jobs.draft(uploaded(tmp_path, [("my.zip", data)]), ME, 32)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name.startswith("tmp")]


def test_links_in_uploads_are_never_followed(open_jobs: Callable[..., Jobs], pngs: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "face.png").write_bytes(pngs[0])
    links = []
    for name, target in (("face.png", "secret/face.png"), ("folder", "secret"), ("gone.png", "nothing")):
        (tmp_path / f"link {name}").symlink_to(tmp_path / target)
        links.append(Upload(tmp_path / f"link {name}", name))
    jobs = open_jobs("mock", start=False)
    files = uploaded(tmp_path, [(f"{number}.png", data) for number, data in enumerate(pngs[1:])])
    key = jobs.draft([*files, *links[:2]], ME, 32)
    sources, dataset = jobs.read_draft(key)
    assert len(dataset.images) == len(pngs) - 1
    assert [(name, reason) for name, reason in sources.ignored] == [("face.png", "a link"), ("folder", "a link")]
    with pytest.raises(JobError, match="no longer exist"):
        jobs.draft([*files, links[2]], ME, 32)


def test_an_error_names_each_file_by_the_visitors_name_also_where_that_is_one_of_another(
    tmp_path: Path,
) -> None:
    files = []
    for place, name in enumerate(["00000001.png", "00000002.png", "cat.png", "00000000.zip"]):
        path = tmp_path / f"sent{place}"
        path.write_bytes(b"x")
        files.append(Upload(path, name))
    stored = tmp_path / "stored"
    store_files(files, [], stored)
    text = (
        "00000000-upload.png: too large; pictures/00000001-upload.png: damaged; 00000002-upload.png; "
        f"{stored}/00000003-upload.zip is encrypted."
    )
    named = with_visitor_names(text, stored)
    assert named == "00000001.png: too large; 00000002.png: damaged; cat.png; 00000000.zip is encrypted."


def test_files_in_an_archive_keep_their_names_and_a_duplicate_is_that_of_a_name_the_visitor_knows(
    open_jobs: Callable[..., Jobs], pngs: list[bytes], tmp_path: Path
) -> None:
    odd: list[tuple[str | zipfile.ZipInfo, bytes]] = [("00000001.png", b"broken"), ("00000002.png", pngs[0])]
    packed = zipped([*odd, *((f"{number}.png", data) for number, data in enumerate(pngs[1:]))])
    jobs = open_jobs("mock", start=False)
    value = looked_at(jobs, uploaded(tmp_path, [("faces.zip", packed), ("me.png", pngs[0]), ("again.png", pngs[0])]))
    skipped = {entry["name"]: entry["reason"] for entry in value["skipped"]}
    assert set(skipped) == {"00000001.png", "00000002.png", "again.png"}
    assert (skipped["again.png"], skipped["00000002.png"]) == ("exact duplicate of me.png",) * 2

    few = uploaded(tmp_path, [("few.zip", zipped(odd)), ("me.png", pngs[0]), ("also.png", b"\x89PNG")])
    key = jobs.draft(few, ME, 64)
    with pytest.raises(DataError) as caught:
        jobs.read_draft(key)
    assert "00000001.png: " in str(caught.value)
    assert "00000002.png: exact duplicate of me.png" in str(caught.value)
    assert str(caught.value).count("me.png") == 1
