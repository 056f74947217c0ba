"""Work in slices: who may start, what a request returns, and when a slot is free again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.faces import sliced_work
from app.faces.sliced_work import SlicedWork
from ganime.errors import GanimeError, RecipeError


@pytest.fixture
def work() -> SlicedWork:
    return SlicedWork(settle_seconds=0.05)


def test_work_beyond_the_places_waits_until_some_ends() -> None:
    work = SlicedWork(places=2, settle_seconds=0.05)
    first, second, third, fourth = (
        work.begin("search", visitor, iter([1, 2]), lambda item: {"progress": item or 0}) for visitor in "abcd"
    )
    assert [work.ahead(key) for key in (first, second, third, fourth)] == [0, 0, 1, 2]
    assert work.ask(third) == {"progress": 0, "ahead": 1}
    assert work.advance(fourth) == (None, False)
    assert work.advance(first) == (2, True)
    with pytest.raises(GanimeError, match="ended"):
        work.advance(first)
    assert [work.ahead(key) for key in (second, third, fourth)] == [0, 0, 1]
    work.end(second)
    assert work.advance(fourth) == (2, True)
    assert work.ahead(work.begin("film", "e", iter([1]))) == 0  # another kind


def test_only_so_many_may_wait() -> None:
    work = SlicedWork(places=1, waiting=2, settle_seconds=0.0)
    for visitor in "abc":
        work.begin("search", visitor, iter([1]))
    with pytest.raises(GanimeError, match="waiting for a search"):
        work.begin("search", "d", iter([1]))


def test_a_place_is_lost_by_standing_still_while_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(sliced_work.time, "monotonic", lambda: now)
    work = SlicedWork(places=1, slice_seconds=0.0, abandoned_seconds=3.0, idle_seconds=10.0, settle_seconds=0.0)
    slow = work.begin("search", "slow", iter(range(1000)))
    for _ in range(10):  # nobody waits: it may take its time
        now += 2.4
        work.advance(slow)
    waiting = work.begin("search", "waiting", iter([1]))

    def advance_slowly() -> None:
        nonlocal now
        for _ in range(6):
            now += 2.4
            assert work.ahead(waiting) == 1
            work.advance(slow)

    with pytest.raises(GanimeError, match="Others waited"):
        advance_slowly()
    assert work.advance(waiting) == (1, False)


def test_a_place_is_lost_after_a_long_time_while_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(sliced_work.time, "monotonic", lambda: now)
    work = SlicedWork(places=1, slice_seconds=0.0, longest_seconds=60.0, settle_seconds=0.0)
    endless = work.begin("search", "a", iter(range(10_000)))
    waiting = work.begin("search", "b", iter([1]))

    def advance_promptly() -> None:
        nonlocal now
        for _ in range(700):
            now += 0.1
            assert work.ahead(waiting) == 1
            work.advance(endless)

    with pytest.raises(GanimeError, match="Others waited"):
        advance_promptly()
    assert 160 < now < 161


def test_abandoned_work_loses_its_place() -> None:
    work = SlicedWork(places=1, abandoned_seconds=0.0, settle_seconds=0.0)
    abandoned = work.begin("search", "a", iter([1]))
    work.begin("search", "b", iter([1]))
    with pytest.raises(GanimeError, match="ended"):
        work.advance(abandoned)


def test_abandoned_work_is_closed_though_nobody_begins_other_work() -> None:
    closed = threading.Event()

    def steps() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    work = SlicedWork(slice_seconds=0.0, abandoned_seconds=0.2)
    key = work.begin("search", "me", steps())
    assert work.advance(key) == (0, False)
    assert closed.wait(10)
    assert work.works == {}
    with pytest.raises(GanimeError, match="abandoned"):
        work.advance(key)


def test_work_is_not_abandoned_while_a_request_waits_for_its_turn() -> None:
    work = SlicedWork(abandoned_seconds=0.0)
    key = work.begin("search", "me", iter([1]))
    with work.asked(key):
        work.sweep()
        assert work.has("search", "me")
    work.sweep()
    assert not work.has("search", "me")
    assert work.works == {}


def test_a_visitor_has_one_piece_of_work_of_each_kind(work: SlicedWork) -> None:
    work.begin("search", "me", iter([1]))
    with pytest.raises(GanimeError, match="already have a search"):
        work.begin("search", "me", iter([1]))
    assert work.advance(work.begin("film", "me", iter([1]))) == (1, True)


def test_who_has_work_is_told_when_the_next_can_begin() -> None:
    work = SlicedWork(abandoned_seconds=3.0)
    key = work.begin("search", "me", iter([1]))
    with pytest.raises(GanimeError, match="3 seconds"):
        work.begin("search", "me", iter([1]))
    with work.asked(key), pytest.raises(GanimeError, match="a minute"):  # which may wait for its turn so long
        work.begin("search", "me", iter([1]))


def test_each_request_runs_one_slice_and_at_least_one_step() -> None:
    work = SlicedWork(slice_seconds=0.0)
    key = work.begin("search", "me", iter(range(3)))
    assert [work.advance(key) for _ in range(4)] == [(0, False), (1, False), (2, False), (2, True)]


def test_finish_runs_everything_and_returns_the_last_item(work: SlicedWork) -> None:
    assert asyncio.run(work.finish("search", "me", iter(range(3)))) == 2
    assert work.works == {}


def test_work_that_fails_gives_its_place_back(work: SlicedWork) -> None:
    def steps() -> Iterator[int]:
        yield 1
        raise RecipeError("It cannot be done.")

    for _ in range(3):
        with pytest.raises(RecipeError, match="cannot be done"):
            work.advance(work.begin("search", "me", steps()))


class RunningSlice:
    """Work of "me" whose first slice runs in a thread until `finish` is called."""

    def __init__(self, work: SlicedWork, to_answer: Callable[[Any], Any] = lambda item: item) -> None:
        self.work = work
        started, self.may_finish = threading.Event(), threading.Event()

        def steps() -> Iterator[int]:
            started.set()
            self.may_finish.wait(30)
            yield 1
            yield 2

        self.key = work.begin("search", "me", steps(), to_answer)
        self.thread = threading.Thread(target=work.advance, args=(self.key,))
        self.thread.start()
        assert started.wait(10)

    def finish(self) -> None:
        self.may_finish.set()
        self.thread.join()


@pytest.fixture
def running(work: SlicedWork) -> Iterator[RunningSlice]:
    running = RunningSlice(work)
    yield running
    running.finish()


def test_work_that_was_ended_during_a_slice_keeps_its_place_until_the_slice_is_over(
    work: SlicedWork, running: RunningSlice
) -> None:
    work.end(running.key)
    with pytest.raises(GanimeError, match="ended"):
        work.advance(running.key)
    with pytest.raises(GanimeError, match="already have a search"):
        work.begin("search", "me", iter([1]))
    work.begin("search", "another", iter([1]))
    third = work.begin("search", "a third", iter([1]))
    assert work.ahead(third) == 1
    running.finish()
    assert work.ahead(third) == 0
    work.end(third)
    assert work.advance(work.begin("search", "me", iter([3]))) == (3, True)


def test_next_work_waits_until_work_of_a_closed_page_is_abandoned() -> None:
    work = SlicedWork(abandoned_seconds=0.3, settle_seconds=30.0)
    work.begin("search", "me", iter([1]))
    assert asyncio.run(work.finish("search", "me", iter([2]))) == 2
    assert work.works == {}


def test_next_work_waits_for_the_last_slice_of_the_work_that_was_ended() -> None:
    work = SlicedWork(settle_seconds=30.0)
    running = RunningSlice(work)
    work.end(running.key)
    threading.Timer(0.2, running.may_finish.set).start()
    assert asyncio.run(work.finish("search", "me", iter([3]))) == 3
    running.finish()
    assert work.works == {}


def test_nothing_stands_still_while_work_waits_for_earlier_work_of_its_visitor(running: RunningSlice) -> None:
    work = running.work
    work.settle_seconds = 30.0

    async def ask() -> None:
        waiting = asyncio.create_task(work.settle("search", "me"))
        await asyncio.sleep(0)  # it waits on the loop that serves everybody
        await asyncio.wait_for(work.settle("search", "me"), 10)  # one request at a time waits
        await asyncio.wait_for(work.settle("search", "another"), 10)
        assert not waiting.done()
        running.finish()
        work.end(running.key)
        await waiting

    asyncio.run(ask())
    assert work.settling == set()


def test_a_request_during_a_slice_is_answered_at_once_with_the_latest_item() -> None:
    work = SlicedWork(slice_seconds=0.0)  # one step
    running = RunningSlice(work)
    assert work.advance(running.key) == (None, False)
    running.finish()
    assert [work.advance(running.key) for _ in "ab"] == [(2, False), (2, True)]


def test_an_item_is_made_an_answer_once_however_often_it_is_asked_for() -> None:
    work = SlicedWork(slice_seconds=0.0)
    made = []

    def to_answer(item: float | None) -> dict[str, float]:
        made.append(item)
        return {"progress": item or 0.0}

    running = RunningSlice(work, to_answer)
    assert [work.ask(running.key) for _ in range(9)] == [{"progress": 0.0}] * 9
    running.finish()
    assert work.ask(running.key) == {"progress": 2}
    assert made == [None, 2]
