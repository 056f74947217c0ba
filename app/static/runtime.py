"""ONNX Runtime for the browser, which npm installs and the static edition takes along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.settings import ROOT
from ganime.errors import ConfigError

PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"  # that the page was tested with; package.json names the same
SCRIPT, PROGRAM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
LICENCE = """MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""  # npm's package says MIT and leaves the text out; this is the one in https://github.com/microsoft/onnxruntime


@dataclass(frozen=True)
class Runtime:
    """The two files of ONNX Runtime: the script, and the program in WebAssembly (SIMD, used with one thread)."""

    script: bytes
    program: bytes


def find_runtime(folder: Path | None = None, places: Sequence[Path] = (Path(), ROOT)) -> Runtime:
    """Read ONNX Runtime from a folder, or from node_modules in one of `places`.

    Raises ConfigError, which says how to get it, if it is not there.
    """
    folders = [folder] if folder else [place / "node_modules" / PACKAGE / "dist" for place in places]
    for found in folders:
        if (found / SCRIPT).is_file() and (found / PROGRAM).is_file():
            return Runtime((found / SCRIPT).read_bytes(), (found / PROGRAM).read_bytes())
    looked = " and ".join(str(found) for found in dict.fromkeys(folders))
    raise ConfigError(
        f"ONNX Runtime for browsers is not in {looked}. Run: npm install {PACKAGE}@{VERSION}. Or name the folder that "
        f"holds {SCRIPT} and {PROGRAM}: --runtime FOLDER."
    )
