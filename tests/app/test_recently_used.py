"""The cache of the values that were used last."""

from __future__ import annotations

from app.recently_used import RecentlyUsed


def test_the_least_recently_used_value_is_evicted() -> None:
    cache: RecentlyUsed[int] = RecentlyUsed(2)
    assert cache.add("a", 1) == 1
    cache.add("b", 2)
    assert cache.get("a") == 1
    cache.add("c", 3)
    assert cache.all_keys() == ["a", "c"]
    assert cache.get("b") is None


def test_a_value_can_be_replaced_and_discarded() -> None:
    cache: RecentlyUsed[int] = RecentlyUsed(2)
    cache.add("a", 1)
    cache.add("a", 2)
    assert cache.get("a") == 2
    cache.discard("a")
    cache.discard("a")
    assert cache.all_keys() == []
