"""The processes that train one model together, started by torchrun or accelerate; usually there is only one."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn

from ganime.errors import ConfigError, TrainingError
from ganime.nets.device import pick_device
from ganime.shapes import Float

EXCHANGE_TIMEOUT = timedelta(hours=2)  # long, since the others wait while the first process decodes new faces


@dataclass(frozen=True)
class Processes:
    """One process of a run, and its communication with the others.

    Every process draws the same latents and uses its own share of them and of the faces, so together they make the
    same steps as one process with the whole batch. Only the random augmentations differ from those of one process.

    device: the device of this process.
    rank: its number, from 0.
    count: number of processes.
    turn: 0 for the leading process, 1 for the first process of every other machine, 2 for the rest.
    """

    device: torch.device
    rank: int = 0
    count: int = 1
    turn: int = 0

    @classmethod
    def join(cls, device: str = "auto") -> Processes:
        """Connect to the other processes if a launcher started several, that is, if WORLD_SIZE is above 1.

        On CUDA, each process gets its own GPU. A second call uses the existing connection.

        Raises ConfigError when the device does not exist or cannot be divided among processes, when the launcher did
        not set the rank and the address, or when accelerate is not installed. Raises TrainingError when the processes
        cannot connect.
        """
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count <= 1:
            return cls(pick_device(device))
        if device not in ("auto", "cpu", "cuda"):
            raise ConfigError(f"{count} processes cannot share the device {device!r}; use auto, cpu or cuda.")
        if missing := [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
            raise ConfigError(
                f"WORLD_SIZE asks for {count} processes, but {', '.join(missing)} is not set. Start them with torchrun "
                "or accelerate launch."
            )
        try:
            from accelerate import PartialState
        except ImportError as error:
            raise ConfigError("Training in several processes needs accelerate: pip install accelerate.") from error
        local = int(os.environ["LOCAL_RANK"])
        on_cpu = device == "cpu" or (device == "auto" and not torch.cuda.is_available())
        if not on_cpu and local >= torch.cuda.device_count():
            raise ConfigError(
                f"Process {local + 1} of this machine has no GPU; there are {torch.cuda.device_count()}. "
                "Start at most one process per GPU, or choose --device cpu."
            )
        # Exchanges of CPU tensors do not wait for the GPU; without a number of threads accelerate picks one and warns.
        backend = {} if on_cpu else {"backend": "cuda:nccl,cpu:gloo"}
        os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))
        try:
            state = PartialState(on_cpu, timeout=EXCHANGE_TIMEOUT, **backend)
        except RuntimeError as error:
            raise TrainingError(f"The {count} processes could not connect: {error}") from error
        assert state.device is not None
        turn = 0 if state.process_index == 0 else 1 if local == 0 else 2
        return cls(state.device, state.process_index, state.num_processes, turn)

    @property
    def leads(self) -> bool:
        """Whether this is the process that reports, measures and saves."""
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """The rows of a whole batch for this process. Raises ConfigError when the batch cannot be divided evenly."""
        if batch % self.count or batch // self.count < 2:
            raise ConfigError(
                f"A batch of {batch} cannot be divided among {self.count} processes with at least 2 faces each. Choose "
                f"a multiple of {self.count}, such as {self.count * max(2, batch // self.count)}."
            )
        size = batch // self.count
        return slice(self.rank * size, (self.rank + 1) * size)

    def share_statistics(self, *nets: nn.Module) -> None:
        """Replace the BatchNorm layers of these nets by ones that use the statistics of the whole batch.

        The new layers share the tensors of the old ones. A single process changes nothing.
        """
        if self.count == 1:
            return
        for net in nets:
            for name, layer in list(net.named_modules()):
                if isinstance(layer, nn.BatchNorm2d):
                    net.set_submodule(name, WholeBatchNorm(layer, self))

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes, in one exchange."""
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = self.mean(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def mean(self, values: Tensor) -> Tensor:
        """The mean of a tensor over the processes, on its device. Raises TrainingError when a process has ended."""
        if self.count == 1:
            return values
        from accelerate.utils import reduce

        try:
            return reduce(values, "mean")  # pyright: ignore[reportReturnType]
        except RuntimeError as error:
            reason = re.sub(r"^\[\S*\] ", "", str(error)).partition(". ")[0]  # without the line in torch's source
            raise TrainingError(
                f"Another process of this run has ended ({reason}). Fix the error that it printed, if any, and "
                "continue from the last save with --resume."
            ) from error

    def any(self, conditions: Sequence[bool]) -> list[bool]:
        """For each condition, whether it is true in at least one process; the same answers in all."""
        return (self.mean(torch.tensor(conditions, dtype=torch.float32)) > 0).tolist()

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Run the block in the leading process, then in one of every other machine, then in the rest."""
        for _ in range(self.turn):
            self.any([False])
        yield
        for _ in range(self.turn, 3):
            self.any([False])

    def agree(self, *facts: Any) -> None:
        """Raise ConfigError in all processes unless the `repr` of `facts` is the same in all of them."""
        digest = int.from_bytes(hashlib.sha256(repr(facts).encode()).digest()[:4], "big")
        own = torch.tensor(digest, dtype=torch.float64)  # exact for 32 bits, as is the mean of equal digests
        if self.any([bool(self.mean(own) != own)])[0]:
            raise ConfigError(
                "The processes of this run differ in their settings, their faces or their last save. Every machine "
                "needs the same command, the same faces, and the run's folder on a disk that they share."
            )


class WholeBatchNorm(nn.BatchNorm2d):
    """BatchNorm with the mean and variance of the whole batch, of which this process has a share.

    torch's SyncBatchNorm needs a GPU and cannot be differentiated twice, which R1 requires.

    layer: the BatchNorm layer to replace; its tensors are shared.
    """

    def __init__(self, layer: nn.BatchNorm2d, workers: Processes) -> None:
        super().__init__(layer.num_features, layer.eps, layer.momentum)
        self.workers = workers
        self.weight, self.bias = layer.weight, layer.bias
        self.running_mean, self.running_var = layer.running_mean, layer.running_var
        self.num_batches_tracked = layer.num_batches_tracked
        self.train(layer.training)

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Normalise each channel; in eval mode as in torch, with the running statistics."""
        if not self.training:
            return super().forward(input)
        x = input.float()
        moments = torch.stack([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))])  # (2, C)
        mean, square = DifferentiableMean.apply(moments, self.workers)  # (C,), (C,)
        variance = (square - mean.square()).clamp(min=0)
        self.track(mean.detach(), variance.detach(), x.numel() // len(mean) * self.workers.count)
        scale = self.weight * torch.rsqrt(variance + self.eps)  # (C,)
        shift = self.bias - mean * scale
        return (x * scale[:, None, None] + shift[:, None, None]).to(input.dtype)  # (B, C, H, W)

    @torch.no_grad()
    def track(self, mean: Float[Tensor, " c"], variance: Float[Tensor, " c"], count: int) -> None:
        """Update the running statistics as torch does, with the unbiased variance of `count` values per channel."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / max(count - 1, 1), self.momentum)
        self.num_batches_tracked += 1


class DifferentiableMean(torch.autograd.Function):
    """The mean over the processes as a differentiable operation: its gradient is the mean of the gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, workers: Processes) -> Tensor:
        ctx.workers = workers
        return workers.mean(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return DifferentiableMean.apply(gradient, ctx.workers), None
