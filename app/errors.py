"""Errors of the page, each with a text for the visitor."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ganime.errors import HUB_OFFLINE, GanimeError

# The folders of an absolute path, up to the last name in it; not those of an address such as https://example.org/a/b.
FOLDERS = re.compile(r"(?<![\w/:.~-])(?:/[^\s/'\":;,()]+)+/(?=[^\s/])")


class JobError(GanimeError):
    """A training job cannot be created, started or changed; the text is meant for the visitor."""


class JobMissing(JobError):
    """There is no such job, or the key is wrong. The text does not say which of the two."""


def visitor_text(error: GanimeError | str) -> str:
    """A text or an error's text as a visitor of the page may read it.

    Of each path of this machine only the last name is left, and what its owner could change is not asked of visitors.
    """
    return FOLDERS.sub("", str(error)).replace(HUB_OFFLINE, "This page cannot reach the Hugging Face hub.")


@contextmanager
def explain_disk_errors(what: str) -> Iterator[None]:
    """Turn an OSError inside the block into a JobError whose text begins with `what` and contains no path."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise JobError(f"{what} ({reason}). Try again later.") from error
