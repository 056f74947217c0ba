"""What benchmarks that try a page's patience share: the page, what a visitor sends, and another visitor meanwhile."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil

from app.faces.library import EMBEDDED_KEY
from benchmarks.load import MODEL
from ganime.drawing.recipe import Recipe
from tests.page_server import serve

API = "/gradio_api"
MEGABYTE = 2**20
Answers = Counter[str]  # how often each was given


@dataclass
class Target:
    """The page. config: how it describes itself."""

    address: str
    home: Path
    process: psutil.Process
    config: dict[str, Any]

    @property
    def place(self) -> tuple[str, int]:
        """Where it listens: host and port."""
        parts = urlsplit(self.address)
        return str(parts.hostname), parts.port or 80

    @property
    def memory(self) -> float:
        return self.process.memory_info().rss / MEGABYTE

    @property
    def log_bytes(self) -> int:
        return (self.home / "app.log").stat().st_size

    def component(self, elem_id: str) -> int:
        return next(part["id"] for part in self.config["components"] if part["props"].get("elem_id") == elem_id)

    def event(self, elem_id: str, name: str) -> int:
        """The number of the handler of a component's event."""
        target = [self.component(elem_id), name]
        return next(each["id"] for each in self.config["dependencies"] if target in each["targets"])

    def endpoint(self, name: str) -> int:
        return next(each["id"] for each in self.config["dependencies"] if each.get("api_name") == name)

    def client(self, visitor: int, timeout: float = 120) -> httpx.Client:
        """A client with the address of one visitor."""
        headers = {"X-Forwarded-For": f"10.1.{visitor >> 8}.{visitor & 255}"}
        limits = httpx.Limits(max_connections=1_500)
        return httpx.Client(base_url=self.address, timeout=timeout, headers=headers, limits=limits)


@contextmanager
def opened(home: Path, command: tuple[str, ...] = ("-m", "app"), **variables: str) -> Iterator[Target]:
    """Start the page, with one trusted proxy, so that visitors have addresses, and training for everyone."""
    variables = {"GANIME_PROXIES": "1", "GANIME_TRAINING": "open", **variables}
    before = set(psutil.Process().children())
    with serve(home, command, **variables) as address:
        [process] = set(psutil.Process().children()) - before
        yield Target(address, home, process, httpx.get(f"{address}/config").json())


def told(answer: httpx.Response) -> str:
    """A status and the beginning of the words."""
    return f"{answer.status_code} {' '.join(answer.text.split())[:90]}"


def call(client: httpx.Client, target: Target, name: str, *arguments: Any, session: str = "s") -> httpx.Response:
    """Call a server function that all tabs share."""
    body = {"component_id": target.component("dock"), "fn_name": name, "session_hash": session, "data": list(arguments)}
    return client.post(f"{API}/component_server", json=body)


def run_event(client: httpx.Client, number: int, data: list[Any], session: str) -> dict[str, Any]:
    """Send an event and wait for its output."""
    body = {"fn_index": number, "session_hash": session, "data": data}
    client.post(f"{API}/queue/join", json=body).raise_for_status()
    with client.stream("GET", f"{API}/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            message = json.loads(line[5:]) if line.startswith("data:") else {}
            if message.get("msg") == "process_completed":
                return message["output"]
    return {"error": "no answer"}


def in_words(output: dict[str, Any]) -> str:
    return "faces" if "data" in output else str(output.get("error"))[:90]


class Others(threading.Thread):
    """Another visitor, and a look at the page's memory, until `ended` is set."""

    def __init__(self, target: Target) -> None:
        super().__init__(daemon=True)
        self.target, self.ended = target, threading.Event()
        self.longest, self.most, self.failed = 0.0, target.memory, 0

    def run(self) -> None:
        seed, looking = 0, threading.Thread(target=self.look, daemon=True)
        looking.start()
        recipe = Recipe(MODEL.name, MODEL.revision, 116).to_json()
        with self.target.client(4_000, timeout=60) as client:
            while not self.ended.wait(0.25):
                begun, seed = time.monotonic(), seed + 4
                body = {"key": EMBEDDED_KEY, "recipe": recipe, "seeds": list(range(seed, seed + 4)), "locks": []}
                try:
                    self.failed += client.post("/ganime/roll", json=body).status_code != 200
                except httpx.HTTPError:
                    self.failed += 1
                self.longest = max(self.longest, time.monotonic() - begun)
        looking.join()

    def look(self) -> None:
        while not self.ended.wait(0.05):
            self.most = max(self.most, self.target.memory)
