"""Models as files: `inspect`, `export` and `import`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ganime.cli.common import DEFAULT_HOME, HomeOption, ModelArgument, ModelFolderOption
from ganime.drawing.directions import load_directions
from ganime.drawing.layers import LayerCost, layer_costs
from ganime.files import refuse_to_replace
from ganime.models.checkpoint import CHECKPOINT_FILES, EMBEDDED, MODEL_FILES, export_model, save_checkpoint
from ganime.models.hub import open_model
from ganime.models.importing import import_generator


def inspect_command(
    model: ModelArgument = str(EMBEDDED),
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Show both networks layer by layer: output shape, parameters, multiply-adds."""
    checkpoint = open_model(model, home / "hub", with_discriminator=True)
    print(f"{checkpoint.name}, revision {checkpoint.revision}")
    print_summary("Generator", layer_costs(checkpoint.generator))
    if checkpoint.discriminator:
        print_summary("Discriminator", layer_costs(checkpoint.discriminator))
    else:
        print("\nThis model has no discriminator.")


def export_command(
    model: ModelArgument,
    out: ModelFolderOption,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Write a model, such as the best save of a run, to a model folder that you can keep or share."""
    refuse_to_replace(out, MODEL_FILES)
    checkpoint = open_model(model, home / "hub", with_discriminator=True)
    # Raises CheckpointError for directions that were made for other weights.
    load_directions(checkpoint.folder, checkpoint.revision, checkpoint.generator.config.latent_dim)
    export_model(replace(checkpoint, name=out.resolve().name), out)
    images = checkpoint.training.get("images")
    trained = f", trained on {images:,} images" if isinstance(images, int) else ""
    print(f"{out}: revision {checkpoint.revision}{trained}")


def import_command(
    file: Annotated[Path, typer.Argument(help="State dict of a generator: .safetensors, .pt, .pth or .bin.")],
    out: ModelFolderOption,
) -> None:
    """Convert the weight file of a DCGAN generator to a model folder."""
    refuse_to_replace(out, CHECKPOINT_FILES)
    checkpoint = replace(import_generator(file), name=out.resolve().name)
    save_checkpoint(checkpoint, out)
    print(f"{out}: {checkpoint.generator.config}")


def print_summary(title: str, layers: list[LayerCost]) -> None:
    """Print a network as a table, one row per layer, with totals."""
    print(f"\n{title}\n{'layer':<10} {'kind':<16} {'output':<16} {'parameters':>12} {'multiply-adds':>14}")
    for layer in layers:
        shape = " x ".join(str(side) for side in layer.output)
        print(f"{layer.name:<10} {layer.kind:<16} {shape:<16} {layer.parameters:>12,} {layer.multiply_adds:>14,}")
    totals = sum(layer.parameters for layer in layers), sum(layer.multiply_adds for layer in layers)
    print(f"{'total':<44} {totals[0]:>12,} {totals[1]:>14,}")
