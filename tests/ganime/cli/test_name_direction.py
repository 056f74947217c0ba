"""The command `name-direction`: a user's directions are stored beside a model, steer it and can be deleted."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ganime.drawing.directions import Direction, Directions, load_directions, save_directions
from ganime.drawing.recipe import latents
from ganime.errors import CheckpointError, ConfigError, RecipeError
from ganime.models.checkpoint import Checkpoint
from tests.ganime.cli.common import recipe_in, run


@pytest.fixture
def model(tiny: Checkpoint, tiny_folder: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_folder, folder)
    ways = np.eye(8, dtype=np.float32)
    items = (Direction("smile", "attribute", ways[0]), Direction("blush", "attribute", ways[1]))
    save_directions(Directions("tiny", tiny.revision, items), folder)
    return folder


def read(model: Path, tiny: Checkpoint) -> Directions:
    found = load_directions(model, tiny.revision, 8)
    assert found is not None
    return found


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_direction_is_named_from_faces_or_sliders_and_steers(model: Path, tiny: Checkpoint, tmp_path: Path) -> None:
    run("name-direction", "笑う", "--from", "1", "--from", "2", "--to", "3", "--model", model)
    run("name-direction", "both", "--by", "smile=2", "--by", "blush=-2", "--model", model)
    found, z = read(model, tiny), latents([1, 2, 3], 8)
    assert found.names == ("smile", "blush", "笑う", "both")
    assert found["both"].kind == "own"
    assert cosine(found["笑う"].vector, z[2] - z[:2].mean(0)) == pytest.approx(1, abs=1e-5)
    assert cosine(found["both"].vector, np.eye(8)[0] - np.eye(8)[1]) == pytest.approx(1, abs=1e-5)
    run("steer", "7", "--by", "both=2", "--out", tmp_path / "face.png", "--model", model)
    assert recipe_in(tmp_path / "face.png").vector
    run("name-direction", "both", "--remove", "--model", model)
    assert read(model, tiny).names == ("smile", "blush", "笑う")


def test_first_own_direction_of_a_model_needs_no_others(model: Path, tiny: Checkpoint) -> None:
    for name in ("directions.json", "directions.safetensors"):
        (model / name).unlink()
    run("name-direction", "mine", "--from", "1", "--to", "2", "--model", model)
    assert read(model, tiny).names == ("mine",)


def test_definitions_of_no_direction_are_refused(model: Path) -> None:
    with pytest.raises(ConfigError, match="--from FACE --to FACE"):
        run("name-direction", "mine", "--model", model)
    with pytest.raises(ConfigError, match="--from FACE --to FACE"):
        run("name-direction", "mine", "--by", "smile=1", "--to", "3", "--model", model)
    with pytest.raises(RecipeError, match="at least one face"):
        run("name-direction", "mine", "--to", "3", "--model", model)
    with pytest.raises(CheckpointError, match="smile is a direction that was fitted"):
        run("name-direction", "smile", "--by", "blush=1", "--model", model)
    with pytest.raises(RecipeError, match="not one of your own"):
        run("name-direction", "smile", "--remove", "--model", model)
    with pytest.raises(CheckpointError, match="printable"):
        run("name-direction", "a\nb", "--by", "smile=1", "--model", model)
