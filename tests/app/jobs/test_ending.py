"""How a job ended, in words, and its log without the code and the paths of this machine."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from app.jobs.ending import log_tail, outcome
from app.jobs.folder import JobFolder
from app.jobs.store import Job
from app.settings import ROOT
from tests.trainers import save, write


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    found = JobFolder(tmp_path / "job")
    found.run.mkdir(parents=True)
    return found


def job(state: str = "running", reason: str = "") -> Job:
    return Job(id="0" * 16, key="", visitor="", state=state, reason=reason, attempt=1)


@pytest.mark.parametrize(
    ("status", "log", "state", "reason"),
    [
        (1, "Error: The faces are\nno faces.\n", "failed", "The faces are no faces. Nothing was saved"),
        (1, "Error: Permission denied: run\n", "failed", "Permission denied: run. Nothing was saved"),
        (1, "RuntimeError: not foreseen\n", "failed", "status 1 (RuntimeError: not foreseen)"),
        (1, "", "failed", "log is empty"),
        (-signal.SIGKILL, "", "interrupted", "signal 9"),
        (-signal.SIGKILL, "", "interrupted", "memory"),
        (-signal.SIGSEGV, "", "interrupted", "signal 11"),
        (None, "", "interrupted", "the page was not running"),
        (0, "", "finished", ""),
    ],
)
def test_the_reason_names_status_signal_or_error(
    status: int | None, log: str, state: str, reason: str, folder: JobFolder
) -> None:
    folder.log(1).write_text(log)
    found, words = outcome(job(), status, folder, killed=False)
    assert found == state
    assert reason in words


def test_the_reason_says_what_is_saved(folder: JobFolder) -> None:
    save(folder.run, 6400)
    assert "6,400 images are saved" in outcome(job(), -signal.SIGKILL, folder, killed=False)[1]


def test_a_trainer_that_says_it_is_done_has_finished_whatever_its_status(folder: JobFolder) -> None:
    write(folder.run, "Done", 64, reason="stopped")
    assert outcome(job("stopping"), -signal.SIGKILL, folder, killed=False) == ("finished", "Stopped.")
    assert outcome(job("running"), 0, folder, killed=False)[0] == "interrupted"  # nobody on the page stopped it


def test_a_trainer_that_had_to_be_killed_was_interrupted_and_one_that_made_no_step_was_stopped(
    folder: JobFolder,
) -> None:
    killed = outcome(job("stopping"), -signal.SIGKILL, folder, killed=True)
    stopped = outcome(job("stopping"), -signal.SIGTERM, folder, killed=False)
    assert (killed[0], "did not stop in time" in killed[1]) == ("interrupted", True)
    assert (stopped[0], "before the first step" in stopped[1]) == ("finished", True)
    late = job("stopping", reason="Stopped by this page: it took too long.")
    assert outcome(late, -signal.SIGTERM, folder, killed=False) == ("finished", late.reason)


def test_a_log_is_shown_without_tracebacks_and_paths(folder: JobFolder) -> None:
    trace = "Traceback (most recent call last):\n" + f'  File "{ROOT}/ganime/a.py", line 1, in main\n    main()\n' * 600
    folder.log(1).write_text(f"begins in {folder.path}/run\n{trace}ValueError: {ROOT}/weights\n")
    assert log_tail(folder, 1) == "ValueError: weights\n"  # the end of the log begins inside the traceback
    folder.log(2).write_text(f"begins in {folder.path}/run\n{trace[:400]}")
    assert log_tail(folder, 2).startswith("begins in run\n")
    assert str(ROOT) not in log_tail(folder, 2)
    assert log_tail(folder, 3) == ""
