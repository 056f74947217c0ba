"""Which device a run computes on, and whether half precision pays there."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from ganime.config import ModelConfig
from ganime.errors import ConfigError
from ganime.model import Discriminator


def pick_device(name: str) -> torch.device:
    """The device called `name`; "auto" is CUDA where there is one, else Apple's MPS, else the CPU.

    Raises ConfigError for a device that is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"There is no device {name!r} here; use auto, cpu, cuda or mps.") from error
    return device


def precision_context(precision: str, device: torch.device) -> Callable[[], AbstractContextManager[Any]]:
    if precision == "bf16":
        return lambda: torch.autocast(device.type, torch.bfloat16)
    return nullcontext


def faster_precision(model: ModelConfig, device: torch.device) -> str:
    """ "bf16" where a short trial of the discriminator runs at least a quarter faster in it, else "fp32"."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    with torch.random.fork_rng(devices=[]):  # initialisation uses the global source: leave it as it was
        net = Discriminator(model).to(device)
    images = torch.zeros(8, 3, model.image_size, model.image_size, device=device)

    def seconds(precision: str) -> float:
        times = []
        for _ in range(3):
            begun = time.perf_counter()
            with precision_context(precision, device)():
                loss = net(images).sum()
            loss.backward()
            times.append(time.perf_counter() - begun)
        return min(times)

    return "bf16" if seconds("bf16") * 1.25 < seconds("fp32") else "fp32"
