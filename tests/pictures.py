"""Helpers to compare pictures."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image


def nearly_equal(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two pictures, or stacks of them, differ by at most one level in every pixel."""
    return a.shape == b.shape and bool(abs(a.astype(int) - b.astype(int)).max() <= 1)


def picture_of(url: str) -> np.ndarray:
    """The pixels, uint8 (H, W, 3), of a picture in a data URL."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))
