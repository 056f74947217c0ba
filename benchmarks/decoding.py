"""What the cache of decoded faces is worth: faces a second when filling it, when reading it, and without it.

`python -m benchmarks.decoding [--faces 2000] [--side 128] [--rounds 3]`

The pictures are faces that the embedded model of 64 px draws, enlarged to --side and saved as JPEG. They are read at
64 px in batches of 64. Without a cache, torch's own loader decodes every file in every epoch, with two workers.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from ganime.drawing.sampling import generate
from ganime.embedded import EMBEDDED
from ganime.faces.dataset import load_faces
from ganime.faces.duplicates import near_duplicate_groups
from ganime.models.checkpoint import load_checkpoint

SIZE, BATCH, WORKERS = 64, 64, 2
HASHES = 30_000


class Files(Dataset[torch.Tensor]):
    """JPEG files as tensors, decoded at every access."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.iterdir())

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> torch.Tensor:
        with Image.open(self.paths[number]) as image:
            face = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.LANCZOS)
        return torch.from_numpy(np.array(face)).permute(2, 0, 1).float() / 127.5 - 1  # (3, S, S)


def median_seconds(work: Callable[[], object], rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=2000)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "faces"
        folder.mkdir()
        for number, face in enumerate(generate(load_checkpoint(EMBEDDED), range(options.faces))):
            picture = Image.fromarray(face).resize((options.side, options.side), Image.Resampling.LANCZOS)
            picture.save(folder / f"{number:06d}.jpg", quality=90)
        caches = iter(range(options.rounds))
        filling = median_seconds(lambda: load_faces([folder], SIZE, Path(home) / str(next(caches))), options.rounds)
        dataset = load_faces([folder], SIZE, Path(home) / "0")
        opening = median_seconds(lambda: load_faces([folder], SIZE, Path(home) / "0"), options.rounds)
        faces_read = len(dataset.train) // BATCH * BATCH

        def epoch_from_cache() -> None:
            for start in range(0, faces_read, BATCH):
                dataset.batch(start, BATCH, 0, flip=True)

        loader = DataLoader(
            Files(folder), BATCH, shuffle=True, num_workers=WORKERS, drop_last=True, persistent_workers=True
        )

        def epoch_of_files() -> None:
            for _ in loader:
                continue

        epoch_from_cache()
        epoch_of_files()  # starts the workers
        reading = median_seconds(epoch_from_cache, options.rounds)
        decoding = median_seconds(epoch_of_files, options.rounds)
        hashes = np.random.default_rng(0).integers(0, 2**64, (HASHES, 4), np.uint64)
        comparing = median_seconds(lambda: near_duplicate_groups(hashes), options.rounds)
    rows = {
        "decoding once into the cache, with the search for duplicates": options.faces / filling,
        "opening a ready cache": options.faces / opening,
        f"batches of {BATCH} from the cache": faces_read / reading,
        f"DataLoader decoding JPEG every epoch, {WORKERS} workers": len(loader) * BATCH / decoding,
        f"comparing {HASHES:,} faces with each other": HASHES / comparing,
    }
    print(f"{options.faces:,} faces, JPEG {options.side} px, read at {SIZE} px\n")
    print("| what | faces a second |\n|---|---|")
    for what, speed in rows.items():
        print(f"| {what} | {speed:,.0f} |")


if __name__ == "__main__":
    main()
