"""The training loop: its events in order, its limits, exact resumption, and measurements."""

from __future__ import annotations

import itertools
import json
import random
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ganime.config import RECIPES, ModelConfig, TrainConfig
from ganime.drawing.sampling import generate
from ganime.errors import ConfigError
from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from ganime.nets.averaging import ema_decay, quasirandom_latents, settle_statistics
from ganime.nets.dcgan import Generator
from ganime.training import loop, validation
from ganime.training.events import Done, Measured, Notice, Preview, Saved, Step, Verdict, Working, record
from ganime.training.loop import preview_after, train
from ganime.training.run_folder import STATE_FILE, TrainingState, read_run, saves
from ganime.training.session import is_augmented
from tests.ganime.training.common import (
    BATCH,
    FEW,
    OFTEN,
    QUICK,
    Run,
    Trained,
    assert_same,
    assert_sound,
    of_kind,
    state_of,
)

ROOT = Path(__file__).resolve().parents[3]

# --- events


def test_events_come_in_order_and_end_with_a_save(short_run: Trained) -> None:
    events = short_run.events
    assert [type(event) for event in events] == [Preview, Step, Step, Step, Preview, Saved, Done]
    assert [event.step for event in of_kind(events, Step)] == [10, 20, 30]
    assert [event.images for event in events] == [0, 10 * BATCH, 20 * BATCH, *[30 * BATCH] * 4]
    done = events[-1]
    assert (done.reason, done.folder) == ("steps", events[-2].folder)
    assert saves(short_run.folder) == [done.folder]


def test_progress_and_losses_are_finite_and_sensible(short_run: Trained) -> None:
    steps = of_kind(short_run.events, Step)
    assert [step.progress for step in steps] == pytest.approx([1 / 3, 2 / 3, 1])
    for step in steps:
        assert np.isfinite([step.d_loss, step.g_loss, step.d_real, step.d_fake, step.images_per_second]).all()
        assert 0 <= step.d_loss < 10
        assert step.images_per_second > 0


def test_first_previews_come_soon_and_then_as_often_as_asked() -> None:
    due = [0]
    while len(due) < 10:
        due.append(preview_after(due[-1], 20_000))
    assert due == [0, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 40_000, 60_000]
    assert preview_after(19_999, 20_000) == 20_000
    assert preview_after(130, 64) == 192


def test_a_run_that_begins_from_a_model_shows_first_what_that_draws(begun_run: Trained, tiny: Checkpoint) -> None:
    first = of_kind(begun_run.events, Preview)[0]
    assert first.images == 0
    assert abs(first.faces.astype(int) - generate(tiny, range(64))).max() <= 1


def test_previews_come_as_often_as_asked_and_show_the_model(run: Run, tmp_path: Path) -> None:
    events = run(tmp_path / "run", steps=10, preview_images=4 * BATCH, reporting=replace(FEW, report_steps=1))[1:]
    previews = of_kind(events, Preview)
    assert [event.images for event in previews] == [4 * BATCH, 8 * BATCH, 10 * BATCH]
    for event in previews:
        assert event.faces.shape == (64, 32, 32, 3)
        assert event.faces.dtype == np.uint8
    drawn = generate(load_checkpoint(tmp_path / "run"), range(64))
    assert abs(previews[-1].faces.astype(int) - drawn).max() <= 2  # the weights of a model folder have 16 bits


@pytest.mark.slow
def test_a_tiny_run_brings_generated_colours_nearer_to_real_ones(run: Run, faces: FaceDataset, tmp_path: Path) -> None:
    quick = {"generator_lr": 4e-3, "discriminator_lr": 4e-3, "beta1": 0.5, "ema_images": 200, "augment": "none"}
    events = run(tmp_path / "run", steps=130, preview_images=5 * BATCH, **quick)
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


