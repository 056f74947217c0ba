"""Publishes the model of a job on the hub with the visitor's own token, in a separate thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from app.errors import JobError
from app.faces.background import in_background
from app.jobs.service import Jobs
from app.jobs.store import ENDED
from ganime.models.published_card import LICENCES, MAX_PROVENANCE, Statement
from ganime.models.upload import Target, Uploaded
from ganime.training.publishing import copies, publish

__all__ = ["LICENCES", "MAX_PROVENANCE", "Statement", "Target", "Uploaded", "is_copying", "publication"]


def is_copying(jobs: Jobs, key: str) -> bool:
    """Whether the verdict on the model of a job is that it copies its training faces."""
    return copies(jobs.model_to_publish(key))


def publication(
    jobs: Jobs,
    visitor: str,
    key: str,
    target: Target,
    statement: Statement,
    token: str,
    copies_confirmed: bool,
    drawing: AbstractContextManager[Any],
) -> Iterator[str | Uploaded | None]:
    """Publish the model of an ended job: yields what is being done, in words, and at last where the model is.

    visitor: an identity, see `app.visitors.Visitor`.
    token: of the visitor. It is used for this alone and is not kept.
    drawing: entered while faces are drawn.

    Raises JobError before the job has ended, and as `publish`.
    """
    if jobs.get(key).state not in ENDED:
        raise JobError("A model can be published once its job has ended.")
    checkpoint = jobs.model_to_publish(key)

    def work() -> Iterator[str | Uploaded]:
        return publish(checkpoint, target, statement, token, copies_confirmed, drawing)

    return in_background("publication", visitor, work)
