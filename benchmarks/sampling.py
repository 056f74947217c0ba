"""How fast the embedded model draws on this machine's CPU, by batch size and number of threads.

Compares the module `Checkpoint.generator` with `Checkpoint.prepared`, which draws the faces.

`python -m benchmarks.sampling [--rounds 20]`
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch

from ganime.drawing.recipe import latents
from ganime.drawing.sampling import render
from ganime.models.checkpoint import EMBEDDED, load_checkpoint

WARM_UP = 2  # rounds that are not counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    checkpoint = load_checkpoint(EMBEDDED)
    print(
        "| faces | threads | module, ms | prepared, ms | ratio | prepared, faces a second |\n|---|---|---|---|---|---|"
    )
    for threads in sorted({1, os.cpu_count() or 1}):
        torch.set_num_threads(threads)
        for count in (1, 16, 64):
            z = latents(range(count), checkpoint.generator.config.latent_dim)  # (N, Z)
            variants = [partial(render, generator, z) for generator in (checkpoint.generator, checkpoint.prepared)]
            module, prepared = medians(variants, rounds)
            print(
                f"| {count} | {threads} | {module * 1000:.1f} | {prepared * 1000:.1f} | {module / prepared:.2f} "
                f"| {count / prepared:.0f} |"
            )


def medians(variants: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """The median time of each variant in seconds, after WARM_UP rounds; the variants take turns."""
    seconds: list[list[float]] = [[] for _ in variants]
    for _ in range(WARM_UP + rounds):
        for work, times in zip(variants, seconds, strict=True):
            begun = time.perf_counter()
            work()
            times.append(time.perf_counter() - begun)
    return [statistics.median(times[WARM_UP:]) for times in seconds]


if __name__ == "__main__":
    main()
