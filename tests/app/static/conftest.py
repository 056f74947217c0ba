"""What the tests of the static edition share: its JavaScript in Node.js, and a model as both draw with it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.faces.exported import clarity_arrays, directions_of, exported_numbers
from app.faces.loaded_model import LoadedModel
from app.faces.studio import Studio
from app.settings import Settings
from app.tabs.model_menu import model_value

BROWSER = Path(__file__).with_name("browser.mjs")


def in_node(calls: Any) -> bytes:
    """What the modules answer to calls; see browser.mjs."""
    node = shutil.which("node")
    assert node, "The tests of the static edition need Node.js 20 or newer."
    ran = subprocess.run([node, str(BROWSER)], input=json.dumps(calls).encode(), capture_output=True, timeout=120)
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout


def called(*calls: list[Any]) -> list[Any]:
    """The answers of [module, function, ...arguments]."""
    return json.loads(in_node(calls))


@pytest.fixture(scope="session")
def plain_studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """A studio with the embedded model, without training."""
    return Studio(Settings(home=tmp_path_factory.mktemp("home"), training="off"))


@pytest.fixture(scope="session")
def model(plain_studio: Studio) -> LoadedModel:
    return plain_studio.open(plain_studio.library.start.key)


@pytest.fixture(scope="session")
def art(plain_studio: Studio, model: LoadedModel) -> Callable[..., list[Any]]:
    """Calls tools of the artist: art(["draw", {...}], ...) gives {"recipes", "latents"} of each, or {"error"}."""
    artist, _ = exported_numbers(model)
    clarity = model.checkpoint.clarity
    assert clarity
    arrays = clarity_arrays(clarity)
    about = model_value(plain_studio, plain_studio.library.start) | {
        "dim": artist["dim"],
        "locks": artist["locks"],
        "limits": artist["limits"],
        "directions": {item.name: {"f4": item.vector.tolist()} for item in directions_of(model).items},
        "clarity": {
            "weights": [{"f8": arrays[f"weight{number}"].ravel().tolist()} for number in range(3)],
            "biases": [{"f8": arrays[f"bias{number}"].tolist()} for number in range(3)],
            "held": [{"f8": row.tolist()} for row in arrays["held"]],
            "quantiles": {"f8": arrays["quantiles"].tolist()},
        },
    }
    return lambda *asked: json.loads(in_node([["art", about, list(asked)]]))
