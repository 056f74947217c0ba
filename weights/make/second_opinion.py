"""Models measured by a network that has nothing to do with Ganime: the YOLOv8 of NudeNet, at four depths.

`pip download --no-deps nudenet==3.4.2` and `pip install onnx onnxruntime`, then
`python -m weights.make.second_opinion nudenet-3.4.2-py3-none-any.whl FACES... --model MODEL ...`

The anime features and the critic's anime eyes were fitted to the same labels, so a gain on those features may be theirs
alone. This network was taught by others, with photographs, and no model has been trained to please it.
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
from weights.make.default_models import COUNT

MODEL = "nudenet/320n.onnx"
DEPTHS = {  # ends of its stages
    depth: f"/model.{number}/cv2/act/Mul_output_0"
    for depth, number in {"strokes": 2, "patterns": 4, "parts": 6, "whole": 9}.items()
}
SHOWN, BATCH = 224, 20  # px at which it is shown a picture, and how many at a time
AXES = 128  # principal axes of the held-out faces that a Fréchet distance is taken on


class Judge:
    """Pictures -> the channels' means at each depth."""

    def __init__(self, package: Path, threads: int) -> None:
        with zipfile.ZipFile(package) as archive:
            model = onnx.load_model_from_string(archive.read(MODEL))
        for name in DEPTHS.values():
            model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options)

    def __call__(self, faces: np.ndarray) -> list[np.ndarray]:
        """What it says of uint8 faces, (N, S, S, 3) -> (N, C) at each depth."""
        return [np.concatenate(parts) for parts in zip(*self.batches(faces), strict=True)]

    def batches(self, faces: np.ndarray) -> Iterator[list[np.ndarray]]:
        for start in range(0, len(faces), BATCH):
            shown = np.stack([resized(face, SHOWN, Image.Resampling.BICUBIC) for face in faces[start : start + BATCH]])
            pictures = shown.astype(np.float32).transpose(0, 3, 1, 2) / 255  # (B, 3, 224, 224)
            yield [seen.mean((2, 3)) for seen in self.session.run([*DEPTHS.values()], {"images": pictures})]  # (B, C)


def resized(face: np.ndarray, side: int, way: Image.Resampling = Image.Resampling.LANCZOS) -> np.ndarray:
    return np.asarray(Image.fromarray(face).resize((side, side), way))


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
    faces = load_faces(data, side, home / "cache")
    chosen = np.sort(np.random.default_rng(0).permutation(faces.train)[:count])
    sets = {"training faces": faces.images[chosen]}
    if peer:
        sets[peer.stem] = load_faces([peer], side, home / "cache", keep_duplicates=True).images[:count]
    for name in model or []:
        drawn = generate(open_model(name, home / "hub"), range(count))
        sets[name] = np.stack([resized(face, side) for face in drawn])
    judge = Judge(package, threads)
    real = judge(faces.images[faces.held_out])
    print(f"{count:,} faces of each against {len(faces.held_out):,} held-out ones, at {side} px\n")
    print("| faces | depth | Fréchet | kernel x 1000 | recall | coverage |\n" + "|---" * 6 + "|")
    for name, pictures in sets.items():
        for depth, known, seen in zip(DEPTHS, real, judge(pictures), strict=True):
            print(f"| {name} | {depth} | {row(known, seen)} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
