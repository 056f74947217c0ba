"""The server functions that advance and end work that takes seconds, for every tab that begins some."""

from __future__ import annotations

from collections.abc import Callable

from app.components.bridge import Answer, server_function
from app.faces.studio import Studio


def work_functions(studio: Studio) -> list[Callable[..., Answer]]:
    """`ask` runs a slice and answers with progress or with the result; `leave` ends the work. long-work.js calls both.

    Their argument comes from the network: the key in the answer of the function that began the work.
    """

    def ask(search: str) -> Answer:
        return studio.work.ask(search)

    def leave(search: str) -> Answer:
        studio.work.end(search)
        return {}

    return [server_function(ask), server_function(leave)]
