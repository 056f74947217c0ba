"""Gradio's queue of events, which forgets the results that nobody fetches and knows whose events it has."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import Any, ClassVar

from fastapi import HTTPException, Request
from gradio import queueing
from gradio.server_messages import EventMessage, ProcessCompletedMessage

from app.visitors import address_of

MAX_EVENTS = 24  # of one visitor that are waiting, under way, or not fetched
UNREAD_SECONDS = 60.0  # for which a result waits to be fetched
QUIET_SECONDS = 15.0  # after which nobody listens to a session: who does asks for its messages every 10 seconds
MAX_MESSAGES = 1_000  # of a session that nobody has read, beside results
LOOK_SECONDS = 0.02  # from one look for waiting events to the next; Gradio looks a thousand times a second


class Messages(asyncio.Queue[EventMessage]):
    """What a session is to be told. Each event ends once in it, however often somebody cancels it.

    used: time.monotonic() at which an event ended in it, or somebody last asked for a message
    """

    def __init__(self) -> None:
        super().__init__()
        self.used = time.monotonic()
        self.ended: set[str | None] = set()  # events whose result nobody has read

    def put_nowait(self, item: EventMessage) -> None:
        if isinstance(item, ProcessCompletedMessage):
            if item.event_id in self.ended:
                return
            self.ended.add(item.event_id)
            self.used = time.monotonic()
        elif self.qsize() >= MAX_MESSAGES:
            return
        super().put_nowait(item)

    async def get(self) -> EventMessage:
        self.used = time.monotonic()
        item = await super().get()
        self.used = time.monotonic()
        if isinstance(item, ProcessCompletedMessage):
            self.ended.discard(item.event_id)
        return item


class Sessions(dict[str, Any]):
    """The messages of each session. Strangers push nobody out of it, and what is forgotten may be deleted again."""

    def __delitem__(self, session: str) -> None:
        self.pop(session, None)


class EventQueue(queueing.Queue):
    """A queue that knows whose events it has and whether their results were fetched, and forgets what nobody fetches.

    All of it happens on the event loop of the page.
    """

    proxies: ClassVar[int] = 0  # see `app.visitors.address_of`
    unread_seconds: ClassVar[float] = UNREAD_SECONDS
    quiet_seconds: ClassVar[float] = QUIET_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.pending_messages_per_session = Sessions()  # pyright: ignore[reportAttributeAccessIssue]
        self.pending_event_ids_session = defaultdict(set)
        self.sleep_when_free = LOOK_SECONDS
        self.ANALYTICS_MAX_EVENTS = 0  # no records of past events, which Gradio would sum up after each one
        self.sessions: dict[str, str] = {}  # of each event that is under way or not fetched
        self.visitors: dict[str, set[str]] = {}  # their events
        self.sweeping: asyncio.TimerHandle | None = None

    async def push(self, body: Any, request: Request, username: str | None) -> Any:
        """Take an event, and note whose it is. Raises HTTPException for a visitor who has many."""
        visitor = address_of(request, self.proxies)
        if self.events_of(visitor) >= MAX_EVENTS:
            text = (
                f"{MAX_EVENTS} requests of yours are waiting, under way, or done and not fetched. Fetch their results, "
                f"or wait: each is kept for {self.unread_seconds:g} seconds."
            )
            raise HTTPException(429, text)
        pushed, event, state = await super().push(body, request, username)
        if isinstance(event, str) and pushed:
            self.sessions[event] = body.session_hash
            self.visitors.setdefault(visitor, set()).add(event)
        self.sweeping = self.sweeping or asyncio.get_running_loop().call_later(self.quiet_seconds, self.sweep)
        return pushed, event, state

    def has(self, event: str) -> bool:
        """Whether an event is under way, or its result can still be fetched."""
        waiting = self.pending_event_ids_session.get(self.sessions.get(event, ""), ())
        return event in self.event_ids_to_events or event in waiting

    def events_of(self, visitor: str) -> int:
        """The number of a visitor's events that are under way or not fetched."""
        return sum(map(self.has, self.visitors.get(visitor, ())))

    def sweep(self) -> None:
        """Forget the sessions that are over, and the events that nobody can fetch any more; do so again soon."""
        for session in {*self.pending_messages_per_session, *self.pending_event_ids_session}:
            if self.is_over(session):
                self.pending_messages_per_session.pop(session, None)
                self.pending_event_ids_session.pop(session, None)
        self.sessions = {event: session for event, session in self.sessions.items() if self.has(event)}
        left = {visitor: events & self.sessions.keys() for visitor, events in self.visitors.items()}
        self.visitors = {visitor: events for visitor, events in left.items() if events}
        self.sweeping = None
        if self.pending_messages_per_session or self.pending_event_ids_session:
            self.sweeping = asyncio.get_running_loop().call_later(self.quiet_seconds, self.sweep)

    def is_over(self, session: str) -> bool:
        """Whether nothing of a session is under way, and nobody has asked for its messages for some time."""
        waiting = self.pending_event_ids_session.get(session, set())
        if waiting & self.event_ids_to_events.keys():
            return False
        messages = self.pending_messages_per_session.get(session)
        seconds = self.unread_seconds if waiting else self.quiet_seconds
        return messages is None or time.monotonic() - messages.used >= seconds
