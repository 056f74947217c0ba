"""Training: events in order, runs that resume to the bit, and saves that survive whatever ends a run."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganime.config import RECIPES, ModelConfig, TrainConfig
from ganime.drawing.sampling import generate
from ganime.errors import ConfigError, TrainingError
from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from ganime.nets.averaging import ema_decay, quasirandom_latents, settle_statistics
from ganime.nets.cuda_graph import WARM_UP_CALLS, count_on, recordable
from ganime.training import loop as training
from ganime.training import validation as progress
from ganime.training.events import Done, Event, Measured, Notice, Preview, Saved, Step, Verdict, record
from ganime.training.loop import train
from ganime.training.run_folder import RUN_FILE, STATE_FILE, TrainingState, read_run, saves

ROOT = Path(__file__).resolve().parents[3]
BATCH = 16
OFTEN = 0.001  # minutes between saves; the least there is
QUICK = {"batch_size": BATCH, "precision": "fp32", "measure_images": 0, "critic": 0.0}
Run = Callable[..., list[Event]]


@pytest.fixture(scope="module")
def run(faces: FaceDataset, tiny_config: ModelConfig) -> Run:
    """Train the tiny model in a folder, with a few settings of one's own, and give all events."""

    def events_of(
        folder: Path,
        should_stop: Callable[[], bool] = lambda: False,
        recipe: str = "modern",
        model: dict[str, Any] | None = None,
        start: Checkpoint | None = None,
        **changes: Any,
    ) -> list[Event]:
        config = TrainConfig(**(vars(RECIPES[recipe][0]) | QUICK | changes))
        shape = ModelConfig(**(vars(tiny_config) | (model or {})))
        return list(train(faces, folder, config, shape, should_stop=should_stop, start=start))

    return events_of


