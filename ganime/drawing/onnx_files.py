"""A model's networks as ONNX files that were compared with torch, where ONNX Runtime is installed to do so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from ganime.drawing.clarity import clear
from ganime.drawing.recipe import MAX_CLARITY, latents
from ganime.drawing.sharpening import default_upscaler
from ganime.models.checkpoint import Checkpoint
from ganime.models.onnx_clarity import clarity_onnx
from ganime.models.onnx_graph import check
from ganime.models.onnx_networks import generator_onnx, upscaler_onnx

COMPARED = 4  # latents


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX file. difference: the largest between ONNX Runtime and torch; None if it was not compared."""

    data: bytes
    difference: float | None


def generator_file(checkpoint: Checkpoint) -> OnnxFile:
    """The generator. Raises CheckpointError if ONNX Runtime computes anything else from it than torch."""
    z = latents(range(COMPARED), checkpoint.generator.config.latent_dim)

    def pictures() -> np.ndarray:
        return checkpoint.generator(torch.from_numpy(z).to(checkpoint.generator.device)).cpu().numpy()

    return compared("The generator", generator_onnx(checkpoint), {"latents": z}, pictures)


def clarity_file(checkpoint: Checkpoint) -> OnnxFile:
    """The clarity. Raises as `generator_file`, and RecipeError if none was fitted to the model."""
    z = latents(range(COMPARED), checkpoint.generator.config.latent_dim)
    shares = np.linspace(0, MAX_CLARITY, COMPARED)
    cleared = clear(checkpoint, z, shares.tolist())
    assert checkpoint.clarity is not None  # it has just moved latents
    data = clarity_onnx(checkpoint.clarity, {"model": checkpoint.name, "revision": checkpoint.revision})
    return compared("The clarity", data, {"latents": z, "clarity": shares}, lambda: cleared)


def upscaler_file() -> OnnxFile:
    """The upscaler. Raises as `generator_file`."""
    net = default_upscaler()
    pictures = np.random.default_rng(0).random((1, 3, 24, 32), np.float32)
    return compared(
        "The upscaler", upscaler_onnx(net), {"pictures": pictures}, lambda: net(torch.from_numpy(pictures)).numpy()
    )


@torch.inference_mode()
def compared(what: str, data: bytes, inputs: Mapping[str, np.ndarray], expected: Callable[[], np.ndarray]) -> OnnxFile:
    """The file, once ONNX Runtime has computed from it what torch computes."""
    return OnnxFile(data, check(what, data, inputs, expected))
