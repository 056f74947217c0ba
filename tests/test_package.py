"""The package: its public API, its metadata, the pin of gradio, and a wheel that works away from the checkout."""

from __future__ import annotations

import ast
import os
import pkgutil
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio
import numpy as np
import pytest
from packaging.requirements import Requirement

import ganime
from app import space
from app.server import request_limits
from app.static.runtime import PACKAGE, PROGRAM, SCRIPT
from ganime.drawing import sampling
from ganime.embedded import EMBEDDED
from ganime.errors import ConfigError, DataError
from ganime.models.checkpoint import Checkpoint, load_checkpoint

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WEIGHTS = {
    "anime-128",
    "anime-critic",
    "anime-faces",
    "anime-features",
    "broad-eyes",
    "face-detector",
    "real-cugan",
}


def requirements(name: str) -> list[str]:
    lines = [line.partition("#")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line]


def test_dependencies_are_those_of_requirements_txt() -> None:
    assert sorted(PYPROJECT["project"]["dependencies"]) == sorted(requirements("requirements.txt"))


def test_the_container_locks_what_requirements_txt_allows() -> None:
    lock = (ROOT / "container" / "requirements.lock").read_text(encoding="utf-8")
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE))
    [pins["torch"]] = re.findall(r"torch==(\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    for line in map(Requirement, requirements("requirements.txt")):
        assert line.specifier.contains(pins[line.name]), f"{line}: run container/lock.py"
    entries = re.split(r"(?m)^(?=[\w.-]+==)", lock)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_container_holds_what_a_space_does() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = set(re.findall(r"^COPY (\w+) \S+$", dockerfile, re.MULTILINE))
    assert copied == set(space.PARTS) - {"requirements.txt"}
    assert {f"!{part}" for part in copied} <= set(patterns)
    assert space.MAKING.as_posix() in patterns
    for name in (SCRIPT, PROGRAM):
        assert f"node_modules/{PACKAGE}/dist/{name}" in dockerfile


def test_the_container_writes_only_where_its_user_may() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    [owned] = re.findall(r"chown 1000 (\S+)", dockerfile)
    [hub] = re.findall(r"HF_HOME=(\S+)", dockerfile)  # where downloads and uploads of the hub keep what they need
    assert Path(hub).is_relative_to(owned)


def test_every_optional_dependency_of_users_is_one_of_developers_too() -> None:
    extras = PYPROJECT["project"]["optional-dependencies"]
    pin = next(line for line in requirements("requirements.txt") if line.startswith("gradio"))
    assert extras.pop("mcp") == [pin.replace("gradio", "gradio[mcp]")]  # which developers have without its extra,
    assert "mcp" in {Requirement(line).name for line in extras["dev"]}  # of which mcp is what the page needs
    assert {line for needed in extras.values() for line in needed} <= set(extras["dev"])


def test_the_version_has_one_home() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", ganime.__version__)
    assert PYPROJECT["project"]["dynamic"] == ["version"]
    assert PYPROJECT["tool"]["hatch"]["version"]["path"] == "ganime/version.py"


def test_the_pin_of_gradio_and_of_the_space_agree() -> None:
    [pin] = [line for line in requirements("requirements.txt") if line.startswith("gradio")]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [space] = re.findall(r"^sdk_version: (\S+)$", readme, re.MULTILINE)
    assert pin == "gradio==" + ".".join([*space.split(".")[:2], "*"])
    assert gradio.__version__.split(".")[:2] == space.split(".")[:2]


# What the page uses although any release may change it: what has or sets it, its name, and where and why it is used.
# Because of those of gradio, it is pinned to one minor release.
PRIVATE_NAMES = [
    ("gradio.processing_utils", "async_ssrf_protected_download", "app/server/request_limits.py: nothing is fetched"),
    ("gradio.processing_utils", "async_ssrf_protected_get", "app/server/request_limits.py: nothing is fetched"),
    ("gradio.processing_utils", "async_move_files_to_cache", "app/server/request_limits.py: no path is looked up"),
    ("gradio.processing_utils", "check_all_files_in_cache", "app/server/request_limits.py: no path is looked up"),
    ("gradio.state_holder.SessionState", "_update_value_in_config", "app/server/request_limits.py: no value is kept"),
    ("gradio.queueing", "Queue", "app/server/event_queue.py: events of a visitor are counted"),
    ("gradio.queueing", "AsyncQueue", "app/server/event_queue.py: messages that nobody reads are forgotten"),
    ("gradio.routes", "CustomCORSMiddleware", "app/server/origins.py: other sites are sent no cookies of visitors"),
    ("gradio.Blocks.queue", "_queue", "app/server/known_names.py: an event that is not there is refused"),
    ("gradio.EventData.__init__", "_data", "app/components/bridge.py: data of any type may arrive"),
    ("gradio.mcp.GradioMCPServer", "_prepare_tool_call_args", "app/server/mcp_tools.py: wrong arguments are explained"),
    ("starlette._utils", "get_route_path", "app/server/: the path of a request without the page's own"),
    ("tempfile", "_TemporaryFileWrapper", "app/server/model_endpoint.py: the type of a temporary file"),
]


@pytest.mark.parametrize(("owner", "name", "reason"), PRIVATE_NAMES)
def test_a_private_name_that_the_page_needs_is_there(owner: str, name: str, reason: str) -> None:
    there = pkgutil.resolve_name(owner)
    code = getattr(there, "__code__", None)  # of a function that sets it on an object
    assert name in code.co_names if code else hasattr(there, name), (
        f"{owner} has no {name} in gradio {gradio.__version__}. {reason}. Either keep the earlier pin, in "
        "requirements.txt and pyproject.toml, or change the page."
    )


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def private_names_in(tree: ast.Module) -> Iterator[str]:
    """The private names of others that a file takes from objects and modules, or replaces by name."""
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in own:
            yield node.attr
        if isinstance(node, ast.ImportFrom) and any(map(is_private, str(node.module).split("."))):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if is_private(alias.name))


