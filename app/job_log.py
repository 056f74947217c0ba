"""What the log of a training job says to its visitor: without the paths and the code of this machine."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from app.settings import ROOT

if TYPE_CHECKING:
    from app.job_report import JobFolder

LOG_BYTES, ERROR_CHARACTERS = 20_000, 1_000
# A traceback, from its heading up to the error itself; or from where the tail of a log has cut into it.
TRACEBACK = re.compile(
    r'\A(?:    .*\n)+|^(?:Traceback \(most recent call last\):\n(?:\s.*\n)+|  File ".*\n(?:    .*\n)*)', re.MULTILINE
)
INSTALLED = sorted((str(ROOT), sys.prefix), key=len, reverse=True)  # where the code lies; the one may hold the other


def log_tail(folder: JobFolder, attempt: int) -> str:
    """The end of the log of one attempt as a visitor may see it: without the paths and the code of this machine."""
    return without_paths(TRACEBACK.sub("", tail(folder.log(attempt), LOG_BYTES)), folder)


def tail(path: Path, most: int) -> str:
    """The last lines of a file, of `most` bytes together; empty where there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        before = max(0, path.stat().st_size - most)
        file.seek(before)
        found = file.read(most)
    if before:
        found = found.partition(b"\n")[2]  # its first line may be cut, in the middle of a path perhaps
    return found.decode(errors="replace")


def without_paths(text: str, folder: JobFolder) -> str:
    for place in (str(folder.path), *INSTALLED):
        text = text.replace(f"{place}{os.sep}", "")
    return text


def error_in(log: str) -> str:
    """The last error that the command line told, to the end of the log, or an empty string."""
    starts = list(re.finditer(r"^Error: ", log, re.MULTILINE))
    return " ".join(log[starts[-1].end() :].split())[:ERROR_CHARACTERS] if starts else ""
