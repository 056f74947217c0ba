"""The server functions behind "Publish this model" of a training job."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.components.bridge import Answer, ServerFunction, server_function
from app.errors import JobError
from app.faces.publishing import (
    LICENCES,
    MAX_PROVENANCE,
    Statement,
    Target,
    Uploaded,
    is_copying,
    publication,
)
from app.faces.studio import Studio
from app.jobs.service import Jobs
from app.tabs.long_work import step_value
from app.visitors import Asker


class PublishingWishes(BaseModel):
    """What a visitor fills in. `token` is the visitor's own, "" for that of the login; it is never kept."""

    model_config = ConfigDict(hide_input_in_errors=True)

    repo_id: Annotated[str, Field(max_length=200)]
    private: bool
    provenance: Annotated[str, Field(max_length=2 * MAX_PROVENANCE)]
    licence: Annotated[str, Field(max_length=100)]
    copies_confirmed: bool
    token: Annotated[str, Field(max_length=500, repr=False)]


def publish_functions(studio: Studio, jobs: Jobs) -> list[ServerFunction]:
    """`publisher` says what the form needs to know; `publish` begins to publish, see long_work.py."""

    def publisher(asker: Asker, key: str) -> Answer:
        owner = asker.account.name or "your-name"
        name = re.sub(r"[^\w.-]+", "-", jobs.get(key).name, flags=re.ASCII).strip("-.").lower()
        return {
            "signed_in": bool(asker.account.token),
            "copies": is_copying(jobs, key),
            "licences": LICENCES,
            "suggestion": f"{owner}/{name or 'my-faces'}",
        }

    def publish(asker: Asker, key: str, wishes: PublishingWishes) -> Answer:
        visitor = asker.visitor.identity
        token = wishes.token.strip() or asker.account.token
        if not token:
            raise JobError("Paste a token of the Hugging Face hub that may write, or sign in.")
        target = Target(wishes.repo_id.strip(), wishes.private)
        statement = Statement(wishes.provenance, wishes.licence)
        steps = publication(jobs, visitor, key, target, statement, token, wishes.copies_confirmed, studio.device.lock)
        return {"work": studio.work.begin("publication", visitor, steps, publication_value)}

    door = studio.door(studio.limits.draw)  # which takes as long as reading the model
    return [
        server_function(publisher, door, visitor_of=studio.asker),
        server_function(publish, studio.beginning("publication", studio.limits.draw), visitor_of=studio.asker),
    ]


def publication_value(found: str | Uploaded | None) -> Answer:
    """What is being done, as progress, or where the model is."""
    return step_value({"url": found.url} if isinstance(found, Uploaded) else found)
