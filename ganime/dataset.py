"""The faces of a run: on disk, memory-mapped, drawn from as an endless shuffled stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, UInt8
    from torch import Tensor


@dataclass(frozen=True)
class Facts:
    """What is known of the sources beside the faces; `ganime.audit` puts it into words.

    sizes: (N, 2), width and height of each face's picture, upright, in px. grey: (N,), whether a face has no colour.
    groups: (N,), near duplicates have the same number. kinds: what is wrong with each of `skipped`, in a word.
    copies: (name, name of the face it duplicates, kind) of each duplicate, safe to print. duplicates_kept: whether
    they are among the faces, too. passed_over: how many files of the sources were not looked into, by kind.
    """

    sizes: Int[np.ndarray, "n 2"]
    grey: Bool[np.ndarray, " n"]
    groups: Int[np.ndarray, " n"]
    kinds: list[str]
    copies: list[tuple[str, str, str]]
    duplicates_kept: bool
    passed_over: dict[str, int]


@dataclass(frozen=True)
class FaceDataset:
    """Square faces on disk, memory-mapped, split into a training and a held-out part.

    images: uint8, (N, size, size, 3), RGB. train, held_out: positions in `images`, ascending and disjoint.
    names: where each face came from, as it is called there. skipped: (name, reason), safe to print, of every file that
    is named like a picture and not used. key: SHA-256 of what the sources held; equal sources give equal keys
    wherever they lie. facts: what else is known of the sources.
    """

    images: np.ndarray
    train: np.ndarray
    held_out: np.ndarray
    names: list[str]
    skipped: list[tuple[str, str]]
    key: str
    facts: Facts

    def batch(
        self, start: int, count: int, seed: int, flip: bool, resident: Tensor | None = None
    ) -> Float[Tensor, "b 3 size size"]:
        """Training faces number `start` to `start + count` of an endless shuffled stream, in [-1, 1].

        Every face comes once an epoch. The stream depends on `seed` alone, so a run can go on at any position.
        resident: the faces as `on` gives them; the batch is then made on that device.
        """
        positions, size = np.arange(start, start + count), len(self.train)
        chosen, mirrored = np.empty(count, np.int64), np.zeros(count, bool)
        for epoch in np.unique(positions // size):
            order = np.random.default_rng([seed, int(epoch)]).permutation(size)
            inside = positions // size == epoch
            chosen[inside] = self.train[order[positions[inside] % size]]
            if flip:
                mirrored[inside] = (
                    np.random.default_rng([seed, int(epoch), 1]).random(size)[positions[inside] % size] < 0.5
                )
        faces = torch.from_numpy(self.images[chosen]) if resident is None else resident[torch.from_numpy(chosen)]
        faces = faces.permute(0, 3, 1, 2)  # (B, 3, S, S), channels-last in memory
        faces = faces.to(torch.float32, memory_format=torch.channels_last) / 127.5 - 1
        if flip:
            faces = torch.where(torch.from_numpy(mirrored).to(faces.device)[:, None, None, None], faces.flip(3), faces)
        return faces.contiguous(memory_format=torch.channels_last)

    def on(self, device: torch.device) -> UInt8[Tensor, "n size size 3"] | None:
        """All faces in the memory of a GPU, so that no batch has to be sent there; None for a CPU, or where they would
        take more than a quarter of what is free."""
        if device.type != "cuda" or self.images.nbytes > torch.cuda.mem_get_info(device)[0] / 4:
            return None
        return torch.from_numpy(np.array(self.images)).to(device)
