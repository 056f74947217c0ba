"""All commands: help, misuse, and refusals of one line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ganime.cli.common import Answer, assert_misused, assert_refused


def test_help_names_every_command(ganime: Callable[..., Answer]) -> None:
    answer = ganime("--help")
    assert answer.status == 0
    for command in ("sample", "interpolate", "train", "evaluate", "inspect", "import"):
        assert command in answer.out
        assert ganime(command, "--help").status == 0


@pytest.mark.parametrize(
    "arguments", [["paint"], ["sample", "--count", "many"], ["sample", "--colour", "red"], ["train"], ["interpolate"]]
)
def test_unknown_commands_and_options_are_misuse(ganime: Callable[..., Answer], arguments: list[str]) -> None:
    assert_misused(ganime(*arguments))


@pytest.mark.parametrize(
    ("command", "out"), [("sample", ["--out", "faces"]), ("interpolate", ["--seeds", "1,2", "--out", "walk.webp"])]
)
def test_models_that_cannot_be_read_are_refused(
    ganime: Callable[..., Answer], tmp_path: Path, tiny_folder: Path, command: str, out: list[str]
) -> None:
    rest = [*out[:-1], tmp_path / out[-1]]
    assert_refused(ganime(command, *rest, "--model", tmp_path / "nowhere"), "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert_refused(ganime(command, *rest, "--model", empty), "config.json")
    cut = shutil.copytree(tiny_folder, tmp_path / "cut")
    os.truncate(cut / "model.safetensors", 500)
    assert_refused(ganime(command, *rest, "--model", cut), "model.safetensors")
    (cut / "config.json").write_text('{"image_size": 48}')
    assert_refused(ganime(command, *rest, "--model", cut), "image_size")
    assert not (tmp_path / out[-1]).exists()


def test_a_refusal_of_the_real_command_has_no_traceback(run_python: Callable, tmp_path: Path) -> None:
    answer = run_python("-m", "ganime", "sample", "--out", tmp_path / "faces", "--truncation", "nan", fresh=True)
    assert_refused(Answer(answer.returncode, answer.stdout, answer.stderr), "truncation")
