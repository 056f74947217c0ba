"""How the page holds when many visitors come at once: starts it on this machine, visits it, and prints a table.

`python -m benchmarks.load [--seconds 180] [--visitors 1 16 64 256] [--pauses 0 5] [--kinds roll ...] [--job]`

A visitor sends a request, waits for the answer, pauses, and sends the next one. Each has an address of its own, as
behind a proxy. Only this machine is visited. `refused` counts requests that were told to come back later; errors are
all other answers but faces. `bare` is what the network alone draws and encodes just before, in batches of 16.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from app.faces.library import EMBEDDED_KEY
from app.server.face_endpoint import QUALITY
from ganime.drawing.clarity import DEFAULT_CLARITY
from ganime.drawing.recipe import Recipe, latents
from ganime.drawing.sampling import render
from ganime.embedded import EMBEDDED
from ganime.images import jpeg_bytes, sheet
from ganime.models.checkpoint import load_checkpoint
from tests.page_server import serve

MODEL = load_checkpoint(EMBEDDED)
FACES = 16  # of a roll
BARE_SECONDS = 2.0
PATIENCE = 120.0  # seconds for an answer
SLIDERS = ("smile", "blush", "open_mouth")
HEADINGS = "| who | visitors | pause s | requests/s | p50 s | p95 | p99 | refused | errors | told a place | MB | files "


@dataclass
class Counts:
    """What visitors saw: seconds to each answer, and how many were refused, failed or were told their place."""

    seconds: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    def row(self, elapsed: float) -> list[str]:
        times = [f"{value:.2f}" for value in np.percentile(self.seconds or [np.nan], [50, 95, 99])]
        told = [str(self.outcomes[name]) for name in ("refused", "error", "told")]
        return [f"{len(self.seconds) / elapsed:.2f}", *times, *told]


class Visitor:
    """One visitor of the page at an address. dock: the id of the dock's component, which has the server functions."""

    def __init__(self, client: httpx.AsyncClient, dock: int, number: int) -> None:
        self.client, self.dock, self.random = client, dock, random.Random(number)
        self.headers = {"X-Forwarded-For": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}
        self.recipe = Recipe(MODEL.name, MODEL.revision, 116).to_json()

    async def roll(self) -> str:
        seed = self.random.randrange(2**32)
        return await self.draw("fresh", count=FACES, seed=seed, truncation=1.0, clarity=DEFAULT_CLARITY)

    async def steer(self) -> str:
        amounts = {name: self.random.uniform(-1, 1) for name in SLIDERS}
        return await self.draw("steer", recipe=self.recipe, amounts=amounts)

    async def draw(self, tool: str, **fields: Any) -> str:
        """Have faces drawn; says "ok", "told" where the request waited, "refused" or "error"."""
        answer = await self.client.post(f"/ganime/{tool}", json={"key": EMBEDDED_KEY, **fields}, headers=self.headers)
        if answer.status_code == 503:
            return "refused"
        if answer.status_code != 200:
            return "error"
        data, told = answer.content, "ok"
        while "ahead" in (head := json.loads(data[4 : 4 + int.from_bytes(data[:4], "big")])):
            data, told = data[4 + int.from_bytes(data[:4], "big") :], "told"
        return told if "recipes" in head else "error"

    async def download(self) -> str:
        """A PNG of a face."""
        face = Recipe(MODEL.name, MODEL.revision, self.random.randrange(2**32)).to_json()
        return await self.call("face_file", EMBEDDED_KEY, face, 0)

    async def call(self, name: str, *arguments: Any) -> str:
        """Call a server function of the page."""
        session = self.headers["X-Forwarded-For"]
        body = {"component_id": self.dock, "fn_name": name, "session_hash": session, "data": list(arguments)}
        answer = await self.client.post("/gradio_api/component_server", json=body, headers=self.headers)
        value = answer.json() if answer.status_code == 200 else {"error": ""}
        return "ok" if "error" not in value else "refused" if "busy" in value["error"] else "error"

    async def visit(self, kind: str, pause: float, until: float, counts: Counts) -> None:
        """Ask for one kind of thing again and again."""
        await asyncio.sleep(self.random.uniform(0, pause))
        while time.monotonic() < until:
            begun = time.monotonic()
            try:
                outcome = await getattr(self, kind)()
            except httpx.HTTPError as error:
                outcome = "error"
                print(f"{kind}: {error!r}")
            counts.outcomes[outcome] += 1
            if outcome in ("ok", "told"):
                counts.seconds.append(time.monotonic() - begun)
            await asyncio.sleep(pause or (0.5 if outcome == "refused" else 0))


