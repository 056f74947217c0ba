"""The studio: the one entry point from the page to the engine, with everything that visitors share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from app.faces.device import Device
from app.faces.inspection import Inspector
from app.faces.library import Library
from app.faces.loaded_model import LoadedModel
from app.faces.sliced_work import SlicedWork
from app.jobs.service import Jobs
from app.limits import Limits, Turns
from app.recently_used import RecentlyUsed
from app.settings import Settings
from app.visitors import Asker, Visitor, account_of, profile_of, visitor_of
from ganime.drawing.directions import Direction
from ganime.errors import GanimeError

MAX_UNNAMED = 16  # models whose unnamed directions stay in memory


class Studio:
    """Models and the device that draws them, for all visitors. Nothing of a visitor is kept.

    jobs: the training jobs, None when training is off; `no_jobs` then tells the visitor why.
    library: the models, by key.
    device: the lock that every use of a network holds.
    inspector: what is known of models beside their generators.
    work: searches, films and comparisons in progress.
    limits: what a request passes before its work.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.jobs: Jobs | None = None
        self.no_jobs = "The owner of this page has switched training off (GANIME_TRAINING=off)."
        if settings.training != "off":
            try:
                self.jobs = Jobs(settings)
            except GanimeError as error:  # such as a disk that cannot be written; drawing works without jobs
                self.no_jobs = f"Training is unavailable on this page at the moment. {error}"
        self.library = Library(settings, self.jobs)
        self.device = Device()
        self.inspector = Inspector(self.device, self.jobs)
        self.work = SlicedWork()
        self.limits = Limits()
        self.unnamed: RecentlyUsed[list[Direction]] = RecentlyUsed(MAX_UNNAMED)  # directions, by revision

    def open(self, key: str) -> LoadedModel:
        """The model of a key, for one request. Raises GanimeError with a text for the visitor."""
        return LoadedModel(key, self.library.checkpoint(key), self.device, self.unnamed, self.inspector)

    def visitor(self, request: Any) -> str:
        """The identity of the visitor behind a request, by login or else by address; empty for an unknown request."""
        return self.visitor_behind(request).identity if request else ""

    def asker(self, request: Any) -> Asker:
        """The visitor behind a request, with their account on the hub, which only what acts there may read."""
        return Asker(self.visitor_behind(request), account_of(request))

    def visitor_behind(self, request: Any) -> Visitor:
        return visitor_of(request, profile_of(request), self.settings.proxies)

    def door(self, turns: Turns) -> Callable[[Any], AbstractAsyncContextManager[None]]:
        """What a request passes that has to wait for one of these turns, given the request."""
        return lambda request: turns.turn(self.visitor(request))

    def beginning(self, kind: str, turns: Turns | None = None) -> Callable[[Any], AbstractAsyncContextManager[None]]:
        """What a request passes that begins long work of a kind: it waits for earlier work of the visitor to end, see
        `SlicedWork.settle`, then for one of these turns, by default to look something up.
        """

        @asynccontextmanager
        async def door(request: Any) -> AsyncIterator[None]:
            visitor = self.visitor(request)
            await self.work.settle(kind, visitor)
            async with (turns or self.limits.look).turn(visitor):
                yield

        return door
