"""The audit: every file of any folder or zip is counted once, names are safe to print, and the advice fits."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from ganime.cli import app
from ganime.cli.data import LISTED_FILES, print_audit
from ganime.errors import DataError
from ganime.faces.audit import audit, contact_sheet
from ganime.faces.dataset import FaceDataset, load_faces

SIDE = 32


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def pngs(faces_folder: Path) -> dict[str, bytes]:
    """Twenty good pictures by name, enough for a dataset."""
    return {path.name: path.read_bytes() for path in sorted(faces_folder.iterdir())[:20]}


@pytest.fixture
def folder(tmp_path: Path, pngs: dict[str, bytes]) -> Path:
    (tmp_path / "faces").mkdir()
    for name, data in pngs.items():
        (tmp_path / "faces" / name).write_bytes(data)
    return tmp_path / "faces"


@pytest.fixture
def mixed(folder: Path, draw_face: Callable[..., Image.Image]) -> Path:
    """A folder with a little of everything."""
    face = draw_face(3)
    (folder / "junk.png").write_bytes(b"junk")
    (folder / "cut.jpg").write_bytes(encoded(face, "JPEG")[:400])
    draw_face(1, 12).save(folder / "small.gif")
    shutil.copy(folder / "003.png", folder / "copy.png")
    face.save(folder / "again.jpg", quality=80)
    draw_face(50).convert("L").save(folder / "grey.png")
    draw_face(51, 120).crop((0, 20, 120, 80)).save(folder / "wide.png")
    draw_face(52, 24).save(folder / "little.png")
    (folder / "gone.png").symlink_to(folder / "nothing.png")
    others = {"notes.txt": b"x", ".DS_Store": b"x", "__MACOSX/._a.png": b"x", "more.rar": b"Rar!\x1a\x07"}
    for name, data in {**others, "scan.jxl": b"\xff\x0a"}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., FaceDataset]:
    return lambda *sources, **options: load_faces(sources, SIDE, tmp_path / "cache", **options)


def test_a_report_tells_what_there_is_and_what_becomes_of_it(mixed: Path, load: Callable) -> None:
    report = audit(load(mixed))
    assert report.found == 34 == sum(path.is_file() or path.is_symlink() for path in mixed.rglob("*"))
    assert report.used == 23 == report.train + report.held_out
    assert report.unused == {"unreadable": 3, "too small": 1, "exact duplicate": 1, "near duplicate": 1}
    assert report.passed_over == {
        "RAR archive": 1,
        "hidden or system file": 2,
        "text file": 1,
        "JPEG XL picture": 1,
    }
    assert {name: (kind, reason) for name, kind, reason in report.unused_files} == {
        "gone.png": ("unreadable", "a link to something that does not exist"),
        "junk.png": ("unreadable", "not a picture but a text file"),
        "cut.jpg": ("unreadable", report.unused_files[1][2]),
        "small.gif": ("too small", "12 x 12 pixels; at least 16 x 16 are needed"),
        "copy.png": ("exact duplicate", "exact duplicate of 003.png"),
        "again.jpg": ("near duplicate", "near duplicate of 003.png"),
    }
    assert (report.exact_duplicates, report.near_duplicates, report.duplicates_kept) == (1, 1, False)
    assert report.widths == (24, 64, 120)
    assert report.heights == (24, 64, 64)
    assert report.aspects == (1, 1, 2)
    assert (report.enlarged, report.oblong, report.grey, report.similar) == (1, 1, 1, 0)


def test_a_zip_and_a_folder_of_the_same_files_give_the_same_report(mixed: Path, tmp_path: Path, load: Callable) -> None:
    (mixed / "gone.png").unlink()
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        for path in sorted(mixed.rglob("*")):
            archive.write(path, path.relative_to(mixed))
    assert audit(load(mixed)) == audit(load(tmp_path / "faces.zip"))


def test_duplicates_that_are_kept_are_counted_and_used(mixed: Path, load: Callable) -> None:
    report = audit(load(mixed, keep_duplicates=True))
    assert (report.exact_duplicates, report.near_duplicates, report.duplicates_kept) == (1, 1, True)
    assert report.used == 25
    assert report.found == 34
    assert report.similar == 3


def test_the_report_of_a_cached_dataset_decodes_nothing(
    mixed: Path, load: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = audit(load(mixed))
    monkeypatch.setattr("ganime.faces.decoding.decode", lambda *_: pytest.fail("a picture was decoded again"))
    assert audit(load(mixed)) == first


def test_a_report_goes_through_json(mixed: Path, load: Callable) -> None:
    report = audit(load(mixed))
    told = json.loads(json.dumps(report.to_dict()))
    assert told["found"] == 34
    assert told["unused"] == report.unused
    assert ["junk.png", "unreadable", "not a picture but a text file"] in told["unused_files"]


# --- advice


def advised(dataset: FaceDataset, used: int, **changes: Any) -> str:
    """The advice on as many faces as wanted, in place of those of the dataset, some of whose facts are changed."""
    facts = dataset.facts
    sizes = changes.pop("sizes", np.full((used, 2), 64))
    grey = np.arange(used) < changes.pop("grey", 0)
    alike = np.arange(used) // 2 * 2 if changes.pop("pairs", False) else np.arange(used)
    held_out = min(used // 10, 1000)
    images = np.broadcast_to(np.zeros((), np.uint8), (used, SIDE, SIDE, 3))
    facts = replace(facts, sizes=sizes, grey=grey, groups=alike, **changes)
    train, held = np.arange(held_out, used), np.arange(held_out)
    skipped = [("a.png", "x")] * len(facts.kinds)
    report = audit(replace(dataset, images=images, train=train, held_out=held, skipped=skipped, facts=facts))
    return "\n".join(report.advice)


@pytest.mark.parametrize(
    ("used", "words"),
    [
        (16, "16 faces are very few"),
        (212, "212 faces: with fewer than about 1,000"),
        (2_000, "2,000 faces: few"),
        (7_000, "7,000 faces: enough"),
        (30_000, "30,000 faces: plenty"),
    ],
)
def test_advice_is_graded_by_the_count(faces: FaceDataset, used: int, words: str) -> None:
    assert advised(faces, used).startswith(words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"grey": 300}, "300 of 2,000 (15%) faces are grey"),
        ({"pairs": True}, "2,000 of 2,000 (100%) faces are much like"),
        ({"sizes": np.full((2_000, 2), 20)}, "2,000 of 2,000 (100%) faces come from pictures smaller than 32 px"),
        (
            {"sizes": np.array([[100, 64]] * 1_000 + [[64, 100]] * 1_000)},
            "longer side of 2,000 of 2,000 (100%)",
        ),
        ({"copies": [("a", "b", "near duplicate")] * 500}, "500 of 2,500 (20%) pictures are duplicates of others"),
        ({"kinds": ["unreadable"] * 50}, "Cannot be read: 50 pictures."),
        ({"kinds": ["too small"] * 400}, "Smaller than 16 px and skipped: 400 pictures"),
        ({"passed_over": {"JPEG XL picture": 3, "film": 1}}, "not read: 3 JPEG XL pictures."),
        ({"passed_over": {"RAR archive": 1, "archive": 2}}, "Not opened: 1 RAR archive, 2 archives."),
        ({"passed_over": {"Git LFS pointer": 2}}, "stand for others: 2 Git LFS pointers."),
    ],
)
def test_advice_names_what_is_odd_about_many_and_only_that(
    faces: FaceDataset, changes: dict[str, Any], words: str
) -> None:
    fine = advised(faces, 2_000)
    odd = advised(faces, 2_000, **changes)
    assert words not in fine
    assert len(fine.splitlines()) == 1
    assert words in odd
    assert len(odd.splitlines()) == 2


def test_a_few_odd_faces_among_many_are_not_worth_a_word(faces: FaceDataset) -> None:
    assert advised(faces, 2_000, grey=20) == advised(faces, 2_000)


def test_measures_against_few_held_out_faces_are_called_rough(faces: FaceDataset) -> None:
    assert "Only 50 faces held out" in advised(faces, 500)


# --- the contact sheet


@pytest.mark.parametrize(
    ("count", "tiles", "shape"), [(64, 64, (8, 8)), (10, 10, (2, 8)), (3, 3, (1, 8)), (99, 64, (8, 8))]
)
def test_a_contact_sheet_shows_faces_from_the_first_to_the_last(
    faces: FaceDataset, count: int, tiles: int, shape: tuple[int, int]
) -> None:
    sheet = contact_sheet(faces, count)
    assert sheet.shape == (shape[0] * SIDE, shape[1] * SIDE, 3)
    grid = sheet.reshape(shape[0], SIDE, shape[1], SIDE, 3).swapaxes(1, 2).reshape(-1, SIDE, SIDE, 3)
    assert np.array_equal(grid[0], faces.images[0])
    assert np.array_equal(grid[tiles - 1], faces.images[-1])
    assert len({tile.tobytes() for tile in grid[:tiles]}) == tiles


def test_a_contact_sheet_of_no_face_is_refused(faces: FaceDataset) -> None:
    with pytest.raises(DataError, match="at least 1"):
        contact_sheet(faces, 0)


# --- the command


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, ["audit", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_prints_lines_and_writes_the_report_and_the_sheet(mixed: Path, tmp_path: Path) -> None:
    files = "--json", tmp_path / "report.json", "--sheet", tmp_path / "sheet.png"
    output = run(mixed, "--image-size", "32", "--home", tmp_path / "home", *files)
    lines = {line.split("  ")[0]: line.split() for line in output.splitlines()}
    assert lines["files found"][2] == "34"
    assert lines["used"][1] == "23"
    assert "skipped: junk.png: not a picture but a text file" in output
    assert "advice: 23 faces are very few" in output
    assert json.loads((tmp_path / "report.json").read_text())["used"] == 23
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (8 * 32, 3 * 32)
    assert "duplicates" in run(mixed, "--image-size", "32", "--home", tmp_path / "home", "--keep-duplicates")


def test_the_first_unused_files_are_listed_by_name_and_the_others_counted(
    faces: FaceDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{number}.png" for number in range(LISTED_FILES + 3)]
    print_audit(replace(audit(faces), unused_files=tuple((name, "unreadable", "cut short") for name in names)))
    shown = capsys.readouterr().out
    assert f"skipped: {names[LISTED_FILES - 1]}: cut short" in shown
    assert names[LISTED_FILES] not in shown
    assert "and 3 more" in shown
    assert "64 faces are very few" in shown


@pytest.mark.parametrize(("option", "value"), [("--sheet", "sheet.jpg"), ("--image-size", "8")])
def test_options_that_cannot_be_met_are_refused_before_any_work(
    folder: Path, tmp_path: Path, option: str, value: str
) -> None:
    result = CliRunner().invoke(app, ["audit", str(folder), "--home", str(tmp_path / "home"), option, value])
    assert result.exit_code != 0
    assert not (tmp_path / "home").exists()


# --- whatever a folder or zip may hold

Entry = tuple[str, str, int]  # what it is, its path, a number that varies it


def face_bytes(kind: str, number: int) -> bytes:
    """A picture of a kind; below 100 there are few, at times saved in another way."""
    noise = np.random.default_rng(number if number >= 100 else number % 7).integers(0, 256, (4, 4, 3), np.uint8)
    image = Image.fromarray(noise).resize((20 + number % 3, 20), Image.Resampling.NEAREST)
    if kind == "sixteen":
        return encoded(Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257))
    if kind == "alpha":
        image.putalpha(number * 20 % 256)
        return encoded(image, "WEBP", lossless=True)
    modes = {"palette": ("P", "GIF"), "grey": ("L", "PNG"), "cmyk": ("CMYK", "JPEG"), "jpeg": ("RGB", "JPEG")}
    mode, form = modes.get(kind, ("RGB", "PNG"))
    return encoded(image.convert(mode), form)


def contents(kind: str, number: int) -> bytes:
    if kind == "truncated":
        return face_bytes("png", number)[: 20 + number]
    if kind == "junk":
        return random.Random(number).randbytes(50)
    if kind == "tiny":
        return encoded(Image.new("RGB", (1 + number % 15, 30)))
    if kind == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("inside.png", face_bytes("png", number))
        return buffer.getvalue()
    return b"" if kind == "empty" else face_bytes(kind, number)


PICTURES = ["png", "jpeg", "palette", "grey", "cmyk", "sixteen", "alpha"]
BAD = ["empty", "truncated", "junk", "tiny", "zip"]
parts = st.one_of(
    st.sampled_from(
        ["a", "B", ".hidden", "__MACOSX", "x.png", "[bold]", "<img src=x>", "-rf", "a\nb", "\x1b[31m", "%s"]
    ),
    st.binary(min_size=1, max_size=20).map(lambda raw: os.fsdecode(raw.replace(b"/", b"_").replace(b"\0", b"_"))),
    st.text("ä日本\u202e\u2028😀 ", min_size=1, max_size=8),
    st.just("n" * 240),
).filter(lambda part: part not in (".", ".."))
ends = st.sampled_from(["", ".png", ".PNG", ".jpg", ".webp", ".gif", ".txt", ".zip", ".tiff", ".DS_Store", ".png.part"])
paths = st.tuples(st.lists(parts, max_size=2), parts, ends).map(lambda path: "/".join([*path[0], path[1] + path[2]]))
entries = st.lists(
    st.tuples(st.sampled_from([*PICTURES, *BAD, "link", "pipe"]), paths, st.integers(0, 40)), max_size=14
)


def plant(folder: Path, wanted: list[Entry], outside: Path) -> None:
    """Write what can be written of the entries: a path may be taken, too long, or lead through a file."""
    for kind, name, number in wanted:
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() or path.is_symlink():
                continue
            if kind == "link":
                path.symlink_to([outside, outside / "secret.png", folder, path][number % 4])
            elif kind == "pipe":
                os.mkfifo(path)
            else:
                path.write_bytes(contents(kind, number))
        except OSError:
            continue


def count_files(folder: Path) -> int:
    """All that is no folder. A link counts as one: it leads to a file, to a folder with one, or to a known folder."""
    return sum(
        len(files) + sum((Path(path) / name).is_symlink() for name in folders)
        for path, folders, files in os.walk(folder)
    )


def check(source: Path, count: int, enough: bool, cache: Path) -> None:
    """The source is loaded and every file is counted once, or it is refused for too few faces."""
    dataset, refusal = None, ""
    try:
        dataset = load_faces([source], 16, cache)
    except DataError as error:
        refusal = str(error)
    if dataset is None:
        assert not enough
        assert "usable faces found" in refusal
        assert refusal.isprintable()
        return
    report = audit(dataset)
    assert report.found == count
    assert report.used == len(dataset.images) == len(dataset.names) >= 16
    assert sum(report.unused.values()) == len(report.unused_files)
    for text in (*(text for file in report.unused_files for text in file), *report.advice):
        assert text.isprintable()
    assert audit(load_faces([source], 16, cache)) == report


@settings(max_examples=25)
@given(wanted=entries, good=st.integers(14, 20))
def test_every_file_of_any_folder_is_counted_once(
    wanted: list[Entry], good: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("any")
    try:
        (home / "outside").mkdir()
        (home / "outside" / "secret.png").write_bytes(face_bytes("png", 77))
        plant(home / "in", [("png", f"{number}.png", number) for number in range(100, 100 + good)], home / "outside")
        plant(home / "in", wanted, home / "outside")
        check(home / "in", count_files(home / "in"), good >= 16, home / "cache")
    finally:
        shutil.rmtree(home)


@settings(max_examples=25)
@given(wanted=entries, good=st.integers(14, 20), method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
def test_every_file_of_any_zip_is_counted_once(
    wanted: list[Entry], good: int, method: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("any")
    count = 0
    try:
        with zipfile.ZipFile(home / "faces.zip", "w", method) as archive:
            for kind, name, number in [
                *(("png", f"{number}.png", number) for number in range(100, 100 + good)),
                *wanted,
            ]:
                info = zipfile.ZipInfo(name.encode(errors="replace").decode())
                info.external_attr = (0o120777 if kind == "link" else 0o100644) << 16
                if info.filename not in archive.namelist() and not info.is_dir():
                    archive.writestr(info, contents("junk" if kind in ("link", "pipe") else kind, number), method)
                    count += 1
        check(home / "faces.zip", count, good >= 16, home / "cache")
    finally:
        shutil.rmtree(home)
