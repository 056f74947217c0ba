"""How often one visitor may do something costly."""

from __future__ import annotations

import threading
import time

from app.recently_used import RecentlyUsed

MAX_VISITORS = 1_000  # that are remembered


class Rate:
    """At most `most` times within `seconds` for each visitor. Any thread may call it."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most, self.seconds = most, seconds
        self.lock = threading.Lock()
        self.times: RecentlyUsed[list[float]] = RecentlyUsed(MAX_VISITORS)  # by visitor, the earliest first

    def admits(self, visitor: str) -> bool:
        """Whether this visitor may do it now, which then counts."""
        now = time.monotonic()
        with self.lock:
            recent = [then for then in self.times.get(visitor) or [] if then > now - self.seconds]
            admitted = len(recent) < self.most
            self.times.add(visitor, [*recent, now] if admitted else recent)
        return admitted
