"""The folder of a Space: what the hub reads in it, what is left out, and that the page starts from it."""

from __future__ import annotations

import io
import re
import subprocess
from functools import partial
from pathlib import Path

import pytest
from huggingface_hub import RepoCard, SpaceCardData
from PIL import Image

from app import space
from app.settings import ROOT
from app.space import write_gradio_space, write_static_space
from app.static.runtime import find_runtime
from ganime.errors import ConfigError

RUNTIME = {"ort.wasm.bundle.min.mjs": b"export default 0;", "ort-wasm-simd-threaded.wasm": b"\0asm"}


def front_matter(folder: Path) -> SpaceCardData:
    card = RepoCard((folder / "README.md").read_text(encoding="utf-8"))
    return card.data  # type: ignore[return-value]


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runtime")
    for name, data in RUNTIME.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def gradio_space(runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gradio") / "space"
    assert write_gradio_space(folder, "ada/page", "", tmp_path_factory.mktemp("home"), runtime)
    return folder


def test_gradio_space_has_the_front_matter_that_the_hub_needs(gradio_space: Path) -> None:
    front = front_matter(gradio_space)
    assert front["sdk"] == "gradio"
    assert (gradio_space / front["app_file"]).is_file()
    assert front["header"] == "mini"
    assert front["hf_oauth_scopes"] == ["contribute-repos", "jobs"]
    assert front["thumbnail"] == "https://huggingface.co/spaces/ada/page/resolve/main/thumbnail.jpg"
    assert Image.open(io.BytesIO((gradio_space / "thumbnail.jpg").read_bytes())).size == (1200, 630)
    assert "models" not in front


def test_gradio_space_holds_the_repository_without_what_it_does_not_need(gradio_space: Path) -> None:
    for name in ("app/__main__.py", "ganime/__init__.py", "weights/anime-128/model.safetensors", "LICENSE"):
        assert (gradio_space / name).read_bytes() == (ROOT / name).read_bytes()
    assert not (gradio_space / "weights" / "make").exists()
    assert not list(gradio_space.rglob("__pycache__"))
    assert {path.name for path in gradio_space.iterdir()} == {
        *space.PARTS,
        "README.md",
        "thumbnail.jpg",
        "node_modules",
    }


def test_gradio_space_takes_along_what_browsers_draw_with(gradio_space: Path) -> None:
    found = find_runtime(places=[gradio_space])
    assert (found.script, found.program) == tuple(RUNTIME.values())
    [line] = [line for line in (gradio_space / "requirements.txt").read_text().splitlines() if line.startswith("onnx")]
    assert f'"{line.partition(" #")[0]}"' in (ROOT / "pyproject.toml").read_text()


def test_what_merely_lies_in_a_checkout_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, out = tmp_path / "checkout", tmp_path / "space"
    own = ["README.md", "requirements.txt", "LICENSE", "app/page.py", "ganime/drawing/recipe.py", "weights/mine/a.json"]
    for name in (*own, "weights/make/note.md", "app/secret.py", "app/.env", "weights/private/model.safetensors"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("torch", encoding="utf-8")
    for command in (["init", "-q"], ["add", *own, "weights/make"]):
        subprocess.run(["git", "-C", str(root), *command], check=True)
    monkeypatch.setattr(space, "ROOT", root)
    monkeypatch.setattr(space, "thumbnail", lambda model, home: b"jpeg")
    monkeypatch.setattr(space, "find_runtime", partial(find_runtime, places=[root]))
    assert not write_gradio_space(out, "ada/page", "", tmp_path)
    written = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert written == {*own, "thumbnail.jpg"}


def test_gradio_space_asks_for_a_torch_that_zero_gpu_accepts(gradio_space: Path) -> None:
    ours = (ROOT / "requirements.txt").read_text().splitlines()
    its = (gradio_space / "requirements.txt").read_text().splitlines()
    [line] = [line for line in its if line.startswith("torch")]
    assert re.fullmatch(r"torch>=2\.8,<2\.12\b.*", line)
    assert [line for line in its if not line.startswith("torch")] == [
        line for line in ours if not line.startswith("torch")
    ] + [space.ONNX]


def test_static_space_is_the_page_without_a_server(tiny_folder: Path, runtime: Path, tmp_path: Path) -> None:
    out = tmp_path / "space"
    write_static_space(out, "Ada/My_Page", str(tiny_folder), "ada/faces@v1", runtime, tmp_path / "home")
    front = front_matter(out)
    assert front["sdk"] == "static"
    assert front["models"] == ["ada/faces"]
    assert not {"app_file", "sdk_version", "python_version", "hf_oauth", "hf_oauth_scopes"} & set(front.to_dict())
    assert front["thumbnail"].endswith("/Ada/My_Page/resolve/main/ganime/card.jpg")
    assert (out / "ganime" / "card.jpg").is_file()
    assert "https://ada-my-page.static.hf.space/ganime/card.jpg" in (out / "index.html").read_text()


def test_an_installed_package_makes_no_gradio_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "ROOT", tmp_path)
    with pytest.raises(ConfigError, match="--static"):
        write_gradio_space(tmp_path / "space", "ada/page", "", tmp_path)
