"""The device that draws, shared by all visitors: a few faces at a time, so that nobody waits long for a turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TypeVar

import numpy as np

from ganime.background import cores, in_order
from ganime.drawing.sampling import render
from ganime.nets.device import single_core_threads
from ganime.nets.prepared import PreparedGenerator
from ganime.shapes import Float, UInt8

THREADS = min(cores(), 8)
# Faces that a thread draws before another visitor has a turn. More at a time take longer for each; all threads together
# draw 16, for which the maps of the largest models have room (app/faces/model_costs.py).
TURN_FACES = min(8, max(2, 16 // THREADS))
PATIENCE = 2.0  # seconds
WorkStep = TypeVar("WorkStep")


@cache
def drawing_threads() -> ThreadPoolExecutor:
    """The threads that draw for all visitors."""
    return single_core_threads(THREADS)


class Device:
    """Threads that draw, a lock around all other work of the networks, and the ways to take turns at both."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.sharpening = threading.Lock()  # held beside `lock`, so that one sharpening at most competes with drawing
        self.drawing = 0  # requests that wait to draw, or do
        self.counting = threading.Lock()

    def render(self, generator: PreparedGenerator, z: Float[np.ndarray, "n latent"]) -> UInt8[np.ndarray, "n h w 3"]:
        """The faces of latents, drawn a batch at a time; other visitors have their turns between batches."""
        with self.counting:
            self.drawing += 1
        try:
            return np.concatenate(list(self.batches(generator, z)))
        finally:
            with self.counting:
                self.drawing -= 1

    def batches(
        self, generator: PreparedGenerator, z: Float[np.ndarray, "n latent"]
    ) -> Iterator[UInt8[np.ndarray, "b h w 3"]]:
        """The same faces, in batches of at most TURN_FACES.

        Of one request no more batches than threads are under way, so that others have their turns.
        """
        size = max(1, min(TURN_FACES, -(-len(z) // THREADS)))
        parts = (z[start : start + size] for start in range(0, len(z), size))
        return in_order(drawing_threads(), partial(render, generator), parts, THREADS)

    def sharpen(self, steps: Iterator[WorkStep]) -> Iterator[WorkStep]:
        """The same items, each computed under the lock while nobody waits to draw; others sharpen between them.

        A step takes longer than drawing a gallery of 16 faces. It begins after PATIENCE seconds even if there is always
        someone drawing.
        """
        while True:
            with self.sharpening:
                patience = time.monotonic() + PATIENCE
                while self.drawing and time.monotonic() < patience:
                    time.sleep(0.01)
                with self.lock:
                    item = next(steps, None)
            if item is None:
                return
            yield item

    def run(self, steps: Iterator[WorkStep]) -> Iterator[WorkStep]:
        """The same items, each computed under the lock.

        The pause after each item lets another thread take the lock: a lock that is released and taken again at once
        is rarely given to anyone else.
        """
        while True:
            with self.lock:
                try:
                    item = next(steps)
                except StopIteration:
                    return
            yield item
            time.sleep(0.001)
