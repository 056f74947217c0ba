"""Slots: who enters, who waits, and who is refused."""

from __future__ import annotations

import pytest

from app.slots import Slots
from ganime.errors import GanimeError


def test_a_request_that_meets_a_full_queue_is_refused_without_waiting() -> None:
    slots = Slots(1, waiting=0, seconds=1000.0)
    for _ in range(2):  # a slot that was left is free again
        with slots, pytest.raises(GanimeError, match="busy"), slots:
            pytest.fail("Two entered one slot at once.")
