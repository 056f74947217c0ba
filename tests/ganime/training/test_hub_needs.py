"""What a job on the hub gets: everything that training reads, and every picture whatever its name."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from ganime.embedded import TRAINING_FACES
from ganime.training.hub_needs import PACKAGE, options_of, pack, write_needs


def test_the_weights_that_measuring_reads_are_among_them_and_a_model_to_begin_from(
    tiny_folder: Path, faces_folder: Path, tmp_path: Path
) -> None:
    names = write_needs(tmp_path, [faces_folder], tiny_folder)
    assert names == ["0.zip"]
    for path in TRAINING_FACES.glob("known.*"):
        assert (tmp_path / "code" / path.relative_to(PACKAGE.parent)).read_bytes() == path.read_bytes()
    assert {path.name for path in (tmp_path / "start" / tiny_folder.name).iterdir()} == {
        path.name for path in tiny_folder.iterdir()
    }
    assert not (tmp_path / "code" / "weights" / "make").exists()


def test_pictures_are_packed_by_their_content(draw_face: Callable[..., Image.Image], tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    folder.mkdir()
    for name in ("00000000", "00000001.png"):
        draw_face(1).save(folder / name, "PNG")
    (folder / "notes").write_text("no picture")
    pack(folder, tmp_path / "0.zip")
    assert zipfile.ZipFile(tmp_path / "0.zip").namelist() == ["00000000", "00000001.png"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"start": "scratch", "image_size": 32}, ["--from", "scratch", "--image-size", "32"]),
        ({"start": None, "no_clarity": True, "keep": False}, ["--no-clarity"]),
        ({"critic": 0.0, "seed": 0}, ["--critic", "0.0", "--seed", "0"]),
    ],
)
def test_options_become_words(given: dict[str, object], words: list[str]) -> None:
    assert options_of(given) == words
