"""The web page, started from the command line: `page`."""

from __future__ import annotations

import errno
import os
import runpy
import socket
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from ganime.errors import ConfigError

PAGE = "app"  # the package of the web page; the engine never imports it


def page_command(
    host: Annotated[
        str, typer.Option(envvar="GRADIO_SERVER_NAME", help="Address to listen on; 0.0.0.0 for all networks.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="GRADIO_SERVER_PORT", min=1, max=65535, help="Port to listen on.")] = 7860,
) -> None:
    """Start the web page and print its address. Stop it with Ctrl+C."""
    check_installed(PAGE, "gradio")
    check_free(host, port)
    os.environ["GRADIO_SERVER_NAME"], os.environ["GRADIO_SERVER_PORT"] = host, str(port)
    sys.argv[1:] = []  # the page has a command line, too; these arguments were for this command
    runpy.run_module(PAGE, run_name="__main__", alter_sys=True)


def check_installed(*packages: str) -> None:
    """Raise ConfigError, which says how to install it, if a package is missing."""
    for package in packages:
        if find_spec(package) is None:
            extra = "'.[onnx]'" if package == "onnx" else "."
            needed = f"This needs the package {package!r}, which is not installed."
            raise ConfigError(f"{needed} Run: pip install {extra}")


def check_free(host: str, port: int) -> None:
    """Raise ConfigError when nothing can listen on `host` and `port`, such as when another program does."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the page's own server does
            listener.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            taken = f"Port {port} of {host} is in use by another program."
            raise ConfigError(f"{taken} Choose another one with --port.") from error
        raise ConfigError(f"The page cannot listen on {host}, port {port}: {error.strerror or error}.") from error
