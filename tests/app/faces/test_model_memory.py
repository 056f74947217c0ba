"""Which networks stay in memory, for how many bytes and for how long."""

from __future__ import annotations

import time

from app.faces.library import memory_of
from app.faces.model_memory import ModelMemory
from ganime.models.checkpoint import Checkpoint


def identity(value: int) -> int:
    return value


def test_the_least_recently_used_go_until_the_others_have_few_enough_bytes() -> None:
    memory = ModelMemory(4, identity, most=10)
    for key, weight in (("a", 4), ("b", 3), ("c", 3)):
        memory.add(key, weight)
    assert memory.all_keys() == ["a", "b", "c"]
    memory.get("a")
    memory.add("d", 4)
    assert memory.all_keys() == ["a", "d"]
    memory.add("e", 11)  # alone more than all may have
    assert memory.all_keys() == ["e"]
    for key in "fghij":
        memory.add(key, 1)
    assert memory.all_keys() == ["g", "h", "i", "j"]


def test_what_nobody_uses_is_forgotten_and_the_rest_is_not() -> None:
    memory = ModelMemory(4, identity, seconds=2)
    memory.add("unused", 1)
    memory.add("used", 1)
    until = time.monotonic() + 60
    while "unused" in memory.all_keys() and time.monotonic() < until:
        assert memory.get("used") == 1
        time.sleep(0.01)
    assert memory.all_keys() == ["used"]
    while memory.all_keys() and time.monotonic() < until:
        time.sleep(0.01)
    assert (memory.all_keys(), memory.used) == ([], {})


def test_a_model_counts_with_its_weights_as_they_are_and_prepared(tiny: Checkpoint) -> None:
    weights = sum(parameter.numel() for parameter in tiny.generator.parameters())
    assert 2 * 4 * weights < memory_of(tiny) < 2.2 * 4 * weights  # with the statistics of the norms
