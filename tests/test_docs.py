"""The documents: every command, path, setting and endpoint that they name exists. test_docs_run.py runs them."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

import ganime
from app.api import FaceEndpoints
from app.settings import Settings
from ganime import __version__
from ganime.drawing.clarity import DEFAULT_CLARITY
from tests.documents import (
    COMMANDS,
    DOCUMENTS,
    GUIDES,
    OPTIONS,
    PARSED,
    ROOT,
    RUN,
    TEXTS,
    Snippet,
    arguments_of,
    blocks,
)


def test_the_readme_is_short() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= 150


def test_guides_have_commands_and_snippets_to_run() -> None:
    assert len(RUN) >= 15
    assert len(blocks("python", GUIDES)) >= 4


@pytest.mark.parametrize("command", PARSED, ids=str)
def test_command_that_is_not_run_has_options_and_files_that_exist(command: Snippet) -> None:
    arguments = arguments_of(command.text)
    if arguments is not None:
        check_options(arguments)
        return
    for module in re.findall(r"-m ((?:benchmarks|weights)\.[\w.]+)", command.text):
        found = importlib.util.find_spec(module)
        assert found, module
        assert found.origin
        source = Path(found.origin).read_text(encoding="utf-8")
        for flag in re.findall(r"--([a-z-]+)", command.text):
            assert flag in source or flag.replace("-", "_") in source, flag
    for target in re.findall(r"^make ([\w-]+)", command.text):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE), target
    for path in re.findall(r"-r (\S+)", command.text):
        assert (ROOT / path).exists(), path


def check_options(arguments: list[str]) -> None:
    """The command exists and has these options."""
    name, *rest = arguments
    assert name in COMMANDS, name
    unknown = {word.partition("=")[0] for word in rest if word.startswith("--")} - OPTIONS[name]
    assert not unknown, f"{name} has no {unknown}"


def test_commands_in_the_prose_exist() -> None:
    for name in DOCUMENTS:
        for words in re.findall(r"`(?:python -m )?ganime ([a-z][^`]*)`", TEXTS[name]):
            check_options(shlex.split(words))
        for module in re.findall(r"python -m ((?:benchmarks|weights)\.[\w.]*\w)", TEXTS[name]):
            assert importlib.util.find_spec(module), module


def test_options_in_the_prose_exist() -> None:
    known = set().union(*OPTIONS.values())
    others = {"--extra-index-url", "--node-rank", "--stop-timeout"}
    for name in GUIDES:
        prose = re.sub(r"```.*?```", "", TEXTS[name], flags=re.DOTALL)
        for flag in re.findall(r"`(--[a-z-]+)[ `]", prose):
            assert flag in known | others, f"{name}: {flag}"


def test_the_table_has_every_command() -> None:
    [table] = re.findall(r"\| command \| what it does \|\n(.*?)\n\n", TEXTS["docs/api.md"], re.DOTALL)
    named = {name for row in table.splitlines() for name in re.findall(r"`([a-z-]+)`", row.split("|")[1])}
    assert named == {name for name, command in COMMANDS.items() if not command.hidden}


def test_the_table_has_every_setting_in_the_words_of_its_field_and_its_default() -> None:
    rows = re.findall(r"^\| `GANIME_([A-Z_]+)` \| (.+?) \| (.+) \|$", TEXTS["docs/hosting.md"], re.MULTILINE)
    assert {name.lower(): words for name, words, _ in rows} == {
        name: field.description for name, field in Settings.model_fields.items()
    }
    for name, _, default in rows:
        value = Settings.model_fields[name.lower()].default
        if isinstance(value, int | float):
            assert default == str(value).removesuffix(".0").lower(), name


def test_the_table_of_the_layout_has_every_room_and_file() -> None:
    for package, title in (("ganime", "engine"), ("app", "page")):
        [table] = re.findall(rf"\| {title} \| contains \|\n(.*?)\n\n", TEXTS["CONTRIBUTING.md"], re.DOTALL)
        named = re.findall(r"`([\w/]+)`", "".join(row.split("|")[1] for row in table.splitlines()))
        folders = {f"{path.parent.name}/" for path in (ROOT / package).glob("*/__init__.py")}
        files = {path.stem for path in (ROOT / package).glob("*.py") if not path.stem.startswith("__")}
        assert sorted(named) == sorted(folders | files), package


def test_the_default_clarity_is_the_one_that_is_described() -> None:
    value = f"{DEFAULT_CLARITY:g}"
    assert f"By default {value}, or 0 if" in str(ganime.generate.__doc__)
    assert f"{value} by default if the model has a clarity" in re.sub(r"\s+", " ", str(FaceEndpoints.generate.__doc__))
    assert f"use {value} unless you say otherwise" in TEXTS["docs/api.md"].replace("\n", " ")
    assert f'"clarity": np.array([{value}])' in TEXTS["docs/api.md"]
    assert f"of all faces: {value} by default" in TEXTS["docs/how-it-works.md"].replace("\n", " ")


def test_settings_in_the_prose_exist() -> None:
    for name in GUIDES:
        for setting in re.findall(r"GANIME_([A-Z_]+)", TEXTS[name]):
            assert setting.lower() in Settings.model_fields, f"{name}: {setting}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_and_every_path_exists(name: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", TEXTS[name]):
        if not target.startswith("http"):
            assert ((ROOT / name).parent / target).exists(), target
    for path in re.findall(r"(?<![\w/.-])((?:weights|tests|benchmarks|ganime|app|docs)/[\w./-]*\w)", TEXTS[name]):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("name", GUIDES)
def test_every_link_to_a_heading_exists(name: str) -> None:
    for target, heading in re.findall(r"\]\(([^)#]*)#([^)]+)\)", TEXTS[name]):
        linked = (ROOT / name).parent / target if target else ROOT / name
        titles = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
        assert heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_pictures_are_small_and_all_used() -> None:
    used = {Path(path).name for text in TEXTS.values() for path in re.findall(r"pictures/([\w.-]+)", text)}
    pictures = list((ROOT / "docs" / "pictures").iterdir())
    assert {picture.name for picture in pictures} == used
    for picture in pictures:
        assert picture.stat().st_size <= (900_000 if picture.name == "animation.webp" else 120_000), picture.name


def test_the_changelog_has_the_version_of_the_package() -> None:
    assert re.search(rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d$", TEXTS["CHANGELOG.md"], re.MULTILINE)


def test_the_front_matter_names_files_and_versions_that_exist() -> None:
    front = TEXTS["README.md"].split("---")[1]
    assert (ROOT / re.findall(r"app_file: (\S+)", front)[0]).exists()
