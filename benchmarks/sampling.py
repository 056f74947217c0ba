"""How fast the embedded model draws on this machine's CPU, by batch size and number of threads.

Compares the module `Checkpoint.generator`, `Checkpoint.prepared`, which draws the faces, the exported network in ONNX
Runtime and OpenVINO where these are installed, and the time in which a matrix product of this processor makes as many
multiply-adds. The variants take turns; each cell is the median in milliseconds.

`python -m benchmarks.sampling [--rounds 20]`
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np
import torch

from ganime.drawing.layers import multiply_adds
from ganime.drawing.recipe import latents
from ganime.drawing.sampling import render
from ganime.embedded import EMBEDDED
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from ganime.models.onnx_graph import onnx_runtime
from ganime.models.onnx_networks import generator_onnx
from ganime.nets.dcgan import Generator

WARM_UP = 2  # rounds that are not counted
SIDE = 2048  # of the matrices whose product is the ceiling
Work = Callable[[np.ndarray], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    checkpoint = load_checkpoint(EMBEDDED)
    header = ""
    for threads in sorted({1, os.cpu_count() or 1}):
        torch.set_num_threads(threads)
        variants = variants_of(checkpoint, threads)
        if not header:
            header = f"| faces | threads | {' | '.join(variants)} | module / prepared | faces a second |"
            print(f"{header}\n{'|---' * (header.count('|') - 1)}|")
        for count in (1, 16, 64):
            z = latents(range(count), checkpoint.generator.config.latent_dim)  # (N, Z)
            times = dict(zip(variants, medians(list(variants.values()), z, rounds), strict=True))
            cells = " | ".join(f"{seconds * 1000:.1f}" for seconds in times.values())
            ratio, speed = times["module"] / times["prepared"], count / times["prepared"]
            print(f"| {count} | {threads} | {cells} | {ratio:.2f} | {speed:.0f} |", flush=True)


def variants_of(checkpoint: Checkpoint, threads: int) -> dict[str, Work]:
    """What draws latents, (N, Z), by its name; each on so many threads."""
    found: dict[str, Work] = {
        "module": lambda z: render(checkpoint.generator, z),
        "prepared": lambda z: render(checkpoint.prepared, z),
    }
    graph = generator_onnx(checkpoint)
    with suppress(ImportError):
        found["ONNX Runtime"] = in_onnx_runtime(graph, threads)
    with suppress(ImportError):
        found["OpenVINO"] = in_openvino(graph, threads)
    return found | {"matrix product": multiply_as_often(checkpoint)}


def in_onnx_runtime(graph: bytes, threads: int) -> Work:
    runtime = onnx_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    session = runtime.InferenceSession(graph, options, ["CPUExecutionProvider"])
    return lambda z: session.run(None, {"latents": z})


def in_openvino(graph: bytes, threads: int) -> Work:
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(graph), "CPU", settings)
    return lambda z: compiled({"latents": z})


def multiply_as_often(checkpoint: Checkpoint) -> Work:
    """Products of square matrices with as many multiply-adds as the faces need, the last one cut to size."""
    matrix = torch.rand(SIDE, SIDE)
    cost = multiply_adds(Generator, checkpoint.generator.config)

    def multiply(z: np.ndarray) -> None:
        rows = round(len(z) * cost / SIDE**2)
        for start in range(0, rows, SIDE):
            torch.mm(matrix[: min(SIDE, rows - start)], matrix)

    return multiply


def medians(variants: Sequence[Work], z: np.ndarray, rounds: int) -> list[float]:
    """The median time of each variant in seconds, after WARM_UP rounds; the variants take turns."""
    seconds: list[list[float]] = [[] for _ in variants]
    for _ in range(WARM_UP + rounds):
        for work, times in zip(variants, seconds, strict=True):
            begun = time.perf_counter()
            work(z)
            times.append(time.perf_counter() - begun)
    return [statistics.median(times[WARM_UP:]) for times in seconds]


if __name__ == "__main__":
    main()