def test_minutes_are_those_of_training_without_what_comes_between(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = 0.0
    preview, update_ema = loop.preview, loop.update_ema

    def late_preview(ema: Generator) -> np.ndarray:
        nonlocal seconds
        seconds += 1_000
        return preview(ema)

    def after_a_step(*nets_and_decay: Any) -> None:
        nonlocal seconds
        seconds += 1
        update_ema(*nets_and_decay)

    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: seconds))
    monkeypatch.setattr(loop, "preview", late_preview)
    monkeypatch.setattr(loop, "update_ema", after_a_step)
    plan = {"minutes": 5 / 60, "steps": 9, "preview_images": BATCH, "reporting": replace(FEW, report_steps=1)}
    events = run(tmp_path / "run", **plan)
    assert (events[-1].reason, events[-1].images) == ("minutes", 5 * BATCH)
    assert load_checkpoint(tmp_path / "run").training["seconds"] == 5


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


# --- the same run, whether interrupted or not


KINDS: dict[str, dict[str, Any]] = {
    "modern": {},
    "diffaugment": {"augment": "diffaugment"},
    "no augmentation": {"augment": "none"},
    "classic": {"recipe": "classic"},
    "bce": {"loss": "bce", "beta1": 0.5},
    "spectral generator": {"model": {"generator_norm": "spectral"}},
    "no norms": {"model": {"generator_norm": "none", "discriminator_norm": "none"}},
}


@pytest.mark.parametrize(("kind", "split"), [("modern", [1]), *((kind, [3, 9]) for kind in KINDS)], ids=str)
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


def test_augmentation_changes_what_a_run_learns_and_automatic_augmentation_augments_few_faces(
    run: Run, tmp_path: Path
) -> None:
    def revision(augment: str) -> str:
        return load_checkpoint(run(tmp_path / augment, steps=3, augment=augment)[-1].folder).revision

    assert revision("diffaugment") == revision("auto") != revision("none")


@pytest.mark.parametrize(("faces", "augmented"), [(9_999, True), (10_000, False)])
def test_automatic_augmentation_is_for_fewer_than_10_000_faces(faces: int, augmented: bool) -> None:
    assert is_augmented(TrainConfig(augment="auto"), faces) is augmented
    assert is_augmented(TrainConfig(augment="diffaugment"), faces)
    assert not is_augmented(TrainConfig(augment="none"), faces)


@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_training_touches_no_global_source(run: Run, tmp_path: Path, precision: str) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    run(tmp_path / "run", steps=2, precision=precision)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]


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


def test_a_saved_average_has_the_statistics_of_its_own_activations(short_run: Trained) -> None:
    """BatchNorm then hands on what has mean 0 and variance 1, up to its scale and shift."""
    ema = load_checkpoint(short_run.folder).generator
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


# --- measurements, and models to begin from


def test_what_a_run_begins_from_is_measured_first_and_kept(begun_run: Trained, tiny: Checkpoint) -> None:
    assert [type(event) for event in begun_run.events[:4]] == [Saved, Preview, Measured, Verdict]
    first, *_, last = of_kind(begun_run.events, Measured)
    assert (first.images, first.best) == (0, False)
    assert last.frechet == pytest.approx(first.frechet, rel=0.05)  # at learning rates of almost nothing
    assert load_checkpoint(begun_run.folder / "saves" / "start").revision == tiny.revision


@pytest.mark.parametrize(("better", "images"), [(0.5, 0), (2.0, 20 * BATCH)])
def test_a_run_stands_for_the_better_of_what_it_made_and_what_it_began_from(
    run: Run, tiny: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, better: float, images: int
) -> None:
    """better: the distance of the model that it begins from, relative to that of the model that it makes."""
    measure, factors = validation.compare, iter([better, 1.0])

    def compare(*arguments: Any) -> Any:
        return replace(measure(*arguments), frechet=100.0 * next(factors))

    monkeypatch.setattr(validation, "compare", compare)
    monkeypatch.setattr(validation, "is_dead", lambda measured: False)  # an untrained model draws one picture
    events = run(tmp_path / "run", start=tiny, steps=20, measure_images=10**6)
    found = load_checkpoint(tmp_path / "run")
    assert found.training["images"] == images
    assert (found.revision == tiny.revision) == (images == 0)
    assert of_kind(events, Measured)[-1].best == (images > 0)


