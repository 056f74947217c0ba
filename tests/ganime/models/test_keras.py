"""Keras generators: they draw what a forward pass written out in numpy draws, and hostile files are refused."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from ganime.models.importing import ImportOptions, import_generator, weight_files
from tests.ganime.models.keras_files import (
    LATENT,
    Builder,
    enlarging,
    even_kernels,
    selu_first,
    tutorial,
    write_h5,
    write_keras,
    write_weights,
)
from tests.ganime.models.refusals import refusal

NETS: dict[str, tuple[Callable[[], Builder], int]] = {
    "tutorial": (tutorial, 32),
    "even kernels": (even_kernels, 32),
    "enlarging": (enlarging, 32),
    "SELU before the norm": (selu_first, 28),
}


def difference(file: Path, net: Builder, **options: Any) -> float:
    """The largest difference between pictures of the import and those of numpy, in levels of 255."""
    z = np.random.default_rng(5).standard_normal((4, LATENT)).astype(np.float32)
    wanted = net.pictures(z)
    assert wanted.std() > 0.02
    with torch.no_grad():
        drawn = import_generator(file, ImportOptions(**options)).generator(torch.from_numpy(z)).numpy()
    return float(abs(drawn - wanted).max()) * 127.5


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("write", [write_h5, write_keras])
def test_a_keras_model_draws_what_numpy_draws(write: Callable[..., Path], name: str, tmp_path: Path) -> None:
    make, size = NETS[name]
    net = make()
    file = write(net, tmp_path / "generator")  # recognised by its content
    assert difference(file, net) < 0.05
    checkpoint = import_generator(file)
    assert checkpoint.generator.config.image_size == size
    assert "NOTHING" not in checkpoint.training["match"]


def test_a_model_inside_a_model_is_read(tmp_path: Path) -> None:
    net = enlarging()
    inner = net.config()
    outer = {"name": "model_1", "layers": [{"class_name": "InputLayer", "config": {"name": "in"}}, inner]}
    config = {"class_name": "Functional", "config": outer}
    assert difference(write_h5(net, tmp_path / "g.h5", config), net) < 0.05
    assert difference(write_keras(net, tmp_path / "g.keras", config, "layers/sequential/layers/"), net) < 0.05


@pytest.mark.parametrize(("name", "options"), [("even kernels", {"output": "sigmoid"}), ("enlarging", {})])
def test_weights_alone_are_read_with_what_their_norms_tell(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    net = NETS[name][0]()
    file = tmp_path / "generator.weights.h5"
    write_weights(net, file)
    checkpoint = import_generator(file, ImportOptions(**options))
    assert checkpoint.training["norm_eps"] == "0.001"
    if name == "even kernels":
        assert difference(file, net, **options) < 0.05


# --- what is refused


def test_links_to_other_files_are_never_followed(tmp_path: Path) -> None:
    net, secret = tutorial(), tmp_path / "secret.h5"
    write_h5(net, secret)
    for link in (h5py.ExternalLink("secret.h5", "/model_weights"), h5py.SoftLink("/elsewhere")):
        file = write_h5(net, tmp_path / "linking.h5")
        with h5py.File(file, "a") as store:
            del store["model_weights"]
            store["model_weights"] = link
        assert "link" in refusal(file)


def test_numbers_kept_in_other_files_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "numbers.bin").write_bytes(bytes(4 * 12 * 256))
    for name, kwargs in (
        ("external", {"external": [(str(tmp_path / "numbers.bin"), 0, 12 * 256 * 4)]}),
        ("virtual", {}),
    ):
        file = write_h5(tutorial(), tmp_path / f"{name}.h5")
        with h5py.File(file, "a") as store:
            path = "model_weights/dense_7/dense_7/kernel:0"
            del store[path]
            if kwargs:
                store.create_dataset(path, (12, 256), "f4", **kwargs)
            else:
                layout = h5py.VirtualLayout((12, 256), "f4")
                layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (12, 256))
                store.create_virtual_dataset(path, layout)
        assert "another file" in refusal(file)


def test_huge_datasets_are_refused_before_they_are_read(tmp_path: Path) -> None:
    file = write_h5(tutorial(), tmp_path / "huge.h5")
    with h5py.File(file, "a") as store:
        store.create_dataset("model_weights/huge", (10**6, 10**6), "f4", chunks=(1000, 1000), compression="gzip")
    assert file.stat().st_size < 2**20
    assert "1,000,000," in refusal(file)


def test_groups_in_a_circle_are_refused(tmp_path: Path) -> None:
    file = write_h5(tutorial(), tmp_path / "circle.h5")
    with h5py.File(file, "a") as store:
        store["model_weights/again"] = store["model_weights"]
    assert "deep" in refusal(file)


def test_zip_bombs_are_refused_before_they_are_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bomb.keras"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(2**22))
    monkeypatch.setattr(weight_files, "MAX_IMPORT_BYTES", 2**20)
    assert "unpacks to" in refusal(file)


@pytest.mark.parametrize("config", ["[" * 100_000, '{"config": {"layers": 3}}', '"text"', "{", "[]"])
def test_configurations_that_are_deep_or_none_are_refused(config: str, tmp_path: Path) -> None:
    weights = io.BytesIO()
    write_weights(tutorial(), weights)
    with zipfile.ZipFile(tmp_path / "deep.keras", "w") as archive:
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", weights.getvalue())
    refusal(tmp_path / "deep.keras")


def test_a_huge_configuration_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_files, "MAX_JSON_BYTES", 1000)
    assert "1,000" in refusal(write_keras(tutorial(), tmp_path / "g.keras"))


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown layer": ({"class_name": "Lambda", "config": {"name": "code"}}, "Lambda"),
    "attention": ({"class_name": "MultiHeadAttention", "config": {"name": "a"}}, "MultiHeadAttention"),
    "a learned slope": ({"class_name": "PReLU", "config": {"name": "p"}}, "PReLU"),
    "an unknown activation": ({"class_name": "Activation", "config": {"name": "a", "activation": "wave"}}, "wave"),
    "a reshape that does not fit": ({"class_name": "Reshape", "config": {"name": "r", "target_shape": [3, 3]}}, "3, 3"),
    "a threefold enlargement": ({"class_name": "UpSampling2D", "config": {"name": "u", "size": [3, 3]}}, "3, 3"),
    "a layer without weights": (
        {"class_name": "Conv2D", "config": {"name": "new", "kernel_size": [3, 3]}},
        "new lacks its weights",
    ),
    "a slope that is no number": (
        {"class_name": "LeakyReLU", "config": {"name": "l", "alpha": [1]}},
        "number is needed",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("place", [1, 6])
def test_other_layers_are_refused_by_name(change: str, place: int, tmp_path: Path) -> None:
    net = even_kernels()
    config = json.loads(json.dumps(net.config()))
    layer, found = CHANGES[change]
    config["config"]["layers"].insert(place, layer)
    text = refusal(write_h5(net, tmp_path / "changed.h5", config))
    if place == 6:
        assert found in text


@pytest.mark.parametrize("cut", [0, 1, 100, 3000])
def test_a_file_that_ends_early_is_refused(cut: int, tmp_path: Path) -> None:
    for write in (write_h5, write_keras):
        file = write(tutorial(), tmp_path / "cut")
        content = file.read_bytes()
        file.write_bytes(content[: cut or len(content) // 2])
        refusal(file)


def test_nan_is_refused(tmp_path: Path) -> None:
    net = tutorial()
    net.layers[0][2]["kernel"][0, 0] = np.nan
    assert "NaN" in refusal(write_h5(net, tmp_path / "nan.h5"))
