"""What several tests of training share: kinds of runs, and comparisons of what they saved."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ganime.drawing.sampling import generate
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from ganime.training.events import Event
from ganime.training.run_folder import STATE_FILE, saves
from ganime.training.session import Reporting

BATCH = 16
OFTEN = 0.001  # minutes between saves; the smallest value allowed
QUICK = {"batch_size": BATCH, "precision": "fp32", "measure_images": 0, "critic": 0.0}
FEW = Reporting(report_seconds=1e9, measured_faces=64, measuring_share=1e9)
Run = Callable[..., list[Event]]


def of_kind(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def state_of(save: Path) -> dict[str, Any]:
    """The contents of a save, except for the seconds it took."""
    state = torch.load(save / STATE_FILE, weights_only=True)
    return {name: value for name, value in state.items() if name != "seconds"}


def assert_same(a: Any, b: Any, path: str = "state") -> None:
    """Two nested structures of tensors and plain values are equal to the bit."""
    assert type(a) is type(b), path
    if isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            assert_same(a[key], b[key], f"{path}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), path
        for number, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{path}.{number}")
    elif isinstance(a, Tensor):
        assert torch.equal(a, b), path
    else:
        assert a == b, path


def assert_sound(run: Path) -> None:
    """Every save of a run is complete, finite, and can be sampled."""
    folders = saves(run)
    assert folders
    for folder in folders:
        state = torch.load(folder / STATE_FILE, weights_only=True)
        for net in ("generator", "discriminator", "ema"):
            for name, tensor in state[net].items():
                assert torch.isfinite(tensor).all(), f"{folder.name}: {net}.{name}"
        assert generate(load_checkpoint(folder, with_discriminator=True), [0, 1]).shape == (2, 32, 32, 3)


def broken_after(
    good: int, loss: Callable[..., Tensor], seconds: float = 0.0, breaks: float = float("inf")
) -> Callable[..., Tensor]:
    """`loss`, which becomes NaN after `good` calls, `breaks` times; each call takes `seconds` longer."""
    calls = itertools.count(1)

    def broken(*arguments: Any) -> Tensor:
        time.sleep(seconds)
        value = loss(*arguments)
        return value * float("nan") if good < next(calls) <= good + breaks else value

    return broken


@dataclass(frozen=True)
class Trained:
    """A run that has ended: its folder, which must not be changed, and its events."""

    folder: Path
    events: list[Event]

    def copy(self, folder: Path) -> Path:
        """A copy of the run that a test may change."""
        return shutil.copytree(self.folder, folder)


class Replay(nn.Module):
    """A "generator" that returns given faces with some noise, one after the other, whatever the latents."""

    def __init__(self, faces: np.ndarray, like: Checkpoint, noise: float = 0.0) -> None:
        super().__init__()
        self.config = like.generator.config
        self.faces = torch.from_numpy(np.array(faces)).permute(0, 3, 1, 2).float() / 127.5 - 1  # (N, 3, S, S)
        self.anchor = nn.Parameter(torch.zeros(1))
        self.noise, self.position = noise, 0

    @property
    def device(self) -> torch.device:
        return self.anchor.device

    def forward(self, z: Tensor) -> Tensor:
        rows = (torch.arange(len(z)) + self.position) % len(self.faces)
        self.position += len(z)
        noise = torch.randn(len(z), *self.faces.shape[1:], generator=torch.Generator().manual_seed(self.position))
        return (self.faces[rows] + self.noise * noise).clamp(-1, 1)  # (B, 3, S, S)
