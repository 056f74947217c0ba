"""How fast the embedded generator draws on this machine's CPU: faces a second by batch size and number of threads.

`python -m benchmarks.sampling [--rounds 20]`
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

import torch

from ganime.drawing.recipe import latents
from ganime.drawing.sampling import render
from ganime.models.checkpoint import EMBEDDED, load_checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    generator = load_checkpoint(EMBEDDED).generator
    print("| faces | threads | median ms | faces a second |\n|---|---|---|---|")
    for threads in sorted({1, os.cpu_count() or 1}):
        torch.set_num_threads(threads)
        for count in (1, 16, 64):
            z = latents(range(count), generator.config.latent_dim)
            seconds = []
            for _ in range(rounds + 2):
                begun = time.perf_counter()
                render(generator, z)
                seconds.append(time.perf_counter() - begun)
            median = statistics.median(seconds[2:])
            print(f"| {count} | {threads} | {median * 1000:.1f} | {count / median:.0f} |")


if __name__ == "__main__":
    main()
