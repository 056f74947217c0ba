"""The project's own files, for what is copied to another machine: nothing that merely lies beside them."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

SUFFIXES = {".css", ".html", ".js", ".json", ".md", ".py", ".safetensors", ".txt", ".typed", ".webp"}
SECONDS = 60  # for git to list them


def own_files(root: Path, parts: tuple[str, ...]) -> list[Path]:
    """The files of the project among some parts of it, relative to `root`, in order.

    root: a checkout, in which they are the files that git knows; or a folder without git, in which they are told by
    their suffixes. parts: files and folders in it; those that it lacks are ignored.
    """
    found = tracked(root, parts) if (root / ".git").exists() else None
    if found is None:
        inside = [path for part in parts for path in [root / part, *(root / part).rglob("*")]]
        found = [path.relative_to(root) for path in inside if path.suffix in SUFFIXES or path.name == "LICENSE"]
    return sorted(path for path in found if (root / path).is_file() and not is_hidden(path))


def tracked(root: Path, parts: tuple[str, ...]) -> list[Path] | None:
    """The files that git knows, None where git cannot tell."""
    with suppress(OSError, subprocess.SubprocessError):
        command = ["git", "-C", str(root), "ls-files", "-z", "--", *parts]
        listed = subprocess.run(command, capture_output=True, check=True, timeout=SECONDS).stdout
        return [Path(name) for name in listed.decode().split("\0") if name]
    return None


def is_hidden(path: Path) -> bool:
    """Whether a name in the path begins with a dot, or is that of Python's cache."""
    return any(name.startswith(".") or name == "__pycache__" for name in path.parts)
