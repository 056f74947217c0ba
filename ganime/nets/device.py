"""The device, precision and form of the deep layers that a run computes with."""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from ganime.config import ModelConfig
from ganime.errors import ConfigError
from ganime.nets.dcgan import Discriminator, Generator

BF16_GAIN = 1.25  # bf16 must be at least this many times as fast as fp32 to be chosen
WITHOUT_BF16 = ("DEFAULT", "AVX2")  # processors that would emulate it at a tenth of the speed or less
SKIP_RATIO = 8.0  # a variant whose warm-up takes this many times as long as the first variant's is not timed
TRIAL_PICTURES, ROUNDS = 16, 2  # pictures of 64 px in a trial's batch; timed calls of each variant


def pick_device(name: str) -> torch.device:
    """The device called `name`; "auto" is CUDA if available, else Apple's MPS, else the CPU.

    Raises ConfigError for a device that is not available.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"The device {name!r} is not available here; use auto, cpu, cuda or mps.") from error
    return device


def single_core_threads(count: int) -> ThreadPoolExecutor:
    """Threads in which torch computes with one core each; in all others it computes with as many as before.

    Several batches are computed faster by such threads than one after the other by all cores, which wait for each other
    in every layer, above all on a machine that has other work. What comes out does not depend on the number of cores.
    """
    cores, ready = torch.get_num_threads(), threading.Barrier(count + 1)

    def begin() -> None:
        torch.get_num_threads()  # has this thread take over the number of all; it would do so later
        torch.set_num_threads(1)
        ready.wait()

    threads = ThreadPoolExecutor(count, "drawing", begin)
    for _ in range(count):
        threads.submit(int)
    ready.wait()
    torch.set_num_threads(cores)
    return threads


def precision_context(precision: str, device: torch.device) -> Callable[[], AbstractContextManager[Any]]:
    """Autocast for "bf16", a context that does nothing for "fp32"; call the result for each `with`."""
    if precision == "bf16":
        return lambda: torch.autocast(device.type, torch.bfloat16)
    return nullcontext


def precision_for(model: ModelConfig, device: torch.device, pictures: int = TRIAL_PICTURES) -> str:
    """ "bf16" if both nets, forward and backward, run at least 25 % faster in it, else "fp32".

    On a CPU, a trial of about two seconds decides; it leaves the global random state unchanged.
    pictures: batch size of the trial at 64 px; proportionally fewer at larger sizes.
    """
    pictures = max(2, pictures * 64**2 // (model.image_size * model.supersampling) ** 2)
    with torch.random.fork_rng(devices=[]):  # initialisation draws from the global source
        generator, discriminator = Generator(model), Discriminator(model)
        z = torch.randn(pictures, model.latent_dim)  # (B, Z)
    for net in (generator, discriminator):
        net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return faster_of(lambda: discriminator(generator(z)).sum().backward(), device)


def faster_of(work: Callable[[], object], device: torch.device) -> str:
    """ "bf16" if `work` runs at least 25 % faster under autocast, else "fp32". Only for a CPU."""
    if device.type != "cpu":
        return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    if torch.backends.cpu.get_cpu_capability() in WITHOUT_BF16:
        return "fp32"

    def under(precision: str) -> None:
        with precision_context(precision, device)():
            work()

    fp32, bf16 = shortest([functools.partial(under, precision) for precision in ("fp32", "bf16")])
    return "bf16" if bf16 * BF16_GAIN < fp32 else "fp32"


def plan_for(model: ModelConfig, device: torch.device, precision: str = "auto", form: str = "auto") -> tuple[str, str]:
    """The precision and the form of the deep layers to compute with; only "auto" is decided here.

    Store the result with the run: it decides the last digits of everything that the run computes.
    """
    if precision == "auto":
        precision = precision_for(model, device)
    if form == "auto":
        form = form_for(precision, device)
    return precision, form


def form_for(precision: str, device: torch.device) -> str:
    """ "matmul" (`matrix_products.use_products`) in bf16 on a CPU with AMX, else "convolution".

    On a processor with AMX, products nearly double the speed of training in bf16. Without AMX they gain 6 % in bf16 and
    12 % in fp32, too little to compute in two ways (benchmarks/speed.md).
    """
    amx = device.type == "cpu" and bool(torch.cpu.get_capabilities().get("amx_bf16"))
    return "matmul" if amx and precision == "bf16" else "convolution"


def shortest(variants: Sequence[Callable[[], object]]) -> list[float]:
    """The shortest processor time of each variant in seconds; inf for a variant that is far slower than the first.

    The variants take turns and other processes do not count, so a busy machine treats them alike. A variant is
    skipped if its warm-up takes 8 times as long as the first one's, as emulated bf16 does.
    """
    warm = [timed(work) for work in variants]
    hopeful = [seconds < SKIP_RATIO * warm[0] for seconds in warm]
    trials = [*zip(variants, hopeful, strict=True)]
    turns = [[timed(work) if go else math.inf for work, go in trials] for _ in range(ROUNDS)]
    return [min(times) for times in zip(*turns, strict=True)]


def timed(work: Callable[[], object]) -> float:
    """The processor time that a call takes, in seconds."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def out_of_memory(error: RuntimeError) -> bool:
    """Whether an error says that the memory of the device, or of the CPU's allocator, is exhausted."""
    text = str(error)  # the CPU's allocator and CUDA itself raise plain RuntimeErrors
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in text or "out of memory" in text
