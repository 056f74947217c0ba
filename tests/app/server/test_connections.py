"""Connections: one address cannot hold them all, and one that stands still is closed. By raw sockets."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
import uvicorn.config
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from app.server.connections import LEAST_TAKEN, LimitedConnection, limit_connections
from app.server.request_limits import MAX_OPEN

REQUEST = b"GET / HTTP/1.1\r\nHost: page\r\n\r\n"
ENDED = threading.Event()  # when the page has no more to do for a request for /half or /endless


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with nothing; at /half with a part, and more once the client is gone; at /endless with more and more."""
    if scope["path"] == "/":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    piece = {"type": "http.response.body", "body": b"x" * 10_000, "more_body": True}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send(piece)
    gone = False
    while not gone:
        if scope["path"] == "/half":
            gone = (await receive())["type"] == "http.disconnect"
        else:
            await send(piece)
            gone = send.__self__.disconnected  # type: ignore[attr-defined]
    await send(piece)
    ENDED.set()


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where a server listens that allows an address three connections."""
    monkeypatch.setattr(LimitedConnection, "most", 3)
    options: dict[str, Any] = {"http": LimitedConnection, "lifespan": "off", "log_level": "warning", "log_config": None}
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


def test_a_client_that_takes_too_little_of_an_answer_is_given_up(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LimitedConnection, "slow_seconds", 0.1)
    ENDED.clear()
    with connected(port) as slow:
        slow.sendall(REQUEST.replace(b"/ ", b"/endless "))
        assert ENDED.wait(60)


@pytest.mark.parametrize(("taken", "closed"), [(LEAST_TAKEN, False), (LEAST_TAKEN - 1, True)])
def test_a_client_that_takes_an_answer_slowly_has_all_the_time(taken: int, closed: bool) -> None:
    looks: list[Any] = []
    loop = SimpleNamespace(call_later=lambda seconds, look, *args: looks.append((look, args)))
    connection = LimitedConnection(uvicorn.Config(nothing, log_config=None), ServerState(), {}, loop)  # type: ignore[arg-type]
    waiting, aborted = [5 * LEAST_TAKEN], []
    connection.transport = SimpleNamespace(get_write_buffer_size=lambda: waiting[0], abort=lambda: aborted.append(1))  # type: ignore[assignment]
    connection.flow = SimpleNamespace(pause_writing=lambda: None)  # type: ignore[assignment]
    connection.pause_writing()
    for _ in range(3):
        waiting[0] -= taken
        look, args = looks.pop()
        look(*args)
        assert bool(aborted) == closed
        if closed:
            return
    assert looks


CHUNKED = b"POST %s HTTP/1.1\r\nHost: page\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
BROKEN = b"no number\r\n"


@pytest.mark.parametrize("path", [b"/", b"/half"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_request_that_breaks_off_ends_with_one_line_in_the_log(
    path: bytes, at_once: bool, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    ENDED.clear()
    with connected(port) as broken:
        if at_once:
            assert answer(broken, CHUNKED % path + BROKEN).startswith(b"HTTP/1.1 400 ")
        else:
            assert answer(broken, CHUNKED % path).startswith(b"HTTP/1.1 20")
            answer(broken, BROKEN)
    if path == b"/half":
        assert ENDED.wait(60)
    with connected(port) as later:  # what the one before left behind is done
        assert b"204" in answer(later)
    assert [record.message for record in caplog.records] == ["Invalid HTTP request received."]
    assert not any(record.exc_info for record in caplog.records)


def test_a_request_for_a_websocket_meets_the_same_limits(port: int, caplog: pytest.LogCaptureFixture) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n"
    with connected(port) as connection:
        assert b"204" in answer(connection, REQUEST[:-2] + upgrade + b"\r\n")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


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
