"""Work on a GPU, recorded once and then played back: of small nets, starting the kernels takes the most time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

WARM_UP = 3  # calls before the recording, in which libraries settle on how they compute


class Recorded:
    """A CUDA graph of `work`, a function of tensors to a tensor that changes others in place.

    All tensors that it touches keep their places: the inputs of a call are copied to where those of the first one lay,
    and the result is the same tensor each time, with new numbers. `work` must not look at the numbers themselves, nor
    send any to the GPU. The first three calls and the recording itself do what any call does.
    """

    def __init__(self, work: Callable[..., Tensor]) -> None:
        self.work, self.calls = work, 0
        self.graph = torch.cuda.CUDAGraph()
        self.stream = torch.cuda.Stream()
        self.inputs: tuple[Tensor, ...] = ()
        self.result: Tensor | None = None

    def __call__(self, *inputs: Tensor) -> Tensor:
        if not self.inputs:
            self.inputs = tuple(given.clone() for given in inputs)
        for held, given in zip(self.inputs, inputs, strict=True):
            held.copy_(given)
        self.calls += 1
        if self.calls <= WARM_UP:
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                result = self.work(*self.inputs)
            torch.cuda.current_stream().wait_stream(self.stream)
            return result
        if self.result is None:
            with torch.cuda.graph(self.graph, stream=self.stream):
                self.result = self.work(*self.inputs)
        self.graph.replay()
        return self.result
