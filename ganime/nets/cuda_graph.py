"""GPU work recorded once and played back as a CUDA graph: with small nets, most of the time is kernel launches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ganime.nets.critic import FeatureCritic

WARM_UP_CALLS = 3  # before the recording, in which libraries choose their algorithms


class Recorded:
    """A CUDA graph of `work`, a function of tensors that returns a tensor and may change others in place.

    The first three calls run `work` as Python, the fourth one records it, and later ones play back its kernels on the
    same memory. So all decisions and Python numbers in it, such as a learning rate, stay as they were when it was
    recorded. Tensors that it uses may be changed in place; to replace one, record the work again. The work must not
    read numbers from tensors or copy any to the GPU. Every later call returns the same tensor, with new numbers.

    recording: whether the warm-up is over and nothing was played back yet, so that an error comes from the recording.
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
                self.inputs = tuple(tensor.clone() for tensor in inputs)
            for recorded, current in zip(self.inputs, inputs, strict=True):
                recorded.copy_(current)
            self.calls += 1
            if self.calls <= WARM_UP_CALLS:
                return self.on_recording_stream()
            result = self.result
            if result is None:
                with torch.cuda.graph(self.graph, stream=self.stream):
                    result = self.work(*self.inputs)
            self.graph.replay()
            self.result = result  # only now: recording or first playing a graph may run out of memory
            return result

    def on_recording_stream(self) -> Tensor:
        """Run the work on the stream that will record it, in order with the current stream."""
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
    """Let Adam count its steps on a GPU, so that they can be recorded, or on the CPU for all other devices."""
    counting = device if device.type == "cuda" else torch.device("cpu")
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["capturable"] = device.type == "cuda"
        for state in optimizer.state.values():
            state["step"] = state["step"].to(counting)
