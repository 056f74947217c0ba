"""A small network that finds the faces in drawings, as squares with the margin that the training faces have."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ganime.embedded import FACE_DETECTOR
from ganime.files import WEIGHTS_FILE, load_tensors
from ganime.nets.anime_features import FEATURE_WIDTHS, conv_layer, make_stages, to_tensor
from ganime.shapes import Float

STRIDE = 16  # px of a picture between two places where the network answers
NOMINAL_SIDE = 48  # px; the squares that it finds in one look have half an octave less or more
SCAN_PIXELS = 200_000  # of the largest copy of a picture that is looked at; smaller ones find larger faces
MOST_ENLARGED = 1.5  # a small picture is enlarged by at most this factor
LEAST_SHORTER_SIDE = 36  # px; the smallest copy has a shorter side of at most this, for faces larger than the picture
CONSIDERED = 0.2  # confidence from which an answer counts at all
MIN_CONFIDENCE = 0.7  # of a face that is found; at least 99% of the squares were right (weights/face-detector)
SAME_OVERLAP = 0.3  # intersection over union from which two squares are one face


class FaceDetector(nn.Module):
    """Pictures -> for every 16 x 16 px: whether a face is there, and its square. It sees faces of one octave of sizes.

    Anchor-free, as CenterNet (Zhou et al. 2019, arXiv:1904.07850) and FCOS (Tian et al. 2019, arXiv:1904.01355): a
    place near the centre of a face answers for that face. `find` looks at copies of a picture at several sizes. The
    stages are those of `anime_features.FeatureNet`, whose weights the training begins with.

    revision: of the weights, by their bytes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.revision = ""
        self.stages = make_stages()  # 16 to 256 channels, at 1 to 1/16 of the side
        self.narrow, self.around = conv_layer(FEATURE_WIDTHS[-1], 128, kernel=1), Residual(128)
        self.head = nn.Conv2d(128, 4, 1)

    def forward(self, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 4 h16 w16"]:
        """Logits, then the offset of the centre from the middle of the place in units of 48 px, then ln(side / 48 px).

        pictures: in [-1, 1]; height and width are multiples of 16, filled up with 0.
        """
        x = pictures
        for stage in self.stages:
            x = stage(x)  # (B, width, side, side), at last (B, 256, H / 16, W / 16)
        return self.head(self.around(self.narrow(x)))  # (B, 4, H / 16, W / 16)

    def find(self, picture: Image.Image, min_confidence: float = MIN_CONFIDENCE) -> Float[np.ndarray, "n 4"]:
        """The faces in an RGB picture, the most certain first: left, top and side of the square in px, and confidence.

        A square has the margin of the training faces around the face, so it may extend beyond the picture.
        min_confidence: of the faces that are returned, from 0.2.
        """
        with torch.inference_mode():
            looks = [self.look(copy) / [scale, scale, scale, 1] for scale, copy in copies(picture)]  # (N, 4) each
        faces = merged(np.concatenate(looks))
        return faces[faces[:, 3] >= min_confidence]

    def look(self, picture: Image.Image) -> Float[np.ndarray, "n 4"]:
        """The faces of about 48 px in a picture, each found several times, as `find` returns them."""
        width, height = picture.size
        padding = (0, -width % STRIDE, 0, -height % STRIDE)
        pixels = nn.functional.pad(to_tensor(np.asarray(picture)[None]), padding)  # (1, 3, H, W)
        logits, *square = self(pixels)[0].numpy()  # (h, w) each
        rows, columns = np.nonzero(logits > logit(CONSIDERED))
        across, down, size = (values[rows, columns] for values in square)  # (N,) each
        side = NOMINAL_SIDE * np.exp(size)
        left = (columns + 0.5) * STRIDE + across * NOMINAL_SIDE - side / 2
        top = (rows + 0.5) * STRIDE + down * NOMINAL_SIDE - side / 2
        return np.stack([left, top, side, 1 / (1 + np.exp(-logits[rows, columns]))], 1)  # (N, 4)


class Residual(nn.Module):
    """Two convolutions whose result is added to their input (He et al. 2016); the shape stays."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(conv_layer(channels, channels), conv_layer(channels, channels))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return x + self.inner(x)


def copies(picture: Image.Image) -> Iterator[tuple[float, Image.Image]]:
    """Copies of a picture, each half as large as the one before, with their scale, for faces from small to large."""
    width, height = picture.size
    scale = min(MOST_ENLARGED, math.sqrt(SCAN_PIXELS / (width * height)))
    while True:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        yield scale, picture
        if min(size) <= LEAST_SHORTER_SIDE:
            return
        scale /= 2


def merged(found: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "m 4"]:
    """Each face once, the most certain first: the mean of its squares, weighted by confidence, and the highest one."""
    waiting, faces = found[np.argsort(-found[:, 3], kind="stable")], []
    while len(waiting):
        same = overlaps(waiting[0], waiting) >= SAME_OVERLAP
        same[0] = True
        faces.append([*np.average(waiting[same, :3], 0, waiting[same, 3]), waiting[0, 3]])
        waiting = waiting[~same]
    return np.array(faces, np.float64).reshape(-1, 4)


def overlaps(one: Float[np.ndarray, " k"], others: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " n"]:
    """Intersection over union of a square with others; left, top and side come first."""
    corner = np.maximum(one[:2], others[:, :2])  # (N, 2)
    opposite = np.minimum(one[:2] + one[2], others[:, :2] + others[:, 2:3])
    shared = (opposite - corner).clip(0).prod(1)
    return shared / (one[2] ** 2 + others[:, 2] ** 2 - shared)


def logit(probability: float) -> float:
    """The number whose sigmoid is a probability."""
    return math.log(probability / (1 - probability))


def face_finder(crop: str) -> FaceDetector | None:
    """What cuts faces out of pictures for a value of `TrainConfig.crop`."""
    return load_face_detector() if crop == "faces" else None


def load_face_detector(folder: Path = FACE_DETECTOR) -> FaceDetector:
    """The network in fp32, for inference only.

    Raises CheckpointError, which names the file, when it is missing or does not fit.
    """
    net, path = FaceDetector(), folder / WEIGHTS_FILE
    net.load_state_dict(load_tensors(path, net.state_dict()))
    net.revision = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return net.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
