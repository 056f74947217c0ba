"""The choice of device, precision and form: what is asked for stays, what is left open goes to the clearly faster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch

from ganime.config import ModelConfig
from ganime.errors import ConfigError
from ganime.nets import device as devices
from ganime.nets.device import (
    Plan,
    faster_form,
    faster_forms,
    faster_of,
    out_of_memory,
    pick_device,
    plan_for,
    shortest,
)
from ganime.nets.fast_gradient import FORMS

CPU = torch.device("cpu")
SMALL = ModelConfig(image_size=32, latent_dim=8, base_channels=8, max_channels=32)
WIDE = ModelConfig(image_size=32, latent_dim=8, base_channels=64, max_channels=256)


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[list[float]]]:
    """Lets trials find the seconds that they are told, one list a trial, in place of any measured ones."""

    def tell(*found: list[float]) -> list[list[float]]:
        left = list(found)

        def shortest(variants: Sequence[Callable[[], object]]) -> list[float]:
            for work in variants:
                work()
            return left.pop(0)

        monkeypatch.setattr(devices, "shortest", shortest)
        return left

    return tell


def test_a_device_that_is_not_there_is_named_in_the_error() -> None:
    assert pick_device("cpu") == CPU
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    for name in ("abacus", "cuda:99"):
        with pytest.raises(ConfigError, match=name):
            pick_device(name)


def test_what_was_asked_for_is_kept_without_a_trial(stopwatch: Callable[..., list[list[float]]]) -> None:
    stopwatch()  # any trial would fail for want of a figure
    assert plan_for(WIDE, 8, CPU, "bf16", "matmul,gradient") == Plan("bf16", "matmul,gradient")
    assert plan_for(SMALL, 8, CPU, "fp32", "auto") == Plan("fp32", "convolution")


def test_a_trial_ends_in_a_plan_and_leaves_the_random_source_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "PICTURES", 1)
    before = torch.random.get_rng_state()
    plan = plan_for(WIDE, 4, CPU)
    assert plan.precision in ("fp32", "bf16")
    assert set(plan.deep_layers.split(",")) <= set(FORMS)
    assert plan_for(WIDE, 4, CPU, plan.precision, plan.deep_layers) == plan
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(("bf16", "expected"), [(0.5, "bf16"), (0.79, "bf16"), (0.81, "fp32"), (3.0, "fp32")])
def test_half_precision_needs_a_quarter_of_gain(
    bf16: float, expected: str, stopwatch: Callable[..., list[list[float]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    stopwatch([1.0, bf16])
    enabled = []
    assert faster_of(lambda: enabled.append(torch.is_autocast_enabled("cpu")), CPU) == expected
    assert enabled == [False, True]


def test_a_processor_that_would_emulate_bf16_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert faster_of(lambda: pytest.fail("it ran"), CPU) == "fp32"


@pytest.mark.parametrize(
    ("down", "up", "kernel", "expected"),
    [
        ([1, 2], [1, 2], [1, 2], "convolution"),
        ([1, 2], [1, 2], [3, 1], "gradient"),
        ([1, 1], [1, 1], [1.3, 1], "convolution"),  # a gain, but under a tenth of the whole
        ([2, 1], [2, 1], [3, 1], "matmul"),
        ([1, 0.95], [1, 0.95], [3, 1], "gradient"),  # of two nearly as fast, the plainer one
    ],
)
def test_a_layer_takes_the_plainest_form_that_is_clearly_fastest(
    down: list[float], up: list[float], kernel: list[float], expected: str, stopwatch: Callable[..., list[list[float]]]
) -> None:
    left = stopwatch(down, up, kernel)
    assert faster_form(2, 8, 4, 4, "fp32") == expected
    assert not left


def test_forms_are_told_from_the_deepest_layer_on(stopwatch: Callable[..., list[list[float]]]) -> None:
    model, gains, plain = replace(WIDE, max_channels=512, base_channels=128), [[3.0, 1.0]] * 3, [[1.0, 2.0]] * 3
    for trials, expected in (
        (gains + gains, "matmul,matmul"),
        (gains + plain, "matmul"),
        (plain + gains, "convolution,matmul"),
        (plain + plain, "convolution"),
    ):
        stopwatch(*trials)
        assert faster_forms(model, 2, "bf16") == expected


def test_variants_take_turns_and_a_hopeless_one_drops_out(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    spans = {"plain": [1.0, 3.0, 2.0], "close": [7.0, 1.5, 5.0], "hopeless": [9.0]}

    def timed(work: Callable[[], object]) -> float:
        work()
        return spans[order[-1]].pop(0)

    monkeypatch.setattr(devices, "timed", timed)
    found = shortest([lambda name=name: order.append(name) for name in spans])
    assert found == [2.0, 1.5, float("inf")]
    assert order == ["plain", "close", "hopeless", "plain", "close", "plain", "close"]


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("CUDA error: out of memory"), True),  # of CUDA itself, where a graph is made
        (RuntimeError("[enforce fail at alloc_cpu.cpp:113] . DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_every_way_of_running_out_of_memory_is_known(error: RuntimeError, memory: bool) -> None:
    assert out_of_memory(error) is memory
