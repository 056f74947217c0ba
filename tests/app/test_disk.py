"""Disk space for visitors: results are bounded and cannot be guessed, and some space always stays free."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from app import disk
from app.disk import DiskFull, Results, check_free
from app.errors import JobError


def test_results_never_take_more_than_their_space_and_the_oldest_go_first(tmp_path: Path) -> None:
    results = Results(tmp_path / "results", most=1000)
    paths = [results.save("face.png", bytes(300)) for _ in range(10)]
    assert [path.exists() for path in paths] == [False] * 7 + [True] * 3
    assert sum(path.stat().st_size for path in results.folder.rglob("*.png")) == 900
    assert len(list(results.folder.iterdir())) == 3


def test_results_are_deleted_after_their_time_and_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(disk.time, "monotonic", lambda: now)
    results = Results(tmp_path / "results")
    old = results.save("a.png", b"1")
    now = disk.RESULT_SECONDS + 1
    new = results.save("b.png", b"2")
    assert (old.exists(), new.exists()) == (False, True)
    Results(tmp_path / "results")
    assert not new.exists()


def test_a_result_has_a_path_of_its_own_and_the_last_part_of_its_name(tmp_path: Path) -> None:
    results = Results(tmp_path / "results")
    first, second = (results.save("../../walk.png", b"same") for _ in range(2))
    assert first != second
    assert first.name == "walk.png"
    assert first.parent.parent == results.folder
    assert len(first.parent.name) >= 20


def test_a_disk_that_is_nearly_full_is_told_in_words_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda folder: SimpleNamespace(free=disk.SPARE_BYTES + 1000))
    check_free(tmp_path, 1000)
    results = Results(tmp_path / "results")
    with pytest.raises(DiskFull, match="GANIME_HOME"):
        results.save("a.png", bytes(1001))
    assert list(results.folder.iterdir()) == []


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    results = Results(tmp_path / "results")
    with pytest.raises(JobError) as caught:
        results.save("a.png", b"1")
    assert str(tmp_path) not in str(caught.value)
    assert list(results.folder.iterdir()) == []
