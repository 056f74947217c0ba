"""Twenty faces as files, and a loader with a cache for each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ganime.faces.dataset import FaceDataset, load_faces
from tests.ganime.faces.pictures import SIDE


@pytest.fixture(scope="module")
def pngs(faces_folder: Path) -> list[tuple[str, bytes]]:
    """Twenty good pictures by name, enough for a dataset."""
    return [(path.name, path.read_bytes()) for path in sorted(faces_folder.iterdir())[:20]]


@pytest.fixture
def folder(tmp_path: Path, pngs: list[tuple[str, bytes]]) -> Path:
    for name, data in pngs:
        (tmp_path / "faces" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "faces" / name).write_bytes(data)
    return tmp_path / "faces"


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., FaceDataset]:
    return lambda *sources, size=SIDE: load_faces(sources, size, tmp_path / "cache")
