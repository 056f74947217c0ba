"""Models measured by a network that has nothing to do with Ganime: an Inception v3, at three of its depths.

`npm pack nsfwjs@4.3.0`, then `python -m benchmarks.second_opinion nsfwjs-4.3.0.tgz FACES... --model MODEL ...`

The anime features, and the critic that models are trained against, were fitted to the same labels, so a gain on those
features may be theirs alone. This network was taught by others, with other pictures; its weights come in an npm
package of 25 MB, as text for browsers, rounded to 8 bits.
"""

from __future__ import annotations

import base64
import json
import re
import tarfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
import typer
from PIL import Image
from torch import Tensor

from benchmarks.default_models import COUNT
from ganime.cli_options import DEFAULT_HOME, HomeOption
from ganime.data import load_faces
from ganime.features import to_tensor
from ganime.metrics import density_coverage, frechet_distance, kernel_distance, precision_recall
from ganime.models import open_model
from ganime.sampling import generate

FOLDER = "package/dist/models/inception_v3"
DEPTHS = ("mixed2", "mixed7", "mixed10")  # strokes, parts, and what is in the picture
SHOWN, BATCH = 128, 32  # px at which it is shown a picture: larger ones take long and order models no better
AXES = 128  # principal axes of the held-out faces that a Fréchet distance is taken on


