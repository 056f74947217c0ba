"""Limits on connections, below requests: how many one address may hold, and how long one may stand still."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import ClassVar

import h11
import uvicorn.config
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.server.request_limits import MAX_OPEN
from app.visitors import network_of

SILENT_SECONDS = 60.0  # between two looks at a connection; uvicorn would wait for ever for a request that has begun
SLOW_SECONDS = 60.0  # in which a client has to take LEAST_TAKEN bytes of an answer, about 1 kB a second
LEAST_TAKEN = 60_000
UNSENT_BYTES = 131_072  # that the system takes of an answer before they are sent; more would hide how slow a client is


class LimitedConnection(H11Protocol):
    """A connection to the page."""

    most: ClassVar[int] = MAX_OPEN  # of one address
    silent_seconds: ClassVar[float] = SILENT_SECONDS
    slow_seconds: ClassVar[float] = SLOW_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)  # which adds this one to all connections of the server
        self.address = network_of(self.client[0]) if self.client else ""
        self.before: object = None  # the request that was the latest one when the connection was last looked at
        self.look: asyncio.TimerHandle | None = None
        self.slow_look: asyncio.TimerHandle | None = None  # while the answer waits for its client
        addresses = [getattr(other, "address", "") for other in self.connections]
        if addresses.count(self.address) > self.most:
            transport.abort()
            return
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # not on Windows
            connection = transport.get_extra_info("socket")
            with suppress(OSError):  # it is closed already
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        self.look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for look in (self.look, self.slow_look):
            if look:
                look.cancel()

    def look_later(self) -> None:
        self.look = self.loop.call_later(self.silent_seconds, self.close_if_silent)

    def close_if_silent(self) -> None:
        """Close the connection if no request is under way on it, and none has begun since it was last looked at."""
        idle = self.transport.is_closing() or self.cycle is None or self.cycle.response_complete
        if idle and self.cycle is self.before:
            self.transport.abort()
        else:
            self.before = self.cycle
            self.look_later()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.look_at_client()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.slow_look:
            self.slow_look.cancel()

    def look_at_client(self) -> None:
        """Look whether the client takes what waits for it, as long as anything waits."""
        waiting = self.transport.get_write_buffer_size()
        self.slow_look = self.loop.call_later(self.slow_seconds, self.close_if_slow, waiting)

    def close_if_slow(self, before: int) -> None:
        """Close the connection if the client has taken too little. before: bytes that waited when it was looked at."""
        if before - self.transport.get_write_buffer_size() < LEAST_TAKEN:
            self.transport.abort()
        else:
            self.look_at_client()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that breaks HTTP. Where its answer has begun, the connection is closed without a word."""
        if self.cycle and not self.cycle.response_complete:
            self.cycle.disconnected = True  # what still answers it must not write after this
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.abort()

    def _should_upgrade(self) -> bool:
        """Whether a request becomes a WebSocket: never, since the page has none, and they would meet no limits."""
        return False


def limit_connections(most_files: int, proxies: int) -> None:
    """Have the server that is started next limit connections.

    most_files: that this process may open, 0 if that is unknown; one address may use up a quarter of them.
    proxies: with any, all connections come from the nearest one, which may use up all.
    """
    LimitedConnection.most = min(MAX_OPEN, most_files // 4 or MAX_OPEN) if not proxies else most_files or 2**31
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{LimitedConnection.__name__}"