def test_a_run_says_what_it_does_and_reports_soon_where_steps_are_slow(
    faces: FaceDataset, tiny_config: ModelConfig, tiny: Checkpoint, tmp_path: Path
) -> None:
    config = TrainConfig(**(vars(RECIPES["modern"][0]) | QUICK | {"steps": 3, "measure_images": 10**6}))
    often = replace(FEW, report_seconds=0.0)
    events = list(train(faces, tmp_path / "run", config, tiny_config, start=tiny, reporting=often))
    activities = [event.activity for event in of_kind(events, Working)]
    assert activities == ["sampling", "measuring", "training", "measuring", "saving"]
    assert [event.step for event in of_kind(events, Step)] == [1, 2, 3]


def test_a_run_that_is_stopped_early_means_its_last_save_and_not_what_it_began_from(
    run: Run, tiny: Checkpoint, tmp_path: Path
) -> None:
    done = run(tmp_path / "run", lambda: True, start=tiny, measure_images=10**6)[-1]
    assert done.reason == "stopped"
    found = load_checkpoint(tmp_path / "run")
    assert found.training["images"] == done.images > 0
    assert found.revision == load_checkpoint(done.folder).revision != tiny.revision


@pytest.mark.slow
def test_a_resumed_run_is_judged_by_what_came_before(run: Run, measured_run: Trained, tmp_path: Path) -> None:
    """The journal names a distance that this run cannot reach, so the next verdict compares with it."""
    folder = measured_run.copy(tmp_path / "run")
    for event in measured_run.events:
        record(folder, replace(event, frechet=1.5) if isinstance(event, Measured) else event)
    verdict = of_kind(run(folder, steps=40, measure_images=10 * BATCH), Verdict)[-1]
    assert verdict.reason.startswith("too early to tell; Fréchet distance 1.5, then 1.5")


@pytest.mark.slow
def test_without_memory_to_measure_with_a_run_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*arguments: Any) -> Any:
        raise torch.OutOfMemoryError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(validation, "extract", no_room)
        events = run(tmp_path / "run", steps=20, measure_images=10 * BATCH)
    assert "no memory" in of_kind(events, Notice)[0].text
    assert not of_kind(events, Measured)
    assert events[-1].images == 20 * BATCH
    assert of_kind(run(tmp_path / "run", steps=30, measure_images=10 * BATCH), Measured)


def test_a_measured_run_keeps_its_best_model_and_learns_the_same(short_run: Trained, measured_run: Trained) -> None:
    measured = of_kind(measured_run.events, Measured)
    assert measured[-1].images == 30 * BATCH
    assert measured[0].best
    best = min(event.frechet for event in measured)
    kept = load_checkpoint(measured_run.folder)
    assert kept.training["frechet"] == pytest.approx(best, abs=0.01)
    assert of_kind(measured_run.events, Verdict)
    assert_same(state_of(measured_run.events[-1].folder), state_of(short_run.events[-1].folder))


def test_a_resumed_run_knows_how_good_its_best_model_was(run: Run, measured_run: Trained, tmp_path: Path) -> None:
    config = measured_run.copy(tmp_path / "run") / "saves" / "best" / "config.json"
    values = json.loads(config.read_text())
    values["training"]["frechet"] = 0.5
    config.write_text(json.dumps(values))
    events = run(tmp_path / "run", steps=31, measure_images=BATCH)
    assert of_kind(events, Measured)
    assert not any(event.best for event in of_kind(events, Measured))
    assert json.loads(config.read_text()) == values


def test_a_run_begins_from_a_model_and_says_so(begun_run: Trained, tiny: Checkpoint) -> None:
    saved = load_checkpoint(begun_run.events[-1].folder, with_discriminator=True)
    assert saved.training["start"] == "tiny"
    assert read_run(begun_run.folder)[0].start == "tiny"
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


@pytest.mark.parametrize("device", ["abacus", "", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(faces: FaceDataset, tmp_path: Path, device: str) -> None:
    with pytest.raises(ConfigError, match=f"{device!r} is not available"):
        next(train(faces, tmp_path / "run", TrainConfig(), ModelConfig(), device=device))
    assert not (tmp_path / "run").exists()
