"""Networks that stay in memory: few, of not too many bytes together, and none for long that nobody uses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from torch import nn

from app.recently_used import Cached, RecentlyUsed
from ganime.faces.reading import return_freed_memory

MOST_BYTES = 2**28  # of the generators in memory: the largest that the page takes by default, or four common ones
UNUSED_SECONDS = 600.0


class ModelMemory(RecentlyUsed[Cached]):
    """Networks by key, as in `RecentlyUsed`, which can be read from the disk again.

    weigh: says how many bytes a value takes.
    most: of all together, in bytes; the last one that was added stays in any case.
    seconds: after which a value is forgotten that nobody has used.
    """

    def __init__(
        self, size: int, weigh: Callable[[Cached], int], most: int = MOST_BYTES, seconds: float = UNUSED_SECONDS
    ) -> None:
        super().__init__(size)
        self.weigh, self.most, self.seconds = weigh, most, seconds
        self.used: dict[str, float] = {}  # time.monotonic() of the last use, also of values that are gone
        self.timer: threading.Timer | None = None  # while there are values

    def is_full(self) -> bool:
        heavy = len(self.values) > 1 and sum(map(self.weigh, self.values.values())) > self.most
        return heavy or super().is_full()

    def touch(self, key: str) -> None:
        super().touch(key)
        self.used[key] = time.monotonic()
        if self.timer is None:
            self.look_after(self.seconds)

    def look_after(self, seconds: float) -> None:
        """Have unused values forgotten after some time. The caller holds the lock."""
        timer = threading.Timer(seconds, self.forget_unused)
        timer.daemon = True
        with suppress(RuntimeError):  # no thread can be started now; the next use tries again
            timer.start()
            self.timer = timer

    def forget_unused(self) -> None:
        """Forget what nobody has used for long, and look again when the next one may be due."""
        now = time.monotonic()
        with self.lock:
            for key in [key for key in self.values if now - self.used[key] >= self.seconds]:
                del self.values[key]
            self.used = {key: self.used[key] for key in self.values}
            self.timer = None
            if self.used:
                self.look_after(min(self.used.values()) + self.seconds - now)
        return_freed_memory()


def bytes_of(net: nn.Module | None) -> int:
    """How many bytes the weights of a network take."""
    tensors = net.state_dict().values() if net else ()
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
