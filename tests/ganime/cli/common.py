"""What tests of several commands share: running a command, and reading the faces that it writes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from ganime.cli import app
from ganime.drawing.recipe import Recipe
from ganime.images import read_recipe


class Answer(NamedTuple):
    """How a command ended, and what it wrote to standard output and standard error."""

    status: int
    out: str
    error: str


def run(*arguments: str | Path) -> str:
    """Run a command; returns what it prints and raises what it raises."""
    answer = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if answer.exception and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    assert answer.exit_code == 0, answer.output
    return answer.output


def drawn(path: Path) -> np.ndarray:
    """The pixels of a picture, uint8, (H, W, 3)."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def recipe_in(path: Path) -> Recipe:
    return Recipe.from_json(read_recipe(path.read_bytes()))


def assert_refused(answer: Answer, *words: str) -> None:
    """Assert exit status 1, and one line on standard error that contains `words`."""
    assert answer.status == 1
    assert re.fullmatch(r"Error: [^\n]+\n", answer.error)
    for word in words:
        assert word in answer.error


def assert_misused(answer: Answer) -> None:
    """Assert exit status 2 and a hint, the custom for arguments that cannot be parsed."""
    assert answer.status == 2
    assert "Traceback" not in answer.error
    assert "Usage" in answer.error
