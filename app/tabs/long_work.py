"""The server functions that advance and end work that takes seconds, for every tab that begins some."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool

from app.components.bridge import Answer, ServerFunction, no_door, server_function
from app.faces.studio import Studio

WAIT_SECONDS = 1.0  # for which a request about work that has no place yet is held


def step_value(found: str | Answer | None) -> Answer:
    """The answer about work whose items are words about what it does, as progress, and at last the answer itself."""
    return found if isinstance(found, dict) else {"progress": 0, "text": found or ""}


def work_functions(studio: Studio) -> list[ServerFunction]:
    """`ask` runs a slice and answers with progress or with the result; `leave` ends the work. long-work.js calls both.

    Their argument comes from the network: the key in the answer of the function that began the work.
    """

    async def ask(visitor: str, work: str) -> Answer:
        with studio.work.asked(work):
            await studio.work.wait(work, WAIT_SECONDS)
            async with studio.limits.slices.turn(visitor):  # now, or those without a place would hold up the others
                return await run_in_threadpool(studio.work.ask, work)

    async def leave(work: str) -> Answer:
        studio.work.end(work)  # at once, in no thread
        return {}

    return [server_function(ask, no_door, visitor_of=studio.visitor), server_function(leave, no_door)]
