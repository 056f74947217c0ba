"""Everything that visitors can have the page do passes a door of app/limits.py, but for what is named here."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.components.bridge import no_door, server_function
from app.faces.studio import Studio
from app.limits import Turn
from app.page import create_app
from app.settings import Settings
from app.tabs.long_work import work_functions
from tests.forking import in_process

WITHOUT = {
    "ask": "takes its turn once its work has a place",
    "leave": "removes a key from a table, in no thread",
    "interpolate": "is long work, which has places",
    "walk": "is long work, which has places",
    "project": "is long work, which has places",
    "model_in_use": "passes on a text of the event",
    "started": "passes on a text of the event",
    "show_form": "compares the visitor with the settings",
}
CROWD = 200  # requests of one visitor


def doors_of_the_page(home: Path) -> tuple[int, set[str]]:
    """How many functions visitors can call, and the names of those that pass no door."""
    page = create_app(Studio(Settings(home=home, training="open")))
    called = [function for block in page.blocks.values() for function in getattr(block, "server_fns", [])]
    called += [event.fn for event in page.fns.values() if event.fn]
    return len(called), {each.__name__ for each in called if getattr(each, "door", no_door) is no_door}


def test_every_server_function_event_and_endpoint_passes_a_door(tmp_path: Path) -> None:
    count, without = in_process(doors_of_the_page, tmp_path)
    assert count > 60
    assert without == WITHOUT.keys()


def request_of(host: str) -> Any:
    """A request of the visitor at this address."""
    return SimpleNamespace(client=SimpleNamespace(host=host), scope={})


def test_a_crowd_of_lookups_takes_few_threads_and_others_wait_for_none_of_it(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turns are counted, not seconds, and as they are granted: when a thread begins is up to the machine."""
    granted, may_go, most = [], threading.Event(), 0
    join = studio.limits.look.join

    def note(visitor: str) -> Turn:
        turn = join(visitor)
        turn.granted.add_done_callback(lambda _: granted.append(visitor))
        return turn

    def lookup() -> dict[str, str]:
        nonlocal most
        most = max(most, studio.limits.look.serving)
        assert may_go.wait(30)
        return {}

    monkeypatch.setattr(studio.limits.look, "join", note)
    look = server_function(lookup, studio.door(studio.limits.look))
    draw = server_function(lambda: {"drawn": True}, studio.door(studio.limits.draw))

    async def crowd() -> None:
        many = [asyncio.create_task(look([], request_of("10.0.0.1"))) for _ in range(CROWD)]
        await asyncio.sleep(0)
        assert await asyncio.wait_for(draw([], request_of("10.0.0.2")), 20) == {"drawn": True}  # none of them has ended
        one = asyncio.create_task(look([], request_of("10.0.0.2")))
        await asyncio.sleep(0)
        may_go.set()
        await asyncio.gather(one, *many)

    asyncio.run(crowd())
    places = studio.limits.look.places
    assert most == places
    assert len(granted) == CROWD + 1
    other = studio.visitor(request_of("10.0.0.2"))
    assert granted.index(other) <= 2 * places  # behind those that had their turn, and perhaps the next ones


def test_asking_for_long_work_again_and_again_takes_few_threads(studio: Studio) -> None:
    ask, _ = work_functions(studio)
    held, may_go = threading.Semaphore(0), threading.Event()

    def held_up(key: str) -> dict[str, float]:
        held.release()
        assert may_go.wait(30)
        return {"progress": 0.5}

    studio.work.ask = held_up  # type: ignore[method-assign]
    key = studio.work.begin("search", studio.visitor(request_of("10.0.0.1")), iter(range(9)))

    async def crowd() -> int:
        many = [asyncio.create_task(ask([key], request_of("10.0.0.1"))) for _ in range(CROWD)]
        draw = server_function(lambda: {"drawn": True}, studio.door(studio.limits.draw))
        await asyncio.sleep(0)
        assert await asyncio.wait_for(draw([], request_of("10.0.0.2")), 20) == {"drawn": True}
        serving = studio.limits.slices.serving
        may_go.set()
        await asyncio.gather(*many)
        return serving

    assert asyncio.run(crowd()) == studio.limits.slices.places
