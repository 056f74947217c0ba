"""Whether the page stays the same over a long time: many visitors, a training job, and a row of figures each minute.

`python -m benchmarks.soak [--minutes 30] [--visitors 16]`

Visitors roll, steer, save faces, and change the model; others open the page, stay connected for some seconds and leave.
Memory, open files and the files of the page's home should level off.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.load import PATIENCE, Counts, Visitor, dock_of, page_process, running_job
from tests.page_server import serve

HEADINGS = "| minute | answers/s | p50 s | p95 | p99 | refused | errors | told a place | MB | files | home MB |"
KINDS = ("roll", "steer", "download")


async def change_models(visitor: Visitor, until: float, counts: Counts) -> None:
    """Change the model again and again."""
    while time.monotonic() < until:
        for name in ("embedded_model", "start_model"):
            counts.outcomes[await visitor.call(name)] += 1
            await asyncio.sleep(5)


async def come_and_go(client: httpx.AsyncClient, until: float) -> None:
    """Open the page, stay connected as a browser does, and leave."""
    while time.monotonic() < until:
        await client.get("/")
        async with client.stream("GET", f"/gradio_api/heartbeat/{random.getrandbits(64):x}") as stream:
            assert stream.status_code == 200
            await asyncio.sleep(random.uniform(0, 5))


async def minute(address: str, visitors: int) -> Counts:
    """Let visitors come for a minute."""
    counts, until = Counts(), time.monotonic() + 60
    async with httpx.AsyncClient(
        base_url=address, timeout=PATIENCE, limits=httpx.Limits(max_connections=500)
    ) as client:
        dock = await dock_of(client)
        everyone = [Visitor(client, dock, random.getrandbits(24)) for _ in range(visitors)]
        work = [
            visitor.visit(KINDS[number % len(KINDS)], 1.0, until, counts) for number, visitor in enumerate(everyone)
        ]
        await asyncio.gather(
            *work, change_models(everyone[0], until, counts), *(come_and_go(client, until) for _ in range(8))
        )
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--visitors", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        with serve(home, GANIME_PROXIES="1", GANIME_TRAINING="open") as address, running_job(address, home):
            page = page_process()
            print(f"{HEADINGS}\n|{'---|' * 11}")
            for number in range(1, options.minutes + 1):
                row = asyncio.run(minute(address, options.visitors)).row(60)
                stored = sum(path.stat().st_size for path in home.rglob("*") if path.is_file()) / 2**20
                used = [f"{page.memory_info().rss / 2**20:.0f}", str(page.num_fds()), f"{stored:.0f}"]
                print(f"| {number} | {' | '.join([*row, *used])} |", flush=True)


if __name__ == "__main__":
    main()
