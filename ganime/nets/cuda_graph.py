"""Work on a GPU, recorded once and then played back: of small nets, starting the kernels takes the most time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from ganime.nets.critic import FeatureCritic

if TYPE_CHECKING:
    from torch import Tensor

WARM_UP_CALLS = 3  # calls before the recording, in which libraries settle on how they compute


class Recorded:
    """A CUDA graph of `work`, a function of tensors to a tensor that changes others in place.

    It runs as Python in the first three calls and while it is recorded, in the fourth; from then on its kernels are
    played back, on the same places in memory. So what it decides, and every plain number in it, such as a learning
    rate, stays as it was then; what it touches may be changed in place, but where a tensor is put in another's stead
    it has to be recorded anew. It must not look at the numbers in tensors, nor send any to the GPU. The result is one
    tensor, with new numbers after each call.

    recording: whether it is past the warm-up and was not played back yet, so that an error is the recording's own.
    """

    def __init__(self, work: Callable[..., Tensor], device: torch.device) -> None:
        self.work, self.device, self.calls = work, device, 0
        with torch.cuda.device(device):
            self.graph, self.stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
        self.inputs: tuple[Tensor, ...] = ()
        self.result: Tensor | None = None

    @property
    def recording(self) -> bool:
        return self.calls > WARM_UP_CALLS and self.result is None

    def __call__(self, *inputs: Tensor) -> Tensor:
        with torch.cuda.device(self.device):
            if not self.inputs:
                self.inputs = tuple(given.clone() for given in inputs)
            for held, given in zip(self.inputs, inputs, strict=True):
                held.copy_(given)
            self.calls += 1
            if self.calls <= WARM_UP_CALLS:
                return self.beside()
            result = self.result
            if result is None:
                with torch.cuda.graph(self.graph, stream=self.stream):
                    result = self.work(*self.inputs)
            self.graph.replay()
            self.result = result  # only now: a graph may find no memory where it is made, or played first
            return result

    def beside(self) -> Tensor:
        """The work on the stream that it will be recorded on, with all that waits for it waiting."""
        self.stream.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(self.stream):
                return self.work(*self.inputs)
        finally:
            torch.cuda.current_stream().wait_stream(self.stream)


def recordable(critic: FeatureCritic | None, device: torch.device, alone: bool, augmented: bool) -> bool:
    """Whether a training step can be recorded: one process on a GPU, and the same work in every step.

    Augmentation, and a critic that looks at pieces of a face, draw random places on the CPU in each step.
    """
    pieces = critic is not None and critic.close is not None
    return device.type == "cuda" and alone and not augmented and not pieces


def count_on(device: torch.device, *optimizers: torch.optim.Adam) -> None:
    """Have Adam count its steps on a GPU, where they can be recorded, and on the CPU for all other devices."""
    counting = device if device.type == "cuda" else torch.device("cpu")
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["capturable"] = device.type == "cuda"
        for kept in optimizer.state.values():
            kept["step"] = kept["step"].to(counting)
