"""Limits on connections, below requests: how many one address may hold, and how long one may send nothing."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import uvicorn.config
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.server.request_limits import MAX_OPEN
from app.visitors import network_of

SILENT_SECONDS = 60.0  # between two looks at a connection; uvicorn would wait for ever for a request that has begun


class LimitedConnection(H11Protocol):
    """A connection to the page."""

    most: ClassVar[int] = MAX_OPEN  # of one address
    silent_seconds: ClassVar[float] = SILENT_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)  # which adds this one to all connections of the server
        self.address = network_of(self.client[0]) if self.client else ""
        self.before: object = None  # the request that was the latest one when the connection was last looked at
        self.look: asyncio.TimerHandle | None = None
        addresses = [getattr(other, "address", "") for other in self.connections]
        if addresses.count(self.address) > self.most:
            transport.abort()
        else:
            self.look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.look:
            self.look.cancel()

    def look_later(self) -> None:
        self.look = self.loop.call_later(self.silent_seconds, self.close_if_silent)

    def close_if_silent(self) -> None:
        """Close the connection if no request is under way on it, and none has begun since it was last looked at."""
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self.cycle is self.before:
            self.transport.abort()
        else:
            self.before = self.cycle
            self.look_later()


def limit_connections(most_files: int, proxies: int) -> None:
    """Have the server that is started next limit connections.

    most_files: that this process may open, 0 if that is unknown; one address may use up a quarter of them.
    proxies: with any, all connections come from the nearest one, which may use up all.
    """
    LimitedConnection.most = min(MAX_OPEN, most_files // 4 or MAX_OPEN) if not proxies else most_files or 2**31
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{LimitedConnection.__name__}"
