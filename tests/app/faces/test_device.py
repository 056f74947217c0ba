"""Turns at the device: work in steps holds it during each step only."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from app.faces.device import Device
from app.faces.sliced_work import SlicedWork


def test_work_holds_the_device_during_a_step_and_not_between_requests() -> None:
    device, held = Device(), []

    def steps() -> Iterator[int]:
        for number in range(3):
            held.append(device.lock.locked())
            yield number

    work = SlicedWork(slice_seconds=0.0)
    key = work.begin("search", "me", device.run(steps()))
    for expected in ((0, False), (1, False), (2, False), (2, True)):
        assert work.advance(key) == expected
        assert not device.lock.locked()
    assert held == [True] * 3


def test_a_waiting_thread_gets_the_device_between_two_steps() -> None:
    device, waiting, order = Device(), threading.Event(), []

    def other() -> None:
        waiting.set()
        with device.lock:
            order.append("other")

    def steps() -> Iterator[None]:
        thread.start()
        waiting.wait(10)
        time.sleep(0.05)
        for _ in range(100):
            order.append("step")
            yield

    thread = threading.Thread(target=other)
    for _ in device.run(steps()):
        pass
    thread.join()
    assert order.index("other") < 90
