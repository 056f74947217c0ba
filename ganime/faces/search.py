"""A search for pictures: what it finds, what it notes on the way, and how much it may open and unpack."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ganime.errors import DataError
from ganime.faces.kinds import LeftOut

MAX_ENTRIES = 2_000_000  # of all archives of a source
MAX_UNPACKED_BYTES = 64 * 2**30  # that are written to disk to read compressed archives
MAX_PICTURE_BYTES = 64 * 2**20
MAX_INNER_ARCHIVES = 256  # inside the sources; each stays open


class TooManyError(DataError):
    """An archive with more entries than are read."""


class TooManyBytesError(TooManyError):
    """An archive with more bytes, when unpacked, than are read."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A file that may be a face.

    name: its path in the source, with slashes.
    size: in bytes; no more is ever read.
    file: on disk, the picture or the archive that contains it.
    read: returns its bytes, or raises DataError or OSError.
    open: opens it for reading, by one thread alone.
    """

    name: str
    size: int
    file: Path
    read: Callable[[], bytes]
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a folder or an archive.

    name: its path there, which may be anything and is only ever shown.
    size: of its content, in bytes.
    refusal: the reason not to read it, or "".
    read: returns at most so many bytes from its beginning, or raises DataError or OSError. Any thread may call it.
    open: opens it for reading, by one thread alone.
    path: of its own on disk; None in an archive.
    """

    name: str
    size: int
    refusal: str
    read: Callable[[int], bytes]
    open: Callable[[], IO[bytes]]
    path: Path | None = None


@dataclass
class Search:
    """What a search may use, and what it has found out.

    opened: closes the archives, after which their pictures can no longer be read.
    scratch: folder for what is unpacked from compressed archives; its files have no names and end with the search.
        None for the system's own.
    most_entries: of all archives. most_bytes: that may be unpacked to `scratch`.
    skipped: (name, reason) of each picture or archive that cannot be read.
    left_out: all other files.
    """

    opened: ExitStack
    scratch: Path | None = None
    most_entries: int = MAX_ENTRIES
    most_bytes: int = MAX_UNPACKED_BYTES
    skipped: list[tuple[str, str]] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)
    entries: int = 0
    unpacked: int = 0
    inner_archives: int = 0

    def count_entries(self, entries: int, name: str) -> None:
        """Note that entries were found in the archive `name`. Raises TooManyError when there are too many."""
        self.entries += entries
        if self.entries > self.most_entries:
            raise TooManyError(f"{name} has more entries than the {self.most_entries:,} that are read.")

    def count_unpacked(self, size: int, name: str) -> None:
        """Note that bytes are unpacked from the archive `name`. Raises TooManyError when they are too many."""
        self.unpacked += size
        if self.unpacked > self.most_bytes:
            raise TooManyBytesError(f"{name} unpacks to more than the {self.most_bytes:,} bytes that are read.")

    def new_file(self) -> io.FileIO:
        """A file without a name, for unpacked bytes."""
        if self.scratch:
            self.scratch.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=self.scratch, buffering=0)  # noqa: SIM115
        return self.opened.enter_context(file)  # type: ignore[return-value]
