"""Weight files are told by their content, whatever their names; what they hold beside weights does no harm."""

from __future__ import annotations

import argparse
import collections
import datetime
import io
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ganime.errors import CheckpointError
from ganime.models.importing import ImportOptions, import_generator, weight_files
from tests.ganime.models.foreign_nets import LATENT, dcgan, trained


@pytest.fixture(scope="module")
def net() -> nn.Module:
    return trained(dcgan())


def same(file: Path, net: nn.Module, **options: Any) -> bool:
    z = torch.randn(3, LATENT, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        drawn = import_generator(file, ImportOptions(**options)).generator(z)
        return bool((drawn - net(z)).abs().max() < 1e-4)


def refusal(file: Path, **options: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        import_generator(file, ImportOptions(**options))
    assert str(file) in str(caught.value)
    assert len(str(caught.value)) < 1200
    return str(caught.value)


@pytest.mark.parametrize(
    "name", ["generator_param.pkl", "G.model", "netG.pth.tar", "generator", "weights.h5", "face.png"]
)
@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_of_torch_is_read_under_any_name(name: str, legacy: bool, net: nn.Module, tmp_path: Path) -> None:
    torch.save(net.state_dict(), tmp_path / name, _use_new_zipfile_serialization=not legacy)
    assert same(tmp_path / name, net)


def test_safetensors_are_read_under_any_name(net: nn.Module, tmp_path: Path) -> None:
    save_file(dict(net.state_dict()), tmp_path / "model.bin")
    assert same(tmp_path / "model.bin", net)


PLAIN: dict[str, Any] = {
    "numpy numbers": [np.float64(1), np.float32(2), np.int64(3)],
    "a numpy array": np.arange(6.0).reshape(2, 3),
    "options": argparse.Namespace(lr=2e-4, nz=100),
    "a path": Path("/data/faces"),
    "a date": datetime.datetime(2024, 5, 1, 12, 30),
    "a default dictionary": collections.defaultdict(list, {"loss": [1.0, 2.0]}),
    "a counter": collections.Counter("aab"),
    "text, numbers and None": ("epoch", 3, 0.5, None, True, b"bytes", {1, 2}),
}


@pytest.mark.parametrize("what", PLAIN)
@pytest.mark.parametrize("legacy", [False, True])
def test_plain_data_beside_the_weights_is_passed_over(what: str, legacy: bool, net: nn.Module, tmp_path: Path) -> None:
    content = {"netG": net.state_dict(), "extra": PLAIN[what]}
    torch.save(content, tmp_path / "checkpoint.pth", _use_new_zipfile_serialization=not legacy)
    assert same(tmp_path / "checkpoint.pth", net)


def test_nothing_stays_allowed_after_an_import(net: nn.Module, tmp_path: Path) -> None:
    before = set(torch.serialization.get_safe_globals())
    test_plain_data_beside_the_weights_is_passed_over("options", False, net, tmp_path)
    assert set(torch.serialization.get_safe_globals()) == before


class Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("wrapped", [False, True])
def test_code_beside_plain_data_is_not_run(wrapped: bool, net: nn.Module, tmp_path: Path) -> None:
    payload: Any = Payload(tmp_path / "ran")
    if wrapped:
        payload = argparse.Namespace(inner=payload)
    torch.save({"netG": net.state_dict(), "losses": [np.float64(1)], "extra": payload}, tmp_path / "evil.pkl")
    assert "system" in refusal(tmp_path / "evil.pkl")
    assert not (tmp_path / "ran").exists()


class Large:
    def __reduce__(self) -> tuple[Any, ...]:
        return bytearray, (2**33,)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_cannot_ask_for_memory(legacy: bool, tmp_path: Path) -> None:
    torch.save({"netG": Large()}, tmp_path / "large.pth", _use_new_zipfile_serialization=not legacy)
    assert "bytearray" in refusal(tmp_path / "large.pth")


def keyed(key: str, net: nn.Module) -> Any:
    other = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.Conv2d(8, 16, 4, 2, 1), nn.Conv2d(16, 1, 4)).state_dict()
    optimizer = torch.optim.Adam(nn.Linear(3, 3).parameters()).state_dict()
    return {"disc_state_dict": other, "gen_opt": optimizer, key: net.state_dict(), "epoch": 3}


KEYS = ("gen_state_dict", "model_G", "net_g", "state_dict_G", "G_state", "weights", "G_A", "generator_weights")


@pytest.mark.parametrize("key", KEYS)
def test_a_generator_is_found_under_any_key(key: str, net: nn.Module, tmp_path: Path) -> None:
    torch.save(keyed(key, net), tmp_path / "c.pth")
    assert same(tmp_path / "c.pth", net)
    assert key in import_generator(tmp_path / "c.pth").training["weights"]


def test_a_generator_is_found_in_a_list(net: nn.Module, tmp_path: Path) -> None:
    content = keyed("weights", net)
    torch.save([content["disc_state_dict"], net.state_dict()], tmp_path / "list.pth")
    assert same(tmp_path / "list.pth", net)
    torch.save({"models": [net.state_dict(), content["disc_state_dict"]]}, tmp_path / "deep.pth")
    assert same(tmp_path / "deep.pth", net)


def test_the_key_of_the_caller_is_used(net: nn.Module, tmp_path: Path) -> None:
    other = trained(dcgan(widths=(20, 20, 20)))
    torch.save({"netG": net.state_dict(), "older": {"G": other.state_dict()}}, tmp_path / "two.pth")
    assert same(tmp_path / "two.pth", net)
    assert same(tmp_path / "two.pth", other, key="older.G")
    assert same(tmp_path / "two.pth", other, key="older")
    text = refusal(tmp_path / "two.pth", key="younger")
    assert "younger" in text
    assert "older.G" in text


NAMED: dict[str, tuple[bytes, str]] = {
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n", "Git LFS pointer"),
    "a web page": (b"<!DOCTYPE html><html><title>Google Drive</title>", "web page"),
    "a web page after a mark": (b"\xef\xbb\xbf\r\n <html lang=en>", "web page"),
    "a gzip archive": (b"\x1f\x8b\x08\0\0", "gzip"),
    "a RAR archive": (b"Rar!\x1a\x07\0", "RAR"),
    "a picture": (b"\xff\xd8\xff\xe0", "picture"),
    "an ONNX file": (b"\x08\x07\x12\x07pytorch\x1a\x052.1.0", "ONNX"),
    "a NumPy array": (b"\x93NUMPY\x01\0", "NumPy"),
    "a pickle of StyleGAN": (b"\x80\x03cdnnlib.tflib.network\nNetwork\n", "StyleGAN"),
    "a TensorFlow checkpoint": (bytes(50) + struct.pack("<Q", 0xDB4775248B80FB57), "TensorFlow"),
    "a lying safetensors header": (
        struct.pack("<Q", 60) + b'{"a": {"dtype": "F32", "shape": [1000000000000],    ',
        "safetensors",
    ),
}


@pytest.mark.parametrize("what", NAMED)
def test_other_files_are_named_by_their_kind(what: str, tmp_path: Path) -> None:
    content, found = NAMED[what]
    (tmp_path / "weights.pth").write_bytes(content)
    assert found in refusal(tmp_path / "weights.pth")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["s/constants.pkl", "s/data.pkl", "s/code/__torch__.py"], "TorchScript"),
        (["arr_0.npy"], "NumPy archive"),
        (["faces/1.png"], "faces/1.png"),
        ([], "empty"),
    ],
)
def test_other_zips_are_named_by_their_kind(names: list[str], found: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "weights.pth", "w") as archive:
        for name in names:
            archive.writestr(name, b"3")
    assert found in refusal(tmp_path / "weights.pth")


def test_pickles_with_long_lists_of_names_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_files, "MAX_PICKLE_BYTES", 1000)
    torch.save({"names": list(range(5000))}, tmp_path / "long.pth")
    assert "data.pkl" in refusal(tmp_path / "long.pth")


def test_a_bare_pickle_of_arrays_is_no_weight_file(tmp_path: Path) -> None:
    (tmp_path / "arrays.pkl").write_bytes(pickle.dumps({"w": np.ones(3)}, 2))
    refusal(tmp_path / "arrays.pkl")


def test_a_file_in_memory_order_of_channels_last_is_read(net: nn.Module, tmp_path: Path) -> None:
    state = {
        name: t.to(memory_format=torch.channels_last) if t.ndim == 4 else t for name, t in net.state_dict().items()
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    (tmp_path / "last.pth").write_bytes(buffer.getvalue())
    assert same(tmp_path / "last.pth", net)
