"""Models that visitors bring as files."""

from __future__ import annotations

import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from app.faces.model_files import MAX_BROUGHT, ModelFiles
from app.faces.studio import Studio
from app.settings import Settings
from ganime.errors import CheckpointError
from ganime.models.checkpoint import Checkpoint, save_checkpoint


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    return ModelFiles(tmp_path / "brought", 8)


@pytest.fixture
def packed(tiny: Checkpoint, tmp_path: Path) -> Path:
    """The ZIP that the page offers for a trained model."""
    folder = save_checkpoint(tiny, tmp_path / "model") or tmp_path / "model"
    with zipfile.ZipFile(tmp_path / "ganime-model.zip", "w") as archive:
        for file in Path(folder).iterdir():
            archive.write(file, f"ganime-model/{file.name}")
    return tmp_path / "ganime-model.zip"


def test_the_zip_of_the_page_draws_as_before(packed: Path, tiny: Checkpoint, tmp_path: Path) -> None:
    studio = Studio(Settings(home=tmp_path / "home", training="off"))
    info = studio.library.load_file(packed, "mine.zip")
    model = studio.open(info.key)
    assert (info.revision, info.origin, info.name) == (tiny.revision, "from mine.zip", "tiny")
    studio.library.recent.discard(info.key)  # from the disk again
    assert studio.open(info.key).checkpoint.name == info.name
    assert np.array_equal(studio.open(info.key).draw(model.recipes(2, 0)).faces, model.draw(model.recipes(2, 0)).faces)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("# Red <b>hair</b>", "Red <b>hair</b>"),
        ("# owner/red-hair", "red-hair"),
        ("# best", "my model"),
        ("# anime-128", "anime-128, brought"),
        ("", "my model"),
    ],
)
def test_a_brought_model_has_its_own_name_or_that_of_its_file(
    title: str, name: str, tiny: Checkpoint, tmp_path: Path
) -> None:
    save_checkpoint(tiny, tmp_path / "model", f"---\ntags: [gan]\n---\n\n{title}\n\nText\n")
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        for file in (tmp_path / "model").iterdir():
            archive.write(file, file.name)
    library = Studio(Settings(home=tmp_path / "home", training="off")).library
    assert library.load_file(tmp_path / "model.zip", "my model.zip").name == name


def test_what_a_recipe_says_opens_no_brought_model(packed: Path, tmp_path: Path) -> None:
    studio = Studio(Settings(home=tmp_path / "home", training="off"))
    info = studio.library.load_file(packed, "mine.zip")
    [recipe] = studio.open(info.key).recipes(1, 0)
    places = {folder.name for folder in studio.library.files.root.iterdir()}
    assert not {recipe.model, recipe.revision, *places} & {info.key, info.key.partition(":")[2]}
    assert studio.library.public_key_of(recipe.revision) is None
    for guess in (recipe.model, recipe.revision, *places):
        with pytest.raises(CheckpointError):
            studio.open(f"file:{guess}")


def test_encrypted_and_oddly_packed_zips_are_refused_in_words(packed: Path, files: ModelFiles, tmp_path: Path) -> None:
    data = packed.read_bytes()
    for name, offset, value in (("encrypted.zip", 8, b"\x01\x00"), ("method.zip", 10, b"\x63\x00")):
        changed = bytearray(data)
        place = 0
        while (place := changed.find(b"PK\x01\x02", place + 1)) >= 0:
            changed[place + offset : place + offset + 2] = value
        (tmp_path / name).write_bytes(bytes(changed))
        with pytest.raises(CheckpointError, match=r"could not be read|compressed in an unusual way"):
            files.add(tmp_path / name)
    assert list(files.root.iterdir()) == []


