"""Fixtures for all tests: one thread, a home for each test, a tiny model and generated faces."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.utils import close_session, disable_progress_bars, enable_progress_bars
from hypothesis import settings
from PIL import Image, ImageDraw

from ganime.config import RECIPES, ModelConfig
from ganime.drawing.directions import Direction, Directions, save_directions
from ganime.embedded import EMBEDDED
from ganime.faces.dataset import FaceDataset, load_faces
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ganime.nets.anime_features import FeatureNet, load_features
from ganime.nets.dcgan import Discriminator, Generator
from tests import nursery

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile("ganime", max_examples=25, deadline=None, derandomize=True)  # the same everywhere
settings.load_profile("ganime")


torch.set_num_threads(1)  # on one core a face is the same, bit for bit, in any batch


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """A test computes on one core, however many another one has left."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANIME_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def tiny_config() -> ModelConfig:
    return ModelConfig(image_size=32, latent_dim=8, base_channels=4, max_channels=16)


@pytest.fixture(scope="session")
def tiny(tiny_config: ModelConfig) -> Checkpoint:
    """An untrained model whose pictures have all shades."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator, discriminator = Generator(tiny_config), Discriminator(tiny_config)
        with torch.no_grad():
            for _ in range(120):  # BatchNorm's running statistics, spectral norm's singular vectors
                discriminator(generator(torch.randn(64, tiny_config.latent_dim)))
            generator.to_rgb.weight.mul_(8)
    return Checkpoint(generator.eval().requires_grad_(False), discriminator.eval(), name="tiny")


@pytest.fixture
def quick_recipe(tiny_config: ModelConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe "modern" trains a tiny model, without trials and measurements."""
    train, _ = RECIPES["modern"]
    train = replace(train, precision="fp32", deep_layers="convolution", measure_images=0)
    monkeypatch.setitem(RECIPES, "modern", (train, tiny_config))


@pytest.fixture(scope="session")
def embedded() -> Checkpoint:
    """The embedded model, with its discriminator."""
    return load_checkpoint(EMBEDDED, with_discriminator=True)


@pytest.fixture(scope="session")
def net() -> FeatureNet:
    return load_features()


@pytest.fixture(scope="session")
def tiny_folder(tiny: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_checkpoint(tiny, folder)
    return folder


@pytest.fixture(scope="session")
def steered_folder(tiny: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny model with two directions beside it, "smile" and "sefa-1"."""
    folder = tmp_path_factory.mktemp("steered") / "tiny"
    save_checkpoint(tiny, folder)
    axes = np.eye(tiny.generator.config.latent_dim, dtype=np.float32)
    items = (Direction("smile", "attribute", axes[0]), Direction("sefa-1", "sefa", axes[1]))
    save_directions(Directions("tiny", tiny.revision, items), folder)
    return folder


def _draw_face(seed: int, side: int = 64) -> Image.Image:
    random = np.random.default_rng(seed)

    def colour(low: int, high: int) -> tuple[int, ...]:
        return tuple(int(value) for value in random.integers(low, high, 3))

    def ellipse(x: float, y: float, width: float, height: float, fill: tuple[int, ...]) -> None:
        box = [(x - width) * side, (y - height) * side, (x + width) * side, (y + height) * side]
        draw.ellipse(box, fill=fill)

    image = Image.new("RGB", (side, side), colour(150, 256))
    draw = ImageDraw.Draw(image)
    x, y = random.uniform(0.3, 0.7, 2)
    hair, eyes = colour(0, 256), colour(0, 120)
    for _ in range(4):
        ellipse(*random.uniform(0, 1, 2), *random.uniform(0.05, 0.3, 2), colour(0, 256))
    ellipse(x, y - 0.05, *random.uniform(0.25, 0.4, 2), hair)
    ellipse(x, y + 0.05, 0.22, 0.26, (250, 225, 205))
    for eye in (x - 0.1, x + 0.1):
        ellipse(eye, y, 0.05, 0.08, eyes)
    return image


@pytest.fixture(scope="session")
def draw_face() -> Callable[..., Image.Image]:
    """Draw a face by seed and side in px: ellipses for hair, head and eyes, in random colours and places."""
    return _draw_face


@pytest.fixture(scope="session")
def faces_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    for seed in range(64):
        _draw_face(seed).save(folder / f"{seed:03d}.png")
    return folder


@pytest.fixture(scope="session")
def faces(faces_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> FaceDataset:
    return load_faces([faces_folder], 32, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[float]]:
    """huggingface_hub without a token of this computer and without Xet: large files go the way that `HubServer` knows.

    Its pauses between attempts take no time; the value has their seconds.
    """
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    waited: list[float] = []
    monkeypatch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(**vars(time) | {"sleep": waited.append}))
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    disable_progress_bars()
    close_session()
    yield waited
    close_session()
    enable_progress_bars()
    logger.setLevel(level)


@pytest.fixture
def run_python(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Python in another process, in the root of the repository, on one thread: run_python("-m", "ganime").

    fresh: whether it is a process that has imported nothing yet.
    """

    def run(*arguments: str | Path, fresh: bool = False) -> subprocess.CompletedProcess[str]:
        words = [str(argument) for argument in arguments]
        command = (sys.executable, *words) if fresh else nursery.command(*words)
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120)

    return run


# Files that one process of pytest-xdist runs: those that use `tests.forking`, and those whose browser shares a page.
FORKING = (
    "app/jobs/test_faults.py",
    "app/test_doors.py",
    "app/test_visitors.py",
    "ganime/training/test_distributed.py",
    "ganime/training/test_run_folder.py",
)
RUNNING = ("app/test_api.py", "app/test_attacks.py", "app/test_fuzz.py")
STEERED = (
    "browser/test_dock.py",
    "browser/test_links.py",
    "browser/test_settings.py",
    "browser/test_tools.py",
    "browser/test_walks.py",
)
OPENED = (
    "browser/test_create.py",
    "browser/test_header.py",
    "browser/test_journeys.py",
    "browser/test_layout.py",
)
TOGETHER = {f"tests/{name}": files[0] for files in (FORKING, RUNNING, STEERED, OPENED) for name in files}


def pytest_configure(config: pytest.Config) -> None:
    """Name the nursery of this run, which all its processes share."""
    if nursery.VARIABLE not in os.environ:
        folder = tempfile.mkdtemp(prefix="ganime-tests-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        os.environ[nursery.VARIABLE] = nursery.place_for(os.getpid(), folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests: those of files with slow ones first, so that no process is left alone with one at the end.

    Browser tests come last: Playwright leaves an event loop running, beside which no other can run.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker(pytest.mark.browser)
    items.sort(key=lambda item: ("browser" in item.path.parts, item.path not in slow))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """As `--dist loadfile` (pytest-xdist), with the files that share what they start in one process."""
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return TOGETHER.get(file, file)

    return Together(config, log)
