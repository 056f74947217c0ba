"""Writes the static edition: a folder of plain files that any web server can offer, without Python behind it."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.components import modules
from app.faces.exported import exported_generator, exported_numbers, exported_upscaler
from app.faces.loaded_model import LoadedModel
from app.faces.studio import Studio
from app.server.first_faces import first_face
from app.server.icons import SIDES, favicon_bytes, icon_bytes, manifest_of
from app.settings import MEGABYTE, ROOT, Settings
from app.static.page import DESCRIPTION, PARTS, card_of, page_html
from app.static.runtime import LICENCE, Runtime, find_runtime
from app.static.styles import style_sheet
from app.tabs.model_menu import model_value
from ganime.embedded import UPSCALER
from ganime.errors import ConfigError
from ganime.files import atomic_folder, refuse_to_replace

MOST_BYTES = 25 * MEGABYTE  # of a file; some hosts take no larger ones
ASSETS = "assets"
# What only a server can do, see core/model.js.
LACKS = ("models", "project", "find", "layers", "copies", "training", "avatars")
PAGE_FILE, MODEL_FILE, WORKER_FILE = "index.html", "model.json", "service-worker.js"
OWN_FILES = (PAGE_FILE, MODEL_FILE, WORKER_FILE, ASSETS, "manifest.json", "favicon.ico", "ganime", "licences")


@dataclass
class Folder:
    """The files of an edition by path, and where the page finds its assets, by what they are for."""

    files: dict[str, bytes] = field(default_factory=dict)
    assets: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, purpose: str, name: str, data: bytes) -> str:
        """Add an asset; its path changes with its content, so that browsers may keep it for ever."""
        stem, dot, end = name.partition(".")
        path = f"{ASSETS}/{stem}-{digest(data)}{dot}{end}"
        self.files[path] = data
        self.assets[purpose] = {"path": path, "bytes": len(data)}
        return path


@dataclass(frozen=True)
class Edition:
    """What was written. files: bytes by path. upscaler: whether faces can be sharpened."""

    model: str
    revision: str
    files: Mapping[str, int]
    upscaler: bool


def build(model: str, out: Path, runtime: Path | None, address: str, home: Path) -> Edition:
    """Write the edition of a model. The arguments are those of the command `ganime static`.

    Raises GanimeError for a model that cannot be opened, and what `find_runtime` and `write_edition` raise.
    """
    found = find_runtime(runtime)  # before the model, which takes longer
    return write_edition(Studio(Settings(model=model, training="off", home=home)), out, found, address)


def write_edition(studio: Studio, out: Path, runtime: Runtime, address: str = "") -> Edition:
    """Write the edition of the studio's start model as the folder `out`, completely or not at all.

    address: of the page, for previews of links to it; without one they have no picture.

    Raises CheckpointError if `out` holds files of others, and ConfigError for a model that is too large for a browser.
    """
    refuse_to_replace(out, OWN_FILES)
    info = studio.library.start
    if info.note:
        raise ConfigError(info.note)
    model = studio.open(info.key)
    folder = Folder()
    about = add_drawing(folder, model, runtime) | {"model": model_value(studio, info)}
    sharpens = add_upscaler(folder, model)
    add_program(folder)
    lacks = [*LACKS, *([] if sharpens else ["sharpen"])]
    about["model"] |= {"key": "static", "lacks": lacks, "attributes": [], "training": False, "embedded": info.name}
    add_page(folder, model, about, address)
    check_sizes(folder.files)
    with atomic_folder(out) as temporary:
        for path, data in folder.files.items():
            (temporary / path).parent.mkdir(parents=True, exist_ok=True)
            (temporary / path).write_bytes(data)
    sizes = {path: len(data) for path, data in folder.files.items()}
    return Edition(info.name, info.revision, sizes, sharpens)


def add_drawing(folder: Folder, model: LoadedModel, runtime: Runtime) -> dict[str, Any]:
    """Add the worker that draws faces, with ONNX Runtime and the model; returns what the worker is told of it.

    The large file of ONNX Runtime is packed: not every server packs files.
    """
    folder.add("generator", "generator.onnx", exported_generator(model))
    artist, numbers = exported_numbers(model)
    folder.add("numbers", "numbers.bin", numbers.data)
    folder.add("worker", "worker.js", modules.joined(["static/worker.js"]))
    folder.add("runtime", "ort.mjs", runtime.script)
    folder.add("wasm", "ort.wasm.gz", gzip.compress(runtime.program, mtime=0))
    folder.files |= licences()
    return {"artist": artist, "numbers": numbers.index}


def add_upscaler(folder: Folder, model: LoadedModel) -> bool:
    """Add the upscaler. Returns False for a model whose faces it cannot sharpen."""
    upscaler = exported_upscaler(model)
    if upscaler:
        folder.add("upscaler", "upscaler.onnx", upscaler)
    return upscaler is not None


def add_program(folder: Folder) -> None:
    """Add the page's JavaScript and its style sheet."""
    folder.add("page", "page.js", modules.joined([*(f"{part}/{part}.js" for part in PARTS), "static/host.js"]))
    folder.add("start", "start.js", modules.MODULES["static/start.js"].encode())
    folder.add("style", "style.css", style_sheet(PARTS).encode())


def licences() -> dict[str, bytes]:
    """The licences of what the folder contains, by path."""
    found = {"onnxruntime-web": LICENCE.encode(), "real-cugan": UPSCALER.with_name("LICENSE").read_bytes()}
    own = ROOT / "LICENSE"  # an installed package keeps it elsewhere
    if own.is_file():
        found["ganime"] = own.read_bytes()
    return {f"licences/{name}.txt": data for name, data in found.items()}


def add_page(folder: Folder, model: LoadedModel, about: dict[str, Any], address: str) -> None:
    """Add the page itself, its icons, and the worker that keeps it for visits without a connection."""
    folder.files |= {f"ganime/icon-{side}.png": icon_bytes(side) for side in SIDES}
    folder.files |= {"favicon.ico": favicon_bytes(), "manifest.json": json.dumps(manifest_of(DESCRIPTION)).encode()}
    card = card_of(model) if address else b""
    if card:
        folder.files["ganime/card.jpg"] = card
    paths = {purpose: asset["path"] for purpose, asset in folder.assets.items()}
    folder.files[PAGE_FILE] = page_html(paths, first_face(model), address if card else "").encode()
    version = digest(b"".join(data for _, data in sorted(folder.files.items())))
    name = "".join(letter if letter.isalnum() else "-" for letter in model.checkpoint.name)
    about |= {"files": folder.assets, "cache": f"ganime-{name}-{version}"}
    folder.files[MODEL_FILE] = json.dumps(about).encode()
    kept = ["./", *(path for path in folder.files if not path.startswith("licences/"))]
    head = f"const NAME = {json.dumps(about['cache'])};\nconst FILES = {json.dumps(kept)};\n"
    folder.files[WORKER_FILE] = (head + modules.MODULES["static/service-worker.js"]).encode()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def check_sizes(files: Mapping[str, bytes]) -> None:
    """Raise ConfigError, naming the file, if one is too large for some hosts."""
    for path, data in files.items():
        if len(data) > MOST_BYTES:
            size = f"{path} has {len(data) / 1e6:.1f} MB; a file of the page has at most {MOST_BYTES / 1e6:.1f} MB"
            raise ConfigError(f"{size}. Choose a smaller model.")
