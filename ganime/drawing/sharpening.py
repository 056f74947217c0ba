"""Faces enlarged with clean lines, by an upscaler made for anime drawings instead of by interpolation."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
from PIL import Image

from ganime.drawing.recipe import MAX_SHARPENED
from ganime.errors import DataError
from ganime.nets.upscaler import LEAST_SIDE, SCALE, Upscaler, load_upscaler
from ganime.shapes import UInt8


def sharpened(
    faces: UInt8[np.ndarray, "n h w 3"], size: int, net: Upscaler | None = None
) -> Iterator[UInt8[np.ndarray, "size size 3"]]:
    """Square faces at `size` x `size` px, one after the other.

    Each face is enlarged four times and reduced to `size` (Lanczos). If that does not reach `size`, it is reduced to a
    quarter of `size` and enlarged again, which draws cleaner lines than a further enlargement of the whole, in less
    time. A face gives the same picture beside any others.

    net: by default the one in `weights/real-cugan`, loaded once.

    Raises DataError for faces that are not square, are smaller than 20 px or have an odd side, and for a size that is
    not larger than the faces or exceeds 2,048 px.
    """
    if faces.ndim != 4 or faces.shape[1] != faces.shape[2] or faces.shape[3] != 3 or faces.dtype != np.uint8:
        raise DataError(f"Faces to sharpen are uint8 (N, S, S, 3); got {faces.dtype} {faces.shape}.")
    side = faces.shape[1]
    if side < LEAST_SIDE or side % 2:
        raise DataError(f"Faces to sharpen have an even side of at least {LEAST_SIDE} px; got {side} px.")
    if not side < size <= MAX_SHARPENED:
        raise DataError(f"Sharpened faces of {side} px have {side + 1} to {MAX_SHARPENED} px; got {size}.")
    net = net or default_upscaler()
    return (sharpened_face(face, size, net) for face in faces)


def sharpened_face(face: UInt8[np.ndarray, "s s 3"], size: int, net: Upscaler) -> UInt8[np.ndarray, "size size 3"]:
    face = enlarged(face, net)  # (4 S, 4 S, 3)
    while face.shape[0] < size:
        face = enlarged(resized(face, min(face.shape[0], least_side(size))), net)
    return resized(face, size)


def least_side(size: int) -> int:
    """The least even side in px from which one enlargement reaches `size`."""
    return -(-size // (2 * SCALE)) * 2


def resized(face: UInt8[np.ndarray, "s s 3"], side: int) -> UInt8[np.ndarray, "side side 3"]:
    if face.shape[0] == side:
        return face
    return np.asarray(Image.fromarray(face).resize((side, side), Image.Resampling.LANCZOS))


@torch.inference_mode()
def enlarged(face: UInt8[np.ndarray, "h w 3"], net: Upscaler) -> UInt8[np.ndarray, "h4 w4 3"]:
    """The face four times as large, in fp32 on the device that the network is on."""
    device = next(net.parameters()).device
    picture = torch.from_numpy(np.array(face)).to(device).permute(2, 0, 1)[None].float() / 255  # (1, 3, H, W)
    large = net(picture.contiguous(memory_format=torch.channels_last))[0]  # (3, 4H, 4W)
    return (large * 255).round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()


@cache
def default_upscaler() -> Upscaler:
    """The embedded upscaler, read on first use."""
    return load_upscaler()