def test_every_private_name_in_the_page_is_listed_above() -> None:
    listed = {name for _, name, _ in PRIVATE_NAMES}
    used = {name for path in (ROOT / "app").rglob("*.py") for name in private_names_in(ast.parse(path.read_text()))}
    assert used <= listed
    assert {"_data", "_queue", "_prepare_tool_call_args", "get_route_path"} <= used


def test_every_name_of_gradio_that_the_page_replaces_is_listed_above(monkeypatch: pytest.MonkeyPatch) -> None:
    replaced: list[str] = []
    monkeypatch.setattr(request_limits, "setattr", lambda owner, name, value: replaced.append(name), raising=False)
    request_limits.restrict_gradio()
    assert replaced
    assert set(replaced) <= {name for _, name, _ in PRIVATE_NAMES}


def test_the_public_api_is_all_there_and_documented() -> None:
    expected = {
        "Recipe",
        "__version__",
        "avatar",
        "best_seeds",
        "evaluate",
        "generate",
        "interpolate",
        "load_model",
        "sharpen",
        "train",
    }
    assert set(ganime.__all__) == expected
    assert all(getattr(ganime, name).__doc__ for name in expected - {"__version__"})
    assert (ROOT / "ganime" / "py.typed").is_file()


def test_importing_the_package_does_not_import_torch(run_python: Callable) -> None:
    code = "import sys, ganime; ganime.Recipe; print([name for name in ('torch', 'gradio') if name in sys.modules])"
    assert run_python("-c", code, fresh=True).stdout.strip() == "[]"


def test_load_model_takes_the_embedded_model_a_folder_or_a_run(tiny: Checkpoint, tiny_folder: Path) -> None:
    assert ganime.load_model().revision == load_checkpoint(EMBEDDED).revision
    assert ganime.load_model(tiny_folder).revision == tiny.revision
    assert ganime.load_model(str(tiny_folder), with_discriminator=True).discriminator is not None


