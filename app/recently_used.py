"""A cache of the values that were used last, for objects too large to keep for every model."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

Cached = TypeVar("Cached")


class RecentlyUsed(Generic[Cached]):
    """At most `size` values by key; adding one more evicts the least recently used. Any thread may call it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.lock = threading.Lock()
        self.values: OrderedDict[str, Cached] = OrderedDict()  # least recently used first

    def get(self, key: str) -> Cached | None:
        """The value of a key, None if it was never added or has been evicted."""
        with self.lock:
            if key in self.values:
                self.touch(key)
            return self.values.get(key)

    def add(self, key: str, value: Cached) -> Cached:
        """Add or replace a value, and return it."""
        with self.lock:
            self.values[key] = value
            self.touch(key)
            while self.is_full():
                self.values.popitem(last=False)
        return value

    def touch(self, key: str) -> None:
        """Note that the value of a key is used. The caller holds the lock."""
        self.values.move_to_end(key)

    def is_full(self) -> bool:
        """Whether the least recently used value has to go. The caller holds the lock."""
        return len(self.values) > self.size

    def discard(self, key: str) -> None:
        """Remove a value; unknown keys are ignored."""
        with self.lock:
            self.values.pop(key, None)

    def all_keys(self) -> list[str]:
        """The keys, least recently used first."""
        with self.lock:
            return list(self.values)
