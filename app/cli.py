"""The command line of the page: start it, or list and end its training jobs on the machine it runs on."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.jobs.service import Jobs, request_stop
from app.jobs.status import JobStatus
from app.jobs.store import ACTIVE, QUEUED, Job
from app.settings import Settings
from ganime.errors import GanimeError
from ganime.text import printable

commands = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
COLUMNS = ("id", "state", "name", "pictures", "images", "progress", "MB", "created (UTC)", "reason")


@commands.callback(invoke_without_command=True)
def start(context: typer.Context) -> None:
    """Start the page, or, with `jobs`, list its training jobs."""
    if context.invoked_subcommand is None:
        from app.page import main as start_page

        start_page()


@commands.command("jobs")
def list_jobs(
    stop: Annotated[str, typer.Option(metavar="ID", help="Save and stop this job, or take it out of the queue.")] = "",
    delete: Annotated[str, typer.Option(metavar="ID", help="Delete this job with its faces and model.")] = "",
) -> None:
    """List the training jobs in GANIME_HOME, newest first; a running page acts on --stop and --delete at once."""
    jobs = Jobs(Settings())
    try:
        for identity in filter(None, (stop, delete)):
            with jobs.store.writing() as session:
                job = session.get(Job, identity)
                if job is None or job.deleted:
                    raise GanimeError(f"There is no job {identity}; `python -m app jobs` lists all.")
                job.deleted = identity == delete
                if identity == stop and job.state in (QUEUED, *ACTIVE):
                    request_stop(job)
        Console(emoji=False, highlight=False).print(table(jobs.overview()))
    finally:
        jobs.close()


def table(statuses: list[JobStatus]) -> Table:
    """Lay out the jobs as a table. It contains no keys; names and reasons may contain text of strangers."""
    found = Table(*COLUMNS, box=None)
    for status in statuses:
        created = time.strftime("%Y-%m-%d %H:%M", time.gmtime(status.created))
        values = [status.id, status.state, status.name, f"{status.faces:,}", f"{status.images:,}"]
        values += [f"{status.share:.0%}", f"{status.bytes / 2**20:,.0f}", created, status.reason]
        found.add_row(*(Text(printable(value)) for value in values))  # no markup, no escape sequences
    return found


def main() -> None:
    """Run the command line; an expected error becomes one line and exit status 1."""
    try:
        commands()
    except GanimeError as error:
        raise SystemExit(f"Error: {error}") from error
