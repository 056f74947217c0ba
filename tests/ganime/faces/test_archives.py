"""Tars, 7z archives, tables and data sets of the hub: their faces are found, and hostile ones do no harm."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import resource
import struct
import sys
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path

import pytest

from ganime.errors import DataError
from ganime.faces import hub_datasets
from ganime.faces.dataset import FaceDataset
from ganime.faces.search import Search, TooManyBytesError, TooManyError
from ganime.faces.sources import list_pictures
from tests.ganime.faces.pictures import files_below, make_zip, tar_of
from tests.hub_server import HubServer

Entries = list[tuple[str, bytes]]


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".7z", ""])
def test_the_faces_of_every_kind_of_archive_are_those_of_its_folder(
    ending: str, folder: Path, pngs: Entries, tmp_path: Path, load: Callable[..., FaceDataset]
) -> None:
    path = tmp_path / f"packed{ending}"
    if ending == ".7z":
        py7zr = pytest.importorskip("py7zr")
        with py7zr.SevenZipFile(path, "w") as archive:
            for name, data in [*pngs, ("notes.txt", b"notes")]:
                archive.writestr(data, name)
    elif ending == ".tar.zst":
        zstd = (
            pytest.importorskip("backports.zstd")
            if sys.version_info < (3, 14)
            else pytest.importorskip("compression.zstd")
        )
        path.write_bytes(zstd.compress(tar_of([*pngs, ("notes.txt", b"notes")])))
    else:
        modes = {"gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}
        path.write_bytes(tar_of([*pngs, ("notes.txt", b"notes")], modes.get(ending.rpartition(".")[2], "w")))
    dataset, plain = load(path), load(folder)
    assert dataset.names == plain.names
    assert (dataset.images == plain.images).all()
    assert dataset.facts.passed_over == {"text file": 1}
    assert {file.parent.name for file in files_below(tmp_path / "cache")} >= {"cache"}  # nothing else is left there
    assert not [file for file in files_below(tmp_path) if file.suffix == ".png" and folder not in file.parents]


@pytest.mark.parametrize(("code", "reason"), [(32, ""), (34, "needs over 272 MB of memory")])  # for 256 and 512 MB
def test_an_xz_file_may_ask_for_as_much_memory_as_programs_offer_and_no_more(
    code: int, reason: str, pngs: Entries, tmp_path: Path, load: Callable[..., FaceDataset]
) -> None:
    data = bytearray(lzma.compress(tar_of(pngs)))
    block = slice(12, 12 + 4 * (data[12] + 1) - 4)  # the header of the first block, less its checksum
    assert data[14:16] == b"\x21\x01"  # LZMA2, with one byte that stands for the size of its dictionary
    data[16] = code
    data[block.stop : block.stop + 4] = struct.pack("<I", zlib.crc32(data[block]))
    path = tmp_path / "faces.tar.xz"
    path.write_bytes(data)
    with pytest.raises(DataError, match=f"faces.tar.xz {reason}") if reason else nullcontext():
        assert len(load(path).images) == len(pngs)


def test_links_and_devices_in_a_tar_are_refused_and_names_never_become_paths(
    pngs: Entries, tmp_path: Path, load: Callable
) -> None:
    buffer = io.BytesIO(tar_of(pngs))
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        for name, kind, target in [
            ("link.png", tarfile.SYMTYPE, "/etc/passwd"),
            ("hard.png", tarfile.LNKTYPE, "000.png"),
            ("device.png", tarfile.CHRTYPE, ""),
            ("pipe.png", tarfile.FIFOTYPE, ""),
        ]:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
        for name in ("../up.png", "/absolute.png"):
            member = tarfile.TarInfo(name)
            member.size = len(pngs[0][1])
            archive.addfile(member, io.BytesIO(pngs[0][1]))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "faces.tar").write_bytes(buffer.getvalue())
    before = files_below(tmp_path)
    dataset = load(tmp_path / "in" / "faces.tar")
    assert len(dataset.images) == 20
    reasons = dict(dataset.skipped)
    assert (reasons["link.png"], reasons["hard.png"]) == ("a symbolic link", "a hard link")
    assert reasons["device.png"] == reasons["pipe.png"] == "neither a plain file nor a folder"
    assert all(tmp_path / "cache" in file.parents for file in files_below(tmp_path) - before)


def test_a_tar_that_is_cut_off_keeps_the_faces_before_the_cut(pngs: Entries, tmp_path: Path, load: Callable) -> None:
    data = tar_of(pngs)
    (tmp_path / "faces.tar").write_bytes(data[: data.rindex(pngs[18][0].encode()) + 1000])
    dataset = load(tmp_path / "faces.tar")
    assert len(dataset.images) == 18
    assert "cut off" in " ".join(reason for _, reason in dataset.skipped)
    for ending, pack in ((".tar.gz", gzip.compress), (".tar.bz2", bz2.compress), (".tar.xz", lzma.compress)):
        (tmp_path / f"faces{ending}").write_bytes(pack(data)[:-100])
        with pytest.raises(DataError, match=rf"faces{ending} is damaged or incomplete"):
            load(tmp_path / f"faces{ending}")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_bomb_is_refused_before_it_fills_the_disk(
    pack: Callable[[bytes], bytes], tmp_path: Path, load: Callable
) -> None:
    (tmp_path / "bomb.tar.gz").write_bytes(pack(bytes(8_000_000)))
    with pytest.raises(TooManyBytesError, match="over 200 times its size"):
        load(tmp_path / "bomb.tar.gz")
    assert not files_below(tmp_path / "cache")


@pytest.mark.parametrize("inside", [False, True])
def test_entries_and_unpacked_bytes_are_limited_in_all_archives_together(
    inside: bool, pngs: Entries, tmp_path: Path
) -> None:
    files = {"faces.tar.gz": tar_of(pngs, "w:gz"), "more.tar": tar_of(pngs[:5])}
    path = make_zip(tmp_path / "outer.zip", files.items()) if inside else tmp_path / "faces.tar.gz"
    path.write_bytes(path.read_bytes() if inside else files["faces.tar.gz"])
    entries = 27 if inside else 20
    for limits, error in (
        ({"most_entries": entries - 1}, TooManyError),
        ({"most_bytes": 10_000}, TooManyBytesError),
        ({"most_entries": entries}, None),
    ):
        with ExitStack() as opened:
            search = Search(opened, **limits)  # type: ignore[arg-type]
            if error:
                with pytest.raises(error, match="are read"):
                    list(list_pictures(path, search))
            else:
                assert len(list(list_pictures(path, search))) == (25 if inside else 20)


def test_a_header_of_a_tar_that_would_fill_the_memory_is_refused(pngs: Entries, tmp_path: Path, load: Callable) -> None:
    member = tarfile.TarInfo("long.png")
    member.pax_headers = {"comment": "x" * 2_000_000}
    (tmp_path / "faces.tar").write_bytes(member.tobuf(tarfile.PAX_FORMAT) + tar_of(pngs))
    with pytest.raises(TooManyError, match="header of over 131,072"):
        load(tmp_path / "faces.tar")


def header_of(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A header of a tar; a size below 0 as GNU tar writes large numbers."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, abs(size)
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT)[:512])
    if size < 0:
        header[124:136] = b"\xff" + (256**11 + size).to_bytes(11, "big")
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def pax_of(values: dict[str, str], kind: bytes = tarfile.XHDTYPE) -> bytes:
    """A header with values for the next member of a tar, or for all that follow."""
    member = tarfile.TarInfo("x")
    create = member._create_pax_generic_header  # type: ignore[attr-defined]
    return create(values, kind, "utf-8")


def test_the_map_of_a_sparse_file_takes_no_memory(tmp_path: Path) -> None:
    size = 4 * 2**20
    sparse = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a.png", "GNU.sparse.realsize": "9"}
    places = (b"%d\n" % (size // 4 - 10) + b"0\n" * (size // 2 - 20)).ljust(size, b"0")
    (tmp_path / "a.tar").write_bytes(pax_of(sparse) + header_of("a.png", size) + places + bytes(1024))
    assert peak_of_listing(tmp_path / "a.tar", TooManyError) < 2 * 2**20


def test_headers_for_all_that_follows_do_not_add_up(tmp_path: Path, pngs: Entries) -> None:
    parts = [
        pax_of({f"{n}.{m}": "x" for m in range(2_000)}, tarfile.XGLTYPE) + header_of("a.txt", 0) for n in range(40)
    ]
    (tmp_path / "a.tar").write_bytes(b"".join(parts) + tar_of(pngs))
    assert peak_of_listing(tmp_path / "a.tar") < 2**20


def peak_of_listing(path: Path, error: type[Exception] | None = None) -> int:
    """Bytes of memory that listing the pictures of an archive takes at most; `error`: that it ends in."""
    with ExitStack() as opened, pytest.raises(error) if error else nullcontext():
        tracemalloc.start()
        try:
            list(list_pictures(path, Search(opened)))
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    return peak


@pytest.mark.parametrize("size", [-1, -512, -(10**12)])
def test_a_size_below_zero_is_a_damaged_header(size: int, pngs: Entries, tmp_path: Path, load: Callable) -> None:
    data = b"".join(header_of(name, len(png)) + png + bytes(-len(png) % 512) for name, png in pngs)
    (tmp_path / "a.tar").write_bytes(data + header_of("z.png", size) + bytes(1024))
    dataset = load(tmp_path / "a.tar")
    assert len(dataset.images) == len(pngs)
    assert f"a size of {size:,} bytes" in " ".join(reason for _, reason in dataset.skipped)


def test_large_pictures_in_a_tar_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_of([("a.png", bytes(3_000_000)), ("b.png", b"b" * 2_000_000)]))
    with ExitStack() as opened:
        pictures = list(list_pictures(tmp_path / "a.tar", Search(opened)))
        assert [picture.read() for picture in pictures] == [bytes(3_000_000), b"b" * 2_000_000]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_very_many_empty_streams_are_refused_at_once(
    pack: Callable[[bytes], bytes], pngs: Entries, tmp_path: Path, load: Callable
) -> None:
    (tmp_path / "a.tar.gz").write_bytes(pack(b"") * 1_100 + pack(tar_of(pngs)))
    with pytest.raises(DataError, match="over 1,000 compressed streams"):
        load(tmp_path / "a.tar.gz")
    tar = tar_of(pngs).ljust(2**19, b"\0")
    blocks = b"".join(pack(tar[place : place + 2**16]) for place in range(0, len(tar), 2**16))  # as bgzip and pbzip2 do
    (tmp_path / "a.tar.gz").write_bytes(pack(b"") * 900 + blocks)
    assert len(load(tmp_path / "a.tar.gz").images) == len(pngs)


def number_of_7z(value: int) -> bytes:
    """A number as 7z writes it, of four bytes."""
    return bytes([0xE0 | value >> 24]) + (value & 0xFFFFFF).to_bytes(3, "little")


def test_a_7z_that_claims_a_million_files_takes_no_memory(tmp_path: Path, load: Callable) -> None:
    pytest.importorskip("py7zr")
    files = 1_000_000
    header = b"\1\5" + number_of_7z(files) + b"\x19" + number_of_7z(files + 16) + bytes(files + 18)
    packed = lzma.compress(header, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 2**20}])
    sizes = number_of_7z(len(packed)), number_of_7z(len(header))
    coder = b"\x23\3\1\1" + number_of_7z(5) + b"\x5d" + (2**20).to_bytes(4, "little")
    end = b"\x17\6\0\1\x09" + sizes[0] + b"\0\7\x0b\1\0\1" + coder + b"\x0c" + sizes[1] + b"\0\0"
    start = struct.pack("<QQI", len(packed), len(end), zlib.crc32(end))
    head = b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(start)) + start
    (tmp_path / "a.7z").write_bytes(head + packed + end)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=r"a\.7z"):
        load(tmp_path / "a.7z")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kB


def test_an_archive_of_a_missing_package_says_what_to_install(
    tmp_path: Path, load: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("py7zr", "pyarrow", "backports", "compression"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "faces.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(100))
    (tmp_path / "faces.parquet").write_bytes(b"PAR1" + bytes(100))
    (tmp_path / "faces.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(100))
    for name, words in (("7z", r"ganime\[7z\]"), ("parquet", r"ganime\[parquet\]"), ("tar.zst", "Zstandard")):
        with pytest.raises(DataError, match=words):
            load(tmp_path / f"faces.{name}")


# --- tables


@pytest.mark.parametrize("form", ["parquet", "stream", "file"])
@pytest.mark.parametrize("column", ["struct", "binary"])
def test_pictures_in_tables_are_read(
    form: str, column: str, pngs: Entries, tmp_path: Path, load: Callable, folder: Path
) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    cells = [{"bytes": data, "path": name} if column == "struct" else data for name, data in pngs]
    table = pa.table({"label": range(21), "text": ["x"] * 21, "image": [*cells, None]})
    path = tmp_path / f"train.{'parquet' if form == 'parquet' else 'arrow'}"
    if form == "parquet":
        parquet.write_table(table, path, row_group_size=6)
    else:
        make = pa.ipc.new_stream if form == "stream" else pa.ipc.new_file
        with pa.OSFile(str(path), "wb") as out, make(out, table.schema) as writer:
            writer.write_table(table, max_chunksize=6)
    dataset = load(path)
    assert (dataset.images == load(folder).images).all()
    assert dataset.skipped == [("row 20", "an empty cell of the table")]
    (tmp_path / "data").mkdir()
    path.rename(tmp_path / "data" / path.name)  # as a data set of the hub has it
    (tmp_path / "data" / "README.md").write_text("about")
    assert load(tmp_path / "data").names[3] == f"{path.name}/row 3"


def test_tables_without_pictures_and_damaged_ones_are_refused(tmp_path: Path, load: Callable) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pa.table({"url": ["https://a.invalid/b.png"], "data": [b"text"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet has no column of pictures; its columns are url, data"):
        load(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-9])
    with pytest.raises(DataError, match=r"b\.parquet is damaged"):
        load(tmp_path / "b.parquet")


# --- the hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as server:
        server.become_default(monkeypatch)
        yield server


@pytest.mark.parametrize(
    "source",
    ["hf://datasets/some/faces", "hf:/datasets/some/faces@main/train", "https://huggingface.co/datasets/some/faces"],
)
def test_a_data_set_of_the_hub_is_downloaded_once(source: str, hub: HubServer, folder: Path, load: Callable) -> None:
    plain = load(folder)
    faces = {f"train/{path.name}": path.read_bytes() for path in folder.iterdir()}
    hub.commit("dataset", "some/faces", {**faces, "script.py": b"raise SystemExit"})
    dataset = load(source)
    assert (dataset.images == plain.images).all()
    assert not [request for request in hub.requests if "script.py" in request.path]
    hub.mode = "down"
    assert load(source).key == dataset.key


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("hf://datasets/some/faces", r"hf://datasets/some/faces@main cannot be downloaded.*HTTP 401|HTTP 404"),
        ("hf://datasets/some/texts", "has no pictures, archives or Parquet files"),
        ("hf://datasets/some/texts@v9", "no such revision"),
        ("https://example.org/faces.zip", r"https://example\.org/faces\.zip is an address"),
        ("https:/example.org/faces.zip", r"https://example\.org/faces\.zip is an address"),
        ("hf://buckets/some/thing", "is an address"),
    ],
)
def test_what_is_not_there_or_no_data_set_is_explained(source: str, words: str, hub: HubServer, load: Callable) -> None:
    hub.commit("dataset", "some/texts", {"a.txt": b"text"})
    with pytest.raises(DataError, match=words):
        load(source)


@pytest.mark.parametrize(("mode", "words"), [("down", "cannot be reached"), ("500", "HTTP 500"), ("no hub", "hub")])
def test_a_hub_that_fails_is_explained(
    mode: str, words: str, hub: HubServer, load: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_datasets, "STALLED_SECONDS", 0.5)
    hub.mode = mode
    with pytest.raises(DataError, match=words) as caught:
        load("hf://datasets/some/faces")
    assert "Bearer" not in str(caught.value)