async def cell(address: str, kind: str, visitors: int, pause: float, seconds: float) -> Counts:
    """Let visitors come for some seconds."""
    limits, counts = httpx.Limits(max_connections=visitors + 1), Counts()
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE, limits=limits) as client:
        dock = await dock_of(client)
        until = time.monotonic() + seconds
        everyone = [Visitor(client, dock, number) for number in range(1, visitors + 1)]
        await asyncio.gather(*(visitor.visit(kind, pause, until, counts) for visitor in everyone))
    return counts


async def dock_of(client: httpx.AsyncClient) -> int:
    """The id of the component whose server functions all tabs call."""
    config = (await client.get("/config")).json()
    [dock] = [part["id"] for part in config["components"] if part["props"].get("elem_id") == "dock"]
    return dock


def bare() -> float:
    """Batches of 16 faces a second that the network draws and encodes alone."""
    z, count, begun = latents(range(FACES), MODEL.generator.config.latent_dim), 0, time.monotonic()
    while time.monotonic() - begun < BARE_SECONDS:
        jpeg_bytes(sheet(render(MODEL.prepared, z)), QUALITY)
        count += 1
    return count / (time.monotonic() - begun)


def page_process() -> psutil.Process:
    """The page that this process has started."""
    [page] = [child for child in psutil.Process().children() if "app" in child.cmdline()]
    return page


@contextmanager
def running_job(address: str, home: Path) -> Iterator[None]:
    """A training job that runs meanwhile, on faces that the model draws."""
    import zipfile

    from gradio_client import Client, handle_file

    from ganime.drawing.sampling import generate
    from ganime.images import png_bytes

    path = home / "faces.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, face in enumerate(generate(MODEL, range(64))):
            archive.writestr(f"{number}.png", png_bytes(face))
    client = Client(address, verbose=False)
    key = client.predict(files=[handle_file(str(path))], minutes=120.0, image_size=64, api_name="/train_start")
    while client.predict(key=key, api_name="/train_status")["images"] == 0:
        time.sleep(1)
    yield
    client.predict(key=key, api_name="/train_stop")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--visitors", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--pauses", type=float, nargs="+", default=[0.0, 5.0])
    parser.add_argument("--kinds", nargs="+", default=["roll", "steer", "download"])
    parser.add_argument("--job", action="store_true", help="beside a training job")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        address = stack.enter_context(serve(Path(home), GANIME_PROXIES="1", GANIME_TRAINING="open"))
        if options.job:
            stack.enter_context(running_job(address, Path(home)))
        page = page_process()
        print(f"{HEADINGS}| bare/s |\n|{'---|' * 13}")
        for kind in options.kinds:
            for pause in options.pauses:
                for visitors in options.visitors:
                    alone = bare()
                    begun = time.monotonic()
                    counts = asyncio.run(cell(address, kind, visitors, pause, options.seconds))
                    row = counts.row(time.monotonic() - begun)
                    used = [f"{page.memory_info().rss / 2**20:.0f}", str(page.num_fds()), f"{alone:.2f}"]
                    print(f"| {kind} | {visitors} | {pause:g} | {' | '.join([*row, *used])} |", flush=True)


if __name__ == "__main__":
    main()
