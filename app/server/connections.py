"""Limits on connections, below requests: how many one address may hold, and how long one may send nothing."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import uvicorn.config
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from app.server.request_limits import MAX_OPEN

SILENT_SECONDS = 60.0  # after which a connection without a request is closed; uvicorn would wait for ever


class LimitedConnection(AutoHTTPProtocol):
    """A connection to the page."""

    most: ClassVar[int] = MAX_OPEN  # of one address
    silent_seconds: ClassVar[float] = SILENT_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)  # which adds this one to all connections of the server
        address = self.client and self.client[0]
        if sum(bool(other.client) and other.client[0] == address for other in self.connections) > self.most:
            transport.abort()
        self.loop.call_later(self.silent_seconds, self.close_if_silent)

    def close_if_silent(self) -> None:
        """Close the connection unless a request has begun on it."""
        if self.cycle is None:
            self.transport.abort()


def limit_connections(most_files: int, proxies: int) -> None:
    """Have the server that is started next limit connections.

    most_files: that this process may open, 0 if that is unknown; one address may use up a quarter of them.
    proxies: with any, all connections come from the nearest one, which may use up all.
    """
    LimitedConnection.most = min(MAX_OPEN, most_files // 4 or MAX_OPEN) if not proxies else most_files or 2**31
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{LimitedConnection.__name__}"
