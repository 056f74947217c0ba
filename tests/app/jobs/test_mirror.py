"""A home on a file system of the network: SQLite works elsewhere, and what it holds comes back from the home."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from sqlmodel import select

from app.errors import JobError
from app.jobs import mirror, store
from app.jobs.arrivals import Upload
from app.jobs.mirror import Mirror, is_on_network, local_folder
from app.jobs.service import Jobs
from app.jobs.store import DATABASE, Job, Store
from app.settings import Settings
from tests.app.job_helpers import ME, PLAN, wait_for, wait_for_steps, wait_until


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that counts as one on the network, and a folder of temporary files that is empty."""
    monkeypatch.setattr(store, "is_on_network", lambda folder: True)
    (local := tmp_path / "local").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(local))
    return tmp_path / "home"


def saved_names(home: Path) -> list[str]:
    """The names in the database in a home, which is one file that SQLite can read where nothing may be written."""
    path = home / DATABASE
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as database:
        return sorted(name for (name,) in database.execute("SELECT name FROM job"))


def add(jobs: Store, name: str) -> None:
    with jobs.writing() as session:
        session.add(Job(id=name, key="", visitor="", name=name))


def names(jobs: Store) -> list[str]:
    with jobs.reading() as session:
        return sorted(job.name for job in session.exec(select(Job)))


@pytest.mark.parametrize(
    ("mounts", "found"),
    [
        ([("/", "overlay")], False),
        ([("/", "ext4"), ("/data", "fuse.hf-mount")], True),
        ([("/", "ext4"), ("/data", "fuse"), ("/data/ganime", "xfs")], False),
        ([("/", "ext4"), ("/dat", "nfs4")], False),
        ([("/", "NFS")], True),
        ([], False),
    ],
)
def test_the_file_system_of_a_folder_is_the_one_mounted_nearest_to_it(
    mounts: list[tuple[str, str]], found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [SimpleNamespace(mountpoint=place, fstype=kind) for place, kind in mounts]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: parts)
    assert is_on_network(Path("/data/ganime")) is found


def test_a_home_on_this_machine_has_no_copy(settings: Settings, open_jobs: Callable[..., Jobs]) -> None:
    jobs = open_jobs("mock", start=False)
    assert jobs.store.mirror is None
    assert jobs.store.path == settings.home / DATABASE


def test_a_job_runs_to_its_end_and_is_there_again_on_another_machine(
    home: Path, open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock")
    key = jobs.draft(files, ME, 32)
    jobs.submit(key, PLAN, ME)
    wait_for_steps(jobs, key)
    assert not list(home.glob(f"{DATABASE}-*"))  # what SQLite needs shared memory for
    assert not (home / "jobs.lock").exists()
    jobs.stop(key)
    wait_until(jobs, key, "finished")
    jobs.close()
    shutil.rmtree(local_folder(home))
    again = open_jobs("mock", start=False)
    assert again.status(key).state == "finished"


def test_what_could_not_be_copied_yet_is_not_lost_with_the_page(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mirror, "RETRY_SECONDS", 0.02)
    copyfile, reachable = shutil.copyfile, [False]

    def copy(source: Path, target: Path) -> None:
        if not reachable[0]:
            raise OSError("the network is down")
        copyfile(source, target)

    first = Store(home)
    add(first, "one")
    wait_for(lambda: saved_names(home) == ["one"])
    monkeypatch.setattr(shutil, "copyfile", copy)
    add(first, "two")
    wait_for(lambda: "the network is down" in caplog.text)
    second = Store(home)  # as after a crash of the page
    assert (names(second), saved_names(home)) == (["one", "two"], ["one"])
    reachable[0] = True
    wait_for(lambda: saved_names(home) == ["one", "two"])
    first.close()
    second.close()
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_page_that_ends_has_copied_its_last_change(home: Path) -> None:
    jobs = Store(home)
    for number in range(5):
        add(jobs, f"job {number}")
    jobs.close()
    assert saved_names(home) == [f"job {number}" for number in range(5)]


def test_a_database_that_another_machine_has_written_is_taken(home: Path, tmp_path: Path) -> None:
    jobs = Store(home)
    add(jobs, "here")
    jobs.close()
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(local_folder(home), elsewhere)
    jobs = Store(home)
    add(jobs, "there")
    jobs.close()
    shutil.rmtree(local_folder(home))
    elsewhere.rename(local_folder(home))  # this machine, which has not seen the other's
    jobs = Store(home)
    assert names(jobs) == ["here", "there"]
    jobs.close()


def test_a_home_that_was_emptied_begins_anew(home: Path) -> None:
    jobs = Store(home)
    add(jobs, "before")
    jobs.close()
    shutil.rmtree(home)
    jobs = Store(home)
    assert names(jobs) == []
    jobs.close()


def test_a_copy_that_was_being_made_at_a_kill_counts_as_ones_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = Store(home)
    add(jobs, "one")
    jobs.close()
    assert jobs.mirror
    monkeypatch.setattr(Path, "replace", lambda path, target: None)  # killed before it
    add(jobs, "two")
    jobs.mirror.copy()
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(jobs.mirror.folder.parent))
    assert Mirror(home / DATABASE).copied_from_here()


@pytest.mark.parametrize("newer", [True, False])
def test_without_the_note_of_what_was_copied_the_newer_one_counts(home: Path, newer: bool) -> None:
    jobs = Store(home)
    add(jobs, "one")
    jobs.close()
    assert jobs.mirror
    (jobs.mirror.folder / "copied").unlink()
    moment = (home / DATABASE).stat().st_mtime + (1 if newer else -1)
    os.utime(jobs.mirror.live, (moment, moment))
    assert Mirror(home / DATABASE).copied_from_here()  # the local one, or the one just fetched
    assert (jobs.mirror.folder / "copied").exists() is not newer


@pytest.mark.parametrize("mode", [0o755, 0o770])
def test_a_local_folder_that_others_may_enter_is_refused(home: Path, mode: int) -> None:
    local_folder(home).chmod(mode)
    with pytest.raises(JobError, match=r"not a folder of this user alone.*TMPDIR"):
        Store(home)
    shutil.rmtree(local := Path(tempfile.gettempdir()))
    local.mkdir()


def test_a_link_in_the_place_of_the_local_folder_is_refused(home: Path, tmp_path: Path) -> None:
    folder = local_folder(home)
    folder.rmdir()
    folder.symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(JobError, match="not a folder of this user alone"):
        Store(home)