def of_kind(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def state_of(folder: Path) -> dict[str, Any]:
    """All that a save holds, but for the seconds it took."""
    state = torch.load(folder / STATE_FILE, weights_only=True)
    return {name: value for name, value in state.items() if name != "seconds"}


def assert_same(a: Any, b: Any, path: str = "state") -> None:
    """Two nestings of tensors and plain values are equal to the bit."""
    assert type(a) is type(b), path
    if isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            assert_same(a[key], b[key], f"{path}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), path
        for number, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{path}.{number}")
    elif isinstance(a, Tensor):
        assert torch.equal(a, b), path
    else:
        assert a == b, path


def assert_sound(run: Path) -> None:
    """Every save of a run is whole, finite, and can be sampled."""
    folders = saves(run)
    assert folders
    for folder in folders:
        state = torch.load(folder / STATE_FILE, weights_only=True)
        for net in ("generator", "discriminator", "ema"):
            for name, tensor in state[net].items():
                assert torch.isfinite(tensor).all(), f"{folder.name}: {net}.{name}"
        assert generate(load_checkpoint(folder, with_discriminator=True), [0, 1]).shape == (2, 32, 32, 3)


def broken_after(
    good: int, loss: Callable[..., Tensor], seconds: float = 0.0, breaks: float = float("inf")
) -> Callable[..., Tensor]:
    """The loss, which is NaN after so many good steps, for ever or so many times."""
    calls = itertools.count(1)

    def broken(*arguments: Any) -> Tensor:
        time.sleep(seconds)
        value = loss(*arguments)
        return value * float("nan") if good < next(calls) <= good + breaks else value

    return broken


# --- events


def test_events_come_in_order_and_end_with_a_save(run: Run, tmp_path: Path) -> None:
    events = run(tmp_path / "run", steps=25)
    assert [type(event) for event in events] == [Step, Step, Step, Preview, Saved, Done]
    assert [event.step for event in of_kind(events, Step)] == [10, 20, 25]
    assert [event.images for event in events] == [10 * BATCH, 20 * BATCH, *[25 * BATCH] * 4]
    done = events[-1]
    assert (done.reason, done.folder) == ("steps", events[-2].folder)
    assert saves(tmp_path / "run") == [done.folder]


def test_progress_and_losses_are_finite_and_sensible(run: Run, tmp_path: Path) -> None:
    steps = of_kind(run(tmp_path / "run", steps=30), Step)
    assert [step.progress for step in steps] == pytest.approx([1 / 3, 2 / 3, 1])
    for step in steps:
        assert np.isfinite([step.d_loss, step.g_loss, step.d_real, step.d_fake, step.images_per_second]).all()
        assert 0 <= step.d_loss < 10
        assert step.images_per_second > 0


def test_first_previews_come_soon_and_then_as_often_as_asked() -> None:
    due = [0]
    while len(due) < 10:
        due.append(training.preview_after(due[-1], 20_000))
    assert due == [0, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 40_000, 60_000]
    assert training.preview_after(19_999, 20_000) == 20_000
    assert training.preview_after(130, 64) == 192


def test_a_run_that_begins_from_a_model_shows_first_what_that_draws(run: Run, tmp_path: Path, tiny: Checkpoint) -> None:
    first = of_kind(run(tmp_path / "run", steps=2, start=tiny), Preview)[0]
    assert first.images == 0
    assert abs(first.faces.astype(int) - generate(tiny, range(64))).max() <= 1


def test_previews_come_as_often_as_asked_and_show_the_model(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "REPORT_STEPS", 1)
    events = run(tmp_path / "run", steps=10, preview_images=4 * BATCH)
    previews = of_kind(events, Preview)
    assert [event.images for event in previews] == [4 * BATCH, 8 * BATCH, 10 * BATCH]
    for event in previews:
        assert event.faces.shape == (64, 32, 32, 3)
        assert event.faces.dtype == np.uint8
    drawn = generate(load_checkpoint(tmp_path / "run"), range(64))
    assert abs(previews[-1].faces.astype(int) - drawn).max() <= 2  # the weights of a model folder have 16 bits


def test_a_tiny_run_brings_generated_colours_nearer_to_real_ones(run: Run, faces: FaceDataset, tmp_path: Path) -> None:
    quick = {"generator_lr": 4e-3, "discriminator_lr": 4e-3, "beta1": 0.5, "ema_images": 200, "augment": "none"}
    events = run(tmp_path / "run", steps=130, loss="relativistic", preview_images=5 * BATCH, **quick)
    real = faces.images[faces.train].mean((0, 1, 2))
    distances = [abs(event.faces.mean((0, 1, 2)) - real).mean() for event in of_kind(events, Preview)]
    assert distances[0] > 20
    assert np.mean(distances[-13:]) < 0.7 * distances[0]


# --- limits


def test_a_run_ends_after_the_images_it_was_given(run: Run, tmp_path: Path) -> None:
    done = run(tmp_path / "run", images=100, steps=1000)[-1]
    assert (done.reason, done.images) == ("images", 7 * BATCH)


def test_a_run_ends_after_the_steps_it_was_given(run: Run, tmp_path: Path) -> None:
    done = run(tmp_path / "run", images=10**6, steps=3)[-1]
    assert (done.reason, done.images) == ("steps", 3 * BATCH)


def test_a_run_ends_after_the_minutes_it_was_given(run: Run, tmp_path: Path) -> None:
    begun = time.monotonic()
    events = run(tmp_path / "run", minutes=0.01, images=10**9)
    assert events[-1].reason == "minutes"
    assert time.monotonic() - begun >= 0.6
    assert of_kind(events, Step)[-1].progress == 1


def test_stop_saves_a_resumable_checkpoint(run: Run, tmp_path: Path) -> None:
    asked = itertools.count(1)
    events = run(tmp_path / "run", should_stop=lambda: next(asked) == 3)
    assert [type(event) for event in events[-3:]] == [Preview, Saved, Done]
    assert (events[-1].reason, events[-1].images) == ("stopped", 3 * BATCH)
    notice, *_, done = run(tmp_path / "run", steps=5)
    assert isinstance(notice, Notice)
    assert notice.images == 3 * BATCH
    assert f"Resumed at {3 * BATCH}" in notice.text
    assert (done.reason, done.images) == ("steps", 5 * BATCH)


def test_a_run_that_is_at_its_limit_learns_no_further(run: Run, tmp_path: Path) -> None:
    folder = run(tmp_path / "run", steps=4)[-1].folder
    before = state_of(folder)
    done = run(tmp_path / "run", steps=4)[-1]
    assert (done.reason, done.images) == ("steps", 4 * BATCH)
    assert_same(before, state_of(done.folder))


# --- the same run, whatever happens to it

KINDS = {
    "modern": {},
    "diffaugment": {"augment": "diffaugment"},
    "no augmentation": {"augment": "none"},
    "classic": {"recipe": "classic"},
    "relativistic": {"loss": "relativistic", "beta1": 0.5},
    "spectral generator": {"model": {"generator_norm": "spectral"}},
    "no norms": {"model": {"generator_norm": "none", "discriminator_norm": "none"}},
}


@pytest.mark.parametrize(
    ("kind", "split"), [("modern", [1]), ("modern", [5]), *((kind, [3, 4, 9]) for kind in KINDS)], ids=str
)
def test_a_resumed_run_equals_an_uninterrupted_one(
    run: Run, faces: FaceDataset, tmp_path: Path, kind: str, split: list[int]
) -> None:
    assert all(part * BATCH % len(faces.train) for part in split)  # in the middle of an epoch
    whole = run(tmp_path / "whole", steps=10, **KINDS[kind])[-1]
    for steps in (*split, 10):
        parts = run(tmp_path / "parts", steps=steps, **KINDS[kind])[-1]
    assert whole.images == parts.images == 10 * BATCH
    assert_same(state_of(whole.folder), state_of(parts.folder))
    assert load_checkpoint(whole.folder).revision == load_checkpoint(parts.folder).revision
    assert_sound(tmp_path / "parts")


def test_a_seed_gives_the_same_run_and_another_seed_another(run: Run, tmp_path: Path) -> None:
    a, b, c = (
        state_of(run(tmp_path / name, steps=3, seed=seed)[-1].folder) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert_same(a, b)
    assert not torch.equal(a["ema"]["to_rgb.weight"], c["ema"]["to_rgb.weight"])


def test_reports_previews_and_saves_change_nothing(run: Run, tmp_path: Path) -> None:
    quiet = run(tmp_path / "quiet", steps=12)[-1]
    noisy = run(tmp_path / "noisy", steps=12, preview_images=BATCH, save_minutes=OFTEN)[-1]
    assert_same(state_of(quiet.folder), state_of(noisy.folder))


def test_automatic_augmentation_augments_few_faces(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def revision(folder: str, augment: str) -> str:
        return load_checkpoint(run(tmp_path / folder, steps=3, augment=augment)[-1].folder).revision

    always, never = revision("always", "diffaugment"), revision("never", "none")
    assert always != never
    assert revision("few", "auto") == always
    monkeypatch.setattr(training, "AUGMENT_BELOW", 10)
    assert revision("many", "auto") == never


@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_training_touches_no_global_source(run: Run, tmp_path: Path, precision: str) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    run(tmp_path / "run", steps=2, precision=precision)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]


def test_a_run_keeps_its_own_settings_and_takes_new_limits(run: Run, tmp_path: Path, tiny_config: ModelConfig) -> None:
    run(tmp_path / "run", steps=2, seed=5)
    done = run(tmp_path / "run", steps=3, seed=6, batch_size=8, model={"latent_dim": 4})[-1]
    assert done.images == 3 * BATCH
    config, model = read_run(tmp_path / "run")
    assert (config.seed, config.batch_size, config.steps) == (5, BATCH, 3)
    assert model == tiny_config


def test_a_run_with_automatic_precision_settles_on_one(run: Run, tmp_path: Path) -> None:
    run(tmp_path / "run", steps=1, precision="auto")
    settled = read_run(tmp_path / "run")[0].precision
    assert settled in ("fp32", "bf16")
    run(tmp_path / "run", steps=2, precision="auto")
    assert read_run(tmp_path / "run")[0].precision == settled


@pytest.mark.parametrize("changes", [{"precision": "bf16"}, {"batch_size": 2}, {"batch_size": 100}], ids=str)
def test_half_precision_and_odd_batches_train_too(run: Run, tmp_path: Path, changes: dict[str, Any]) -> None:
    events = run(tmp_path / "run", steps=3, **changes)
    [step] = of_kind(events, Step)
    assert np.isfinite([step.d_loss, step.g_loss]).all()
    assert_sound(tmp_path / "run")


# --- the moving average


def test_the_average_warms_up_to_its_half_life() -> None:
    config = TrainConfig(batch_size=64, ema_images=10_000, ema_warmup=0.05)
    assert ema_decay(config, 64) == pytest.approx(0.5 ** (64 / 3.2))
    assert ema_decay(config, 100_000) == pytest.approx(0.5 ** (64 / 5_000))
    assert ema_decay(config, 200_000) == pytest.approx(0.5 ** (64 / 10_000))
    assert ema_decay(config, 10**9) == pytest.approx(0.5 ** (64 / 10_000))
    decays = [ema_decay(config, images) for images in range(64, 300_000, 640)]
    assert decays == sorted(decays)


def test_no_half_life_means_no_average(run: Run, tmp_path: Path) -> None:
    assert ema_decay(TrainConfig(ema_images=0), 10**6) == 0
    state = state_of(run(tmp_path / "run", steps=4, ema_images=0)[-1].folder)
    assert_same(dict(state["ema"]), dict(state["generator"]))


def test_the_average_moves_from_the_start_towards_the_generator(
    run: Run, tmp_path: Path, tiny_config: ModelConfig
) -> None:
    config = TrainConfig(batch_size=BATCH, ema_images=BATCH, ema_warmup=1.0, precision="fp32")
    start = TrainingState.create(tiny_config, config, torch.device("cpu")).generator.state_dict()
    state = state_of(run(tmp_path / "run", steps=1, ema_images=BATCH, ema_warmup=1.0)[-1].folder)
    for name, average in state["ema"].items():
        if (
            average.is_floating_point() and "running" not in name
        ):  # half-life of one batch: the average is half way after the first
            assert torch.allclose(average, (start[name] + state["generator"][name]) / 2, atol=1e-7), name


def test_the_average_of_a_spectral_generator_keeps_its_norm(run: Run, tmp_path: Path) -> None:
    spectral = {"model": {"generator_norm": "spectral"}, "generator_lr": 2e-3, "ema_images": 500}
    folder = run(tmp_path / "run", steps=60, **spectral)[-1].folder
    for conv in load_checkpoint(folder).generator.modules():
        if isinstance(conv, nn.ConvTranspose2d):
            largest = torch.linalg.matrix_norm(conv.weight.transpose(0, 1).flatten(1), 2)
            assert largest == pytest.approx(1, abs=0.35)  # one power iteration a step runs after moving weights


def test_a_saved_average_has_the_statistics_of_its_own_activations(run: Run, tmp_path: Path) -> None:
    """BatchNorm then hands on what has mean 0 and variance 1, up to its scale and shift."""
    ema = load_checkpoint(run(tmp_path / "run", steps=30, ema_images=500)[-1].folder).generator
    settled = {name: value.clone() for name, value in ema.state_dict().items()}
    with torch.no_grad():
        x = ema.stem[0](quasirandom_latents(ema.config.latent_dim, 1)(16_384)[:, :, None, None])
    norm = ema.stem[1]
    assert isinstance(norm, nn.BatchNorm2d)
    assert torch.allclose(norm.running_mean, x.mean((0, 2, 3)), atol=0.02 * float(x.std()))
    assert torch.allclose(norm.running_var, x.var((0, 2, 3)), rtol=0.1)
    settle_statistics(ema)  # they come from the weights alone
    for name, value in ema.state_dict().items():
        assert torch.allclose(value.float(), settled[name].float(), rtol=2e-2, atol=2e-3) or "tracked" in name, name
    assert not ema.training
    assert not norm.training


# --- saves


def test_a_save_can_be_sampled_and_knows_its_training(run: Run, faces: FaceDataset, tmp_path: Path) -> None:
    done = run(tmp_path / "run", steps=3)[-1]
    checkpoint = load_checkpoint(tmp_path / "run", with_discriminator=True)
    assert checkpoint.folder == done.folder
    assert checkpoint.discriminator is not None
    facts = checkpoint.training
    assert (facts["recipe"], facts["images"], facts["faces"]) == ("modern", 3 * BATCH, len(faces.train))


def test_only_the_last_two_saves_are_kept(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = broken_after(10**9, training.discriminator_loss, OFTEN * 60)
    monkeypatch.setattr(training, "discriminator_loss", slow)
    monkeypatch.setattr(training, "REPORT_STEPS", 1)
    saved = of_kind(run(tmp_path / "run", steps=5, save_minutes=OFTEN), Saved)
    assert [event.images for event in saved] == [BATCH, 2 * BATCH, 3 * BATCH, 4 * BATCH, 5 * BATCH]
    assert saves(tmp_path / "run") == [event.folder for event in saved[-2:]]
    assert sorted((tmp_path / "run" / "saves").iterdir()) == saves(tmp_path / "run")


@pytest.fixture(scope="module")
def kept(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with saves at 3 and at 6 steps, to be copied."""
    folder = tmp_path_factory.mktemp("kept") / "run"
    run(folder, steps=3)
    run(folder, steps=6)
    return folder


@pytest.fixture(scope="module")
def whole(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The state after 8 steps without an interruption."""
    return state_of(run(tmp_path_factory.mktemp("whole") / "run", steps=8)[-1].folder)


@pytest.fixture
def two_saves(kept: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The saves at 3 and at 6 steps of a run in `tmp_path / "run"`."""
    shutil.copytree(kept, tmp_path / "run")
    first, last = saves(tmp_path / "run")
    return first, last


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def surplus(value: Any) -> Callable[[Path], None]:
    """Put the state of a parameter that there is not into the generator's optimizer."""

    def change(path: Path) -> None:
        state = torch.load(path, weights_only=True)
        state["generator_optimizer"]["state"][10_000] = value
        torch.save(state, path)

    return change


def overwrite(path: Path) -> None:
    with path.open("rb+") as file:
        file.seek(path.stat().st_size // 3)
        file.write(b"\xff" * 2000)


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        overwrite,
        lambda path: path.write_bytes(b""),
        surplus({"step": 3.0}),
        surplus(torch.tensor(3.0)),
        surplus({}),
        lambda path: path.write_bytes(b"no weights"),
        lambda path: torch.save([1, 2], path),
        lambda path: torch.save({"step": 6}, path),
        Path.unlink,
    ],
    ids=["cut", "overwritten", "empty", "number", "tensor", "nothing", "text", "list", "lacking", "gone"],
)
def test_a_damaged_last_save_gives_way_to_the_one_before(
    run: Run, tmp_path: Path, two_saves: tuple[Path, Path], whole: dict[str, Any], damage: Callable[[Path], Any]
) -> None:
    damage(two_saves[1] / STATE_FILE)
    notice, *_, done = run(tmp_path / "run", steps=8)
    assert notice.images == 3 * BATCH
    assert f"Save {6 * BATCH:012d} could not be read" in notice.text or damage is Path.unlink
    assert_same(whole, state_of(done.folder))


def test_a_damaged_newer_save_does_not_hide_what_was_saved_since(
    run: Run, tmp_path: Path, two_saves: tuple[Path, Path]
) -> None:
    truncate(two_saves[1] / STATE_FILE)
    done = run(tmp_path / "run", steps=5)[-1]
    assert load_checkpoint(tmp_path / "run").folder == done.folder
    assert run(tmp_path / "run", steps=7)[0].images == 5 * BATCH


def test_what_a_kill_left_of_a_save_is_cleared_away(run: Run, tmp_path: Path, two_saves: tuple[Path, Path]) -> None:
    abandoned = two_saves[1].with_name(f".{two_saves[1].name}.x1y2z3")
    abandoned.mkdir()
    (abandoned / STATE_FILE).write_bytes(b"half")
    run(tmp_path / "run", steps=5)
    assert not abandoned.exists()


def test_a_best_save_that_a_kill_caught_between_two_names_is_found_again(run: Run, tmp_path: Path) -> None:
    run(tmp_path / "run", steps=10, measure_images=BATCH)
    best = tmp_path / "run" / "saves" / "best"
    best.rename(best.with_name(".best.x1.old"))
    run(tmp_path / "run", steps=11)
    assert load_checkpoint(best).training["images"] == 10 * BATCH


def test_a_run_without_a_readable_save_is_refused(run: Run, tmp_path: Path, two_saves: tuple[Path, Path]) -> None:
    for folder in two_saves:
        truncate(folder / STATE_FILE)
    with pytest.raises(TrainingError, match="No save in"):
        run(tmp_path / "run", steps=8)


def test_a_crash_while_saving_leaves_the_earlier_saves_whole(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "run", steps=3)
    write = torch.save

    def half(state: Any, path: Path) -> None:
        write(state, path)
        truncate(path)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", half)
        with pytest.raises(OSError, match="No space"):
            run(tmp_path / "run", steps=6)
    assert_sound(tmp_path / "run")
    assert run(tmp_path / "run", steps=8)[0].images == 3 * BATCH


def test_a_killed_run_goes_on_from_a_whole_save(run: Run, tmp_path: Path, faces_folder: Path) -> None:
    run(tmp_path / "run", steps=3, save_minutes=OFTEN)
    command = [sys.executable, "-m", "ganime", "train", str(faces_folder), "--resume", str(tmp_path / "run")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        assert process.stdout
        told = (line for line in process.stdout if line.startswith("saved"))
        assert len(list(itertools.islice(told, 4))) == 4
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert_sound(tmp_path / "run")
    killed_at = int(saves(tmp_path / "run")[-1].name) // BATCH
    assert killed_at > 3
    resumed = run(tmp_path / "run", steps=killed_at + 5)
    assert resumed[0].images == killed_at * BATCH
    never_stopped = run(tmp_path / "whole", steps=killed_at + 5)
    assert_same(state_of(resumed[-1].folder), state_of(never_stopped[-1].folder))


# --- losses that are no longer finite


@pytest.mark.parametrize("which", ["discriminator_loss", "generator_loss"])
def test_broken_losses_send_the_run_back_to_its_save_at_half_the_rates_once(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    run(tmp_path / "run", steps=10)
    with monkeypatch.context() as patch:
        patch.setattr(training, which, broken_after(2, getattr(training, which), breaks=1))
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
        patch.setattr(training, which, broken_after(2, getattr(training, which)))
        with pytest.raises(TrainingError, match=r"for the second time.*last save is intact.*lower learning rates"):
            run(tmp_path / "run", steps=1000)
    assert_sound(tmp_path / "run")


def test_losses_that_break_before_the_first_save_end_the_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "discriminator_loss", broken_after(3, training.discriminator_loss))
    with pytest.raises(TrainingError, match="before the first save"):
        run(tmp_path / "run", steps=1000, save_minutes=OFTEN)
    assert not saves(tmp_path / "run")


def test_weights_that_the_last_step_broke_are_never_saved(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "run", steps=3)
    right = training.generator_loss

    def steep(*arguments: Any) -> Tensor:
        value = right(*arguments)
        return value + (value * 0).sqrt()  # finite, but its gradient is not

    monkeypatch.setattr(training, "generator_loss", steep)
    with pytest.raises(TrainingError, match="no longer finite"):
        run(tmp_path / "run", steps=4)
    assert_sound(tmp_path / "run")


def test_an_absurd_learning_rate_never_saves_broken_weights(run: Run, tmp_path: Path) -> None:
    absurd = {"generator_lr": 1.0, "discriminator_lr": 1.0, "model": {"discriminator_norm": "none"}}
    run(tmp_path / "run", steps=1, **absurd)
    with contextlib.suppress(TrainingError):
        run(tmp_path / "run", steps=40, save_minutes=OFTEN, **absurd)
    assert_sound(tmp_path / "run")


# --- memory and disk


def test_a_batch_too_large_for_the_memory_is_halved(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = training.judge

    def needs_room(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Any:
        if len(real) > 4:
            raise torch.OutOfMemoryError("no room")
        return right(discriminator, real, fake)

    monkeypatch.setattr(training, "judge", needs_room)
    events = run(tmp_path / "run", images=64)
    assert [event.text for event in of_kind(events, Notice)] == [
        "Out of memory; the batch is halved to 8 faces.",
        "Out of memory; the batch is halved to 4 faces.",
    ]
    assert events[-1].images == 64
    assert read_run(tmp_path / "run")[0].batch_size == 4


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
    monkeypatch.setattr(training, "recordable", lambda *_: True)
    monkeypatch.setattr(training, "Recorded", Roomless)
    events = run(tmp_path / "roomless", steps=8, augment="none")
    assert not of_kind(events, Notice)
    assert events[-1].images == 8 * BATCH
    assert_same(state_of(events[-1].folder), state_of(plain.folder))


def test_an_error_that_is_not_about_memory_is_not_swallowed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*arguments: Any) -> Any:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(training, "judge", wrong)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        run(tmp_path / "run", steps=2)


def test_a_full_disk_ends_the_run_with_its_last_save_intact(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "run", steps=3)
    with monkeypatch.context() as patch:
        patch.setattr("torch.save", full_disk)
        with pytest.raises(OSError, match="No space left"):
            run(tmp_path / "run", steps=6)
    assert [folder.name for folder in saves(tmp_path / "run")] == [f"{3 * BATCH:012d}"]
    assert sorted((tmp_path / "run" / "saves").iterdir()) == saves(tmp_path / "run")
    assert run(tmp_path / "run", steps=6)[-1].images == 6 * BATCH


def test_a_disk_that_takes_no_more_is_told_in_one_sentence(
    run: Run, tmp_path: Path, faces_folder: Path, run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """The system itself refuses here: it lets the process write files of at most 130,000 bytes."""
    run(tmp_path / "run", steps=3)
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (130_000, 130_000)); "
        "from ganime.cli import main; sys.argv = ['ganime', *sys.argv[1:]]; main()"
    )
    options = ("--steps", "6", "--home", tmp_path / "home")
    assert run_python("-m", "ganime", "audit", faces_folder, "--image-size", "32", *options[2:]).returncode == 0
    answer = run_python("-c", limited, "train", faces_folder, "--resume", tmp_path / "run", *options)
    assert answer.returncode == 1
    [line] = answer.stderr.splitlines()
    assert "The save at 96 images could not be written" in line
    assert "earlier saves are whole" in line
    assert sorted((tmp_path / "run" / "saves").iterdir()) == saves(tmp_path / "run")
    assert [folder.name for folder in saves(tmp_path / "run")] == [f"{3 * BATCH:012d}"]
    assert run(tmp_path / "run", steps=6)[-1].images == 6 * BATCH


def full_disk(value: Any, path: Path) -> None:
    path.write_bytes(b"the beginning")
    raise OSError(errno.ENOSPC, "No space left on device")


# --- measuring, and beginning from a model


def test_what_a_run_begins_from_is_measured_first(run: Run, tiny: Checkpoint, tmp_path: Path) -> None:
    """Learning rates of nothing: the model stays as it was. Still the best save is one that the run made."""
    events = run(tmp_path / "run", start=tiny, steps=20, measure_images=BATCH, generator_lr=1e-8, discriminator_lr=1e-8)
    assert [type(event) for event in events[:4]] == [Saved, Preview, Measured, Verdict]
    first, *_, last = of_kind(events, Measured)
    assert (first.images, first.best) == (0, False)
    assert last.frechet == pytest.approx(first.frechet, rel=0.05)
    assert load_checkpoint(tmp_path / "run").training["images"] > 0


def test_a_run_that_is_stopped_early_means_its_last_save_and_not_what_it_began_from(
    run: Run, tiny: Checkpoint, tmp_path: Path
) -> None:
    done = run(tmp_path / "run", lambda: True, start=tiny, measure_images=10**6)[-1]
    assert done.reason == "stopped"
    found = load_checkpoint(tmp_path / "run")
    assert found.training["images"] == done.images > 0
    assert found.revision == load_checkpoint(done.folder).revision != tiny.revision


def test_a_run_whose_saves_are_gone_does_not_go_on_from_nothing(run: Run, tiny: Checkpoint, tmp_path: Path) -> None:
    run(tmp_path / "run", start=tiny, steps=1)
    shutil.rmtree(tmp_path / "run" / "saves")
    with pytest.raises(TrainingError, match="began from tiny, and none of its saves"):
        run(tmp_path / "run", steps=2)


def test_a_resumed_run_is_judged_by_what_came_before(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known: list[Event] = []

    class Watching(training.VerdictTracker):
        def see(self, event: Event) -> Verdict | None:
            known.append(event)
            return super().see(event)

    monkeypatch.setattr(training, "Health", Watching)
    for event in run(tmp_path / "run", steps=20, measure_images=10 * BATCH):
        record(tmp_path / "run", event)
    before = list(known)
    assert {type(event) for event in before} == {Step, Measured}
    known.clear()
    run(tmp_path / "run", steps=30, measure_images=10 * BATCH)
    assert known[: len(before)] == before
    assert known[len(before)].images == 30 * BATCH


def test_without_memory_to_measure_with_a_run_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*arguments: Any) -> Any:
        raise torch.OutOfMemoryError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(progress, "extract", no_room)
        events = run(tmp_path / "run", steps=20, measure_images=10 * BATCH)
    assert "no memory to measure" in of_kind(events, Notice)[0].text
    assert not of_kind(events, Measured)
    assert events[-1].images == 20 * BATCH
    assert of_kind(run(tmp_path / "run", steps=30, measure_images=10 * BATCH), Measured)


def test_a_measured_run_keeps_its_best_model_and_learns_the_same(run: Run, tmp_path: Path) -> None:
    events = run(tmp_path / "measured", steps=20, measure_images=10 * BATCH)
    measured = of_kind(events, Measured)
    assert [event.images for event in measured][-1] == 20 * BATCH
    assert measured[0].best
    best = min(event.frechet for event in measured)
    kept = load_checkpoint(tmp_path / "measured")
    assert kept.training["frechet"] == pytest.approx(best, abs=0.01)
    assert of_kind(events, Verdict)
    plain = run(tmp_path / "plain", steps=20)
    assert_same(state_of(events[-1].folder), state_of(plain[-1].folder))


def test_a_resumed_run_knows_how_good_its_best_model_was(run: Run, tmp_path: Path) -> None:
    run(tmp_path / "run", steps=10, measure_images=BATCH)
    config = tmp_path / "run" / "saves" / "best" / "config.json"
    values = json.loads(config.read_text())
    values["training"]["frechet"] = 0.5
    config.write_text(json.dumps(values))
    events = run(tmp_path / "run", steps=20, measure_images=BATCH)
    assert of_kind(events, Measured)
    assert not any(event.best for event in of_kind(events, Measured))
    assert json.loads(config.read_text()) == values


def test_a_run_begins_from_a_model_and_says_so(run: Run, tiny: Checkpoint, tmp_path: Path) -> None:
    events = run(tmp_path / "run", start=tiny, steps=1, generator_lr=1e-8, discriminator_lr=1e-8)
    saved = load_checkpoint(events[-1].folder, with_discriminator=True)
    assert saved.training["start"] == "tiny"
    assert read_run(tmp_path / "run")[0].start == "tiny"
    begun = dict(tiny.generator.named_parameters())
    for name, parameter in saved.generator.named_parameters():
        assert torch.allclose(parameter, begun[name], atol=2e-3), name
    assert saved.discriminator
    assert tiny.discriminator
    begun = dict(tiny.discriminator.named_parameters())
    for name, parameter in saved.discriminator.named_parameters():
        assert torch.allclose(parameter, begun[name], atol=2e-3), name


def test_a_model_without_a_discriminator_is_told_of(run: Run, tiny: Checkpoint, tmp_path: Path) -> None:
    events = run(tmp_path / "run", start=replace(tiny, discriminator=None), steps=1)
    assert "no discriminator" in of_kind(events, Notice)[0].text


def test_frozen_layers_stay_as_they_begin(run: Run, tiny: Checkpoint, tmp_path: Path) -> None:
    events = run(tmp_path / "run", start=tiny, steps=3, freeze=2)
    assert tiny.discriminator
    begun = dict(tiny.discriminator.named_parameters())
    state = torch.load(events[-1].folder / STATE_FILE, weights_only=True)["discriminator"]
    moved = {name.split(".")[0] for name, parameter in begun.items() if not torch.equal(state[name], parameter)}
    still = {name for name, parameter in begun.items() if torch.equal(state[name], parameter)}
    assert "head" in moved
    assert {name for name in begun if name.startswith("from_rgb")} <= still
    assert {name for name in begun if name.startswith("blocks.0")} <= still


@pytest.mark.parametrize("changes", [{"r1": 1.0}, {"r2": 1.0}, {"r1": 1.0, "r2": 1.0, "loss": "relativistic"}])
def test_gradient_penalties_hold_the_discriminator_down(run: Run, tmp_path: Path, changes: dict[str, Any]) -> None:
    rates = {"penalty_steps": 1, "model": {"discriminator_norm": "none"}, "discriminator_lr": 5e-3}
    free = of_kind(run(tmp_path / "free", steps=60, **rates | {"loss": changes.get("loss", "hinge")}), Step)
    held = of_kind(
        run(
            tmp_path / "held",
            steps=60,
            **rates | changes | {"r1": 100 * changes.get("r1", 0.0), "r2": 100 * changes.get("r2", 0.0)},
        ),
        Step,
    )
    assert held[-1].d_real - held[-1].d_fake < 0.7 * (free[-1].d_real - free[-1].d_fake)


# --- what cannot be trained


def test_faces_of_another_size_than_the_model_are_refused_before_anything_is_written(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"faces are 32 px, the model is 64 px"):
        run(tmp_path / "run", steps=1, model={"image_size": 64})
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_no_run_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=f"{RUN_FILE} cannot be read"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", '{"train": {}}', '{"train": {"loss": "x"}, "model": {}}', '{"train": 1, "model": 2}'],
)
def test_a_damaged_run_file_is_refused(run: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / RUN_FILE).write_text(text)
    with pytest.raises(TrainingError, match=f"{RUN_FILE} cannot be read"):
        run(tmp_path, steps=1)


def test_a_resumed_run_tells_when_its_faces_are_others(run: Run, faces: FaceDataset, tmp_path: Path) -> None:
    run(tmp_path / "run", steps=1)
    content = json.loads((tmp_path / "run" / RUN_FILE).read_text())
    assert content["key"] == faces.key
    assert "not the ones" not in run(tmp_path / "run", steps=2)[0].text
    content["key"] = "another"
    (tmp_path / "run" / RUN_FILE).write_text(json.dumps(content))
    assert "not the ones" in run(tmp_path / "run", steps=3)[0].text


def test_a_best_model_by_other_faces_is_set_aside(run: Run, tmp_path: Path) -> None:
    run(tmp_path / "run", steps=10, measure_images=BATCH)
    best, path = tmp_path / "run" / "saves" / "best", tmp_path / "run" / RUN_FILE
    weights = (best / "model.safetensors").read_bytes()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"key": "ab" * 32}))
    events = run(tmp_path / "run", steps=20, measure_images=BATCH)
    assert "set aside as saves/best-abababababab" in events[0].text
    assert (best.with_name("best-abababababab") / "model.safetensors").read_bytes() == weights
    assert of_kind(events, Measured)[0].best
    assert (best / "model.safetensors").read_bytes() != weights


def test_a_run_is_trained_by_one_process_at_a_time(
    run: Run, tmp_path: Path, faces_folder: Path, run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    asked: list[subprocess.CompletedProcess[str]] = []

    def meanwhile() -> bool:
        if not asked:
            command = ("train", faces_folder, "--resume", tmp_path / "run", "--steps", "9", "--home", tmp_path / "home")
            asked.append(run_python("-m", "ganime", *command))
        return False

    assert run(tmp_path / "run", meanwhile, steps=3)[-1].images == 3 * BATCH
    assert asked[0].returncode != 0
    assert "is being trained by another process" in asked[0].stderr
    assert run(tmp_path / "run", steps=4)[-1].images == 4 * BATCH


@pytest.mark.parametrize("device", ["abacus", "", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(faces: FaceDataset, tmp_path: Path, device: str) -> None:
    with pytest.raises(ConfigError, match="no device"):
        next(train(faces, tmp_path / "run", device=device))
    assert not (tmp_path / "run").exists()


def test_a_run_can_be_moved(run: Run, tmp_path: Path) -> None:
    run(tmp_path / "run", steps=2)
    shutil.move(tmp_path / "run", tmp_path / "moved")
    assert run(tmp_path / "moved", steps=3)[0].images == 2 * BATCH


def test_a_run_cut_off_before_its_first_save_still_begins_from_its_model(
    run: Run, tiny: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(training, "judge", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "run", start=tiny, steps=3)
    notice, *_, done = run(tmp_path / "run", steps=3, generator_lr=1e-8)
    assert notice.images == 0
    first = torch.load(saves(tmp_path / "run")[0] / STATE_FILE, weights_only=True)["generator"]
    for name, value in tiny.generator.state_dict().items():
        assert torch.equal(first[name], value), name
    assert load_checkpoint(done.folder).training["start"] == "tiny"


def interrupted(*arguments: Any) -> Any:
    raise KeyboardInterrupt


def test_a_save_that_was_made_on_a_gpu_goes_on_on_a_cpu(run: Run, tmp_path: Path) -> None:
    here, there = (run(tmp_path / name, steps=6)[-1].folder for name in ("here", "there"))
    state = torch.load(there / STATE_FILE, weights_only=True)
    for optimizer in ("generator_optimizer", "discriminator_optimizer"):
        for group in state[optimizer]["param_groups"]:
            group["capturable"] = True  # as Adam is told on a GPU, where it counts its steps there
    torch.save(state, there / STATE_FILE)
    ended = [run(folder.parent.parent, steps=12)[-1] for folder in (here, there)]
    assert [done.images for done in ended] == [12 * BATCH] * 2
    assert_same(*(state_of(done.folder) for done in ended))


def test_steps_are_counted_where_they_can_be_recorded() -> None:
    weight = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([weight])
    weight.grad = torch.ones(3)
    optimizer.step()
    for kind in ("cuda", "mps", "cpu"):
        optimizer.state[weight]["step"] = Sent()
        count_on(torch.device(kind), optimizer)
        assert optimizer.param_groups[0]["capturable"] is (kind == "cuda")
        assert optimizer.state[weight]["step"] == ("cuda" if kind == "cuda" else "cpu")


class Sent:
    """A tensor that becomes the name of where it is sent."""

    def to(self, device: torch.device) -> str:
        return device.type


@pytest.mark.parametrize(
    ("changes", "augmented", "device", "count", "recorded"),
    [
        ({}, False, "cuda", 1, True),
        ({"critic": 1.0, "eyes": "broad"}, False, "cuda", 1, True),
        ({"critic": 1.0, "eyes": "anime"}, False, "cuda", 1, False),  # whose pieces lie elsewhere each time
        ({"r1": 1.0}, False, "cuda", 1, False),
        ({"r2": 1.0}, False, "cuda", 1, False),
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
    assert recordable(config, state.critic, torch.device(device), count == 1, augmented) is recorded


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
    monkeypatch.setattr(training, "recordable", lambda *_: False)
    plain = list(train(faces, tmp_path / "plain", config, shape, "cuda"))
    assert len(played) == 30 - WARM_UP_CALLS
    for a, b in zip(of_kind(recorded, Step), of_kind(plain, Step), strict=True):
        assert (a.d_loss, a.g_loss) == pytest.approx((b.d_loss, b.g_loss), rel=0.02, abs=0.02)
