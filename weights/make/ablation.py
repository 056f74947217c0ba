"""What each part of the training recipe is worth: variants trained on the same faces for equally many images.

`python -m weights.make.ablation FACES... [--image-size 32] [--images 60000] [--seeds 1] [--only NAME ...]`

The variants called "rates ..." compare learning rates, and "no critic" changes `modern`. All others except `classic`
change one thing of "rates 2e-4 and 4e-4". Results are kept in `ablation.jsonl` below --home, so an interrupted run
continues with the next variant.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from ganime.cli.common import DEFAULT_HOME, HomeOption
from ganime.config import RECIPES, ModelConfig, TrainConfig
from ganime.drawing.sampling import generate
from ganime.faces.dataset import FaceDataset, load_faces
from ganime.measuring.report import evaluate
from ganime.models.checkpoint import load_checkpoint
from ganime.nets.anime_features import load_features
from ganime.training.events import Done
from ganime.training.loop import train

BEFORE = {"generator_lr": 2e-4, "discriminator_lr": 4e-4, "critic": 0.0}  # the recipe before this table led to `modern`
VARIANTS: dict[str, dict[str, object]] = {
    "modern": {},
    "no critic": {"critic": 0.0},
    "rates 2e-4 and 4e-4": BEFORE,
    "rates 4e-4 and 4e-4": {"critic": 0.0, "discriminator_lr": 4e-4},
    "rates 2e-4 and 2e-4": {"critic": 0.0, "generator_lr": 2e-4, "discriminator_lr": 2e-4},
    "batch 16": BEFORE | {"batch_size": 16},
    "batch 64": BEFORE | {"batch_size": 64},
    "bce": BEFORE | {"loss": "bce"},
    "D twice as wide": BEFORE | {"discriminator_channels": 2.0},
    "no EMA": BEFORE | {"ema_images": 0},
    "DiffAugment": BEFORE | {"augment": "diffaugment"},
    "classic": {"recipe": "classic"},
}


def configure(changes: dict[str, object], channels: int) -> tuple[TrainConfig, ModelConfig]:
    """The recipe with the changes of one variant; each goes to the configuration that has a field of that name."""
    config, model = RECIPES[str(changes.get("recipe", "modern"))]
    fields = asdict(model)
    if "discriminator_channels" in changes:  # as a multiple of the generator's
        changes = changes | {"discriminator_channels": int(float(str(changes["discriminator_channels"])) * channels)}
    model = replace(model, **{name: value for name, value in changes.items() if name in fields})
    return replace(config, **{name: value for name, value in changes.items() if name not in fields}), model


def run_variant(
    dataset: FaceDataset, changes: dict[str, object], length: dict[str, Any], seed: int, count: int, channels: int
) -> dict[str, float]:
    """Train one variant and measure it against the held-out faces.

    length: the limit of the run, {"images": ...} or {"minutes": ...}. count: generated faces. channels: base_channels.
    """
    config, model = configure(changes, channels)
    config = replace(config, **length, seed=seed, save_minutes=60.0, preview_images=10**9, measure_images=0)
    model = replace(model, image_size=dataset.images.shape[1], base_channels=channels)
    with tempfile.TemporaryDirectory() as folder:
        done = list(train(dataset, Path(folder) / "run", config, model))[-1]
        assert isinstance(done, Done)
        seconds = torch.load(done.folder / "state.pt", weights_only=True)["seconds"]
        faces = generate(load_checkpoint(done.folder), range(count))
    report = evaluate(load_features(), faces, dataset.images[dataset.held_out])
    return {"seconds": seconds, **{name: value for name, value in report.to_dict().items() if name != "copying"}}


def main(
    data: list[Path],
    image_size: int = 32,
    images: int = 60_000,
    minutes: Annotated[float, typer.Option(help="Minutes of every run, instead of --images.")] = 0.0,
    seeds: int = 1,
    count: int = 1000,
    channels: Annotated[int, typer.Option(help="base_channels of both nets.")] = 32,
    only: Annotated[list[str] | None, typer.Option(help="Names of variants; all by default.")] = None,
    threads: int = 1,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Train and measure every variant with every seed, then print the table, best first."""
    torch.set_num_threads(threads)
    dataset = load_faces(data, image_size, home / "cache")
    results = home / "ablation.jsonl"
    rows = [json.loads(line) for line in results.read_text().splitlines()] if results.is_file() else []
    length = {"minutes": minutes} if minutes else {"images": images}
    wanted = [(seed, name) for seed in range(seeds) for name in (only or VARIANTS)]
    for seed, name in wanted:
        row = {
            "name": name,
            "seed": seed,
            "size": image_size,
            "channels": channels,
            **length,
            "changes": VARIANTS[name],
        }
        if not any(row.items() <= old.items() for old in rows):
            row |= run_variant(dataset, VARIANTS[name], length, seed, count, channels)
            rows.append(row)
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(f"{name}, seed {seed}: Fréchet {row['frechet']:.1f} in {row['seconds']:.0f} s", flush=True)
    here = {"size": image_size, "channels": channels, **length}
    rows = [row for row in rows if here.items() <= row.items()]
    print("| variant | seed | minutes | Fréchet | kernel x 1000 | precision | recall | coverage |\n" + "|---" * 8 + "|")
    for row in sorted(rows, key=lambda row: row["frechet"]):
        print(
            f"| {row['name']} | {row['seed']} | {row['seconds'] / 60:.1f} | {row['frechet']:.1f} | "
            f"{row['kernel'] * 1000:.0f} | {row['precision']:.2f} | {row['recall']:.2f} | {row['coverage']:.2f} |"
        )


if __name__ == "__main__":
    typer.run(main)