class Inception:
    """The layers of the package's graph, computed one after the other; channels-last weights, in 8 bits."""

    def __init__(self, package: Path) -> None:
        with tarfile.open(package) as archive:
            shards = sorted(name for name in archive.getnames() if name.startswith(f"{FOLDER}/group1"))
            blob = b"".join(base64.b64decode(longest_string(text_of(archive, name))) for name in shards)
            graph = parsed_object(text_of(archive, f"{FOLDER}/model.min.js"))
        self.layers = graph["modelTopology"]["model_config"]["config"]["layers"]
        self.weights, place = {}, 0
        for entry in graph["weightsManifest"][0]["weights"]:
            code = entry["quantization"]
            count = int(np.prod(entry["shape"]))
            numbers = np.frombuffer(blob, np.uint8, count, place) * np.float32(code["scale"]) + np.float32(code["min"])
            tensor = torch.from_numpy(numbers.astype(np.float32).reshape(entry["shape"]))
            self.weights[entry["name"]] = tensor.permute(3, 2, 0, 1).contiguous() if tensor.ndim == 4 else tensor
            place += count
        assert place == len(blob), f"the graph names {place:,} weights, the shards hold {len(blob):,}"

    def __call__(self, images: Tensor) -> list[Tensor]:
        """The channels' means at each depth, for pictures in [-1, 1]: (B, 3, H, W) -> three of (B, C)."""
        values = {}
        for layer in self.layers:
            before = [values[source[0]] for source in layer["inbound_nodes"][0]] if layer["inbound_nodes"] else [images]
            values[layer["name"]] = self.compute(layer, before)
            if layer["name"] == DEPTHS[-1]:
                break
        return [values[name].float().mean((2, 3)) for name in DEPTHS]

    def compute(self, layer: dict[str, Any], before: list[Tensor]) -> Tensor:
        x, settings, name = before[0], layer["config"], layer["name"]
        same = settings.get("padding") == "same"
        match layer["class_name"]:
            case "InputLayer":
                return x
            case "Conv2D":
                weight = self.weights[f"{name}/kernel"]
                around = [side // 2 for side in weight.shape[2:]] if same else 0
                return F.conv2d(x, weight, None, settings["strides"], around)
            case "BatchNormalization":
                mean, variance, shift = (
                    self.weights[f"{name}/{part}"] for part in ("moving_mean", "moving_variance", "beta")
                )
                return F.batch_norm(x.float(), mean, variance, None, shift, eps=settings["epsilon"])
            case "Activation":
                return F.relu(x)
            case "MaxPooling2D":
                return F.max_pool2d(x, settings["pool_size"], settings["strides"])
            case "AveragePooling2D":
                around = settings["pool_size"][0] // 2 if same else 0
                return F.avg_pool2d(x, settings["pool_size"], settings["strides"], around, count_include_pad=False)
            case "Concatenate":
                return torch.cat(before, 1)
            case kind:
                raise ValueError(f"{name} is a {kind}, which this script cannot compute; is it another package?")


def text_of(archive: tarfile.TarFile, name: str) -> str:
    file = archive.extractfile(name)
    assert file, f"{name} is no file"
    return file.read().decode()


def longest_string(text: str) -> str:
    return max(re.findall(r'"([^"]*)"', text), key=len)


def parsed_object(text: str) -> dict[str, Any]:
    """The object that a minified script exports, whose keys lack the quotes of JSON and whose numbers the zeros."""
    text = text[text.index("{modelTopology:") : text.rindex("]}]}") + 4]
    strings = iter(re.findall(r'"[^"]*"', text))
    bare = re.sub(r'"[^"]*"', '"@"', text).replace("!0", "true").replace("!1", "false")
    bare = re.sub(r"(?<=[{,])(\w+):", r'"\1":', bare)
    bare = re.sub(r"(?<![\d.])\.(?=\d)", "0.", bare)
    return json.loads(re.sub('"@"', lambda _: next(strings), bare))


def described(net: Inception, faces: np.ndarray) -> list[np.ndarray]:
    """What the network says of faces at each depth, (N, C)."""
    parts = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for start in range(0, len(faces), BATCH):
            images = to_tensor(faces[start : start + BATCH])  # (B, 3, S, S)
            images = F.interpolate(images, (SHOWN, SHOWN), mode="bicubic", antialias=True).clamp(-1, 1)
            parts.append([means.numpy() for means in net(images)])
    return [np.concatenate(depth) for depth in zip(*parts, strict=True)]


def row(real: np.ndarray, drawn: np.ndarray) -> str:
    """Fréchet and kernel distance, recall and coverage at one depth, each channel standardised by the real faces."""
    deviation = real.std(0)
    alive = deviation > 0.2 * np.median(deviation)
    real, drawn = (np.clip((x - real.mean(0))[:, alive] / deviation[alive], -6, 6) for x in (real, drawn))
    axes = np.linalg.svd(real, full_matrices=False)[2][:AXES].T
    frechet, (kernel, error) = frechet_distance(real @ axes, drawn @ axes), kernel_distance(real, drawn)
    recall, coverage = precision_recall(real, drawn)[1], density_coverage(real, drawn)[1]
    return f"{frechet:.1f} | {kernel * 1e3:.0f} ± {error * 1e3:.0f} | {recall:.2f} | {coverage:.2f}"


def main(
    package: Path,
    data: list[Path],
    peer: Annotated[Path | None, typer.Option(help="Folder or zip of another model's faces.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Models to measure; several times.")] = None,
    side: Annotated[int, typer.Option(help="Bring all faces to so many px first.")] = 64,
    count: int = COUNT,
    threads: int = 0,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Measure each model's seeds from 0 on against the held-out faces, beside training faces and the peer."""
    if threads:
        torch.set_num_threads(threads)
    faces = load_faces(data, side, home / "cache")
    chosen = np.sort(np.random.default_rng(0).permutation(faces.train)[:count])
    sets = {"training faces": faces.images[chosen]}
    if peer:
        sets[peer.stem] = load_faces([peer], side, home / "cache", keep_duplicates=True).images[:count]
    for name in model or []:
        drawn = generate(open_model(name, home / "hub"), range(count))
        resized = (np.asarray(Image.fromarray(face).resize((side, side), Image.Resampling.LANCZOS)) for face in drawn)
        sets[name] = np.stack(list(resized))
    net = Inception(package)
    real = described(net, faces.images[faces.held_out])
    print(f"{count:,} faces of each against {len(faces.held_out):,} held-out ones, at {side} px\n")
    print("| faces | depth | Fréchet | kernel x 1000 | recall | coverage |\n" + "|---" * 6 + "|")
    for name, pictures in sets.items():
        for depth, known, seen in zip(DEPTHS, real, described(net, pictures), strict=True):
            print(f"| {name} | {depth} | {row(known, seen)} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
