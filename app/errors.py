"""Errors of the page, each with a text for the visitor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ganime.errors import GanimeError


class JobError(GanimeError):
    """A training job that cannot be had, started or changed; its text is meant for the visitor."""


class JobMissing(JobError):
    """There is no such job, or the key is not its own: which of the two is not told."""


@contextmanager
def explain_disk_errors(what: str) -> Iterator[None]:
    """An error of this page's disk, such as no room or no right, becomes a JobError that begins with `what`."""
    try:
        yield
    except OSError as error:
        why = error.strerror or type(error).__name__  # without its path, which is none of a visitor's business
        raise JobError(f"{what} ({why}). Try again later.") from error
