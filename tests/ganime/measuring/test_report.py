"""Reports on faces of any size; the FID on the Inception network, and the error when that is not installed."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from ganime.drawing.sampling import generate
from ganime.errors import ConfigError
from ganime.faces.dataset import FaceDataset
from ganime.images import resize_picture
from ganime.measuring.distances import frechet_distance
from ganime.measuring.report import evaluate, inception_distance
from ganime.models.checkpoint import Checkpoint
from ganime.nets.anime_features import FeatureNet


class Means(nn.Module):
    """Stands in for the Inception network: the mean colours of the four quarters."""

    num_features = 12

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(images.float(), 2).flatten(1)  # (B, 12)


def test_larger_faces_are_measured_as_the_files_they_would_be_read_from(embedded: Checkpoint, net: FeatureNet) -> None:
    large = generate(embedded, range(48))
    read = np.stack([np.asarray(resize_picture(Image.fromarray(face), 64)) for face in large])
    assert large.shape[1] == 128
    report = evaluate(net, large, read)
    assert report.frechet == pytest.approx(0, abs=0.01)
    assert evaluate(net, large[:24], read[24:]) == evaluate(net, read[:24], large[24:])


def test_the_inception_distance_is_the_frechet_distance_on_the_networks_features(faces: FaceDataset) -> None:
    one, other = np.asarray(faces.images[:30]), 255 - np.asarray(faces.images[30:60])
    features = [Means()(torch.from_numpy(np.array(some)).permute(0, 3, 1, 2)).numpy() for some in (other, one)]
    fid = inception_distance(one, other, Means())
    assert fid == pytest.approx(frechet_distance(*features), rel=1e-3)
    assert fid > 100
    assert inception_distance(one, one, Means()) == pytest.approx(0, abs=0.01)


@pytest.mark.skipif(importlib.util.find_spec("torch_fidelity") is not None, reason="torch-fidelity is installed")
def test_without_the_network_the_error_says_what_to_install(faces: FaceDataset) -> None:
    with pytest.raises(ConfigError, match="pip install torchmetrics torch-fidelity"):
        inception_distance(faces.images[:20], faces.images[20:40])
