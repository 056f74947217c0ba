"""Measuring a run: good generators score better than bad ones, even with few faces."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganime.config import ModelConfig
from ganime.drawing.sampling import generate
from ganime.faces.dataset import FaceDataset, SourceFacts
from ganime.models.checkpoint import Checkpoint
from ganime.nets.dcgan import Discriminator, Generator
from ganime.training.validation import Validator
from tests.ganime.training.common import Replay

pytestmark = pytest.mark.slow  # the features of its faces take seconds
COUNT = 96  # faces for a measurement


@pytest.fixture(scope="module")
def dataset(embedded: Checkpoint) -> FaceDataset:
    """Faces of the embedded model in the place of real ones: 240 to learn from, 80 held out."""
    faces = generate(embedded, range(320))
    facts = SourceFacts(
        sizes=np.full((320, 2), 64),
        grey=np.zeros(320, bool),
        cropped=np.zeros(320, bool),
        further=0,
        finds_faces=False,
        groups=np.arange(320),
        kinds=[],
        copies=[],
        duplicates_kept=False,
        passed_over={},
    )
    return FaceDataset(faces, np.arange(240), np.arange(240, 320), [str(n) for n in range(320)], [], "key", facts)


@pytest.fixture(scope="module")
def prepared(dataset: FaceDataset) -> Validator:
    return Validator(dataset, count=COUNT)


@pytest.fixture
def validator(prepared: Validator) -> Validator:
    """A validator that has measured nothing; the features of its faces are computed once for all tests."""
    assert len(prepared.reference)
    assert prepared.training_faces
    return copy.copy(prepared)


@pytest.fixture(scope="module")
def others(embedded: Checkpoint) -> np.ndarray:
    """Faces of the embedded model that are not in the dataset."""
    return generate(embedded, range(1000, 1000 + COUNT))


def test_fresh_faces_of_the_same_kind_measure_well(
    validator: Validator, embedded: Checkpoint, others: np.ndarray
) -> None:
    fresh = Replay(others, embedded)
    assert embedded.discriminator
    measured = validator.measure(fresh, embedded.discriminator, 64)
    assert measured.images == 64
    assert (measured.generated, measured.reference, measured.fresh) == (COUNT, 80, 320)
    assert measured.diversity == pytest.approx(1, abs=0.15)
    assert measured.near_copies < 0.08
    assert abs(measured.copying) < 4
    assert measured.coverage > 0.8
    assert measured.recall > 0.5


def test_copies_of_training_faces_are_found_out(
    validator: Validator, dataset: FaceDataset, embedded: Checkpoint
) -> None:
    some = dataset.images[: COUNT // 2]
    copies = Replay(np.concatenate([some, some[:, :, ::-1]]), embedded, noise=0.02)
    measured = validator.measure(copies, embedded.discriminator, 64)
    assert measured.near_copies > 0.5
    assert measured.copying < -8


def test_a_collapsed_generator_shows_in_its_diversity(
    validator: Validator, dataset: FaceDataset, embedded: Checkpoint
) -> None:
    collapsed = Replay(dataset.images[300:302], embedded, noise=0.02)
    measured = validator.measure(collapsed, embedded.discriminator, 64)
    assert measured.diversity < 0.2
    assert measured.coverage < 0.2


def test_only_a_lower_distance_than_before_is_the_best(
    validator: Validator, embedded: Checkpoint, others: np.ndarray
) -> None:
    noisy, good = (Replay(others, embedded, noise) for noise in (0.8, 0.0))
    found = [validator.measure(net, embedded.discriminator, 0).best for net in (noisy, good, noisy)]
    assert found == [True, True, False]


def test_copies_are_never_the_best(dataset: FaceDataset, embedded: Checkpoint, others: np.ndarray) -> None:
    """Though nothing has a lower distance, where the training faces are among those that it is measured to."""
    few = replace(dataset, images=dataset.images[:60], train=np.arange(54), held_out=np.arange(54, 60))
    validator = Validator(few, count=COUNT)
    copies = validator.measure(Replay(few.images[:54], embedded), embedded.discriminator, 0)
    fresh = validator.measure(Replay(others, embedded), embedded.discriminator, 0)
    assert copies.frechet < fresh.frechet
    assert (copies.best, fresh.best) == (False, True)


def test_few_faces_are_measured_without_a_held_out_part(dataset: FaceDataset, embedded: Checkpoint) -> None:
    """The 20 training faces themselves say how far apart faces lie."""
    few = replace(dataset, images=dataset.images[:20], train=np.arange(20), held_out=np.arange(0))
    validator = Validator(few, count=COUNT)
    copies = validator.measure(Replay(few.images, embedded, 0.02), embedded.discriminator, 0)
    fresh = validator.measure(Replay(dataset.images[100 : 100 + COUNT], embedded), embedded.discriminator, 0)
    assert copies.memory is None
    assert copies.near_copies > 0.9
    assert fresh.near_copies < 0.2
    assert copies.copying < fresh.copying - 4


def test_a_discriminator_that_knows_its_faces_by_heart_shows(
    validator: Validator, dataset: FaceDataset, embedded: Checkpoint, others: np.ndarray
) -> None:
    class ByHeart(nn.Module):
        """Logit 1 for the faces of a set, -1 for all others."""

        def __init__(self, known: np.ndarray) -> None:
            super().__init__()
            self.anchor = nn.Parameter(torch.zeros(1))
            self.known = {face.tobytes() for face in known}

        def forward(self, images: Tensor) -> Tensor:
            faces = ((images + 1) * 127.5).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
            return torch.tensor([1.0 if face.tobytes() in self.known else -1.0 for face in faces])

    fresh = Replay(others, embedded)
    knows_training, knows_real = ByHeart(dataset.images[:240]), ByHeart(dataset.images)
    assert validator.measure(fresh, knows_training, 0).memory == pytest.approx(1.0)
    assert validator.measure(fresh, knows_real, 0).memory == pytest.approx(0.0)


def test_measuring_leaves_both_nets_as_they_were(validator: Validator) -> None:
    config = ModelConfig(latent_dim=8, base_channels=4, max_channels=16)
    nets = generator, discriminator = Generator(config).eval(), Discriminator(config)
    before = [{name: value.clone() for name, value in net.state_dict().items()} for net in nets]
    first = validator.measure(generator, discriminator, 5)
    assert discriminator.training
    discriminator.eval()
    for net, state in zip(nets, before, strict=True):
        for name, value in net.state_dict().items():
            assert torch.equal(value, state[name]), name
    again = validator.measure(generator, discriminator, 5)
    assert replace(again, best=first.best) == first
