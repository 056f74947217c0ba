"""Reads generators trained elsewhere, and says what was found and how well it matches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ganime.config import MOST_PIXELS
from ganime.errors import CheckpointError, ConfigError
from ganime.models.checkpoint import Checkpoint
from ganime.models.importing.building import build_generator, coloured, for_normal_latents
from ganime.models.importing.findings import describe, likely_output
from ganime.models.importing.fitting import ACTIVATIONS, Choices, enlarged_to, fit, side_of
from ganime.models.importing.keras import KERAS_EPS, read_keras
from ganime.models.importing.layout import Layout, read_layout
from ganime.models.importing.onnx_files import read_onnx
from ganime.models.importing.states import finite_tensors, states_in
from ganime.models.importing.weight_files import HDF5, KERAS, ONNX, SAFETENSORS, read_state, recognised
from ganime.nets.dcgan import Generator

MOST_LATENT = 4096  # as in ModelConfig
OUTPUTS = ("tanh", "sigmoid", "none")
SUPPORTED = "docs/importing.md lists the generators that Ganime imports."


@dataclass(frozen=True)
class ImportOptions:
    """What the caller knows about a weight file; by default all is read or measured.

    key: where in the file the generator is, such as "gen_state_dict".
    activation: of the hidden layers, one of fitting.ACTIVATIONS.
    output: how the last layer ends: "tanh", "sigmoid" or "none" (pictures from -1 to 1, cut off).
    norm_eps: what the norms add to the variance.
    label: the class that a class-conditional generator is to draw, from 0.
    size: side of the pictures in px.
    """

    key: str = ""
    activation: str = ""
    output: str = ""
    norm_eps: float | None = None
    label: int | None = None
    size: int = 0

    def __post_init__(self) -> None:
        for name, value, known in (("activation", self.activation, ACTIVATIONS), ("output", self.output, OUTPUTS)):
            if value and value not in known:
                raise ConfigError(f"{name} must be one of {', '.join(known)}; got {value!r}.")
        if self.norm_eps is not None and not 0 <= self.norm_eps <= 1:
            raise ConfigError(f"norm_eps must be from 0 to 1; got {self.norm_eps}.")


def import_generator(file: Path, options: ImportOptions | None = None) -> Checkpoint:
    """The generator in a weight file, in eval mode, fp32, on the CPU.

    Its facts about the training are what was found, in sentences by subject, and how well it matches.

    Nothing in the file is ever run, and no other file is read. Raises CheckpointError, naming the file, when it is
    missing, over 1 GiB, damaged, of another kind, would need code to be run, or holds no generator that Ganime can
    express, and ConfigError for an option out of range.
    """
    options = options or ImportOptions()
    kind = recognised(file)
    try:
        if kind in (HDF5, KERAS):
            layout, known = read_keras(file, kind)
            if not known and options.norm_eps is None:
                options = replace(options, norm_eps=KERAS_EPS)
            generator, found = from_layout(layout, options, known)
        elif kind == ONNX:
            generator, found = from_layout(read_onnx(file), options, known=True)
        else:
            generator, found = from_states(read_state(file, kind), kind != SAFETENSORS, options)
    except (CheckpointError, ConfigError) as error:
        text = str(error) if str(error).startswith(str(file)) else f"{file}: {error}"
        raise CheckpointError(f"{text} {SUPPORTED}") from error
    return Checkpoint(generator, training={"imported_from": file.name, **found}, name=file.stem)


def from_states(content: Any, ordered: bool, options: ImportOptions) -> tuple[Generator, dict[str, str]]:
    """The first state dict in a file that is a generator's. Raises the CheckpointError of the likeliest otherwise."""
    failures: list[CheckpointError | ConfigError] = []
    for path, state in states_in(content, options.key):
        try:
            layout = read_layout(finite_tensors(state), ordered)
            generator, found = from_layout(layout, options, known=False)
        except (CheckpointError, ConfigError) as error:
            failures.append(error)
            continue
        where = {"weights": f"under {path}; --key chooses others."} if path else {}
        return generator, where | found
    raise failures[0]


def from_layout(layout: Layout, options: ImportOptions, known: bool) -> tuple[Generator, dict[str, str]]:
    """The generator of layers. known: whether the file says everything about them."""
    check_bounds(layout)
    row = class_row(layout.classes, options.label)
    fitted = fit(layout.layers, layout.classes, Choices(options.activation, options.norm_eps), known)
    layers = enlarged_to(fitted.layers, options.size, lambda side: 8 <= side <= MOST_PIXELS)
    layers = coloured(layers)
    if not known or options.output:
        output = options.output or likely_output(layers, fitted, layout.classes)
        layers = [*layers[:-1], layers[-1].changed(activation=output)]
    found = describe(layers, fitted, options.output != "", known)
    return build_generator(for_normal_latents(layers, fitted.latent, row)), found


def check_bounds(layout: Layout) -> None:
    """Raise CheckpointError for a latent or a picture that is too large, before anything is drawn."""
    latent, side = layout.layers[0].block.inputs, side_of(layout.layers)
    if latent > MOST_LATENT or side > MOST_PIXELS:
        most = f"a latent_dim of {MOST_LATENT} and pictures of {MOST_PIXELS} px"
        raise CheckpointError(f"it has a latent_dim of {latent} and draws {side} px; Ganime knows at most {most}.")


def class_row(classes: Tensor | None, label: int | None) -> Tensor | None:
    """The row of the chosen class. Raises CheckpointError where none was chosen, or there is none."""
    if classes is None:
        if label is not None:
            raise CheckpointError(f"label {label} was given, and the generator has no classes.")
        return None
    if label is None or not 0 <= label < len(classes):
        raise CheckpointError(f"it draws {len(classes)} classes. Choose one with --label 0 to {len(classes) - 1}.")
    return classes[label]
