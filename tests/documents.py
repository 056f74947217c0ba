"""What tests read in the documents: the texts, and the commands and snippets in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import typer

from ganime.cli import app as command_line

ROOT = Path(__file__).resolve().parents[1]
GUIDES = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
CARDS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "weights").glob("*/README.md"))
DOCUMENTS = (*GUIDES, *CARDS, "CONTRIBUTING.md", "CHANGELOG.md", "weights/make/models.md", "benchmarks/speed.md")
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS}
# Beginnings of commands that are not run, with the reasons. Their options and files are checked instead.
NOT_RUN = {
    "make ": "installs packages, and runs these tests",
    "pip install": "installs packages",
    "docker ": "needs Docker",
    "npm ": "needs Node.js and a network",
    "ganime page": "runs until it is stopped; tests/ganime/cli/test_page.py starts it",
    "ganime static": "needs ONNX Runtime from npm; tests/ganime/cli/test_static.py runs it",
    "python -m http.server": "runs until it is stopped",
    "python -m app jobs": "needs a page with jobs; tests/app/test_cli.py runs it",
    "torchrun ": "trains for as long as nobody stops it; tests/ganime/training/test_distributed.py runs torchrun",
    "python -m benchmarks.": "measures for minutes",
    "python -m weights.make.": "trains for hours, or needs packages of others",
    "ganime train": "trains for an hour; tests/ganime/cli/test_train.py runs it",
    "ganime fetch-run": "needs the hub; tests/ganime/cli/test_hub_job.py runs it",
    "ganime push": "needs the hub; tests/ganime/cli/test_hub.py runs it",
    "ganime remember-faces": "looks at tens of thousands of faces; tests/ganime/cli/test_data.py runs it",
}
COMMANDS = typer.main.get_command(command_line).commands  # type: ignore[attr-defined]
OPTIONS = {
    name: {"--help", *(flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts))}
    for name, command in COMMANDS.items()
}


class Snippet(NamedTuple):
    """A command or a block of Python, and the document that has it."""

    document: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}: {self.text.splitlines()[0]}"


def blocks(language: str, documents: Sequence[str] = DOCUMENTS) -> list[Snippet]:
    """The fenced blocks in one language; "" is for those that name none."""
    found = []
    for name in documents:
        fenced = TEXTS[name].split("```")[1::2]  # every second part is inside a fence
        found += [
            Snippet(name, text) for head, _, text in (part.partition("\n") for part in fenced) if head == language
        ]
    return found


def commands() -> list[Snippet]:
    """Every line of every block of shell commands, without its comment."""
    shell = [*blocks("bash"), *blocks("")]
    lines = [Snippet(name, line.partition("  #")[0].strip()) for name, text in shell for line in text.splitlines()]
    return [line for line in lines if line.text]


def arguments_of(command: str) -> list[str] | None:
    """What follows `ganime` in a command, however it is started; None for a command of another program."""
    words = shlex.split(command)
    for place, word in enumerate(words):
        if word == "ganime" and (place == 0 or words[place - 1] == "-m"):
            return words[place + 1 :]
    return None


def is_run(command: Snippet) -> bool:
    without_variables = re.sub(r"^(\w+=\S+ )+", "", command.text)  # such as OMP_NUM_THREADS=8
    return command.document in GUIDES and not without_variables.startswith(tuple(NOT_RUN))


RUN = [command for command in commands() if is_run(command)]
PARSED = [command for command in commands() if not is_run(command)]
