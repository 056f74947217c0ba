"""The documents: every command, flag, path and setting that README names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from app.settings import Settings
from ganime.cli import app

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")}


def commands() -> dict[str, set[str]]:
    """Every command of the command line with its flags."""
    group = typer.main.get_command(app)
    found: dict[str, set[str]] = {}
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        found[name] = {flag for parameter in command.params for flag in parameter.opts if flag.startswith("--")}
    return found


def test_every_command_line_in_readme_would_be_understood() -> None:
    known = commands()
    lines = re.findall(r"^python -m ganime (\w[\w-]*)(.*)$", README, re.MULTILINE)
    assert len(lines) >= 6
    for name, rest in lines:
        assert name in known, name
        flags = set(re.findall(r"(--[a-z-]+)", rest.partition("#")[0]))
        assert flags <= known[name] | {"--help"}, (name, flags)


def test_every_flag_in_the_prose_exists() -> None:
    every = set().union(*commands().values())
    for flag in re.findall(r"`(--[a-z-]+)[ `]", README):
        assert flag in every | {"--extra-index-url", "--help"}, flag


def test_readme_describes_every_setting_of_the_page_in_the_words_of_its_field() -> None:
    rows = dict(re.findall(r"^\| `GANIME_([A-Z_]+)` \| (.+?) \| .* \|$", README, re.MULTILINE))
    assert rows == {name.upper(): field.description for name, field in Settings.model_fields.items()}
    assert set(re.findall(r"GANIME_([A-Z_]+)", README)) == rows.keys()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_linked_or_named_path_exists(name: str) -> None:
    text = DOCUMENTS[name]
    linked = [target for target in re.findall(r"\]\(([^)#]+)\)", text) if not target.startswith("http")]
    named = re.findall(r"(?<![\w/.-])((?:weights|tests|benchmarks|ganime|app)/[\w./-]*\w)", text)
    for target in {*linked, *named}:
        assert (ROOT / target).exists(), target


def test_make_targets_named_in_the_documents_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for text in DOCUMENTS.values():
        for target in re.findall(r"make (run|test|lint|setup|chromium|clean)\b", text):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_python_example_in_readme_runs() -> None:
    [example] = [block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "load_checkpoint" in block]
    scope: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), scope)
    assert scope["faces"].shape == (3, 128, 128, 3)  # type: ignore[attr-defined]


def test_changelog_names_the_version_of_the_package_or_calls_it_unreleased() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[(Unreleased|\d+\.\d+\.\d+)\]", changelog, re.MULTILINE)
