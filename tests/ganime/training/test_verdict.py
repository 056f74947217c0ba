"""Verdicts: the run behind the embedded model raises no alarm, and each kind of failed run gets its own verdict."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ganime.cli.train import train_command
from ganime.config import ModelConfig, TrainConfig
from ganime.errors import TrainingError
from ganime.faces.dataset import FaceDataset
from ganime.measuring.distances import chance_of_nearness
from ganime.models.checkpoint import Checkpoint
from ganime.training.events import ACTIONS, VERDICTS, Done, Event, Measured, Notice, Saved, Step, Verdict
from ganime.training.loop import train
from ganime.training.session import Reporting
from ganime.training.validation import Validator
from ganime.training.verdict import (
    CHANCE,
    LOW_DIVERSITY,
    MEASURES_KEPT,
    PATIENCE_FLAT,
    WINDOW,
    VerdictTracker,
    is_copying,
)
from tests.ganime.training.common import Replay

DATA = Path(__file__).resolve().parents[2] / "data"
MEASURED = Measured(
    images=0,
    generated=500,
    reference=1000,
    frechet=100.0,
    kernel=0.3,
    precision=0.6,
    recall=0.4,
    coverage=0.6,
    diversity=1.0,
    near_copies=0.01,
    copying=5.0,
    memory=0.1,
    best=False,
)
BCE = TrainConfig(
    loss="bce", batch_size=4, beta1=0.5, beta2=0.999, augment="none", precision="fp32", preview_images=10**9
)
TINY = ModelConfig(image_size=32, latent_dim=8, base_channels=4, max_channels=16, discriminator_norm="none")
BARE = dataclasses.replace(TINY, generator_norm="none")


def watch(tracker: VerdictTracker, events: Iterable[Event]) -> list[Verdict]:
    return [verdict for event in events if (verdict := tracker.see(event))]


def reports(count: int, start: int = 0, noise: float = 0.05, **losses: float) -> Iterator[Step]:
    """Reports every 320 images, by default with the hinge losses of a healthy run and the noise they have."""
    random, means = np.random.default_rng(0), {"d_loss": 1.7, "g_loss": 0.5, "d_real": 0.1, "d_fake": -0.3} | losses
    for number in range(1, count + 1):
        values = {name: mean + noise * random.standard_normal() for name, mean in means.items()}
        yield Step(step=10 * number, images=start + 320 * number, images_per_second=50.0, progress=0.0, **values)


def measures(distances: Iterable[float], start: int = 0, **values: float) -> Iterator[Event]:
    """A measurement every 16,000 images, each behind the healthy reports that led to it."""
    for number, distance in enumerate(distances):
        yield from reports(WINDOW, start + number * 16_000)
        yield dataclasses.replace(MEASURED, images=start + (number + 1) * 16_000, frechet=distance, **values)


def recorded(name: str) -> Iterator[Step | Measured]:
    """The events of a run that was recorded; where only the losses were logged, the logits are filled in."""
    for text in (DATA / name).read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        if "frechet" in line:
            yield Measured(**line)
        else:
            line.setdefault("d_real", (2 - line["d_loss"]) / 2)
            line.setdefault("d_fake", -line["g_loss"] / 2)
            yield Step(images_per_second=50.0, progress=0.0, **line)


@pytest.fixture
def run(faces: FaceDataset, tmp_path: Path) -> Callable[[TrainConfig, ModelConfig], list[Event]]:
    """The losses and measures of a real run on drawn faces, up to its end or to its break."""
    reporting = Reporting(report_steps=4, report_seconds=1e9, measured_faces=64, measuring_share=1e9)

    def go(config: TrainConfig, model: ModelConfig) -> list[Event]:
        events: list[Event] = []
        try:
            for event in train(faces, tmp_path / "run", config, model, reporting=reporting):
                events += [event] if isinstance(event, Step | Measured) else []
        except TrainingError:
            assert not np.isfinite(events[-1].d_loss if isinstance(events[-1], Step) else 0)
        return events

    return go


def test_the_run_that_made_the_embedded_model_raises_no_alarm() -> None:
    events = list(recorded("healthy-run.jsonl"))
    verdicts = watch(VerdictTracker("hinge", 29_696), events)
    assert len(verdicts) >= sum(isinstance(event, Measured) for event in events)
    assert {verdict.state for verdict in verdicts} == {"early", "healthy"}
    assert verdicts[-1].state == "healthy"
    assert "213.9" in verdicts[-1].reason
    assert verdicts[-1].advice == "Go on."


def test_losses_that_are_no_numbers_have_diverged(run: Callable[..., list[Event]]) -> None:
    config = dataclasses.replace(
        BCE, generator_lr=1.0, discriminator_lr=1.0, beta1=0.9, beta2=0.0, batch_size=8, steps=60
    )
    events = run(config, BARE)
    tracker = VerdictTracker("bce", 58, report_steps=4)
    (verdict,) = watch(tracker, events)
    assert verdict.state == "diverged"
    assert "nan" in verdict.reason
    assert "to a half" in verdict.advice


def test_losses_blown_up_by_a_high_learning_rate_have_diverged(run: Callable[..., list[Event]]) -> None:
    config = dataclasses.replace(BCE, loss="hinge", generator_lr=1.0, discriminator_lr=1.0, steps=100, measure_images=0)
    events = run(config, BARE)
    assert all(np.isfinite(event.d_loss) for event in events if isinstance(event, Step))
    (verdict,) = watch(VerdictTracker("hinge", 58, report_steps=4), events)
    assert verdict.state == "diverged"
    assert "e+0" in verdict.reason  # the logits, millions and more
    assert "a tenth" in verdict.advice


@pytest.mark.slow
def test_a_discriminator_that_learns_a_thousand_times_faster_wins(run: Callable[..., list[Event]]) -> None:
    config = dataclasses.replace(BCE, generator_lr=1e-6, discriminator_lr=1e-3, steps=260, measure_images=160)
    verdicts = watch(
        VerdictTracker("bce", 58, report_steps=4), run(config, dataclasses.replace(TINY, discriminator_norm="batch"))
    )
    assert {verdict.state for verdict in verdicts} == {"early", "discriminator winning"}
    assert verdicts[-1].state == "discriminator winning", verdicts
    assert "where chance is 1.39" in verdicts[-1].reason
    assert "Fréchet distance" in verdicts[-1].reason
    assert verdicts[-1].advice.startswith("Lower the discriminator's learning rate to a quarter")
    assert "58 faces are few" in verdicts[-1].advice


@pytest.mark.slow
def test_a_discriminator_that_stands_still_lets_the_losses_go_flat(run: Callable[..., list[Event]]) -> None:
    config = dataclasses.replace(BCE, generator_lr=0.02, discriminator_lr=1e-8, steps=220, measure_images=0)
    (flat,) = watch(VerdictTracker("bce", 58, report_steps=4), run(config, TINY))
    assert flat.state == "stalled"
    assert "the same to three digits" in flat.reason
    assert "more images change nothing" in flat.advice


@pytest.mark.slow
def test_a_generator_that_draws_one_face_has_collapsed(run: Callable[..., list[Event]]) -> None:
    config = dataclasses.replace(BCE, generator_lr=1.0, discriminator_lr=2e-4, steps=220, measure_images=400)
    verdicts = watch(
        VerdictTracker("bce", 58, report_steps=4), run(config, dataclasses.replace(TINY, discriminator_norm="spectral"))
    )
    assert verdicts[-1].state == "collapsed"
    assert verdicts[-1].reason.startswith("two generated faces differ 0.0")
    assert "generator's learning rate to a tenth" in verdicts[-1].advice


def test_a_few_faces_learned_for_long_from_scratch_end_in_a_stall() -> None:
    """Recorded: 18 drawn faces, 24,000 images, hinge loss, no augmentation, both learning rates 1e-3."""
    verdicts = watch(VerdictTracker("hinge", 18), recorded("few-faces.jsonl"))
    states = [verdict.state for verdict in verdicts]
    assert states == sorted(states, key=["early", "healthy", "stalled"].index)
    assert states.count("healthy") >= 3  # while it got better
    stall = verdicts[-1]
    assert stall.state == "stalled"
    assert stall.reason.startswith("no better for the last 17,600 images: Fréchet distance 674.9 at best, 88")
    assert "so it gets worse; the discriminator knows its training faces by heart (1.00" in stall.reason
    assert stall.advice.endswith("18 faces are few: add more, or start from the embedded model.")
    assert "embedded" not in watch(VerdictTracker("hinge", 18, scratch=False), recorded("few-faces.jsonl"))[-1].advice


@pytest.mark.slow
def test_copies_of_training_faces_are_told_from_fresh_faces(
    faces: FaceDataset, tiny: Checkpoint, draw_face: Callable[..., Image.Image]
) -> None:
    validator = Validator(faces, count=100)

    def verdict_on(pictures: np.ndarray) -> Verdict:
        tracker = VerdictTracker("hinge", 58)
        watch(tracker, reports(WINDOW))
        for images in (16_000, 16_100):
            measured = validator.measure(Replay(pictures, tiny, noise=0.01), tiny.discriminator, images)  # pyright: ignore[reportArgumentType]
            verdict = tracker.see(measured)
        assert verdict
        return verdict

    fresh = np.stack([np.asarray(draw_face(seed, 32)) for seed in range(1000, 1100)])
    assert verdict_on(fresh).state == "healthy"
    mixed = np.concatenate([faces.images[faces.train[:50]], fresh[:50]])
    assert verdict_on(mixed).state == "copying"
    copying = verdict_on(faces.images[faces.train])
    assert copying.state == "copying"
    assert copying.reason.startswith("generated faces lie nearer to the training faces than fresh faces do (z -1")
    assert "100% of them" in copying.reason
    assert "keep an earlier save" in copying.advice


@pytest.mark.parametrize("copies", [25, 35])
def test_copies_are_found_by_the_fresh_faces_they_were_compared_with(copies: int) -> None:
    """Of 800 faces 80 are held out, and training faces add to those that tell how near is near, 800 in all."""
    share = copies / 460
    copied = dataclasses.replace(MEASURED, generated=460, reference=80, near_copies=share, copying=-3.8, fresh=800)
    assert is_copying(copied)
    events = [*measures((300.0, 290.0)), *reports(WINDOW, 32_000), dataclasses.replace(copied, images=48_000)]
    verdict = watch(VerdictTracker("hinge", 720), events)[-1]
    assert verdict.state == "copying"
    assert f"{share:.0%} of them as near as 1% of fresh ones" in verdict.reason
    innocent = dataclasses.replace(copied, near_copies=5 / 460)
    assert not is_copying(innocent)


def test_journals_without_the_number_of_fresh_faces_are_judged_by_the_reference() -> None:
    old = dataclasses.replace(MEASURED, generated=460, reference=80, near_copies=0.08, copying=-3.8)
    assert not is_copying(old)
    assert is_copying(dataclasses.replace(old, near_copies=0.1))


def test_advice_says_what_can_be_done_on_the_command_line_and_on_the_page() -> None:
    tracker = VerdictTracker("hinge", 5000)
    events = list(reports(WINDOW, d_real=1e5, d_fake=-1e5))
    (verdict,) = watch(tracker, events)
    assert (verdict.state, verdict.action) == ("diverged", "lower rates")
    for words in ("--resume", "--generator-lr", "--discriminator-lr", "Use this model"):
        assert words in verdict.advice
    assert {"resume", "generator_lr", "discriminator_lr"} <= inspect.signature(train_command).parameters.keys()


def test_a_run_that_learns_its_few_faces_by_heart_ends_in_copying() -> None:
    """Recorded: 22 drawings at 32 px from scratch, 150,000 images, no augmentation; the faces it drew are those 22."""
    verdicts = watch(VerdictTracker("hinge", 22), recorded("copying-run.jsonl"))
    assert [verdict.state for verdict in verdicts] == ["early", "healthy", "healthy", "copying"]
    assert "(z -4.1), and 26% of them as near as 5% of fresh ones" in verdicts[-1].reason
    assert "knows its training faces by heart" in verdicts[-1].reason
    assert "22 faces are few: add more" in verdicts[-1].advice


@pytest.mark.parametrize(("memory", "state"), [(1.0, "copying"), (0.1, "healthy")])
def test_where_fresh_faces_are_few_a_discriminator_that_knows_its_faces_betrays_copying(
    memory: float, state: str
) -> None:
    events = measures((300.0, 290.0, 280.0), reference=24, near_copies=0.1, copying=-2.8, memory=memory)
    assert watch(VerdictTracker("hinge", 22), events)[-1].state == state


def test_a_loss_that_stands_at_one_value_to_four_digits_is_a_stall() -> None:
    tracker = VerdictTracker("bce", 20)
    flat = reports(30, noise=1e-5, d_loss=0.6, g_loss=0.1167, d_real=1.0, d_fake=2.0)
    (verdict,) = watch(tracker, flat)
    assert verdict.state == "stalled"
    assert "0.1167 for 6,080 images" in verdict.reason
    assert not watch(VerdictTracker("bce", 20), reports(30, noise=0.001, d_loss=0.6, g_loss=0.1167))


@pytest.mark.parametrize(
    ("distances", "state"),
    [((500.0, 480.0, 460.0, 440.0), "healthy"), ((500.0, 505.0, 495.0, 500.0), "discriminator winning")],
)
def test_a_sure_discriminator_wins_only_where_the_distance_does_not_fall(
    distances: tuple[float, ...], state: str
) -> None:
    tracker, verdict = VerdictTracker("bce", 5000), None
    for number, distance in enumerate(distances, start=1):
        watch(tracker, reports(WINDOW, number * 16_000, d_loss=0.05, g_loss=4.0, d_real=4.0, d_fake=-4.0))
        verdict = tracker.see(dataclasses.replace(MEASURED, images=(number + 1) * 16_000, frechet=distance))
    assert verdict
    assert verdict.state == state


def test_no_better_for_long_is_a_stall_until_it_gets_better() -> None:
    tracker = VerdictTracker("hinge", 5000)
    waiting = watch(tracker, measures([100.0, 80.0, 78.0] + [79.0] * (PATIENCE_FLAT - 1)))
    assert {verdict.state for verdict in waiting} == {"early", "healthy"}
    (stall,) = watch(tracker, measures([79.0], start=16_000 * (PATIENCE_FLAT + 2)))
    assert stall.state == "stalled"
    assert stall.reason.startswith("no better for the last 128,000 images: Fréchet distance 78.0 at best, 79.0 now")
    assert "keep the best save" in stall.advice
    better = watch(tracker, measures([70.0], start=16_000 * (PATIENCE_FLAT + 3)))
    assert better[-1].state == "healthy"


def test_a_distance_that_rises_is_noticed_sooner() -> None:
    verdicts = watch(VerdictTracker("hinge", 5000), measures([100.0, 80.0, 85.0, 90.0, 95.0, 100.0], memory=0.9))
    assert [verdict.state for verdict in verdicts[-2:]] == ["healthy", "stalled"]
    assert "gets worse" in verdicts[-1].reason
    assert "knows its training faces by heart (0.90" in verdicts[-1].reason


def test_a_good_model_that_new_rates_disturb_at_first_is_given_time() -> None:
    disturbed = [76.0, 113.0, 109.0, 105.0, 102.0, 99.0, 96.0, 93.0, 90.0, 87.0, 85.0, 83.0]
    verdicts = watch(VerdictTracker("hinge", 5000), measures(disturbed))
    assert {verdict.state for verdict in verdicts} == {"early", "healthy"}


def test_a_model_that_training_made_worse_is_never_told_to_go_on() -> None:
    tracker = VerdictTracker("hinge", 5000, scratch=False)
    start = dataclasses.replace(MEASURED, frechet=92.4)
    (first,) = watch(tracker, [start])
    assert first.state == "early"
    (worse,) = watch(tracker, [dataclasses.replace(MEASURED, images=48, frechet=162.5)])
    assert (worse.state, worse.action) == ("worse", "stop")
    assert "92.4" in worse.reason
    assert "162.5" in worse.reason
    assert "Go on" not in worse.advice
    (dead,) = watch(tracker, [dataclasses.replace(MEASURED, images=96, frechet=3650.5, diversity=0.0)])
    assert (dead.state, dead.action) == ("collapsed", "lower rates")
    better = watch(tracker, [dataclasses.replace(MEASURED, images=images, frechet=80.0) for images in (144, 192)])
    assert better[-1].state in ("early", "healthy")


def test_reports_of_single_steps_are_judged_as_means_of_ten() -> None:
    coarse, fine = VerdictTracker("hinge", 5000), VerdictTracker("hinge", 5000)
    steps = list(reports(10 * WINDOW, noise=0.0, d_loss=0.001))
    watch(fine, [dataclasses.replace(one, step=number + 1, images=32 * number) for number, one in enumerate(steps)])
    watch(coarse, steps[:WINDOW])
    assert len(fine.reports) == len(coarse.reports) == WINDOW
    assert fine.state == coarse.state == "discriminator winning"
    assert fine.span() == "15,680"


def test_slow_but_steady_learning_is_no_stall() -> None:
    verdicts = watch(VerdictTracker("hinge", 5000), measures([100 * 0.997**number for number in range(60)]))
    assert {verdict.state for verdict in verdicts} == {"early", "healthy"}


def test_a_run_on_the_border_does_not_flicker() -> None:
    tracker = VerdictTracker("hinge", 5000)
    watch(tracker, measures([100.0, 90.0]))
    border = [0.2, 0.3, 0.34, 0.32, 0.36, 0.31, 0.4, 0.44]
    states = [
        verdict.state
        for number, diversity in enumerate(border)
        for verdict in watch(tracker, measures([80.0 - number], start=16_000 * (number + 2), diversity=diversity))
    ]
    assert states == ["healthy"] + ["collapsed"] * 7
    (recovered,) = watch(tracker, measures([60.0], start=16_000 * 10, diversity=LOW_DIVERSITY[1] + 0.01))
    assert recovered.state == "healthy"


def test_going_back_to_a_save_forgets_what_came_after() -> None:
    tracker = VerdictTracker("hinge", 5000)
    watch(tracker, measures([100.0, 90.0, 80.0]))
    broken = Step(0, 50_000, float("nan"), 0.0, 0.0, 0.0, 50.0, 0.0)
    (first,) = watch(tracker, [broken])
    assert first.state == "diverged"
    (going_on,) = watch(tracker, reports(1, start=33_000))
    assert going_on.state == "early"
    assert [measured.frechet for measured in tracker.measures] == [100.0, 90.0]
    assert tracker.lowest
    assert tracker.lowest.frechet == 90.0
    (second,) = watch(tracker, [broken])
    assert "further" in second.advice


def test_only_losses_and_measures_are_judged() -> None:
    tracker = VerdictTracker("hinge", 5000)
    events = [Notice(0, "hello"), Saved(0, Path()), Verdict(0, "stalled", "", ""), Done(0, "images", Path())]
    assert not watch(tracker, events)
    assert tracker.state == "early"


def test_near_copies_by_chance_are_one_in_a_hundred_and_uncertain_for_few_faces() -> None:
    assert chance_of_nearness(500, 1_000_000)[0] == pytest.approx(0.01, abs=1e-5)
    random = np.random.default_rng(0)
    for fresh in (20, 64, 1000):
        chance, error = chance_of_nearness(500, fresh)
        bars = [np.percentile(random.random(fresh), 1) for _ in range(2000)]  # of distances that are alike in law
        shares = np.array([random.binomial(500, bar) / 500 for bar in bars])
        assert shares.mean() == pytest.approx(chance, abs=0.25 * chance + 0.002)
        assert (shares > chance + 4 * error).mean() < 0.01


number = st.floats(allow_nan=True, allow_infinity=True)
images = st.integers(0, 10**12)
anything = st.one_of(
    st.builds(Step, st.integers(), images, number, number, number, number, number, number),
    st.builds(
        Measured,
        images,
        st.integers(),
        st.integers(),
        *[number] * 8,
        memory=st.none() | number,
        best=st.booleans(),
        fresh=st.integers(),
    ),
)


@given(st.sampled_from(sorted(CHANCE)), st.integers(1, 10**9), st.lists(anything, max_size=20), st.integers(1, 40))
def test_whatever_the_events_are_there_is_a_verdict(loss: str, faces: int, events: list[Event], times: int) -> None:
    events = sorted(events, key=lambda event: event.images) * times
    tracker, again = VerdictTracker(loss, faces), VerdictTracker(loss, faces)
    for event in events:
        verdict = tracker.see(event)
        assert verdict == again.see(event)
        assert tracker.state in VERDICTS
        assert verdict is not None or not isinstance(event, Measured)
        if verdict:
            assert verdict.state == tracker.state
            assert verdict.images == event.images
            assert verdict.reason
            assert verdict.advice.endswith(".")
            assert verdict.action in ACTIONS
    assert len(tracker.reports) <= WINDOW
    assert len(tracker.measures) <= MEASURES_KEPT
