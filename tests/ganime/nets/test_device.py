"""The choice of device, precision and form: settings are obeyed, and "auto" takes what is clearly faster."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch

from ganime.config import ModelConfig
from ganime.errors import ConfigError
from ganime.nets import device as devices
from ganime.nets.device import faster_of, form_for, out_of_memory, pick_device, plan_for, precision_for, shortest

CPU = torch.device("cpu")
SMALL = ModelConfig(image_size=32, latent_dim=8, base_channels=8, max_channels=32)


def seconds_of(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> None:
    """Have the next trial run each variant once and measure these seconds."""

    def shortest(variants: Sequence[Callable[[], object]]) -> list[float]:
        for work in variants:
            work()
        return list(seconds)

    monkeypatch.setattr(devices, "shortest", shortest)


def test_a_device_that_is_not_available_is_named_in_the_error() -> None:
    assert pick_device("cpu") == CPU
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    for name in ("abacus", "cuda:99"):
        with pytest.raises(ConfigError, match=name):
            pick_device(name)


def test_settings_are_kept_without_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "shortest", lambda _: pytest.fail("a trial ran"))
    assert plan_for(SMALL, CPU, "bf16", "convolution") == ("bf16", "convolution")
    assert plan_for(SMALL, CPU, "fp32", "matmul") == ("fp32", "matmul")
    assert plan_for(SMALL, CPU, "fp32", "auto") == ("fp32", "convolution")


def test_a_trial_leaves_the_random_source_alone() -> None:
    before = torch.random.get_rng_state()
    assert precision_for(SMALL, CPU, pictures=1) in ("fp32", "bf16")
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(("bf16", "expected"), [(0.5, "bf16"), (0.79, "bf16"), (0.81, "fp32"), (3.0, "fp32")])
def test_bf16_must_be_a_quarter_faster(bf16: float, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    seconds_of(monkeypatch, 1.0, bf16)
    enabled = []
    assert faster_of(lambda: enabled.append(torch.is_autocast_enabled("cpu")), CPU) == expected
    assert enabled == [False, True]


def test_a_processor_that_would_emulate_bf16_is_put_to_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert faster_of(lambda: pytest.fail("it ran"), CPU) == "fp32"


@pytest.mark.parametrize(
    ("amx", "precision", "device", "expected"),
    [
        (True, "bf16", "cpu", "matmul"),
        (True, "fp32", "cpu", "convolution"),
        (False, "bf16", "cpu", "convolution"),
        (True, "bf16", "cuda", "convolution"),
    ],
)
def test_products_are_for_bf16_on_a_processor_with_amx(
    amx: bool, precision: str, device: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx})
    assert form_for(precision, torch.device(device)) == expected


def test_a_processor_of_another_architecture_has_no_amx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "arm64"})
    assert form_for("bf16", CPU) == "convolution"


def test_variants_take_turns_and_a_much_slower_one_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    spans = {"plain": [1.0, 3.0, 2.0], "close": [7.0, 1.5, 5.0], "far slower": [9.0]}

    def timed(work: Callable[[], object]) -> float:
        work()
        return spans[order[-1]].pop(0)

    monkeypatch.setattr(devices, "timed", timed)
    seconds = shortest([lambda name=name: order.append(name) for name in spans])
    assert seconds == [2.0, 1.5, float("inf")]
    assert order == ["plain", "close", "far slower", "plain", "close", "plain", "close"]


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("CUDA error: out of memory"), True),  # from CUDA itself, while a graph is made
        (RuntimeError("[enforce fail at alloc_cpu.cpp:113] . DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_every_way_of_running_out_of_memory_is_recognised(error: RuntimeError, memory: bool) -> None:
    assert out_of_memory(error) is memory
