"""`python -m app jobs`: the owner of the machine lists all jobs and ends any, without keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from app.cli import commands
from app.errors import JobMissing
from app.jobs.arrivals import Upload
from app.jobs.service import Jobs
from ganime.errors import GanimeError
from tests.app.job_helpers import OTHER, PLAN, state_of, submitted


def run(*arguments: str) -> str:
    answer = CliRunner().invoke(commands, ["jobs", *arguments], env={"COLUMNS": "200"}, catch_exceptions=False)
    assert answer.exit_code == 0
    return answer.stdout


def test_jobs_are_listed_newest_first_without_keys_and_without_escape_sequences(
    open_jobs: Callable[..., Jobs], files: list[Upload]
) -> None:
    jobs = open_jobs("mock", start=False)
    first = submitted(jobs, files, plan=replace(PLAN, name="[bold]mine \x1b[31m"))
    second = submitted(jobs, files, OTHER)
    listed = run()
    identities = [key.partition(".")[0] for key in (second, first)]
    assert listed.index(identities[0]) < listed.index(identities[1])
    assert "[bold]mine" in listed
    assert "\x1b" not in listed
    assert not [key for key in (first, second) if key.partition(".")[2] in listed]


def test_any_job_is_stopped_or_deleted_by_its_id(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock", start=False)
    stopped, deleted = (submitted(jobs, files) for _ in range(2))
    run("--stop", stopped.partition(".")[0], "--delete", deleted.partition(".")[0])
    assert state_of(jobs, stopped) == "draft"  # out of the queue
    with pytest.raises(JobMissing):
        jobs.status(deleted)
    with pytest.raises(GanimeError, match="no job 0123"):
        run("--delete", "0123")


def test_an_id_alone_opens_no_job_on_the_page(open_jobs: Callable[..., Jobs], files: list[Upload]) -> None:
    jobs = open_jobs("mock", start=False)
    identity = submitted(jobs, files).partition(".")[0]
    for key in (identity, f"{identity}.", f"{identity}.{identity}"):
        with pytest.raises(JobMissing):
            jobs.stop(key)
