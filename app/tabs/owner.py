"""The owner's overview of all jobs, for whoever knows GANIME_ADMIN_TOKEN; it shows no keys and no faces."""

from __future__ import annotations

import time
from html import escape
from typing import Any

import gradio as gr

from app.jobs.service import Jobs
from app.jobs.status import JobStatus
from ganime.errors import GanimeError

FACTS = ("id", "state", "name", "place", "faces", "images", "saved", "share", "reason")
TIMES = ("created", "started", "ended")
COLUMNS = (*FACTS, "megabytes", *TIMES)


def overview(jobs: Jobs, token: str) -> list[dict[str, Any]]:
    """All jobs, newest first; times are UTC, "" for not yet. Raises JobError for a wrong token."""
    return [row(status) for status in jobs.overview(token)]


def row(status: JobStatus) -> dict[str, Any]:
    values = {name: getattr(status, name) for name in FACTS} | {"megabytes": round(status.bytes / 2**20)}
    return values | {name: moment(getattr(status, name)) for name in TIMES}


def moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds)) if seconds else ""


def build(jobs: Jobs) -> None:
    """A field for the token and the table it opens; nothing where no token is set."""
    if not jobs.settings.admin_token.get_secret_value():
        return

    def show(token: str) -> str:
        try:
            return table(overview(jobs, token))
        except GanimeError as error:
            return f'<p role="alert">{escape(str(error))}</p>'

    with gr.Accordion("All jobs, for the owner of this page", open=False):
        token = gr.Textbox(label="GANIME_ADMIN_TOKEN, then Enter", type="password", elem_id="owner-token")
        token.submit(show, token, gr.HTML(elem_id="overview"), api_visibility="private")


def table(rows: list[dict[str, Any]]) -> str:
    """The overview in HTML; names and reasons may hold what strangers wrote and are escaped."""
    head = "".join(f"<th>{column}</th>" for column in COLUMNS)
    lines = ["".join(f"<td>{escape(str(row[column]))}</td>" for column in COLUMNS) for row in rows]
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
