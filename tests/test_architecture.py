"""The layout: which room may import from which, and what no file may do."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Every folder of the two packages is a room, and so is every file beside them, with the rooms that it may import from.
# "basics" are the files of ganime/ itself; they import from one another alone.
ENGINE: dict[str, set[str]] = {
    "basics": set(),
    "faces": {"basics"},
    "nets": {"basics"},
    "models": {"basics", "nets"},
    "drawing": {"basics", "nets", "models"},
    "measuring": {"basics", "faces", "nets", "models", "drawing"},
    "training": {"basics", "faces", "nets", "models", "drawing", "measuring"},
    "cli": {"basics", "faces", "nets", "models", "drawing", "measuring", "training"},
}
PAGE: dict[str, set[str]] = {
    "settings": set(),
    "errors": set(),
    "visitors": {"settings", "errors"},
    "disk": {"settings", "errors"},
    "limits": {"recently_used"},
    "loading": set(),
    "arguments": set(),
    "recently_used": set(),
    "components": {"errors"},
    "jobs": {"settings", "errors", "visitors", "loading", "recently_used"},
    "faces": {"settings", "errors", "disk", "visitors", "limits", "loading", "recently_used", "jobs"},
    "server": {"settings", "errors", "disk", "visitors", "limits", "recently_used", "jobs", "faces"},
    "tabs": {"settings", "errors", "visitors", "loading", "components", "jobs", "faces"},
    "static": {"settings", "components", "faces", "server", "tabs"},
    "space": {"settings", "faces", "server", "static"},
    "cli": {"settings", "errors", "jobs", "page"},
    "api": {"settings", "errors", "disk", "visitors", "arguments", "components", "jobs", "faces", "tabs"},
    "page": {"settings", "errors", "visitors", "components", "jobs", "server", "faces", "tabs", "static", "api"},
}
# What loads models and draws; on the page only these rooms call it.
COMPUTERS = ("loading", "faces", "jobs")
COMPUTING = ("ganime.nets", "ganime.models", "ganime.training", "ganime.drawing.sampling")
MOST_LINES = 400
FILES = sorted([*(ROOT / "ganime").rglob("*.py"), *(ROOT / "app").rglob("*.py")])
ENTRIES = {ROOT / "ganime" / "__init__.py", ROOT / "ganime" / "__main__.py", ROOT / "app" / "__main__.py"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), name_of(path))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def imports_of(path: Path, inside_functions: bool = True) -> Iterator[str]:
    """The modules of both packages, and the top-level names of others, that a file imports."""
    tree = tree_of(path)
    for node in ast.walk(tree) if inside_functions else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno} imports relatively"
            assert node.module
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in inner)


def room_of(module: str) -> str:
    """The room of a module of either package, such as "nets" for ganime.nets.dcgan."""
    package, *inner = module.split(".")
    if not inner:
        return "basics" if package == "ganime" else "page"
    in_folder = (ROOT / package / inner[0]).is_dir()
    return inner[0] if in_folder or package == "app" else "basics"


def test_the_rooms_are_those_on_disk() -> None:
    folders = {path.parent.name for path in (ROOT / "ganime").glob("*/__init__.py")}
    assert folders == ENGINE.keys() - {"basics"}
    folders = {path.parent.name for path in (ROOT / "app").glob("*/__init__.py")}
    files = {path.stem for path in (ROOT / "app").glob("*.py") if not path.stem.startswith("__")}
    assert folders | files == PAGE.keys()
    assert "ganime.nets.dcgan" in set(imports_of(ROOT / "ganime" / "training" / "loop.py"))


@pytest.mark.parametrize("path", [path for path in FILES if path not in ENTRIES], ids=name_of)
def test_a_file_imports_only_from_the_rooms_its_own_may_use(path: Path) -> None:
    module = module_of(path)
    package, room = module.split(".")[0], room_of(module)
    for name in imports_of(path):
        other = name.split(".")[0]
        if other == package:
            allowed = (ENGINE if package == "ganime" else PAGE)[room] | {room}
            assert room_of(name) in allowed, f"{module} imports {name}: {room} may not import from {room_of(name)}"
        if package == "ganime":
            assert other not in {"app", "gradio", "gradio_client"}, f"{module} imports {name}"


@pytest.mark.parametrize("path", [path for path in FILES if module_of(path).startswith("app.")], ids=name_of)
def test_the_page_draws_through_the_studio_alone(path: Path) -> None:
    if room_of(module_of(path)) not in COMPUTERS:
        assert not [name for name in imports_of(path) if name.startswith(COMPUTING)]


def test_no_imports_run_in_a_circle() -> None:
    below = {name: {other for other in imports_of(path) if other in MODULES} for name, path in MODULES.items()}
    below = {name: others - {name} for name, others in below.items()}
    while free := [name for name, others in below.items() if not others & below.keys()]:
        for name in free:
            del below[name]
    assert not below, f"a circle runs through {', '.join(sorted(below))}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_fits_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_says_in_one_line_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(tree_of(path))
    assert docstring
    assert docstring.splitlines()[0].rstrip().endswith(".")


@pytest.mark.parametrize("path", FILES, ids=name_of)
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


@pytest.mark.parametrize("path", [path for path in FILES if room_of(module_of(path)) != "cli"], ids=name_of)
def test_only_the_command_line_prints(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"{name_of(path)}:{node.lineno} prints"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_is_unpickled_with_code_in_it(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "np.load", "pickle.load"):
            safe = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert safe.get("weights_only") == "True" or (
                ast.unparse(node.func) == "np.load" and safe.get("allow_pickle", "False") == "False"
            ), f"{name_of(path)}:{node.lineno} may run code from a file"