def test_models_and_faces_are_cached_in_the_users_cache_folder_or_ganime_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GANIME_HOME", str(tmp_path / "mine"))
    assert ganime._home(None) == tmp_path / "mine"
    assert ganime._home(tmp_path) == tmp_path
    monkeypatch.delenv("GANIME_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert ganime._home(None) == tmp_path / "cache" / "ganime"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert ganime._home(None) == Path.home() / ".cache" / "ganime"


def test_generate_and_interpolate_draw_what_the_engine_draws(tiny: Checkpoint) -> None:
    np.testing.assert_array_equal(ganime.generate(tiny, [3, 4], 0.5), sampling.generate(tiny, [3, 4], 0.5))
    film = ganime.interpolate(tiny, [3, 4], 5, loop=True, easing="smooth")
    np.testing.assert_array_equal(film, sampling.interpolate(tiny, [3, 4], 5, loop=True, easing="smooth"))


@pytest.mark.usefixtures("quick_recipe")
def test_train_makes_a_run_that_load_model_and_evaluate_take(
    tiny_folder: Path, faces_folder: Path, draw_face: Callable, tmp_path: Path
) -> None:
    events = list(ganime.train(faces_folder, tmp_path / "run", start=tiny_folder, steps=1, device="cpu"))
    assert type(events[-1]).__name__ == "Done"
    model = ganime.load_model(tmp_path / "run")
    assert model.generator.config.image_size == 32
    (tmp_path / "others").mkdir()
    for seed in range(100, 120):
        draw_face(seed).save(tmp_path / "others" / f"{seed}.png")
    report = ganime.evaluate(model, [tmp_path / "others"], count=20, trained_on=faces_folder)
    assert (report.generated, report.reference) == (20, 20)
    assert report.copying is not None
    with pytest.raises(DataError, match="64 faces occur both"):
        ganime.evaluate(model, faces_folder, count=20, trained_on=faces_folder)


def test_train_refuses_a_folder_that_contains_a_run_or_is_among_the_faces(faces_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").touch()
    (tmp_path / "saves" / "best").mkdir(parents=True)
    with pytest.raises(ConfigError, match="already contains a run"):
        ganime.train(faces_folder, tmp_path, steps=1)
    with pytest.raises(ConfigError, match="sample grids would count as faces"):
        ganime.train(faces_folder, faces_folder / "run", steps=1)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built by the hatchling of this environment."""
    pytest.importorskip("hatchling", reason="hatchling builds the wheel: pip install -e '.[dev]'")
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT)], check=True, timeout=240)
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of a fresh environment with the wheel in it, and nothing of the checkout; the dependencies are
    those of this environment."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", str(scripts / "python"), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-index", str(wheel)], check=True, timeout=120)
    [site] = folder.rglob("site-packages")
    dependencies = [path for path in sys.path if path.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(dependencies), encoding="utf-8")
    return scripts


def test_every_folder_of_weights_is_packaged() -> None:
    folders = {path.parent.name for path in (ROOT / "weights").glob("*/README.md")}
    assert folders == WEIGHTS
    assert set(PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]) == {
        f"weights/{name}" for name in WEIGHTS
    }


@pytest.mark.slow
def test_the_wheel_holds_both_packages_and_the_embedded_weights_with_their_cards(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.split("/")[2] for name in names if name.startswith("ganime/weights/")} == WEIGHTS
    assert {f"ganime/weights/{name}/README.md" for name in WEIGHTS} <= names
    page = ("app/page.py", "app/components/page.js", "app/components/shared/common.css", "app/server/icon.webp")
    for name in ("ganime/py.typed", "ganime/weights/broad-eyes/LICENSE", *page):
        assert name in names
    tops = {name.split("/")[0] for name in names}
    assert tops == {"ganime", "app", f"ganime-{ganime.__version__}.dist-info"}


@pytest.mark.slow
def test_an_installed_package_draws_faces_from_any_folder(installed: Path, tmp_path: Path) -> None:
    def run(*command: str) -> str:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [str(installed / command[0]), *command[1:]],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment | {"OMP_NUM_THREADS": "1"},
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("ganime", "sample", "--count", "1", "--seed", "7", "--npy", "face.npy")
    expected = sampling.generate(load_checkpoint(EMBEDDED), [7])
    np.testing.assert_array_equal(np.load(tmp_path / "face.npy"), expected)
    code = (
        "import ganime; from ganime import load_model, generate; import importlib.metadata as m;"
        "print(ganime.__file__, m.version('ganime') == ganime.__version__, generate(load_model(), [7]).sum());"
        "import sys; from ganime.__main__ import main; sys.argv = ['ganime', 'page', '--help']; main()"
    )
    place, same, total, *page_help = run("python", "-c", code).split()
    assert Path(place).is_relative_to(installed.parent)
    assert same == "True"
    assert int(total) == expected.sum()
    assert "--port" in page_help