def test_a_zip_with_a_name_that_is_no_text_is_refused_in_words(packed: Path, files: ModelFiles, tmp_path: Path) -> None:
    changed, place = bytearray(packed.read_bytes()), -1
    while (place := changed.find(b"PK\x03\x04", place + 1)) >= 0:
        changed[place + 6 : place + 8] = b"\x00\x08"  # the name of the entry is UTF-8
        changed[place + 30] = 0xFF  # its first byte
    (tmp_path / "name.zip").write_bytes(bytes(changed))
    with pytest.raises(CheckpointError, match="could not be read"):
        files.add(tmp_path / "name.zip")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_unpacks_to_more_than_it_declares_takes_no_memory(
    method: int, files: ModelFiles, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("config.json", bytes(2**25))
        archive.writestr("model.safetensors", b"")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[(place := data.index(b"PK\1\2") + 24) : place + 4] = (1_000).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=r"config\.json in this ZIP is compressed in an unusual way"):
            files.add(tmp_path / "a.zip")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_zip_of_very_many_entries_is_refused_before_they_are_taken_apart(files: ModelFiles, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("config.json", b"")
    data = (tmp_path / "a.zip").read_bytes()
    start = data.index(b"PK\1\2")
    directory = data[start:-22] * 10_001
    large = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 10_001, 10_001, len(directory), start)
    locator = b"PK\6\7" + struct.pack("<IQI", 0, start + len(directory), 1)  # only this tells how much is read
    (tmp_path / "a.zip").write_bytes(data[:start] + directory + large + locator + data[-22:])
    with pytest.raises(CheckpointError, match="too many files"):
        files.add(tmp_path / "a.zip")


def test_keys_that_were_not_handed_out_open_nothing(files: ModelFiles, tmp_path: Path) -> None:
    (tmp_path / "brought").mkdir()
    for name in ("", "..", "a/b", "0" * 32):
        with pytest.raises(CheckpointError, match="no longer stored"):
            files.folder(name)


def test_files_in_a_zip_are_written_by_their_last_name_and_only_those_that_draw(
    packed: Path, files: ModelFiles
) -> None:
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("../../outside.txt", "x")
        archive.writestr("../config.json.exe", "x")
    folder = files.folder(files.add(packed))
    assert {file.name for file in folder.iterdir()} <= {"config.json", "model.safetensors", "README.md", "called"}
    assert not (files.root.parent / "outside.txt").exists()


def test_a_zip_that_unpacks_to_more_than_allowed_is_refused(packed: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("clarity.safetensors", bytes(2 * 2**20))
    files = ModelFiles(tmp_path / "small", 1)
    with pytest.raises(CheckpointError, match="1 MB"):
        files.add(packed)
    assert list(files.root.iterdir()) == []


def test_a_damaged_model_leaves_nothing_behind(packed: Path, files: ModelFiles, tmp_path: Path) -> None:
    broken = tmp_path / "broken.zip"
    with zipfile.ZipFile(packed) as source, zipfile.ZipFile(broken, "w") as archive:
        for name in source.namelist():
            archive.writestr(name, source.read(name)[:-1] if name.endswith(".safetensors") else source.read(name))
    with pytest.raises(CheckpointError):
        files.add(broken)
    assert list(files.root.iterdir()) == []


def test_the_least_recently_used_are_deleted_first(packed: Path, files: ModelFiles) -> None:
    names = [files.add(packed)]
    for number in range(MAX_BROUGHT):
        (files.root / f"{number:032x}").mkdir()
    second = files.add(packed)
    assert len(list(files.root.iterdir())) == MAX_BROUGHT
    assert files.folder(second).is_dir()
    with pytest.raises(CheckpointError):
        files.folder(names[0])


@pytest.mark.slow
def test_another_file_is_imported_in_a_process_of_its_own_or_refused_in_words(
    files: ModelFiles, tmp_path: Path
) -> None:
    path = tmp_path / "faces.bin"
    path.write_bytes(b"no weights at all")
    with pytest.raises(CheckpointError, match="cannot be imported"):
        files.add(path)
    assert not files.root.exists() or list(files.root.iterdir()) == []
