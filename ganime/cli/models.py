"""Models as files: `inspect`, `export`, also as ONNX, and `import`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganime.cli.common import DEFAULT_HOME, HomeOption, ModelArgument, ModelFolderOption
from ganime.cli.page import check_installed
from ganime.drawing.directions import load_directions
from ganime.drawing.layers import LayerCost, layer_costs
from ganime.embedded import EMBEDDED
from ganime.errors import ConfigError
from ganime.files import refuse_to_replace, write_bytes
from ganime.models.checkpoint import CHECKPOINT_FILES, MODEL_FILES, Checkpoint, export_model, save_checkpoint
from ganime.models.hub import open_model
from ganime.models.importing import OUTPUTS, ImportOptions, import_generator
from ganime.models.importing.fitting import ACTIVATIONS
from ganime.training.publishing import known_facts

if TYPE_CHECKING:
    from ganime.drawing.onnx_files import OnnxFile


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
    out: Annotated[Path | None, typer.Option(help="Model folder to write.", show_default=False)] = None,
    onnx: Annotated[Path | None, typer.Option(help="ONNX file of the generator.", show_default=False)] = None,
    clarity: Annotated[Path | None, typer.Option(help="ONNX file of its clarity.", show_default=False)] = None,
    upscaler: Annotated[Path | None, typer.Option(help="ONNX file of the upscaler.", show_default=False)] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Write a model, such as the best save of a run, to a model folder that you can keep or share, or to ONNX files."""
    files = {"--onnx": onnx, "--clarity": clarity, "--upscaler": upscaler}
    wanted = {option: file for option, file in files.items() if file}
    if not (out or wanted):
        raise ConfigError(f"Say what to write: --out FOLDER, or an ONNX file with {', '.join(files)}.")
    for option, file in wanted.items():
        if file.suffix != ".onnx":
            raise ConfigError(f"{option} writes ONNX; {file} should end in .onnx.")
    if out:
        refuse_to_replace(out, MODEL_FILES)
    checkpoint = open_model(model, home / "hub", with_discriminator=out is not None)
    if out:
        export_folder(checkpoint, out)
    if wanted:
        export_files(checkpoint, onnx, clarity, upscaler)


def export_files(checkpoint: Checkpoint, onnx: Path | None, clarity: Path | None, upscaler: Path | None) -> None:
    """Write those of the ONNX files that have a path."""
    check_installed("onnx")
    from ganime.drawing import onnx_files  # onnx is an extra

    if onnx:
        export_onnx(onnx, "generator", onnx_files.generator_file(checkpoint))
    if clarity:
        export_onnx(clarity, "clarity", onnx_files.clarity_file(checkpoint))
    if upscaler:
        export_onnx(upscaler, "upscaler", onnx_files.upscaler_file())


def export_folder(checkpoint: Checkpoint, out: Path) -> None:
    """Write a model folder and print what it holds."""
    checkpoint = replace(checkpoint, training=known_facts(checkpoint))
    # Raises CheckpointError for directions that were made for other weights.
    load_directions(checkpoint.folder, checkpoint.revision, checkpoint.generator.config.latent_dim)
    export_model(replace(checkpoint, name=out.resolve().name), out)
    images = checkpoint.training.get("images")
    trained = f", trained on {images:,} images" if isinstance(images, int) else ""
    print(f"{out}: revision {checkpoint.revision}{trained}")


def export_onnx(path: Path, what: str, file: OnnxFile) -> None:
    """Write an ONNX file, and print how far from torch it is."""
    write_bytes(path, file.data)
    unknown = "not compared with torch, because onnxruntime is not installed"
    compared = unknown if file.difference is None else f"within {file.difference:.1g} of torch in ONNX Runtime"
    print(f"{path}: {what}, {len(file.data):,} bytes, {compared}")


def import_command(
    file: Annotated[Path, typer.Argument(help="Weight file of a generator: PyTorch, safetensors, Keras or ONNX.")],
    out: ModelFolderOption,
    key: Annotated[str, typer.Option(help="Where in the file the generator is, such as gen_state_dict.")] = "",
    activation: Annotated[
        str, typer.Option(help=f"Of the hidden layers, instead of the measured one: {', '.join(ACTIVATIONS)}.")
    ] = "",
    output: Annotated[
        str, typer.Option(help=f"How the last layer ends: {', '.join(OUTPUTS)}. By default judged by the pictures.")
    ] = "",
    norm_eps: Annotated[float | None, typer.Option(help="What the norms add to the variance, such as 1e-5.")] = None,
    label: Annotated[int | None, typer.Option(help="Class to draw, from 0, of a class-conditional generator.")] = None,
    size: Annotated[int, typer.Option(help="Side of the pictures in px, where the file leaves it open.")] = 0,
) -> None:
    """Convert the weight file of a generator to a model folder, and say what was found and how well it matches."""
    refuse_to_replace(out, CHECKPOINT_FILES)
    imported = import_generator(file, ImportOptions(key, activation, output, norm_eps, label, size))
    checkpoint = replace(imported, name=out.resolve().name)
    save_checkpoint(checkpoint, out)
    config = checkpoint.generator.config
    print(f"{out}: {config.image_size} px, {'a DCGAN with layers of its own' if config.blocks else 'a plain DCGAN'}")
    for subject, found in checkpoint.training.items():
        print(f"  {subject.replace('_', ' ')}: {found}")


def print_summary(title: str, layers: list[LayerCost]) -> None:
    """Print a network as a table, one row per layer, with totals."""
    print(f"\n{title}\n{'layer':<10} {'kind':<16} {'output':<16} {'parameters':>12} {'multiply-adds':>14}")
    for layer in layers:
        shape = " x ".join(str(side) for side in layer.output)
        print(f"{layer.name:<10} {layer.kind:<16} {shape:<16} {layer.parameters:>12,} {layer.multiply_adds:>14,}")
    totals = sum(layer.parameters for layer in layers), sum(layer.multiply_adds for layer in layers)
    print(f"{'total':<44} {totals[0]:>12,} {totals[1]:>14,}")
