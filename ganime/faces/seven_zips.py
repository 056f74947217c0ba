"""7z archives, which py7zr unpacks in a process of its own: a header or a method can ask for any amount of memory.

This file is that process as well: python -m ganime.faces.seven_zips MOST_ENTRIES ENTRIES MOST_BYTES UNPACKED reads a 7z
from its input, writes the contents to its output, and what they are to its errors, as JSON in the last line.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import IO, Any

from ganime.background import child_variables
from ganime.errors import DataError
from ganime.faces.packing import MAX_RATIO
from ganime.faces.search import MAX_PICTURE_BYTES, Search, TooManyBytesError, TooManyError
from ganime.faces.zips import ENTRY_BYTES, LINK

MAX_MEMORY = 2**30  # of the process
MAX_REPORT_BYTES = 2**20  # beside ENTRY_BYTES for each entry
ERRORS = {error.__name__: error for error in (TooManyBytesError, TooManyError, DataError)}


def unpacked_elsewhere(raw: io.FileIO, file: io.FileIO, search: Search) -> dict[str, Any]:
    """Unpack a 7z to `file`, within the limits of `search`, in a process of its own.

    Returns the number of "entries", and of "bytes" that are unpacked; the "slices" of `file`, (name, start, length) of
    each; and what is "unread", (name, size, refusal) of each. Raises DataError, also without py7zr.
    """
    if find_spec("py7zr") is None:
        raise DataError("is a 7z archive: unpack it, or install py7zr (pip install 'ganime[7z]').")
    limits = (search.most_entries, search.entries, search.most_bytes, search.unpacked)
    variables = child_variables() | {
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "ganime.faces.seven_zips", *map(str, limits)]
    raw.seek(0)
    with search.new_file() as report:
        subprocess.run(command, stdin=raw, stdout=file, stderr=report, env=variables, check=False)
        size = report.seek(0, io.SEEK_END)
        if size > MAX_REPORT_BYTES + search.most_entries * ENTRY_BYTES:
            raise TooManyError("it has a directory of too many bytes")
        report.seek(0)
        lines = report.readall().splitlines()
    try:
        found = json.loads(lines[-1])
    except (ValueError, IndexError):
        most = f"{MAX_MEMORY // 2**20:,} MB"
        raise DataError(f"is damaged, or needs more than {most} of memory. Unpack it first.") from None
    if "error" in found:
        raise ERRORS[found["error"]](found["text"])
    return found


def unpack(raw: IO[bytes], out: IO[bytes], search: Search) -> dict[str, Any]:
    """Unpack a 7z to `out`; see `unpacked_elsewhere`. Raises DataError, and what py7zr raises."""
    import py7zr

    packed = raw.seek(0, io.SEEK_END)
    raw.seek(0)
    with py7zr.SevenZipFile(raw) as archive:  # type: ignore[arg-type]
        if archive.needs_password():
            raise DataError("is encrypted. Unpack it first.")
        listed = archive.list()
        search.count_entries(len(listed), "it")
        wanted = [info for info in listed if info.is_file and info.uncompressed <= MAX_PICTURE_BYTES]
        size = sum(info.uncompressed for info in wanted)
        if size > MAX_RATIO * packed:
            raise TooManyBytesError(f"it unpacks to over {MAX_RATIO} times its size, which no pictures do")
        search.count_unpacked(size, "it")
        unpacked = UnpackedFiles(out)
        archive.extract(targets=[info.filename for info in wanted], factory=unpacked.factory())
    read = {info.filename for info in wanted}
    unread = [
        (
            info.filename,
            info.uncompressed,
            "" if info.is_file else LINK if info.is_symlink else "neither a plain file nor a folder",
        )
        for info in listed
        if info.filename not in read and not info.is_directory
    ]
    return {"entries": len(listed), "bytes": size, "unread": unread, "slices": unpacked.slices}


class UnpackedFiles:
    """Files that py7zr unpacks, one after the other in a single file. slices: (name, start, length) of each."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.lock = file, Lock()
        self.slices: list[tuple[str, int, int]] = []

    def append(self, name: str, data: memoryview) -> None:
        """Add a whole file."""
        with self.lock:
            self.slices.append((name, self.file.tell(), len(data)))
            self.file.write(data)

    def factory(self) -> Any:
        """What py7zr asks for a place to write each file to, and tells when the file is whole."""
        from py7zr.io import Py7zIO, WriterFactory

        append = self.append

        class OneFile(Py7zIO):
            def __init__(self, name: str) -> None:
                self.name, self.content = name, io.BytesIO()

            def write(self, s: bytes | bytearray) -> int:
                return self.content.write(s)

            def read(self, size: int | None = None) -> bytes:
                return self.content.read(size)

            def seek(self, offset: int, whence: int = 0) -> int:
                return self.content.seek(offset, whence)

            def flush(self) -> None:
                self.content.flush()

            def size(self) -> int:
                return self.content.getbuffer().nbytes

            def close(self) -> None:
                append(self.name, self.content.getbuffer())
                self.content = io.BytesIO()

        class Files(WriterFactory):
            def create(self, filename: str) -> OneFile:
                return OneFile(filename)

        return Files()


def main() -> None:
    """Unpack a 7z from the input of this process to its output. A missing last line says that memory ran out."""
    most_entries, entries, most_bytes, unpacked = map(int, sys.argv[1:])
    with suppress(ImportError):  # not on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
        most = most_bytes + MAX_REPORT_BYTES + most_entries * ENTRY_BYTES
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    try:
        with ExitStack() as opened:
            search = Search(opened, None, most_entries, most_bytes, entries=entries, unpacked=unpacked)
            raw, out = io.FileIO(0, closefd=False), os.fdopen(1, "wb", closefd=False)
            found = unpack(raw, out, search)
            out.flush()
    except MemoryError:
        return
    except DataError as error:
        found = {"error": type(error).__name__, "text": str(error)}
    except Exception as error:  # py7zr raises what it likes
        found = {"error": "DataError", "text": f"is damaged or incomplete: {type(error).__name__}."}
    os.write(2, b"\n" + json.dumps(found).encode())


if __name__ == "__main__":
    main()
