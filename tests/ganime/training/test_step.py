"""Single steps: losses that break, memory that runs out, and steps recorded on a GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganime.config import RECIPES, ModelConfig, TrainConfig
from ganime.errors import TrainingError
from ganime.faces.dataset import FaceDataset
from ganime.nets.cuda_graph import WARM_UP_CALLS, count_on, recordable
from ganime.training import session, step
from ganime.training.events import Notice, Step, Verdict
from ganime.training.loop import train
from ganime.training.run_folder import STATE_FILE, TrainingState, read_run, saves
from tests.ganime.training.common import (
    BATCH,
    OFTEN,
    QUICK,
    Run,
    assert_same,
    assert_sound,
    broken_after,
    of_kind,
    state_of,
)

ROOT = Path(__file__).resolve().parents[3]

# --- losses that are no longer finite


@pytest.mark.parametrize("which", ["discriminator_loss", "generator_loss"])
def test_broken_losses_send_the_run_back_to_its_save_at_half_the_rates_once(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    run(tmp_path / "run", steps=10)
    with monkeypatch.context() as patch:
        patch.setattr(step, which, broken_after(2, getattr(step, which), breaks=1))
        events = run(tmp_path / "run", steps=30)
    [told] = [event for event in of_kind(events, Notice) if "no longer finite" in event.text]
    assert told.images == 10 * BATCH
    assert "half the learning rates" in told.text
    assert next(event.state for event in of_kind(events, Verdict)) == "diverged"
    assert events[-1].images == 30 * BATCH
    state = torch.load(events[-1].folder / STATE_FILE, weights_only=True)
    for name, rate in (("generator_optimizer", 4e-4), ("discriminator_optimizer", 8e-4)):
        assert state[name]["param_groups"][0]["lr"] == pytest.approx(rate / 2)
    with monkeypatch.context() as patch:
        patch.setattr(step, which, broken_after(2, getattr(step, which)))
        with pytest.raises(TrainingError, match=r"second time.*lower learning rates"):
            run(tmp_path / "run", steps=1000)
    assert_sound(tmp_path / "run")


def test_losses_that_break_before_the_first_save_end_the_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "discriminator_loss", broken_after(3, step.discriminator_loss))
    with pytest.raises(TrainingError, match="before the first save"):
        run(tmp_path / "run", steps=1000, save_minutes=OFTEN)
    assert not saves(tmp_path / "run")


def test_weights_that_the_last_step_broke_are_never_saved(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "run", steps=3)
    right = step.generator_loss

    def steep(*arguments: Any) -> Tensor:
        value = right(*arguments)
        return value + (value * 0).sqrt()  # finite, but its gradient is not

    monkeypatch.setattr(step, "generator_loss", steep)
    with pytest.raises(TrainingError, match="no longer finite"):
        run(tmp_path / "run", steps=4)
    assert_sound(tmp_path / "run")


def test_an_absurd_learning_rate_never_saves_broken_weights(run: Run, tmp_path: Path) -> None:
    absurd = {"generator_lr": 1.0, "discriminator_lr": 1.0, "model": {"discriminator_norm": "none"}}
    run(tmp_path / "run", steps=1, **absurd)
    with contextlib.suppress(TrainingError):
        run(tmp_path / "run", steps=40, save_minutes=OFTEN, **absurd)
    assert_sound(tmp_path / "run")


# --- memory


def test_a_batch_too_large_for_the_memory_is_halved(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = step.judge

    def needs_room(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Any:
        if len(real) > 4:
            raise torch.OutOfMemoryError("no room")
        return right(discriminator, real, fake)

    monkeypatch.setattr(step, "judge", needs_room)
    events = run(tmp_path / "run", images=64)
    assert [event.text for event in of_kind(events, Notice)] == [
        "Out of memory; the batch is halved to 8 faces.",
        "Out of memory; the batch is halved to 4 faces.",
    ]
    assert events[-1].images == 64
    assert read_run(tmp_path / "run")[0].batch_size == 4


def test_an_error_that_is_not_about_memory_is_not_swallowed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*arguments: Any) -> Any:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(step, "judge", wrong)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        run(tmp_path / "run", steps=2)


# --- recording


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("no room"), RuntimeError("failed due to a previous error during capture")]
)
def test_a_step_that_cannot_be_recorded_is_made_as_before(
    error: Exception, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Roomless:
        """Stands in for `Recorded`: works as long as it warms up, and finds no room to record."""

        def __init__(self, work: Callable[..., Tensor], device: torch.device) -> None:
            self.work, self.calls = work, 0

        @property
        def recording(self) -> bool:
            return self.calls > WARM_UP_CALLS

        def __call__(self, *inputs: Tensor) -> Tensor:
            self.calls += 1
            if self.calls > WARM_UP_CALLS:
                raise error
            return self.work(*inputs)

    plain = run(tmp_path / "plain", steps=8, augment="none")[-1]
    monkeypatch.setattr(session, "recordable", lambda *_: True)
    monkeypatch.setattr(session, "Recorded", Roomless)
    events = run(tmp_path / "roomless", steps=8, augment="none")
    assert not of_kind(events, Notice)
    assert events[-1].images == 8 * BATCH
    assert_same(state_of(events[-1].folder), state_of(plain.folder))


def test_adam_counts_its_steps_on_the_cpu_except_for_a_gpu() -> None:
    weight = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([weight])
    weight.grad = torch.ones(3)
    optimizer.step()
    optimizer.param_groups[0]["capturable"] = True
    for kind in ("mps", "cpu"):
        count_on(torch.device(kind), optimizer)
        assert optimizer.param_groups[0]["capturable"] is False
        assert optimizer.state[weight]["step"].device.type == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_adam_counts_its_steps_on_a_gpu_where_they_can_be_recorded() -> None:
    weight = nn.Parameter(torch.ones(3, device="cuda"))
    optimizer = torch.optim.Adam([weight])
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    count_on(weight.device, optimizer)
    assert optimizer.param_groups[0]["capturable"] is True
    assert optimizer.state[weight]["step"].device.type == "cuda"


@pytest.mark.parametrize(
    ("changes", "augmented", "device", "count", "recorded"),
    [
        ({}, False, "cuda", 1, True),
        ({"critic": 1.0, "eyes": "broad"}, False, "cuda", 1, True),
        ({"critic": 1.0, "eyes": "anime"}, False, "cuda", 1, False),  # whose pieces lie elsewhere each time
        ({}, True, "cuda", 1, False),
        ({}, False, "cuda", 2, False),
        ({}, False, "cpu", 1, False),
    ],
)
def test_only_steps_that_are_the_same_work_each_time_are_recorded(
    changes: dict[str, Any], augmented: bool, device: str, count: int, recorded: bool
) -> None:
    shape = ModelConfig(image_size=128, latent_dim=8, base_channels=4, max_channels=16)
    config = TrainConfig(**changes)
    state = TrainingState.create(shape, config, torch.device("cpu"))
    assert recordable(state.critic, torch.device(device), count == 1, augmented) is recorded


@pytest.mark.skipif(not torch.cuda.is_available(), reason="records the kernels of a GPU")
@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": "classic"},
        {"recipe": "modern"},
        {"recipe": "modern", "critic": 1.0, "eyes": "broad"},
        {"recipe": "modern", "critic": 1.0, "eyes": "broad", "precision": "bf16"},
    ],
)
def test_recorded_steps_learn_what_plain_ones_do(
    changes: dict[str, Any],
    faces: FaceDataset,
    tmp_path: Path,
    tiny_config: ModelConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, shape = RECIPES[changes["recipe"]]
    config = replace(begun, **QUICK | {"augment": "none", "steps": 30, "preview_images": 10**9} | changes)
    shape = replace(tiny_config, discriminator_norm=shape.discriminator_norm)
    played: list[int] = []
    replay = torch.cuda.CUDAGraph.replay
    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", lambda graph: played.append(1) or replay(graph))
    recorded = list(train(faces, tmp_path / "recorded", config, shape, "cuda"))
    assert len(played) == 30 - WARM_UP_CALLS
    monkeypatch.setattr(session, "recordable", lambda *_: False)
    plain = list(train(faces, tmp_path / "plain", config, shape, "cuda"))
    assert len(played) == 30 - WARM_UP_CALLS
    for a, b in zip(of_kind(recorded, Step), of_kind(plain, Step), strict=True):
        assert (a.d_loss, a.g_loss) == pytest.approx((b.d_loss, b.g_loss), rel=0.02, abs=0.02)
