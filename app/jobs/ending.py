"""How a training job ended, from its exit status, journal and log; and the log as a visitor may see it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from app.jobs.folder import JobFolder
from app.jobs.store import FAILED, FINISHED, INTERRUPTED, RUNNING, STOPPING, Job
from app.settings import ROOT
from ganime.training.events import EVENTS_FILE

LAST_LINE_BYTES = 8_000  # at the end of a journal, in which its last line is searched
FULL_DISK_BYTES = 32 * 2**20  # less free space than a save needs: the disk counts as full
LOG_BYTES, ERROR_CHARACTERS = 20_000, 1_000
# A traceback from its heading to the error itself, or from the beginning of the log, if that cuts into the traceback.
TRACEBACK = re.compile(
    r'\A(?:    .*\n)+|^(?:Traceback \(most recent call last\):\n(?:\s.*\n)+|  File ".*\n(?:    .*\n)*)', re.MULTILINE
)
CODE_FOLDERS = sorted((str(ROOT), sys.prefix), key=len, reverse=True)  # the longer first: one may contain the other


def outcome(job: Job, status: int | None, folder: JobFolder, killed: bool) -> tuple[str, str]:
    """Return the state and the reason, in words, of a job whose trainer has ended.

    status: exit status, negative for a signal, None when unknown because another process started the trainer.
    killed: whether the page killed the trainer because it did not stop in time.
    """
    saved, last = folder.saved_images(), last_line(job, folder)
    rest = (
        f"{saved:,} images are saved; continue from there." if saved else "Nothing was saved yet; it can begin again."
    )
    done = last["reason"] if last.get("event") == "Done" else ""
    if done == "stopped" and job.state == RUNNING:
        return INTERRUPTED, f"It was terminated from outside, for example by a shutdown of the machine. {rest}"
    if status == 0 or done:
        return FINISHED, job.reason or ("Stopped." if done == "stopped" else "")
    log = log_tail(folder, job.attempt)
    if error := error_in(log):
        return FAILED, f"{error} {rest}" if error.endswith(".") else f"{error}. {rest}"
    if killed:
        return INTERRUPTED, f"It did not stop in time and was killed. {rest}"
    if job.state == STOPPING and status == -signal.SIGTERM:
        return FINISHED, job.reason or f"Stopped before the first step. {rest}"
    if shutil.disk_usage(folder.path.parent).free < FULL_DISK_BYTES:
        return FAILED, f"The disk of this page is full. {rest}"
    return outcome_of_exit(status, log, rest)


def outcome_of_exit(status: int | None, log: str, rest: str) -> tuple[str, str]:
    """Return the state and the reason of a job that left no error message. rest: what is saved, in words."""
    if status is None:
        return INTERRUPTED, f"It ended while the page was not running, for example at a restart. {rest}"
    if status > 0:
        last = (log.strip().splitlines() or ["its log is empty"])[-1]
        return FAILED, f"It ended with status {status} ({last[:ERROR_CHARACTERS]}). {rest}"
    if status == -signal.SIGKILL:
        return INTERRUPTED, f"It was killed from outside (signal {-status}), perhaps for lack of memory. {rest}"
    return INTERRUPTED, f"It was killed from outside (signal {-status}). {rest}"


def last_line(job: Job, folder: JobFolder) -> dict[str, Any]:
    """Return the last line that this attempt wrote to the journal, empty before the first."""
    for text in reversed(tail(folder.run / EVENTS_FILE, LAST_LINE_BYTES).splitlines()):
        with contextlib.suppress(ValueError):  # an incomplete line
            line = json.loads(text)
            if isinstance(line, dict) and {"event", "time"} <= line.keys():
                return line if line["time"] >= job.started - 1 else {}
    return {}


def log_tail(folder: JobFolder, attempt: int) -> str:
    """Return the end of the log of one attempt, without tracebacks and paths of this machine."""
    return without_paths(TRACEBACK.sub("", tail(folder.log(attempt), LOG_BYTES)), folder)


def tail(path: Path, most: int) -> str:
    """Return the last whole lines of a file, at most `most` bytes; "" when there is no file."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        skipped = max(0, path.stat().st_size - most)
        file.seek(skipped)
        found = file.read(most)
    if skipped:
        found = found.partition(b"\n")[2]  # the first line may be incomplete
    return found.decode(errors="replace")


def without_paths(text: str, folder: JobFolder) -> str:
    """Return `text` with the paths of the job and of the code made relative."""
    for place in (str(folder.path), *CODE_FOLDERS):
        text = text.replace(f"{place}{os.sep}", "")
    return text


def error_in(log: str) -> str:
    """Return the last error message of the command line in a log, on one line, or ""."""
    starts = list(re.finditer(r"^Error: ", log, re.MULTILINE))
    return " ".join(log[starts[-1].end() :].split())[:ERROR_CHARACTERS] if starts else ""
