"""The disk space that visitors may use: what always stays free, and the files that API calls leave behind."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections import OrderedDict
from pathlib import Path, PurePath

from app.errors import explain_disk_errors
from app.settings import MEGABYTE, SPARE_BYTES
from ganime.errors import GanimeError

RESULT_BYTES = 512 * MEGABYTE  # of all results together
RESULT_SECONDS = 3_600.0  # for which a client can fetch a result, unless room is needed before


class DiskFull(GanimeError):
    """The disk has no room for a visitor's file; the text is meant for the visitor."""


def check_free(folder: Path, needed: int, spare: int = SPARE_BYTES) -> None:
    """Raise DiskFull unless `needed` bytes fit on the disk of an existing folder beside those that stay free."""
    if shutil.disk_usage(folder).free < needed + spare:
        raise DiskFull(
            f"The disk of this page is nearly full: {needed / MEGABYTE:,.1f} MB do not fit beside the "
            f"{spare / MEGABYTE:,.0f} MB that always stay free. Try again later. The owner of the page can free space "
            "or choose another disk (GANIME_HOME)."
        )


class Results:
    """Files that API calls answer with, until their clients have fetched them. Any thread may call any method.

    folder: whose files Gradio serves; what an earlier run of the page left there is deleted.
    most: bytes of all files together; the oldest are deleted first.
    """

    def __init__(self, folder: Path, most: int = RESULT_BYTES) -> None:
        self.folder, self.most = folder, most
        self.lock = threading.Lock()
        self.files: OrderedDict[Path, tuple[int, float]] = OrderedDict()  # bytes and time of each, the oldest first
        shutil.rmtree(folder, ignore_errors=True)

    def save(self, name: str, data: bytes) -> Path:
        """Store a file under a path that cannot be guessed. Raises DiskFull, or JobError if it cannot be written."""
        with explain_disk_errors("The result could not be stored"):
            self.folder.mkdir(parents=True, exist_ok=True)
            self.sweep(len(data))
            check_free(self.folder, len(data))
            path = self.folder / secrets.token_urlsafe(16) / PurePath(name).name
            path.parent.mkdir()
            try:
                path.write_bytes(data)
            except OSError:
                shutil.rmtree(path.parent, ignore_errors=True)
                raise
        with self.lock:
            self.files[path] = len(data), time.monotonic()
        return path

    def sweep(self, needed: int) -> None:
        """Delete old files, and more until `needed` bytes fit."""
        with self.lock:
            total = sum(size for size, _ in self.files.values()) + needed
            expired = time.monotonic() - RESULT_SECONDS
            for path, (size, since) in list(self.files.items()):
                if total <= self.most and since > expired:
                    break
                shutil.rmtree(path.parent, ignore_errors=True)
                del self.files[path]
                total -= size
