"""Work in slices: who may start, what a request returns, and when a slot is free again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from app.faces.sliced_work import SlicedWork
from ganime.errors import GanimeError, RecipeError


@pytest.fixture
def work() -> SlicedWork:
    return SlicedWork(settle_seconds=0.05)


def test_work_beyond_the_places_is_refused_until_some_ends() -> None:
    work = SlicedWork(places=2, settle_seconds=0.05)
    first, second = (work.begin("search", visitor, iter([1, 2])) for visitor in "ab")
    with pytest.raises(GanimeError, match="all 2 places"):
        work.begin("search", "c", iter([1]))
    assert work.advance(first) == (2, True)
    work.begin("search", "c", iter([1]))
    with pytest.raises(GanimeError, match="ended"):
        work.advance(first)
    work.end(second)
    work.begin("search", "d", iter([1]))


def test_abandoned_work_loses_its_place() -> None:
    work = SlicedWork(places=1, abandoned_seconds=0.0, settle_seconds=0.0)
    abandoned = work.begin("search", "a", iter([1]))
    work.begin("search", "b", iter([1]))
    with pytest.raises(GanimeError, match="ended"):
        work.advance(abandoned)


def test_a_visitor_has_one_piece_of_work_of_each_kind(work: SlicedWork) -> None:
    work.begin("search", "me", iter([1]))
    with pytest.raises(GanimeError, match="already have a search"):
        work.begin("search", "me", iter([1]))
    assert work.advance(work.begin("film", "me", iter([1]))) == (1, True)


def test_each_request_runs_one_slice_and_at_least_one_step() -> None:
    work = SlicedWork(slice_seconds=0.0)
    key = work.begin("search", "me", iter(range(3)))
    assert [work.advance(key) for _ in range(4)] == [(0, False), (1, False), (2, False), (2, True)]


def test_finish_runs_everything_and_returns_the_last_item(work: SlicedWork) -> None:
    assert work.finish("search", "me", iter(range(3))) == 2
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

    def __init__(self, work: SlicedWork) -> None:
        started, self.may_finish = threading.Event(), threading.Event()

        def steps() -> Iterator[int]:
            started.set()
            self.may_finish.wait(30)
            yield 1
            time.sleep(2 * work.slice_seconds)
            yield 2

        self.key = work.begin("search", "me", steps())
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
    with pytest.raises(GanimeError, match="Other visitors"):
        work.begin("search", "a third", iter([1]))
    running.finish()
    assert work.advance(work.begin("search", "me", iter([3]))) == (3, True)


def test_next_work_waits_until_work_of_a_closed_page_is_abandoned() -> None:
    work = SlicedWork(abandoned_seconds=0.3, settle_seconds=30.0)
    work.begin("search", "me", iter([1]))
    assert work.advance(work.begin("search", "me", iter([2]))) == (2, True)
    assert work.works == {}


def test_next_work_waits_for_the_last_slice_of_the_work_that_was_ended() -> None:
    work = SlicedWork(settle_seconds=30.0)
    running = RunningSlice(work)
    work.end(running.key)
    threading.Timer(0.2, running.may_finish.set).start()
    assert work.advance(work.begin("search", "me", iter([3]))) == (3, True)
    running.finish()
    assert work.works == {}


def test_a_request_during_a_slice_is_answered_at_once_with_the_latest_item(
    work: SlicedWork, running: RunningSlice
) -> None:
    assert work.advance(running.key) == (None, False)
    running.finish()
    assert work.advance(running.key) == (2, True)
