"""The server functions behind training on a visitor's own account on the hub, in the form and of a job."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.components.bridge import Answer, ServerFunction, server_function
from app.errors import JobError
from app.faces.background import in_background
from app.faces.studio import Studio
from app.jobs import on_hub
from app.jobs.limits import MAX_IMAGES, MOST_MINUTES, TrainingPlan
from app.jobs.on_hub import Rent
from app.jobs.service import Jobs
from app.tabs.long_work import step_value, work_functions
from app.tabs.train_form import NO_FACES
from app.visitors import Asker

Token = Annotated[str, Field(max_length=500, repr=False)]  # "" for that of the login; it is never kept
QUESTION, UPLOAD, DOWNLOAD = "question to the hub", "job upload", "download"  # kinds of long work
NO_TOKEN = "Paste a token of the Hugging Face hub that may write and run jobs, or sign in."


class TrainingWishes(BaseModel):
    """What a visitor has chosen in the form, and accepted. draft, model: keys of the faces and of the model in use."""

    model_config = ConfigDict(hide_input_in_errors=True)

    draft: Annotated[str, Field(max_length=200)]
    model: Annotated[str, Field(max_length=500)]
    start: Annotated[str, Field(max_length=100)]
    images: Annotated[int, Field(ge=0, le=MAX_IMAGES)] | None
    recipe: Annotated[str, Field(max_length=100)]
    size: Annotated[int, Field(ge=1, le=4096)]
    name: Annotated[str, Field(max_length=500)]
    flavor: Annotated[str, Field(max_length=100)]
    minutes: Annotated[float, Field(ge=1, le=MOST_MINUTES)]
    dollars: Annotated[float, Field(ge=0, le=1e6)]
    token: Token


def account(asker: Asker) -> Answer:
    """Whether the visitor's login may run jobs, so that no token is needed."""
    return {"signed_in": bool(asker.account.jobs_token)}


def form_functions(studio: Studio, jobs: Jobs) -> list[ServerFunction]:
    """`account` says whether a token is needed; `machines` and `begin_on_hub` begin long work, see long_work.py."""

    def machines(asker: Asker, token: Token) -> Answer:
        sent, _ = token_of(asker, token)
        return begun(studio, QUESTION, asker, lambda: on_hub.machines(sent))

    def begin_on_hub(asker: Asker, wishes: TrainingWishes) -> Answer:
        token, expires = token_of(asker, wishes.token)
        if not wishes.draft:
            raise JobError(NO_FACES)
        start, size = studio.library.beginning(wishes.start, wishes.size, wishes.model)
        plan = TrainingPlan(wishes.recipe, size, wishes.minutes, wishes.images or 0, wishes.name, start)
        rent, abandoned = Rent(wishes.flavor, wishes.dollars), threading.Event()
        return begun(
            studio,
            UPLOAD,
            asker,
            lambda: on_hub.begin(jobs, wishes.draft, plan, asker.visitor, rent, token, expires, abandoned),
            abandoned,
        )

    return [*by_asker(studio, (machines, QUESTION), (begin_on_hub, UPLOAD)), *work_functions(studio)]


def job_functions(studio: Studio, jobs: Jobs) -> list[ServerFunction]:
    """`account` says whether a token is needed; `fetch_from_hub` and `cancel_on_hub` begin long work on a job."""

    def fetch_from_hub(asker: Asker, key: str, token: Token) -> Answer:
        jobs.get(key)  # without the key nobody takes a place
        sent, _ = token_of(asker, token)
        return begun(studio, DOWNLOAD, asker, lambda: on_hub.fetch(jobs, key, sent))

    def cancel_on_hub(asker: Asker, key: str, token: Token) -> Answer:
        jobs.get(key)
        sent, _ = token_of(asker, token)
        return begun(studio, QUESTION, asker, lambda: on_hub.cancel(jobs, key, sent))

    return by_asker(studio, (fetch_from_hub, DOWNLOAD), (cancel_on_hub, QUESTION))


def by_asker(studio: Studio, *beginnings: tuple[Callable[..., Answer], str]) -> list[ServerFunction]:
    """`account`, and functions that begin long work of a kind; their first argument is the visitor with the account."""
    doors = [(function, studio.beginning(kind)) for function, kind in beginnings]
    doors = [(account, studio.door(studio.limits.look)), *doors]
    return [server_function(function, door, visitor_of=studio.asker) for function, door in doors]


def token_of(asker: Asker, pasted: str) -> tuple[str, float | None]:
    """The token to use, and when it ends if that is known. Raises JobError if there is none."""
    account = asker.account
    if token := pasted.strip():
        return token, None
    if not account.jobs_token:
        raise JobError(NO_TOKEN)
    return account.jobs_token, account.expires


def begun(studio: Studio, kind: str, asker: Asker, work: Any, abandoned: threading.Event | None = None) -> Answer:
    """Begin work that waits for the hub; its items are texts, and at last the answer. abandoned: see in_background."""
    visitor = asker.visitor.identity
    steps = in_background(kind, visitor, work, abandoned)
    return {"work": studio.work.begin(kind, visitor, steps, step_value)}
