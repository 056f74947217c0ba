"""The web page as a folder of plain files, which draws in the visitor's browser: `static`."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from ganime.cli.common import DEFAULT_HOME, HomeOption, ModelOption
from ganime.cli.page import PAGE, check_installed
from ganime.embedded import EMBEDDED

RuntimeOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder with ONNX Runtime for browsers; by default node_modules/onnxruntime-web/dist.", show_default=False
    ),
]


def static_command(
    out: Annotated[Path, typer.Option(help="Folder to write; an earlier edition in it is replaced.")],
    model: ModelOption = str(EMBEDDED),
    runtime: RuntimeOption = None,
    address: Annotated[
        str, typer.Option(help="Address at which the page will be found, for pictures beside links to it.")
    ] = "",
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Write the web page as plain files for any web server. Faces are drawn in the visitor's browser."""
    check_installed(PAGE, "gradio", "onnx")
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # no request to the outside
    edition: Any = import_module(f"{PAGE}.static.edition")  # by its name, since the engine never imports the page
    written = edition.build(model, out, runtime, address, home)
    for path, size in sorted(written.files.items(), key=lambda entry: -entry[1]):
        print(f"{size:>12,}  {path}")
    whole = sum(written.files.values())
    print(f"{whole:>12,}  bytes in {out}: {written.model}, revision {written.revision}")
    print(f"Look at it: python -m http.server --directory {out}")
