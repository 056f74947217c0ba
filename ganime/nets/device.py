"""Which device a run computes on, and in which precision and form: what a short trial at the start finds fastest."""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from ganime.config import FORMS, ModelConfig
from ganime.errors import ConfigError
from ganime.nets.dcgan import Discriminator, Generator
from ganime.nets.fast_gradient import down, kernel, up

BF16_GAIN, FORM_GAIN = 1.25, 1.1  # how much faster than the plain way another has to be
WITHOUT_BF16 = ("DEFAULT", "AVX2")  # processors that could only emulate it, at a tenth of the speed and less
HOPELESS = 8.0  # a variant that takes so many times as long as the plain one when it warms up is not timed
PICTURES, BATCH, ROUNDS = 16, 32, 2  # of the two trials
TRIED_LAYERS = 2  # from the 4x4 map upwards; further out the maps are large, and convolutions the faster form
SMALL_LAYER = 500_000  # numbers in a weight below which no form is worth a trial


@dataclass(frozen=True)
class Plan:
    """How a run computes: precision "fp32" or "bf16", and the forms of the deep layers, deepest first, by commas.

    The forms are those of `matmul.use_forms`, "convolution" alone for nets as built.
    """

    precision: str
    deep_layers: str


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


def plan_for(
    model: ModelConfig, batch_size: int, device: torch.device, precision: str = "auto", deep_layers: str = "auto"
) -> Plan:
    """What "auto" comes to here; anything else stays as it is. Only a CPU is put to a trial.

    The trial takes about three seconds of the processor for a model of 64 px, and touches no global random state. A
    precision or form is chosen only where it is clearly faster, so that a busy machine seldom changes the choice; keep
    it with the run, for results depend on it in their last digits.
    """
    if precision == "auto":
        precision = faster_precision(model, device)
    if deep_layers == "auto":
        deep_layers = faster_forms(model, batch_size, precision) if device.type == "cpu" else "convolution"
    return Plan(precision, deep_layers)


def faster_precision(model: ModelConfig, device: torch.device) -> str:
    """ "bf16" where both nets, forward and backward, run at least a quarter faster in it, else "fp32"."""
    pictures = max(2, PICTURES * 64**2 // (model.image_size * model.supersampling) ** 2)
    with torch.random.fork_rng(devices=[]):  # initialisation uses the global source: leave it as it was
        generator, discriminator = Generator(model), Discriminator(model)
        z = torch.randn(pictures, model.latent_dim)  # (B, Z)
    for net in (generator, discriminator):
        net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return faster_of(lambda: discriminator(generator(z)).sum().backward(), device)


def faster_of(work: Callable[[], object], device: torch.device) -> str:
    """ "bf16" where `work` runs at least a quarter faster under autocast, else "fp32"; only a CPU is put to a trial."""
    if device.type != "cpu":
        return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    if torch.backends.cpu.get_cpu_capability() in WITHOUT_BF16:
        return "fp32"

    def under(precision: str) -> None:
        with precision_context(precision, device)():
            work()

    fp32, bf16 = shortest([functools.partial(under, precision) for precision in ("fp32", "bf16")])
    return "bf16" if bf16 * BF16_GAIN < fp32 else "fp32"


def faster_forms(model: ModelConfig, batch_size: int, precision: str) -> str:
    """The fastest form of each deep layer on this CPU, deepest first, as `Plan.deep_layers` has it."""
    both = itertools.zip_longest(model.channels, reversed(model.judging_channels), fillvalue=0)
    widths = [max(pair) for pair in both]
    forms = []
    for level, (coarse, fine) in enumerate(itertools.pairwise(widths[: TRIED_LAYERS + 1])):
        if 16 * coarse * fine >= SMALL_LAYER:
            forms.append(faster_form(min(batch_size, BATCH), coarse, fine, 4 * 2**level, precision))
    while forms and forms[-1] == "convolution":
        forms.pop()
    return ",".join(forms) or "convolution"


def faster_form(batch: int, coarse_channels: int, fine_channels: int, side: int, precision: str) -> str:
    """The fastest form of a layer between a map of that side in pixels and one of twice the side.

    It is tried by its shape alone: the convolution, its transpose and the gradient in the weight are timed each as a
    convolution and as a matrix product, and added up as often as a training step asks for them.
    """
    random, kind = torch.Generator().manual_seed(0), torch.bfloat16 if precision == "bf16" else torch.float32

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random).to(kind, memory_format=torch.channels_last)

    coarse = drawn(batch, coarse_channels, side, side)  # (B, K, H, W)
    fine = drawn(batch, fine_channels, 2 * side, 2 * side)  # (B, C, 2H, 2W)
    weight = drawn(coarse_channels, fine_channels, 4, 4)
    seconds = dict.fromkeys(FORMS, 0.0)
    for function, operands, uses in ((down, (fine, weight), 4), (up, (coarse, weight), 4), (kernel, (coarse, fine), 3)):
        plain, product = shortest([functools.partial(function, *operands, way) for way in (False, True)])
        seconds["convolution"] += uses * plain
        seconds["gradient"] += uses * (product if function is kernel else plain)
        seconds["matmul"] += uses * product
    best = "convolution"
    for form in FORMS:  # the plainer one of equals
        if seconds[form] * FORM_GAIN < seconds[best]:
            best = form
    return best


def shortest(variants: Sequence[Callable[[], object]]) -> list[float]:
    """The shortest time that each variant took, in seconds of the processor; the first variant is the plain one.

    They take turns and what other processes take does not count, so that a busy machine treats them alike. A variant
    that is hopeless when it warms up, as emulated bf16 is, runs no more.
    """
    warm = [timed(work) for work in variants]
    left = [seconds < HOPELESS * warm[0] for seconds in warm]
    turns = [[timed(work) if go else math.inf for work, go in zip(variants, left, strict=True)] for _ in range(ROUNDS)]
    return [min(times) for times in zip(*turns, strict=True)]


def timed(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def out_of_memory(error: RuntimeError) -> bool:
    """Whether an error says that the device, or the CPU's allocator, has no room left."""
    told = str(error)  # all there is where the CPU's allocator, or CUDA itself, has run out of it
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in told or "out of memory" in told
