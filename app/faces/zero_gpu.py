"""The GPU that a ZeroGPU Space lends for one call; anywhere else this file changes nothing.

Such a Space starts only if a function is decorated with `spaces.GPU`. It runs in a process of its own, which alone has
the GPU. Drawing a face takes longer to send there than to do here, so only many faces to sharpen are sent.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from ganime.drawing.sharpening import sharpened
from ganime.nets.upscaler import load_upscaler
from ganime.shapes import UInt8

LEAST_FACES = 8  # fewer are sharpened here before a GPU has been lent
SECONDS = 60  # for which the GPU is asked for; a visitor's own share of it pays for them
DEVICE = "cuda"
IS_ZERO_GPU = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
LOGGER = logging.getLogger(__name__)
Function = TypeVar("Function", bound=Callable[..., object])


def lent_a_gpu(function: Function) -> Function:
    """A decorator: the function runs with a GPU where the package `spaces` is installed on a ZeroGPU Space."""
    if not IS_ZERO_GPU:
        return function
    import spaces  # pyright: ignore[reportMissingImports] - only a Space has it

    return spaces.GPU(duration=SECONDS)(function)


@lent_a_gpu
def sharpen_there(faces: UInt8[np.ndarray, "n h w 3"], size: int) -> UInt8[np.ndarray, "n size size 3"]:
    """Sharpen faces on the GPU; see `ganime.drawing.sharpening.sharpened`."""
    net = load_upscaler().to(DEVICE)
    return np.stack(list(sharpened(faces, size, net)))


def sharpened_there(faces: UInt8[np.ndarray, "n h w 3"], size: int) -> UInt8[np.ndarray, "n size size 3"] | None:
    """Faces at `size` px, sharpened on a lent GPU; None where there is none to be had, or for too few faces."""
    if not IS_ZERO_GPU or len(faces) < LEAST_FACES:
        return None
    try:
        return sharpen_there(faces, size)
    except Exception as error:  # such as a visitor without a share left: it is done here, only slower
        LOGGER.warning("No GPU was lent (%s); %d faces are sharpened on the CPU.", type(error).__name__, len(faces))
        return None
