"""Configurations: they round-trip through JSON and refuse every value out of range."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganime.config import (
    AUGMENTS,
    IMAGE_SIZES,
    LOSSES,
    NORMS,
    PRECISIONS,
    RECIPES,
    ModelConfig,
    TrainConfig,
    from_dict,
    to_dict,
)
from ganime.errors import ConfigError, GanimeError

MODEL_RANGES = {"latent_dim": (1, 4096), "max_channels": (64, 4096)}
TRAIN_RANGES = {
    "batch_size": (2, 65_536),
    "generator_lr": (1e-8, 1.0),
    "discriminator_lr": (1e-8, 1.0),
    "beta1": (0.0, 0.9999),
    "beta2": (0.0, 0.99999),
    "ema_images": (0, 10**9),
    "ema_warmup": (0.001, 1.0),
    "seed": (0, 2**32 - 1),
    "images": (0, 10**12),
    "steps": (0, 10**12),
    "minutes": (0.0, 10.0**6),
    "save_minutes": (0.001, 10.0**6),
    "preview_images": (1, 10**12),
}
RANGES = [
    *((ModelConfig, name, *bounds) for name, bounds in MODEL_RANGES.items()),
    *((TrainConfig, name, *bounds) for name, bounds in TRAIN_RANGES.items()),
]
FLOATS = [field.name for field in dataclasses.fields(TrainConfig) if isinstance(field.default, float)]


def within(low: float, high: float) -> st.SearchStrategy[Any]:
    return st.integers(low, high) if isinstance(low, int) else st.floats(low, high)


@st.composite
def model_configs(draw: st.DrawFn) -> ModelConfig:
    base = draw(st.integers(1, 1024))
    return ModelConfig(
        image_size=draw(st.sampled_from(IMAGE_SIZES)),
        latent_dim=draw(within(*MODEL_RANGES["latent_dim"])),
        base_channels=base,
        max_channels=draw(st.integers(base, 4096)),
        generator_norm=draw(st.sampled_from(NORMS)),
        discriminator_norm=draw(st.sampled_from(NORMS)),
    )


train_configs = st.builds(
    TrainConfig,
    recipe=st.text('aZ9 "\\\n\0é漢🙂', max_size=20),
    loss=st.sampled_from(LOSSES),
    augment=st.sampled_from(AUGMENTS),
    precision=st.sampled_from(PRECISIONS),
    flip=st.booleans(),
    **{name: within(*bounds) for name, bounds in TRAIN_RANGES.items()},
)


@given(config=st.one_of(model_configs(), train_configs))
def test_any_config_round_trips_through_json(config: ModelConfig | TrainConfig) -> None:
    assert from_dict(type(config), json.loads(json.dumps(to_dict(config)))) == config


@given(config=st.one_of(model_configs(), train_configs))
def test_a_config_consists_of_json_scalars(config: ModelConfig | TrainConfig) -> None:
    assert all(type(value) in (str, int, float, bool) for value in to_dict(config).values())


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_round_trip_and_know_their_name(name: str) -> None:
    train, model = RECIPES[name]
    assert train.recipe == name
    assert from_dict(TrainConfig, to_dict(train)) == train
    assert from_dict(ModelConfig, to_dict(model)) == model


def test_classic_recipe_is_the_paper() -> None:
    train, model = RECIPES["classic"]
    assert (train.generator_lr, train.discriminator_lr, train.beta1, train.loss) == (2e-4, 2e-4, 0.5, "bce")
    assert (model.latent_dim, model.generator_norm, model.discriminator_norm) == (100, "batch", "batch")


def test_missing_fields_take_their_defaults() -> None:
    assert from_dict(ModelConfig, {"image_size": 128}) == ModelConfig(image_size=128)
    assert from_dict(TrainConfig, {}) == TrainConfig()


@pytest.mark.parametrize("kind", [ModelConfig, TrainConfig])
def test_unknown_fields_are_refused_by_name(kind: type) -> None:
    with pytest.raises(ConfigError, match="colour") as caught:
        from_dict(kind, {"colour": 3})
    assert kind.__name__ in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new"), [("gradient", "convolution"), ("matmul,gradient", "matmul"), ("convolution,matmul", "matmul")]
)
def test_a_run_with_a_form_for_each_layer_still_loads(old: str, new: str) -> None:
    assert from_dict(TrainConfig, {"deep_layers": old}) == TrainConfig(deep_layers=new)
    with pytest.raises(ConfigError, match="winograd"):
        from_dict(TrainConfig, {"deep_layers": "matmul,winograd"})


def test_a_config_with_the_length_of_a_condition_loads_if_it_is_zero() -> None:
    assert from_dict(ModelConfig, {"image_size": 32, "attributes": 0}) == ModelConfig(image_size=32)
    with pytest.raises(ConfigError, match="attributes"):
        from_dict(ModelConfig, {"image_size": 32, "attributes": 3})


@pytest.mark.parametrize("values", [None, [], "modern", 3, [["image_size", 64]]])
def test_anything_but_a_json_object_is_refused(values: Any) -> None:
    with pytest.raises(ConfigError, match="JSON object"):
        from_dict(ModelConfig, values)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (ModelConfig, "image_size", "64"),
        (ModelConfig, "image_size", 64.0),
        (ModelConfig, "latent_dim", True),
        (ModelConfig, "latent_dim", None),
        (ModelConfig, "base_channels", [64]),
        (ModelConfig, "generator_norm", 1),
        (ModelConfig, "generator_norm", None),
        (TrainConfig, "recipe", 7),
        (TrainConfig, "batch_size", 64.0),
        (TrainConfig, "generator_lr", "0.0002"),
        (TrainConfig, "generator_lr", True),
        (TrainConfig, "beta1", None),
        (TrainConfig, "loss", {"name": "hinge"}),
        (TrainConfig, "flip", 1),
        (TrainConfig, "flip", "yes"),
        (TrainConfig, "seed", False),
        (TrainConfig, "minutes", [1.0]),
    ],
)
def test_wrong_types_are_refused_by_name(kind: type, name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{kind.__name__}.{name}"):
        from_dict(kind, {name: value})


def test_whole_numbers_are_converted_to_floats() -> None:
    config = TrainConfig(minutes=5, generator_lr=1)
    assert (config.minutes, config.generator_lr) == (5.0, 1.0)
    assert type(config.minutes) is float


@pytest.mark.parametrize(("kind", "name", "low", "high"), RANGES)
def test_range_ends_are_allowed_and_nothing_beyond(kind: type, name: str, low: float, high: float) -> None:
    assert getattr(kind(**{name: low}), name) == low
    assert getattr(kind(**{name: high}), name) == high
    whole = isinstance(low, int)
    for outside in (low - 1, high + 1) if whole else (math.nextafter(low, -1), math.nextafter(high, math.inf)):
        with pytest.raises(ConfigError, match=f"{kind.__name__}.{name}"):
            kind(**{name: outside})


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_json_numbers_that_are_not_finite_are_refused(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=name):
        from_dict(TrainConfig, json.loads(f'{{"{name}": {text}}}'))


@pytest.mark.parametrize("name", FLOATS)
def test_whole_numbers_too_large_for_a_float_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        from_dict(TrainConfig, json.loads(f'{{"{name}": 1{"0" * 400}}}'))


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (ModelConfig, "image_size", 48),
        (ModelConfig, "image_size", 512),
        (ModelConfig, "image_size", -64),
        (ModelConfig, "generator_norm", "layer"),
        (ModelConfig, "discriminator_norm", "Batch"),
        (TrainConfig, "loss", "wasserstein"),
        (TrainConfig, "augment", ""),
        (TrainConfig, "precision", "fp16"),
    ],
)
def test_unknown_choices_are_refused_with_the_list_of_choices(kind: type, name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{kind.__name__}.{name} must be one of .*, "):
        kind(**{name: value})


def test_base_channels_are_from_1_to_1024() -> None:
    assert ModelConfig(base_channels=1).channels[-1] == 1
    assert ModelConfig(base_channels=1024, max_channels=4096).channels[-1] == 1024
    for outside in (0, 1025):
        with pytest.raises(ConfigError, match="base_channels"):
            ModelConfig(base_channels=outside, max_channels=4096)


def test_channels_cannot_be_capped_below_the_base() -> None:
    with pytest.raises(ConfigError, match="max_channels"):
        ModelConfig(base_channels=64, max_channels=63)


def test_config_errors_are_both_ganime_and_value_errors() -> None:
    assert issubclass(ConfigError, GanimeError)
    assert issubclass(ConfigError, ValueError)


def test_configs_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ModelConfig().image_size = 32  # type: ignore[misc]


@pytest.mark.parametrize(
    ("size", "channels"),
    [
        (32, (256, 128, 64)),
        (64, (512, 256, 128, 64)),
        (128, (512, 512, 256, 128, 64)),
        (256, (512, 512, 512, 256, 128, 64)),
    ],
)
def test_channels_double_away_from_the_picture(size: int, channels: tuple[int, ...]) -> None:
    assert ModelConfig(image_size=size).channels == channels


@given(config=model_configs())
def test_channels_start_at_the_base_and_stop_at_the_cap(config: ModelConfig) -> None:
    channels = config.channels
    assert 4 * 2 ** len(channels) == config.image_size
    assert channels[-1] == config.base_channels
    for deep, shallow in itertools.pairwise(channels):
        assert deep == min(2 * shallow, config.max_channels)
