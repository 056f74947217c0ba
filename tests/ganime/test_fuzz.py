"""Damaged files of every kind that people bring: each is read or refused in words, and nothing else happens."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ganime.config import to_dict
from ganime.drawing.directions import DIRECTION_INDEX_FILE, load_directions
from ganime.drawing.recipe import Recipe
from ganime.errors import GanimeError
from ganime.faces.dataset import load_faces
from ganime.images import png_bytes, read_recipe
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from ganime.nets.dcgan import CONFIG_FILE, WEIGHTS_FILE
from tests.fuzzing import damaged, examples, values


@examples(150)
@given(values(), st.sampled_from(["seed", "vector", "truncation", "clarity", "toward", "position", "model"]))
def test_a_recipe_is_read_or_refused(value: object, name: str) -> None:
    face = {"model": "tiny", "revision": "0" * 12, "seed": 1, name: value}
    for text in (json.dumps(face), json.dumps(value), str(value)):
        with contextlib.suppress(GanimeError):
            assert Recipe.from_json(Recipe.from_json(text).to_json()) is not None


def test_the_recipe_of_a_damaged_png_is_read_or_refused() -> None:
    png = png_bytes(np.zeros((8, 8, 3), np.uint8), Recipe("tiny", "0" * 12, 7).to_json())

    @examples(100)
    @given(damaged(png))
    def read(data: bytes) -> None:
        with contextlib.suppress(GanimeError):
            assert isinstance(read_recipe(data), str)

    read()


def test_a_damaged_model_folder_is_read_or_refused(steered_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(steered_folder, folder)
    originals = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert {CONFIG_FILE, WEIGHTS_FILE, DIRECTION_INDEX_FILE} <= originals.keys()

    @examples(60)
    @given(st.sampled_from(sorted(originals)), st.data())
    def load(name: str, data: st.DataObject) -> None:
        (folder / name).write_bytes(data.draw(damaged(originals[name])))
        try:
            with contextlib.suppress(GanimeError):
                checkpoint = load_checkpoint(folder, with_discriminator=True)
                load_directions(folder, checkpoint.revision, checkpoint.generator.config.latent_dim)
        finally:
            (folder / name).write_bytes(originals[name])

    load()


def test_a_configuration_of_any_values_is_read_or_refused(
    tiny: Checkpoint, steered_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(steered_folder, folder)
    config = to_dict(tiny.generator.config)

    @examples(60)
    @given(st.sampled_from([*config, "training", "unknown"]), values())
    def load(name: str, value: object) -> None:
        (folder / CONFIG_FILE).write_text(json.dumps(config | {name: value}), encoding="utf-8")
        with contextlib.suppress(GanimeError):
            load_checkpoint(folder)

    load()


def test_a_damaged_zip_of_faces_is_read_or_refused(draw_face: Callable[..., Image.Image], tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for seed in range(16):
            archive.writestr(f"{seed}.png", png_bytes(np.asarray(draw_face(seed, 32))))
    whole, path = packed.getvalue(), tmp_path / "faces.zip"

    @examples(15)
    @given(damaged(whole, most=20), st.integers(0, 10**9))
    def load(data: bytes, number: int) -> None:
        path.write_bytes(data)
        with contextlib.suppress(GanimeError):
            faces = load_faces([path], 32, tmp_path / f"cache{number}")
            assert faces.images.shape[1:] == (32, 32, 3)
        shutil.rmtree(tmp_path / f"cache{number}", ignore_errors=True)

    load()


pytest.importorskip("h5py")


def test_a_damaged_keras_file_is_read_or_refused(tmp_path: Path) -> None:
    import h5py

    from ganime.models.importing import import_generator

    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights/dense/dense")
        group.create_dataset("kernel:0", data=np.zeros((8, 64), np.float32))
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": []}})
    whole = path.read_bytes()

    @examples(25)
    @given(damaged(whole, most=4))
    def load(data: bytes) -> None:
        path.write_bytes(data)
        with contextlib.suppress(GanimeError):
            import_generator(path)

    load()
