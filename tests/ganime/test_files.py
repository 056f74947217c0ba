"""Files and folders to which other processes write meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ganime.files import folder_bytes


def test_the_size_of_a_folder_counts_what_is_still_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "whole").write_bytes(bytes(100))
    (tmp_path / "arriving").write_bytes(bytes(23))
    assert folder_bytes(tmp_path) == 123
    listed = list(os.walk(tmp_path))
    monkeypatch.setattr(os, "walk", lambda folder: listed)
    (tmp_path / "arriving").rename(tmp_path / "arrived")  # after it was listed
    assert folder_bytes(tmp_path) == 100
