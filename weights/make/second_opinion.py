"""Measure models by a network that no model was trained to please: the YOLOv8 of NudeNet, at four depths.

`pip download --no-deps nudenet==3.4.2` and `pip install onnx onnxruntime`, then
`python -m weights.make.second_opinion nudenet-3.4.2-py3-none-any.whl FACES... --model MODEL ...`

The anime features and the critic's anime network were trained on the same labels, so a gain on those features may be a
gain on that kind of network alone. Others trained this network, on photographs.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import onnx
import onnxruntime
import typer
from PIL import Image

from ganime.cli.common import DEFAULT_HOME, HomeOption
from ganime.drawing.sampling import generate
from ganime.faces.dataset import load_faces
from ganime.measuring.distances import density_coverage, frechet_distance, kernel_distance, precision_recall
from ganime.models.hub import open_model
from weights.make.model_card import COUNT

MODEL = "nudenet/320n.onnx"
DEPTHS = {  # the ends of the network's stages
    depth: f"/model.{number}/cv2/act/Mul_output_0"
    for depth, number in {"strokes": 2, "patterns": 4, "parts": 6, "whole": 9}.items()
}
INPUT_SIDE, INPUT_BATCH = 224, 20  # px of a picture, and pictures at a time
AXES = 128  # principal axes of the held-out faces that a Fréchet distance is taken on
LEAST_DEVIATION, MOST_DEVIATIONS = 0.2, 6.0  # channels below this share of the median are left out; values are clipped


class Judge:
    """Turns pictures into the means of the channels at each depth."""

    def __init__(self, package: Path, threads: int) -> None:
        with zipfile.ZipFile(package) as archive:
            model = onnx.load_model_from_string(archive.read(MODEL))
        for name in DEPTHS.values():
            model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options)

    def __call__(self, faces: np.ndarray) -> list[np.ndarray]:
        """Means for uint8 faces, (N, S, S, 3) -> (N, C) at each depth."""
        return [np.concatenate(parts) for parts in zip(*self.batches(faces), strict=True)]

    def batches(self, faces: np.ndarray) -> Iterator[list[np.ndarray]]:
        """The same for each batch of faces, (B, C) at each depth."""
        for start in range(0, len(faces), INPUT_BATCH):
            batch = faces[start : start + INPUT_BATCH]
            scaled = np.stack([scaled_to(face, INPUT_SIDE, Image.Resampling.BICUBIC) for face in batch])
            pictures = scaled.astype(np.float32).transpose(0, 3, 1, 2) / 255  # (B, 3, 224, 224)
            maps = self.session.run([*DEPTHS.values()], {"images": pictures})
            yield [channels.mean((2, 3)) for channels in maps]  # (B, C)


def scaled_to(face: np.ndarray, side: int, filter: Image.Resampling = Image.Resampling.LANCZOS) -> np.ndarray:
    """A face, uint8 (S, S, 3), at another side in px."""
    return np.asarray(Image.fromarray(face).resize((side, side), filter))


def row(real: np.ndarray, generated: np.ndarray) -> str:
    """Fréchet and kernel distance, recall and coverage at one depth, each channel standardised by the real faces."""
    deviation, mean = real.std(0), real.mean(0)
    used = deviation > LEAST_DEVIATION * np.median(deviation)
    real, generated = (
        np.clip((x - mean)[:, used] / deviation[used], -MOST_DEVIATIONS, MOST_DEVIATIONS) for x in (real, generated)
    )
    axes = np.linalg.svd(real, full_matrices=False)[2][:AXES].T
    frechet, (kernel, error) = frechet_distance(real @ axes, generated @ axes), kernel_distance(real, generated)
    recall, coverage = precision_recall(real, generated)[1], density_coverage(real, generated)[1]
    return f"{frechet:.1f} | {kernel * 1e3:.0f} ± {error * 1e3:.0f} | {recall:.2f} | {coverage:.2f}"


def main(
    package: Path,
    data: list[Path],
    peer: Annotated[Path | None, typer.Option(help="Folder or zip of another model's faces.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="A model to measure; may be given several times.")] = None,
    clarity: Annotated[list[float] | None, typer.Option(help="To draw with; may be given several times.")] = None,
    side: Annotated[int, typer.Option(help="Scale all faces to this many pixels first.")] = 64,
    count: int = COUNT,
    threads: int = 0,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Measure the first faces of each model against the held-out faces, beside training faces and the peer."""
    faces = load_faces(data, side, home / "cache")
    chosen = np.sort(np.random.default_rng(0).permutation(faces.train)[:count])
    sets = {"training faces": faces.images[chosen]}
    if peer:
        sets[peer.stem] = load_faces([peer], side, home / "cache", keep_duplicates=True).images[:count]
    for name in model or []:
        for share in clarity or [0.0]:
            drawn = generate(open_model(name, home / "hub"), range(count), clarity=share)
            sets[f"{name}, clarity {share:g}"] = np.stack([scaled_to(face, side) for face in drawn])
    judge = Judge(package, threads)
    real = judge(faces.images[faces.held_out])
    print(f"{count:,} faces of each against {len(faces.held_out):,} held-out ones, at {side} px\n")
    print("| faces | depth | Fréchet | kernel x 1000 | recall | coverage |\n" + "|---" * 6 + "|")
    for name, pictures in sets.items():
        for depth, real_means, means in zip(DEPTHS, real, judge(pictures), strict=True):
            print(f"| {name} | {depth} | {row(real_means, means)} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
