"""A database on a file system of the network: worked on in a local copy, from which every change is copied back.

SQLite needs locks and memory that its users share, which network file systems and mounted buckets lack or only claim to
have (https://www.sqlite.org/useovernet.html), and a transaction that waits for a bucket takes seconds.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sqlite3
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock

NETWORK = ("9p", "afpfs", "afs", "ceph", "cifs", "fuse", "gluster", "lustre", "nfs", "smb", "virtiofs", "webdav")
RETRY_SECONDS = 5.0
LOGGER = logging.getLogger(__name__)


def is_on_network(folder: Path) -> bool:
    """Whether a folder lies on a file system that is not local to this machine, or is a program's (FUSE)."""
    path = folder.resolve()
    mounted = [part for part in psutil.disk_partitions(all=True) if path.is_relative_to(part.mountpoint)]
    nearest = max(mounted, key=lambda part: len(part.mountpoint), default=None)  # the later of two in one place
    return nearest is not None and nearest.fstype.lower().startswith(NETWORK)


def local_folder(home: Path) -> Path:
    """A folder of this user for the home in the machine's folder of temporary files; all processes have the same one.

    Raises OSError if it cannot be made, or is not this user's alone.
    """
    name = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"ganime-{os.getuid()}-{name}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise OSError(f"{folder} is not a folder of this user alone. Delete it, or set TMPDIR to another place")
    return folder


class Mirror:
    """The local copy of a database, and the thread that copies its changes back.

    saved: the database in the home. live: the local copy, for SQLite. A crash of the machine loses the changes of the
    last moments; one of the page loses none, because the next page on this machine finds the local copy.
    """

    def __init__(self, saved: Path) -> None:
        self.saved = saved
        self.folder = local_folder(saved.parent)
        self.live = self.folder / saved.name
        self.changed, self.closing = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.keep_copying, name="database", daemon=True)
        with self.alone():
            if not (self.live.exists() and self.copied_from_here()):
                self.fetch()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from copying in the meantime."""
        with FileLock(self.folder / "copying.lock"):
            yield

    def copied_from_here(self) -> bool:
        """Whether the database in the home was copied from the local one, or never has been.

        Where the note about that was deleted, as folders for temporary files are swept, the newer one counts.
        """
        copied = self.folder / "copied"
        if not copied.exists():
            return not self.saved.exists() or self.live.stat().st_mtime >= self.saved.stat().st_mtime
        return self.saved.exists() and digest(self.saved) in copied.read_text().split()

    def fetch(self) -> None:
        """Take the database in the home for the local one, or none."""
        for path in self.folder.glob(f"{self.live.name}*"):
            path.unlink()
        if self.saved.exists():
            self.remember(digest(self.saved))
            shutil.copyfile(self.saved, self.live)

    def start(self) -> None:
        """Copy the local database, which is there now, and again whenever `changed` is set."""
        self.changed.set()
        self.thread.start()

    def close(self) -> None:
        """Copy the last changes, and end the thread."""
        self.closing.set()
        self.changed.set()
        self.thread.join()

    def keep_copying(self) -> None:
        """Copy after changes; the body of the thread."""
        last = False
        while not last:
            self.changed.wait()
            self.changed.clear()
            last = self.closing.is_set()
            try:
                self.copy()
            except (OSError, sqlite3.Error) as error:
                LOGGER.warning("The list of jobs could not be copied to %s (%s).", self.saved, error)
                self.changed.set()
                self.closing.wait(RETRY_SECONDS)

    def copy(self) -> None:
        """Copy the local database to the home, in place of the one that is there, as a whole."""
        with self.alone():
            snapshot = self.folder / "snapshot"
            snapshot.unlink(missing_ok=True)
            with closing(sqlite3.connect(self.live)) as source, closing(sqlite3.connect(snapshot)) as copy:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE")  # else the copy would need a log beside it
            self.remember(digest(snapshot))
            arriving = self.saved.with_name(f".{self.saved.name}.arriving")
            shutil.copyfile(snapshot, arriving)
            arriving.replace(self.saved)

    def remember(self, new: str) -> None:
        """Note that the database in the home is, or is about to be, the one with this digest."""
        before = digest(self.saved) if self.saved.exists() else ""
        (self.folder / "copied").write_text(f"{before} {new}")


def digest(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
