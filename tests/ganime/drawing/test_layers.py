"""Seeing inside: every layer is shown, in order, and the last one of the generator is the face."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ganime.config import ModelConfig
from ganime.drawing.layers import (
    OTHERS,
    as_square,
    costs_of,
    discriminator_maps,
    generator_maps,
    layer_costs,
    liveliest_maps,
    logits_of_others,
    look_inside,
    multiply_adds,
    named_layers,
)
from ganime.drawing.recipe import latent
from ganime.drawing.sampling import generate
from ganime.models.checkpoint import Checkpoint
from ganime.nets.dcgan import Discriminator, Generator


def test_layers_are_those_of_the_topology(tiny: Checkpoint) -> None:
    maps = generator_maps(tiny.generator, latent(3, 8), tiles=5)
    assert [(one.name, one.shape) for one in maps[1:]] == [
        (row.name, row.output) for row in layer_costs(tiny.generator)
    ]
    assert (maps[0].name, maps[0].shape, maps[0].tiles.shape) == ("latent", (8,), (1, 2, 4))
    for one in maps[1:-1]:
        assert one.tiles.shape == (min(5, one.shape[0]), *one.shape[1:])
        assert one.tiles.dtype == np.uint8
        assert len(one.channels) == len(one.tiles)
        assert one.tiles.max() > 200  # the scale is used


def test_the_last_layer_of_the_generator_is_the_face(tiny: Checkpoint) -> None:
    face = generate(tiny, [3])[0]
    np.testing.assert_array_equal(generator_maps(tiny.generator, latent(3, 8))[-1].tiles.transpose(1, 2, 0), face)


def test_the_last_layer_is_shown_with_its_colours_as_they_are_drawn(tiny: Checkpoint) -> None:
    soft = Generator(replace(tiny.generator.config, chroma_stride=2)).eval()
    face = generate(Checkpoint(soft), [3])[0]
    np.testing.assert_array_equal(generator_maps(soft, latent(3, 8))[-1].tiles.transpose(1, 2, 0), face)


def test_a_supersampled_face_is_shown_as_drawn_and_made_smaller() -> None:
    small = Generator(
        ModelConfig(image_size=32, latent_dim=8, base_channels=4, max_channels=16, supersampling=2)
    ).eval()
    drawn, face = generator_maps(small, latent(3, 8))[-2:]
    assert (drawn.name, drawn.shape) == ("to_rgb", (3, 64, 64))
    assert (face.name, face.shape) == ("smaller", (3, 32, 32))
    np.testing.assert_array_equal(face.tiles.transpose(1, 2, 0), generate(Checkpoint(small), [3])[0])


def test_the_discriminator_sees_from_picture_to_verdict(tiny: Checkpoint) -> None:
    assert tiny.discriminator is not None
    face = generate(tiny, [3])[0]
    maps, verdict = discriminator_maps(tiny.discriminator, face)
    assert [(one.name, one.shape) for one in maps] == [
        (row.name, row.output) for row in layer_costs(tiny.discriminator)
    ]
    with torch.inference_mode():
        picture = torch.from_numpy(face.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1  # (1, 3, S, S)
        assert verdict == pytest.approx(float(tiny.discriminator(picture)), rel=1e-4)


def test_inside_tells_what_every_layer_costs_and_what_the_discriminator_thinks(tiny: Checkpoint) -> None:
    assert tiny.discriminator is not None
    inside = look_inside(tiny, latent(3, 8))
    assert inside.generator[0].cost is None
    assert [one.cost for one in inside.generator[1:]] == layer_costs(tiny.generator)
    assert [one.cost for one in inside.discriminator] == layer_costs(tiny.discriminator)
    maps, logit = discriminator_maps(tiny.discriminator, generate(tiny, [3])[0])
    assert inside.logit == pytest.approx(logit, rel=1e-4)
    assert [one.shape for one in maps] == [one.shape for one in inside.discriminator]
    assert inside.others is not None
    assert (np.diff(inside.others) >= 0).all()
    assert f"{logit:+.2f}" in inside.verdict()
    assert f"of {OTHERS} other faces" in inside.verdict()
    for sure, words in ((99.0, "face real"), (-99.0, "face generated")):
        told = replace(inside, logit=sure).verdict()
        assert words in told
        assert f"{OTHERS if sure > 0 else 0} of {OTHERS} other faces" in told


def test_model_without_discriminator_is_seen_up_to_the_face(tiny: Checkpoint) -> None:
    inside = look_inside(replace(tiny, discriminator=None), latent(3, 8))
    assert (len(inside.generator), inside.discriminator) == (1 + len(layer_costs(tiny.generator)), [])
    assert "no discriminator" in inside.verdict()


def test_logits_of_others_are_those_of_the_models_own_faces_and_can_be_given(tiny: Checkpoint) -> None:
    others = logits_of_others(tiny)
    assert others.shape == (OTHERS,)
    assert np.ptp(others) > 0
    given = look_inside(tiny, latent(3, 8), others=others - 100)
    assert f"{OTHERS} of {OTHERS} other faces" in given.verdict()


def test_the_maps_shown_are_lively_and_unlike_one_another() -> None:
    ramp = torch.linspace(0, 1, 16).view(4, 4)
    x = torch.stack([ramp, ramp * 3, ramp.T * 2, -ramp, torch.zeros(4, 4)])  # (5, 4, 4)
    shown = liveliest_maps("layer", x, 3)
    assert shown.channels == (1, 2, 3)  # 0 is like 1
    assert liveliest_maps("layer", x, 4).channels == (1, 2, 3, 4)
    assert liveliest_maps("layer", x, 16).channels == (1, 2, 3, 4, 0)
    assert shown.shape == (5, 4, 4)
    assert (shown.tiles.min((1, 2)) == 0).all()
    assert (shown.tiles.max((1, 2)) == 255).all()


def test_models_of_other_sizes_are_seen_too() -> None:
    config = ModelConfig(image_size=128, latent_dim=7, base_channels=2, max_channels=4)
    with torch.random.fork_rng(devices=[]):
        maps = generator_maps(Generator(config).eval(), latent(1, 7))
    assert maps[-1].tiles.shape == (3, 128, 128)
    assert maps[0].tiles.shape == (1, 1, 7)


@pytest.mark.parametrize(("length", "shape"), [(128, (8, 16)), (100, (10, 10)), (7, (1, 7)), (1, (1, 1))])
def test_a_latent_is_shown_as_a_block(length: int, shape: tuple[int, int]) -> None:
    assert as_square(np.arange(length, dtype=np.float32)).shape == shape


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"rgb_stride": 1},
        {"supersampling": 4},
        {"rgb_stride": 1, "supersampling": 2},
        {"generator_norm": "spectral"},
    ],
    ids=str,
)
def test_costs_are_those_of_a_pass_through_the_network(tiny_config: ModelConfig, shape: dict[str, Any]) -> None:
    config = replace(tiny_config, **shape)
    for kind in (Generator, Discriminator):
        net = kind(config).eval()
        shapes: list[tuple[int, ...]] = []
        for _, layer in named_layers(net):
            layer.register_forward_hook(lambda *answer, to=shapes: to.append(tuple(answer[2].shape[1:])))
        with torch.inference_mode():
            net(torch.zeros(1, config.latent_dim) if kind is Generator else torch.zeros(1, 3, 32, 32))
        assert [cost.output for cost in layer_costs(net)] == shapes
        assert multiply_adds(kind, config) == sum(cost.multiply_adds for cost in layer_costs(net))


def test_costs_are_computed_without_a_pass_through_the_network_or_random_numbers(tiny: Checkpoint) -> None:
    state = torch.get_rng_state()
    handle = tiny.generator.stem.register_forward_pre_hook(lambda *_: pytest.fail("the network was run"))
    try:
        layer_costs(tiny.generator)
        costs_of.__wrapped__(Generator, tiny.generator.config)
    finally:
        handle.remove()
    assert torch.equal(torch.get_rng_state(), state)
