"""Connections: one address cannot hold them all, and one without a request is closed. By raw sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
import uvicorn.config
from starlette.types import Receive, Scope, Send

from app.server.connections import LimitedConnection, limit_connections
from app.server.request_limits import MAX_OPEN

REQUEST = b"GET / HTTP/1.1\r\nHost: page\r\n\r\n"


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where a server listens that allows an address three connections."""
    monkeypatch.setattr(LimitedConnection, "most", 3)
    options: dict[str, Any] = {"http": LimitedConnection, "lifespan": "off", "log_level": "critical"}
    server = uvicorn.Server(uvicorn.Config(nothing, timeout_keep_alive=600, **options))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(60)


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def answer(connection: socket.socket, request: bytes = REQUEST) -> bytes:
    """What comes back; nothing where the connection was closed."""
    try:
        connection.sendall(request)
        return connection.recv(1_000)
    except ConnectionError:
        return b""


def test_an_address_may_have_so_many_connections_and_no_more(port: int) -> None:
    held = [connected(port) for _ in range(3)]
    assert all(b"204" in answer(connection) for connection in held)
    with connected(port) as one_more:
        assert answer(one_more) == b""
    assert b"204" in answer(held[0])
    for connection in held:
        connection.close()
    while True:  # the server notes that they are closed
        with connected(port) as later:
            if b"204" in answer(later):
                break


def test_a_connection_that_asks_for_nothing_is_closed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LimitedConnection, "silent_seconds", 0.1)
    with connected(port) as silent:
        assert answer(silent, b"") == b""


@pytest.mark.parametrize("next_one", [b"", b"GET / HTTP/1.1\r\nHost:"])
def test_a_connection_is_closed_as_well_when_no_other_request_follows(
    next_one: bytes, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LimitedConnection, "silent_seconds", 0.3)
    with connected(port) as once:
        assert b"204" in answer(once)
        assert answer(once, next_one) == b""


def test_connections_of_one_network_count_together(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.server.connections.network_of", lambda address: "one network")
    addresses = [("127.0.0.1", 0), ("127.0.0.2", 0), ("127.0.0.3", 0), ("127.0.0.4", 0)]
    held = [socket.create_connection(("127.0.0.1", port), timeout=60, source_address=own) for own in addresses]
    assert [b"204" in answer(connection) for connection in held] == [True, True, True, False]
    for connection in held:
        connection.close()


@pytest.mark.parametrize(
    ("files", "proxies", "most"), [(65_536, 0, MAX_OPEN), (400, 0, 100), (0, 0, MAX_OPEN), (400, 1, 400)]
)
def test_an_address_may_use_a_quarter_of_the_files_and_a_proxy_all(
    files: int, proxies: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(uvicorn.config.HTTP_PROTOCOLS, "auto", "")
    monkeypatch.setattr(LimitedConnection, "most", 0)
    limit_connections(files, proxies)
    assert LimitedConnection.most == most
    config = uvicorn.Config(nothing)
    config.load()
    assert config.http_protocol_class is LimitedConnection
