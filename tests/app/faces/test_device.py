"""Turns at the device: work in steps holds it during each step only, and threads with one core each draw."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from app.faces.device import PATIENCE, TURN_FACES, Device, drawing_threads
from app.faces.sliced_work import SlicedWork
from ganime.drawing.recipe import latents
from ganime.embedded import EMBEDDED
from ganime.models.checkpoint import load_checkpoint
from ganime.nets.device import single_core_threads


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


@pytest.mark.parametrize("turns", ["run", "sharpen"])
def test_work_is_closed_while_others_have_the_device(turns: str) -> None:
    device, work = Device(), SlicedWork(slice_seconds=0.0)
    steps = (number for number in range(3))
    key = work.begin("search", "me", getattr(device, turns)(steps))
    assert work.advance(key) == (0, False)
    with device.sharpening, device.lock:
        ending = threading.Thread(target=work.end, args=(key,), daemon=True)
        ending.start()
        ending.join(10)
        assert not ending.is_alive()
    assert work.works == {}


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


def test_one_face_at_a_time_is_sharpened_while_others_wait_their_turns() -> None:
    device, at_work, most = Device(), [0], [0]

    def steps() -> Iterator[int]:
        for number in range(4):
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
            time.sleep(0.01)
            at_work[0] -= 1
            yield number

    threads = [threading.Thread(target=lambda: list(device.sharpen(steps()))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [1]
    assert list(device.sharpen(steps())) == [0, 1, 2, 3]


def test_sharpening_waits_while_someone_draws_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append)
    monkeypatch.setattr("app.faces.device.time", clock)
    device = Device()
    assert next(device.sharpen(iter([7]))) == 7
    assert slept == []
    device.drawing = 1  # somebody draws all the time
    assert next(device.sharpen(iter([7]))) == 7
    assert PATIENCE <= sum(slept) < PATIENCE + 0.1


def test_drawing_is_counted_even_if_it_fails() -> None:
    device = Device()
    with pytest.raises(AttributeError):
        device.render(None, np.zeros((1, 8), np.float32))  # pyright: ignore[reportArgumentType]
    assert device.drawing == 0


def test_of_one_request_as_many_batches_are_under_way_as_there_are_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.faces.device.THREADS", 2)
    drawn: list[int] = []

    def render(generator: None, z: np.ndarray) -> np.ndarray:
        drawn.extend(int(row[0]) for row in z)
        return z

    monkeypatch.setattr("app.faces.device.render", render)
    z, parts = np.arange(35, dtype=np.float32)[:, None], []
    for batch in Device().batches(None, z):  # pyright: ignore[reportArgumentType]
        parts.append(batch)
        assert len(drawn) <= sum(map(len, parts)) + TURN_FACES
    assert [len(part) for part in parts] == [8, 8, 8, 8, 3]
    assert np.array_equal(np.concatenate(parts), z)
    assert [len(batch) for batch in Device().batches(None, z[:6])] == [3, 3]  # pyright: ignore[reportArgumentType]


def test_threads_that_draw_have_one_core_each_and_take_none_from_others() -> None:
    cores = torch.get_num_threads()
    threads = single_core_threads(2)
    torch.set_num_threads(3)
    try:
        numbers = threads.map(lambda _: (torch.ones(10**6).exp().sum().item(), torch.get_num_threads())[1], range(8))
        assert set(numbers) == {1}
        assert torch.get_num_threads() == 3
        others: list[int] = []
        thread = threading.Thread(target=lambda: others.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert others == [3]
    finally:
        torch.set_num_threads(cores)
        threads.shutdown()


def test_a_latent_gives_the_same_face_bit_for_bit_in_any_batch() -> None:
    checkpoint = load_checkpoint(EMBEDDED)
    z = torch.from_numpy(latents(range(16), checkpoint.generator.config.latent_dim))
    whole, *parts = drawing_threads().map(checkpoint.prepared, [z, *(z[:count] for count in (1, 2, 3, 4, 5, 7))])
    for part in parts:
        assert torch.equal(part, whole[: len(part)])
