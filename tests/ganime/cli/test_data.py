"""The commands about copies: they are detected with or without the pictures of the training faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganime.drawing.sampling import generate
from ganime.errors import ConfigError, DataError
from ganime.images import png_bytes
from ganime.measuring.training_faces import load_training_faces
from ganime.models.checkpoint import TRAINING_FACES_FILES, Checkpoint
from tests.ganime.cli.common import run

COUNT = 24


@pytest.fixture
def learned(tiny: Checkpoint, tmp_path: Path) -> Path:
    """A folder with the faces of the first seeds, as if the model had been trained on them."""
    folder = tmp_path / "learned"
    folder.mkdir()
    for seed, face in enumerate(generate(tiny, range(COUNT))):
        (folder / f"{seed:02d}.png").write_bytes(png_bytes(face, size=64))
    return folder


def test_copies_are_detected_without_the_pictures(tiny_folder: Path, learned: Path, tmp_path: Path) -> None:
    told = run("remember-faces", learned, "--model", tiny_folder, "--home", tmp_path / "home", "--keep-duplicates")
    try:
        known = load_training_faces(tiny_folder)
        assert f"{known.total} training faces are described in {tiny_folder}" in told
        assert known.total + known.held_out == COUNT
        told = run("copies", *map(str, range(COUNT)), "--model", tiny_folder)
        assert told.count("It looks like a copy") >= known.total - 2
        assert "closer to its training faces" in run("copies", "1000", "--model", tiny_folder)
    finally:
        for name in TRAINING_FACES_FILES:
            (tiny_folder / name).unlink(missing_ok=True)


def test_given_training_faces_are_shown_beside_the_face(
    tiny: Checkpoint, tiny_folder: Path, learned: Path, tmp_path: Path
) -> None:
    out = tmp_path / "pairs.png"
    shared = ("--model", tiny_folder, "--train", learned, "--home", tmp_path / "home", "--keep-duplicates")
    told = run("copies", "3", "5000", "--out", out, *shared)
    verdicts = [line for line in told.splitlines() if "closer to its training faces" in line]
    assert [line.partition(":")[0] for line in verdicts] == ["3", "5000"]
    with Image.open(out) as image:
        assert image.size == (5 * 32, 2 * 32)
        shown = np.asarray(image.convert("RGB"))[:32, :32].astype(int)
    assert abs(shown - generate(tiny, [3])[0]).max() <= 1  # its weights are stored in 16 bits


def test_faces_that_cannot_be_compared_are_refused(tiny_folder: Path, learned: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--train FACES.*remember-faces"):
        run("copies", "3", "--model", tiny_folder)
    with pytest.raises(ConfigError, match="--train"):
        run("copies", "3", "--model", tiny_folder, "--out", tmp_path / "pairs.png")
    with pytest.raises(ConfigError, match=r"end in \.png"):
        run("copies", "3", "--model", tiny_folder, "--train", learned, "--out", tmp_path / "pairs.jpg")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        run("known", learned, "--model", tiny_folder, "--out", tmp_path / "file")
