"""Which files are the project's own, with git and without it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ganime.own_files import own_files

OWN = ["app/Page.html", "app/page.py", "requirements.txt"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with files of the project, and others beside them."""
    for name in (*OWN, "app/.env", "app/id_rsa", "app/faces.png", "app/__pycache__/page.py", "elsewhere/page.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def test_without_git_they_are_told_by_their_suffixes(root: Path) -> None:
    assert [path.as_posix() for path in own_files(root, ("app", "requirements.txt", "missing"))] == OWN


def test_in_a_checkout_they_are_those_that_git_knows(root: Path) -> None:
    (root / "app" / "untracked.py").write_bytes(b"")
    for command in (["init", "-q"], ["add", *OWN]):
        subprocess.run(["git", "-C", str(root), *command], check=True)
    assert [path.as_posix() for path in own_files(root, ("app", "requirements.txt"))] == OWN
    (root / "app" / "page.py").unlink()
    assert [path.as_posix() for path in own_files(root, ("app",))] == OWN[:1]


def test_a_checkout_whose_git_cannot_tell_is_read_by_suffixes(root: Path) -> None:
    (root / ".git").write_text("gitdir: /missing")
    assert [path.as_posix() for path in own_files(root, ("app", "requirements.txt"))] == OWN
