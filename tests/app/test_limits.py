"""Turns and rates: who is next, who is told to come back later, and that nobody waits for another's many requests."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import limits
from app.limits import Busy, Limits, Rate, Turn, Turns


def order_of(turns: Turns, waiting: list[Turn]) -> list[Turn]:
    """Those that wait in the order in which they are served; each is told its place truthfully on the way."""
    served = []
    while len(served) < len(waiting):
        [turn] = [turn for turn in waiting if turn.granted.done() and turn not in served]
        left = [turn for turn in waiting if not turn.granted.done()]
        assert sorted(turns.place(turn)[0] for turn in left) == list(range(len(left)))
        served.append(turn)
        turns.leave(turn)
    return served


def test_a_free_place_is_granted_at_once_and_the_others_wait() -> None:
    turns = Turns(2, longest=10)
    first, second, third = (turns.join(visitor) for visitor in "abc")
    assert [turn.granted.done() for turn in (first, second, third)] == [True, True, False]
    assert turns.place(first) == (0, 0.0)
    turns.leave(second)
    assert third.granted.done()


def test_a_visitor_with_one_request_is_served_before_the_many_of_another() -> None:
    turns = Turns(1, longest=10)
    working = turns.join("x")
    many = [turns.join("greedy") for _ in range(5)]
    one = turns.join("modest")
    turns.leave(working)
    assert order_of(turns, [*many, one]) == [many[0], one, *many[1:]]


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=20))
def test_turns_go_round_the_visitors_and_places_are_told_truthfully(visitors: list[str]) -> None:
    turns = Turns(1, longest=1e9)
    working = turns.join("working")
    waiting = [turns.join(visitor) for visitor in visitors]
    turns.leave(working)
    served = order_of(turns, waiting)
    assert sorted(turn.visitor for turn in served) == sorted(visitors)
    for visitor in set(visitors):  # each visitor's own requests stay in their order
        assert [turn for turn in served if turn.visitor == visitor] == [
            turn for turn in waiting if turn.visitor == visitor
        ]
    assert (turns.serving, turns.waiting) == (0, {})


def test_a_request_is_refused_only_if_it_would_wait_for_long() -> None:
    turns = Turns(1, longest=1.0, seconds=0.3)
    turns.join("working")
    kept = [turns.join("greedy") for _ in range(3)]  # 0.9 s
    assert [round(turns.place(turn)[1], 1) for turn in kept] == [0.3, 0.6, 0.9]
    with pytest.raises(Busy, match="busy"):
        turns.join("greedy")
    assert not turns.join("modest").granted.done()  # the same line, but only one is ahead
    assert sum(map(len, turns.waiting.values())) == 4


def test_a_visitor_with_hundreds_of_requests_takes_nobodys_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_WAITING", 6)
    turns = Turns(1, longest=60)
    working = turns.join("greedy")
    many = [turns.join("greedy") for _ in range(6)]
    with pytest.raises(Busy):
        turns.join("greedy")
    others = [turns.join(visitor) for visitor in "abcde"]
    with pytest.raises(Busy):  # everybody waits with one
        turns.join("f")
    assert [turn.granted.done() for turn in many] == [False] + [True] * 5
    for turn in many[1:]:
        assert isinstance(turn.granted.exception(), Busy)
        turns.leave(turn)
    turns.leave(working)
    assert order_of(turns, [many[0], *others]) == [many[0], *others]


def test_who_is_refused_while_waiting_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait(turns: Turns) -> None:
        async with turns.turn("greedy"):
            pytest.fail("it was refused")

    async def check() -> None:
        monkeypatch.setattr(limits, "MAX_WAITING", 2)
        turns = Turns(1, longest=60)
        for _ in range(2):
            turns.join("greedy")
        waiting = asyncio.create_task(wait(turns))
        await asyncio.sleep(0)
        turns.join("modest")
        with pytest.raises(Busy):
            await waiting

    asyncio.run(check())


def test_one_visitor_leaves_places_for_others_where_visitors_decide_how_long_a_turn_takes() -> None:
    doors = Limits()
    for turns in (doors.models, doors.arriving, doors.imports, doors.reading):
        slow = [turns.join("slow") for _ in range(6)]
        assert [turn.granted.done() for turn in slow] == [True] + [False] * 5
        other = turns.join("other")
        assert other.granted.done()
        turns.leave(other)
        turns.leave(slow[0])
        assert slow[1].granted.done()
        for turn in slow:
            turns.leave(turn)
        assert (turns.serving, turns.waiting, turns.having) == (0, {}, {})


def test_what_is_given_up_waits_no_longer() -> None:
    async def give_up() -> None:
        turns = Turns(1, longest=10)
        working = turns.join("a")
        waiting = asyncio.create_task(enter(turns))
        await asyncio.sleep(0)
        assert len(turns.waiting) == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert turns.waiting == {}
        turns.leave(working)
        assert turns.serving == 0
        await enter(turns)
        assert turns.serving == 0

    async def enter(turns: Turns) -> None:
        async with turns.turn("b"):
            assert turns.serving == 1

    asyncio.run(give_up())


def test_many_threads_leave_nothing_behind() -> None:
    turns, most = Turns(3, longest=60), 0

    async def work(number: int) -> None:
        nonlocal most
        async with turns.turn(str(number % 5)):
            most = max(most, turns.serving)
            await asyncio.sleep(0.001)

    threads = [threading.Thread(target=lambda number=number: asyncio.run(work(number))) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (turns.serving, turns.waiting) == (0, {})
    assert 1 <= most <= 3


def admits(rate: Rate, visitor: str) -> bool:
    try:
        rate.check(visitor, "cards")
    except Busy:
        return False
    return True


def test_a_rate_forgets_after_its_time_and_counts_each_visitor_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(limits.time, "monotonic", lambda: now)
    rate = Rate(2, seconds=10)
    assert [admits(rate, "a") for _ in range(3)] == [True, True, False]
    assert admits(rate, "b")
    now = 10.5
    assert admits(rate, "a")


@pytest.mark.parametrize(("seconds", "words"), [(60, "in 1 minute."), (600, "in 10 minutes."), (90, "in 1.5 minutes.")])
def test_a_rate_says_its_time_in_words(seconds: float, words: str) -> None:
    with pytest.raises(Busy, match=f"0 new cards {words}"):
        Rate(0, seconds).check("a", "new cards")


def test_a_rate_admits_no_more_when_many_ask_at_once() -> None:
    rate, admitted = Rate(5, seconds=60), []
    threads = [threading.Thread(target=lambda: admitted.append(admits(rate, "a"))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(admitted) == 5
