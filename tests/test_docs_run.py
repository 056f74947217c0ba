"""Every command and every snippet of the documents runs, in a folder with the files that they read."""

from __future__ import annotations

import itertools
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from gradio_client import Client
from huggingface_hub import constants
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from ganime.cli import app as command_line
from ganime.drawing import direction_search, projection, ranges
from ganime.drawing.directions import Direction, Directions, save_directions
from ganime.drawing.sampling import generate, recipes_for
from ganime.embedded import EMBEDDED
from ganime.images import png_bytes
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tests.documents import ROOT, RUN, TEXTS, Snippet, arguments_of, blocks
from tests.hub_server import HubServer
from tests.page_server import serve

# Added to documented commands whose defaults take minutes.
pytestmark = pytest.mark.slow  # models are trained, measured and exported

SMALLER = {
    "choose": ["--count", "2"],
    "clarity": ["--faces", "500"],
    "directions": ["--faces", "100", "--judged", "16"],
    "evaluate": ["--count", "64"],
}
PAGE_ADDRESS = "http://127.0.0.1:7860"
FACES = 110  # in faces.zip: a tenth is held out, `evaluate` needs 10, and 100 for training would get a clarity
TINY = (str(ROOT / "tests" / "trainers.py"), "app", "tiny")


@pytest.fixture(scope="module")
def workplace(
    tmp_path_factory: pytest.TempPathFactory, draw_face: Callable[..., Image.Image], tiny: Checkpoint
) -> Path:
    """A folder with every file that the documents' commands read: faces, a picture, models, a run, weights."""
    folder = tmp_path_factory.mktemp("documents")
    for name, first in (("faces.zip", 0), ("more.zip", 1000)):
        with zipfile.ZipFile(folder / name, "w") as archive:
            for seed in range(first, first + FACES):
                draw_face(seed).save(folder / "face.png")
                archive.write(folder / "face.png", f"{seed}.png")
    zipfile.ZipFile(folder / "more.zip").extractall(folder / "more-faces")
    draw_face(5000, 128).save(folder / "picture.jpg")
    draw_face(5000, 128).save(folder / "face.jpg")
    save_checkpoint(tiny, folder / "runs" / "mine")
    save_checkpoint(tiny, folder / "models" / "mine")
    torch.save(example_weights(), folder / "netG.pth")
    embedded = load_checkpoint(EMBEDDED)
    [recipe] = recipes_for(embedded, [7])
    (folder / "face-7.png").write_bytes(png_bytes(generate(embedded, [7])[0], recipe.to_json()))
    (folder / "drawings").mkdir()
    for number, face in enumerate(generate(embedded, range(24), clarity=0.7)):
        drawing = Image.new("RGB", (200, 150), "white")
        drawing.paste(Image.fromarray(face).resize((100, 100)), (60, 30))
        drawing.save(folder / "drawings" / f"{number}.png")
    (folder / "weights").symlink_to(ROOT / "weights")
    return folder


def example_weights() -> dict[str, torch.Tensor]:
    """The weights of a small generator of 64 px in the layout of the PyTorch DCGAN example."""
    widths = (8, 32, 16, 8, 4, 3)
    layers: list[nn.Module] = []
    for number, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        layers.append(nn.ConvTranspose2d(inputs, outputs, 4, 2 if number else 1, 1 if number else 0, bias=False))
        layers += [nn.BatchNorm2d(outputs), nn.ReLU()] if outputs > 3 else [nn.Tanh()]
    return {f"main.{name}": weights for name, weights in nn.Sequential(*layers).state_dict().items()}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, tiny: Checkpoint) -> Iterator[str]:
    """A page on a tiny model with the directions of the documents, whose training jobs take seconds."""
    model = tmp_path_factory.mktemp("model") / "tiny"
    save_checkpoint(tiny, model)
    axes = np.eye(tiny.generator.config.latent_dim, dtype=np.float32)
    items = [Direction(name, "attribute", axis) for name, axis in zip(("smile", "blonde_hair"), axes, strict=False)]
    save_directions(Directions("tiny", tiny.revision, tuple(items)), model)
    with serve(tmp_path_factory.mktemp("home"), command=TINY, GANIME_MODEL=str(model)) as url:
        yield url


@pytest.fixture
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches for pictures and directions take few steps."""
    monkeypatch.setattr(projection, "FIRST_STEPS", 2)
    monkeypatch.setattr(projection, "LAST_STEPS", 2)
    monkeypatch.setattr(direction_search, "VALIDATION_FACES", 16)
    monkeypatch.setattr(direction_search, "ACTIVATIONS", 64)
    monkeypatch.setattr(ranges, "KNOWN_FACES", 32)
    monkeypatch.setattr(ranges, "DRAWN_FACES", 4)


@pytest.mark.usefixtures("short_search")
@pytest.mark.parametrize(
    "command",
    [pytest.param(command, id=str(command)) for command in {command.text: command for command in RUN}.values()],
)
def test_command_runs(command: Snippet, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    arguments = arguments_of(command.text)
    assert arguments is not None, f"run it, or say in NOT_RUN why not: {command.text}"
    result = CliRunner().invoke(command_line, [*arguments, *SMALLER.get(arguments[0], [])])
    assert result.exit_code == 0, result.output or result.exception


@pytest.fixture
def published(tiny_folder: Path, tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hub with the model that the documents call OWNER/NAME."""
    with HubServer() as server:
        server.add_model("OWNER/NAME", tiny_folder)
        server.become_default(monkeypatch)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        yield


@pytest.mark.usefixtures("quick_recipe", "published")
@pytest.mark.parametrize("snippet", [block for block in blocks("python") if "Client" not in block.text], ids=str)
def test_python_snippet_runs(snippet: Snippet, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    text = snippet.text.replace("minutes=60", 'steps=2, start="scratch"')
    execute(snippet, text.replace('"more-faces")', '"more-faces", count=64)'))


@pytest.mark.parametrize("snippet", [block for block in blocks("python") if "Client" in block.text], ids=str)
def test_client_snippet_runs(snippet: Snippet, workplace: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    text = snippet.text.replace(PAGE_ADDRESS, address)
    text = text.replace("minutes=15", 'minutes=15, images=64, start="scratch", image_size=32').replace(
        "sleep(10)", "sleep(0.2)"
    )
    client = execute(snippet, text)["client"]
    assert isinstance(client, Client)
    client.close()


def execute(snippet: Snippet, text: str) -> dict[str, object]:
    scope: dict[str, object] = {}
    exec(compile(text, snippet.document, "exec"), scope)
    return scope


def test_the_endpoints_in_the_table_are_those_of_the_page(address: str) -> None:
    client = Client(address, verbose=False)
    named = client.view_api(print_info=False, return_format="dict")["named_endpoints"]
    client.close()
    rows = re.findall(r"^\| (`/[^|]+) \|", TEXTS["docs/api.md"], re.M)
    assert set(named) == set(re.findall(r"`(/[a-z_]+)`", " ".join(rows)))
