"""Reads the files of a multipart form and writes them to the disk as they arrive."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path, PurePath
from typing import BinaryIO

from anyio import CapacityLimiter, to_thread
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from app.errors import JobError

MAX_FILES = 1_000  # in a form; browsers send a folder in several
MAX_HEAD = 4_096  # bytes of what stands before a file: above all its name
MAX_NAME = 200  # bytes of a name on the disk, and characters of it in the progress
UNSAFE = re.compile(r'[<>:"|?*\x00-\x1f\x7f]')  # in names, on one file system or another


class FormError(JobError):
    """A form cannot be read; the text is meant for the visitor."""


class FormFiles:
    """The files of a form while it is read: every part of it has to be one.

    folder: where each file is stored, in a separate folder, since names may be the same.
    paths, size: of the files so far, in their order, and their bytes together.
    """

    def __init__(self, content_type: str, folder: Path, arrived: Callable[[str, int], None]) -> None:
        """arrived: called with a file's name and the number of bytes of it that have arrived since the last call.

        Raises FormError if the request is no form.
        """
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise FormError("An upload is a form: multipart/form-data, with a boundary.")
        self.folder, self.arrived = folder, arrived
        self.paths: list[Path] = []
        self.size = 0
        self.field, self.value, self.head_bytes = b"", b"", 0  # of the header that is being read
        self.disposition, self.name = b"", ""
        self.file: BinaryIO | None = None
        self.ended = False
        self.parser = self.parser_of(options[b"boundary"])

    def parser_of(self, boundary: bytes) -> MultipartParser:
        """The parser, which calls the methods below. Raises FormError for a boundary that is too long."""
        names = ("part_begin", "header_field", "header_value", "header_end", "headers_finished")
        names += ("part_data", "part_end", "end")
        try:
            return MultipartParser(boundary, {f"on_{name}": getattr(self, name) for name in names})  # type: ignore[misc]
        except FormParserError as error:
            raise FormError("The boundary of this form is too long.") from error

    async def read(self, pieces: AsyncIterator[bytes], threads: CapacityLimiter) -> list[Path]:
        """Write all files, and return their paths. Raises FormError, OSError, and what `pieces` raises.

        threads: a limit on those that write, which all forms share: a form may be nothing but tiny files.
        """
        try:
            async for piece in pieces:
                await to_thread.run_sync(self.write, piece, limiter=threads)
        finally:
            if self.file:
                self.file.close()
        if not self.ended:
            raise FormError("The form has no end. Upload the files again.")
        return self.paths

    def write(self, piece: bytes) -> None:
        """Take the next bytes of the form."""
        try:
            self.parser.write(piece)
        except FormParserError as error:
            if "header" in str(error).lower():
                raise self.bad_head() from error
            raise FormError("The form is damaged. Upload the files again.") from error

    def part_begin(self) -> None:
        self.disposition, self.head_bytes = b"", 0

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self.count_head(end - start)
        self.field += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self.count_head(end - start)
        self.value += data[start:end]

    def header_end(self) -> None:
        if self.field.lower() == b"content-disposition":
            self.disposition = self.value
        self.field = self.value = b""

    def headers_finished(self) -> None:
        _, options = parse_options_header(self.disposition)
        if b"filename" not in options:
            raise FormError("Every part of an upload must be a file with a filename; this one has others.")
        if len(self.paths) == MAX_FILES:
            raise FormError(f"A form may have at most {MAX_FILES:,} files. Send several, or pack the files.")
        name = options[b"filename"].decode("utf-8", errors="replace")
        self.name = name[:MAX_NAME]
        path = self.folder / str(len(self.paths)) / safe_name(name)
        path.parent.mkdir(parents=True)
        self.paths.append(path)
        self.file = path.open("xb")

    def part_data(self, data: bytes, start: int, end: int) -> None:
        assert self.file  # headers_finished came before
        self.file.write(memoryview(data)[start:end])
        self.size += end - start
        self.arrived(self.name, end - start)

    def part_end(self) -> None:
        assert self.file
        self.file.close()

    def end(self) -> None:
        self.ended = True

    def count_head(self, count: int) -> None:
        """Count bytes of a part's headers. Raises FormError beyond the limit."""
        self.head_bytes += count
        if self.head_bytes > MAX_HEAD:
            raise self.bad_head()

    def bad_head(self) -> FormError:
        return FormError("The name of a file is too long or has characters that no name has. Rename it and try again.")


def safe_name(name: str) -> str:
    """A visitor's name for a file, without its folders and as every file system takes it."""
    last = UNSAFE.sub("_", re.split(r"[/\\]", name)[-1]).rstrip(" .") or "file"
    path = PurePath(last)
    suffix = path.suffix.encode()[:20].decode(errors="ignore")
    return path.stem.encode()[: MAX_NAME - len(suffix.encode())].decode(errors="ignore") + suffix
