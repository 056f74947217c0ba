"""The house: who may import whom, how long a file may be, and what no file may do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = (  # a file imports from the floors below its own, and on its own floor only from those named before it
    ("errors", "config", "files", "events", "images", "journal", "losses", "augment", "damage", "card"),
    (
        "model",
        "latents",
        "dataset",
        "pictures",
        "duplicates",
        "data",
        "audit",
        "features",
        "matmul",
        "devices",
        "feature_fit",
        "mobilenet",
        "averaging",
        "critic",
        "recording",
        "frechet",
    ),
    (
        "checkpoint",
        "sampling",
        "metrics",
        "known",
        "evaluation",
        "foreign",
        "workers",
        "layer_fit",
        "growing",
        "directions",
        "direction_fit",
        "explore",
        "choosing",
        "projection",
        "layers",
    ),
    ("runs", "health", "progress", "nearest", "training", "hub", "models", "polishing"),
    (
        "cli_options",
        "cli_data",
        "cli_show",
        "cli_learning",
        "cli_polish",
        "cli_explore",
        "cli_known",
        "cli_own",
        "cli",
        "__main__",
    ),
)
PLACES = {name: place for place, name in enumerate(name for floor in FLOORS for name in floor)}
MOST_LINES = 300
ENGINE = sorted((ROOT / "ganime").rglob("*.py"))
PAGE = sorted((ROOT / "app").rglob("*.py"))
MODULES = [path for path in ENGINE if path.stem != "__init__"]
SILENT = [path for path in ENGINE if not path.stem.startswith("cli")]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), name_of(path))


def imports_of(path: Path) -> Iterator[str]:
    """The full names of all modules a file imports, also inside functions and for type checking alone."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno} imports relatively"
            assert node.module
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def neighbours_of(path: Path) -> set[str]:
    """The modules of `ganime` that a file imports."""
    names = {name.split(".")[1] for name in imports_of(path) if name.startswith("ganime.")}
    return {name for name in names if (ROOT / "ganime" / f"{name}.py").exists()}


def test_the_house_is_found() -> None:
    assert {"config", "model", "training", "cli"} <= {path.stem for path in ENGINE}
    assert {"main", "studio"} <= {path.stem for path in PAGE}
    assert neighbours_of(ROOT / "ganime" / "training.py") >= {"errors", "losses", "model"}


@pytest.mark.parametrize("path", ENGINE, ids=name_of)
def test_engine_never_imports_gradio_or_the_page(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports_of(path)} & {"gradio", "gradio_client", "app"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_engine_file_has_a_floor(path: Path) -> None:
    assert path.stem in PLACES, f"give {path.stem} a place in FLOORS"
    assert path.parent == ROOT / "ganime"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_engine_files_import_only_from_below(path: Path) -> None:
    above = sorted(name for name in neighbours_of(path) if PLACES[name] >= PLACES[path.stem])
    assert not above, f"{path.stem} imports {', '.join(above)}"


def test_engine_imports_run_in_no_circle() -> None:
    below = {path.stem: neighbours_of(path) for path in MODULES}
    while free := [name for name, names in below.items() if not names & below.keys()]:
        for name in free:
            del below[name]
    assert not below, f"a circle runs through {', '.join(sorted(below))}"


def test_contributing_puts_every_file_on_the_floor_it_is_on() -> None:
    told: dict[str, int] = {}
    for line in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines():
        if row := re.match(r"\| (\d) \|([^|]*)\|", line):
            told |= {name: int(row[1]) for name in re.findall(r"`(\w+)`", row[2])}
    floor_of = {name: number for number, floor in enumerate(FLOORS, start=1) for name in floor}
    assert told == {path.stem: floor_of[path.stem] for path in MODULES if path.stem != "__main__"}


@pytest.mark.parametrize("path", [*ENGINE, *PAGE], ids=name_of)
def test_a_file_fits_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", [*ENGINE, *PAGE], ids=name_of)
def test_a_file_says_in_one_line_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(tree_of(path))
    assert docstring
    assert docstring.splitlines()[0].rstrip().endswith(".")


@pytest.mark.parametrize("path", [*ENGINE, *PAGE], ids=name_of)
def test_no_error_is_swallowed_in_silence(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ExceptHandler):
            where = f"{name_of(path)}:{node.lineno}"
            assert node.type is not None, f"{where} has a bare except"
            silent = all(
                isinstance(line, ast.Pass)
                or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and line.value.value is ...)
                for line in node.body
            )
            assert not silent, f"{where} passes over an error"


@pytest.mark.parametrize("path", SILENT, ids=name_of)
def test_only_the_command_line_prints(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"{name_of(path)}:{node.lineno} prints"


@pytest.mark.parametrize("path", [*ENGINE, *PAGE], ids=name_of)
def test_nothing_is_unpickled_with_code_in_it(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "np.load", "pickle.load"):
            safe = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert safe.get("weights_only") == "True" or (
                ast.unparse(node.func) == "np.load" and safe.get("allow_pickle", "False") == "False"
            ), f"{name_of(path)}:{node.lineno} may run code from a file"
